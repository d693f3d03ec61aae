"""`manage.py alive`: the health check of the processes that answer no requests."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import CommandError, call_command

from marketplace import tasks

AT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)

pytestmark = pytest.mark.django_db


def test_a_worker_that_carried_out_its_task_is_alive_for_a_minute(freeze) -> None:
    now = freeze(AT)
    tasks.beat()

    now.advance(timedelta(seconds=60))
    call_command("alive", "worker")

    now.advance(timedelta(seconds=1))
    with pytest.raises(CommandError, match=r"^worker last said that it lives 61 seconds ago\.$"):
        call_command("alive", "worker")


def test_a_process_that_was_never_seen_is_not_alive() -> None:
    with pytest.raises(CommandError, match=r"^clock has never said that it lives\.$"):
        call_command("alive", "clock")
