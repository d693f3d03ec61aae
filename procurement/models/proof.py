"""What proves that a procedure went as told: the roll of bids closed at the deadline, and the exports made of it."""

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


class BidRoll(models.Model):
    """The standing bids of a tender as they were when bidding ended: one Merkle root over all of them.

    Append-only but for the time stamp, which may come later: the database refuses anything else.
    """

    tender = models.OneToOneField("procurement.Tender", on_delete=models.PROTECT, related_name="roll")
    root = models.CharField(max_length=64, help_text="RFC 6962 tree hash, hexadecimal")
    size = models.PositiveIntegerField(help_text="how many bids stand on the roll")
    closed_at = models.DateTimeField()
    statement = models.JSONField(help_text="what is published, under the platform's receipt key")
    statement_sha256 = models.CharField(max_length=64, help_text="of its canonical form: what is time-stamped")
    timestamp = models.BinaryField(null=True, editable=False, help_text="RFC 3161 token over statement_sha256, DER")
    stamped_at = models.DateTimeField(null=True, blank=True, help_text="the time the authority says")


class RollLeaf(models.Model):
    """One bid on the roll. Only `hash` is public: without the salt nobody can tell whose bid it is."""

    roll = models.ForeignKey(BidRoll, on_delete=models.PROTECT, related_name="leaves")
    envelope = models.OneToOneField("procurement.BidEnvelope", on_delete=models.PROTECT, related_name="leaf")
    salt = models.CharField(max_length=64, help_text="32 random bytes, hexadecimal")
    hash = models.CharField(max_length=64)

    class Meta:
        # By hash, which the salt makes random: a place on the roll says nothing about lot or order of receipt.
        ordering = ["roll_id", "hash"]
        constraints = [models.UniqueConstraint(fields=["roll", "hash"], name="roll_leaf_once")]


class ExportScope(models.TextChoices):
    BUYER = "buyer", _("For the buyer")
    AUDITOR = "auditor", _("For the platform’s operators and auditors")
    SUPPLIER = "supplier", _("For a bidder")


class ExportStatus(models.TextChoices):
    WAITING = "waiting", _("Waiting")
    RUNNING = "running", _("Being built")
    READY = "ready", _("Ready")
    FAILED = "failed", _("Failed")


class ProcedureExport(models.Model):
    """An export of a large procedure, built in the background for one reader."""

    tender = models.ForeignKey("procurement.Tender", on_delete=models.CASCADE, related_name="exports")
    scope = models.CharField(max_length=10, choices=ExportScope)
    organisation = models.ForeignKey("marketplace.Organisation", on_delete=models.PROTECT, null=True, related_name="+")
    documents = models.BooleanField(default=False, help_text="with the ciphertexts of bids' documents")
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    requested_at = models.DateTimeField()
    status = models.CharField(max_length=8, choices=ExportStatus, default=ExportStatus.WAITING)
    done = models.PositiveIntegerField(default=0, help_text="entries written so far")
    total = models.PositiveIntegerField(default=0, help_text="entries to write")
    path = models.CharField(max_length=200, blank=True)
    size = models.PositiveBigIntegerField(default=0, help_text="bytes")
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(condition=models.Q(scope__in=ExportScope.values), name="export_scope_known"),
            models.CheckConstraint(condition=models.Q(status__in=ExportStatus.values), name="export_status_known"),
        ]
