"""What a representative is shown: cards made from scores, what was done with each, and why some are kept away."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from django.conf import settings
from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from analytics.rules import cards as rules
from marketplace.models import Person

_LIVE: Final = [state.value for state in rules.LIVE]


class CardKind(models.TextChoices):
    RECOVERY = rules.Kind.RECOVERY.value, _("Recovery")
    GROWTH = rules.Kind.GROWTH.value, _("Growth")


class CardLevel(models.TextChoices):
    ACCOUNT = rules.Level.ACCOUNT.value, _("Whole account")
    CATEGORY = rules.Level.CATEGORY.value, _("Category")
    ITEM = rules.Level.ITEM.value, _("Item")


class CardStatus(models.TextChoices):
    OPEN = rules.CardState.OPEN.value, _("Open")
    WITHHELD = rules.CardState.WITHHELD.value, _("Withheld")
    ACCEPTED = rules.CardState.ACCEPTED.value, _("Accepted")
    SNOOZED = rules.CardState.SNOOZED.value, _("Snoozed")
    DISMISSED = rules.CardState.DISMISSED.value, _("Dismissed")
    DONE = rules.CardState.DONE.value, _("Done")
    EXPIRED = rules.CardState.EXPIRED.value, _("Expired")


class Closing(models.TextChoices):
    OLD = rules.Closing.OLD.value, _("Nobody acted in time")
    BOUGHT = rules.Closing.BOUGHT.value, _("The account bought before anybody acted")
    FADED = rules.Closing.FADED.value, _("The newest scores no longer say so")
    MERGED = rules.Closing.MERGED.value, _("Its customer was merged with another")


class DismissReason(models.TextChoices):
    SEASONAL = rules.Dismissed.SEASONAL.value, _("Buys by season, and this is not the season")
    ONE_OFF = rules.Dismissed.ONE_OFF.value, _("It was a one-off purchase")
    CONTRACT_ELSEWHERE = rules.Dismissed.CONTRACT_ELSEWHERE.value, _("Bound elsewhere by a contract")
    NOT_NEEDED = rules.Dismissed.NOT_NEEDED.value, _("Does not need it")
    KNOWN = rules.Dismissed.KNOWN.value, _("Known already, and in hand")
    WRONG_DATA = rules.Dismissed.WRONG_DATA.value, _("The data is wrong")
    CLOSED = rules.Dismissed.CLOSED.value, _("Closed, insolvent or merged")
    OTHER = rules.Dismissed.OTHER.value, _("Another reason")


class CallResult(models.TextChoices):
    REACHED = rules.Heard.REACHED.value, _("Reached, and talked")
    NO_ANSWER = rules.Heard.NO_ANSWER.value, _("No answer")
    CALL_BACK = rules.Heard.CALL_BACK.value, _("Call back later")
    ORDERED = rules.Heard.ORDERED.value, _("Ordered, or will")
    LOST = rules.Heard.LOST.value, _("Lost to a competitor")


class Card(models.Model):
    """One thing to tell a representative: an account that may stop buying, or what it should buy and does not.

    `p` is the newest chance, `p_made` the one on the day of the cut-off from which the outcome is measured. Amounts are
    expected purchases of the horizon in the book's currency: estimates, never prices.
    """

    book = models.ForeignKey("analytics.Book", on_delete=models.CASCADE, related_name="cards")
    account = models.ForeignKey("analytics.Account", on_delete=models.CASCADE, related_name="cards")
    kind = models.CharField(max_length=10, choices=CardKind)
    level = models.CharField(max_length=10, choices=CardLevel)
    category = models.ForeignKey("analytics.Category", on_delete=models.CASCADE, null=True, related_name="+")
    item = models.ForeignKey("analytics.Item", on_delete=models.CASCADE, null=True, related_name="+")
    state = models.CharField(max_length=10, choices=CardStatus, default=CardStatus.OPEN)
    p = models.FloatField()
    p_made = models.FloatField()
    expected_amount = models.DecimalField(max_digits=18, decimal_places=2)
    currency = models.CharField(max_length=3)
    by_money = models.FloatField()
    by_certain = models.FloatField()
    reasons = models.JSONField(default=list)
    evidence = models.JSONField(default=dict)
    run = models.ForeignKey("analytics.ScoringRun", on_delete=models.SET_NULL, null=True, related_name="cards")
    cutoff = models.DateField()
    long_tail = models.BooleanField(default=True)
    # One of the tenth that nobody is shown; stays said when the card is closed.
    withheld = models.BooleanField(default=False)
    representative = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="insight_cards"
    )
    created_at = models.DateTimeField()
    # The day since which it waits; a card that comes back waits anew.
    shown_on = models.DateField()
    # The first day on which it was, or withheld would have been, among the day's cards.
    offered_on = models.DateField(null=True)
    # When a snoozed card comes back, or when to call again.
    due_on = models.DateField(null=True)
    accepted_at = models.DateTimeField(null=True)
    accepted_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    heard = models.CharField(max_length=10, choices=CallResult, blank=True)
    dismissed_for = models.CharField(max_length=20, choices=DismissReason, blank=True)
    closing = models.CharField(max_length=10, choices=Closing, blank=True)
    closed_on = models.DateField(null=True)
    bought = models.BooleanField(null=True)
    bought_amount = models.DecimalField(max_digits=18, decimal_places=2, default=Decimal(0))
    measured_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-by_money", "pk"]
        constraints = [
            models.CheckConstraint(condition=Q(state__in=CardStatus.values), name="card_state_known"),
            models.CheckConstraint(condition=Q(kind__in=CardKind.values), name="card_kind_known"),
            models.CheckConstraint(condition=Q(p__gte=0, p__lte=1, p_made__gte=0, p_made__lte=1), name="card_p_chance"),
            models.CheckConstraint(
                condition=Q(level="account", category=None, item=None)
                | Q(level="category", category__isnull=False, item=None)
                | Q(level="item", item__isnull=False),
                name="card_level_fits",
            ),
            models.UniqueConstraint(
                fields=["account", "kind", "level", "category", "item"],
                condition=Q(state__in=_LIVE),
                nulls_distinct=False,
                name="card_live_once",
            ),
        ]
        indexes = [
            models.Index(F("representative"), F("state"), F("by_money").desc(), name="card_by_money"),
            models.Index(F("representative"), F("state"), F("by_certain").desc(), name="card_by_certain"),
            models.Index(fields=["book", "state", "due_on"], name="card_due"),
            models.Index(fields=["book", "cutoff"], condition=Q(measured_at=None), name="card_to_measure"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"

    @property
    def is_recovery(self) -> bool:
        return self.kind == CardKind.RECOVERY

    def is_of(self, person: Person) -> bool:
        """Whether it is the person's now, or was when they accepted it; `queries.cards.open_to` finds the same."""
        return person.pk in (self.representative_id, self.accepted_by_id)


class CardEvent(models.Model):
    """What happened to a card. Append-only: an act is taken back by another row that names it."""

    class What(models.TextChoices):
        MADE = "made", _("Made from the scores")
        RENEWED = "renewed", _("Came back")
        ACCEPTED = "accepted", _("Accepted")
        SNOOZED = "snoozed", _("Snoozed")
        DISMISSED = "dismissed", _("Dismissed")
        NOTE = "note", _("Note")
        CALL = "call", _("Call")
        UNDONE = "undone", _("Taken back")
        EXPIRED = "expired", _("Expired")
        HANDED_OVER = "handed_over", _("Handed over")
        MOVED = "moved", _("Moved with its customer")
        MEASURED = "measured", _("Outcome measured")

    card = models.ForeignKey(Card, on_delete=models.CASCADE, related_name="events")
    at = models.DateTimeField()
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    what = models.CharField(max_length=12, choices=What)
    before = models.CharField(max_length=10, choices=CardStatus, blank=True)
    after = models.CharField(max_length=10, choices=CardStatus, blank=True)
    reason = models.CharField(max_length=20, blank=True)
    due_on = models.DateField(null=True)
    text = models.TextField(max_length=2000, blank=True)
    # What the card held before the act, so that it can be taken back whole.
    previous = models.JSONField(default=dict)
    undoes = models.OneToOneField("self", on_delete=models.CASCADE, null=True, related_name="undone_by")

    class Meta:
        ordering = ["at", "pk"]
        indexes = [models.Index(fields=["person", "-at"], name="card_event_by_person")]

    def __str__(self) -> str:
        return f"{self.what} {self.card_id}"


class Dismissal(models.Model):
    """Why a card was none: it keeps that card away until `until` (None: for good), and is a label for the models."""

    card = models.ForeignKey(Card, on_delete=models.CASCADE, related_name="dismissals")
    event = models.OneToOneField(CardEvent, on_delete=models.CASCADE, related_name="dismissal")
    account = models.ForeignKey("analytics.Account", on_delete=models.CASCADE, related_name="dismissals")
    reason = models.CharField(max_length=20, choices=DismissReason)
    whole_account = models.BooleanField(default=False)
    p = models.FloatField()
    day = models.DateField()
    until = models.DateField(null=True)
    undone_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-day", "-pk"]
        constraints = [
            models.CheckConstraint(condition=Q(reason__in=DismissReason.values), name="dismissal_reason_known"),
        ]

    def __str__(self) -> str:
        return f"{self.reason} {self.account_id}"


class Capacity(models.Model):
    """How many cards a day a representative can work; 0 while they are away."""

    book = models.ForeignKey("analytics.Book", on_delete=models.CASCADE, related_name="capacities")
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    cards_a_day = models.PositiveSmallIntegerField(default=rules.CARDS_A_DAY, validators=[MaxValueValidator(200)])

    class Meta:
        verbose_name_plural = _("capacities")
        constraints = [models.UniqueConstraint(fields=["book", "person"], name="capacity_once")]

    def __str__(self) -> str:
        return f"{self.person}: {self.cards_a_day}"


class AccountEvent(models.Model):
    """A note on an account, or a change of whose it is. Append-only."""

    class What(models.TextChoices):
        NOTE = "note", _("Note")
        HANDED_OVER = "handed_over", _("Handed over")
        STRATEGIC = "strategic", _("Marked as strategic")
        NOT_STRATEGIC = "not_strategic", _("No longer strategic")
        MERGED = "merged", _("Merged")
        PARTED = "parted", _("Parted again")

    account = models.ForeignKey("analytics.Account", on_delete=models.CASCADE, related_name="events")
    at = models.DateTimeField()
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    what = models.CharField(max_length=14, choices=What)
    giver = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    taker = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    text = models.TextField(max_length=2000, blank=True)

    class Meta:
        ordering = ["-at", "-pk"]

    def __str__(self) -> str:
        return f"{self.what} {self.account_id}"
