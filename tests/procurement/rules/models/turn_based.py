"""Turn-based auctions: three rounds, everyone in its own turn, the worst standing bid first."""

from fractions import Fraction
from typing import Any

from tests.procurement.rules.models.paper import Paper, Standing, exact, initial_bids

PAUSES = (300, 120, 120)
TURN = 120
UNTIL_THE_ANNOUNCEMENT = 120


def run(scenario: dict[str, Any]) -> dict[str, Any]:
    return TurnBased(scenario).run()


class TurnBased:
    def __init__(self, scenario: dict[str, Any]) -> None:
        self.paper = Paper(scenario)
        self.standing = initial_bids(self.paper)
        self.stages: list[dict[str, Any]] = []
        self.decisions: list[dict[str, Any]] = []
        self.events = list(self.paper.events)
        self.turn_bid: Standing | None = None

    def run(self) -> dict[str, Any]:
        self.hear_before(Fraction(0), None)
        now = Fraction(0)
        for pause in PAUSES:
            self.stage("pause", now, None)
            now += pause
            self.hear_before(now, None)
            for speaker in self.order():
                self.stage("turn", now, speaker)
                now += TURN
                self.hear_before(now, speaker)
                if self.turn_bid is not None:
                    self.standing[speaker] = self.turn_bid
                    self.turn_bid = None
        now += UNTIL_THE_ANNOUNCEMENT
        self.hear_before(now, None)
        self.stage("announcement", now, None)
        while self.events:
            self.refuse_as_over(self.events.pop(0))
        ranked = self.paper.ranking(list(self.standing.values()))
        return self.paper.outcome(self.decisions, ranked, now, stages=self.stages)

    def order(self) -> list[str]:
        """The worst standing bid first, the best last; whoever has none takes no turn."""
        return [bid.bidder for bid in reversed(self.paper.ranking(list(self.standing.values())))]

    def stage(self, kind: str, at: Fraction, bidder: str | None) -> None:
        self.stages.append({"kind": kind, "at_s": int(at), "bidder": bidder})

    def hear_before(self, border: Fraction, speaker: str | None) -> None:
        while self.events and exact(self.events[0]["at_s"]) < border:
            self.hear(self.events.pop(0), speaker)

    def hear(self, event: dict[str, Any], speaker: str | None) -> None:
        bidder, at = event["bidder"], exact(event["at_s"])
        amount = None if event.get("amount") is None else exact(event["amount"])
        allowed = self.allowed(bidder) if bidder == speaker else None
        code = self.refusal(event, at, speaker, amount, allowed)
        self.decisions.append(self.paper.decision(event, code, allowed, self.paper.typed(event)))
        if code is None and event["do"] == "withdraw":
            self.turn_bid = None
        elif code is None:
            assert amount is not None
            self.turn_bid = Standing(bidder, amount, at, len(self.decisions))

    def refuse_as_over(self, event: dict[str, Any]) -> None:
        self.decisions.append(self.paper.decision(event, "auction_over", None, self.paper.typed(event)))

    def bounds(self, bidder: str) -> list[Fraction]:
        paper, own = self.paper, self.standing[bidder]
        bounds = [paper.better_by(paper.effective(bidder, own.amount), paper.step())]
        return bounds if paper.limit is None else [paper.limit, *bounds]

    def allowed(self, bidder: str) -> Fraction | None:
        paper, bounds = self.paper, self.bounds(bidder)
        return paper.least_concession(
            lambda amount: all(paper.meets(paper.effective(bidder, amount), bound) for bound in bounds)
        )

    def refusal(
        self,
        event: dict[str, Any],
        at: Fraction,
        speaker: str | None,
        amount: Fraction | None,
        allowed: Fraction | None,
    ) -> str | None:
        if at < 0:
            return "auction_not_started"
        if event["do"] not in ("bid", "withdraw"):
            return "wrong_action"
        if event["bidder"] != speaker:
            return "not_your_turn"
        if event["do"] == "withdraw":
            return "nothing_to_withdraw" if self.turn_bid is None else None
        assert amount is not None
        shape = self.paper.shape_refusal(amount)
        if shape:
            return shape
        price = self.paper.effective(event["bidder"], amount)
        missed = [bound for bound in self.bounds(event["bidder"]) if not self.paper.meets(price, bound)]
        if not missed:
            return None
        if self.paper.limit in missed:
            return "limit_not_met"
        return "no_room_left" if allowed is None else "step_not_met"
