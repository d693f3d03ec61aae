"""Rows of a purchase file as typed columns, block by block; rows that cannot be used come with line and reason.

The same path serves the command line, which gathers a history (`gathering`), and imports into the database.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl

from analytics.features.layout import Layout
from analytics.features.records import Reject
from analytics.features.tables import Frame
from analytics.features.values import CURRENCIES, EARLIEST, LATEST, Amount, Decimals, amount_of, day_of, is_open_to_both

MAX_NAME = 255
MAX_NUMBER = 1e12
_SHOWN = 200
_ISO_DAY = r"^\d{4}-\d{2}-\d{2}(?:[T ].*)?$"

REJECT_SCHEMA = {"line": pl.Int64, "reason": pl.String, "value": pl.String}


@dataclass(slots=True)
class Batch:
    """`rows`: line, account, order_id, sku, category, day (Date), qty, unit_price, amount (Float64), currency, mark.

    Texts are trimmed, empty ones null; fields that the file does not have are null throughout (qty 1, unit_price the
    amount of one), and so are those asked for besides. Quantities and prices have any sign. `mark` is equal for rows
    whose cells are all equal.
    `rejects`: line, reason, and the value at fault.
    """

    rows: pl.DataFrame
    rejects: pl.DataFrame


def batches(path: Path, layout: Layout, notes: Counter[str], *, more: tuple[str, ...] = ()) -> Iterator[Batch]:
    """`more` of MORE_FIELDS become columns too."""
    for frame in layout.frames(path, notes):
        yield _batch(frame, layout, more)


def _batch(frame: Frame, layout: Layout, more: tuple[str, ...]) -> Batch:
    cells = frame.cells.with_columns(pl.Series("line", frame.lines))
    blank = cells.select(pl.all_horizontal(pl.exclude("line").is_null())).to_series()
    cells = cells.filter(~blank)
    marks = cells.drop("line").hash_rows(seed=7)
    columns = {name: cells.get_column(place) if (place := layout.place(name)) else None for name in _TEXTS}
    texts = {name: _trimmed(column, len(cells)) for name, column in columns.items()}
    texts["currency"] = texts["currency"].str.to_uppercase().replace(CURRENCIES)
    besides = {name: _trimmed(_column(cells, layout, name), len(cells)).str.slice(0, MAX_NAME) for name in more}
    ts_text = _needed(cells, layout, "ts")
    days, left_open = _days(ts_text, layout)
    qty, _sign = _numbers(_column(cells, layout, "qty"), layout.decimals.get("qty", Decimals.POINT))
    money = "unit_price" if "unit_price" in layout.columns else "amount"
    price_text = _needed(cells, layout, money)
    price, sign = _numbers(price_text, layout.decimals.get(money, Decimals.POINT))
    assert price is not None
    qty_text = _column(cells, layout, "qty")
    if qty is None:
        qty = pl.Series([1.0]).new_from_index(0, len(cells))
    rows = pl.DataFrame(
        {
            "line": cells.get_column("line"),
            **texts,
            **besides,
            "day": days,
            "qty": qty,
            "unit_price": price if money == "unit_price" else price / qty,
            "amount": price * qty if money == "unit_price" else price,
            "mark": marks,
        }
    )
    if "currency" not in layout.columns and sign is not None:
        rows = rows.with_columns(sign.alias("currency"))
    reason = pl.Series([None], dtype=pl.String).new_from_index(0, len(cells))
    value = reason
    for code, wrong, shown in (
        (Reject.MISSING_ACCOUNT, texts["account"].is_null(), None),
        (Reject.VALUE_TOO_LONG, _too_long(texts), None),
        (Reject.MISSING_DATE, _absent(ts_text), None),
        (Reject.OPEN_DATE, left_open, ts_text),
        (Reject.BAD_DATE, days.is_null(), ts_text),
        (Reject.MISSING_QUANTITY, None if qty_text is None else _absent(qty_text), None),
        (Reject.BAD_QUANTITY, _out_of_range(qty), qty_text),
        (Reject.MISSING_PRICE, _absent(price_text), None),
        (Reject.BAD_PRICE, _out_of_range(price), price_text),
    ):
        if wrong is not None and wrong.any():
            new = wrong & reason.is_null()
            reason = reason.set(new, code)
            if shown is not None:
                value = shown.str.slice(0, _SHOWN).zip_with(new, value)
    rejects = pl.DataFrame({"line": rows["line"], "reason": reason, "value": value}, schema=REJECT_SCHEMA)
    rejects = rejects.filter(reason.is_not_null())
    if frame.rejects:
        rejects = pl.concat([rejects, pl.DataFrame(frame.rejects, schema=REJECT_SCHEMA, orient="row")])
    return Batch(rows.filter(reason.is_null()) if reason.null_count() < len(reason) else rows, rejects.sort("line"))


_TEXTS = ("account", "order_id", "sku", "category", "currency")


def _column(cells: pl.DataFrame, layout: Layout, name: str) -> pl.Series | None:
    place = layout.place(name)
    return cells.get_column(place) if place else None


def _needed(cells: pl.DataFrame, layout: Layout, name: str) -> pl.Series:
    column = _column(cells, layout, name)
    assert column is not None  # look() refuses a file without it
    return column


def _trimmed(column: pl.Series | None, count: int) -> pl.Series:
    if column is None:
        return pl.Series([None], dtype=pl.String).new_from_index(0, count)
    column = column.str.strip_chars()
    return column.set(column == "", None) if (column == "").any() else column


def _absent(column: pl.Series) -> pl.Series:
    return column.is_null() | (column.str.strip_chars() == "").fill_null(True)


def _too_long(texts: dict[str, pl.Series]) -> pl.Series:
    too_long = pl.Series([False]).new_from_index(0, len(texts["account"]))
    for text in texts.values():
        too_long |= (text.str.len_chars() > MAX_NAME).fill_null(False)
    return too_long


def _out_of_range(numbers: pl.Series) -> pl.Series:
    return numbers.is_null() | (numbers.abs() > MAX_NUMBER).fill_null(True)


def _days(texts: pl.Series, layout: Layout) -> tuple[pl.Series, pl.Series | None]:
    """Dates, null where there is none, and whether they can be read both ways if that is asked. Each distinct text is
    read once."""
    texts = texts.str.strip_chars()
    iso = texts.str.contains(_ISO_DAY).fill_null(True)
    if iso.all():
        days = texts.str.slice(0, 10).str.to_date("%Y-%m-%d", strict=False)
        outside = ((days < EARLIEST) | (days >= LATEST)).fill_null(False)
        return (days.set(outside, None) if outside.any() else days), None
    # Times make nearly every text distinct; without them a year has 365.
    short = texts.str.replace(r"[T ]\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?$", "")
    days = _by_value(short, lambda text: day_of(text, layout.day_month), pl.Date)
    return days, _by_value(short, is_open_to_both, pl.Boolean).fill_null(False) if layout.leaves_open else None


def _numbers(texts: pl.Series | None, decimals: Decimals) -> tuple[pl.Series | None, pl.Series | None]:
    """Numbers, null where there is none, and the currency written beside them, if any is."""
    if texts is None:
        return None, None
    plain = texts.str.strip_chars()
    if decimals is Decimals.COMMA:
        points = plain.str.contains(".", literal=True)
        plain = plain.str.replace(",", ".", literal=True).set(points, None)
    numbers = plain.cast(pl.Float64, strict=False)
    numbers = numbers.set(~numbers.is_finite(), None)
    hard = numbers.is_null() & texts.is_not_null()
    if not hard.any():
        return numbers, None
    known: dict[str, Amount | None] = {text: amount_of(text, decimals) for text in texts.filter(hard).unique()}
    numbers = _by_known(texts, {t: a.value if a else None for t, a in known.items()}, pl.Float64).zip_with(
        hard, numbers
    )
    currencies = {t: a.currency or None for t, a in known.items() if a}
    return numbers, _by_known(texts, currencies, pl.String) if any(currencies.values()) else None


def _by_value(texts: pl.Series, read: Callable[[str], date | bool | None], kind: type[pl.DataType]) -> pl.Series:
    return _by_known(texts, {text: read(text) for text in texts.drop_nulls().unique()}, kind)


def _by_known(texts: pl.Series, known: dict[str, Any], kind: type[pl.DataType]) -> pl.Series:
    if not known:
        return pl.Series([None], dtype=kind).new_from_index(0, len(texts))
    values = pl.Series(list(known.values()), dtype=kind)
    return texts.replace_strict(pl.Series(list(known), dtype=pl.String), values, default=None, return_dtype=kind)
