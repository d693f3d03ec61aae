"""Electronic signatures: what was to be signed, what was signed, by which certificate, trusted because of what."""

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


class Certificate(models.Model):
    """A certificate that signed for an organisation at least once."""

    organisation = models.ForeignKey("marketplace.Organisation", on_delete=models.PROTECT, related_name="certificates")
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="certificates")
    sha256 = models.CharField(max_length=64)
    der = models.BinaryField()
    subject = models.CharField(max_length=500)
    issuer = models.CharField(max_length=500)
    serial = models.CharField(max_length=64)
    not_before = models.DateTimeField()
    not_after = models.DateTimeField()
    first_used_at = models.DateTimeField()

    class Meta:
        ordering = ["-not_after"]
        constraints = [models.UniqueConstraint(fields=["organisation", "sha256"], name="certificate_once")]


class SigningRequest(models.Model):
    """A payload prepared for one signature of one action. Its nonce is spent by the signature that completes it."""

    nonce = models.CharField(max_length=64, unique=True)
    action = models.CharField(max_length=40)
    organisation = models.ForeignKey("marketplace.Organisation", on_delete=models.PROTECT, related_name="+")
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    object_type = models.CharField(max_length=40)
    object_id = models.CharField(max_length=40)
    object_version = models.PositiveIntegerField()
    payload = models.BinaryField(help_text="canonical JSON, RFC 8785: the exact bytes that are signed")
    payload_sha256 = models.CharField(max_length=64)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [models.Index(fields=["object_type", "object_id"], name="signing_request_of_object")]


class Signature(models.Model):
    """A signature that passed, with the report and the evidence it was judged by."""

    request = models.OneToOneField(SigningRequest, on_delete=models.PROTECT, related_name="signature")
    organisation = models.ForeignKey("marketplace.Organisation", on_delete=models.PROTECT, related_name="signatures")
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    certificate = models.ForeignKey(Certificate, on_delete=models.PROTECT, related_name="signatures")
    cms = models.BinaryField(help_text="CAdES-B, DER, detached")
    report = models.JSONField()
    evidence = models.JSONField(default=dict, help_text="fingerprints of the chain and of the revocation lists used")
    received_at = models.DateTimeField()

    class Meta:
        ordering = ["pk"]


class TrustKind(models.TextChoices):
    ANCHOR = "anchor", _("Trust anchor")
    INTERMEDIATE = "intermediate", _("Intermediate authority")


class TrustedCertificate(models.Model):
    kind = models.CharField(max_length=12, choices=TrustKind)
    sha256 = models.CharField(max_length=64, unique=True)
    der = models.BinaryField()
    subject = models.CharField(max_length=500)
    not_after = models.DateTimeField()
    enabled = models.BooleanField(default=True)
    note = models.CharField(max_length=300, blank=True)
    added_at = models.DateTimeField()
    added_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")


class RevocationList(models.Model):
    """The newest CRL of an issuer."""

    issuer_sha256 = models.CharField(max_length=64, unique=True, help_text="SHA-256 of the issuer's DER name")
    issuer = models.CharField(max_length=500)
    der = models.BinaryField()
    number = models.CharField(max_length=64, blank=True)
    this_update = models.DateTimeField()
    next_update = models.DateTimeField()
    loaded_at = models.DateTimeField()
