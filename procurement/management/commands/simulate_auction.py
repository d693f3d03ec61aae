"""Run a whole auction on paper, by the same rules as the live room."""

import json
import sys
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, NoReturn

from django.core.management.base import BaseCommand, CommandParser

from marketplace.shared.money import is_currency, minor_unit
from procurement.rules.auction.scenario import ScenarioRefused, parse
from procurement.rules.auction.simulation import simulate


class MinorUnits(Mapping[str, Decimal]):
    """Minor units by ISO 4217 code."""

    def __getitem__(self, currency: str) -> Decimal:
        if not is_currency(currency):
            raise KeyError(currency)
        return minor_unit(currency)

    def __iter__(self) -> NoReturn:
        raise TypeError("looked up, never listed")

    def __len__(self) -> NoReturn:
        raise TypeError("looked up, never listed")


class Command(BaseCommand):
    help = "Run an auction on paper from a scenario; see docs/procedures/simulator.md. Needs no database."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("scenario", help="a JSON file; - reads the standard input")
        parser.add_argument("--json", action="store_true", help="the whole result as JSON, for tools")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            outcome = simulate(parse(_read(options["scenario"]), MinorUnits()))
        except ScenarioRefused as refused:
            self.stderr.write(str(refused))
            sys.exit(2)
        if options["json"]:
            self.stdout.write(json.dumps(outcome, ensure_ascii=False, indent=2))
        else:
            self._tell(outcome)

    def _tell(self, outcome: dict[str, Any]) -> None:
        for decision in outcome["decisions"]:
            verdict = "accepted" if decision["accepted"] else f"refused: {decision['code']}"
            allowed = (
                ""
                if decision["accepted"] or not decision["allowed_amount"]
                else f" (allowed: {decision['allowed_amount']})"
            )
            self.stdout.write(f"{decision['at_s']:>10} s  {decision['bidder']}  {verdict}{allowed}")
        for line in outcome["ranking"]:
            self.stdout.write(f"{line['rank']:>3}. {line['bidder']}  {line['amount']}")
        winner = f"{outcome['winner']} at {outcome['price']}" if outcome["winner"] else "nobody"
        self.stdout.write(
            f"Won by {winner}; ended at {outcome['ended_at_s']} s, extended {outcome['extensions']} times"
        )


def _read(path: str) -> object:
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioRefused("", f"{path} cannot be read: {error}") from error
    try:
        return json.loads(text, parse_float=Decimal, parse_constant=_no_constant, object_pairs_hook=_once_each)
    except ScenarioRefused:
        raise
    except (ValueError, RecursionError) as error:
        raise ScenarioRefused("", f"{path} is not JSON: {error}") from error


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number of JSON")


def _once_each(members: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object's members; JSON itself would let the last of two fields of one name win unseen."""
    found: dict[str, Any] = {}
    for name, value in members:
        if name in found:
            raise ScenarioRefused(name, "is there twice")
        found[name] = value
    return found
