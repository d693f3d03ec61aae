"""Bids. Until opening, prices exist in the database as ciphertext only: drafts under the platform's key-encryption
key for their own author, sent bids sealed to the lot's key."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from procurement.rules.lifecycle import BidStatus

# What the supplier reads.
BID_STATUS_NAMES = {
    BidStatus.DRAFT: _("Draft, not sent"),
    BidStatus.SUBMITTED: _("Sent and sealed"),
    BidStatus.WITHDRAWN: _("Withdrawn"),
    BidStatus.INVALIDATED: _("Needs your confirmation after an amendment"),
    BidStatus.OPENED: _("Opened"),
    BidStatus.ADMITTED: _("Admitted"),
    BidStatus.REJECTED: _("Rejected"),
    BidStatus.WINNING: _("Won"),
    BidStatus.LOSING: _("Not selected"),
}


class Bid(models.Model):
    """A supplier's bid for one lot. Amounts are null until it is opened."""

    lot = models.ForeignKey("procurement.Lot", on_delete=models.PROTECT, related_name="bids")
    supplier = models.ForeignKey("marketplace.Organisation", on_delete=models.PROTECT, related_name="bids")
    status = models.CharField(
        max_length=16, choices=[(s.value, n) for s, n in BID_STATUS_NAMES.items()], default=BidStatus.DRAFT.value
    )
    # The price table and remarks being typed, encrypted with the key-encryption key; readable by the bidder alone.
    draft = models.BinaryField(null=True, editable=False)
    revision = models.PositiveIntegerField(default=1, help_text="counts saves of the draft, for stale forms")
    sent_revision = models.PositiveIntegerField(default=0, help_text="the draft's revision that was sent last")
    version = models.PositiveIntegerField(default=0, help_text="counts what was sent; names the envelope")
    tender_version = models.PositiveIntegerField(default=1, help_text="the tender's version the bid was sent for")
    received_at = models.DateTimeField(null=True, blank=True, help_text="of the standing envelope")
    withdrawn_at = models.DateTimeField(null=True, blank=True)
    opened_at = models.DateTimeField(null=True, blank=True)

    # After opening. `initial_amount` is what the envelope said, `amount` what stands (lower after a live auction).
    currency = models.CharField(max_length=3)
    initial_amount = models.DecimalField(max_digits=20, decimal_places=4, null=True, blank=True)
    amount = models.DecimalField(max_digits=20, decimal_places=4, null=True, blank=True)
    answers = models.JSONField(
        default=dict,
        db_default=models.Value({}, models.JSONField()),
        blank=True,
        help_text="to what counts besides the price, by the question's name; empty until opened",
    )
    amount_received_at = models.DateTimeField(null=True, blank=True, help_text="when the standing amount was received")
    remarks = models.TextField(blank=True)
    opening_problem = models.CharField(max_length=300, blank=True, help_text="why the envelope did not open")
    rank = models.PositiveIntegerField(null=True, blank=True)
    flags = models.JSONField(default=list, help_text="e.g. abnormally_low")
    decision_reason = models.TextField(blank=True, help_text="why rejected, or why not selected")

    created_by = models.ForeignKey("marketplace.Person", on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["lot_id", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["lot", "supplier"], name="bid_once_per_lot"),
            models.CheckConstraint(
                condition=models.Q(status__in=[s.value for s in BidStatus]), name="bid_status_known"
            ),
            # Sealed means sealed: no amount stands in a row that has not been opened.
            models.CheckConstraint(
                condition=models.Q(opened_at__isnull=False)
                | models.Q(initial_amount__isnull=True, amount__isnull=True, remarks="", answers={}),
                name="bid_amount_only_after_opening",
            ),
        ]
        indexes = [models.Index(fields=["supplier", "status", "-id"], name="bid_of_supplier")]


class BidEnvelope(models.Model):
    """What was sent once: the content sealed to the lot's key, the signed manifest, the signed receipt. Append-only but
    for `superseded_at`."""

    bid = models.ForeignKey(Bid, on_delete=models.PROTECT, related_name="envelopes")
    version = models.PositiveIntegerField()
    ciphertext = models.BinaryField(help_text="HPKE: encapsulated key and ciphertext of the canonical JSON content")
    manifest = models.JSONField(help_text="lot, version, deadline, sizes and SHA-256 of the ciphertexts")
    signature = models.ForeignKey("marketplace.Signature", on_delete=models.PROTECT, related_name="+")
    received_at = models.DateTimeField()
    receipt = models.JSONField(help_text="canonical content and the platform's signature over it")
    superseded_at = models.DateTimeField(null=True, blank=True)
    withdrawal_signature = models.ForeignKey(
        "marketplace.Signature", on_delete=models.PROTECT, null=True, related_name="+"
    )
    withdrawal_receipt = models.JSONField(null=True, blank=True)

    class Meta:
        ordering = ["bid_id", "version"]
        constraints = [models.UniqueConstraint(fields=["bid", "version"], name="envelope_version_once")]


class BidSealing(models.Model):
    """What was sealed for one signature and waits for it. Its ciphertext becomes the envelope, or is thrown away."""

    bid = models.ForeignKey(Bid, on_delete=models.CASCADE, related_name="sealings")
    request = models.OneToOneField("marketplace.SigningRequest", on_delete=models.PROTECT, related_name="+")
    revision = models.PositiveIntegerField(help_text="the draft's revision that was sealed")
    tender_version = models.PositiveIntegerField()
    ciphertext = models.BinaryField()
    manifest = models.JSONField()
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["pk"]


class BidFile(models.Model):
    """A document of a bid, sealed to the lot's key (OLS1) before it is stored.

    `sealed_path` names the ciphertext, once all of it has arrived; `opened` is the readable file after opening.
    """

    bid = models.ForeignKey(Bid, on_delete=models.PROTECT, related_name="files")
    name = models.CharField(max_length=200, blank=True, help_text="empty until opened: a name can betray a price")
    media_type = models.CharField(max_length=120, blank=True, help_text="empty until opened")
    size = models.PositiveBigIntegerField(help_text="bytes of the plain file")
    draft_path = models.CharField(max_length=200, blank=True, help_text="no longer written")
    sealed_path = models.CharField(max_length=200, blank=True)
    sealed_sha256 = models.CharField(max_length=64, blank=True)
    in_version = models.PositiveIntegerField(null=True, blank=True, help_text="the envelope's version it belongs to")
    removed_at = models.DateTimeField(null=True, blank=True)
    opened = models.ForeignKey("marketplace.StoredFile", on_delete=models.PROTECT, null=True, related_name="+")
    added_at = models.DateTimeField()

    class Meta:
        ordering = ["pk"]


class BidUpload(models.Model):
    """A sealed document on its way here, in parts. Gone once all of it has arrived, or a day after it stopped coming.

    Only `person` goes on with it: the key it is sealed under is in that person's browser.
    """

    file = models.OneToOneField(BidFile, on_delete=models.CASCADE, related_name="upload")
    token = models.UUIDField(unique=True)
    person = models.ForeignKey("marketplace.Person", on_delete=models.PROTECT, related_name="+")
    size = models.PositiveBigIntegerField(help_text="bytes of the ciphertext")
    received = models.PositiveBigIntegerField(default=0, help_text="bytes that have arrived")
    parts = models.JSONField(default=list, help_text="paths of the parts, in order")
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField(help_text="when the last part arrived")

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.CheckConstraint(condition=models.Q(received__lte=models.F("size")), name="upload_within_its_size")
        ]


class BidPrice(models.Model):
    """One line of an opened bid's price table."""

    bid = models.ForeignKey(Bid, on_delete=models.PROTECT, related_name="prices")
    item = models.ForeignKey("procurement.Item", on_delete=models.PROTECT, related_name="+")
    unit_price = models.DecimalField(max_digits=20, decimal_places=4)
    amount = models.DecimalField(max_digits=20, decimal_places=4, help_text="quantity × unit price, rounded half up")

    class Meta:
        ordering = ["item__number"]
        constraints = [models.UniqueConstraint(fields=["bid", "item"], name="bid_price_once_per_item")]
