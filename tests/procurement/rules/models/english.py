"""English auctions: every bid beats a reference by the step; late bids move the end; proxies bid one step at a time."""

from fractions import Fraction
from typing import Any

from tests.procurement.rules.models.paper import Paper, Standing, exact, initial_bids


def run(scenario: dict[str, Any]) -> dict[str, Any]:
    return English(scenario).run()


class English:
    def __init__(self, scenario: dict[str, Any]) -> None:
        self.paper = Paper(scenario)
        self.own_reference = scenario["reference"] == "own"
        self.standing = initial_bids(self.paper)
        self.end = exact(scenario["duration_s"])
        self.extensions = 0
        self.decided = 0
        self.decisions: list[dict[str, Any]] = []
        self.started = False

    def run(self) -> dict[str, Any]:
        for event in self.paper.events:
            at = exact(event["at_s"])
            if at >= 0:
                self.start()
            self.hear(event, at)
        self.start()
        return self.paper.outcome(self.decisions, self.ranked(), self.end, extensions=self.extensions)

    def start(self) -> None:
        if not self.started:
            self.started = True
            self.let_proxies_bid(Fraction(0))

    def ranked(self) -> list[Standing]:
        return self.paper.ranking(list(self.standing.values()))

    def leader(self) -> str | None:
        ranked = self.ranked()
        return ranked[0].bidder if ranked else None

    def bounds(self, bidder: str) -> list[Fraction]:
        """What an effective price of this bidder must meet now: the limit price, and the reference less the step."""
        paper = self.paper
        bounds = [] if paper.limit is None else [paper.limit]
        reference = self.standing.get(bidder) if self.own_reference else (self.ranked() or [None])[0]
        if reference is not None:
            bounds.append(paper.better_by(paper.effective(reference.bidder, reference.amount), paper.step()))
        return bounds

    def may_bid(self, bidder: str) -> bool:
        return self.own_reference or self.leader() != bidder

    def allowed(self, bidder: str, at: Fraction) -> Fraction | None:
        if not 0 <= at < self.end or not self.may_bid(bidder):
            return None
        bounds = self.bounds(bidder)
        return self.paper.least_concession(
            lambda amount: all(self.paper.meets(self.paper.effective(bidder, amount), bound) for bound in bounds)
        )

    def refusal(self, event: dict[str, Any], at: Fraction, allowed: Fraction | None) -> str | None:
        paper, bidder = self.paper, event["bidder"]
        if at < 0:
            return "auction_not_started"
        if at >= self.end:
            return "auction_over"
        if event["do"] != "bid":
            return "wrong_action"
        if not self.may_bid(bidder):
            return "already_leading"
        amount = exact(event["amount"])
        shape = paper.shape_refusal(amount)
        if shape:
            return shape
        price = paper.effective(bidder, amount)
        missed = [bound for bound in self.bounds(bidder) if not paper.meets(price, bound)]
        if not missed:
            return None
        if paper.limit in missed:
            return "limit_not_met"
        return "no_room_left" if allowed is None else "step_not_met"

    def hear(self, event: dict[str, Any], at: Fraction) -> None:
        allowed = self.allowed(event["bidder"], at)
        code = self.refusal(event, at, allowed)
        self.decisions.append(self.paper.decision(event, code, allowed, self.paper.typed(event)))
        if code is None:
            self.take(event["bidder"], exact(event["amount"]), at)
            self.move_the_end(at)
            self.let_proxies_bid(at)

    def take(self, bidder: str, amount: Fraction, at: Fraction) -> None:
        self.decided += 1
        self.standing[bidder] = Standing(bidder, amount, at, self.decided)

    def move_the_end(self, at: Fraction) -> None:
        rule = self.paper.scenario.get("soft_close")
        if not rule or at < self.end - exact(rule["window_s"]):
            return
        most = rule.get("max_extensions")
        if most is not None and self.extensions >= most:
            return
        moved = (at if rule["from"] == "receipt" else self.end) + exact(rule["extend_s"])
        hard_stop = rule.get("hard_stop_s")
        if hard_stop is not None:
            moved = min(moved, exact(hard_stop))
        if moved > self.end:
            self.end = moved
            self.extensions += 1

    def let_proxies_bid(self, at: Fraction) -> None:
        """Nobody sends these bids, so none is received in the last seconds: they do not move the end."""
        while self.one_proxy_bids(at):
            pass

    def one_proxy_bids(self, at: Fraction) -> bool:
        in_line = sorted(self.paper.bidders.values(), key=lambda bidder: exact(bidder.get("received_at_s") or 0))
        for written in in_line:
            bidder = written["id"]
            if written.get("proxy_limit") is None or self.leader() == bidder:
                continue
            amount = self.allowed(bidder, at)
            if amount is None or self.beyond_its_limit(amount, exact(written["proxy_limit"])):
                continue
            self.take(bidder, amount, at)
            return True
        return False

    def beyond_its_limit(self, amount: Fraction, limit: Fraction) -> bool:
        return amount < limit if self.paper.buying else amount > limit
