"""An organisation's tariff: plans compared by what it needs, taking one, its invoices and its account."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.text import capfirst
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_safe

from marketplace.entitlements import Action as Doing
from marketplace.entitlements import Need, exceeded
from marketplace.models import Invoice, InvoiceStatus, Plan, Role, Side, StaffRole, Subscription
from marketplace.permissions import Actor, actor_of, organisation_of, require_role
from marketplace.queries import tariffs
from marketplace.queries.standing import FAMILY_NAMES, Permits
from marketplace.services import invoices as invoice_service
from marketplace.services import tariffs as service
from marketplace.shared import clock
from marketplace.shared.errors import DomainError, NotFound
from marketplace.shared.money import Money, parse_decimal
from marketplace.web import formats, parts
from marketplace.web.lists import listed

_MEMBERS = (Role.ADMINISTRATOR, Role.SIGNER)
_ENTRY_WORDS = {"invoice": _("Invoice"), "payment": _("Payment"), "cancellation": _("Invoice cancelled")}


def family_choices() -> list[tuple[str, str]]:
    """The kinds of procedures in the reader's language, as a form offers them."""
    return [(family, capfirst(str(name))) for family, name in FAMILY_NAMES.items()]


class NeedForm(forms.Form):
    """What the company wants to do; every plan is held against it."""

    bids = forms.IntegerField(label=_("Bids a month"), min_value=0, max_value=100_000, required=False)
    lot = forms.CharField(
        label=_("Largest lot"),
        required=False,
        help_text=_("without VAT"),
        widget=forms.TextInput({"inputmode": "decimal"}),
    )
    kinds = forms.MultipleChoiceField(
        label=_("We bid in"),
        required=False,
        choices=family_choices,
        widget=forms.CheckboxSelectMultiple,
    )
    live = forms.BooleanField(label=_("We take part in live auctions"), required=False)

    def clean_lot(self) -> Decimal | None:
        try:
            value = parse_decimal(self.cleaned_data["lot"]) if self.cleaned_data["lot"] else None
        except ValueError:
            raise forms.ValidationError(_("Write an amount such as 50,000.00.")) from None
        if value is not None and value < 0:
            raise forms.ValidationError(_("Write an amount above zero."))
        return value


@dataclass(frozen=True, slots=True)
class Card:
    """A plan on the comparison page. `fits` is None where nothing was asked of it."""

    plan: Plan
    amounts: invoice_service.Amounts
    lines: list[parts.Reason]
    fits: bool | None
    recommended: bool
    running_until: datetime | None
    action: parts.Action | None


@require_safe
def compare(request: HttpRequest) -> HttpResponse:
    """Plans side by side, each line marked by whether it covers what was asked; the smallest that fits is named."""
    actor, now = actor_of(request), clock.now()
    side = _side(request, actor)
    asked = any(name in request.GET for name in NeedForm.base_fields)
    form = NeedForm(request.GET if asked else None)
    wanted = form.cleaned_data if asked and form.is_valid() else None
    organisation = actor.organisation
    pending = tariffs.pending(organisation.pk).first() if organisation else None
    running = list(tariffs.active_or_coming(organisation.pk, side, now).order_by("starts_at")) if organisation else []
    plans = list(tariffs.plans_on_offer(side))
    fitting = [plan.pk for plan in plans if wanted and not _lacks(plan, wanted)]
    cards = [
        Card(
            plan,
            invoice_service.amounts(plan),
            _lines(plan, wanted),
            plan.pk in fitting if wanted else None,
            fitting[:1] == [plan.pk],
            max((one.ends_at for one in running if one.plan.code == plan.code and one.ends_at), default=None),
            _action(plan, actor, pending, running),
        )
        for plan in plans
    ]
    context = {
        "cards": cards,
        "form": form,
        "side": side,
        "running": [one for one in running if one.starts_at and one.starts_at <= now],
        "coming": [one for one in running if one.starts_at and one.starts_at > now],
        "pending": pending,
        "none_fits": bool(wanted and not fitting),
        "tabs": _tabs(side) if _both_sides(actor) else [],
    }
    return render(request, "marketplace/tariffs/compare.html", context)


def _side(request: HttpRequest, actor: Actor) -> Side:
    if request.GET.get("side") in Side.values:
        return Side(request.GET["side"])
    return Side.BUYER if actor.is_buyer and not actor.is_supplier else Side.SUPPLIER


def _both_sides(actor: Actor) -> bool:
    return actor.organisation is None or (actor.is_buyer and actor.is_supplier)


def _tabs(side: Side) -> list[parts.Tab]:
    names = {Side.SUPPLIER: _("For suppliers"), Side.BUYER: _("For buyers")}
    return [parts.Tab(name, f"{reverse('tariffs')}?side={key}", key == side) for key, name in names.items()]


def _lacks(plan: Plan, wanted: dict[str, Any]) -> set[str]:
    """Codes of what the plan does not cover of what was asked."""
    value = wanted.get("lot")
    need = Need(
        action=Doing.LIVE_AUCTION if wanted.get("live") else Doing.BID,
        family="",
        lot_value=Money(value, plan.currency) if value is not None else None,
        # A plan for 30 bids a month covers the thirtieth, which follows 29.
        bids_this_month=max(0, (wanted.get("bids") or 0) - 1),
    )
    permits = Permits.of(plan)
    lacking = {code for code, *_words in exceeded(permits, need)} - {"family_not_in_tariff"}
    if permits.families and set(wanted.get("kinds") or ()) - permits.families:
        lacking.add("family_not_in_tariff")
    return lacking


def _lines(plan: Plan, wanted: dict[str, Any] | None) -> list[parts.Reason]:
    permits = Permits.of(plan)
    lacking = _lacks(plan, wanted) if wanted else set()
    if plan.side == Side.BUYER:
        return [
            parts.Reason(permits.publish, _("Publishing procedures of every kind")),
            parts.Reason(permits.live_auctions, _("Live auctions")),
        ]
    families = sorted(permits.families, key=list(FAMILY_NAMES).index) if permits.families else []
    kinds = ", ".join(str(FAMILY_NAMES[family]) for family in families) or gettext("every kind of procedure")
    limit = permits.max_lot_value
    count = permits.bids_per_month
    return [
        parts.Reason("family_not_in_tariff" not in lacking, capfirst(kinds)),
        parts.Reason(
            "lot_value_over_tariff" not in lacking,
            gettext("Lots up to %(limit)s") % {"limit": f"{formats.amount(limit)} {limit.currency}"}
            if limit
            else gettext("Lots of any value"),
        ),
        parts.Reason(
            "bids_of_month_used_up" not in lacking,
            gettext("As many bids as you like")
            if count is None
            else ngettext("%(count)s bid a month", "%(count)s bids a month", count) % {"count": count},
        ),
        parts.Reason(permits.live_auctions, _("Live auctions")),
    ]


def _action(plan: Plan, actor: Actor, pending: Subscription | None, running: list[Subscription]) -> parts.Action | None:
    """What the reader can do with the plan, or why not and what would change it."""
    if plan.permits.get("included"):
        return None
    if actor.organisation is None:
        return None if actor.is_staff else parts.Action(_("Register to take it"), reverse("signup"), "user-plus")
    label = _("Renew") if any(one.plan.code == plan.code for one in running) else _("Take this plan")
    url = reverse("subscribe", args=[plan.pk])
    if pending:
        invoice = reverse("invoice", args=[pending.invoice.pk])
        if pending.plan_id == plan.pk:
            return parts.Action(_("See the invoice"), invoice, "receipt")
        reason = _("Another plan waits for payment.")
        return parts.Action(
            label, url, allowed=False, reason=reason, remedy_label=_("Pay or cancel it first"), remedy_url=invoice
        )
    if not actor.has(*_MEMBERS):
        return parts.Action(
            label, url, allowed=False, reason=_("An administrator or signer of your organisation can take it.")
        )
    return parts.Action(label, url, "arrow-right")


@require_http_methods(["GET", "HEAD", "POST"])
def subscribe(request: HttpRequest, plan_id: int) -> HttpResponse:
    """Shows what taking the plan costs and when it begins; posted, takes it."""
    actor, now = actor_of(request), clock.now()
    organisation = organisation_of(actor)
    require_role(actor, organisation.pk, *_MEMBERS)
    plan = get_object_or_404(Plan, pk=plan_id)
    refusal = ""
    if request.method == "POST":
        try:
            subscription = service.subscribe(plan.pk, by=actor, at=now)
        except DomainError as error:
            refusal = str(error)
        else:
            invoice = Invoice.objects.filter(subscription=subscription).first()
            if invoice is None:
                messages.success(request, gettext("“%(plan)s” has begun.") % {"plan": plan.name})
                return redirect("tariffs")
            return redirect("invoice", invoice.pk)
    context = {
        "plan": plan,
        "amounts": invoice_service.amounts(plan),
        "begins_at": tariffs.beginning(organisation.pk, plan, now),
        "at_once": tariffs.beginning(organisation.pk, plan, now) == now,
        "lines": _lines(plan, None),
        "refusal": refusal,
        "crumbs": [parts.Crumb(_("Tariffs"), reverse("tariffs"))],
    }
    return render(request, "marketplace/tariffs/subscribe.html", context, status=409 if refusal else 200)


@require_safe
def invoices(request: HttpRequest) -> HttpResponse:
    """The organisation's invoices, and its account with the platform."""
    actor = actor_of(request)
    organisation = organisation_of(actor)
    require_role(actor, organisation.pk, *Role)
    entries = tariffs.ledger(organisation.pk).order_by("-pk")[:20]
    context = {
        "page": listed(request, tariffs.invoices(organisation_id=organisation.pk), ["-pk"]),
        "balances": tariffs.balances(organisation.pk),
        "entries": [(entry, _ENTRY_WORDS.get(entry.kind, entry.kind)) for entry in entries],
        "now": clock.now(),
        "to_tariffs": parts.Action(_("See the plans"), reverse("tariffs"), "arrow-right"),
        "crumbs": [parts.Crumb(_("Tariffs"), reverse("tariffs"))],
    }
    return render(request, "marketplace/tariffs/invoices.html", context)


@require_safe
def invoice(request: HttpRequest, invoice_id: int) -> HttpResponse:
    """An invoice as it is printed and filed. The organisation's people and the tariff desk see it."""
    actor = actor_of(request)
    found = _visible(actor, invoice_id)
    mine = actor.acts_for(found.organisation_id)
    context = {
        "invoice": found,
        "issuer": settings.PLATFORM_NAME_AND_ADDRESS,
        "account": settings.PLATFORM_BANK_ACCOUNT,
        "identifiers": list(found.organisation.identifiers.all()),
        "address": found.organisation.addresses.filter(kind="legal").first(),
        "may_cancel": found.status == InvoiceStatus.ISSUED and mine and actor.has(*_MEMBERS),
        "desk_url": reverse("invoice_desk", args=[found.pk]) if _is_desk(actor) else "",
        "crumbs": [parts.Crumb(_("Invoices"), reverse("invoices"))] if mine else [],
    }
    return render(request, "marketplace/tariffs/invoice.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def cancel(request: HttpRequest, invoice_id: int) -> HttpResponse:
    """Asks, and posted cancels what waits for payment."""
    actor = actor_of(request)
    found = _visible(actor, invoice_id)
    if not actor.is_a(StaffRole.TARIFF_MANAGER):
        require_role(actor, found.organisation_id, *_MEMBERS)
    if request.method == "POST":
        service.cancel(found.pk, by=actor, at=clock.now())
        messages.success(request, gettext("Invoice %(number)s was cancelled.") % {"number": found.number})
        return redirect("tariffs" if actor.acts_for(found.organisation_id) else "tariff_desk")
    context = {
        "title": gettext("Cancel invoice %(number)s?") % {"number": found.number},
        "text": gettext("“%(plan)s” will not begin, and there is nothing to pay. You can choose another plan then.")
        % {"plan": found.subscription.plan.name},
        "submit_label": _("Cancel the invoice"),
        "back_url": reverse("invoice", args=[found.pk]),
        "danger": True,
    }
    return render(request, "confirm.html", context)


def _is_desk(actor: Actor) -> bool:
    return actor.is_a(StaffRole.TARIFF_MANAGER, StaffRole.OPERATOR)


def _visible(actor: Actor, invoice_id: int) -> Invoice:
    found = tariffs.invoices().filter(pk=invoice_id).first()
    if found is None or not (_is_desk(actor) or actor.acts_for(found.organisation_id)):
        raise NotFound
    return found
