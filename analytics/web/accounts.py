"""Buyer accounts for representatives: what each spent, on what, with whom, and what it saved. Nobody else gets in."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from django import forms
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from analytics.queries import accounts as account_queries
from analytics.queries import spend as queries
from analytics.queries.spend import Choice
from analytics.rules import spend
from analytics.web import charts
from marketplace.models import Heading, Organisation, StaffRole
from marketplace.permissions import actor_of, require_staff
from marketplace.queries import keyset
from marketplace.shared import clock
from marketplace.shared.errors import NotFound
from marketplace.shared.money import Money
from marketplace.web import parts
from marketplace.web.csv_export import csv_response
from marketplace.web.lists import address, chips, listed

PERIODS = {"": 12, "3": 3, "6": 6, "24": 24}
LONGEST_MONTHS = 120


class AccountFilter(forms.Form):
    q = forms.CharField(
        label=_("Name or registration number"), required=False, widget=forms.TextInput({"type": "search"})
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


@require_safe
def accounts(request: HttpRequest) -> HttpResponse:
    """Buyer accounts by name, with what each spent and saved in the last twelve months."""
    require_staff(actor_of(request), StaffRole.REPRESENTATIVE, StaffRole.SALES_MANAGER)
    form = AccountFilter(request.GET)
    rows = account_queries.buyers(text=form.cleaned_data["q"] if form.is_valid() else "")
    page = listed(request, rows, ["short_name", "pk"])
    ids = [account.pk for account in page.rows]
    since = _start(spend.first_of_period(_today(), 12))
    totals, last = queries.accounts_totals(ids, since), queries.last_signed(ids)
    found = keyset.capped_count(rows)
    context = {
        "list": page,
        "rows": [
            (
                account,
                [(Money(row.amount, row.key), charts.percent(row.saving.share)) for row in totals.get(account.pk, [])],
                sum(row.contracts for row in totals.get(account.pk, [])),
                last.get(account.pk),
            )
            for account in page.rows
        ],
        "form": form,
        "chips": chips(request, form),
        "total": gettext("more than 1,000") if found >= keyset.COUNT_CAP else charts.count(found),
    }
    return render(request, "analytics/accounts.html", context)


@require_safe
def account(request: HttpRequest, organisation_id: int) -> HttpResponse:
    """One buyer account: spend by month, category and supplier, procedures and their savings."""
    page = _Page(request, organisation_id)
    choice, currency = page.choice, page.choice.currency
    totals = queries.totals(choice)
    context = page.context() | {"stats": _stats(totals, page), "charts": []}
    if totals.contracts:
        share = (totals.amount, currency, page.link)
        context["charts"] = [
            charts.by_month(queries.by_month(choice), page.months(), currency, page.link),
            charts.by_share("category", _("Spend by category"), _("Category"), queries.by_category(choice), *share),
            charts.by_share("supplier", _("Spend by supplier"), _("Supplier"), queries.by_supplier(choice), *share),
            charts.by_procedure(queries.by_procedure(choice), currency, page.link),
        ]
    return render(request, "analytics/account.html", context)


@require_safe
def contracts(request: HttpRequest, organisation_id: int) -> HttpResponseBase:
    """The contracts a figure is made of; `?format=csv` is the same list as a file."""
    page = _Page(request, organisation_id)
    choice = _narrowed(page.choice, request)
    rows = queries.listed(choice)
    if request.GET.get("format") == "csv":
        return _as_csv(page.account, rows)
    totals = queries.totals(choice)
    listing = listed(request, rows, ["-signed_at", "-pk"])
    context = page.context() | {
        "list": listing,
        "rows": [_shown(row) for row in listing.rows],
        "narrowed": bool(choice.category),
        "chips": [*chips(request, page.form), *_chips(choice, request)],
        "export_url": address(request, format="csv"),
        "total": Money(totals.amount, choice.currency),
        "count": totals.contracts,
    }
    return render(request, "analytics/contracts.html", context)


class _Page:
    """What both pages of an account need: whose it is, the period, the currency."""

    def __init__(self, request: HttpRequest, organisation_id: int) -> None:
        require_staff(actor_of(request), StaffRole.REPRESENTATIVE, StaffRole.SALES_MANAGER)
        found = Organisation.objects.filter(pk=organisation_id, is_buyer=True).first()
        if found is None:
            raise NotFound
        self.request, self.account = request, found
        self.currencies = queries.currencies(found.pk)
        self.form = PeriodFilter(request.GET)
        if not self.form.is_valid():
            raise Http404
        self.choice = Choice(found.pk, self._currency(), self._since(), clock.now())

    def _currency(self) -> str:
        used = [code for code, _count in self.currencies]
        asked = self.request.GET.get("currency", "")
        return asked if asked in used else used[0] if used else str(settings.DEFAULT_CURRENCY)

    def _since(self) -> datetime | None:
        length = PERIODS.get(self.form.cleaned_data["months"])
        return _start(spend.first_of_period(_today(), length)) if length else None

    def months(self) -> list[date]:
        """The months the chart shows: the period, or from the first contract on."""
        since = self.choice.since
        first = since.date() if since else queries.first_month(self.account.pk, self.choice.currency)
        earliest = spend.first_of_period(_today(), LONGEST_MONTHS)
        return spend.months(max(first or _today(), earliest), _today())

    def link(self, **narrowing: str) -> str:
        """The contracts that a figure is made of."""
        kept = {name: self.request.GET[name] for name in ("months", "currency") if self.request.GET.get(name)}
        query = urlencode(kept | narrowing)
        return reverse("insights_contracts", args=[self.account.pk]) + (f"?{query}" if query else "")

    def context(self) -> dict[str, Any]:
        url = reverse("insights_account", args=[self.account.pk])
        tabs = [
            parts.Tab(code, address(self.request, currency=code), code == self.choice.currency, number)
            for code, number in self.currencies
        ]
        return {
            "account": self.account,
            "form": self.form,
            "currency": self.choice.currency,
            "chosen_currency": self.request.GET.get("currency", ""),
            "tabs": tabs if len(tabs) > 1 else [],
            "crumbs": [
                parts.Crumb(_("Buyer accounts"), reverse("insights_accounts")),
                parts.Crumb(self.account.short_name, url),
            ],
        }


def _stats(totals: queries.Totals, page: _Page) -> list[parts.Stat]:
    currency, saving = page.choice.currency, totals.saving
    note = (
        ngettext(
            "%(percent)s of the limit price of %(count)s contract",
            "%(percent)s of the limit prices of %(count)s contracts",
            saving.contracts,
        )
        % {"percent": charts.percent(saving.share), "count": charts.count(saving.contracts)}
        if saving.contracts
        else gettext("no contract had a limit price")
    )
    return [
        parts.Stat(_("Spend"), Money(totals.amount, currency), _("without VAT"), page.link(), "cash"),
        parts.Stat(_("Contracts"), charts.count(totals.contracts), url=page.link(), icon="writing-sign"),
        parts.Stat(_("Suppliers"), charts.count(totals.suppliers), icon="truck"),
        parts.Stat(
            _("Saved against limit prices"),
            Money(saving.saved, currency) if saving.contracts else "—",
            note,
            icon="trending-down",
            tone="good" if saving.saved > 0 else "",
        ),
    ]


# Narrowing: what cannot be read narrows nothing.


def _narrowed(choice: Choice, request: HttpRequest) -> Choice:
    supplier = request.GET.get("supplier", "")
    category = request.GET.get("category", "")
    try:
        month = datetime.strptime(request.GET.get("month", ""), "%Y-%m").replace(tzinfo=UTC).date()
    except ValueError:
        month = None
    return replace(
        choice,
        category=category if category.isascii() and category.isdecimal() and len(category) <= 8 else "",
        month=month,
        supplier_id=int(supplier) if supplier.isascii() and supplier.isdecimal() and len(supplier) < 18 else None,
        procedure=request.GET.get("procedure", "")[:40],
    )


def _chips(choice: Choice, request: HttpRequest) -> list[parts.Chip]:
    found = []
    if choice.category:
        heading = Heading.objects.filter(code=choice.category.ljust(8, "0")).first()
        name = heading.name if heading else choice.category
        found.append(parts.Chip(f"{gettext('Category')}: {name}", address(request, category="")))
    if choice.month:
        name = charts.month_name(choice.month)
        found.append(parts.Chip(f"{gettext('Month')}: {name}", address(request, month="")))
    if choice.supplier_id is not None:
        supplier = Organisation.objects.filter(pk=choice.supplier_id).first()
        found.append(parts.Chip(f"{gettext('Supplier')}: {supplier or '—'}", address(request, supplier="")))
    if choice.procedure:
        name = charts.procedure_name(choice.procedure)
        found.append(parts.Chip(f"{gettext('Procedure')}: {name}", address(request, procedure="")))
    return found


def _money(amount: Decimal | None, currency: str) -> Money | None:
    return None if amount is None else Money(amount, currency)


def _shown(row: Any) -> tuple[Any, Money, Money | None, Money | None]:
    """A listed contract with its amount, its limit price, and its part of the category the list is narrowed to."""
    return row, Money(row.net, row.currency), _money(row.net_limit, row.currency), _part(row)


def _part(row: Any) -> Money | None:
    """What of the contract lies in the category the list is narrowed to."""
    part = getattr(row, "part", None)
    return None if part is None else Money(part, row.currency).rounded()


def _as_csv(account: Organisation, rows: Any) -> HttpResponseBase:
    head = (
        _("Contract"), _("Procedure"), _("Title"), _("Lot"), _("Supplier"), _("Signed (UTC)"), _("Amount without VAT"),
        _("Limit price without VAT"), _("In this category"), _("Currency"),
    )  # fmt: skip
    lines = (
        (
            row.number, row.tender.number, row.tender.title, row.award.lot.title, row.supplier.full_name, row.signed_at,
            _plain(row.net, row), _plain(row.net_limit, row), _plain(getattr(row, "part", None), row), row.currency,
        )
        for row in rows.order_by("-signed_at", "-pk").iterator(chunk_size=1000)
    )  # fmt: skip
    return csv_response(f"contracts-{account.pk}", head, lines)


def _plain(amount: Decimal | None, row: Any) -> str | None:
    return None if amount is None else Money(amount, row.currency).rounded().as_string()


def _today() -> date:
    return clock.now().astimezone(UTC).date()


def _start(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
