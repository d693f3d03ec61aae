"""Two accounts that are one customer: merged and parted again, their purchases follow."""

from __future__ import annotations

from datetime import UTC, date, datetime
from threading import Event
from typing import Any

import pytest
from django.db import transaction

from analytics.models import (
    Account,
    AccountMerge,
    Book,
    Card,
    Category,
    Contact,
    DayRollup,
    Lead,
    LeadSource,
    Opportunity,
)
from analytics.permissions import ManagerOnly, book_for
from analytics.queries import customers as customer_queries
from analytics.queries import results
from analytics.queries.pipeline import passed
from analytics.rules.cards import CardState, Dismissed
from analytics.rules.pipeline import BuyingRole, Stage, StepKind
from analytics.services import (
    buying_group,
    card_making,
    card_outcomes,
    cards,
    contacts,
    customers,
    leads,
    merges,
    opportunities,
    steps,
)
from analytics.services.contacts import ContactDetails, TooManyContacts
from analytics.services.leads import LeadDetails
from analytics.services.merges import MergeNotPossible, MergeUndone
from analytics.services.opportunities import OpportunityDetails
from analytics.services.steps import NextStep
from marketplace.models import AuditRecord, Role, StaffRole
from marketplace.permissions import Actor
from marketplace.shared.errors import NotFound
from tests.factories import insights
from tests.factories.at_once import at_the_same_time, wait_until_blocked
from tests.factories.marketplace import NOON, accredited_supplier, member, staff
from tests.factories.purchases import loaded, row
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.django_db
MAY = date(2026, 5, 1)
JUNE = date(2026, 6, 1)


@pytest.fixture
def book() -> Book:
    found = book_for(None)
    loaded(
        found,
        [row("A", "1", MAY, "1"), row("B", "2", MAY, "2"), row("B", "3", JUNE, "4"), row("C", "4", JUNE, "8")],
    )
    return found


@pytest.fixture
def manager() -> Actor:
    return staff(StaffRole.SALES_MANAGER)


def pk(book: Book, name: str) -> int:
    return Account.objects.get(book=book, external_id=name).pk


def days(book: Book) -> dict[str, list[int]]:
    """What each account bought on its days, in money."""
    found: dict[str, list[int]] = {}
    for one in DayRollup.objects.filter(book=book).select_related("account").order_by("account", "day"):
        found.setdefault(one.account.external_id, []).append(int(one.amount))
    return found


def test_merged_accounts_count_as_one_and_parted_ones_as_two(book: Book, manager: Actor) -> None:
    before = days(book)
    merged = merges.merge(book, pk(book, "B"), pk(book, "A"), by=manager, at=NOON)
    assert days(book) == {"A": [3, 4], "C": [8]}
    loaded(book, [row("B", "5", JUNE, "10")])
    assert days(book) == {"A": [3, 14], "C": [8]}
    merges.undo(book, merged.pk, by=manager, at=NOON)
    assert days(book) == {**before, "B": [2, 14]}
    with pytest.raises(MergeUndone):
        merges.undo(book, merged.pk, by=manager, at=NOON)


def test_what_was_merged_before_goes_along_and_stays_with_it(book: Book, manager: Actor) -> None:
    first = merges.merge(book, pk(book, "B"), pk(book, "A"), by=manager, at=NOON)
    second = merges.merge(book, pk(book, "A"), pk(book, "C"), by=manager, at=NOON)
    assert days(book) == {"C": [3, 12]}
    merges.undo(book, second.pk, by=manager, at=NOON)
    assert days(book) == {"A": [3, 4], "C": [8]}
    third = merges.merge(book, pk(book, "A"), pk(book, "C"), by=manager, at=NOON)
    merges.undo(book, first.pk, by=manager, at=NOON)  # the older one first
    assert days(book) == {"B": [2, 4], "C": [1, 8]}
    merges.undo(book, third.pk, by=manager, at=NOON)
    assert days(book) == {"A": [1], "B": [2, 4], "C": [8]}


def test_what_cannot_be_merged(book: Book, manager: Actor) -> None:
    merges.merge(book, pk(book, "B"), pk(book, "A"), by=manager, at=NOON)
    for source, target in (("A", "A"), ("B", "C"), ("C", "B")):
        with pytest.raises(MergeNotPossible):
            merges.merge(book, pk(book, source), pk(book, target), by=manager, at=NOON)
    supplier = accredited_supplier()
    other = book_for(supplier.pk)
    loaded(other, [row("A", "1", MAY, "1")])
    with pytest.raises(NotFound):
        merges.merge(book, pk(other, "A"), pk(book, "C"), by=manager, at=NOON)
    with pytest.raises(NotFound):
        merges.merge(book, pk(book, "C"), pk(book, "A"), by=member(supplier, Role.SALES_MANAGER), at=NOON)
    with pytest.raises(ManagerOnly):
        merges.merge(book, pk(book, "C"), pk(book, "A"), by=staff(StaffRole.REPRESENTATIVE), at=NOON)


# What people work on


NIGHTLY = datetime(2026, 6, 2, 2, tzinfo=UTC)


def works(book: Book, name: str, owner: Actor, title: str, at: datetime = NOON) -> tuple[Contact, Lead, Opportunity]:
    """A contact, a lead and an opportunity at the account of that number, whose representative this is."""
    account = Account.objects.get(book=book, external_id=name)
    account.representative = owner.person
    account.save(update_fields=["representative"])
    contact = contacts.add(account.pk, ContactDetails(f"Mia of {name}"), by=owner, at=at)
    details = LeadDetails(f"Firm {name}", account_id=account.pk)
    lead, _new = leads.register(book.pk, LeadSource.OWN, details, by=owner, at=at)
    return contact, lead, opportunities.open_for(account.pk, OpportunityDetails(title), by=owner, at=at)


def card(book: Book, name: str, state: CardState = CardState.OPEN, **fields: Any) -> Card:
    account = Account.objects.get(book=book, external_id=name)
    return Card.objects.create(
        book=book, account=account, state=state, representative=account.representative, p=0.7, p_made=0.7, by_money=7,
        by_certain=2, expected_amount=10, currency="EUR", created_at=NIGHTLY, shown_on=JUNE,
        **{"kind": "recovery", "level": "account", "cutoff": JUNE} | fields,
    )  # fmt: skip


def where(*found: Any) -> list[str]:
    for one in found:
        one.refresh_from_db()
    return [one.account.external_id for one in found]


def test_what_people_work_on_goes_along_and_comes_back(book: Book, manager: Actor) -> None:
    anna, bob = staff(StaffRole.REPRESENTATIVE), staff(StaffRole.REPRESENTATIVE)
    of_b, of_a = works(book, "B", anna, "Cables"), works(book, "A", bob, "Boxes")
    waiting, in_work = card(book, "B"), card(book, "B", CardState.ACCEPTED, kind="growth", level="account")

    merged = merges.merge(book, pk(book, "B"), pk(book, "A"), by=manager, at=NOON)

    assert where(*of_b, *of_a, waiting, in_work) == ["A"] * 8
    lead = of_b[1]
    # By rule an open lead is his who looks after the account; what is being worked on stays with who works on it.
    assert (lead.representative, of_b[2].representative) == (bob.person, anna.person)
    assert (waiting.representative, in_work.representative) == (bob.person, anna.person)
    assert [one.rule for one in lead.ownership_decisions.all()] == ["account"]
    assert anna.person is not None
    kinds = anna.person.notifications.order_by("pk").values_list("kind", flat=True)
    assert list(kinds) == ["lead_gone", "account_merged"]
    assert waiting.events.get().what == "moved"
    late = contacts.add(pk(book, "B"), ContactDetails("Tom"), by=bob, at=NOON)  # a page opened before
    assert where(late) == ["A"]
    target = Account.objects.get(pk=pk(book, "A"))
    assert [event.what for event in customer_queries.story(target)][:1] == ["merged"]
    assert AuditRecord.objects.filter(action="account.work_merged", stream=f"account:{target.pk}").count() == 1

    merges.undo(book, merged.pk, by=manager, at=NOON)
    assert where(*of_b, waiting, in_work) == ["B"] * 5
    assert where(*of_a, late) == ["A"] * 4
    assert (lead.representative, waiting.representative) == (anna.person, anna.person)


def test_what_came_with_one_merge_is_not_given_away_by_the_next(book: Book, manager: Actor) -> None:
    mia, _lead, _opportunity = works(book, "B", staff(StaffRole.REPRESENTATIVE), "Cables")
    first = merges.merge(book, pk(book, "B"), pk(book, "A"), by=manager, at=NOON)
    second = merges.merge(book, pk(book, "A"), pk(book, "C"), by=manager, at=NOON)
    assert where(mia) == ["C"]
    merges.undo(book, first.pk, by=manager, at=NOON)
    assert where(mia) == ["B"]
    merges.merge(book, pk(book, "B"), pk(book, "C"), by=manager, at=NOON)
    merges.undo(book, second.pk, by=manager, at=NOON)
    assert where(mia) == ["C"]


def test_who_is_known_at_both_is_one_person_until_they_are_parted(book: Book, manager: Actor) -> None:
    anna = staff(StaffRole.REPRESENTATIVE)
    there = [
        contacts.add(pk(book, "A"), details, by=anna, at=NOON)
        for details in (ContactDetails("Mia Berg", email="mia@kabel.example", note="Calls back"), ContactDetails("Tom"))
    ]
    mia, tom, ada = (
        contacts.add(pk(book, "B"), details, by=anna, at=NOON)
        for details in (
            ContactDetails("mia  berg", "Buyer", "MIA@kabel.example", "+49 30 901820"),
            ContactDetails("Tom", phone="+49 30 901821"),
            ContactDetails("Ada", email="mia@kabel.example"),  # a shared mailbox
        )
    )
    sale = opportunities.open_for(pk(book, "B"), OpportunityDetails("Cables"), by=anna, at=NOON)
    buying_group.put(sale.pk, mia.pk, BuyingRole.USER, by=anna, at=NOON)
    steps.plan_next(sale.pk, NextStep(StepKind.CALL, NOON.date(), contact_id=tom.pk), by=anna, at=NOON)

    def people() -> list[tuple[str, str, str, str]]:
        shown = contacts.of(Account.objects.get(pk=pk(book, "A")))
        return [(one.name, one.position, str(one.phone), one.note) for one in shown]

    def parts_of_sale() -> list[Any]:
        return [*sale.group.values_list("contact", flat=True), *sale.steps.values_list("contact", flat=True)]

    before = people()
    merged = merges.merge(book, pk(book, "B"), pk(book, "A"), by=manager, at=NOON)
    assert people() == [
        ("Ada", "", "", ""),
        ("Mia Berg", "Buyer", "+4930901820", "Calls back"),
        ("Tom", "", "+4930901821", ""),
    ]
    assert parts_of_sale() == [there[0].pk, there[1].pk]
    # An address from before leads to the one that stands.
    changed = contacts.change(tom.pk, ContactDetails("Tom", "Boss", phone="+49 30 901821"), by=anna, at=NOON)
    assert changed.pk == there[1].pk
    assert "kabel.example" not in str(AccountMerge.objects.get(pk=merged.pk).moved)

    merges.undo(book, merged.pk, by=manager, at=NOON)
    assert people() == [before[0], ("Tom", "Boss", "", "")]
    assert parts_of_sale() == [mia.pk, tom.pk]
    assert where(mia, tom, ada) == ["B"] * 3
    # Merged once more and removed, nobody keeps the address.
    again = merges.merge(book, pk(book, "B"), pk(book, "A"), by=manager, at=NOON)
    contacts.remove(there[0].pk, by=anna, at=NOON)
    merges.undo(book, again.pk, by=manager, at=NOON)
    assert set(Contact.objects.filter(email__icontains="mia").values_list("name", flat=True)) == {"Ada"}


def test_an_account_has_room_for_so_many_contacts_by_a_merge_or_a_lead_too(
    book: Book, manager: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contacts, "CONTACTS_MAX", 1)
    for name, who in (("A", "Mia"), ("B", "Tom"), ("C", "Tom")):
        contacts.add(pk(book, name), ContactDetails(who), by=manager, at=NOON)
    with pytest.raises(TooManyContacts):
        merges.merge(book, pk(book, "B"), pk(book, "A"), by=manager, at=NOON)
    merges.merge(book, pk(book, "B"), pk(book, "C"), by=manager, at=NOON)  # one person
    details = LeadDetails("Firm", contact_name="Ada", account_id=pk(book, "A"))
    lead, _new = leads.register(book.pk, LeadSource.OWN, details, by=manager, at=NOON)
    bant = {"budget": "yes", "authority": "yes", "need": "yes"}
    leads.qualify(lead.pk, bant, {}, version=None, by=manager, at=NOON)
    with pytest.raises(TooManyContacts):
        leads.convert(lead.pk, "Cables", by=manager, at=NOON)
    lead.refresh_from_db()
    assert (lead.status, Opportunity.objects.count()) == ("working", 0)


def test_what_an_old_merge_left_behind_is_brought_along_and_goes_back_the_same_way(book: Book, manager: Actor) -> None:
    anna = staff(StaffRole.REPRESENTATIVE)
    work = works(book, "B", anna, "Cables")
    first = merges.merge(book, pk(book, "B"), pk(book, "A"), by=manager, at=NOON)
    second = merges.merge(book, pk(book, "A"), pk(book, "C"), by=manager, at=NOON)
    # As it was before people's work went along.
    for one in work:
        type(one)._default_manager.filter(pk=one.pk).update(account=pk(book, "B"))
    AccountMerge.objects.update(moved={})
    with pytest.raises(ManagerOnly):
        merges.bring_work(book, first.pk, by=anna, at=NOON)
    for _click in range(2):
        merges.bring_work(book, first.pk, by=manager, at=NOON)
    assert where(*work) == ["C"] * 3
    merges.undo(book, second.pk, by=manager, at=NOON)
    assert where(*work) == ["A"] * 3
    merges.undo(book, first.pk, by=manager, at=NOON)
    assert where(*work) == ["B"] * 3
    with pytest.raises(MergeUndone):
        merges.bring_work(book, first.pk, by=manager, at=NOON)


def test_of_two_cards_for_one_thing_the_one_worked_on_stays(book: Book, manager: Actor) -> None:
    metal = Category.objects.create(book=book, code="metal", name="Metal")
    of_category: dict[str, Any] = {"level": "category", "category": metal}
    pairs = [
        (card(book, "B"), card(book, "A")),
        (card(book, "B", CardState.ACCEPTED, kind="growth"), card(book, "A", CardState.SNOOZED, kind="growth")),
        (card(book, "B", CardState.ACCEPTED, **of_category), card(book, "A", CardState.ACCEPTED, **of_category)),
    ]
    alone = card(book, "B", CardState.WITHHELD, kind="growth", withheld=True, **of_category)

    merges.merge(book, pk(book, "B"), pk(book, "A"), by=manager, at=NOON)

    where(*(one for pair in pairs for one in pair))
    assert [(brought.state, there.state) for brought, there in pairs] == [
        ("expired", "open"),
        ("accepted", "expired"),
        ("done", "accepted"),
    ]
    assert where(alone) == ["B"]  # drawn for the other's number: it ends
    assert (alone.state, alone.closing, alone.events.get().reason) == ("expired", "merged", "merged")
    reach = results.Reach(book)
    book.currency = "EUR"
    assert results.figures(reach)[results.Figure.FOUND].cards + results.acceptance(reach).of == 0
    assert results.figures(reach)[results.Figure.AT_RISK].cards == 2


def test_of_two_opportunities_for_one_sale_the_further_one_stays(book: Book, manager: Actor) -> None:
    anna, bob = staff(StaffRole.REPRESENTATIVE), staff(StaffRole.REPRESENTATIVE)
    _mia, _lead, further = works(book, "B", anna, "Copper  cables")
    _tom, _other, double = works(book, "A", bob, "copper cables")
    opportunities.move(further.pk, Stage.PREPARATION, reason="Known", by=manager, at=NOON)

    merged = merges.merge(book, pk(book, "B"), pk(book, "A"), by=manager, at=NOON)

    assert where(further, double) == ["A", "A"]
    assert (further.status, double.status, double.lost_because) == ("open", "lost", "double")
    assert passed(book) == {}  # nothing to learn from
    assert bob.person is not None
    assert bob.person.notifications.filter(kind="opportunity_doubled").count() == 1
    assert [one.winner for one in further.ownership_decisions.all()] == [anna.person]
    merges.undo(book, merged.pk, by=manager, at=NOON)
    assert where(further, double) == ["B", "A"]
    assert (double.status, double.lost_because, double.steps.filter(done_at=None).count()) == ("open", "", 1)


def test_the_account_that_stands_takes_over_what_it_lacks_and_reasons_follow_it(book: Book, manager: Actor) -> None:
    anna = staff(StaffRole.REPRESENTATIVE)
    assert anna.person is not None
    Account.objects.filter(pk=pk(book, "B")).update(representative=anna.person, strategic=True)
    cups = Category.objects.create(book=book, code="cups", name="Cups")
    suggested = card(book, "B", kind="growth", level="category", category=cups)
    cards.dismiss(suggested.pk, Dismissed.CONTRACT_ELSEWHERE, by=anna, at=NOON)
    act = cards.dismiss(card(book, "B").pk, Dismissed.CLOSED, by=anna, at=NOON)

    merged = merges.merge(book, pk(book, "B"), pk(book, "A"), by=manager, at=NOON)

    standing = Account.objects.get(pk=pk(book, "A"))
    assert (standing.representative, standing.strategic) == (anna.person, True)
    with pytest.raises(cards.CannotUndo):
        cards.undo(act.event.pk, by=anna, at=NOON)
    # "Closed, or merged" was said of B alone; "bound elsewhere" of the customer, whatever its number.
    book.currency = "EUR"
    book.save(update_fields=["currency"])
    run = insights.whole_run(book, JUNE)
    insights.at_risk(run, standing, p=0.9)
    insights.could_buy(run, standing, cups)
    card_making.refresh(run.pk, at=NIGHTLY)
    assert set(Card.objects.filter(account=standing).values_list("kind", flat=True)) == {"recovery"}
    merges.undo(book, merged.pk, by=manager, at=NOON)
    standing.refresh_from_db()
    assert (standing.representative, standing.strategic) == (None, False)


def test_a_card_is_measured_by_what_the_account_buys_that_stands(book: Book, manager: Actor) -> None:
    book.currency = "EUR"
    book.save(update_fields=["currency"])
    done = card(book, "B", CardState.DONE, cutoff=MAY)
    merges.merge(book, pk(book, "B"), pk(book, "A"), by=manager, at=NOON)
    card_outcomes.measure(book.pk, at=NIGHTLY)
    done.refresh_from_db()
    assert (done.bought, int(done.bought_amount)) == (True, 4)


@pytest.mark.django_db(transaction=True)
def test_what_is_sent_while_its_account_is_merged_is_not_lost_on_it() -> None:
    book, manager, taken = book_for(None), staff(StaffRole.SALES_MANAGER), Event()
    loaded(book, [row("A", "1", MAY, "1"), row("B", "2", MAY, "2")])
    source, target = pk(book, "B"), pk(book, "A")

    def merged() -> None:
        with transaction.atomic():
            merges.merge(book, source, target, by=manager, at=NOON)
            taken.set()
            wait_until_blocked()  # the contact waits for the account

    def added() -> object:
        taken.wait(PATIENCE_S)
        return contacts.add(source, ContactDetails("Mia"), by=manager, at=NOON)

    answers = at_the_same_time(merged, added)

    assert [type(answer).__name__ for answer in answers] == ["NoneType", "StaleForm"]
    again = contacts.add(source, ContactDetails("Mia"), by=manager, at=NOON)
    assert (again.account_id, Contact.objects.count()) == (target, 1)


@pytest.mark.django_db(transaction=True)
def test_what_is_handed_over_while_it_is_parted_stays_handed_over() -> None:
    book, manager, taken = book_for(None), staff(StaffRole.SALES_MANAGER), Event()
    anna, ben = staff(StaffRole.REPRESENTATIVE).person, staff(StaffRole.REPRESENTATIVE).person
    assert ben is not None
    loaded(book, [row("A", "1", MAY, "1"), row("B", "2", MAY, "2")])
    source, target = pk(book, "B"), pk(book, "A")
    Account.objects.filter(pk=source).update(representative=anna)
    merged = merges.merge(book, source, target, by=manager, at=NOON)

    def handed_over() -> None:
        with transaction.atomic():
            customers.hand_over(target, ben.pk, "Ben knows them.", by=manager, at=NOON)
            taken.set()
            wait_until_blocked()  # the parting waits for the account

    def parted() -> None:
        taken.wait(PATIENCE_S)
        merges.undo(book, merged.pk, by=manager, at=NOON)

    assert at_the_same_time(handed_over, parted) == [None, None]
    assert Account.objects.get(pk=target).representative == ben
    assert Account.objects.get(pk=source).representative == anna
