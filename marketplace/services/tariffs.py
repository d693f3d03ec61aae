"""Subscriptions: chosen by an organisation, paid by invoice, begun by the confirmation of the payment."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from babel.dates import format_date
from django.db import transaction
from django.urls import reverse
from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_lazy as _

from marketplace import audit
from marketplace.models import Invoice, Organisation, Plan, Role, StaffRole, Subscription, SubscriptionStatus
from marketplace.permissions import Actor, require_active, require_role, require_staff
from marketplace.queries import tariffs
from marketplace.services import invoices, notifications
from marketplace.shared.errors import DomainError, NotFound

REMIND_BEFORE: Final = timedelta(days=14)
# A free plan is taken again towards its end only, so that nobody piles up years of it.
FREE_AGAIN_WITHIN: Final = timedelta(days=30)
_TOLD: Final = (Role.ADMINISTRATOR, Role.SIGNER)


class PlanNotOnOffer(DomainError):
    code = "plan_not_on_offer"
    sentence = _("This plan is not on offer any more, or not in this version. Look at the plans again.")


class PlanIncluded(DomainError):
    code = "plan_included"
    sentence = _("“%(plan)s” is included: there is nothing to subscribe to.")


class PlanOfOtherSide(DomainError):
    code = "plan_of_other_side"
    sentence = _("Say in your organisation’s profile that you buy or supply before you take a tariff for it.")


class AnotherPending(DomainError):
    code = "another_subscription_pending"
    sentence = _("“%(plan)s” (invoice %(invoice)s) waits for payment. Pay or cancel it before you choose another plan.")


class NotPending(DomainError):
    code = "subscription_not_pending"
    sentence = _("Only a tariff that waits for payment can be cancelled; this one is “%(status)s”.")


@transaction.atomic
def subscribe(plan_id: int, *, by: Actor, at: datetime) -> Subscription:
    """Take a plan: an invoice is issued and waits for payment; a plan free of charge begins at once.

    A double click answers with the subscription of the first click; so does a free plan that runs for long still.
    Raises PlanNotOnOffer, PlanIncluded, PlanOfOtherSide, AnotherPending.
    """
    organisation = _locked_organisation(by)
    plan = Plan.objects.filter(pk=plan_id).first()
    if plan is None or not tariffs.plans_on_offer(plan.side).filter(pk=plan_id).exists():
        raise PlanNotOnOffer
    _require_fitting(organisation, plan)
    pending = tariffs.pending(organisation.pk).first()
    if pending and pending.plan_id == plan.pk:
        return pending
    if pending:
        raise AnotherPending(plan=pending.plan.name, invoice=pending.invoice.number)
    subscription = Subscription(
        organisation=organisation,
        plan=plan,
        status=SubscriptionStatus.PENDING,
        requested_at=at,
        requested_by=by.person,
    )
    if plan.price == 0:
        return _begin_free(subscription, by=by, at=at)
    subscription.save(force_insert=True)
    _record("subscription_requested", subscription, by=by, at=at)
    invoice = invoices.issue(subscription, by=by, at=at)
    words = gettext("%(organisation)s has taken “%(plan)s”: invoice %(number)s waits for payment.")
    notifications.notify_staff(
        [StaffRole.TARIFF_MANAGER],
        "invoice_issued",
        words % {"organisation": organisation.short_name, "plan": plan.name, "number": invoice.number},
        reverse("invoice_desk", args=[invoice.pk]),
        at=at,
    )
    return subscription


@transaction.atomic
def confirm_payment(invoice_id: int, *, reference: str, paid_at: datetime, by: Actor, at: datetime) -> Subscription:
    """Note the payment of an invoice and begin its subscription. The same payment noted twice is noted once.

    A plan above the running one begins at once and counts from then on; any other begins when the running one ends.
    Raises as invoices.mark_paid.
    """
    require_staff(by, StaffRole.TARIFF_MANAGER, StaffRole.OPERATOR)
    subscription, invoice = _locked_pair(invoice_id)
    if not invoices.mark_paid(invoice, reference, paid_at, by=by, at=at):
        return subscription
    _begin(subscription, by=by, at=at)
    notifications.notify(
        subscription.organisation,
        "subscription_begun",
        gettext("Invoice %(number)s is paid. “%(plan)s” runs from %(start)s to %(end)s.")
        % {
            "number": invoice.number,
            "plan": subscription.plan.name,
            "start": _day(subscription.starts_at),
            "end": _day(subscription.ends_at),
        },
        reverse("tariffs"),
        at=at,
        roles=_TOLD,
    )
    return subscription


@transaction.atomic
def cancel(invoice_id: int, *, by: Actor, at: datetime) -> Subscription:
    """Cancel what waits for payment, by the organisation itself or by the tariff manager. Raises NotPending."""
    subscription, invoice = _locked_pair(invoice_id)
    if not by.is_a(StaffRole.TARIFF_MANAGER):
        require_role(by, subscription.organisation_id, Role.ADMINISTRATOR, Role.SIGNER)
    if subscription.status == SubscriptionStatus.CANCELLED:
        return subscription
    if subscription.status != SubscriptionStatus.PENDING:
        raise NotPending(status=subscription.get_status_display())
    subscription.status = SubscriptionStatus.CANCELLED
    subscription.save(update_fields=["status"])
    invoices.cancel(invoice, by=by, at=at)
    _record("subscription_cancelled", subscription, by=by, at=at)
    if not by.acts_for(subscription.organisation_id):
        words = gettext("Invoice %(number)s for “%(plan)s” was cancelled. There is nothing to pay.")
        notifications.notify(
            subscription.organisation,
            "invoice_cancelled",
            words % {"number": invoice.number, "plan": subscription.plan.name},
            reverse("invoice", args=[invoice.pk]),
            at=at,
            roles=_TOLD,
        )
    return subscription


def remind(*, at: datetime) -> int:
    """Tell the organisations whose tariff ends within 14 days with none to follow. Returns how many were told."""
    return sum(_remind_one(pk, at) for pk in tariffs.ending(at, REMIND_BEFORE).values_list("pk", flat=True))


@transaction.atomic
def _remind_one(subscription_id: int, at: datetime) -> int:
    ending = tariffs.ending(at, REMIND_BEFORE).filter(pk=subscription_id)
    subscription = ending.select_for_update(of=("self",)).select_related("organisation", "plan").first()
    if subscription is None:
        return 0
    subscription.reminded_for = subscription.ends_at
    subscription.save(update_fields=["reminded_for"])
    words = gettext("“%(plan)s” ends on %(day)s. Renew it in time to go on bidding.")
    notifications.notify(
        subscription.organisation,
        "subscription_ends_soon",
        words % {"plan": subscription.plan.name, "day": _day(subscription.ends_at)},
        reverse("tariffs"),
        at=at,
        roles=_TOLD,
    )
    return 1


# Steps


def _locked_organisation(by: Actor) -> Organisation:
    if by.organisation is None:
        raise NotFound
    organisation = Organisation.objects.select_for_update(no_key=True).get(pk=by.organisation.pk)
    require_role(by, organisation.pk, Role.ADMINISTRATOR, Role.SIGNER)
    require_active(organisation)
    return organisation


def _locked_pair(invoice_id: int) -> tuple[Subscription, Invoice]:
    """Organisation, subscription and invoice are locked in this order, as everywhere."""
    found = Invoice.objects.filter(pk=invoice_id).values_list("organisation_id", "subscription_id").first()
    if found is None:
        raise NotFound
    organisation = Organisation.objects.select_for_update(no_key=True).get(pk=found[0])
    subscription = Subscription.objects.select_for_update(of=("self",)).select_related("plan").get(pk=found[1])
    subscription.organisation = organisation
    return subscription, Invoice.objects.select_for_update().get(pk=invoice_id)


def _require_fitting(organisation: Organisation, plan: Plan) -> None:
    if plan.permits.get("included"):
        raise PlanIncluded(plan=plan.name)
    if not (organisation.is_buyer if plan.side == "buyer" else organisation.is_supplier):
        raise PlanOfOtherSide


def _begin_free(subscription: Subscription, *, by: Actor, at: datetime) -> Subscription:
    running = tariffs.active_or_coming(subscription.organisation_id, subscription.plan.side, at)
    same = running.filter(plan__code=subscription.plan.code, ends_at__gt=at + FREE_AGAIN_WITHIN).first()
    if same:
        return same
    _begin(subscription, by=by, at=at)
    return subscription


def _begin(subscription: Subscription, *, by: Actor, at: datetime) -> None:
    """Start the period. A higher plan begins at once; the lower one runs on beside it and does not count meanwhile."""
    subscription.status = SubscriptionStatus.ACTIVE
    subscription.starts_at = tariffs.beginning(subscription.organisation_id, subscription.plan, at)
    subscription.ends_at = subscription.starts_at + timedelta(days=subscription.plan.period_days)
    subscription.save()
    _record(
        "subscription_begun",
        subscription,
        by=by,
        at=at,
        starts_at=subscription.starts_at.isoformat(),
        ends_at=subscription.ends_at.isoformat(),
    )


def _record(action: str, subscription: Subscription, *, by: Actor, at: datetime, **details: str) -> None:
    plan = subscription.plan
    details = {"plan": plan.code, "plan_version": str(plan.version)} | details
    audit.record(action, subscription, by=by, at=at, stream=f"organisation:{subscription.organisation_id}", **details)


def _day(moment: datetime | None) -> str:
    return format_date(moment, "d MMMM y", locale=(get_language() or "en").replace("-", "_")) if moment else ""
