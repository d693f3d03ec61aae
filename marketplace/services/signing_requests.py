"""Prepared payloads that nobody signed: kept while they may be asked about, then forgotten."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from marketplace.models import SigningRequest

#: How long one that expired unsigned is kept: whoever was refused may still write in about it.
KEPT: Final = timedelta(days=30)
_AT_ONCE: Final = 1_000


def forget_unused(*, at: datetime) -> int:
    """Delete requests that expired long ago without a signature and that nothing refers to; how many."""
    forgotten = 0
    while True:
        with transaction.atomic():
            old = list(_unused(at).select_for_update(skip_locked=True).values_list("pk", flat=True)[:_AT_ONCE])
            SigningRequest.objects.filter(pk__in=old).delete()
        forgotten += len(old)
        if len(old) < _AT_ONCE:
            return forgotten


def _unused(at: datetime) -> QuerySet[SigningRequest]:
    """What was sealed for a signature refers to its request, and is thrown away by its own rule."""
    found = SigningRequest.objects.filter(used_at=None, expires_at__lt=at - KEPT)
    for relation in SigningRequest._meta.get_fields(include_hidden=True):
        if relation.auto_created and relation.related_model is not None and not relation.concrete:
            referring = relation.related_model._base_manager.filter(**{relation.field.name: OuterRef("pk")})  # type: ignore[union-attr]  # a reverse relation has a field
            found = found.exclude(Exists(referring))
    return found.order_by("pk")
