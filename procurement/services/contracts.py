"""The contract of an awarded lot: generated, edited by the buyer until the first signature, signed by both sides."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from django.db import transaction
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from marketplace import audit
from marketplace.models import AddressKind, Organisation, Role, SigningRequest
from marketplace.permissions import Actor
from marketplace.services import notifications, signing
from marketplace.services.signing import Judged
from marketplace.shared.errors import DomainError, NotFound, StaleForm
from marketplace.shared.money import Money
from marketplace.signatures.payload import sha256_hex
from procurement import permissions
from procurement.models import Award, BidPrice, Contract, ContractSignature, Lot, Tender
from procurement.rules.deliveries import TOLERANCE_MOST
from procurement.rules.lifecycle import ContractStatus, LotStatus
from procurement.rules.ranking import Direction
from procurement.services import outcomes, words
from procurement.services.once import once
from procurement.services.transitions import move

CONTRACT: Final = "contract"
SIGNING_TIME: Final = timedelta(hours=24)
BUYER, SUPPLIER = "buyer", "supplier"
TEXT_LENGTH: Final = 200_000
READERS: Final = (Role.SIGNER, Role.OFFICER, Role.BID_MANAGER)


class ContractNotEditable(DomainError):
    code = "contract_not_editable"
    sentence = gettext_lazy("The text can be changed until the first signature. The contract is now: %(state)s.")


class ContractTextUnfit(DomainError):
    code, status = "contract_text_unfit", 422
    sentence = gettext_lazy("The text is empty or too long (at most %(most)s characters).")


class ToleranceUnfit(DomainError):
    code, status = "tolerance_unfit", 422
    sentence = gettext_lazy("From 0 to %(most)s percent, with at most two decimal places.")


class ContractNotSignable(DomainError):
    code = "contract_not_signable"
    sentence = gettext_lazy("This contract is not waiting for signatures: %(state)s.")


class SideSigned(DomainError):
    code = "side_signed"
    sentence = gettext_lazy("Your side has already signed this contract.")


class ContractChanged(DomainError):
    code = "contract_changed"
    sentence = gettext_lazy("The buyer changed the text after you opened it. Read the new version and sign that.")


def draft(award: Award, at: datetime) -> Contract:
    """The contract of an award in force, its text made from the parties, the lot and the price table.

    The caller holds the tender's and the lot's locks.
    """
    lot, tender, bid = award.lot, award.lot.tender, award.bid
    buyer, supplier = tender.buyer, bid.supplier
    earlier = Contract.objects.filter(award__lot=lot).count()
    contract = Contract.objects.create(
        number=f"{tender.number}-{lot.number}" + (f"-{earlier + 1}" if earlier else ""),
        award=award,
        tender=tender,
        buyer=buyer,
        supplier=supplier,
        text=_text(award, lot, tender),
        amount=award.amount,
        currency=award.currency,
        limit_price=lot.limit_price,
        created_at=at,
    )
    audit.record("contract.drafted", contract, by=None, at=at, stream=_stream(contract), number=contract.number)
    said = _("The contract %(number)s is ready to be read and signed.") % {"number": contract.number}
    for organisation in (buyer, supplier):
        notifications.notify(organisation, "contract_ready", said, _url(contract), at=at, roles=READERS)
    return contract


@transaction.atomic
def edit(
    contract_id: int, text: str, version: int, *, tolerance: Decimal | None = None, by: Actor, at: datetime
) -> Contract:
    """A new version of the text, by the buyer, while nobody has signed. Raises StaleForm for an old `version`.

    `tolerance` is how many percent more than ordered the supplier may deliver; None leaves it as it is.
    """
    contract = _locked(contract_id)
    permissions.require_contract_officer(by, contract)
    permissions.require_able_to_act(by)
    if contract.status != ContractStatus.DRAFT:
        raise ContractNotEditable(state=contract.get_status_display())
    tidy = _tidy(text)
    if not tidy.strip() or len(tidy) > TEXT_LENGTH:
        raise ContractTextUnfit(field="text", most=TEXT_LENGTH)
    wanted = contract.delivery_tolerance if tolerance is None else tolerance
    if not 0 <= wanted <= TOLERANCE_MOST or wanted != wanted.quantize(Decimal("0.01")):
        raise ToleranceUnfit(field="tolerance", most=TOLERANCE_MOST)
    if tidy == contract.text and wanted == contract.delivery_tolerance:
        return contract
    if version != contract.version:
        raise StaleForm([_("The text is now version %(version)s.") % {"version": contract.version}])
    contract.text, contract.version, contract.delivery_tolerance = tidy, contract.version + 1, wanted
    contract.save(update_fields=["text", "version", "delivery_tolerance"])
    audit.record(
        "contract.edited", contract, by=by, at=at, stream=_stream(contract), version=contract.version,
        text_sha256=sha256_hex(tidy.encode()),
    )  # fmt: skip
    return contract


@transaction.atomic
def prepare_signature(contract_id: int, *, by: Actor, at: datetime) -> SigningRequest:
    """The contract's present version for a signature of the actor's side."""
    contract = _locked(contract_id)
    _require_signable(contract, by)
    return signing.prepare(
        action=CONTRACT,
        actor=by,
        object_type="contract",
        object_id=contract.pk,
        object_version=contract.version,
        content={
            "contract": contract.number,
            "tender": contract.tender.number,
            "tender_title": contract.tender.title,
            "buyer": contract.buyer.full_name,
            "buyer_identifiers": signing.identifiers_of(contract.buyer),
            "supplier": contract.supplier.full_name,
            "supplier_identifiers": signing.identifiers_of(contract.supplier),
            "amount": Money(contract.amount, contract.currency).as_string(),
            "currency": contract.currency,
            "text_version": contract.version,
            "text_sha256": sha256_hex(contract.text.encode()),
            **_tolerance(contract),
        },
        at=at,
        expires_at=at + SIGNING_TIME,
    )


@transaction.atomic
def sign(
    request_id: int, cms: bytes, *, idempotency_key: str, by: Actor, at: datetime, verdict: Judged | None = None
) -> Contract:
    """Sign for the actor's side. With the second signature the contract is in force and its lot complete.

    A `verdict` may be given later than the signature was received; the side signs, and the contract comes into force,
    at `at`. A refused signature (SignatureRefused) changes nothing; ContractChanged when the text is no longer what was
    read.
    """
    once(CONTRACT, idempotency_key, request_id, by=by, at=at)
    request = SigningRequest.objects.filter(pk=request_id, action=CONTRACT, object_type="contract").first()
    if request is None:
        raise NotFound
    known = Contract.objects.get(pk=int(request.object_id))
    permissions.require_contract_signer(by, known)
    if verdict is None and request.used_at is None:
        verdict = signing.judged(request, cms, by=by, at=at)
    contract = _locked(known.pk)
    if ContractSignature.objects.filter(contract=contract, signature__request=request).exists():
        return contract
    if request.object_version != contract.version:
        raise ContractChanged
    side = _require_signable(contract, by)
    signature = signing.complete(request, cms, by=by, at=at, verdict=verdict)
    ContractSignature.objects.create(
        contract=contract, side=side, version=contract.version, signature=signature, signed_at=at
    )
    audit.record(
        "contract.signed", contract, by=by, at=at, stream=_stream(contract), side=side, version=contract.version
    )
    if contract.status == ContractStatus.DRAFT:
        move(contract, ContractStatus.SIGNING)
        contract.save(update_fields=["status"])
        _tell_other_side(contract, side, at)
    else:
        _into_force(contract, by, at)
    return contract


def terminate(contract: Contract, reason: str, by: Actor, at: datetime) -> None:
    """End a contract that is not yet in force, because its award fell away. The caller holds the locks."""
    move(contract, ContractStatus.TERMINATED)
    contract.save(update_fields=["status"])
    audit.record("contract.terminated", contract, by=by, at=at, stream=_stream(contract), reason=reason)
    said = _("The contract %(number)s will not be made: %(reason)s") % {"number": contract.number, "reason": reason}
    notifications.notify(contract.supplier, "contract_ended", said, _url(contract), at=at, roles=READERS)


def _into_force(contract: Contract, by: Actor, at: datetime) -> None:
    move(contract, ContractStatus.ACTIVE)
    contract.signed_at = at
    contract.save(update_fields=["status", "signed_at"])
    audit.record("contract.in_force", contract, by=by, at=at, stream=_stream(contract))
    lot = Lot.objects.select_for_update().get(pk=contract.award.lot_id)
    lot.tender = contract.tender
    if lot.status == LotStatus.ACTIVE:
        outcomes.complete_lot(lot, at, by=by)
    outcomes.conclude(contract.tender, at, by=by)
    said = _("The contract %(number)s is signed by both sides and in force.") % {"number": contract.number}
    for organisation in (contract.buyer, contract.supplier):
        notifications.notify(organisation, "contract_in_force", said, _url(contract), at=at, roles=READERS)


def _tell_other_side(contract: Contract, side: str, at: datetime) -> None:
    other = contract.supplier if side == BUYER else contract.buyer
    said = _("The other side has signed the contract %(number)s. Your signature is what remains.")
    notifications.notify(
        other, "contract_to_sign", said % {"number": contract.number}, _url(contract), at=at, roles=[Role.SIGNER]
    )


def _require_signable(contract: Contract, by: Actor) -> str:
    """The side the actor signs for."""
    permissions.require_contract_signer(by, contract)
    if contract.status not in (ContractStatus.DRAFT, ContractStatus.SIGNING):
        raise ContractNotSignable(state=contract.get_status_display())
    side = SUPPLIER if by.acts_for(contract.supplier_id) else BUYER
    if contract.signatures.filter(side=side, version=contract.version).exists():
        raise SideSigned
    return side


def _locked(contract_id: int) -> Contract:
    """The contract under its tender's lock."""
    tender_id = Contract.objects.filter(pk=contract_id).values_list("tender_id", flat=True).first()
    if tender_id is None:
        raise NotFound
    tender = Tender.objects.select_for_update(of=("self",)).select_related("buyer").get(pk=tender_id)
    contract = (
        Contract.objects.select_for_update(of=("self",))
        .select_related("buyer", "supplier", "award")
        .get(pk=contract_id)
    )
    contract.tender = tender
    return contract


def _text(award: Award, lot: Lot, tender: Tender) -> str:
    prices = list(BidPrice.objects.filter(bid=award.bid).select_related("item"))
    table_total = sum((price.amount for price in prices), award.amount * 0)
    text = render_to_string(
        "procurement/contract_text.txt",
        {
            "tender": tender,
            "lot": lot,
            "award": award,
            "buyer": _party(tender.buyer),
            "supplier": _party(award.bid.supplier),
            "lines": [
                {
                    "item": price.item,
                    "quantity": words.plain(price.item.quantity),
                    "unit_price": words.figure(price.unit_price, award.currency),
                    "amount": words.price(price.amount, award.currency),
                    "until": words.day(price.item.deliver_until),
                }
                for price in prices
            ],
            "amount": words.price(award.amount, award.currency),
            "vat_rate": words.plain(lot.vat_rate),
            # After an auction the lot's price stands, and the unit prices are those of the first bid.
            "changed": table_total != award.amount,
            "sale": tender.preset.axes.direction is Direction.UP,
        },
    )
    return _tidy(text)


def _tidy(text: str) -> str:
    return text.replace("\r\n", "\n").strip() + "\n"


def _tolerance(contract: Contract) -> dict[str, object]:
    """What is signed of the tolerance; nothing where there is none."""
    return {"delivery_tolerance": words.plain(contract.delivery_tolerance)} if contract.delivery_tolerance else {}


def _party(organisation: Organisation) -> dict[str, object]:
    addresses = {address.kind: address for address in organisation.addresses.all()}
    return {
        "name": organisation.full_name,
        "identifiers": [str(identifier) for identifier in organisation.identifiers.all()],
        "address": addresses.get(AddressKind.LEGAL) or next(iter(addresses.values()), ""),
        "email": organisation.email,
        "phone": organisation.phone,
    }


def _url(contract: Contract) -> str:
    return reverse("contract", args=[contract.number])


def _stream(contract: Contract) -> str:
    return f"tender:{contract.tender_id}"
