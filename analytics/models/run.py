"""Scoring: a run over a book, its parts by account, and what they found."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _


class RunState(models.TextChoices):
    WAITING = "waiting", _("Waiting")
    LEARNING = "learning", _("Learning from the past")
    SCORING = "scoring", _("Scoring accounts")
    WHOLE = "whole", _("Complete")
    FAILED = "failed", _("Failed")


class PartState(models.TextChoices):
    WAITING = "waiting", _("Waiting")
    RUNNING = "running", _("Running")
    DONE = "done", _("Done")
    FAILED = "failed", _("Failed")


RUN_OPEN = (RunState.WAITING, RunState.LEARNING, RunState.SCORING)


class ScoringRun(models.Model):
    """A night's scores of a book. They are shown once they are whole: until then those of the run before stand."""

    book = models.ForeignKey("analytics.Book", on_delete=models.CASCADE, related_name="runs")
    state = models.CharField(max_length=10, choices=RunState, default=RunState.WAITING)
    cutoff = models.DateField(help_text="the last day whose purchases are known")
    horizon = models.PositiveIntegerField(default=90, help_text="days looked ahead")
    seed = models.PositiveIntegerField(default=0)
    currency = models.CharField(max_length=3, blank=True)
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)
    fitted_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True, help_text="a worker learns until then")
    tries = models.PositiveIntegerField(default=0)
    # accounts, categories, items, days, money in other currencies, what each model fell back to.
    facts = models.JSONField(default=dict, blank=True)
    error = models.CharField(max_length=40, blank=True, help_text="code of why there are no scores")
    cards_at = models.DateTimeField(null=True, blank=True, help_text="when its cards were made")
    scores_dropped_at = models.DateTimeField(null=True, blank=True, help_text="old scores go, the run's row stays")

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(condition=models.Q(state__in=RunState.values), name="run_state_known"),
            models.UniqueConstraint(
                fields=["book"],
                condition=models.Q(state__in=[state.value for state in RUN_OPEN]),
                name="run_one_open_per_book",
            ),
        ]
        indexes = [models.Index(fields=["book", "-id"], name="run_of_book")]


class RunModel(models.Model):
    """What a run learnt: fitted once, read by every part."""

    run = models.OneToOneField(ScoringRun, on_delete=models.CASCADE, related_name="model")
    recovery = models.JSONField(null=True)
    growth = models.BinaryField(null=True, editable=False)
    # Codes of the history the models were fitted on, in order: accounts are looked up, these must be the same.
    categories = ArrayField(models.BigIntegerField(), default=list, help_text="ids by code")
    items = ArrayField(models.BigIntegerField(), default=list, help_text="ids by code")
    first_day = models.DateField(null=True)


class RunPartition(models.Model):
    """The accounts whose hash falls to `number`: taken by any worker, done once, alone in its failure."""

    run = models.ForeignKey(ScoringRun, on_delete=models.CASCADE, related_name="partitions")
    number = models.PositiveIntegerField()
    state = models.CharField(max_length=8, choices=PartState, default=PartState.WAITING)
    tries = models.PositiveIntegerField(default=0)
    lease_until = models.DateTimeField(null=True, blank=True, help_text="a worker is on it until then")
    accounts = models.PositiveIntegerField(default=0)
    unscored = models.JSONField(
        default=dict, db_default={}, blank=True, help_text="accounts without a score of leaving, by why: rules.protocol"
    )
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    error = models.TextField(blank=True)

    class Meta:
        ordering = ["run_id", "number"]
        constraints = [
            models.UniqueConstraint(fields=["run", "number"], name="partition_once"),
            models.CheckConstraint(condition=models.Q(state__in=PartState.values), name="partition_state_known"),
        ]


class AccountScore(models.Model):
    """How likely an account buys nothing within the horizon, and what it would spend if it stays."""

    run = models.ForeignKey(ScoringRun, on_delete=models.CASCADE, related_name="account_scores")
    account = models.ForeignKey("analytics.Account", on_delete=models.CASCADE, related_name="scores")
    p = models.FloatField()
    expected_amount = models.DecimalField(max_digits=20, decimal_places=2)
    survival = models.FloatField(default=1.0, help_text="chance that a gap of its rhythm outlasts the present silence")
    suppressed = models.BooleanField(default=False, help_text="no case for a card: confirmed off-season")
    reasons = ArrayField(models.CharField(max_length=40), default=list)
    evidence = models.JSONField(default=dict, help_text="numbers of the sentence on the card")

    class Meta:
        ordering = ["run_id", "account_id"]
        constraints = [models.UniqueConstraint(fields=["run", "account"], name="account_score_once")]


class CategoryScore(models.Model):
    """The same for one category of an account."""

    run = models.ForeignKey(ScoringRun, on_delete=models.CASCADE, related_name="category_scores")
    account = models.ForeignKey("analytics.Account", on_delete=models.CASCADE, related_name="category_scores")
    category = models.ForeignKey("analytics.Category", on_delete=models.CASCADE, related_name="+", db_index=False)
    p = models.FloatField()
    expected_amount = models.DecimalField(max_digits=20, decimal_places=2)
    survival = models.FloatField(help_text="chance that a gap of its rhythm outlasts the present silence")
    suppressed = models.BooleanField(default=False, help_text="no case for a card: confirmed off-season")
    reasons = ArrayField(models.CharField(max_length=40), default=list)
    evidence = models.JSONField(default=dict)

    class Meta:
        ordering = ["run_id", "account_id", "category_id"]
        constraints = [models.UniqueConstraint(fields=["run", "account", "category"], name="category_score_once")]


class GrowthScore(models.Model):
    """What an account should buy and does not: an item, or a category."""

    run = models.ForeignKey(ScoringRun, on_delete=models.CASCADE, related_name="growth_scores")
    account = models.ForeignKey("analytics.Account", on_delete=models.CASCADE, related_name="growth_scores")
    item = models.ForeignKey("analytics.Item", on_delete=models.CASCADE, null=True, related_name="+", db_index=False)
    category = models.ForeignKey(
        "analytics.Category", on_delete=models.CASCADE, null=True, related_name="+", db_index=False
    )
    rank = models.PositiveIntegerField(help_text="1 is the best of its kind for the account")
    score = models.FloatField(help_text="chance of a first purchase within the horizon")
    expected_amount = models.DecimalField(
        max_digits=20, decimal_places=2, help_text="what a first purchase brings within the horizon, if it comes"
    )
    quantity = models.FloatField(null=True, help_text="suggested")
    evidence = models.JSONField(default=dict)

    class Meta:
        ordering = ["run_id", "account_id", "rank"]
        constraints = [
            models.UniqueConstraint(
                fields=["run", "account", "item"], condition=models.Q(item__isnull=False), name="growth_item_once"
            ),
            models.UniqueConstraint(
                fields=["run", "account", "category"],
                condition=models.Q(item__isnull=True),
                name="growth_category_once",
            ),
            models.CheckConstraint(
                condition=models.Q(item__isnull=False) | models.Q(category__isnull=False), name="growth_of_something"
            ),
        ]
