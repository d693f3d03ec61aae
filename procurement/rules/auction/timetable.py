"""Auctions that go by a timetable: the price that moves by itself, and turns one after another."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Final


@dataclass(frozen=True, slots=True)
class PriceClock:
    """The price that moves by itself, effective: `start` for the first `interval`, then one `tick` nearer to `last`
    with each; `last` is the last price, met exactly also where the ticks do not divide the way to it."""

    start: Decimal
    tick: Decimal
    interval: timedelta
    last: Decimal

    @property
    def last_tick(self) -> int:
        """The number of the last tick; the start price is tick 0."""
        way = abs(Fraction(self.last) - Fraction(self.start))
        return -(-way // Fraction(self.tick))

    @property
    def length(self) -> timedelta:
        """From the start until the last tick has lasted its interval."""
        return (self.last_tick + 1) * self.interval

    def price(self, tick: int) -> Fraction:
        """The effective price of a tick."""
        start, last, way = Fraction(self.start), Fraction(self.last), tick * Fraction(self.tick)
        return max(start - way, last) if last < start else min(start + way, last)

    def tick_at(self, since_start: timedelta) -> int:
        """The tick that runs so long after the start; ticks are half-open."""
        return since_start // self.interval


@dataclass(frozen=True, slots=True)
class Timetable:
    """The times of a turn-based auction: a pause before each round, a turn for each bidder, and how long after the last
    turn the result is announced."""

    pauses: tuple[timedelta, ...] = (timedelta(minutes=5), timedelta(minutes=2), timedelta(minutes=2))
    turn: timedelta = timedelta(minutes=2)
    announcement: timedelta = timedelta(minutes=2)

    @property
    def rounds(self) -> int:
        return len(self.pauses)

    def round_begins(self, number: int, bidders: int) -> timedelta:
        """From the start until the pause before that round, counted from 1; one round more is the end of the last
        turn."""
        return sum(self.pauses[: number - 1], (number - 1) * bidders * self.turn)

    def turn_begins(self, number: int, place: int, bidders: int) -> timedelta:
        """From the start until the turn at that place of the round, counted from 0; one place more is the end of the
        last turn of the round."""
        return self.round_begins(number, bidders) + self.pauses[number - 1] + place * self.turn

    def length(self, bidders: int) -> timedelta:
        """From the start until the announcement."""
        return self.round_begins(self.rounds + 1, bidders) + self.announcement


THREE_ROUNDS: Final = Timetable()
