"""Tenders, their lots and items, documents, questions and amendments."""

from collections.abc import Mapping

from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.db import models
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from marketplace.shared.errors import Sentence
from marketplace.shared.money import minor_unit
from procurement import procedures
from procurement.models import units
from procurement.models.custody import KeyCustody
from procurement.rules.criteria import Answers, Criteria
from procurement.rules.effective import PRICE_ALONE, EffectivePrice
from procurement.rules.lifecycle import ClarificationStatus, LotStatus, TenderStatus

TENDER_STATUS_NAMES = {
    TenderStatus.DRAFT: _("Draft"),
    TenderStatus.APPROVAL: _("Waiting for approval"),
    TenderStatus.PUBLISHED: _("Open for bids"),
    TenderStatus.OPENING: _("Being opened"),
    TenderStatus.EVALUATION: _("Evaluation"),
    TenderStatus.AUCTION: _("Auction"),
    TenderStatus.AWARDING: _("Awarding"),
    TenderStatus.STANDSTILL: _("Standstill"),
    TenderStatus.COMPLETE: _("Complete"),
    TenderStatus.UNSUCCESSFUL: _("Unsuccessful"),
    TenderStatus.CANCELLED: _("Cancelled"),
}
LOT_STATUS_NAMES = {
    LotStatus.ACTIVE: _("Active"),
    LotStatus.COMPLETE: _("Complete"),
    LotStatus.UNSUCCESSFUL: _("Unsuccessful"),
    LotStatus.CANCELLED: _("Cancelled"),
}
CLARIFICATION_STATUS_NAMES = {
    ClarificationStatus.ASKED: _("Not yet answered"),
    ClarificationStatus.ANSWERED: _("Answered"),
}


class Tender(models.Model):
    """A procurement. It keeps the procedure and the version of the procedure it was published under."""

    number = models.CharField(max_length=24, unique=True, help_text="e.g. OL-2026-000123")
    buyer = models.ForeignKey("marketplace.Organisation", on_delete=models.PROTECT, related_name="tenders")
    procedure = models.CharField(max_length=40, help_text="code of a preset in procurement.procedures")
    procedure_version = models.PositiveIntegerField()
    # Settings within the preset's bounds: see procurement.procedures (minimum bids, show the limit price, …).
    settings = models.JSONField(default=dict, blank=True)
    # What counts besides the price, as rules.criteria keeps it; empty where nothing does.
    criteria = models.JSONField(default=dict, db_default=models.Value({}, models.JSONField()), blank=True)
    title = models.CharField(_("title"), max_length=200)
    description = models.TextField(_("description"), blank=True)
    status = models.CharField(
        max_length=16, choices=[(s.value, n) for s, n in TENDER_STATUS_NAMES.items()], default=TenderStatus.DRAFT.value
    )
    currency = models.CharField(_("currency"), max_length=3)
    vat_included = models.BooleanField(_("prices include VAT"), default=False)
    time_zone = models.CharField(_("time zone"), max_length=64)
    key_custody = models.CharField(
        _("who holds the keys"),
        max_length=12,
        choices=KeyCustody,
        default=KeyCustody.PLATFORM.value,
        db_default="platform",
    )

    # Half-open periods [start, end): a bid at `tender_ends_at` is late.
    enquiry_ends_at = models.DateTimeField(_("questions until"), null=True, blank=True)
    tender_ends_at = models.DateTimeField(_("bids until"), null=True, blank=True)
    auction_starts_at = models.DateTimeField(_("auction starts"), null=True, blank=True)
    standstill_ends_at = models.DateTimeField(_("standstill until"), null=True, blank=True)
    published_at = models.DateTimeField(null=True, blank=True)
    opened_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    closing_reason = models.TextField(blank=True, help_text="why cancelled or unsuccessful")

    # `version` counts amendments after publishing (what is signed names it); `revision` counts saves (stale forms).
    version = models.PositiveIntegerField(default=1)
    revision = models.PositiveIntegerField(default=1)
    created_by = models.ForeignKey("marketplace.Person", on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField(auto_now=True)
    search = SearchVectorField(null=True, editable=False)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(status__in=[s.value for s in TenderStatus]), name="tender_status_known"
            ),
            models.CheckConstraint(
                condition=models.Q(status__in=["draft", "approval", "cancelled"])
                | models.Q(published_at__isnull=False, tender_ends_at__isnull=False),
                name="tender_published_with_times",
            ),
        ]
        indexes = [
            GinIndex(fields=["search"], name="tender_search"),
            # A word common in old tenders and absent from open ones must not read all the old ones.
            GinIndex(fields=["search"], condition=models.Q(status="published"), name="tender_search_open"),
            models.Index(fields=["status", "tender_ends_at", "id"], name="tender_by_deadline"),
            models.Index(fields=["-published_at", "-id"], name="tender_by_publication"),
            models.Index(fields=["buyer", "status", "-id"], name="tender_of_buyer"),
        ]

    def __str__(self) -> str:
        return f"{self.number} {self.title}"

    def get_absolute_url(self) -> str:
        return reverse("tender", args=[self.number])

    @property
    def preset(self) -> procedures.Procedure:
        """The procedure in the version the tender keeps."""
        return procedures.get(self.procedure, self.procedure_version)

    @property
    def terms(self) -> procedures.TenderSettings:
        """The settings in force: the buyer's own, and the preset's defaults for the rest."""
        return procedures.resolve(self.preset, self.settings)

    @property
    def price_criteria(self) -> Criteria:
        """What bidders of every lot are asked besides their prices."""
        return Criteria.from_json(self.criteria)

    @property
    def limit_price_shown(self) -> bool:
        """Whether bidders see the limit prices; a draft whose settings are not yet right shows none."""
        return self.settings.get("limit_price_shown", self.preset.setting("limit_price_shown").default) is True


class Lot(models.Model):
    """A part of a tender that is bid for, awarded and contracted on its own."""

    tender = models.ForeignKey(Tender, on_delete=models.CASCADE, related_name="lots")
    number = models.PositiveIntegerField()
    title = models.CharField(_("title"), max_length=200)
    status = models.CharField(
        max_length=16, choices=[(s.value, n) for s, n in LOT_STATUS_NAMES.items()], default=LotStatus.ACTIVE.value
    )
    closing_reason = models.TextField(blank=True)
    currency = models.CharField(_("currency"), max_length=3)
    limit_price = models.DecimalField(
        _("limit price"), max_digits=20, decimal_places=4, null=True, blank=True, help_text=_("the whole lot")
    )
    vat_rate = models.DecimalField(_("VAT, %"), max_digits=5, decimal_places=2, default=0)
    delivery_place = models.CharField(_("place of delivery"), max_length=300, blank=True)

    # Auctions only. Bidding starts from the limit price.
    step_kind = models.CharField(max_length=8, choices=[("amount", _("Amount")), ("percent", _("Percent"))], blank=True)
    step_value = models.DecimalField(_("step"), max_digits=20, decimal_places=4, null=True, blank=True)
    clock_price = models.DecimalField(
        _("best price of the clock"),
        max_digits=20,
        decimal_places=4,
        null=True,
        blank=True,
        help_text=_("the other end of the prices of a clock: a Dutch one begins there, a Japanese one stops there"),
    )

    # Bids are sealed to the public key; the private one is wrapped by a key that is not in the database.
    public_key = models.BinaryField(null=True, editable=False)
    wrapped_private_key = models.BinaryField(null=True, editable=False)

    class Meta:
        ordering = ["tender_id", "number"]
        constraints = [
            models.UniqueConstraint(fields=["tender", "number"], name="lot_number_once"),
            models.CheckConstraint(
                condition=models.Q(status__in=[s.value for s in LotStatus]), name="lot_status_known"
            ),
            models.CheckConstraint(
                condition=models.Q(limit_price__isnull=True) | models.Q(limit_price__gt=0), name="lot_limit_positive"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.number}. {self.title}"

    def answers(self, typed: Mapping[str, str]) -> Answers:
        """What a bidder answers to what counts besides the price, by the question's name. The tender is loaded."""
        return self.tender.price_criteria.read(typed, minor_unit(self.currency))

    def formula(self, answers: Mapping[str, str]) -> EffectivePrice:
        """What an amount of a bidder with these answers counts as. The tender is loaded."""
        if not self.tender.criteria:
            return PRICE_ALONE
        return self.answers(answers).formula(self.tender.preset.axes.direction)


class Item(models.Model):
    lot = models.ForeignKey(Lot, on_delete=models.CASCADE, related_name="items")
    number = models.PositiveIntegerField()
    description = models.CharField(_("description"), max_length=300)
    category = models.ForeignKey("marketplace.Heading", on_delete=models.PROTECT, related_name="+")
    quantity = models.DecimalField(_("quantity"), max_digits=18, decimal_places=4)
    unit = models.CharField(_("unit"), max_length=16, help_text="UN/ECE Recommendation 20 code, e.g. H87 (piece), KGM")
    deliver_from = models.DateField(_("deliver from"), null=True, blank=True)
    deliver_until = models.DateField(_("deliver until"), null=True, blank=True)

    class Meta:
        ordering = ["lot_id", "number"]
        constraints = [
            models.UniqueConstraint(fields=["lot", "number"], name="item_number_once"),
            models.CheckConstraint(condition=models.Q(quantity__gt=0), name="item_quantity_positive"),
        ]

    @property
    def unit_name(self) -> Sentence:
        """The unit in plain words: "piece", not H87."""
        return units.name_of(self.unit)

    @property
    def unit_counted(self) -> Sentence:
        """The unit as it is said after the quantity: "33 pieces"."""
        return units.counted(self.unit, self.quantity)


class TenderDocument(models.Model):
    """One version of a document. A new version has the same `series` and the next `version`; none is ever deleted
    once the tender is published."""

    tender = models.ForeignKey(Tender, on_delete=models.CASCADE, related_name="documents")
    lot = models.ForeignKey(Lot, on_delete=models.CASCADE, null=True, blank=True, related_name="documents")
    series = models.PositiveIntegerField()
    version = models.PositiveIntegerField(default=1)
    title = models.CharField(_("title"), max_length=200)
    file = models.ForeignKey("marketplace.StoredFile", on_delete=models.PROTECT, related_name="+")
    added_at = models.DateTimeField()

    class Meta:
        ordering = ["tender_id", "series", "-version"]
        constraints = [models.UniqueConstraint(fields=["tender", "series", "version"], name="document_version_once")]


class Clarification(models.Model):
    """A question whose author is never shown to others, and its answer, public with the question."""

    tender = models.ForeignKey(Tender, on_delete=models.CASCADE, related_name="clarifications")
    number = models.PositiveIntegerField()
    status = models.CharField(
        max_length=12,
        choices=[(s.value, n) for s, n in CLARIFICATION_STATUS_NAMES.items()],
        default=ClarificationStatus.ASKED.value,
    )
    organisation = models.ForeignKey("marketplace.Organisation", on_delete=models.PROTECT, related_name="+")
    asked_by = models.ForeignKey("marketplace.Person", on_delete=models.PROTECT, related_name="+")
    asked_at = models.DateTimeField()
    question = models.TextField(_("question"), max_length=4000)
    answer = models.TextField(_("answer"), max_length=8000, blank=True)
    answered_at = models.DateTimeField(null=True, blank=True)
    answered_by = models.ForeignKey("marketplace.Person", on_delete=models.PROTECT, null=True, related_name="+")

    class Meta:
        ordering = ["tender_id", "number"]
        constraints = [
            models.UniqueConstraint(fields=["tender", "number"], name="clarification_number_once"),
            models.CheckConstraint(
                condition=models.Q(status__in=[s.value for s in ClarificationStatus]), name="clarification_status_known"
            ),
        ]


class Amendment(models.Model):
    """A change after publishing. `changes`: {field, before, after} in words; `version`: the tender's after it."""

    tender = models.ForeignKey(Tender, on_delete=models.CASCADE, related_name="amendments")
    version = models.PositiveIntegerField()
    at = models.DateTimeField()
    by = models.ForeignKey("marketplace.Person", on_delete=models.PROTECT, related_name="+")
    reason = models.TextField(_("reason"))
    changes = models.JSONField(default=list)
    invalidates_bids = models.BooleanField(default=False)
    signature = models.ForeignKey("marketplace.Signature", on_delete=models.PROTECT, null=True, related_name="+")

    class Meta:
        ordering = ["tender_id", "version"]
        constraints = [models.UniqueConstraint(fields=["tender", "version"], name="amendment_version_once")]
