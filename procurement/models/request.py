"""Requests for an offer: one organisation asks a supplier, or the platform itself, without a procedure."""

from __future__ import annotations

from django.db import models
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from phonenumber_field.modelfields import PhoneNumberField

from marketplace.shared.errors import Sentence
from marketplace.shared.money import Money
from procurement.models import units
from procurement.rules.lifecycle import RequestStatus

REQUEST_STATUS_NAMES = {
    RequestStatus.SENT: _("Sent"),
    RequestStatus.TAKEN_UP: _("Taken up"),
    RequestStatus.ANSWERED: _("Answered"),
    RequestStatus.DECLINED: _("Declined"),
    RequestStatus.WITHDRAWN: _("Withdrawn"),
}


class ContactBy(models.TextChoices):
    """How the one who asks would like to be answered."""

    EMAIL = "email", _("By e-mail")
    PHONE = "phone", _("By phone")
    HERE = "here", _("Here, on the platform")


class OfferRequest(models.Model):
    """What an organisation would like to buy from one supplier; without a supplier it is asked of the platform.

    Nobody but the two sees it. `heard` is false while something happened to it that sales have not taken note of yet.
    """

    asker = models.ForeignKey("marketplace.Organisation", on_delete=models.PROTECT, related_name="+")
    supplier = models.ForeignKey(
        "marketplace.Organisation", on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    asked_by = models.ForeignKey("marketplace.Person", on_delete=models.PROTECT, related_name="+")
    need = models.TextField(_("what is needed"), max_length=1500)
    category = models.ForeignKey(
        "marketplace.Heading", on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    quantity = models.DecimalField(_("quantity"), max_digits=18, decimal_places=4, null=True, blank=True)
    unit = models.CharField(_("unit"), max_length=16, blank=True, help_text="UN/ECE Recommendation 20 code")
    budget = models.DecimalField(_("budget"), max_digits=20, decimal_places=4, null=True, blank=True)
    currency = models.CharField(max_length=3, blank=True, help_text="of the budget")
    wanted_by = models.DateField(_("wanted by"))
    contact_by = models.CharField(_("answer"), max_length=8, choices=ContactBy)
    phone = PhoneNumberField(_("phone"), blank=True)
    status = models.CharField(
        max_length=12,
        choices=[(s.value, n) for s, n in REQUEST_STATUS_NAMES.items()],
        default=RequestStatus.SENT.value,
    )
    answer = models.TextField(_("answer"), max_length=4000, blank=True)
    declined_because = models.CharField(_("why it was declined"), max_length=1000, blank=True)
    handled_by = models.ForeignKey("marketplace.Person", on_delete=models.PROTECT, null=True, related_name="+")
    # What the form or the program sent with it: the same key is the same request.
    key = models.CharField(max_length=64)
    created_at = models.DateTimeField()
    changed_at = models.DateTimeField()
    version = models.PositiveIntegerField(default=1)
    heard = models.BooleanField(default=False)
    # Where it could not be heard: not tried again before then.
    hear_after = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(fields=["asked_by", "key"], name="offer_request_once"),
            models.CheckConstraint(
                condition=models.Q(status__in=[s.value for s in RequestStatus]), name="offer_request_status_known"
            ),
            models.CheckConstraint(
                condition=models.Q(supplier=None) | ~models.Q(supplier=models.F("asker")),
                name="offer_request_of_another",
            ),
            models.CheckConstraint(
                condition=(models.Q(quantity=None, unit="") | models.Q(quantity__gt=0) & ~models.Q(unit=""))
                & (models.Q(budget=None, currency="") | models.Q(budget__gt=0) & ~models.Q(currency="")),
                name="offer_request_amounts_named",
            ),
        ]
        indexes = [
            models.Index(fields=["asker", "-id"], name="offer_request_of_asker"),
            models.Index(fields=["supplier", "-id"], name="offer_request_of_supplier"),
            models.Index(fields=["changed_at"], condition=models.Q(heard=False), name="offer_request_unheard"),
        ]

    def __str__(self) -> str:
        return self.need if len(self.need) <= 80 else f"{self.need[:79]}…"

    def get_absolute_url(self) -> str:
        return reverse("offer_request", args=[self.pk])

    @property
    def unit_counted(self) -> Sentence:
        """The unit as it is said after the quantity."""
        return units.counted(self.unit, self.quantity) if self.quantity is not None else ""

    @property
    def budget_money(self) -> Money | None:
        return None if self.budget is None else Money(self.budget, self.currency)
