"""Bids in a hurry: two submissions at once, a submission and the opening, a withdrawal and the opening.

Each test fails when the lock it is about is taken out.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections, transaction

from marketplace.entitlements import NotEntitled
from marketplace.models import Plan
from procurement.models import Bid, BidEnvelope, Tender
from procurement.rules.lifecycle import BidStatus, TenderStatus
from procurement.services import bid_drafts, bids, opening
from tests.factories.at_once import at_the_same_time, wait_until_blocked
from tests.factories.bids import CLOSES, LATER, bidder, drafted_bid, sent_bid, tender_taking_bids
from tests.factories.signatures import signed, trust

pytestmark = pytest.mark.django_db(transaction=True)

JUST_BEFORE = CLOSES - timedelta(seconds=1)


def test_one_request_sent_twice_at_once_makes_one_envelope() -> None:
    trust()
    by = bidder()
    bid = drafted_bid(tender_taking_bids().lots.get(), ["1", "2"], by=by)
    request = bids.prepare_submission(bid.pk, by=by, at=JUST_BEFORE)
    cms = signed(request)

    def send(key: str) -> Callable[[], Any]:
        return lambda: bids.submit(request.pk, cms, idempotency_key=key, by=by, at=JUST_BEFORE).pk

    results = at_the_same_time(send("same"), send("same"), send("other"))

    assert len(set(results)) == 1
    assert BidEnvelope.objects.count() == 1


def test_a_bid_received_in_time_is_opened_though_the_clock_is_at_it() -> None:
    """The submission has begun, its signature is being judged; the opening waits for it and opens what it stored."""
    trust()
    by = bidder()
    lot = tender_taking_bids().lots.get()
    bid = drafted_bid(lot, ["1", "2"], by=by)
    request = bids.prepare_submission(bid.pk, by=by, at=JUST_BEFORE)
    cms = signed(request)
    opened = threading.Thread(target=lambda: (opening.open_tender(lot.tender_id, LATER), connections.close_all()))

    with transaction.atomic():
        bid_drafts.keep_sealed(lot.tender_id)
        opened.start()
        wait_until_blocked()
        bids.submit(request.pk, cms, idempotency_key="one", by=by, at=JUST_BEFORE)
    opened.join()

    bid.refresh_from_db()
    assert (bid.status, Tender.objects.get().status) == (BidStatus.OPENED, TenderStatus.EVALUATION)


def test_a_signature_being_judged_keeps_nobody_from_the_tender() -> None:
    tender = tender_taking_bids()

    def locked() -> int:
        with transaction.atomic():
            return Tender.objects.select_for_update(nowait=True).get(pk=tender.pk).pk

    with transaction.atomic():
        bid_drafts.keep_sealed(tender.pk)
        assert at_the_same_time(locked) == [tender.pk]


def test_a_bid_that_comes_when_the_tender_is_open_is_late_whatever_its_stamp() -> None:
    trust()
    by = bidder()
    lot = tender_taking_bids().lots.get()
    bid = drafted_bid(lot, ["1", "2"], by=by)
    sent_bid(lot, ["3", "4"])
    request = bids.prepare_submission(bid.pk, by=by, at=JUST_BEFORE)
    cms = signed(request)

    submitted, opened = at_the_same_time(
        lambda: bids.submit(request.pk, cms, idempotency_key="one", by=by, at=JUST_BEFORE),
        lambda: opening.open_tender(lot.tender_id, LATER),
    )

    bid.refresh_from_db()
    assert isinstance(opened, Tender)
    if isinstance(submitted, BidEnvelope):
        assert (bid.status, bid.amount) == (BidStatus.OPENED, 30)
    else:
        assert isinstance(submitted, bid_drafts.TenderNotOpen | bid_drafts.BidNotEditable)
        assert (bid.status, bid.envelopes.count(), bid.amount) == (BidStatus.WITHDRAWN, 0, None)


def test_a_withdrawal_and_the_opening_leave_the_bid_withdrawn_or_opened_never_both() -> None:
    trust()
    by = bidder()
    lot = tender_taking_bids().lots.get()
    bid = sent_bid(lot, ["1", "2"], by=by)
    sent_bid(lot, ["3", "4"])
    request = bids.prepare_withdrawal(bid.pk, by=by, at=JUST_BEFORE)
    cms = signed(request)

    withdrawn, _opened = at_the_same_time(
        lambda: bids.withdraw(request.pk, cms, idempotency_key="one", by=by, at=JUST_BEFORE),
        lambda: opening.open_tender(lot.tender_id, LATER),
    )

    bid.refresh_from_db()
    if isinstance(withdrawn, BidEnvelope):
        assert (bid.status, bid.opened_at, bid.amount, bid.prices.count()) == (BidStatus.WITHDRAWN, None, None, 0)
    else:
        assert (bid.status, bid.amount) == (BidStatus.OPENED, 30)
        assert bid.envelopes.get().withdrawal_receipt is None


def test_two_bids_sent_at_once_are_both_counted_by_the_tariff() -> None:
    trust()
    by = bidder()
    Plan.objects.update(permits={"bids_per_month": 1})
    requests = []
    for lot in tender_taking_bids(lots=2).lots.all():
        request = bids.prepare_submission(drafted_bid(lot, ["1", "2"], by=by).pk, by=by, at=JUST_BEFORE)
        requests.append((request.pk, signed(request)))
    (first, cms), (second, other_cms) = requests
    answers: list[Any] = []

    def send() -> None:
        answers.extend(
            at_the_same_time(lambda: bids.submit(second, other_cms, idempotency_key="two", by=by, at=JUST_BEFORE))
        )

    sending = threading.Thread(target=send)
    with transaction.atomic():
        bids.submit(first, cms, idempotency_key="one", by=by, at=JUST_BEFORE)
        sending.start()
        wait_until_blocked()
    sending.join()

    assert isinstance(answers[0], NotEntitled)
    assert BidEnvelope.objects.count() == 1


def test_two_people_starting_a_bid_at_once_share_it() -> None:
    lot = tender_taking_bids().lots.get()
    first = bidder()
    assert first.organisation is not None
    second = bidder(first.organisation)

    results = at_the_same_time(
        lambda: bid_drafts.start(lot.pk, by=first, at=JUST_BEFORE).pk,
        lambda: bid_drafts.start(lot.pk, by=second, at=JUST_BEFORE).pk,
    )

    assert results == [Bid.objects.get().pk] * 2
