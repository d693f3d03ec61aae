"""Who is learnt from, and who is scored: a little more than who is judged by the protocol, so that no edge is lost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analytics.rules.history import BoolArray, IntArray
from analytics.rules.protocol import MAX_MEDIAN_GAP, MAX_SILENCE, MIN_ORDER_DAYS, MIN_TENURE
from analytics.rules.recovery.rhythm import Rhythm
from analytics.rules.recovery.visits import Visits


@dataclass(frozen=True, slots=True)
class Limits:
    """Order days at least; days since the first one at least; days since the last one, and of the median gap, at
    most.
    """

    orders: int
    tenure: int
    silence: int
    median_gap: float

    def may_hold(self, visits: Visits, cutoff: int, lost: IntArray | None = None) -> BoolArray:
        """What can be told before the gaps are known. `lost` is by owner what holes of the data took out of the days
        since its first one: the protocol counts them.
        """
        last = visits.day[visits.starts + visits.counts - 1]
        since = cutoff - visits.day[visits.starts]
        return np.asarray(
            (visits.counts >= self.orders)
            & ((since if lost is None else since + lost) >= self.tenure)
            & (cutoff - last <= self.silence)
        )

    def hold(self, rhythm: Rhythm, lost: IntArray | None = None) -> BoolArray:
        return (
            (rhythm.orders >= self.orders)
            & ((rhythm.tenure if lost is None else rhythm.tenure + lost) > self.tenure)
            & (rhythm.silence <= self.silence)
            & (rhythm.median_gap <= self.median_gap)
        )


JUDGED_ACCOUNTS = Limits(MIN_ORDER_DAYS, MIN_TENURE, MAX_SILENCE, np.inf)
JUDGED_PAIRS = Limits(MIN_ORDER_DAYS, MIN_TENURE, MAX_SILENCE, MAX_MEDIAN_GAP)
LEARNT_PAIRS = Limits(MIN_ORDER_DAYS - 1, MIN_TENURE, MAX_SILENCE, MAX_MEDIAN_GAP)
"""Pairs with two order days teach as well; accounts with two do not, they leave more often than the rest can tell."""
THEIR_ACCOUNTS = Limits(MIN_ORDER_DAYS - 1, MIN_TENURE, MAX_SILENCE, np.inf)
SCORED_ACCOUNTS = Limits(MIN_ORDER_DAYS, MIN_TENURE - 15, MAX_SILENCE + 15, np.inf)
SCORED_PAIRS = Limits(MIN_ORDER_DAYS, MIN_TENURE - 15, MAX_SILENCE + 15, MAX_MEDIAN_GAP + 15)
