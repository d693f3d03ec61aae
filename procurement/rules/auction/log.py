"""The log of a live auction: what its events tell, and the room folded from them alone.

An auction's first event is `scheduled`, with the terms and the bidders; the room at any time is the fold of what
followed. Events are chained: the hash of each covers the one before, so that none can be changed, dropped or slipped
in unseen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from functools import cache
from types import MappingProxyType
from typing import Any, Final

from procurement.rules.auction import kinds
from procurement.rules.auction.base import AuctionKind, Happening, HappeningKind, Move, Room
from procurement.rules.auction.events import GENESIS, HAPPENINGS, MOVES, Event, EventKind, canonical, iso
from procurement.rules.auction.life import objection, times_of
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
    "confidential_kinds",
    "fold",
    "happened",
    "iso",
    "ranking_detail",
    "replay",
    "scheduled_detail",
    "times_detail",
]

# As finely as amounts are kept: finer than the minor unit of any currency.
_KEPT: Final = Decimal("0.0001")


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
    return event.kind in confidential_kinds(rules.kind)


@cache
def confidential_kinds(kind: AuctionKind) -> frozenset[EventKind]:
    """The events of which others than their bidder may not learn while the auction runs."""
    actions = kinds.confidential(kind)
    return frozenset({event for event, action in MOVES.items() if action in actions} | {EventKind.LIMIT_DROPPED})


class LogBroken(ValueError):
    """The log does not hold: `number` is the first event that is not what it should be."""

    def __init__(self, number: int, why: str) -> None:
        super().__init__(f"event {number}: {why}")
        self.number = number


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
    hold, including an `ended` before the end or with another ranking than the one that follows from the bids.
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


def _require_turn(hall: Hall | None, event: Event) -> None:
    if event.number != (hall.number if hall else 0) + 1:
        raise LogBroken(event.number, "an event is missing before it")


def _hall(event: Event, auction: int, head: str) -> Hall:
    detail = event.detail
    rules = LotRules.from_json(detail["rules"])
    start_price = None if detail["start_price"] is None else Decimal(detail["start_price"])
    starts_at, ends_at, hard_stop_at = times_of(detail)
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
        case EventKind.LIMIT_DROPPED:
            return _without_limit(room, event)
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


def _without_limit(room: Room, event: Event) -> Room:
    after = None if event.bidder is None else kinds.without_limit(room, event.bidder)
    if after is None:
        raise LogBroken(event.number, "there is no limit to drop")
    return after


def _passed(room: Room, event: Event) -> Room:
    comes = kinds.coming(room)
    if comes is None or happened(event.number, *comes) != event:
        raise LogBroken(event.number, "by the rules something else happens next")
    return comes[1]


def _retimed(room: Room, status: AuctionStatus, detail: Mapping[str, Any]) -> Room:
    starts_at, ends_at, hard_stop_at = times_of(detail)
    soft_close = room.terms.soft_close
    terms = replace(room.terms, soft_close=soft_close and replace(soft_close, hard_stop_at=hard_stop_at))
    # What the end moves by beyond the start is time that the auction stood still.
    delay = room.delay + (ends_at - room.ends_at) - (starts_at - room.starts_at)
    return replace(room, terms=terms, status=status, starts_at=starts_at, ends_at=ends_at, delay=delay)


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
    elif event.kind is EventKind.LIMIT_DROPPED:
        _require_told(room, event.at, event)
        if event.detail or event.key or event.amount is not None:
            raise LogBroken(event.number, "of a limit that is dropped there is nothing to say but whose it was")
    elif why := objection(room, event):
        raise LogBroken(event.number, why)
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
    """What proxies answer follows what called for it at once: nothing comes between, whatever time it names."""
    comes = kinds.coming(room)
    if comes is not None and (comes[0].at <= at or comes[0].kind is HappeningKind.AUTOMATIC_BIDS):
        raise LogBroken(event.number, f"“{comes[0].kind}” is missing before it")
