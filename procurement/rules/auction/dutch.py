"""Dutch auction: the price moves by a tick every interval, and the first acceptance wins at the price of its moment.

Buying, the price usually rises until a supplier takes it; selling, it falls until a buyer does. The clock's own start
and last price say which way it goes.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from procurement.rules.auction.base import (
    Action,
    Allowance,
    Decision,
    Happening,
    Move,
    Refused,
    Room,
)
from procurement.rules.auction.judging import effective_of, refused_in_room
from procurement.rules.auction.ticking import Ticked, amount_at, begins, clock_of, tick_at, ticked
from procurement.rules.ranking import Standing


def decide(room: Room, move: Move) -> tuple[Decision, Room]:
    """What becomes of an acceptance. It counts at the price of its receipt, whatever tick it is decided in."""
    may = allowed(room, move.bidder, move.received_at)
    code = _refused(may, move)
    if code is not None or may.amount is None:
        return Decision(move, code, may.amount, effective_of(room, move), room.ends_at), room
    effective = room.terms.formula(move.bidder).of(may.amount)
    standing = Standing(move.bidder, may.amount, effective, move.received_at, room.order + 1)
    after = room.with_standing(standing, move.received_at, room.extensions)
    return Decision(move, None, may.amount, effective, after.ends_at), after


def allowed(room: Room, bidder: str, at: datetime) -> Allowance:
    """The price that the bidder may accept at that moment, as the amount it would get or pay."""
    closed = refused_in_room(room, bidder, at)
    if closed is None and room.leader is not None:
        closed = Refused.OVER
    if closed is not None:
        return Allowance((), code=closed)
    tick = tick_at(room, at)
    amount, until = amount_at(room, bidder, tick), begins(room, tick + 1)
    if amount is None:
        return Allowance((), until=until, code=Refused.NO_ROOM_LEFT)
    return Allowance((Action.ACCEPT,), amount, until)


def coming(room: Room) -> tuple[Happening, Room] | None:
    """The next tick; none after the last, nor after an acceptance."""
    tick = (room.play.tick if isinstance(room.play, Ticked) else -1) + 1
    if room.leader is not None or tick > clock_of(room).last_tick:
        return None
    return ticked(room, tick), replace(room, play=Ticked(tick))


def _refused(may: Allowance, move: Move) -> Refused | None:
    if move.action is not Action.ACCEPT and may.code in (None, Refused.NO_ROOM_LEFT):
        return Refused.WRONG_ACTION
    if may.code is None and move.amount is not None and move.amount != may.amount:
        return Refused.PRICE_MOVED
    return may.code
