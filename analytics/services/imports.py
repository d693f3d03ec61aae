"""Files of purchases: uploaded, their columns confirmed, read, looked over, loaded, and undone again.

Everything that takes time is done by a job; what is here only decides what may happen next. A job has its import for
the time of a lease, so that what a dying worker dropped is taken up again.
"""

from __future__ import annotations

import logging
import uuid
from datetime import date, datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.core.files import File
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from analytics import permissions
from analytics.models import Book, Import, ImportKind, ImportState
from analytics.queries import history, soundness
from analytics.rules import remarks
from analytics.services import loading
from analytics.services.transitions import IMPORT, move_import
from marketplace import audit
from marketplace.permissions import Actor, person_of
from marketplace.services import files, notifications
from marketplace.services.files import DOCUMENT_TYPES, DocumentType
from marketplace.shared import jobs
from marketplace.shared.errors import DomainError, NotFound

_log = logging.getLogger(__name__)

FOLDER: Final = "purchases"
#: How long a job has an import. Its task ends before, so that two never have it at once.
LEASE: Final = timedelta(hours=1)
#: How often a job takes an import up whose worker was lost.
TRIES: Final = 3
RESENT_AFTER: Final = timedelta(minutes=5)
#: Files and lists of rejects of imports that are over are kept so long.
KEPT: Final = timedelta(days=90)
FILE_TYPES: Final = {
    **{name: DOCUMENT_TYPES[name] for name in ("csv", "txt", "xlsx")},
    "tsv": DocumentType("tsv", "text/tab-separated-values", DOCUMENT_TYPES["txt"].is_genuine),
    "gz": DocumentType("gz", "application/gzip", lambda content: content.read(2) == b"\x1f\x8b"),
}
#: What a person says of a file beside its columns, where it does not show it.
SAID: Final = ("day_month", "decimals", "encoding")
#: Its workers were lost time and again.
LOST: Final = "import_lost"
ACCEPT: Final = ",".join(f".{name}" for name in FILE_TYPES)
#: What a job does in each state in which one is at work.
JOBS: Final = {
    ImportState.UPLOADED: "analytics.tasks.look_at_file",
    ImportState.READING: "analytics.tasks.read_file",
    ImportState.LOADING: "analytics.tasks.load_import",
    ImportState.UNDOING: "analytics.tasks.undo_import",
}


class ImportNotReady(DomainError):
    code = "import_not_ready"
    sentence = gettext_lazy("This import is now: %(state)s. Look at it again.")


class NothingToLoad(DomainError):
    code, status = "import_empty", 422
    sentence = gettext_lazy("No row of the file can be used: see why under “Rejected rows”.")


class NotUndone(DomainError):
    code = "import_not_undone"
    sentence = gettext_lazy(
        "Purchases from contracts on the platform are not undone: they come and go with the contracts."
    )


class ColumnNeeded(DomainError):
    code, status = "purchase_column_needed", 422
    sentence = gettext_lazy("Say which columns are the customer, the date, and the price or the amount.")


class ColumnTwice(DomainError):
    code, status = "purchase_column_twice", 422
    sentence = gettext_lazy("One column of the file cannot be two things: %(column)s.")


# What a person does


def upload(book: Book, sent: File[Any], *, currency: str = "", by: Actor, at: datetime) -> Import:
    """Take a file. Raises ManagerOnly, NotFound, or a FileRefused before a byte is kept."""
    permissions.require_manager(by, book)
    found = files.examine(sent, FILE_TYPES, limit=settings.PURCHASES_MAX_BYTES)
    path = default_storage.save(f"{FOLDER}/{at:%Y/%m}/{uuid.uuid4().hex}.{found.kind.extension}", sent)
    try:
        with transaction.atomic():
            batch = Import.objects.create(
                book=book, kind=ImportKind.FILE, name=found.name, path=path, size=found.size,
                currency=currency or book.currency or settings.DEFAULT_CURRENCY,
                created_by=person_of(by), created_at=at,
            )  # fmt: skip
            _record("purchases.uploaded", batch, by, at, name=found.name, sha256=found.sha256, size=found.size)
            jobs.enqueue(JOBS[ImportState.UPLOADED], batch.pk)
    except BaseException:
        default_storage.delete(path)
        raise
    return batch


@transaction.atomic
def confirm_columns(
    batch_id: int, columns: dict[str, str], *, day_month: str = "", decimals: str = "", encoding: str = "",
    currency: str, by: Actor, at: datetime,
) -> Import:  # fmt: skip
    """Have the file read with these columns (our name to the file's head). Remembered for the book's next file.

    Raises ImportNotReady, ColumnNeeded, ColumnTwice.
    """
    batch = _own(batch_id, by, ImportState.UPLOADED, ImportState.READ, ImportState.FAILED)
    heads = set(batch.found.get("head", []))
    columns = {name: head for name, head in columns.items() if head in heads}
    if not columns.keys() >= {"account", "ts"} or not columns.keys() & {"unit_price", "amount"}:
        raise ColumnNeeded
    if twice := {head for head in columns.values() if list(columns.values()).count(head) > 1}:
        raise ColumnTwice(column=", ".join(sorted(twice)))
    batch.mapping = {"columns": columns, "day_month": day_month, "decimals": decimals, "encoding": encoding}
    batch.currency = currency
    move_import(batch, ImportState.READING)
    _begin(batch, "mapping", "currency")
    return batch


@transaction.atomic
def load(batch_id: int, *, by: Actor, at: datetime) -> Import:
    """Have what was read loaded. Raises ImportNotReady, NothingToLoad."""
    batch = _own(batch_id, by, ImportState.READ)
    if not batch.counts.get("accepted"):
        raise NothingToLoad
    move_import(batch, ImportState.LOADING)
    _begin(batch)
    return batch


@transaction.atomic
def discard(batch_id: int, *, by: Actor, at: datetime) -> Import:
    """Throw away a file that was not loaded."""
    batch = _own(batch_id, by, ImportState.UPLOADED, ImportState.READ, ImportState.FAILED)
    move_import(batch, ImportState.DISCARDED)
    batch.save(update_fields=["state"])
    batch.staged.all().delete()
    _forget_file(batch)
    _record("purchases.discarded", batch, by, at)
    return batch


@transaction.atomic
def undo(batch_id: int, *, by: Actor, at: datetime) -> Import:
    """Have an import taken back: earlier versions of its lines stand again. Raises ImportNotReady, NotUndone."""
    batch = _own(batch_id, by, ImportState.LOADED)
    if batch.kind == ImportKind.CONTRACTS:
        raise NotUndone
    move_import(batch, ImportState.UNDOING)
    batch.undone_by = person_of(by)
    _begin(batch, "undone_by")
    return batch


def _own(batch_id: int, by: Actor, *states: ImportState) -> Import:
    """The import of the actor's own book, locked, in one of these states."""
    batch = Import.objects.select_for_update(of=("self",)).select_related("book").filter(pk=batch_id).first()
    if batch is None:
        raise NotFound
    permissions.require_manager(by, batch.book)
    if batch.state not in states or (batch.state == ImportState.UPLOADED and not batch.found):
        raise ImportNotReady(state=batch.get_state_display())
    return batch


def _begin(batch: Import, *changed: str) -> None:
    batch.done = batch.total = batch.tries = 0
    batch.lease_until, batch.error, batch.error_details = None, "", {}
    batch.save(update_fields=["state", "done", "total", "tries", "lease_until", "error", "error_details", *changed])
    jobs.enqueue(JOBS[ImportState(batch.state)], batch.pk)


def yesterday(at: datetime) -> date:
    """The last day whose purchases could all be known."""
    return (at - timedelta(days=1)).date()


# What a job does


@transaction.atomic
def take(batch_id: int, state: ImportState, *, at: datetime) -> Import | None:
    """The import, to do what its state asks for; None where somebody is at it, it has moved on or is given up."""
    rows = Import.objects.select_for_update(of=("self",)).select_related("book")
    batch = rows.filter(pk=batch_id, state=state).first()
    if batch is None or (batch.lease_until is not None and batch.lease_until > at):
        return None
    if batch.tries >= TRIES:
        _fail(batch, LOST, {}, at)
        return None
    batch.lease_until, batch.tries = at + LEASE, batch.tries + 1
    batch.save(update_fields=["lease_until", "tries"])
    return batch


@transaction.atomic
def was_looked_at(batch: Import, found: dict[str, Any]) -> None:
    if _still(batch):
        batch.found, batch.lease_until = found, None
        batch.save(update_fields=["found", "lease_until"])


def was_read(
    batch: Import,
    counts: dict[str, int],
    rejects: dict[str, int],
    notes: dict[str, int],
    listed: bytes,
    *,
    at: datetime,
) -> None:
    """Keep what reading came to, with what it set of the batch's `found` and `mapping`; the staged rows are in place.

    `listed` are the rejected rows as CSV.
    """
    batch.counts, batch.rejects = counts, rejects
    preview, odd = history.preview(batch), soundness.of_file(batch, yesterday(at))
    path = default_storage.save(f"{FOLDER}/rejects/{batch.pk}.csv", ContentFile(listed)) if rejects else ""
    unused = path
    try:
        with transaction.atomic():
            if _still(batch):
                move_import(batch, ImportState.READ)
                batch.lease_until = None
                batch.remarks = [remark.as_json() for remark in odd]
                batch.found = {**batch.found, "guesses": [], "notes": notes, "preview": preview}
                unused, batch.rejects_path = batch.rejects_path, path
                batch.done = batch.total = counts["read"]
                batch.save(
                    update_fields=[
                        *("state", "counts", "rejects", "remarks", "found", "mapping", "rejects_path"),
                        *("lease_until", "done", "total"),
                    ]
                )
                _tell(batch, _("%(name)s is read. Look at what was understood, then load it.") % {"name": batch}, at)
    except BaseException:
        unused = path
        raise
    finally:
        if unused:
            default_storage.delete(unused)


def was_loaded(batch_id: int, *, at: datetime) -> Import | None:
    """Load what was staged, all of it or nothing. None where another did it meanwhile."""
    with transaction.atomic():
        book, batch = _locked(batch_id)
        if batch.state != ImportState.LOADING:
            return None
        done = loading.load(batch, book)
        loading.settle_currency(book)
        if columns := batch.mapping.get("columns"):
            book.mapping, book.reading = columns, _remembered(batch, book)
            book.save(update_fields=["mapping", "reading"])
        batch.staged.all().delete()
        move_import(batch, ImportState.LOADED)
        batch.counts = {**batch.counts, **done.as_json()}
        batch.loaded_at, batch.lease_until = at, None
        batch.save(update_fields=["state", "counts", "loaded_at", "lease_until"])
        of_file = [remark for remark in batch.remarks if remark["code"] not in remarks.OF_HISTORY]
        batch.remarks = [*of_file, *(remark.as_json() for remark in soundness.of_book(book, yesterday(at)))]
        batch.save(update_fields=["remarks"])
        _forget_file(batch)
        audit.record("purchases.loaded", batch, by=None, at=at, stream=f"book:{book.pk}", counts=batch.counts)
        words = _("%(name)s is loaded: %(lines)s lines are new or changed.")
        told = words % {"name": batch, "lines": done.new + done.changed}
        if count := len(batch.remarks):
            many = ngettext("%(n)s remark on it: see its page.", "%(n)s remarks on it: see its page.", count)
            told = f"{told} {many % {'n': count}}"
        _tell(batch, told, at)
    return batch


def _remembered(batch: Import, book: Book) -> dict[str, str]:
    """How the next file is to be read. What was offered and not taken is forgotten; what this file showed of itself
    leaves what is known of files that do not."""
    offered = batch.found.get("said", {})
    kept = {name: value for name, value in book.reading.items() if name not in offered}
    return kept | {name: batch.mapping[name] for name in SAID if batch.mapping.get(name)}


def was_undone(batch_id: int, *, at: datetime) -> Import | None:
    """Take its lines out. None where another did it meanwhile."""
    with transaction.atomic():
        book, batch = _locked(batch_id)
        if batch.state != ImportState.UNDOING:
            return None
        removed = loading.undo(batch, book)
        move_import(batch, ImportState.UNDONE)
        batch.undone_at, batch.lease_until = at, None
        batch.counts = {**batch.counts, "removed": removed}
        batch.save(update_fields=["state", "undone_at", "lease_until", "counts"])
        audit.record("purchases.undone", batch, by=None, at=at, stream=f"book:{book.pk}", removed=removed)
    return batch


def _locked(batch_id: int) -> tuple[Book, Import]:
    """The import under its lock, and its book under the one that all who change its purchases take first."""
    book = loading.lock(Import.objects.values_list("book_id", flat=True).get(pk=batch_id))
    return book, Import.objects.select_for_update().get(pk=batch_id)


@transaction.atomic
def failed(batch: Import, code: str, details: dict[str, Any], *, at: datetime) -> None:
    """It could not be done: say why, in a code that the page has words for."""
    if _still(batch):
        _fail(batch, code, details, at)


def _fail(batch: Import, code: str, details: dict[str, Any], at: datetime) -> None:
    undoing = batch.state == ImportState.UNDOING
    batch.error, batch.error_details, batch.lease_until = code[:40], details, None
    move_import(batch, ImportState.LOADED if undoing else ImportState.FAILED)
    batch.save(update_fields=["state", "error", "error_details", "lease_until"])
    words = _("%(name)s could not be undone. See why.") if undoing else _("%(name)s could not be taken in. See why.")
    _tell(batch, words % {"name": batch}, at)


def _still(batch: Import) -> bool:
    """Whether the import is as the job took it; locks it."""
    state, lease = Import.objects.select_for_update().values_list("state", "lease_until").get(pk=batch.pk)
    return bool(state == batch.state and lease == batch.lease_until)


def sweep(*, at: datetime) -> None:
    """Send again what a worker dropped or the queue lost; drop old files and lists of rejects."""
    at_work = Import.objects.filter(state__in=list(JOBS)).exclude(state=ImportState.UPLOADED, found__has_key="head")
    lost = Q(lease_until__lte=at) | Q(lease_until=None, created_at__lte=at - RESENT_AFTER)
    for batch_id, state in at_work.filter(lost).values_list("pk", "state"):
        jobs.enqueue(JOBS[ImportState(state)], batch_id)
    for pk in (
        Import.objects.filter(created_at__lt=at - KEPT)
        .exclude(path="", rejects_path="")
        .values_list("pk", flat=True)[:100]
    ):
        _forget(pk)


@transaction.atomic
def _forget(batch_id: int) -> None:
    """Drop the files of an old import, and what was read of it and never loaded."""
    batch = Import.objects.select_for_update().get(pk=batch_id)
    if ImportState.DISCARDED in IMPORT[ImportState(batch.state)]:
        move_import(batch, ImportState.DISCARDED)
        batch.staged.all().delete()
    for path in filter(None, (batch.path, batch.rejects_path)):
        default_storage.delete(path)
    batch.path = batch.rejects_path = ""
    batch.save(update_fields=["state", "path", "rejects_path"])


def _forget_file(batch: Import) -> None:
    """The uploaded file is no longer needed."""
    path, batch.path = batch.path, ""
    batch.save(update_fields=["path"])
    if path:
        transaction.on_commit(lambda: default_storage.delete(path))


def _tell(batch: Import, words: str, at: datetime) -> None:
    if batch.created_by is not None:
        url = reverse("insights_import", args=[batch.pk])
        notifications.notify(batch.created_by, "purchases", words, url, at=at, mail=False)


def _record(action: str, batch: Import, by: Actor, at: datetime, **details: Any) -> None:
    audit.record(action, batch, by=by, at=at, stream=f"book:{batch.book_id}", **details)
