"""Who holds the keys of a tender's lots, and the shares of a key that its committee holds."""

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


class KeyCustody(models.TextChoices):
    PLATFORM = "platform", _("The platform")
    COMMITTEE = "committee", _("The buyer’s committee")


class KeyCeremony(models.Model):
    """A committee chosen for a tender and, once made, the keys that one seed gave its lots.

    The seed, the lots' private keys and the shares in the clear never reach the platform before the deadline.
    """

    tender = models.ForeignKey("procurement.Tender", on_delete=models.CASCADE, related_name="ceremonies")
    threshold = models.PositiveSmallIntegerField(help_text="k: how many shares open")
    with_escrow = models.BooleanField(default=False, help_text="the platform holds one share more")
    escrow_public_key = models.BinaryField(null=True, editable=False)
    escrow_wrapped_key = models.BinaryField(
        null=True, editable=False, help_text="under the key-encryption key; gone once nothing waits for it"
    )
    lot_keys = models.JSONField(default=dict, help_text="lot's id → its public key, base64; empty until made")
    planned_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    planned_at = models.DateTimeField()
    made_at = models.DateTimeField(null=True, blank=True)
    made_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    replaced_at = models.DateTimeField(null=True, blank=True, help_text="when another took its place")
    seed_received_at = models.DateTimeField(null=True, blank=True, help_text="when the shares were put together")
    seed_received_from = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+"
    )

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["tender"], condition=models.Q(replaced_at__isnull=True), name="ceremony_one_standing"
            ),
            models.CheckConstraint(
                condition=models.Q(threshold__gte=2, threshold__lte=9), name="ceremony_threshold_bounds"
            ),
            models.CheckConstraint(
                condition=models.Q(with_escrow=False) | models.Q(escrow_public_key__isnull=False),
                name="ceremony_escrow_has_key",
            ),
        ]


class KeyShare(models.Model):
    """One share of the seed, sealed to one member's committee key; without a member it is the platform's in escrow."""

    ceremony = models.ForeignKey(KeyCeremony, on_delete=models.CASCADE, related_name="shares")
    index = models.PositiveSmallIntegerField(help_text="Shamir's x, from 1")
    member = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="key_shares")
    key = models.ForeignKey("marketplace.CommitteeKey", on_delete=models.PROTECT, null=True, related_name="shares")
    sealed = models.BinaryField(null=True, editable=False)
    commitment = models.CharField(max_length=64, blank=True, help_text="SHA-256 of the share")
    confirmed_at = models.DateTimeField(null=True, blank=True, help_text="when the member tried that it opens")
    released_at = models.DateTimeField(null=True, blank=True)
    release_reason = models.TextField(blank=True, help_text="why the escrow share was asked for")
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")

    class Meta:
        ordering = ["ceremony_id", "index"]
        constraints = [
            models.UniqueConstraint(fields=["ceremony", "index"], name="share_index_once"),
            models.UniqueConstraint(fields=["ceremony", "member"], name="share_once_per_member"),
            models.CheckConstraint(
                condition=models.Q(member__isnull=True, key__isnull=True)
                | models.Q(member__isnull=False, key__isnull=False),
                name="share_member_has_key",
            ),
        ]


class ReleasedShare(models.Model):
    """A released share, sealed again to one of the other members. The platform cannot read it."""

    share = models.ForeignKey(KeyShare, on_delete=models.CASCADE, related_name="releases")
    to = models.ForeignKey(KeyShare, on_delete=models.CASCADE, related_name="received")
    sealed = models.BinaryField(editable=False)
    wrong_at = models.DateTimeField(
        null=True, blank=True, help_text="when its receiver found that it is not the announced share"
    )
    replaced = models.PositiveSmallIntegerField(default=0, help_text="how often, each time after such a report")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["share", "to"], name="release_once_per_member")]
