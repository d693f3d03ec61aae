"""Effective price: what is compared where not only the price counts. Exact rationals; rounding only on show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal, localcontext
from fractions import Fraction

from procurement.rules.ranking import Direction


@dataclass(frozen=True, slots=True)
class EffectivePrice:
    """A bidder's linear formula, effective = amount × factor + addend; the default is the price alone."""

    factor: Fraction = Fraction(1)
    addend: Fraction = Fraction(0)

    def of(self, amount: Decimal) -> Fraction:
        """The effective price of an amount."""
        return Fraction(amount) if self is PRICE_ALONE else Fraction(amount) * self.factor + self.addend

    def amount(self, effective: Fraction) -> Fraction:
        """The amount that would have this effective price."""
        return effective if self is PRICE_ALONE else (effective - self.addend) / self.factor


PRICE_ALONE = EffectivePrice()


def by_features(shares: Sequence[Decimal], maxima: Sequence[Decimal], direction: Direction) -> EffectivePrice:
    """Amount ÷ k when buying, × k when selling, k = 1 + (sum of shares) ÷ (1 − sum of maxima).

    A share is the part of the weight that the bidder's answer earned, at most the feature's maximum. Raises
    ValueError otherwise.
    """
    if len(shares) != len(maxima):
        raise ValueError("one share for each feature")
    for share, maximum in zip(shares, maxima, strict=True):
        if not 0 <= share <= maximum:
            raise ValueError("a share lies between 0 and its feature's maximum")
    remainder = 1 - sum(map(Fraction, maxima), Fraction(0))
    if remainder <= 0:
        raise ValueError("the features' maxima sum to less than 1")
    k = 1 + sum(map(Fraction, shares), Fraction(0)) / remainder
    return EffectivePrice(factor=1 / k if direction is Direction.DOWN else k)


def by_life_cycle_cost(non_price_cost: Decimal) -> EffectivePrice:
    """Amount + non-price cost, in the lot's currency."""
    return EffectivePrice(addend=Fraction(non_price_cost))


def bound(formula: EffectivePrice, limit: Decimal, minor_unit: Decimal, direction: Direction) -> Decimal:
    """The limit, which is of effective prices, as an amount of this bidder: the worst that still meets it. Below zero
    where costs alone are beyond it."""
    if formula is PRICE_ALONE:
        return limit
    amount = formula.amount(Fraction(limit))
    return floor_to(amount, minor_unit) if direction is Direction.DOWN else ceil_to(amount, minor_unit)


def floor_to(value: Fraction, minor_unit: Decimal) -> Decimal:
    """The largest multiple of the minor unit that is not above the value."""
    return _rounded(value, minor_unit, ROUND_FLOOR)


def ceil_to(value: Fraction, minor_unit: Decimal) -> Decimal:
    """The smallest multiple of the minor unit that is not below the value."""
    return _rounded(value, minor_unit, ROUND_CEILING)


def half_up_to(value: Fraction, minor_unit: Decimal) -> Decimal:
    """The nearest multiple of the minor unit, halves away from zero: for show and for lines of a price table."""
    return _rounded(value, minor_unit, ROUND_HALF_UP)


def _rounded(value: Fraction, minor_unit: Decimal, rounding: str) -> Decimal:
    # Whole numbers throughout: this is asked for every bid.
    numerator, denominator = minor_unit.as_integer_ratio()
    divisor = value.denominator * numerator
    whole, rest = divmod(value.numerator * denominator, divisor)
    if rounding == ROUND_CEILING:
        whole += rest > 0
    elif rounding == ROUND_HALF_UP:
        whole += 2 * rest > divisor or (2 * rest == divisor and value.numerator > 0)
    with localcontext() as context:
        context.prec = max(28, len(str(whole)) + 8)
        return (whole * minor_unit).quantize(minor_unit)
