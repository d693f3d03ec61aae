"""Due moments, taken by the clock process; and who was told in time what they would miss."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class MomentKind(models.TextChoices):
    TENDER_ENDS = "tender_ends", _("Bids close and are opened")
    KEYS_RECEIVED = "keys_received", _("The committee’s key is there: bids are opened")
    SHARES_MISSING = "shares_missing", _("The committee is reminded of its shares")
    AUCTION_STARTS = "auction_starts", _("The auction starts")
    AUCTION_MOVES = "auction_moves", _("Time moves the auction on")
    AUCTION_ENDS = "auction_ends", _("The auction ends")
    STANDSTILL_ENDS = "standstill_ends", _("The standstill ends")


class DueMoment(models.Model):
    """A row per thing that must happen. Moving a deadline moves the row; what is done keeps its time."""

    kind = models.CharField(max_length=20, choices=MomentKind)
    tender = models.ForeignKey("procurement.Tender", on_delete=models.CASCADE, related_name="moments")
    lot = models.ForeignKey("procurement.Lot", on_delete=models.CASCADE, null=True, blank=True, related_name="moments")
    due_at = models.DateTimeField()
    next_try_at = models.DateTimeField(help_text="due_at, or later after a failure")
    attempts = models.PositiveIntegerField(default=0)
    last_error = models.TextField(blank=True)
    done_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["due_at", "pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "tender", "lot"],
                condition=models.Q(done_at__isnull=True),
                nulls_distinct=False,
                name="moment_once",
            )
        ]
        indexes = [models.Index(fields=["next_try_at"], condition=models.Q(done_at__isnull=True), name="moment_due")]


class CertificateNotice(models.Model):
    """The owner of a signing certificate was told that it ends before a procedure needs it. Once is enough."""

    certificate = models.ForeignKey("marketplace.Certificate", on_delete=models.CASCADE, related_name="+")
    tender = models.ForeignKey("procurement.Tender", on_delete=models.CASCADE, related_name="+")
    told_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["certificate", "tender"], name="certificate_notice_once")]
