"""Times in which the platform could not take bids, and what each of them gave back to the auctions it fell upon."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class Outage(models.Model):
    """From the last sign of a gateway that could take bids to the next one, where that was longer than is tolerated.

    Times are the database's. One at a time is open (`ended_at` null); `settled_at` is when every auction had its due.
    """

    began_at = models.DateTimeField(unique=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    noticed_at = models.DateTimeField()
    noticed_by = models.CharField(max_length=40, help_text="the process")
    settled_at = models.DateTimeField(null=True, blank=True)
    detail = models.JSONField(default=dict, help_text="what the process that saw its end knew of the cause")

    class Meta:
        ordering = ["-began_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["ended_at"], condition=models.Q(ended_at=None), nulls_distinct=False, name="outage_one_open"
            )
        ]
        indexes = [models.Index(fields=["began_at"], condition=models.Q(settled_at=None), name="outage_unsettled")]


class OutageEffectKind(models.TextChoices):
    PAUSED = "paused", _("Paused until bids can be taken")
    EXTENDED = "extended", _("Extended by the time lost")
    PUT_OFF = "put_off", _("Put off to a new start")
    UNTOUCHED = "untouched", _("Nothing was lost")


class OutageEffect(models.Model):
    """What an outage did to one auction. Written once, under the auction's lock: nothing is given back twice."""

    outage = models.ForeignKey(Outage, on_delete=models.PROTECT, related_name="effects")
    auction = models.ForeignKey("procurement.Auction", on_delete=models.PROTECT, related_name="outages")
    kind = models.CharField(max_length=12, choices=OutageEffectKind)
    moved_by = models.DurationField(null=True, blank=True, help_text="how much later the auction starts or ends")
    settled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["outage_id", "auction_id"]
        constraints = [models.UniqueConstraint(fields=["outage", "auction"], name="outage_effect_once")]
