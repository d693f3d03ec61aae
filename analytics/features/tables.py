"""Purchase files as tables of texts, block by block: CSV and its relatives, and the first sheet of a workbook."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import polars as pl
from django.utils.translation import gettext_lazy as _
from numpy.typing import NDArray
from openpyxl.utils.exceptions import InvalidFileException

from analytics.features.delimiters import (
    BLANKS,
    DelimiterUnusable,
    delimiter_of,
    in_single_blanks,
    is_delimiter,
    row_of,
)
from analytics.features.files import FileUnreadable, is_workbook
from analytics.features.records import Block, Reject, blocks

OPENING_ROWS = 50
_SHEET_BLOCK = 50_000
_MAX_UNZIPPED = 300 * 2**20
"""Texts that cells share are held whole: they may take several times of it."""
_MAX_SHEET_ROWS = 2**20
"""As many as the format has."""
_NOT_A_WORKBOOK = (
    *(InvalidFileException, zipfile.BadZipFile, zlib.error, SyntaxError, LookupError, ValueError, TypeError),
    *(AttributeError, OSError, EOFError, RuntimeError),  # packed as nothing reads it, or with a password
)


class WorkbookUnreadable(FileUnreadable):
    code = "purchase_workbook_unreadable"
    sentence = _("The file looks like an Excel workbook, but cannot be read as one.")


class WorkbookTooLarge(FileUnreadable):
    code = "purchase_workbook_too_large"
    sentence = _("The workbook unpacks to more than %(most)s MiB. Save its sheet as CSV and take that file.")


@dataclass(slots=True)
class Frame:
    """Rows as texts in columns c0, c1, …; empty cells are null. `lines` numbers the rows as the file does."""

    cells: pl.DataFrame
    lines: NDArray[np.int64]
    rejects: list[tuple[int, str, str]] = field(default_factory=list)


def opening_rows(path: Path, *, delimiter: str | None, encoding: str | None) -> tuple[list[list[str]], str]:
    """The first rows, and the delimiter that was told or found. Raises FileUnreadable or one of its kinds."""
    if delimiter and not is_delimiter(delimiter):
        raise DelimiterUnusable(mark=delimiter)
    if is_workbook(path):
        return list(islice(_sheet_rows(path), OPENING_ROWS)), ","
    first = next(blocks(path, notes=Counter(), encoding=encoding, delimiter=delimiter, size=2**16), None)
    text = first.text.decode() if first else ""
    delimiter = delimiter or delimiter_of(text)
    return [row_of(line, delimiter) for line in text.split("\n")[:OPENING_ROWS]], delimiter


def frames(
    path: Path, width: int, *, delimiter: str, encoding: str | None = None, notes: Counter[str]
) -> Iterator[Frame]:
    """All rows, the head included. Rows of more than `width` columns are rejected, shorter ones filled with nulls."""
    if is_workbook(path):
        yield from _sheet_frames(path, width)
        return
    for block in blocks(path, notes=notes, encoding=encoding, delimiter=delimiter):
        yield _checked(_cells(block, width, delimiter), block.lines, block.rejects, width)


def _schema(width: int) -> dict[str, type[pl.String]]:
    return {f"c{number}": pl.String for number in range(width + 1)}  # one more shows rows that are too long


def _cells(block: Block, width: int, delimiter: str) -> pl.DataFrame:
    schema = _schema(width)
    head = delimiter.join(schema).encode() + b"\n"
    text = in_single_blanks(block.text) if delimiter == BLANKS else block.text
    try:
        cells = pl.read_csv(head + text, schema=schema, separator=delimiter, truncate_ragged_lines=True)
        if len(cells) == len(block.lines):
            return cells
    except pl.exceptions.PolarsError:
        pass
    # Quotes used in a way of its own: the standard library's reader takes anything, a line at a time.
    return _of_rows((row_of(line, delimiter) for line in block.text.decode().split("\n")[:-1]), width)


def _of_rows(rows: Iterator[list[str]], width: int) -> pl.DataFrame:
    filled = [(row + [""] * (width + 1))[: width + 1] for row in rows]
    texts = pl.DataFrame(filled, schema=_schema(width), orient="row")
    return texts.select(pl.when(pl.all() != "").then(pl.all()))


def _checked(cells: pl.DataFrame, lines: NDArray[np.int64], rejects: list[tuple[int, str, str]], width: int) -> Frame:
    extra = cells.get_column(f"c{width}")
    cells = cells.drop(f"c{width}")
    if extra.null_count() == len(extra):
        return Frame(cells, lines, rejects)
    too_long = extra.is_not_null().to_numpy()
    rejects = rejects + [
        (int(line), Reject.TOO_MANY_FIELDS, value[:200])
        for line, value in zip(lines[too_long], extra.drop_nulls(), strict=True)
    ]
    return Frame(cells.filter(~too_long), lines[~too_long], rejects)


def _sheet_frames(path: Path, width: int) -> Iterator[Frame]:
    rows = _sheet_rows(path)
    begin = 1
    while part := list(islice(rows, _SHEET_BLOCK)):
        yield _checked(_of_rows(iter(part), width), np.arange(begin, begin + len(part)), [], width)
        begin += len(part)


def _sheet_rows(path: Path) -> Iterator[list[str]]:
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(member.file_size for member in archive.infolist()) > _MAX_UNZIPPED:
                raise WorkbookTooLarge(most=_MAX_UNZIPPED // 2**20)
        workbook = openpyxl.load_workbook(io.BytesIO(path.read_bytes()), read_only=True, data_only=True)
        sheet: Any = workbook.worksheets[0]
        # The size that a sheet states is often wrong, and columns beyond it would not be read.
        sheet.reset_dimensions()
        for number, row in enumerate(sheet.iter_rows(values_only=True), 1):
            if number > _MAX_SHEET_ROWS:  # rows that are not there are counted up to the next that is
                raise WorkbookUnreadable
            texts = [_text(value) for value in row]
            while texts and not texts[-1]:
                texts.pop()
            yield texts
    except _NOT_A_WORKBOOK:
        raise WorkbookUnreadable from None


def _text(value: Any) -> str:
    if value is None or isinstance(value, time):
        return ""
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="seconds")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value).replace("\n", " ")
