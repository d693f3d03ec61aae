"""The price clock of Dutch and Japanese auctions."""

from fractions import Fraction

from tests.procurement.rules.models.paper import Paper, exact


class Clock:
    """The price at tick 0 is the start price; every interval it moves by the tick towards the last price."""

    def __init__(self, paper: Paper) -> None:
        written = paper.scenario["clock"]
        assert paper.limit is not None
        self.interval = exact(written["interval_s"])
        self.prices = [paper.limit]
        last, tick = exact(written["last_price"]), exact(written["tick"])
        while self.prices[-1] != last:
            shown = self.prices[-1]
            self.prices.append(max(shown - tick, last) if last < shown else min(shown + tick, last))
        self.end = len(self.prices) * self.interval

    def tick(self, at: Fraction) -> int:
        """The tick whose interval [from, to) holds the instant."""
        number = 0
        while (number + 1) * self.interval <= at:
            number += 1
        return number
