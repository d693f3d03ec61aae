"""What becomes of an auction as a whole (started, paused, resumed, retimed, ended, cancelled): whether it can come next
in the log, and whether it moves the times by no more than it says."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from procurement.rules.auction.base import Room
from procurement.rules.auction.events import Event, EventKind
from procurement.rules.lifecycle import AuctionStatus

_FROM: Final[Mapping[EventKind, frozenset[AuctionStatus]]] = MappingProxyType(
    {
        EventKind.STARTED: frozenset({AuctionStatus.SCHEDULED}),
        EventKind.RETIMED: frozenset({AuctionStatus.SCHEDULED}),
        EventKind.PAUSED: frozenset({AuctionStatus.RUNNING}),
        EventKind.RESUMED: frozenset({AuctionStatus.PAUSED}),
        EventKind.ENDED: frozenset({AuctionStatus.RUNNING}),
        EventKind.CANCELLED: frozenset({AuctionStatus.SCHEDULED, AuctionStatus.RUNNING, AuctionStatus.PAUSED}),
    }
)


class Times(NamedTuple):
    """What an event sets anew. `hard_stop_at` is None where there is none."""

    starts_at: datetime
    ends_at: datetime
    hard_stop_at: datetime | None


def times_of(detail: Mapping[str, Any]) -> Times:
    """The times that the event's detail names."""
    stop = detail["hard_stop_at"]
    return Times(
        datetime.fromisoformat(detail["starts_at"]),
        datetime.fromisoformat(detail["ends_at"]),
        None if stop is None else datetime.fromisoformat(stop),
    )


def objection(room: Room, event: Event) -> str | None:
    """Why this cannot happen to the auction in that room; None where it can, and for all that is not of its life."""
    states = _FROM.get(event.kind)
    if states is None:
        return None
    if room.status not in states:
        return f"an auction that is {room.status} cannot be {event.kind}"
    match event.kind:
        case EventKind.STARTED:
            return _of_start(room, event)
        case EventKind.RETIMED:
            return None if _moved_whole(room, times_of(event.detail)) else "not all times are moved alike"
        case EventKind.RESUMED:
            return _of_time_given_back(room, event)
        case EventKind.ENDED if event.at < room.ends_at:
            return "its end had not come"
    return None


def _of_start(room: Room, event: Event) -> str | None:
    """A start may come late, and then leaves the auction its full length."""
    times = times_of(event.detail)
    if not room.starts_at <= times.starts_at <= event.at:
        return "its start had not come"
    return None if _moved_whole(room, times) else "it is given another length"


def _of_time_given_back(room: Room, event: Event) -> str | None:
    times, said = times_of(event.detail), event.detail["outage_s"]
    lost = times.ends_at - room.ends_at
    if times.starts_at != room.starts_at or not _stop_moved_by(lost, room, times):
        return "not only the end is moved"
    if not timedelta() <= lost <= max(event.at - room.starts_at, timedelta()):
        return "more time is given back than had passed"
    return None if lost // timedelta(seconds=1) == said else "the end is moved by another time than it says was lost"


def _moved_whole(room: Room, times: Times) -> bool:
    """Whether start, end and hard stop are moved alike."""
    by = times.starts_at - room.starts_at
    return times.ends_at - room.ends_at == by and _stop_moved_by(by, room, times)


def _stop_moved_by(by: timedelta, room: Room, times: Times) -> bool:
    """Without a soft close no end is moved, and a room keeps no hard stop."""
    soft = room.terms.soft_close
    if soft is None:
        return True
    if soft.hard_stop_at is None or times.hard_stop_at is None:
        return soft.hard_stop_at is times.hard_stop_at
    return times.hard_stop_at - soft.hard_stop_at == by
