"""Admitting and rejecting opened bids, their ranking, and when a tender goes on to its auction or its award."""

from __future__ import annotations

from datetime import datetime
from fractions import Fraction

from django.db import transaction
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from marketplace import audit
from marketplace.models import Role
from marketplace.permissions import Actor
from marketplace.services import notifications
from marketplace.shared.errors import DomainError, NotFound
from procurement import permissions
from procurement.models import Auction, Award, Bid, Lot, Tender
from procurement.procedures import Rebidding
from procurement.queries import bids as bid_queries
from procurement.queries.awards import comparison_of
from procurement.rules.lifecycle import AuctionStatus, AwardStatus, BidStatus, LotStatus, TenderStatus
from procurement.rules.ranking import Direction
from procurement.services import auctions, outcomes
from procurement.services.transitions import move

# Beyond the limit price: above it, or, where one sells, below it.
ABOVE_LIMIT = "above_limit"


class NotInEvaluation(DomainError):
    code = "not_in_evaluation"
    sentence = gettext_lazy("Bids are decided between the opening and the award. The procedure is now: %(state)s.")


class ReasonMissing(DomainError):
    code, status = "reason_missing", 422
    sentence = gettext_lazy("Give the reason: the supplier reads it, and so does whoever checks the procedure later.")


class AlreadyDecided(DomainError):
    code = "already_decided"
    sentence = gettext_lazy("This bid is already decided: %(state)s.")


def rank(lot: Lot, at: datetime) -> None:
    """Rank the bids that still count, by what their amounts count as and then by receipt, or as a live auction left
    them; flag what looks too low or is above the limit."""
    bids = list(bid_queries.opened(at).filter(lot=lot).prefetch_related("prices"))
    counted = [bid for bid in bids if bid.status != BidStatus.REJECTED and bid.amount is not None]
    columns = {column.bidder: column for column in comparison_of(lot, counted).columns}
    for bid in bids:
        column = columns.get(str(bid.pk))
        bid.rank = column.rank if column else None
        low = column.abnormally_low if column else ()
        bid.flags = [*low, *([ABOVE_LIMIT] if _beyond_limit(bid, lot) else [])]
        bid.save(update_fields=["rank", "flags", "updated_at"])


def begin(tender: Tender, at: datetime) -> None:
    """What follows the opening: where live rebidding is due, fitting bids are admitted and their auction is set; in a
    sealed auction bids beyond a hidden limit price are rejected.

    The caller holds the tender's lock.
    """
    if tender.preset.axes.rebidding is Rebidding.LIVE:
        _admit_to_auctions(tender, at)
        if auctions.schedule(tender.pk, at=at):
            tender.refresh_from_db()
            return
    elif tender.preset.auction is not None:
        _reject_beyond_limit(tender, at)
    settle(tender, at)


@transaction.atomic
def admit(bid_id: int, *, by: Actor, at: datetime) -> Bid:
    """The bid meets the terms and takes part in the award."""
    bid = _bid_to_decide(bid_id, by)
    _require_undecided(bid)
    _admit(bid, by, at)
    settle(bid.lot.tender, at, by=by)
    return bid


@transaction.atomic
def admit_all(lot_id: int, *, by: Actor, at: datetime) -> int:
    """Admit every bid of the lot that is not yet decided. How many were."""
    lot = _locked_lot(lot_id, by)
    undecided = list(Bid.objects.select_for_update().filter(lot=lot, status=BidStatus.OPENED.value))
    for bid in undecided:
        bid.lot = lot
        _admit(bid, by, at)
    settle(lot.tender, at, by=by)
    return len(undecided)


@transaction.atomic
def reject(bid_id: int, reason: str, *, by: Actor, at: datetime) -> Bid:
    """The bid does not meet the terms: the supplier reads the reason, and the ranks close up.

    A winner is not rejected here: it falls away (awards.fall_away).
    """
    bid = _bid_to_decide(bid_id, by)
    if bid.status not in (BidStatus.OPENED, BidStatus.ADMITTED):
        raise AlreadyDecided(state=bid.get_status_display())
    if not reason.strip():
        raise ReasonMissing(field="reason")
    disqualify(bid, reason.strip(), by, at)
    settle(bid.lot.tender, at, by=by)
    return bid


def disqualify(bid: Bid, reason: str, by: Actor, at: datetime) -> None:
    """Reject the bid, drop an award proposed to it, and close up the ranks.

    The caller holds tender, lot and bid, and has checked who asks.
    """
    move(bid, BidStatus.REJECTED)
    bid.decision_reason = reason
    bid.save(update_fields=["status", "decision_reason", "updated_at"])
    for proposed in Award.objects.select_for_update().filter(bid=bid, status=AwardStatus.PENDING.value):
        move(proposed, AwardStatus.CANCELLED)
        proposed.save(update_fields=["status"])
    rank(bid.lot, at)
    audit.record("bid.rejected", bid, by=by, at=at, stream=_stream(bid.lot), reason=reason)
    _tell_rejected(bid, at)


def settle(tender: Tender, at: datetime, *, by: Actor | None = None) -> None:
    """Go on as far as the bids are decided: lots without a bid fail; when all is decided, the award is due.

    The caller holds the tender's lock.
    """
    if tender.status not in (TenderStatus.EVALUATION, TenderStatus.AWARDING):
        return
    undecided = False
    for lot in Lot.objects.filter(tender=tender, status=LotStatus.ACTIVE.value):
        lot.tender = tender
        found = set(Bid.objects.filter(lot=lot).values_list("status", flat=True))
        if BidStatus.OPENED in found:
            undecided = True
        elif not found & {status.value for status in bid_queries.STANDING}:
            reason = _("No bidder took a price in the auction.") if _took_no_price(lot) else _("No bid was admitted.")
            outcomes.fail_lot(lot, reason, at, by=by)
    if outcomes.conclude(tender, at, by=by):
        return
    if tender.status == TenderStatus.EVALUATION and not undecided:
        move(tender, TenderStatus.AWARDING)
        tender.save(update_fields=["status", "updated_at"])
    outcomes.begin_standstill(tender, at)


def _took_no_price(lot: Lot) -> bool:
    """Whether the lot had an auction, and nothing stood in it at the end: nobody accepted or confirmed a price."""
    ended = Auction.objects.filter(lot=lot, status=AuctionStatus.ENDED.value)
    return ended.exclude(participants__standing_amount__isnull=False).exists()


def _admit_to_auctions(tender: Tender, at: datetime) -> None:
    """The first bid is the admission: no officer stands between the opening and the auction."""
    settings = tender.terms.auction
    for lot in Lot.objects.filter(tender=tender, status=LotStatus.ACTIVE.value):
        lot.tender = tender
        fitting = [
            bid
            for bid in bid_queries.opened(at).filter(lot=lot, status=BidStatus.OPENED.value)
            if ABOVE_LIMIT not in bid.flags
        ]
        for bid in fitting:
            bid.lot = lot
            _admit(bid, None, at)
        if settings is not None and len(fitting) >= settings.minimum_participants:
            _reject_the_rest(lot, at)


def _reject_the_rest(lot: Lot, at: datetime) -> None:
    """A bid above a hidden limit price cannot start: in an auction the limit is where bidding begins."""
    reason = (
        _("What the bid counts as does not meet the limit price, where the auction starts.")
        if lot.tender.criteria
        else _("The bid is below the reserve price, where the auction starts.")
        if lot.tender.preset.axes.direction is Direction.UP
        else _("The bid is above the limit price, where the auction starts.")
    )
    undecided = Bid.objects.select_related("supplier").filter(lot=lot, status=BidStatus.OPENED.value)
    _reject(list(undecided), reason, lot, at)


def _reject_beyond_limit(tender: Tender, at: datetime) -> None:
    """In a sealed auction the limit is for the bid itself: one that does not meet it neither wins nor sets a price."""
    for lot in Lot.objects.filter(tender=tender, status=LotStatus.ACTIVE.value):
        lot.tender = tender
        opened = bid_queries.opened(at).filter(lot=lot, status=BidStatus.OPENED.value)
        reason = (
            _("What the bid counts as does not meet the limit price.")
            if tender.criteria
            else _("The bid is below the reserve price.")
            if tender.preset.axes.direction is Direction.UP
            else _("The bid is above the limit price.")
        )
        _reject([bid for bid in opened if ABOVE_LIMIT in bid.flags], reason, lot, at)


def _reject(found: list[Bid], reason: str, lot: Lot, at: datetime) -> None:
    for bid in found:
        bid.lot = lot
        move(bid, BidStatus.REJECTED)
        bid.decision_reason = reason
        bid.save(update_fields=["status", "decision_reason", "updated_at"])
        audit.record("bid.rejected", bid, by=None, at=at, stream=_stream(lot), reason=reason)
        _tell_rejected(bid, at)
    if found:
        rank(lot, at)


def _tell_rejected(bid: Bid, at: datetime) -> None:
    words = _("Your bid for lot %(lot)s of %(tender)s was rejected: %(reason)s") % {
        "lot": bid.lot.number,
        "tender": bid.lot.tender.number,
        "reason": bid.decision_reason,
    }
    notifications.notify(
        bid.supplier, "bid_rejected", words, reverse("bid", args=[bid.pk]), at=at, roles=[Role.BID_MANAGER]
    )


def _admit(bid: Bid, by: Actor | None, at: datetime) -> None:
    move(bid, BidStatus.ADMITTED)
    bid.save(update_fields=["status", "updated_at"])
    audit.record("bid.admitted", bid, by=by, at=at, stream=_stream(bid.lot))


def _bid_to_decide(bid_id: int, by: Actor) -> Bid:
    found = Bid.objects.filter(pk=bid_id, opened_at__isnull=False).only("lot_id").first()
    if found is None:
        raise NotFound
    lot = _locked_lot(found.lot_id, by)
    bid = Bid.objects.select_for_update(of=("self",)).select_related("supplier").get(pk=bid_id)
    bid.lot = lot
    return bid


def _locked_lot(lot_id: int, by: Actor) -> Lot:
    """The lot under its tender's lock, while bids may be decided."""
    lot = Lot.objects.select_related("tender").filter(pk=lot_id).first()
    if lot is None:
        raise NotFound
    permissions.require_evaluator(by, lot)
    permissions.require_able_to_act(by)
    lot.tender = Tender.objects.select_for_update().get(pk=lot.tender_id)
    lot.refresh_from_db(fields=["status"])
    if lot.tender.status not in (TenderStatus.EVALUATION, TenderStatus.AWARDING) or lot.status != LotStatus.ACTIVE:
        raise NotInEvaluation(state=lot.tender.get_status_display())
    return lot


def _require_undecided(bid: Bid) -> None:
    if bid.status != BidStatus.OPENED:
        raise AlreadyDecided(state=bid.get_status_display())


def _beyond_limit(bid: Bid, lot: Lot) -> bool:
    if lot.limit_price is None or bid.amount is None:
        return False
    return lot.tender.preset.axes.direction.better(Fraction(lot.limit_price), lot.formula(bid.answers).of(bid.amount))


def _stream(lot: Lot) -> str:
    return f"tender:{lot.tender_id}"
