"""Deliveries on a contract: how far it is, recording and deciding one, a return, and the list as a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from secrets import token_hex
from typing import Any, Final
from zoneinfo import ZoneInfo

from django import forms
from django.contrib import messages
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_safe

from marketplace.permissions import Actor, actor_of
from marketplace.shared import clock
from marketplace.shared.errors import DomainError, NotFound, Sentence
from marketplace.web import refusals
from marketplace.web.csv_export import csv_response
from marketplace.web.forms import posted
from marketplace.web.parts import Action, Crumb
from marketplace.web.xlsx_export import Sheet, xlsx_response
from procurement import permissions
from procurement.models import Contract, Delivery, DeliveryLine, Item, units
from procurement.queries import deliveries as queries
from procurement.queries.deliveries import PositionRow
from procurement.rules import deliveries as rules
from procurement.rules.lifecycle import ContractStatus, DeliveryStatus
from procurement.services import deliveries as service
from procurement.services.delivery_checks import NOTE_MAX, REMARK_MAX, WHY_MAX, Accepted, Came
from procurement.web.fields import NumberField

_IN_FORCE: Final = (ContractStatus.ACTIVE, ContractStatus.COMPLETED)
_WAITS: Final = Q(status=DeliveryStatus.RECORDED.value)
#: Deliveries on the page of a contract.
SHOWN: Final = 50


class LinesForm(forms.Form):
    """A quantity for each line; the fields are named after its item."""

    def __init__(self, *args: Any, lines: Sequence[tuple[Item, Decimal | None]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.items = [item for item, _initial in lines]
        for item, initial in lines:
            label = gettext("Quantity of position %(n)s, %(what)s") % {"n": item.number, "what": item.description}
            self.fields[f"quantity_{item.pk}"] = NumberField(label=label, required=False, initial=initial)

    def quantities(self, *, with_nothing: bool = False) -> dict[int, Decimal]:
        """What was typed, by the item's id. A line left empty, or at 0, is nothing of it."""
        found = {item.pk: self.cleaned_data[f"quantity_{item.pk}"] for item in self.items}
        if with_nothing:
            return {pk: Decimal(0) if value is None else value for pk, value in found.items()}
        return {pk: value for pk, value in found.items() if value}

    def rows(self) -> Iterator[tuple[Item, forms.BoundField, forms.BoundField | None, Sentence]]:
        """Each item with its fields, and its unit as it is said after what the line had at first."""
        for item in self.items:
            field, why = self[f"quantity_{item.pk}"], f"why_{item.pk}"
            yield (
                item,
                field,
                self[why] if why in self.fields else None,
                units.counted(item.unit, field.initial or Decimal(0)),
            )


class CameForm(LinesForm):
    delivered_on = forms.DateField(label=_("Delivered on"), widget=forms.DateInput({"type": "date"}, format="%Y-%m-%d"))
    note_number = forms.CharField(label=_("Number of the delivery note"), max_length=NOTE_MAX)
    remark = forms.CharField(
        label=_("Remark"), max_length=REMARK_MAX, required=False, widget=forms.Textarea({"rows": 2})
    )
    more = forms.BooleanField(
        label=_("The buyer knows that more comes than was ordered"),
        required=False,
        help_text=_("Needed beyond the ordered quantity and the contract’s tolerance. The buyer has to agree to it."),
    )
    key = forms.CharField(widget=forms.HiddenInput, max_length=64)

    def came(self) -> Came:
        sent = self.cleaned_data
        return Came(sent["delivered_on"], self.quantities(), sent.get("note_number", ""), sent["remark"])


class ReturnForm(CameForm):
    """Goods that go back: no note is needed, but why they do."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        del self.fields["more"]
        self.fields["delivered_on"].label = _("Sent back on")
        self.fields["note_number"].required = False
        self.fields["note_number"].label = _("Number of the return note")
        self.fields["remark"].required = True
        self.fields["remark"].label = _("Why it goes back")


class ConfirmForm(LinesForm):
    """How much of each line is accepted, and where it is less than came, why."""

    agrees = forms.BooleanField(
        label=_("I agree to take more than was ordered"),
        required=False,
        help_text=_("Needed where more is accepted than was ordered, with the contract’s tolerance."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for item in self.items:
            label = gettext("Why less of position %(n)s") % {"n": item.number}
            self.fields[f"why_{item.pk}"] = forms.CharField(label=label, required=False, max_length=WHY_MAX)

    def accepted(self) -> Accepted:
        why = {item.pk: self.cleaned_data[f"why_{item.pk}"] for item in self.items}
        return Accepted(self.quantities(with_nothing=True), why)


class ReasonForm(forms.Form):
    reason = forms.CharField(label=_("Why"), max_length=REMARK_MAX, widget=forms.Textarea({"rows": 2}))


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a contract's deliveries are, for its page."""

    rows: list[PositionRow]
    # The newest of `recorded` in all; the others stand in the file.
    deliveries: list[Delivery]
    recorded: int
    progress: int
    waiting: int
    tolerance: Decimal
    action: Action | None
    exports: bool


def standing(contract: Contract, actor: Actor) -> Standing | None:
    """None before the contract is in force."""
    if contract.status not in _IN_FORCE:
        return None
    rows, found = queries.positions(contract), list(queries.of(contract).reverse()[:SHOWN])[::-1]
    counts = contract.deliveries.aggregate(all=Count("pk"), waiting=Count("pk", filter=_WAITS))
    action = None
    if actor.acts_for(contract.supplier_id):
        allowed = actor.has(*permissions.DELIVERS)
        reason = "" if allowed else _("A bid manager, signer or administrator of your organisation records it.")
        url = reverse("delivery_new", args=[contract.number])
        action = Action(_("Record a delivery"), url, "truck-delivery", allowed=allowed, reason=reason)
    percent = rules.progress([row.state for row in rows])
    return Standing(
        rows, found, counts["all"], percent, counts["waiting"], contract.delivery_tolerance, action, bool(found)
    )


@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest, number: str) -> HttpResponse:
    """Record a delivery: what came of each position."""
    contract, actor, at = _own_contract(request, number), actor_of(request), clock.now()
    permissions.require_delivery_recorder(actor, contract)
    rows = queries.positions(contract)
    today = at.astimezone(ZoneInfo(contract.tender.time_zone)).date()
    form = CameForm(
        posted(request),
        lines=[(row.item, None) for row in rows],
        initial={"key": token_hex(16), "delivered_on": today},
    )
    if request.method == "POST" and form.is_valid():
        try:
            more, key = form.cleaned_data["more"], form.cleaned_data["key"]
            service.record(contract.pk, form.came(), key=key, more=more, by=actor, at=at)
        except DomainError as error:
            if error.status in (403, 404):
                raise
            refusals.show_on(form, error)
        else:
            messages.success(request, _("Recorded. The buyer has been told and confirms it."))
            return redirect(f"{reverse('contract', args=[number])}#deliveries")
    context = {
        "contract": contract,
        "form": form,
        "rows": _with_left(form, {row.item.pk: row.state.open for row in rows}),
        "crumbs": _crumbs(contract),
    }
    return _shown(request, "procurement/delivery_new.html", context, form)


@require_safe
def page(request: HttpRequest, number: str, delivery: int) -> HttpResponse:
    """One delivery or return, with what may be done about it."""
    contract = _own_contract(request, number)
    return _page(request, contract, _own(contract, delivery))


@require_http_methods(["GET", "HEAD", "POST"])
def act(request: HttpRequest, number: str, delivery: int, what: str) -> HttpResponse:
    """Confirm, reject or cancel it; a refused form is shown again on its page, with what was typed."""
    contract, actor = _own_contract(request, number), actor_of(request)
    found = _own(contract, delivery)
    if what not in ("confirm", "reject", "cancel"):
        raise NotFound
    side = permissions.require_delivery_party(actor, contract)
    if what != "cancel" and side == found.side:
        raise service.OwnRecord
    if request.method != "POST":
        return redirect(found.get_absolute_url())
    form = _form(what, found, request.POST)
    if form.is_valid():
        try:
            said = _done(what, found, form, actor)
        except DomainError as error:
            if error.status in (403, 404):
                raise
            refusals.show_on(form, error)
        else:
            messages.success(request, str(said))
            return redirect(found.get_absolute_url())
    return _page(request, contract, _own(contract, delivery), {what: form})


@require_http_methods(["GET", "HEAD", "POST"])
def give_back(request: HttpRequest, number: str, delivery: int) -> HttpResponse:
    """Record that something of a confirmed delivery goes back."""
    contract, actor, at = _own_contract(request, number), actor_of(request), clock.now()
    found = _own(contract, delivery)
    permissions.require_delivery_party(actor, contract)
    if found.status != DeliveryStatus.CONFIRMED or found.is_return:
        messages.error(request, str(service.NotConfirmed()))
        return redirect(found.get_absolute_url())
    left = queries.returnable(found)
    # A form that is sent twice names lines of which nothing is left by then.
    lines = [
        line.item for line in found.lines.all() if left[line.item_id] > 0 or f"quantity_{line.item_id}" in request.POST
    ]
    today = at.astimezone(ZoneInfo(contract.tender.time_zone)).date()
    form = ReturnForm(
        posted(request),
        lines=[(item, None) for item in lines],
        initial={"key": token_hex(16), "delivered_on": today},
    )
    if request.method == "POST" and form.is_valid():
        try:
            back = service.give_back(found.pk, form.came(), key=form.cleaned_data["key"], by=actor, at=at)
        except DomainError as error:
            if error.status in (403, 404):
                raise
            refusals.show_on(form, error)
        else:
            messages.success(request, _("Recorded. The other side has been told and confirms it."))
            return redirect(back.get_absolute_url())
    context = {
        "contract": contract,
        "delivery": found,
        "form": form,
        "rows": _with_left(form, left),
        "crumbs": [*_crumbs(contract), Crumb(str(found), found.get_absolute_url())],
    }
    return _shown(request, "procurement/delivery_new.html", context, form)


@require_safe
def as_csv(request: HttpRequest, number: str) -> HttpResponseBase:
    """The contract's deliveries, a row a line."""
    contract = _own_contract(request, number)
    return csv_response(f"deliveries-{contract.number}", _HEAD, _rows(contract))


@require_safe
def as_xlsx(request: HttpRequest, number: str) -> HttpResponse:
    """The same as a workbook."""
    contract = _own_contract(request, number)
    sheet = Sheet(gettext("Deliveries"), _HEAD, _rows(contract))
    return xlsx_response(f"deliveries-{contract.number}", [sheet])


_HEAD: Final = (
    _("Contract"), _("Number"), _("Kind"), _("Corrects number"), _("State"), _("Delivered on"), _("Delivery note"),
    _("Position"), _("Item"), _("Unit"), _("Quantity"), _("Accepted"), _("Why less was accepted"), _("Recorded by"),
    _("Recorded (UTC)"), _("Decided by"), _("Decided (UTC)"), _("Remark"), _("Reason"),
)  # fmt: skip


def _rows(contract: Contract) -> Iterator[tuple[Any, ...]]:
    for one in queries.of(contract):
        for line in one.lines.all():
            yield (
                contract.number, one.number, one.get_kind_display(), one.corrects.number if one.corrects else None,
                one.get_status_display(), one.delivered_on, one.note_number, line.item.number, line.item.description,
                str(line.item.unit_name), line.quantity, line.accepted, line.why, str(one.recorded_by),
                one.recorded_at, str(one.decided_by or ""), one.decided_at, one.remark, one.reason,
            )  # fmt: skip


def _with_left(form: LinesForm, left: Mapping[int, Decimal]) -> list[tuple[Any, ...]]:
    """Each item with its field, what is left of it, and its unit as it is said after that."""
    return [
        (item, field, left[item.pk], units.counted(item.unit, left[item.pk])) for item, field, *_rest in form.rows()
    ]


def _own_contract(request: HttpRequest, number: str) -> Contract:
    rows = Contract.objects.select_related("buyer", "supplier", "tender", "award__lot")
    contract = rows.filter(number=number).first()
    if contract is None:
        raise NotFound
    permissions.require_contract_reader(actor_of(request), contract)
    return contract


def _own(contract: Contract, number: int) -> Delivery:
    found = queries.of(contract).filter(number=number).first()
    if found is None:
        raise NotFound
    found.contract = contract
    return found


def _form(what: str, found: Delivery, sent: Any = None) -> forms.Form:
    if what != "confirm":
        return ReasonForm(sent, auto_id=f"id_{what}_%s")
    lines: list[DeliveryLine] = [] if found.is_return else list(found.lines.all())
    return ConfirmForm(sent, lines=[(line.item, line.quantity) for line in lines])


def _done(what: str, found: Delivery, form: Any, actor: Actor) -> Sentence:
    at = clock.now()
    if what == "confirm":
        service.confirm(found.pk, form.accepted(), agrees=form.cleaned_data["agrees"], by=actor, at=at)
        return _("Confirmed. The other side has been told.")
    if what == "reject":
        service.reject(found.pk, form.cleaned_data["reason"], by=actor, at=at)
        return _("Rejected, with the reason. The other side has been told.")
    service.cancel(found.pk, form.cleaned_data["reason"], by=actor, at=at)
    return _("Cancelled. The other side has been told.")


def _page(
    request: HttpRequest, contract: Contract, found: Delivery, sent: dict[str, forms.Form] | None = None
) -> HttpResponse:
    sent, actor = sent or {}, actor_of(request)
    supplies = actor.acts_for(contract.supplier_id)
    deals = actor.has(*(permissions.DELIVERS if supplies else permissions.RECEIVES))
    ours = supplies == (found.side == "supplier")
    waits = found.status == DeliveryStatus.RECORDED
    acts = ["cancel"] if waits and deals else []
    if waits and deals and not ours:
        acts += ["confirm", "reject"]
    may = {name: sent.get(name) or _form(name, found) for name in acts}
    confirm = may.get("confirm")
    left = queries.returnable(found) if found.status == DeliveryStatus.CONFIRMED and not found.is_return else {}
    refused = next((form for form in sent.values() if form.errors), None)
    back = Action(
        _("Record a return"), reverse("delivery_return", args=[contract.number, found.number]), "truck-return"
    )
    context = {
        "contract": contract,
        "delivery": found,
        "lines": list(found.lines.all()),
        "may": may,
        "confirm_rows": list(confirm.rows()) if isinstance(confirm, LinesForm) else [],
        "form": refused,
        "next_step": _next_step(contract, found, ours),
        "actions": [back] if deals and any(left.values()) else [],
        "returns": found.returns.order_by("number"),
        "crumbs": _crumbs(contract),
    }
    return _shown(request, "procurement/delivery.html", context, refused)


def _next_step(contract: Contract, found: Delivery, ours: bool) -> Sentence:
    if found.status != DeliveryStatus.RECORDED:
        return ""
    if not ours:
        return _("Confirm it, or reject it with a reason.")
    other = contract.buyer if found.side == "supplier" else contract.supplier
    return _("%(who)s confirms or rejects it.") % {"who": other.short_name}


def _crumbs(contract: Contract) -> list[Crumb]:
    return [
        Crumb(_("Contracts"), reverse("contracts")),
        Crumb(contract.number, f"{reverse('contract', args=[contract.number])}#deliveries"),
    ]


def _shown(request: HttpRequest, template: str, context: dict[str, Any], form: forms.Form | None) -> HttpResponse:
    wrong = form is not None and form.is_bound and bool(form.errors)
    return render(request, template, context, status=422 if wrong else 200)
