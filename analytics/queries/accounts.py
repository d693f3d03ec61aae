"""Buyer accounts."""

from __future__ import annotations

from django.db.models import QuerySet

from marketplace.models import Organisation
from marketplace.queries import staff


def buyers(*, text: str = "") -> QuerySet[Organisation]:
    """Organisations that buy, by a part of the short name or a registration number."""
    return staff.organisations(text=text).filter(is_buyer=True)
