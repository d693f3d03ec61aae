"""From a lead back to the request it was made of: the one who asked sees what becomes of it.

The caller holds the lead's lock. A request that was withdrawn or answered meanwhile stays as it is.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from analytics.models import Lead
from marketplace.permissions import Actor
from procurement.models import OfferRequest
from procurement.rules.lifecycle import REQUEST, RequestStatus
from procurement.services import offer_requests

#: States in which the one who asked still waits.
WAITING: Final = (RequestStatus.SENT.value, RequestStatus.TAKEN_UP.value)


def of(lead: Lead) -> list[OfferRequest]:
    """The requests behind a lead, the oldest first."""
    return list(OfferRequest.objects.filter(in_pipeline__lead=lead).select_related("asker", "category").order_by("pk"))


def waits(lead: Lead) -> bool:
    """Whether somebody who asked still waits for an answer."""
    return OfferRequest.objects.filter(in_pipeline__lead=lead, status__in=WAITING).exists()


def taken_up(lead: Lead, *, again: bool = False, by: Actor, at: datetime) -> None:
    """Somebody is at it; with `again` also at what was declined, which else stays so."""
    states = (RequestStatus.SENT.value, RequestStatus.DECLINED.value) if again else (RequestStatus.SENT.value,)
    for request in _locked(lead):
        if request.status in states:
            offer_requests.take_up(request.pk, by=by, at=at)


def declined(lead: Lead, said: str, *, by: Actor, at: datetime) -> None:
    """Nothing will come of it; `said` is what the one who asked reads."""
    for request in _locked(lead):
        if RequestStatus.DECLINED in REQUEST[RequestStatus(request.status)]:
            offer_requests.decline(request.pk, said, by=by, at=at)


def _locked(lead: Lead) -> list[OfferRequest]:
    """As they are once nobody else is at them: one may be withdrawn at this very moment."""
    rows = OfferRequest.objects.select_for_update(of=("self",)).filter(in_pipeline__lead=lead)
    return list(rows.order_by("pk"))
