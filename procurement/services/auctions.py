"""The life of a live auction: scheduled after opening, started and ended by the clock, paused in an outage,
cancelled."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from marketplace import audit
from marketplace.models import Role, StaffRole
from marketplace.permissions import Actor, require_staff
from marketplace.services import notifications
from marketplace.shared.errors import DomainError, IllegalTransition
from procurement.models import Auction, Bid, Lot, MomentKind, Tender
from procurement.models.auction import AUCTION_STATUS_NAMES
from procurement.procedures import AuctionSettings
from procurement.queries import auctions as rooms
from procurement.queries import outages
from procurement.rules.auction import kinds
from procurement.rules.auction.log import (
    Event,
    EventKind,
    Hall,
    ranking_detail,
    scheduled_detail,
    times_detail,
)
from procurement.rules.lifecycle import AuctionStatus, BidStatus, LotStatus, TenderStatus
from procurement.services import auction_course, auction_log, auction_terms, moments, pulse
from procurement.services.transitions import move

# The clock may come this late without the bidders losing time that was promised to them.
PUNCTUAL = timedelta(seconds=5)
# Bids that arrived in time may still wait in a queue of ours when the end has come.
DRAIN = timedelta(seconds=2)
# Nothing is asked of the database for so long only by a process that does not go on.
STANDS_STILL_S = 60


class AuctionStillRunning(DomainError):
    code = "auction_still_running"
    sentence = _("The auction has not ended yet.")


class AuctionNotDue(DomainError):
    code = "auction_not_due"
    sentence = _("The auction starts later than that.")


class PlatformNotTakingBids(DomainError):
    code = "platform_not_taking_bids"
    sentence = _("The platform cannot take bids at the moment. The auction goes on by itself as soon as it can.")


@transaction.atomic
def schedule(tender_id: int, *, at: datetime, by: Actor | None = None) -> list[Auction]:
    """Make the auctions of a tender that is being evaluated, one for each active lot with enough admitted bids.

    Returns them; empty when no lot has enough, and then the tender goes on without an auction. They start at the
    planned time, or, if that has passed, the procedure's delay after `at`. Raises IllegalTransition unless the tender
    is in evaluation.
    """
    tender = Tender.objects.select_for_update().get(pk=tender_id)
    settings = tender.terms.auction
    if settings is None:
        return []
    planned = tender.auction_starts_at
    starts_at = planned if planned and planned > at else at + timedelta(minutes=settings.start_delay_minutes)
    made = []
    for lot in tender.lots.select_for_update().filter(status=LotStatus.ACTIVE.value).order_by("number"):
        bids = list(lot.bids.filter(status=BidStatus.ADMITTED.value).order_by("amount_received_at", "pk"))
        if len(bids) >= settings.minimum_participants:
            made.append(_make(tender, lot, bids, settings, starts_at, at))
    if made:
        move(tender, TenderStatus.AUCTION)
        tender.auction_starts_at = starts_at
        tender.save(update_fields=["status", "auction_starts_at", "updated_at"])
        for auction in made:
            record("auction.scheduled", auction, tender, by, at, starts_at=starts_at.isoformat())
    return made


@transaction.atomic
def start(auction_id: int, *, at: datetime) -> Auction:
    """Open the room. Where the clock comes late, the times move so that the auction has its full length.

    Raises PlatformNotTakingBids where no gateway has said lately that it can take them, or where time lost in an outage
    is still to be given back; AuctionNotDue before the start, which may have been put off while the locks were waited
    for.
    """
    auction, tender, hall = locked(auction_id)
    if at < auction.starts_at:
        raise AuctionNotDue
    if not pulse.can_take_bids(at) or outages.owes(auction):
        raise PlatformNotTakingBids
    _let_run(auction, AuctionStatus.SCHEDULED)
    late = at - auction.starts_at
    if late > PUNCTUAL:
        shift(auction, late)
        auction.starts_at += late
    hall = append(auction, hall, EventKind.STARTED, at, detail=times(auction))
    auction_course.plan(auction, tender, hall)
    record("auction.started", auction, tender, None, at)
    return auction


@transaction.atomic
def advance(auction_id: int, *, at: datetime) -> datetime | None:
    """Write into the log of a running auction what time alone has brought about, as far as every gateway has decided.

    Returns when it next brings something about; None where it brings nothing but the end, or the auction does not run.
    """
    auction, tender, hall = locked(auction_id)
    # In this order, as in `end`.
    decided = pulse.decided_by_all(at)
    if auction.status != AuctionStatus.RUNNING or outages.owes(auction):
        return None
    hall = auction_course.catch_up(auction, hall, decided)
    return auction_course.plan(auction, tender, hall)


@transaction.atomic
def end(auction_id: int, *, at: datetime) -> Auction:
    """Close the room and write the final amounts and ranks to the bids; with its last auction the tender goes to
    awarding.

    Raises AuctionStillRunning before the end, wherever a soft close has moved it; while a gateway may still hold a bid
    that was in time; and while nobody knows that bids could be taken up to the end.
    """
    auction, tender, hall = locked(auction_id)
    # In this order: the sign of a gateway that ended an outage was committed together with the outage.
    if at < auction.ends_at or not pulse.drained(auction.ends_at, at) or outages.owes(auction):
        raise AuctionStillRunning
    hall = auction_course.catch_up(auction, hall, auction.ends_at)
    if at < auction.ends_at:
        raise AuctionStillRunning
    move(auction, AuctionStatus.ENDED)
    auction.ended_at = auction.ends_at
    ranking = ranking_detail(hall.room)
    append(auction, hall, EventKind.ENDED, at, detail={"ranking": ranking}, saves=["ended_at"])
    _settle(auction, tender, hall, at)
    record("auction.ended", auction, tender, None, at, ranking=ranking, head=auction.head_hash)
    go_on(tender)
    return auction


@transaction.atomic
def pause(auction_id: int, reason: str, *, by: Actor, at: datetime) -> Auction:
    """Stop taking bids while the platform is not able to. An operator's; who did it and why is in the log.

    Time stops where every gateway has decided: a tick after that could shut out a move that is still on its way, and is
    refused now. Where an outage has not been made up for yet it stopped with that.
    """
    require_staff(by, StaffRole.OPERATOR)
    auction, tender, hall = locked(auction_id)
    # In this order, as in `end`.
    decided = pulse.decided_by_all(at)
    since = max(min(decided, outages.owed_since(auction) or decided), auction.starts_at)
    if auction.status == AuctionStatus.RUNNING:
        hall = auction_course.catch_up(auction, hall, since)
    move(auction, AuctionStatus.PAUSED)
    auction.paused_at = since
    append(auction, hall, EventKind.PAUSED, at, by=by, detail={"reason": reason}, saves=["paused_at"])
    record("auction.paused", auction, tender, by, at, reason=reason)
    return auction


@transaction.atomic
def resume(auction_id: int, *, by: Actor, at: datetime, outage_began_at: datetime | None = None) -> Auction:
    """Take bids again; the end and the hard stop move by as long as no bids were taken.

    That is the length of the pause, or from `outage_began_at` where the platform had failed before it was paused.
    Raises PlatformNotTakingBids while it still cannot.
    """
    require_staff(by, StaffRole.OPERATOR)
    auction, tender, hall = locked(auction_id)
    if not pulse.can_take_bids(at) or outages.owes(auction):
        raise PlatformNotTakingBids
    _let_run(auction, AuctionStatus.PAUSED)
    began = min(filter(None, (auction.paused_at, outage_began_at)), default=at)
    # No bidder lost time before the auction ran, or what was given back when it ran again, nor after now.
    runs = auction.events.filter(kind__in=[EventKind.STARTED.value, EventKind.RESUMED.value]).order_by("-number")
    began = min(max(began, auction.starts_at, runs.values_list("at", flat=True).first() or began), at)
    go_on_later(auction, tender, hall, at - began, by=by, at=at)
    return auction


def go_on_later(
    auction: Auction,
    tender: Tender,
    hall: Hall,
    lost: timedelta,
    *,
    by: Actor | None,
    at: datetime,
    **detail: Any,
) -> None:
    """Give back the time lost to an auction that was just moved from paused to running. The caller holds the locks."""
    shift(auction, lost)
    auction.paused_at = None
    told = {**times(auction), "outage_s": lost // timedelta(seconds=1), **detail}
    hall = append(auction, hall, EventKind.RESUMED, at, by=by, detail=told, saves=["paused_at"])
    auction_course.plan(auction, tender, hall)
    record("auction.resumed", auction, tender, by, at, lost_seconds=told["outage_s"], **detail)


@transaction.atomic
def cancel(auction_id: int, reason: str, *, at: datetime, by: Actor | None = None) -> Auction:
    """Close the room of a lot that was cancelled. The lot and its tender are the caller's business: see `go_on`."""
    auction, tender, hall = locked(auction_id)
    move(auction, AuctionStatus.CANCELLED)
    append(auction, hall, EventKind.CANCELLED, at, by=by, detail={"reason": reason})
    moments.cancel(tender, auction.lot, (MomentKind.AUCTION_STARTS, MomentKind.AUCTION_MOVES, MomentKind.AUCTION_ENDS))
    record("auction.cancelled", auction, tender, by, at, reason=reason)
    return auction


def go_on(tender: Tender) -> None:
    """With no auction left to wait for, a tender in auction goes to awarding. The caller holds its lock."""
    open_rooms = [AuctionStatus.SCHEDULED.value, AuctionStatus.RUNNING.value, AuctionStatus.PAUSED.value]
    waiting = Auction.objects.filter(lot__tender=tender, status__in=open_rooms)
    if tender.status == TenderStatus.AUCTION and not waiting.exists():
        move(tender, TenderStatus.AWARDING)
        tender.save(update_fields=["status", "updated_at"])


def locked(auction_id: int) -> tuple[Auction, Tender, Hall]:
    """For whoever changes the room. Tender, lot, room, auction: always in this order. The room's lock keeps bids out
    while the service writes, and no longer than a process may stand still."""
    auction_log.broken_off_after(STANDS_STILL_S)
    known = Auction.objects.select_related("lot").get(pk=auction_id)
    tender = Tender.objects.select_for_update().get(pk=known.lot.tender_id)
    Lot.objects.select_for_update().get(pk=known.lot_id)
    auction_log.lock([known.lot_id])
    auction = Auction.objects.select_for_update(of=("self",)).select_related("lot").get(pk=auction_id)
    hall = rooms.hall(auction_id)
    if hall is None:
        raise ValueError(f"auction {auction_id} has no log")
    return auction, tender, hall


def _make(
    tender: Tender, lot: Lot, bids: list[Bid], settings: AuctionSettings, starts_at: datetime, at: datetime
) -> Auction:
    rules = auction_terms.rules_of(tender, lot, bids, settings)
    length = kinds.length(rules.terms(lot.limit_price, None), len(bids))
    ends_at = starts_at + (length or timedelta(minutes=settings.duration_minutes or 0))
    stop = settings.hard_stop_minutes
    auction = Auction.objects.create(
        lot=lot,
        rules=rules.as_json(),
        currency=lot.currency,
        start_price=lot.limit_price,
        starts_at=starts_at,
        ends_at=ends_at,
        hard_stop_at=None if stop is None else starts_at + timedelta(minutes=stop),
    )
    seats = auction_terms.seat(auction, bids, stand=kinds.first_bids_stand(rules.kind))
    auction_log.lock([lot.pk])
    detail = scheduled_detail(
        rules,
        auction.currency,
        auction.start_price,
        auction.starts_at,
        auction.ends_at,
        auction.hard_stop_at,
        [
            (rooms.bidder(seat.pk), seat.label, seat.initial_amount, auction_terms.received_at(seat.bid))
            for seat in seats
        ],
        {rooms.bidder(seat.pk): lot.formula(seat.bid.answers) for seat in seats} if tender.criteria else {},
    )
    append(auction, None, EventKind.SCHEDULED, at, detail=detail)
    moments.schedule(MomentKind.AUCTION_STARTS, tender, starts_at, lot)
    return auction


def append(
    auction: Auction,
    hall: Hall | None,
    kind: EventKind,
    at: datetime,
    *,
    by: Actor | None = None,
    detail: Mapping[str, Any] | None = None,
    saves: list[str] | None = None,
) -> Hall:
    """Write the event, and the auction as it stands then. Returns the hall after it. The caller holds the locks."""
    person = by.person.pk if by and by.person else None
    event = Event(hall.number + 1 if hall else 1, kind, at, person=person, detail=detail or {})
    after = auction_log.append(hall, auction.pk, event)
    auction.last_event, auction.head_hash = after.number, after.head
    fields = ["status", "starts_at", "ends_at", "hard_stop_at", "extensions", "last_event", "head_hash"]
    auction.save(update_fields=[*fields, *(saves or [])])
    auction_log.notify({auction.lot_id: after.number})
    return after


def times(auction: Auction) -> dict[str, Any]:
    """The auction's times, as an event that sets them carries them."""
    return times_detail(auction.starts_at, auction.ends_at, auction.hard_stop_at)


def shift(auction: Auction, by: timedelta) -> None:
    """Move the end, and the hard stop with it."""
    auction.ends_at += by
    if auction.hard_stop_at is not None:
        auction.hard_stop_at += by


def _let_run(auction: Auction, before: AuctionStatus) -> None:
    """From that state alone: what has not begun does not go on, and what is paused does not begin. Raises
    IllegalTransition."""
    if auction.status != before:
        running = AUCTION_STATUS_NAMES[AuctionStatus.RUNNING]
        raise IllegalTransition(auction.get_status_display(), str(running))
    move(auction, AuctionStatus.RUNNING)


def _settle(auction: Auction, tender: Tender, hall: Hall, at: datetime) -> None:
    """The final amounts, when they were received, and the ranks: from the room to the bids. Who took no price of a
    clock has bid nothing that it could be held to."""
    seats = {rooms.bidder(seat.pk): seat for seat in auction.participants.select_related("bid__supplier")}
    bids = []
    for line in hall.room.ranking:
        bid = seats[line.standing.bidder].bid
        bid.amount, bid.amount_received_at = line.standing.amount, line.standing.received_at
        bid.rank = line.rank
        bids.append(bid)
    Bid.objects.bulk_update(bids, ["amount", "amount_received_at", "rank"])
    for bidder in sorted(seats.keys() - hall.room.standings.keys()):
        _reject(auction, tender, seats[bidder].bid, at)


def _reject(auction: Auction, tender: Tender, bid: Bid, at: datetime) -> None:
    move(bid, BidStatus.REJECTED)
    bid.rank, bid.decision_reason = None, gettext("It took no price in the auction.")
    bid.save(update_fields=["status", "rank", "decision_reason", "updated_at"])
    stream = f"tender:{tender.pk}"
    audit.record("bid.rejected", bid, by=None, at=at, stream=stream, reason=bid.decision_reason)
    words = gettext("The auction of lot %(lot)s of %(tender)s is over: you took no price in it.") % {
        "lot": auction.lot.number,
        "tender": tender.number,
    }
    url = reverse("bid", args=[bid.pk])
    notifications.notify(bid.supplier, "bid_rejected", words, url, at=at, roles=[Role.BID_MANAGER])


def record(action: str, auction: Auction, tender: Tender, by: Actor | None, at: datetime, **details: Any) -> None:
    """In the audit trail of the tender."""
    audit.record(action, auction, by=by, at=at, stream=f"tender:{tender.pk}", lot=auction.lot_id, **details)
