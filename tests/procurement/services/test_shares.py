"""After the deadline: shares are released, put together, and the bids are opened; or not, and everybody knows why."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from marketplace.models import AuditRecord, Membership, Notification, Role, Signature
from marketplace.shared import keys
from marketplace.shared.errors import Invalid, NotAllowed, NotFound
from marketplace.signatures import committee, sealing
from procurement.auction import clock
from procurement.demo import committee as browser
from procurement.models import (
    Bid,
    BidEnvelope,
    DueMoment,
    KeyCeremony,
    KeyShare,
    Lot,
    MomentKind,
    ReleasedShare,
    Tender,
)
from procurement.rules.lifecycle import BidStatus, LotStatus, TenderStatus
from procurement.services import bid_content, bid_drafts, cancellation, lot_keys, opening, shares, unopenable
from tests.factories import bidder_program as program
from tests.factories.at_once import at_the_same_time
from tests.factories.bids import CLOSES, LATER, bidder
from tests.factories.committee import Committee, held_draft, held_tender
from tests.factories.marketplace import NOON, accredited_buyer, member
from tests.factories.signatures import signed, trust

pytestmark = pytest.mark.django_db

DAY_AFTER = LATER + timedelta(days=1)
LEFT = "Two members have left."


@pytest.fixture(autouse=True)
def _trust() -> None:
    trust()


def closed(**fields: object) -> Committee:
    """A committee whose bids wait: two of them, for one lot."""
    held = held_tender(**fields)
    lot = held.tender.lots.get()
    sealed_bid(lot, ["20", "30"], ["200.00", "300.00"], "500.00")
    sealed_bid(lot, ["10", "1"], ["100.00", "10.00"], "110.00")
    held.tender = opening.open_tender(held.tender.pk, LATER)
    return held


def sealed_bid(lot: Lot, prices: list[str], amounts: list[str], total: str) -> Bid:
    """A bid that its bidder sealed: to a committee's key nothing goes otherwise."""
    by = bidder()
    bid = Bid.objects.select_related("lot__tender").get(pk=bid_drafts.start(lot.pk, by=by, at=NOON).pk)
    content = program.content_of(bid, prices, amounts, total)
    return program.send(bid, program.sealed_content(bid, content), by=by)


def given_up(held: Committee, *, at: datetime = DAY_AFTER) -> Tender:
    request = unopenable.prepare(held.tender.pk, LEFT, by=held.officer, at=at)
    return unopenable.declare(request.pk, signed(request), by=held.officer, at=at)


def status(held: Committee) -> str:
    return Tender.objects.get(pk=held.tender.pk).status


def test_the_deadline_closes_the_bids_and_asks_the_members_for_their_shares() -> None:
    held = closed()

    assert (held.tender.status, held.tender.opened_at) == (TenderStatus.OPENING, None)
    assert hasattr(held.tender, "roll") or AuditRecord.objects.filter(action="tender.roll_closed").exists()
    assert set(Bid.objects.values_list("status", flat=True)) == {BidStatus.SUBMITTED.value}
    told = Notification.objects.filter(kind=shares.WANTED)
    assert {row.person for row in told} == {one.actor.person for one in held.holders}
    assert DueMoment.objects.get(kind=MomentKind.SHARES_MISSING).due_at == DAY_AFTER


def test_two_of_three_shares_open_the_bids_and_the_key_is_forgotten() -> None:
    held = closed()
    first, second, _third = held.holders
    browser.release(held.tender, first, LATER)
    browser.release(held.tender, second, LATER)
    seed = browser.put_together(held.tender, second)
    assert seed == held.seed

    shares.receive_seed(held.tender.pk, seed, by=second.actor, at=LATER)
    clock.tick(LATER)

    assert status(held) == TenderStatus.EVALUATION
    assert sorted(Bid.objects.values_list("amount", flat=True)) == [Decimal(110), Decimal(500)]
    assert Lot.objects.get().wrapped_private_key is None
    assert not ReleasedShare.objects.exists()
    made = AuditRecord.objects.get(action="keys.put_together")
    assert (made.person, made.details["shares_released"]) == (second.actor.person, [1, 2])
    assert not DueMoment.objects.filter(done_at=None, kind=MomentKind.SHARES_MISSING).exists()
    shares.receive_seed(held.tender.pk, seed, by=first.actor, at=LATER)
    assert AuditRecord.objects.filter(action="keys.put_together").count() == 1


def test_what_the_server_has_before_two_shares_are_released_opens_no_bid() -> None:
    """Every key in the database that the key file unwraps, and every share it stores, is tried on every envelope."""
    held = closed()
    browser.release(held.tender, held.holders[0], LATER)
    lot, ring = Lot.objects.get(), keys.keyring()
    assert (lot.wrapped_private_key, KeyCeremony.objects.get().escrow_wrapped_key) == (None, None)
    known = [*ring.encryption.values(), *ring.receipt.values(), bytes(lot.public_key or b"")]
    known += [bytes(share.sealed or b"")[:32] for share in KeyShare.objects.all()]
    known += [bytes.fromhex(share.commitment) for share in KeyShare.objects.all()]
    known += [committee.lot_private_key(one, lot.pk) for one in known]

    for envelope in BidEnvelope.objects.select_related("bid"):
        info = bid_content.info(envelope.bid, bid_content.CONTENT_PART)
        for private in known:
            with pytest.raises(sealing.SealingError):
                sealing.open_sealed(private, bytes(envelope.ciphertext), info)
        assert sealing.open_sealed(committee.lot_private_key(held.seed, lot.pk), bytes(envelope.ciphertext), info)


@pytest.mark.parametrize("early", [timedelta(microseconds=1), timedelta(days=3)])
def test_no_share_is_released_and_no_key_taken_before_the_deadline(early: timedelta) -> None:
    held = held_tender(escrow=True)
    at = CLOSES - early

    with pytest.raises(shares.BiddingRuns):
        browser.release(held.tender, held.holders[0], at)
    with pytest.raises(shares.BiddingRuns):
        shares.receive_seed(held.tender.pk, held.seed, by=held.holders[0].actor, at=at)
    with pytest.raises(shares.BiddingRuns):
        shares.release_escrow(held.tender.pk, "A member lost it.", by=held.officer, at=at)
    with pytest.raises(shares.BiddingRuns):
        unopenable.prepare(held.tender.pk, "Nobody remembers.", by=held.officer, at=at)
    with pytest.raises(shares.RollNotClosed):
        browser.release(held.tender, held.holders[0], LATER)
    assert not KeyShare.objects.filter(released_at__isnull=False).exists()


def test_only_a_member_releases_and_only_the_own_share() -> None:
    held = closed()
    theirs = browser.releases(held.tender, held.holders[0])

    with pytest.raises(shares.NoShare):
        shares.release(held.tender.pk, theirs, by=held.officer, at=LATER)
    with pytest.raises(NotFound):
        shares.release(held.tender.pk, theirs, by=member(accredited_buyer()), at=LATER)
    with pytest.raises(shares.ReleaseRefused):
        # Another's release has another's places: it is not for the one who sends it.
        shares.release(held.tender.pk, theirs, by=held.holders[1].actor, at=LATER)
    for wrong in ({}, {2: b"short", 3: b"short"}, dict(theirs) | {4: theirs[2]}):
        with pytest.raises(shares.ReleaseRefused):
            shares.release(held.tender.pk, wrong, by=held.holders[0].actor, at=LATER)
    assert not KeyShare.objects.filter(released_at__isnull=False).exists()


def test_a_double_click_releases_once() -> None:
    held = closed()
    browser.release(held.tender, held.holders[0], LATER)
    browser.release(held.tender, held.holders[0], LATER + timedelta(seconds=1))

    assert KeyShare.objects.get(index=1).released_at == LATER
    assert AuditRecord.objects.filter(action="share.released").count() == 1


def test_the_key_is_taken_only_with_enough_shares_and_only_if_it_makes_the_lots_keys() -> None:
    held = closed()
    by = held.holders[0].actor
    browser.release(held.tender, held.holders[0], LATER)
    with pytest.raises(shares.TooFewShares):
        shares.receive_seed(held.tender.pk, held.seed, by=by, at=LATER)

    browser.release(held.tender, held.holders[1], LATER)
    for wrong in (bytes(32), b"", held.seed + b"0", held.seed[:-1] + bytes([held.seed[-1] ^ 1])):
        with pytest.raises(shares.WrongKey):
            shares.receive_seed(held.tender.pk, wrong, by=by, at=LATER)
    with pytest.raises(shares.NoShare):
        shares.receive_seed(held.tender.pk, held.seed, by=held.officer, at=LATER)
    assert status(held) == TenderStatus.OPENING


def test_a_wrong_share_is_named_by_its_commitment() -> None:
    held = closed()
    first, second, _third = held.holders
    wrong = bytes([1]) + bytes(32)
    shares.release(held.tender.pk, browser.releases(held.tender, first, wrong), by=first.actor, at=LATER)
    browser.release(held.tender, second, LATER)
    share = KeyShare.objects.get(index=1)
    assert committee.commitment(wrong) != share.commitment
    assert browser.put_together(held.tender, second) != held.seed

    shares.report_wrong(held.tender.pk, [1, 2, 7], by=second.actor, at=LATER)

    entry = AuditRecord.objects.get(action="share.wrong")
    assert (entry.details["index"], entry.details["commitment"], entry.details["found_by"]) == (1, share.commitment, 2)
    assert Notification.objects.filter(person=held.officer.person, kind=shares.WANTED).exists()


def test_the_platforms_share_replaces_a_lost_one_and_says_why() -> None:
    held = closed(escrow=True)
    first = held.holders[0]
    browser.release(held.tender, first, LATER)
    with pytest.raises(NotAllowed):
        shares.release_escrow(held.tender.pk, "A member lost it.", by=first.actor, at=LATER)
    with pytest.raises(Invalid):
        shares.release_escrow(held.tender.pk, "lost", by=held.officer, at=LATER)

    share = shares.release_escrow(held.tender.pk, "Two members have left.", by=held.officer, at=LATER)

    assert (share.index, share.released_at, share.release_reason) == (4, LATER, "Two members have left.")
    seed = browser.put_together(held.tender, first)
    assert seed == held.seed
    shares.receive_seed(held.tender.pk, seed, by=first.actor, at=LATER)
    clock.tick(LATER)
    assert status(held) == TenderStatus.EVALUATION


def test_without_an_agreed_escrow_there_is_none() -> None:
    held = closed()
    with pytest.raises(shares.NoEscrow):
        shares.release_escrow(held.tender.pk, "A member lost it.", by=held.officer, at=LATER)


def test_a_member_who_left_releases_nothing() -> None:
    held = closed()
    Membership.objects.filter(person=held.holders[0].actor.person).update(active=False)

    assert shares.remind(held.tender.pk, by=held.officer, at=LATER + timedelta(hours=1)) == 2
    from_outside = type(held.holders[0].actor)(person=held.holders[0].actor.person)
    with pytest.raises(NotFound):
        shares.release(held.tender.pk, browser.releases(held.tender, held.holders[0]), by=from_outside, at=LATER)


def test_members_are_reminded_while_shares_are_missing_but_not_at_once_again() -> None:
    held = closed()
    browser.release(held.tender, held.holders[0], LATER)
    assert shares.remind(held.tender.pk, by=held.officer, at=LATER + timedelta(minutes=1)) == 0

    clock.tick(DAY_AFTER)

    told = Notification.objects.filter(kind=shares.WANTED, created_at=DAY_AFTER)
    assert {row.person for row in told} == {one.actor.person for one in held.holders[1:]}
    moment = DueMoment.objects.get(kind=MomentKind.SHARES_MISSING)
    assert (moment.done_at, moment.next_try_at) == (None, DAY_AFTER + (DAY_AFTER - CLOSES))


def test_shares_that_are_lost_for_good_end_the_procedure_and_every_bidder_is_told() -> None:
    held = closed()
    browser.release(held.tender, held.holders[0], LATER)
    with pytest.raises(unopenable.TooSoonToGiveUp):
        given_up(held, at=LATER)
    with pytest.raises(NotAllowed):
        unopenable.prepare(held.tender.pk, LEFT, by=member(held.tender.buyer, Role.OFFICER), at=DAY_AFTER)
    with pytest.raises(Invalid):
        unopenable.prepare(held.tender.pk, "lost", by=held.officer, at=DAY_AFTER)

    tender = given_up(held)

    assert tender.status == TenderStatus.UNSUCCESSFUL
    assert LEFT in Lot.objects.get().closing_reason
    entry = AuditRecord.objects.get(action="keys.lost").details
    assert (entry["reason"], entry["released"], entry["needed"]) == (LEFT, 1, 2)
    assert Signature.objects.get(pk=entry["signature"]).request.action == "keys.lost"
    assert Lot.objects.get().status == LotStatus.UNSUCCESSFUL
    assert set(Bid.objects.values_list("status", "amount")) == {(BidStatus.SUBMITTED.value, None)}
    suppliers = set(Bid.objects.values_list("supplier", flat=True))
    told = Notification.objects.filter(kind="bids_unopened")
    assert set(told.values_list("organisation", flat=True)) == suppliers
    assert not DueMoment.objects.filter(done_at=None).exists()
    assert not ReleasedShare.objects.exists()
    with pytest.raises(shares.NotWaiting):
        browser.release(tender, held.holders[0], DAY_AFTER)


def test_nobody_gives_up_while_the_shares_that_are_here_suffice() -> None:
    held = closed()
    first, second, _third = held.holders
    request = unopenable.prepare(held.tender.pk, LEFT, by=held.officer, at=DAY_AFTER)
    browser.release(held.tender, first, DAY_AFTER)
    browser.release(held.tender, second, DAY_AFTER)

    with pytest.raises(unopenable.StillOpenable):
        given_up(held)
    with pytest.raises(unopenable.StillOpenable):
        # Prepared before they were released.
        unopenable.declare(request.pk, signed(request), by=held.officer, at=DAY_AFTER)
    shares.report_wrong(held.tender.pk, [1], by=second.actor, at=DAY_AFTER)
    assert given_up(held).status == TenderStatus.UNSUCCESSFUL


def test_nobody_gives_up_while_the_platforms_share_would_do() -> None:
    held = closed(escrow=True)
    assert unopenable.prepare(held.tender.pk, LEFT, by=held.officer, at=DAY_AFTER)  # it would not yet
    browser.release(held.tender, held.holders[0], DAY_AFTER)

    with pytest.raises(unopenable.EscrowWouldDo):
        given_up(held)


def test_a_share_is_released_anew_for_who_found_it_wrong_and_for_nobody_else() -> None:
    held = closed()
    first, second, _third = held.holders
    wrong = bytes([1]) + bytes(32)
    shares.release(held.tender.pk, browser.releases(held.tender, first, wrong), by=first.actor, at=LATER)
    kept = {one.to_id: bytes(one.sealed) for one in ReleasedShare.objects.all()}
    browser.release(held.tender, first, LATER)
    assert {one.to_id: bytes(one.sealed) for one in ReleasedShare.objects.all()} == kept

    shares.report_wrong(held.tender.pk, [1], by=second.actor, at=LATER)
    shares.report_wrong(held.tender.pk, [1, 1, 1], by=second.actor, at=LATER)
    assert AuditRecord.objects.filter(action="share.wrong").count() == 1
    browser.release(held.tender, first, LATER)

    replaced = AuditRecord.objects.get(action="share.replaced")
    assert (replaced.details["index"], replaced.details["to"], replaced.person) == (1, [2], first.actor.person)
    changed = {one.to.index for one in ReleasedShare.objects.all() if bytes(one.sealed) != kept[one.to_id]}
    assert changed == {2}
    browser.release(held.tender, second, LATER)
    assert browser.put_together(held.tender, second) == held.seed


def test_reports_and_replacements_of_a_share_come_to_an_end() -> None:
    held = closed()
    first, second, _third = held.holders
    browser.release(held.tender, first, LATER)
    for _time in range(shares.REPLACED_AT_MOST):
        shares.report_wrong(held.tender.pk, [1], by=second.actor, at=LATER)
        browser.release(held.tender, first, LATER)
    shares.report_wrong(held.tender.pk, [1], by=second.actor, at=LATER)

    with pytest.raises(shares.ReplacedTooOften):
        browser.release(held.tender, first, LATER)
    shares.report_wrong(held.tender.pk, [1], by=second.actor, at=LATER)

    told = AuditRecord.objects.filter(action="share.wrong")
    assert [entry.details["release"] for entry in told.order_by("number")] == [1, 2, 3, 4]


@pytest.mark.parametrize("seed_sent", [False, True])
def test_cancelled_before_the_opening_nothing_is_kept_that_opens_a_bid(seed_sent: bool) -> None:
    held = closed(escrow=True)
    for one in held.holders[:2]:
        browser.release(held.tender, one, LATER)
    if seed_sent:
        shares.receive_seed(held.tender.pk, held.seed, by=held.holders[0].actor, at=LATER)

    request = cancellation.prepare(held.tender.pk, None, "The chairs are no longer needed", by=held.officer, at=LATER)
    cancellation.sign(request.pk, signed(request), by=held.officer, at=LATER)

    assert Lot.objects.get().wrapped_private_key is None
    assert KeyCeremony.objects.get().escrow_wrapped_key is None
    assert not ReleasedShare.objects.exists()
    entry = AuditRecord.objects.get(action="shares.destroyed")
    assert (entry.details["releases"], entry.details["escrow_keys"]) == (4, 1)
    assert AuditRecord.objects.filter(action="lot.key_destroyed").count() == int(seed_sent)


def test_a_cancelled_procedure_takes_no_shares_and_no_key() -> None:
    held = closed()
    browser.release(held.tender, held.holders[0], LATER)
    signer = member(held.tender.buyer, Role.SIGNER)
    request = cancellation.prepare(held.tender.pk, None, "The chairs are no longer needed", by=signer, at=LATER)
    cancellation.sign(request.pk, signed(request), by=signer, at=LATER)

    with pytest.raises(shares.NotWaiting):
        browser.release(held.tender, held.holders[1], LATER)
    with pytest.raises(shares.NotWaiting):
        shares.receive_seed(held.tender.pk, held.seed, by=held.holders[0].actor, at=LATER)
    assert status(held) == TenderStatus.CANCELLED
    assert shares.remind(held.tender.pk, by=None, at=DAY_AFTER) == 0
    clock.tick(DAY_AFTER + timedelta(days=9))
    assert set(Bid.objects.values_list("status", flat=True)) == {BidStatus.SUBMITTED.value}


def test_a_key_that_came_while_the_storage_was_away_opens_the_bids_later(monkeypatch: pytest.MonkeyPatch) -> None:
    held = closed()
    for one in held.holders[:2]:
        browser.release(held.tender, one, LATER)
    shares.receive_seed(held.tender.pk, held.seed, by=held.holders[0].actor, at=LATER)
    with monkeypatch.context() as broken:
        broken.setattr(lot_keys, "unwrap_private", _away)
        clock.tick(LATER)
    assert status(held) == TenderStatus.OPENING

    clock.tick(LATER + timedelta(minutes=1))

    assert status(held) == TenderStatus.EVALUATION


def _away(lot: Lot) -> bytes:
    raise OSError(lot)


def test_lots_with_too_few_bids_fail_at_the_deadline_without_the_key() -> None:
    held = held_tender()

    tender = opening.open_tender(held.tender.pk, LATER)

    assert (tender.status, tender.opened_at) == (TenderStatus.UNSUCCESSFUL, None)
    assert not Notification.objects.filter(kind=shares.WANTED).exists()


def test_a_draft_has_no_shares_to_release() -> None:
    held = held_draft()

    with pytest.raises(shares.NotWaiting):
        browser.release(held.tender, held.holders[0], LATER)


@pytest.mark.django_db(transaction=True)
def test_two_members_at_the_same_moment_see_each_other() -> None:
    """Whoever is counted second finds the first one's share: none of them leaves with the key still apart."""
    held = closed()
    first, second, _third = held.holders
    prepared = [(one, browser.releases(held.tender, one)) for one in (first, second)]

    def released(place: int) -> int:
        one, made = prepared[place]
        shares.release(held.tender.pk, made, by=one.actor, at=LATER)
        return len(browser.queries.released_to(KeyShare.objects.get(index=place + 1)))

    seen = at_the_same_time(lambda: released(0), lambda: released(1))

    assert 1 in seen
    assert Notification.objects.filter(kind=shares.ENOUGH).count() == 3


@pytest.mark.django_db(transaction=True)
def test_the_key_sent_twice_at_the_same_moment_is_taken_once() -> None:
    held = closed()
    for one in held.holders[:2]:
        browser.release(held.tender, one, LATER)

    def send(place: int) -> object:
        return shares.receive_seed(held.tender.pk, held.seed, by=held.holders[place].actor, at=LATER).pk

    answers = at_the_same_time(lambda: send(0), lambda: send(1))

    assert answers[0] == answers[1]
    assert AuditRecord.objects.filter(action="keys.put_together").count() == 1
    assert DueMoment.objects.filter(kind=MomentKind.KEYS_RECEIVED).count() == 1
