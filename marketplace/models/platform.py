"""What every part of the platform leans on: stored files, notifications, double-submit keys, heartbeats."""

from datetime import timedelta

from django.conf import settings
from django.db import models


class StoredFile(models.Model):
    """A file whose bytes lie in the storage under `path`, checked (type, size) and hashed before it was stored."""

    organisation = models.ForeignKey(
        "marketplace.Organisation", on_delete=models.PROTECT, null=True, blank=True, related_name="files"
    )
    name = models.CharField(max_length=200)
    path = models.CharField(max_length=200)
    media_type = models.CharField(max_length=120)
    size = models.PositiveBigIntegerField(help_text="bytes")
    sha256 = models.CharField(max_length=64)
    uploaded_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    uploaded_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name


class Notification(models.Model):
    """Something a person should know; also sent by mail where `mailed`."""

    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="notifications")
    organisation = models.ForeignKey("marketplace.Organisation", on_delete=models.CASCADE, null=True, blank=True)
    kind = models.CharField(max_length=40)
    text = models.CharField(max_length=300)
    url = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField()
    read_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-pk"]
        indexes = [models.Index(fields=["person", "-id"], name="notification_of_person")]


class IdempotencyKey(models.Model):
    """What a key sent with a submission has already done, so that a double click submits once."""

    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=64)
    action = models.CharField(max_length=64)
    object_id = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["person", "action", "key"], name="idempotency_once")]


class Heartbeat(models.Model):
    """When a process of the platform last said that it lives."""

    process = models.CharField(max_length=40, primary_key=True)
    at = models.DateTimeField()
    detail = models.JSONField(default=dict)


class ClockStep(models.Model):
    """The database's clock was set while somebody counted through it. Until `taken_at` the platform's time leaves the
    step out; see services/timekeeping.py."""

    at = models.DateTimeField(help_text="the platform's time, which went on")
    by = models.DurationField(help_text="forward; below zero: back")
    noticed_by = models.CharField(max_length=40, help_text="the process")
    told_at = models.DateTimeField(null=True, blank=True, help_text="when operators were told")
    taken_at = models.DateTimeField(null=True, blank=True, help_text="when the platform took over the new time")

    class Meta:
        ordering = ["-pk"]

    @property
    def back(self) -> timedelta:
        """How far the clock was set back; below zero: forward."""
        return -self.by


class KeyRotation(models.Model):
    """When the secrets were wrapped anew, under which key of the key file, and how many of each kind."""

    key = models.CharField(max_length=64)
    at = models.DateTimeField()
    counts = models.JSONField(default=dict)
    lost = models.PositiveIntegerField(default=0, help_text="secrets that no key of the file opened")

    class Meta:
        ordering = ["-pk"]
