"""What the simulators on paper share: their command line, reading a JSON file strictly, minor units of currencies."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, NoReturn

from django.core.management.base import BaseCommand, CommandParser

from marketplace.shared.money import is_currency, minor_unit
from procurement.rules.auction.scenario_fields import ScenarioRefused


class PaperCommand(BaseCommand):
    """A command that works a JSON file out on paper and tells the outcome, in words or as JSON. Needs no database."""

    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("path", metavar="file", help="a JSON file; - reads the standard input")
        parser.add_argument("--json", action="store_true", help="the whole result as JSON, for tools")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            outcome = self.work_out(read(options["path"]))
        except ScenarioRefused as refused:
            self.stderr.write(str(refused))
            sys.exit(2)
        if options["json"]:
            self.stdout.write(json.dumps(outcome, indent=2))
        else:
            self.tell(outcome)

    def work_out(self, given: object) -> dict[str, Any]:
        """What comes of it. Raises ScenarioRefused."""
        raise NotImplementedError

    def tell(self, outcome: dict[str, Any]) -> None:
        """Print it for a reader."""
        raise NotImplementedError


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


def read(path: str) -> object:
    """The JSON in the file, `-` the standard input; fractions as Decimal. Raises ScenarioRefused."""
    try:
        # Some editors put a mark before the first letter.
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8-sig")
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
