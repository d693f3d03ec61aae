"""Every kind of live auction behind the same few functions; which kind it is stands in the terms.

A room changes by moves and by time alone. `decide` judges one move as of its receipt, after all that time alone did
until then; `advance` says what that was, so that it can be written down before the move. Whoever holds the lot's lock
advances the room first (a batch of moves, or the clock): what comes out never depends on who came, or how often.

The end itself is not a happening: it has come when the room's `ends_at` has, and who closes the auction waits for moves
that are still on their way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from procurement.rules.auction import dutch, english, japanese, proxies, sealed, ticking, turns
from procurement.rules.auction.base import (
    Action,
    Allowance,
    AuctionKind,
    Course,
    Decision,
    Happening,
    Move,
    Outcome,
    Room,
    Terms,
)
from procurement.rules.auction.judging import at_own_price
from procurement.rules.lifecycle import AuctionStatus


def _no_course(_room: Room, _at: datetime) -> Course | None:
    return None


def _as_set(_terms: Terms, _bidders: int) -> timedelta | None:
    return None


def _never(_room: Room, _move: Move) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Kind:
    """What a kind of auction is: its answers to the questions below, asked of a room that is up to date."""

    decide: Callable[[Room, Move], tuple[Decision, Room]]
    allowed: Callable[[Room, str, datetime], Allowance]
    coming: Callable[[Room], tuple[Happening, Room] | None]
    outcome: Callable[[Room], Outcome] = at_own_price
    length: Callable[[Terms, int], timedelta | None] = _as_set
    course: Callable[[Room, datetime], Course | None] = _no_course
    # What others learn of only when its time has come.
    confidential: frozenset[Action] = frozenset({Action.LIMIT})
    # Whether others may see what stands while the auction runs.
    open_standings: bool = True
    # Whether what was bid before the auction stands in its room.
    first_bids_stand: bool = True
    # Whether the first move that is accepted ends the auction.
    first_wins: bool = False
    # Whether a bid stands as soon as it is accepted, and nothing else is kept of it.
    stands_at_once: bool = False
    # Whether a move can never be accepted, asked of a room that may be behind the log.
    hopeless: Callable[[Room, Move], bool] = _never


_KINDS: Final[Mapping[AuctionKind, Kind]] = MappingProxyType(
    {
        AuctionKind.ENGLISH: Kind(
            english.decide,
            english.allowed,
            english.coming,
            stands_at_once=True,
            hopeless=english.hopeless,
        ),
        AuctionKind.DUTCH: Kind(
            dutch.decide,
            dutch.allowed,
            dutch.coming,
            length=ticking.length,
            course=ticking.course,
            first_bids_stand=False,
            first_wins=True,
        ),
        AuctionKind.JAPANESE: Kind(
            japanese.decide,
            japanese.allowed,
            japanese.coming,
            length=ticking.length,
            course=ticking.course,
            confidential=frozenset({Action.CONFIRM}),
            open_standings=False,
            first_bids_stand=False,
        ),
        AuctionKind.SEALED_FIRST_PRICE: Kind(sealed.decide, sealed.allowed, sealed.coming),
        AuctionKind.SEALED_SECOND_PRICE: Kind(sealed.decide, sealed.allowed, sealed.coming, sealed.second_price),
        AuctionKind.TURN_BASED: Kind(
            turns.decide,
            turns.allowed,
            turns.coming,
            length=turns.length,
            course=turns.course,
            confidential=frozenset({Action.BID, Action.WITHDRAW}),
        ),
    }
)


def decide(room: Room, move: Move) -> tuple[Decision, Room]:
    """What becomes of the move, and the room after it. The room given may be behind the time, never ahead of it."""
    kind = _KINDS[room.terms.kind]
    if (happens := kind.coming(room)) is not None and happens[0].at <= move.received_at:
        _, room = advance(room, move.received_at)
    return kind.decide(room, move)


def allowed(room: Room, bidder: str, at: datetime) -> Allowance:
    """What the bidder may do at that moment, and with which amount."""
    return _KINDS[room.terms.kind].allowed(advance(room, at)[1], bidder, at)


def coming(room: Room) -> tuple[Happening, Room] | None:
    """The next thing that time alone brings about and the room after it; None where there is nothing but the end."""
    return _KINDS[room.terms.kind].coming(room) if room.status is AuctionStatus.RUNNING else None


def advance(room: Room, at: datetime) -> tuple[tuple[Happening, ...], Room]:
    """All that time alone has brought about by `at`, that instant included, in order, and the room after it."""
    happened: list[Happening] = []
    while (happens := coming(room)) is not None and happens[0].at <= at:
        happened.append(happens[0])
        room = happens[1]
    return tuple(happened), room


def limited(room: Room) -> tuple[str, ...]:
    """The bidders for whom the system bids: who has set a proxy limit."""
    return proxies.holders(room)


def without_limit(room: Room, bidder: str) -> Room | None:
    """The room in which the system bids for the bidder no more; None where it does not in this one."""
    return proxies.dropped(room, bidder) if room.status is AuctionStatus.RUNNING else None


def is_timed(room: Room) -> bool:
    """Whether what time brings about, or one move, shuts out moves that were received before."""
    return not _KINDS[room.terms.kind].stands_at_once


def settles(room: Room, move: Move) -> datetime | None:
    """Deciding the move settles what became of all moves received before this instant: one that is decided later comes
    too late. None where it settles nothing, as in an English auction."""
    if room.status is not AuctionStatus.RUNNING or not is_timed(room):
        return None
    if _KINDS[room.terms.kind].first_wins:
        return move.received_at
    happened, _ = advance(room, move.received_at)
    return happened[-1].at if happened else None


def outcome(room: Room) -> Outcome:
    """Who wins and at which price, as the room stands."""
    return _KINDS[room.terms.kind].outcome(room)


def course(room: Room, at: datetime) -> Course | None:
    """Where the auction is at that moment; None while it does not run, and in kinds without ticks or turns."""
    kind = _KINDS[room.terms.kind]
    if room.status is not AuctionStatus.RUNNING or kind.course is _no_course:
        return None
    return kind.course(advance(room, at)[1], at)


def confidential(kind: AuctionKind) -> frozenset[Action]:
    """The moves of which others than the bidder do not learn when they are made. What they led to is told in its
    time."""
    return _KINDS[kind].confidential


def told_at_once(kind: AuctionKind, action: Action) -> bool:
    """Whether others than the bidder learn of such a move when it is made."""
    return action not in confidential(kind)


def open_standings(room: Room) -> bool:
    """Whether others than the bidder may see what stands."""
    return _KINDS[room.terms.kind].open_standings or room.status is AuctionStatus.ENDED


def first_bids_stand(kind: AuctionKind) -> bool:
    """Whether what was bid before the auction stands in its room; otherwise it only lets its bidder in."""
    return _KINDS[kind].first_bids_stand


def stands_at_once(room: Room) -> bool:
    """Whether an accepted bid simply stands, with nothing else to be kept of it."""
    return room.play is None and _KINDS[room.terms.kind].stands_at_once


def length(terms: Terms, bidders: int) -> timedelta | None:
    """How long the auction takes, where its kind says so: the clock's ticks, or the turns of that many bidders."""
    return _KINDS[terms.kind].length(terms, bidders)


def hopeless(room: Room, move: Move) -> bool:
    """Whether the move cannot be accepted however far the log has gone beyond this room; False is no promise."""
    return _KINDS[room.terms.kind].hopeless(room, move)
