"""Refusals as problem documents (RFC 9457)."""

import json
from decimal import Decimal
from typing import Any

from rest_framework.renderers import JSONRenderer

from marketplace.api.problems import MEDIA_TYPE, handle
from marketplace.services.signing import SignatureRefused
from marketplace.shared.errors import DomainError, Invalid, NotFound, StaleForm
from marketplace.signatures.report import Indication, Report, Sub


class Refused(DomainError):
    code = "too_many"
    sentence = "No more than %(most)s."


def document(error: DomainError) -> dict[str, Any]:
    response = handle(error, {})
    assert response is not None
    assert response.content_type == MEDIA_TYPE
    assert response.status_code == response.data["status"] == error.status
    return json.loads(JSONRenderer().render(response.data))


def test_members_keep_the_types_that_json_has() -> None:
    members = document(Refused(most=3, reached=True, next=None, names=["a", Decimal("1.50")], field="amount"))
    assert members == {
        "type": "urn:openlot:problem:too_many",
        "title": "No more than 3.",
        "status": 409,
        "code": "too_many",
        "detail": "No more than 3.",
        "most": 3,
        "reached": True,
        "next": None,
        "names": ["a", "1.50"],
        "field": "amount",
    }


def test_an_amount_is_a_string_never_a_float() -> None:
    assert document(Refused(most=Decimal("10.10")))["most"] == "10.10"
    assert document(Refused(most=0.1))["most"] == "0.1"


def test_a_refused_signature_gives_its_reasons_as_a_list() -> None:
    report = Report(
        indication=Indication.FAILED,
        sub_indication=Sub.HASH_FAILURE,
        reasons=("The signed content is another.", "The key is short."),
    )
    members = document(SignatureRefused(report))
    assert members["reasons"] == ["The signed content is another.", "The key is short."]
    assert (members["sub_indication"], members["field"]) == ("HASH_FAILURE", "signature")


def test_wrong_fields_and_stale_forms_say_what() -> None:
    assert document(Invalid({"price": ["Give a price."]}))["errors"] == {"price": ["Give a price."]}
    assert document(StaleForm(["The deadline was moved."]))["changes"] == ["The deadline was moved."]
    assert document(NotFound())["code"] == "not_found"


def test_a_member_never_replaces_what_the_document_says_of_itself() -> None:
    closed = document(Refused(most=1, status="Accepted", code="x", detail="y"))
    assert (closed["status"], closed["code"], closed["detail"]) == (409, "too_many", "No more than 1.")
