"""Japanese auctions: whoever does not confirm a tick is out for good; the last one in wins."""

from fractions import Fraction
from typing import Any

from tests.procurement.rules.models.clock import Clock
from tests.procurement.rules.models.paper import Paper, Standing, exact


def run(scenario: dict[str, Any]) -> dict[str, Any]:
    return Japanese(scenario).run()


class Japanese:
    def __init__(self, scenario: dict[str, Any]) -> None:
        self.paper = Paper(scenario)
        self.clock = Clock(self.paper)
        self.inside = list(self.paper.bidders)
        self.confirmed: dict[str, dict[int, tuple[Fraction, int]]] = {bidder: {} for bidder in self.inside}
        """By bidder and tick: when it confirmed, and as which decision of all."""
        self.running = 0
        self.ended: Fraction | None = None
        self.decisions: list[dict[str, Any]] = []

    def run(self) -> dict[str, Any]:
        for event in self.paper.events:
            self.let_time_pass(exact(event["at_s"]))
            self.hear(event)
        self.let_time_pass(self.clock.end)
        assert self.ended is not None
        return self.paper.outcome(self.decisions, self.ranked(), self.ended)

    def let_time_pass(self, until: Fraction) -> None:
        while self.ended is None and (self.running + 1) * self.clock.interval <= until:
            self.close_the_tick((self.running + 1) * self.clock.interval)

    def close_the_tick(self, at: Fraction) -> None:
        self.inside = [bidder for bidder in self.inside if self.running in self.confirmed[bidder]]
        if len(self.inside) <= 1 or self.running == len(self.clock.prices) - 1:
            self.ended = at
        self.running += 1

    def hear(self, event: dict[str, Any]) -> None:
        at, bidder = exact(event["at_s"]), event["bidder"]
        running, price = self.ended is None and at >= 0, None
        if running and bidder in self.inside and self.running not in self.confirmed[bidder]:
            price = self.paper.amount_for(bidder, self.clock.prices[self.running])
        code = self.refusal(event, at, price)
        effective = self.paper.typed(event)
        if code is None:
            assert price is not None
            effective = self.paper.effective(bidder, price)
            self.confirmed[bidder][self.running] = (at, len(self.decisions))
        self.decisions.append(self.paper.decision(event, code, price, effective))

    def refusal(self, event: dict[str, Any], at: Fraction, price: Fraction | None) -> str | None:
        if at < 0:
            return "auction_not_started"
        if self.ended is not None:
            return "auction_over"
        if event["do"] != "confirm":
            return "wrong_action"
        if event["bidder"] not in self.inside:
            return "bidder_out"
        if self.running in self.confirmed[event["bidder"]]:
            return "already_confirmed"
        if price is None:
            return "no_room_left"
        seen = event.get("amount")
        return "price_moved" if seen is not None and exact(seen) != price else None

    def ranked(self) -> list[Standing]:
        """Who was in at the later tick stands better; at the same tick, who confirmed it earlier."""
        ranked: list[Standing] = []
        for tick in range(len(self.clock.prices) - 1, -1, -1):
            here = []
            for bidder, confirmations in self.confirmed.items():
                if confirmations and max(confirmations) == tick:
                    amount = self.paper.amount_for(bidder, self.clock.prices[tick])
                    assert amount is not None
                    here.append(Standing(bidder, amount, *confirmations[tick]))
            ranked += sorted(here, key=lambda bid: (bid.received, bid.order))
        return ranked
