"""Leads: the list, a new one, a file of them, and the page on which one is qualified."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import get_language, gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from analytics.models import Lead, LeadSource
from analytics.models.pipeline_names import LEAD_NAMES
from analytics.permissions import book_of, is_manager
from analytics.queries import pipeline as queries
from analytics.queries import sellers
from analytics.rules.pipeline import LeadState
from analytics.services import card_leads, lead_import, lead_requests, leads, ownership, requests_in
from analytics.web import card_words, cards, pipeline
from analytics.web import pipeline_forms as fields
from marketplace.countries import name_of
from marketplace.permissions import Actor, actor_of, person_of
from marketplace.shared import clock
from marketplace.shared.errors import DomainError, NotFound, Sentence, StaleForm
from marketplace.web import refusals
from marketplace.web.body_size import body_at_most
from marketplace.web.csv_export import csv_response
from marketplace.web.forms import posted
from marketplace.web.lists import address, listed
from marketplace.web.parts import Action, Crumb, Fact, Tab
from procurement.models import OfferRequest


@dataclass(frozen=True, slots=True)
class _Act:
    form: type[forms.Form]
    do: Callable[[Lead, Any, Actor, datetime], object]
    said: Sentence


_ACTS: dict[str, _Act] = {
    "qualify": _Act(
        fields.QualificationForm,
        lambda row, form, by, at: leads.qualify(
            row.pk, form.bant, form.gpct, version=form.cleaned_data["version"], by=by, at=at
        ),
        _("Saved."),
    ),
    "convert": _Act(
        fields.ConvertForm,
        lambda row, form, by, at: leads.convert(row.pk, form.cleaned_data["title"], by=by, at=at),
        _("The opportunity is open. The next step is a call."),
    ),
    "give_up": _Act(
        fields.GiveUpForm,
        lambda row, form, by, at: leads.give_up(
            row.pk, form.cleaned_data["because"], said=form.cleaned_data.get("said", ""), by=by, at=at
        ),
        _("Given up, with its reason. You can take it up again."),
    ),
    "take_up": _Act(
        forms.Form, lambda row, form, by, at: leads.take_up(row.pk, by=by, at=at), _("It is being qualified again.")
    ),
    "assign": _Act(
        fields.AssignForm,
        lambda row, form, by, at: ownership.assign_lead(
            row.pk, form.cleaned_data["to"], reason=form.cleaned_data["reason"], by=by, at=at
        ),
        _("Assigned."),
    ),
}


class LeadFilter(forms.Form):
    status = forms.ChoiceField(required=False, choices=[("", ""), *[(s.value, n) for s, n in LEAD_NAMES.items()]])
    mine = forms.BooleanField(required=False)


@require_safe
def page_of_all(request: HttpRequest) -> HttpResponseBase:
    """The book's leads, newest first; open ones unless another state is asked for."""
    actor = actor_of(request)
    book = book_of(actor)
    form = LeadFilter(request.GET)
    asked = form.cleaned_data if form.is_valid() else {"status": "", "mine": False}
    rows = queries.leads(book).filter(status=asked["status"]) if asked["status"] else queries.open_leads(book)
    if asked["mine"]:
        rows = rows.filter(representative=actor.person)
    if request.GET.get("format") == "csv":
        return _as_csv(rows)
    states = [Tab(_("Open"), address(request, status=""), not asked["status"])] + [
        Tab(LEAD_NAMES[state], address(request, status=state.value), asked["status"] == state.value)
        for state in (LeadState.QUALIFIED, LeadState.DISQUALIFIED)
    ]
    context = {
        "list": listed(request, rows, ["-created_at", "-pk"]),
        "tabs": pipeline.tabs("leads"),
        "states": states,
        "mine": asked["mine"],
        "mine_url": address(request, mine="" if asked["mine"] else "on"),
        "export_url": address(request, format="csv"),
        "action": Action(_("New lead"), reverse("insights_lead_new"), "plus"),
        "actions": [
            Action(_("Read leads from a file"), reverse("insights_leads_import"), "upload"),
            Action(
                _("Requests for offers"),
                f"{reverse('offer_requests')}?side={'received' if book.owner_id else 'platform'}",
                "message-question",
            ),
        ],
    }
    return render(request, "analytics/leads.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """Register a lead; where it is known already, what is new is added to it."""
    actor = actor_of(request)
    book = book_of(actor)
    form = fields.LeadForm(posted(request))
    if request.method == "POST" and form.is_valid():
        try:
            lead, is_new = leads.register(book.pk, LeadSource.OWN, form.details(), by=actor, at=clock.now())
        except DomainError as error:
            refusals.show_on(form, error)
        else:
            _tell(request, lead, is_new)
            return redirect(lead.get_absolute_url())
    context = {"form": form, "crumbs": [Crumb(_("Leads"), reverse("insights_leads"))]}
    return render(request, "analytics/lead_new.html", context, status=422 if form.is_bound and form.errors else 200)


@require_POST
def from_card(request: HttpRequest, card_id: int) -> HttpResponse:
    """Make a lead of an accepted card; where it has become one already, go there."""
    actor = actor_of(request)
    card = cards.readable(actor, card_id)
    need = ". ".join(str(words) for words in (card_words.confidence(card), card_words.thing(card)) if words)
    went_before = hasattr(card, "lead") or hasattr(card, "added_to")
    try:
        lead, is_new = card_leads.from_card(card.pk, need, by=actor, at=clock.now())
    except card_leads.CardNotAccepted as refusal:
        messages.error(request, str(refusal))
        return redirect("insights_card", card.pk)
    if not went_before:
        if not is_new:
            messages.info(request, _("The account has an open lead already: the card was added to it."))
        _tell(request, lead, is_new)
    return redirect(lead.get_absolute_url())


@require_POST
def of_request(request: HttpRequest, request_id: int) -> HttpResponse:
    """To the lead that a request for an offer became; where nobody has heard of it yet, it becomes one now."""
    book = book_of(actor_of(request))
    if not OfferRequest.objects.filter(pk=request_id, supplier=book.owner_id).exists():
        raise NotFound
    lead = requests_in.hear(request_id, at=clock.now())
    if lead is None:
        raise NotFound
    return redirect(lead.get_absolute_url())


def _tell(request: HttpRequest, lead: Lead, is_new: bool) -> None:
    owner = lead.representative
    if owner is not None and owner != person_of(actor_of(request)):
        messages.info(request, _("This lead is looked after by %(name)s, who has been told.") % {"name": owner})
    elif is_new:
        messages.success(request, _("The lead is registered. Qualify it below."))
    else:
        messages.info(request, _("This lead was known already. What is new was added to it."))


class FileForm(forms.Form):
    file = forms.FileField(
        label=_("File (CSV or XLSX)"),
        help_text=_(
            "With a heading of columns: company, and as far as known country, contact, email, phone, need, reference. "
            "At most 2,000 rows."
        ),
    )


@body_at_most(lead_import.FILE_MAX + 20_000)
@require_http_methods(["GET", "HEAD", "POST"])
def from_file(request: HttpRequest) -> HttpResponse:
    """Read leads from a file: every row is taken or said to be wrong; the same file again adds nothing twice."""
    actor = actor_of(request)
    book = book_of(actor)
    form = FileForm(posted(request), request.FILES or None)
    result = None
    if request.method == "POST" and form.is_valid():
        sent = form.cleaned_data["file"]
        try:
            result = lead_import.take(book.pk, sent.name, sent.read(), by=actor, at=clock.now())
        except DomainError as error:
            refusals.show_on(form, error)
    context = {
        "form": form,
        "result": result,
        "crumbs": [Crumb(_("Leads"), reverse("insights_leads"))],
        "counted": result
        and ngettext("%(n)s row was taken.", "%(n)s rows were taken.", result.taken) % {"n": result.taken},
    }
    return render(request, "analytics/leads_import.html", context, status=422 if form.is_bound and form.errors else 200)


@require_safe
def page(request: HttpRequest, lead_id: int) -> HttpResponse:
    """One lead."""
    return _page(request, _own(request, lead_id))


@require_http_methods(["GET", "HEAD", "POST"])
def act(request: HttpRequest, lead_id: int, what: str) -> HttpResponse:
    """Do something on the lead; a refused form is shown again on the page, with what was typed."""
    lead = _own(request, lead_id)
    wanted = _ACTS.get(what)
    if wanted is None:
        raise NotFound
    if request.method != "POST":
        return redirect(lead.get_absolute_url())
    form = _form(what, lead, request.POST)
    if form.is_valid():
        try:
            done = wanted.do(lead, form, actor_of(request), clock.now())
        except DomainError as error:
            if error.status == 404:
                raise
            refusals.show_on(form, error)
            lead.refresh_from_db()
            if isinstance(error, StaleForm) and isinstance(form, fields.QualificationForm):
                form.freshen(_answers(lead))
        else:
            messages.success(request, str(wanted.said))
            found: Any = done
            return redirect(found.get_absolute_url())
    lead.refresh_from_db()
    return _page(request, lead, {what: form})


def _own(request: HttpRequest, lead_id: int) -> Lead:
    found = queries.leads(book_of(actor_of(request))).filter(pk=lead_id).first()
    if found is None:
        raise NotFound
    return found


def _form(what: str, lead: Lead, sent: Any = None, **more: Any) -> forms.Form:
    """The form of an act; several stand on one page, so each has ids of its own."""
    form = _ACTS[what].form
    if issubclass(form, fields.AssignForm):
        everybody = {*sellers.representatives(lead.book), *sellers.managers(lead.book)}
        more["people"] = [person for person in everybody if person.pk != lead.representative_id]
    made = form(sent, auto_id=f"id_{what}_%s", **more)
    if what == "give_up" and not lead_requests.waits(lead):
        del made.fields["said"]
    return made


def _page(request: HttpRequest, lead: Lead, sent: dict[str, forms.Form] | None = None) -> HttpResponse:
    sent = sent or {}
    actor = actor_of(request)
    manages = is_manager(actor, lead.book)
    initial: dict[str, dict[str, Any]] = {
        "qualify": _answers(lead),
        "convert": {"title": lead.need.splitlines()[0][:200] if lead.need else lead.company},
    }
    context = {
        "lead": lead,
        "fit": leads.fit_of(lead),
        "forms": {name: sent.get(name) or _form(name, lead, initial=initial.get(name, {})) for name in _ACTS},
        "refused": next((form for form in sent.values() if form.errors), None),
        "facts": _facts(lead),
        "requests": lead_requests.of(lead),
        "is_open": lead.status in (LeadState.NEW.value, LeadState.WORKING.value),
        "writes": manages or lead.representative in (None, actor.person),
        "manages": manages,
        "decisions": lead.ownership_decisions.select_related("winner", "decided_by"),
        "crumbs": [Crumb(_("Leads"), reverse("insights_leads"))],
    }
    refused = any(form.errors for form in sent.values())
    return render(request, "analytics/lead.html", context, status=422 if refused else 200)


def _answers(lead: Lead) -> dict[str, Any]:
    """What the form of the qualification holds."""
    return {"version": lead.version, **lead.bant, **lead.gpct}


def _facts(lead: Lead) -> list[Fact]:
    return [
        Fact(_("Representative"), lead.representative or gettext("nobody yet")),
        Fact(_("Country"), name_of(lead.country, get_language() or "en") if lead.country else ""),
        Fact(_("Contact"), lead.contact_name),
        Fact(_("E-mail"), lead.email),
        Fact(_("Phone"), lead.phone.as_international if lead.phone else ""),
        Fact(_("Reference"), lead.reference),
    ]


def _as_csv(rows: Any) -> HttpResponseBase:
    head = (
        _("Company"), _("Country"), _("Contact"), _("E-mail"), _("Phone"), _("State"), _("Source"),
        _("Representative"), _("Registered (UTC)"), _("What they ask for"),
    )  # fmt: skip
    lines = (
        (
            row.company, row.country, row.contact_name, row.email, str(row.phone), row.get_status_display(),
            row.get_source_display(), str(row.representative or ""), row.created_at, row.need,
        )
        for row in rows.order_by("-created_at", "-pk").iterator(chunk_size=1000)
    )  # fmt: skip
    return csv_response("leads", head, lines)
