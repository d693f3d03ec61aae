"""How lots end, and what that makes of their tender."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from django.utils.translation import gettext as _

from marketplace import audit
from marketplace.models import Role
from marketplace.permissions import Actor
from marketplace.services import notifications
from procurement.models import Award, Bid, Lot, Tender
from procurement.rules.lifecycle import AwardStatus, BidStatus, LotStatus, TenderStatus, tender_outcome
from procurement.services.transitions import move

BUYERS: Final = (Role.OFFICER, Role.SIGNER)


def fail_lot(lot: Lot, reason: str, at: datetime, *, by: Actor | None = None) -> None:
    """The lot ends without a winner. The caller holds the tender's lock and calls `conclude` after its last lot."""
    move(lot, LotStatus.UNSUCCESSFUL)
    lot.closing_reason = reason
    lot.save(update_fields=["status", "closing_reason"])
    audit.record("lot.unsuccessful", lot, by=by, at=at, stream=_stream(lot.tender), reason=reason)


def complete_lot(lot: Lot, at: datetime, *, by: Actor | None = None) -> None:
    """The lot's contract is signed by both sides. As `fail_lot` for the rest."""
    move(lot, LotStatus.COMPLETE)
    lot.save(update_fields=["status"])
    audit.record("lot.completed", lot, by=by, at=at, stream=_stream(lot.tender))


def conclude(tender: Tender, at: datetime, *, by: Actor | None = None) -> bool:
    """End the tender when none of its lots is active any more; whether it ended. The caller holds its lock."""
    lots = list(Lot.objects.filter(tender=tender))
    outcome = tender_outcome(LotStatus(lot.status) for lot in lots)
    if outcome is None:
        return False
    move(tender, outcome)
    tender.closed_at = at
    if outcome is TenderStatus.UNSUCCESSFUL:
        tender.closing_reason = " ".join(
            _("Lot %(number)s: %(reason)s") % {"number": lot.number, "reason": lot.closing_reason} for lot in lots
        )
    tender.save(update_fields=["status", "closed_at", "closing_reason", "updated_at"])
    audit.record(f"tender.{outcome.value}", tender, by=by, at=at, stream=_stream(tender))
    words = {
        TenderStatus.COMPLETE: _("%(tender)s is complete."),
        TenderStatus.UNSUCCESSFUL: _("%(tender)s ended without a winner."),
        TenderStatus.CANCELLED: _("%(tender)s is cancelled."),
    }[outcome]
    notifications.notify(
        tender.buyer, "tender_closed", words % {"tender": tender.number}, tender.get_absolute_url(), at=at, roles=BUYERS
    )
    return True


def sealed_bids(tender: Tender) -> list[Bid]:
    """Sent bids that nobody has opened, for telling their suppliers that nobody will."""
    return list(
        Bid.objects.filter(lot__tender=tender, status=BidStatus.SUBMITTED.value)
        .select_related("supplier")
        .defer("draft")
        .order_by("pk")
    )


def begin_standstill(tender: Tender, at: datetime) -> None:
    """Standstill begins for a tender that is being awarded when every lot that is still active has its award.

    The caller holds the tender's lock. Where no standstill is left to wait for, the tender stays as it is.
    """
    if tender.status != TenderStatus.AWARDING:
        return
    active = Lot.objects.filter(tender=tender, status=LotStatus.ACTIVE.value)
    if active.exclude(awards__status=AwardStatus.ACTIVE.value).exists():
        return
    awards = Award.objects.filter(lot__in=active, status=AwardStatus.ACTIVE.value, standstill_ends_at__gt=at)
    ends = max((award.standstill_ends_at for award in awards if award.standstill_ends_at), default=None)
    if ends is None:
        return
    move(tender, TenderStatus.STANDSTILL)
    tender.standstill_ends_at = ends
    tender.save(update_fields=["status", "standstill_ends_at", "updated_at"])


def _stream(tender: Tender) -> str:
    return f"tender:{tender.pk}"
