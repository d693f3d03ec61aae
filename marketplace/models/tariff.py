"""Tariffs: plans as data, subscriptions, invoices, the ledger."""

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


class Plan(models.Model):
    """A plan is data: what it costs and what it permits. A change of price or content is a new version.

    `permits` holds (all optional; absent means no limit):
      families: list of procedure families one may bid in; max_lot_value: decimal string in `currency`;
      bids_per_month: int; live_auctions: bool (default true); publish: bool (default true, for buyers);
      included: bool (default false): held by everybody on its side without subscribing.
    """

    code = models.SlugField(max_length=40)
    version = models.PositiveIntegerField(default=1)
    side = models.CharField(max_length=8, default="supplier")
    name = models.CharField(_("name"), max_length=80)
    description = models.CharField(_("description"), max_length=300, blank=True)
    price = models.DecimalField(_("price"), max_digits=20, decimal_places=4)
    currency = models.CharField(max_length=3)
    vat_rate = models.DecimalField(_("VAT, %"), max_digits=5, decimal_places=2, default=0)
    period_days = models.PositiveIntegerField(_("period, days"))
    permits = models.JSONField(default=dict)
    rank = models.PositiveIntegerField(default=0, help_text="order on the tariff page; a higher rank permits more")
    active = models.BooleanField(default=True)

    class Meta:
        ordering = ["rank", "code", "version"]
        constraints = [models.UniqueConstraint(fields=["code", "version"], name="plan_version_once")]

    def __str__(self) -> str:
        return self.name


class SubscriptionStatus(models.TextChoices):
    """An expired subscription is an active one whose `ends_at` has passed: time needs no writer."""

    PENDING = "pending", _("Waiting for payment")
    ACTIVE = "active", _("Active")
    CANCELLED = "cancelled", _("Cancelled")


class Subscription(models.Model):
    organisation = models.ForeignKey("marketplace.Organisation", on_delete=models.PROTECT, related_name="subscriptions")
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, related_name="subscriptions")
    status = models.CharField(max_length=12, choices=SubscriptionStatus, default=SubscriptionStatus.PENDING)
    requested_at = models.DateTimeField()
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    starts_at = models.DateTimeField(null=True, blank=True)
    ends_at = models.DateTimeField(null=True, blank=True)
    reminded_for = models.DateTimeField(null=True, blank=True, help_text="the end the organisation was reminded of")

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(status__in=SubscriptionStatus.values), name="subscription_status_known"
            ),
            models.UniqueConstraint(
                fields=["organisation"], condition=models.Q(status="pending"), name="subscription_one_pending"
            ),
        ]


class InvoiceStatus(models.TextChoices):
    ISSUED = "issued", _("To be paid")
    PAID = "paid", _("Paid")
    CANCELLED = "cancelled", _("Cancelled")


class Invoice(models.Model):
    number = models.CharField(max_length=24, unique=True)
    organisation = models.ForeignKey("marketplace.Organisation", on_delete=models.PROTECT, related_name="invoices")
    subscription = models.OneToOneField(Subscription, on_delete=models.PROTECT, related_name="invoice")
    net = models.DecimalField(max_digits=20, decimal_places=4)
    vat = models.DecimalField(max_digits=20, decimal_places=4)
    total = models.DecimalField(max_digits=20, decimal_places=4)
    currency = models.CharField(max_length=3)
    status = models.CharField(max_length=12, choices=InvoiceStatus, default=InvoiceStatus.ISSUED)
    issued_at = models.DateTimeField()
    due_at = models.DateTimeField()
    paid_at = models.DateTimeField(null=True, blank=True)
    payment_reference = models.CharField(max_length=80, blank=True)
    confirmed_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(condition=models.Q(status__in=InvoiceStatus.values), name="invoice_status_known"),
            models.CheckConstraint(condition=models.Q(total=models.F("net") + models.F("vat")), name="invoice_adds_up"),
        ]


class LedgerEntry(models.Model):
    """One movement of an organisation's account with the platform: invoices below zero, payments above. Append-only."""

    organisation = models.ForeignKey("marketplace.Organisation", on_delete=models.PROTECT, related_name="ledger")
    invoice = models.ForeignKey(Invoice, on_delete=models.PROTECT, null=True, related_name="ledger")
    at = models.DateTimeField()
    kind = models.CharField(max_length=16)
    amount = models.DecimalField(max_digits=20, decimal_places=4)
    currency = models.CharField(max_length=3)

    class Meta:
        ordering = ["pk"]
