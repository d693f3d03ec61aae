"""What is taken as a document, and what is refused before it is stored."""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction

from marketplace.models import StoredFile
from marketplace.permissions import Actor
from marketplace.services import files
from marketplace.web.files import download
from tests.factories.archives import hostile_archives
from tests.factories.marketplace import NOON, OrganisationFactory, member

pytestmark = pytest.mark.django_db

PDF = b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n%%EOF\n"


@pytest.fixture(autouse=True)
def media(tmp_path: Path, settings: Any) -> Path:
    settings.MEDIA_ROOT = tmp_path
    return tmp_path


@pytest.fixture
def officer() -> Actor:
    return member(OrganisationFactory.create())


def stored_bytes(media: Path) -> list[Path]:
    return [path for path in media.rglob("*") if path.is_file()]


def with_broken_entry() -> bytes:
    """An archive whose first entry, deflated, cannot be read."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr("mimetype", "application/vnd.oasis.opendocument.text" * 9)
    whole = bytearray(content.getvalue())
    whole[38:46] = b"\xff" * 8
    return bytes(whole)


def test_archives_that_hide_their_size_are_what_they_are_taken_for() -> None:
    for hostile in hostile_archives().values():
        with zipfile.ZipFile(io.BytesIO(hostile)) as package:
            assert sum(len(entry.orig_filename) for entry in package.infolist()) > 4 * 1024 * 1024


def archive(**entries: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as package:
        for name, text in entries.items():
            package.writestr(name, text)
    return content.getvalue()


def docx(*more: str) -> bytes:
    return archive(**{"[Content_Types].xml": "<Types/>", "word/document.xml": "<w/>", **dict.fromkeys(more, "x")})


def send(officer: Actor, name: str, content: bytes) -> StoredFile:
    upload = SimpleUploadedFile("x", content)
    # As a hostile client would: Django's own upload handler already drops folders from names.
    upload._name = name
    return files.store(upload, organisation=officer.organisation, by=officer, at=NOON)


def test_a_document_is_stored_with_its_hash_size_and_type(officer: Actor, media: Path) -> None:
    stored = send(officer, "Offer.PDF", PDF)
    assert (stored.name, stored.media_type, stored.size) == ("Offer.PDF", "application/pdf", len(PDF))
    assert stored.sha256 == hashlib.sha256(PDF).hexdigest()
    assert stored.uploaded_by == officer.person
    assert stored.uploaded_at == NOON
    assert stored.path.startswith("documents/2026/03/")
    with files.open_file(stored) as content:
        assert content.read() == PDF
    assert len(stored_bytes(media)) == 1


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("terms.docx", docx()),
        ("prices.csv", b"item;price\n1;2,50\n"),
        ("принято.txt", "Согласовано".encode("cp1251")),
        ("photo.jpg", b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(32)),
        ("drawings.zip", archive(**{"plan.dwg": "x"})),
        ("می‌خواهم.pdf", PDF),
    ],
)
def test_documents_of_the_trade_are_taken(officer: Actor, name: str, content: bytes) -> None:
    assert send(officer, name, content).name == name


@pytest.mark.parametrize(
    ("name", "content", "refusal"),
    [
        ("offer\u202efdp.exe.pdf", PDF, files.FileNameRefused),
        ("offer\x00.pdf", PDF, files.FileNameRefused),
        ("", PDF, files.FileNameRefused),
        ("empty.pdf", b"", files.FileEmpty),
        ("setup.exe", b"MZ\x90\x00", files.FileTypeNotAllowed),
        ("noextension", PDF, files.FileTypeNotAllowed),
        ("page.html", b"<html>", files.FileTypeNotAllowed),
        ("setup.pdf", b"MZ\x90\x00" + bytes(64), files.FileTypeMismatch),
        ("setup.txt", b"MZ\x90\x00" + bytes(64), files.FileTypeMismatch),
        ("page.txt", b"  <HTML><script>", files.FileTypeMismatch),
        ("letter.docx", PDF, files.FileTypeMismatch),
        ("letter.docx", archive(**{"xl/workbook.xml": "x"}), files.FileTypeMismatch),
        ("letter.docx", b"PK\x03\x04 broken", files.FileTypeMismatch),
        ("offer.odt", with_broken_entry(), files.FileTypeMismatch),
        ("many.zip", archive(**{"plan.dwg": "x"})[:-12] + b"\xff\xff" + bytes(10), files.FileTypeMismatch),
        ("longer.zip", hostile_archives()["a longer end record"], files.FileTypeMismatch),
        (
            "hidden.zip",
            hostile_archives()["another end record in the fields of the one that counts"],
            files.FileTypeMismatch,
        ),
        ("letter.docx", docx("word/vbaProject.bin"), files.FileHoldsMacros),
        ("tools.zip", archive(**{"a/run.EXE": "x"}), files.FileHoldsMacros),
    ],
)
def test_a_refused_file_is_not_stored(
    officer: Actor, media: Path, name: str, content: bytes, refusal: type[files.FileRefused]
) -> None:
    with pytest.raises(refusal):
        send(officer, name, content)
    assert stored_bytes(media) == []
    assert StoredFile.objects.count() == 0


def test_a_file_over_the_limit_is_refused(officer: Actor, media: Path, settings: Any) -> None:
    settings.DOCUMENT_MAX_BYTES = len(PDF) - 1
    with pytest.raises(files.FileTooLarge):
        send(officer, "offer.pdf", PDF)
    assert stored_bytes(media) == []


def test_folders_in_a_name_are_dropped(officer: Actor) -> None:
    assert send(officer, "..\\..\\etc/Offer.pdf", PDF).name == "Offer.pdf"


def test_a_long_name_keeps_its_extension(officer: Actor) -> None:
    name = send(officer, "a" * 300 + ".pdf", PDF).name
    assert len(name) == 200
    assert name.endswith("a.pdf")


def test_the_bytes_of_a_rolled_back_upload_are_swept_a_day_later(officer: Actor, media: Path) -> None:
    kept = send(officer, "kept.pdf", PDF)
    with transaction.atomic():
        send(officer, "lost.pdf", PDF)
        transaction.set_rollback(True)
    for path in stored_bytes(media):
        os.utime(path, (NOON.timestamp(), NOON.timestamp()))
    assert files.remove_orphans(at=NOON + timedelta(hours=23)) == 0
    assert files.remove_orphans(at=NOON + timedelta(hours=25)) == 1
    assert stored_bytes(media) == [media / kept.path]


def test_a_download_is_an_attachment_that_nobody_caches_or_guesses_at(officer: Actor) -> None:
    response = download(send(officer, "Договор.pdf", PDF))
    assert response["Content-Disposition"].startswith("attachment; filename*=utf-8''")
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Cache-Control"] == "private, no-store"
    assert response["Content-Type"] == "application/pdf"
    response.close()
