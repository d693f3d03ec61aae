"""Documents of a tender: versions in a series, hashed when they are stored. After publication none is ever removed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.core.files import File
from django.db import transaction
from django.db.models import Max
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from marketplace.models import StoredFile
from marketplace.permissions import Actor
from marketplace.services import files
from marketplace.shared.errors import DomainError, NotFound
from procurement.models import Lot, Tender, TenderDocument
from procurement.services.drafts import Change, lock_draft, lock_lot, saved

DOCUMENTS_MAX = 200
TITLE_MAX_LENGTH = 200
SECTION = "documents"


class TooManyDocuments(DomainError):
    code = "too_many_documents"
    sentence = gettext_lazy("A procedure has at most %(n)s documents. Put several into one archive.")


@transaction.atomic
def add(
    tender_id: int,
    upload: File[Any],
    *,
    title: str = "",
    lot_id: int | None = None,
    series: int | None = None,
    by: Actor,
    at: datetime,
) -> TenderDocument:
    """Store a document of a draft; with `series` as the next version of that one. Untitled it bears the file’s name.

    Raises NotFound, NotAllowed, NotADraft, StaleForm, TooManyDocuments, files.FileRefused.
    """
    tender = lock_draft(tender_id, by=by)
    lot = lock_lot(tender, lot_id) if lot_id is not None else None
    require_room(tender)
    stored = files.store(upload, organisation=tender.buyer, by=by, at=at)
    document = attach(tender, stored, title=title, lot=lot, series=series, at=at)
    saved(tender, SECTION, [Change(_("Document"), "", in_words(document))], by=by, at=at)
    return document


@transaction.atomic
def remove(tender_id: int, document_id: int, *, by: Actor, at: datetime) -> Tender:
    """Take one version of a document out of a draft. Raises as `add`."""
    tender = lock_draft(tender_id, by=by)
    document = tender.documents.select_related("file").filter(pk=document_id).first()
    if document is None:
        raise NotFound
    change = Change(_("Document"), in_words(document), "")
    document.delete()
    saved(tender, SECTION, [change], by=by, at=at)
    return tender


def attach(
    tender: Tender, stored: StoredFile, *, title: str, lot: Lot | None, series: int | None, at: datetime
) -> TenderDocument:
    """A row for a stored file of the locked tender. Raises NotFound for a series that the tender does not have."""
    previous = None
    if series is not None:
        previous = tender.documents.filter(series=series).order_by("-version").first()
        if previous is None:
            raise NotFound
    else:
        series = (tender.documents.aggregate(last=Max("series"))["last"] or 0) + 1
    return TenderDocument.objects.create(
        tender=tender,
        lot=previous.lot if previous else lot,
        series=series,
        version=previous.version + 1 if previous else 1,
        title=title.strip()[:TITLE_MAX_LENGTH] or (previous.title if previous else stored.name),
        file=stored,
        added_at=at,
    )


def require_room(tender: Tender, new: int = 1) -> None:
    """Raises TooManyDocuments where the tender would get more than it may have."""
    if tender.documents.count() + new > DOCUMENTS_MAX:
        raise TooManyDocuments(n=DOCUMENTS_MAX)


def in_words(document: TenderDocument) -> str:
    """“Specification (version 2, specification.pdf, SHA-256 4f2a…)”."""
    return _("%(title)s (version %(version)s, %(name)s, SHA-256 %(hash)s)") % {
        "title": document.title,
        "version": document.version,
        "name": document.file.name,
        "hash": document.file.sha256,
    }
