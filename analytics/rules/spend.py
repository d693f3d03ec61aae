"""Arithmetic of a buyer's spend: savings against limit prices, shares, amounts split so that they add up, months."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from typing import Final

SHARE_STEP: Final = Decimal("0.001")


@dataclass(frozen=True, slots=True)
class Saving:
    """What contracts cost beside the limit prices of their lots; only contracts whose lot had one are counted."""

    limit: Decimal = Decimal(0)
    amount: Decimal = Decimal(0)
    contracts: int = 0

    @property
    def saved(self) -> Decimal:
        """Below zero where contracts cost more than their limits."""
        return self.limit - self.amount

    @property
    def share(self) -> Decimal | None:
        """`saved` as a share of the limit prices; None where there was none."""
        return share(self.saved, self.limit)


def share(part: Decimal, whole: Decimal) -> Decimal | None:
    """`part / whole`, half up to a tenth of a percent (0.125 is 12.5%); None of nothing."""
    return (part / whole).quantize(SHARE_STEP, ROUND_HALF_UP) if whole else None


def apportion(parts: Sequence[Decimal], total: Decimal, unit: Decimal) -> list[Decimal]:
    """`parts` in whole units that add up to `total` exactly: each is rounded down, and the units left over go to the
    largest remainders, the earlier part first (Hamilton's method). The exact parts must add up to about `total`."""
    lower = [part.quantize(unit, ROUND_DOWN) for part in parts]
    left = int(((total - sum(lower, Decimal(0))) / unit).to_integral_value(ROUND_HALF_UP))
    by_remainder = sorted(range(len(parts)), key=lambda index: (lower[index] - parts[index], index))
    for index in by_remainder[: max(0, left)]:
        lower[index] += unit
    return lower


def months(first: date, last: date) -> list[date]:
    """The first days of every month from that of `first` to that of `last`."""
    count = (last.year - first.year) * 12 + last.month - first.month + 1
    return [_month_after(first, number) for number in range(count)]


def first_of_period(last: date, length: int) -> date:
    """The first day of a period of `length` whole months that ends with the month of `last`."""
    return _month_after(last, 1 - length)


def _month_after(day: date, number: int) -> date:
    year, month = divmod(day.year * 12 + day.month - 1 + number, 12)
    return date(year, month + 1, 1)
