"""Shares of a key that a committee holds: tried before the deadline, released after it, put together in a browser.

A release is the share sealed again to every other member, so the platform never reads one; only the seed that k of
them make is sent here, after the deadline, and taken when it makes the lots' public keys. The share in escrow is
released by the platform itself, on an officer's word and for all to see.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import transaction
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from marketplace import audit
from marketplace.models import Notification, Role
from marketplace.permissions import Actor, person_of, require_role
from marketplace.services import committee_keys
from marketplace.services.notifications import notify
from marketplace.shared import keys
from marketplace.shared.errors import DomainError, Invalid, NotAllowed, NotFound
from marketplace.signatures import committee
from marketplace.signatures.committee import CommitteeKeyError, Recipient
from procurement.models import KeyCeremony, KeyCustody, KeyShare, Lot, MomentKind, ReleasedShare, Tender
from procurement.permissions import require_tender_run
from procurement.queries import custody as queries
from procurement.rules.lifecycle import LotStatus, TenderStatus
from procurement.rules.periods import PeriodUnit
from procurement.services import custody, lot_keys, moments
from procurement.services.drafts import lock_tender, stream_of

WANTED: Final = "key_share_wanted"
ENOUGH: Final = "key_shares_enough"
REASON_MIN_LENGTH: Final = 10
#: How often a release is replaced after a report: a mistake is mended once or twice.
REPLACED_AT_MOST: Final = 3
REMIND_AGAIN: Final = timedelta(minutes=10)


class NoShare(NotAllowed):
    code = "no_key_share"
    sentence = gettext_lazy("You hold no share of this procedure’s key.")


class BiddingRuns(DomainError):
    code = "bidding_runs"
    sentence = gettext_lazy("Bids are taken until %(until)s UTC. Shares are released after that, not before.")


class RollNotClosed(DomainError):
    code = "roll_not_closed"
    sentence = gettext_lazy("Bidding is over and the list of bids is just being closed. Try again in a few seconds.")


class NotWaiting(DomainError):
    code = "no_shares_wanted"
    sentence = gettext_lazy("This procedure does not wait for shares: its state is “%(state)s”.")


class ReleaseRefused(DomainError):
    code, status = "release_refused", 422
    sentence = gettext_lazy("Your share did not arrive as it should. Load the page again and release it once more.")


class TooFewShares(DomainError):
    code = "too_few_shares"
    sentence = gettext_lazy("Only %(have)s of the %(needed)s shares that are needed have been released.")


class WrongKey(DomainError):
    code, status = "wrong_key", 422
    sentence = gettext_lazy("This is not the key: it does not make the public keys to which the bids were sealed.")


class NoEscrow(DomainError):
    code = "no_escrow"
    sentence = gettext_lazy("The platform holds no share of this procedure’s key.")


class EscrowUnusable(DomainError):
    code, status = "escrow_unusable", 422
    sentence = gettext_lazy("The platform’s share does not open, or is not the one that was announced.")


class ReplacedTooOften(DomainError):
    code = "share_replaced_too_often"
    sentence = gettext_lazy(
        "Your share was found to be another than the announced one again and again: it is not taken once more. Tell "
        "the buyer’s officer."
    )


def release_info(tender: Tender, share: KeyShare, to: KeyShare, key: Recipient) -> str:
    """What a released share is bound to."""
    return f"openlot-released-1|{tender.number}|{share.ceremony_id}|{share.index}|{to.index}|{key.fingerprint}"


@transaction.atomic
def confirm(tender_id: int, token: str, answer: bytes, *, by: Actor, at: datetime) -> KeyShare:
    """Note that a member opened their share: the answer shows that they hold the key it is sealed to.

    Raises NotFound, NoShare, NotWaiting, committee_keys.NotProved.
    """
    tender, ceremony = locked(tender_id, by)
    share = _own(ceremony, by)
    if tender.status not in (TenderStatus.DRAFT, TenderStatus.APPROVAL, TenderStatus.PUBLISHED, TenderStatus.OPENING):
        raise NotWaiting(state=tender.get_status_display())
    if committee_keys.prove(token, answer, by=by, at=at).pk != share.key_id:
        raise committee_keys.NotProved
    if share.confirmed_at is None:
        share.confirmed_at = at
        share.save(update_fields=["confirmed_at"])
        _record("share.confirmed", tender, share, by, at)
    return share


@transaction.atomic
def release(tender_id: int, releases: Mapping[int, bytes], *, by: Actor, at: datetime) -> KeyShare:
    """Keep a member's share, sealed to each of the other members by their places.

    Released again, it is replaced for those members who reported it wrong, and for no others: what one may rely on
    stays. Raises NotFound, NoShare, BiddingRuns, RollNotClosed, NotWaiting, ReleaseRefused, ReplacedTooOften.
    """
    tender, ceremony = locked(tender_id, by)
    share = _own(ceremony, by)
    if ceremony.seed_received_at is not None:
        return share
    require_waiting(tender, at)
    others = {
        other.index: other
        for other in ceremony.shares.select_related("key").exclude(pk=share.pk).filter(member__isnull=False)
    }
    if set(releases) != set(others):
        raise ReleaseRefused
    for index, sealed in releases.items():
        if len(sealed) != committee.sealed_size(custody.recipient_of(others[index])):
            raise ReleaseRefused
    if share.released_at is None:
        ReleasedShare.objects.bulk_create(
            ReleasedShare(share=share, to=others[index], sealed=sealed) for index, sealed in releases.items()
        )
    else:
        _replace_wrong(tender, share, releases, by, at)
    _released(tender, ceremony, share, by, at)
    return share


@transaction.atomic
def release_escrow(tender_id: int, reason: str, *, by: Actor, at: datetime) -> KeyShare:
    """The platform's share, on an officer's word: sealed to every member, who are told; the reason is recorded.

    Raises NotFound, NotAllowed, BiddingRuns, RollNotClosed, NotWaiting, NoEscrow, Invalid, EscrowUnusable.
    """
    tender, ceremony = locked(tender_id, by)
    require_tender_run(by, tender)
    share = KeyShare.objects.select_for_update().filter(ceremony=ceremony, member=None).first()
    if share is None:
        raise NoEscrow
    if share.released_at is not None or ceremony.seed_received_at is not None:
        return share
    require_waiting(tender, at)
    require_reason(reason)
    share.ceremony = ceremony
    plain = _escrow_plain(tender, ceremony, share)
    for other in ceremony.shares.select_related("key").filter(member__isnull=False):
        key = custody.recipient_of(other)
        sealed = committee.seal_share(key, plain, release_info(tender, share, other, key))
        ReleasedShare.objects.create(share=share, to=other, sealed=sealed)
    share.release_reason, share.asked_by = reason.strip(), person_of(by)
    share.save(update_fields=["release_reason", "asked_by"])
    _released(tender, ceremony, share, by, at, reason=share.release_reason)
    _tell_all(tender, ceremony, WANTED, _("The platform has released its share of the key of %(tender)s."), at)
    return share


@transaction.atomic
def report_wrong(tender_id: int, places: Sequence[int], *, by: Actor, at: datetime) -> None:
    """Record which released shares are not the announced ones, as a member's browser found, and tell the officers: once
    for each release. Whether the member is right, the platform cannot see.

    Raises NotFound, NoShare, BiddingRuns, RollNotClosed, NotWaiting.
    """
    tender, ceremony = locked(tender_id, by)
    own = _own(ceremony, by)
    require_waiting(tender, at)
    received = ReleasedShare.objects.filter(to=own, wrong_at=None, share__ceremony=ceremony)
    for delivery in received.select_related("share__member").order_by("share__index"):
        wrong = delivery.share
        if wrong.index not in places:
            continue
        delivery.wrong_at = at
        delivery.save(update_fields=["wrong_at"])
        _record("share.wrong", tender, wrong, by, at, found_by=own.index, release=delivery.replaced + 1)
        words = _("A released share of the key of %(tender)s is not the one that was announced: %(name)s.")
        says = words % {"tender": tender.number, "name": wrong.member or _("the platform’s")}
        notify(tender.buyer, WANTED, says, _url(tender), at=at, roles=[Role.OFFICER])


@transaction.atomic
def receive_seed(tender_id: int, seed: bytes, *, by: Actor, at: datetime) -> KeyCeremony:
    """The key put together by a member: taken when it makes every lot's public key; then the bids are opened at once.

    Sent again, nothing happens. Raises NotFound, NoShare, BiddingRuns, RollNotClosed, NotWaiting, TooFewShares,
    WrongKey.
    """
    tender, ceremony = locked(tender_id, by)
    _own(ceremony, by)
    if ceremony.seed_received_at is not None:
        return ceremony
    require_waiting(tender, at)
    have = queries.released_count(ceremony)
    if have < ceremony.threshold:
        raise TooFewShares(have=have, needed=ceremony.threshold)
    lots = list(Lot.objects.select_for_update().filter(tender=tender))
    if len(seed) != committee.SEED_SIZE or not all(_makes_key(seed, lot) for lot in lots):
        raise WrongKey
    # Until the bids are open, a moment later. Lots that failed stay sealed for good.
    waiting = [lot for lot in lots if lot.status == LotStatus.ACTIVE]
    for lot in waiting:
        lot_keys.keep(lot, committee.lot_private_key(seed, lot.pk))
    Lot.objects.bulk_update(waiting, ["wrapped_private_key"])
    ceremony.seed_received_at, ceremony.seed_received_from = at, person_of(by)
    ceremony.save(update_fields=["seed_received_at", "seed_received_from"])
    released = ceremony.shares.filter(released_at__isnull=False).values_list("index", flat=True)
    audit.record(
        "keys.put_together", tender, by=by, at=at, stream=stream_of(tender),
        ceremony=ceremony.pk, shares_released=list(released.order_by("index")),
    )  # fmt: skip
    moments.cancel(tender, kinds=[MomentKind.SHARES_MISSING])
    moments.schedule(MomentKind.KEYS_RECEIVED, tender, at)
    return ceremony


def ask_for(tender: Tender, at: datetime) -> None:
    """Bidding is over: ask the members for their shares, and again while they are missing. The tender is locked."""
    ceremony = queries.standing(tender)
    if ceremony is not None:
        words = _("The bids of %(tender)s wait for your share of the key. Release it now.")
        _tell_all(tender, ceremony, WANTED, words, at)
        moments.schedule(MomentKind.SHARES_MISSING, tender, at + a_day())


@transaction.atomic
def remind(tender_id: int, *, by: Actor | None, at: datetime) -> int:
    """Ask the members once more whose share is missing, unless they were asked just now. How many were told.

    `by` None: the clock. Raises NotFound, NotAllowed.
    """
    tender, ceremony = locked(tender_id, by)
    if by is not None:
        require_tender_run(by, tender)
    if tender.status != TenderStatus.OPENING or ceremony.seed_received_at is not None:
        return 0
    words = _("The bids of %(tender)s still wait for your share of the key. Release it now.")
    return _tell_all(tender, ceremony, WANTED, words, at, missing_only=True)


def forget(tender: Tender, at: datetime, *, by: Actor | None = None) -> None:
    """What was released has done its work, or never will: it is kept no longer, and neither is the key of the share in
    escrow. Who released when stays."""
    releases, _each = ReleasedShare.objects.filter(share__ceremony__tender=tender).delete()
    escrow = KeyCeremony.objects.filter(tender=tender, escrow_wrapped_key__isnull=False)
    escrow_keys = escrow.update(escrow_wrapped_key=None)
    if releases or escrow_keys:
        audit.record(
            "shares.destroyed", tender, by=by, at=at, stream=stream_of(tender),
            releases=releases, escrow_keys=escrow_keys,
        )  # fmt: skip


def a_day() -> timedelta:
    """A day at this platform's pace: in the demonstration it lasts a minute."""
    return timedelta(minutes=1) if settings.PERIOD_UNIT == PeriodUnit.MINUTE else timedelta(days=1)


def locked(tender_id: int, by: Actor | None) -> tuple[Tender, KeyCeremony]:
    """The tender, then its committee, both locked: releases that meet are counted one after the other."""
    tender = lock_tender(tender_id)
    if by is not None:
        require_role(by, tender.buyer_id, *Role)
    ceremony = KeyCeremony.objects.select_for_update().filter(tender=tender, replaced_at=None).first()
    if ceremony is None or ceremony.made_at is None or tender.key_custody != KeyCustody.COMMITTEE:
        raise NotFound
    return tender, ceremony


def _own(ceremony: KeyCeremony, by: Actor) -> KeyShare:
    share = KeyShare.objects.select_for_update(of=("self",)).filter(ceremony=ceremony, member=person_of(by)).first()
    if share is None:
        raise NoShare
    return share


def require_waiting(tender: Tender, at: datetime) -> None:
    if tender.status == TenderStatus.OPENING:
        return
    if tender.status == TenderStatus.PUBLISHED and tender.tender_ends_at is not None:
        if at < tender.tender_ends_at:
            raise BiddingRuns(until=f"{tender.tender_ends_at:%Y-%m-%d %H:%M:%S}")
        raise RollNotClosed
    raise NotWaiting(state=tender.get_status_display())


def require_reason(reason: str) -> None:
    if len(reason.strip()) < REASON_MIN_LENGTH:
        raise Invalid({"reason": [_("Say why, in a sentence: it stays in the audit trail.")]})


def _replace_wrong(tender: Tender, share: KeyShare, releases: Mapping[int, bytes], by: Actor, at: datetime) -> None:
    wrong = list(ReleasedShare.objects.filter(share=share, wrong_at__isnull=False).select_related("to"))
    if any(delivery.replaced >= REPLACED_AT_MOST for delivery in wrong):
        raise ReplacedTooOften
    for delivery in wrong:
        delivery.sealed, delivery.wrong_at = releases[delivery.to.index], None
        delivery.replaced += 1
        delivery.save(update_fields=["sealed", "wrong_at", "replaced"])
    if wrong:
        _record("share.replaced", tender, share, by, at, to=sorted(delivery.to.index for delivery in wrong))


def _released(
    tender: Tender, ceremony: KeyCeremony, share: KeyShare, by: Actor, at: datetime, **details: object
) -> None:
    if share.released_at is not None:
        return
    share.released_at = at
    share.save(update_fields=["released_at"])
    _record("share.released", tender, share, by, at, **details)
    if queries.released_count(ceremony) == ceremony.threshold:
        words = _("Enough shares of the key of %(tender)s are released. If the bids are not open yet, open them now.")
        _tell_all(tender, ceremony, ENOUGH, words, at)


def _escrow_plain(tender: Tender, ceremony: KeyCeremony, share: KeyShare) -> bytes:
    private = keys.unwrap(bytes(ceremony.escrow_wrapped_key or b""), purpose=custody.escrow_purpose(ceremony))
    info = custody.share_info(tender, share, custody.recipient_of(share))
    try:
        plain = committee.open_share(private, bytes(share.sealed or b""), info)
    except CommitteeKeyError as error:
        raise EscrowUnusable from error
    if committee.commitment(plain) != share.commitment:
        raise EscrowUnusable
    return plain


def _makes_key(seed: bytes, lot: Lot) -> bool:
    return committee.lot_public_key(seed, lot.pk) == bytes(lot.public_key or b"")


def _record(action: str, tender: Tender, share: KeyShare, by: Actor, at: datetime, **details: object) -> None:
    audit.record(
        action, tender, by=by, at=at, stream=stream_of(tender),
        ceremony=share.ceremony_id, index=share.index, commitment=share.commitment,
        holder=str(share.member or _("the platform’s")), **details,
    )  # fmt: skip


def _tell_all(
    tender: Tender, ceremony: KeyCeremony, kind: str, words: str, at: datetime, *, missing_only: bool = False
) -> int:
    """Each member who still acts for the buyer, in this buyer's name; nobody is asked twice within ten minutes."""
    told = 0
    for holding in queries.holdings(ceremony, tender.buyer_id):
        member = holding.share.member
        if member is None or not holding.can_release or (missing_only and holding.share.released_at is not None):
            continue
        recent = Notification.objects.filter(
            person=member, kind=kind, url=_url(tender), created_at__gt=at - REMIND_AGAIN
        )
        if not (missing_only and recent.exists()):
            told += notify(member, kind, words % {"tender": tender.number}, _url(tender), at=at)
    return told


def _url(tender: Tender) -> str:
    return reverse("tender_shares", args=[tender.number])
