"""A purchase file gathered into a history, with a count of everything that was left out and why."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import polars as pl
from numpy.typing import NDArray

from analytics.features.columns import ColumnUnknown
from analytics.features.layout import Layout, Told, look, look_categories
from analytics.features.reading import REJECT_SCHEMA, Batch, batches
from analytics.features.records import Reject
from analytics.rules import remarks
from analytics.rules.cards import HORIZON
from analytics.rules.history import NONE, History, IntArray, Names, collapse
from analytics.rules.remarks import NOTHING_LEFT, Outline, Remark

_EPOCH = date(1970, 1, 1)
_SOME = 100_000
#: Why rows are not used though nothing is wrong with them.
_READ = frozenset({Reject.DUPLICATE, Reject.OTHER_CURRENCY, Reject.MOVED_ON, Reject.QUANTITY_NOT_POSITIVE})


@dataclass(slots=True)
class Report:
    """`rejected` counts the lines of rejects.csv by reason; `warnings` are stable codes of how the file was read, with
    their counts; `remarks` are what is thin or odd about the history. `as_of` is its last known day: before the
    cut-off, where the file ends so early that its end is not everybody's silence; None without a purchase. `moved`
    accounts are left out since they buy in another currency now.
    """

    rows_read: int = 0
    rows_used: int = 0
    after_cutoff: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    warnings: dict[str, int] = field(default_factory=dict)
    remarks: list[Remark] = field(default_factory=list)
    as_of: date | None = None
    moved: int = 0
    currency: str | None = None
    layout: Layout | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "rows_read": self.rows_read,
            "rows_used": self.rows_used,
            "rows_rejected": sum(self.rejected.values()),
            "rejected": dict(sorted(self.rejected.items())),
            "rows_after_cutoff": self.after_cutoff,
            "currency": self.currency,
            "warnings": dict(sorted(self.warnings.items())),
            "remarks": [remark.as_json() for remark in self.remarks],
            "as_of": str(self.as_of) if self.as_of else None,
            "layout": self.layout.as_json() if self.layout else None,
        }


def gather(
    path: Path,
    *,
    told: Told | None = None,
    before: date | None = None,
    categories: Path | None = None,
    merged: Mapping[str, str] | None = None,
    rejects: TextIO | None = None,
    horizon: int = HORIZON.days,
) -> tuple[History, Report]:
    """Only rows dated before `before` have any effect on the history. `categories` maps sku to category and goes before
    the file's own column; `merged` maps an account's old name to the one it has now. Rejected rows are written to
    `rejects` as CSV: line, reason, value. What is remarked of the history goes by the `horizon` foretold.
    Raises FileUnreadable where there is nothing to read at all."""
    layout = _layout(path, told, categories)
    of_sku = read_categories(categories, told) if categories else None
    gatherer = _Gatherer(layout, before, of_sku, merged or {}, rejects)
    notes: Counter[str] = Counter()
    for batch in batches(path, layout, notes, more=("account_name",) if gatherer.has_names else ()):
        gatherer.add(batch)
    history = gatherer.history()
    gatherer.remark(horizon)
    report = gatherer.report
    report.layout = layout
    report.warnings |= dict.fromkeys(layout.guesses, 1) | dict(notes)
    return history, report


def _layout(path: Path, told: Told | None, categories: Path | None) -> Layout:
    """Heads of item and category may have been told of the file beside alone."""
    try:
        return look(path, told)
    except ColumnUnknown:
        if told is None or categories is None:
            raise
        beside = look_categories(categories, told).columns
    for left in ({"category"}, {"sku"}):
        if all(beside.get(name) == told.columns.get(name) for name in left):
            with suppress(ColumnUnknown):
                return look(path, replace(told, columns={n: h for n, h in told.columns.items() if n not in left}))
    return look(path, told)


def read_categories(path: Path, told: Told | None = None) -> dict[str, str]:
    """sku → category of a file with at least these two columns, under the heads told or known; an item's last line
    counts."""
    layout = look_categories(path, Told(columns=told.columns) if told else None)
    found: dict[str, str] = {}
    for frame in layout.frames(path, Counter()):
        skus, names = (frame.cells.get_column(layout.place(n) or "").str.strip_chars() for n in ("sku", "category"))
        found |= {s: c for s, c in zip(skus.to_list(), names.to_list(), strict=True) if s and c}
    return found


class _Gatherer:
    """Keeps some forty bytes a row until all rows are in; texts become codes at once."""

    def __init__(
        self,
        layout: Layout,
        before: date | None,
        of_sku: Mapping[str, str] | None,
        merged: Mapping[str, str],
        rejects: TextIO | None,
    ) -> None:
        self.layout = layout
        self.before = before
        self.of_sku = of_sku
        self.merged = merged
        self.report = Report()
        self.has_orders = "order_id" in layout.columns
        self.has_names = layout.columns.get("account_name") is not None
        self.codes: dict[str, dict[str, int]] = {"account": {}, "sku": {}, "category": {}, "currency": {}}
        self.parts: dict[str, list[NDArray[Any]]] = {name: [] for name in _DTYPES}
        self.names: dict[str, list[str]] = {}
        self.outline = Outline((), 0, 0)
        self.equal_rows, self.other_currencies = 0, list[str]()
        self.writer = csv.writer(rejects, lineterminator="\n") if rejects else None
        if self.writer:
            self.writer.writerow(REJECT_SCHEMA)

    def add(self, batch: Batch) -> None:
        self.report.rows_read += len(batch.rows) + len(batch.rejects)
        self.reject(batch.rejects)
        rows = batch.rows
        if self.before is not None:
            rows = rows.filter(pl.col("day") < self.before)
            self.report.after_cutoff += len(batch.rows) - len(rows)
        rows = self._positive(rows)
        if self.has_names:
            self._name(rows)
        for name, part in self.parts.items():
            values = rows.get_column(_SOURCES.get(name, name))
            if name in self.codes:
                part.append(self._coded(name, values))
            elif name == "day":
                part.append(values.to_physical().to_numpy().astype(np.int32))
            else:
                part.append(values.to_numpy().astype(_DTYPES[name]))

    def history(self) -> History:
        columns = {name: np.concatenate(self.parts.pop(name) or [np.empty(0, t)]) for name, t in _DTYPES.items()}
        columns = self._in_one_currency(self._without_duplicates(columns))
        for name in ("line", "mark", "currency"):
            del columns[name]
        days = columns.pop("day")
        first = int(days.min()) if len(days) else 0
        names, codes = {}, {}
        for field_name in ("account", "sku", "category"):
            names[field_name], codes[field_name] = self._sorted(field_name, columns.pop(field_name))
        self.report.rows_used = len(days)
        nothing = not len(days)
        if self.of_sku is not None:
            self._map(names, codes, self.of_sku)
        self.outline = _outline(days, codes["account"])
        history = collapse(
            account=codes["account"],
            category=codes["category"],
            item=codes["sku"],
            day=days - np.int32(first),
            quantity=columns["quantity"],
            amount=columns["amount"],
            accounts=names["account"],
            categories=names["category"],
            items=names["sku"],
            first_day=date.fromordinal(_EPOCH.toordinal() + first),
        )
        if nothing:  # an empty history has what its file could have had
            columns_of = self.layout.columns
            has_categories = "category" in columns_of or self.of_sku is not None
            return replace(history, has_categories=has_categories, has_items="sku" in columns_of)
        return history

    def remark(self, horizon: int) -> None:
        """Say what is thin or odd about the history, as of the last day that it could know."""
        report, outline = self.report, self.outline
        until = self.before - timedelta(days=1) if self.before else outline.days[-1] if outline.days else None
        if until is not None and outline.days:
            report.as_of = remarks.as_of(outline.days, until)
        taken_back = not outline.days and report.rejected[Reject.QUANTITY_NOT_POSITIVE] > report.after_cutoff
        report.remarks = [
            *remarks.of_rows(report.rows_read, sum(n for why, n in report.rejected.items() if why not in _READ)),
            *(remarks.of_history(outline, until or _EPOCH, horizon=horizon) if not taken_back else [NOTHING_LEFT]),
            *remarks.of_currencies(report.currency or "", self.other_currencies),
            *remarks.of_equal_rows(self.equal_rows, has_orders=self.has_orders),
            *remarks.of_names(self.names),
        ]

    def reject(self, rejects: pl.DataFrame) -> None:
        if len(rejects):
            self.report.rejected.update(dict(rejects.get_column("reason").value_counts().iter_rows()))
            if self.writer:
                self.writer.writerows(rejects.iter_rows())

    def _positive(self, rows: pl.DataFrame) -> pl.DataFrame:
        reason = (
            pl.when(pl.col("qty") <= 0)
            .then(pl.lit(Reject.QUANTITY_NOT_POSITIVE))
            .when((pl.col("unit_price") <= 0) | (pl.col("amount") <= 0))
            .then(pl.lit(Reject.PRICE_NOT_POSITIVE))
        )
        rows = rows.with_columns(reason.alias("reason"))
        value = pl.when(pl.col("qty") <= 0).then(pl.col("qty")).otherwise(pl.col("unit_price")).cast(pl.String)
        self.reject(rows.filter(pl.col("reason").is_not_null()).select("line", "reason", value.alias("value")))
        return rows.filter(pl.col("reason").is_null())

    def _name(self, rows: pl.DataFrame) -> None:
        """Note the names that accounts have in turn; what an account is merged into has its own."""
        pairs = rows.select("account", "account_name").drop_nulls().unique(maintain_order=True)
        for account, name in pairs.iter_rows():
            if account not in self.merged and name not in (given := self.names.setdefault(account, [])):
                given.append(name)

    def _coded(self, name: str, values: pl.Series) -> IntArray:
        known = self.codes[name]
        texts = values.drop_nulls().unique().to_list()
        if not texts:
            return np.full(len(values), NONE, dtype=np.int32)
        final = self.merged if name == "account" else {}
        codes = [known.setdefault(final.get(text, text), len(known)) for text in texts]
        coded = values.replace_strict(
            pl.Series(texts), pl.Series(codes, dtype=pl.Int32), default=NONE, return_dtype=pl.Int32
        )
        return coded.fill_null(NONE).to_numpy().astype(np.int32)

    def _sorted(self, name: str, codes: IntArray) -> tuple[Names, IntArray]:
        """Names in their order, so that codes do not depend on the order of rows; those of no kept row are left out."""
        used = np.zeros(len(self.codes[name]) + 1, dtype=bool)
        used[codes] = True  # NONE lands on the spare place at the end
        texts = [text for text, code in self.codes[name].items() if used[code]]
        texts.sort()
        renumbered = np.full(len(used), NONE, dtype=np.int32)
        for number, text in enumerate(texts):
            renumbered[self.codes[name][text]] = number
        return tuple(texts), renumbered[codes]

    def _without_duplicates(self, columns: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        marks = columns["mark"]
        order = np.argsort(marks, kind="stable")
        again = np.zeros(len(marks), dtype=bool)
        again[order[1:]] = marks[order[1:]] == marks[order[:-1]]
        if not again.any():
            return columns
        self.equal_rows = int(again.sum())
        if not self.has_orders:
            return columns
        self._drop(columns["line"][again], Reject.DUPLICATE)
        return {name: values[~again] for name, values in columns.items()}

    def _in_one_currency(self, columns: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Money of the currency that most rows are in; there is no rate to convert the others by."""
        names = sorted(self.codes["currency"])
        if not names or not len(columns["currency"]):
            return columns
        counts = np.bincount(columns["currency"] + 1, minlength=len(names) + 1)[1:]
        most = max(names, key=lambda name: counts[self.codes["currency"][name]])
        self.report.currency = most
        other = (columns["currency"] != self.codes["currency"][most]) & (columns["currency"] != NONE)
        if not other.any():
            return columns
        by_code = {code: name for name, code in self.codes["currency"].items()}
        left_out = [by_code[code] for code in columns["currency"][other]]
        self.other_currencies = sorted({*left_out})
        self._drop(columns["line"][other], Reject.OTHER_CURRENCY, left_out)
        moved = self._moved(columns, other) & ~other
        if moved.any():
            self._drop(columns["line"][moved], Reject.MOVED_ON)
        return {name: values[~other & ~moved] for name, values in columns.items()}

    def _moved(self, columns: dict[str, NDArray[Any]], other: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Rows of accounts that buy in another currency now: their silence in the one that is scored is none."""
        account, day = columns["account"], columns["day"]
        if self.before is None:
            return np.zeros(len(account), dtype=bool)
        last = np.full((2, len(self.codes["account"])), -1, dtype=np.int64)
        for place, rows in enumerate((~other, other)):
            np.maximum.at(last[place], account[rows], day[rows])
        here, elsewhere = last
        until = (self.before - _EPOCH).days - 1
        moved = np.zeros(len(here), dtype=bool)
        for code in np.flatnonzero((here >= 0) & (elsewhere >= 0)):
            moved[code] = remarks.has_moved_on(int(here[code]), int(elsewhere[code]), until)
        self.report.moved = int(moved.sum())
        return np.asarray(moved[account])

    def _drop(self, lines: NDArray[np.int64], reason: str, values: list[str] | None = None) -> None:
        data = {
            "line": lines,
            "reason": [reason] * len(lines),
            "value": list[str | None](values) if values else [None] * len(lines),
        }
        self.reject(pl.DataFrame(data, schema=REJECT_SCHEMA))

    @staticmethod
    def _map(names: dict[str, Names], codes: dict[str, IntArray], of_sku: Mapping[str, str]) -> None:
        """Categories by the file beside, where it knows the item; the purchase's own elsewhere."""
        own = names["category"]
        all_names = tuple(sorted({*own, *(of_sku[sku] for sku in names["sku"] if sku in of_sku)}))
        place = {name: number for number, name in enumerate(all_names)}
        of_item = np.array([place.get(of_sku.get(sku, ""), NONE) for sku in names["sku"]] + [NONE], dtype=np.int32)
        again = np.array([place[name] for name in own] + [NONE], dtype=np.int32)[codes["category"]]
        mapped = of_item[codes["sku"]]
        codes["category"] = np.where(mapped == NONE, again, mapped)
        used = np.zeros(len(all_names) + 1, dtype=bool)
        used[codes["category"]] = True
        kept = np.flatnonzero(used[:-1])
        dense = np.full(len(all_names) + 1, NONE, dtype=np.int32)
        dense[kept] = np.arange(len(kept), dtype=np.int32)
        codes["category"] = dense[codes["category"]]
        names["category"] = tuple(all_names[number] for number in kept)


def _outline(days: IntArray, accounts: IntArray) -> Outline:
    seen = np.unique(days)
    to_date = _EPOCH.toordinal()
    some = slice(0, _SOME)  # of so many rows it would be known that there are enough
    bought = np.unique(days[some].astype(np.int64) << 32 | accounts[some].astype(np.int64))
    if len(bought) < remarks.FEW_PURCHASES:
        bought = np.unique(days.astype(np.int64) << 32 | accounts.astype(np.int64))
    return Outline(
        days=[date.fromordinal(to_date + int(day)) for day in seen],
        accounts=len(np.unique(accounts)),
        purchases=len(bought),
    )


_SOURCES = {"quantity": "qty"}
_DTYPES: dict[str, Any] = {
    "account": np.int32,
    "sku": np.int32,
    "category": np.int32,
    "currency": np.int32,
    "day": np.int32,
    "quantity": np.float64,
    "amount": np.float64,
    "line": np.int64,
    "mark": np.uint64,
}
