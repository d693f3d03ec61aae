"""The clock: takes the moments that are due and has each of them happen, once, whatever else fails.

A moment is taken and carried out in one transaction. What marks it as taken is an advisory lock on its id, which no
service ever asks for: any number of clocks may run, each passes over what another one holds, and none waits. When a
clock dies the server gives the lock back with the connection, and the moment is due as before. The services check the
state and the time again, so that what was done is not done twice.

Where no clock lives, gateways stand in for what cannot be made good later: a turn of which its bidder was not told.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import F, QuerySet

from marketplace.services import timekeeping
from marketplace.shared import clock
from procurement.models import Auction, DueMoment, MomentKind, Tender
from procurement.queries import operations
from procurement.rules.lifecycle import AuctionStatus, TenderStatus
from procurement.services import auction_log, auctions, awards, evaluation, moments, opening, outages, pulse, shares
from procurement.services.bid_verdicts import SignaturesBeingJudged

log = logging.getLogger(__name__)

# What carries out a moment. It returns None when it is done, or the time at which to come again.
Handler = Callable[[DueMoment, datetime], datetime | None]

_LONGEST_BACKOFF = timedelta(minutes=5)
_LONGEST_PAUSE = timedelta(seconds=1)
_HEARTBEAT_EVERY_S = 5.0
_WITHOUT_DATABASE_SECONDS = 1.0
_PAUSED_AGAIN = timedelta(seconds=5)
_LOOK_AGAIN = timedelta(milliseconds=250)
# Bids are opened so soon after the last signature that was waited for.
_JUDGED_AGAIN = timedelta(seconds=2)
# As many of the soonest are looked at for one that nobody holds: more than there are clocks.
_LOOKED_AT = 64
# An opening may read hundreds of megabytes from slow storage before it asks anything of the database again. Nobody can
# bid for its lots meanwhile.
_STANDS_STILL_READING_S: Final = 600
_READING: Final = frozenset({MomentKind.TENDER_ENDS, MomentKind.KEYS_RECEIVED})

# What a gateway sees to where no clock has for so long. All else may come late: an auction that starts late has its
# full length, and one that ends late takes no bid after its end.
STANDS_IN_AFTER: Final = timedelta(seconds=2)
_STANDS_IN_FOR: Final = frozenset({MomentKind.AUCTION_MOVES})

_TAKE: Final = """
    WITH due AS MATERIALIZED (
      SELECT id FROM procurement_duemoment
      WHERE done_at IS NULL AND next_try_at <= %s AND kind = ANY(%s) ORDER BY next_try_at, id LIMIT %s
    )
    SELECT id FROM due WHERE pg_try_advisory_xact_lock(hashtextextended('moment:' || id, 0)) LIMIT 1
"""
# A server that waits for a lock on behalf of a clock that was killed would hold the moment until it gets it.
_LET_GO_OF_THE_DEAD: Final = "SET LOCAL client_connection_check_interval = '1s'"


@dataclass(frozen=True, slots=True)
class Tick:
    """What one round did."""

    done: int = 0
    failed: int = 0


def run(stopping: threading.Event) -> None:
    """Carry out what is due until told to stop, by the platform's time. A database that is away is waited for."""
    carried = clock.Carried()
    clock.follow(carried)
    try:
        _run(stopping, carried)
        pulse.farewell(_process())
    finally:
        clock.follow(None)


def _run(stopping: threading.Event, carried: clock.Carried) -> None:
    beat_at = clock.counted()
    while not stopping.is_set():
        try:
            if clock.counted() >= beat_at:
                beat_at = clock.counted() + _HEARTBEAT_EVERY_S
                heartbeat(carried)
            at = clock.now()
            tick(at, clock.now)
            pause = _until_next(at, clock.now())
        except (OperationalError, InterfaceError) as error:
            log.warning("The database is away: %s", error)
            connection.close()
            pause = _WITHOUT_DATABASE_SECONDS
        stopping.wait(pause)


def tick(at: datetime, now: Callable[[], datetime] | None = None) -> Tick:
    """Carry out every moment that is due at `at`, the longest overdue first. A failing one stops no other.

    Each at the time that it is when its turn comes (`now`; without it `at`): those before it may have taken minutes,
    and an auction that starts late is to have its full length.

    Raises OperationalError or InterfaceError where the database is away.
    """
    _whatever_fails(lambda: outages.attend(_process()))
    moments.call_forward()
    done = failed = 0
    while (succeeded := _carry_out_next(at, now=now)) is not None:
        done += succeeded
        failed += not succeeded
    _whatever_fails(lambda: outages.settle_all(at))
    return Tick(done, failed)


def stand_in(at: datetime) -> int:
    """For gateways: carry out what time has brought about in auctions that run, where no clock has within
    STANDS_IN_AFTER. Returns how many moments that were; 0 while a clock lives.

    Raises OperationalError or InterfaceError where the database is away.
    """
    late, done = at - STANDS_IN_AFTER, 0
    while (succeeded := _carry_out_next(at, lambda: _take(late, _STANDS_IN_FOR))) is not None:
        done += succeeded
    return done


def heartbeat(carried: clock.Carried) -> None:
    """Say that this clock lives, and how much of its work is overdue; see what time it is for the platform."""
    overdue = operations.overdue(clock.now()).count()
    carried.ahead = pulse.clock_beat(_process(), overdue=overdue, carried=carried).ahead
    _whatever_fails(lambda: timekeeping.tell_operators(clock.now()))


def _process() -> str:
    return pulse.process_name(pulse.CLOCK)


def _whatever_fails(what: Callable[[], None]) -> None:
    """Outages and clocks that are set are seen to beside the moments: what is wrong there keeps none from happening."""
    try:
        what()
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        log.exception("Outages or steps of the clock could not be seen to")


def _carry_out_next(
    at: datetime, take: Callable[[], DueMoment | None] | None = None, now: Callable[[], datetime] | None = None
) -> bool | None:
    """Whether the next moment that is due at `at`, and that no other clock holds, happened; None where there is none.
    `take` takes another than the next; it happens at the time of `now`, without it at `at`."""
    with transaction.atomic():
        moment = _take(at) if take is None else take()
        if moment is None:
            return None
        at = at if now is None else now()
        auction_log.broken_off_after(_STANDS_STILL_READING_S if moment.kind in _READING else auctions.STANDS_STILL_S)
        try:
            with transaction.atomic():
                again = HANDLERS[MomentKind(moment.kind)](moment, at)
        except Exception as error:
            if not _answers():
                raise OperationalError(str(error)) from error
            log.exception("Moment %s (%s of tender %s) failed", moment.pk, moment.kind, moment.tender_id)
            _put_off(moment, at, error)
            return False
        if again is None:
            _unmoved(moment).update(done_at=at, last_error="")
        else:
            _unmoved(moment).update(next_try_at=again, last_error="")
        return True


def _take(due_by: datetime, kinds: Collection[MomentKind] = frozenset(MomentKind)) -> DueMoment | None:
    with connection.cursor() as cursor:
        cursor.execute(_LET_GO_OF_THE_DEAD)
        while True:
            cursor.execute(_TAKE, [due_by, [kind.value for kind in kinds], _LOOKED_AT])
            found = cursor.fetchone()
            if found is None:
                return None
            # Read again under the lock: whoever held it may just have finished.
            moment = DueMoment.objects.filter(pk=found[0], done_at=None, next_try_at__lte=due_by).first()
            if moment is not None:
                return moment


def _unmoved(moment: DueMoment) -> QuerySet[DueMoment]:
    """The moment, unless the handler finished it or set its time anew: then it is not ours to finish."""
    return DueMoment.objects.filter(pk=moment.pk, done_at=None, due_at=moment.due_at)


def _answers() -> bool:
    """Whether the connection outlived the failure: a deadlock is a failure, a server that has gone is not."""
    held = connection.connection
    return held is not None and not held.closed


def _put_off(moment: DueMoment, at: datetime, error: Exception) -> None:
    wait = min(timedelta(seconds=2 ** min(moment.attempts, 10)), _LONGEST_BACKOFF)
    words = f"{type(error).__name__}: {error}"
    _unmoved(moment).update(attempts=F("attempts") + 1, next_try_at=at + wait, last_error=words[:2000])


def _until_next(looked_at: datetime, now: datetime) -> float:
    """How long to wait, in seconds. What was due when the round began, and still is, another clock holds: it may take
    minutes, and is not asked for a hundred times a second."""
    waiting = DueMoment.objects.filter(done_at=None)
    longest = _LOOK_AGAIN if waiting.filter(next_try_at__lte=looked_at).exists() else _LONGEST_PAUSE
    later = waiting.filter(next_try_at__gt=looked_at).order_by("next_try_at")
    soonest = later.values_list("next_try_at", flat=True).first()
    wait = longest if soonest is None else min(max(soonest - now, timedelta()), longest)
    return max(wait.total_seconds(), 0.01)


def _open_bids(moment: DueMoment, at: datetime) -> datetime | None:
    try:
        opening.open_tender(moment.tender_id, at)
    except SignaturesBeingJudged as waits:
        return min(at + _JUDGED_AGAIN, waits.until)
    return None


def _open_with_keys(moment: DueMoment, at: datetime) -> datetime | None:
    opening.open_with_keys(moment.tender_id, at)
    return None


def _ask_for_shares(moment: DueMoment, at: datetime) -> datetime | None:
    """Again and again while the bids wait, each time after twice as long."""
    tender = Tender.objects.get(pk=moment.tender_id)
    if tender.status != TenderStatus.OPENING or tender.opened_at is not None or tender.tender_ends_at is None:
        return None
    shares.remind(tender.pk, by=None, at=at)
    return at + max(shares.a_day(), at - tender.tender_ends_at)


def _start_auction(moment: DueMoment, at: datetime) -> datetime | None:
    auction = _auction(moment)
    if auction.status != AuctionStatus.SCHEDULED:
        return None
    try:
        auctions.start(auction.pk, at=at)
    except (auctions.AuctionNotDue, auctions.PlatformNotTakingBids):
        return at + _LOOK_AGAIN
    return None


def _move_auction(moment: DueMoment, at: datetime) -> datetime | None:
    """What time alone brings about, now and (the moment is moved) next. What gateways still decide is waited for."""
    next_at = auctions.advance(_auction(moment).pk, at=at)
    return at + _LOOK_AGAIN if next_at == moment.due_at else None


def _end_auction(moment: DueMoment, at: datetime) -> datetime | None:
    """A short drain after the end, wherever a soft close has moved it: a bid that was in time may still be in a queue
    of ours."""
    auction = _auction(moment)
    if auction.status == AuctionStatus.PAUSED:
        return at + _PAUSED_AGAIN
    if auction.status != AuctionStatus.RUNNING:
        return None
    if at < auction.ends_at + auctions.DRAIN:
        return auction.ends_at + auctions.DRAIN
    # By itself: what it brings about stays, also where it moves the end.
    auctions.advance(auction.pk, at=at)
    try:
        ended = auctions.end(auction.pk, at=at)
    except auctions.AuctionStillRunning:
        # A bid may still be on its way, or nobody can say: then an outage has begun, and moves the end.
        return at + _LOOK_AGAIN
    evaluation.rank(ended.lot, at)
    evaluation.settle(ended.lot.tender, at)
    return None


def _end_standstill(moment: DueMoment, at: datetime) -> datetime | None:
    if moment.lot_id is not None:
        awards.end_standstill(moment.lot_id, at)
    return None


def _auction(moment: DueMoment) -> Auction:
    return Auction.objects.get(lot=moment.lot_id)


HANDLERS: Final[Mapping[MomentKind, Handler]] = MappingProxyType(
    {
        MomentKind.TENDER_ENDS: _open_bids,
        MomentKind.KEYS_RECEIVED: _open_with_keys,
        MomentKind.SHARES_MISSING: _ask_for_shares,
        MomentKind.AUCTION_STARTS: _start_auction,
        MomentKind.AUCTION_MOVES: _move_auction,
        MomentKind.AUCTION_ENDS: _end_auction,
        MomentKind.STANDSTILL_ENDS: _end_standstill,
    }
)
