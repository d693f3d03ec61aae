"""Contracts: the list of both sides, one contract with its text and signatures, editing and signing it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from django import forms
from django.contrib import messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from marketplace.models import Organisation, Role
from marketplace.permissions import Actor, actor_of, organisation_of
from marketplace.shared import clock
from marketplace.shared.errors import DomainError, NotFound, Sentence
from marketplace.shared.money import Money
from marketplace.signatures.payload import sha256_hex
from marketplace.web import lists, refusals
from marketplace.web.parts import Action, Crumb, Fact
from marketplace.web.signing_page import own_request, signing_page
from procurement import permissions
from procurement.models import Contract, ContractSignature
from procurement.queries import contracts as contract_queries
from procurement.rules.lifecycle import ContractStatus
from procurement.services import contracts as service
from procurement.web import deliveries
from procurement.web.fields import NumberField

PAGE: Final = 30
_UNSIGNED: Final = (ContractStatus.DRAFT, ContractStatus.SIGNING)


class ContractFilter(forms.Form):
    q = forms.CharField(label=gettext_lazy("Search"), required=False, max_length=80)
    state = forms.ChoiceField(
        label=gettext_lazy("State"),
        required=False,
        choices=[
            ("", gettext_lazy("All")),
            ("sign", gettext_lazy("To be signed")),
            ("active", gettext_lazy("In force")),
            ("ended", gettext_lazy("Ended")),
        ],
    )
    side = forms.ChoiceField(
        label=gettext_lazy("We are"),
        required=False,
        choices=[("", gettext_lazy("Both")), ("buyer", gettext_lazy("Buyer")), ("supplier", gettext_lazy("Supplier"))],
    )


class ContractForm(forms.Form):
    text = forms.CharField(label=gettext_lazy("Text of the contract"), widget=forms.Textarea({"rows": 28}), strip=False)
    tolerance = NumberField(
        label=gettext_lazy("More may come than was ordered, by percent"),
        help_text=gettext_lazy("0 where exactly the ordered quantities are to be delivered. Both sides sign it."),
        required=False,
    )
    version = forms.IntegerField(widget=forms.HiddenInput)


_STATES: Final = {
    "sign": [ContractStatus.DRAFT, ContractStatus.SIGNING],
    "active": [ContractStatus.ACTIVE],
    "ended": [ContractStatus.COMPLETED, ContractStatus.TERMINATED],
}


@dataclass(frozen=True, slots=True)
class Side:
    """One side of the contract: who it is, and its signature or that it is missing."""

    label: Sentence
    organisation: Organisation
    signed: ContractSignature | None
    ours: bool


@require_safe
def list_page(request: HttpRequest) -> HttpResponse:
    """The organisation's contracts as buyer and as supplier, newest first."""
    actor = actor_of(request)
    organisation = organisation_of(actor)
    form = ContractFilter(request.GET or None)
    rows = _filtered(contract_queries.of(organisation, side=_side_of(form)), form)
    found = lists.listed(request, rows, ["-pk"], size=PAGE)
    return render(
        request,
        "procurement/contract_list.html",
        {
            "form": form,
            "chips": lists.chips(request, form),
            "list": found,
            "rows": [(contract, contract.supplier_id == organisation.pk) for contract in found.rows],
            "both": organisation.is_buyer and organisation.is_supplier,
        },
    )


@require_safe
def detail(request: HttpRequest, number: str) -> HttpResponse:
    """Parties, text, signatures side by side, what remains."""
    actor = actor_of(request)
    contract = _own_contract(actor, number)
    sides = _sides(contract, actor)
    return render(
        request,
        "procurement/contract.html",
        {
            "contract": contract,
            "tender": contract.tender,
            "lot": contract.award.lot,
            "sides": sides,
            "deliveries": deliveries.standing(contract, actor),
            "sha256": sha256_hex(contract.text.encode()),
            "amount": Money(contract.amount, contract.currency),
            "shows_limit": contract.tender.limit_price_shown or actor.acts_for(contract.buyer_id),
            "crumbs": [Crumb(_("Contracts"), reverse("contracts"))],
            "next_step": _next_step(contract, sides),
            "action": _sign_action(contract, actor, sides),
            "actions": [*_edit_actions(contract, actor), *_ask_actions(contract, actor)],
        },
    )


@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HttpRequest, number: str) -> HttpResponse:
    """The buyer's own words, until somebody has signed."""
    actor = actor_of(request)
    contract = _own_contract(actor, number)
    permissions.require_contract_officer(actor, contract)
    initial = {"text": contract.text, "version": contract.version, "tolerance": contract.delivery_tolerance}
    form = ContractForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            text, version = form.cleaned_data["text"], form.cleaned_data["version"]
            # An emptied field is no tolerance; a form without the field leaves it as it is.
            tolerance = (form.cleaned_data["tolerance"] or Decimal(0)) if "tolerance" in request.POST else None
            after = service.edit(contract.pk, text, version, tolerance=tolerance, by=actor, at=clock.now())
        except DomainError as error:
            if error.status in (403, 404):
                raise
            refusals.show_on(form, error)
            # What was typed is kept, and is sent again against the version that it was compared with.
            current = Contract.objects.values_list("version", flat=True).get(pk=contract.pk)
            form.data = {**form.data.dict(), "version": str(current)}  # type: ignore[attr-defined]  # a QueryDict
        else:
            messages.success(request, _("Saved as version %(version)s.") % {"version": after.version})
            return redirect("contract", number)
    return render(
        request,
        "procurement/contract_edit.html",
        {
            "contract": contract,
            "form": form,
            "crumbs": [
                Crumb(_("Contracts"), reverse("contracts")),
                Crumb(contract.number, reverse("contract", args=[number])),
            ],
        },
        status=422 if form.errors else 200,
    )


@require_POST
def prepare(request: HttpRequest, number: str) -> HttpResponse:
    actor = actor_of(request)
    contract = _own_contract(actor, number)
    try:
        prepared = service.prepare_signature(contract.pk, by=actor, at=clock.now())
    except DomainError as error:
        if error.status in (403, 404):
            raise
        messages.error(request, str(error))
        return redirect("contract", number)
    return redirect("contract_sign", number, prepared.nonce)


@require_http_methods(["GET", "HEAD", "POST"])
def sign(request: HttpRequest, number: str, nonce: str) -> HttpResponse:
    """The contract's text and parties in plain words, and the signature of one's own side."""
    actor, at = actor_of(request), clock.now()
    contract = _own_contract(actor, number)
    prepared = own_request(request, nonce, service.CONTRACT, "contract", contract.pk)
    if request.method != "POST" and prepared.object_version != contract.version:
        messages.error(request, str(service.ContractChanged()))
        return redirect("contract", number)

    return signing_page(
        request,
        prepared,
        at=at,
        arguments={"idempotency_key": nonce},
        done_url=lambda _contract: reverse("contract", args=[number]),
        done_words=lambda signed: (
            _("Signed by both sides: the contract is in force.")
            if signed.status == ContractStatus.ACTIVE
            else _("Signed. The other side is told.")
        ),
        back_url=reverse("contract", args=[number]),
        title=_("Sign the contract"),
        facts=[
            Fact(_("You do"), _("Sign a contract")),
            Fact(_("Contract"), contract.number),
            Fact(_("Buyer"), contract.buyer.full_name),
            Fact(_("Supplier"), contract.supplier.full_name),
            Fact(_("Price"), Money(contract.amount, contract.currency)),
            Fact(_("Version of the text"), str(contract.version)),
            *_tolerance_facts(contract),
        ],
        submit_label=_("Sign the contract"),
        crumbs=[
            Crumb(_("Contracts"), reverse("contracts")),
            Crumb(contract.number, reverse("contract", args=[number])),
        ],
        template="procurement/contract_sign.html",
        context={"contract": contract},
    )


def _tolerance_facts(contract: Contract) -> list[Fact]:
    share = contract.delivery_tolerance
    return [Fact(_("More may come than was ordered"), f"{share.normalize():f} %")] if share else []


def _side_of(form: ContractFilter) -> str:
    return str(form.cleaned_data["side"]) if form.is_valid() else ""


def _filtered(rows: QuerySet[Contract], form: ContractFilter) -> QuerySet[Contract]:
    if not form.is_valid():
        return rows
    words, state = form.cleaned_data["q"].strip(), form.cleaned_data["state"]
    if words:
        rows = rows.filter(
            Q(number__icontains=words)
            | Q(tender__title__icontains=words)
            | Q(buyer__short_name__icontains=words)
            | Q(supplier__short_name__icontains=words)
        )
    return rows.filter(status__in=[status.value for status in _STATES[state]]) if state else rows


def _own_contract(actor: Actor, number: str) -> Contract:
    contract = (
        Contract.objects.filter(number=number)
        .select_related("buyer", "supplier", "tender", "award__lot", "award__bid")
        .first()
    )
    if contract is None:
        raise NotFound
    permissions.require_contract_reader(actor, contract)
    return contract


def _sides(contract: Contract, actor: Actor) -> list[Side]:
    signed = {
        one.side: one
        for one in contract.signatures.filter(version=contract.version).select_related(
            "signature__person", "signature__certificate", "signature__stamp"
        )
    }
    return [
        Side(_("Buyer"), contract.buyer, signed.get(service.BUYER), actor.acts_for(contract.buyer_id)),
        Side(_("Supplier"), contract.supplier, signed.get(service.SUPPLIER), actor.acts_for(contract.supplier_id)),
    ]


def _next_step(contract: Contract, sides: list[Side]) -> Sentence:
    if contract.status == ContractStatus.TERMINATED:
        return _("It will not be made: the award fell away.")
    if contract.status not in _UNSIGNED:
        return _("Signed by both sides and in force.")
    missing = [side.organisation.short_name for side in sides if side.signed is None]
    if len(missing) == 2:
        return _("Both sides sign the same text. The buyer may change it until the first signature.")
    return _("What remains: the signature of %(who)s.") % {"who": missing[0]} if missing else ""


def _sign_action(contract: Contract, actor: Actor, sides: list[Side]) -> Action | None:
    ours = next((side for side in sides if side.ours), None)
    if contract.status not in _UNSIGNED or ours is None or ours.signed is not None:
        return None
    url = reverse("contract_prepare", args=[contract.number])
    allowed = actor.has(Role.SIGNER)
    reason = "" if allowed else _("A signer of your organisation signs it.")
    return Action(_("Sign the contract"), url, icon="signature", method="post", allowed=allowed, reason=reason)


def _ask_actions(contract: Contract, actor: Actor) -> list[Action]:
    """The buyer asks the same supplier for more, without a procedure."""
    in_force = contract.status in (ContractStatus.ACTIVE, ContractStatus.COMPLETED)
    if not in_force or not actor.acts_for(contract.buyer_id) or not actor.roles - {Role.OBSERVER.value}:
        return []
    return [Action(_("Ask for an offer"), reverse("offer_ask", args=[contract.supplier_id]), icon="message-question")]


def _edit_actions(contract: Contract, actor: Actor) -> list[Action]:
    if contract.status != ContractStatus.DRAFT or not actor.acts_for(contract.buyer_id) or not actor.has(Role.OFFICER):
        return []
    return [Action(_("Change the text"), reverse("contract_edit", args=[contract.number]), icon="pencil")]
