"""A clock that stands still in holes: weeks in which the data has no order of anybody, though it has some nearly
every day.

Such a hole (a system changed, an export lost) is no silence of the accounts. Days after it are counted as if it had
not been, so that gaps, silences and the horizons of past windows mean the same everywhere. A hole that lasts until
the cut-off is not known to be one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analytics.rules.history import IntArray
from analytics.rules.remarks import shortest_hole, usual_break


@dataclass(frozen=True, slots=True)
class Clock:
    """Holes as (last day before, days lost), earliest first."""

    holes: tuple[tuple[int, int], ...] = ()

    def running(self, day: IntArray) -> IntArray:
        """Days with the holes taken out: those after the last hole keep their numbers, those before a hole move up to
        it. What lies in one, where there is no data, is its last day.
        """
        if not self.holes:
            return day
        edges, ahead = self._edges()
        place = np.searchsorted(edges, day)
        ends = np.append(np.iinfo(np.int32).min, edges + ahead[:-1] - ahead[1:])
        return np.asarray(np.maximum(day, ends[place]) + ahead[place], dtype=np.int32)

    def calendar(self, running: IntArray) -> IntArray:
        """The days that `running` made these numbers of."""
        if not self.holes:
            return running
        edges, ahead = self._edges()
        return np.asarray(running - ahead[np.searchsorted(edges + ahead[:-1], running)], dtype=np.int32)

    def shifted(self, days: int) -> Clock:
        """The same holes for a history whose days are numbered `days` higher."""
        return Clock(tuple((before + days, lost) for before, lost in self.holes))

    def _edges(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        lost = np.array([length for _, length in self.holes], dtype=np.int64)
        ahead = np.append(np.cumsum(lost[::-1])[::-1], 0)
        return np.array([before for before, _ in self.holes], dtype=np.int64), ahead


STEADY: Final = Clock()
"""Of data without holes."""


def find(days: IntArray) -> Clock:
    """The clock of the data whose order days (of anybody, in any order) are `days`."""
    order_days = np.flatnonzero(np.bincount(days[days >= 0], minlength=1)) if len(days) else np.empty(0, dtype=np.int64)
    breaks = np.diff(order_days)
    shortest = shortest_hole(breaks.tolist())
    if shortest is None:
        return STEADY
    usual = usual_break(breaks.tolist())
    return Clock(tuple((int(order_days[i]), int(breaks[i] - usual)) for i in np.flatnonzero(breaks > shortest)))
