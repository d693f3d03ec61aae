"""Payloads that nobody signed do not stay for ever; what was signed, or is still referred to, does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from marketplace import tasks
from marketplace.models import IdempotencyKey, SigningRequest
from marketplace.services import signing, signing_requests
from procurement.models import Bid, BidSealing
from procurement.services import bids
from tests.factories.bids import bidder, drafted_bid, sent_bid, tender_taking_bids
from tests.factories.marketplace import NOON, accredited_supplier, member
from tests.factories.signatures import trust

pytestmark = pytest.mark.django_db
EXPIRES = NOON + timedelta(hours=1)
LONG_AFTER = EXPIRES + signing_requests.KEPT + timedelta(seconds=1)


def prepared() -> SigningRequest:
    return signing.prepare(
        action="register_organisation",
        actor=member(accredited_supplier()),
        object_type="organisation",
        object_id="1",
        object_version=1,
        content={},
        at=NOON,
        expires_at=EXPIRES,
    )


def test_a_request_that_nobody_signed_is_forgotten_a_month_after_it_expired() -> None:
    request = prepared()
    assert signing_requests.forget_unused(at=EXPIRES + signing_requests.KEPT) == 0
    assert signing_requests.forget_unused(at=LONG_AFTER) == 1
    assert not SigningRequest.objects.filter(pk=request.pk).exists()


def test_what_was_signed_or_is_referred_to_stays() -> None:
    trust()
    lot = tender_taking_bids().lots.get()
    sent = sent_bid(lot, ["61.50", "119.90"])
    by = bidder()
    draft = drafted_bid(lot, ["59.90", "120.00"], by=by)
    waiting = bids.prepare_submission(draft.pk, by=by, at=NOON)
    unsigned = prepared()
    long_after = waiting.expires_at + signing_requests.KEPT + timedelta(days=60)
    assert signing_requests.forget_unused(at=long_after) == 1
    assert not SigningRequest.objects.filter(pk=unsigned.pk).exists()
    assert BidSealing.objects.get().request_id == waiting.pk
    assert Bid.objects.get(pk=sent.pk).envelopes.get().signature.request.used_at is not None


def test_the_hourly_sweep_forgets_both_kinds(freeze: Callable[..., Any]) -> None:
    request = prepared()
    key = {"person": request.person, "action": "bid", "created_at": NOON}
    IdempotencyKey.objects.create(key="old", **key)
    IdempotencyKey.objects.create(key="new", **key | {"created_at": LONG_AFTER - timedelta(days=1)})
    freeze(LONG_AFTER)
    tasks.expire()
    assert not SigningRequest.objects.exists()
    assert [one.key for one in IdempotencyKey.objects.all()] == ["new"]
