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
    still until it is right again. Whether a larger one is made is for whoever looks: `step` tells before `observe`
    makes it.
    """

    STEP = timedelta(seconds=1)

    def __init__(self) -> None:
        # What is told besides.
        self.ahead = timedelta()
        # The other machine's time when this one had counted to 0, the latest that was told, and the first.
        self._origin: datetime | None = None
        self._told: datetime | None = None
        self._since: datetime | None = None

    @property
    def knows(self) -> bool:
        """Whether there was a look yet."""
        return self._origin is not None

    @property
    def since(self) -> datetime | None:
        """What was told at the first look; None before it."""
        return self._since

    def now(self) -> datetime:
        if self._origin is None:
            return datetime.now(UTC)
        found = self._origin + timedelta(seconds=counted()) + self.ahead
        if self._told is not None and timedelta() < self._told - found < self.STEP:
            return self._told
        self._told = found
        return found

    def step(self, seen: datetime, before: float, after: float) -> timedelta:
        """What the other machine's clock was set by since the last look, if it said `seen` between our counts `before`
        and `after`; zero where what was counted explains it, or nothing is known yet."""
        correction = self._correction(seen, before, after)
        return correction if abs(correction) > self.STEP else timedelta()

    def observe(self, seen: datetime, before: float, after: float) -> timedelta:
        """The other machine said `seen` at some instant between our counts `before` and `after`. The least correction
        that agrees with it is made, and returned."""
        correction = self._correction(seen, before, after)
        if self._origin is None:
            earliest, latest = seen - timedelta(seconds=after), seen - timedelta(seconds=before)
            self._origin = earliest + (latest - earliest) / 2
            self._since = seen + self.ahead
        else:
            self._origin += correction
        return correction

    def _correction(self, seen: datetime, before: float, after: float) -> timedelta:
        if self._origin is None:
            return timedelta()
        earliest, latest = seen - timedelta(seconds=after), seen - timedelta(seconds=before)
        return min(max(self._origin, earliest), latest) - self._origin


def follow(carried: Carried | None) -> None:
    """From now on `now` tells the carried time, in every thread of this process; None: the machine's again."""
    global _carried
    _carried = carried


def followed() -> Carried | None:
    """The time that this process follows, where it has looked at it; None where it goes by its machine."""
    return _carried if _carried is not None and _carried.knows else None


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
