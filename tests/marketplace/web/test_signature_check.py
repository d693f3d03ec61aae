from __future__ import annotations

import base64
import hashlib
import json
import logging
import re
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from marketplace.models import AuditRecord, Certificate, Signature, SigningRequest
from marketplace.services import signature_check, throttle
from marketplace.services.verdict_words import MEANINGS, meaning_of
from marketplace.signatures import Sub
from marketplace.signatures.authority import Authority
from marketplace.signatures.sign import Credential, sign
from tests.factories.marketplace import NOON
from tests.factories.signatures import authority, trust

URL = "/signatures/check/"
DOCUMENT = b"The delivery was accepted on 1 March 2026.\n"
NUMBER = "VATDE-811569869"


@pytest.fixture(autouse=True)
def _world(db: None, freeze: Callable[..., Any]) -> Iterator[None]:
    freeze(NOON)
    trust()
    cache.clear()
    yield
    cache.clear()


def credential(number: str = NUMBER, issuer: Authority | None = None, **options: Any) -> Credential:
    told = {"person": "Anna Berg", "organisation": "Nordwand GmbH", "at": NOON - timedelta(days=1)} | options
    return (issuer or authority()).issue(**told, identifiers=[number])


def check(document: bytes = DOCUMENT, signature: bytes | None = None, **more: Any) -> Any:
    signature = sign(document, credential(), NOON) if signature is None else signature
    files = {
        "document": SimpleUploadedFile("act.txt", document),
        "signature": SimpleUploadedFile("act.txt.p7s", signature),
    }
    headers = more.pop("headers", {})
    return Client(headers=headers).post(reverse("signature_check"), files | more)


def report(response: Any) -> dict[str, Any]:
    found = re.search(r'href="data:application/json;base64,([^"]+)" download', response.content.decode())
    assert found
    return dict(json.loads(base64.b64decode(found[1])))


def payload(**changed: Any) -> bytes:
    """A document in the form that people sign here."""
    said = {
        "format": "openlot-signature-1",
        "action": "award",
        "organisation": {"name": "Townhall AG", "identifiers": [NUMBER]},
        "object": {"type": "lot", "id": "7", "version": 1},
        "content": {"lot": 1, "winner": "Nordwand GmbH", "amount": "3297.00"},
        "prepared_at": "2026-03-02T12:00:00Z",
        "sign_before": "2026-03-02T13:00:00Z",
        "nonce": "ab" * 32,
    }
    return json.dumps(said | changed, sort_keys=True, separators=(",", ":")).encode()


def test_a_good_signature_is_valid_and_the_report_says_by_whom_and_by_what() -> None:
    response = check()
    page = response.content.decode()
    assert response.status_code == 200
    for words in (
        "Valid",
        "TOTAL-PASSED",
        "Anna Berg",
        NUMBER,
        "Test Root CA",
        "list issued",
        "the signature is valid",
    ):
        assert words.lower() in page.lower(), words
    told = report(response)
    assert (told["indication"], told["sub_indication"], told["reasons"]) == ("TOTAL-PASSED", None, [])
    assert told["document"] == {"size": len(DOCUMENT), "sha256": hashlib.sha256(DOCUMENT).hexdigest()}
    assert [link["in_trust_store"] for link in told["chain"]] == [False, True, True]
    assert len(told["revocation_lists"]) == 2
    assert told["checked_at"] == "2026-03-02T12:00:00Z"
    assert response["Cache-Control"] == "max-age=0, no-cache, no-store, must-revalidate, private"


@pytest.mark.parametrize(
    ("make", "verdict"),
    [
        (lambda: {"document": DOCUMENT + b" ", "signature": sign(DOCUMENT, credential(), NOON)}, "HASH_FAILURE"),
        (lambda: {"signature": b"garbage"}, "FORMAT_FAILURE"),
        (lambda: {"signature": base64.b64encode(sign(DOCUMENT, credential(), NOON))}, "FORMAT_FAILURE"),
        (lambda: {"identifier": "VATDE-136695976"}, "SIG_CONSTRAINTS_FAILURE"),
        (lambda: {"signature": sign(DOCUMENT, credential(eku=None), NOON)}, "CHAIN_CONSTRAINTS_FAILURE"),
        (
            lambda: {"signature": sign(DOCUMENT, credential(issuer=Authority.create(NOON, name="Unknown")), NOON)},
            "NO_CERTIFICATE_CHAIN_FOUND",
        ),
        (
            lambda: {"signature": sign(DOCUMENT, credential(at=NOON - timedelta(days=400)), NOON)},
            "OUT_OF_BOUNDS",
        ),
    ],
)
def test_what_is_wrong_is_said_in_its_own_words(make: Callable[[], dict[str, Any]], verdict: str) -> None:
    response = check(**make())
    told = report(response)
    assert response.status_code == 200
    assert told["sub_indication"].startswith(verdict)
    page = response.content.decode()
    assert str(MEANINGS[Sub(told["sub_indication"])]) in page
    assert told["meaning"] == str(meaning_of(Sub(told["sub_indication"])))
    assert told["chain"] == []


@pytest.mark.parametrize("sub", list(Sub))
def test_every_verdict_is_explained(sub: Sub) -> None:
    assert str(meaning_of(sub)).endswith(".")


def test_the_expected_signer_may_be_named_in_any_case() -> None:
    assert report(check(identifier=f" {NUMBER.lower()} "))["indication"] == "TOTAL-PASSED"
    assert check(identifier="anybody").status_code == 422


def test_a_document_of_this_platform_says_what_it_is_and_who_should_have_signed() -> None:
    document = payload()
    response = check(document)
    page = response.content.decode()
    for words in ("reads like one that is signed on this platform", "Sign the award", "3297.00", "Townhall AG"):
        assert words in page
    assert report(response)["expected_identifiers"] == [NUMBER]
    stranger = sign(document, credential("VATDE-136695976"), NOON)
    assert report(check(document, stranger))["sub_indication"] == "SIG_CONSTRAINTS_FAILURE"


@pytest.mark.parametrize(
    "document",
    [
        payload(organisation="Townhall"),
        payload(content=None),
        payload(content=[[[]]]),
        payload(organisation={"identifiers": [1, 2]}),
        payload(organisation={"identifiers": ["x" * 10_000] * 500}),
        payload(sign_before="soon"),
        payload(action={"<script>": "alert(1)"}),
        b'{"format":"openlot-signature-1"}',
        b"[" * 100_000,
        b"",
        bytes(range(256)) * 40,
    ],
)
def test_what_only_looks_like_our_document_is_judged_all_the_same(document: bytes) -> None:
    response = check(document)
    assert response.status_code == 200
    assert report(response)["sub_indication"] in (None, "SIG_CONSTRAINTS_FAILURE")
    assert "<script>alert" not in response.content.decode()


def test_nothing_is_kept_and_nothing_of_the_platforms_own_is_told(caplog: pytest.LogCaptureFixture) -> None:
    def rows() -> list[int]:
        return [model.objects.count() for model in (AuditRecord, Certificate, Signature, SigningRequest)]

    before = rows()
    with caplog.at_level(logging.DEBUG):
        check(payload())
    assert rows() == before
    assert not [record for record in caplog.records if "Nordwand" in record.getMessage()]


@pytest.mark.parametrize(
    ("field", "size", "words"),
    [("signature", 256 * 1024 + 1, "at most 262 kB"), ("document", 20 * 1024 * 1024 + 1, "at most 21 MB")],
)
def test_files_over_the_bounds_are_said_beside_their_fields(field: str, size: int, words: str) -> None:
    response = check(**{field: bytes(size)})
    assert response.status_code == 422
    assert words in response.content.decode()
    assert response.context["form"].errors.keys() == {field}


def test_a_body_over_all_bounds_is_not_read() -> None:
    response = Client().generic(
        "POST", URL, content_type="multipart/form-data; boundary=x", CONTENT_LENGTH=str(22 * 1024 * 1024)
    )
    assert response.status_code == 413


def test_without_files_the_form_says_what_is_missing() -> None:
    response = Client().post(URL, {})
    assert response.status_code == 422
    assert response.context["form"].errors.keys() == {"document", "signature"}


def test_an_address_is_slowed_down_and_another_is_not(settings: Any) -> None:
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 1
    for _ in range(throttle.CHECKS.count + 1):
        check(signature=b"x", headers={"x-forwarded-for": "2001:db8::1"})
    refused = check(headers={"x-forwarded-for": "2001:db8::2"})  # of the same network
    assert refused.status_code == 429
    assert "Try again in 20 seconds" in refused.content.decode()
    assert "TOTAL-PASSED" not in refused.content.decode()
    assert check(headers={"x-forwarded-for": "203.0.113.7"}).status_code == 200


def test_visitors_wait_for_one_another_and_never_keep_a_signer_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signature_check, "_one_at_a_time", threading.BoundedSemaphore(1))
    monkeypatch.setattr(signature_check, "_WAIT_SECONDS", 0.01)
    with signature_check._one_at_a_time:
        response = check()
    assert response.status_code == 503
    assert "Try again in a few seconds" in response.content.decode()
    assert check().status_code == 200
