"""From an uploaded file to staged rows: looked at once for its columns, then read whole, by COPY, in the background.

Imported by tasks and commands only: polars stays out of the web processes.
"""

from __future__ import annotations

import codecs
import csv
import io
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import polars as pl
from django.core.files.storage import default_storage
from django.db import connection
from django.utils.translation import gettext_lazy as _

from analytics.features.columns import ColumnsMissing, ColumnUnknown, heads_of
from analytics.features.files import FileNotText, FileUnreadable, is_workbook, text_chunks
from analytics.features.heads import FIELDS, MORE_FIELDS
from analytics.features.layout import Guess, Layout, Told, look
from analytics.features.reading import REJECT_SCHEMA, Batch, batches
from analytics.features.tables import opening_rows
from analytics.features.values import DayMonth, Decimals, decimals_of
from analytics.models import Import
from analytics.services import contract_history, rollup

#: Rejected rows that are listed; all are counted.
MOST_LISTED: Final = 100_000
MOST_COLUMNS: Final = 500
_SAMPLE: Final = 8
# Bytes by which a file tells its encoding, if it does.
_START: Final = 2**16
_LONGEST: Final = 120


class Why:
    """Why a row that can be read is no order line; stable codes, beside those of the reader."""

    QUANTITY_ZERO = "quantity_zero"
    PRICE_NOT_POSITIVE = "price_not_positive"
    DATE_IN_FUTURE = "date_in_future"
    AMOUNT_TOO_LARGE = "amount_too_large"
    VALUE_TOO_LONG = "value_too_long"
    CURRENCY_UNKNOWN = "currency_unknown"
    ON_THE_PLATFORM = "here_from_the_contract"


@dataclass(slots=True)
class Read:
    """What reading a file came to. `rejects` by reason; `listed` is a CSV of line, reason, value."""

    rows: int = 0
    staged: int = 0
    rejects: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    listed: bytes = b""
    head: list[str] = field(default_factory=list)
    sample: list[list[str]] = field(default_factory=list)


@contextmanager
def local_file(batch: Import) -> Iterator[Path]:
    """The uploaded file on this machine's disk: as it lies there, or brought from the storage."""
    try:
        yield Path(default_storage.path(batch.path))
    except NotImplementedError:
        with tempfile.NamedTemporaryFile(suffix=Path(batch.path).suffix) as copy:
            with default_storage.open(batch.path) as far:
                for chunk in far.chunks():
                    copy.write(chunk)
            copy.flush()
            yield Path(copy.name)


class ColumnsTooMany(FileUnreadable):
    code = "purchase_columns_too_many"
    sentence = _("The file has more than %(most)s columns.")


def looked_at(path: Path, remembered: dict[str, str], reading: dict[str, str]) -> dict[str, Any]:
    """Heads, first rows and the columns as they were confirmed last time, else guessed. Raises FileUnreadable.

    `said` is what of `reading`, said of the last file, this one leaves open too.
    """
    found = _found(path, remembered, reading)
    if len(found["head"]) > MOST_COLUMNS:  # every one is offered for each of ours
        raise ColumnsTooMany(most=MOST_COLUMNS)
    return found


def _found(path: Path, remembered: dict[str, str], reading: dict[str, str]) -> dict[str, Any]:
    encoding = reading.get("encoding") if _hides_its_encoding(path) else None
    try:
        layout = _with_remembered(path, remembered, encoding)
    except ColumnsMissing:
        rows, _delimiter = opening_rows(path, delimiter=None, encoding=encoding)
        heads = heads_of(rows)
        if heads is None:
            raise
        head, at = heads
        said = {"encoding": encoding} if encoding else {}
        return {"head": list(head), "sample": rows[at : at + _SAMPLE], "columns": {}, "guesses": [], "said": said}
    said = _left_open(path, layout, reading)
    return {
        "head": list(layout.head),
        "sample": [list(row) for row in layout.sample[:_SAMPLE]],
        "columns": dict(layout.columns),
        "day_month": said.get("day_month", layout.day_month.value),
        "decimals": said.get("decimals", next(iter(layout.decimals.values()), Decimals.POINT).value),
        "guesses": [guess for guess in layout.guesses if not (guess == Guess.DAY_FIRST and "day_month" in said)],
        "said": said,
    }


def _with_remembered(path: Path, remembered: dict[str, str], encoding: str | None) -> Layout:
    encodings = (encoding, None) if encoding else (None,)
    if remembered:
        for one in encodings:
            try:
                return look(path, Told(columns=remembered, encoding=one))
            except (ColumnUnknown, ColumnsMissing, FileNotText):
                pass  # another kind of file than the last one
    if encoding:
        try:
            return look(path, Told(encoding=encoding))
        except (ColumnsMissing, FileNotText):
            pass  # other letters than the last one's
    return look(path)


def _hides_its_encoding(path: Path) -> bool:
    """Whether the beginning of the file is no UTF-8, nor of another encoding that tells itself, or plain ASCII."""
    if is_workbook(path):
        return False
    start = next(text_chunks(path, notes=Counter(), encoding=None, size=_START), b"")
    try:
        return codecs.getincrementaldecoder("utf-8")().decode(start).isascii()
    except UnicodeDecodeError:
        return True


def _left_open(path: Path, layout: Layout, reading: dict[str, str]) -> dict[str, str]:
    """What of that which was said of the last file this one does not show of itself."""
    said = {"encoding": layout.encoding} if layout.encoding else {}
    if "day_month" in reading and Guess.DAY_FIRST in layout.guesses:
        said["day_month"] = reading["day_month"]
    if "decimals" in reading and not _shows_decimals(path, layout):
        said["decimals"] = reading["decimals"]
    return said


def _shows_decimals(path: Path, layout: Layout) -> bool:
    first = next(layout.frames(path, Counter()), None)
    places = [place for name in ("qty", "unit_price", "amount") if (place := layout.place(name))]
    return first is not None and any(
        decimals_of(first.cells.get_column(place).drop_nulls().unique().to_list()) for place in places
    )


def told_of(batch: Import) -> Told:
    """What a person confirmed of the file. In other letters its heads read otherwise: columns go by their places."""
    said, heads = batch.mapping, batch.found.get("head", [])
    columns = {name: head for name, head in said.get("columns", {}).items() if name in FIELDS and head}
    if said.get("encoding"):
        columns = {name: f"column {heads.index(head) + 1}" for name, head in columns.items() if head in heads}
    return Told(
        columns=columns,
        encoding=said.get("encoding") or None,
        day_month=DayMonth(said["day_month"]) if said.get("day_month") else None,
        decimals=Decimals(said["decimals"]) if said.get("decimals") else None,
    )


def as_read(batch: Import, read: Read) -> None:
    """Show the file as its letters were read at last: heads and first rows, and the columns by these heads."""
    before = batch.found.get("head", [])
    columns = batch.mapping.get("columns", {})
    if len(before) == len(read.head):
        columns = {name: read.head[before.index(head)] for name, head in columns.items() if head in before}
    batch.found = {**batch.found, "head": read.head, "sample": read.sample}
    batch.mapping = {**batch.mapping, "columns": columns}


def stage(batch: Import, path: Path, today: date, progress: Callable[[int], None]) -> Read:
    """Read the whole file into staged rows of the batch; those of an earlier reading go. Raises FileUnreadable.

    `progress` is called after every block with the rows behind it; what is staged by then stays.
    """
    batch.staged.all().delete()
    layout = look(path, told_of(batch))
    if unwanted := [name for name in layout.columns if name not in batch.mapping.get("columns", {})]:
        # A column that was left open on purpose is not guessed again.
        layout = _without(layout, unwanted)
    sample = [list(row) for row in layout.sample[:_SAMPLE]]
    read = Read(notes=Counter(layout.guesses), head=list(layout.head), sample=sample)
    listed = io.StringIO()
    writer = csv.writer(listed, lineterminator="\n")
    writer.writerow(REJECT_SCHEMA)
    for part in batches(path, layout, read.notes, more=MORE_FIELDS):
        orders = part.rows.get_column("order_id").drop_nulls().unique().to_list()
        here = contract_history.numbered_here(batch.book, orders)
        rows, rejects = _fit(part, batch.currency, today, here)
        _copy(batch, rows)
        read.rows += len(part.rows) + len(part.rejects)
        read.staged += len(rows)
        room = MOST_LISTED - sum(read.rejects.values())
        read.rejects.update(dict(rejects.get_column("reason").value_counts().iter_rows()))
        writer.writerows(rejects.head(max(0, room)).iter_rows())
        progress(read.rows)
    read.listed = listed.getvalue().encode()
    return read


def _fit(part: Batch, currency: str, today: date, here: set[str]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows that are order lines, in the columns of the staging table, and the others with why not. `here` are the
    orders that the platform brings in itself."""
    rows = part.rows.with_columns(
        pl.col("currency").fill_null(currency),
        pl.when(pl.col("country").str.contains("^[A-Za-z]{2}$")).then(pl.col("country").str.to_uppercase()),
        pl.col("qty").round(4),
        pl.col("amount").round(4),
    )
    numbers = [
        name for name in ("account", "order_id", "line_no", "cancels", "sku", "category") if name in rows.columns
    ]
    too_long = pl.any_horizontal(pl.col(name).str.len_chars() > _LONGEST for name in numbers)
    rows = rows.with_columns(
        pl.when(too_long.fill_null(False))
        .then(pl.lit(Why.VALUE_TOO_LONG))
        .when(pl.col("qty") == 0)
        .then(pl.lit(Why.QUANTITY_ZERO))
        .when((pl.col("unit_price") <= 0) | (pl.col("amount") * pl.col("qty").sign() <= 0))
        .then(pl.lit(Why.PRICE_NOT_POSITIVE))
        .when(pl.col("day") > today + timedelta(days=1))
        .then(pl.lit(Why.DATE_IN_FUTURE))
        .when((pl.col("amount").abs() > rollup.MOST) | (pl.col("qty").abs() > rollup.MOST))
        .then(pl.lit(Why.AMOUNT_TOO_LARGE))
        .when(~pl.col("currency").str.contains("^[A-Z]{3}$"))
        .then(pl.lit(Why.CURRENCY_UNKNOWN))
        .when(pl.col("order_id").is_in(list(here)).fill_null(False))
        .then(pl.lit(Why.ON_THE_PLATFORM))
        .alias("reason")
    )
    value = (
        pl.when(pl.col("reason") == Why.CURRENCY_UNKNOWN)
        .then(pl.col("currency"))
        .when(pl.col("reason") == Why.DATE_IN_FUTURE)
        .then(pl.col("day").cast(pl.String))
        .when(pl.col("reason") == Why.QUANTITY_ZERO)
        .then(pl.col("qty").cast(pl.String))
        .when(pl.col("reason") == Why.ON_THE_PLATFORM)
        .then(pl.col("order_id"))
        .when(pl.col("reason") == Why.VALUE_TOO_LONG)
        .then(pl.lit(None, dtype=pl.String))
        .otherwise(pl.col("amount").cast(pl.String))
    )
    wrong = rows.filter(pl.col("reason").is_not_null()).select("line", "reason", value.alias("value"))
    rejects = pl.concat([part.rejects, wrong.cast(part.rejects.schema)]).sort("line")
    return rows.filter(pl.col("reason").is_null()), rejects


_COLUMNS: Final = {
    "row": "line", "account": "account", "account_name": "account_name", "country": "country", "order": "order_id",
    "line": "line_no", "day": "day", "cancels": "cancels", "item": "sku", "item_name": "sku_name",
    "category": "category", "category_name": "category_name", "quantity": "qty", "amount": "amount",
    "currency": "currency",
}  # fmt: skip


def _copy(batch: Import, rows: pl.DataFrame) -> None:
    """Texts that are not there are empty; the line's own number may still be."""
    if not len(rows):
        return
    texts = [
        (pl.col(source).cast(pl.String).fill_null("") if source in rows.columns else pl.lit("")).alias(name)
        for name, source in _COLUMNS.items()
    ]
    table = rows.select(pl.lit(str(batch.pk)).alias("batch_id"), *texts)
    names = ", ".join(f'"{name}"' for name in table.columns)
    command = f"COPY analytics_stagedline ({names}) FROM STDIN (FORMAT csv)"
    with connection.cursor() as cursor, cursor.copy(command) as copy:
        copy.write(table.write_csv(include_header=False, quote_style="always"))


def _without(layout: Layout, names: list[str]) -> Layout:
    return replace(layout, columns={name: head for name, head in layout.columns.items() if name not in names})
