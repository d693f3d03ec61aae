"""Best price per lot: the arithmetic of the price table and of the comparison, and the flags of abnormally low
bids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType

from procurement.rules.effective import PRICE_ALONE, EffectivePrice, half_up_to
from procurement.rules.ranking import Direction, Standing, ranking

TENTH_OF_A_PERCENT = Decimal("0.1")


@dataclass(frozen=True, slots=True)
class PricedItem:
    """An item of the lot's price table. `quantity` in the item's unit, above zero."""

    item: int
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class PricedBid:
    """An opened bid. `unit_prices` by item; `total` is what stands: after a live auction no longer the sum of the
    table.

    `initial_total` is what the envelope said, the basis of the comparison with the mean of the others. `formula` is
    what its total counts as.
    """

    bidder: str
    unit_prices: Mapping[int, Decimal]
    total: Decimal
    received_at: datetime
    initial_total: Decimal
    formula: EffectivePrice = PRICE_ALONE

    @property
    def effective(self) -> Fraction:
        return self.formula.of(self.total)


@dataclass(frozen=True, slots=True)
class Cell:
    """`above_best` is a percentage with one decimal, half up; None where there is no best price to compare with."""

    unit_price: Decimal | None
    amount: Decimal | None
    best: bool
    above_best: Decimal | None


@dataclass(frozen=True, slots=True)
class Column:
    """A bidder's column, below the items: total, what it counts as, rank, distance from the best and from the limit.

    Ranks, the distance from the best and whether the limit is met go by what counts (`effective`); what is saved, and
    whether a bid is abnormally low, by the totals that would be paid.
    """

    bidder: str
    rank: int
    total: Decimal
    effective: Fraction
    best: bool
    above_best: Decimal | None
    saving: Decimal | None
    saving_percent: Decimal | None
    within_limit: bool
    abnormally_low: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Columns best first; `cells[item]` has one cell per column, in the same order."""

    columns: tuple[Column, ...]
    cells: Mapping[int, tuple[Cell, ...]]


@dataclass(frozen=True, slots=True)
class AbnormallyLow:
    """Shares (percent) below which a bid is flagged: of the mean of the others' initial totals, of the next-ranked
    final total."""

    below_mean: Decimal = Decimal(40)
    below_next: Decimal = Decimal(30)


def line_amount(quantity: Decimal, unit_price: Decimal, minor_unit: Decimal) -> Decimal:
    """Quantity × unit price, rounded half up to the currency's minor unit, line by line."""
    return half_up_to(Fraction(quantity) * Fraction(unit_price), minor_unit)


def table_total(items: Sequence[PricedItem], unit_prices: Mapping[int, Decimal], minor_unit: Decimal) -> Decimal:
    """The sum of the rounded lines: what the bidder reads is what is added. Raises KeyError when an item has no
    price."""
    return sum(
        (line_amount(item.quantity, unit_prices[item.item], minor_unit) for item in items), Decimal(0) * minor_unit
    )


def percent(part: Fraction, whole: Fraction) -> Decimal | None:
    """Part of whole in percent, one decimal, half up; None of nothing."""
    return None if whole == 0 else half_up_to(part / whole * 100, TENTH_OF_A_PERCENT)


def compare(
    items: Sequence[PricedItem],
    bids: Sequence[PricedBid],
    *,
    minor_unit: Decimal,
    direction: Direction = Direction.DOWN,
    limit: Decimal | None = None,
    thresholds: AbnormallyLow | None = None,
    places: Mapping[str, int] = MappingProxyType({}),
) -> Comparison:
    """The comparison table of a lot. Bidders whose totals count as the same stand in the order in which their amounts
    were received.

    `places` are those in which a live auction has left its bidders, and go before anything else: it knows which of two
    bids of one instant came first, and at which price of its clock a bidder stood before that was rounded to an amount.
    """
    lines = ranking((Standing(b.bidder, b.total, b.effective, b.received_at) for b in bids), direction)
    by_bidder = {bid.bidder: bid for bid in bids}
    ordered = [by_bidder[line.standing.bidder] for line in lines]
    ordered.sort(key=lambda bid: places.get(bid.bidder, len(places) + 1))
    flags = abnormally_low(ordered, thresholds or AbnormallyLow()) if direction is Direction.DOWN else {}
    best = ordered[0].effective if ordered else Fraction(0)
    columns = tuple(
        _column(bid, rank, best, direction, limit, flags.get(bid.bidder, ()))
        for rank, bid in enumerate(ordered, start=1)
    )
    return Comparison(columns, {item.item: _cells(item, ordered, minor_unit, direction) for item in items})


def abnormally_low(ordered: Sequence[PricedBid], thresholds: AbnormallyLow) -> dict[str, tuple[str, ...]]:
    """Why a bid is flagged, by bidder; `ordered` is the ranking, best first. A share exactly at the threshold is
    flagged.

    `below_mean`: its total against the mean of the others' initial totals; `below_next`: against the next-ranked
    final total.
    """
    flagged: dict[str, tuple[str, ...]] = {}
    for place, bid in enumerate(ordered):
        others = [Fraction(other.initial_total) for other in ordered if other is not bid]
        reasons = []
        if others and Fraction(bid.total) <= _less(sum(others, Fraction(0)) / len(others), thresholds.below_mean):
            reasons.append("below_mean")
        if place + 1 < len(ordered):
            following = Fraction(ordered[place + 1].total)
            if Fraction(bid.total) <= _less(following, thresholds.below_next):
                reasons.append("below_next")
        if reasons:
            flagged[bid.bidder] = tuple(reasons)
    return flagged


def _less(whole: Fraction, percentage: Decimal) -> Fraction:
    return whole * (100 - Fraction(percentage)) / 100


def _column(
    bid: PricedBid, rank: int, best: Fraction, direction: Direction, limit: Decimal | None, flags: tuple[str, ...]
) -> Column:
    sign = 1 if direction is Direction.DOWN else -1
    saving = None if limit is None else (limit - bid.total) * sign
    return Column(
        bidder=bid.bidder,
        rank=rank,
        total=bid.total,
        effective=bid.effective,
        best=rank == 1,
        # What a clock's price was rounded by is no distance.
        above_best=percent(max((bid.effective - best) * sign, Fraction(0)), best),
        saving=saving,
        saving_percent=None if saving is None or limit is None else percent(Fraction(saving), Fraction(limit)),
        within_limit=limit is None or not direction.better(Fraction(limit), bid.effective),
        abnormally_low=flags,
    )


def _cells(item: PricedItem, bids: Sequence[PricedBid], minor_unit: Decimal, direction: Direction) -> tuple[Cell, ...]:
    prices = [price for bid in bids if (price := bid.unit_prices.get(item.item)) is not None]
    if not prices:
        return tuple(Cell(None, None, False, None) for _ in bids)
    best = min(prices) if direction is Direction.DOWN else max(prices)
    sign = 1 if direction is Direction.DOWN else -1
    cells = []
    for bid in bids:
        price = bid.unit_prices.get(item.item)
        if price is None:
            cells.append(Cell(None, None, False, None))
            continue
        above = percent((Fraction(price) - Fraction(best)) * sign, Fraction(best))
        cells.append(Cell(price, line_amount(item.quantity, price, minor_unit), price == best, above))
    return tuple(cells)
