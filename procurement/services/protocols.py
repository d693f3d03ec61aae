"""Signing the protocols of opening and evaluation: people of the buyer put their names under what came out.

Each signs for themselves, and the protocol holds without them: the opening is proved by the roll and the audit trail.
What is signed is what the protocol says at that moment; a signature under an older wording is shown as such.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from marketplace import audit
from marketplace.models import SigningRequest
from marketplace.permissions import Actor, person_of
from marketplace.services import signing
from marketplace.services.signing import Judged
from marketplace.shared.errors import DomainError, NotFound
from marketplace.shared.money import Money
from marketplace.signatures.payload import canonical, parse, sha256_hex
from procurement import permissions
from procurement.models import Bid, ProtocolKind, ProtocolSignature, Tender
from procurement.queries import bids as bid_queries
from procurement.rules.lifecycle import BidStatus, TenderStatus
from procurement.services import bid_roll, criteria, receipts

#: A kind of its own, though its number is the tender's: what is signed about a tender is public, this is the buyer's.
OBJECT: Final = "protocol"
SIGNING_TIME: Final = timedelta(hours=2)
#: From these states on every bid is decided.
_EVALUATED: Final = (TenderStatus.AWARDING, TenderStatus.STANDSTILL, TenderStatus.COMPLETE)


class NoProtocolYet(DomainError):
    code = "no_protocol_yet"
    sentence = _("There is no such protocol to sign yet: %(state)s.")


class ProtocolChanged(DomainError):
    code = "protocol_changed"
    sentence = _("The protocol says something else by now. Read it again, then sign what it says.")


class ProtocolSigned(DomainError):
    code = "protocol_signed"
    sentence = _("You have signed this protocol as it stands.")


@dataclass(frozen=True, slots=True)
class Shown:
    """A protocol that can be signed, for its page: under it the signatures, and whether each is under this wording."""

    kind: ProtocolKind
    signatures: tuple[tuple[ProtocolSignature, bool], ...]
    signed_by_reader: bool


@transaction.atomic
def prepare(tender_id: int, kind: ProtocolKind, *, by: Actor, at: datetime) -> SigningRequest:
    """What the protocol says now, for a signature. Raises NotFound, NotAllowed, NoProtocolYet, ProtocolSigned."""
    tender = _locked(tender_id, by)
    content = content_of(tender, kind, at)
    if ProtocolSignature.objects.filter(
        tender=tender, kind=kind, person=person_of(by), content_sha256=_digest(content)
    ).exists():
        raise ProtocolSigned
    return signing.prepare(
        action=kind.value,
        actor=by,
        object_type=OBJECT,
        object_id=tender.pk,
        object_version=tender.version,
        content=content,
        at=at,
        expires_at=at + SIGNING_TIME,
    )


@transaction.atomic
def sign(request_id: int, cms: bytes, *, by: Actor, at: datetime, verdict: Judged | None = None) -> ProtocolSignature:
    """Put the person's signature under the protocol; sent again, the answer is the signature there is.

    A `verdict` may be given later than the signature was received: it is put under what the protocol says at `at`.

    Raises NotFound, NotAllowed, ProtocolChanged, and what signing.complete raises.
    """
    request = SigningRequest.objects.filter(pk=request_id, action__in=ProtocolKind.values, object_type=OBJECT).first()
    if request is None:
        raise NotFound
    permissions.require_protocol_signer(by, Tender.objects.get(pk=int(request.object_id)))
    if verdict is None and request.used_at is None:
        verdict = signing.judged(request, cms, by=by, at=at)
    tender = _locked(int(request.object_id), by)
    if made := ProtocolSignature.objects.filter(signature__request=request).first():
        return made
    kind, content = ProtocolKind(request.action), parse(bytes(request.payload))["content"]
    if request.object_version != tender.version or content != content_of(tender, kind, at):
        raise ProtocolChanged
    if ProtocolSignature.objects.filter(
        tender=tender, kind=kind, person=person_of(by), content_sha256=_digest(content)
    ).exists():
        raise ProtocolSigned
    signature = signing.complete(request, cms, by=by, at=at, verdict=verdict)
    made = ProtocolSignature.objects.create(
        tender=tender, kind=kind, person=person_of(by), content_sha256=_digest(content), signature=signature,
        signed_at=at,
    )  # fmt: skip
    audit.record(
        "protocol.signed", tender, by=by, at=at, stream=f"tender:{tender.pk}", kind=kind.value, signature=signature.pk,
        content_sha256=made.content_sha256,
    )  # fmt: skip
    return made


def shown(tender: Tender, *, by: Actor, at: datetime) -> list[Shown]:
    """The protocols that stand, each with its signatures, for somebody who may read them in full."""
    signed = ProtocolSignature.objects.filter(tender=tender)
    found = list(signed.select_related("person", "signature__certificate", "signature__stamp"))
    protocols = []
    for kind in ProtocolKind:
        try:
            digest = _digest(content_of(tender, kind, at))
        except NoProtocolYet:
            continue
        under = tuple((one, one.content_sha256 == digest) for one in found if one.kind == kind)
        mine = any(is_current and one.person == by.person for one, is_current in under)
        protocols.append(Shown(kind, under, mine))
    return protocols


def content_of(tender: Tender, kind: ProtocolKind, at: datetime) -> dict[str, Any]:
    """What the protocol says: strings, whole numbers and lists. Raises NoProtocolYet."""
    if tender.opened_at is None or tender.opened_at > at or tender.status == TenderStatus.AUCTION:
        raise NoProtocolYet(state=tender.get_status_display())
    if kind == ProtocolKind.EVALUATION and tender.status not in _EVALUATED:
        raise NoProtocolYet(state=tender.get_status_display())
    describe = _opened if kind == ProtocolKind.OPENING else _evaluated
    found = bid_queries.opened_of_tender(tender, at).select_related("supplier").order_by("received_at", "pk")
    roll = bid_roll.of(tender)
    return {
        "tender": tender.number,
        "tender_title": tender.title,
        "opened_at": receipts.instant(tender.opened_at),
        **({"roll_root": roll.root, "roll_size": roll.size} if roll else {}),
        "lots": _lots(tender, _of_lots(tender, found.prefetch_related("supplier__identifiers", "envelopes")), describe),
    }


def _lots(tender: Tender, bids: Iterable[Bid], describe: Callable[[Bid], dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "lot": lot.number,
            "lot_title": lot.title,
            "bids": [
                {
                    "supplier": bid.supplier.full_name,
                    "supplier_identifiers": signing.identifiers_of(bid.supplier),
                    **describe(bid),
                }
                for bid in bids
                if bid.lot_id == lot.pk
            ],
        }
        for lot in tender.lots.order_by("number")
    ]


def _of_lots(tender: Tender, bids: Iterable[Bid]) -> list[Bid]:
    """The bids with their lots and the tender itself: what an amount counts as is the lot's to say."""
    lots = {lot.pk: lot for lot in tender.lots.all()}
    found = list(bids)
    for bid in found:
        bid.lot = lots[bid.lot_id]
        bid.lot.tender = tender
    return found


def _counts_as(bid: Bid, amount: Decimal | None) -> dict[str, Any]:
    """Nothing where the price alone counts."""
    if not bid.lot.tender.criteria:
        return {}
    return {"answers": bid.answers, "counts_as": criteria.counts_as(bid.lot, bid, amount)}


def _opened(bid: Bid) -> dict[str, Any]:
    """What stays as it was at the opening, whatever the auction and the evaluation made of it."""
    sealed = next((one for one in bid.envelopes.all() if one.version == bid.version), None)
    return {
        "received_at": receipts.instant(bid.received_at) if bid.received_at else "",
        "sha256": sealed.manifest["content"]["sha256"] if sealed else "",
        "amount": _amount(bid.initial_amount, bid.currency),
        **_counts_as(bid, bid.initial_amount),
        "currency": bid.currency,
        "not_opened": bid.opening_problem,
    }


def _evaluated(bid: Bid) -> dict[str, Any]:
    is_rejected = bid.status == BidStatus.REJECTED
    return {
        "amount": _amount(bid.amount, bid.currency),
        **_counts_as(bid, bid.amount),
        "currency": bid.currency,
        "admitted": not is_rejected,
        "rank": bid.rank,
        "reason": bid.decision_reason if is_rejected else "",
    }


def _amount(amount: Any, currency: str) -> str:
    return "" if amount is None else Money(amount, currency).as_string()


def _digest(content: dict[str, Any]) -> str:
    return sha256_hex(canonical(content))


def _locked(tender_id: int, by: Actor) -> Tender:
    tender = Tender.objects.select_for_update(of=("self",)).filter(pk=tender_id).first()
    if tender is None:
        raise NotFound
    permissions.require_protocol_signer(by, tender)
    return tender
