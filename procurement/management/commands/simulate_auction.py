"""Run a whole auction on paper, by the same rules as the live room."""

from typing import Any

from procurement.management.paper import MinorUnits, PaperCommand
from procurement.rules.auction.scenario import parse
from procurement.rules.auction.simulation import simulate


class Command(PaperCommand):
    help = "Run an auction on paper from a scenario; see docs/procedures/simulator.md. Needs no database."

    def work_out(self, given: object) -> dict[str, Any]:
        return simulate(parse(given, MinorUnits()))

    def tell(self, outcome: dict[str, Any]) -> None:
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
