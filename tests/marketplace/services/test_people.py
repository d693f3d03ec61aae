"""Accounts, and who may do what to whose roles."""

from __future__ import annotations

import threading

import pytest
from allauth.account.models import EmailAddress
from django.db import connection, transaction

from marketplace import audit
from marketplace.models import ApiToken, AuditRecord, Membership, Notification, Organisation, Person, Role
from marketplace.permissions import Actor, RoleMissing, actor_for
from marketplace.services import people
from marketplace.services.people import PersonDetails
from marketplace.shared.errors import Invalid, NotFound
from tests.factories.at_once import at_the_same_time, wait_until_blocked
from tests.factories.marketplace import NOON, MembershipFactory, OrganisationFactory, PersonFactory, member

ANNA = PersonDetails(full_name="Anna Berg", phone="+4930123456", position="Head of sales")
SECRET = "a long enough secret"


@pytest.fixture
def acme() -> Organisation:
    return OrganisationFactory.create(short_name="Acme")


def administrator(organisation: Organisation) -> Actor:
    return member(organisation, Role.ADMINISTRATOR)


def membership_of(actor: Actor) -> Membership:
    return Membership.objects.get(person=actor.person, organisation=actor.organisation)


@pytest.mark.django_db
class TestAccount:
    def test_a_person_signs_up(self) -> None:
        person = people.sign_up("Anna@Example.COM", SECRET, ANNA, at=NOON)
        assert person.email == "anna@example.com"
        assert person.check_password(SECRET)
        assert (person.full_name, str(person.phone), person.position) == ("Anna Berg", "+4930123456", "Head of sales")
        address = EmailAddress.objects.get(user=person)
        assert (address.email, address.primary, address.verified) == ("anna@example.com", True, False)
        assert AuditRecord.objects.get().action == "person_signed_up"

    def test_an_email_has_one_account(self) -> None:
        PersonFactory.create(email="anna@example.com")
        with pytest.raises(people.EmailTaken):
            people.sign_up("Anna@example.com", SECRET, ANNA, at=NOON)
        assert Person.objects.count() == 1

    @pytest.mark.parametrize("password", ["short", "password123", "anna@example.com"])
    def test_a_weak_password_is_refused_beside_its_field(self, password: str) -> None:
        with pytest.raises(Invalid) as refused:
            people.sign_up("anna@example.com", password, ANNA, at=NOON)
        assert list(refused.value.errors) == ["password"]
        assert Person.objects.count() == 0

    def test_details_change(self, acme: Organisation) -> None:
        actor = member(acme)
        person = people.update_details(
            PersonDetails("Bo Li", "+4930999999", "Buyer", "Asia/Bangkok"), by=actor, at=NOON
        )
        assert (person.full_name, person.position, person.time_zone) == ("Bo Li", "Buyer", "Asia/Bangkok")

    def test_an_unknown_time_zone_is_refused(self, acme: Organisation) -> None:
        with pytest.raises(Invalid) as refused:
            people.update_details(PersonDetails("Bo", "", "", "Mars/Olympus"), by=member(acme), at=NOON)
        assert list(refused.value.errors) == ["time_zone"]


@pytest.mark.django_db
class TestRoles:
    def test_an_administrator_grants_roles(self, acme: Organisation) -> None:
        boss, other = administrator(acme), MembershipFactory.create(organisation=acme, roles=[Role.OBSERVER])
        people.grant(other.pk, ["signer", "bid_manager", "unknown"], by=boss, at=NOON)
        other.refresh_from_db()
        assert other.roles == ["signer", "bid_manager"]
        entry = AuditRecord.objects.get(stream=f"organisation:{acme.pk}")
        assert (entry.action, entry.details["before"], entry.details["after"]) == (
            "member_roles_changed",
            ["observer"],
            ["signer", "bid_manager"],
        )
        assert Notification.objects.get().person == other.person

    def test_no_role_at_all_is_refused(self, acme: Organisation) -> None:
        other = MembershipFactory.create(organisation=acme, roles=[Role.OBSERVER])
        with pytest.raises(people.NoRole):
            people.grant(other.pk, [], by=administrator(acme), at=NOON)

    def test_others_may_not_grant(self, acme: Organisation) -> None:
        other = MembershipFactory.create(organisation=acme, roles=[Role.OBSERVER])
        with pytest.raises(RoleMissing):
            people.grant(other.pk, ["signer"], by=member(acme, Role.SIGNER), at=NOON)

    def test_another_organisations_members_are_not_there(self, acme: Organisation) -> None:
        stranger = MembershipFactory.create()
        with pytest.raises(NotFound):
            people.grant(stranger.pk, ["signer"], by=administrator(acme), at=NOON)
        with pytest.raises(NotFound):
            people.end_membership(stranger.pk, by=administrator(acme), at=NOON)

    def test_the_last_administrator_keeps_the_role(self, acme: Organisation) -> None:
        boss = administrator(acme)
        with pytest.raises(people.LastAdministrator):
            people.grant(membership_of(boss).pk, ["signer"], by=boss, at=NOON)

    def test_the_last_administrator_cannot_leave(self, acme: Organisation) -> None:
        boss = administrator(acme)
        MembershipFactory.create(organisation=acme, roles=[Role.ADMINISTRATOR], active=False)
        with pytest.raises(people.LastAdministrator):
            people.end_membership(membership_of(boss).pk, by=boss, at=NOON)

    def test_an_ended_membership_stays_on_record_and_its_tokens_end(self, acme: Organisation) -> None:
        other = MembershipFactory.create(organisation=acme, roles=[Role.SIGNER])
        token = ApiToken.objects.create(membership=other, name="x", sha256="0" * 64, created_at=NOON)
        people.end_membership(other.pk, by=administrator(acme), at=NOON)
        other.refresh_from_db()
        token.refresh_from_db()
        assert (other.active, other.roles, token.revoked_at) == (False, ["signer"], NOON)

    def test_a_member_may_leave(self, acme: Organisation) -> None:
        leaver = member(acme, Role.OBSERVER)
        people.end_membership(membership_of(leaver).pk, by=leaver, at=NOON)
        assert not membership_of(leaver).active
        assert Notification.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_two_administrators_cannot_remove_each_other() -> None:
    acme = OrganisationFactory.create()
    first, second = administrator(acme), administrator(acme)
    first_membership, second_membership = membership_of(first).pk, membership_of(second).pk
    answers = at_the_same_time(
        lambda: people.end_membership(second_membership, by=first, at=NOON),
        lambda: people.end_membership(first_membership, by=second, at=NOON),
    )
    refused = [answer for answer in answers if isinstance(answer, people.LastAdministrator)]
    assert len(refused) == 1
    assert Membership.objects.filter(organisation=acme, active=True).count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_double_click_makes_one_account() -> None:
    answers = at_the_same_time(*[lambda: people.sign_up("anna@example.com", SECRET, ANNA, at=NOON)] * 2)
    refused = [answer for answer in answers if isinstance(answer, people.EmailTaken)]
    assert len(refused) == 1
    assert Person.objects.count() == 1


@pytest.mark.django_db
def test_a_stale_actor_of_an_ended_membership_is_nobody(acme: Organisation) -> None:
    other = MembershipFactory.create(organisation=acme, roles=[Role.SIGNER])
    people.end_membership(other.pk, by=administrator(acme), at=NOON)
    with pytest.raises(NotFound):
        actor_for(other.person, acme)


@pytest.mark.django_db(transaction=True)
def test_a_change_of_roles_does_not_deadlock_with_what_a_colleague_does_meanwhile(acme: Organisation) -> None:
    """The colleague's audit row refers to the organisation. That is checked at the commit, while the change of roles
    holds the organisation and waits for its audit stream."""
    boss, colleague = administrator(acme), member(acme, Role.BID_MANAGER)
    answers: list[object] = []

    def grant() -> None:
        try:
            answers.append(people.grant(membership_of(colleague).pk, [Role.OBSERVER], by=boss, at=NOON).roles)
        except Exception as error:  # noqa: BLE001  an answer too
            answers.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=grant)
    with transaction.atomic():
        audit.record("tool_used", acme, by=colleague, at=NOON)
        thread.start()
        wait_until_blocked()
    thread.join()

    assert answers == [[Role.OBSERVER]]
    assert AuditRecord.objects.filter(stream=f"organisation:{acme.pk}").count() == 2
