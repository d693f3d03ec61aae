"""The log of a live auction: what is written of each event, its hash, and the room folded from the events alone.

An auction's first event is `scheduled`, with the terms and the bidders; the room at any time is the fold of what
followed. Events are chained: the hash of each covers the one before, so that none can be changed, dropped or slipped
in unseen.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from hashlib import sha256
from typing import Any

from procurement.rules.auction.base import Bid, ExtendFrom, Reference, Room, SoftClose, Terms
from procurement.rules.auction.english import decide
from procurement.rules.auction.views import Shown
from procurement.rules.effective import PRICE_ALONE
from procurement.rules.lifecycle import AuctionStatus
from procurement.rules.ranking import Direction, Standing

GENESIS = "0" * 64
# Keys are ASCII and no value is a float: then sorted compact JSON is what RFC 8785 asks for.
_canonical = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True, check_circular=False).encode


class EventKind(StrEnum):
    SCHEDULED = "scheduled"
    STARTED = "started"
    BID = "bid"
    PAUSED = "paused"
    RESUMED = "resumed"
    RETIMED = "retimed"
    ENDED = "ended"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Event:
    """One event. `at` is a bid's time of receipt; `bidder` and `key` (the bidder's idempotency key) are of bids only.

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
        return sha256(_canonical(self.content(auction, previous)).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class LotRules:
    """What an auction is fixed to when it is scheduled, as `Auction.rules` keeps it; amounts are decimal strings
    there."""

    direction: Direction
    minor_unit: Decimal
    step: Decimal
    reference: Reference
    shown: Shown
    soft_close_window: timedelta
    soft_close_extend: timedelta
    soft_close_from: ExtendFrom
    max_extensions: int | None

    def as_json(self) -> dict[str, Any]:
        return {
            "kind": "english",
            "direction": self.direction.value,
            "minor_unit": str(self.minor_unit),
            "step": self.plain(self.step),
            "reference": self.reference.value,
            "shown": self.shown.value,
            "soft_close": {
                "window_s": self.soft_close_window // timedelta(seconds=1),
                "extend_s": self.soft_close_extend // timedelta(seconds=1),
                "from": self.soft_close_from.value,
                "max_extensions": self.max_extensions,
            },
        }

    def plain(self, amount: Decimal) -> str:
        """The amount in whole minor units, as JSON carries it."""
        return f"{amount.quantize(self.minor_unit):f}"

    @classmethod
    def from_json(cls, rules: Mapping[str, Any]) -> LotRules:
        soft = rules["soft_close"]
        return cls(
            direction=Direction(rules["direction"]),
            minor_unit=Decimal(rules["minor_unit"]),
            step=Decimal(rules["step"]),
            reference=Reference(rules["reference"]),
            shown=Shown(rules["shown"]),
            soft_close_window=timedelta(seconds=soft["window_s"]),
            soft_close_extend=timedelta(seconds=soft["extend_s"]),
            soft_close_from=ExtendFrom(soft["from"]),
            max_extensions=soft["max_extensions"],
        )

    def terms(self, start_price: Decimal | None, hard_stop_at: datetime | None) -> Terms:
        """The terms by which bids are decided."""
        soft_close = SoftClose(
            self.soft_close_window, self.soft_close_extend, self.soft_close_from, self.max_extensions, hard_stop_at
        )
        return Terms(self.direction, self.minor_unit, start_price, self.step, self.reference, soft_close)


@dataclass(frozen=True)
class Hall:
    """A room with what is needed to show it: labels by bidder, currency, what bidders see, the number of the last
    event."""

    auction: int
    room: Room
    rules: LotRules
    currency: str
    labels: Mapping[str, str]
    number: int
    head: str


class LogBroken(ValueError):
    """The log does not hold: `number` is the first event that is not what it should be."""

    def __init__(self, number: int, why: str) -> None:
        super().__init__(f"event {number}: {why}")
        self.number = number


def iso(at: datetime) -> str:
    """The instant in UTC with microseconds: one spelling for hashes and for JSON."""
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
) -> dict[str, Any]:
    """The detail of the first event; `bidders` are (bidder, label, initial amount, when it was received)."""
    return {
        "rules": rules.as_json(),
        "currency": currency,
        "start_price": None if start_price is None else rules.plain(start_price),
        **times_detail(starts_at, ends_at, hard_stop_at),
        "bidders": [
            {"bidder": bidder, "label": label, "amount": rules.plain(amount), "received_at": iso(received_at)}
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
    return replace(hall, room=_after(hall.room, event), number=event.number, head=head)


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
        if hall is not None and event.kind is EventKind.BID:
            _check_bid(hall.room, event)
        hall = fold(hall, event, auction=auction, head=head)
        if event.kind is EventKind.ENDED and list(event.detail["ranking"]) != ranking_detail(hall.room):
            raise LogBroken(event.number, "the ranking is not the one that follows from the bids")
    if hall is None:
        raise LogBroken(1, "the log is empty")
    return hall


def bid_detail(room: Room, bidder: str) -> dict[str, Any]:
    """The detail of an accepted bid; `room` is the one after it."""
    leads = room.leader is not None and room.leader.bidder == bidder
    return {"leads": leads, "ends_at": iso(room.ends_at), "extensions": room.extensions}


def ranking_detail(room: Room) -> list[dict[str, Any]]:
    """The ranking as the last event keeps it."""
    return [
        {"rank": line.rank, "bidder": line.standing.bidder, "amount": f"{line.standing.amount:.4f}"}
        for line in room.ranking
    ]


def _require_turn(hall: Hall | None, event: Event) -> None:
    if event.number != (hall.number if hall else 0) + 1:
        raise LogBroken(event.number, "an event is missing before it")


def _hall(event: Event, auction: int, head: str) -> Hall:
    detail = event.detail
    rules = LotRules.from_json(detail["rules"])
    start_price = None if detail["start_price"] is None else Decimal(detail["start_price"])
    starts_at, ends_at, hard_stop_at = _times(detail)
    standings = {}
    for order, row in enumerate(detail["bidders"]):
        amount = Decimal(row["amount"])
        received_at = datetime.fromisoformat(row["received_at"])
        standings[row["bidder"]] = Standing(row["bidder"], amount, PRICE_ALONE.of(amount), received_at, order)
    room = Room(
        terms=rules.terms(start_price, hard_stop_at),
        status=AuctionStatus.SCHEDULED,
        starts_at=starts_at,
        ends_at=ends_at,
        bidders=frozenset(standings),
        standings=standings,
        order=len(standings),
    )
    labels = {row["bidder"]: row["label"] for row in detail["bidders"]}
    return Hall(auction, room, rules, detail["currency"], labels, event.number, head)


def _after(room: Room, event: Event) -> Room:
    match event.kind:
        case EventKind.BID:
            if event.bidder is None or event.amount is None:
                raise LogBroken(event.number, "a bid without bidder or amount")
            effective = room.terms.formula(event.bidder).of(event.amount)
            standing = Standing(event.bidder, event.amount, effective, event.at, room.order + 1)
            ends_at = datetime.fromisoformat(event.detail["ends_at"])
            return room.with_standing(standing, ends_at, event.detail["extensions"])
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
        case EventKind.SCHEDULED:
            raise LogBroken(event.number, "an auction is scheduled once")


def _retimed(room: Room, status: AuctionStatus, detail: Mapping[str, Any]) -> Room:
    starts_at, ends_at, hard_stop_at = _times(detail)
    soft_close = room.terms.soft_close
    terms = replace(room.terms, soft_close=soft_close and replace(soft_close, hard_stop_at=hard_stop_at))
    return replace(room, terms=terms, status=status, starts_at=starts_at, ends_at=ends_at)


def _times(detail: Mapping[str, Any]) -> tuple[datetime, datetime, datetime | None]:
    stop = detail["hard_stop_at"]
    return (
        datetime.fromisoformat(detail["starts_at"]),
        datetime.fromisoformat(detail["ends_at"]),
        None if stop is None else datetime.fromisoformat(stop),
    )


def _check_bid(room: Room, event: Event) -> None:
    if event.bidder is None or event.amount is None:
        raise LogBroken(event.number, "a bid without bidder or amount")
    decision, after = decide(room, Bid(event.bidder, event.amount, event.at))
    if decision.code is not None:
        raise LogBroken(event.number, f"by the rules this bid is refused ({decision.code})")
    if dict(event.detail) != bid_detail(after, event.bidder):
        raise LogBroken(event.number, "by the rules its consequences are others")
