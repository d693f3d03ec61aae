"""What is asked of a move whatever the kind: whether it comes in time, whether it names a price, when the end is after
it; and who wins where nothing else is said."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from hashlib import sha256

from procurement.rules.auction.base import LARGEST_AMOUNT, ExtendFrom, Move, Outcome, Refused, Room, StepKind
from procurement.rules.effective import half_up_to
from procurement.rules.lifecycle import AuctionStatus


def at_own_price(room: Room) -> Outcome:
    """The best standing bid wins, at its own price."""
    best = room.leader
    return Outcome(best.bidder, best.amount) if best else Outcome(None, None)


def effective_of(room: Room, move: Move) -> Fraction | None:
    """The effective price of the amount the move names; None where it names none."""
    if move.amount is None or not move.amount.is_finite():
        return None
    return room.terms.formula(move.bidder).of(move.amount)


def step_amount(kind: StepKind, value: Decimal, start_price: Decimal | None, minor_unit: Decimal) -> Decimal:
    """The step in money. A percentage is of the start price, rounded half up to the minor unit, and at least one
    minor unit.

    Raises ValueError for a percentage without a start price and for a step that is not positive.
    """
    if value <= 0:
        raise ValueError("a step is above zero")
    if kind is StepKind.AMOUNT:
        return value
    if start_price is None:
        raise ValueError("a step in percent needs a start price")
    return max(half_up_to(Fraction(start_price) * Fraction(value) / 100, minor_unit), minor_unit)


def refused_for_time(room: Room, at: datetime) -> Refused | None:
    """Half-open: a bid received at the instant of the end is late, whenever it is decided.

    A scheduled room whose time has come refuses too: the clock starts it, and only a started room is in the log.
    """
    if room.status is AuctionStatus.CANCELLED:
        return Refused.CANCELLED
    if room.status is AuctionStatus.ENDED:
        return Refused.OVER
    if room.status is AuctionStatus.PAUSED:
        return Refused.PAUSED
    if room.status is AuctionStatus.SCHEDULED or at < room.starts_at:
        return Refused.NOT_STARTED
    return Refused.OVER if at >= room.ends_at else None


def refused_in_room(room: Room, bidder: str, at: datetime) -> Refused | None:
    """Whether nothing at all may be done: the room is closed, or not for this bidder."""
    if closed := refused_for_time(room, at):
        return closed
    return None if bidder in room.bidders else Refused.NOT_A_PARTICIPANT


def refused_for_shape(amount: Decimal, minor_unit: Decimal) -> Refused | None:
    """Whether the amount is a price at all: above zero, storable, in whole minor units."""
    if not amount.is_finite() or amount <= 0:
        return Refused.NOT_POSITIVE
    if amount >= LARGEST_AMOUNT:
        return Refused.TOO_LARGE
    return Refused.TOO_PRECISE if amount % minor_unit else None


def end_after(room: Room, received_at: datetime) -> datetime:
    """The end after a valid bid received at this time. A soft close only ever moves the end later."""
    soft = room.terms.soft_close
    if soft is None or received_at < room.ends_at - soft.window:
        return room.ends_at
    if soft.max_extensions is not None and room.extensions >= soft.max_extensions:
        return room.ends_at
    base = received_at if soft.counted_from is ExtendFrom.RECEIPT else room.ends_at
    moved = base + soft.extend
    if soft.hard_stop_at is not None:
        moved = min(moved, soft.hard_stop_at)
    return max(room.ends_at, moved)


def anonymous_order(bidders: Iterable[str], salt: str) -> list[str]:
    """The bidders in an order that tells nothing about them: for labels "Bidder 1", "Bidder 2"… fixed for the whole
    auction."""
    return sorted(bidders, key=lambda bidder: sha256(f"{salt}:{bidder}".encode()).digest())
