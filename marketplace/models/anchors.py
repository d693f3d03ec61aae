"""What the platform says under its receipt key and has time-stamped by an authority: rolls of bids, and rounds of heads
of audit trails. The stamps are renewed as those of signatures are."""

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.utils.translation import gettext_lazy as _

from marketplace.models.evidence import EvidenceObject, EvidenceRole


class StampedStatement(models.Model):
    """A signed statement and how far the work on its time stamps is. What it says is never changed: the database
    refuses."""

    class Kind(models.TextChoices):
        BID_ROLL = "bid_roll", _("Roll of bids")
        AUDIT_ANCHOR = "audit_anchor", _("Heads of audit trails")

    kind = models.CharField(max_length=12, choices=Kind)
    statement = models.JSONField(help_text="what is published, under the platform's receipt key")
    sha256 = models.CharField(max_length=64, unique=True, help_text="of its canonical form: what is stamped")
    made_at = models.DateTimeField()
    stamped_at = models.DateTimeField(null=True, blank=True, help_text="the time that the authority states")
    rounds = models.PositiveSmallIntegerField(default=0, help_text="archive time stamps so far")
    renewed_at = models.DateTimeField(null=True, blank=True, help_text="the time that the newest of them states")
    ends_at = models.DateTimeField(null=True, blank=True, help_text="of the newest stamp’s certificate")
    algorithms = ArrayField(
        models.CharField(max_length=20), default=list, blank=True, help_text="what the newest stamp rests on"
    )
    next_try_at = models.DateTimeField(null=True, blank=True, help_text="of a renewal that failed")
    error = models.CharField(max_length=300, blank=True, default="")

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(kind__in=["bid_roll", "audit_anchor"]), name="stamped_statement_kind_known"
            )
        ]
        indexes = [
            models.Index(fields=["kind", "-id"], name="stamped_statement_of_kind"),
            models.Index(
                fields=["ends_at"], condition=models.Q(ends_at__isnull=False), name="stamped_statement_by_end"
            ),
            GinIndex(fields=["algorithms"], name="stamped_statement_by_algorithm"),
        ]


class StatementEvidence(models.Model):
    """That a statement's proof rests on an object, and in which role. Append-only."""

    statement = models.ForeignKey(
        StampedStatement, on_delete=models.PROTECT, related_name="evidence_links", db_index=False
    )
    object = models.ForeignKey(EvidenceObject, on_delete=models.PROTECT, related_name="statement_links")
    role = models.CharField(max_length=16, choices=EvidenceRole)
    number = models.PositiveSmallIntegerField(help_text="from 0, in the order of their coming")
    proof = models.JSONField(null=True, help_text="of an archive time stamp: what it covers, and the way to its root")
    added_at = models.DateTimeField()

    class Meta:
        ordering = ["statement", "role", "number"]
        constraints = [models.UniqueConstraint(fields=["statement", "role", "number"], name="statement_evidence_once")]


class AnchoredHead(models.Model):
    """A record of an audit trail that was its head in one round. In the order of the records the heads are the leaves
    of the round's tree. Append-only."""

    anchor = models.ForeignKey(StampedStatement, on_delete=models.PROTECT, related_name="heads", db_index=False)
    record = models.OneToOneField("marketplace.AuditRecord", on_delete=models.PROTECT, related_name="anchored")

    class Meta:
        ordering = ["anchor", "record"]
        indexes = [models.Index(fields=["anchor", "record"], name="anchored_head_of_round")]
