"""The bytes of purchase files as text in UTF-8, chunk by chunk: packed or not, in any encoding.

What is wrong with a file that can still be read is noted, never raised: a packed file that breaks off gives what came
before the break.
"""

from __future__ import annotations

import codecs
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from django.utils.translation import gettext_lazy as _

from marketplace.shared.errors import DomainError

_NO_TEXT = bytes(code for code in range(32) if code not in b"\t\n\v\f\r\x1a\x1b")
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class FileUnreadable(DomainError):
    code, status = "purchase_file_unreadable", 422
    sentence = _("The file cannot be read.")


class FileNotOpened(FileUnreadable):
    code = "purchase_file_not_opened"
    sentence = _("The file %(name)s cannot be opened: %(why)s.")


class FileNotUnpacked(FileUnreadable):
    code = "purchase_file_not_unpacked"
    sentence = _(
        "The file is packed by gzip and damaged: it cannot be unpacked, or not to what was packed. Send it anew."
    )


class FileNotText(FileUnreadable):
    code = "purchase_file_not_text"
    sentence = _("The file is neither a text nor an Excel workbook (XLSX). Save it as one of them.")


class EncodingUnknown(FileUnreadable):
    code = "purchase_file_encoding_unknown"
    sentence = _("There is no encoding called %(name)s.")


class Note:
    """What was noticed about a file without a row being at fault; stable codes, counted."""

    BROKEN_OFF = "file_breaks_off"
    NUL_BYTES = "nul_bytes_removed"
    NOT_UTF8 = "lines_not_in_utf8_read_as_cp1252"
    CYRILLIC = "lines_not_in_utf8_read_as_cp1251"


def is_workbook(path: Path) -> bool:
    """Whether it is an XLSX file, whatever its name."""
    return _start(path).startswith(b"PK\x03\x04")


def text_chunks(path: Path, *, notes: Counter[str], encoding: str | None, size: int) -> Iterator[bytes]:
    """Chunks of some `size` bytes; the encoding is found out if not given. Text of which nothing tells its encoding is
    passed on as it is.

    Raises FileNotOpened, FileNotUnpacked, FileNotText or EncodingUnknown.
    """
    yield from _utf8(_unpacked(path, notes, size), encoding)


def _start(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(4)
    except OSError as error:
        raise FileNotOpened(name=path.name, why=error.strerror) from None


def _unpacked(path: Path, notes: Counter[str], size: int) -> Iterator[bytes]:
    packed = _start(path).startswith(b"\x1f\x8b")
    with path.open("rb") as file:
        chunks = iter(lambda: file.read(size), b"")
        yield from _gunzipped(chunks, notes, size) if packed else chunks


def _gunzipped(chunks: Iterable[bytes], notes: Counter[str], size: int) -> Iterator[bytes]:
    member = zlib.decompressobj(wbits=31)
    for chunk in chunks:
        rest = chunk
        while rest:
            if member.eof:
                if not rest.startswith(b"\x1f\x8b"):  # padding after the last member
                    return
                member = zlib.decompressobj(wbits=31)
            try:
                text = member.decompress(rest, size)
            except zlib.error:
                # From where on it is wrong nobody can tell: it unpacks to other words for a while before it shows.
                raise FileNotUnpacked from None
            rest = member.unused_data if member.eof else member.unconsumed_tail
            if text:
                yield text
    if not member.eof:
        notes[Note.BROKEN_OFF] += 1
        if text := member.flush():
            yield text


def _utf8(chunks: Iterator[bytes], encoding: str | None) -> Iterator[bytes]:
    """The same text in UTF-8; what says nothing else of itself is passed on as it is, and judged line by line later."""
    first = next(chunks, b"")
    encoding = encoding or _encoding_of(first)
    if encoding == "utf-8" and _is_binary(first[: 2**16]):
        raise FileNotText
    if encoding in ("utf-8", "utf_8", "utf8"):
        yield first.removeprefix(codecs.BOM_UTF8)
        yield from chunks
        return
    try:
        decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
        decoder.decode(b"a")
        decoder.reset()
    except (LookupError, ValueError, TypeError, AssertionError):  # the latter ones: a codec that reads no text, as hex
        raise EncodingUnknown(name=encoding) from None
    yield decoder.decode(first).removeprefix("\ufeff").encode()
    for chunk in chunks:
        yield decoder.decode(chunk).encode()
    yield decoder.decode(b"", final=True).encode()


def _encoding_of(start: bytes) -> str:
    for mark, name in _BOMS:
        if start.startswith(mark):
            return name
    sample = start[: 2**16]
    # Without a mark, UTF-16 of mostly Latin text shows as a NUL in every second place.
    if len(sample) >= 8:
        if sample[1::2].count(0) > 0.4 * len(sample) / 2 and sample[0::2].count(0) == 0:
            return "utf-16-le"
        if sample[0::2].count(0) > 0.4 * len(sample) / 2 and sample[1::2].count(0) == 0:
            return "utf-16-be"
    return "utf-8"


def _is_binary(sample: bytes) -> bool:
    """Whether a twentieth of it or more are bytes that no text has, in any encoding of one byte a letter."""
    return len(sample.translate(None, _NO_TEXT)) <= 0.95 * len(sample) if sample else False
