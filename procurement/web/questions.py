"""Questions and answers of a procedure."""

from __future__ import annotations

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from marketplace.permissions import actor_of
from marketplace.shared import clock
from marketplace.shared.errors import DomainError, NotFound
from marketplace.web.refusals import show_on
from procurement.models import Clarification, Tender
from procurement.permissions import require_question_asked, require_tender_run
from procurement.queries import clarifications as queries
from procurement.services import clarifications
from procurement.web import tender_page


class QuestionForm(forms.Form):
    question = forms.CharField(
        label=gettext_lazy("Your question"),
        help_text=gettext_lazy(
            "Nobody learns who asks, not even the buyer: do not name your company. "
            "The question becomes public with its answer."
        ),
        widget=forms.Textarea({"rows": 4}),
    )


class AnswerForm(forms.Form):
    answer = forms.CharField(
        label=gettext_lazy("Your answer, for everybody"),
        widget=forms.Textarea({"rows": 3}),
    )


@require_http_methods(["GET", "HEAD", "POST"])
def questions(request: HttpRequest, number: str) -> HttpResponse:
    """The list; a post asks."""
    tender = tender_page.own_tender(request, number)
    if tender.published_at is None:
        raise NotFound
    if request.method == "POST":
        require_question_asked(actor_of(request), tender)
    form = QuestionForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            clarifications.ask(tender.pk, form.cleaned_data["question"], by=actor_of(request), at=clock.now())
        except DomainError as error:
            if error.status in (403, 404):
                raise
            show_on(form, error)
        else:
            messages.success(request, _("Your question was sent. You are told as soon as it is answered."))
            return redirect("tender_questions", number)
    return _page(request, tender, form)


@require_http_methods(["GET", "HEAD", "POST"])
def answer(request: HttpRequest, number: str, question: int) -> HttpResponse:
    """Answer one question; the refused answer is kept in its form."""
    tender = tender_page.own_tender(request, number)
    found = get_object_or_404(Clarification, tender=tender, number=question)
    if request.method != "POST":
        return redirect(f"{reverse('tender_questions', args=[number])}#question-{question}")
    require_tender_run(actor_of(request), tender)
    form = AnswerForm(request.POST, prefix=f"q{found.pk}")
    if form.is_valid():
        try:
            clarifications.answer(found.pk, form.cleaned_data["answer"], by=actor_of(request), at=clock.now())
        except clarifications.AlreadyAnswered as error:
            messages.error(request, str(error))
            return redirect("tender_questions", number)
        except DomainError as error:
            if error.status in (403, 404):
                raise
            show_on(form, error)
        else:
            messages.success(request, _("Your answer is public now."))
            return redirect("tender_questions", number)
    return _page(request, tender, QuestionForm(), {found.pk: form})


def _page(
    request: HttpRequest, tender: Tender, form: QuestionForm, answers: dict[int, AnswerForm] | None = None
) -> HttpResponse:
    actor = actor_of(request)
    context = tender_page.context(request, tender, "questions")
    found = queries.shown_to(actor.organisation, tender)
    answering = context["runs"] and context["takes_bids"]
    rows = [
        (row, (answers or {}).get(row.pk, AnswerForm(prefix=f"q{row.pk}")) if answering and not row.answer else None)
        for row in found
    ]
    refused = form.errors or any(form.errors for form in (answers or {}).values())
    context |= {
        "rows": rows,
        "form": form,
        "takes_questions": clarifications.takes_questions(tender, context["at"]),
        "can_ask": actor.is_supplier and not context["is_buyer"],
    }
    return render(request, "procurement/tender_questions.html", context, status=422 if refused else 200)
