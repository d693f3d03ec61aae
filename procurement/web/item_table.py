"""Rows of items out of a spreadsheet: what was pasted, or a CSV file, as cells for the table's own form."""

from __future__ import annotations

import csv
import io
from typing import Final

from django.utils.translation import gettext_lazy as _

from marketplace.models import Heading
from marketplace.shared.errors import DomainError
from procurement.models.units import code_of

COLUMNS: Final = ("description", "category", "quantity", "unit", "deliver_from", "deliver_until")
FILE_MAX_BYTES: Final = 2_000_000
ROWS_MAX: Final = 500
_HEADS: Final = frozenset({"description", "what is needed", "item", "name", "category", "quantity", "unit"})


class TableUnreadable(DomainError):
    code, status = "table_unreadable", 422
    sentence = _("This could not be read as a table. Send a CSV file in UTF-8, or paste the rows.")


class TableTooLong(DomainError):
    code, status = "table_too_long", 422
    sentence = _("A lot has at most %(n)s items. Split the table over several lots.")


def decoded(content: bytes) -> str:
    """The text of a CSV file in UTF-8 or, as older spreadsheets write it, in Windows-1252. Raises TableUnreadable."""
    if len(content) > FILE_MAX_BYTES or b"\x00" in content:
        raise TableUnreadable(field="table")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")


def cells_of(text: str) -> list[dict[str, str]]:
    """Rows as cells by column. Tabs (a paste), else semicolons or commas part the cells; a row of heads is left out.

    Raises TableTooLong and TableUnreadable.
    """
    lines = text.strip("\r\n")
    if not lines.strip():
        return []
    try:
        rows = [row for row in csv.reader(io.StringIO(lines), delimiter=_delimiter(lines)) if any(map(str.strip, row))]
    except csv.Error as error:
        raise TableUnreadable(field="table") from error
    if rows and {cell.strip().lower() for cell in rows[0]} & _HEADS:
        rows = rows[1:]
    if len(rows) > ROWS_MAX:
        raise TableTooLong(n=ROWS_MAX)
    return [_row(row) for row in rows]


def _delimiter(text: str) -> str:
    first = text.splitlines()[0]
    return next((mark for mark in ("\t", ";") if mark in first), ",")


def _row(cells: list[str]) -> dict[str, str]:
    values = dict(zip(COLUMNS, (cell.strip() for cell in cells), strict=False))
    row = {column: values.get(column, "") for column in COLUMNS}
    row["unit"] = code_of(row["unit"]) or row["unit"] if row["unit"] else "H87"
    if row["category"] and (heading := Heading.objects.filter(code=row["category"].split("-")[0]).first()):
        row["category"] = str(heading)
    return row
