"""The price that moves by itself, in a room: which tick it is, what it asks of a bidder, when the next one begins."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from procurement.rules.auction.base import Course, Happening, HappeningKind, Play, Room, Terms
from procurement.rules.auction.timetable import PriceClock


@dataclass(frozen=True, slots=True)
class Ticked(Play):
    """The last tick that has begun; -1 before the first."""

    tick: int = -1


def clock_of(room: Room) -> PriceClock:
    """The lot's clock. Raises ValueError for a lot without one."""
    if room.terms.clock is None:
        raise ValueError(f"a {room.terms.kind} auction has a clock")
    return room.terms.clock


def length(terms: Terms, _bidders: int) -> timedelta:
    """As long as the ticks take."""
    if terms.clock is None:
        raise ValueError(f"a {terms.kind} auction has a clock")
    return terms.clock.length


def tick_at(room: Room, at: datetime) -> int:
    """The tick that runs at that moment, by the time that the auction did not stand still.

    None runs a second time: what is given back from before the tick that runs makes that one longer.
    """
    counted = clock_of(room).tick_at(at - room.starts_at - room.delay)
    return max(counted, room.play.tick) if isinstance(room.play, Ticked) else counted


def begins(room: Room, tick: int) -> datetime:
    return room.starts_at + room.delay + tick * clock_of(room).interval


def amount_at(room: Room, bidder: str, tick: int) -> Decimal | None:
    """The tick's effective price as the bidder's amount; None where nothing above zero is admitted."""
    return room.terms.least_concession(bidder, price_at(room, tick))


def price_at(room: Room, tick: int) -> Fraction:
    return clock_of(room).price(tick)


def course(room: Room, at: datetime) -> Course | None:
    """The tick that runs at that moment; None before the first and when all is over."""
    if not room.starts_at <= at < room.ends_at:
        return None
    tick = min(tick_at(room, at), clock_of(room).last_tick)
    return Course(HappeningKind.TICK, tick, clock_of(room).last_tick, begins(room, tick + 1), price_at(room, tick))


def ticked(room: Room, tick: int, out: tuple[str, ...] = ()) -> Happening:
    """The price moves to that tick."""
    return Happening(
        HappeningKind.TICK,
        begins(room, tick),
        until=begins(room, tick + 1),
        number=tick,
        price=price_at(room, tick),
        out=out,
    )
