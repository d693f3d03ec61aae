"""How much one bidder may send: so many new bids a second, after a reserve. What is sent again under its key is no new
bid, but has a measure of its own."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from math import ceil
from typing import Final

_KEYS: Final = 64
_MOST_BIDDERS: Final = 10_000


@dataclass(slots=True)
class _Bidder:
    at: float
    bids: float
    repeats: float
    keys: dict[str, None] = field(default_factory=dict)


class Throttle:
    """One process's measure of its bidders; those who have long been quiet are forgotten."""

    def __init__(self, a_second: float) -> None:
        self._a_second, self._reserve = a_second, 2 * a_second
        self._bidders: dict[tuple[int, int], _Bidder] = {}

    def wait(self, lot: int, participant: int, key: str) -> int:
        """0 where the bidder may send this now, else the whole seconds after which it may try again."""
        now = time.monotonic()
        bidder = self._bidders.get((lot, participant))
        if bidder is None:
            bidder = self._bidders[lot, participant] = _Bidder(now, self._reserve, self._reserve)
            if len(self._bidders) > _MOST_BIDDERS:
                self._forget(now)
        earned = (now - bidder.at) * self._a_second
        bidder.at = now
        bidder.bids = min(bidder.bids + earned, self._reserve)
        bidder.repeats = min(bidder.repeats + earned, self._reserve)
        if key in bidder.keys:
            if bidder.repeats < 1:
                return 1
            bidder.repeats -= 1
            return 0
        if bidder.bids < 1:
            return 1 if bidder.bids >= 0 else ceil(-bidder.bids / self._a_second)
        bidder.bids -= 1
        bidder.keys[key] = None
        if len(bidder.keys) > _KEYS:
            del bidder.keys[next(iter(bidder.keys))]
        return 0

    def knows(self, lot: int, participant: int, key: str) -> bool:
        """Whether the bidder has lately sent that here before."""
        bidder = self._bidders.get((lot, participant))
        return bidder is not None and key in bidder.keys

    def charge(self, lot: int, participant: int, seconds: float) -> None:
        """What was sent last took long to refuse: the bidder may send nothing new for so long."""
        if bidder := self._bidders.get((lot, participant)):
            bidder.bids = bidder.repeats = -seconds * self._a_second

    def _forget(self, now: float) -> None:
        quiet = [seat for seat, bidder in self._bidders.items() if (now - bidder.at) * self._a_second >= self._reserve]
        for seat in quiet:
            del self._bidders[seat]
