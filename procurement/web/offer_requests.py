"""Requests for an offer: asking, the list of each side, and one with what may be done about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from secrets import token_hex
from typing import Any

from babel.numbers import format_decimal
from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_safe
from phonenumber_field.formfields import PhoneNumberField

from marketplace.models import Organisation, OrganisationStatus, StaffRole
from marketplace.permissions import Actor, actor_of, organisation_of, without_organisation
from marketplace.shared import clock
from marketplace.shared.errors import DomainError, NotFound, Sentence
from marketplace.web import formats, refusals
from marketplace.web.forms import posted
from marketplace.web.lists import address, listed
from marketplace.web.parts import Action, Crumb, Fact, Tab
from procurement import permissions
from procurement.models import ContactBy, OfferRequest, units
from procurement.models.request import REQUEST_STATUS_NAMES
from procurement.queries import offer_requests as queries
from procurement.rules.lifecycle import REQUEST, RequestStatus
from procurement.services import offer_requests as service
from procurement.services.offer_requests import ANSWER_MAX, NEED_MAX, REASON_MAX, Wanted
from procurement.web.fields import CategoryField, NumberField
from procurement.web.search import currency_choices


class AskForm(forms.Form):
    """What is needed. `key` tells a second click from a second request."""

    need = forms.CharField(
        label=_("What do you need?"),
        help_text=_("What it is for, what matters, where it is to be delivered."),
        max_length=NEED_MAX,
        widget=forms.Textarea({"rows": 5}),
    )
    category = CategoryField(label=_("Category"), required=False)
    quantity = NumberField(label=_("Quantity"), required=False)
    unit = forms.ChoiceField(label=_("Unit"), required=False)
    budget = NumberField(label=_("Budget, without VAT"), required=False)
    currency = forms.ChoiceField(label=_("Currency"), required=False)
    wanted_by = forms.DateField(label=_("Wanted by"), widget=forms.DateInput({"type": "date"}, format="%Y-%m-%d"))
    contact_by = forms.ChoiceField(
        label=_("How would you like to be answered?"), choices=ContactBy.choices, widget=forms.RadioSelect
    )
    phone = PhoneNumberField(label=_("Phone"), required=False, help_text=_("With the country code: +49 30 901820."))
    key = forms.CharField(widget=forms.HiddenInput, max_length=64)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, found in (("unit", list(units.NAMES.items())), ("currency", currency_choices())):
            field = self.fields[name]
            assert isinstance(field, forms.ChoiceField)
            field.choices = [("", "—"), *found]

    def wanted(self, supplier: Organisation | None) -> Wanted:
        sent = {name: value for name, value in self.cleaned_data.items() if name != "key"}
        return Wanted(supplier.pk if supplier else None, **sent | {"phone": str(sent["phone"] or "")})


class AnswerForm(forms.Form):
    answer = forms.CharField(
        label=_("Your answer"),
        help_text=_("Whoever asked reads it."),
        max_length=ANSWER_MAX,
        widget=forms.Textarea({"rows": 5}),
    )


class DeclineForm(forms.Form):
    because = forms.CharField(
        label=_("Why"),
        help_text=_("Whoever asked reads it."),
        max_length=REASON_MAX,
        widget=forms.Textarea({"rows": 2}),
    )


@dataclass(frozen=True, slots=True)
class _Act:
    after: RequestStatus
    form: type[forms.Form]
    do: Callable[[int, Any, Actor, datetime], object]
    said: Sentence
    # Whether the side that asked does it, or the one that was asked.
    askers: bool = False


_ACTS: dict[str, _Act] = {
    "take-up": _Act(
        RequestStatus.TAKEN_UP,
        forms.Form,
        lambda pk, form, by, at: service.take_up(pk, by=by, at=at),
        _("Taken up. Whoever asked has been told."),
    ),
    "answer": _Act(
        RequestStatus.ANSWERED,
        AnswerForm,
        lambda pk, form, by, at: service.answer(pk, form.cleaned_data["answer"], by=by, at=at),
        _("Answered. Whoever asked has been told."),
    ),
    "decline": _Act(
        RequestStatus.DECLINED,
        DeclineForm,
        lambda pk, form, by, at: service.decline(pk, form.cleaned_data["because"], by=by, at=at),
        _("Declined, with the reason. Whoever asked has been told."),
    ),
    "withdraw": _Act(
        RequestStatus.WITHDRAWN,
        forms.Form,
        lambda pk, form, by, at: service.withdraw(pk, by=by, at=at),
        _("Withdrawn. Nobody will answer it any more."),
        askers=True,
    ),
}


@require_http_methods(["GET", "HEAD", "POST"])
def ask(request: HttpRequest, organisation_id: int | None = None) -> HttpResponse:
    """Ask a supplier for an offer; without one, talk to the platform's own sales."""
    actor = actor_of(request)
    asker = permissions.require_offer_asked(actor)
    supplier = None if organisation_id is None else _supplier(organisation_id, asker)
    person = actor.person
    initial = {"key": token_hex(16), "contact_by": ContactBy.EMAIL.value, "phone": person.phone if person else ""}
    form = AskForm(posted(request), initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            asked = service.ask(form.wanted(supplier), key=form.cleaned_data["key"], by=actor, at=clock.now())
        except DomainError as error:
            if error.status in (403, 404):
                raise
            refusals.show_on(form, error)
        else:
            messages.success(request, _("Your request was sent. You are told as soon as there is an answer."))
            return redirect(asked.get_absolute_url())
    context = {
        "form": form,
        "supplier": supplier,
        "person": person,
        "crumbs": [
            Crumb(supplier.short_name, reverse("company", args=[supplier.pk]))
            if supplier
            else Crumb(_("Requests for offers"), reverse("offer_requests"))
        ],
    }
    return render(request, "procurement/offer_ask.html", context, status=422 if form.is_bound and form.errors else 200)


@require_safe
def page_of_all(request: HttpRequest) -> HttpResponse:
    """What one's own organisation has asked, what it was asked, and for the platform's sales what the platform was."""
    actor = actor_of(request)
    sides = _sides(actor)
    if not sides:
        raise without_organisation(actor)
    wanted = request.GET.get("side", "")
    side = wanted if wanted in sides else next(iter(sides))
    rows = queries.sent_by(organisation_of(actor)) if side == "sent" else queries.sent_to(_asked_of(actor, side))
    state = request.GET.get("state", "")
    if state in {one.value for one in RequestStatus}:
        rows = rows.filter(status=state)
    states = [Tab(_("All"), address(request, state=""), not state)] + [
        Tab(name, address(request, state=one.value), state == one.value) for one, name in REQUEST_STATUS_NAMES.items()
    ]
    context = {
        "side": side,
        "sides": [Tab(name, f"{request.path}?side={one}", one == side) for one, name in sides.items()],
        "states": states,
        "state": state,
        "list": listed(request, rows, ["-pk"]),
        "action": Action(_("Find a supplier to ask"), f"{reverse('companies')}?side=supplier", "search")
        if side == "sent"
        else None,
        "actions": [Action(_("Talk to sales"), reverse("offer_ask_platform"), "message-question")]
        if side == "sent"
        else [],
    }
    return render(request, "procurement/offer_requests.html", context)


@require_safe
def page(request: HttpRequest, request_id: int) -> HttpResponse:
    """One request, for the people of its two sides."""
    return _page(request, _own(request, request_id))


@require_http_methods(["GET", "HEAD", "POST"])
def act(request: HttpRequest, request_id: int, what: str) -> HttpResponse:
    """Do something about the request; a refused form is shown again on the page, with what was typed."""
    found, wanted, actor = _own(request, request_id), _ACTS.get(what), actor_of(request)
    if wanted is None:
        raise NotFound
    (permissions.require_offer_asker if wanted.askers else permissions.require_offer_handled)(actor, found)
    if request.method != "POST":
        return redirect(found.get_absolute_url())
    form = wanted.form(request.POST, auto_id=f"id_{what}_%s")
    if form.is_valid():
        try:
            wanted.do(found.pk, form, actor, clock.now())
        except DomainError as error:
            if error.status in (403, 404):
                raise
            refusals.show_on(form, error)
        else:
            messages.success(request, str(wanted.said))
            return redirect(found.get_absolute_url())
    return _page(request, _own(request, request_id), {what: form})


def _supplier(organisation_id: int, asker: Organisation) -> Organisation:
    if organisation_id == asker.pk:
        raise service.OwnOrganisation
    sells = Organisation.objects.filter(is_supplier=True, status=OrganisationStatus.REGISTERED)
    found = sells.filter(pk=organisation_id).first()
    if found is None:
        raise NotFound
    return found


def _sides(actor: Actor) -> dict[str, Sentence]:
    found: dict[str, Sentence] = {}
    if actor.organisation is not None:
        found["sent"] = _("Our requests")
        if actor.organisation.is_supplier:
            found["received"] = _("Asked of us")
    if actor.is_a(StaffRole.REPRESENTATIVE, StaffRole.SALES_MANAGER):
        found["platform"] = _("Asked of the platform")
    return found


def _asked_of(actor: Actor, side: str) -> Organisation | None:
    return None if side == "platform" else organisation_of(actor)


def _own(request: HttpRequest, request_id: int) -> OfferRequest:
    rows = OfferRequest.objects.select_related("asker", "supplier", "category", "asked_by", "handled_by")
    found = rows.filter(pk=request_id).first()
    if found is None:
        raise NotFound
    permissions.require_offer_reader(actor_of(request), found)
    return found


def _page(request: HttpRequest, found: OfferRequest, sent: dict[str, forms.Form] | None = None) -> HttpResponse:
    actor, sent = actor_of(request), sent or {}
    ours = permissions.is_offer_asker(actor, found)
    handles, withdraws = permissions.can_handle_offer(actor, found), permissions.can_withdraw_offer(actor, found)
    after = REQUEST[RequestStatus(found.status)]
    may = {
        name: sent.get(name) or one.form(auto_id=f"id_{name}_%s")
        for name, one in _ACTS.items()
        if one.after in after and (withdraws if one.askers else handles)
    }
    refused = next((form for form in sent.values() if form.errors), None)
    context = {
        "offer": found,
        "ours": ours,
        "may": {name.replace("-", "_"): form for name, form in may.items()},
        "form": refused,
        "facts": _facts(found),
        "next_step": _next_step(found, ours),
        "sells": permissions.is_offer_asked(actor, found)
        and (found.supplier_id is None or actor.has(*permissions.SELLING_ROLES)),
        "crumbs": [
            Crumb(_("Requests for offers"), f"{reverse('offer_requests')}?side={_side_of(found, ours)}"),
        ],
    }
    return render(request, "procurement/offer_request.html", context, status=422 if refused else 200)


def _side_of(found: OfferRequest, ours: bool) -> str:
    if ours:
        return "sent"
    return "platform" if found.supplier_id is None else "received"


def _facts(found: OfferRequest) -> list[Fact]:
    facts = [
        Fact(_("Category"), found.category),
        Fact(_("Quantity"), _quantity(found)),
        Fact(_("Budget, without VAT"), found.budget_money),
        Fact(_("Wanted by"), formats.day(found.wanted_by)),
        Fact(_("Asked by"), found.asked_by),
        Fact(_("Answer"), found.get_contact_by_display()),
        Fact(_("E-mail"), found.asked_by.email if found.contact_by == ContactBy.EMAIL else ""),
        Fact(_("Phone"), found.phone.as_international if found.phone else ""),
        Fact(_("Looked after by"), found.handled_by),
    ]
    return [fact for fact in facts if fact.value]


def _quantity(found: OfferRequest) -> str:
    if found.quantity is None:
        return ""
    return f"{format_decimal(found.quantity, '#,##0.####', formats.locale())} {found.unit_counted}"


def _next_step(found: OfferRequest, ours: bool) -> Sentence:
    whose = gettext("Our sales team") if found.supplier is None else found.supplier.short_name
    if found.status == RequestStatus.SENT:
        return (
            _("%(who)s reads it next. You are told what becomes of it.") % {"who": whose}
            if ours
            else _("Take it up, answer it, or decline it with a reason.")
        )
    if found.status == RequestStatus.TAKEN_UP:
        return _("%(who)s is at it.") % {"who": found.handled_by or whose} if ours else _("Answer it, or decline it.")
    return ""
