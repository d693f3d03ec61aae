"""What is done on the page of an opportunity."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from analytics.models import Objection, Opportunity
from analytics.permissions import book_of
from analytics.queries import pipeline as queries
from analytics.queries.customers import standing
from analytics.rules.pipeline import CONFIRMED, Criterion, Stage
from analytics.services import buying_group, opportunities, outcomes, ownership, steps
from analytics.web import pipeline_forms as fields
from analytics.web.opportunity_page import details_of, form_for, shown
from marketplace.permissions import Actor, actor_of
from marketplace.shared import clock
from marketplace.shared.errors import DomainError, NotFound, Sentence, StaleForm
from marketplace.web import refusals
from marketplace.web.forms import posted
from marketplace.web.parts import Crumb


@dataclass(frozen=True, slots=True)
class _Act:
    """Something done on the page: its form, the service, and the sentence when it is done."""

    form: type[forms.Form]
    do: Callable[[Opportunity, Any, Actor, datetime], object]
    said: Sentence


def _with_result(opportunity: Opportunity, form: Any, by: Actor, at: datetime) -> object:
    sent = form.cleaned_data
    about = opportunity.steps.filter(pk=sent["step"]) if sent["step"] else opportunity.steps.filter(done_at=None)
    step = about.first()
    if step is None:
        raise steps.StepDone
    return steps.finish(
        step.pk, sent["result"], note=sent["result_note"], next_step=form.next_step_or_none(), by=by, at=at
    )


_ACTS: dict[str, _Act] = {
    "details": _Act(
        fields.OpportunityForm,
        lambda row, form, by, at: opportunities.change(
            row.pk, form.details(), version=form.cleaned_data["version"], by=by, at=at
        ),
        _("Saved."),
    ),
    "move": _Act(
        fields.MoveForm,
        lambda row, form, by, at: opportunities.move(
            row.pk, Stage(form.cleaned_data["stage"]), reason=form.cleaned_data["reason"], by=by, at=at
        ),
        _("The stage is changed."),
    ),
    "finish": _Act(fields.FinishForm, _with_result, _("The step is done.")),
    "plan": _Act(
        fields.PlanForm,
        lambda row, form, by, at: steps.plan_next(row.pk, form.next_step(), by=by, at=at),
        _("The next step is planned."),
    ),
    "group": _Act(
        fields.GroupForm,
        lambda row, form, by, at: buying_group.put(
            row.pk, form.cleaned_data["contact"].pk, form.cleaned_data["role"], by=by, at=at
        ),
        _("The buying group is changed."),
    ),
    "objection": _Act(
        fields.ObjectionForm,
        lambda row, form, by, at: buying_group.object_to(row.pk, form.cleaned_data["objection"], by=by, at=at),
        _("The objection is written down."),
    ),
    "won": _Act(
        fields.WonForm,
        lambda row, form, by, at: outcomes.win(
            row.pk, form.cleaned_data["because"], note=form.cleaned_data["note"], by=by, at=at
        ),
        _("Won. A look at the first order is planned."),
    ),
    "lost": _Act(
        fields.LostForm,
        lambda row, form, by, at: outcomes.lose(
            row.pk, form.cleaned_data["because"], note=form.cleaned_data["note"], by=by, at=at
        ),
        _("Lost, with its reason. You can take it up again."),
    ),
    "reopen": _Act(
        fields.ReasonForm,
        lambda row, form, by, at: outcomes.reopen(row.pk, reason=form.cleaned_data["reason"], by=by, at=at),
        _("It is open again, with a call as the next step."),
    ),
    "hand_over": _Act(
        fields.AssignForm,
        lambda row, form, by, at: ownership.hand_over(
            row.pk, form.cleaned_data["to"], reason=form.cleaned_data["reason"], by=by, at=at
        ),
        _("Handed over."),
    ),
}


@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest, account_id: int) -> HttpResponse:
    """Open an opportunity with an account of the book."""
    actor = actor_of(request)
    account = standing(book_of(actor), account_id)
    if account is None:
        raise NotFound
    form = fields.OpportunityForm(posted(request))
    form.fields["amount"].help_text = account.book.currency or settings.DEFAULT_CURRENCY
    if request.method == "POST" and form.is_valid():
        try:
            found = opportunities.open_for(account.pk, form.details(), by=actor, at=clock.now())
        except DomainError as error:
            refusals.show_on(form, error)
        else:
            messages.success(request, _opened(found, actor))
            return redirect(found.get_absolute_url())
    crumbs = [
        Crumb(_("Customers"), reverse("insights_customers")),
        Crumb(account.name, reverse("insights_customer", args=[account.pk])),
    ]
    context = {"form": form, "account": account, "crumbs": crumbs}
    return render(
        request, "analytics/opportunity_new.html", context, status=422 if form.is_bound and form.errors else 200
    )


def _opened(found: Opportunity, actor: Actor) -> str:
    if found.representative == actor.person:
        return str(_("The opportunity is open. The next step is a call."))
    words = str(_("The opportunity is open. %(name)s works on it by rule, and has been told."))
    return words % {"name": found.representative}


@require_safe
def page(request: HttpRequest, opportunity_id: int) -> HttpResponse:
    """Everything about one opportunity."""
    return _page(request, _own(request, opportunity_id))


@require_http_methods(["GET", "HEAD", "POST"])
def act(request: HttpRequest, opportunity_id: int, what: str) -> HttpResponse:
    """Do something on the opportunity; a refused form is shown again on the page, with what was typed."""
    opportunity = _own(request, opportunity_id)
    wanted = _ACTS.get(what)
    if wanted is None:
        raise NotFound
    if request.method != "POST":
        return redirect(opportunity.get_absolute_url())
    form = form_for(what, wanted.form, opportunity, request.POST)
    if form.is_valid():
        try:
            wanted.do(opportunity, form, actor_of(request), clock.now())
        except DomainError as error:
            if error.status == 404:
                raise
            refusals.show_on(form, error)
            opportunity.refresh_from_db()
            if isinstance(error, StaleForm) and isinstance(form, fields.OpportunityForm):
                form.freshen(details_of(opportunity))
        else:
            messages.success(request, str(wanted.said))
            return redirect(opportunity.get_absolute_url())
    return _page(request, opportunity, {what: form})


@require_POST
def confirm(request: HttpRequest, opportunity_id: int, criterion: str) -> HttpResponse:
    """Tick a criterion, or take the tick away."""
    opportunity = _own(request, opportunity_id)
    if criterion not in set(CONFIRMED):
        raise NotFound
    return _done(
        request,
        opportunity,
        lambda: opportunities.confirm(
            opportunity.pk, Criterion(criterion), "holds" in request.POST, by=actor_of(request), at=clock.now()
        ),
    )


@require_POST
def leave_group(request: HttpRequest, opportunity_id: int, contact_id: int) -> HttpResponse:
    """A contact takes no part in this decision."""
    opportunity = _own(request, opportunity_id)
    return _done(
        request,
        opportunity,
        lambda: buying_group.take_out(opportunity.pk, contact_id, by=actor_of(request), at=clock.now()),
    )


@require_POST
def answer(request: HttpRequest, opportunity_id: int, objection_id: int) -> HttpResponse:
    """Answer an objection."""
    opportunity = _own(request, opportunity_id)
    objection = Objection.objects.filter(pk=objection_id, opportunity=opportunity).first()
    if objection is None:
        raise NotFound
    form = fields.AnswerForm(request.POST, prefix=f"o{objection.pk}")
    if form.is_valid():
        try:
            buying_group.answer(objection.pk, form.cleaned_data["answer"], by=actor_of(request), at=clock.now())
        except DomainError as error:
            refusals.show_on(form, error)
        else:
            messages.success(request, _("The answer is written down."))
            return redirect(opportunity.get_absolute_url())
    return _page(request, opportunity, {f"o{objection.pk}": form})


def _done(request: HttpRequest, opportunity: Opportunity, do: Callable[[], object]) -> HttpResponse:
    """Do it, and go back to the page with the refusal if there is one."""
    try:
        do()
    except DomainError as error:
        if error.status == 404:
            raise
        messages.error(request, str(error))
    return redirect(opportunity.get_absolute_url())


def _own(request: HttpRequest, opportunity_id: int) -> Opportunity:
    book = book_of(actor_of(request))
    found = queries.opportunities(book).filter(pk=opportunity_id).first()
    if found is None:
        raise NotFound
    return found


def _page(request: HttpRequest, opportunity: Opportunity, sent: dict[str, forms.Form] | None = None) -> HttpResponse:
    return shown(request, opportunity, {name: act.form for name, act in _ACTS.items()}, sent)
