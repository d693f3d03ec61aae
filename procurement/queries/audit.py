"""The audit trail of a tender and its parts."""

from __future__ import annotations

from django.db.models import QuerySet

from marketplace.models import AuditRecord
from procurement.models import Tender
from procurement.rules.lifecycle import TenderStatus

_SEALED = (TenderStatus.PUBLISHED, TenderStatus.OPENING)
_ANONYMOUS = (*_SEALED, TenderStatus.EVALUATION, TenderStatus.AUCTION)


def of_tender(tender: Tender) -> QuerySet[AuditRecord]:
    """Everything recorded about the tender, its lots, questions and bids."""
    return AuditRecord.objects.filter(stream=f"tender:{tender.pk}").select_related("person", "organisation")


def hides_bidders(tender: Tender) -> bool:
    """Whether who bids is not told yet: before the opening, and until a live auction is over.

    A tender cancelled before its opening never tells who bid: it may be published anew.
    """
    hidden = _ANONYMOUS if tender.preset.live else _SEALED
    return tender.opened_at is None or tender.status in hidden
