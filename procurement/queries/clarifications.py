"""Questions and answers. No query here returns who asked: a reader learns of its own organisation's questions only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q, QuerySet

from marketplace.models import Organisation
from procurement.models import Bid, Clarification, Tender
from procurement.rules.lifecycle import ClarificationStatus


@dataclass(frozen=True, slots=True)
class Question:
    """A question as it is shown; `own` when the reader's organisation asked it."""

    pk: int
    number: int
    status: ClarificationStatus
    asked_at: datetime
    question: str
    answer: str
    answered_at: datetime | None
    own: bool


def shown_to(reader: Organisation | None, tender: Tender) -> list[Question]:
    """What is answered is public with its answer; what is not, only the buyer and the asker see. One query."""
    found = Clarification.objects.filter(tender=tender)
    if reader is None or reader.pk != tender.buyer_id:
        found = found.filter(Q(status=ClarificationStatus.ANSWERED.value) | Q(organisation=reader))
    own = reader.pk if reader is not None else None
    return [
        Question(
            row.pk,
            row.number,
            ClarificationStatus(row.status),
            row.asked_at,
            row.question,
            row.answer,
            row.answered_at,
            own=own is not None and row.organisation_id == own,
        )
        for row in found.order_by("number")
    ]


def open_count(tender: Tender) -> int:
    """How many questions wait for an answer."""
    return Clarification.objects.filter(tender=tender, status=ClarificationStatus.ASKED.value).count()


def concerned(tender: Tender) -> QuerySet[Organisation]:
    """Who has to be told of changes: suppliers with a bid, sent or not, and those who asked."""
    bidders = Bid.objects.filter(lot__tender=tender).values("supplier")
    askers = Clarification.objects.filter(tender=tender).values("organisation")
    return Organisation.objects.filter(Q(pk__in=bidders) | Q(pk__in=askers))
