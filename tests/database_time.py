"""The time of a test's database, moved on: what takes an hour takes a moment, and no test hurries to be in time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from django.db import connection

from marketplace.shared import clock
from procurement.services import pulse

# A clock_timestamp() that is found before PostgreSQL's own.
_AHEAD = """
    CREATE SCHEMA database_time;
    CREATE TABLE database_time.ahead AS SELECT interval '0' AS by;
    CREATE FUNCTION database_time.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS
      'SELECT pg_catalog.clock_timestamp() + by FROM database_time.ahead';
"""
_PATH = "database_time, pg_catalog, public"


class DatabaseTime:
    """Gateways, clocks and live pages follow it, and so does this process. It goes on by itself, too."""

    def __init__(self) -> None:
        self._here = clock.Carried()
        self._look()

    def move_to(self, at: datetime) -> None:
        """Make it so late; at once for this process, with its next look at the database for any other."""
        with connection.cursor() as cursor:
            cursor.execute("UPDATE database_time.ahead SET by = %s - pg_catalog.clock_timestamp()", [at])
        self._look()

    def move_by(self, length: timedelta) -> None:
        """Make it so much later."""
        self.move_to(pulse.database_now() + length)

    def _look(self) -> None:
        counted = clock.counted()
        self._here.observe(pulse.database_now(), counted, clock.counted())
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
