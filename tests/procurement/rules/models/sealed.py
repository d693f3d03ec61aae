"""Sealed auctions, first-price and second-price: one bid each, the best one wins."""

from fractions import Fraction
from typing import Any

from tests.procurement.rules.models.paper import Paper, Standing, exact, initial_bids


def run(scenario: dict[str, Any]) -> dict[str, Any]:
    paper = Paper(scenario)
    taking_part = [
        bid for bid in initial_bids(paper).values() if paper.meets(paper.effective(bid.bidder, bid.amount), paper.limit)
    ]
    ranked = paper.ranking(taking_part)
    decisions = [paper.decision(event, refusal(paper, event), None, paper.typed(event)) for event in paper.events]
    price = None
    if ranked and scenario["kind"] == "sealed_second_price":
        price = second_price(paper, ranked)
    return paper.outcome(decisions, ranked, exact(scenario["duration_s"]), price=price)


def refusal(paper: Paper, event: dict[str, Any]) -> str:
    """The bids are in before it starts; there is nothing to be done while it lasts."""
    at = exact(event["at_s"])
    if at < 0:
        return "auction_not_started"
    return "auction_over" if at >= exact(paper.scenario["duration_s"]) else "wrong_action"


def second_price(paper: Paper, ranked: list[Standing]) -> Fraction | None:
    """The winner's amount at the second-best effective price; alone, at the limit price or at its own, as set."""
    winner = ranked[0].bidder
    if len(ranked) > 1:
        return paper.amount_for(winner, paper.effective(ranked[1].bidder, ranked[1].amount))
    if paper.scenario["single_bid_price"] == "limit" and paper.limit is not None:
        return paper.amount_for(winner, paper.limit)
    return ranked[0].amount
