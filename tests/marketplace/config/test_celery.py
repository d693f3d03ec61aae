"""What the workers send themselves exists: a mistyped name would only be found in their log."""

from marketplace.config import celery
from marketplace.shared.jobs import JOBS


def test_every_sweep_and_every_job_is_a_task() -> None:
    celery.app.loader.import_default_modules()

    assert set(celery._SWEEPS) | JOBS <= set(celery.app.tasks)
