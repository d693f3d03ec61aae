"""Awards and the contracts signed by both sides."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from procurement.rules.lifecycle import AwardStatus, ContractStatus

AWARD_STATUS_NAMES = {
    AwardStatus.PENDING: _("Being decided"),
    AwardStatus.ACTIVE: _("Awarded"),
    AwardStatus.UNSUCCESSFUL: _("Fallen away"),
    AwardStatus.CANCELLED: _("Cancelled"),
}
CONTRACT_STATUS_NAMES = {
    ContractStatus.DRAFT: _("Draft"),
    ContractStatus.SIGNING: _("Being signed"),
    ContractStatus.ACTIVE: _("In force"),
    ContractStatus.TERMINATED: _("Terminated"),
    ContractStatus.COMPLETED: _("Completed"),
}


class Award(models.Model):
    lot = models.ForeignKey("procurement.Lot", on_delete=models.PROTECT, related_name="awards")
    bid = models.ForeignKey("procurement.Bid", on_delete=models.PROTECT, related_name="awards")
    status = models.CharField(
        max_length=16, choices=[(s.value, n) for s, n in AWARD_STATUS_NAMES.items()], default=AwardStatus.PENDING.value
    )
    amount = models.DecimalField(max_digits=20, decimal_places=4)
    currency = models.CharField(max_length=3)
    reason = models.TextField(_("reason"), blank=True)
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.ForeignKey("marketplace.Person", on_delete=models.PROTECT, null=True, related_name="+")
    signature = models.ForeignKey("marketplace.Signature", on_delete=models.PROTECT, null=True, related_name="+")
    standstill_ends_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["lot_id", "pk"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(status__in=[s.value for s in AwardStatus]), name="award_status_known"
            ),
            models.UniqueConstraint(
                fields=["lot"], condition=models.Q(status__in=["pending", "active"]), name="award_one_live_per_lot"
            ),
        ]


class Contract(models.Model):
    """A contract for one awarded lot; both sides sign the same version of its text."""

    number = models.CharField(max_length=32, unique=True)
    award = models.OneToOneField(Award, on_delete=models.PROTECT, related_name="contract")
    tender = models.ForeignKey("procurement.Tender", on_delete=models.PROTECT, related_name="contracts")
    buyer = models.ForeignKey("marketplace.Organisation", on_delete=models.PROTECT, related_name="contracts_as_buyer")
    supplier = models.ForeignKey(
        "marketplace.Organisation", on_delete=models.PROTECT, related_name="contracts_as_supplier"
    )
    status = models.CharField(
        max_length=16,
        choices=[(s.value, n) for s, n in CONTRACT_STATUS_NAMES.items()],
        default=ContractStatus.DRAFT.value,
    )
    text = models.TextField(_("text"))
    version = models.PositiveIntegerField(default=1)
    amount = models.DecimalField(max_digits=20, decimal_places=4)
    currency = models.CharField(max_length=3)
    limit_price = models.DecimalField(max_digits=20, decimal_places=4, null=True, blank=True)
    created_at = models.DateTimeField()
    signed_at = models.DateTimeField(null=True, blank=True, help_text="when the second side signed")
    # What the supplier may deliver beyond the ordered quantities; signed with the text.
    delivery_tolerance = models.DecimalField(
        _("tolerance"), max_digits=5, decimal_places=2, default=0, db_default=0, help_text="percent"
    )
    # Raised by everything that changes what was accepted; 0 while nothing was ever confirmed.
    deliveries_version = models.PositiveIntegerField(default=0, db_default=0, editable=False)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(status__in=[s.value for s in ContractStatus]), name="contract_status_known"
            )
        ]
        indexes = [
            models.Index(fields=["buyer", "-signed_at"], name="contract_of_buyer"),
            models.Index(fields=["supplier", "-signed_at"], name="contract_of_supplier"),
        ]


class ContractSignature(models.Model):
    contract = models.ForeignKey(Contract, on_delete=models.PROTECT, related_name="signatures")
    side = models.CharField(max_length=8, choices=[("buyer", _("Buyer")), ("supplier", _("Supplier"))])
    version = models.PositiveIntegerField(help_text="the contract's version that was signed")
    signature = models.ForeignKey("marketplace.Signature", on_delete=models.PROTECT, related_name="+")
    signed_at = models.DateTimeField()

    class Meta:
        ordering = ["signed_at"]
        constraints = [
            models.UniqueConstraint(fields=["contract", "side", "version"], name="contract_signed_once_per_side")
        ]
