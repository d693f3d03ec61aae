"""Plans on offer, subscriptions and invoices."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Max, OuterRef, QuerySet, Subquery

from marketplace.models import Plan, Subscription, SubscriptionStatus


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


def active_at(organisation_id: int, side: str, at: datetime) -> QuerySet[Subscription]:
    """The subscriptions that run at `at`, the highest plan first."""
    return (
        Subscription.objects.filter(
            organisation_id=organisation_id,
            plan__side=side,
            status=SubscriptionStatus.ACTIVE,
            starts_at__lte=at,
            ends_at__gt=at,
        )
        .select_related("plan", "invoice")
        .order_by("-plan__rank", "-ends_at")
    )
