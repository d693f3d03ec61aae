"""Own bids over the API: the same services, refusals as problem documents."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from marketplace.models import Role, SigningRequest
from marketplace.permissions import Actor
from marketplace.services import signature_queue
from procurement.models import Bid, Lot
from procurement.rules.lifecycle import BidStatus
from tests.factories.bids import CLOSES, bidder, drafted_bid, sent_bid, tender_taking_bids
from tests.factories.marketplace import NOON, OrganisationFactory, member
from tests.factories.signatures import bring_lists, lose_lists, signed, trust

pytestmark = pytest.mark.django_db

BIDS = "/api/v1/bids/"


@pytest.fixture(autouse=True)
def now(freeze: Callable[..., Any]) -> Any:
    trust()
    return freeze(NOON)


@pytest.fixture
def lot() -> Lot:
    return tender_taking_bids().lots.get()


@pytest.fixture
def by() -> Actor:
    return bidder()


def client_of(actor: Actor) -> APIClient:
    client = APIClient()
    client.force_login(actor.person)  # type: ignore[arg-type]
    return client


def _signed(answer: Any) -> dict[str, str]:
    request = SigningRequest.objects.get(nonce=answer.json()["nonce"])
    assert base64.b64decode(answer.json()["payload"]) == bytes(request.payload)
    return {"nonce": request.nonce, "signature": base64.b64encode(signed(request)).decode()}


def test_a_bid_is_prepared_signed_sent_and_withdrawn(lot: Lot, by: Actor) -> None:
    api = client_of(by)
    first, second = lot.items.all()

    made = api.post(BIDS, {"lot": lot.pk}, format="json")
    assert (made.status_code, made.json()["status"]) == (201, "draft")
    url = f"{BIDS}{made.json()['id']}/"
    body = {"revision": made.json()["revision"], "prices": {str(first.pk): "12.50", str(second.pk): "30"}}
    saved = api.patch(url, body, format="json")
    assert (saved.json()["total"], saved.json()["complete"]) == ("425.00", True)
    document = api.post(f"{url}documents/", {"file": SimpleUploadedFile("plan.txt", b"plan")}, format="multipart")
    assert (document.status_code, document.json()["name"]) == (201, "plan.txt")
    prepared = api.post(f"{url}prepare/")
    sent = api.post(f"{url}submit/", _signed(prepared), format="json", headers={"Idempotency-Key": "one"})

    assert (sent.status_code, sent.json()["content"]["kind"]) == (201, "bid_received")
    assert api.get(f"{url}receipts/1/").json() == sent.json()
    withdrawal = api.post(f"{url}prepare-withdrawal/")
    gone = api.post(f"{url}withdraw/", _signed(withdrawal), format="json", headers={"Idempotency-Key": "two"})
    assert gone.json()["content"]["kind"] == "bid_withdrawn"
    assert Bid.objects.get().status == BidStatus.WITHDRAWN


def test_the_same_key_sends_once(lot: Lot, by: Actor) -> None:
    api, bid = client_of(by), drafted_bid(lot, ["1", "2"], by=by)
    url = f"{BIDS}{bid.pk}/"
    body = _signed(api.post(f"{url}prepare/"))

    answers = [api.post(f"{url}submit/", body, format="json", headers={"Idempotency-Key": "k"}) for _ in range(2)]

    assert answers[0].json() == answers[1].json()
    assert bid.envelopes.count() == 1


def test_a_bid_that_cannot_be_judged_yet_is_accepted_and_answered_for_later(lot: Lot, by: Actor) -> None:
    api, bid = client_of(by), drafted_bid(lot, ["1", "2"], by=by)
    url, key = f"{BIDS}{bid.pk}/submit/", {"Idempotency-Key": "k"}
    body = _signed(api.post(f"{BIDS}{bid.pk}/prepare/"))
    lose_lists()

    sent = api.post(url, body, format="json", headers=key)
    again = api.post(url, body, format="json", headers=key)

    assert (sent.status_code, sent.json()["state"], again.json()) == (202, "waiting", sent.json())
    assert sent.json()["received_at"] == "2026-03-02T12:00:00Z"
    assert sent.json()["waits_for"] == ["Test Issuing CA", "Test Root CA"]
    status = sent["Location"]
    assert client_of(bidder()).get(status).status_code == 404
    bring_lists(NOON)
    signature_queue.judge_due(lambda: NOON)
    assert api.get(status).json()["state"] == "passed"
    assert api.post(url, body, format="json", headers=key).json() == bid.envelopes.get().receipt

    withdrawal = _signed(api.post(f"{BIDS}{bid.pk}/prepare-withdrawal/"))
    lose_lists()
    url, key = f"{BIDS}{bid.pk}/withdraw/", {"Idempotency-Key": "w"}
    waits = api.post(url, withdrawal, format="json", headers=key)
    assert (waits.status_code, api.delete(waits["Location"]).status_code) == (202, 204)
    refused = [api.get(waits["Location"]), api.post(url, withdrawal, format="json", headers=key)]
    for answer in refused:
        assert (answer.status_code, answer["Content-Type"]) == (422, "application/problem+json")
        assert (answer.json()["code"], answer.json()["state"]) == ("signature_not_taken", "withdrawn")


@pytest.mark.parametrize(
    ("headers", "body", "status", "code"),
    [
        ({}, {"signature": "AAAA"}, 400, "idempotency_key_missing"),
        ({"Idempotency-Key": "k"}, {"signature": "*"}, 422, "signature_unreadable"),
        ({"Idempotency-Key": "k"}, {}, 422, "invalid"),
        ({"Idempotency-Key": "k"}, {"signature": "AAAA"}, 422, "signature_refused"),
        ({"Idempotency-Key": "x" * 65}, {"signature": "AAAA"}, 422, "idempotency_key_unfit"),
        ({"Idempotency-Key": "k"}, {"signature": "AAAA", "nonce": "unknown"}, 404, "not_found"),
    ],
)
def test_a_submission_that_is_refused_says_why_and_sends_nothing(
    lot: Lot, by: Actor, headers: dict[str, str], body: dict[str, str], status: int, code: str
) -> None:
    api, bid = client_of(by), drafted_bid(lot, ["1", "2"], by=by)
    nonce = api.post(f"{BIDS}{bid.pk}/prepare/").json()["nonce"]

    answer = api.post(f"{BIDS}{bid.pk}/submit/", {"nonce": nonce, **body}, format="json", headers=headers)

    assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json")
    assert answer.json()["code"] == code
    bid.refresh_from_db()
    assert bid.status == BidStatus.DRAFT


def test_a_late_bid_is_a_conflict(lot: Lot, by: Actor, now: Any) -> None:
    api, bid = client_of(by), drafted_bid(lot, ["1", "2"], by=by)
    body = _signed(api.post(f"{BIDS}{bid.pk}/prepare/"))
    now.move_to(CLOSES)

    answer = api.post(f"{BIDS}{bid.pk}/submit/", body, format="json", headers={"Idempotency-Key": "k"})

    assert (answer.status_code, answer.json()["code"]) == (409, "tender_period_over")


def test_incomplete_prices_are_named(lot: Lot, by: Actor) -> None:
    bid = drafted_bid(lot, ["1", ""], by=by)

    answer = client_of(by).post(f"{BIDS}{bid.pk}/prepare/")

    assert (answer.status_code, answer.json()["code"]) == (422, "prices_incomplete")
    assert list(answer.json()["errors"]) == [f"price_{lot.items.get(number=2).pk}"]


def test_a_stale_save_says_what_changed(lot: Lot, by: Actor) -> None:
    bid = drafted_bid(lot, ["1", "2"], by=by)
    first = lot.items.get(number=1)

    answer = client_of(by).patch(f"{BIDS}{bid.pk}/", {"revision": 0, "prices": {str(first.pk): "9"}}, format="json")

    assert (answer.status_code, answer.json()["code"]) == (409, "stale")
    assert answer.json()["changes"] == ["Item 1: saved is “1”, you have “9”."]


def test_prices_are_named_by_item_numbers(lot: Lot, by: Actor) -> None:
    bid = drafted_bid(lot, ["1", "2"], by=by)

    answer = client_of(by).patch(f"{BIDS}{bid.pk}/", {"revision": 1, "prices": {"chair": "9"}}, format="json")

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")


def test_who_may_not_bid_reads_every_reason(lot: Lot) -> None:
    stranger = member(OrganisationFactory.create(is_supplier=True))

    answer = client_of(stranger).post(BIDS, {"lot": lot.pk}, format="json")

    assert (answer.status_code, answer.json()["code"]) == (403, "not_entitled")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", ""),
        ("patch", ""),
        ("post", "prepare/"),
        ("post", "prepare-withdrawal/"),
        ("get", "receipts/1/"),
        ("delete", "documents/1/"),
    ],
)
def test_another_organisation_finds_nothing(lot: Lot, by: Actor, method: str, path: str) -> None:
    bid = sent_bid(lot, ["1", "2"], by=by)

    for stranger in (bidder(), member(lot.tender.buyer)):
        answer = getattr(client_of(stranger), method)(f"{BIDS}{bid.pk}/{path}", {}, format="json")
        assert answer.status_code == 404


def test_a_colleague_without_the_role_is_told_which_one_it_takes(lot: Lot, by: Actor) -> None:
    bid = drafted_bid(lot, ["1", "2"], by=by)
    observer = client_of(member(bid.supplier, Role.OBSERVER))

    assert observer.get(f"{BIDS}{bid.pk}/").status_code == 200
    answer = observer.post(f"{BIDS}{bid.pk}/prepare/")
    assert (answer.status_code, answer.json()["code"]) == (403, "role_missing")


def test_nobody_is_asked_to_log_in(lot: Lot) -> None:
    answer = APIClient().get(BIDS)

    assert (answer.status_code, answer["Content-Type"]) == (401, "application/problem+json")


def test_the_list_has_own_bids_only_and_costs_the_same_for_one_and_for_three(lot: Lot, by: Actor) -> None:
    api = client_of(by)
    sent_bid(lot, ["1", "2"])
    mine = sent_bid(lot, ["1", "2"], by=by)
    with CaptureQueriesContext(connection) as one:
        assert [bid["id"] for bid in api.get(BIDS).json()["results"]] == [mine.pk]
    for _more in range(2):
        drafted_bid(tender_taking_bids().lots.get(), ["1", "2"], by=by)

    with CaptureQueriesContext(connection) as three:
        answer = api.get(BIDS).json()

    assert (len(answer["results"]), answer["next"]) == (3, None)
    assert len(three) == len(one)
