"""Whom the platform trusts, and what their authorities say about revoked certificates."""

from datetime import datetime
from typing import Final

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

#: Hexadecimal digits of the longest serial number that is kept: 256 bits, where RFC 5280 allows 160.
SERIAL_LENGTH: Final = 64


class TrustKind(models.TextChoices):
    ANCHOR = "anchor", _("Trust anchor")
    INTERMEDIATE = "intermediate", _("Intermediate authority")
    TSA = "tsa", _("Time-stamping authority")


class TrustedCertificate(models.Model):
    """A certificate the operator put into the trust store. It counts while `enabled`, and only then.

    With `proposed_at` it waits for a second operator.
    """

    kind = models.CharField(max_length=12, choices=TrustKind)
    sha256 = models.CharField(max_length=64)
    der = models.BinaryField()
    subject = models.CharField(max_length=500)
    name_sha256 = models.CharField(max_length=64, default="", db_index=True, help_text="of the subject's DER name")
    key_sha256 = models.CharField(max_length=64, default="", help_text="of the SubjectPublicKeyInfo, DER")
    not_after = models.DateTimeField()
    enabled = models.BooleanField(default=True)
    note = models.CharField(max_length=300, blank=True, help_text="why it is trusted")
    added_at = models.DateTimeField()
    added_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    counted_at = models.DateTimeField(
        null=True, blank=True, help_text="since when it counted first; null: it never did"
    )
    proposed_at = models.DateTimeField(null=True, blank=True)
    proposed_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    disabled_at = models.DateTimeField(null=True, blank=True)
    disabled_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    disabled_reason = models.CharField(max_length=300, blank=True, default="")

    class Meta:
        constraints = [
            # An authority may be trusted for signatures and, apart from that, for time stamps.
            models.UniqueConstraint(fields=["sha256", "kind"], name="trusted_once_per_kind"),
            models.CheckConstraint(
                condition=Q(proposed_at__isnull=True) | Q(enabled=False), name="trusted_only_when_confirmed"
            ),
        ]

    def __str__(self) -> str:
        return self.subject

    def get_absolute_url(self) -> str:
        return reverse("trusted", args=[self.pk])


class RevocationSource(models.Model):
    """An address the platform may ask for revocation data. No other is ever asked."""

    class Kind(models.TextChoices):
        CRL = "crl", _("Revocation list (CRL)")
        OCSP = "ocsp", _("Answers by certificate (OCSP)")

    kind = models.CharField(max_length=4, choices=Kind)
    url = models.CharField(max_length=500)
    authority = models.ForeignKey(TrustedCertificate, on_delete=models.PROTECT, related_name="sources")
    enabled = models.BooleanField(default=True)
    added_at = models.DateTimeField()
    added_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    next_at = models.DateTimeField(help_text="when it is asked again")
    tried_at = models.DateTimeField(null=True, blank=True)
    fetched_at = models.DateTimeField(null=True, blank=True, help_text="when it last answered as it should")
    leased_until = models.DateTimeField(null=True, blank=True, help_text="somebody is asking it")
    failures = models.PositiveIntegerField(default=0, help_text="in a row")
    error = models.CharField(max_length=300, blank=True, default="")
    size = models.PositiveIntegerField(null=True, blank=True, help_text="bytes of the last answer")
    etag = models.CharField(max_length=200, blank=True, default="")
    last_modified = models.CharField(max_length=100, blank=True, default="")

    class Meta:
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["authority", "kind", "url"], name="revocation_source_once")]
        indexes = [models.Index(fields=["next_at"], condition=Q(enabled=True), name="revocation_source_due")]

    def __str__(self) -> str:
        return self.url

    def is_being_asked(self, at: datetime) -> bool:
        return self.leased_until is not None and self.leased_until > at


class RevocationList(models.Model):
    """A version of an authority's CRL. The current one counts; older ones keep their DER for a while."""

    issuer_sha256 = models.CharField(max_length=64, db_index=True, help_text="SHA-256 of the issuer's DER name")
    issuer_key_sha256 = models.CharField(max_length=64, default="", help_text="of the key that signed it (SPKI, DER)")
    scope = models.CharField(
        max_length=64, blank=True, default="", help_text="empty for a complete list; else what tells its parts apart"
    )
    issuer = models.CharField(max_length=500)
    issuer_name = models.BinaryField(default=b"", help_text="DER")
    sha256 = models.CharField(max_length=64, default="", db_index=True, help_text="of the DER")
    der = models.BinaryField(help_text="empty once an older version is no longer kept")
    size = models.PositiveIntegerField(default=0, help_text="bytes of the DER")
    number = models.CharField(max_length=64, blank=True)
    this_update = models.DateTimeField()
    next_update = models.DateTimeField()
    loaded_at = models.DateTimeField()
    loaded_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    source = models.ForeignKey(RevocationSource, on_delete=models.SET_NULL, null=True, related_name="lists")
    count = models.PositiveIntegerField(default=0, help_text="revoked certificates in it")
    is_indexed = models.BooleanField(default=False, help_text="its entries are rows; else it is read whole")
    is_current = models.BooleanField(default=True)
    superseded_at = models.DateTimeField(null=True, blank=True)
    # The operators were told once that the next one is due, and once that it is overdue.
    due_told_at = models.DateTimeField(null=True, blank=True)
    overdue_told_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["issuer_sha256", "issuer_key_sha256", "scope"],
                condition=Q(is_current=True),
                name="revocation_list_one_current",
            )
        ]
        indexes = [models.Index(fields=["next_update"], condition=Q(is_current=True), name="revocation_list_by_due")]

    def __str__(self) -> str:
        return self.issuer


class RevokedEntry(models.Model):
    """A certificate that the current list of an authority names. Written in bulk, read by (list, serial)."""

    list = models.ForeignKey(RevocationList, on_delete=models.CASCADE, related_name="entries", db_index=False)
    serial = models.CharField(max_length=SERIAL_LENGTH, help_text="upper-case hexadecimal")
    revoked_at = models.DateTimeField()
    reason = models.CharField(max_length=24, blank=True, help_text="as RFC 5280 names it")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["list", "serial"], name="revoked_once_per_list")]


class OcspAnswer(models.Model):
    """What an authority answered about one certificate; without `der` it is still to be asked."""

    authority = models.ForeignKey(TrustedCertificate, on_delete=models.CASCADE, related_name="ocsp_answers")
    serial = models.CharField(max_length=SERIAL_LENGTH, help_text="upper-case hexadecimal")
    not_after = models.DateTimeField(help_text="of the certificate: nobody asks after it")
    der = models.BinaryField(default=b"")
    status = models.CharField(max_length=8, blank=True, default="", help_text="good, revoked or unknown")
    this_update = models.DateTimeField(null=True, blank=True)
    next_update = models.DateTimeField(null=True, blank=True)
    fetched_at = models.DateTimeField(null=True, blank=True)
    wanted_at = models.DateTimeField(help_text="when it last mattered to somebody")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["authority", "serial"], name="ocsp_answer_once")]
