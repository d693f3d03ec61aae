"""The browser's part of a committee's work, done in Python: for the demonstration and for tests.

Here, and only here, a passphrase, a private key or a seed is in this process: of people who do not exist.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from marketplace.models import CommitteeKey, Person
from marketplace.permissions import Actor
from marketplace.services import committee_keys
from marketplace.signatures import committee, sealing, shamir
from procurement.models import KeyCeremony, KeyShare, Tender
from procurement.queries import custody as queries
from procurement.services import custody, shares
from procurement.services.custody import Made, Plan, SealedShare

#: What opens the committee keys of the demonstration's people.
PASSPHRASE: Final = "correct horse battery staple"


@dataclass(frozen=True, slots=True)
class Holder:
    """A person with a committee key, and what opens it."""

    actor: Actor
    key: CommitteeKey
    private: bytes = field(repr=False)


def make_key(actor: Actor, at: datetime, passphrase: str = PASSPHRASE) -> Holder:
    """As at “My committee key”."""
    pair = sealing.new_key_pair()
    wrapped = committee.wrap(pair.private, passphrase)
    return Holder(actor, committee_keys.make(pair.public, wrapped, by=actor, at=at), pair.private)


def hold(
    tender: Tender, holders: list[Holder], threshold: int, *, by: Actor, at: datetime, escrow: bool = False
) -> bytes:
    """Choose the committee and make its keys; the seed, which a browser would have forgotten."""
    members = [_person(holder).pk for holder in holders]
    planned = custody.plan(tender.pk, Plan(members, threshold, escrow), by=by, at=at)
    made, seed = ceremony(planned)
    custody.keep(planned.pk, made, by=by, at=at)
    return seed


def ceremony(planned: KeyCeremony) -> tuple[Made, bytes]:
    """What assets/src/committee/ceremony.ts makes of a committee, and the seed."""
    tender = planned.tender
    places = list(KeyShare.objects.filter(ceremony=planned).select_related("key", "ceremony").order_by("index"))
    seed = secrets.token_bytes(committee.SEED_SIZE)
    sealed = []
    for share, plain in zip(places, shamir.split(seed, planned.threshold, len(places)), strict=True):
        to = custody.recipient_of(share)
        box = committee.seal_share(to, plain, custody.share_info(tender, share, to))
        sealed.append(SealedShare(share.index, box, committee.commitment(plain)))
    return Made({lot.pk: committee.lot_public_key(seed, lot.pk) for lot in tender.lots.all()}, sealed), seed


def opened_share(tender: Tender, holder: Holder) -> tuple[KeyShare, bytes]:
    """The holder's share in the clear."""
    standing = queries.standing(tender)
    share = KeyShare.objects.select_related("key", "ceremony").get(ceremony=standing, member=_person(holder))
    info = custody.share_info(tender, share, custody.recipient_of(share))
    return share, committee.open_share(holder.private, bytes(share.sealed or b""), info)


def confirm(tender: Tender, holder: Holder, at: datetime) -> KeyShare:
    """The holder tries the share."""
    opened_share(tender, holder)
    asked = committee_keys.challenge(holder.key, at)
    answer = committee.open_share(holder.private, asked.sealed, asked.info)
    return shares.confirm(tender.pk, asked.token, answer, by=holder.actor, at=at)


def releases(tender: Tender, holder: Holder, plain: bytes | None = None) -> Mapping[int, bytes]:
    """The holder's share (or `plain` instead of it), sealed to every other member by their places."""
    own, share = opened_share(tender, holder)
    others = KeyShare.objects.filter(ceremony=own.ceremony_id, member__isnull=False).exclude(pk=own.pk)
    found = {}
    for other in others.select_related("key", "ceremony"):
        to = custody.recipient_of(other)
        info = shares.release_info(tender, own, other, to)
        found[other.index] = committee.seal_share(to, plain or share, info)
    return found


def release(tender: Tender, holder: Holder, at: datetime) -> KeyShare:
    return shares.release(tender.pk, releases(tender, holder), by=holder.actor, at=at)


def put_together(tender: Tender, holder: Holder) -> bytes:
    """The seed, of the holder's own share and what the others released to the holder."""
    own, share = opened_share(tender, holder)
    to = custody.recipient_of(own)
    found = [share]
    for index, sealed in queries.released_to(own).items():
        other = KeyShare.objects.get(ceremony=own.ceremony_id, index=index)
        found.append(committee.open_share(holder.private, sealed, shares.release_info(tender, other, own, to)))
    return shamir.combine(found)


def _person(holder: Holder) -> Person:
    assert holder.actor.person is not None
    return holder.actor.person
