"""Dutch auctions: the first acceptance at the current price wins."""

from typing import Any

from tests.procurement.rules.models.clock import Clock
from tests.procurement.rules.models.paper import Paper, Standing, exact


def run(scenario: dict[str, Any]) -> dict[str, Any]:
    paper = Paper(scenario)
    clock = Clock(paper)
    won: Standing | None = None
    decisions = []
    for event in paper.events:
        at = exact(event["at_s"])
        code, allowed = None, None
        if at < 0:
            code = "auction_not_started"
        elif won is not None or at >= clock.end:
            code = "auction_over"
        else:
            allowed = paper.amount_for(event["bidder"], clock.prices[clock.tick(at)])
            if event["do"] != "accept":
                code = "wrong_action"
            elif allowed is None:
                code = "no_room_left"
            elif event.get("amount") is not None and exact(event["amount"]) != allowed:
                code = "price_moved"
        effective = paper.typed(event)
        if code is None and allowed is not None:
            won = Standing(event["bidder"], allowed, at, 0)
            effective = paper.effective(event["bidder"], allowed)
        decisions.append(paper.decision(event, code, allowed, effective))
    return paper.outcome(decisions, [won] if won else [], won.received if won else clock.end)
