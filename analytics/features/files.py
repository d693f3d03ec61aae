"""Purchase files as blocks of whole records: packed or not, in any encoding, with line numbers, within bounded memory.

A block is a few megabytes, so a file of any length is read in the memory of one block. What is wrong with a file that
can still be read is noted, never raised: a packed file that breaks off gives what came before the break.
"""

from __future__ import annotations

import codecs
import csv
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from django.utils.translation import gettext_lazy as _
from numpy.typing import NDArray

from marketplace.shared.errors import DomainError

BLOCK = 16 * 2**20
MAX_RECORD = 2**20
"""What is longer is no record: a quote was opened and never closed, or the file is not a table."""
MAX_RECORD_LINES = 50
DELIMITERS = ",;\t|"
BLANKS = " "
"""Stands for runs of blanks and tabs between columns, and before the first one."""
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


class DelimiterUnusable(FileUnreadable):
    code = "purchase_file_delimiter_unusable"
    sentence = _("Columns are parted by one character, such as a comma, not by “%(mark)s”.")


class Note:
    """What was noticed about a file without a row being at fault; stable codes, counted."""

    BROKEN_OFF = "file_breaks_off"
    NUL_BYTES = "nul_bytes_removed"
    NOT_UTF8 = "lines_not_in_utf8_read_as_cp1252"
    CYRILLIC = "lines_not_in_utf8_read_as_cp1251"


class Reject:
    """Why a row was not used; stable codes."""

    UNBALANCED_QUOTE = "unbalanced_quote"
    BROKEN_OFF = "line_breaks_off"
    TOO_LONG = "line_too_long"
    TOO_MANY_FIELDS = "too_many_fields"
    MISSING_ACCOUNT = "missing_account"
    MISSING_DATE = "missing_date"
    BAD_DATE = "bad_date"
    OPEN_DATE = "date_leaves_day_and_month_open"
    MISSING_QUANTITY = "missing_quantity"
    BAD_QUANTITY = "bad_quantity"
    MISSING_PRICE = "missing_price"
    BAD_PRICE = "bad_price"
    VALUE_TOO_LONG = "value_too_long"
    QUANTITY_NOT_POSITIVE = "quantity_not_positive"
    PRICE_NOT_POSITIVE = "price_not_positive"
    OTHER_CURRENCY = "other_currency"
    MOVED_ON = "account_buys_in_another_currency_now"
    DUPLICATE = "duplicate_row"


@dataclass(slots=True)
class Block:
    """Whole records in UTF-8, one a line; `lines` says on which line of the file each begins (the first is 1)."""

    text: bytes
    lines: NDArray[np.int64]
    rejects: list[tuple[int, str, str]] = field(default_factory=list)


def blocks(
    path: Path, *, notes: Counter[str], encoding: str | None = None, delimiter: str | None = None, size: int = BLOCK
) -> Iterator[Block]:
    """Encoding and delimiter are found out if not given. Raises FileUnreadable if it cannot be opened or unpacked."""
    cutter = _Cutter(notes, delimiter)
    for chunk in _utf8(_unpacked(path, notes, size), encoding, notes):
        yield from cutter.feed(chunk, size)
    yield from cutter.end()


def is_workbook(path: Path) -> bool:
    """Whether it is an XLSX file, whatever its name."""
    return _start(path).startswith(b"PK\x03\x04")


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


def _utf8(chunks: Iterator[bytes], encoding: str | None, notes: Counter[str]) -> Iterator[bytes]:
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


class _Cutter:
    """Cuts a stream into blocks that end with a record, and numbers the lines."""

    def __init__(self, notes: Counter[str], delimiter: str | None) -> None:
        self.notes = notes
        self.delimiter = delimiter
        self.carried: list[bytes] = []
        self.waiting = 0
        self.line = 1
        self.old_ends = False  # lines that end by CR alone
        self.skipping = False
        self.letters = ""  # the encoding of lines that are not in UTF-8

    def feed(self, chunk: bytes, size: int) -> Iterator[Block]:
        if self.line == 1 and not self.carried:
            self.old_ends = b"\r" in chunk and b"\n" not in chunk
        if self.old_ends:
            chunk = chunk.replace(b"\r", b"\n")
        if b"\0" in chunk:
            self.notes[Note.NUL_BYTES] += chunk.count(b"\0")
            chunk = chunk.replace(b"\0", b"")
        self.carried.append(chunk)
        self.waiting += len(chunk)
        if self.waiting >= size:
            yield from self._cut(final=False)

    def end(self) -> Iterator[Block]:
        broken = b""
        if self.waiting and not self.carried[-1].endswith(b"\n"):
            self.carried.append(b"\n")
            if self.notes[Note.BROKEN_OFF]:
                # Its last number may have lost digits and would still be one.
                text = b"".join(self.carried)
                end = text.rfind(b"\n", 0, -1) + 1
                self.carried, broken = [text[:end]], text[end:-1]
        yield from self._cut(final=True)
        if broken:
            shown = broken[:200].decode(errors="replace")
            yield Block(b"", np.empty(0, dtype=np.int64), [(self.line, Reject.BROKEN_OFF, shown)])

    def _cut(self, *, final: bool) -> Iterator[Block]:
        text = b"".join(self.carried)
        end = text.rfind(b"\n") + 1
        if not end and len(text) > MAX_RECORD:
            # No line is this long: drop it up to its end, wherever that is.
            if not self.skipping:
                yield Block(b"", np.empty(0, dtype=np.int64), [(self.line, Reject.TOO_LONG, "")])
            self.skipping, text = True, b""
        elif self.skipping and end:
            after = text.find(b"\n") + 1
            text, end, self.line, self.skipping = text[after:], end - after, self.line + 1, False
        block, rest = self._block(text[:end], final=final) if end else (None, b"")
        rest += text[end:]
        self.carried, self.waiting = [rest], len(rest)
        if block is not None and (len(block.lines) or block.rejects):
            yield block

    def _block(self, text: bytes, *, final: bool) -> tuple[Block, bytes]:
        text = self._in_utf8(text.replace(b"\r\n", b"\n").replace(b"\r", b" "))
        if b'"' not in text:
            count = text.count(b"\n")
            block = Block(text, np.arange(self.line, self.line + count))
            self.line += count
            return _without_giants(block), b""
        octets = np.frombuffer(text, dtype=np.uint8)
        ends = np.flatnonzero(octets == ord("\n"))
        self.delimiter = self.delimiter or delimiter_of(text[:MAX_RECORD].decode(errors="replace"))
        open_quote = np.searchsorted(np.flatnonzero(octets == ord('"')), ends) % 2 == 1
        if not open_quote.any():
            block = Block(text, np.arange(self.line, self.line + len(ends)))
            self.line += len(ends)
            return _without_giants(block), b""
        return self._one_by_one(text, final=final)

    def _one_by_one(self, text: bytes, *, final: bool) -> tuple[Block, bytes]:
        """Quoted line ends become spaces; a quote that is never closed costs its own line, not the rest of the file."""
        lines = text.decode().split("\n")[:-1]
        kept: list[str] = []
        numbers: list[int] = []
        rejects: list[tuple[int, str, str]] = []
        at = 0
        while at < len(lines):
            span = self._record(lines, at)
            if span == 0 and not final and at + MAX_RECORD_LINES >= len(lines):
                break  # it may end in the next block
            if span == 0:
                rejects.append((self.line + at, Reject.UNBALANCED_QUOTE, lines[at][:200]))
            else:
                kept.append(" ".join(lines[at : at + span]))
                numbers.append(self.line + at)
            at += max(span, 1)
        self.line += at
        rest = "".join(f"{line}\n" for line in lines[at:]).encode()
        block = Block("".join(f"{line}\n" for line in kept).encode(), np.array(numbers, dtype=np.int64), rejects)
        return _without_giants(block), rest

    def _record(self, lines: list[str], at: int) -> int:
        """How many lines the record that begins here takes; 0 if its quote is never closed."""
        text = ""
        for span, line in enumerate(lines[at : at + MAX_RECORD_LINES], 1):
            text += f"{line}\n"
            if len(text) > MAX_RECORD:
                return 0
            if text.count('"') % 2 == 0 or not self._is_open(text):
                return span
        return 0

    def _is_open(self, text: str) -> bool:
        """Whether a quoted field has not ended. Only a quote at the start of a field opens one."""
        try:
            list(csv.reader([text], delimiter=self.delimiter or ",", strict=True))
        except csv.Error as error:
            return "unexpected end of data" in str(error)
        return False

    def _in_utf8(self, text: bytes) -> bytes:
        try:
            text.decode()
        except UnicodeDecodeError:
            self.letters = self.letters or _letters_of(text)
            return b"\n".join(self._line_in_utf8(line) for line in text.split(b"\n"))
        return text

    def _line_in_utf8(self, line: bytes) -> bytes:
        try:
            line.decode()
        except UnicodeDecodeError:
            self.notes[Note.CYRILLIC if self.letters == "cp1251" else Note.NOT_UTF8] += 1
            return line.decode(self.letters, errors="replace").encode()
        return line


def _letters_of(text: bytes) -> str:
    """The encoding of a text that is not in UTF-8: high letters that stand together are Cyrillic, alone accents."""
    sample = text[:MAX_RECORD]
    together = sum(map(len, re.findall(rb"[\xc0-\xff\xa8\xb8]{3,}", sample)))
    return "cp1251" if together > len(re.findall(rb"[\x80-\xff]", sample)) / 2 else "cp1252"


def _without_giants(block: Block) -> Block:
    """Without the lines that are longer than any record."""
    if len(block.text) <= MAX_RECORD:
        return block
    ends = np.flatnonzero(np.frombuffer(block.text, dtype=np.uint8) == ord("\n"))
    giant = np.diff(ends, prepend=-1) > MAX_RECORD
    if not giant.any():
        return block
    lines = block.text.split(b"\n")[:-1]
    block.rejects += [(int(n), Reject.TOO_LONG, "") for n in block.lines[giant]]
    kept = b"".join(line + b"\n" for line, big in zip(lines, giant, strict=True) if not big)
    return Block(kept, block.lines[~giant], block.rejects)


def delimiter_of(text: str) -> str:
    """The mark that parts the first lines into the same number of fields, two or more; a comma if none does."""
    lines = [line for line in text.split("\n")[:50] if line.strip()]
    if lines and (told := re.fullmatch(r"sep=(.)", lines[0].strip(), re.IGNORECASE)):
        return told[1]
    best, best_key = ",", (0.0, 0)
    for mark in DELIMITERS:
        key = _alike(lines, mark)
        best, best_key = (mark, key) if key > best_key else (best, best_key)
    by_blanks = _alike(lines, BLANKS)
    if by_blanks[0] >= 0.9 and by_blanks[1] >= 3 and (by_blanks[0] > best_key[0] or _only_decimals(lines, best)):
        return BLANKS
    return best


def _alike(lines: list[str], mark: str) -> tuple[float, int]:
    """The share of lines that have as many fields as the first one, and how many; (0, 0) where that is one."""
    counts = [len(row_of(line, mark)) for line in lines]
    if not counts or counts[0] < 2:
        return 0.0, 0
    return sum(count == counts[0] for count in counts) / len(counts), counts[0]


def _only_decimals(lines: list[str], mark: str) -> bool:
    """Whether all commas of the file stand between two digits, beside which columns are parted by blanks."""
    return mark == "," and not any(re.search(r"(?<!\d),|,(?!\d)", line) for line in lines)


def in_single_blanks(text: bytes) -> bytes:
    """Lines whose columns are parted by runs of blanks and tabs, with one blank instead of each run."""
    return re.sub(rb"[ \t]+", b" ", text).replace(b"\n ", b"\n").replace(b" \n", b"\n").lstrip(b" ")


def is_delimiter(mark: str) -> bool:
    """Whether it is one character that can stand between columns: no letter, digit, quote or line end."""
    return len(mark) == 1 and mark.isascii() and not mark.isalnum() and mark not in '"\n\r\0'


def row_of(line: str, delimiter: str) -> list[str]:
    """The cells of one record, by the standard library's reader, which takes quotes used in a way of their own."""
    if delimiter == BLANKS:
        line = " ".join(line.split())
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:  # a cell longer than the reader takes
        return line.split(delimiter)
