"""Two at the same moment: what a lock is there for."""

from __future__ import annotations

import threading
from collections.abc import Callable

from django.db import connection


def at_the_same_time(*calls: Callable[[], object]) -> list[object]:
    """What each call answered or raised, all begun at one moment, each in a thread and connection of its own."""
    barrier = threading.Barrier(len(calls))
    answers: list[object] = [None] * len(calls)

    def run(number: int, call: Callable[[], object]) -> None:
        try:
            barrier.wait(10)
            answers[number] = call()
        except Exception as error:  # noqa: BLE001  an answer too
            answers[number] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(number, call)) for number, call in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return answers


def wait_until_blocked() -> None:
    """Until some other connection waits for a lock."""
    for _attempt in range(500):
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted AND pid <> pg_backend_pid()")
            row = cursor.fetchone()
        if row and row[0]:
            return
        threading.Event().wait(0.02)
    raise AssertionError("nobody waited for the lock")
