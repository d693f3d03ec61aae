"""Evaluate sealed bids on paper."""

from typing import Any

from procurement.management.paper import MinorUnits, PaperCommand
from procurement.rules.case import evaluate, parse


class Command(PaperCommand):
    help = "Evaluate sealed bids on paper from a case; see docs/procedures/simulator.md. Needs no database."

    def work_out(self, given: object) -> dict[str, Any]:
        return evaluate(parse(given, MinorUnits()))

    def tell(self, outcome: dict[str, Any]) -> None:
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
