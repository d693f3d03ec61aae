"""Documents people send: looked at before a byte is kept, hashed, stored under a name of our own.

Checked are the name, the size, the extension and whether the content is what the extension says. What is refused never
reaches the storage.
"""

from __future__ import annotations

import hashlib
import logging
import lzma
import os
import struct
import unicodedata
import uuid
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import PurePosixPath
from typing import Any, BinaryIO, Final, cast

import puremagic
from django.conf import settings
from django.core.files import File
from django.core.files.storage import default_storage
from django.db import transaction
from django.utils.translation import gettext_lazy as _

from marketplace.models import Organisation, StoredFile
from marketplace.permissions import Actor
from marketplace.shared.errors import DomainError

log = logging.getLogger(__name__)

NAME_MAX_LENGTH: Final = 200
HEAD_BYTES: Final = 8192
ARCHIVE_MAX_ENTRIES: Final = 2000
_DIRECTORY_MAX_BYTES: Final = 4 * 1024 * 1024
# The end record of an archive and the longest comment after it.
_END_RECORD, _END_RECORD_SIZE = b"PK\x05\x06", 22
_END_RECORD_SEARCHED: Final = _END_RECORD_SIZE + 0xFFFF
# The archive reader answers hostile bytes with any of these.
_HOSTILE_ARCHIVE: Final = (
    zipfile.BadZipFile, zipfile.LargeZipFile, KeyError, NotImplementedError, RuntimeError, ValueError, OSError,
    EOFError, struct.error, zlib.error, lzma.LZMAError,
)  # fmt: skip
# Bytes without a row were left by a rolled back transaction; younger ones may belong to one that is still open.
ORPHAN_AGE: Final = timedelta(days=1)
FOLDER: Final = "documents"

_WILL_RUN: Final = frozenset(
    {
        "app",
        "bat",
        "cmd",
        "com",
        "cpl",
        "dll",
        "exe",
        "hta",
        "jar",
        "js",
        "jse",
        "lnk",
        "msi",
        "ps1",
        "reg",
        "scr",
        "sh",
    }
    | {"vbe", "vbs", "wsf", "docm", "xlsm", "pptm"}
)
_MACROS: Final = ("vbaproject.bin",)
# Marks that turn or hide characters, so that a program reads as a PDF. ZWNJ and ZWJ are spelling in Persian and Hindi.
_HIDING: Final = frozenset("\u200b\u200e\u200f\u061c\u2028\u2029\u2060\ufeff\u00ad") | frozenset(
    chr(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))
)


class FileRefused(DomainError):
    """The file was not stored."""

    code = "file_refused"
    status = 422
    sentence = _("This file cannot be taken.")


class FileNameRefused(FileRefused):
    code = "file_name_refused"
    sentence = _(
        "The file’s name holds invisible characters that can disguise what it is. Rename the file and send it again."
    )


class FileEmpty(FileRefused):
    code = "file_empty"
    sentence = _("“%(name)s” is empty.")


class FileTooLarge(FileRefused):
    code = "file_too_large"
    status = 413
    sentence = _("“%(name)s” is larger than %(limit_mb)s MB. Make it smaller, or split it.")


class FileTypeNotAllowed(FileRefused):
    code = "file_type_not_allowed"
    status = 415
    sentence = _("“%(name)s” is of a type that is not taken here. Allowed: %(allowed)s.")


class FileTypeMismatch(FileRefused):
    code = "file_type_mismatch"
    status = 415
    sentence = _(
        "The content of “%(name)s” is not what its extension says. Save it again in that format, or rename it."
    )


class FileHoldsMacros(FileRefused):
    code = "file_holds_macros"
    status = 415
    sentence = _("“%(name)s” holds macros or programs. Save it without them and send it again.")


Check = Callable[[BinaryIO], bool]


@dataclass(frozen=True, slots=True)
class DocumentType:
    """A kind of document: what its media type is and how its content is recognised."""

    extension: str
    media_type: str
    is_genuine: Check


def _magic(*extensions: str) -> Check:
    """The first bytes are known to belong to one of the extensions."""
    wanted = {f".{extension}" for extension in extensions}

    def check(content: BinaryIO) -> bool:
        try:
            found = puremagic.magic_string(content.read(HEAD_BYTES))
        except puremagic.PureError:
            return False
        return any(match.extension in wanted for match in found)

    return check


def _text(content: BinaryIO) -> bool:
    """Text in UTF-8, UTF-16 with a mark, or an 8-bit code page, that no browser or shell would run."""
    head = content.read(HEAD_BYTES)
    if not head.startswith((b"\xff\xfe", b"\xfe\xff")) and any(byte < 32 and byte not in b"\t\n\f\r" for byte in head):
        return False
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return not start.startswith((b"#!", b"<script", b"<html", b"<!doctype html", b"<svg", b"mz\x90"))


def _der_or_pem(content: BinaryIO) -> bool:
    head = content.read(64)
    return head[:1] == b"\x30" or head.startswith((b"-----BEGIN PKCS7-----", b"-----BEGIN CMS-----"))


def _office(part: str) -> Check:
    """An Office Open XML package whose main part lies in `part`."""
    return lambda content: _entries(content, lambda names: "[Content_Types].xml" in names and _under(part, names))


def _open_document(media_type: str) -> Check:
    def check(content: BinaryIO) -> bool:
        with zipfile.ZipFile(content) as archive:
            return (
                archive.namelist()[:1] == ["mimetype"]
                and archive.open("mimetype").read(len(media_type) + 1) == media_type.encode()
            )

    return check


def _archive(content: BinaryIO) -> bool:
    return _entries(content, lambda names: 0 < len(names) <= ARCHIVE_MAX_ENTRIES)


def _entries(content: BinaryIO, holds: Callable[[list[str]], bool]) -> bool:
    with zipfile.ZipFile(content) as archive:
        return holds(archive.namelist())


def _under(part: str, names: list[str]) -> bool:
    return any(name.startswith(f"{part}/") for name in names)


_OOXML: Final = "application/vnd.openxmlformats-officedocument"
_ODF: Final = "application/vnd.oasis.opendocument"


def _types(*types: DocumentType) -> Mapping[str, DocumentType]:
    return {kind.extension: kind for kind in types}


DOCUMENT_TYPES: Final[Mapping[str, DocumentType]] = _types(
    DocumentType("pdf", "application/pdf", _magic("pdf")),
    DocumentType("docx", f"{_OOXML}.wordprocessingml.document", _office("word")),
    DocumentType("xlsx", f"{_OOXML}.spreadsheetml.sheet", _office("xl")),
    DocumentType("pptx", f"{_OOXML}.presentationml.presentation", _office("ppt")),
    DocumentType("odt", f"{_ODF}.text", _open_document(f"{_ODF}.text")),
    DocumentType("ods", f"{_ODF}.spreadsheet", _open_document(f"{_ODF}.spreadsheet")),
    DocumentType("rtf", "application/rtf", _magic("rtf")),
    DocumentType("txt", "text/plain", _text),
    DocumentType("csv", "text/csv", _text),
    DocumentType("xml", "application/xml", _text),
    DocumentType("jpg", "image/jpeg", _magic("jpg")),
    DocumentType("jpeg", "image/jpeg", _magic("jpg")),
    DocumentType("png", "image/png", _magic("png")),
    DocumentType("tif", "image/tiff", _magic("tif")),
    DocumentType("tiff", "image/tiff", _magic("tiff")),
    DocumentType("dwg", "image/vnd.dwg", _magic("dwg")),
    DocumentType("zip", "application/zip", _archive),
    DocumentType("p7s", "application/pkcs7-signature", _der_or_pem),
)
# What an <input type="file" accept="…"> offers.
ACCEPT: Final = ",".join(f".{extension}" for extension in DOCUMENT_TYPES)


@dataclass(frozen=True, slots=True)
class Examined:
    """What an upload was found to be. `size` in bytes, `sha256` of the bytes as sent."""

    name: str
    kind: DocumentType
    size: int
    sha256: str


def examine(
    upload: File[Any], allowed: Mapping[str, DocumentType] = DOCUMENT_TYPES, *, limit: int | None = None
) -> Examined:
    """Look at an upload without keeping a byte of it; it is left at its start. Raises a FileRefused.

    `limit` in bytes, `DOCUMENT_MAX_BYTES` unless told.
    """
    name = safe_name(upload.name or "")
    kind = kind_of(name, allowed)
    size, digest = _measured(upload, name, limit or settings.DOCUMENT_MAX_BYTES)
    _require_genuine(upload, name, kind)
    upload.seek(0)
    return Examined(name, kind, size, digest)


def store(
    upload: File[Any],
    *,
    organisation: Organisation | None,
    by: Actor,
    at: datetime,
    allowed: Mapping[str, DocumentType] = DOCUMENT_TYPES,
    limit: int | None = None,
) -> StoredFile:
    """Check, hash (SHA-256 of the bytes as sent) and store an upload of at most `limit` bytes, `DOCUMENT_MAX_BYTES`
    unless told.

    Call it inside the transaction that uses the file. Raises a FileRefused before anything is stored.
    """
    found = examine(upload, allowed, limit=limit)
    path = default_storage.save(f"{FOLDER}/{at:%Y/%m}/{uuid.uuid4().hex}.{found.kind.extension}", upload)
    try:
        with transaction.atomic():
            return StoredFile.objects.create(
                organisation=organisation,
                name=found.name,
                path=path,
                media_type=found.kind.media_type,
                size=found.size,
                sha256=found.sha256,
                uploaded_by=by.person,
                uploaded_at=at,
            )
    except BaseException:
        default_storage.delete(path)
        raise


def open_file(stored: StoredFile) -> File[Any]:
    """The bytes, open for reading; the caller closes it. Raises FileNotFoundError where the storage has lost them."""
    return default_storage.open(stored.path, "rb")


def safe_name(sent: str) -> str:
    """The file's own name without folders, in Unicode's composed form, with its extension kept when it is cut.

    Raises FileNameRefused for control characters and marks that turn or hide text.
    """
    name = unicodedata.normalize("NFC", sent).replace("\\", "/").rsplit("/", 1)[-1].strip(" .")
    if not name or any(unicodedata.category(c) in {"Cc", "Cs", "Co"} or c in _HIDING for c in name):
        raise FileNameRefused
    if len(name) <= NAME_MAX_LENGTH:
        return name
    suffix = PurePosixPath(name).suffix[:16]
    return name[: NAME_MAX_LENGTH - len(suffix)] + suffix


def visible(name: str) -> str:
    """A name that was refused, for saying so: what would turn or hide the text around it is replaced."""
    return "".join("\ufffd" if c in _HIDING else c for c in name)


def kind_of(name: str, allowed: Mapping[str, DocumentType] = DOCUMENT_TYPES) -> DocumentType:
    """What a file of this name claims to be. Raises FileTypeNotAllowed."""
    kind = allowed.get(PurePosixPath(name).suffix.removeprefix(".").lower())
    if kind is None:
        raise FileTypeNotAllowed(name=name, allowed=", ".join(allowed))
    return kind


def _measured(upload: File[Any], name: str, limit: int) -> tuple[int, str]:
    """Size in bytes and SHA-256, read in chunks; what the sender says about the size is not believed."""
    size, digest = 0, hashlib.sha256()
    upload.seek(0)
    for chunk in upload.chunks():
        size += len(chunk)
        if size > limit:
            raise FileTooLarge(name=name, limit_mb=limit // (1024 * 1024))
        digest.update(chunk)
    if size == 0:
        raise FileEmpty(name=name)
    return size, digest.hexdigest()


def _require_genuine(upload: File[Any], name: str, kind: DocumentType) -> None:
    content = cast(BinaryIO, upload)
    try:
        archive = zipfile.is_zipfile(content)
        content.seek(0)
        genuine = (not archive or _directory_is_bounded(content)) and kind.is_genuine(content)
        content.seek(0)
        runs = genuine and archive and _entries(content, _will_run)
    except _HOSTILE_ARCHIVE:
        genuine, runs = False, False
    if not genuine:
        raise FileTypeMismatch(name=name)
    if runs:
        raise FileHoldsMacros(name=name)


def _directory_is_bounded(content: BinaryIO) -> bool:
    """Whether the archive's list of entries may be read: it is held in memory whole, and a file can hold millions."""
    size = content.seek(0, os.SEEK_END)
    content.seek(max(0, size - _END_RECORD_SEARCHED))
    tail = content.read(_END_RECORD_SEARCHED)
    content.seek(0)
    # The reader takes a record without a comment at the very end, whatever its fields hold; else the last mark.
    at = len(tail) - _END_RECORD_SIZE
    if at < 0 or not tail[at:].startswith(_END_RECORD) or tail[-2:] != b"\0\0":
        at = tail.rfind(_END_RECORD)
    # Where a longer form of the record stands before it, the reader believes that one: no document needs it.
    if at < 0 or len(tail) < at + _END_RECORD_SIZE or tail[max(0, at - 20) :].startswith(b"PK\x06\x07"):
        return False
    entries, length = struct.unpack_from("<HI", tail, at + 10)
    return bool(entries < 0xFFFF and length <= _DIRECTORY_MAX_BYTES)


def _will_run(names: list[str]) -> bool:
    return any(
        name.lower().endswith(_MACROS) or PurePosixPath(name).suffix.removeprefix(".").lower() in _WILL_RUN
        for name in names
    )


def remove_orphans(*, at: datetime) -> int:
    """Delete stored bytes older than a day that no row names (their transaction was rolled back). Returns how many.

    Not done when the transaction ends: after a lost connection nobody knows whether it was committed, and a document
    of a bid must not be deleted on a guess.
    """
    removed = 0
    for month in _folders(FOLDER, depth=2):
        paths = {f"{month}/{name}" for name in default_storage.listdir(month)[1]}
        for path in paths - set(StoredFile.objects.filter(path__startswith=f"{month}/").values_list("path", flat=True)):
            if default_storage.get_modified_time(path) < at - ORPHAN_AGE:
                default_storage.delete(path)
                removed += 1
    if removed:
        log.info("removed %s stored files that belong to nothing", removed)
    return removed


def _folders(top: str, depth: int) -> list[str]:
    if not default_storage.exists(top):
        return []
    if depth == 0:
        return [top]
    return [found for name in default_storage.listdir(top)[0] for found in _folders(f"{top}/{name}", depth - 1)]
