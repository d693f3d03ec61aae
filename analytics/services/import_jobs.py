"""What jobs do with an import: look at its file, read it, load it, undo it. Imported by tasks and commands only."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from celery.exceptions import SoftTimeLimitExceeded

from analytics.models import Import, ImportState
from analytics.services import imports, loading, staging
from marketplace.shared.errors import DomainError

_log = logging.getLogger(__name__)
Now = Callable[[], datetime]

#: What went wrong on our side; the operator's log has it.
BROKEN: Final = "import_broken"
TOO_LONG: Final = "import_too_long"


def look(import_id: int, now: Now) -> None:
    """Find out the columns of the file; who finds it taken does nothing."""
    if batch := imports.take(import_id, ImportState.UPLOADED, at=now()):

        def found() -> None:
            with staging.local_file(batch) as path:
                imports.was_looked_at(batch, staging.looked_at(path, batch.book.mapping, batch.book.reading))

        _guarded(batch, found, now)


def read(import_id: int, now: Now) -> None:
    """Stage the rows of the file, from its beginning; who finds it taken does nothing."""
    if batch := imports.take(import_id, ImportState.READING, at=now()):

        def staged() -> None:
            with staging.local_file(batch) as path:
                found = staging.stage(batch, path, now().date(), lambda rows: _progress(batch, rows))
            staging.as_read(batch, found)
            counts = {"read": found.rows, "accepted": found.staged, "rejected": sum(found.rejects.values())}
            imports.was_read(batch, counts, dict(found.rejects), dict(found.notes), found.listed, at=now())

        _guarded(batch, staged, now)


def load(import_id: int, now: Now) -> None:
    if batch := imports.take(import_id, ImportState.LOADING, at=now()):
        _guarded(batch, lambda: imports.was_loaded(import_id, at=now()), now)
        if batch.counts.get("accepted", 0) > loading.HANDFUL:
            loading.analyse()


def undo(import_id: int, now: Now) -> None:
    if batch := imports.take(import_id, ImportState.UNDOING, at=now()):
        _guarded(batch, lambda: imports.was_undone(import_id, at=now()), now)


def _guarded(batch: Import, work: Callable[[], Any], now: Now) -> None:
    taken = batch.state, batch.lease_until
    try:
        work()
    except FileNotFoundError:
        imports.failed(batch, "purchase_file_lost", {}, at=now())
    except DomainError as refusal:
        batch.state, batch.lease_until = taken
        details = {name: str(value) for name, value in refusal.params.items()}
        imports.failed(batch, refusal.code, details, at=now())
    except SoftTimeLimitExceeded:
        batch.state, batch.lease_until = taken
        imports.failed(batch, TOO_LONG, {}, at=now())
    except Exception as error:  # noqa: BLE001 – whatever broke, the page says so: else it would be tried for ever
        _log.exception("The import %s could not be done", batch.pk)
        batch.state, batch.lease_until = taken  # what was written since is rolled back
        imports.failed(batch, BROKEN, {"kind": type(error).__name__}, at=now())


def _progress(batch: Import, rows: int) -> None:
    Import.objects.filter(pk=batch.pk, state=batch.state).update(done=rows)
