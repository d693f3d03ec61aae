"""The log of a live auction: what is written of each event, its hash, and the room folded from the events alone.

An auction's first event is `scheduled`, with the terms and the bidders; the room at any time is the fold of what
followed. Events are chained: the hash of each covers the one before, so that none can be changed, dropped or slipped
in unseen.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from functools import lru_cache
from hashlib import sha256
from json.encoder import encode_basestring
from types import MappingProxyType
from typing import Any, Final

from procurement.rules.auction import kinds
from procurement.rules.auction.base import Action, Happening, HappeningKind, Move, Room
from procurement.rules.auction.lot_rules import LotRules
from procurement.rules.effective import PRICE_ALONE, EffectivePrice, half_up_to
from procurement.rules.lifecycle import AuctionStatus
from procurement.rules.ranking import Standing

__all__ = [
    "GENESIS",
    "HAPPENINGS",
    "MOVES",
    "Event",
    "EventKind",
    "Hall",
    "LogBroken",
    "LotRules",
    "bid_detail",
    "canonical",
    "fold",
    "happened",
    "iso",
    "ranking_detail",
    "replay",
    "scheduled_detail",
    "times_detail",
]

GENESIS = "0" * 64
_EFFECT: Final = frozenset({"leads", "ends_at", "extensions"})
# As finely as amounts are kept: finer than the minor unit of any currency.
_KEPT: Final = Decimal("0.0001")
# Keys are ASCII and no value is a float: then sorted compact JSON is what RFC 8785 asks for.
canonical: Final = json.JSONEncoder(
    ensure_ascii=False, separators=(",", ":"), sort_keys=True, check_circular=False
).encode


class EventKind(StrEnum):
    """What is in the log: the life of the auction, the bidders' moves that were accepted, what time alone brought
    about."""

    SCHEDULED = "scheduled"
    STARTED = "started"
    PAUSED = "paused"
    RESUMED = "resumed"
    RETIMED = "retimed"
    ENDED = "ended"
    CANCELLED = "cancelled"

    BID = "bid"
    ACCEPT = "accept"
    CONFIRM = "confirm"
    WITHDRAW = "withdraw"
    LIMIT = "limit"

    AUTOMATIC_BIDS = "automatic_bids"
    TICK = "tick"
    PAUSE = "pause"
    TURN = "turn"
    PUBLISHED = "published"
    ANNOUNCEMENT = "announcement"


MOVES: Final[Mapping[EventKind, Action]] = MappingProxyType({EventKind(action.value): action for action in Action})
HAPPENINGS: Final[Mapping[EventKind, HappeningKind]] = MappingProxyType(
    {EventKind(kind.value): kind for kind in HappeningKind}
)


@dataclass(frozen=True, slots=True)
class Event:
    """One event. `at` is a move's time of receipt; `key` (the bidder's idempotency key) is of moves only.

    `amount` is that of a bid or a limit, of a price accepted or confirmed, of a bid published.

    `detail` holds strings, whole numbers, flags, lists and objects; never a float.
    """

    number: int
    kind: EventKind
    at: datetime
    bidder: str | None = None
    amount: Decimal | None = None
    key: str = ""
    person: int | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)

    def content(self, auction: int, previous: str) -> dict[str, Any]:
        """What of the event is hashed, with the hash of the one before: what everybody who took part may read in the
        end. Which of a bidder's people it was is not in it: it would tell the same bidder in another auction."""
        return {
            "amount": None if self.amount is None else f"{self.amount:.4f}",
            "at": iso(self.at),
            "auction": auction,
            "bidder": self.bidder,
            "detail": self.detail,
            "key": self.key,
            "kind": self.kind.value,
            "number": self.number,
            "person": None if self.bidder is not None else self.person,
            "previous": previous,
        }

    def hashed(self, auction: int, previous: str) -> str:
        """SHA-256 (hex) over the event's canonical JSON (RFC 8785) with the hash of the one before."""
        return sha256(self.spelled(auction, previous).encode()).hexdigest()

    @property
    def spelled_detail(self) -> str:
        """The canonical JSON of `detail`; of moves there are thousands with the same one."""
        return _spelled_effect(**self.detail) if self.detail.keys() == _EFFECT else canonical(self.detail)

    def spelled(self, auction: int, previous: str) -> str:
        """The canonical JSON of `content`. Its members are always the same, so they are put in order here and not
        sorted for every bid."""
        amount = "null" if self.amount is None else f'"{self.amount:.4f}"'
        bidder = "null" if self.bidder is None else encode_basestring(self.bidder)
        person = "null" if self.bidder is not None or self.person is None else f"{self.person:d}"
        return (
            f'{{"amount":{amount},"at":"{iso(self.at)}","auction":{auction:d},"bidder":{bidder},'
            f'"detail":{self.spelled_detail},"key":{encode_basestring(self.key)},"kind":"{self.kind.value}",'
            f'"number":{self.number:d},"person":{person},"previous":{encode_basestring(previous)}}}'
        )


@dataclass(frozen=True)
class Hall:
    """A room with what is needed to show it: labels by bidder, currency, what bidders see, the number of the last
    event.

    `confidential` counts each bidder's moves of which nobody else learned when they were made."""

    auction: int
    room: Room
    rules: LotRules
    currency: str
    labels: Mapping[str, str]
    number: int
    head: str
    confidential: Mapping[str, int] = field(default_factory=dict)

    def then(self, event: Event, room: Room, head: str) -> Hall:
        """The hall after one more event, which led to `room`."""
        confidential = self.confidential
        if is_confidential(self.rules, event) and event.bidder is not None:
            confidential = {**confidential, event.bidder: confidential.get(event.bidder, 0) + 1}
        return Hall(self.auction, room, self.rules, self.currency, self.labels, event.number, head, confidential)

    def number_for(self, viewer: str | None) -> int:
        """The number of the last event as the viewer counts them: those it may not notice leave no gap. An observer
        (None) notices all."""
        if viewer is None:
            return self.number
        return self.number - sum(self.confidential.values()) + self.confidential.get(viewer, 0)


def is_confidential(rules: LotRules, event: Event) -> bool:
    """Whether others than its bidder may not learn that there was such a move."""
    return event.kind in MOVES and not kinds.told_at_once(rules.kind, MOVES[event.kind])


class LogBroken(ValueError):
    """The log does not hold: `number` is the first event that is not what it should be."""

    def __init__(self, number: int, why: str) -> None:
        super().__init__(f"event {number}: {why}")
        self.number = number


@lru_cache(maxsize=4096)
def iso(at: datetime) -> str:
    """The instant in UTC with microseconds: one spelling for hashes and for JSON. A bid's is asked for three times, an
    auction's end with every bid."""
    in_utc = at if at.tzinfo is UTC else at.astimezone(UTC)
    return in_utc.isoformat(timespec="microseconds")[:-6] + "Z"


def scheduled_detail(
    rules: LotRules,
    currency: str,
    start_price: Decimal | None,
    starts_at: datetime,
    ends_at: datetime,
    hard_stop_at: datetime | None,
    bidders: Iterable[tuple[str, str, Decimal, datetime]],
    formulas: Mapping[str, EffectivePrice] = MappingProxyType({}),
) -> dict[str, Any]:
    """The detail of the first event; `bidders` are (bidder, label, initial amount, when it was received), `formulas`
    those of bidders where not the price alone counts."""
    stand = kinds.first_bids_stand(rules.kind)
    return {
        "rules": rules.as_json(),
        "currency": currency,
        "start_price": None if start_price is None else rules.plain(start_price),
        **times_detail(starts_at, ends_at, hard_stop_at),
        "bidders": [
            {
                "bidder": bidder,
                "label": label,
                "amount": rules.plain(amount) if stand else None,
                "received_at": iso(received_at),
                **_formula_detail(formulas.get(bidder, PRICE_ALONE)),
            }
            for bidder, label, amount, received_at in bidders
        ],
    }


def times_detail(starts_at: datetime, ends_at: datetime, hard_stop_at: datetime | None) -> dict[str, Any]:
    """The detail of whatever sets the times anew: scheduled, started, resumed, retimed."""
    return {
        "starts_at": iso(starts_at),
        "ends_at": iso(ends_at),
        "hard_stop_at": None if hard_stop_at is None else iso(hard_stop_at),
    }


def fold(hall: Hall | None, event: Event, *, auction: int, head: str) -> Hall:
    """The hall after one more event, taken at its word. `head` is the event's hash. Raises LogBroken for one out of
    turn."""
    _require_turn(hall, event)
    if hall is None:
        if event.kind is not EventKind.SCHEDULED:
            raise LogBroken(event.number, "the first event is not “scheduled”")
        return _hall(event, auction, head)
    return hall.then(event, _after(hall.room, event), head)


def replay(auction: int, events: Iterable[tuple[Event, str]]) -> Hall:
    """The hall at the end of the log, with every hash recomputed and every bid decided again by the rules.

    `events` are the auction's, in order, each with its recorded hash. Raises LogBroken at the first that does not
    hold, including an `ended` whose recorded ranking is not the one that follows from the bids.
    """
    hall: Hall | None = None
    head = GENESIS
    for event, recorded in events:
        head = event.hashed(auction, head)
        if head != recorded:
            raise LogBroken(event.number, "its content or the one before was changed")
        _require_turn(hall, event)
        if hall is not None:
            _check(hall.room, event)
        hall = fold(hall, event, auction=auction, head=head)
    if hall is None:
        raise LogBroken(1, "the log is empty")
    return hall


def bid_detail(room: Room, bidder: str) -> dict[str, Any]:
    """The detail of an accepted move; `room` is the one after it."""
    leads = room.leader is not None and room.leader.bidder == bidder
    return {"leads": leads, "ends_at": iso(room.ends_at), "extensions": room.extensions}


def happened(number: int, happening: Happening, after: Room) -> Event:
    """The event of what time alone brought about; `after` is the room after it."""
    only = happening.bids[0] if happening.kind is HappeningKind.PUBLISHED and happening.bids else None
    detail: dict[str, Any] = {
        "until": None if happening.until is None else iso(happening.until),
        "number": happening.number,
        "price": None if happening.price is None else f"{half_up_to(happening.price, _KEPT):f}",
        "bids": [
            {"bidder": bid.bidder, "amount": f"{bid.amount:.4f}", "leads": bid is after.leader}
            for bid in happening.bids
        ],
        "out": list(happening.out),
        "ends_at": iso(after.ends_at),
        "extensions": after.extensions,
    }
    kind, amount = EventKind(happening.kind.value), only.amount if only else None
    return Event(number, kind, happening.at, bidder=happening.bidder, amount=amount, detail=detail)


def ranking_detail(room: Room) -> list[dict[str, Any]]:
    """The ranking as the last event keeps it."""
    return [
        {"rank": line.rank, "bidder": line.standing.bidder, "amount": f"{line.standing.amount:.4f}"}
        for line in room.ranking
    ]


@lru_cache(maxsize=1024, typed=True)
def _spelled_effect(*, leads: bool, ends_at: str, extensions: int) -> str:
    return canonical({"leads": leads, "ends_at": ends_at, "extensions": extensions})


def _require_turn(hall: Hall | None, event: Event) -> None:
    if event.number != (hall.number if hall else 0) + 1:
        raise LogBroken(event.number, "an event is missing before it")


def _hall(event: Event, auction: int, head: str) -> Hall:
    detail = event.detail
    rules = LotRules.from_json(detail["rules"])
    start_price = None if detail["start_price"] is None else Decimal(detail["start_price"])
    starts_at, ends_at, hard_stop_at = _times(detail)
    formulas = {row["bidder"]: _formula(row["formula"]) for row in detail["bidders"] if "formula" in row}
    terms = rules.terms(start_price, hard_stop_at, formulas)
    standings = {}
    for order, row in enumerate(detail["bidders"]):
        if row["amount"] is not None:
            amount, received_at = Decimal(row["amount"]), datetime.fromisoformat(row["received_at"])
            of = terms.formula(row["bidder"]).of(amount)
            standings[row["bidder"]] = Standing(row["bidder"], amount, of, received_at, order)
    room = Room(
        terms=terms,
        status=AuctionStatus.SCHEDULED,
        starts_at=starts_at,
        ends_at=ends_at,
        bidders=frozenset(row["bidder"] for row in detail["bidders"]),
        standings=standings,
        order=len(detail["bidders"]),
    )
    labels = {row["bidder"]: row["label"] for row in detail["bidders"]}
    return Hall(auction, room, rules, detail["currency"], labels, event.number, head)


def _after(room: Room, event: Event) -> Room:
    if event.kind in MOVES:
        return _moved(room, event)
    if event.kind in HAPPENINGS:
        return _passed(room, event)
    match event.kind:
        case EventKind.STARTED | EventKind.RESUMED:
            return _retimed(room, AuctionStatus.RUNNING, event.detail)
        case EventKind.RETIMED:
            return _retimed(room, room.status, event.detail)
        case EventKind.PAUSED:
            return replace(room, status=AuctionStatus.PAUSED)
        case EventKind.ENDED:
            return replace(room, status=AuctionStatus.ENDED)
        case EventKind.CANCELLED:
            return replace(room, status=AuctionStatus.CANCELLED)
        case _:
            raise LogBroken(event.number, "an auction is scheduled once")


def _moved(room: Room, event: Event) -> Room:
    """The room after an accepted move. Bids in a room that keeps no more than what stands need no deciding again."""
    move = _move(event)
    if event.kind is EventKind.BID and kinds.stands_at_once(room) and move.amount is not None:
        effective = room.terms.formula(move.bidder).of(move.amount)
        standing = Standing(move.bidder, move.amount, effective, event.at, room.order + 1)
        ends_at = datetime.fromisoformat(event.detail["ends_at"])
        return room.with_standing(standing, ends_at, event.detail["extensions"])
    decision, after = kinds.decide(room, move)
    if decision.code is not None:
        raise LogBroken(event.number, f"by the rules this is refused ({decision.code})")
    return after


def _passed(room: Room, event: Event) -> Room:
    comes = kinds.coming(room)
    if comes is None or happened(event.number, *comes) != event:
        raise LogBroken(event.number, "by the rules something else happens next")
    return comes[1]


def _retimed(room: Room, status: AuctionStatus, detail: Mapping[str, Any]) -> Room:
    starts_at, ends_at, hard_stop_at = _times(detail)
    soft_close = room.terms.soft_close
    terms = replace(room.terms, soft_close=soft_close and replace(soft_close, hard_stop_at=hard_stop_at))
    # What the end moves by beyond the start is time that the auction stood still.
    delay = room.delay + (ends_at - room.ends_at) - (starts_at - room.starts_at)
    return replace(room, terms=terms, status=status, starts_at=starts_at, ends_at=ends_at, delay=delay)


def _times(detail: Mapping[str, Any]) -> tuple[datetime, datetime, datetime | None]:
    stop = detail["hard_stop_at"]
    return (
        datetime.fromisoformat(detail["starts_at"]),
        datetime.fromisoformat(detail["ends_at"]),
        None if stop is None else datetime.fromisoformat(stop),
    )


def _formula_detail(formula: EffectivePrice) -> dict[str, Any]:
    if formula == PRICE_ALONE:
        return {}
    return {"formula": {"factor": str(formula.factor), "addend": str(formula.addend)}}


def _formula(kept: Mapping[str, str]) -> EffectivePrice:
    return EffectivePrice(Fraction(kept["factor"]), Fraction(kept["addend"]))


def _move(event: Event) -> Move:
    if event.bidder is None or (event.kind is EventKind.BID and event.amount is None):
        raise LogBroken(event.number, "a bid without bidder or amount")
    return Move(event.bidder, event.amount, event.at, MOVES[event.kind])


def _check(room: Room, event: Event) -> None:
    """That nothing was left out before the event, and that it is what the rules say."""
    if event.kind in MOVES:
        _check_move(room, event)
    elif event.kind is EventKind.ENDED:
        _require_told(room, room.ends_at, event)
        if list(event.detail["ranking"]) != ranking_detail(room):
            raise LogBroken(event.number, "the ranking is not the one that follows from the bids")


def _check_move(room: Room, event: Event) -> None:
    move = _move(event)
    _require_told(room, move.received_at, event)
    decision, after = kinds.decide(room, move)
    if decision.code is not None:
        raise LogBroken(event.number, f"by the rules this bid is refused ({decision.code})")
    if dict(event.detail) != bid_detail(after, move.bidder):
        raise LogBroken(event.number, "by the rules its consequences are others")


def _require_told(room: Room, at: datetime, event: Event) -> None:
    comes = kinds.coming(room)
    if comes is not None and comes[0].at <= at:
        raise LogBroken(event.number, f"“{comes[0].kind}” is missing before it")
