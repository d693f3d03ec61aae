"""Signatures of bids received in time that wait for their verdict: the opening waits for them, not for ever."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy

from marketplace import audit
from marketplace.models import QueuedSignature
from marketplace.services import signature_queue
from marketplace.shared.errors import DomainError
from procurement.models import Bid, Tender
from procurement.queries.bids import OPENING


class SignaturesBeingJudged(DomainError):
    """`until` is when they are waited for no longer."""

    code = "signatures_being_judged"
    sentence = gettext_lazy(
        "Signatures that were received in time are still being judged. The bids are opened when they are, at the "
        "latest at %(latest)s UTC."
    )

    def __init__(self, until: datetime) -> None:
        self.until = until
        super().__init__(latest=f"{until:%Y-%m-%d %H:%M:%S}")


def require_bids_judged(tender: Tender, at: datetime) -> None:
    """No signature of a bid received before the deadline waits for its verdict. For the opening, which holds its locks.

    Raises SignaturesBeingJudged during SIGNATURE_JUDGING_GRACE after the deadline; after it those that still wait are
    given up, with what is known of them in the tender's audit trail.
    """
    rows = list(waiting_for(tender))
    if not rows:
        return
    until = judged_until(tender)
    if at < until:
        raise SignaturesBeingJudged(until)
    signature_queue.give_up(rows, at=at)
    for row in rows:
        bid = Bid.objects.only("pk").get(pk=int(row.request.object_id))
        audit.record(
            "bid.signature_expired", bid, by=None, at=at, stream=f"tender:{tender.pk}",
            signed_action=row.request.action, version=row.request.object_version,
            received_at=row.received_at.isoformat(), attempts=row.attempts,
            payload_sha256=row.request.payload_sha256, cms_sha256=row.cms_sha256,
        )  # fmt: skip


def waiting_for(tender: Tender) -> list[QueuedSignature]:
    """The signatures of bids that wait for their verdict, in the order of their receipt."""
    return list(_waiting_for(tender).select_related("request").defer("cms"))


def is_waited_for(tender: Tender) -> bool:
    """Whether signatures of bids wait for their verdict."""
    return _waiting_for(tender).exists()


def judged_until(tender: Tender) -> datetime:
    """The latest moment at which bids are opened for want of a verdict."""
    assert tender.tender_ends_at is not None  # a published tender has one: a constraint of the table
    return tender.tender_ends_at + settings.SIGNATURE_JUDGING_GRACE


def _waiting_for(tender: Tender) -> QuerySet[QueuedSignature]:
    return signature_queue.waiting().filter(holds=opening_of(tender.pk), request__used_at=None)


def opening_of(tender_id: int) -> str:
    """What waits for the signature of a bid of this tender, as the queue names it."""
    return f"{OPENING}{tender_id}"
