"""Purchase files as tables of texts, block by block: CSV and its relatives, and the first sheet of a workbook."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from analytics.features import workbooks
from analytics.features.delimiters import (
    BLANKS,
    DelimiterUnusable,
    delimiter_of,
    in_single_blanks,
    is_delimiter,
    row_of,
)
from analytics.features.files import is_workbook
from analytics.features.records import Block, Reject, blocks

OPENING_ROWS = 50
_SHEET_BLOCK = 50_000
_MOST_UNPACKED = 300 * 2**20


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
    for row in workbooks.rows(path.read_bytes(), most=_MOST_UNPACKED):
        yield [text.replace("\n", " ") for text in row]
