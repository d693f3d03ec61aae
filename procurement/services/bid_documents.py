"""The documents of a bid being prepared. They are sealed to the lot's key from the first moment; what they are called,
and the keys they are sealed under, belong to the draft."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.files.base import File
from django.db import connection, transaction
from django.db.models import Q, Sum
from django.utils.translation import gettext_lazy

from marketplace.permissions import Actor
from marketplace.services import files
from marketplace.shared.errors import DomainError, NotFound
from marketplace.signatures import sealing
from procurement import permissions
from procurement.models import Bid, BidFile
from procurement.rules.lifecycle import TenderStatus
from procurement.services import bid_content, bid_drafts, bid_files
from procurement.services.bid_content import FILES_AT_MOST
from procurement.services.bid_drafts import DraftDocument


class TooManyFiles(DomainError):
    code, status = "too_many_files", 422
    sentence = gettext_lazy("A bid holds at most %(most)s documents. Put several into one archive.")


class TooManyBytes(DomainError):
    code, status = "too_many_bytes", 413
    sentence = gettext_lazy("The documents of a bid are at most %(most_mb)s MB together; this one would make it more.")


class BidderFull(DomainError):
    code, status = "bidder_full", 413
    sentence = gettext_lazy(
        "The documents of your organisation’s bids that are not opened yet are at most %(most_mb)s MB together; this "
        "one would make it more. Remove some that you do not need."
    )


class DuplicateDocument(DomainError):
    code = "duplicate_document"
    sentence = gettext_lazy("This very document is in the bid already, as “%(name)s”.")


def add(bid_id: int, upload: File[Any], *, by: Actor, at: datetime) -> BidFile:
    """Seal a document that was sent in the clear, and keep it. Raises a FileRefused before a byte of it is stored."""
    found = files.examine(upload)
    document = reserve(bid_id, found.size, by=by, at=at, sealed_here=True)
    key = sealing.new_file_key()
    part = bid_content.info(document.bid, bid_content.sealed_file_part(document.pk))
    about = DraftDocument(found.name, found.kind.media_type, found.sha256, key)
    path = ""
    try:
        path, sealed = bid_files.seal_and_write(bid_id, bytes(document.bid.lot.public_key or b""), upload, part, key)
        return keep(document, path, sealed.sha256, about, by=by, at=at)
    except BaseException:
        forget(document, path)
        raise


@transaction.atomic
def reserve(bid_id: int, size: int, *, by: Actor, at: datetime, sealed_here: bool = False) -> BidFile:
    """A place in the bid for a document of `size` plain bytes: its number is part of what it is sealed to."""
    bid = bid_drafts.editable(bid_id, by=by, at=at)
    if sealed_here:
        bid_drafts.require_kept_here(bid)
    if not bid.lot.public_key:
        raise bid_drafts.NoLotKey
    there = list(bid.files.filter(removed_at=None).values_list("size", flat=True))
    if len(there) >= FILES_AT_MOST:
        raise TooManyFiles(field="file", most=FILES_AT_MOST)
    if sum(there) + size > settings.BID_MAX_BYTES:
        raise TooManyBytes(field="file", most_mb=settings.BID_MAX_BYTES // (1024 * 1024))
    _require_within_bidders_share(bid, size)
    bid_files.require_room(2 * size)
    return BidFile.objects.create(bid=bid, size=size, added_at=at)


@transaction.atomic
def keep(document: BidFile, path: str, sha256: str, about: DraftDocument | None, *, by: Actor, at: datetime) -> BidFile:
    """The sealed document is here whole. `about` is what the draft keeps of it; None where no draft is kept here."""
    bid = bid_drafts.editable(document.bid_id, by=by, at=at)
    kept = bid.files.select_for_update().filter(pk=document.pk, removed_at=None).first()
    if kept is None:
        raise NotFound
    draft = bid_drafts.decrypted(bid)
    if about is not None:
        same = next((d.name for d in draft.documents.values() if about.sha256 and d.sha256 == about.sha256), None)
        if same is not None:
            raise DuplicateDocument(field="file", name=same)
        draft = replace(draft, documents={**draft.documents, kept.pk: about})
    kept.sealed_path, kept.sealed_sha256 = path, sha256
    kept.save(update_fields=["sealed_path", "sealed_sha256"])
    bid_drafts.keep(bid, draft)
    return kept


def forget(document: BidFile, path: str = "") -> None:
    """Take back a place that no document came to fill, and what was written at `path` for it."""
    BidFile.objects.filter(pk=document.pk, sealed_path="", in_version=None).delete()
    bid_files.delete([path] if path else [])


@transaction.atomic
def remove(bid_id: int, file_id: int, *, by: Actor, at: datetime) -> Bid:
    """Leave the document out of the bid. What was already sent with it stays sent until the bid is replaced."""
    bid = bid_drafts.editable(bid_id, by=by, at=at)
    document = bid.files.select_for_update().filter(pk=file_id, removed_at=None).first()
    if document is None:
        raise NotFound
    document.removed_at = at
    document.save(update_fields=["removed_at"])
    bid_files.let_go(bid)
    draft = bid_drafts.decrypted(bid)
    bid_drafts.keep(
        bid, replace(draft, documents={pk: found for pk, found in draft.documents.items() if pk != file_id})
    )
    return bid


def _require_within_bidders_share(bid: Bid, size: int) -> None:
    """What lies here of a supplier before the opening is bounded over all its bids: what is promised a place, and what
    was left out while an envelope that names it stands. Raises BidderFull."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"documents_of:{bid.supplier_id}"])
    held = BidFile.objects.filter(bid__supplier=bid.supplier_id, bid__lot__tender__status=TenderStatus.PUBLISHED.value)
    there = held.filter(Q(removed_at=None) | ~Q(sealed_path="")).aggregate(bytes=Sum("size"))["bytes"] or 0
    if there + size > settings.BIDDER_MAX_BYTES:
        raise BidderFull(field="file", most_mb=settings.BIDDER_MAX_BYTES // (1024 * 1024))


def read(document: BidFile, target: sealing.Writable, *, by: Actor) -> DraftDocument:
    """Write a document of the organisation's own draft to `target`, chunk by chunk. Raises NotFound for everybody else,
    and where the draft does not hold its key (it stayed with the bidder, or the draft is erased)."""
    permissions.require_bidder(by, document.bid)
    about = bid_drafts.decrypted(document.bid).documents.get(document.pk)
    if about is None or not about.key or not document.sealed_path:
        raise NotFound
    try:
        with bid_files.open_stored(document.sealed_path) as ciphertext:
            sealing.open_stream_with_key(about.key, ciphertext, target)
    except (FileNotFoundError, sealing.SealingError) as error:
        raise NotFound from error
    return about
