"""Requests for an offer: those an organisation has sent, and those sent to it or to the platform."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django.db.models import QuerySet
from django.urls import reverse
from django.utils.translation import ngettext

from marketplace.models import Organisation, Role, StaffRole
from marketplace.permissions import Actor
from marketplace.waiting import Task
from procurement.models import OfferRequest
from procurement.rules.lifecycle import RequestStatus

_COUNTED = 100
_HANDLES = (Role.REPRESENTATIVE, Role.SALES_MANAGER, Role.BID_MANAGER, Role.ADMINISTRATOR)


def sent_by(organisation: Organisation) -> QuerySet[OfferRequest]:
    """What the organisation has asked, with whom it asked."""
    return OfferRequest.objects.filter(asker=organisation).select_related("supplier", "category", "asked_by")


def sent_to(organisation: Organisation | None) -> QuerySet[OfferRequest]:
    """What was asked of a supplier, or of the platform (None), with who asked."""
    found = OfferRequest.objects.filter(supplier=organisation)
    return found.select_related("asker", "category", "asked_by", "handled_by")


def tasks(actor: Actor, at: datetime) -> Iterator[Task]:
    """Requests that nobody has taken up yet."""
    received: list[tuple[str, Organisation | None]] = []
    if actor.organisation is not None and actor.is_supplier and actor.has(*_HANDLES):
        received.append(("received", actor.organisation))
    if actor.is_a(StaffRole.REPRESENTATIVE, StaffRole.SALES_MANAGER):
        received.append(("platform", None))
    for side, asked in received:
        count = sent_to(asked).filter(status=RequestStatus.SENT.value).order_by()[:_COUNTED].count()
        if count:
            words = ngettext("%(n)s request for an offer waits", "%(n)s requests for an offer wait", count)
            url = f"{reverse('offer_requests')}?side={side}"
            yield Task(words % {"n": count}, url, icon="message-question", count=count)
