"""The organisation's own pages, its people, and what the public sees of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.db import connection
from django.test import Client, TestCase
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from marketplace.models import (
    ApiToken,
    Certificate,
    Invitation,
    Membership,
    Organisation,
    OrganisationStatus,
    Person,
    Role,
)
from marketplace.permissions import Actor
from marketplace.services import invitations, tokens
from marketplace.services.notifications import notify
from tests.factories.clients import text_of
from tests.factories.marketplace import (
    NOON,
    AccreditationFactory,
    HeadingFactory,
    MembershipFactory,
    OrganisationFactory,
    PersonFactory,
    member,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _now(freeze: Callable[..., Any]) -> None:
    freeze(NOON)


@pytest.fixture
def acme() -> Organisation:
    return OrganisationFactory.create(
        short_name="Acme", full_name="Acme GmbH", is_supplier=True, identifier="DE136695976"
    )


@pytest.fixture
def boss(client: Client, acme: Organisation) -> Person:
    """The administrator of Acme, logged in."""
    person = MembershipFactory.create(organisation=acme, person__email="boss@acme.example").person
    client.force_login(person)
    return person


@pytest.fixture
def observer(client: Client, acme: Organisation) -> Person:
    person = MembershipFactory.create(organisation=acme, roles=[Role.OBSERVER]).person
    client.force_login(person)
    return person


PAGES = [
    "organisation",
    "organisation_people",
    "organisation_certificates",
    "organisation_tokens",
    "organisation_history",
]


@pytest.mark.parametrize("name", PAGES)
def test_every_page_opens_for_each_member(client: Client, observer: Person, name: str) -> None:
    assert client.get(reverse(name)).status_code == 200


@pytest.mark.parametrize("name", PAGES)
def test_somebody_without_an_organisation_is_told_so(client: Client, name: str) -> None:
    client.force_login(PersonFactory.create())
    response = client.get(reverse(name))
    assert response.status_code == 403
    assert "You are not acting for an organisation" in text_of(response)


@pytest.mark.parametrize("name", [*PAGES, "organisation_edit", "person", "security", "notifications"])
def test_visitors_are_sent_to_log_in(client: Client, name: str) -> None:
    assert client.get(reverse(name))["Location"].startswith("/accounts/login/")


class TestRequisites:
    FORM = {
        "country": "DE",
        "identifier_VAT": "DE136695976",
        "full_name": "Acme AG",
        "short_name": "Acme",
        "is_supplier": "on",
        "revision": "1",
    }

    def test_they_are_edited(self, client: Client, boss: Person, acme: Organisation) -> None:
        assert 'value="Acme GmbH"' in client.get("/organisation/edit/").content.decode()
        assert client.post("/organisation/edit/", self.FORM)["Location"] == "/organisation/"
        acme.refresh_from_db()
        assert (acme.full_name, acme.version) == ("Acme AG", 2)
        assert "changed the organisation’s details" in text_of(client.get("/organisation/history/"))
        assert "full name: Acme GmbH → Acme AG" in text_of(client.get("/organisation/history/"))

    def test_a_registered_number_stays(self, client: Client, boss: Person, acme: Organisation) -> None:
        response = client.post("/organisation/edit/", {**self.FORM, "identifier_VAT": "DE811569869"})
        assert response.status_code == 422
        assert "cannot be changed" in response.context["form"].errors["identifier_VAT"][0]

    def test_a_stale_form_keeps_the_input(self, client: Client, boss: Person, acme: Organisation) -> None:
        client.post("/organisation/edit/", self.FORM)
        response = client.post("/organisation/edit/", {**self.FORM, "short_name": "Mine"})
        assert response.status_code == 422
        assert "changed: full name" in text_of(response)
        assert 'value="Mine"' in response.content.decode()

    def test_an_observer_may_not(self, client: Client, observer: Person) -> None:
        assert client.get("/organisation/edit/").status_code == 403
        assert client.post("/organisation/edit/", self.FORM).status_code == 403
        assert client.post("/organisation/edit/places/", {}).status_code == 403

    def test_addresses_and_headings_are_edited(self, client: Client, boss: Person, acme: Organisation) -> None:
        heading = HeadingFactory.create()
        sent = {
            "legal-country": "DE",
            "legal-city": "Bonn",
            "legal-street": "A 1",
            "actual-same": "on",
            "postal-same": "on",
        }
        response = client.post("/organisation/edit/places/", {**sent, "offered": heading.pk, "revision": "1"})
        assert response["Location"] == "/organisation/"
        assert [a.city for a in acme.addresses.all()] == ["Bonn"]
        assert list(acme.headings_offered.all()) == [heading]
        assert "same as the legal address" in text_of(client.get("/organisation/"))


class TestPeople:
    def test_a_colleague_is_invited_and_joins(
        self, client: Client, boss: Person, acme: Organisation, django_capture_on_commit_callbacks: Any
    ) -> None:
        with django_capture_on_commit_callbacks(execute=True):
            response = client.post(
                "/organisation/people/", {"email": "bo@acme.example", "roles": ["signer"]}, follow=True
            )
        assert "The invitation was sent to bo@acme.example." in text_of(response)
        link = re.search(r"/invitations/[\w-]+/", mail.outbox[-1].body)
        assert link
        newcomer = Client()
        assert "Acme GmbH" in text_of(newcomer.get(link.group()))
        sent = {"full_name": "Bo Li", "password": "a long enough secret", "position": "", "phone": ""}
        joined = newcomer.post(link.group(), sent, follow=True)
        assert "You act for Acme now." in text_of(joined)
        assert Membership.objects.get(person__email="bo@acme.example").roles == ["signer"]

    def test_an_invited_person_with_an_account_joins(self, client: Client, acme: Organisation) -> None:
        secret = invited(acme, "bo@acme.example")
        client.force_login(PersonFactory.create(email="bo@acme.example"))
        assert client.post(f"/invitations/{secret}/", follow=True).status_code == 200
        assert Membership.objects.filter(person__email="bo@acme.example", active=True).exists()

    def test_another_person_is_told_whose_it_is(self, client: Client, acme: Organisation) -> None:
        secret = invited(acme, "bo@acme.example")
        client.force_login(PersonFactory.create())
        response = client.post(f"/invitations/{secret}/")
        assert response.status_code == 422
        assert "This invitation was sent to bo@acme.example" in text_of(response)

    def test_a_wrong_link_says_what_to_do(self, client: Client) -> None:
        response = client.get("/invitations/nothing/")
        assert response.status_code == 404
        assert "Ask the colleague who invited you to send a new one." in text_of(response)

    def test_the_link_does_not_leak(self, client: Client, acme: Organisation) -> None:
        response = client.get(f"/invitations/{invited(acme, 'bo@acme.example')}/")
        assert response["Referrer-Policy"] == "no-referrer"
        assert "no-store" in response["Cache-Control"]

    def test_an_invitation_is_sent_again_or_withdrawn(self, client: Client, boss: Person, acme: Organisation) -> None:
        invited(acme, "bo@acme.example")
        one = Invitation.objects.get()
        assert "Sent again" in text_of(client.post(f"/organisation/invitations/{one.pk}/again/", follow=True))
        assert "is withdrawn" in text_of(client.post(f"/organisation/invitations/{one.pk}/withdraw/", follow=True))
        one.refresh_from_db()
        assert one.revoked_at == NOON

    def test_roles_are_changed(self, client: Client, boss: Person, acme: Organisation) -> None:
        other = MembershipFactory.create(organisation=acme, roles=[Role.OBSERVER])
        page = f"/organisation/people/{other.pk}/roles/"
        assert client.get(page).status_code == 200
        client.post(page, {"roles": ["signer", "approver"]})
        other.refresh_from_db()
        assert other.roles == ["signer", "approver"]
        assert "Choose at least one role" in text_of(client.post(page, {"roles": []}))

    def test_the_last_administrator_is_told_what_to_do_first(
        self, client: Client, boss: Person, acme: Organisation
    ) -> None:
        own = Membership.objects.get(person=boss)
        response = client.post(f"/organisation/people/{own.pk}/end/", follow=True)
        assert "Make a colleague administrator first" in text_of(response)
        assert Membership.objects.get(person=boss).active

    def test_a_member_leaves(self, client: Client, observer: Person) -> None:
        own = Membership.objects.get(person=observer)
        assert "Leave Acme?" in text_of(client.get(f"/organisation/people/{own.pk}/end/"))
        assert client.post(f"/organisation/people/{own.pk}/end/")["Location"] == "/"
        assert not Membership.objects.get(person=observer).active

    def test_an_observer_cannot_act_on_others(self, client: Client, acme: Organisation, observer: Person) -> None:
        other = MembershipFactory.create(organisation=acme)
        assert client.get(f"/organisation/people/{other.pk}/roles/").status_code == 403
        assert client.post(f"/organisation/people/{other.pk}/end/").status_code == 403
        assert client.post("/organisation/people/", {"email": "x@example.com", "roles": ["signer"]}).status_code == 403
        assert Invitation.objects.count() == 0

    def test_anothers_members_are_not_there(self, client: Client, boss: Person) -> None:
        stranger = MembershipFactory.create()
        assert client.get(f"/organisation/people/{stranger.pk}/roles/").status_code == 404
        assert client.post(f"/organisation/people/{stranger.pk}/end/").status_code == 404

    def test_the_list_is_exported(self, client: Client, boss: Person) -> None:
        lines = b"".join(client.get("/organisation/people/?export=csv")).decode().splitlines()
        assert len(lines) == 2
        assert "boss@acme.example" in lines[1]

    def test_queries_do_not_grow_with_people(self, client: Client, boss: Person, acme: Organisation) -> None:
        invited(acme, "first@example.com")
        with CaptureQueriesContext(connection) as one:
            client.get("/organisation/people/")
        MembershipFactory.create_batch(3, organisation=acme)
        for number in range(3):
            invited(acme, f"p{number}@example.com")
        with CaptureQueriesContext(connection) as more:
            client.get("/organisation/people/")
        assert len(more) == len(one)


def invited(organisation: Organisation, email: str) -> str:
    """The secret of an invitation to `email`; the mail itself would leave only on commit."""
    with TestCase.captureOnCommitCallbacks(execute=True):
        invitations.invite(organisation.pk, email, ["signer"], by=member(organisation, Role.ADMINISTRATOR), at=NOON)
    found = re.search(r"/invitations/([\w-]+)/", str(mail.outbox[-1].body))
    assert found
    return found.group(1)


class TestTokens:
    def test_a_token_is_shown_once(self, client: Client, boss: Person) -> None:
        made = client.post("/organisation/tokens/", {"name": "ERP", "days": "90"})
        secret = re.search(r"olt_[\w-]+", made.content.decode())
        assert secret
        assert "no-store" in made["Cache-Control"]
        assert secret.group() not in client.get("/organisation/tokens/").content.decode()

    def test_a_token_serves_until_a_day_that_is_shown(self, client: Client, boss: Person) -> None:
        client.post("/organisation/tokens/", {"name": "ERP", "days": "30", "read_only": "on"})
        token = ApiToken.objects.get()
        assert (token.expires_at, token.read_only) == (NOON + timedelta(days=30), True)
        page = text_of(client.get("/organisation/tokens/"))
        assert "1 Apr 2026" in page
        assert "reads only" in page

    def test_a_token_is_revoked_after_a_question(self, client: Client, boss: Person, acme: Organisation) -> None:
        client.post("/organisation/tokens/", {"name": "ERP", "days": "90"})
        token = ApiToken.objects.get()
        assert "Revoke “ERP”?" in text_of(client.get(f"/organisation/tokens/{token.pk}/revoke/"))
        client.post(f"/organisation/tokens/{token.pk}/revoke/")
        token.refresh_from_db()
        assert token.revoked_at == NOON

    def test_others_do_not_see_ones_tokens(self, client: Client, acme: Organisation, observer: Person) -> None:
        tokens.create("Their ERP", by=member(acme, Role.BID_MANAGER), at=NOON)
        assert "Their ERP" not in text_of(client.get("/organisation/tokens/"))


def test_certificates_say_whether_they_are_valid(client: Client, boss: Person, acme: Organisation) -> None:
    for number, end in enumerate([NOON, NOON + timedelta(days=9), NOON + timedelta(days=90)]):
        Certificate.objects.create(
            organisation=acme,
            person=boss,
            sha256=f"{number:064}",
            der=b"x",
            subject=f"CN=Holder {number},O=Acme\\, Sons,C=DE",
            issuer="CN=CA",
            serial=str(number),
            not_before=NOON - timedelta(days=400),
            not_after=end,
            first_used_at=NOON,
        )
    page = text_of(client.get("/organisation/certificates/"))
    assert page.index("Valid ") < page.index("Expires soon") < page.index("Expired")
    assert "Holder 0, Acme, Sons" in page


def test_history_is_exported(client: Client, boss: Person) -> None:
    client.post("/organisation/tokens/", {"name": "=cmd()", "days": "30"})
    lines = b"".join(client.get("/organisation/history/?export=csv")).decode().splitlines()
    assert "made an API token" in lines[1]
    assert "'=cmd()" in lines[1]


class TestSwitch:
    def test_one_acts_for_another_of_ones_organisations(self, client: Client, boss: Person) -> None:
        other = MembershipFactory.create(person=boss, organisation__short_name="Beta").organisation
        response = client.post("/organisation/switch/", {"organisation": other.pk, "next": "/organisation/people/"})
        assert response["Location"] == "/organisation/people/"
        assert client.get("/organisation/").context["organisation"] == other

    def test_not_for_anothers(self, client: Client, boss: Person) -> None:
        assert (
            client.post("/organisation/switch/", {"organisation": OrganisationFactory.create().pk}).status_code == 404
        )
        assert client.post("/organisation/switch/", {"organisation": "x"}).status_code == 404

    def test_it_leads_nowhere_else(self, client: Client, boss: Person, acme: Organisation) -> None:
        for target in ("https://evil.example/", "//evil.example/organisation/", "/bids/7/"):
            assert client.post("/organisation/switch/", {"organisation": acme.pk, "next": target})["Location"] == "/"


class TestCompanies:
    def test_the_public_page_hides_contacts_from_visitors(
        self, client: Client, acme: Organisation, boss: Person
    ) -> None:
        Organisation.objects.filter(pk=acme.pk).update(phone="+4930901820")
        AccreditationFactory.create(organisation=acme)
        seen = text_of(Client().get(f"/companies/{acme.pk}/"))
        assert "DE136695976" in seen
        assert "Accredited as a supplier" in seen
        assert "+4930901820" not in seen
        assert "+4930901820" in text_of(client.get(f"/companies/{acme.pk}/"))

    def test_drafts_are_not_public(self, client: Client) -> None:
        draft = OrganisationFactory.create(status=OrganisationStatus.DRAFT, short_name="Hidden")
        assert client.get(f"/companies/{draft.pk}/").status_code in (302, 404)
        assert "Hidden" not in text_of(client.get("/companies/"))

    @pytest.mark.parametrize(
        ("query", "found"),
        [("q=acm", True), ("q=DE136695976", True), ("q=nothing", False), ("side=buyer", False), ("country=FR", False)],
    )
    def test_they_are_found(self, client: Client, acme: Organisation, query: str, found: bool) -> None:
        assert ("Acme GmbH" in text_of(client.get(f"/companies/?{query}"))) is found

    def test_the_list_is_paged_and_its_queries_do_not_grow(self, client: Client) -> None:
        OrganisationFactory.create_batch(31)
        with CaptureQueriesContext(connection) as few:
            first = client.get("/companies/")
        assert len(first.context["rows"]) == 30
        following = client.get("/companies/" + first.context["list"].next_url)
        assert len(following.context["rows"]) == 1
        with CaptureQueriesContext(connection) as one:
            client.get("/companies/?q=Company+1")
        assert len(few) <= len(one)

    def test_htmx_gets_the_list_alone(self, client: Client, acme: Organisation) -> None:
        part = client.get("/companies/", headers={"HX-Request": "true"}).content.decode()
        assert "<html" not in part
        assert "Acme" in part


def test_details_are_edited(client: Client, boss: Person) -> None:
    sent = {"full_name": "Bo Li", "position": "Head", "phone": "+49 30 901820", "time_zone": "Asia/Bangkok"}
    assert client.post("/account/", sent)["Location"] == "/account/"
    boss.refresh_from_db()
    assert (boss.full_name, boss.time_zone) == ("Bo Li", "Asia/Bangkok")
    assert client.post("/account/", {**sent, "time_zone": "Mars"}).status_code == 422


def test_security_leads_to_every_way_of_logging_in(client: Client, boss: Person) -> None:
    page = client.get("/account/security/").content.decode()
    for name in ("account_change_password", "account_email", "mfa_index", "mfa_list_webauthn"):
        assert reverse(name) in page


def _more(acme: Organisation, boss: Person, number: int) -> None:
    """One more row for every list."""
    actor = Actor(boss, acme, frozenset(role.value for role in Role))
    tokens.create(f"Token {number}", by=actor, at=NOON)
    notify(acme, "news", f"News {number}", at=NOON, mail=False)
    OrganisationFactory.create()
    Certificate.objects.create(
        organisation=acme,
        person=PersonFactory.create(),
        sha256=f"{number:064}",
        der=b"x",
        subject="CN=A",
        issuer="CN=CA",
        serial=str(number),
        not_before=NOON,
        not_after=NOON + timedelta(days=9),
        first_used_at=NOON,
    )


@pytest.mark.parametrize(
    "name",
    ["organisation_tokens", "organisation_history", "organisation_certificates", "notifications", "companies", "home"],
)
def test_queries_do_not_grow_with_rows(client: Client, boss: Person, acme: Organisation, name: str) -> None:
    _more(acme, boss, 1)
    client.get(reverse(name))
    with CaptureQueriesContext(connection) as one:
        client.get(reverse(name))
    _more(acme, boss, 2)
    _more(acme, boss, 3)
    with CaptureQueriesContext(connection) as three:
        client.get(reverse(name))
    assert len(three) == len(one)
