"""Opening: after the deadline the lots' keys are used once, every envelope is read, and what it says is public to the
buyer. An envelope that does not open is shown as what it is and stops no other bid."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from django.db import transaction
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from marketplace import audit
from marketplace.models import Role
from marketplace.services import notifications
from marketplace.shared.errors import DomainError
from marketplace.signatures.payload import parse, sha256_hex
from procurement.models import Bid, BidEnvelope, BidSealing, KeyCustody, Lot, Tender
from procurement.queries import bids as bid_queries
from procurement.rules.lifecycle import BidStatus, LotStatus, TenderStatus
from procurement.services import (
    bid_drafts,
    bid_files,
    bid_reading,
    bid_roll,
    bid_verdicts,
    evaluation,
    lot_keys,
    outcomes,
    shares,
)
from procurement.services.transitions import move

DROPPED: Final = gettext_lazy("The draft was not sent before the deadline.")
NOT_CONFIRMED: Final = gettext_lazy("The bid was not confirmed after the amendment.")


class DeadlineMoved(DomainError):
    code = "deadline_moved"
    sentence = gettext_lazy(
        "The procedure’s deadline lies before the one that bidders signed, %(signed)s. Nothing is opened before that: "
        "somebody changed it in the database."
    )


class TenderPeriodRunning(DomainError):
    code = "tender_period_running"
    sentence = gettext_lazy("Bids are sealed until %(until)s UTC. Nobody can open them earlier.")


@transaction.atomic
def open_tender(tender_id: int, at: datetime) -> Tender:
    """End the time for bids and open every sealed bid; where a committee holds the keys, ask it for them. Run again, it
    does nothing.

    Raises TenderPeriodRunning before the deadline, DeadlineMoved before one that a bidder signed, SignaturesBeingJudged
    while bids received in time wait for the verdict on their signatures, and keys.UnwrapError or OSError where the
    platform cannot use a lot's key or its storage just now: the bids stay sealed and are opened when it can.
    """
    bid_drafts.wait_for_submissions(tender_id)
    tender = Tender.objects.select_for_update().get(pk=tender_id)
    if tender.status != TenderStatus.PUBLISHED:
        return tender
    if tender.tender_ends_at is None or at < tender.tender_ends_at:
        raise TenderPeriodRunning(until=f"{tender.tender_ends_at:%Y-%m-%d %H:%M:%S}" if tender.tender_ends_at else "")
    bid_verdicts.require_bids_judged(tender, at)
    _require_signed_deadlines_over(tender, at)
    lots = _close(tender, at)
    if not lots:
        # Nothing is opened, so nothing says that it was: who bid is not told.
        shares.forget(tender, at)
        outcomes.conclude(tender, at)
    elif tender.key_custody == KeyCustody.PLATFORM:
        _open(tender, lots, at)
    else:
        shares.ask_for(tender, at)
    return tender


@transaction.atomic
def open_with_keys(tender_id: int, at: datetime) -> Tender:
    """Open the bids of a tender whose committee has put its key together. Run again, it does nothing.

    Raises keys.UnwrapError or OSError as `open_tender`.
    """
    tender = Tender.objects.select_for_update().get(pk=tender_id)
    if tender.status == TenderStatus.OPENING and tender.opened_at is None:
        lots = list(Lot.objects.select_for_update().filter(tender=tender, status=LotStatus.ACTIVE.value))
        for lot in lots:
            lot.tender = tender
        _open(tender, lots, at)
        shares.forget(tender, at)
    return tender


def _require_signed_deadlines_over(tender: Tender, at: datetime) -> None:
    """An amendment gives more time and never less. So a deadline before one that was signed was moved by somebody who
    writes to the database, and would have the platform open bids early with its own key."""
    payloads = BidEnvelope.objects.filter(
        bid__lot__tender=tender, bid__status=BidStatus.SUBMITTED.value, superseded_at=None, withdrawal_signature=None
    ).values_list("signature__request__payload", flat=True)
    signed = [parse(bytes(payload))["content"]["deadline"] for payload in payloads.iterator(chunk_size=100)]
    latest = max(signed, default="")  # all in UTC, of one form
    if latest and datetime.fromisoformat(latest) > at:
        raise DeadlineMoved(signed=latest)


def _close(tender: Tender, at: datetime) -> list[Lot]:
    """Bidding is over: the roll is closed before any key is used, what was not sent is forgotten, lots with too few
    bids fail. The lots to be opened."""
    move(tender, TenderStatus.OPENING)
    tender.save(update_fields=["status", "updated_at"])
    bid_roll.close(tender, at)
    lots = list(Lot.objects.select_for_update().filter(tender=tender, status=LotStatus.ACTIVE.value))
    _drop_unsent(tender, at)
    for lot in lots:
        lot.tender = tender
        _fail_where_too_few(lot, at)
    return [lot for lot in lots if lot.status == LotStatus.ACTIVE]


def _open(tender: Tender, lots: Sequence[Lot], at: datetime) -> None:
    tender.opened_at = at
    tender.save(update_fields=["opened_at", "updated_at"])
    audit.record("tender.opened", tender, by=None, at=at, stream=_stream(tender))
    for lot in lots:
        _open_lot(lot, at)
    if not outcomes.conclude(tender, at):
        move(tender, TenderStatus.EVALUATION)
        tender.save(update_fields=["status", "updated_at"])
        _tell_buyer(tender, at)
        evaluation.begin(tender, at)


def _fail_where_too_few(lot: Lot, at: datetime) -> None:
    bids = list(bid_queries.in_force([lot.pk]))
    needed = lot.tender.terms.minimum_bids
    if len(bids) >= needed:
        return
    reason = _("Too few bids: %(sent)s were sent, %(needed)s are needed. They were not opened.") % {
        "sent": len(bids),
        "needed": needed,
    }
    outcomes.fail_lot(lot, reason if bids else str(_("No bid was sent.")), at)
    lot_keys.destroy(lot, at)
    lot.save(update_fields=["wrapped_private_key"])
    for bid in bids:
        _tell_supplier(bid, lot, _("Lot %(lot)s of %(tender)s failed: too few bids. Yours was not opened."), at)


def _open_lot(lot: Lot, at: datetime) -> None:
    bids = list(bid_queries.in_force([lot.pk]).select_for_update(of=("self",)))
    _read_all(lot, bids, at)
    if lot.tender.key_custody == KeyCustody.COMMITTEE:
        lot_keys.forget(lot)
        lot.save(update_fields=["wrapped_private_key"])
    evaluation.rank(lot, at)
    for bid in bids:
        _tell_supplier(bid, lot, _("The bids for lot %(lot)s of %(tender)s were opened."), at)


def _read_all(lot: Lot, bids: Sequence[Bid], at: datetime) -> None:
    """The private key lives for this call only."""
    items = list(lot.items.all())
    envelopes = {
        envelope.bid_id: envelope
        for envelope in BidEnvelope.objects.filter(bid__in=bids, superseded_at=None, withdrawal_signature=None)
    }
    # Without the key nothing is decided: to reject sound bids for a mistake of ours could not be taken back.
    private = lot_keys.unwrap_private(lot)
    audit.record(
        "lot.key_used", lot, by=None, at=at, stream=_stream(lot.tender),
        envelopes=[sha256_hex(bytes(envelope.ciphertext)) for _bid, envelope in sorted(envelopes.items())],
    )  # fmt: skip
    for bid in bids:
        bid.lot = lot
        bid_reading.read(bid, envelopes.get(bid.pk), items, private, at)


def _drop_unsent(tender: Tender, at: datetime) -> None:
    """Drafts and unconfirmed bids end here; what they said is forgotten, and all documents that are withdrawn."""
    reasons = {BidStatus.DRAFT: DROPPED, BidStatus.INVALIDATED: NOT_CONFIRMED}
    unsent = Bid.objects.select_for_update(of=("self",)).filter(
        lot__tender=tender, status__in=[status.value for status in reasons]
    )
    for bid in unsent.select_related("supplier", "lot"):
        bid.decision_reason = str(reasons[BidStatus(bid.status)])
        move(bid, BidStatus.WITHDRAWN)
        bid_drafts.erase(bid)
        bid.save(update_fields=["status", "draft", "decision_reason", "updated_at"])
        audit.record("bid.dropped", bid, by=None, at=at, stream=_stream(tender), reason=bid.decision_reason)
        bid.lot.tender = tender
        _tell_supplier(bid, bid.lot, _("Your bid for lot %(lot)s of %(tender)s was not sent in time."), at)
    BidSealing.objects.filter(bid__lot__tender=tender).delete()
    withdrawn = Bid.objects.filter(lot__tender=tender, status=BidStatus.WITHDRAWN.value)
    for bid in withdrawn.filter(files__isnull=False).defer("draft").distinct():
        bid.files.filter(removed_at=None).update(removed_at=at)
        bid_files.let_go(bid)


def _tell_supplier(bid: Bid, lot: Lot, sentence: str, at: datetime) -> None:
    words = sentence % {"lot": lot.number, "tender": lot.tender.number}
    notifications.notify(
        bid.supplier, "bids_opened", words, reverse("bid", args=[bid.pk]), at=at, roles=[Role.BID_MANAGER]
    )


def _tell_buyer(tender: Tender, at: datetime) -> None:
    words = _("The bids of %(tender)s are open. Read and decide them.") % {"tender": tender.number}
    notifications.notify(
        tender.buyer, "bids_opened", words, reverse("opening_protocol", args=[tender.number]), at=at,
        roles=[Role.OFFICER, Role.EVALUATOR],
    )  # fmt: skip


def _stream(tender: Tender) -> str:
    return f"tender:{tender.pk}"
