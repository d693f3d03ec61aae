"""A night's run by two real workers on a real broker: shared out, one is killed in the middle, nothing is different."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from celery import Celery

from analytics.models import PartState, RunPartition, RunState, ScoringRun
from analytics.permissions import book_for
from analytics.services import runs, scoring
from marketplace.embedded import valkey
from marketplace.embedded.places import PROJECT, Places
from marketplace.models import StaffRole
from marketplace.shared import clock, jobs
from tests.analytics.services.test_runs import filled, scores
from tests.factories.marketplace import staff
from tests.gateway import database_url
from tests.patience import PATIENCE_S, wait_until

PARTS = 8


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[str]:
    """A Valkey of the test's own, on a socket."""
    places = Places(tmp_path / ".local")
    places.make()
    valkey.start(places)
    yield valkey.url(places)
    valkey.stop(places)


@pytest.fixture
def workers(broker: str, tmp_path: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Two processes as operators start them, on this test's database and broker; each does one task at a time."""
    environment = {
        **os.environ, "DATABASE_URL": database_url(), "BROKER_URL": broker, "OPENLOT_ENVIRONMENT": "development",
        "INSIGHTS_PART_ACCOUNTS": str(40 // PARTS), "OPENBLAS_NUM_THREADS": "1",
    }  # fmt: skip
    command = [sys.executable, "-m", "celery", "-A", "marketplace.config", "worker", "--pool", "solo", "--queues"]
    quietly = ["insights", "--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "INFO"]
    with (tmp_path / "workers.log").open("wb") as log:
        started = [
            subprocess.Popen(
                [*command, *quietly, "--hostname", f"w{number}"], cwd=PROJECT, env=environment, stdout=log, stderr=log
            )
            for number in range(2)
        ]
    yield started
    for worker in started:
        worker.kill()
        worker.wait()


@pytest.mark.django_db(transaction=True)
def test_two_workers_share_a_run_and_one_does_what_the_other_was_killed_at(
    broker: str, workers: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    book, manager = filled(book_for(None)), staff(StaffRole.SALES_MANAGER)
    with jobs.discarded():
        alone = runs.start(book, by=manager, at=clock.now())
        scoring.learn(alone.pk, clock.now)
        for part in alone.partitions.all():
            scoring.score_part(part.pk, clock.now)

    sender = Celery(broker=broker, set_as_current=False)
    monkeypatch.setattr(jobs, "_send", lambda name, args: sender.send_task(name, args=args, queue="insights"))
    with psycopg.connect(database_url()) as holding:
        holding.execute("LOCK TABLE analytics_accountscore IN EXCLUSIVE MODE")  # nobody gets to the end of a part
        run = runs.start(book, by=manager, at=clock.now())
        parts = RunPartition.objects.filter(run=run)
        # Both start, one learns, and each takes a part.
        wait_until(lambda: parts.filter(state=PartState.RUNNING).count() == 2, 2 * PATIENCE_S)
        workers[0].kill()
        workers[0].wait()
    wait_until(lambda: parts.filter(state=PartState.DONE).count() == PARTS - 1)
    (lost,) = parts.exclude(state=PartState.DONE)
    assert (lost.state, lost.tries) == (PartState.RUNNING, 1)
    book.refresh_from_db()
    assert book.run == alone, "until the new scores are whole"

    parts.filter(pk=lost.pk).update(lease_until=clock.now())  # its time is over
    runs.sweep(at=clock.now())
    wait_until(lambda: parts.filter(state=PartState.DONE).count() == PARTS)
    wait_until(lambda: ScoringRun.objects.filter(pk=run.pk, state=RunState.WHOLE).exists())
    assert sorted(part.tries for part in parts) == [1] * (PARTS - 1) + [2]
    assert scores(run) == scores(alone)
