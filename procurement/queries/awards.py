"""What an award is decided on: the comparison of opened bids, and the awards made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db.models import F, QuerySet

from marketplace.shared.money import minor_unit
from procurement.models import AuctionEvent, AuctionParticipant, Award, Bid, Item, Lot, Tender
from procurement.queries import bids
from procurement.rules.auction import kinds
from procurement.rules.auction.base import Room, SingleBidPrice, Terms
from procurement.rules.auction.log import EventKind
from procurement.rules.evaluation import AbnormallyLow, Cell, Column, Comparison, PricedBid, PricedItem, compare
from procurement.rules.lifecycle import AuctionStatus, AwardStatus, BidStatus
from procurement.rules.ranking import Standing


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """An item and one cell for each bidder, in the columns' order."""

    item: Item
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class LotComparison:
    """Bidders best first as (column, bid) pairs; rejected bids and unreadable ones stand apart."""

    lot: Lot
    columns: tuple[tuple[Column, Bid], ...]
    rows: tuple[ComparisonRow, ...]
    rejected: tuple[Bid, ...]


def comparison_of(lot: Lot, opened: Iterable[Bid], items: Iterable[Item] | None = None) -> Comparison:
    """The rules' comparison of bids whose prices are loaded; bidders are the bids' ids as strings. Where an auction has
    ended its ranking is the lot's."""
    terms = lot.tender.terms
    priced = [PricedItem(item.pk, item.quantity) for item in (lot.items.all() if items is None else items)]
    return compare(
        priced,
        [_priced(bid, lot) for bid in opened],
        minor_unit=minor_unit(lot.currency),
        direction=lot.tender.preset.axes.direction,
        limit=lot.limit_price,
        thresholds=AbnormallyLow(terms.abnormally_low_below_mean, terms.abnormally_low_below_next),
        places=_places_in_auction(lot) if lot.tender.preset.live else {},
    )


def _places_in_auction(lot: Lot) -> dict[str, int]:
    """The place of each bid of the lot, by its id, in which its live auction left it; nothing where none has ended."""
    ended = AuctionEvent.objects.filter(
        auction__lot=lot, number=F("auction__last_event"), kind=EventKind.ENDED.value
    ).first()
    if ended is None:
        return {}
    bids_of = dict(AuctionParticipant.objects.filter(auction=ended.auction_id).values_list("pk", "bid_id"))
    return {str(bids_of[int(line["bidder"])]): line["rank"] for line in ended.detail["ranking"]}


def price_to_pay(lot: Lot, chosen: Bid, standing: Sequence[Bid]) -> Decimal:
    """What the chosen bid is awarded at, in the lot's currency, by the rule of the procedure's auction.

    `standing` are the bids that can win, best first. Bids better than the chosen one have been passed over, for a
    reason that is signed, and set no price.
    """
    kind = lot.tender.preset.auction
    if kind is None or lot.tender.preset.live:
        return _amount(chosen)
    terms = Terms(
        direction=lot.tender.preset.axes.direction,
        minor_unit=minor_unit(lot.currency),
        limit=lot.limit_price,
        step=minor_unit(lot.currency),
        formulas={str(bid.pk): lot.formula(bid.answers) for bid in standing},
        kind=kind,
        single_bid_price=lot.tender.terms.single_bid_price or SingleBidPrice.OWN,
    )
    counted = [_standing(bid, terms) for bid in standing[standing.index(chosen) :]]
    began = counted[0].received_at
    room = Room(
        terms, AuctionStatus.ENDED, began, began, frozenset(bid.bidder for bid in counted),
        {bid.bidder: bid for bid in counted},
    )  # fmt: skip
    price = kinds.outcome(room).price
    return _amount(chosen) if price is None else price


def _standing(bid: Bid, terms: Terms) -> Standing:
    assert bid.amount_received_at is not None
    amount, bidder = _amount(bid), str(bid.pk)
    return Standing(bidder, amount, terms.formula(bidder).of(amount), bid.amount_received_at, bid.pk)


def _amount(bid: Bid) -> Decimal:
    assert bid.amount is not None  # a bid that can win has been opened
    return bid.amount


def comparison(lot: Lot, at: datetime) -> LotComparison:
    """The comparison table of a lot; without a column before the opening. Five queries."""
    items = list(lot.items.select_related("category"))
    opened = list(bids.opened_of_tender(lot.tender, at).filter(lot=lot))
    for bid in opened:
        bid.lot = lot
    counted = {str(b.pk): b for b in opened if b.status != BidStatus.REJECTED and b.amount is not None}
    found = comparison_of(lot, counted.values(), items)
    return LotComparison(
        lot=lot,
        columns=tuple((column, counted[column.bidder]) for column in found.columns),
        rows=tuple(ComparisonRow(item, found.cells[item.pk]) for item in items),
        rejected=tuple(bid for bid in opened if str(bid.pk) not in counted),
    )


def live_of(lot: Lot) -> Award | None:
    """The award being decided or in force."""
    return of_tender(lot.tender).filter(lot=lot, status__in=LIVE).first()


def of_tender(tender: Tender) -> QuerySet[Award]:
    """Every award of the tender with its bid's supplier and its signature, in the order of lots and decisions."""
    return Award.objects.filter(lot__tender=tender).select_related(
        "lot", "bid__supplier", "decided_by", "signature__certificate", "signature__stamp"
    )


LIVE = (AwardStatus.PENDING.value, AwardStatus.ACTIVE.value)


def _priced(bid: Bid, lot: Lot) -> PricedBid:
    assert bid.amount is not None
    assert bid.initial_amount is not None
    assert bid.amount_received_at is not None
    return PricedBid(
        bidder=str(bid.pk),
        unit_prices={price.item_id: price.unit_price for price in bid.prices.all()},
        total=bid.amount,
        received_at=bid.amount_received_at,
        initial_total=bid.initial_amount,
        formula=lot.formula(bid.answers),
    )
