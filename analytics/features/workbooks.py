"""The first sheet of an Excel workbook (XLSX) as rows of texts."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator
from datetime import date, datetime, time
from typing import Any

import openpyxl
from django.utils.translation import gettext_lazy as _
from openpyxl.utils.exceptions import InvalidFileException

from analytics.features.files import FileUnreadable

_MOST_ROWS = 2**20
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


def rows(content: bytes, *, most: int) -> Iterator[list[str]]:
    """The rows of the first sheet, those that are empty too, without the empty cells at their ends.

    Texts that cells share are held whole: they may take several times `most`, the bytes it may unpack to. Raises
    WorkbookTooLarge, WorkbookUnreadable.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if sum(member.file_size for member in archive.infolist()) > most:
                raise WorkbookTooLarge(most=most // 2**20)
        workbook = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)
        sheet: Any = workbook.worksheets[0]
        # The size that a sheet states is often wrong, and columns beyond it would not be read.
        sheet.reset_dimensions()
        for number, row in enumerate(sheet.iter_rows(values_only=True), 1):
            if number > _MOST_ROWS:  # rows that are not there are counted up to the next that is
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
    return str(value)
