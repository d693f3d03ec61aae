"""Two at the same moment: what a lock is there for."""

from __future__ import annotations

import threading
from collections.abc import Callable

from django.db import connection

from tests.patience import PATIENCE_S, wait_until


def at_the_same_time(*calls: Callable[[], object]) -> list[object]:
    """What each call answered or raised, all begun at one moment, each in a thread and connection of its own."""
    barrier = threading.Barrier(len(calls))
    answers: list[object] = [None] * len(calls)

    def run(number: int, call: Callable[[], object]) -> None:
        try:
            barrier.wait(PATIENCE_S)
            answers[number] = call()
        except Exception as error:  # noqa: BLE001  an answer too
            answers[number] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(number, call)) for number, call in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def wait_until_blocked() -> None:
    """Until some other connection to this database waits for a lock."""
    wait_until(_somebody_waits)


def _somebody_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_clear_snapshot()")  # or a transaction sees the same again and again
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        (waiting,) = cursor.fetchone()
    return bool(waiting)
