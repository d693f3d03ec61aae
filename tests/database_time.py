"""The time of a test's database, moved on, and taken over by the platform: what takes an hour takes a moment, and no
test hurries to be in time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from django.db import connection, transaction

from marketplace.models import ClockStep
from marketplace.services import timekeeping
from marketplace.shared import clock

# A clock_timestamp() that is found before PostgreSQL's own.
_AHEAD = """
    CREATE SCHEMA database_time;
    CREATE TABLE database_time.ahead AS SELECT interval '0' AS by;
    CREATE FUNCTION database_time.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS
      'SELECT pg_catalog.clock_timestamp() + by FROM database_time.ahead';
"""
_PATH = "database_time, pg_catalog, public"


def look_at(at: datetime) -> timekeeping.Look:
    """What is seen of a database whose clock says `at`, and always went on as counted."""
    return timekeeping.Look(at, at, at)


def move_on(length: timedelta) -> None:
    """Make it so much later for the platform, whose processes follow with their next look; not for the database."""
    at = timekeeping.now()
    with transaction.atomic():
        ClockStep.objects.create(at=at, by=length, noticed_by="test", taken_at=at, told_at=at)
        ClockStep.objects.create(at=at, by=-length, noticed_by="test", told_at=at)


class DatabaseTime:
    """Gateways, clocks and live pages follow it, and so does this process. It goes on by itself, too."""

    def __init__(self) -> None:
        self._here = clock.Carried()
        self._look()

    def move_to(self, at: datetime) -> None:
        """Make it so late; at once for this process, with its next look at the database for any other."""
        step = at - timekeeping.now()
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("UPDATE database_time.ahead SET by = by + make_interval(secs => %s)", [step.total_seconds()])
            ClockStep.objects.create(at=at, by=step, noticed_by="test", taken_at=at, told_at=at)
        self._look()

    def move_by(self, length: timedelta) -> None:
        """Make it so much later."""
        self.move_to(timekeeping.now() + length)

    def _look(self) -> None:
        counted = clock.counted()
        found = timekeeping.look()
        self._here.observe(found.steady, counted, clock.counted())
        self._here.ahead = found.ahead
        clock.follow(self._here)


@contextmanager
def movable() -> Iterator[DatabaseTime]:
    """For connections that are made from now on, and for ours. Needs a test that commits."""
    name = connection.settings_dict["NAME"]
    with connection.cursor() as cursor:
        cursor.execute(_AHEAD)
        cursor.execute(f'ALTER DATABASE "{name}" SET search_path TO {_PATH}')
        cursor.execute(f"SET search_path TO {_PATH}")
    try:
        yield DatabaseTime()
    finally:
        clock.follow(None)
        with connection.cursor() as cursor:
            cursor.execute(f'ALTER DATABASE "{name}" RESET search_path')
            cursor.execute("DROP SCHEMA database_time CASCADE")
        connection.close()
