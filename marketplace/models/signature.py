"""Electronic signatures: what was to be signed, what was signed, by which certificate."""

from typing import Final

from cryptography import x509
from cryptography.x509.oid import NameOID, ObjectIdentifier
from django.conf import settings
from django.db import models

_HOLDER: Final = (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME, ObjectIdentifier("2.5.4.97"))


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
    reminded_days = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="how many days before its end its owner was told last"
    )

    class Meta:
        ordering = ["-not_after"]
        constraints = [models.UniqueConstraint(fields=["organisation", "sha256"], name="certificate_once")]
        indexes = [models.Index(fields=["not_after", "id"], name="certificate_by_end")]

    @property
    def holder(self) -> str:
        """Whom the certificate names: person, organisation and its identifiers, as a reader says them."""
        names = x509.load_der_x509_certificate(bytes(self.der)).subject
        found = [str(name.value) for kind in _HOLDER for name in names.get_attributes_for_oid(kind)]
        return " · ".join(found) or self.subject


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
