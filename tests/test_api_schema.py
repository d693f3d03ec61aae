"""The API's description is whole, and every refusal of the API is a problem document (RFC 9457)."""

from __future__ import annotations

import io
import json
import re
from typing import Any

import pytest
import yaml
from django.core.management import call_command
from django.test import Client
from django.urls import URLResolver, get_resolver

from marketplace.models import Organisation, Role
from marketplace.services import tokens
from tests.factories.marketplace import NOON, accredited_supplier, member
from tests.test_access import routes

pytestmark = pytest.mark.django_db
JSON = "application/json"


@pytest.fixture
def supplier() -> Organisation:
    return accredited_supplier()


@pytest.fixture
def program(supplier: Organisation) -> Client:
    """A program that sends the token of a bid manager."""
    _token, secret = tokens.create("ERP", by=member(supplier, Role.BID_MANAGER), at=NOON)
    return Client(headers={"authorization": f"Bearer {secret}"}, raise_request_exception=False)


def described() -> dict[str, Any]:
    """The description, made as an operator makes it; a warning is an error."""
    out = io.StringIO()
    call_command("spectacular", "--validate", "--fail-on-warn", stdout=out)
    return dict(yaml.safe_load(out.getvalue()))


def test_the_description_is_valid_and_names_every_route() -> None:
    paths = set(described()["paths"])
    resolver: URLResolver = get_resolver()
    served = {
        "/" + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", route)
        for route, _name in routes(resolver)
        if route.startswith("api/")
    }
    pages = {"/api/v1/schema/", "/api/v1/docs/"}
    assert served - pages == paths


def test_every_operation_says_who_may_call_it_and_what_it_answers() -> None:
    operations = [
        (f"{method} {path}", operation)
        for path, methods in described()["paths"].items()
        for method, operation in methods.items()
    ]
    assert [name for name, one in operations if "security" not in one or not one["responses"]] == []
    assert len({one["operationId"] for _name, one in operations}) == len(operations)


def refusal(response: Any) -> tuple[int, str]:
    """The status and code of a problem document."""
    assert response["Content-Type"] == "application/problem+json"
    document = json.loads(response.content)
    assert document["status"] == response.status_code
    assert document["type"] == f"urn:openlot:problem:{document['code']}"
    assert document["title"]
    assert document["detail"]
    return document["status"], document["code"]


def test_without_a_log_in_the_answer_is_401_and_says_how(client: Client) -> None:
    response = client.get("/api/v1/bids/")
    assert refusal(response) == (401, "not_authenticated")
    assert response["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("secret", ["olt_no-such-token", "", "x" * 5000, "é"])
def test_a_token_that_is_none_is_401_even_where_no_log_in_is_needed(client: Client, secret: str) -> None:
    for path in ("/api/v1/bids/", "/api/v1/tenders/"):
        response = client.get(path, headers={"authorization": f"Bearer {secret}"})
        assert refusal(response) == (401, "authentication_failed")


def test_a_revoked_token_and_one_of_a_member_who_left_are_401(supplier: Organisation, client: Client) -> None:
    by = member(supplier, Role.BID_MANAGER)
    token, secret = tokens.create("ERP", by=by, at=NOON)
    headers = {"authorization": f"Bearer {secret}"}
    assert client.get("/api/v1/bids/", headers=headers).status_code == 200

    token.membership.active = False
    token.membership.save(update_fields=["active"])
    assert refusal(client.get("/api/v1/bids/", headers=headers)) == (401, "authentication_failed")
    token.membership.active = True
    token.membership.save(update_fields=["active"])

    tokens.revoke(token.pk, by=by, at=NOON)
    assert refusal(client.get("/api/v1/bids/", headers=headers)) == (401, "authentication_failed")


def test_a_session_needs_its_csrf_token_to_write(supplier: Organisation) -> None:
    browser = Client(enforce_csrf_checks=True)
    person = member(supplier).person
    assert person is not None
    browser.force_login(person, backend="allauth.account.auth_backends.AuthenticationBackend")
    assert refusal(browser.post("/api/v1/bids/", {"lot": 1}, content_type=JSON)) == (403, "permission_denied")


def test_what_is_not_there_is_404(program: Client) -> None:
    for path in ("/api/v1/bids/1/", "/api/v1/tenders/none/", "/api/v1/lots/1/", "/api/v1/nothing/", "/api/v1/"):
        assert refusal(program.get(path)) == (404, "not_found")


def test_another_method_is_405_and_says_which(program: Client) -> None:
    response = program.delete("/api/v1/bids/")
    assert refusal(response) == (405, "method_not_allowed")


def test_another_media_type_is_406_or_415(program: Client) -> None:
    assert refusal(program.get("/api/v1/bids/", headers={"accept": "application/xml"})) == (406, "not_acceptable")
    xml = program.post("/api/v1/bids/", "<lot>1</lot>", content_type="application/xml")
    assert refusal(xml) == (415, "unsupported_media_type")


@pytest.mark.parametrize("body", ["{", '{"lot": 1', "\x00", '{"lot": NaN}', "[" * 50_000, b"\xff\xfe"])
def test_json_that_cannot_be_read_is_400(program: Client, body: str | bytes) -> None:
    assert refusal(program.post("/api/v1/bids/", body, content_type=JSON)) == (400, "parse_error")


@pytest.mark.parametrize(
    "sent", [{}, {"lot": None}, {"lot": "one"}, {"lot": [1]}, {"lot": {}}, {"lot": 1.5}, [], "lot", 1, None]
)
def test_wrong_fields_are_422_and_named(program: Client, sent: object) -> None:
    response = program.post("/api/v1/bids/", json.dumps(sent), content_type=JSON)
    assert refusal(response) == (422, "invalid")
    assert json.loads(response.content)["errors"]


@pytest.mark.parametrize("lot", [-1, 0, 10**18, 10**30, True])
def test_a_number_that_names_nothing_is_404_or_422(program: Client, lot: int) -> None:
    status, _code = refusal(program.post("/api/v1/bids/", {"lot": lot}, content_type=JSON))
    assert status in (404, 422)


def test_a_body_that_is_too_large_is_refused_before_it_is_read(program: Client) -> None:
    huge = '{"lot": "' + "x" * (6 * 1024 * 1024) + '"}'
    status, _code = refusal(program.post("/api/v1/bids/", huge, content_type=JSON))
    assert status in (400, 413)
