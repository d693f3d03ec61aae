"""Committee keys: a person's own key pair, to which shares of sealed procedures' keys are encrypted.

The platform keeps what it cannot open: the public key, and the private one encrypted in the browser under a passphrase
that it never sees. For a registered certificate not even that: the private key stays in its owner's file."""

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


class CommitteeKeyKind(models.TextChoices):
    PASSPHRASE = "passphrase", _("Passphrase")
    CERTIFICATE = "certificate", _("Certificate")


class CommitteeKeyAlgorithm(models.TextChoices):
    """How a share is sealed to the key: HPKE with the curve's KEM, or RSA-OAEP with SHA-256."""

    X25519 = "x25519", "X25519"
    P256 = "p256", "P-256"
    RSA = "rsa", "RSA"


class CommitteeKey(models.Model):
    """One per person at a time. A retired key takes no new shares and still opens those that were sealed to it."""

    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="committee_keys")
    kind = models.CharField(max_length=12, choices=CommitteeKeyKind)
    algorithm = models.CharField(max_length=8, choices=CommitteeKeyAlgorithm)
    public_key = models.BinaryField(help_text="X25519: 32 bytes; P-256: uncompressed point; RSA: SubjectPublicKeyInfo")
    fingerprint = models.CharField(max_length=64, unique=True, help_text="SHA-256 of the public key's bytes")
    wrapped = models.JSONField(null=True, help_text="the private key under a passphrase: kdf, salt, iv, ciphertext")
    certificate = models.BinaryField(null=True, help_text="DER, for a key of a certificate")
    subject = models.CharField(max_length=500, blank=True)
    not_after = models.DateTimeField(null=True, blank=True)
    made_at = models.DateTimeField()
    tried_at = models.DateTimeField(null=True, blank=True, help_text="when its owner last proved to be able to use it")
    retired_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["person"], condition=models.Q(retired_at__isnull=True), name="committee_key_one_per_person"
            ),
            models.CheckConstraint(
                condition=models.Q(kind="passphrase", wrapped__isnull=False)
                | models.Q(kind="certificate", certificate__isnull=False, wrapped__isnull=True),
                name="committee_key_of_its_kind",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.person} {self.fingerprint[:16]}"
