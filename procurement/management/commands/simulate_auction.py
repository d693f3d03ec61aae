"""Run a whole auction on paper, by the same rules as the live room."""

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from procurement.management.paper import MinorUnits, read
from procurement.rules.auction.scenario import ScenarioRefused, parse
from procurement.rules.auction.simulation import simulate


class Command(BaseCommand):
    help = "Run an auction on paper from a scenario; see docs/procedures/simulator.md. Needs no database."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("scenario", help="a JSON file; - reads the standard input")
        parser.add_argument("--json", action="store_true", help="the whole result as JSON, for tools")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            outcome = simulate(parse(read(options["scenario"]), MinorUnits()))
        except ScenarioRefused as refused:
            self.stderr.write(str(refused))
            sys.exit(2)
        if options["json"]:
            self.stdout.write(json.dumps(outcome, indent=2))
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
