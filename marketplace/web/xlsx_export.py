"""Lists as workbooks, written row by row: many rows take no more memory than one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from io import BytesIO
from typing import Any, Final

from django.http import HttpResponse
from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
from openpyxl.styles import Font

from marketplace.shared.errors import Sentence

CONTENT_TYPE: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_TITLE_LENGTH: Final = 31
_NOT_IN_TITLES: Final = str.maketrans(dict.fromkeys("[]:*?/\\", " "))


@dataclass(frozen=True, slots=True)
class Sheet:
    """A sheet: its name, its heads, and rows of plain values."""

    title: str
    head: Sequence[Sentence]
    rows: Iterable[Sequence[Any]]


def workbook(sheets: Sequence[Sheet]) -> bytes:
    """The file. Text is text, also where it looks like a formula; moments are UTC."""
    book = Workbook(write_only=True)
    for sheet in sheets:
        page = book.create_sheet(sheet.title.translate(_NOT_IN_TITLES)[:_TITLE_LENGTH])
        page.freeze_panes = "A2"
        page.append([_cell(page, str(head), bold=True) for head in sheet.head])
        for row in sheet.rows:
            page.append([_cell(page, value) for value in row])
    file = BytesIO()
    book.save(file)
    return file.getvalue()


def xlsx_response(name: str, sheets: Sequence[Sheet]) -> HttpResponse:
    """A download `name`.xlsx."""
    response = HttpResponse(workbook(sheets), content_type=CONTENT_TYPE)
    response["Content-Disposition"] = f'attachment; filename="{name}.xlsx"'
    response["Cache-Control"] = "private, no-store"
    return response


def _cell(page: Any, value: Any, *, bold: bool = False) -> Any:
    if isinstance(value, datetime):
        value = value.replace(tzinfo=None)
    elif not isinstance(value, int | float | Decimal | None) and not hasattr(value, "isoformat"):
        # What no cell can hold, as a control sign in a name that came with a file, would break the whole workbook.
        value = ILLEGAL_CHARACTERS_RE.sub(" ", str(value))
    cell = WriteOnlyCell(page, value)
    if isinstance(value, str):
        cell.data_type = "s"
    if bold:
        cell.font = Font(bold=True)
    return cell
