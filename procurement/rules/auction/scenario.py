"""A whole auction on paper, by the rules of the live room: a scenario in JSON's own types in, what happens out.

Amounts are decimal strings, times are seconds from the start. The format is described in docs/procedures/simulator.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_FLOOR, Decimal, InvalidOperation
from enum import StrEnum
from fractions import Fraction
from typing import Any, TypeVar

from procurement.rules.auction import english
from procurement.rules.auction.base import (
    AuctionKind,
    Bid,
    Decision,
    ExtendFrom,
    Reference,
    Refused,
    Room,
    SoftClose,
    StepKind,
    Terms,
    refused_for_shape,
    step_amount,
)
from procurement.rules.effective import PRICE_ALONE, EffectivePrice, by_features, by_life_cycle_cost, half_up_to
from procurement.rules.lifecycle import AuctionStatus
from procurement.rules.ranking import Direction, Standing

START = datetime(2000, 1, 1, tzinfo=UTC)
LONGEST_SECONDS = Decimal(10) ** 9

Choice = TypeVar("Choice", bound=StrEnum)


class ScenarioRefused(ValueError):
    """The scenario is malformed, or asks for what does not exist yet; `field` is the path of the part that is wrong."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}" if field else message)
        self.field = field


class Action(StrEnum):
    BID = "bid"
    ACCEPT = "accept"
    CONFIRM = "confirm"
    WITHDRAW = "withdraw"


@dataclass(frozen=True, slots=True)
class Event:
    at_s: Decimal
    bidder: str
    do: Action
    amount: Decimal | None


@dataclass(frozen=True, slots=True)
class Scenario:
    """A parsed scenario: the room at the start and the events in order of time."""

    room: Room
    events: tuple[Event, ...]


class _Node:
    """A part of the scenario that knows its own path, so that every refusal names the field."""

    def __init__(self, value: Any, path: str) -> None:
        self.value = value
        self.path = path

    def refuse(self, message: str) -> ScenarioRefused:
        return ScenarioRefused(self.path, message)

    def members(self, *known: str) -> None:
        if not isinstance(self.value, dict):
            raise self.refuse("is an object")
        for name in self.value:
            if name not in known:
                raise self.at(name).refuse("is not a field of a scenario")

    def at(self, name: str) -> _Node:
        return _Node(self.value.get(name), f"{self.path}.{name}" if self.path else name)

    @property
    def missing(self) -> bool:
        return self.value is None

    def items(self) -> Iterator[_Node]:
        if not isinstance(self.value, list):
            raise self.refuse("is a list")
        return (_Node(value, f"{self.path}[{place}]") for place, value in enumerate(self.value))

    def text(self) -> str:
        if not isinstance(self.value, str) or not self.value:
            raise self.refuse("is a string that is not empty")
        return self.value

    def choice(self, kind: type[Choice]) -> Choice:
        if not isinstance(self.value, str) or self.value not in list(kind):
            raise self.refuse(f"is one of: {', '.join(kind)}")
        return kind(self.value)

    def decimal(self) -> Decimal:
        if not isinstance(self.value, str):
            raise self.refuse('is a decimal string, such as "95.00"')
        try:
            number = Decimal(self.value)
        except InvalidOperation:
            number = Decimal("NaN")
        if not number.is_finite() or abs(number) >= LONGEST_SECONDS**2:
            raise self.refuse(f'is a decimal string, such as "95.00", not "{self.value}"')
        return number

    def seconds(self) -> Decimal:
        if isinstance(self.value, bool) or not isinstance(self.value, int | float | Decimal):
            raise self.refuse("is a number of seconds")
        number = Decimal(str(self.value)) if isinstance(self.value, float) else Decimal(self.value)
        if not number.is_finite() or abs(number) > LONGEST_SECONDS:
            raise self.refuse("is a number of seconds")
        return number

    def count(self) -> int:
        if isinstance(self.value, bool) or not isinstance(self.value, int) or self.value < 0:
            raise self.refuse("is a whole number, not below zero")
        return self.value

    def price(self, minor_unit: Decimal) -> Decimal:
        number = self.decimal()
        if refused_for_shape(number, minor_unit) is not None:
            raise self.refuse(f"is above zero and in whole units of {minor_unit}")
        return number


def parse(scenario: object, minor_unit: Mapping[str, Decimal]) -> Scenario:
    """The scenario as the room will see it; `minor_unit` by currency. Raises ScenarioRefused, which names the field."""
    root = _Node(scenario, "")
    root.members(
        *("kind", "direction", "currency", "start_price", "step", "reference", "duration_s", "soft_close", "clock"),
        *("single_bid_price", "evaluation", "bidders", "events"),
    )
    kind = root.at("kind").choice(AuctionKind)
    if kind is not AuctionKind.ENGLISH:
        raise root.at("kind").refuse(f"there is no simulator of “{kind}” yet; there is one of “english”")
    currency = root.at("currency")
    unit = minor_unit.get(currency.text())
    if unit is None:
        raise currency.refuse("is not an ISO 4217 currency")
    duration = root.at("duration_s").seconds()
    if duration <= 0:
        raise root.at("duration_s").refuse("is above zero")
    bidders = _bidders(root, unit)
    terms = _terms(root, unit, bidders)
    room = Room(
        terms=terms,
        status=AuctionStatus.RUNNING,
        starts_at=START,
        ends_at=_instant(duration),
        bidders=frozenset(bidders),
        standings=_standings(bidders, unit, terms),
        order=len(bidders),
    )
    return Scenario(room, _events(root.at("events"), bidders))


def simulate(scenario: Scenario) -> dict[str, object]:
    """The auction from start to end, in the types of JSON. Decisions come in the order of time."""
    room, decisions = scenario.room, []
    for event in scenario.events:
        if event.do is Action.BID and event.amount is not None:
            decision, room = english.decide(room, Bid(event.bidder, event.amount, _instant(event.at_s)))
            decisions.append(_decision(event, decision, room.terms.minor_unit))
        else:
            decisions.append(_wrong_action(event, room))
    first, unit = room.leader, room.terms.minor_unit
    return {
        "decisions": decisions,
        "stages": [],
        "ranking": [
            {
                "rank": line.rank,
                "bidder": line.standing.bidder,
                "amount": _shown(line.standing.amount, unit),
                "effective": _shown(line.standing.effective, unit),
            }
            for line in room.ranking
        ],
        "winner": first.bidder if first else None,
        "price": _shown(first.amount, unit) if first else None,
        "ended_at_s": _number(Decimal((room.ends_at - START) // timedelta(microseconds=1)) / 1_000_000),
        "extensions": room.extensions,
    }


def _decision(event: Event, decision: Decision, unit: Decimal) -> dict[str, object]:
    allowed = decision.allowed_amount
    return {
        "at_s": _number(event.at_s),
        "bidder": event.bidder,
        "accepted": decision.accepted,
        "code": decision.code.value if decision.code else None,
        "allowed_amount": None if allowed is None else _shown(allowed, unit),
        "effective": None if decision.effective is None else _shown(decision.effective, unit),
    }


def _wrong_action(event: Event, room: Room) -> dict[str, object]:
    allowed = english.allowed_amount(room, event.bidder)
    return {
        "at_s": _number(event.at_s),
        "bidder": event.bidder,
        "accepted": False,
        "code": Refused.WRONG_ACTION.value,
        "allowed_amount": None if allowed is None else _shown(allowed, room.terms.minor_unit),
        "effective": None,
    }


def _bidders(root: _Node, unit: Decimal) -> dict[str, _Node]:
    found: dict[str, _Node] = {}
    for node in root.at("bidders").items():
        node.members("id", "initial", "received_at_s", "features", "non_price_cost", "proxy_limit")
        bidder = node.at("id").text()
        if bidder in found:
            raise node.at("id").refuse(f"“{bidder}” is there twice")
        if not node.at("proxy_limit").missing:
            raise node.at("proxy_limit").refuse("there is no proxy bidding yet")
        found[bidder] = node
    return found


def _terms(root: _Node, unit: Decimal, bidders: Mapping[str, _Node]) -> Terms:
    direction = root.at("direction").choice(Direction)
    start = root.at("start_price")
    limit = None if start.missing else start.price(unit)
    reference = root.at("reference")
    return Terms(
        direction=direction,
        minor_unit=unit,
        limit=limit,
        step=_step(root.at("step"), limit, unit),
        reference=Reference.LEADER if reference.missing else reference.choice(Reference),
        soft_close=_soft_close(root.at("soft_close"), root.at("duration_s").seconds()),
        formulas={bidder: _formula(root.at("evaluation"), node, direction) for bidder, node in bidders.items()},
    )


def _step(node: _Node, start_price: Decimal | None, unit: Decimal) -> Decimal:
    node.members("amount", "percent")
    amount, percent = node.at("amount"), node.at("percent")
    if amount.missing == percent.missing:
        raise node.refuse("is either an amount or a percent")
    if percent.missing:
        return amount.price(unit)
    if percent.decimal() <= 0:
        raise percent.refuse("is above zero")
    if start_price is None:
        raise percent.refuse("is of the start price, and there is none")
    return step_amount(StepKind.PERCENT, percent.decimal(), start_price, unit)


def _soft_close(node: _Node, duration: Decimal) -> SoftClose | None:
    if node.missing:
        return None
    node.members("window_s", "extend_s", "from", "max_extensions", "hard_stop_s")
    for name in ("window_s", "extend_s"):
        if node.at(name).seconds() < 0:
            raise node.at(name).refuse("is not below zero")
    most, stop = node.at("max_extensions"), node.at("hard_stop_s")
    if not stop.missing and stop.seconds() < duration:
        raise stop.refuse("is not before duration_s")
    return SoftClose(
        window=_span(node.at("window_s").seconds()),
        extend=_span(node.at("extend_s").seconds()),
        counted_from=ExtendFrom.RECEIPT if node.at("from").missing else node.at("from").choice(ExtendFrom),
        max_extensions=None if most.missing else most.count(),
        hard_stop_at=None if stop.missing else _instant(stop.seconds()),
    )


def _formula(evaluation: _Node, bidder: _Node, direction: Direction) -> EffectivePrice:
    if evaluation.missing:
        return PRICE_ALONE
    evaluation.members("feature_maxima", "life_cycle_cost")
    maxima, life_cycle = evaluation.at("feature_maxima"), evaluation.at("life_cycle_cost")
    if life_cycle.value not in (None, True, False) or maxima.missing == (life_cycle.value is not True):
        raise evaluation.refuse("is either feature_maxima or life_cycle_cost: true")
    if maxima.missing:
        cost = bidder.at("non_price_cost")
        return PRICE_ALONE if cost.missing else by_life_cycle_cost(cost.decimal())
    shares = [node.decimal() for node in bidder.at("features").items()]
    weights = [node.decimal() for node in maxima.items()]
    if any(weight < 0 for weight in weights) or sum(weights) >= 1:
        raise maxima.refuse("are not below 0 and sum to less than 1")
    try:
        return by_features(shares, weights, direction)
    except ValueError as error:
        raise bidder.at("features").refuse(str(error)) from error


def _standings(bidders: Mapping[str, _Node], unit: Decimal, terms: Terms) -> dict[str, Standing]:
    standings = {}
    for order, (bidder, node) in enumerate(bidders.items()):
        initial = node.at("initial")
        if not initial.missing:
            amount, received = initial.price(unit), _instant(node.at("received_at_s").seconds())
            standings[bidder] = Standing(bidder, amount, terms.formula(bidder).of(amount), received, order)
    return standings


def _events(node: _Node, bidders: Mapping[str, _Node]) -> tuple[Event, ...]:
    events = []
    for entry in () if node.missing else node.items():
        entry.members("at_s", "bidder", "do", "amount")
        bidder, action, amount = entry.at("bidder"), entry.at("do").choice(Action), entry.at("amount")
        if bidder.text() not in bidders:
            raise bidder.refuse(f"“{bidder.value}” is not one of the bidders")
        if action is Action.BID and amount.missing:
            raise amount.refuse("a bid has an amount")
        price = None if amount.missing else amount.decimal()
        events.append(Event(entry.at("at_s").seconds(), bidder.text(), action, price))
    return tuple(sorted(events, key=lambda event: event.at_s))


def _span(seconds: Decimal) -> timedelta:
    # Down to the microsecond, so that what comes before the end stays before the end.
    return timedelta(microseconds=int((seconds * 1_000_000).to_integral_value(ROUND_FLOOR)))


def _instant(seconds: Decimal) -> datetime:
    return START + _span(seconds)


def _shown(value: Decimal | Fraction, unit: Decimal) -> str:
    return f"{half_up_to(Fraction(value), unit):f}"


def _number(seconds: Decimal) -> int | float:
    return int(seconds) if seconds == seconds.to_integral_value() else float(seconds)
