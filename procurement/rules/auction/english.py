"""English auction, reverse and forward: every bid beats a reference by the step; the best standing bid at the end
wins."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from fractions import Fraction
from functools import partial

from procurement.rules.auction import proxies
from procurement.rules.auction.base import (
    Action,
    Allowance,
    Bid,
    Decision,
    Happening,
    Move,
    Refused,
    Room,
)
from procurement.rules.auction.concession import (
    allowed_amount,
    leads_against_itself,
    refused_for_price,
    worst_admitted,
)
from procurement.rules.auction.judging import effective_of, end_after, refused_for_shape, refused_in_room
from procurement.rules.ranking import Standing

__all__ = ["allowed", "allowed_amount", "coming", "decide", "decide_all", "hopeless"]


def decide(room: Room, bid: Bid) -> tuple[Decision, Room]:
    """What becomes of one bid, and the room after it (the same one when the bid is refused)."""
    if bid.action is not Action.BID or bid.amount is None:
        return _not_a_bid(room, bid)
    effective = room.terms.formula(bid.bidder).of(bid.amount) if bid.amount.is_finite() else Fraction(0)
    closed = _closed(room, bid.bidder, bid.received_at)
    if closed is not None:
        return Decision(bid, closed, None, effective, room.ends_at), room
    admitted = partial(allowed_amount, room, bid.bidder)
    code = refused_for_shape(bid.amount, room.terms.minor_unit) or refused_for_price(room, bid.bidder, effective)
    if code is not None:
        return Decision(bid, code, admitted, effective, room.ends_at), room
    ends_at = end_after(room, bid.received_at)
    extended = ends_at > room.ends_at
    standing = Standing(bid.bidder, bid.amount, effective, bid.received_at, room.order + 1)
    after = room.with_standing(standing, ends_at, room.extensions + extended)
    if after.play is not None:
        after = proxies.called(after, bid.received_at)
    return Decision(bid, None, admitted, effective, ends_at, extended), after


def decide_all(room: Room, bids: Iterable[Bid]) -> tuple[list[Decision], Room]:
    """Decides a batch one after another, in the order given: the order of receipt."""
    decisions = []
    for bid in bids:
        decision, room = decide(room, bid)
        decisions.append(decision)
    return decisions, room


def allowed(room: Room, bidder: str, at: datetime) -> Allowance:
    """What the bidder may do at that moment. A leader that may not bid may still set a proxy limit."""
    if closed := refused_in_room(room, bidder, at):
        return Allowance((), code=closed)
    limit = (Action.LIMIT,) if room.terms.proxy_bids else ()
    if leads_against_itself(room, bidder):
        return Allowance(limit, None, room.ends_at, Refused.ALREADY_LEADING)
    amount = allowed_amount(room, bidder)
    if amount is None and worst_admitted(room, bidder) is not None:
        return Allowance((), None, room.ends_at, Refused.NO_ROOM_LEFT)
    return Allowance((Action.BID, *limit), amount, room.ends_at)


def coming(room: Room) -> tuple[Happening, Room] | None:
    """What the bidders' proxies answer; nothing else happens by itself."""
    return None if room.play is None else proxies.answer(room)


def hopeless(room: Room, bid: Bid) -> bool:
    """Whether the bid cannot be accepted however late the room that judges it is read: the price to beat only improves.

    May be asked of a stale room, without the lock; True is certain, False is not.
    """
    if bid.action is not Action.BID:
        return False
    if bid.amount is None or refused_for_shape(bid.amount, room.terms.minor_unit) is not None:
        return True
    worst = worst_admitted(room, bid.bidder)
    effective = room.terms.formula(bid.bidder).of(bid.amount)
    return worst is not None and room.terms.direction.better(worst, effective)


def _closed(room: Room, bidder: str, at: datetime) -> Refused | None:
    closed = refused_in_room(room, bidder, at)
    if closed is None and leads_against_itself(room, bidder):
        return Refused.ALREADY_LEADING
    return closed


def _not_a_bid(room: Room, move: Move) -> tuple[Decision, Room]:
    closed = refused_in_room(room, move.bidder, move.received_at)
    admitted = allowed_amount(room, move.bidder) if closed is None else None
    if closed is None and move.action is Action.LIMIT and room.terms.proxy_bids:
        code, after = proxies.limited(room, move)
        return Decision(move, code, admitted, effective_of(room, move), room.ends_at), after
    return Decision(move, closed or Refused.WRONG_ACTION, admitted, effective_of(room, move), room.ends_at), room
