"""Plans on offer, subscriptions and invoices."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Exists, F, Max, OuterRef, Q, QuerySet, Subquery, Sum

from marketplace.models import Invoice, InvoiceStatus, LedgerEntry, Plan, Subscription, SubscriptionStatus
from marketplace.shared.money import Money


def plans_on_offer(side: str) -> QuerySet[Plan]:
    """What is sold to the side, the smallest plan first: the newest version of each plan, unless that is withdrawn."""
    versions = Plan.objects.filter(code=OuterRef("code")).order_by().values("code").annotate(newest=Max("version"))
    newest = Subquery(versions.values("newest"))
    return Plan.objects.filter(side=side, active=True, version=newest).order_by("rank", "price", "pk")


def standing_subscriptions(organisation_id: int, side: str) -> QuerySet[Subscription]:
    """Everything but the cancelled ones, with plan and invoice: what ran, runs, will run and waits for payment."""
    return (
        Subscription.objects.filter(organisation_id=organisation_id, plan__side=side)
        .exclude(status=SubscriptionStatus.CANCELLED)
        .select_related("plan", "invoice")
        .order_by("starts_at", "pk")
    )


def active_or_coming(organisation_id: int, side: str, at: datetime) -> QuerySet[Subscription]:
    """Paid for and not yet over at `at`."""
    return Subscription.objects.filter(
        organisation_id=organisation_id, plan__side=side, status=SubscriptionStatus.ACTIVE, ends_at__gt=at
    ).select_related("plan")


def beginning(organisation_id: int, plan: Plan, at: datetime) -> datetime:
    """When a plan taken at `at` begins: at once where it is above what runs, else when that ends."""
    running = active_or_coming(organisation_id, plan.side, at).filter(plan__rank__gte=plan.rank)
    return running.aggregate(end=Max("ends_at"))["end"] or at


def pending(organisation_id: int) -> QuerySet[Subscription]:
    """What waits for payment: one at most."""
    waiting = Subscription.objects.filter(organisation_id=organisation_id, status=SubscriptionStatus.PENDING)
    return waiting.select_related("plan", "invoice")


def ending(at: datetime, within: timedelta) -> QuerySet[Subscription]:
    """Running, ending within the span, followed by none, and the organisation has not been reminded of this end."""
    next_one = Subscription.objects.filter(
        organisation=OuterRef("organisation"),
        plan__side=OuterRef("plan__side"),
        status=SubscriptionStatus.ACTIVE,
        ends_at__gt=OuterRef("ends_at"),
    )
    return Subscription.objects.filter(
        ~Exists(next_one),
        Q(reminded_for__isnull=True) | ~Q(reminded_for=F("ends_at")),
        status=SubscriptionStatus.ACTIVE,
        ends_at__gt=at,
        ends_at__lte=at + within,
    )


def invoices(
    *, organisation_id: int | None = None, status: str = "", text: str = "", overdue_at: datetime | None = None
) -> QuerySet[Invoice]:
    """Invoices with their plan and organisation. `text` is a part of the number or of the organisation's name."""
    found = Invoice.objects.select_related("organisation", "subscription__plan")
    if organisation_id is not None:
        found = found.filter(organisation_id=organisation_id)
    if status:
        found = found.filter(status=status)
    if overdue_at is not None:
        found = found.filter(status=InvoiceStatus.ISSUED, due_at__lte=overdue_at)
    if text:
        found = found.filter(Q(number__icontains=text) | Q(organisation__short_name__icontains=text))
    return found


def subscriptions(*, state: str = "", plan: str = "", text: str = "", at: datetime) -> QuerySet[Subscription]:
    """Everybody's subscriptions. `state`: pending, running, coming, over or cancelled; `plan`: a plan's code."""
    found = Subscription.objects.select_related("organisation", "plan", "invoice")
    active = Q(status=SubscriptionStatus.ACTIVE)
    states = {
        "pending": Q(status=SubscriptionStatus.PENDING),
        "running": active & Q(starts_at__lte=at, ends_at__gt=at),
        "coming": active & Q(starts_at__gt=at),
        "over": active & Q(ends_at__lte=at),
        "cancelled": Q(status=SubscriptionStatus.CANCELLED),
    }
    if state in states:
        found = found.filter(states[state])
    if plan:
        found = found.filter(plan__code=plan)
    if text:
        found = found.filter(organisation__short_name__icontains=text)
    return found


def ledger(organisation_id: int) -> QuerySet[LedgerEntry]:
    return LedgerEntry.objects.filter(organisation_id=organisation_id).select_related("invoice")


def balances(organisation_id: int) -> list[Money]:
    """What the account holds per currency: below zero is owed, zero is left out."""
    sums = ledger(organisation_id).order_by().values("currency").annotate(held=Sum("amount")).order_by("currency")
    return [Money(row["held"], row["currency"]) for row in sums if row["held"]]


def newest_plans() -> QuerySet[Plan]:
    """The newest version of every plan, withdrawn ones included."""
    return Plan.objects.order_by("code", "-version").distinct("code")
