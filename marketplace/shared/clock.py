"""The edge's clock. Only pages, the API, tasks and processes read it, once a request or tick; rules get `at`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import available_timezones

_frozen: datetime | None = None
_carried: Carried | None = None


def now() -> datetime:
    """The time now, aware, in UTC: by the machine's clock, or the carried time where the process follows another."""
    return _frozen or (_carried.now() if _carried else datetime.now(UTC))


class Carried:
    """Another machine's time, carried between two looks at it by what this machine counts by itself.

    Setting this machine's clock does not touch it. Corrections smaller than `STEP` never lead back: the time stands
    still until it is right again. A larger one is followed at once, in both directions.
    """

    STEP = timedelta(seconds=1)

    def __init__(self) -> None:
        # The other machine's time when this one had counted to 0, and the latest time that was told.
        self._origin: datetime | None = None
        self._told: datetime | None = None

    def now(self) -> datetime:
        if self._origin is None:
            return datetime.now(UTC)
        found = self._origin + timedelta(seconds=counted())
        if self._told is not None and timedelta() < self._told - found < self.STEP:
            return self._told
        self._told = found
        return found

    def observe(self, seen: datetime, before: float, after: float) -> timedelta:
        """The other machine said `seen` at some instant between our counts `before` and `after`. The least correction
        that agrees with it is made, and returned."""
        earliest, latest = seen - timedelta(seconds=after), seen - timedelta(seconds=before)
        known = self._origin
        if known is None:
            self._origin = earliest + (latest - earliest) / 2
            return timedelta()
        self._origin = min(max(known, earliest), latest)
        return self._origin - known


def follow(carried: Carried | None) -> None:
    """From now on `now` tells the carried time, in every thread of this process; None: the machine's again."""
    global _carried
    _carried = carried


def counted() -> float:
    """Seconds as this machine counts them, from some start: no setting of its clock moves them."""
    return time.clock_gettime(_COUNT)


# Goes on while the machine sleeps, where the system knows such a count.
_COUNT = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


@cache
def time_zones() -> frozenset[str]:
    """The names of all time zones. Asked of the system once: it opens some 600 files each time."""
    return frozenset(available_timezones())


@contextmanager
def frozen(at: datetime) -> Iterator[None]:
    """Hold the clock at `at` in every thread of this process: for tests."""
    global _frozen
    before, _frozen = _frozen, at.astimezone(UTC)
    try:
        yield
    finally:
        _frozen = before
