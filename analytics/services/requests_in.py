"""Requests for an offer become leads: at once by a job, and within minutes where the job was lost.

A request is heard in one transaction: what happened before it stays unheard and is heard again. The book's leads, the
lead and the request are locked in this order, here and wherever else two of them are.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.db.models import F, Q
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from analytics.models import Account, Book, Lead, LeadRequest, LeadSource
from analytics.permissions import book_for
from analytics.rules.pipeline import LeadState
from analytics.services import lead_requests, leads
from analytics.services.leads import LeadDetails
from marketplace.permissions import NOBODY
from procurement.models import ContactBy, OfferRequest
from procurement.rules.lifecycle import RequestStatus
from procurement.services import offer_requests, words

_log = logging.getLogger(__name__)
#: The job has had its time by then.
LOST_AFTER: Final = timedelta(seconds=30)
_AT_ONCE: Final = 500
_AGAIN_WITHIN: Final = timedelta(days=1)
_OVER: Final = (RequestStatus.WITHDRAWN.value, RequestStatus.DECLINED.value)


@transaction.atomic
def hear(request_id: int, *, at: datetime) -> Lead | None:
    """Make a lead of a request, or note on its lead what became of it. Safe to repeat, and for two at once.

    Returns the lead; None where there is none. Raises NotFound, TooManyLeads.
    """
    found = OfferRequest.objects.filter(pk=request_id).values_list("supplier", flat=True).first()
    book = book_for(found)
    leads.lock_leads(book.pk)
    lead = _lead_of(request_id)
    request = offer_requests.hear(request_id)
    if request is None:
        return lead
    if lead is None and request.status not in _OVER:
        lead, _is_new = leads.take_in(book, LeadSource.REQUEST, _details(book, request), by=NOBODY, at=at)
        LeadRequest.objects.create(lead=lead, request=request, taken_at=at)
    if lead is not None:
        _note(lead, request, at)
    offer_requests.heard(request)
    return lead


def sweep(*, at: datetime) -> int:
    """Hear what was not heard. Returns how many were.

    One that cannot be heard does not hold up the others: it waits as long again as it has waited, at most a day.
    """
    due = Q(hear_after=None) | Q(hear_after__lte=at)
    waiting = OfferRequest.objects.filter(due, heard=False, changed_at__lte=at - LOST_AFTER).order_by("changed_at")
    done = 0
    for pk, changed_at in list(waiting.values_list("pk", "changed_at")[:_AT_ONCE]):
        try:
            hear(pk, at=at)
            done += 1
        except Exception:  # noqa: BLE001  one request's trouble is not that of the others
            _log.exception("The request for an offer %s could not be heard", pk)
            offer_requests.put_off(pk, changed_at, until=at + min(at - changed_at, _AGAIN_WITHIN))
    return done


def _lead_of(request_id: int) -> Lead | None:
    rows = Lead.objects.select_for_update(of=("self",)).select_related("book", "representative")
    return rows.filter(requests__request=request_id).first()


def _note(lead: Lead, request: OfferRequest, at: datetime) -> None:
    """What was done to the request and not on the lead."""
    status = RequestStatus(request.status)
    if lead.status == LeadState.NEW.value and status in (RequestStatus.TAKEN_UP, RequestStatus.ANSWERED):
        leads.note_taken_up(lead, at=at)
    elif lead.status == LeadState.DISQUALIFIED.value and status is RequestStatus.TAKEN_UP:
        leads.note_taken_up(lead, at=at)  # declined first, and thought better of
    elif request.status in _OVER and not lead_requests.waits(lead):
        withdrawn = request.status == RequestStatus.WITHDRAWN
        leads.note_over(lead, _("The customer withdrew the request.") if withdrawn else request.declined_because, at=at)


def _details(book: Book, request: OfferRequest) -> LeadDetails:
    asker = request.asker
    accounts = Account.objects.filter(book=book, buyer=asker)
    account = accounts.order_by(F("merged_into_id").desc(nulls_first=True), "-pk").first()
    return LeadDetails(
        company=asker.short_name,
        country=asker.country,
        contact_name=str(request.asked_by),
        # As on the request's own page: only where that is how they want to be answered.
        email=request.asked_by.email if request.contact_by == ContactBy.EMAIL else "",
        phone=str(request.phone or ""),
        need=_need(request),
        reference=f"request-{request.pk}",
        account_id=account.pk if account is not None else None,
        buyer_id=asker.pk,
    )


def _need(request: OfferRequest) -> str:
    """What is asked for, and in short lines below it what else was said."""
    said = [request.need]
    if request.category is not None:
        said.append(_("Category: %(name)s") % {"name": request.category})
    if request.quantity is not None:
        said.append(_("Quantity: %(n)s %(unit)s") % {"n": words.plain(request.quantity), "unit": request.unit_counted})
    if request.budget is not None:
        said.append(_("Budget: %(amount)s") % {"amount": words.price(request.budget, request.currency)})
    said.append(_("Wanted by: %(day)s") % {"day": date_format(request.wanted_by, "j M Y")})
    said.append(_("Answer: %(how)s") % {"how": ContactBy(request.contact_by).label})
    return "\n".join(said)
