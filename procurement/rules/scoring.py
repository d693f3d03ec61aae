"""Weighted scoring of sealed bids: each criterion gives 0 to 100 points, the total is their weighted mean, and every
number comes with the arithmetic that made it.

Exact rationals; rounded half up to two decimals only on show.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from procurement.rules.effective import half_up_to
from procurement.rules.ranking import Direction

HUNDREDTH = Decimal("0.01")


class CriterionKind(StrEnum):
    """price: the bid's amount against the best; value: a number the bidder offers against the best; scored: what the
    committee gives on a scale."""

    PRICE = "price"
    VALUE = "value"
    SCORED = "scored"


@dataclass(frozen=True, slots=True)
class Criterion:
    """`weight` in percent of the total. `direction` says which way a value is better; `minimum` and `maximum` are the
    scale of a scored criterion, `threshold` the mean score below which a bid is rejected."""

    name: str
    kind: CriterionKind
    weight: Decimal
    direction: Direction = Direction.UP
    minimum: Decimal = Decimal(0)
    maximum: Decimal = Decimal(100)
    threshold: Decimal | None = None


@dataclass(frozen=True, slots=True)
class ScoredBid:
    """A bid to be scored: its amount, what it offers by criterion, what each member gave it by criterion."""

    bidder: str
    amount: Decimal
    received_at: datetime
    values: Mapping[str, Decimal]
    given: Mapping[str, Mapping[str, Decimal]]


@dataclass(frozen=True, slots=True)
class Points:
    """What a bid gets for a criterion, from 0 to 100, and how; `mean` is the committee's."""

    criterion: str
    points: Fraction
    weighted: Fraction
    arithmetic: str
    mean: Fraction | None = None


@dataclass(frozen=True, slots=True)
class Scored:
    """A bid's points and total. `rejected` names the criteria whose threshold it missed: it is not ranked, and is no
    best bid for the others."""

    bid: ScoredBid
    points: tuple[Points, ...]
    total: Fraction
    arithmetic: str
    rejected: tuple[str, ...]


def shown(number: Fraction | Decimal) -> str:
    """Two decimals, half up."""
    return f"{half_up_to(Fraction(number), HUNDREDTH):f}"


def score(criteria: Sequence[Criterion], bids: Sequence[ScoredBid], direction: Direction) -> tuple[Scored, ...]:
    """Every bid with its points, the ranked ones best first (by total, then by receipt), the rejected ones last.

    Raises KeyError where a value or a score is missing.
    """
    rejected = {bid.bidder: _missed(criteria, bid) for bid in bids}
    standing = [bid for bid in bids if not rejected[bid.bidder]]
    scored = [_scored(criteria, bid, standing, direction, rejected[bid.bidder]) for bid in bids]
    return tuple(sorted(scored, key=lambda one: (bool(one.rejected), -one.total, one.bid.received_at)))


def ties(scored: Sequence[Scored]) -> list[tuple[str, ...]]:
    """The groups of ranked bidders with the same total, in the order that receipt gives them."""
    groups: dict[Fraction, list[str]] = {}
    for one in scored:
        if not one.rejected:
            groups.setdefault(one.total, []).append(one.bid.bidder)
    return [tuple(group) for group in groups.values() if len(group) > 1]


def _missed(criteria: Sequence[Criterion], bid: ScoredBid) -> tuple[str, ...]:
    return tuple(
        criterion.name
        for criterion in criteria
        if criterion.threshold is not None and _mean(bid.given[criterion.name]) < Fraction(criterion.threshold)
    )


def _scored(
    criteria: Sequence[Criterion],
    bid: ScoredBid,
    standing: Sequence[ScoredBid],
    direction: Direction,
    rejected: tuple[str, ...],
) -> Scored:
    points = tuple(_points(criterion, bid, standing or [bid], direction) for criterion in criteria)
    total = sum((given.weighted for given in points), Fraction(0))
    parts = " + ".join(shown(given.weighted) for given in points)
    return Scored(bid, points, total, f"{parts} = {shown(total)}", rejected)


def _points(criterion: Criterion, bid: ScoredBid, standing: Sequence[ScoredBid], direction: Direction) -> Points:
    mean = None
    if criterion.kind is CriterionKind.SCORED:
        points, mean, told = _on_scale(criterion, bid.given[criterion.name])
    elif criterion.kind is CriterionKind.PRICE:
        points, told = _against_best(bid.amount, [other.amount for other in standing], direction)
    else:
        offered = [other.values[criterion.name] for other in standing]
        points, told = _against_best(bid.values[criterion.name], offered, criterion.direction)
    weighted = points * Fraction(criterion.weight) / 100
    arithmetic = f"{told} = {shown(points)}; × {criterion.weight:f}% = {shown(weighted)}"
    return Points(criterion.name, points, weighted, arithmetic, mean)


def _against_best(own: Decimal, offered: Sequence[Decimal], direction: Direction) -> tuple[Fraction, str]:
    """The share of the best, times 100; at most 100, which only a rejected bid would pass."""
    if direction is Direction.DOWN:
        best = min(offered)
        if own == 0:
            return Fraction(100), "nothing can be less: 100"
        return min(Fraction(best) / Fraction(own) * 100, Fraction(100)), f"{best:f} ÷ {own:f} × 100"
    best = max(offered)
    if best == 0:
        return Fraction(0), "nobody offers anything: 0"
    return min(Fraction(own) / Fraction(best) * 100, Fraction(100)), f"{own:f} ÷ {best:f} × 100"


def _on_scale(criterion: Criterion, given: Mapping[str, Decimal]) -> tuple[Fraction, Fraction, str]:
    mean, low, high = _mean(given), criterion.minimum, criterion.maximum
    scores = " + ".join(f"{number:f}" for number in given.values())
    told = f"({scores}) ÷ {len(given)} = {shown(mean)}; ({shown(mean)} − {low:f}) ÷ ({high:f} − {low:f}) × 100"
    return (mean - Fraction(low)) / (Fraction(high) - Fraction(low)) * 100, mean, told


def _mean(given: Mapping[str, Decimal]) -> Fraction:
    return sum(map(Fraction, given.values()), Fraction(0)) / len(given)
