"""Figures as charts with the table beside them. Every row of a table leads to the contracts it is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal

from babel.dates import format_date
from babel.numbers import format_decimal
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from analytics.queries.accounts import Slice, total
from analytics.rules import spend
from analytics.rules.spend import Deal
from marketplace.shared.errors import Sentence
from marketplace.shared.money import Money
from marketplace.web import formats, parts
from procurement.models.tender import TENDER_STATUS_NAMES
from procurement.rules.lifecycle import TenderStatus

# A chart shows this many bars; the table shows all.
BARS = 10
Link = Callable[..., str]


@dataclass(frozen=True, slots=True)
class Savings:
    amount: Money
    note: str


def savings(deals: Sequence[Deal], currency: str) -> Savings | None:
    """What was saved against limit prices, and the words beside it."""
    saved = spend.saving(deals)
    if saved is None:
        return None
    note = ngettext(
        "%(percent)s of the limit price of %(count)s contract",
        "%(percent)s of the limit prices of %(count)s contracts",
        saved.contracts,
    ) % {"percent": _percent(saved.percent), "count": format_decimal(saved.contracts, locale=formats.locale())}
    return Savings(Money(saved.amount, currency), note)


def by_month(slices: Sequence[Slice], currency: str, link: Link) -> parts.Chart:
    """A bar a month, months without contracts included; the newest row of the table first."""
    known = {one.key: one for one in slices}
    every = spend.months(_month(slices[0].key), _month(slices[-1].key)) if slices else []
    filled = [known.get(f"{month:%Y-%m}", Slice(f"{month:%Y-%m}", "", Decimal(0), 0)) for month in every]
    option = {
        "xAxis": {"type": "category", "data": [month_name(_month(one.key)) for one in filled]},
        "yAxis": {"type": "value"},
        "series": [{"type": "bar", "name": str(_("Spend")), "data": [float(one.amount) for one in filled]}],
    }
    rows = [
        (_opens(month_name(_month(one.key)), link(month=one.key), one.contracts), one.contracts, _figure(one, currency))
        for one in reversed(filled)
    ]
    columns = (_("Month"), _("Contracts"), _("Spend"))
    return parts.Chart("spend-by-month", _("Spend by month"), option, columns, rows, (1, 2), currency)


def by_share(
    kind: str, title: Sentence, column: Sentence, slices: Sequence[Slice], currency: str, link: Link
) -> parts.Chart:
    """Horizontal bars of the largest; the table has all, with the share of the whole."""
    shown = list(reversed(slices[:BARS]))
    option = {
        "xAxis": {"type": "value"},
        "yAxis": {"type": "category", "data": [_short(one.label) for one in shown]},
        "series": [{"type": "bar", "name": str(_("Spend")), "data": [float(one.amount) for one in shown]}],
    }
    whole = total(slices)
    rows = [
        (
            _opens(one.label, link(**{kind: one.key}), one.contracts),
            one.contracts,
            _figure(one, currency),
            _percent(spend.percent(one.amount, whole)),
        )
        for one in slices
    ]
    note = _("The chart shows the %(n)s largest.") % {"n": BARS} if len(slices) > BARS else ""
    columns = (column, _("Contracts"), _("Spend"), _("Share"))
    return parts.Chart(f"spend-by-{kind}", title, option, columns, rows, (1, 2, 3), currency, note)


def procedures(counts: Mapping[str, int]) -> list[tuple[TenderStatus, Sentence, int]]:
    """States with procedures in them, in the order of their lives."""
    return [
        (status, TENDER_STATUS_NAMES[status], counts[status.value])
        for status in TenderStatus
        if counts.get(status.value)
    ]


def month_name(month: date) -> str:
    return format_date(month, "MMM y", locale=formats.locale())


def _month(key: str) -> date:
    return datetime.strptime(key, "%Y-%m").replace(tzinfo=UTC).date()


def _opens(label: str, url: str, contracts: int) -> SafeString | str:
    return format_html('<a href="{}"><bdi>{}</bdi></a>', url, label) if contracts else label


def _figure(one: Slice, currency: str) -> str:
    return formats.amount(Money(one.amount, currency).rounded())


def _percent(value: Decimal) -> str:
    return f"{format_decimal(value, '#,##0.0', locale=formats.locale())} %"


def _short(label: str, length: int = 28) -> str:
    return label if len(label) <= length else f"{label[: length - 1]}…"
