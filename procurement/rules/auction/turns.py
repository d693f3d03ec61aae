"""Turn-based auction: rounds in which each bidder has a turn of its own, the worst standing bid first, the best last.

A bid beats the bidder's own standing bid by the step. Within the turn it can be changed or withdrawn; it stands, and is
published, when the turn has ended.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from fractions import Fraction

from procurement.rules.auction.base import (
    Action,
    Allowance,
    Course,
    Decision,
    Happening,
    HappeningKind,
    Move,
    Play,
    Refused,
    Room,
    Terms,
)
from procurement.rules.auction.concession import allowed_amount, refused_for_price, worst_admitted
from procurement.rules.auction.judging import effective_of, refused_for_shape, refused_in_room
from procurement.rules.ranking import Standing

_IN_PAUSE = -1


@dataclass(frozen=True, slots=True)
class Turns(Play):
    """Where the auction is: the round (0 before the first), its order, the place in it (-1 in the pause before), the
    bid of the turn that runs, whether that turn has ended, whether the result is announced."""

    number: int = 0
    order: tuple[str, ...] = ()
    place: int = _IN_PAUSE
    made: Standing | None = None
    ended: bool = False
    announced: bool = False

    @property
    def bidder(self) -> str | None:
        """Whose turn it is."""
        return None if self.place == _IN_PAUSE or self.ended else self.order[self.place]


def decide(room: Room, move: Move) -> tuple[Decision, Room]:
    """What becomes of a bid in its bidder's turn, or of its withdrawal. The room is up to date."""
    may, effective = allowed(room, move.bidder, move.received_at), effective_of(room, move)
    code = _refused(room, move, may, effective)
    if code is not None:
        return Decision(move, code, may.amount, effective, room.ends_at), room
    made = None
    if move.amount is not None and effective is not None:
        made = Standing(move.bidder, move.amount, effective, move.received_at, room.order + 1)
    return Decision(move, None, may.amount, effective, room.ends_at), replace(
        room, play=replace(_play(room), made=made)
    )


def allowed(room: Room, bidder: str, at: datetime) -> Allowance:
    """What the bidder may do in its turn. What it bids is measured by its standing bid, not by the one it made in this
    turn."""
    if closed := refused_in_room(room, bidder, at):
        return Allowance((), code=closed)
    play = _play(room)
    if play.bidder != bidder:
        return Allowance((), code=Refused.NOT_YOUR_TURN)
    until = _begins(room, play.place + 1)
    amount, worst = allowed_amount(room, bidder), worst_admitted(room, bidder)
    withdraw = (Action.WITHDRAW,) if play.made else ()
    if amount is None and worst is not None:
        return Allowance(withdraw, until=until, code=Refused.NO_ROOM_LEFT)
    return Allowance((Action.BID, *withdraw), amount, until)


def length(terms: Terms, bidders: int) -> timedelta:
    """From the start until the announcement; `bidders` are those with a standing bid."""
    return terms.timetable.length(bidders)


def course(room: Room, at: datetime) -> Course | None:
    """The pause or turn that runs, or the wait for the announcement; None before the start and after the end. The room
    is up to date."""
    play, rounds = _play(room), room.terms.timetable.rounds
    if not play.number or play.announced:
        return None
    if play.bidder is not None:
        return Course(
            HappeningKind.TURN, play.number, rounds, _begins(room, play.place + 1), bidder=play.bidder, order=play.order
        )
    if play.place == _IN_PAUSE:
        return Course(HappeningKind.PAUSE, play.number, rounds, _begins(room, 0), order=play.order)
    return Course(HappeningKind.ANNOUNCEMENT, play.number, rounds, room.ends_at, order=play.order)


def made(room: Room, bidder: str) -> Standing | None:
    """The bid that the bidder made in the turn that runs; not published yet."""
    own = room.play.made if isinstance(room.play, Turns) else None
    return own if own is not None and own.bidder == bidder else None


def coming(room: Room) -> tuple[Happening, Room] | None:
    """The next pause or turn, the publication at the end of a turn, the announcement."""
    play = _play(room)
    if play.announced:
        return None
    if play.bidder is not None:
        return _published(room, play)
    if play.number and play.place + 1 < len(play.order):
        return _turn(room, play)
    if play.number < room.terms.timetable.rounds:
        return _pause(room, play)
    return Happening(HappeningKind.ANNOUNCEMENT, room.ends_at), replace(room, play=replace(play, announced=True))


def _pause(room: Room, play: Turns) -> tuple[Happening, Room]:
    number, timetable = play.number + 1, room.terms.timetable
    begins = _at(room, timetable.round_begins(number, len(room.standings)))
    after = replace(play, number=number, order=_order(room), place=_IN_PAUSE, made=None, ended=False)
    until = begins + timetable.pauses[number - 1]
    return Happening(HappeningKind.PAUSE, begins, until=until, number=number), replace(room, play=after)


def _turn(room: Room, play: Turns) -> tuple[Happening, Room]:
    place = play.place + 1
    begins = _begins(room, place)
    until = begins + room.terms.timetable.turn
    after = replace(play, place=place, made=None, ended=False)
    happening = Happening(HappeningKind.TURN, begins, until=until, bidder=play.order[place], number=play.number)
    return happening, replace(room, play=after)


def _published(room: Room, play: Turns) -> tuple[Happening, Room]:
    made = play.made and replace(play.made, order=room.order + 1)
    after = room.with_standing(made, room.ends_at, room.extensions) if made else room
    happening = Happening(
        HappeningKind.PUBLISHED,
        _begins(room, play.place + 1),
        bidder=play.bidder,
        number=play.number,
        bids=(made,) if made else (),
    )
    return happening, replace(after, play=replace(play, made=None, ended=True))


def _order(room: Room) -> tuple[str, ...]:
    """Worst first. Who came without a bid has nothing to improve, and no turn."""
    return tuple(line.standing.bidder for line in reversed(room.ranking))


def _play(room: Room) -> Turns:
    return room.play if isinstance(room.play, Turns) else Turns()


def _begins(room: Room, place: int) -> datetime:
    """When the turn at that place of the round begins; one place more than there are is the end of the last turn."""
    return _at(room, room.terms.timetable.turn_begins(_play(room).number, place, len(room.standings)))


def _at(room: Room, since_start: timedelta) -> datetime:
    return room.starts_at + room.delay + since_start


def _refused(room: Room, move: Move, may: Allowance, effective: Fraction | None) -> Refused | None:
    outside = may.code not in (None, Refused.NO_ROOM_LEFT, Refused.NOT_YOUR_TURN)
    if outside:
        return may.code
    if move.action not in (Action.BID, Action.WITHDRAW):
        return Refused.WRONG_ACTION
    if may.code is Refused.NOT_YOUR_TURN:
        return may.code
    if move.action is Action.WITHDRAW:
        return None if Action.WITHDRAW in may.actions else Refused.NOTHING_TO_WITHDRAW
    if move.amount is None or effective is None:
        return Refused.NOT_POSITIVE
    return refused_for_shape(move.amount, room.terms.minor_unit) or refused_for_price(room, move.bidder, effective)
