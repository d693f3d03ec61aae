"""Where sealed documents lie: written whole or not at all, read in chunks, swept when nothing names them."""

from __future__ import annotations

import errno
import hashlib
import logging
import shutil
import tempfile
import uuid
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, Any, Final

from django.conf import settings
from django.core.files.base import ContentFile, File
from django.core.files.storage import FileSystemStorage, default_storage
from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from marketplace.shared.errors import DomainError
from marketplace.signatures import sealing
from marketplace.signatures.sealing import Measured, Readable
from procurement.models import Bid, BidEnvelope, BidFile, BidUpload
from procurement.queries import bids as bid_queries
from procurement.rules.lifecycle import BidStatus

log = logging.getLogger(__name__)

FOLDER: Final = "bids"
#: What no row names was left by a transaction that was rolled back; younger bytes may belong to one that is still open.
ORPHAN_AGE: Final = timedelta(days=1)
_READ: Final = 1024 * 1024
_FULL: Final = (errno.ENOSPC, errno.EDQUOT)


class StorageFull(DomainError):
    code, status = "storage_full", 507
    sentence = _(
        "The platform has no room for this document just now. Nothing of it was kept. Try again in a while; the "
        "operator has to be told."
    )


def require_room(size: int) -> None:
    """Raises StorageFull when the storage's disk, where it can be asked, would be left with less than its reserve."""
    if not isinstance(default_storage, FileSystemStorage):
        return
    place = Path(default_storage.location)
    place.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(place).free < size + settings.STORAGE_RESERVE_BYTES:
        raise StorageFull


def write(bid_id: int, content: File[Any] | bytes) -> str:
    """The path under which the bytes now lie. Raises StorageFull; nothing half-written is left behind."""
    path = f"{FOLDER}/{bid_id}/{uuid.uuid4().hex}"
    try:
        return str(default_storage.save(path, ContentFile(content) if isinstance(content, bytes) else content))
    except OSError as error:
        default_storage.delete(path)
        if error.errno in _FULL:
            log.error("no room left in the storage of documents")
            raise StorageFull from error
        raise


def seal_and_write(bid_id: int, public: bytes, plain: File[Any], info: bytes, key: bytes) -> tuple[str, Measured]:
    """Seal a document that was sent in the clear, chunk by chunk. The path, and size and SHA-256 of the ciphertext."""
    plain.seek(0)
    try:
        with tempfile.TemporaryFile() as sealed:
            measured = sealing.seal_stream(public, plain, sealed, info, key)
            sealed.seek(0)
            return write(bid_id, File(sealed)), measured
    except OSError as error:
        if error.errno in _FULL:
            raise StorageFull from error
        raise


def join(bid_id: int, parts: Iterable[str]) -> tuple[str, Measured]:
    """The parts put together in order, read and written in chunks."""
    joined = _Joined(parts)
    path = write(bid_id, joined)
    return path, Measured(joined.read_bytes, joined.digest.hexdigest())


def delete(paths: Iterable[str]) -> None:
    for path in paths:
        default_storage.delete(path)


def let_go(bid: Bid) -> None:
    """Documents left out of the bid go: what was never sent altogether, of the others the bytes, once the transaction
    holds. Those of the envelope that stands stay until it is replaced, and those of what waits for the verdict on its
    signature. The bid is locked by the caller."""
    gone = BidFile.objects.filter(bid=bid, removed_at__isnull=False).exclude(pk__in=_of_what_was_sent(bid))
    paths = [path for path in gone.values_list("sealed_path", flat=True) if path]
    for parts in BidUpload.objects.filter(file__in=gone).values_list("parts", flat=True):
        paths += parts
    gone.update(sealed_path="")
    gone.filter(in_version=None).delete()
    transaction.on_commit(lambda: delete(paths), robust=True)


def _of_what_was_sent(bid: Bid) -> list[int]:
    if bid.status == BidStatus.WITHDRAWN:
        return []
    standing = BidEnvelope.objects.filter(bid=bid, superseded_at=None, withdrawal_signature=None)
    manifests = [
        *standing.values_list("manifest", flat=True), *bid_queries.being_judged(bid).values_list("manifest", flat=True)
    ]  # fmt: skip
    return [entry["file"] for manifest in manifests for entry in manifest["files"]]


def open_stored(path: str) -> File[Any]:
    """The ciphertext, open for reading. Raises FileNotFoundError where the storage has lost it."""
    return default_storage.open(path, "rb")


def sweep(at: datetime) -> int:
    """Delete uploads that stopped a day ago, and bytes older than a day that no row names. Returns how many files."""
    before = at - ORPHAN_AGE
    for document, owner in _never_filled(before).values_list("pk", "bid"):
        _drop(document, owner, before)
    BidUpload.objects.filter(updated_at__lt=before).exclude(file__sealed_path="").delete()
    removed = 0
    if not default_storage.exists(FOLDER):
        return removed
    for bid in default_storage.listdir(FOLDER)[0]:
        lying = {f"{FOLDER}/{bid}/{name}" for name in default_storage.listdir(f"{FOLDER}/{bid}")[1]}
        for path in lying - _named(bid):
            if default_storage.get_modified_time(path) < before:
                default_storage.delete(path)
                removed += 1
    if removed:
        log.info("removed %s stored ciphertexts that belong to nothing", removed)
    return removed


def _never_filled(before: datetime) -> QuerySet[BidFile]:
    """Places in bids for which nothing has come since."""
    empty = BidFile.objects.filter(sealed_path="", draft_path="", in_version=None, added_at__lt=before)
    return empty.exclude(upload__updated_at__gte=before)


@transaction.atomic
def _drop(document: int, bid: int, before: datetime) -> None:
    """Under the locks of the bid, as every part, and of the upload, which the word that all have come marks as going
    on: what goes on just now is found going on, and stays."""
    if not Bid.objects.select_for_update(skip_locked=True).only("pk").filter(pk=bid).first():
        return
    uploads = list(BidUpload.objects.select_for_update().filter(file=document))
    if not _never_filled(before).filter(pk=document).exists():
        return
    BidFile.objects.filter(pk=document).delete()
    parts = [path for upload in uploads for path in upload.parts]
    transaction.on_commit(lambda: delete(parts), robust=True)


def _named(bid: str) -> set[str]:
    """Every path that a row of the bid names."""
    if not bid.isascii() or not bid.isdigit():
        return set()
    found = {
        path
        for paths in BidFile.objects.filter(bid=int(bid)).values_list("sealed_path", "draft_path")
        for path in paths
    }
    for parts in BidUpload.objects.filter(file__bid=int(bid)).values_list("parts", flat=True):
        found.update(parts)
    return found


class Hashing:
    """What is read through this is hashed on its way."""

    def __init__(self, source: Readable) -> None:
        self._source, self._digest = source, hashlib.sha256()

    def read(self, size: int, /) -> bytes:
        found = self._source.read(size)
        self._digest.update(found)
        return found

    def sha256(self) -> str:
        """Of the whole: what was not read yet is read now."""
        while self.read(_READ):
            pass
        return self._digest.hexdigest()


class _Joined(File):  # type: ignore[type-arg]  # generic for the type checker alone
    """Parts as one file that a storage can save: it asks for chunks, once."""

    def __init__(self, parts: Iterable[str]) -> None:
        super().__init__(None, name="joined")
        self._parts = list(parts)
        self.digest, self.read_bytes = hashlib.sha256(), 0

    def chunks(self, chunk_size: int | None = None) -> Iterator[bytes]:
        for path in self._parts:
            with default_storage.open(path, "rb") as part:
                yield from self._hashed(part)

    def _hashed(self, part: IO[Any]) -> Iterator[bytes]:
        while found := part.read(_READ):
            self.digest.update(found)
            self.read_bytes += len(found)
            yield found
