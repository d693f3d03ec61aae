"""Exports of large procedures: asked for on a page, built in the background, fetched by who asked."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from tempfile import TemporaryFile
from typing import BinaryIO, Final, cast

from django.core.cache import cache
from django.core.files import File
from django.core.files.storage import default_storage
from django.db import transaction
from django.urls import reverse
from django.utils.translation import gettext as _

from marketplace import audit
from marketplace.permissions import Actor, person_of
from marketplace.services import audit_anchors, notifications
from marketplace.shared import jobs
from marketplace.shared.errors import NotFound
from procurement.models import ExportScope, ExportStatus, ProcedureExport, Tender
from procurement.services import exports

_log = logging.getLogger(__name__)

FOLDER: Final = "exports"
#: Entries up to which an archive is built while the reader waits: about a second.
SMALL: Final = 1500
#: Bytes of documents up to which it is.
SMALL_BYTES: Final = 10 * 1024 * 1024
#: How long a built archive is kept.
KEPT: Final = timedelta(days=2)
_PROGRESS_KEPT: Final = 3600
_TOLD_EVERY: Final = 50


def is_small(tender: Tender, reader: exports.Reader) -> bool:
    return exports.weight(tender, reader) <= SMALL and exports.document_bytes(tender, reader) <= SMALL_BYTES


def anchor(tender: Tender, reader: exports.Reader, *, at: datetime, quickly: bool = False) -> None:
    """Have an authority stamp what was recorded of the tender until now, for an export that shows it. `quickly`: not
    where an authority keeps others waiting already."""
    if reader.scope == ExportScope.SUPPLIER or audit_anchors.is_anchored(f"tender:{tender.pk}"):
        return
    if not (quickly and audit_anchors.waits()):
        audit_anchors.anchor(at=at)


@transaction.atomic
def record(tender: Tender, *, by: Actor, at: datetime) -> None:
    """Say in the audit trail of the platform that an export was taken. It is none of the tender's own events."""
    audit.record("export.taken", tender, by=by, at=at, stream=f"exports:{tender.pk}")


@transaction.atomic
def ask(tender: Tender, *, by: Actor, at: datetime, documents: bool = False) -> ProcedureExport:
    """Have an export built for this person; the one that is being built already, where there is one."""
    reader = exports.reader_of(by, tender, documents=documents)
    waiting = ProcedureExport.objects.filter(
        tender=tender, requested_by=person_of(by), scope=reader.scope, organisation=reader.organisation,
        documents=reader.documents, status__in=[ExportStatus.WAITING, ExportStatus.RUNNING],
        requested_at__gt=at - timedelta(hours=1),
    ).first()  # fmt: skip
    if waiting is not None:
        return waiting
    export = ProcedureExport.objects.create(
        tender=tender,
        scope=reader.scope,
        organisation=reader.organisation,
        documents=reader.documents,
        requested_by=person_of(by),
        requested_at=at,
        total=exports.weight(tender, reader),
    )
    record(tender, by=by, at=at)
    jobs.enqueue("procurement.tasks.build_export", export.pk)
    return export


def of(export_id: int, *, by: Actor) -> ProcedureExport:
    """The person's own export, while it may still have it. Raises NotFound."""
    export = ProcedureExport.objects.filter(pk=export_id).select_related("tender__buyer", "organisation").first()
    if export is None or by.person is None or export.requested_by_id != by.person.pk:
        raise NotFound
    reader = exports.reader_of(by, export.tender)
    if (reader.scope, reader.organisation) != (export.scope, export.organisation):
        raise NotFound
    return export


def progress_of(export: ProcedureExport) -> int:
    """Entries written so far."""
    return export.total if export.status == ExportStatus.READY else int(cache.get(_progress_key(export.pk), 0))


def run(export_id: int, now: Callable[[], datetime]) -> None:
    """Build it, once; who finds it taken does nothing."""
    taken = ProcedureExport.objects.filter(pk=export_id, status=ExportStatus.WAITING).update(
        status=ExportStatus.RUNNING
    )
    if not taken:
        return
    export = ProcedureExport.objects.select_related("tender", "organisation", "requested_by").get(pk=export_id)
    try:
        export.path, export.size, export.done = _built(export, now())
        export.status = ExportStatus.READY
    except Exception:  # noqa: BLE001 – whatever broke, its reader is told that it did
        _log.exception("The export %s could not be built", export.pk)
        export.status = ExportStatus.FAILED
    export.finished_at = now()
    export.save(update_fields=["status", "path", "size", "done", "finished_at"])
    if export.status == ExportStatus.READY:
        _tell(export, export.finished_at)


def remove_old(*, at: datetime) -> int:
    """Drop archives past their time. Returns how many."""
    old = list(ProcedureExport.objects.filter(requested_at__lt=at - KEPT))
    for export in old:
        if export.path:
            default_storage.delete(export.path)
        export.delete()
    return len(old)


def _built(export: ProcedureExport, at: datetime) -> tuple[str, int, int]:
    """Path, size in bytes and number of entries of the archive."""
    done = 0

    def progress(entries: int) -> None:
        nonlocal done
        done = entries
        if entries % _TOLD_EVERY == 0:
            cache.set(_progress_key(export.pk), entries, _PROGRESS_KEPT)

    reader = exports.Reader(ExportScope(export.scope), export.organisation, export.documents)
    anchor(export.tender, reader, at=at)
    with TemporaryFile() as out:
        exports.build(export.tender, reader, cast(BinaryIO, out), progress)
        size = out.tell()
        out.seek(0)
        path = default_storage.save(f"{FOLDER}/{export.pk}.zip", File(out))
    return str(path), size, done


def _tell(export: ProcedureExport, at: datetime) -> None:
    words = _("The export of %(tender)s is ready. It is kept for two days.") % {"tender": export.tender.number}
    page = reverse("procedure_export_state", args=[export.tender.number, export.pk])
    notifications.notify(export.requested_by, "export_ready", words, page, at=at, mail=False)


def _progress_key(export_id: int) -> str:
    return f"export:{export_id}"
