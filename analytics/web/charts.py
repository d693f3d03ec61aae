"""Rollups as charts with the table beside them. Every row of a table leads to the contracts it is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from decimal import Decimal

from babel.dates import format_date
from babel.numbers import format_decimal, format_percent
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from analytics.queries.spend import Row
from analytics.rules import spend
from analytics.rules.spend import Saving
from marketplace.shared.errors import Sentence
from marketplace.shared.money import Money
from marketplace.web import formats, parts
from procurement.procedures.catalogue import UnknownProcedure, get

# A chart shows this many bars; the table shows all.
BARS = 10
# The address of the contracts narrowed to a row: `link(category="30")`.
Link = Callable[..., str]


def by_month(found: Mapping[date, Row], every: Sequence[date], currency: str, link: Link) -> parts.Chart:
    """Two bars a month, months without contracts included; the table has the newest month first."""
    rows = [(month, found.get(month, Row(f"{month:%Y-%m}", "", Decimal(0), 0))) for month in every]
    option = {
        "xAxis": {"type": "category", "data": [month_name(month) for month, _row in rows]},
        "yAxis": {"type": "value"},
        "series": [
            _bars(_("Spend"), [row.amount for _month, row in rows]),
            _bars(_("Saved"), [row.saving.saved for _month, row in rows]),
        ],
    }
    cells = [
        (
            opens(month_name(month), link(month=row.key), row.contracts),
            count(row.contracts),
            figure(row.amount, currency),
            saved(row.saving, currency),
        )
        for month, row in reversed(rows)
    ]
    columns = (_("Month (UTC)"), _("Contracts"), _("Spend"), _("Saved"))
    return parts.Chart("spend-by-month", _("Spend and savings by month"), option, columns, cells, (1, 2, 3), currency)


def by_share(
    kind: str, title: Sentence, column: Sentence, rows: Sequence[Row], total: Decimal, currency: str, link: Link
) -> parts.Chart:
    """Bars of the largest rows, the largest on top; the table has all rows with their share of the whole."""
    named = [(row, row.name or _("Not priced by item")) for row in rows]
    shown = list(reversed(named[:BARS]))
    option = {
        "xAxis": {"type": "value"},
        "yAxis": {"type": "category", "data": [_short(name) for _row, name in shown]},
        "series": [_bars(_("Spend"), [row.amount for row, _name in shown])],
    }
    cells = [
        (
            opens(name, link(**{kind: row.key}), row.contracts if row.key else 0),
            count(row.contracts),
            figure(row.amount, currency),
            percent(spend.share(row.amount, total)),
        )
        for row, name in named
    ]
    note = _("The chart shows the %(n)s largest.") % {"n": BARS} if len(rows) > BARS else ""
    columns = (column, _("Contracts"), _("Spend"), _("Share"))
    return parts.Chart(f"spend-by-{kind}", title, option, columns, cells, (1, 2, 3), currency, note)


def by_procedure(rows: Sequence[Row], currency: str, link: Link) -> parts.Chart:
    """What each kind of procedure saved against the limit prices."""
    option = {
        "xAxis": {"type": "value"},
        "yAxis": {"type": "category", "data": [_short(procedure_name(row.key)) for row in reversed(rows)]},
        "series": [
            _bars(_("Spend"), [row.amount for row in reversed(rows)]),
            _bars(_("Saved"), [row.saving.saved for row in reversed(rows)]),
        ],
    }
    cells = [
        (
            opens(procedure_name(row.key), link(procedure=row.key), row.contracts),
            count(row.contracts),
            figure(row.amount, currency),
            saved(row.saving, currency),
            percent(row.saving.share),
        )
        for row in rows
    ]
    columns = (_("Procedure"), _("Contracts"), _("Spend"), _("Saved"), _("%"))
    note = _("Savings count only the contracts whose lot had a limit price.")
    title = _("Procedures and savings against limit prices")
    return parts.Chart("procedures", title, option, columns, cells, (1, 2, 3, 4), currency, note)


def procedure_name(code: str) -> str:
    try:
        return str(get(code).name)
    except UnknownProcedure:
        return code


def month_name(month: date) -> str:
    return format_date(month, "MMM y", locale=formats.locale())


def count(number: int) -> str:
    return format_decimal(number, locale=formats.locale())


def percent(share: Decimal | None) -> str:
    """A share (0.125) as "12.5%"."""
    return formats.EMPTY if share is None else format_percent(share, "#,##0.0%", locale=formats.locale())


def saved(saving: Saving, currency: str) -> str:
    return figure(saving.saved, currency) if saving.contracts else formats.EMPTY


def _bars(name: str, amounts: Sequence[Decimal]) -> dict[str, object]:
    # Only the picture is drawn from floats; the table beside it holds the exact amounts.
    return {"type": "bar", "name": name, "data": [float(amount) for amount in amounts]}


def opens(label: str, url: str, contracts: int = 1) -> SafeString | str:
    """A label that leads to what its row is made of, where that is anything."""
    return format_html('<a href="{}"><bdi>{}</bdi></a>', url, label) if contracts else label


def figure(amount: Decimal, currency: str) -> str:
    """An amount as it stands in a table."""
    return formats.amount(Money(amount, currency).rounded())


def _short(label: str, length: int = 28) -> str:
    return label if len(label) <= length else f"{label[: length - 1]}…"
