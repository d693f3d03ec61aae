"""The dashboard as a spreadsheet, written row by row: many cards take no more memory than one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from io import BytesIO
from typing import Any, Final

from django.db.models import QuerySet
from django.utils.translation import gettext as _
from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
from openpyxl.styles import Font

from analytics.models import Card
from analytics.queries.results import Amount, Row
from analytics.rules.effect import Bin, Difference
from analytics.web import card_words
from marketplace.shared.errors import Sentence

CONTENT_TYPE: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
MOST_CARDS: Final = 50_000
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


def figures(found: Sequence[tuple[Sentence, Amount]], currency: str) -> Sheet:
    rows = [(label, amount.amount, currency, amount.cards) for label, amount in found]
    return Sheet(_("Figures"), (_("Figure"), _("Amount"), _("Currency"), _("Cards")), rows)


def rows(title: str, found: Sequence[tuple[str, Row]], currency: str) -> Sheet:
    head = (
        _("Name"),
        _("Decided on"),
        _("Accepted"),
        _("Accepted and measured"),
        _("Bought"),
        _("Amount"),
        _("Currency"),
    )
    lines = [
        (name, row.accepted.of, row.accepted.hits, row.success.of, row.success.hits, row.amount, currency)
        for name, row in found
    ]
    return Sheet(title, head, lines)


def calibration(title: str, held: Sequence[Bin], shown: Sequence[Bin]) -> Sheet:
    head = (
        _("Cards"),
        _("From"),
        _("Below"),
        _("Chance given"),
        _("Number"),
        _("Happened"),
        _("Low, 95%"),
        _("High, 95%"),
    )
    lines = [
        (name, one.low, one.high, one.promised, one.happened.of, one.happened.hits, *one.happened.interval)
        for name, bins in ((_("withheld"), held), (_("shown"), shown))
        for one in bins
    ]
    return Sheet(title, head, lines)


def effects(found: Sequence[tuple[str, Difference]]) -> Sheet:
    head = (_("Kind"), _("Shown"), _("of them bought"), _("Withheld"), _("of them bought"), _("Difference"),
            _("Low, 95%"), _("High, 95%"))  # fmt: skip
    lines = [
        (name, one.shown.of, one.shown.hits, one.withheld.of, one.withheld.hits, one.value, *one.interval)
        for name, one in found
    ]
    return Sheet(_("What acting changes"), head, lines)


def cards(found: QuerySet[Card]) -> Sheet:
    head = (
        _("Card"), _("Kind"), _("Customer number"), _("Customer"), _("What"), _("State"), _("Representative"),
        _("Chance when made"), _("Expected"), _("Currency"), _("Made from purchases up to"), _("Accepted (UTC)"),
        _("Dismissed for"), _("Bought"), _("Bought for"),
    )  # fmt: skip
    joined = found.select_related("account", "category", "item", "representative").order_by("-by_money", "pk")
    lines = (
        (
            card.pk, card.get_kind_display(), card.account.external_id, card.account.name, card_words.thing(card),
            card.get_state_display(), str(card.representative or ""), card.p_made, card.expected_amount, card.currency,
            card.cutoff, card.accepted_at, card.get_dismissed_for_display(),
            "" if card.bought is None else (_("yes") if card.bought else _("no")), card.bought_amount,
        )
        for card in joined[:MOST_CARDS].iterator(chunk_size=1000)
    )  # fmt: skip
    return Sheet(_("Cards"), head, lines)


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
