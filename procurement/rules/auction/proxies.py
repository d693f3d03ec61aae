"""Proxy bidding: as long as a bidder with a limit does not lead, the system bids the least concession for it, one after
the other, at the instant of what called for it, and never past the limit.

Of several the limit that was received first bids first. What two come to that answer each other is found without making
all their bids in the room (`duel`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from math import ceil

from procurement.rules.auction import duel
from procurement.rules.auction.base import (
    LARGEST_AMOUNT,
    Happening,
    HappeningKind,
    Move,
    Play,
    Reference,
    Refused,
    Room,
)
from procurement.rules.auction.concession import (
    allowed_amount,
    leads_against_itself,
    refused_for_price,
    worst_admitted,
)
from procurement.rules.auction.judging import end_after, refused_for_shape
from procurement.rules.ranking import Direction, Standing


@dataclass(frozen=True, slots=True)
class Limit:
    """How far the system bids for a bidder: the worst amount for it, in its own money."""

    bidder: str
    amount: Decimal
    received_at: datetime

    def bears(self, amount: Decimal, direction: Direction) -> bool:
        if direction is Direction.DOWN:
            return amount >= self.amount
        return amount <= self.amount and amount < LARGEST_AMOUNT


@dataclass(frozen=True, slots=True)
class Proxies(Play):
    """The limits in the order in which they bid, and what each counts at its farthest (effective). `called_at`: an
    answer is due since then; `by_limit`: a limit called for it, not a bid."""

    limits: tuple[Limit, ...] = ()
    farthest: tuple[Fraction, ...] = ()
    called_at: datetime | None = None
    by_limit: bool = False


def opened(room: Room, limits: tuple[Limit, ...]) -> Room:
    """The room with the limits that were there before the start: they bid when it starts."""
    ordered = tuple(sorted(limits, key=lambda limit: limit.received_at))
    return called(replace(room, play=_proxies(room, ordered)), room.starts_at)


def called(room: Room, at: datetime, *, by_limit: bool = False) -> Room:
    """The room in which the proxies have been called for, where any has an answer."""
    play = _play(room)
    if _challenger(room, play) is None:
        return room
    return replace(room, play=replace(play, called_at=at, by_limit=by_limit))


def answer(room: Room) -> tuple[Happening, Room] | None:
    """All that the proxies bid because they were called for: the last bid for each bidder. A soft close moves once for
    a call: by the bid that called, or by the limit's own answer."""
    play = _play(room)
    if play.called_at is None:
        return None
    at = max(play.called_at, room.starts_at)
    after = fought_out(room, play.limits, at)
    ends_at = end_after(after, at) if play.by_limit else after.ends_at
    after = replace(
        after,
        play=replace(play, called_at=None, by_limit=False),
        ends_at=ends_at,
        extensions=after.extensions + (ends_at > after.ends_at),
    )
    bids = sorted(
        (bid for bid in after.standings.values() if bid is not room.standings.get(bid.bidder)),
        key=lambda bid: bid.order,
    )
    return Happening(HappeningKind.AUTOMATIC_BIDS, at, bids=tuple(bids)), after


def limited(room: Room, move: Move) -> tuple[Refused | None, Room]:
    """A limit set, changed or (without amount) taken back: whether it is refused, and the room after it."""
    limits = tuple(limit for limit in _play(room).limits if limit.bidder != move.bidder)
    if move.amount is None:
        return None, replace(room, play=_proxies(room, limits))
    if code := _refused_limit(room, move, move.amount):
        return code, room
    limits += (Limit(move.bidder, move.amount, move.received_at),)
    return None, called(replace(room, play=_proxies(room, limits)), move.received_at, by_limit=True)


def holders(room: Room) -> tuple[str, ...]:
    """Whom the system bids for."""
    return tuple(limit.bidder for limit in _play(room).limits)


def dropped(room: Room, bidder: str) -> Room | None:
    """The room without the bidder's limit, None where it has none: it may bid no more, nor may the system for it. What
    stands for it stands."""
    limits = tuple(limit for limit in _play(room).limits if limit.bidder != bidder)
    return None if limits == _play(room).limits else replace(room, play=_proxies(room, limits))


def limit_of(room: Room, bidder: str) -> Decimal | None:
    """The bidder's limit."""
    return next((limit.amount for limit in _play(room).limits if limit.bidder == bidder), None)


def fought_out(room: Room, limits: tuple[Limit, ...], at: datetime) -> Room:
    """The room when no proxy can answer any more. Raises TooManyBids."""
    play, by_bidder = _proxies(room, limits), {limit.bidder: limit for limit in limits}
    while (limit := _challenger(room, play)) is not None:
        rival = by_bidder.get(room.leader.bidder) if room.leader else None
        room = _bid(room, limit, at)
        if rival is not None and _challenger(room, play) == rival:
            room = _duelled(room, rival, limit, at)
    return room


def _duelled(room: Room, challenger: Limit, leader: Limit, at: datetime) -> Room:
    """The room after two proxies answered each other until one could not."""
    one, other = room.standings[challenger.bidder], room.standings[leader.bidder]
    limit, better = room.terms.exact_limit, room.terms.direction.better
    if limit is not None and better(limit, one.effective):
        # Its next bid must meet the limit price too, not only beat something.
        return room
    sides = _side(room, challenger), _side(room, leader)
    made = duel.fight(*sides, abs(one.effective - other.effective), abs(room.terms.exact_step))
    standings = dict(room.standings)
    for proxy, side in zip((challenger, leader), sides, strict=True):
        if side.gave:
            moved = _moved(room, proxy, side.gave)
            standings[proxy.bidder] = replace(moved, received_at=at, order=room.order + side.last)
    return replace(room, standings=standings, order=room.order + made)


def _side(room: Room, limit: Limit) -> duel.Side:
    terms, stands_at = room.terms, room.standings[limit.bidder].amount
    unit = Fraction(terms.minor_unit) * terms.formula(limit.bidder).factor
    if terms.direction is Direction.DOWN:
        left = stands_at - limit.amount
    else:
        left = min(limit.amount, LARGEST_AMOUNT - terms.minor_unit) - stands_at
    own_step = ceil(abs(terms.exact_step) / unit) if terms.reference is Reference.OWN else 0
    return duel.Side(unit, int(left / terms.minor_unit), own_step)


def _moved(room: Room, limit: Limit, units: int) -> Standing:
    """The proxy's bid so many minor units further."""
    standing, way = room.standings[limit.bidder], units * room.terms.minor_unit
    amount = standing.amount + (-way if room.terms.direction is Direction.DOWN else way)
    return replace(standing, amount=amount, effective=room.terms.formula(limit.bidder).of(amount))


def _play(room: Room) -> Proxies:
    return room.play if isinstance(room.play, Proxies) else Proxies()


def _proxies(room: Room, limits: tuple[Limit, ...]) -> Proxies:
    return Proxies(limits, tuple(room.terms.formula(limit.bidder).of(limit.amount) for limit in limits))


def _challenger(room: Room, play: Proxies) -> Limit | None:
    """The first proxy that does not lead and can still bid."""
    leader = room.leader.bidder if room.leader else None
    able = _bears_one_bound if room.terms.reference is Reference.LEADER else _bears_its_own
    for limit in able(room, play):
        if limit.bidder != leader and limit.bidder in room.bidders:
            return limit
    return None


def _bears_one_bound(room: Room, play: Proxies) -> Iterator[Limit]:
    """Whose limit meets what all have to meet: compared without an amount, as this is asked after every bid."""
    worst, better = worst_admitted(room, ""), room.terms.direction.better
    for limit, farthest in zip(play.limits, play.farthest, strict=True):
        if worst is None:
            # Nothing to beat and no limit price: buying, there is no least concession to bid.
            if room.terms.direction is Direction.UP:
                yield limit
        elif not better(worst, farthest):
            yield limit


def _bears_its_own(room: Room, play: Proxies) -> Iterator[Limit]:
    for limit in play.limits:
        amount = allowed_amount(room, limit.bidder)
        if amount is not None and limit.bears(amount, room.terms.direction):
            yield limit


def _bid(room: Room, limit: Limit, at: datetime) -> Room:
    """The proxy's next bids until it leads: one where the leader is the reference, as many steps of its own as it takes
    and its limit bears where its own price is."""
    amount, formula = allowed_amount(room, limit.bidder), room.terms.formula(limit.bidder)
    if amount is None:
        return room
    standing = Standing(limit.bidder, amount, formula.of(amount), at, room.order + 1)
    after = room.with_standing(standing, room.ends_at, room.extensions)
    leader = room.leader
    if (
        room.terms.reference is Reference.LEADER
        or leader is None
        or room.terms.direction.better(standing.effective, leader.effective)
    ):
        return after
    step = (allowed_amount(after, limit.bidder) or amount) - amount
    if not step:
        return after
    needed = (leader.effective - standing.effective) // (Fraction(step) * formula.factor) + 1
    borne = int((limit.amount - amount) // step)
    more = min(needed, borne)
    amount += more * step
    standing = replace(standing, amount=amount, effective=formula.of(amount), order=standing.order + more)
    return room.with_standing(standing, room.ends_at, room.extensions)


def _refused_limit(room: Room, move: Move, amount: Decimal) -> Refused | None:
    """A limit is a price, and one that could be bid; the leader's need not beat its own bid, nor the limit price, which
    its bid has met."""
    if code := refused_for_shape(amount, room.terms.minor_unit):
        return code
    if leads_against_itself(room, move.bidder):
        return None
    return refused_for_price(room, move.bidder, room.terms.formula(move.bidder).of(amount))
