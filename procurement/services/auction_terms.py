"""What a lot's auction is fixed to when it is scheduled: its rules, and who has a seat in it."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from marketplace.shared.money import minor_unit
from procurement.models import Auction, AuctionParticipant, Bid, Lot, Tender
from procurement.procedures import AuctionSettings
from procurement.rules.auction.base import AuctionKind, StepKind
from procurement.rules.auction.judging import anonymous_order, step_amount
from procurement.rules.auction.lot_rules import LotRules
from procurement.rules.auction.timetable import THREE_ROUNDS, PriceClock, Timetable
from procurement.rules.effective import half_up_to
from procurement.rules.ranking import Direction

# Between which prices of its lot a clock goes.
_CLOCK_ENDS: Final = {
    AuctionKind.DUTCH: ("clock_price", "limit_price"),
    AuctionKind.JAPANESE: ("limit_price", "clock_price"),
}


def rules_of(tender: Tender, lot: Lot, bids: list[Bid], settings: AuctionSettings) -> LotRules:
    """The rules of the lot's auction, by the tender's settings and the lot's own step and prices."""
    unit, direction = minor_unit(lot.currency), tender.preset.axes.direction
    # Without a limit price a step in percent is counted from what the best first bid counts as: steps are of that.
    effective = [lot.formula(bid.answers).of(_opened_amount(bid)) for bid in bids]
    best = half_up_to(min(effective) if direction is Direction.DOWN else max(effective), unit)
    step = step_amount(StepKind(lot.step_kind), lot.step_value or unit, lot.limit_price or best, unit)
    return LotRules(
        kind=settings.kind,
        direction=direction,
        minor_unit=unit,
        step=step,
        reference=settings.reference,
        shown=settings.shown,
        soft_close_window=timedelta(seconds=settings.soft_close_window_seconds),
        soft_close_extend=timedelta(seconds=settings.soft_close_extend_seconds),
        soft_close_from=settings.soft_close_from,
        max_extensions=settings.max_extensions,
        proxy_bids=settings.proxy_bids,
        clock=_clock(lot, settings, step),
        timetable=_timetable(settings),
    )


def _clock(lot: Lot, settings: AuctionSettings, tick: Decimal) -> PriceClock | None:
    """The prices of a clock: where it begins and where it stops, one of them the limit price."""
    ends = _CLOCK_ENDS.get(settings.kind)
    if ends is None or settings.clock_interval_seconds is None:
        return None
    start, last = (getattr(lot, end) for end in ends)
    return PriceClock(start, tick, timedelta(seconds=settings.clock_interval_seconds), last)


def _timetable(settings: AuctionSettings) -> Timetable:
    given = (settings.first_pause_seconds, settings.pause_seconds, settings.turn_seconds, settings.announcement_seconds)
    if None in given:
        return THREE_ROUNDS
    first, pause, turn, announcement = (timedelta(seconds=seconds or 0) for seconds in given)
    return Timetable((first, pause, pause), turn, announcement)


def seat(auction: Auction, bids: list[Bid], *, stand: bool) -> list[AuctionParticipant]:
    """Seats under labels whose order tells nothing about who came when; `stand`: the first bids stand in the room."""
    by_name = {str(bid.pk): bid for bid in bids}
    order = anonymous_order(by_name, salt=secrets.token_hex())
    labels = {name: str(number) for number, name in enumerate(order, start=1)}
    seats = []
    for name, bid in by_name.items():
        amount = _opened_amount(bid)
        seat = AuctionParticipant(
            auction=auction,
            bid=bid,
            supplier_id=bid.supplier_id,
            label=labels[name],
            initial_amount=amount,
            standing_amount=amount if stand else None,
            standing_at=received_at(bid) if stand else None,
        )
        seats.append(seat)
    return AuctionParticipant.objects.bulk_create(seats)


def _opened_amount(bid: Bid) -> Decimal:
    if bid.amount is None:
        raise ValueError(f"bid {bid.pk} has not been opened")
    return bid.amount


def received_at(bid: Bid) -> datetime:
    """When what stands of the bid was received."""
    received = bid.amount_received_at or bid.received_at
    if received is None:
        raise ValueError(f"bid {bid.pk} was never sent")
    return received
