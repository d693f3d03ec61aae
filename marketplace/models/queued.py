"""Signatures received while nobody could say whether their certificate is revoked: judged when the data is there."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _


class QueuedState(models.TextChoices):
    WAITING = "waiting", _("Being judged")
    PASSED = "passed", _("Passed")
    REFUSED = "refused", _("Refused")
    EXPIRED = "expired", _("Could not be judged in time")
    WITHDRAWN = "withdrawn", _("Cancelled")


class QueuedSignature(models.Model):
    """A signature whose verdict waits for revocation data, with all it takes to carry out what it is for.

    `received_at` is the platform's stamp at its arrival. One of a request waits at a time; what became of it stays.
    """

    request = models.ForeignKey("marketplace.SigningRequest", on_delete=models.PROTECT, related_name="queued")
    organisation = models.ForeignKey("marketplace.Organisation", on_delete=models.PROTECT, related_name="+")
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    cms = models.BinaryField(help_text="as it was received, DER")
    cms_sha256 = models.CharField(max_length=64)
    arguments = models.JSONField(default=dict, help_text="what the action was called with besides, by name")
    holds = models.CharField(max_length=60, blank=True, help_text="what waits for it, such as opening:7")
    received_at = models.DateTimeField()
    give_up_at = models.DateTimeField(help_text="judged before this, or not at all")

    state = models.CharField(max_length=10, choices=QueuedState, default=QueuedState.WAITING)
    attempts = models.PositiveIntegerField(default=0)
    tried_at = models.DateTimeField(null=True, blank=True)
    next_try_at = models.DateTimeField()
    claimed_until = models.DateTimeField(null=True, blank=True, help_text="somebody is judging it")
    report = models.JSONField(help_text="the last verdict")
    decided_at = models.DateTimeField(null=True, blank=True)
    code = models.CharField(max_length=60, blank=True, default="", help_text="of the refusal")
    outcome = models.TextField(blank=True, default="", help_text="what became of it, in a sentence")
    signature = models.OneToOneField(
        "marketplace.Signature", on_delete=models.PROTECT, null=True, blank=True, related_name="queued"
    )

    class Meta:
        ordering = ["received_at", "pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["request"], condition=Q(state=QueuedState.WAITING), name="queued_signature_one_waits"
            ),
            models.CheckConstraint(condition=Q(state__in=QueuedState.values), name="queued_signature_state_known"),
            models.CheckConstraint(
                condition=Q(state=QueuedState.WAITING, decided_at__isnull=True)
                | (~Q(state=QueuedState.WAITING) & Q(decided_at__isnull=False)),
                name="queued_signature_decided_once",
            ),
            models.CheckConstraint(
                condition=Q(state=QueuedState.PASSED, signature__isnull=False)
                | (~Q(state=QueuedState.PASSED) & Q(signature__isnull=True)),
                name="queued_signature_taken_if_passed",
            ),
        ]
        indexes = [
            models.Index(fields=["next_try_at"], condition=Q(state=QueuedState.WAITING), name="queued_signature_due"),
            models.Index(fields=["holds"], condition=Q(state=QueuedState.WAITING), name="queued_signature_holds"),
            models.Index(fields=["organisation", "-id"], name="queued_signature_of"),
        ]

    @property
    def is_waiting(self) -> bool:
        return self.state == QueuedState.WAITING


class QueuedStamp(models.Model):
    """How far the time stamping of a signature is that waits for its verdict, and the stamp.

    The signature is judged by it and keeps it when it passes. Where it was not taken, the stamp stays here as evidence.
    """

    queued = models.OneToOneField(QueuedSignature, on_delete=models.PROTECT, primary_key=True, related_name="stamp")
    wanted_at = models.DateTimeField()
    next_try_at = models.DateTimeField()
    claimed_until = models.DateTimeField(null=True, blank=True, help_text="somebody is asking an authority")
    attempts = models.PositiveIntegerField(default=0)
    error = models.CharField(max_length=300, blank=True, default="")
    stamped_at = models.DateTimeField(null=True, blank=True, help_text="the time that the authority states")
    authority = models.CharField(max_length=200, blank=True, default="")
    token = models.ForeignKey(
        "marketplace.EvidenceObject", on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    trust = models.JSONField(default=dict, help_text="SHA-256 of the kept chain and revocation data it rests on")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(token__isnull=True, stamped_at__isnull=True)
                | Q(token__isnull=False, stamped_at__isnull=False),
                name="queued_stamp_is_whole",
            )
        ]
        indexes = [models.Index(fields=["next_try_at"], condition=Q(stamped_at=None), name="queued_stamp_waiting")]
