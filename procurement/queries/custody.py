"""Who holds the keys of a tender's lots, who could, and what each share has come to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import QuerySet

from marketplace.models import CommitteeKey, Membership, Organisation, Person
from procurement.models import KeyCeremony, KeyShare, ReleasedShare, Tender


@dataclass(frozen=True, slots=True)
class Candidate:
    """A colleague, with the committee key that shares would be sealed to, if there is one."""

    person: Person
    key: CommitteeKey | None


@dataclass(frozen=True, slots=True)
class Holding:
    """A share and whether its holder can still release it: is of the buyer, and can log in."""

    share: KeyShare
    can_release: bool
    found_wrong: bool = False
    """A member reported that what was released is not the announced share."""

    @property
    def is_escrow(self) -> bool:
        return self.share.member_id is None


def standing(tender: Tender) -> KeyCeremony | None:
    """The committee in force, its keys made or not."""
    return KeyCeremony.objects.filter(tender=tender, replaced_at=None).first()


def holdings(ceremony: KeyCeremony, buyer_id: int) -> list[Holding]:
    """Every share in its order, the platform's last."""
    shares = list(KeyShare.objects.filter(ceremony=ceremony).select_related("member", "key").order_by("index"))
    still = _still_there(buyer_id, [share.member_id for share in shares if share.member_id])
    wrong = set(_wrong_deliveries(ceremony).values_list("share", flat=True))
    return [Holding(share, share.member_id is None or share.member_id in still, share.pk in wrong) for share in shares]


def own_share(ceremony: KeyCeremony, person: Person | None) -> KeyShare | None:
    if person is None:
        return None
    return KeyShare.objects.filter(ceremony=ceremony, member=person).select_related("key", "ceremony__tender").first()


def candidates(buyer: Organisation) -> list[Candidate]:
    """Everybody who acts for the buyer, those with a committee key first."""
    people = [
        membership.person
        for membership in Membership.objects.filter(organisation=buyer, active=True, person__is_active=True)
        .select_related("person")
        .order_by("pk")
    ]
    keys = {key.person_id: key for key in CommitteeKey.objects.filter(person__in=people, retired_at=None)}
    found = [Candidate(person, keys.get(person.pk)) for person in people]
    return sorted(found, key=lambda one: one.key is None)


def released_to(share: KeyShare) -> dict[int, bytes]:
    """What other members released to the holder of this share, by their shares' places."""
    found = ReleasedShare.objects.filter(to=share).values_list("share__index", "sealed")
    return {index: bytes(sealed) for index, sealed in found}


def released_count(ceremony: KeyCeremony) -> int:
    return KeyShare.objects.filter(ceremony=ceremony, released_at__isnull=False).count()


def sound_count(ceremony: KeyCeremony) -> int:
    """Released shares that nobody reported wrong."""
    released = KeyShare.objects.filter(ceremony=ceremony, released_at__isnull=False)
    return released.exclude(pk__in=_wrong_deliveries(ceremony).values("share")).count()


def escrow_unused(ceremony: KeyCeremony) -> bool:
    """Whether the platform holds a share that was not asked for."""
    return KeyShare.objects.filter(ceremony=ceremony, member=None, released_at=None).exists()


def _wrong_deliveries(ceremony: KeyCeremony) -> QuerySet[ReleasedShare]:
    return ReleasedShare.objects.filter(share__ceremony=ceremony, wrong_at__isnull=False)


def _still_there(buyer_id: int, people: Iterable[int]) -> set[int]:
    found = Membership.objects.filter(
        organisation=buyer_id, person__in=list(people), active=True, person__is_active=True
    )
    return set(found.values_list("person_id", flat=True))
