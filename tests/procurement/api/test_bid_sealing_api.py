"""A program that seals its bid itself and sends it over the API: docs/sealing-bids.md."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from django.urls import reverse
from rest_framework.test import APIClient

from marketplace.models import SigningRequest
from marketplace.signatures import sealing
from procurement.models import Bid, BidUpload, Lot, Tender
from procurement.rules.lifecycle import BidStatus
from procurement.services import bid_drafts, opening
from tests.conftest import ROOT
from tests.factories import bidder_program as program
from tests.factories.bidder_program import PART
from tests.factories.bids import CLOSES, LATER, bidder, tender_taking_bids
from tests.factories.marketplace import NOON, member
from tests.factories.signatures import signed, trust

pytestmark = pytest.mark.django_db

PLAIN = os.urandom(PART + 9).hex().encode()


@pytest.fixture(params=["platform", "committee"])
def lot(request: pytest.FixtureRequest, freeze: Any) -> Lot:
    trust()
    freeze(NOON)
    lot = tender_taking_bids().lots.get()
    Tender.objects.update(key_custody=request.param)
    return Lot.objects.select_related("tender").get(pk=lot.pk)


def _client(actor: Any) -> APIClient:
    client = APIClient()
    client.force_login(actor.person)
    return client


def _part(client: APIClient, url: str, offset: int, content: bytes) -> Any:
    return client.put(f"{url}?offset={offset}", content, content_type="application/octet-stream")


def test_a_program_seals_sends_and_is_opened(lot: Lot) -> None:
    by = bidder()
    client = _client(by)
    bid = Bid.objects.select_related("lot").get(pk=client.post("/api/v1/bids/", {"lot": lot.pk}, "json").json()["id"])
    terms = client.get(reverse("api_bid_sealing", args=[bid.pk])).json()
    assert base64.b64decode(terms["public_key"]) == bytes(lot.public_key or b"")
    assert (terms["version"], terms["digits"], terms["custody"]) == (1, 2, lot.tender.key_custody)

    size = sealing.sealed_size(len(PLAIN))
    begun = client.post(reverse("api_bid_uploads", args=[bid.pk]), {"size": size}, "json").json()
    key = sealing.new_file_key()
    sealed = program.sealed_document(bid, begun["document"], PLAIN, key)
    url = reverse("api_bid_upload", args=[bid.pk, begun["upload"]])
    assert _part(client, url, 0, sealed[:PART]).json()["received"] == PART
    again = _part(client, url, 0, sealed[:PART])
    assert (again.status_code, again.json()["code"], again.json()["offset"]) == (409, "wrong_place", PART)
    assert client.get(url).json()["received"] == PART
    assert _part(client, url, PART, sealed[PART:]).json()["received"] == size
    sha256 = hashlib.sha256(PLAIN).hexdigest()
    about = {"name": "plan.txt", "media_type": "text/plain", "sha256": sha256, "key": key.hex()}
    told: dict[str, Any] = {"sha256": hashlib.sha256(sealed).hexdigest()}
    if terms["custody"] == "platform":
        told["about"] = about
    finished = client.post(reverse("api_bid_upload_finish", args=[bid.pk, begun["upload"]]), told, "json")
    assert (finished.status_code, finished.json()["id"]) == (200, begun["document"])

    document = bid.files.get()
    content = program.content_of(
        bid, ["20", "30"], ["200.00", "300.00"], "500.00", files={document: ("plan.txt", PLAIN)}
    )
    prepared = client.post(
        reverse("api_bid_prepare_sealed", args=[bid.pk]),
        {
            "content": base64.b64encode(program.sealed_content(bid, content)).decode(),
            "documents": [document.pk],
            "version": terms["version"],
            "tender_version": terms["tender_version"],
        },
        "json",
    ).json()
    request = SigningRequest.objects.get(nonce=prepared["nonce"])
    sent = client.post(
        reverse("api_bid_submit", args=[bid.pk]),
        {"nonce": prepared["nonce"], "signature": base64.b64encode(signed(request)).decode()},
        "json",
        headers={"Idempotency-Key": "once"},
    )
    assert sent.status_code == 201

    Tender.objects.update(key_custody="platform")
    opening.open_tender(lot.tender_id, LATER)
    bid.refresh_from_db()
    assert (bid.status, bid.amount, bid.opening_problem) == (BidStatus.OPENED, 500, "")
    assert bid.files.get().name == "plan.txt"


def test_the_own_ciphertext_is_handed_out_and_opens_with_its_key(lot: Lot) -> None:
    by = bidder()
    bid = bid_drafts.start(lot.pk, by=by, at=NOON)
    about = {} if lot.tender.key_custody == "platform" else {"about": None}
    document = program.send_document(bid, b"the plan", by=by, **about)
    url = reverse("api_bid_sealed_document", args=[bid.pk, document.pk])

    response: Any = _client(by).get(url)

    assert hashlib.sha256(b"".join(response.streaming_content)).hexdigest() == document.sealed_sha256
    assert _client(member(bid.lot.tender.buyer)).get(url).status_code == 404


@pytest.mark.parametrize("query", ["", "?offset=", "?offset=-1", "?offset=1e3", "?offset=" + "9" * 30])
def test_a_part_without_its_place_is_refused(lot: Lot, query: str) -> None:
    by = bidder()
    bid = bid_drafts.start(lot.pk, by=by, at=NOON)
    client = _client(by)
    begun = client.post(reverse("api_bid_uploads", args=[bid.pk]), {"size": sealing.sealed_size(5)}, "json").json()

    url = reverse("api_bid_upload", args=[bid.pk, begun["upload"]])
    response = client.put(url + query, b"x", content_type="application/octet-stream")

    assert (response.status_code, response.json()["code"]) == (400, "offset_missing")
    assert BidUpload.objects.get().received == 0


def test_a_part_that_is_too_large_is_not_read_to_its_end(lot: Lot, settings: Any) -> None:
    settings.BID_PART_MAX_BYTES = 1000
    by = bidder()
    bid = bid_drafts.start(lot.pk, by=by, at=NOON)
    client = _client(by)
    begun = client.post(reverse("api_bid_uploads", args=[bid.pk]), {"size": sealing.sealed_size(5000)}, "json").json()

    response = _part(client, reverse("api_bid_upload", args=[bid.pk, begun["upload"]]), 0, bytes(4000))

    assert (response.status_code, response.json()["code"]) == (413, "part_refused")


def test_a_part_after_the_deadline_is_refused(lot: Lot, freeze: Any) -> None:
    by = bidder()
    bid = bid_drafts.start(lot.pk, by=by, at=NOON)
    client = _client(by)
    begun = client.post(reverse("api_bid_uploads", args=[bid.pk]), {"size": sealing.sealed_size(5)}, "json").json()
    freeze(CLOSES)

    response = _part(client, reverse("api_bid_upload", args=[bid.pk, begun["upload"]]), 0, b"x")

    assert (response.status_code, response.json()["code"]) == (409, "tender_period_over")


def test_plain_prices_are_for_lots_whose_key_the_platform_holds(lot: Lot) -> None:
    by = bidder()
    bid = bid_drafts.start(lot.pk, by=by, at=NOON)
    response = _client(by).patch(
        reverse("api_bid", args=[bid.pk]), {"revision": bid.revision, "remarks": "secret"}, "json"
    )

    if lot.tender.key_custody == "platform":
        assert response.status_code == 200
    else:
        assert (response.status_code, response.json()["code"]) == (409, "draft_stays_with_bidder")


@pytest.mark.parametrize("content", ["", "no base64!", base64.b64encode(b"plain prices").decode()])
def test_what_is_no_sealed_content_is_refused(lot: Lot, content: str) -> None:
    by = bidder()
    bid = bid_drafts.start(lot.pk, by=by, at=NOON)

    sent = {"content": content, "documents": [], "version": 1, "tender_version": 1}
    response = _client(by).post(reverse("api_bid_prepare_sealed", args=[bid.pk]), sent, "json")

    assert response.status_code in (400, 422)


def test_the_program_of_the_docs_sends_a_bid_that_opens(
    freeze: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trust()
    freeze(NOON)
    lot = tender_taking_bids(items=1).lots.get()
    by = bidder()
    client = _client(by)
    bid = bid_drafts.start(lot.pk, by=by, at=NOON)

    def call(method: str, path: str, body: Any = None) -> Any:
        if isinstance(body, bytes):
            answer = client.generic(method, path, body, content_type="application/octet-stream")
        else:
            answer = client.generic(
                method, path, json.dumps(body or {}), content_type="application/json", headers={"Idempotency-Key": "k"}
            )
        assert answer.status_code < 300, answer.content
        return answer.json()

    def sign(payload: bytes) -> bytes:
        request = SigningRequest.objects.get(payload=payload)
        return signed(request)

    monkeypatch.chdir(tmp_path)
    (tmp_path / "offer.pdf").write_bytes(b"%PDF-1.7 offer")
    text = (ROOT / "docs" / "sealing-bids.md").read_text("utf-8")
    exec(text.split("```python\n")[1].split("```")[0], {"call": call, "sign": sign, "bid": bid.pk})

    opening.open_tender(lot.tender_id, LATER)
    bid.refresh_from_db()
    assert (bid.status, bid.amount, bid.opening_problem) == (BidStatus.OPENED, 125, "")
    assert bid.files.get().name == "offer.pdf"
