"""What acting brings, with its uncertainty: shares, their difference between shown and withheld, and calibration."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

# The normal distribution's 97.5% point: intervals of 95%.
Z: Final = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Share:
    """`hits` of `of`, with the Wilson score interval of 95%. Of nothing nothing is said: 0 to 1."""

    hits: int
    of: int

    @property
    def value(self) -> float | None:
        return self.hits / self.of if self.of else None

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson (1927), without continuity correction."""
        if not self.of:
            return 0.0, 1.0
        p, n = self.hits / self.of, self.of
        middle = p + Z * Z / (2 * n)
        half = Z * math.sqrt(p * (1 - p) / n + Z * Z / (4 * n * n))
        scale = 1 + Z * Z / n
        return max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)


@dataclass(frozen=True, slots=True)
class Difference:
    """How much more often it happened among the shown than among the withheld; None where one of them is empty."""

    shown: Share
    withheld: Share

    @property
    def value(self) -> float | None:
        if self.shown.value is None or self.withheld.value is None:
            return None
        return self.shown.value - self.withheld.value

    @property
    def interval(self) -> tuple[float, float]:
        """Newcombe (1998), method 10: from both Wilson intervals; 95%."""
        if self.shown.value is None or self.withheld.value is None:
            return -1.0, 1.0
        p1, (l1, u1) = self.shown.value, self.shown.interval
        p2, (l2, u2) = self.withheld.value, self.withheld.interval
        gap = p1 - p2
        return (
            gap - math.sqrt((p1 - l1) ** 2 + (u2 - p2) ** 2),
            gap + math.sqrt((u1 - p1) ** 2 + (p2 - l2) ** 2),
        )

    @property
    def is_certain(self) -> bool:
        """Whether the interval leaves out "no difference"."""
        low, high = self.interval
        return low > 0 or high < 0


@dataclass(frozen=True, slots=True)
class Bin:
    """Cards given a chance in [low, high): what was promised on average, and what happened."""

    low: float
    high: float
    promised: float
    happened: Share

    @property
    def holds(self) -> bool:
        """Whether what was promised is within what the outcomes leave open."""
        low, high = self.happened.interval
        return low <= self.promised <= high


def error(bins: Sequence[Bin]) -> float | None:
    """The expected calibration error: by how much the bins miss on average, weighed by their cards."""
    cards = sum(one.happened.of for one in bins)
    if not cards:
        return None
    return sum(abs(one.promised - (one.happened.value or 0)) * one.happened.of for one in bins) / cards
