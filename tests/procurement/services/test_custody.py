"""Before publication: a committee is chosen, its keys are made outside, and the platform keeps what opens nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from marketplace.models import AuditRecord, CommitteeKey, Membership, Notification, Role
from marketplace.shared.errors import NotAllowed, NotFound
from marketplace.signatures import committee
from procurement.demo import committee as browser
from procurement.models import KeyCeremony, KeyCustody, KeyShare, Lot
from procurement.services import custody, lots, publishing
from procurement.services.completeness import missing
from procurement.services.custody import CeremonyRefused, CommitteeChanged, CommitteeRefused, Made, Plan
from procurement.services.drafts import NotADraft
from tests.factories.committee import held_draft, held_tender, holder
from tests.factories.marketplace import NOON, accredited_buyer, member
from tests.factories.procurement import draft_tender

pytestmark = pytest.mark.django_db


def codes(tender, *, blocking: bool) -> list[str]:
    return [
        problem.code for problem in missing(tender, NOON) if problem.place == "custody" and problem.blocking is blocking
    ]


def test_a_tender_published_with_a_committee_has_its_public_keys_and_no_private_one() -> None:
    held = held_tender(lots=2)

    for lot in held.tender.lots.all():
        assert bytes(lot.public_key) == committee.lot_public_key(held.seed, lot.pk)
        assert lot.wrapped_private_key is None
    published = AuditRecord.objects.get(action="tender.published").details
    shares = KeyShare.objects.order_by("index")
    assert (published["keys"], published["threshold"]) == ("committee", 2)
    assert [one["commitment"] for one in published["shares"]] == [share.commitment for share in shares]


def test_members_are_told_of_their_shares_and_may_try_them() -> None:
    held = held_draft()
    told = Notification.objects.filter(kind=custody.SHARE_ARRIVED)
    assert {row.person for row in told} == {one.actor.person for one in held.holders}
    assert codes(held.tender, blocking=False) == ["share_untried"] * 3

    share = browser.confirm(held.tender, held.holders[0], NOON)

    assert share.confirmed_at == NOON
    assert codes(held.tender, blocking=False) == ["share_untried"] * 2


def test_nothing_is_published_before_the_keys_are_made() -> None:
    tender = draft_tender()
    officer, people = member(tender.buyer), [holder(tender.buyer) for _ in range(2)]
    custody.plan(tender.pk, Plan([one.actor.person.pk for one in people], 2), by=officer, at=NOON)
    tender.refresh_from_db()

    assert codes(tender, blocking=True) == ["keys_missing"]
    with pytest.raises(publishing.NotComplete):
        publishing.publish(tender.pk, by=officer, at=NOON)


def test_a_lot_added_after_the_ceremony_asks_for_new_keys() -> None:
    held = held_draft()
    lots.add(held.tender.pk, by=held.officer, at=NOON)

    assert codes(held.tender, blocking=True) == ["keys_of_other_lots"]
    with pytest.raises(publishing.NotComplete):
        publishing.publish(held.tender.pk, by=held.officer, at=NOON)
    with pytest.raises(CommitteeChanged):
        custody.give_keys(held.tender, list(held.tender.lots.all()))


def test_a_member_who_left_is_told_and_too_many_of_them_stand_in_the_way() -> None:
    held = held_draft()
    gone = Membership.objects.filter(person=held.holders[0].actor.person)
    gone.update(active=False)
    assert "member_gone" in codes(held.tender, blocking=False)
    assert "no_share_to_spare" in codes(held.tender, blocking=False)

    Membership.objects.filter(person=held.holders[1].actor.person).update(active=False)
    assert codes(held.tender, blocking=True) == ["committee_too_small"]


def test_the_platform_may_be_chosen_again_and_the_committee_no_longer_counts() -> None:
    held = held_draft()

    tender = custody.choose_platform(held.tender.pk, by=held.officer, at=NOON)

    assert (tender.key_custody, codes(tender, blocking=True)) == (KeyCustody.PLATFORM, [])
    assert KeyCeremony.objects.get().replaced_at == NOON
    publishing.publish(tender.pk, by=held.officer, at=NOON)
    assert Lot.objects.get().wrapped_private_key is not None


def test_a_ceremony_for_a_committee_chosen_anew_meanwhile_is_refused() -> None:
    held = held_draft()
    first = KeyCeremony.objects.get()
    people = [one.actor.person.pk for one in held.holders]
    again = custody.plan(held.tender.pk, Plan(people, 3), by=held.officer, at=NOON)
    made, _seed = browser.ceremony(first)

    with pytest.raises(CommitteeChanged):
        custody.keep(first.pk, made, by=held.officer, at=NOON)
    again.refresh_from_db()
    assert again.made_at is None


def test_a_second_click_keeps_the_first_keys() -> None:
    held = held_draft()
    standing = KeyCeremony.objects.get()
    before = standing.lot_keys
    other, _seed = browser.ceremony(standing)

    custody.keep(standing.pk, other, by=held.officer, at=NOON + timedelta(seconds=1))

    standing.refresh_from_db()
    assert (standing.lot_keys, standing.made_at) == (before, NOON)


def spoilt(made: Made, how: str) -> Made:
    first, *rest = made.shares
    match how:
        case "a share is missing":
            return replace(made, shares=rest)
        case "a share twice":
            return replace(made, shares=[first, *made.shares])
        case "the same share":
            return replace(made, shares=[replace(one, commitment=first.commitment) for one in made.shares])
        case "a wrong size":
            return replace(made, shares=[replace(first, sealed=first.sealed + b"0"), *rest])
        case "one key for two lots":
            return replace(made, lot_keys=dict.fromkeys(made.lot_keys, next(iter(made.lot_keys.values()))))
        case _:
            return replace(made, lot_keys=made.lot_keys | {next(iter(made.lot_keys)): bytes(32)})


@pytest.mark.parametrize(
    "how",
    ["a share is missing", "a share twice", "the same share", "a wrong size", "one key for two lots", "no point"],
)
def test_a_ceremony_that_is_not_sound_is_refused(how: str) -> None:
    tender = draft_tender(lots=2)
    officer, people = member(tender.buyer), [holder(tender.buyer) for _ in range(2)]
    planned = custody.plan(tender.pk, Plan([one.actor.person.pk for one in people], 2), by=officer, at=NOON)
    made, _seed = browser.ceremony(planned)

    with pytest.raises(CeremonyRefused):
        custody.keep(planned.pk, spoilt(made, how), by=officer, at=NOON)
    planned.refresh_from_db()
    assert (planned.made_at, planned.lot_keys) == (None, {})


@pytest.mark.parametrize(("members", "threshold"), [(1, 1), (1, 2), (2, 1), (2, 3), (3, 4), (10, 2)])
def test_bounds_of_a_committee(members: int, threshold: int) -> None:
    tender = draft_tender()
    people = [holder(tender.buyer).actor.person.pk for _ in range(members)]

    with pytest.raises(CommitteeRefused):
        custody.plan(tender.pk, Plan(people, threshold), by=member(tender.buyer), at=NOON)
    assert not KeyCeremony.objects.exists()


def test_members_are_of_the_buyer_and_have_a_key() -> None:
    tender = draft_tender()
    officer, good = member(tender.buyer), holder(tender.buyer).actor.person.pk
    stranger = holder(accredited_buyer()).actor.person.pk
    keyless = member(tender.buyer, Role.EVALUATOR).person.pk
    retired = holder(tender.buyer).actor.person.pk
    CommitteeKey.objects.filter(person=retired).update(retired_at=NOON)

    for other in (stranger, keyless, retired, good, 0):
        with pytest.raises(CommitteeRefused):
            custody.plan(tender.pk, Plan([good, other], 2), by=officer, at=NOON)


def test_only_the_buyers_officer_chooses_and_only_in_a_draft() -> None:
    held = held_tender()
    people = [one.actor.person.pk for one in held.holders]
    draft = draft_tender(buyer=held.tender.buyer)

    with pytest.raises(NotADraft):
        custody.plan(held.tender.pk, Plan(people, 2), by=held.officer, at=NOON)
    with pytest.raises(NotADraft):
        custody.choose_platform(held.tender.pk, by=held.officer, at=NOON)
    with pytest.raises(NotAllowed):
        custody.plan(draft.pk, Plan(people, 2), by=held.holders[0].actor, at=NOON)
    with pytest.raises(NotFound):
        custody.plan(draft.pk, Plan(people, 2), by=member(accredited_buyer()), at=NOON)


def test_a_colleague_without_a_key_is_asked_to_make_one() -> None:
    tender = draft_tender()
    colleague = member(tender.buyer, Role.EVALUATOR).person

    custody.invite(tender.pk, colleague.pk, by=member(tender.buyer), at=NOON)

    asked = Notification.objects.get(kind=custody.KEY_WANTED)
    assert (asked.person, asked.url) == (colleague, "/account/committee-key/")
    with pytest.raises(NotFound):
        custody.invite(tender.pk, member(accredited_buyer()).person.pk, by=member(tender.buyer), at=NOON)


@pytest.mark.parametrize(
    ("threshold", "members", "escrow", "said"),
    [(2, 3, False, "1 share may be lost. With 2 lost"), (2, 2, False, "None may be lost"), (2, 2, True, "1 share may"),
     (3, 5, True, "3 shares may be lost. With 4 lost")],
)  # fmt: skip
def test_what_a_loss_means_is_said(threshold: int, members: int, escrow: bool, said: str) -> None:
    assert custody.loss_in_words(threshold, members, escrow=escrow).startswith(said)
