"""Two proxies that answer each other, bid after bid, without making every bid in the room.

All is counted in whole numbers. How many minor units a side must give depends only on the gap: how much worse its
effective price is than its rival's. So the course is one of gaps, and from a gap that was there before it goes on as it
did then: as many of those rounds as both limits bear are made at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import lcm
from typing import Final

#: A third of a second. Who asks for more is refused: meanwhile nothing else is decided.
MOST_ROUNDS: Final = 200_000


class TooManyBids(ValueError):
    """The step is so small, and the criteria are weighed so finely, that the answer is not found in reasonable time."""


@dataclass(slots=True)
class Side:
    """One of the two, all in its minor units: `unit` is what one of them counts (effective), `left` how many it may
    still give, `own_step` how many a step from its own price is, 0 where the leader's is the reference.

    The duel sets how many it `gave`, and which of all the bids was its `last`.
    """

    unit: Fraction
    left: int
    own_step: int = 0
    gave: int = 0
    last: int = 0

    def give(self, units: int, made: int) -> None:
        self.left -= units
        self.gave += units
        self.last = made


def fight(first: Side, second: Side, gap: Fraction, step: Fraction) -> int:
    """Lets the two answer each other, `first` to begin, until one cannot bear to; returns how many bids that were.

    `gap`, not below zero: how much worse, effective, the first stands than the second. Raises TooManyBids after
    MOST_ROUNDS without a gap that was there before.
    """
    scale = lcm(gap.denominator, step.denominator, first.unit.denominator, second.unit.denominator)
    sides = ((first, int(first.unit * scale)), (second, int(second.unit * scale)))
    now, least, made, rounds = int(gap * scale), int(step * scale), 0, 0
    mark: _Mark | None = _Mark(now, 0, 0, 0)
    marked_at = 1
    while True:
        for side, unit in sides:
            if side.own_step:
                bids = now // (side.own_step * unit) + 1
                units = bids * side.own_step
            else:
                bids, units = 1, -(-(now + least) // unit)
            if units > side.left:
                return made
            made += bids
            side.give(units, made)
            now = units * unit - now
        rounds += 1
        if mark is not None and now == mark.gap:
            made += _repeat(first, second, mark, made)
            mark = None
        elif mark is not None and rounds == marked_at:
            # Each mark is kept twice as long as the one before: so a return of any length is found, without a memory.
            mark, marked_at = _Mark(now, first.gave, second.gave, made), marked_at * 2
        if rounds == MOST_ROUNDS:
            raise TooManyBids(f"two proxies would answer each other more than {MOST_ROUNDS} times")


@dataclass(frozen=True, slots=True)
class _Mark:
    """A gap, and what had been given and made when it was there."""

    gap: int
    first_gave: int
    second_gave: int
    made: int


def _repeat(first: Side, second: Side, mark: _Mark, made: int) -> int:
    """As many rounds like those since the mark as both limits bear; how many bids more that makes."""
    first_gives, second_gives = first.gave - mark.first_gave, second.gave - mark.second_gave
    times = min(first.left // first_gives, second.left // second_gives)
    more = times * (made - mark.made)
    first.give(times * first_gives, first.last + more)
    second.give(times * second_gives, second.last + more)
    return more
