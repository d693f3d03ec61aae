"""What processes say of themselves: `manage.py alive`, for those that answer no requests, and /healthz."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db.models import F
from django.test import Client

from marketplace import tasks
from marketplace.models import Heartbeat

pytestmark = pytest.mark.django_db


def processes() -> dict[str, str]:
    """As the web process tells of the others."""
    return Client().get("/healthz").json()["processes"]  # type: ignore[no-any-return]


def test_a_worker_that_carried_out_its_task_is_alive_for_a_minute_whatever_its_machines_clock_says(freeze) -> None:
    now = freeze(datetime.now(UTC) + timedelta(hours=1))
    tasks.beat()
    now.advance(timedelta(hours=-3))
    call_command("alive", "worker")
    assert processes() == {"worker": "alive"}

    Heartbeat.objects.update(at=F("at") - timedelta(seconds=61))
    with pytest.raises(CommandError, match=r"^worker last said that it lives \d+ seconds ago\.$"):
        call_command("alive", "worker")
    assert processes() == {"worker": "stale"}


def test_a_process_that_was_never_seen_is_not_alive() -> None:
    with pytest.raises(CommandError, match=r"^clock has never said that it lives\.$"):
        call_command("alive", "clock")
