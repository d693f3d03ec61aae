"""Accreditation: the operator's admission of an organisation to buying or supplying."""

from datetime import datetime

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


class Side(models.TextChoices):
    BUYER = "buyer", _("Buyer")
    SUPPLIER = "supplier", _("Supplier")


class AccreditationStatus(models.TextChoices):
    """An expired accreditation is an accepted one whose `valid_until` has passed: time needs no writer."""

    DRAFT = "draft", _("Not yet sent")
    SUBMITTED = "submitted", _("Waiting for the operator")
    ACCEPTED = "accepted", _("Accredited")
    RETURNED = "returned", _("Returned with reasons")
    REVOKED = "revoked", _("Revoked")


class Accreditation(models.Model):
    organisation = models.ForeignKey(
        "marketplace.Organisation", on_delete=models.PROTECT, related_name="accreditations"
    )
    side = models.CharField(max_length=8, choices=Side)
    status = models.CharField(max_length=12, choices=AccreditationStatus, default=AccreditationStatus.DRAFT)
    created_at = models.DateTimeField()
    submitted_at = models.DateTimeField(null=True, blank=True)
    submitted_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    signature = models.ForeignKey("marketplace.Signature", on_delete=models.PROTECT, null=True, related_name="+")
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    reasons = models.TextField(_("reasons"), blank=True)
    # Kept while a renewal is prepared and decided: what was granted counts until its end.
    valid_until = models.DateTimeField(null=True, blank=True)
    reminded_for = models.DateTimeField(null=True, blank=True, help_text="the end the organisation was reminded of")
    version = models.PositiveIntegerField(
        default=1, help_text="raised by every change; what is signed or decided names it"
    )

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["organisation", "side"], name="accreditation_once_per_side"),
            models.CheckConstraint(
                condition=models.Q(status__in=AccreditationStatus.values), name="accreditation_status_known"
            ),
            models.CheckConstraint(
                condition=~models.Q(status="returned") | ~models.Q(reasons=""),
                name="accreditation_returned_with_reasons",
            ),
        ]
        indexes = [models.Index(fields=["status", "submitted_at"], name="accreditation_queue")]

    def is_valid(self, at: datetime) -> bool:
        if self.valid_until is None:
            return self.status == AccreditationStatus.ACCEPTED
        return self.status != AccreditationStatus.REVOKED and at < self.valid_until


class AccreditationDocument(models.Model):
    accreditation = models.ForeignKey(Accreditation, on_delete=models.CASCADE, related_name="documents")
    kind = models.CharField(max_length=40, default="other", help_text="which of the asked documents it is")
    title = models.CharField(_("title"), max_length=120)
    file = models.ForeignKey("marketplace.StoredFile", on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["pk"]
