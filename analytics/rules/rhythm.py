"""An account's rhythm in plain figures: how often it usually buys, and how long it has been silent."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from statistics import median


@dataclass(frozen=True, slots=True)
class Rhythm:
    """`gap` is the median number of days between days with purchases; None with fewer than two such days."""

    days: int
    gap: float | None
    longest: int
    last: date | None
    silent: int

    @property
    def due_on(self) -> date | None:
        """When the next purchase would have been usual."""
        if self.last is None or self.gap is None:
            return None
        return self.last + timedelta(days=round(self.gap))

    @property
    def is_late(self) -> bool:
        """Whether the silence is longer than any before it."""
        return self.gap is not None and self.silent > self.longest


def rhythm(bought: Iterable[date], today: date) -> Rhythm:
    """The rhythm of the days up to today; a day counts once."""
    days = sorted({day for day in bought if day <= today})
    gaps = [(after - before).days for before, after in pairwise(days)]
    last = days[-1] if days else None
    return Rhythm(
        days=len(days),
        gap=median(gaps) if gaps else None,
        longest=max(gaps, default=0),
        last=last,
        silent=(today - last).days if last else 0,
    )
