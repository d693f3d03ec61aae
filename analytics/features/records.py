"""Purchase files as blocks of whole records, with line numbers, within bounded memory.

A block is a few megabytes, so a file of any length is read in the memory of one block.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from analytics.features.delimiters import delimiter_of
from analytics.features.files import Note, text_chunks

BLOCK = 16 * 2**20
MAX_RECORD = 2**20
"""What is longer is no record: a quote was opened and never closed, or the file is not a table."""
MAX_RECORD_LINES = 50


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
    """Encoding and delimiter are found out if not given. Raises FileUnreadable or one of its kinds."""
    cutter = _Cutter(notes, delimiter)
    for chunk in text_chunks(path, notes=notes, encoding=encoding, size=size):
        yield from cutter.feed(chunk, size)
    yield from cutter.end()


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
