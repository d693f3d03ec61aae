"""The tariff manager's desk: invoices and payments, subscriptions, plans."""

from __future__ import annotations

from datetime import UTC, datetime, time
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_safe

from marketplace.models import Invoice, InvoiceStatus, Plan, Side, StaffRole, SubscriptionStatus
from marketplace.permissions import actor_of, require_staff
from marketplace.queries import tariffs
from marketplace.services import plans as plan_service
from marketplace.services import tariffs as service
from marketplace.shared import clock
from marketplace.shared.errors import DomainError, NotFound
from marketplace.shared.money import parse_decimal
from marketplace.web import parts, refusals
from marketplace.web.csv_export import csv_response
from marketplace.web.lists import address, chips, listed
from marketplace.web.tariffs import family_choices

_DESK = (StaffRole.TARIFF_MANAGER, StaffRole.OPERATOR)


class InvoiceFilter(forms.Form):
    q = forms.CharField(label=_("Number or organisation"), required=False, widget=forms.TextInput({"type": "search"}))
    status = forms.ChoiceField(
        label=_("State"),
        required=False,
        choices=[("", _("All")), ("overdue", _("Overdue")), *InvoiceStatus.choices],
    )


class SubscriptionFilter(forms.Form):
    q = forms.CharField(label=_("Organisation"), required=False, widget=forms.TextInput({"type": "search"}))
    state = forms.ChoiceField(
        label=_("State"),
        required=False,
        choices=[
            ("", _("All")),
            ("pending", SubscriptionStatus.PENDING.label),
            ("running", _("Running")),
            ("coming", _("Begins later")),
            ("over", _("Ended")),
            ("cancelled", SubscriptionStatus.CANCELLED.label),
        ],
    )
    plan = forms.ChoiceField(label=_("Plan"), required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names = [(plan.code, plan.name) for plan in sorted(tariffs.newest_plans(), key=lambda plan: plan.rank)]
        field = self.fields["plan"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [("", _("All")), *names]


class PaymentForm(forms.Form):
    reference = forms.CharField(
        label=_("Payment reference"), max_length=80, help_text=_("As the bank’s statement shows it.")
    )
    paid_on = forms.DateField(label=_("Paid on"), widget=forms.DateInput({"type": "date"}))


class PlanForm(forms.Form):
    """Everything about a plan; empty limits mean: no limit."""

    code = forms.SlugField(
        label=_("Code"), max_length=40, help_text=_("Never shown to customers; cannot be changed later.")
    )
    side = forms.ChoiceField(label=_("Sold to"), choices=Side.choices)
    name = forms.CharField(label=_("Name"), max_length=80)
    description = forms.CharField(label=_("Description"), max_length=300, required=False)
    price = forms.CharField(
        label=_("Price without VAT"), max_length=24, widget=forms.TextInput({"inputmode": "decimal"})
    )
    currency = forms.CharField(label=_("Currency"), min_length=3, max_length=3, help_text=_("ISO 4217, e.g. EUR"))
    vat_rate = forms.DecimalField(label=_("VAT, %"), min_value=0, max_digits=5, decimal_places=2)
    period_days = forms.IntegerField(label=_("Period, days"), min_value=1)
    rank = forms.IntegerField(
        label=_("Order"), min_value=0, max_value=32_000, help_text=_("A higher plan permits more, and begins at once.")
    )
    families = forms.MultipleChoiceField(
        label=_("Covers"),
        required=False,
        choices=family_choices,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("None marked: every kind."),
    )
    max_lot_value = forms.CharField(
        label=_("Lots up to"), required=False, max_length=24, widget=forms.TextInput({"inputmode": "decimal"})
    )
    bids_per_month = forms.IntegerField(label=_("Bids a month"), required=False, min_value=0, max_value=1_000_000)
    live_auctions = forms.BooleanField(label=_("Live auctions"), required=False)
    publish = forms.BooleanField(label=_("Publishing (buyers)"), required=False)
    included = forms.BooleanField(label=_("Everybody on this side has it without subscribing"), required=False)
    active = forms.BooleanField(label=_("On offer"), required=False)
    version = forms.IntegerField(widget=forms.HiddenInput, required=False)

    def clean_price(self) -> Decimal:
        return self._amount("price") or Decimal(0)

    def clean_max_lot_value(self) -> Decimal | None:
        return self._amount("max_lot_value")

    def clean_currency(self) -> str:
        return str(self.cleaned_data["currency"]).upper()

    def _amount(self, name: str) -> Decimal | None:
        text = self.cleaned_data[name]
        try:
            return parse_decimal(text) if text else None
        except ValueError:
            raise forms.ValidationError(_("Write an amount such as 1,490.00.")) from None

    def terms(self) -> plan_service.Terms:
        given = self.cleaned_data
        permits: dict[str, Any] = {"live_auctions": given["live_auctions"], "publish": given["publish"]}
        if given["families"]:
            permits["families"] = given["families"]
        if given["max_lot_value"] is not None:
            permits["max_lot_value"] = str(given["max_lot_value"])
        if given["bids_per_month"] is not None:
            permits["bids_per_month"] = given["bids_per_month"]
        if given["included"]:
            permits["included"] = True
        same = ("side", "name", "description", "price", "currency", "vat_rate", "period_days", "rank", "active")
        return plan_service.Terms(permits=permits, **{name: given[name] for name in same})


def initial_of(plan: Plan) -> dict[str, Any]:
    """The plan as its form shows it."""
    permits = plan.permits
    named = ("code", "side", "name", "description", "currency", "vat_rate", "period_days", "rank", "active", "version")
    return {name: getattr(plan, name) for name in named} | {
        "price": f"{plan.price:f}".rstrip("0").rstrip(".") if plan.price else "0",
        "families": permits.get("families") or [],
        "max_lot_value": permits.get("max_lot_value") or "",
        "bids_per_month": permits.get("bids_per_month"),
        "live_auctions": permits.get("live_auctions", True),
        "publish": permits.get("publish", True),
        "included": permits.get("included", False),
    }


def _tabs(current: str) -> list[parts.Tab]:
    tabs = (
        ("tariff_desk", _("Invoices"), "receipt"),
        ("subscription_desk", _("Subscriptions"), "calendar"),
        ("plan_desk", _("Plans"), "list-details"),
    )
    return [parts.Tab(label, reverse(route), route == current, icon=picture) for route, label, picture in tabs]


def _invoices(request: HttpRequest) -> tuple[InvoiceFilter, Any]:
    form = InvoiceFilter(request.GET)
    chosen = form.cleaned_data if form.is_valid() else {}
    overdue = chosen.get("status") == "overdue"
    rows = tariffs.invoices(
        status="" if overdue else chosen.get("status", ""),
        text=chosen.get("q", ""),
        overdue_at=clock.now() if overdue else None,
    )
    return form, rows


@require_safe
def desk(request: HttpRequest) -> HttpResponseBase:
    """Invoices, the newest first; `?format=csv` is the same list as a file."""
    require_staff(actor_of(request), *_DESK)
    form, rows = _invoices(request)
    if request.GET.get("format") == "csv":
        return _invoices_csv(rows)
    context = {
        "list": listed(request, rows, ["-pk"]),
        "form": form,
        "chips": chips(request, form),
        "export_url": address(request, format="csv"),
        "tabs": _tabs("tariff_desk"),
        "now": clock.now(),
    }
    return render(request, "marketplace/tariffs/desk.html", context)


def _invoices_csv(rows: Any) -> HttpResponseBase:
    head = (
        _("Number"), _("Organisation"), _("Plan"), _("Net"), _("VAT"), _("Total"), _("Currency"), _("State"),
        _("Issued (UTC)"), _("Due (UTC)"), _("Paid (UTC)"), _("Payment reference"),
    )  # fmt: skip
    return csv_response(
        "invoices",
        head,
        (
            (
                row.number, row.organisation.short_name, row.subscription.plan.name, row.net, row.vat, row.total,
                row.currency, row.get_status_display(), row.issued_at, row.due_at, row.paid_at, row.payment_reference,
            )
            for row in rows.iterator(chunk_size=2000)
        ),
    )  # fmt: skip


@require_http_methods(["GET", "HEAD", "POST"])
def invoice(request: HttpRequest, invoice_id: int) -> HttpResponse:
    """One invoice on the desk: confirm its payment, or cancel it."""
    actor, now = actor_of(request), clock.now()
    require_staff(actor, *_DESK)
    found = _invoice(invoice_id)
    form = PaymentForm(request.POST or None, initial={"paid_on": now.date()})
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        # A bank's statement names a day; noon (UTC) of it is the moment that is kept.
        paid_at = min(datetime.combine(given["paid_on"], time(12), UTC), now)
        try:
            subscription = service.confirm_payment(
                found.pk, reference=given["reference"], paid_at=paid_at, by=actor, at=now
            )
        except DomainError as error:
            refusals.show_on(form, error)
            found = _invoice(invoice_id)
        else:
            words = gettext("The payment of %(number)s is noted: “%(plan)s” runs for %(organisation)s.")
            messages.success(
                request,
                words
                % {
                    "number": found.number,
                    "plan": subscription.plan.name,
                    "organisation": found.organisation.short_name,
                },
            )
            return redirect("tariff_desk")
    context = {
        "invoice": found,
        "form": form,
        "is_open": found.status == InvoiceStatus.ISSUED,
        "may_cancel": found.status == InvoiceStatus.ISSUED and actor.is_a(StaffRole.TARIFF_MANAGER),
        "now": now,
        "crumbs": [parts.Crumb(_("Invoices"), reverse("tariff_desk"))],
    }
    return render(request, "marketplace/tariffs/desk_invoice.html", context)


def _invoice(invoice_id: int) -> Invoice:
    found = tariffs.invoices().select_related("confirmed_by").filter(pk=invoice_id).first()
    if found is None:
        raise NotFound
    return found


@require_safe
def subscriptions(request: HttpRequest) -> HttpResponseBase:
    """Everybody's subscriptions; `?format=csv` is the same list as a file."""
    require_staff(actor_of(request), *_DESK)
    form = SubscriptionFilter(request.GET)
    chosen = form.cleaned_data if form.is_valid() else {}
    now = clock.now()
    rows = tariffs.subscriptions(
        state=chosen.get("state", ""), plan=chosen.get("plan", ""), text=chosen.get("q", ""), at=now
    )
    if request.GET.get("format") == "csv":
        return _subscriptions_csv(rows)
    context = {
        "list": listed(request, rows, ["-pk"]),
        "form": form,
        "chips": chips(request, form),
        "export_url": address(request, format="csv"),
        "tabs": _tabs("subscription_desk"),
        "now": now,
    }
    return render(request, "marketplace/tariffs/desk_subscriptions.html", context)


def _subscriptions_csv(rows: Any) -> HttpResponseBase:
    head = (
        _("Organisation"), _("Plan"), _("Version"), _("State"), _("Requested (UTC)"),
        _("Begins (UTC)"), _("Ends (UTC)"),
        _("Invoice"),
    )  # fmt: skip
    return csv_response(
        "subscriptions",
        head,
        (
            (
                row.organisation.short_name, row.plan.name, row.plan.version, row.get_status_display(),
                row.requested_at, row.starts_at, row.ends_at, row.invoice.number if hasattr(row, "invoice") else "",
            )
            for row in rows.iterator(chunk_size=2000)
        ),
    )  # fmt: skip


@require_safe
def plans(request: HttpRequest) -> HttpResponse:
    require_staff(actor_of(request), *_DESK)
    rows = sorted(tariffs.newest_plans(), key=lambda plan: (plan.side, plan.rank, plan.code))
    may_edit = actor_of(request).is_a(StaffRole.TARIFF_MANAGER)
    new_plan = parts.Action(_("New plan"), reverse("plan_new"), "plus") if may_edit else None
    context = {"plans": rows, "tabs": _tabs("plan_desk"), "may_edit": may_edit, "new_plan": new_plan}
    return render(request, "marketplace/tariffs/desk_plans.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def plan_new(request: HttpRequest) -> HttpResponse:
    actor = actor_of(request)
    require_staff(actor, StaffRole.TARIFF_MANAGER)
    initial = {"side": Side.SUPPLIER, "period_days": 365, "rank": 10, "live_auctions": True, "publish": True}
    form = PlanForm(request.POST or None, initial=initial | {"active": True, "vat_rate": 0})
    if request.method == "POST" and form.is_valid():
        try:
            plan = plan_service.create(form.cleaned_data["code"], form.terms(), by=actor, at=clock.now())
        except DomainError as error:
            refusals.show_on(form, error)
        else:
            messages.success(request, gettext("“%(plan)s” is published.") % {"plan": plan.name})
            return redirect("plan_desk")
    return _plan_page(request, form, None)


@require_http_methods(["GET", "HEAD", "POST"])
def plan(request: HttpRequest, code: str) -> HttpResponse:
    """A change is published as the plan's next version; what was bought stays as it was bought."""
    actor = actor_of(request)
    require_staff(actor, StaffRole.TARIFF_MANAGER)
    newest = Plan.objects.filter(code=code).order_by("-version").first()
    if newest is None:
        raise NotFound
    form = PlanForm(request.POST or None, initial=initial_of(newest))
    form.fields["code"].disabled = form.fields["side"].disabled = True
    if request.method == "POST" and form.is_valid():
        try:
            published = plan_service.revise(
                code, form.cleaned_data["version"] or 0, form.terms(), by=actor, at=clock.now()
            )
        except DomainError as error:
            refusals.show_on(form, error)
        else:
            words = gettext("Version %(version)s of “%(plan)s” is published.")
            messages.success(request, words % {"version": published.version, "plan": published.name})
            return redirect("plan_desk")
    return _plan_page(request, form, newest)


def _plan_page(request: HttpRequest, form: PlanForm, newest: Plan | None) -> HttpResponse:
    groups = [
        (_("What it is"), ["code", "side", "name", "description", "rank", "active"]),
        (_("What it costs"), ["price", "currency", "vat_rate", "period_days"]),
        (
            _("What it permits"),
            ["families", "max_lot_value", "bids_per_month", "live_auctions", "publish", "included"],
        ),
    ]
    context = {
        "form": form,
        "plan": newest,
        "groups": [(title, [form[name] for name in names]) for title, names in groups],
        "versions": Plan.objects.filter(code=newest.code).order_by("-version")[:20] if newest else [],
        "crumbs": [parts.Crumb(_("Plans"), reverse("plan_desk"))],
    }
    return render(request, "marketplace/tariffs/desk_plan.html", context)
