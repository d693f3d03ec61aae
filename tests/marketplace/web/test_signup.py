"""The registration as a person goes through it, page by page."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest
from django.core import mail
from django.test import Client

from marketplace.models import (
    Heading,
    Membership,
    Organisation,
    OrganisationStatus,
    Person,
    RegistrationDraft,
    Role,
    SigningRequest,
)
from tests.factories.clients import text_of
from tests.factories.marketplace import NOON, HeadingFactory, OrganisationFactory, PersonFactory
from tests.factories.signatures import certificate_of, signed, trust

pytestmark = pytest.mark.django_db

YOU = {
    "full_name": "Anna Berg",
    "email": "anna@acme.example",
    "password": "a long enough secret",
    "position": "Head of sales",
    "phone": "+49 30 901820",
}
COMPANY = {
    "country": "DE",
    "identifier_VAT": "DE 136 695 976",
    "full_name": "Acme Maschinenbau GmbH",
    "short_name": "Acme",
    "legal_form": "GmbH",
    "is_supplier": "on",
    "email": "office@acme.example",
    "revision": "0",
}
LEGAL = {
    "legal-country": "DE",
    "legal-city": "Berlin",
    "legal-street": "Unter den Linden 1",
    "legal-postal_code": "10117",
    "actual-same": "on",
    "postal-same": "on",
}


@pytest.fixture(autouse=True)
def _now(freeze: Callable[..., Any]) -> None:
    freeze(NOON)


@pytest.fixture
def anna(client: Client) -> Person:
    """A person with an account who is logged in and has no organisation."""
    person = PersonFactory.create(email="anna@acme.example", full_name="Anna Berg")
    client.force_login(person)
    return person


@pytest.fixture
def heading() -> Heading:
    return HeadingFactory.create(code="39112000", name="Chairs")


def draft() -> Organisation:
    return Organisation.objects.get(short_name="Acme")


def to_addresses(client: Client) -> None:
    assert client.post("/signup/company/", COMPANY).status_code == 302


def to_signing(client: Client, heading: Heading) -> SigningRequest:
    to_addresses(client)
    sent = {**LEGAL, "revision": draft().version, "offered": heading.pk}
    assert client.post("/signup/addresses/", sent)["Location"] == "/signup/sign/"
    assert client.get("/signup/sign/").status_code == 200
    return SigningRequest.objects.get()


def test_the_whole_way_ends_in_a_registered_organisation(
    client: Client, heading: Heading, django_capture_on_commit_callbacks: Any
) -> None:
    trust()
    with django_capture_on_commit_callbacks(execute=True):
        assert client.post("/signup/", YOU)["Location"] == "/signup/company/"
    assert [m.to for m in mail.outbox] == [["anna@acme.example"]]
    request = to_signing(client, heading)
    payload = client.get(f"/signup/sign/?payload={request.nonce}")
    assert payload.content == bytes(request.payload)
    sent = {"signing_request": request.nonce, "signature": base64.b64encode(signed(request)).decode()}
    response = client.post("/signup/sign/", sent, follow=True)
    assert "Acme is registered. Welcome!" in text_of(response)
    acme = draft()
    assert (acme.status, acme.registered_at) == (OrganisationStatus.REGISTERED, NOON)
    assert Membership.objects.get().person.email == "anna@acme.example"
    assert Role.ADMINISTRATOR in Membership.objects.get().roles
    # A second click finds it done.
    assert client.post("/signup/sign/", sent)["Location"] == "/"


def test_a_refused_signature_says_why_and_leaves_everything_saved(
    client: Client, anna: Person, heading: Heading
) -> None:
    trust()
    request = to_signing(client, heading)
    foreign = signed(request, certificate_of(OrganisationFactory.create()))
    sent = {"signing_request": request.nonce, "signature": base64.b64encode(foreign).decode()}
    response = client.post("/signup/sign/", sent)
    assert response.status_code == 422
    assert "the certificate must name your organisation’s registration number" in text_of(response)
    assert draft().status == OrganisationStatus.DRAFT
    good = {**sent, "signature": base64.b64encode(signed(request)).decode()}
    assert client.post("/signup/sign/", good)["Location"] == "/"
    assert draft().status == OrganisationStatus.REGISTERED


def test_no_signature_at_all_is_said(client: Client, anna: Person, heading: Heading) -> None:
    request = to_signing(client, heading)
    response = client.post("/signup/sign/", {"signing_request": request.nonce, "signature": ""})
    assert response.status_code == 422
    assert "There is no signature in this." in text_of(response)


def test_opening_the_last_page_again_prepares_nothing_new(client: Client, anna: Person, heading: Heading) -> None:
    to_signing(client, heading)
    client.get("/signup/sign/")
    assert SigningRequest.objects.count() == 1


def test_what_is_signed_is_shown_in_plain_words(client: Client, anna: Person, heading: Heading) -> None:
    to_signing(client, heading)
    page = text_of(client.get("/signup/sign/"))
    for words in ("Register the organisation", "Acme Maschinenbau GmbH (VATDE-136695976)", "39112000 Chairs"):
        assert words in page


def test_errors_stand_beside_their_fields_and_the_input_stays(client: Client) -> None:
    PersonFactory.create(email="anna@acme.example")
    response = client.post("/signup/", YOU)
    assert response.status_code == 422
    assert "There is an account with this e-mail already." in response.context["form"].errors["email"][0]
    assert 'value="Anna Berg"' in response.content.decode()
    assert "a long enough secret" not in response.content.decode()


def test_a_mistyped_number_is_told_beside_it(client: Client, anna: Person) -> None:
    response = client.post("/signup/company/", {**COMPANY, "identifier_VAT": "DE136695977"})
    assert response.status_code == 422
    assert "mistyped" in response.context["form"].errors["identifier_VAT"][0]
    assert 'value="Acme Maschinenbau GmbH"' in response.content.decode()
    assert Organisation.objects.count() == 0


def test_a_registered_number_shows_the_way_out(client: Client, anna: Person) -> None:
    OrganisationFactory.create(identifier="DE136695976")
    response = client.post("/signup/company/", COMPANY)
    assert "Ask one of its administrators to invite you" in text_of(response)


def test_the_numbers_of_another_country_are_asked_for_with_and_without_scripts(client: Client, anna: Person) -> None:
    fragment = client.get(
        "/signup/company/numbers/", {"country": "RU", "identifier_INN": "7707083893"}
    ).content.decode()
    assert "identifier_OGRN" in fragment
    assert 'value="7707083893"' in fragment
    page = client.post("/signup/company/", {**COMPANY, "country": "RU", "search": "country"})
    assert "identifier_OGRN" in page.content.decode()
    assert 'value="Acme Maschinenbau GmbH"' in page.content.decode()
    assert Organisation.objects.count() == 0


def test_one_may_leave_and_come_back(client: Client, anna: Person) -> None:
    assert client.post("/signup/company/", {**COMPANY, "leave": "yes"})["Location"] == "/"
    assert client.get("/signup/begin/")["Location"] == "/signup/addresses/"
    assert 'value="Acme Maschinenbau GmbH"' in client.get("/signup/company/").content.decode()


def test_what_is_typed_is_kept_before_it_is_sent(client: Client, anna: Person) -> None:
    response = client.post("/signup/company/keep/", {**COMPANY, "identifier_VAT": "DE13", "csrfmiddlewaretoken": "x"})
    assert (response.status_code, response["X-Revision"]) == (204, "0")
    assert "csrfmiddlewaretoken" not in RegistrationDraft.objects.get().typed
    page = client.get("/signup/company/").content.decode()
    assert 'value="DE13"' in page
    assert 'value="Acme Maschinenbau GmbH"' in page
    to_addresses(client)
    assert RegistrationDraft.objects.count() == 0


def test_typed_addresses_and_headings_are_kept_too(client: Client, anna: Person, heading: Heading) -> None:
    to_addresses(client)
    typed = {"legal-city": "Bonn", "actual-street": "Elsewhere 2", "postal-same": "on", "offered": heading.pk}
    client.post("/signup/addresses/keep/", typed)
    response = client.get("/signup/addresses/")
    forms = response.context["forms"]
    assert forms.legal.initial["city"] == "Bonn"
    assert (forms.actual.is_same, forms.postal.is_same) == (False, True)
    assert [h.pk for h in response.context["trees"][0]["chosen"]] == [heading.pk]


def test_other_addresses_are_saved_where_they_differ(client: Client, anna: Person, heading: Heading) -> None:
    to_addresses(client)
    sent = {**LEGAL, "revision": draft().version, "offered": heading.pk}
    del sent["postal-same"]
    response = client.post("/signup/addresses/", sent)
    assert response.status_code == 422
    assert set(response.context["forms"].postal.errors) == {"country", "city", "street"}
    sent |= {"postal-country": "DE", "postal-city": "Bonn", "postal-street": "PO box 7"}
    client.post("/signup/addresses/", sent)
    assert {a.kind: a.city for a in draft().addresses.all()} == {"legal": "Berlin", "postal": "Bonn"}


def test_a_stale_form_says_what_changed_and_keeps_the_input(client: Client, anna: Person) -> None:
    to_addresses(client)
    version = draft().version
    client.post("/signup/company/", {**COMPANY, "phone": "+49 30 901821", "revision": version})
    response = client.post("/signup/company/", {**COMPANY, "short_name": "Other", "revision": version})
    assert response.status_code == 422
    assert "Anna Berg changed: phone." in text_of(response)
    assert 'value="Other"' in response.content.decode()
    assert draft().short_name == "Acme"


def test_headings_are_found_by_a_part_of_a_word_and_the_chosen_ones_stay(
    client: Client, anna: Person, heading: Heading
) -> None:
    other = HeadingFactory.create(code="30190000", name="Office supplies")
    found = client.get("/signup/headings/", {"name": "offered", "find_offered": "chai", "offered": other.pk})
    page = found.content.decode()
    assert "Chairs" in page
    assert f'value="{other.pk}" id="offered-chosen-{other.pk}" checked' in page
    to_addresses(client)
    plain = client.post("/signup/addresses/", {"search": "headings", "find_offered": "chai", "revision": "2", **LEGAL})
    assert plain.status_code == 200
    assert "Chairs" in plain.content.decode()
    assert "Office supplies" not in plain.content.decode()


def test_what_is_missing_is_listed_before_signing(client: Client, anna: Person) -> None:
    to_addresses(client)
    page = text_of(client.get("/signup/sign/"))
    assert "There is no legal address yet." in page
    assert "Choose at least one heading that you offer." in page


def test_another_persons_request_cannot_be_read(client: Client, anna: Person, heading: Heading) -> None:
    request = to_signing(client, heading)
    stranger = Client()
    stranger.force_login(PersonFactory.create())
    stranger.post("/signup/company/", {**COMPANY, "identifier_VAT": "DE811569869", "short_name": "Other"})
    assert stranger.get(f"/signup/sign/?payload={request.nonce}").status_code != 200


@pytest.mark.parametrize("path", ["company/", "addresses/", "sign/", "begin/"])
def test_steps_need_an_account(client: Client, path: str) -> None:
    assert client.get(f"/signup/{path}")["Location"].startswith("/accounts/login/")
