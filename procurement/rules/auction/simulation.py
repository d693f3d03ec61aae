"""Running a scenario by the rules of the live room, and telling what came of it in the types of JSON."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from procurement.rules.auction import kinds
from procurement.rules.auction.base import Decision, Happening, HappeningKind, Room
from procurement.rules.auction.duel import TooManyBids
from procurement.rules.auction.scenario import Event, Scenario
from procurement.rules.auction.scenario_fields import START, ScenarioRefused
from procurement.rules.effective import half_up_to

_STAGES = (HappeningKind.PAUSE, HappeningKind.TURN, HappeningKind.ANNOUNCEMENT)


def simulate(scenario: Scenario) -> dict[str, object]:
    """The auction from start to end. Decisions come in the order of time.

    Raises ScenarioRefused where soft closes move the end out of the calendar, or where proxies would never come to an
    end.
    """
    room, decisions = scenario.room, []
    happened: list[Happening] = []
    try:
        for event in scenario.events:
            happens, room = kinds.advance(room, event.move.received_at)
            decision, room = kinds.decide(room, event.move)
            happened += happens
            decisions.append(_decision(event, decision, room.terms.minor_unit))
        happens, room = kinds.advance(room, room.ends_at)
    except OverflowError as error:
        raise ScenarioRefused("soft_close.extend_s", "moves the end past the year 9999") from error
    except TooManyBids as error:
        raise ScenarioRefused("step", str(error)) from error
    happened += happens
    return {"decisions": decisions, "stages": _stages(happened), **_result(room)}


def _result(room: Room) -> dict[str, object]:
    unit, outcome = room.terms.minor_unit, kinds.outcome(room)
    return {
        "ranking": [
            {
                "rank": line.rank,
                "bidder": bid.bidder,
                "amount": _shown(bid.amount, unit),
                "effective": _shown(room.terms.formula(bid.bidder).of(bid.amount), unit),
            }
            for line in room.ranking
            for bid in [line.standing]
        ],
        "winner": outcome.winner,
        "price": None if outcome.price is None else _shown(outcome.price, unit),
        "ended_at_s": _seconds(room.ends_at),
        "extensions": room.extensions,
    }


def _decision(event: Event, decision: Decision, unit: Decimal) -> dict[str, object]:
    allowed, effective = decision.allowed_amount, decision.effective
    return {
        "at_s": _number(event.at_s),
        "bidder": event.move.bidder,
        "accepted": decision.accepted,
        "code": decision.code.value if decision.code else None,
        "allowed_amount": None if allowed is None else _shown(allowed, unit),
        "effective": None if effective is None else _shown(effective, unit),
    }


def _stages(happened: list[Happening]) -> list[dict[str, object]]:
    return [
        {"kind": happens.kind.value, "at_s": _seconds(happens.at), "bidder": happens.bidder}
        for happens in happened
        if happens.kind in _STAGES
    ]


def _shown(value: Decimal | Fraction, unit: Decimal) -> str:
    return f"{half_up_to(Fraction(value), unit):f}"


def _seconds(at: datetime) -> int | float:
    return _number(Fraction((at - START) // timedelta(microseconds=1), 1_000_000))


def _number(seconds: Fraction) -> int | float:
    return int(seconds) if seconds.denominator == 1 else float(seconds)
