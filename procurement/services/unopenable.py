"""Bids that can never be opened: too many shares of the committee's key are lost. A signer says so, with a reason that
every bidder reads; while the shares that are here suffice, nobody can.

A buyer who does not want to open cancels the procedure, which says another thing (services/cancellation.py).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from marketplace import audit
from marketplace.models import Role, SigningRequest
from marketplace.permissions import Actor
from marketplace.services import signing
from marketplace.services.notifications import notify
from marketplace.services.signing import Judged
from marketplace.shared.errors import DomainError
from marketplace.signatures.payload import parse
from procurement.models import KeyCeremony, Lot, Tender
from procurement.permissions import require_tender_signed
from procurement.queries import custody as queries
from procurement.rules.lifecycle import LotStatus
from procurement.services import moments, outcomes, shares, tender_signing
from procurement.services.cancellation import ChangedMeanwhile
from procurement.services.drafts import stream_of

ACTION: Final = "keys.lost"
SIGNING_TIME: Final = timedelta(hours=2)


class TooSoonToGiveUp(DomainError):
    code = "too_soon_to_give_up"
    sentence = gettext_lazy("Give the members at least a day: this is possible from %(after)s UTC.")


class StillOpenable(DomainError):
    code = "still_openable"
    sentence = gettext_lazy(
        "Enough shares are released to open the bids: any member who has one can do it. Whoever does not want them "
        "opened cancels the procedure, and says why."
    )


class EscrowWouldDo(DomainError):
    code = "escrow_would_do"
    sentence = gettext_lazy("With the platform’s share the bids can be opened. Use it first.")


@transaction.atomic
def prepare(tender_id: int, reason: str, *, by: Actor, at: datetime) -> SigningRequest:
    """What a signer signs to declare that the bids can never be opened.

    Raises NotFound, NotAllowed, BiddingRuns, RollNotClosed, NotWaiting, TooSoonToGiveUp, StillOpenable, EscrowWouldDo,
    Invalid, signing.NoIdentifier.
    """
    tender, ceremony = _lost(tender_id, by, at)
    shares.require_reason(reason)
    content = {
        "shares_needed": ceremony.threshold,
        "shares_released": queries.released_count(ceremony),
        "reason": reason.strip(),
    }
    return tender_signing.prepare(ACTION, tender, content, by=by, at=at, lasts=SIGNING_TIME)


@transaction.atomic
def declare(request_id: int, cms: bytes, *, by: Actor, at: datetime, verdict: Judged | None = None) -> Tender:
    """The procedure is unsuccessful, and its bids stay sealed for good. Sent again, the answer is the tender as it is.

    A `verdict` may be given later than the signature was received; whether the shares suffice is looked at then.
    Raises ChangedMeanwhile, and what `prepare` and signing.complete raise.
    """
    request, verdict = tender_signing.received(ACTION, request_id, cms, by=by, at=at, verdict=verdict)
    tender, _ceremony = shares.locked(int(request.object_id), by)
    # Under the lock: a second click may have waited for the first.
    request.refresh_from_db(fields=["used_at"])
    if request.used_at is not None:
        return tender
    tender, ceremony = _lost(tender.pk, by, at)
    if request.object_version != tender.version:
        raise ChangedMeanwhile
    signature = signing.complete(request, cms, by=by, at=at, verdict=verdict)
    reason = parse(bytes(request.payload))["content"]["reason"]
    audit.record(
        ACTION, tender, by=by, at=at, stream=stream_of(tender), reason=reason, signature=signature.pk,
        released=queries.released_count(ceremony), needed=ceremony.threshold,
    )  # fmt: skip
    _end(tender, reason, by, at)
    return tender


def _lost(tender_id: int, by: Actor, at: datetime) -> tuple[Tender, KeyCeremony]:
    """The tender and its committee, locked, whose shares do not suffice."""
    tender, ceremony = shares.locked(tender_id, by)
    require_tender_signed(by, tender)
    shares.require_waiting(tender, at)
    if ceremony.seed_received_at is not None:
        raise shares.NotWaiting(state=tender.get_status_display())
    assert tender.tender_ends_at is not None  # it waits
    if at < (after := tender.tender_ends_at + shares.a_day()):
        raise TooSoonToGiveUp(after=f"{after:%Y-%m-%d %H:%M}")
    sound = queries.sound_count(ceremony)
    if sound >= ceremony.threshold:
        raise StillOpenable
    if sound + 1 == ceremony.threshold and queries.escrow_unused(ceremony):
        raise EscrowWouldDo
    return tender, ceremony


def _end(tender: Tender, reason: str, by: Actor, at: datetime) -> None:
    words = _("The bids could not be opened: too many shares of the key are lost. %(reason)s") % {"reason": reason}
    for lot in Lot.objects.select_for_update().filter(tender=tender, status=LotStatus.ACTIVE.value):
        lot.tender = tender
        outcomes.fail_lot(lot, words, at, by=by)
    moments.cancel(tender)
    shares.forget(tender, at, by=by)
    outcomes.conclude(tender, at, by=by)
    for bid in outcomes.sealed_bids(tender):
        says = _("The bids of %(tender)s could not be opened: the buyer has lost the key. Nobody has read yours.")
        notify(
            bid.supplier, "bids_unopened", says % {"tender": tender.number}, reverse("bid", args=[bid.pk]), at=at,
            roles=[Role.BID_MANAGER],
        )  # fmt: skip
