"""Buyer accounts for representatives: what each spent, on what, with whom, and what it saved. Nobody else gets in."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from django import forms
from django.conf import settings
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET

from analytics.queries import accounts as queries
from analytics.queries.accounts import Period
from analytics.web import charts
from marketplace.models import Organisation, StaffRole
from marketplace.permissions import actor_of, require_staff
from marketplace.queries import keyset
from marketplace.shared import clock
from marketplace.shared.money import Money
from marketplace.web import formats, parts
from marketplace.web.csv_export import csv_response
from marketplace.web.lists import address, chips, listed
from procurement.models import Contract

LARGEST = 50
_MONTHS = {"12": 12, "6": 6, "3": 3, "24": 24}


class AccountFilter(forms.Form):
    q = forms.CharField(label=_("Name or number"), required=False, widget=forms.TextInput({"type": "search"}))
    sort = forms.ChoiceField(
        label=_("Order"), required=False, choices=[("", _("Largest first")), ("name", _("By name"))]
    )


class PeriodFilter(forms.Form):
    months = forms.ChoiceField(
        label=_("Period"),
        required=False,
        choices=[
            ("", _("Last 12 months")),
            ("3", _("Last 3 months")),
            ("6", _("Last 6 months")),
            ("24", _("Last 24 months")),
            ("all", _("All time")),
        ],
    )
    currency = forms.ChoiceField(label=_("Currency"), required=False)

    def __init__(self, *args: Any, currencies: list[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["currency"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [("", currencies[0] if currencies else "—"), *((code, code) for code in currencies[1:])]

    def period(self, now: datetime) -> Period:
        """Whole months (UTC) up to now, the present one included."""
        chosen = self.cleaned_data.get("months") or "12"
        if chosen == "all":
            return Period(datetime(2000, 1, 1, tzinfo=UTC), now + timedelta(seconds=1))
        first = now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        number = first.year * 12 + first.month - _MONTHS[chosen]
        return Period(first.replace(year=number // 12, month=number % 12 + 1), now + timedelta(seconds=1))


@require_GET
def accounts(request: HttpRequest) -> HttpResponse:
    """Buyer accounts with their spend; the largest first, or all by name, page by page."""
    require_staff(actor_of(request), StaffRole.REPRESENTATIVE)
    form = AccountFilter(request.GET)
    chosen = form.cleaned_data if form.is_valid() else {}
    currency = queries.main_currency(settings.DEFAULT_CURRENCY)
    rows = queries.buyer_accounts(chosen.get("q", ""), currency)
    context: dict[str, Any] = {
        "form": form,
        "currency": currency,
        "chips": chips(request, form),
        "count": keyset.capped_count(rows),
    }
    if chosen.get("sort") == "name" or chosen.get("q"):
        page = listed(request, rows, ["short_name", "pk"])
        context |= {"rows": page.rows, "previous_url": page.previous_url, "next_url": page.next_url}
    else:
        context["rows"] = queries.largest(rows, LARGEST)
        context["by_name_url"] = address(request, sort="name")
    return render(request, "analytics/accounts.html", context)


@require_GET
def account(request: HttpRequest, organisation_id: int) -> HttpResponse:
    """One buyer account: spend by month, category and supplier, procedures, savings."""
    page = _Page(request, organisation_id)
    contracts = page.contracts
    months = queries.by_month(contracts)
    suppliers = queries.by_supplier(contracts)
    categories = queries.by_category(contracts, page.currency)
    context = page.context() | {
        "stats": page.stats(suppliers),
        "charts": [
            charts.by_month(months, page.currency, page.link),
            charts.by_share("category", _("Spend by category"), _("Category"), categories, page.currency, page.link),
            charts.by_share("supplier", _("Spend by supplier"), _("Supplier"), suppliers, page.currency, page.link),
        ]
        if months
        else [],
        "procedures": charts.procedures(queries.procedures_of(page.account, page.period)),
    }
    return render(request, "analytics/account.html", context)


@require_GET
def contracts(request: HttpRequest, organisation_id: int) -> HttpResponseBase:
    """The contracts a figure of the account page is made of; `?format=csv` is the same list as a file."""
    page = _Page(request, organisation_id)
    chosen = _Narrowing(request)
    rows = queries.narrowed(page.contracts, category=chosen.category, month=chosen.month, supplier=chosen.supplier)
    if request.GET.get("format") == "csv":
        return _as_csv(page.account, rows)
    listing = listed(request, rows, ["-signed_at", "-pk"])
    context = page.context() | {
        "list": listing,
        "chips": [*page.context()["chips"], *chosen.chips(request, rows)],
        "export_url": address(request, format="csv"),
        "total": Money(queries.total(queries.by_supplier(rows)), page.currency),
        "saving": page.saving_of(rows),
    }
    return render(request, "analytics/contracts.html", context)


class _Page:
    """What both pages of an account need: who it is, the period, the currency, the contracts."""

    def __init__(self, request: HttpRequest, organisation_id: int) -> None:
        require_staff(actor_of(request), StaffRole.REPRESENTATIVE)
        self.request = request
        self.account = get_object_or_404(Organisation, pk=organisation_id, is_buyer=True)
        self.currencies = queries.currencies_of(self.account)
        self.form = PeriodFilter(request.GET, currencies=self.currencies)
        if not self.form.is_valid():
            raise Http404
        default = self.currencies[0] if self.currencies else settings.DEFAULT_CURRENCY
        self.currency = self.form.cleaned_data.get("currency") or default
        self.period = self.form.period(clock.now())
        self.contracts = queries.contracts_of(self.account, self.period, self.currency)

    def link(self, **narrowing: str) -> str:
        """The contracts that a figure is made of."""
        kept = {name: self.request.GET[name] for name in ("months", "currency") if self.request.GET.get(name)}
        path = reverse("insights_contracts", args=[self.account.pk])
        return f"{path}?{urlencode(kept | narrowing)}" if kept | narrowing else path

    def saving_of(self, rows: QuerySet[Contract]) -> charts.Savings | None:
        return charts.savings(queries.deals(rows), self.currency)

    def stats(self, suppliers: list[queries.Slice]) -> list[parts.Stat]:
        count = sum(one.contracts for one in suppliers)
        saved = self.saving_of(self.contracts)
        return [
            parts.Stat(
                _("Spend"), Money(queries.total(suppliers), self.currency), _("without VAT"), self.link(), "cash"
            ),
            parts.Stat(
                _("Contracts"),
                formats.format_decimal(count, locale=formats.locale()),
                url=self.link(),
                icon="writing-sign",
            ),
            parts.Stat(_("Suppliers"), formats.format_decimal(len(suppliers), locale=formats.locale()), icon="truck"),
            parts.Stat(
                _("Saved against limit prices"),
                saved.amount if saved else "—",
                saved.note if saved else _("no contract had a limit price"),
                icon="trending-down",
                tone="good" if saved and saved.amount.amount > 0 else "",
            ),
        ]

    def context(self) -> dict[str, Any]:
        return {
            "account": self.account,
            "form": self.form,
            "currencies": self.currencies,
            "currency": self.currency,
            "period": self.period,
            "chips": chips(self.request, self.form),
            "account_url": reverse("insights_account", args=[self.account.pk]),
            "crumbs": [
                parts.Crumb(_("Buyer accounts"), reverse("insights")),
                parts.Crumb(self.account.short_name, reverse("insights_account", args=[self.account.pk])),
            ],
        }


class _Narrowing:
    """Which part of the contracts is asked for; what cannot be read asks for nothing."""

    def __init__(self, request: HttpRequest) -> None:
        self.category = request.GET.get("category", "")[:16]
        supplier = request.GET.get("supplier", "")
        self.supplier = int(supplier) if supplier.isascii() and supplier.isdecimal() and len(supplier) < 18 else None
        self.month: date | None = None
        try:
            self.month = datetime.strptime(request.GET.get("month", ""), "%Y-%m").replace(tzinfo=UTC).date()
        except ValueError:
            self.month = None

    def chips(self, request: HttpRequest, rows: QuerySet[Contract]) -> list[parts.Chip]:
        found = []
        if self.category:
            found.append(parts.Chip(f"{_('Category')}: {self.category}", address(request, category="")))
        if self.month:
            found.append(parts.Chip(f"{_('Month')}: {charts.month_name(self.month)}", address(request, month="")))
        if self.supplier:
            first = rows.first()
            name = first.supplier.short_name if first else str(self.supplier)
            found.append(parts.Chip(f"{_('Supplier')}: {name}", address(request, supplier="")))
        return found


def _as_csv(account: Organisation, rows: QuerySet[Contract]) -> HttpResponseBase:
    head = (
        _("Contract"), _("Procedure"), _("Title"), _("Lot"), _("Supplier"), _("Signed (UTC)"), _("Amount"),
        _("Limit price"), _("Currency"),
    )  # fmt: skip
    lines = (
        (
            row.number, row.tender.number, row.tender.title, row.award.lot.title, row.supplier.full_name, row.signed_at,
            row.amount, row.limit_price, row.currency,
        )
        for row in rows.iterator(chunk_size=1000)
    )  # fmt: skip
    return csv_response(f"contracts-{account.pk}", head, lines)
