"""Cancelling a published tender or one of its lots: with a reason, under a signature, never silently."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from marketplace import audit
from marketplace.models import SigningRequest
from marketplace.permissions import Actor
from marketplace.services import signing
from marketplace.services.notifications import notify
from marketplace.services.signing import Judged
from marketplace.shared.errors import DomainError, Invalid, NotFound
from marketplace.signatures.payload import parse
from procurement.models import Auction, Award, Contract, Lot, Tender
from procurement.permissions import ASKING_ROLES, require_tender_signed
from procurement.queries import clarifications as queries
from procurement.rules.lifecycle import (
    AuctionStatus,
    AwardStatus,
    ContractStatus,
    LotStatus,
    TenderStatus,
    is_final,
    tender_outcome,
)
from procurement.services import auctions, contracts, evaluation, lot_keys, moments, outcomes, shares, tender_signing
from procurement.services.drafts import lock_tender, stream_of
from procurement.services.transitions import move

ACTION = "cancellation"
SIGNING_TIME = timedelta(hours=2)
REASON_MIN_LENGTH = 10


class NotCancellable(DomainError):
    code = "not_cancellable"
    sentence = gettext_lazy("This is already over: its state is “%(state)s”.")


class ChangedMeanwhile(DomainError):
    code = "changed_meanwhile"
    sentence = gettext_lazy(
        "The procedure was amended after you prepared its cancellation. Look at what it says now, then prepare it "
        "again."
    )


class ContractsInForce(DomainError):
    code = "contracts_in_force"
    sentence = gettext_lazy("A contract is already in force for lot %(lot)s. It can be terminated, but not cancelled.")


@transaction.atomic
def prepare(tender_id: int, lot_id: int | None, reason: str, *, by: Actor, at: datetime) -> SigningRequest:
    """What the buyer signs to cancel the whole tender, or one lot. A draft is deleted instead.

    Raises NotFound, NotAllowed, NotCancellable, ContractsInForce, Invalid, signing.NoIdentifier.
    """
    tender, lots = _lock(tender_id, lot_id, by)
    if len(reason.strip()) < REASON_MIN_LENGTH:
        raise Invalid({"reason": [_("Say why, in a sentence that every bidder will read.")]})
    content = {
        "lots": [{"lot": lot.pk, "number": lot.number, "title": lot.title} for lot in lots],
        "whole_tender": lot_id is None,
        "reason": reason.strip(),
    }
    return tender_signing.prepare(ACTION, tender, content, by=by, at=at, lasts=SIGNING_TIME)


@transaction.atomic
def sign(request_id: int, cms: bytes, *, by: Actor, at: datetime, verdict: Judged | None = None) -> Tender:
    """Cancel what was prepared, under its signature; sent again, the answer is the tender as it is.

    A `verdict` may be given later than the signature was received; what is cancelled, is cancelled at `at`. Ends
    running auctions, waiting moments, awards and unsigned contracts of the lots, and tells everybody concerned.
    Raises ChangedMeanwhile, and what `prepare` and signing.complete raise.
    """
    request, verdict = tender_signing.received(ACTION, request_id, cms, by=by, at=at, verdict=verdict)
    tender = lock_tender(int(request.object_id))
    # Under the lock: a second click may have waited for the first.
    request.refresh_from_db(fields=["used_at"])
    if request.used_at is not None:
        return tender
    if request.object_version != tender.version:
        raise ChangedMeanwhile
    content = parse(bytes(request.payload))["content"]
    lot_id = None if content["whole_tender"] else content["lots"][0]["lot"]
    tender, lots = _lock(int(request.object_id), lot_id, by)
    signature = signing.complete(request, cms, by=by, at=at, verdict=verdict)
    reason = content["reason"]
    # In the order in which a batch of bids locks the rooms of several lots.
    for lot in sorted(lots, key=lambda lot: lot.pk):
        _cancel_lot(tender, lot, reason, by, at)
        details = {"reason": reason, "signature": signature.pk}
        audit.record("lot.cancelled", lot, by=by, at=at, stream=stream_of(tender), number=lot.number, **details)
    _conclude(tender, reason, by, at, whole=lot_id is None)
    _tell(tender, lots, reason, at, whole=lot_id is None)
    return tender


def can_be_cancelled(tender: Tender) -> bool:
    """Whether the tender is published and not over."""
    return tender.published_at is not None and not is_final(TenderStatus(tender.status))


def _lock(tender_id: int, lot_id: int | None, by: Actor) -> tuple[Tender, list[Lot]]:
    """The tender and the active lots to cancel, under lock."""
    tender = lock_tender(tender_id)
    require_tender_signed(by, tender)
    if not can_be_cancelled(tender):
        raise NotCancellable(state=tender.get_status_display())
    lots = list(tender.lots.select_for_update())
    for lot in lots:
        lot.tender = tender
    if lot_id is None:
        chosen = [lot for lot in lots if lot.status == LotStatus.ACTIVE]
    else:
        chosen = [lot for lot in lots if lot.pk == lot_id]
        if not chosen:
            raise NotFound
        if chosen[0].status != LotStatus.ACTIVE:
            raise NotCancellable(state=chosen[0].get_status_display())
    # The whole is not cancelled once a part of it is bought: its other lots are, one by one.
    for lot in lots if lot_id is None else chosen:
        if Contract.objects.filter(award__lot=lot, status=ContractStatus.ACTIVE.value).exists():
            raise ContractsInForce(lot=lot.number)
    return tender, chosen


def _cancel_lot(tender: Tender, lot: Lot, reason: str, by: Actor, at: datetime) -> None:
    running = Auction.objects.filter(lot=lot).exclude(
        status__in=[AuctionStatus.ENDED.value, AuctionStatus.CANCELLED.value]
    )
    for auction in running:
        auctions.cancel(auction.pk, reason, at=at, by=by)
    for award in Award.objects.select_for_update().filter(
        lot=lot, status__in=[AwardStatus.PENDING.value, AwardStatus.ACTIVE.value]
    ):
        for contract in Contract.objects.select_for_update().filter(
            award=award, status__in=[ContractStatus.DRAFT.value, ContractStatus.SIGNING.value]
        ):
            contracts.terminate(contract, reason, by, at)
        move(award, AwardStatus.CANCELLED)
        award.save(update_fields=["status"])
    moments.cancel(tender, lot)
    move(lot, LotStatus.CANCELLED)
    lot.closing_reason = reason
    if tender.opened_at is None:
        lot_keys.destroy(lot, at, by=by)
    lot.save(update_fields=["status", "closing_reason", "wrapped_private_key"])


def _conclude(tender: Tender, reason: str, by: Actor, at: datetime, *, whole: bool) -> None:
    """With no active lot left the tender ends as its lots did, and the moments that waited for it are dropped.

    Otherwise it goes on: the cancelled lot may have been the last that was auctioned, evaluated or awarded.
    """
    if tender_outcome(LotStatus(lot.status) for lot in tender.lots.all()) is None:
        auctions.go_on(tender)
        evaluation.settle(tender, at, by=by)
        return
    moments.cancel(tender)
    shares.forget(tender, at, by=by)
    if whole:
        tender.closing_reason = reason
        tender.save(update_fields=["closing_reason", "updated_at"])
    outcomes.conclude(tender, at, by=by)


def _tell(tender: Tender, lots: list[Lot], reason: str, at: datetime, *, whole: bool) -> None:
    if whole:
        text = _("%(tender)s was cancelled: %(reason)s") % {"tender": tender.number, "reason": reason}
    else:
        text = _("Lot %(lot)s of %(tender)s was cancelled: %(reason)s") % {
            "lot": lots[0].number,
            "tender": tender.number,
            "reason": reason,
        }
    for organisation in queries.concerned(tender):
        notify(organisation, "tender_cancelled", text, tender.get_absolute_url(), at=at, roles=ASKING_ROLES)
