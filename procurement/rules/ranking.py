"""Who stands before whom: one key for the auction room, the protocol and the award."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction


class Direction(StrEnum):
    """Which way prices go: down when buying, up when selling."""

    DOWN = "down"
    UP = "up"

    def better(self, one: Fraction, other: Fraction) -> bool:
        """Whether `one` is strictly better than `other`."""
        return one < other if self is Direction.DOWN else one > other

    def best(self, one: Fraction, other: Fraction) -> Fraction:
        """The better of the two."""
        return min(one, other) if self is Direction.DOWN else max(one, other)

    def worst(self, one: Fraction, other: Fraction) -> Fraction:
        """The worse of the two."""
        return max(one, other) if self is Direction.DOWN else min(one, other)


@dataclass(frozen=True, slots=True)
class Standing:
    """A bidder's standing bid.

    `amount` is what the bidder typed, `effective` what is compared (the same where price alone decides),
    `received_at` when this very amount was received, `order` its place in the sequence of bids, for two bids received
    at one instant.
    """

    bidder: str
    amount: Decimal
    effective: Fraction
    received_at: datetime
    order: int = 0


@dataclass(frozen=True, slots=True)
class Ranked:
    rank: int
    standing: Standing


def rank_key(standing: Standing, direction: Direction) -> tuple[Fraction, datetime, int]:
    """Sorts the best first: by effective price, then the bid received earlier."""
    price = standing.effective if direction is Direction.DOWN else -standing.effective
    return price, standing.received_at, standing.order


def stands_before(one: Standing, other: Standing, direction: Direction) -> bool:
    """Whether `one` is ranked before `other`."""
    if one.effective != other.effective:  # as good as always: spares two keys
        return direction.better(one.effective, other.effective)
    return rank_key(one, direction) < rank_key(other, direction)


def leader(standings: Iterable[Standing], direction: Direction) -> Standing | None:
    """The best standing bid; None when there is none."""
    return min(standings, key=lambda standing: rank_key(standing, direction), default=None)


def ranking(standings: Iterable[Standing], direction: Direction) -> tuple[Ranked, ...]:
    """All standing bids, best first, ranks counted from 1; equal prices never share a rank."""
    ordered = sorted(standings, key=lambda standing: rank_key(standing, direction))
    return tuple(Ranked(rank, standing) for rank, standing in enumerate(ordered, start=1))
