"""The clock: takes the moments that are due and has each of them happen, once, whatever else fails.

A moment is claimed in a short transaction of its own (SKIP LOCKED: any number of clocks may run) and then carried out
in another, which takes tender and lot before it touches the moment again, as every service does. A clock that dies in
between leaves a claim that runs out; the services check the state and the time again, so that what was done is not
done twice.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import F

from marketplace.models import Heartbeat
from marketplace.shared import clock
from procurement.models import Auction, DueMoment, MomentKind, Tender
from procurement.rules.lifecycle import AuctionStatus, TenderStatus
from procurement.services import auctions, awards, evaluation, opening, shares

log = logging.getLogger(__name__)

# What carries out a moment. It returns None when it is done, or the time at which to come again.
Handler = Callable[[DueMoment, datetime], datetime | None]

# A claim of a clock that died runs out after this. A handler may take longer: another clock that comes for the same
# moment then waits for the lock of its tender, and finds it done.
_CLAIM = timedelta(seconds=10)
# What waits for longer than this is counted as overdue.
_OVERDUE = timedelta(seconds=120)
_LONGEST_BACKOFF = timedelta(minutes=5)
_LONGEST_PAUSE = timedelta(seconds=1)
_HEARTBEAT_EVERY = timedelta(seconds=5)
_WITHOUT_DATABASE_SECONDS = 1.0
_PAUSED_AGAIN = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Tick:
    """What one round did."""

    done: int = 0
    failed: int = 0


class Interrupted(Exception):
    """The database went away while `moment` was carried out: nobody knows whether it happened."""

    def __init__(self, moment: DueMoment) -> None:
        super().__init__(f"moment {moment.pk} ({moment.kind} of tender {moment.tender_id})")
        self.moment = moment


def run(stopping: threading.Event) -> None:
    """Carry out what is due until told to stop. A database that is away is waited for."""
    beat_at = clock.now()
    interrupted: DueMoment | None = None
    while not stopping.is_set():
        try:
            if interrupted is not None:
                _let_go(interrupted, clock.now())
                interrupted = None
            tick(clock.now())
            if clock.now() >= beat_at:
                beat_at = clock.now() + _HEARTBEAT_EVERY
                heartbeat(clock.now())
            pause = _until_next(clock.now())
        except (OperationalError, InterfaceError, Interrupted) as error:
            log.warning("The database is away: %s", error.__cause__ or error)
            connection.close()
            pause = _WITHOUT_DATABASE_SECONDS
            if isinstance(error, Interrupted):
                interrupted = error.moment
        stopping.wait(pause)


def tick(at: datetime) -> Tick:
    """Carry out every moment that is due at `at`, the longest overdue first. A failing one stops no other.

    Raises OperationalError or InterfaceError where the database is away, Interrupted where it went away meanwhile.
    """
    done = failed = 0
    while (moment := _claim(at)) is not None:
        if _carry_out(moment, at):
            done += 1
        else:
            failed += 1
    return Tick(done, failed)


def heartbeat(at: datetime) -> None:
    """Say that this clock lives, and how much of its work is overdue."""
    overdue = DueMoment.objects.filter(done_at=None, due_at__lt=at - _OVERDUE).count()
    Heartbeat.objects.update_or_create(process="clock", defaults={"at": at, "detail": {"overdue": overdue}})


def _claim(at: datetime) -> DueMoment | None:
    with transaction.atomic():
        due = DueMoment.objects.filter(done_at=None, next_try_at__lte=at).order_by("next_try_at", "pk")
        moment = due.select_for_update(skip_locked=True).first()
        if moment is not None:
            moment.next_try_at = at + _CLAIM
            moment.save(update_fields=["next_try_at"])
    return moment


def _carry_out(moment: DueMoment, at: datetime) -> bool:
    try:
        with transaction.atomic():
            again = HANDLERS[MomentKind(moment.kind)](moment, at)
            # Whoever moved the moment meanwhile has set its time anew: then it is not ours to finish.
            ours = DueMoment.objects.filter(pk=moment.pk, done_at=None, due_at=moment.due_at)
            if again is None:
                ours.update(done_at=at, last_error="")
            else:
                ours.update(next_try_at=again, last_error="")
    except (OperationalError, InterfaceError) as error:
        raise Interrupted(moment) from error
    except Exception as error:
        log.exception("Moment %s (%s of tender %s) failed", moment.pk, moment.kind, moment.tender_id)
        _put_off(moment, at, error)
        return False
    return True


def _let_go(moment: DueMoment, at: datetime) -> None:
    """Give up our claim, so that the moment is due at once; one that was finished or moved stays as it is."""
    ours = DueMoment.objects.filter(pk=moment.pk, done_at=None, due_at=moment.due_at, next_try_at=moment.next_try_at)
    ours.update(next_try_at=at)


def _put_off(moment: DueMoment, at: datetime, error: Exception) -> None:
    wait = min(timedelta(seconds=2 ** min(moment.attempts, 10)), _LONGEST_BACKOFF)
    words = f"{type(error).__name__}: {error}"
    DueMoment.objects.filter(pk=moment.pk, done_at=None, due_at=moment.due_at).update(
        attempts=F("attempts") + 1, next_try_at=at + wait, last_error=words[:2000]
    )


def _until_next(at: datetime) -> float:
    soonest = (
        DueMoment.objects.filter(done_at=None).order_by("next_try_at").values_list("next_try_at", flat=True).first()
    )
    wait = _LONGEST_PAUSE if soonest is None else min(max(soonest - at, timedelta()), _LONGEST_PAUSE)
    return max(wait.total_seconds(), 0.01)


def _open_bids(moment: DueMoment, at: datetime) -> datetime | None:
    opening.open_tender(moment.tender_id, at)
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
    if auction.status == AuctionStatus.SCHEDULED:
        auctions.start(auction.pk, at=at)
    return None


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
    try:
        ended = auctions.end(auction.pk, at=at)
    except auctions.AuctionStillRunning:
        # Extended between the reading and the lock.
        return at
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
        MomentKind.AUCTION_ENDS: _end_auction,
        MomentKind.STANDSTILL_ENDS: _end_standstill,
    }
)
