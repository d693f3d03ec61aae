"""Sealed documents on their way here: in parts that may be sent again, from the person who began, until the deadline.

The bidder's program seals a document to the lot's key, tells how large the ciphertext is, sends it part by part and
says its SHA-256 at the end. A part is named by the place at which it begins: one that comes twice, or too early, is
refused with the place at which to go on, so a lost connection costs one part.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Final

from django.conf import settings
from django.db import connection, transaction
from django.utils.translation import gettext_lazy as _

from marketplace.permissions import Actor, person_of
from marketplace.services import files
from marketplace.shared.errors import DomainError, NotFound
from marketplace.signatures import sealing
from procurement.models import Bid, BidFile, BidUpload
from procurement.services import bid_documents, bid_drafts, bid_files
from procurement.services.bid_drafts import DraftDocument

_SHA256: Final = re.compile(r"[0-9a-f]{64}")


class NotASealedDocument(DomainError):
    code, status = "not_a_sealed_document", 422
    sentence = _("This is not the size of a document sealed in the platform’s form.")


class WrongPlace(DomainError):
    """`offset` is where to go on, in bytes."""

    code = "wrong_place"
    sentence = _("This part does not follow what has arrived. Go on at byte %(offset)s.")


class PartRefused(DomainError):
    code, status = "part_refused", 413
    sentence = _(
        "A part of a document has %(least)s to %(most)s bytes, only the last one fewer, and ends where the document "
        "does."
    )


class NotComplete(DomainError):
    code = "upload_not_complete"
    sentence = _("The document has not arrived whole: %(received)s of %(size)s bytes are here.")


class BeingFinished(DomainError):
    code = "upload_being_finished"
    sentence = _("This document is just being put together. Ask again in a few seconds.")


class Damaged(DomainError):
    code, status = "upload_damaged", 422
    sentence = _("What arrived is not what was sent. The document was not kept; add it again.")


class DescriptionRefused(DomainError):
    code, status = "description_refused", 422
    sentence = _("What is said about the document is not complete.")


def begin(bid_id: int, *, size: int, by: Actor, at: datetime) -> BidUpload:
    """Expect a sealed document of `size` bytes. Its file's number is part of what it has to be sealed to.

    Its room is kept for it: against the bid's share and the bidder's, not against other bidders. Raises
    NotASealedDocument, FileTooLarge, TooManyFiles, TooManyBytes, BidderFull, StorageFull, and whatever ended the time
    for bids.
    """
    try:
        plain = sealing.plain_size(size)
    except sealing.SealingError as error:
        raise NotASealedDocument from error
    if plain == 0:
        raise NotASealedDocument
    if plain > settings.BID_FILE_MAX_BYTES:
        raise files.FileTooLarge(name="", limit_mb=settings.BID_FILE_MAX_BYTES // (1024 * 1024))
    with transaction.atomic():
        document = bid_documents.reserve(bid_id, plain, by=by, at=at)
        return BidUpload.objects.create(
            file=document, token=uuid.uuid4(), person=person_of(by), size=size, created_at=at, updated_at=at
        )


def find(bid_id: int, token: uuid.UUID, *, by: Actor) -> BidUpload:
    """The person's own upload. Raises NotFound for another person's, and for one that was given up."""
    upload = BidUpload.objects.select_related("file").filter(
        token=token, file__bid=bid_id, person=person_of(by), file__removed_at=None
    )
    found = upload.first()
    if found is None:
        raise NotFound
    return found


def receive(
    bid_id: int, token: uuid.UUID, offset: int, content: bytes, *, by: Actor, at: datetime
) -> BidUpload:  # fmt: skip
    """Keep the part that begins at byte `offset`. Raises WrongPlace, PartRefused, StorageFull, and whatever ended the
    time for bids; nothing of the part is kept then."""
    upload = find(bid_id, token, by=by)
    with transaction.atomic():
        bid_drafts.editable(bid_id, by=by, at=at)  # before the disk is asked for anything
    _require_place(upload, offset, content)
    bid_files.require_room(len(content))
    path = bid_files.write(bid_id, content)
    try:
        return _append(bid_id, upload.pk, offset, content, path, by, at)
    except BaseException:
        bid_files.delete([path])
        raise


@transaction.atomic
def _append(
    bid_id: int, upload_id: int, offset: int, content: bytes, path: str, by: Actor, at: datetime
) -> BidUpload:  # fmt: skip
    bid_drafts.editable(bid_id, by=by, at=at)
    upload = BidUpload.objects.select_for_update(of=("self",)).select_related("file").filter(pk=upload_id).first()
    if upload is None:
        raise NotFound
    _require_place(upload, offset, content)
    upload.parts = [*upload.parts, path]
    upload.received += len(content)
    upload.updated_at = at
    upload.save(update_fields=["parts", "received", "updated_at"])
    return upload


def finish(
    bid_id: int, token: uuid.UUID, *, sha256: str, about: DraftDocument | None, by: Actor, at: datetime
) -> BidFile:
    """All of it has been sent: put the parts together and keep the document in the bid. Said again, it answers alike.

    `sha256` is what the sender counted over the ciphertext. `about` belongs into the draft that is kept here, and is
    refused where none is kept. Raises NotComplete, BeingFinished, Damaged, DescriptionRefused, DuplicateDocument,
    StorageFull, NotFound where it was given up meanwhile, and whatever ended the time for bids.
    """
    upload = find(bid_id, token, by=by)
    bid = Bid.objects.select_related("lot__tender").get(pk=bid_id)
    if not upload.file.sealed_path:
        if upload.received != upload.size:
            raise NotComplete(received=upload.received, size=upload.size)
        _require_description(bid, about)
        bid_drafts.require_open(bid.lot, at)  # before the disk is asked for anything; again under the lock
        bid_files.require_room(upload.size)
        # The sweep leaves alone what has just gone on.
        BidUpload.objects.filter(pk=upload.pk).update(updated_at=at)
    with _alone(upload):
        outcome = _put_together(find(bid_id, token, by=by), sha256, about, by, at)
    if isinstance(outcome, DomainError):
        raise outcome
    return outcome


def _put_together(
    upload: BidUpload, sha256: str, about: DraftDocument | None, by: Actor, at: datetime
) -> BidFile | DomainError:
    """The document, or why it was given up: that has to be committed too."""
    if upload.file.sealed_path:
        return upload.file if upload.file.sealed_sha256 == sha256 else Damaged()
    try:
        path, joined = bid_files.join(upload.file.bid_id, upload.parts)
    except FileNotFoundError:  # cancelled or removed just now
        return NotFound()
    try:
        if (joined.size, joined.sha256) != (upload.size, sha256):
            raise Damaged
        return _keep(upload, path, joined.sha256, about, by, at)
    except (Damaged, bid_documents.DuplicateDocument) as refusal:
        bid_files.delete([path])
        _give_up(upload)
        return refusal
    except BaseException:
        bid_files.delete([path])
        raise


@transaction.atomic
def cancel(bid_id: int, token: uuid.UUID, *, by: Actor, at: datetime) -> None:
    """Give an upload up; what has arrived of it is thrown away."""
    upload = find(bid_id, token, by=by)
    bid_drafts.editable(bid_id, by=by, at=at)
    if not upload.file.sealed_path:
        _give_up(upload)


def unfinished(bid: Bid) -> Sequence[BidUpload]:
    """Documents of the bid that have not arrived whole, with who sends them."""
    found = BidUpload.objects.filter(file__bid=bid, file__sealed_path="", file__removed_at=None)
    return list(found.select_related("file", "person"))


@contextmanager
def _alone(upload: BidUpload) -> Iterator[None]:
    """A transaction that nobody else has for this document: each would write all of it once more. Who comes second does
    not wait, and no row is locked meanwhile."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))", [f"document:{upload.file_id}"])
            row = cursor.fetchone()
        if not (row and row[0]):
            raise BeingFinished
        yield


@transaction.atomic
def _keep(upload: BidUpload, path: str, sha256: str, about: DraftDocument | None, by: Actor, at: datetime) -> BidFile:
    document = bid_documents.keep(upload.file, path, sha256, about, by=by, at=at)
    parts = list(upload.parts)
    BidUpload.objects.filter(pk=upload.pk).update(parts=[], updated_at=at)
    transaction.on_commit(lambda: bid_files.delete(parts), robust=True)
    return document


def _give_up(upload: BidUpload) -> None:
    parts = list(upload.parts)
    with transaction.atomic():
        bid_documents.forget(upload.file)
        transaction.on_commit(lambda: bid_files.delete(parts), robust=True)


def _require_place(upload: BidUpload, offset: int, content: bytes) -> None:
    if offset != upload.received or upload.file.sealed_path:
        raise WrongPlace(offset=upload.received)
    least, most = settings.BID_PART_MIN_BYTES, settings.BID_PART_MAX_BYTES
    left = upload.size - offset
    if not min(least, most, max(1, left)) <= len(content) <= min(most, left):
        raise PartRefused(least=min(least, most), most=most)


def _require_description(bid: Bid, about: DraftDocument | None) -> None:
    if not bid_drafts.kept_here(bid.lot.tender):
        if about is not None:
            raise bid_drafts.DraftStaysWithBidder
        return
    if about is None or not _SHA256.fullmatch(about.sha256) or len(about.key) not in (0, sealing.KEY_SIZE):
        raise DescriptionRefused
    if about.name != files.safe_name(about.name) or files.kind_of(about.name).media_type != about.media_type:
        raise DescriptionRefused
