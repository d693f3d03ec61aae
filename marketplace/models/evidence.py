"""What a signature can be judged by years later: certificates, revocation data and time stamps, kept with it."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _


class EvidenceKind(models.TextChoices):
    CERTIFICATE = "certificate", _("Certificate")
    CRL = "crl", _("Revocation list")
    OCSP = "ocsp", _("Answer about a certificate (OCSP)")
    TIME_STAMP = "timestamp", _("Time stamp")


class EvidenceObject(models.Model):
    """Bytes that signatures rest on, kept once however many do. Never changed, never deleted: the database refuses."""

    sha256 = models.CharField(max_length=64, unique=True)
    kind = models.CharField(max_length=12, choices=EvidenceKind)
    der = models.BinaryField()
    size = models.PositiveIntegerField(help_text="bytes")
    kept_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.kind} {self.sha256[:16]}"


class EvidenceRole(models.TextChoices):
    CHAIN = "chain", _("Chain of the signer’s certificate")
    REVOCATION = "revocation", _("Revocation data")
    TIME_STAMP = "timestamp", _("Time stamp of the signature")
    ARCHIVE = "archive", _("Archive time stamp")
    STAMP_CHAIN = "stamp_chain", _("Chain of a time-stamp authority")
    STAMP_REVOCATION = "stamp_revocation", _("Revocation data of a time-stamp authority")


class SignatureEvidence(models.Model):
    """That a signature rests on an object, and in which role. Append-only, as the signature is."""

    signature = models.ForeignKey(
        "marketplace.Signature", on_delete=models.PROTECT, related_name="evidence_links", db_index=False
    )
    object = models.ForeignKey(EvidenceObject, on_delete=models.PROTECT, related_name="links")
    role = models.CharField(max_length=16, choices=EvidenceRole)
    number = models.PositiveSmallIntegerField(help_text="from 0: along the chain, or in the order of their coming")
    proof = models.JSONField(null=True, help_text="of an archive time stamp: what it covers, and the way to its root")
    added_at = models.DateTimeField()

    class Meta:
        ordering = ["signature", "role", "number"]
        # One signature time stamp, and one archive time stamp a round, whatever two tasks do at the same moment.
        constraints = [models.UniqueConstraint(fields=["signature", "role", "number"], name="signature_evidence_once")]


class SignatureStamp(models.Model):
    """How far the time stamping of a signature is. The stamps themselves are evidence; this is the work on them."""

    signature = models.OneToOneField(
        "marketplace.Signature", on_delete=models.PROTECT, primary_key=True, related_name="stamp"
    )
    wanted_at = models.DateTimeField()
    next_try_at = models.DateTimeField()
    claimed_until = models.DateTimeField(null=True, blank=True, help_text="somebody is asking an authority")
    attempts = models.PositiveIntegerField(default=0)
    error = models.CharField(max_length=300, blank=True, default="")
    stamped_at = models.DateTimeField(null=True, blank=True, help_text="the time that the authority states")
    authority = models.CharField(max_length=200, blank=True, default="")
    rounds = models.PositiveSmallIntegerField(default=0, help_text="archive time stamps so far")
    renewed_at = models.DateTimeField(null=True, blank=True, help_text="the time that the newest of them states")
    ends_at = models.DateTimeField(
        null=True, blank=True, help_text="of the newest stamp’s certificate: by then it is stamped again"
    )
    algorithms = ArrayField(
        models.CharField(max_length=20), default=list, blank=True,
        help_text="what the newest stamp rests on, and all below it that no archive time stamp covers yet",
    )  # fmt: skip

    class Meta:
        indexes = [
            models.Index(fields=["next_try_at"], condition=Q(stamped_at=None), name="stamp_waiting"),
            models.Index(fields=["ends_at"], condition=Q(ends_at__isnull=False), name="stamp_by_end"),
            GinIndex(fields=["algorithms"], name="stamp_by_algorithm"),
        ]


class Reverification(models.Model):
    """One run over many signatures, judged again by their kept evidence."""

    class Reason(models.TextChoices):
        NIGHTLY = "nightly", _("Nightly sample")
        COMMAND = "command", _("Command line")

    reason = models.CharField(max_length=8, choices=Reason)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)
    checked = models.PositiveIntegerField(default=0)
    passed = models.PositiveIntegerField(default=0)
    failures = models.JSONField(default=list, help_text="signature, sub-indication and reason of the first thousand")
    started_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")

    class Meta:
        ordering = ["-started_at"]
