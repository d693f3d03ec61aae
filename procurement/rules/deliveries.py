"""What may be delivered against a contract, and what a delivery is worth. Quantities and money are exact."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from enum import StrEnum
from typing import Final

#: The finest quantity that is recorded.
QUANTITY_STEP: Final = Decimal("0.0001")
TOLERANCE_MOST: Final = Decimal(50)
_HUNDRED: Final = Decimal(100)


class DayProblem(StrEnum):
    """Why something cannot have been delivered on a day."""

    BEFORE_SIGNING = "before_signing"
    IN_THE_FUTURE = "in_the_future"


@dataclass(frozen=True, slots=True)
class Position:
    """A position of a contract: what was ordered, what is accepted less what went back, and what waits for the buyer.

    `amount` is its share of the contract's price, which weighs it in the progress.
    """

    ordered: Decimal
    accepted: Decimal = Decimal(0)
    waiting: Decimal = Decimal(0)
    amount: Decimal = Decimal(0)

    @property
    def open(self) -> Decimal:
        """What is still to come, without tolerance; nothing where more was delivered."""
        return max(Decimal(0), self.ordered - self.accepted - self.waiting)


def most(ordered: Decimal, tolerance: Decimal) -> Decimal:
    """What may be delivered at most: the ordered quantity and `tolerance` percent of it, rounded down to a step."""
    return (ordered * (_HUNDRED + tolerance) / _HUNDRED).quantize(QUANTITY_STEP, ROUND_DOWN)


def room(position: Position, tolerance: Decimal) -> Decimal:
    """What may still be recorded without the buyer's agreement to more; never below nothing."""
    return max(Decimal(0), most(position.ordered, tolerance) - position.accepted - position.waiting)


def acceptable(position: Position, tolerance: Decimal) -> Decimal:
    """What may still be accepted without an agreement to more: what else waits has no claim before it is accepted."""
    return max(Decimal(0), most(position.ordered, tolerance) - position.accepted)


def day_problem(day: date, signed_on: date, today: date) -> DayProblem | None:
    """Both days in the zone of the contract's procedure. On the day of signing itself something may be delivered."""
    if day < signed_on:
        return DayProblem.BEFORE_SIGNING
    return DayProblem.IN_THE_FUTURE if day > today else None


def is_quantity(value: Decimal) -> bool:
    """Above nothing, and in whole steps."""
    return value.is_finite() and 0 < value < Decimal(10) ** 14 and value == value.quantize(QUANTITY_STEP)


def progress(positions: Iterable[Position]) -> int:
    """How much of the contract is delivered, in percent of its price, rounded down: 100 is everything.

    Where no position has a price they weigh alike. More than was ordered of one makes up for nothing of another.
    """
    rows = list(positions)
    weigh = any(row.amount for row in rows)
    whole = done = Decimal(0)
    for row in rows:
        weight = row.amount if weigh else Decimal(1)
        whole += weight
        done += weight * min(max(row.accepted, Decimal(0)), row.ordered) / row.ordered
    if all(row.accepted >= row.ordered for row in rows):
        return 100 if rows else 0
    return min(99, int(done * _HUNDRED / whole)) if whole else 0


def amounts(price: Decimal, ordered: Decimal, quantities: Sequence[Decimal], unit: Decimal) -> list[Decimal]:
    """What each of a position's deliveries is worth, in their order: together what they are worth together, exactly.

    `price` is the position's share of the contract's price. Each is the rounded worth of everything up to it less that
    of everything before it, so that a later delivery changes no earlier amount, and the whole quantity is worth the
    whole price.
    """
    worth, before, found = Decimal(0), Decimal(0), []
    for quantity in quantities:
        worth += quantity
        reached = (price * worth / ordered).quantize(unit, ROUND_HALF_UP)
        found.append(reached - before)
        before = reached
    return found
