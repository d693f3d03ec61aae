"""How a purchase file is laid out: what its columns are, how it writes dates and numbers. Found out, or told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl
from django.utils.translation import gettext_lazy as _

from analytics.features.files import FileUnreadable
from analytics.features.tables import Frame, frames, opening_rows
from analytics.features.values import DayMonth, Decimals, day_month_order, decimals_of, is_open_to_both

SAMPLE_ROWS = 20
MORE_FIELDS = ("line_no", "cancels", "account_name", "country", "sku_name", "category_name")
"""What imports keep besides; scores need none of it."""
FIELDS = ("account", "order_id", "sku", "category", "ts", "qty", "unit_price", "amount", "currency", *MORE_FIELDS)
# Heads met in exports, compared without case, blanks and marks; earlier ones go first.
_KNOWN_AS: Mapping[str, tuple[str, ...]] = {
    "account": ("account", "accountid", "customerid", "customer", "customerno", "customercode", "clientid", "buyer"),
    "order_id": ("orderid", "order", "orderno", "ordernumber", "invoiceno", "invoice", "invoiceid", "basketid"),
    "sku": ("sku", "item", "itemid", "itemcode", "stockcode", "productid", "productcode", "article"),
    "category": ("category", "categoryid", "productcategory", "itemcategory", "productgroup", "commodity"),
    "ts": ("ts", "date", "timestamp", "datetime", "orderdate", "invoicedate", "transactiondate", "purchasedate"),
    "qty": ("qty", "quantity", "units", "pieces"),
    "unit_price": ("unitprice", "price", "itemprice", "priceperunit"),
    "amount": ("amount", "linetotal", "total", "revenue", "sales", "salesvalue", "lineamount", "spend"),
    "currency": ("currency", "currencycode"),
    "line_no": ("lineno", "line", "linenumber", "position", "orderline", "invoiceline"),
    "cancels": ("cancels", "cancelsorder", "originalorder", "originalinvoice", "creditfor", "returnof"),
    "account_name": ("accountname", "customername", "clientname", "buyername", "companyname", "company"),
    "country": ("countrycode", "country"),
    "sku_name": ("skuname", "itemname", "productname", "description", "itemdescription", "productdescription"),
    "category_name": ("categoryname",),
}


class Guess:
    """What had to be assumed of a file; stable codes."""

    NO_QUANTITY = "no_quantity_column_one_assumed"
    DAY_FIRST = "dates_leave_day_and_month_open_day_first_assumed"
    DAY_MONTH_MIXED = "dates_show_both_orders_of_day_and_month"


class ColumnsMissing(FileUnreadable):
    code = "purchase_columns_missing"
    sentence = _(
        "The file has no column for %(missing)s. Its columns are: %(columns)s. Name the right ones, as in "
        "account=CustomerID,ts=date."
    )


class ColumnUnknown(FileUnreadable):
    code = "purchase_column_unknown"
    sentence = _("The file has no column “%(column)s”. Its columns are: %(columns)s.")


class FieldUnknown(FileUnreadable):
    code = "purchase_field_unknown"
    sentence = _("“%(name)s” is nothing that is read from a purchase file; these are: %(fields)s.")


class FileEmpty(FileUnreadable):
    code = "purchase_file_empty"
    sentence = _("The file is empty.")


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
    head_at, columns = _head(rows, told.columns)
    layout = Layout(
        head=_unique(rows[head_at]),
        columns=columns,
        delimiter=delimiter,
        encoding=told.encoding,
        skipped=head_at + 1,
        sample=tuple(tuple(row) for row in rows[head_at + 1 : head_at + 1 + SAMPLE_ROWS]),
        guesses=() if "qty" in columns else (Guess.NO_QUANTITY,),
    )
    return _with_dates(_with_decimals(layout, path, told), path, told)


def look_categories(path: Path, told: Told | None = None) -> Layout:
    """The layout of a file that says which category each sku is in. Raises FileUnreadable or one of its kinds."""
    told = told or Told()
    rows, delimiter = opening_rows(path, delimiter=told.delimiter, encoding=told.encoding)
    at = next((at for at, row in enumerate(rows) if any(row) and not _is_separator(row)), None)
    if at is None:
        raise FileEmpty
    head = _unique(rows[at])
    columns = _known(head, told.columns)
    if missing := [name for name in ("sku", "category") if name not in columns]:
        raise ColumnsMissing(missing=", ".join(missing), columns=_shown(head))
    return Layout(head, {name: columns[name] for name in ("sku", "category")}, delimiter, told.encoding, at + 1)


def _head(rows: list[list[str]], told: Mapping[str, str]) -> tuple[int, Mapping[str, str]]:
    """Where the head stands and what its columns are. Titles above it are passed over."""
    filled = [at for at, row in enumerate(rows) if any(cell.strip() for cell in row) and not _is_separator(row)]
    if not filled:
        raise FileEmpty
    if unknown := [name for name in told if name not in FIELDS]:
        raise FieldUnknown(name=unknown[0], fields=", ".join(FIELDS))
    refusal: FileUnreadable | None = None
    for at in filled[:10]:
        try:
            return at, _columns(_unique(rows[at]), told)
        except FileUnreadable as error:
            refusal = refusal or error
    raise refusal or FileEmpty


def _known(head: tuple[str, ...], told: Mapping[str, str]) -> dict[str, str]:
    by_key = {_key(name): name for name in reversed(head)}
    columns: dict[str, str] = {}
    for name, wanted in told.items():
        if wanted not in head and _key(wanted) not in by_key:
            raise ColumnUnknown(column=wanted, columns=_shown(head))
        columns[name] = wanted if wanted in head else by_key[_key(wanted)]
    for name, keys in _KNOWN_AS.items():
        free = (by_key[key] for key in keys if key in by_key and by_key[key] not in columns.values())
        if name not in columns and (found := next(free, None)):
            columns[name] = found
    return columns


def _columns(head: tuple[str, ...], told: Mapping[str, str]) -> Mapping[str, str]:
    columns = _known(head, told)
    missing = [name for name in ("account", "ts") if name not in columns]
    if "unit_price" not in columns and "amount" not in columns:
        missing.append("unit_price (or amount, the money of a row)")
    if missing:
        raise ColumnsMissing(missing=", ".join(missing), columns=_shown(head))
    if "unit_price" in columns and "amount" not in told:
        columns.pop("amount", None)
    return {name: columns[name] for name in FIELDS if name in columns}


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
        order, mixed = day_month_order(texts)
        if order:
            guesses = (*layout.guesses, Guess.DAY_MONTH_MIXED) if mixed else layout.guesses
            return replace(layout, day_month=order, guesses=guesses)
        any_open = any_open or any(is_open_to_both(text) for text in texts)
        if not any_open and len(texts):
            break  # years come first, or months are named: nothing is open
    return replace(layout, guesses=(*layout.guesses, Guess.DAY_FIRST)) if any_open else layout


def _dates_of(column: pl.Series) -> list[str]:
    """The distinct dates, times cut off where they follow after ten characters or a blank."""
    return column.drop_nulls().str.strip_chars().str.slice(0, 19).str.replace(r"[ T].*$", "").unique().to_list()


def _unique(row: list[str]) -> tuple[str, ...]:
    """Names of the columns, a number after those that come again."""
    seen: Counter[str] = Counter()
    names = []
    for at, cell in enumerate(row):
        name = "".join(c if c.isprintable() else "�" for c in cell.strip().lstrip("\ufeff")) or f"column {at + 1}"
        seen[name] += 1
        names.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return tuple(names)


def _shown(head: tuple[str, ...]) -> str:
    """The columns in a sentence, cut where a file of something else has names without end."""
    names = ", ".join(name[:40] for name in head)
    return names if len(names) <= 300 else f"{names[:300]}…"


def _key(name: str) -> str:
    return "".join(c for c in name.lower() if c.isalnum())


def _is_separator(row: list[str]) -> bool:
    return bool(row) and row[0].lower().startswith("sep=")
