"""Who holds the keys of a tender's lots: the platform, or a committee to which the buyer's officer splits them.

A committee is planned (members, how many of them open), then made in the officer's browser: here arrive the lots'
public keys, the sealed shares and their hashes, and nothing that opens a bid.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import transaction
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from marketplace import audit
from marketplace.models import CommitteeKey, Membership, Person
from marketplace.permissions import Actor, person_of
from marketplace.services import committee_keys
from marketplace.services.notifications import notify
from marketplace.shared import keys
from marketplace.shared.errors import DomainError, NotFound, Sentence
from marketplace.signatures import committee, sealing
from marketplace.signatures.committee import CommitteeKeyError, Recipient
from procurement.models import KeyCeremony, KeyCustody, KeyShare, Lot, Tender
from procurement.queries import custody as queries
from procurement.queries.custody import Holding
from procurement.services.drafts import Change, lock_draft, saved, stream_of

SECTION: Final = "custody"
THRESHOLD_MIN: Final = 2
MEMBERS_MAX: Final = 9
KEY_WANTED: Final = "committee_key_wanted"
SHARE_ARRIVED: Final = "key_share_arrived"


class CommitteeRefused(DomainError):
    code, status = "committee_refused", 422
    sentence = gettext_lazy("This committee cannot hold the keys: %(why)s")


class CeremonyRefused(DomainError):
    code, status = "ceremony_refused", 422
    sentence = gettext_lazy("These keys were not taken: %(why)s Nothing was changed; make them again.")


class CommitteeChanged(DomainError):
    code = "committee_changed"
    sentence = gettext_lazy("The committee or the lots were changed meanwhile. Load the page again and make the keys.")


@dataclass(frozen=True, slots=True)
class Plan:
    """Members by their ids, in the order of their shares; `threshold` of all shares open. With `escrow` the platform
    has one share more."""

    members: Sequence[int]
    threshold: int
    escrow: bool = False


@dataclass(frozen=True, slots=True)
class SealedShare:
    index: int
    sealed: bytes
    commitment: str


@dataclass(frozen=True, slots=True)
class Made:
    """What comes out of a ceremony: public keys by the lots' ids, and a sealed share for each place."""

    lot_keys: Mapping[int, bytes]
    shares: Sequence[SealedShare]


@dataclass(frozen=True, slots=True)
class Problem:
    """Something about the keys that stands in the way of publication, or (not `blocking`) should be known before."""

    code: str
    sentence: Sentence
    blocking: bool = True


def share_info(tender: Tender, share: KeyShare, to: Recipient) -> str:
    """What a sealed share is bound to."""
    return f"openlot-share-1|{tender.number}|{share.ceremony_id}|{share.index}|{to.fingerprint}"


def recipient_of(share: KeyShare) -> Recipient:
    """The key the share is sealed to: the member's, or the platform's for the share in escrow."""
    if share.key is not None:
        return committee_keys.recipient_of(share.key)
    return Recipient(committee.X25519, bytes(share.ceremony.escrow_public_key or b""))


@transaction.atomic
def choose_platform(tender_id: int, *, by: Actor, at: datetime) -> Tender:
    """The platform holds the keys. A committee made before is dropped. Raises NotFound, NotAllowed, NotADraft."""
    tender = lock_draft(tender_id, by=by)
    if tender.key_custody != KeyCustody.PLATFORM:
        _set(tender, KeyCustody.PLATFORM, "", by, at)
        _replace(tender, at)
    return tender


@transaction.atomic
def plan(tender_id: int, wanted: Plan, *, by: Actor, at: datetime) -> KeyCeremony:
    """A committee holds the keys; they are still to be made. One made before no longer counts.

    Raises NotFound, NotAllowed, NotADraft, CommitteeRefused.
    """
    tender = lock_draft(tender_id, by=by)
    members = _require_possible(tender, wanted)
    _replace(tender, at)
    ceremony = KeyCeremony.objects.create(
        tender=tender, threshold=wanted.threshold, planned_by=person_of(by), planned_at=at
    )
    if wanted.escrow:
        pair = sealing.new_key_pair()
        ceremony.with_escrow, ceremony.escrow_public_key = True, pair.public
        ceremony.escrow_wrapped_key = keys.wrap(pair.private, purpose=escrow_purpose(ceremony))
        ceremony.save(update_fields=["with_escrow", "escrow_public_key", "escrow_wrapped_key"])
    shares = [
        KeyShare(ceremony=ceremony, index=index, member_id=person, key=key)
        for index, (person, key) in enumerate(members, start=1)
    ]
    if wanted.escrow:
        shares.append(KeyShare(ceremony=ceremony, index=len(shares) + 1))
    KeyShare.objects.bulk_create(shares)
    _set(tender, KeyCustody.COMMITTEE, in_words(ceremony, len(shares)), by, at)
    return ceremony


@transaction.atomic
def invite(tender_id: int, person_id: int, *, by: Actor, at: datetime) -> Person:
    """Ask a colleague without a committee key to make one. Raises NotFound, NotAllowed, NotADraft."""
    tender = lock_draft(tender_id, by=by)
    found = next((one for one in queries.candidates(tender.buyer) if one.person.pk == person_id), None)
    if found is None:
        raise NotFound
    if found.key is None:
        words = _("You are wanted on the committee for “%(title)s”. Make a committee key: it takes a minute.")
        notify(found.person, KEY_WANTED, words % {"title": tender.title}, reverse("committee_key"), at=at)
    return found.person


@transaction.atomic
def keep(ceremony_id: int, made: Made, *, by: Actor, at: datetime) -> KeyCeremony:
    """Store what the ceremony made and tell the members. Sent again by a second click, nothing happens.

    Raises NotFound, NotAllowed, NotADraft, CommitteeChanged, CeremonyRefused.
    """
    found = KeyCeremony.objects.filter(pk=ceremony_id).first()
    if found is None:
        raise NotFound
    tender = lock_draft(found.tender_id, by=by)
    ceremony = KeyCeremony.objects.select_for_update().get(pk=ceremony_id)
    if ceremony.replaced_at is not None:
        raise CommitteeChanged
    if ceremony.made_at is not None:
        return ceremony
    if set(made.lot_keys) != set(tender.lots.values_list("pk", flat=True)):
        raise CommitteeChanged
    shares = list(KeyShare.objects.select_for_update(of=("self",)).filter(ceremony=ceremony).select_related("key"))
    _require_sound(made, shares, ceremony)
    for share, sealed in zip(shares, sorted(made.shares, key=lambda one: one.index), strict=True):
        share.sealed, share.commitment = sealed.sealed, sealed.commitment
    KeyShare.objects.bulk_update(shares, ["sealed", "commitment"])
    ceremony.lot_keys = {str(lot): as_base64(key) for lot, key in made.lot_keys.items()}
    ceremony.made_at, ceremony.made_by = at, person_of(by)
    ceremony.save(update_fields=["lot_keys", "made_at", "made_by"])
    audit.record(
        "keys.made", tender, by=by, at=at, stream=stream_of(tender),
        ceremony=ceremony.pk, threshold=ceremony.threshold, lot_keys=ceremony.lot_keys, shares=announced(shares),
    )  # fmt: skip
    _tell_members(tender, shares, at)
    return ceremony


def give_keys(tender: Tender, lots: Sequence[Lot]) -> KeyCeremony:
    """Give the lots, which are being published and which the caller saves, the public keys of their committee."""
    ceremony = queries.standing(tender)
    if ceremony is None or set(ceremony.lot_keys) != {str(lot.pk) for lot in lots}:
        raise CommitteeChanged
    for lot in lots:
        lot.public_key = committee.from_base64(ceremony.lot_keys[str(lot.pk)])
        lot.wrapped_private_key = None
    return ceremony


def announced(shares: Iterable[KeyShare]) -> list[dict[str, object]]:
    """The shares as the audit trail names them: whose key each is sealed to, and the hash of what is in it."""
    return [
        {
            "index": share.index,
            "member": share.member_id,
            "key": share.key.fingerprint if share.key else "escrow",
            "commitment": share.commitment,
        }
        for share in shares
    ]


def problems(tender: Tender) -> Iterator[Problem]:
    """What a publication would meet; nothing where the platform holds the keys."""
    if tender.key_custody != KeyCustody.COMMITTEE:
        return
    ceremony = queries.standing(tender)
    if ceremony is None:
        yield Problem("committee_missing", _("A committee is to hold the keys. Choose its members."))
        return
    if ceremony.made_at is None:
        yield Problem("keys_missing", _("The committee is chosen, but the keys are not made yet."))
        return
    if set(ceremony.lot_keys) != {str(pk) for pk in tender.lots.values_list("pk", flat=True)}:
        yield Problem("keys_of_other_lots", _("The lots were changed after the keys were made. Make the keys again."))
        return
    yield from _of_holdings(ceremony, queries.holdings(ceremony, tender.buyer_id))


def escrow_purpose(ceremony: KeyCeremony) -> str:
    return f"ceremony:{ceremony.pk}:escrow"


def as_base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def in_words(ceremony: KeyCeremony, shares: int) -> str:
    """ "any 2 of 3 shares open, one of them the platform's"."""
    words = _("any %(k)s of %(n)s shares open") % {"k": ceremony.threshold, "n": shares}
    return f"{words}, {_('one of them the platform’s')}" if ceremony.with_escrow else words


def loss_in_words(threshold: int, members: int, *, escrow: bool) -> str:
    """What it means when shares are lost: said before publishing, and on the page of the shares."""
    spare = members + int(escrow) - threshold
    if spare == 0:
        return _(
            "None may be lost: with one share lost nobody can ever open the bids, and the procedure has to be repeated."
        )
    may = ngettext(
        "%(n)s share may be lost. With %(more)s lost nobody can ever open the bids, and the procedure has to be "
        "repeated.",
        "%(n)s shares may be lost. With %(more)s lost nobody can ever open the bids, and the procedure has to be "
        "repeated.",
        spare,
    )
    return may % {"n": spare, "more": spare + 1}


def _of_holdings(ceremony: KeyCeremony, holdings: Sequence[Holding]) -> Iterator[Problem]:
    able = [holding for holding in holdings if holding.can_release]
    if len(able) < ceremony.threshold:
        yield Problem(
            "committee_too_small",
            _("Too few members of the committee are still with you to open the bids. Choose others and make the keys."),
        )
        return
    for holding in holdings:
        names = {"name": holding.share.member}
        if not holding.can_release:
            yield Problem("member_gone", _("%(name)s no longer acts for you: that share is lost.") % names, False)
        elif holding.share.key is not None and holding.share.confirmed_at is None:
            words = _("%(name)s has not yet tried to open the share.") % names
            yield Problem("share_untried", words, False)
    if len(able) == ceremony.threshold:
        yield Problem("no_share_to_spare", loss_in_words(ceremony.threshold, len(able), escrow=False), False)


def _require_possible(tender: Tender, wanted: Plan) -> list[tuple[int, CommitteeKey]]:
    members = list(dict.fromkeys(wanted.members))
    if not THRESHOLD_MIN <= len(members) <= MEMBERS_MAX:
        raise CommitteeRefused(
            why=_("it takes %(from)s to %(to)s members.") % {"from": THRESHOLD_MIN, "to": MEMBERS_MAX}, field="members"
        )
    if not THRESHOLD_MIN <= wanted.threshold <= len(members):
        why = _("at least %(least)s and at most all %(all)s members must be needed to open.")
        raise CommitteeRefused(why=why % {"least": THRESHOLD_MIN, "all": len(members)}, field="threshold")
    active = Membership.objects.filter(
        organisation=tender.buyer_id, person__in=members, active=True, person__is_active=True
    )
    if active.count() != len(members):
        raise CommitteeRefused(why=_("only people who act for your organisation can be members."), field="members")
    standing = {key.person_id: key for key in CommitteeKey.objects.filter(person__in=members, retired_at=None)}
    if len(standing) != len(members):
        raise CommitteeRefused(why=_("every member needs a committee key first."), field="members")
    return [(person, standing[person]) for person in members]


def _require_sound(made: Made, shares: Sequence[KeyShare], ceremony: KeyCeremony) -> None:
    if sorted(one.index for one in made.shares) != [share.index for share in shares]:
        raise CeremonyRefused(why=_("there is not one share for each member."))
    if len(set(made.lot_keys.values())) != len(made.lot_keys):
        raise CeremonyRefused(why=_("two lots have the same key."))
    if len({one.commitment for one in made.shares}) != len(shares):
        raise CeremonyRefused(why=_("two shares are the same."))
    sealed = {one.index: one for one in made.shares}
    try:
        for public in made.lot_keys.values():
            Recipient(committee.X25519, public).require_valid()
        for share in shares:
            share.ceremony = ceremony
            if len(sealed[share.index].sealed) != committee.sealed_size(recipient_of(share)):
                raise CeremonyRefused(why=_("a sealed share has the wrong size."))
    except CommitteeKeyError as error:
        raise CeremonyRefused(why=_("a lot’s key is not a sound one.")) from error


def _replace(tender: Tender, at: datetime) -> None:
    KeyCeremony.objects.filter(tender=tender, replaced_at=None).update(replaced_at=at)


def _set(tender: Tender, custody: KeyCustody, words: str, by: Actor, at: datetime) -> None:
    before = str(tender.get_key_custody_display())
    tender.key_custody = custody.value
    tender.save(update_fields=["key_custody", "updated_at"])
    after = f"{custody.label}: {words}" if words else str(custody.label)
    saved(tender, SECTION, [Change(_("Who holds the keys"), before, after)], by=by, at=at)


def _tell_members(tender: Tender, shares: Sequence[KeyShare], at: datetime) -> None:
    words = _("You hold a share of the key of “%(title)s”. Check now that you can open it.") % {"title": tender.title}
    url = reverse("tender_shares", args=[tender.number])
    for share in shares:
        if share.member is not None:
            notify(share.member, SHARE_ARRIVED, words, url, at=at)
