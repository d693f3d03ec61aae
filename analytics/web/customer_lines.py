"""What a customer bought, line by line: what the figures of its page are made of."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any, Final

from babel.numbers import format_decimal
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from analytics import permissions
from analytics.models import Account, Category, OrderLine
from analytics.queries import customers as queries
from analytics.web import charts
from marketplace.permissions import actor_of
from marketplace.shared.errors import NotFound
from marketplace.shared.money import Money
from marketplace.web import formats, parts
from marketplace.web.csv_export import csv_response
from marketplace.web.forms import whole_number
from marketplace.web.lists import address, listed

# The category of lines that have none, in an address.
NONE: Final = "none"
_HEAD: Final = (
    gettext_lazy("Day"), gettext_lazy("Counts on"), gettext_lazy("Order"), gettext_lazy("Line"),
    gettext_lazy("Takes back order"), gettext_lazy("Customer number"), gettext_lazy("Item"),
    gettext_lazy("Name of the item"), gettext_lazy("Category"), gettext_lazy("Quantity"), gettext_lazy("Amount"),
    gettext_lazy("Currency"), gettext_lazy("From"),
)  # fmt: skip


@require_safe
def lines(request: HttpRequest, account_id: int) -> HttpResponseBase:
    """The order lines, the newest first, narrowed to a month or a category; `?format=csv` is the same as a file."""
    account = queries.standing(permissions.book_of(actor_of(request)), account_id)
    if account is None:
        raise NotFound
    rows, chips = _narrowed(request, account)
    if request.GET.get("format") == "csv":
        return csv_response(f"purchases-{account.external_id}", _HEAD, map(_as_row, _ordered(rows).iterator(2000)))
    page = listed(request, rows, ["-counts_on", "-pk"])
    context = {
        "account": account,
        "list": page,
        "rows": [_shown(line, account) for line in page.rows],
        "chips": chips,
        "clear_url": request.path,
        "export_url": address(request, format="csv"),
        "crumbs": [
            parts.Crumb(_("Customers"), reverse("insights_customers")),
            parts.Crumb(account.name, reverse("insights_customer", args=[account.pk])),
        ],
    }
    return render(request, "analytics/customer_lines.html", context)


def _narrowed(request: HttpRequest, account: Account) -> tuple[Any, list[parts.Chip]]:
    """The lines that the address asks for; what cannot be read narrows nothing."""
    rows, chips = queries.lines_of(account), []
    month = month_of(request.GET.get("month", ""))
    if month is not None:
        rows = rows.filter(counts_on__year=month.year, counts_on__month=month.month)
        chips.append(parts.Chip(f"{_('Month')}: {charts.month_name(month)}", address(request, month="")))
    asked = request.GET.get("category", "")
    category = Category.objects.filter(book=account.book_id, pk=whole_number(asked) or 0).first()
    if asked == NONE or category is not None:
        rows = rows.filter(category=category)
        name = category or _("Without a category")
        chips.append(parts.Chip(f"{_('Category')}: {name}", address(request, category="")))
    return rows, chips


def month_of(asked: str) -> date | None:
    """The first day of the month that an address names, e.g. "2026-05"; None for what is none."""
    try:
        return datetime.strptime(asked, "%Y-%m").replace(tzinfo=UTC).date()
    except ValueError:
        return None


def _ordered(rows: Any) -> Any:
    return rows.order_by("-counts_on", "-pk")


def _shown(line: OrderLine, account: Account) -> dict[str, Any]:
    return {
        "line": line,
        "what": line.item or line.category or _("Not named"),
        "category": line.category if line.item else None,
        "quantity": format_decimal(line.quantity, "#,##0.####", locale=formats.locale()),
        "amount": Money(line.amount, line.currency).rounded(),
        # Of a customer that was merged: under which number it was bought.
        "number": line.account.external_id if line.account_id != account.pk else "",
    }


def _as_row(line: OrderLine) -> tuple[Any, ...]:
    return (
        line.day, line.counts_on, line.order, line.line, line.cancels, line.account.external_id,
        line.item.code if line.item else "", line.item.name if line.item else "", str(line.category or ""),
        line.quantity, line.amount, line.currency, line.get_source_display(),
    )  # fmt: skip
