"""The audit trail: append-only, hash-chained per stream. Written by marketplace.audit.record alone."""

from django.conf import settings
from django.db import models


class AuditRecord(models.Model):
    """One thing that happened. `hash` covers the record and the hash before it in the same stream."""

    stream = models.CharField(max_length=60)
    number = models.PositiveIntegerField()
    at = models.DateTimeField()
    action = models.CharField(max_length=60)
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    organisation = models.ForeignKey("marketplace.Organisation", on_delete=models.PROTECT, null=True, related_name="+")
    object_type = models.CharField(max_length=40)
    object_id = models.CharField(max_length=40)
    details = models.JSONField(default=dict)
    previous_hash = models.CharField(max_length=64)
    hash = models.CharField(max_length=64)

    class Meta:
        ordering = ["stream", "number"]
        constraints = [models.UniqueConstraint(fields=["stream", "number"], name="audit_number_once")]
        indexes = [
            models.Index(fields=["object_type", "object_id"], name="audit_of_object"),
            models.Index(fields=["action", "-id"], name="audit_by_action"),
            models.Index(fields=["person", "-id"], name="audit_by_person"),
        ]
