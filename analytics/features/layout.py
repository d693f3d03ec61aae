"""How a purchase file is laid out: what its columns are, how it writes dates and numbers. Found out, or told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl

from analytics.features.columns import find, find_categories
from analytics.features.tables import Frame, frames, opening_rows
from analytics.features.values import DayMonth, Decimals, day_month_order, decimals_of, is_open_to_both

SAMPLE_ROWS = 20
MOST_SLIPS = 0.1
"""Of the dates that show an order of day and month, those that may have the other one before nothing can be told of
the rest."""


class Guess:
    """What had to be assumed of a file; stable codes."""

    NO_QUANTITY = "no_quantity_column_one_assumed"
    NO_HEAD = "no_heads_columns_guessed_by_their_values"
    DAY_FIRST = "dates_leave_day_and_month_open_day_first_assumed"
    DAY_MONTH_MIXED = "dates_show_both_orders_of_day_and_month"
    DAY_MONTH_TORN = "dates_show_both_orders_and_those_open_to_both_are_left_out"


@dataclass(frozen=True, slots=True)
class Told:
    """What a person says of a file; the rest is found out. `columns` maps our fields to the file's heads."""

    columns: Mapping[str, str] = field(default_factory=dict)
    delimiter: str | None = None
    encoding: str | None = None
    day_month: DayMonth | None = None
    decimals: Decimals | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """`columns` maps our fields to the file's heads; `decimals` is by field. `guesses` are stable codes."""

    head: tuple[str, ...]
    columns: Mapping[str, str]
    delimiter: str
    encoding: str | None
    skipped: int  # rows up to the head, itself included
    day_month: DayMonth = DayMonth.DAY
    leaves_open: bool = False  # two hands wrote the dates: one that can be read both ways tells no day
    decimals: Mapping[str, Decimals] = field(default_factory=dict)
    guesses: tuple[str, ...] = ()
    sample: tuple[tuple[str, ...], ...] = ()

    def place(self, name: str) -> str | None:
        """The column of a table's frame that holds one of our fields."""
        return f"c{self.head.index(self.columns[name])}" if name in self.columns else None

    def frames(self, path: Path, notes: Counter[str]) -> Iterator[Frame]:
        """The rows below the head."""
        left = self.skipped
        for frame in frames(path, len(self.head), delimiter=self.delimiter, encoding=self.encoding, notes=notes):
            drop = min(left, len(frame.lines))
            left -= drop
            yield Frame(frame.cells[drop:], frame.lines[drop:], frame.rejects) if drop else frame

    def as_json(self) -> dict[str, Any]:
        return {
            "columns": dict(self.columns),
            "delimiter": self.delimiter,
            "encoding": self.encoding or "found out",
            "day_month": self.day_month.value,
            "decimals": {name: style.value for name, style in self.decimals.items()},
        }


def look(path: Path, told: Told | None = None) -> Layout:
    """Raises FileUnreadable or one of its kinds, each one plain sentence, where the file cannot be used at all."""
    told = told or Told()
    rows, delimiter = opening_rows(path, delimiter=told.delimiter, encoding=told.encoding)
    found = find(rows, told.columns)
    assumed = {Guess.NO_HEAD: found.by_values, Guess.NO_QUANTITY: "qty" not in found.columns}
    layout = Layout(
        head=found.head,
        columns=found.columns,
        delimiter=delimiter,
        encoding=told.encoding,
        skipped=found.skipped,
        sample=tuple(tuple(row) for row in rows[found.skipped : found.skipped + SAMPLE_ROWS]),
        guesses=tuple(guess for guess, holds in assumed.items() if holds),
    )
    return _with_dates(_with_decimals(layout, path, told), path, told)


def look_categories(path: Path, told: Told | None = None) -> Layout:
    """The layout of a file that says which category each sku is in. Raises FileUnreadable or one of its kinds.

    Of what is told of the purchases' columns counts what this file has too.
    """
    told = told or Told()
    rows, delimiter = opening_rows(path, delimiter=told.delimiter, encoding=told.encoding)
    found = find_categories(rows, told.columns)
    return Layout(found.head, found.columns, delimiter, told.encoding, found.skipped)


def _with_decimals(layout: Layout, path: Path, told: Told) -> Layout:
    first = next(layout.frames(path, Counter()), None)
    found: dict[str, Decimals | None] = {}
    for name in ("qty", "unit_price", "amount"):
        if place := layout.place(name):
            texts = first.cells.get_column(place).drop_nulls().unique().to_list() if first else []
            found[name] = told.decimals or decimals_of(texts)
    # One hand writes a file: where one column leaves it open, the other ones tell.
    known = next((style for style in found.values() if style), Decimals.POINT)
    return replace(layout, decimals={name: style or known for name, style in found.items()})


def _with_dates(layout: Layout, path: Path, told: Told) -> Layout:
    if told.day_month:
        return replace(layout, day_month=told.day_month)
    place = layout.place("ts") or ""
    any_open = False
    for frame in layout.frames(path, Counter()):
        texts = _dates_of(frame.cells.get_column(place))
        order, other = day_month_order(texts)
        if order:
            torn = other > MOST_SLIPS
            mixed = (Guess.DAY_MONTH_TORN if torn else Guess.DAY_MONTH_MIXED,) if other else ()
            return replace(layout, day_month=order, leaves_open=torn, guesses=(*layout.guesses, *mixed))
        any_open = any_open or any(is_open_to_both(text) for text in texts)
        if not any_open and len(texts):
            break  # years come first, or months are named: nothing is open
    return replace(layout, guesses=(*layout.guesses, Guess.DAY_FIRST)) if any_open else layout


def _dates_of(column: pl.Series) -> list[str]:
    """The distinct dates, times cut off where they follow after ten characters or a blank."""
    return column.drop_nulls().str.strip_chars().str.slice(0, 19).str.replace(r"[ T].*$", "").unique().to_list()
