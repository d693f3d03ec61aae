"""Who can be invited, what the link is good for, and that it is good for once."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail

from marketplace.models import AuditRecord, Invitation, Membership, Organisation, OrganisationStatus, Person, Role
from marketplace.permissions import Actor, OrganisationNotActive, RoleMissing
from marketplace.services import invitations, people
from marketplace.services.people import PersonDetails
from marketplace.shared.errors import Invalid, NotFound
from tests.factories.at_once import at_the_same_time
from tests.factories.marketplace import NOON, MembershipFactory, OrganisationFactory, PersonFactory, member

BO = PersonDetails("Bo Li", "", "Buyer")
SECRET = "a long enough secret"
WEEK = timedelta(days=7)


@pytest.fixture
def acme(db: None) -> Organisation:
    return OrganisationFactory.create(short_name="Acme")


@pytest.fixture
def boss(acme: Organisation) -> Actor:
    return member(acme, Role.ADMINISTRATOR)


@pytest.fixture
def link(acme: Organisation, boss: Actor, django_capture_on_commit_callbacks: Any) -> str:
    """The secret of an invitation sent to bo@example.com as signer."""
    with django_capture_on_commit_callbacks(execute=True):
        invitations.invite(acme.pk, "Bo@Example.com", ["signer"], by=boss, at=NOON)
    return secret_in(mail.outbox[-1].body)


def secret_in(body: str) -> str:
    found = re.search(r"/invitations/([\w-]+)/", str(body))
    assert found
    return found.group(1)


def test_the_mail_holds_the_link_and_the_database_does_not(acme: Organisation, link: str) -> None:
    assert mail.outbox[0].to == ["bo@example.com"]
    assert "Acme" in mail.outbox[0].subject
    invitation = Invitation.objects.get()
    assert link not in str(invitation.__dict__)
    assert link not in str(list(AuditRecord.objects.values()))
    assert invitation.expires_at == NOON + WEEK


def test_somebody_new_joins_with_a_confirmed_email(acme: Organisation, link: str) -> None:
    membership = invitations.accept_as_new(link, SECRET, BO, at=NOON)
    assert (membership.person.email, membership.roles, membership.active) == ("bo@example.com", ["signer"], True)
    assert membership.person.emailaddress_set.get().verified  # type: ignore[attr-defined]  # allauth's relation


def test_somebody_with_an_account_joins(acme: Organisation, link: str) -> None:
    bo = PersonFactory.create(email="bo@example.com")
    assert invitations.accept(link, by=Actor(bo), at=NOON).organisation == acme


def test_somebody_with_an_account_is_sent_to_log_in(link: str) -> None:
    PersonFactory.create(email="bo@example.com")
    with pytest.raises(people.EmailTaken):
        invitations.accept_as_new(link, SECRET, BO, at=NOON)


def test_roles_are_added_to_those_held_but_not_to_those_of_an_ended_membership(acme: Organisation, link: str) -> None:
    bo = PersonFactory.create(email="bo@example.com")
    MembershipFactory.create(person=bo, organisation=acme, roles=[Role.ADMINISTRATOR], active=False)
    assert invitations.accept(link, by=Actor(bo), at=NOON).roles == ["signer"]


def test_another_person_cannot_use_the_link(link: str) -> None:
    with pytest.raises(invitations.InvitationForAnother, match=r"bo@example\.com"):
        invitations.accept(link, by=Actor(PersonFactory.create()), at=NOON)
    assert Invitation.objects.get().accepted_at is None


def test_a_link_works_once(link: str) -> None:
    invitations.accept_as_new(link, SECRET, BO, at=NOON)
    with pytest.raises(invitations.InvitationUnusable):
        invitations.find(link, at=NOON)


def test_a_link_ends_after_seven_days(link: str) -> None:
    invitations.find(link, at=NOON + WEEK - timedelta(seconds=1))
    with pytest.raises(invitations.InvitationUnusable):
        invitations.accept_as_new(link, SECRET, BO, at=NOON + WEEK)
    assert not Person.objects.filter(email="bo@example.com").exists()


def test_a_withdrawn_link_does_not_work(boss: Actor, link: str) -> None:
    invitations.revoke(Invitation.objects.get().pk, by=boss, at=NOON)
    with pytest.raises(invitations.InvitationUnusable):
        invitations.find(link, at=NOON)


def test_sending_again_replaces_the_link(boss: Actor, link: str, django_capture_on_commit_callbacks: Any) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        invitations.send_again(Invitation.objects.get().pk, by=boss, at=NOON + WEEK)
    again = secret_in(mail.outbox[-1].body)
    assert invitations.find(again, at=NOON + WEEK).expires_at == NOON + 2 * WEEK
    with pytest.raises(invitations.InvitationUnusable):
        invitations.find(link, at=NOON + WEEK)


def test_an_accepted_invitation_cannot_be_sent_again_or_withdrawn(boss: Actor, link: str) -> None:
    invitations.accept_as_new(link, SECRET, BO, at=NOON)
    for act in (invitations.send_again, invitations.revoke):
        with pytest.raises(invitations.InvitationUnusable):
            act(Invitation.objects.get().pk, by=boss, at=NOON)


@pytest.mark.parametrize(
    ("email", "roles", "refusal"),
    [
        ("bo@example.com", ["signer"], invitations.AlreadyInvited),
        ("boss@example.com", ["signer"], invitations.AlreadyMember),
        ("new@example.com", [], people.NoRole),
        ("not an address", ["signer"], Invalid),
    ],
)
def test_refused_invitations(
    acme: Organisation, link: str, email: str, roles: list[str], refusal: type[Exception]
) -> None:
    boss = MembershipFactory.create(organisation=acme, person__email="boss@example.com", roles=[Role.ADMINISTRATOR])
    actor = Actor(boss.person, acme, frozenset(boss.roles))
    with pytest.raises(refusal):
        invitations.invite(acme.pk, email, roles, by=actor, at=NOON)
    assert Invitation.objects.count() == 1


def test_an_expired_invitation_does_not_stand_in_the_way_of_a_new_one(
    acme: Organisation, boss: Actor, link: str
) -> None:
    invitations.invite(acme.pk, "bo@example.com", ["signer"], by=boss, at=NOON + WEEK)
    assert Invitation.objects.count() == 2


def test_only_administrators_of_a_registered_organisation_invite(acme: Organisation, boss: Actor, link: str) -> None:
    with pytest.raises(RoleMissing):
        invitations.invite(acme.pk, "x@example.com", ["signer"], by=member(acme, Role.SIGNER), at=NOON)
    with pytest.raises(NotFound):
        invitations.revoke(Invitation.objects.get().pk, by=member(OrganisationFactory.create()), at=NOON)
    draft = OrganisationFactory.create(status=OrganisationStatus.DRAFT)
    with pytest.raises(OrganisationNotActive):
        invitations.invite(draft.pk, "x@example.com", ["signer"], by=member(draft), at=NOON)


def test_an_organisation_cannot_flood_strangers_with_mail(
    acme: Organisation, boss: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(invitations, "MOST_OPEN", 1)
    invitations.invite(acme.pk, "one@example.com", ["signer"], by=boss, at=NOON)
    with pytest.raises(invitations.TooManyInvitations):
        invitations.invite(acme.pk, "two@example.com", ["signer"], by=boss, at=NOON)


@pytest.mark.django_db(transaction=True)
def test_one_link_clicked_twice_at_once_makes_one_member() -> None:
    acme = OrganisationFactory.create()
    boss = member(acme, Role.ADMINISTRATOR)
    invitations.invite(acme.pk, "bo@example.com", ["signer"], by=boss, at=NOON)
    secret = secret_in(mail.outbox[-1].body)
    answers = at_the_same_time(*[lambda: invitations.accept_as_new(secret, SECRET, BO, at=NOON)] * 2)
    refused = [answer for answer in answers if isinstance(answer, invitations.InvitationUnusable)]
    assert len(refused) == 1
    assert Membership.objects.filter(organisation=acme, person__email="bo@example.com").count() == 1
