"""A whole auction on paper: a scenario in JSON's own types, parsed to the room as it stands at the start and the moves.

Amounts are decimal strings, times are seconds from the start. The format is described in docs/procedures/simulator.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType
from typing import Final

from procurement.rules.auction import kinds, proxies, sealed
from procurement.rules.auction.base import (
    Action,
    AuctionKind,
    ExtendFrom,
    Move,
    Reference,
    Room,
    SingleBidPrice,
    SoftClose,
    StepKind,
    Terms,
)
from procurement.rules.auction.judging import step_amount
from procurement.rules.auction.scenario_fields import LONGEST_SECONDS, START, Node, ScenarioRefused
from procurement.rules.auction.timetable import PriceClock
from procurement.rules.effective import PRICE_ALONE, EffectivePrice, by_features, by_life_cycle_cost
from procurement.rules.lifecycle import AuctionStatus
from procurement.rules.ranking import Direction, Standing

__all__ = ["Event", "Scenario", "ScenarioRefused", "parse"]

_STEPPED: Final = (AuctionKind.ENGLISH, AuctionKind.TURN_BASED)
_CLOCKED: Final = (AuctionKind.DUTCH, AuctionKind.JAPANESE)
_ACTIONS: Final = (Action.BID, Action.ACCEPT, Action.CONFIRM, Action.WITHDRAW)


@dataclass(frozen=True, slots=True)
class Event:
    """A move, and its time as the scenario has it."""

    at_s: Fraction
    move: Move


@dataclass(frozen=True, slots=True)
class Scenario:
    """A parsed scenario: the room at the start and the events in order of time."""

    room: Room
    events: tuple[Event, ...]


def parse(scenario: object, minor_unit: Mapping[str, Decimal]) -> Scenario:
    """The scenario as the room will see it; `minor_unit` by currency. Raises ScenarioRefused, which names the field."""
    root = Node(scenario)
    root.members(
        *("kind", "direction", "currency", "start_price", "step", "reference", "duration_s", "soft_close", "clock"),
        *("single_bid_price", "evaluation", "bidders", "events"),
    )
    kind = root.at("kind").choice(AuctionKind)
    currency = root.at("currency")
    unit = minor_unit.get(currency.text())
    if unit is None:
        raise currency.refuse("is not an ISO 4217 currency")
    bidders = _bidders(root, unit)
    terms = _terms(root, kind, unit, bidders)
    return Scenario(_room(root, terms, bidders), _events(root.at("events"), bidders))


def _bidders(root: Node, unit: Decimal) -> dict[str, Node]:
    found: dict[str, Node] = {}
    for node in root.at("bidders").items():
        node.members("id", "initial", "received_at_s", "features", "non_price_cost", "proxy_limit")
        bidder = node.at("id").text()
        if bidder in found:
            raise node.at("id").refuse(f"“{bidder}” is there twice")
        for name in ("initial", "proxy_limit"):
            if not node.at(name).missing:
                node.at(name).price(unit)
        if not node.at("initial").missing or not node.at("received_at_s").missing:
            node.at("received_at_s").seconds()
        if not node.at("non_price_cost").missing:
            node.at("non_price_cost").not_negative()
        for share in () if node.at("features").missing else node.at("features").items():
            share.not_negative()
        found[bidder] = node
    return found


def _terms(root: Node, kind: AuctionKind, unit: Decimal, bidders: Mapping[str, Node]) -> Terms:
    direction = root.at("direction").choice(Direction)
    start = root.at("start_price")
    price = None if start.missing else start.price(unit)
    reference = Reference.LEADER if root.at("reference").missing else root.at("reference").choice(Reference)
    clock = _clock(root, kind, direction, unit)
    duration = _duration(root, kind)
    return Terms(
        direction=direction,
        minor_unit=unit,
        limit=None if kind in _CLOCKED else price,
        step=_step(root.at("step"), kind, price, unit),
        reference=Reference.OWN if kind is AuctionKind.TURN_BASED else reference,
        soft_close=_soft_close(root.at("soft_close"), duration if kind is AuctionKind.ENGLISH else None),
        formulas={bidder: _formula(root.at("evaluation"), node, direction) for bidder, node in bidders.items()},
        kind=kind,
        clock=clock if kind in _CLOCKED else None,
        single_bid_price=_single_bid_price(root.at("single_bid_price"), kind, price),
    )


def _room(root: Node, terms: Terms, bidders: Mapping[str, Node]) -> Room:
    standings = _standings(bidders, terms)
    room = Room(
        terms=terms,
        status=AuctionStatus.RUNNING,
        starts_at=START,
        ends_at=START + (kinds.length(terms, len(standings)) or _duration(root, terms.kind) or timedelta()),
        bidders=frozenset(bidders),
        standings=standings,
        order=len(bidders),
    )
    return _PREPARED[terms.kind](room, bidders)


def _duration(root: Node, kind: AuctionKind) -> timedelta | None:
    """How long it lasts; needed where nothing else says so."""
    node = root.at("duration_s")
    return node.positive_span() if kind is AuctionKind.ENGLISH or not node.missing else None


def _step(node: Node, kind: AuctionKind, start_price: Decimal | None, unit: Decimal) -> Decimal:
    """The step in money; any where the kind has none."""
    if node.missing and kind not in _STEPPED:
        return unit
    node.needed("an amount or a percent").members("amount", "percent")
    amount, percent = node.at("amount"), node.at("percent")
    if amount.missing == percent.missing:
        raise node.refuse("is either an amount or a percent")
    if percent.missing:
        return amount.price(unit)
    if percent.decimal() <= 0:
        raise percent.refuse("is above zero")
    if start_price is None and kind in _STEPPED:
        raise percent.refuse("is of the start price, and there is none")
    return step_amount(StepKind.PERCENT, percent.decimal(), start_price or unit, unit)


def _soft_close(node: Node, duration: timedelta | None) -> SoftClose | None:
    if node.missing:
        return None
    node.members("window_s", "extend_s", "from", "max_extensions", "hard_stop_s")
    most, stop = node.at("max_extensions"), node.at("hard_stop_s")
    if not stop.missing and duration is not None and stop.instant() < START + duration:
        raise stop.refuse("is not before duration_s")
    return SoftClose(
        window=node.at("window_s").span(),
        extend=node.at("extend_s").span(),
        counted_from=ExtendFrom.RECEIPT if node.at("from").missing else node.at("from").choice(ExtendFrom),
        max_extensions=None if most.missing else most.count(),
        hard_stop_at=None if stop.missing else START + stop.span(),
    )


def _clock(root: Node, kind: AuctionKind, direction: Direction, unit: Decimal) -> PriceClock | None:
    node = root.at("clock")
    if node.missing and kind not in _CLOCKED:
        return None
    node.needed(f"a {kind} auction goes by it").members("tick", "interval_s", "last_price")
    last, interval = node.at("last_price").price(unit), node.at("interval_s").positive_span()
    tick = node.at("tick").price(unit)
    if kind not in _CLOCKED:
        return None
    start = root.at("start_price").needed("the clock starts from it").price(unit)
    clock = PriceClock(start, tick, interval, last)
    if start == last:
        raise node.at("last_price").refuse("is the start price: the clock would stand still")
    if kind is AuctionKind.JAPANESE and direction.better(Fraction(start), Fraction(last)):
        raise node.at("last_price").refuse(f"is beyond the start price: this auction goes {direction}")
    if clock.last_tick * interval.total_seconds() > LONGEST_SECONDS:
        raise node.at("tick").refuse("is too small: the clock would take more than 30 years")
    return clock


def _single_bid_price(node: Node, kind: AuctionKind, limit: Decimal | None) -> SingleBidPrice:
    chosen = SingleBidPrice.OWN if node.missing else node.choice(SingleBidPrice)
    if kind is AuctionKind.SEALED_SECOND_PRICE and chosen is SingleBidPrice.LIMIT and limit is None:
        raise node.refuse("is the limit, and there is no start_price")
    return chosen


def _formula(evaluation: Node, bidder: Node, direction: Direction) -> EffectivePrice:
    if evaluation.missing:
        return PRICE_ALONE
    evaluation.members("feature_maxima", "life_cycle_cost")
    maxima, life_cycle = evaluation.at("feature_maxima"), evaluation.at("life_cycle_cost")
    if not isinstance(life_cycle.value, bool | None):
        raise life_cycle.refuse("is true")
    if maxima.missing == (life_cycle.value is not True):
        raise evaluation.refuse("is either feature_maxima or life_cycle_cost: true")
    if maxima.missing:
        cost = bidder.at("non_price_cost")
        return PRICE_ALONE if cost.missing else by_life_cycle_cost(cost.decimal())
    weights = [node.not_negative() for node in maxima.items()]
    if sum(map(Fraction, weights)) >= 1:
        raise maxima.refuse("sum to less than 1")
    shares = [node.decimal() for node in bidder.at("features").needed("one share for each feature").items()]
    try:
        return by_features(shares, weights, direction)
    except ValueError as error:
        raise bidder.at("features").refuse(str(error)) from error


def _standings(bidders: Mapping[str, Node], terms: Terms) -> dict[str, Standing]:
    standings = {}
    for order, (bidder, node) in enumerate(bidders.items()):
        if not node.at("initial").missing:
            amount = node.at("initial").decimal()
            of, received_at = terms.formula(bidder).of(amount), _received_at(node)
            standings[bidder] = Standing(bidder, amount, of, received_at, order)
    return standings


def _received_at(bidder: Node) -> datetime:
    node = bidder.at("received_at_s")
    return START if node.missing else node.instant()


def _with_proxies(room: Room, bidders: Mapping[str, Node]) -> Room:
    limits = tuple(
        proxies.Limit(bidder, node.at("proxy_limit").decimal(), _received_at(node))
        for bidder, node in bidders.items()
        if not node.at("proxy_limit").missing
    )
    return proxies.opened(room, limits) if limits else room


def _nothing_standing(room: Room, bidders: Mapping[str, Node]) -> Room:
    return replace(room, standings={})


def _admitted(room: Room, bidders: Mapping[str, Node]) -> Room:
    return replace(room, standings=sealed.admitted(room.standings.values(), room.terms))


def _as_it_is(room: Room, bidders: Mapping[str, Node]) -> Room:
    return room


_PREPARED: Final[Mapping[AuctionKind, Callable[[Room, Mapping[str, Node]], Room]]] = MappingProxyType(
    {
        AuctionKind.ENGLISH: _with_proxies,
        AuctionKind.DUTCH: _nothing_standing,
        AuctionKind.JAPANESE: _nothing_standing,
        AuctionKind.SEALED_FIRST_PRICE: _admitted,
        AuctionKind.SEALED_SECOND_PRICE: _admitted,
        AuctionKind.TURN_BASED: _as_it_is,
    }
)


def _events(node: Node, bidders: Mapping[str, Node]) -> tuple[Event, ...]:
    events = [_event(entry, bidders) for entry in (() if node.missing else node.items())]
    return tuple(sorted(events, key=lambda event: event.at_s))


def _event(entry: Node, bidders: Mapping[str, Node]) -> Event:
    entry.members("at_s", "bidder", "do", "amount")
    bidder, action, amount = entry.at("bidder"), entry.at("do").choice(Action, _ACTIONS), entry.at("amount")
    if bidder.text() not in bidders:
        raise bidder.refuse(f"“{bidder.value}” is not one of the bidders")
    if action is Action.BID:
        amount.needed("a bid has an amount")
    price = None if amount.missing else amount.amount()
    return Event(entry.at("at_s").seconds(), Move(bidder.text(), price, entry.at("at_s").instant(), action))
