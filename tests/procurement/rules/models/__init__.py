"""Slow, obvious models of the auction kinds, written from the text of the rules and from nothing else.

Each module has one `run(scenario) -> outcome`, from the simulator's JSON to the simulator's JSON. They share no code
with `procurement.rules`; where the two differ, one of them has misread the rules.
"""

from collections.abc import Callable
from typing import Any

from tests.procurement.rules.models import dutch, english, japanese, sealed, turn_based

MODELS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "english": english.run,
    "dutch": dutch.run,
    "japanese": japanese.run,
    "sealed_first_price": sealed.run,
    "sealed_second_price": sealed.run,
    "turn_based": turn_based.run,
}


def run(scenario: dict[str, Any]) -> dict[str, Any]:
    return MODELS[scenario["kind"]](scenario)
