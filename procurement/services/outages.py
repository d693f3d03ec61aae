"""What an outage does to auctions: those that run are paused and given back the time they lost, those that should have
started are put off. By the platform itself; that it happened, why and for how long is in each auction's log.

Any number of processes may do it at once, and again after a failure: what an auction was given is written down under
its lock, once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import InterfaceError, OperationalError, transaction
from django.urls import reverse
from django.utils.translation import gettext as _

from marketplace import audit
from marketplace.models import Organisation, Role, StaffRole
from marketplace.services import notifications, timekeeping
from procurement.models import Auction, AuctionEvent, MomentKind, Outage, OutageEffect, OutageEffectKind, Tender
from procurement.queries import outages as queries
from procurement.rules.auction.log import EventKind, Hall, iso
from procurement.rules.lifecycle import AuctionStatus
from procurement.services import auction_course, auctions, moments, pulse
from procurement.services.transitions import move

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Owed:
    """An auction for which an outage still asks for something."""

    outage: int
    auction: int
    lot: int


def attend(process: str) -> None:
    """What a clock does about outages before anything else: notice one that began, give back what is owed."""
    pulse.notice(process)
    make_up(owed())


def settle_all(at: datetime) -> None:
    """What a clock does about outages when nothing else is due: tell whom those concern that were made up for."""
    for outage in queries.unsettled().exclude(ended_at=None):
        if not queries.touched(outage).exists():
            settle(outage.pk, at=at)


def owed() -> list[Owed]:
    """What is still to be done, the soonest end first."""
    return [
        Owed(outage.pk, auction, lot)
        for outage in queries.unsettled()
        for auction, lot in queries.touched(outage).values_list("pk", "lot_id")
    ]


def make_up(pending: Iterable[Owed], done: Callable[[Owed], None] | None = None) -> None:
    """Pause what an outage holds up, and give back what one that is over took; `done` is told of each.

    One auction that fails keeps no other from its due, and stays owed. Raises OperationalError or InterfaceError where
    the database is away.
    """
    for one in pending:
        try:
            bear(one.outage, one.auction, at=timekeeping.now())
        except (OperationalError, InterfaceError):
            raise
        except Exception:
            log.exception("Auction %s did not get back what outage %s took", one.auction, one.outage)
        else:
            if done is not None:
                done(one)


@transaction.atomic
def bear(outage_id: int, auction_id: int, *, at: datetime) -> OutageEffect | None:
    """Do to the auction what the outage asks for at this time, unless it was done. None where there is nothing to do
    yet, or any more."""
    auction, tender, hall = auctions.locked(auction_id)
    outage = Outage.objects.get(pk=outage_id)
    effect = OutageEffect.objects.filter(outage=outage, auction=auction).first()
    if effect is not None and effect.settled_at is not None:
        return effect
    effect = effect or OutageEffect(outage=outage, auction=auction)
    match AuctionStatus(auction.status):
        case AuctionStatus.SCHEDULED if outage.ended_at is not None:
            _put_off(effect, auction, tender, hall, at)
        case AuctionStatus.RUNNING if outage.ended_at is None:
            _pause(effect, auction, tender, hall, at)
        case AuctionStatus.RUNNING:
            _extend(effect, auction, tender, hall, at)
        case AuctionStatus.PAUSED if outage.ended_at is not None:
            _resume(effect, auction, tender, hall, at)
        case _:
            return None
    effect.save()
    return effect


@transaction.atomic
def settle(outage_id: int, *, at: datetime) -> bool:
    """Close the case of an outage that is over and has been made up for: the audit, and word to everybody concerned.
    False where it was closed already."""
    outage = Outage.objects.select_for_update().get(pk=outage_id)
    if outage.settled_at is not None or outage.ended_at is None:
        return False
    outage.settled_at = at
    outage.save(update_fields=["settled_at"])
    effects = list(outage.effects.exclude(moved_by=None).select_related("auction__lot__tender__buyer"))
    lost = outage.ended_at - outage.began_at
    audit.record(
        "platform.outage", outage, by=None, at=at, stream="platform", began_at=iso(outage.began_at),
        ended_at=iso(outage.ended_at), seconds=_seconds(lost), auctions=[effect.auction_id for effect in effects],
    )  # fmt: skip
    text = _("The platform could not take bids for %(seconds)s seconds. Auctions concerned: %(count)s.")
    words = text % {"seconds": _seconds(lost), "count": len(effects)}
    notifications.notify_staff([StaffRole.OPERATOR], "outage", words, reverse("outages"), at=at, mail=True)
    for effect in effects:
        _tell(effect, at)
    return True


def _pause(effect: OutageEffect, auction: Auction, tender: Tender, hall: Hall, at: datetime) -> None:
    since = _lost_since(effect.outage, auction)
    hall = auction_course.catch_up(auction, hall, since)
    auction.paused_at = since
    move(auction, AuctionStatus.PAUSED)
    reason = _("The platform cannot take bids at the moment. The time lost will be given back.")
    _write_pause(effect.outage, auction, tender, hall, reason, at)
    effect.kind = OutageEffectKind.PAUSED


def _extend(effect: OutageEffect, auction: Auction, tender: Tender, hall: Hall, at: datetime) -> None:
    """Nobody could pause it while the outage lasted: both at once, after it."""
    if effect.kind == OutageEffectKind.PAUSED:
        # An operator let it go on before us, and so gave back everything since the pause.
        effect.settled_at = at
        return
    # Up to now: no gateway takes a bid for an auction that is owed its time.
    since = _lost_since(effect.outage, auction)
    lost = at - since
    effect.kind, effect.settled_at = OutageEffectKind.UNTOUCHED, at
    if lost <= timedelta() or _went_on_after(effect.outage, auction):
        return
    effect.kind, effect.moved_by = OutageEffectKind.EXTENDED, lost
    hall = auction_course.catch_up(auction, hall, since)
    move(auction, AuctionStatus.PAUSED)
    if effect.outage.detail.get("clock_forward_s"):
        words = _("The platform’s clock was set forward by %(seconds)s seconds.")
    else:
        words = _("The platform could not take bids for %(seconds)s seconds.")
    reason = words % {"seconds": _seconds(lost)}
    after = _write_pause(effect.outage, auction, tender, hall, reason, at)
    move(auction, AuctionStatus.RUNNING)
    auctions.go_on_later(auction, tender, after, lost, by=None, at=at, **_told(effect.outage))


def _resume(effect: OutageEffect, auction: Auction, tender: Tender, hall: Hall, at: datetime) -> None:
    """One that we paused goes on. One that an operator paused stays so; the time lost before is given back with it."""
    began = _lost_since(effect.outage, auction)
    paused_at = auction.paused_at or at
    if effect.kind == OutageEffectKind.PAUSED:
        effect.moved_by, effect.settled_at = at - paused_at, at
        move(auction, AuctionStatus.RUNNING)
        auctions.go_on_later(auction, tender, hall, at - paused_at, by=None, at=at, **_told(effect.outage))
        return
    effect.kind, effect.settled_at = OutageEffectKind.UNTOUCHED, at
    if began < paused_at:
        effect.kind, effect.moved_by = OutageEffectKind.EXTENDED, min(paused_at, _ended(effect.outage)) - began
        auction.paused_at = paused_at - effect.moved_by
        auction.save(update_fields=["paused_at"])


def _put_off(effect: OutageEffect, auction: Auction, tender: Tender, hall: Hall, at: datetime) -> None:
    """A start that was missed is announced anew: nobody sits waiting for the platform to come back."""
    starts_at = at + timedelta(seconds=settings.AUCTION_RESTART_NOTICE_SECONDS)
    effect.kind, effect.moved_by, effect.settled_at = OutageEffectKind.PUT_OFF, starts_at - auction.starts_at, at
    auctions.shift(auction, effect.moved_by)
    auction.starts_at = starts_at
    reason = _("The platform could not take bids when the auction was to start.")
    detail = {**auctions.times(auction), "reason": reason, **_told(effect.outage)}
    auctions.append(auction, hall, EventKind.RETIMED, at, detail=detail)
    moments.schedule(MomentKind.AUCTION_STARTS, tender, starts_at, auction.lot)
    if tender.auction_starts_at is None or tender.auction_starts_at < starts_at:
        tender.auction_starts_at = starts_at
        tender.save(update_fields=["auction_starts_at", "updated_at"])
    auctions.record("auction.put_off", auction, tender, None, at, reason=reason, starts_at=iso(starts_at))


def _write_pause(outage: Outage, auction: Auction, tender: Tender, hall: Hall, reason: str, at: datetime) -> Hall:
    detail = {"reason": reason, **_told(outage)}
    after = auctions.append(auction, hall, EventKind.PAUSED, at, detail=detail, saves=["paused_at"])
    auctions.record("auction.paused", auction, tender, None, at, reason=reason, **_told(outage))
    return after


def _lost_since(outage: Outage, auction: Auction) -> datetime:
    """From the last sign on, or the last thing that happened in the auction if that was later: it ran till then."""
    happened = AuctionEvent.objects.filter(auction=auction).exclude(kind=EventKind.PAUSED.value).order_by("-at")
    if outage.ended_at is not None:
        happened = happened.filter(at__lt=outage.ended_at)
    last = happened.values_list("at", flat=True).first()
    return max(filter(None, (outage.began_at, auction.starts_at, last)))


def _went_on_after(outage: Outage, auction: Auction) -> bool:
    """Whether the auction was let go on since the outage ended, for an earlier one: so it has had back all until
    then."""
    resumed = AuctionEvent.objects.filter(auction=auction, kind=EventKind.RESUMED.value)
    return resumed.filter(at__gte=_ended(outage)).exists()


def _ended(outage: Outage) -> datetime:
    if outage.ended_at is None:
        raise ValueError(f"outage {outage.pk} still lasts")
    return outage.ended_at


def _told(outage: Outage) -> dict[str, str | None]:
    """The outage as an event of the log names it."""
    return {
        "outage_began_at": iso(outage.began_at),
        "outage_ended_at": None if outage.ended_at is None else iso(outage.ended_at),
    }


def _tell(effect: OutageEffect, at: datetime) -> None:
    auction = effect.auction
    tender, lot = auction.lot.tender, auction.lot
    if effect.kind == OutageEffectKind.PUT_OFF:
        text = _("%(number)s, lot %(lot)s: the platform could not take bids. The auction starts %(seconds)s s later.")
    else:
        text = _("%(number)s, lot %(lot)s: the platform could not take bids. The auction ends %(seconds)s s later.")
    words = text % {"number": tender.number, "lot": lot.number, "seconds": _seconds(effect.moved_by or timedelta())}
    url = reverse("auction", args=[tender.number, lot.number])
    for organisation, roles in _concerned(auction):
        notifications.notify(organisation, "auction_outage", words, url, at=at, roles=roles)


def _concerned(auction: Auction) -> Iterable[tuple[Organisation, list[Role]]]:
    yield auction.lot.tender.buyer, [Role.OFFICER]
    for seat in auction.participants.select_related("supplier"):
        yield seat.supplier, [Role.BID_MANAGER]


def _seconds(length: timedelta) -> int:
    return round(length.total_seconds())
