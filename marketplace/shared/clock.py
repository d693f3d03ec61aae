"""The edge's clock. Only pages, the API, tasks and processes read it, once a request or tick; rules get `at`."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from zoneinfo import available_timezones

_frozen: datetime | None = None


def now() -> datetime:
    """The time now, aware, in UTC."""
    return _frozen or datetime.now(UTC)


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
