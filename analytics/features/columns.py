"""Which column of a purchase file holds what: by its heads, by what a person says, or else by its values."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from django.utils.translation import gettext_lazy as _

from analytics.features.files import FileUnreadable
from analytics.features.heads import ALL_KEYS, FIELDS, KEYS, key_of
from analytics.features.values import DayMonth, Decimals, amount_of, day_of

_POSITION = re.compile(r"(?:column )?([1-9]\d{0,2})")


class ColumnsMissing(FileUnreadable):
    code = "purchase_columns_missing"
    sentence = _(
        "The file has no column for %(missing)s. Its columns are: %(columns)s. Name the right ones, as in "
        "account=CustomerID,ts=date."
    )


class HeadMissing(ColumnsMissing):
    code = "purchase_head_missing"
    sentence = _(
        "The file has no row of heads. Say by their numbers which columns are what, as in "
        "account=1,ts=2,qty=3,amount=4. Its first row: %(columns)s."
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
class Found:
    """`head` names all columns of the file, `columns` maps our fields to them."""

    head: tuple[str, ...]
    columns: Mapping[str, str]
    skipped: int  # rows before the first purchase: the head and what stands above it
    by_values: bool = False


def find(rows: list[list[str]], told: Mapping[str, str]) -> Found:
    """The columns of purchases among the first rows of a file. Titles above the heads are passed over.

    `told` maps our fields to heads of the file, or to numbers of columns from 1. Raises FileEmpty, FieldUnknown,
    ColumnUnknown, ColumnsMissing or HeadMissing.
    """
    filled = _filled(rows)
    if not filled:
        raise FileEmpty
    if unknown := [name for name in told if name not in FIELDS]:
        raise FieldUnknown(name=unknown[0], fields=", ".join(FIELDS))
    if _begins_with_data(rows, filled):
        head = _numbered(rows)
        columns = _columns(head, told) if told else _by_values(rows[filled[0] :], head)
        return Found(head, columns, filled[0], by_values=not told)
    refusal: FileUnreadable | None = None
    for at in filled[:10]:
        try:
            head = _unique(rows[at])
            return Found(head, _columns(head, told), at + 1)
        except FileUnreadable as error:
            refusal = refusal or error
    raise refusal or FileEmpty


def find_categories(rows: list[list[str]], told: Mapping[str, str]) -> Found:
    """The columns of a file that says which category each sku is in. Raises FileEmpty or ColumnsMissing.

    Of what is told of the purchases' columns counts what this file has too.
    """
    filled = _filled(rows)
    if not filled:
        raise FileEmpty
    head = _unique(rows[filled[0]])
    keys = {key_of(name) for name in head}
    own = {name: said for name, said in told.items() if name in ("sku", "category") and key_of(said) in keys}
    columns = _known(head, own)
    if missing := [name for name in ("sku", "category") if name not in columns]:
        raise ColumnsMissing(missing=", ".join(missing), columns=_shown(head))
    return Found(head, {name: columns[name] for name in ("sku", "category")}, filled[0] + 1)


def heads_of(rows: list[list[str]]) -> tuple[tuple[str, ...], int] | None:
    """Names of the columns of a file of which nothing is known, and how many rows stand before the first purchase.

    None where no row has two cells.
    """
    filled = [at for at, row in enumerate(rows) if sum(bool(cell.strip()) for cell in row) > 1]
    if not filled:
        return None
    at = filled[0]
    return (_numbered(rows), at) if _begins_with_data(rows, filled) else (_unique(rows[at]), at + 1)


def _filled(rows: list[list[str]]) -> list[int]:
    """Which rows have a word in them and are not the line by which spreadsheets are told the delimiter."""
    return [at for at, row in enumerate(rows) if any(cell.strip() for cell in row) and not _is_separator(row)]


def _begins_with_data(rows: list[list[str]], filled: list[int]) -> bool:
    """Whether the first rows are purchases already: each has a date and another number, and no head that is known."""
    return all(_is_data([cell.strip() for cell in rows[at]]) for at in filled[:2])


def _is_data(cells: list[str]) -> bool:
    if len(cells) < 3 or {key_of(cell) for cell in cells} & ALL_KEYS:
        return False
    dates = [_is_date(cell) for cell in cells]
    return any(dates) and any(_is_number(cell) for cell, date in zip(cells, dates, strict=True) if not date)


def _is_date(text: str) -> bool:
    """Whether it is written as a date: of numbers without marks only those of eight digits are."""
    return day_of(text, DayMonth.DAY) is not None and (not text.isdigit() or len(text) == 8)


def _is_number(text: str) -> bool:
    return amount_of(text, Decimals.POINT) is not None


def _numbered(rows: list[list[str]]) -> tuple[str, ...]:
    return tuple(f"column {number}" for number in range(1, max(map(len, rows)) + 1))


def _by_values(rows: list[list[str]], head: tuple[str, ...]) -> Mapping[str, str]:
    """Customer, date, quantity and amount of a file without heads, where the values leave one reading open.

    The one column of dates; of the others the first is the customer; of two numbers the one that is whole throughout,
    or else the first, is the quantity. Raises HeadMissing.
    """
    whole = [row for row in rows if len(row) == len(head) and all(cell.strip() for cell in row)]
    places = range(len(head))
    dates = [at for at in places if whole and all(_is_date(row[at].strip()) for row in whole)]
    others = [at for at in places if at not in dates]
    numbers = [at for at in others[1:] if all(_is_number(row[at]) for row in whole)]
    if len(dates) != 1 or not 1 <= len(numbers) <= 2 or len(others) != 1 + len(numbers):
        raise HeadMissing(columns=_shown(tuple(cell.strip() for cell in rows[0])))
    found = {"account": others[0], "ts": dates[0], "amount": numbers[-1]}
    if len(numbers) == 2:
        counts = next((at for at in numbers if all(row[at].strip().lstrip("-").isdigit() for row in whole)), numbers[0])
        found |= {"qty": counts, "amount": next(at for at in numbers if at != counts)}
    return {name: head[at] for name, at in found.items()}


def _known(head: tuple[str, ...], told: Mapping[str, str]) -> dict[str, str]:
    by_key = {key_of(name): name for name in reversed(head)}
    columns: dict[str, str] = {}
    for name, wanted in told.items():
        number = _POSITION.fullmatch(wanted)
        if wanted in head:
            columns[name] = wanted
        elif key_of(wanted) in by_key:
            columns[name] = by_key[key_of(wanted)]
        elif number and int(number[1]) <= len(head):
            columns[name] = head[int(number[1]) - 1]
        else:
            raise ColumnUnknown(column=wanted, columns=_shown(head))
    for name, keys in KEYS.items():
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


def _is_separator(row: list[str]) -> bool:
    return bool(row) and row[0].lower().startswith("sep=")
