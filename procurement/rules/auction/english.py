"""English auction, reverse and forward: every bid beats a reference by the step; the best standing bid at the end
wins."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from procurement.rules.auction.base import (
    Action,
    Allowance,
    Bid,
    Decision,
    Happening,
    Reference,
    Refused,
    Room,
    end_after,
    refused_for_shape,
    refused_in_room,
)
from procurement.rules.ranking import Direction, Standing


def decide(room: Room, bid: Bid) -> tuple[Decision, Room]:
    """What becomes of one bid, and the room after it (the same one when the bid is refused)."""
    if bid.action is not Action.BID or bid.amount is None:
        return _not_a_bid(room, bid)
    effective = room.terms.formula(bid.bidder).of(bid.amount) if bid.amount.is_finite() else Fraction(0)
    closed = refused_in_room(room, bid.bidder, bid.received_at)
    if closed is None and _leads_against_itself(room, bid.bidder):
        closed = Refused.ALREADY_LEADING
    if closed is not None:
        return Decision(bid, closed, None, effective, room.ends_at), room
    admitted = allowed_amount(room, bid.bidder)
    code = refused_for_shape(bid.amount, room.terms.minor_unit) or _refused_for_price(
        room, bid.bidder, effective, admitted
    )
    if code is not None:
        return Decision(bid, code, admitted, effective, room.ends_at), room
    ends_at = end_after(room, bid.received_at)
    extended = ends_at > room.ends_at
    standing = Standing(bid.bidder, bid.amount, effective, bid.received_at, room.order + 1)
    after = room.with_standing(standing, ends_at, room.extensions + extended)
    return Decision(bid, None, admitted, effective, ends_at, extended), after


def allowed(room: Room, bidder: str, at: datetime) -> Allowance:
    """What the bidder may do at that moment."""
    closed = refused_in_room(room, bidder, at)
    if closed is None and _leads_against_itself(room, bidder):
        closed = Refused.ALREADY_LEADING
    if closed is not None:
        return Allowance((), code=closed)
    amount = allowed_amount(room, bidder)
    if amount is None and _worst_admitted(room, bidder) is not None:
        return Allowance((), until=room.ends_at, code=Refused.NO_ROOM_LEFT)
    return Allowance((Action.BID,), amount, room.ends_at)


def coming(room: Room) -> tuple[Happening, Room] | None:
    """What happens next without a bid."""
    return None


def decide_all(room: Room, bids: Iterable[Bid]) -> tuple[list[Decision], Room]:
    """Decides a batch one after another, in the order given: the order of receipt."""
    decisions = []
    for bid in bids:
        decision, room = decide(room, bid)
        decisions.append(decision)
    return decisions, room


def allowed_amount(room: Room, bidder: str) -> Decimal | None:
    """The least concession the bidder may type now, time aside: in minor units, rounded so that it is admitted.

    None when the bidder leads against itself, when nothing above zero is left, or when a purchase has no bound yet
    (no limit price and nothing to beat: any amount will do).
    """
    if _leads_against_itself(room, bidder):
        return None
    worst = _worst_admitted(room, bidder)
    smallest = room.terms.minor_unit
    if room.terms.direction is Direction.UP:
        return smallest if worst is None else max(room.terms.admissible_amount(bidder, worst), smallest)
    if worst is None:
        return None
    amount = room.terms.admissible_amount(bidder, worst)
    return amount if amount > 0 else None


def _not_a_bid(room: Room, move: Bid) -> tuple[Decision, Room]:
    closed = refused_in_room(room, move.bidder, move.received_at)
    admitted = allowed_amount(room, move.bidder) if closed is None else None
    return Decision(move, closed or Refused.WRONG_ACTION, admitted, None, room.ends_at), room


def hopeless(room: Room, bid: Bid) -> bool:
    """Whether the bid cannot be accepted however late the room that judges it is read: the price to beat only improves.

    May be asked of a stale room, without the lock; True is certain, False is not.
    """
    if bid.amount is None or refused_for_shape(bid.amount, room.terms.minor_unit) is not None:
        return True
    worst = _worst_admitted(room, bid.bidder)
    effective = room.terms.formula(bid.bidder).of(bid.amount)
    return worst is not None and room.terms.direction.better(worst, effective)


def _leads_against_itself(room: Room, bidder: str) -> bool:
    return room.terms.reference is Reference.LEADER and room.leader is not None and room.leader.bidder == bidder


def _to_beat(room: Room, bidder: str) -> Fraction | None:
    """The reference moved by the step: the worst effective price that beats it; None while nothing stands."""
    reference = room.leader if room.terms.reference is Reference.LEADER else room.standings.get(bidder)
    return None if reference is None else reference.effective + room.terms.exact_step


def _worst_admitted(room: Room, bidder: str) -> Fraction | None:
    beat, limit = _to_beat(room, bidder), room.terms.exact_limit
    if beat is None or limit is None:
        return limit if beat is None else beat
    return room.terms.direction.best(beat, limit)


def _refused_for_price(room: Room, bidder: str, effective: Fraction, admitted: Decimal | None) -> Refused | None:
    better = room.terms.direction.better
    limit, beat = room.terms.exact_limit, _to_beat(room, bidder)
    if limit is not None and better(limit, effective):
        return Refused.LIMIT_NOT_MET
    if beat is not None and better(beat, effective):
        return Refused.STEP_NOT_MET if admitted is not None else Refused.NO_ROOM_LEFT
    return None
