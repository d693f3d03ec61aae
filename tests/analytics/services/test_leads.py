"""Leads: registered once, owned by rule, qualified or given up."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection, transaction

from analytics.models import Book, Contact, Lead, LeadSource, Opportunity, OwnershipDecision, Territory
from analytics.permissions import book_for
from analytics.services import leads, loading, opportunities, ownership
from analytics.services.leads import LeadDetails
from marketplace.models import Notification
from marketplace.permissions import Actor, person_of
from marketplace.shared.errors import IllegalTransition, Invalid, NotFound
from tests.factories.at_once import at_the_same_time
from tests.factories.insights import GOOD_BANT, account, representative, sales_manager
from tests.factories.insights import MORNING as AT
from tests.factories.marketplace import OrganisationFactory
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.django_db


def test_the_same_lead_is_one_and_what_is_new_is_added(book: Book, anna: Actor) -> None:
    first, new = leads.register(
        book.pk, LeadSource.OWN, LeadDetails("Kabel AG", "DE", email="a@kabel.example", need="Cables"), by=anna, at=AT
    )
    again, newer = leads.register(
        book.pk, LeadSource.OWN, LeadDetails("KABEL", email="A@kabel.example", need="Boxes"), by=representative(), at=AT
    )
    assert (new, newer, again.pk) == (True, False, first.pk)
    again.refresh_from_db()
    assert (again.need, again.representative) == ("Cables\n\nBoxes", anna.person)
    assert Notification.objects.filter(person=anna.person, kind="lead_again").count() == 1
    # Two had a claim: it says who won and why.
    decision = OwnershipDecision.objects.get(lead=first)
    assert (decision.rule, decision.winner, len(decision.claims)) == ("first", anna.person, 2)


def test_a_lead_goes_to_whoever_looks_after_the_account(book: Book, anna: Actor) -> None:
    customer = account(book, anna, name="Kabel AG")
    bob = representative()
    lead, _new = leads.register(book.pk, LeadSource.OWN, LeadDetails("kabel ag", "DE"), by=bob, at=AT)
    assert (lead.account, lead.representative) == (customer, anna.person)
    assert OwnershipDecision.objects.get(lead=lead).rule == "account"
    assert Notification.objects.filter(person=anna.person, kind="lead_assigned").count() == 1
    with pytest.raises(opportunities.AnothersOpportunity):
        leads.give_up(lead.pk, "Mine", by=bob, at=AT)


def test_a_lead_that_comes_again_goes_to_whom_the_decision_names(book: Book, anna: Actor) -> None:
    bob, carla, boss = representative(), representative(), sales_manager()
    details, later = LeadDetails("Kabel AG", "DE", need="Cables"), AT + timedelta(days=100)
    lead, _new = leads.register(book.pk, LeadSource.OWN, details, by=bob, at=AT)
    # Bob has let it lie.
    leads.register(book.pk, LeadSource.OWN, details, by=carla, at=later)
    lead.refresh_from_db()
    decision = OwnershipDecision.objects.get(lead=lead)
    assert (decision.rule, decision.winner, lead.representative) == ("first", carla.person, carla.person)
    # Anna looks after the account since.
    Lead.objects.filter(pk=lead.pk).update(account=account(book, anna, name="Kabel AG"))
    leads.register(book.pk, LeadSource.OWN, details, by=carla, at=later)
    lead.refresh_from_db()
    assert lead.representative == anna.person
    assert Notification.objects.filter(person=anna.person, kind="lead_assigned").count() == 1
    # What a manager decides stands.
    ownership.assign_lead(lead.pk, person_of(bob), reason="Knows them", by=boss, at=later)
    leads.register(book.pk, LeadSource.OWN, details, by=carla, at=later)
    lead.refresh_from_db()
    assert lead.representative == bob.person
    assert OwnershipDecision.objects.filter(lead=lead).order_by("-pk")[0].decided_by == boss.person
    # Everybody who had it was told whose it is now.
    gone = Notification.objects.filter(kind="lead_gone").order_by("pk")
    assert [one.person for one in gone] == [bob.person, anna.person]


def test_a_lead_from_a_territory_goes_to_its_representative_and_from_nowhere_to_nobody(book: Book, anna: Actor) -> None:
    Territory.objects.create(book=book, name="North", representative=anna.person, rule={"countries": ["SE", "FI"]})
    program = sales_manager()
    north, _new = leads.register(book.pk, LeadSource.PROGRAM, LeadDetails("Nord AB", "SE"), by=program, at=AT)
    south, _new = leads.register(book.pk, LeadSource.PROGRAM, LeadDetails("Sud SRL", "IT"), by=program, at=AT)
    assert (north.representative, south.representative) == (anna.person, None)
    ownership.assign_lead(south.pk, person_of(anna), reason="Speaks Italian", by=program, at=AT)
    assert Lead.objects.get(pk=south.pk).representative == anna.person


def test_a_reference_of_another_system_is_one_lead_even_when_sent_twice_at_once(
    transactional_db: None, book: Book
) -> None:
    anna = representative()
    details = LeadDetails("Kabel AG", reference="CRM-7")

    def send() -> object:
        return leads.register(book.pk, LeadSource.PROGRAM, details, by=anna, at=AT)[1]

    assert sorted(map(str, at_the_same_time(send, send))) == ["False", "True"]
    assert Lead.objects.count() == 1


def test_a_lead_is_registered_while_purchases_are_loaded(transactional_db: None, book: Book) -> None:
    anna = representative()

    def register() -> object:
        with connection.cursor() as cursor:
            cursor.execute(f"SET lock_timeout = '{PATIENCE_S:.0f}s'")  # or the two would wait for each other for ever
        return leads.register(book.pk, LeadSource.OWN, LeadDetails("Kabel AG", "DE"), by=anna, at=AT)[1]

    with transaction.atomic():
        loading.lock(book.pk)
        assert at_the_same_time(register) == [True]


def test_only_a_qualified_lead_becomes_an_opportunity_with_its_contact_and_answers(book: Book, anna: Actor) -> None:
    lead, _new = leads.register(
        book.pk, LeadSource.OWN, LeadDetails("Kabel AG", contact_name="Mia", email="m@kabel.example"), by=anna, at=AT
    )
    with pytest.raises(leads.NotQualified, match="0 of 8"):
        leads.convert(lead.pk, "Cables", by=anna, at=AT)
    leads.qualify(lead.pk, GOOD_BANT, {"goals": "Less stock"}, version=1, by=anna, at=AT)
    found = leads.convert(lead.pk, "Cables", by=anna, at=AT)
    lead.refresh_from_db()
    assert (lead.status, found.lead, found.account.name) == ("qualified", lead, "Kabel AG")
    assert (found.bant["need"], found.gpct) == ("yes", {"goals": "Less stock"})
    assert [contact.name for contact in Contact.objects.filter(account=found.account)] == ["Mia"]
    assert leads.convert(lead.pk, "Cables", by=anna, at=AT) == found  # pressed twice
    assert Opportunity.objects.count() == 1


def test_a_lead_given_up_keeps_its_reason_and_may_be_taken_up(book: Book, anna: Actor) -> None:
    lead, _new = leads.register(book.pk, LeadSource.OWN, LeadDetails("Kabel AG"), by=anna, at=AT)
    with pytest.raises(Invalid):
        leads.give_up(lead.pk, "  ", by=anna, at=AT)
    leads.qualify(lead.pk, GOOD_BANT, {}, version=None, by=anna, at=AT)
    leads.give_up(lead.pk, "A shop for hobbyists", by=anna, at=AT)
    with pytest.raises(IllegalTransition):
        leads.convert(lead.pk, "Cables", by=anna, at=AT)
    assert Lead.objects.get(pk=lead.pk).given_up_because == "A shop for hobbyists"
    leads.take_up(lead.pk, by=anna, at=AT)
    assert Lead.objects.get(pk=lead.pk).status == "working"


@pytest.mark.parametrize(
    ("details", "field"),
    [
        (LeadDetails(" "), "company"),
        (LeadDetails("A", email="no address"), "email"),
        (LeadDetails("A", phone="123"), "phone"),
        (LeadDetails("A", need="x" * 2001), "need"),
    ],
)
def test_a_wrong_lead_says_which_field(book: Book, anna: Actor, details: LeadDetails, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        leads.register(book.pk, LeadSource.OWN, details, by=anna, at=AT)
    assert list(refused.value.errors) == [field]


def test_another_book_is_not_found(anna: Actor) -> None:
    theirs = book_for(OrganisationFactory.create(is_supplier=True).pk)
    with pytest.raises(NotFound):
        leads.register(theirs.pk, LeadSource.OWN, LeadDetails("Kabel AG"), by=anna, at=AT)
