"""The auction kinds against slow, obvious models of them, over many small scenarios."""

import json
from decimal import Decimal
from fractions import Fraction
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from procurement.rules.auction.scenario import parse
from procurement.rules.auction.simulation import simulate
from tests.procurement.rules import models
from tests.procurement.rules.models import strategies
from tests.procurement.rules.models.paper import MINOR_DIGITS, Paper

EXAMPLES = settings(
    max_examples=150, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)


MINOR_UNITS = {currency: Decimal(1).scaleb(-digits) for currency, digits in MINOR_DIGITS.items()}


def simulated(scenario: dict[str, Any]) -> dict[str, Any]:
    """The engine's outcome, by way of the JSON that the command reads and writes."""
    read = json.loads(json.dumps(scenario), parse_float=Decimal)
    return json.loads(json.dumps(simulate(parse(read, MINOR_UNITS))))


def modelled(scenario: dict[str, Any]) -> dict[str, Any]:
    return json.loads(json.dumps(models.run(scenario)))


@EXAMPLES
@given(strategies.english())
def test_english_auctions_go_as_in_the_model(scenario):
    assert simulated(scenario) == modelled(scenario)


@EXAMPLES
@given(strategies.sealed())
def test_sealed_auctions_go_as_in_the_model(scenario):
    assert simulated(scenario) == modelled(scenario)


@EXAMPLES
@given(strategies.clocked("dutch"))
def test_dutch_auctions_go_as_in_the_model(scenario):
    assert simulated(scenario) == modelled(scenario)


@EXAMPLES
@given(strategies.clocked("japanese"))
def test_japanese_auctions_go_as_in_the_model(scenario):
    assert simulated(scenario) == modelled(scenario)


@EXAMPLES
@given(strategies.turn_based())
def test_turn_based_auctions_go_as_in_the_model(scenario):
    assert simulated(scenario) == modelled(scenario)


@settings(EXAMPLES, max_examples=100)
@given(st.sampled_from(["down", "up"]), st.integers(1, 400), st.integers(1, 60))
def test_the_models_own_search_finds_what_trying_every_amount_finds(direction, numerator, denominator):
    bound = Fraction(numerator, denominator)
    paper = Paper({"direction": direction, "currency": "JPY", "bidders": []}, highest=400)
    tried = [Fraction(units) for units in range(1, 401) if paper.meets(Fraction(units), bound)]
    best = (max if direction == "down" else min)(tried, default=None)
    unbounded = direction == "down" and best == 400
    assert paper.least_concession(lambda amount: paper.meets(amount, bound)) == (None if unbounded else best)
