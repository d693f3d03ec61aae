"""The price table as a bidder fills it in: what was typed is kept, what can be counted is counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from marketplace.shared.money import parse_decimal
from procurement.rules.evaluation import PricedItem, line_amount, percent
from procurement.rules.ranking import Direction

#: A unit price may be finer than the currency: a screw costs 0.0125.
UNIT_PRICE_PLACES = 4
#: Neither a line nor their sum may be longer than the column that holds it.
LARGEST_AMOUNT = Decimal(10) ** 15


class PriceProblem(StrEnum):
    MISSING = "missing"
    NOT_A_NUMBER = "not_a_number"
    NOT_POSITIVE = "not_positive"
    TOO_PRECISE = "too_precise"
    TOO_LARGE = "too_large"


@dataclass(frozen=True, slots=True)
class Line:
    """`typed` is what stands in the field; `amount` is quantity × unit price, rounded half up to the minor unit."""

    item: int
    typed: str
    unit_price: Decimal | None
    amount: Decimal | None
    problem: PriceProblem | None


@dataclass(frozen=True, slots=True)
class PriceTable:
    """`total` adds the lines that have an amount; it is the bid's total only when the table is `complete`.

    `limit` is the most that is paid, or, where the direction is up, the least that is sold for.

    `share_of_limit` and `better_than_limit` are percentages of it with one decimal; None without a limit.
    """

    lines: tuple[Line, ...]
    total: Decimal
    limit: Decimal | None
    direction: Direction = Direction.DOWN

    @property
    def complete(self) -> bool:
        return all(line.problem is None for line in self.lines)

    @property
    def priced(self) -> int:
        return sum(line.amount is not None for line in self.lines)

    @property
    def too_large(self) -> bool:
        """Lines that are right each may add up to what is no price."""
        return self.total >= LARGEST_AMOUNT

    @property
    def beyond_limit(self) -> bool:
        return self.limit is not None and self.direction.better(Fraction(self.limit), Fraction(self.total))

    @property
    def share_of_limit(self) -> Decimal | None:
        return None if self.limit is None else percent(Fraction(self.total), Fraction(self.limit))

    @property
    def better_than_limit(self) -> Decimal | None:
        if self.limit is None:
            return None
        better = self.limit - self.total if self.direction is Direction.DOWN else self.total - self.limit
        return percent(Fraction(better), Fraction(self.limit))


def read(
    items: Sequence[PricedItem],
    typed: Mapping[int, str],
    minor_unit: Decimal,
    limit: Decimal | None = None,
    direction: Direction = Direction.DOWN,
) -> PriceTable:
    """The table of what was typed, one line for each item, in the items' order."""
    lines = tuple(_line(item, typed.get(item.item, ""), minor_unit) for item in items)
    total = sum((line.amount or Decimal(0) for line in lines), Decimal(0) * minor_unit)
    return PriceTable(lines, total, limit, direction)


def _line(item: PricedItem, typed: str, minor_unit: Decimal) -> Line:
    if not typed.strip():
        return Line(item.item, "", None, None, PriceProblem.MISSING)
    try:
        price = parse_decimal(typed)
    except ValueError:
        return Line(item.item, typed, None, None, PriceProblem.NOT_A_NUMBER)
    problem = _problem(item, price, minor_unit)
    if problem:
        return Line(item.item, typed, None, None, problem)
    return Line(item.item, typed, price, line_amount(item.quantity, price, minor_unit), None)


def _problem(item: PricedItem, price: Decimal, minor_unit: Decimal) -> PriceProblem | None:
    # A line that rounds to nothing is a price of nothing.
    if price <= 0 or price * item.quantity * 2 < minor_unit:
        return PriceProblem.NOT_POSITIVE
    if price >= LARGEST_AMOUNT or price * item.quantity >= LARGEST_AMOUNT:
        return PriceProblem.TOO_LARGE
    exponent = price.normalize().as_tuple().exponent
    if isinstance(exponent, int) and -exponent > UNIT_PRICE_PLACES:
        return PriceProblem.TOO_PRECISE
    return None
