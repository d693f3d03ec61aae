"""Evaluate sealed bids on paper."""

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from procurement.management.paper import MinorUnits, read
from procurement.rules.case import ScenarioRefused, evaluate, parse


class Command(BaseCommand):
    help = "Evaluate sealed bids on paper from a case; see docs/procedures/simulator.md. Needs no database."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("case", help="a JSON file; - reads the standard input")
        parser.add_argument("--json", action="store_true", help="the whole result as JSON, for tools")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            outcome = evaluate(parse(read(options["case"]), MinorUnits()))
        except ScenarioRefused as refused:
            self.stderr.write(str(refused))
            sys.exit(2)
        if options["json"]:
            self.stdout.write(json.dumps(outcome, indent=2))
        else:
            self._tell(outcome)

    def _tell(self, outcome: dict[str, Any]) -> None:
        for scored in outcome["scores"]:
            self.stdout.write(scored["bidder"])
            for points in scored["points"]:
                self.stdout.write(f"    {points['criterion']}: {points['arithmetic']}")
            self.stdout.write(f"    total: {scored['arithmetic']}")
        for line in outcome["ranking"]:
            self.stdout.write(f"{line['rank']:>3}. {line['bidder']}  {line['total']}  ({line['amount']})")
        for part in ("ties", "rejected", "abnormally_low"):
            for one in outcome[part]:
                who = one.get("bidder") or ", ".join(one["bidders"])
                self.stdout.write(f"{one.get('reason', 'tie')}: {who}: {one['arithmetic']}")
