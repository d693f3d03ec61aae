"""The audit trail of a tender and its parts."""

from __future__ import annotations

from django.db.models import QuerySet

from marketplace.models import AuditRecord
from procurement.models import Tender


def of_tender(tender: Tender) -> QuerySet[AuditRecord]:
    """Everything recorded about the tender, its lots, questions and bids."""
    return AuditRecord.objects.filter(stream=f"tender:{tender.pk}").select_related("person", "organisation")
