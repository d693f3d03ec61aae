"""What people read while the verdict on a signature waits for revocation data."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from marketplace.models import QueuedSignature, RevocationSource, SigningRequest, StaffRole, TrustedCertificate
from marketplace.services import signature_queue
from procurement.models import Bid
from procurement.services import bids
from tests.factories.bids import CLOSES, bidder, drafted_bid, tender_taking_bids
from tests.factories.clients import client_of
from tests.factories.marketplace import NOON, member, staff
from tests.factories.signatures import bring_lists, lose_lists, signed, trust

pytestmark = pytest.mark.django_db
IN_TIME = CLOSES - timedelta(minutes=1)


def read(client: Client, url: str, **named: Any) -> str:
    answer = client.get(url, **named)
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def test_from_the_signature_to_the_opening_everybody_reads_what_it_waits_for(freeze: Callable[..., Any]) -> None:
    now = freeze(IN_TIME)
    trust()
    tender, by = tender_taking_bids(), bidder()
    bid = drafted_bid(tender.lots.get(), ["1", "2"], by=by)
    client, buyer, operator = client_of(by), client_of(member(tender.buyer)), client_of(staff(StaffRole.OPERATOR))
    sign = client.post(reverse("bid_review", args=[bid.pk])).url
    request = SigningRequest.objects.get()
    body = {"signature": base64.b64encode(signed(request)).decode()}
    lose_lists()

    sent = client.post(sign, body)
    row = QueuedSignature.objects.get()
    status = reverse("waiting_signature", args=[row.pk])
    assert (sent.url, client.post(sign, body).url) == (status, status)
    page = read(client, status)
    assert "Received at 11:59:00 UTC, and being judged" in page
    assert "The revocation data of Test Issuing CA, Test Root CA is being fetched" in page
    assert 'hx-trigger="every 3s"' in read(client, status, headers={"HX-Request": "true"})
    own = read(client, reverse("bid", args=[bid.pk]))
    assert "Received, being judged" in own
    assert f'href="{status}">Cancel it' in own
    assert "Received, being judged" in read(client, reverse("my_bids"))
    assert "A signature of yours is being judged" in read(client, reverse("home"))
    assert buyer.get(status).status_code == 404
    receipt = client.get(reverse("waiting_signature_receipt", args=[row.pk])).content
    for document, verdict in (
        (receipt, "the same receipt is on record here"),
        (receipt.replace(b"11:59", b"11:58"), "something in it was changed"),
    ):
        checked = Client().post(reverse("receipt_verify"), {"receipt": SimpleUploadedFile("r.json", document)})
        assert verdict in checked.content.decode()

    assert "1 signature waits for revocation data" in read(operator, reverse("home"))
    waiting = read(operator, reverse("trust_waiting"))
    assert "Test Issuing CA" in waiting
    source = RevocationSource.objects.create(
        authority=TrustedCertificate.objects.first(), kind="crl", url="http://127.0.0.1:9/", added_at=NOON,
        next_at=CLOSES + timedelta(days=1), tried_at=IN_TIME,
    )  # fmt: skip
    operator.post(reverse("trust_waiting_fetch", args=[row.pk]))
    source.refresh_from_db()
    assert source.next_at == IN_TIME

    now.move_to(CLOSES)
    for reader in (client, buyer, Client()):
        page = read(reader, tender.get_absolute_url())
        assert "Signatures received before the deadline are still being judged" in page
    bring_lists(CLOSES)
    signature_queue.judge_due(lambda: CLOSES)
    page = read(client, status)
    assert "The signature passed, and counts as received at 2026-03-12 11:59:00 UTC." in page
    assert "hx-trigger" not in page
    assert Bid.objects.get().received_at == IN_TIME
    late = operator.post(reverse("trust_waiting_fetch", args=[row.pk]))
    assert str(signature_queue.NothingWaits()) in read(operator, late.url)


def test_a_waiting_signature_is_cancelled_on_its_page(freeze: Callable[..., Any]) -> None:
    freeze(NOON)
    trust()
    by = bidder()
    bid = drafted_bid(tender_taking_bids().lots.get(), ["1", "2"], by=by)
    client = client_of(by)
    sign = client.post(reverse("bid_review", args=[bid.pk])).url
    body = {"signature": base64.b64encode(signed(SigningRequest.objects.get())).decode()}
    lose_lists()
    status = client.post(sign, body).url

    page = " ".join(client.post(status, follow=True).content.decode().split())

    assert "The signature is cancelled. Nothing was done under it." in page
    assert "It was cancelled while it waited." in page
    again = client.post(sign, body)
    assert again.status_code == 422
    assert "It was cancelled while it waited." in again.content.decode()
    assert "Draft, not sent" in read(client, reverse("bid", args=[bid.pk]))


def test_the_operators_list_costs_the_same_however_many_wait(freeze: Callable[..., Any]) -> None:
    freeze(NOON)
    trust()
    lot, operator = tender_taking_bids().lots.get(), client_of(staff(StaffRole.OPERATOR))

    def queries() -> int:
        with CaptureQueriesContext(connection) as asked:
            read(operator, reverse("trust_waiting"))
        return len(asked)

    counts = []
    for number in range(3):
        by = bidder()
        request = bids.prepare_submission(drafted_bid(lot, ["1", "2"], by=by).pk, by=by, at=NOON)
        cms = signed(request)
        lose_lists()
        signature_queue.take(request, cms, by=by, at=NOON, idempotency_key="one")
        if number != 1:
            counts.append(queries())
    assert QueuedSignature.objects.count() == 3
    assert counts[0] == counts[1]
