"""Bids whose signatures wait for revocation data: as if judged at their receipt, or refused with a reason."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.db import connection

from marketplace.models import (
    AuditRecord,
    Membership,
    Notification,
    QueuedSignature,
    QueuedState,
    Signature,
    SigningRequest,
    Subscription,
)
from marketplace.permissions import Actor
from marketplace.services import signature_queue, signing, waiting_ends
from marketplace.services.signature_queue import BindingByNow, NothingWaits, SignatureNotTaken
from marketplace.services.signing import Judged
from marketplace.shared.errors import NotFound
from procurement.auction import clock as due_clock
from procurement.models import Bid, BidEnvelope, Lot, MomentKind, Tender
from procurement.queries import operations
from procurement.rules.lifecycle import BidStatus, TenderStatus
from procurement.services import amendments, bid_documents, bid_drafts, bids, moments, opening
from procurement.services.amendment_values import Proposal
from procurement.services.bid_drafts import SignatureBeingJudged
from procurement.services.bid_verdicts import SignaturesBeingJudged
from procurement.services.bids import NewerVersionWaits, WithdrawalWaits
from tests.factories.bids import CLOSES, bidder, drafted_bid, send, sent_bid, tender_taking_bids
from tests.factories.marketplace import NOON, member
from tests.factories.signatures import bring_lists, certificate_of, lose_lists, signed, trust

pytestmark = pytest.mark.django_db
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
JUST_BEFORE = CLOSES - MINUTE
GRACE_OVER = CLOSES + timedelta(minutes=30)


@pytest.fixture
def lot() -> Lot:
    trust()
    return tender_taking_bids().lots.get()


@pytest.fixture
def by() -> Actor:
    return bidder()


def priced(bid: Bid, *prices: str, by: Actor, at: datetime = NOON) -> Bid:
    bid.refresh_from_db()
    typed = {item.pk: price for item, price in zip(bid.lot.items.all(), prices, strict=True)}
    return bid_drafts.save(bid.pk, prices=typed, remarks="", revision=bid.revision, by=by, at=at)


def sent(request: SigningRequest, *, by: Actor, at: datetime, cms: bytes | None = None) -> QueuedSignature:
    """Sent while nobody knows what is revoked."""
    lose_lists()
    row = signature_queue.take(request, cms or signed(request), by=by, at=at, idempotency_key=request.nonce[:32])
    assert isinstance(row, QueuedSignature)
    return row


def submitted(bid: Bid, *, by: Actor, at: datetime) -> QueuedSignature:
    return sent(bids.prepare_submission(bid.pk, by=by, at=at), by=by, at=at)


def state(row: QueuedSignature) -> tuple[str, str]:
    row.refresh_from_db()
    return row.state, row.code


def test_a_bid_that_waited_is_taken_as_of_its_receipt(lot: Lot, by: Actor) -> None:
    bid = drafted_bid(lot, ["12.50", "30"], by=by)
    document = bid_documents.add(bid.pk, ContentFile(b"the plan", name="plan.txt"), by=by, at=NOON)
    request = bids.prepare_submission(bid.pk, by=by, at=NOON)
    credential = certificate_of(request.organisation)
    cms = signed(request, credential)
    row = sent(request, by=by, at=NOON, cms=cms)

    assert signature_queue.take(request, cms, by=by, at=NOON + MINUTE, idempotency_key="another") == row
    assert QueuedSignature.objects.count() == 1
    assert (Bid.objects.get().status, Signature.objects.count(), request.used_at) == (BidStatus.DRAFT, 0, None)
    assert waiting_ends.waits_for([row], NOON) == [["Test Issuing CA", "Test Root CA"]]

    # Meanwhile: other prices are typed, the document is left out, the tariff ends; and still no list.
    priced(bid, "99", "99", by=by)
    bid_documents.remove(bid.pk, document.pk, by=by, at=NOON)
    with pytest.raises(SignatureBeingJudged):
        bid_drafts.discard(bid.pk, by=by, at=NOON)
    Subscription.objects.update(ends_at=NOON + MINUTE)
    signature_queue.judge(row.pk, at=NOON + MINUTE)
    assert state(row) == (QueuedState.WAITING, "")

    # The list comes; it says that the certificate was revoked, but after the receipt.
    bring_lists(NOON + HOUR, {int(credential.serial): NOON + MINUTE})
    assert signature_queue.due(NOON + HOUR) == [row.pk]
    signature_queue.judge(row.pk, at=NOON + HOUR)
    assert signature_queue.judge(row.pk, at=NOON + HOUR) is None

    assert state(row) == (QueuedState.PASSED, "")
    bid.refresh_from_db()
    envelope = bid.envelopes.get()
    assert (bid.status, bid.version, bid.received_at, envelope.received_at) == (BidStatus.SUBMITTED, 1, NOON, NOON)
    assert bid.sent_revision < bid.revision
    assert (row.signature, envelope.signature.received_at) == (envelope.signature, NOON)
    assert bid.files.get().sealed_path
    assert envelope.receipt["content"]["received_at"] == "2026-03-02T12:00:00.000000Z"
    assert signature_queue.take(request, cms, by=by, at=CLOSES, idempotency_key=request.nonce[:32]) == envelope
    kinds = AuditRecord.objects.filter(object_type="queuedsignature").order_by("pk").values_list("action", flat=True)
    assert list(kinds) == ["signature_received", "signature_judged"]
    told = Notification.objects.get(kind="signature_passed")
    assert (told.person, told.url) == (by.person, f"/signatures/waiting/{row.pk}/")
    opening.open_tender(lot.tender_id, CLOSES)
    assert Bid.objects.get().amount == 425


def test_a_certificate_revoked_before_the_receipt_refuses(lot: Lot, by: Actor) -> None:
    bid = drafted_bid(lot, ["1", "2"], by=by)
    request = bids.prepare_submission(bid.pk, by=by, at=NOON)
    credential = certificate_of(request.organisation)
    cms = signed(request, credential)
    row = sent(request, by=by, at=NOON, cms=cms)
    bring_lists(NOON + MINUTE, {int(credential.serial): NOON - MINUTE})

    assert signature_queue.judge_due(lambda: NOON + MINUTE) == 1

    assert state(row) == (QueuedState.REFUSED, "REVOKED_NO_POE")
    with pytest.raises(SignatureNotTaken, match="revoked"):
        signature_queue.take(request, cms, by=by, at=NOON + MINUTE, idempotency_key="again")
    assert (Signature.objects.count(), Bid.objects.get().status) == (0, BidStatus.DRAFT)
    # Nothing is spent: another certificate's signature of the same counts.
    envelope = signature_queue.take(request, signed(request), by=by, at=NOON + MINUTE, idempotency_key="new")
    assert envelope == BidEnvelope.objects.get()


def test_of_several_that_wait_the_newest_received_stands_in_whatever_order_they_are_judged(lot: Lot, by: Actor) -> None:
    standing = sent_bid(lot, ["5", "5"], by=by)
    first = submitted(priced(standing, "4", "4", by=by), by=by, at=NOON)
    bring_lists(NOON + MINUTE)
    second = submitted(priced(standing, "3", "3", by=by), by=by, at=NOON + MINUTE)
    # What stands is not disturbed by what waits.
    standing.refresh_from_db()
    assert (standing.status, standing.version) == (BidStatus.SUBMITTED, 1)
    bring_lists(NOON + HOUR)

    for row in (second, first):
        signature_queue.judge(row.pk, at=NOON + HOUR)

    assert (state(second), state(first)) == ((QueuedState.PASSED, ""), (QueuedState.REFUSED, "newer_bid_stands"))
    standing.refresh_from_db()
    assert (standing.version, standing.received_at) == (3, NOON + MINUTE)
    opening.open_tender(lot.tender_id, CLOSES)
    standing.refresh_from_db()
    assert (standing.status, standing.opening_problem, standing.amount) == (BidStatus.OPENED, "", 60)


def test_a_bid_is_not_withdrawn_while_a_version_waits_that_would_stand_afterwards(lot: Lot, by: Actor) -> None:
    standing = sent_bid(lot, ["5", "5"], by=by)
    prepared = bids.prepare_withdrawal(standing.pk, by=by, at=NOON)
    waits = submitted(priced(standing, "4", "4", by=by), by=by, at=NOON)
    bring_lists(NOON + MINUTE)
    with pytest.raises(NewerVersionWaits, match="Version 2 of this bid was sent at 2026-03-02 12:00:00 UTC"):
        bids.prepare_withdrawal(standing.pk, by=by, at=NOON + MINUTE)
    with pytest.raises(NewerVersionWaits):
        bids.withdraw(prepared.pk, signed(prepared), idempotency_key="one", by=by, at=NOON + MINUTE)

    signature_queue.withdraw(waits.pk, by=by, at=NOON + MINUTE)
    bids.withdraw(prepared.pk, signed(prepared), idempotency_key="two", by=by, at=NOON + MINUTE)

    standing.refresh_from_db()
    assert (standing.status, signature_queue.waiting().count()) == (BidStatus.WITHDRAWN, 0)


def test_nothing_is_sent_while_a_withdrawal_waits(lot: Lot, by: Actor) -> None:
    standing = sent_bid(lot, ["5", "5"], by=by)
    prepared = bids.prepare_submission(priced(standing, "4", "4", by=by).pk, by=by, at=NOON)
    withdrawal = sent(bids.prepare_withdrawal(standing.pk, by=by, at=NOON), by=by, at=NOON)
    bring_lists(NOON)
    with pytest.raises(WithdrawalWaits, match="withdrawal was sent at 2026-03-02 12:00:00 UTC"):
        bids.prepare_submission(standing.pk, by=by, at=NOON)
    with pytest.raises(WithdrawalWaits):
        bids.submit(prepared.pk, signed(prepared), idempotency_key="one", by=by, at=NOON)

    signature_queue.withdraw(withdrawal.pk, by=by, at=NOON)
    bids.submit(prepared.pk, signed(prepared), idempotency_key="two", by=by, at=NOON)

    standing.refresh_from_db()
    assert (standing.status, standing.version) == (BidStatus.SUBMITTED, 2)


def test_a_bid_waits_as_long_as_an_amended_deadline_allows(lot: Lot, by: Actor, settings: Any) -> None:
    settings.SIGNATURE_WAIT_HOURS = 24 * 60
    row = submitted(drafted_bid(lot, ["1", "2"], by=by), by=by, at=JUST_BEFORE)
    assert row.give_up_at == GRACE_OVER
    Tender.objects.update(tender_ends_at=CLOSES + HOUR)

    signature_queue.judge_due(lambda: GRACE_OVER)

    assert state(row) == (QueuedState.WAITING, "")
    assert row.give_up_at == GRACE_OVER + HOUR


def test_the_opening_waits_for_what_was_received_in_time_and_opens_it(lot: Lot, by: Actor) -> None:
    row = submitted(drafted_bid(lot, ["1", "2"], by=by), by=by, at=JUST_BEFORE)
    moments.schedule(MomentKind.TENDER_ENDS, lot.tender, CLOSES)

    assert due_clock.tick(CLOSES) == due_clock.Tick(1, 0)
    assert Tender.objects.get().status == TenderStatus.PUBLISHED
    assert not operations.overdue(CLOSES + 10 * MINUTE).exists()  # nobody has to look after it
    bring_lists(CLOSES + MINUTE)
    signature_queue.judge_due(lambda: CLOSES + MINUTE)
    due_clock.tick(CLOSES + MINUTE)

    assert state(row) == (QueuedState.PASSED, "")
    bid = Bid.objects.get()
    assert (bid.status, bid.received_at, Tender.objects.get().opened_at) == (
        BidStatus.OPENED, JUST_BEFORE, CLOSES + MINUTE,
    )  # fmt: skip


def test_the_opening_waits_no_longer_than_the_grace_and_leaves_evidence(lot: Lot, by: Actor) -> None:
    sent_bid(lot, ["3", "4"])
    row = submitted(drafted_bid(lot, ["1", "2"], by=by), by=by, at=JUST_BEFORE)
    with pytest.raises(BindingByNow):  # no bid is taken back after the deadline
        signature_queue.withdraw(row.pk, by=by, at=CLOSES)
    with pytest.raises(SignaturesBeingJudged) as waits:
        opening.open_tender(lot.tender_id, GRACE_OVER - timedelta(microseconds=1))
    assert waits.value.until == GRACE_OVER

    opening.open_tender(lot.tender_id, GRACE_OVER)
    bring_lists(GRACE_OVER)
    signature_queue.judge_due(lambda: GRACE_OVER)

    assert state(row) == (QueuedState.EXPIRED, "not_judged_in_time")
    assert row.outcome == (
        "The revocation data of Test Issuing CA, Test Root CA did not come until 2026-03-12 12:30:00 UTC. Whether the "
        "certificate is revoked could not be said, so the signature received at 2026-03-12 11:59:00 UTC does not count."
    )
    assert sorted(Bid.objects.values_list("status", flat=True)) == [BidStatus.OPENED, BidStatus.WITHDRAWN]
    evidence = AuditRecord.objects.get(action="bid.signature_expired")
    assert evidence.stream == f"tender:{lot.tender_id}"
    assert evidence.details["cms_sha256"] == row.cms_sha256
    assert evidence.details["received_at"] == JUST_BEFORE.isoformat()


def test_a_bid_received_before_an_amendment_has_to_be_confirmed_like_all_others(lot: Lot, by: Actor) -> None:
    bid = drafted_bid(lot, ["1", "2"], by=by)
    request = bids.prepare_submission(bid.pk, by=by, at=NOON)
    cms = signed(request)
    buyer = member(lot.tender.buyer)
    proposal = Proposal("Other quantities are needed.", lots={lot.pk: {"title": "Chairs, more of them"}})
    amendment = amendments.prepare(lot.tender_id, proposal, by=buyer, at=NOON)
    row = sent(request, by=by, at=NOON, cms=cms)
    bring_lists(NOON + MINUTE)
    amendments.sign(amendment.pk, signed(amendment), by=buyer, at=NOON + MINUTE)

    signature_queue.judge(row.pk, at=NOON + MINUTE)

    bid.refresh_from_db()
    assert (state(row)[0], bid.status, bid.tender_version) == (QueuedState.PASSED, BidStatus.INVALIDATED, 1)
    assert send(bid, by=by).status == BidStatus.SUBMITTED


def test_who_lost_the_right_to_sign_meanwhile_does_not_sign(lot: Lot, by: Actor) -> None:
    row = submitted(drafted_bid(lot, ["1", "2"], by=by), by=by, at=NOON)
    Membership.objects.filter(person=by.person).update(active=False)
    bring_lists(NOON + MINUTE)

    signature_queue.judge(row.pk, at=NOON + MINUTE)

    assert state(row) == (QueuedState.REFUSED, "signer_left")


def test_a_waiting_signature_is_cancelled_by_its_own_people_only(lot: Lot, by: Actor) -> None:
    row = submitted(drafted_bid(lot, ["1", "2"], by=by), by=by, at=NOON)
    with pytest.raises(NotFound):
        signature_queue.withdraw(row.pk, by=bidder(), at=NOON)

    signature_queue.withdraw(row.pk, by=by, at=NOON + MINUTE)
    bring_lists(NOON + MINUTE)
    assert signature_queue.judge(row.pk, at=NOON + MINUTE) is None

    assert (state(row), Signature.objects.count()) == ((QueuedState.WITHDRAWN, "withdrawn"), 0)
    assert not Notification.objects.filter(kind="signature_withdrawn").exists()
    other = submitted(Bid.objects.get(), by=by, at=NOON + MINUTE)
    bring_lists(NOON + HOUR)
    signature_queue.judge(other.pk, at=NOON + HOUR)
    with pytest.raises(NothingWaits):
        signature_queue.withdraw(other.pk, by=by, at=NOON + HOUR)
    assert state(other)[0] == QueuedState.PASSED


def test_whose_signature_a_colleague_cancels_is_told(lot: Lot, by: Actor) -> None:
    row = submitted(drafted_bid(lot, ["1", "2"], by=by), by=by, at=NOON)
    colleague = member(row.organisation)

    signature_queue.withdraw(row.pk, by=colleague, at=NOON + MINUTE)

    told = Notification.objects.get(kind="signature_withdrawn")
    assert (told.person, told.url) == (by.person, f"/signatures/waiting/{row.pk}/")
    assert told.text == (
        f"{colleague.person} cancelled your signature received at 2026-03-02 12:00:00 UTC: Send the bid · "
        f"{lot.tender.number} · lot 1. Nothing was done under it."
    )


def test_what_was_signed_again_with_a_certificate_that_can_be_judged_counts_at_once(lot: Lot, by: Actor) -> None:
    bid = drafted_bid(lot, ["1", "2"], by=by)
    request = bids.prepare_submission(bid.pk, by=by, at=NOON)
    row = sent(request, by=by, at=NOON, cms=signed(request))
    bring_lists(NOON + MINUTE)

    envelope = signature_queue.take(request, signed(request), by=by, at=NOON + MINUTE, idempotency_key="again")
    opening.open_tender(lot.tender_id, CLOSES)  # it does not wait for the first
    signature_queue.judge_due(lambda: CLOSES)

    assert state(row) == (QueuedState.WITHDRAWN, "signed_again")
    assert (BidEnvelope.objects.get(), envelope.received_at) == (envelope, NOON + MINUTE)


def test_a_worker_that_dies_between_verdict_and_deed_has_it_done_once(lot: Lot, by: Actor) -> None:
    row = submitted(drafted_bid(lot, ["1", "2"], by=by), by=by, at=NOON)
    bring_lists(NOON + MINUTE)
    claimed = signature_queue._claim(row.pk, NOON + MINUTE)
    assert claimed is not None
    payload = bytes(claimed.request.payload)
    report = signing.judge(
        bytes(claimed.cms), payload, identifiers=signing.named_in(payload), at=NOON + MINUTE, received_at=NOON
    )
    verdict = Judged(bytes(claimed.cms), payload, NOON, report)
    # The worker is slow, or gone. Nobody else judges while its claim lasts; afterwards somebody does.
    assert signature_queue.judge(row.pk, at=NOON + 2 * MINUTE) is None
    later = NOON + MINUTE + signature_queue.CLAIM
    assert signature_queue.due(later) == [row.pk]
    assert signature_queue.judge(row.pk, at=later) is not None

    assert signature_queue._settle(claimed, verdict, later) is None

    assert (state(row)[0], BidEnvelope.objects.count(), Signature.objects.count()) == (QueuedState.PASSED, 1, 1)
    assert Notification.objects.filter(kind="bid_received").count() == 1


def test_a_deed_that_fails_for_a_flaw_of_ours_leaves_the_signature_waiting(
    lot: Lot, by: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = submitted(drafted_bid(lot, ["1", "2"], by=by), by=by, at=NOON)
    bring_lists(NOON + MINUTE)
    with monkeypatch.context() as patched:
        patched.setattr("procurement.services.receipts.for_envelope", lambda *_arguments: 1 / 0)
        signature_queue.judge_due(lambda: NOON + MINUTE)
    assert (state(row)[0], Signature.objects.count()) == (QueuedState.WAITING, 0)

    signature_queue.judge_due(lambda: NOON + MINUTE + signature_queue.CLAIM)

    assert (state(row)[0], BidEnvelope.objects.get().received_at) == (QueuedState.PASSED, NOON)
    assert connection.needs_rollback is False
