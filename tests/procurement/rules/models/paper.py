"""What every model needs: exact numbers, effective prices, showing, ranking."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

MINOR_DIGITS = {"EUR": 2, "JPY": 0, "KWD": 3}
HIGHEST_TRIED = 10_000
"""No amount above this (in whole currency) is ever tried; the scenarios stay far below it."""

Scenario = dict[str, Any]


def exact(written: object) -> Fraction:
    return Fraction(str(written))


def seconds(instant: Fraction) -> int | float:
    return int(instant) if instant.denominator == 1 else float(instant)


class Paper:
    """A scenario with its amounts and instants read."""

    def __init__(self, scenario: Scenario, highest: int = HIGHEST_TRIED) -> None:
        self.scenario = scenario
        self.highest = highest
        self.buying = scenario["direction"] == "down"
        self.digits = MINOR_DIGITS[scenario["currency"]]
        self.unit = Fraction(1, 10**self.digits)
        start_price = scenario.get("start_price")
        self.limit = None if start_price is None else exact(start_price)
        self.bidders = {bidder["id"]: bidder for bidder in scenario["bidders"]}
        self.events = sorted(scenario.get("events", []), key=lambda event: exact(event["at_s"]))

    # --- prices

    def effective(self, bidder: str, amount: Fraction) -> Fraction:
        """amount ÷ k (× k in a sale), or amount + non-price cost."""
        evaluation = self.scenario.get("evaluation")
        if not evaluation:
            return amount
        if evaluation.get("life_cycle_cost"):
            cost = exact(self.bidders[bidder].get("non_price_cost") or "0")
            return amount + cost
        maxima = sum((exact(share) for share in evaluation["feature_maxima"]), Fraction(0))
        shares = sum((exact(share) for share in self.bidders[bidder].get("features") or []), Fraction(0))
        k = 1 + shares / (1 - maxima)
        return amount / k if self.buying else amount * k

    def typed(self, event: dict[str, Any]) -> Fraction | None:
        """The effective price of the amount that was typed, if one was."""
        amount = event.get("amount")
        return None if amount is None else self.effective(event["bidder"], exact(amount))

    def meets(self, price: Fraction, bound: Fraction | None) -> bool:
        """Whether an effective price is at least as good as a bound."""
        if bound is None:
            return True
        return price <= bound if self.buying else price >= bound

    def better_by(self, price: Fraction, step: Fraction) -> Fraction:
        return price - step if self.buying else price + step

    def step(self) -> Fraction:
        """An amount, or a percentage of the start price, half up to the minor unit and at least one unit."""
        written = self.scenario["step"]
        if "amount" in written:
            return exact(written["amount"])
        assert self.limit is not None
        units = self.limit * exact(written["percent"]) / 100 / self.unit
        rounded = int(units + Fraction(1, 2))
        return max(rounded, 1) * self.unit

    def least_concession(self, admissible: Callable[[Fraction], bool]) -> Fraction | None:
        """Of all amounts in whole minor units, the admissible one that gives way least.

        A purchase: the highest; none where there is no highest. A sale: the lowest. Every amount above an admissible
        one is admissible too in a sale, and every one below it in a purchase, so halving finds what trying all would.
        """
        low, high = 1, int(self.highest / self.unit)
        fits = [admissible(low * self.unit), admissible(high * self.unit)]
        if self.buying:
            if fits[1] or not fits[0]:
                return None
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if admissible(middle * self.unit) else (low, middle)
            return low * self.unit
        if fits[0]:
            return self.unit
        assert fits[1], "the scenarios stay below the highest amount that is tried"
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if admissible(middle * self.unit) else (middle, high)
        return high * self.unit

    def amount_for(self, bidder: str, price: Fraction) -> Fraction | None:
        """The amount that gives way least and whose effective price is at least as good as `price`."""
        return self.least_concession(lambda amount: self.meets(self.effective(bidder, amount), price))

    def shape_refusal(self, amount: Fraction) -> str | None:
        if amount <= 0:
            return "amount_not_positive"
        if (amount / self.unit).denominator != 1:
            return "amount_too_precise"
        return None

    # --- showing

    def show(self, amount: Fraction | None) -> str | None:
        """In the minor unit, half away from zero."""
        if amount is None:
            return None
        units = int(abs(amount) / self.unit + Fraction(1, 2))
        text = str(units).rjust(self.digits + 1, "0")
        sign = "-" if amount < 0 and units else ""
        return sign + (text if not self.digits else f"{text[: -self.digits]}.{text[-self.digits :]}")

    def decision(
        self, event: dict[str, Any], code: str | None, allowed: Fraction | None, effective: Fraction | None
    ) -> dict[str, Any]:
        return {
            "at_s": seconds(exact(event["at_s"])),
            "bidder": event["bidder"],
            "accepted": code is None,
            "code": code,
            "allowed_amount": self.show(allowed),
            "effective": self.show(effective),
        }

    def ranking(self, standing: "list[Standing]") -> "list[Standing]":
        """The best effective price first; of equal ones the earlier received; of those the one decided earlier."""
        ranked: list[Standing] = []
        for bid in standing:
            place = 0
            while place < len(ranked) and not self._before(bid, ranked[place]):
                place += 1
            ranked.insert(place, bid)
        return ranked

    def _before(self, one: "Standing", other: "Standing") -> bool:
        ours, theirs = self.effective(one.bidder, one.amount), self.effective(other.bidder, other.amount)
        if ours != theirs:
            return ours < theirs if self.buying else ours > theirs
        if one.received != other.received:
            return one.received < other.received
        return one.order < other.order

    def outcome(
        self,
        decisions: list[dict[str, Any]],
        ranked: "list[Standing]",
        ended: Fraction,
        *,
        price: Fraction | None = None,
        stages: list[dict[str, Any]] | None = None,
        extensions: int = 0,
    ) -> dict[str, Any]:
        """The outcome in which the first of `ranked` wins, at its own amount unless a `price` is given."""
        if ranked and price is None:
            price = ranked[0].amount
        return {
            "decisions": decisions,
            "stages": stages or [],
            "ranking": [
                {
                    "rank": rank,
                    "bidder": bid.bidder,
                    "amount": self.show(bid.amount),
                    "effective": self.show(self.effective(bid.bidder, bid.amount)),
                }
                for rank, bid in enumerate(ranked, start=1)
            ],
            "winner": ranked[0].bidder if ranked else None,
            "price": self.show(price) if ranked else None,
            "ended_at_s": seconds(ended),
            "extensions": extensions,
        }


class Standing:
    """A bid that stands: whose, how much, received when, decided as which."""

    def __init__(self, bidder: str, amount: Fraction, received: Fraction, order: int) -> None:
        self.bidder = bidder
        self.amount = amount
        self.received = received
        self.order = order


def initial_bids(paper: Paper) -> dict[str, Standing]:
    return {
        bidder["id"]: Standing(
            bidder["id"], exact(bidder["initial"]), exact(bidder.get("received_at_s") or 0), order - len(paper.bidders)
        )
        for order, bidder in enumerate(paper.scenario["bidders"])
        if bidder.get("initial") is not None
    }
