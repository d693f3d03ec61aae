"""Leads from a file: CSV or XLSX, every row taken or told to be wrong."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, Final

from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from analytics.features import files, workbooks
from analytics.models import LeadSource
from analytics.services import leads
from analytics.services.leads import LeadDetails, TooManyLeads
from marketplace import countries
from marketplace.permissions import Actor
from marketplace.shared.errors import DomainError, Invalid

ROWS_MAX: Final = 2_000
FILE_MAX: Final = 2_000_000
# What a column may be called, in small letters.
_COLUMNS: Final = {
    "company": ("company", "customer", "account", "firm", "organisation", "organization", "name of company"),
    "country": ("country", "country code"),
    "contact_name": ("contact", "contact name", "person", "contact person"),
    "email": ("email", "e-mail", "mail"),
    "phone": ("phone", "telephone", "tel"),
    "need": ("need", "request", "note", "interest", "message"),
    "reference": ("reference", "id", "lead id", "number"),
}
_CODES: Final = {known.casefold(): code for code, name in countries.choices() for known in (code, name)}
# A small file may unpack to a very large one.
UNPACKED_MAX: Final = 50_000_000


class FileUnreadable(DomainError):
    code = "file_unreadable"
    status = 422
    sentence = gettext_lazy("This is neither a CSV file nor a spreadsheet (XLSX) that can be read.")


class NoCompanyColumn(DomainError):
    code = "no_company_column"
    status = 422
    sentence = gettext_lazy("The first row names the columns, and one of them is “company”. This file has none.")


class TooManyRows(DomainError):
    code = "too_many_rows"
    status = 422
    sentence = gettext_lazy("A file holds at most %(n)s rows. Part it; nothing was taken.")


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that was not taken: its number in the file, and why."""

    row: int
    company: str
    why: str


@dataclass(frozen=True, slots=True)
class Result:
    new: int
    known: int
    rejected: tuple[Rejected, ...]

    @property
    def taken(self) -> int:
        return self.new + self.known


def take(book_id: int, name: str, content: bytes, *, by: Actor, at: datetime) -> Result:
    """Register the file's leads. Raises FileUnreadable, NoCompanyColumn, TooManyRows, NotFound."""
    rows = list(_rows(name, content))
    if not rows:
        raise NoCompanyColumn
    columns = _columns(rows[0])
    if "company" not in columns:
        raise NoCompanyColumn
    if len(rows) - 1 > ROWS_MAX:
        raise TooManyRows(n=f"{ROWS_MAX:,}")
    new = known = 0
    rejected: list[Rejected] = []
    for number, row in enumerate(rows[1:], start=2):
        cells = {field: row[column].strip() for field, column in columns.items() if column < len(row)}
        if not any(cells.values()):
            continue
        try:
            with transaction.atomic():
                _lead, is_new = leads.register(book_id, LeadSource.IMPORT, _details(cells), by=by, at=at)
        except Invalid as wrong:
            why = " ".join(str(sentence) for sentences in wrong.errors.values() for sentence in sentences)
            rejected.append(Rejected(number, cells.get("company", ""), why))
        except TooManyLeads as full:
            # The rows after it may still be of leads that are known.
            rejected.append(Rejected(number, cells.get("company", ""), str(full)))
        else:
            new, known = new + is_new, known + (not is_new)
    return Result(new, known, tuple(rejected))


def _details(cells: dict[str, str]) -> LeadDetails:
    country = cells.pop("country", "")
    code = _CODES.get(country.casefold(), "")
    if country and not code:
        raise Invalid({"country": [_("“%(country)s” is no country.") % {"country": country[:60]}]})
    known: dict[str, Any] = dict(cells)
    return LeadDetails(country=code, **known)


def _columns(head: Sequence[str]) -> dict[str, int]:
    """Where each field stands; the first column that fits."""
    found: dict[str, int] = {}
    for column, title in enumerate(head):
        for field, names in _COLUMNS.items():
            if title.strip().lower().lstrip("\ufeff") in names:
                found.setdefault(field, column)
    return found


def _rows(name: str, content: bytes) -> Iterator[list[str]]:
    if name.lower().endswith(".xlsx"):
        yield from _of_spreadsheet(content)
        return
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        break
    else:
        raise FileUnreadable
    if "\x00" in text:
        raise FileUnreadable
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    try:
        yield from csv.reader(io.StringIO(text), delimiter=delimiter)
    except csv.Error:
        raise FileUnreadable from None


def _of_spreadsheet(content: bytes) -> Iterator[list[str]]:
    try:
        for row in islice(workbooks.rows(content, most=UNPACKED_MAX), ROWS_MAX + 2):
            yield row[:50]
    except files.FileUnreadable:
        raise FileUnreadable from None
