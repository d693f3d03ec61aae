"""Japanese auction: the price moves, and every bidder confirms each tick or is out for good.

When a tick is over and no more than one bidder has confirmed it, or it was the last one, the auction is over: who
confirmed the best price first has won, at that price.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from procurement.rules.auction.base import (
    Action,
    Allowance,
    Decision,
    Happening,
    HappeningKind,
    Move,
    Refused,
    Room,
)
from procurement.rules.auction.judging import effective_of, refused_in_room
from procurement.rules.auction.ticking import Ticked, amount_at, begins, clock_of, price_at, ticked
from procurement.rules.ranking import Standing


@dataclass(frozen=True, slots=True)
class Confirming(Ticked):
    """Besides, who is still in, who has confirmed the tick, whether it was the last."""

    remaining: frozenset[str] = frozenset()
    confirmed: frozenset[str] = frozenset()
    stopped: bool = False


def decide(room: Room, move: Move) -> tuple[Decision, Room]:
    """What becomes of a confirmation of the tick that runs."""
    may = allowed(room, move.bidder, move.received_at)
    code = _refused(may, move)
    if code is not None or may.amount is None:
        return Decision(move, code, may.amount, effective_of(room, move), room.ends_at), room
    play = _play(room)
    # All who confirm a tick stand at its price: what rounding to the minor unit left over decides nothing.
    standing = Standing(move.bidder, may.amount, price_at(room, play.tick), move.received_at, room.order + 1)
    after = room.with_standing(standing, room.ends_at, room.extensions)
    play = replace(play, confirmed=play.confirmed | {move.bidder})
    return Decision(move, None, may.amount, room.terms.formula(move.bidder).of(may.amount), room.ends_at), replace(
        after, play=play
    )


def allowed(room: Room, bidder: str, at: datetime) -> Allowance:
    """The price that the bidder may confirm, as the amount it would get or pay. The room is up to date."""
    if closed := refused_in_room(room, bidder, at):
        return Allowance((), code=closed)
    play = _play(room)
    if play.stopped:
        return Allowance((), code=Refused.OVER)
    if bidder not in play.remaining:
        return Allowance((), code=Refused.OUT)
    until = begins(room, play.tick + 1)
    if bidder in play.confirmed:
        return Allowance((), until=until, code=Refused.ALREADY_CONFIRMED)
    amount = amount_at(room, bidder, play.tick)
    if amount is None:
        return Allowance((), until=until, code=Refused.NO_ROOM_LEFT)
    return Allowance((Action.CONFIRM,), amount, until)


def coming(room: Room) -> tuple[Happening, Room] | None:
    """The next tick, or that there is none: a tick without price and number is the end of the last one."""
    play = _play(room)
    if play.stopped:
        return None
    tick = play.tick + 1
    if tick == 0:
        return ticked(room, tick), replace(room, play=replace(play, tick=tick))
    out = tuple(sorted(play.remaining - play.confirmed))
    if len(play.confirmed) <= 1 or play.tick == clock_of(room).last_tick:
        at = begins(room, tick)
        stopped = replace(play, remaining=play.confirmed, stopped=True)
        return Happening(HappeningKind.TICK, at, number=tick, out=out), replace(room, play=stopped, ends_at=at)
    return ticked(room, tick, out), replace(room, play=Confirming(tick, play.confirmed))


def _play(room: Room) -> Confirming:
    return room.play if isinstance(room.play, Confirming) else Confirming(-1, room.bidders)


def _refused(may: Allowance, move: Move) -> Refused | None:
    of_this_bidder = (None, Refused.OUT, Refused.NO_ROOM_LEFT, Refused.ALREADY_CONFIRMED)
    if move.action is not Action.CONFIRM and may.code in of_this_bidder:
        return Refused.WRONG_ACTION
    if may.code is None and move.amount is not None and move.amount != may.amount:
        return Refused.PRICE_MOVED
    return may.code
