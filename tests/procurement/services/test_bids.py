"""Sending, replacing, confirming and withdrawing bids."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal

import pytest
from django.core.files.base import ContentFile

from marketplace.entitlements import NotEntitled
from marketplace.models import Notification, Role, SigningRequest, Subscription
from marketplace.permissions import Actor, RoleMissing
from marketplace.services.signing import SignatureRefused
from marketplace.shared import keys
from marketplace.shared.errors import NotFound
from marketplace.signatures.payload import sha256_hex
from procurement.models import Bid, BidEnvelope, BidSealing, Lot
from procurement.rules.lifecycle import BidStatus
from procurement.services import bid_checks, bid_documents, bid_drafts, bids, receipts
from procurement.services.bid_checks import OverLimitPrice, PricesIncomplete, TotalTooLarge
from procurement.services.bid_drafts import BidNotEditable, TenderPeriodOver
from procurement.services.bids import (
    AmendedSinceReview,
    ChangedSinceReview,
    NothingToWithdraw,
    TooManyVersions,
)
from procurement.services.once import IdempotencyKeyReused, IdempotencyKeyUnfit
from tests.factories.bids import CLOSES, bidder, drafted_bid, send, sent_bid, tender_taking_bids
from tests.factories.marketplace import NOON, accredited_supplier, member
from tests.factories.signatures import certificate_of, signed, trust

pytestmark = pytest.mark.django_db

JUST_BEFORE = CLOSES - timedelta(microseconds=1)


@pytest.fixture
def lot() -> Lot:
    trust()
    lot = tender_taking_bids().lots.get()
    lot.limit_price = Decimal(1000)
    lot.save()
    return lot


@pytest.fixture
def by() -> Actor:
    return bidder()


# Sending ----------------------------------------------------------------------------------------------------------


def test_a_sent_bid_is_sealed_signed_and_receipted(lot: Lot, by: Actor) -> None:
    bid = drafted_bid(lot, ["12.50", "30"], by=by)
    bid_documents.add(bid.pk, ContentFile(b"the plan", name="plan.txt"), by=by, at=NOON)
    request = bids.prepare_submission(bid.pk, by=by, at=JUST_BEFORE - timedelta(minutes=5))

    envelope = bids.submit(request.pk, signed(request), idempotency_key="one", by=by, at=JUST_BEFORE)

    bid.refresh_from_db()
    assert (bid.status, bid.version, bid.received_at) == (BidStatus.SUBMITTED, 1, JUST_BEFORE)
    assert (bid.amount, bid.initial_amount, bid.remarks) == (None, None, "")
    assert envelope.manifest["content"]["sha256"] == sha256_hex(bytes(envelope.ciphertext))
    assert json.loads(bytes(request.payload))["content"] == envelope.manifest
    content = keys.verify_receipt(envelope.receipt, keys.keyring().receipt_public_keys())
    assert content["received_at"] == "2026-03-12T11:59:59.999999Z"
    assert content["content"] == envelope.manifest["content"]
    assert [entry["sha256"] for entry in content["files"]] == [bid.files.get().sealed_sha256]
    assert not BidSealing.objects.exists()
    assert {n.person for n in Notification.objects.filter(kind="bid_received")} == {by.person}


def test_the_size_of_an_envelope_does_not_tell_the_price(lot: Lot) -> None:
    lot.limit_price = None
    lot.save()
    small, large = sent_bid(lot, ["1", "1"]), sent_bid(lot, ["123456.78", "98765432.1234"])

    sizes = {len(bytes(envelope.ciphertext)) for envelope in BidEnvelope.objects.filter(bid__in=[small, large])}

    assert len(sizes) == 1


def test_at_the_closing_instant_a_bid_is_late_and_stays_a_draft(lot: Lot, by: Actor) -> None:
    bid = drafted_bid(lot, ["1", "2"], by=by)
    request = bids.prepare_submission(bid.pk, by=by, at=JUST_BEFORE)

    with pytest.raises(TenderPeriodOver):
        bids.submit(request.pk, signed(request), idempotency_key="late", by=by, at=CLOSES)

    bid.refresh_from_db()
    assert (bid.status, bid.envelopes.count()) == (BidStatus.DRAFT, 0)


def test_a_refused_signature_leaves_the_draft_as_it_was(lot: Lot, by: Actor) -> None:
    bid = drafted_bid(lot, ["1", "2"], by=by)
    request = bids.prepare_submission(bid.pk, by=by, at=NOON)
    foreign = signed(request, certificate_of(accredited_supplier()))

    with pytest.raises(SignatureRefused) as refusal:
        bids.submit(request.pk, foreign, idempotency_key="one", by=by, at=NOON)

    assert "registration number" in str(refusal.value)
    bid.refresh_from_db()
    assert (bid.status, bid.version, bid.envelopes.count()) == (BidStatus.DRAFT, 0, 0)
    # Nothing is spent: the right signature for the same request still counts.
    bids.submit(request.pk, signed(request), idempotency_key="one", by=by, at=NOON)
    assert bid.envelopes.count() == 1


def test_a_double_click_sends_once(lot: Lot, by: Actor) -> None:
    bid = drafted_bid(lot, ["1", "2"], by=by)
    request = bids.prepare_submission(bid.pk, by=by, at=NOON)
    cms = signed(request)

    envelopes = [bids.submit(request.pk, cms, idempotency_key=key, by=by, at=NOON) for key in ("a", "a", "b")]

    assert len({envelope.pk for envelope in envelopes}) == 1
    assert Notification.objects.filter(kind="bid_received").count() == 1


def test_a_key_used_for_another_submission_is_refused(lot: Lot, by: Actor) -> None:
    bid = drafted_bid(lot, ["1", "2"], by=by)
    first = bids.prepare_submission(bid.pk, by=by, at=NOON)
    bids.submit(first.pk, signed(first), idempotency_key="a", by=by, at=NOON)
    second = bids.prepare_submission(bid.pk, by=by, at=NOON)

    with pytest.raises(IdempotencyKeyReused):
        bids.submit(second.pk, signed(second), idempotency_key="a", by=by, at=NOON)


@pytest.mark.parametrize("key", ["", "x" * 65])
def test_a_key_has_a_length(lot: Lot, by: Actor, key: str) -> None:
    request = bids.prepare_submission(drafted_bid(lot, ["1", "2"], by=by).pk, by=by, at=NOON)

    with pytest.raises(IdempotencyKeyUnfit):
        bids.submit(request.pk, b"", idempotency_key=key, by=by, at=NOON)


def test_incomplete_prices_are_named_by_their_fields(lot: Lot, by: Actor) -> None:
    bid = drafted_bid(lot, ["", "zero"], by=by)

    with pytest.raises(PricesIncomplete) as refusal:
        bids.prepare_submission(bid.pk, by=by, at=NOON)

    first, second = lot.items.all()
    assert set(refusal.value.errors) == {f"price_{first.pk}", f"price_{second.pk}"}
    assert not SigningRequest.objects.exists()


def test_a_total_above_the_limit_is_refused_before_sealing(lot: Lot, by: Actor) -> None:
    bid = drafted_bid(lot, ["50", "50.01"], by=by)

    with pytest.raises(OverLimitPrice):
        bids.prepare_submission(bid.pk, by=by, at=NOON)

    assert not BidSealing.objects.exists()


def test_a_bid_is_not_sent_without_end(lot: Lot, by: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bids, "VERSIONS_AT_MOST", 2)
    for price in ("1", "2"):
        bid = sent_bid(lot, [price, "2"], by=by)

    with pytest.raises(TooManyVersions):
        bids.prepare_submission(bid.pk, by=by, at=NOON)
    assert bids.prepare_withdrawal(bid.pk, by=by, at=NOON)


def test_a_total_that_is_no_price_is_refused_before_sealing(lot: Lot, by: Actor) -> None:
    Lot.objects.update(limit_price=None)
    lot.items.update(quantity=1)
    bid = drafted_bid(lot, ["500000000000000", "500000000000000"], by=by)

    draft = bid_drafts.read_draft(bid, by=by)
    said = bid_checks.checks(bid, draft, bid_drafts.price_table(bid.lot, draft), at=NOON)
    assert [check.text for check in said if check.anchor == "total" and not check.holds] == [str(TotalTooLarge())]
    with pytest.raises(TotalTooLarge):
        bids.prepare_submission(bid.pk, by=by, at=NOON)

    assert not BidSealing.objects.exists()


def test_a_hidden_limit_is_not_found_out_by_trying(lot: Lot, by: Actor) -> None:
    lot.tender.settings = {"limit_price_shown": False}
    lot.tender.save()

    bids.prepare_submission(drafted_bid(lot, ["500", "500"], by=by).pk, by=by, at=NOON)

    assert BidSealing.objects.count() == 1


def test_a_draft_changed_after_review_is_not_sent(lot: Lot, by: Actor) -> None:
    bid = drafted_bid(lot, ["1", "2"], by=by)
    request = bids.prepare_submission(bid.pk, by=by, at=NOON)
    bid.refresh_from_db()
    bid_drafts.save(bid.pk, prices={}, remarks="changed", revision=bid.revision, by=by, at=NOON)

    with pytest.raises(ChangedSinceReview):
        bids.submit(request.pk, signed(request), idempotency_key="one", by=by, at=NOON)


def test_a_tender_amended_after_review_is_looked_at_again(lot: Lot, by: Actor) -> None:
    request = bids.prepare_submission(drafted_bid(lot, ["1", "2"], by=by).pk, by=by, at=NOON)
    lot.tender.version += 1
    lot.tender.save()

    with pytest.raises(AmendedSinceReview):
        bids.submit(request.pk, signed(request), idempotency_key="one", by=by, at=NOON)


def test_an_entitlement_lost_meanwhile_stops_the_bid(lot: Lot, by: Actor) -> None:
    request = bids.prepare_submission(drafted_bid(lot, ["1", "2"], by=by).pk, by=by, at=NOON)
    Subscription.objects.all().delete()

    with pytest.raises(NotEntitled):
        bids.submit(request.pk, signed(request), idempotency_key="one", by=by, at=NOON)


def test_a_lot_without_a_key_takes_no_bid(lot: Lot, by: Actor) -> None:
    Lot.objects.update(public_key=None)

    with pytest.raises(bid_drafts.NoLotKey):
        bids.prepare_submission(drafted_bid(lot, ["1", "2"], by=by).pk, by=by, at=NOON)


def test_only_a_signer_of_the_supplier_sends(lot: Lot, by: Actor) -> None:
    bid = drafted_bid(lot, ["1", "2"], by=by)

    with pytest.raises(RoleMissing):
        bids.prepare_submission(bid.pk, by=member(bid.supplier, Role.BID_MANAGER), at=NOON)
    for stranger in (bidder(), member(lot.tender.buyer)):
        with pytest.raises(NotFound):
            bids.prepare_submission(bid.pk, by=stranger, at=NOON)


def test_a_foreign_request_is_not_found(lot: Lot, by: Actor) -> None:
    request = bids.prepare_submission(drafted_bid(lot, ["1", "2"], by=by).pk, by=by, at=NOON)

    for stranger, wanted in ((bidder(), request.pk), (by, request.pk + 1000)):
        with pytest.raises(NotFound):
            bids.submit(wanted, b"", idempotency_key="one", by=stranger, at=NOON)


# Replacing, confirming, withdrawing -------------------------------------------------------------------------------


def test_a_replaced_bid_supersedes_the_first(lot: Lot, by: Actor) -> None:
    bid = sent_bid(lot, ["1", "2"], by=by)
    bid_drafts.save(bid.pk, prices={}, remarks="better", revision=Bid.objects.get(pk=bid.pk).revision, by=by, at=NOON)
    later = NOON + timedelta(hours=1)

    again = send(bid, by=by, at=later)

    first, second = again.envelopes.all()
    assert (again.version, again.received_at, again.status) == (2, later, BidStatus.SUBMITTED)
    assert (first.superseded_at, second.superseded_at) == (later, None)


def test_a_bid_being_edited_keeps_its_standing_envelope(lot: Lot, by: Actor) -> None:
    bid = sent_bid(lot, ["1", "2"], by=by)

    after = bid_drafts.save(
        bid.pk, prices={}, remarks="more", revision=Bid.objects.get(pk=bid.pk).revision, by=by, at=NOON
    )

    assert (after.status, after.version) == (BidStatus.SUBMITTED, 1)
    assert after.revision > after.sent_revision


def test_an_invalidated_bid_is_confirmed_with_one_signature(lot: Lot, by: Actor) -> None:
    bid = sent_bid(lot, ["1", "2"], by=by)
    Bid.objects.update(status=BidStatus.INVALIDATED.value)
    lot.tender.version += 1
    lot.tender.save()

    again = send(bid, by=by)

    assert (again.status, again.version, again.tender_version) == (BidStatus.SUBMITTED, 2, 2)


def test_a_withdrawn_bid_has_a_receipt_and_can_be_prepared_again(lot: Lot, by: Actor) -> None:
    bid = sent_bid(lot, ["1", "2"], by=by)
    request = bids.prepare_withdrawal(bid.pk, by=by, at=NOON)

    envelope = bids.withdraw(request.pk, signed(request), idempotency_key="w", by=by, at=NOON)
    again = bids.withdraw(request.pk, signed(request), idempotency_key="w", by=by, at=NOON)

    bid.refresh_from_db()
    assert (bid.status, bid.withdrawn_at) == (BidStatus.WITHDRAWN, NOON)
    assert envelope.pk == again.pk
    assert envelope.withdrawal_receipt is not None
    assert receipts.verify(receipts.as_bytes(envelope.withdrawal_receipt)).on_record
    assert bid_drafts.start(lot.pk, by=by, at=NOON).status == BidStatus.DRAFT
    assert send(bid, by=by).version == 2


def test_nothing_is_withdrawn_after_the_deadline(lot: Lot, by: Actor) -> None:
    bid = sent_bid(lot, ["1", "2"], by=by)
    request = bids.prepare_withdrawal(bid.pk, by=by, at=JUST_BEFORE)

    with pytest.raises(TenderPeriodOver):
        bids.withdraw(request.pk, signed(request), idempotency_key="w", by=by, at=CLOSES)

    bid.refresh_from_db()
    assert bid.status == BidStatus.SUBMITTED


def test_a_withdrawal_of_an_older_version_does_not_withdraw_the_new_one(lot: Lot, by: Actor) -> None:
    bid = sent_bid(lot, ["1", "2"], by=by)
    request = bids.prepare_withdrawal(bid.pk, by=by, at=NOON)
    send(bid, by=by)

    with pytest.raises(ChangedSinceReview):
        bids.withdraw(request.pk, signed(request), idempotency_key="w", by=by, at=NOON)


@pytest.mark.parametrize(
    ("status", "refusal"), [(BidStatus.DRAFT, NothingToWithdraw), (BidStatus.WITHDRAWN, BidNotEditable)]
)
def test_only_a_sent_bid_is_withdrawn(lot: Lot, by: Actor, status: BidStatus, refusal: type[Exception]) -> None:
    bid = drafted_bid(lot, ["1", "2"], by=by)
    Bid.objects.update(status=status.value)

    with pytest.raises(refusal):
        bids.prepare_withdrawal(bid.pk, by=by, at=NOON)


# Receipts ---------------------------------------------------------------------------------------------------------


def test_a_receipt_is_recognised_and_a_changed_one_is_not(lot: Lot, by: Actor) -> None:
    receipt = sent_bid(lot, ["1", "2"], by=by).envelopes.get().receipt

    verdict = receipts.verify(receipts.as_bytes(receipt))
    forged = receipts.verify(receipts.as_bytes(receipt | {"content": receipt["content"] | {"bid_version": 9}}))

    assert (verdict.genuine, verdict.on_record, verdict.content["kind"]) == (True, True, "bid_received")
    assert (forged.genuine, forged.on_record, forged.content) == (False, False, {})


@pytest.mark.parametrize("junk", [b"", b"null", b"[]", b"{}", b"\xff\xfe", b"[" * 100_000, b"x" * 300_000])
def test_junk_is_no_receipt(junk: bytes) -> None:
    assert not receipts.verify(junk).genuine


def test_a_receipt_holds_nothing_of_the_content(lot: Lot, by: Actor) -> None:
    receipt = sent_bid(lot, ["12.34", "56.78"], by=by, remarks="secret").envelopes.get().receipt

    text = json.dumps(receipt)

    assert not any(secret in text for secret in ("12.34", "56.78", "691.2", "secret"))


# Check before sending ---------------------------------------------------------------------------------------------


def _checked(lot: Lot, prices: list[str]) -> list[bool]:
    by = bidder()
    bid = drafted_bid(lot, prices, by=by)
    draft = bid_drafts.read_draft(bid, by=by)
    return [check.holds for check in bid_checks.checks(bid, draft, bid_drafts.price_table(lot, draft), at=NOON)]


@pytest.mark.parametrize(
    ("prices", "holds"),
    [(["1", "2"], [True, True, True]), (["1", ""], [False, True, True]), (["1000", "2"], [True, False, True])],
)
def test_the_check_says_what_is_missing(lot: Lot, prices: list[str], holds: list[bool]) -> None:
    assert _checked(lot, prices) == holds
