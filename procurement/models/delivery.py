"""Deliveries on a contract: recorded by one side, confirmed or rejected by the other; corrected by a return."""

from __future__ import annotations

from decimal import Decimal

from django.db import models
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from marketplace.shared.errors import Sentence
from procurement.models import units
from procurement.rules.lifecycle import DeliveryStatus

DELIVERY_STATUS_NAMES = {
    DeliveryStatus.RECORDED: _("To be confirmed"),
    DeliveryStatus.CONFIRMED: _("Confirmed"),
    DeliveryStatus.REJECTED: _("Rejected"),
    DeliveryStatus.CANCELLED: _("Cancelled"),
}


class ContractSide(models.TextChoices):
    BUYER = "buyer", _("Buyer")
    SUPPLIER = "supplier", _("Supplier")


class DeliveryKind(models.TextChoices):
    DELIVERY = "delivery", _("Delivery")
    RETURN = "return", _("Return")


class Delivery(models.Model):
    """Goods that came, or went back. A return names the delivery that it corrects; its lines take from that one's."""

    contract = models.ForeignKey("procurement.Contract", on_delete=models.PROTECT, related_name="deliveries")
    number = models.PositiveIntegerField()
    kind = models.CharField(max_length=8, choices=DeliveryKind, default=DeliveryKind.DELIVERY)
    corrects = models.ForeignKey("self", on_delete=models.PROTECT, null=True, blank=True, related_name="returns")
    delivered_on = models.DateField(_("delivered on"))
    note_number = models.CharField(_("delivery note"), max_length=60, blank=True)
    # Of a return: why.
    remark = models.CharField(_("remark"), max_length=1000, blank=True)
    status = models.CharField(
        max_length=12,
        choices=[(s.value, n) for s, n in DELIVERY_STATUS_NAMES.items()],
        default=DeliveryStatus.RECORDED.value,
    )
    side = models.CharField(max_length=8, choices=ContractSide, help_text="which recorded it; the other confirms it")
    recorded_by = models.ForeignKey("marketplace.Person", on_delete=models.PROTECT, related_name="+")
    recorded_at = models.DateTimeField()
    decided_by = models.ForeignKey("marketplace.Person", on_delete=models.PROTECT, null=True, related_name="+")
    decided_at = models.DateTimeField(null=True, blank=True)
    # Why it was rejected or cancelled.
    reason = models.CharField(_("reason"), max_length=1000, blank=True)
    # The buyer took more than was ordered, and said so.
    more_agreed = models.BooleanField(default=False)
    key = models.CharField(max_length=64, help_text="the same key is the same delivery")

    class Meta:
        ordering = ["contract_id", "number"]
        constraints = [
            models.UniqueConstraint(fields=["contract", "number"], name="delivery_number_once"),
            models.UniqueConstraint(fields=["recorded_by", "key"], name="delivery_once"),
            models.CheckConstraint(
                condition=models.Q(status__in=[s.value for s in DeliveryStatus]), name="delivery_status_known"
            ),
            models.CheckConstraint(
                condition=models.Q(kind="delivery", corrects=None, side="supplier")
                | models.Q(kind="return", corrects__isnull=False),
                name="delivery_or_return",
            ),
        ]
        indexes = [
            models.Index(fields=["contract"], condition=models.Q(status="recorded"), name="delivery_to_confirm"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.number}"

    def get_absolute_url(self) -> str:
        return reverse("delivery", args=[self.contract.number, self.number])

    @property
    def is_return(self) -> bool:
        return self.kind == DeliveryKind.RETURN


class DeliveryLine(models.Model):
    """A position of the contract in a delivery: how much came, and how much of it was accepted."""

    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, related_name="lines")
    item = models.ForeignKey("procurement.Item", on_delete=models.PROTECT, related_name="+")
    quantity = models.DecimalField(_("quantity"), max_digits=18, decimal_places=4)
    accepted = models.DecimalField(_("accepted"), max_digits=18, decimal_places=4, null=True, blank=True)
    why = models.CharField(_("why less was accepted"), max_length=500, blank=True)

    class Meta:
        ordering = ["item__number"]
        constraints = [
            models.UniqueConstraint(fields=["delivery", "item"], name="delivery_line_once"),
            models.CheckConstraint(
                condition=models.Q(quantity__gt=0)
                & (models.Q(accepted=None) | models.Q(accepted__gte=Decimal(0), accepted__lte=models.F("quantity"))),
                name="delivery_line_quantities",
            ),
        ]

    @property
    def unit_counted(self) -> Sentence:
        """The unit as it is said after the quantity."""
        return units.counted(self.item.unit, self.quantity)
