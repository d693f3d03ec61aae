"""A seller's book: its accounts (customers), who looks after them, and where they belong."""

from django.conf import settings
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import models
from django.db.models.functions import Coalesce, Upper
from django.utils.translation import gettext_lazy as _


class Book(models.Model):
    """The customers of one seller. The platform's own has no owner: its accounts are the buyers registered here."""

    owner = models.OneToOneField(
        "marketplace.Organisation", on_delete=models.PROTECT, null=True, blank=True, related_name="sales_book"
    )
    # Money in other currencies is kept and told, but neither converted nor scored.
    currency = models.CharField(
        _("currency"), max_length=3, blank=True, help_text=_("scored; empty until the first purchases are in")
    )
    # What the columns of this seller's files mean, as it was last confirmed: our column to theirs.
    mapping = models.JSONField(default=dict, blank=True)
    # What the files did not show of themselves and a person said: encoding, order of day and month, decimals.
    reading = models.JSONField(default=dict, db_default={}, blank=True)
    # The newest whole run: what pages show and cards are made of. Moved in one step, when a run has all its parts.
    run = models.ForeignKey(
        "analytics.ScoringRun", on_delete=models.SET_NULL, null=True, blank=True, related_name="+", editable=False
    )
    empty_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="when the nightly run last found no purchases here"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["pk"]
        constraints = [
            # One book for the platform: a unique column would let NULL stand any number of times.
            models.UniqueConstraint(Coalesce("owner_id", 0), name="book_once_per_owner"),
        ]

    def __str__(self) -> str:
        return str(self.owner) if self.owner_id else str(_("The platform"))


class Territory(models.Model):
    """A part of a book that one representative looks after; `rule` says which accounts belong to it."""

    book = models.ForeignKey(Book, on_delete=models.CASCADE, related_name="territories")
    name = models.CharField(_("name"), max_length=120)
    representative = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    rule = models.JSONField(default=dict, blank=True, help_text='e.g. {"countries": ["DE", "AT"]}')
    # The first whose rule fits takes the account.
    rank = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["book_id", "rank", "pk"]
        constraints = [models.UniqueConstraint(fields=["book", "name"], name="territory_name_once")]

    def __str__(self) -> str:
        return self.name


class Account(models.Model):
    """A customer. `external_id` is what the seller's own system calls it, and stays when the name changes."""

    book = models.ForeignKey(Book, on_delete=models.CASCADE, related_name="accounts")
    external_id = models.CharField(_("customer number"), max_length=120)
    name = models.CharField(_("name"), max_length=300)
    country = models.CharField(_("country"), max_length=2, blank=True)
    buyer = models.ForeignKey(
        "marketplace.Organisation",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text="the organisation on the platform, where the account is one",
    )
    # Always the account that stands at the end: an account that is merged itself takes nobody in.
    merged_into = models.ForeignKey("self", on_delete=models.PROTECT, null=True, blank=True, related_name="merged")
    representative = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    territory = models.ForeignKey(Territory, on_delete=models.SET_NULL, null=True, blank=True, related_name="accounts")
    strategic = models.BooleanField(_("strategic account"), default=False)
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["name", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["book", "external_id"], name="account_once_per_book"),
            models.CheckConstraint(
                condition=models.Q(merged_into__isnull=True) | ~models.Q(merged_into=models.F("pk")),
                name="account_not_merged_into_itself",
            ),
        ]
        indexes = [
            models.Index(fields=["book", "name", "id"], name="account_of_book"),
            models.Index(fields=["book", "representative", "name"], name="account_of_representative"),
            models.Index(fields=["book", "buyer"], name="account_of_buyer"),
            GinIndex(OpClass(Upper("name"), name="gin_trgm_ops"), name="account_name_search"),
        ]

    def __str__(self) -> str:
        return self.name


class AccountMerge(models.Model):
    """Two accounts found to be one customer. Undone, `source` has its purchases back."""

    book = models.ForeignKey(Book, on_delete=models.CASCADE, related_name="merges")
    source = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="merges_away")
    target = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="merges_in")
    # Accounts that were merged into `source` before and went with it.
    brought = models.JSONField(default=list, help_text="ids of accounts")
    # What people work on that went along: services.merged_work.
    moved = models.JSONField(default=dict, help_text="ids by kind")
    merged_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    merged_at = models.DateTimeField()
    undone_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    undone_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["source"], condition=models.Q(undone_at__isnull=True), name="account_merged_away_once"
            )
        ]
