"""Leads and opportunities: owned by rule, moved by criteria, never without a next step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from analytics.models import Account, Book, Contact, Lead, LeadSource, Opportunity, OwnershipDecision, Step
from analytics.permissions import ManagerOnly
from analytics.queries import pipeline as queries
from analytics.rules.pipeline import BuyingRole, Criterion, LostReason, Stage, StepKind, StepResult, WonReason
from analytics.services import (
    buying_group,
    contacts,
    customers,
    leads,
    opportunities,
    outcomes,
    ownership,
    steps,
)
from analytics.services.contacts import ContactDetails
from analytics.services.leads import LeadDetails
from analytics.services.opportunities import OpportunityDetails
from analytics.services.steps import NextStep
from analytics.web import waiting_pipeline
from marketplace.models import AuditRecord, Notification, Person
from marketplace.permissions import Actor
from marketplace.shared.errors import Invalid, NotFound, StaleForm
from tests.factories.at_once import at_the_same_time
from tests.factories.insights import GOOD_BANT, account, representative, sales_manager
from tests.factories.insights import MORNING as AT
from tests.factories.marketplace import OrganisationFactory, member

pytestmark = pytest.mark.django_db


def person(actor: Actor) -> Person:
    assert actor.person is not None
    return actor.person


def opened(book: Book, by: Actor, **details: Any) -> Opportunity:
    return opportunities.open_for(account(book).pk, OpportunityDetails("Cables", **details), by=by, at=AT)


def next_step(opportunity: Opportunity) -> Step:
    return opportunity.steps.get(done_at=None)


def ready_to_close(book: Book, by: Actor) -> Opportunity:
    """An opportunity of which everything up to the close holds."""
    found = opened(
        book, by, amount=Decimal("900"), closes_on=date(2026, 4, 1), bant=GOOD_BANT, gpct={"goals": "Less stock"}
    )
    pair = [
        contacts.add(found.account_id, ContactDetails(name, email=f"{name}@example.com"), by=by, at=AT)
        for name in ("mia", "tom")
    ]
    for contact, role in zip(pair, (BuyingRole.DECISION_MAKER, BuyingRole.USER), strict=True):
        buying_group.put(found.pk, contact.pk, role, by=by, at=AT)
    steps.finish(next_step(found).pk, StepResult.REACHED, by=by, at=AT)
    for criterion in (Criterion.HISTORY_READ, Criterion.OFFER_PRESENTED, Criterion.TERMS_AGREED):
        opportunities.confirm(found.pk, criterion, True, by=by, at=AT)
    return found


def test_the_database_leaves_no_open_opportunity_without_a_next_step(book: Book, anna: Actor) -> None:
    found, decided = opened(book, anna), opened(book, anna)
    outcomes.lose(decided.pk, LostReason.PRICE, by=anna, at=AT)
    connection.check_constraints()
    waiting = found.steps.filter(done_at=None)
    ways: list[Callable[[], object]] = [
        lambda: waiting.update(done_at=AT),
        waiting.delete,
        lambda: waiting.update(opportunity=decided),
        lambda: Opportunity.objects.filter(pk=decided.pk).update(status="open", closed_at=None, lost_because=""),
    ]

    @transaction.atomic
    def ended_after(way: Callable[[], object]) -> None:
        way()
        connection.check_constraints()

    for way in ways:
        with pytest.raises(IntegrityError, match="no next step"):
            ended_after(way)
    # One may follow the other, and all may go with it.
    waiting.delete()
    Step.objects.create(opportunity=found, kind="call", due_on=AT.date(), person=person(anna), created_at=AT)
    connection.check_constraints()
    found.delete()
    connection.check_constraints()


def test_what_is_sent_twice_is_done_once(book: Book, anna: Actor) -> None:
    """Every act on a lead and on an opportunity, each as a form that was sent twice without scripts."""
    details = LeadDetails("Kabel AG", contact_name="Mia", email="mia@kabel.example")
    lead, _new = leads.register(book.pk, LeadSource.OWN, details, by=anna, at=AT)
    bob, boss = representative(), sales_manager()
    found = ready_to_close(book, anna)
    goal = replace(opportunities_details(found), gpct={"goals": "More stock"})
    contact, step = found.group.first(), next_step(found)
    assert contact is not None
    objection = buying_group.object_to(found.pk, "Too dear", by=anna, at=AT)
    acts: list[Callable[[], object]] = [
        lambda: leads.qualify(lead.pk, GOOD_BANT, {}, version=1, by=anna, at=AT),
        lambda: leads.give_up(lead.pk, "No money", by=anna, at=AT),
        lambda: leads.take_up(lead.pk, by=anna, at=AT),
        lambda: leads.convert(lead.pk, "Cables", by=anna, at=AT),
        lambda: opportunities.change(found.pk, goal, version=found.version, by=anna, at=AT),
        lambda: buying_group.answer(objection.pk, "Not with the discount", by=anna, at=AT),
        lambda: steps.finish(step.pk, StepResult.DONE, note="Sent", by=anna, at=AT),
        lambda: buying_group.take_out(found.pk, contact.contact_id, by=anna, at=AT),
        lambda: buying_group.put(found.pk, contact.contact_id, BuyingRole.DECISION_MAKER, by=anna, at=AT),
        lambda: opportunities.move(found.pk, Stage.CLOSE, by=anna, at=AT),
        lambda: outcomes.win(found.pk, WonReason.PRICE, note="At last", by=anna, at=AT),
        lambda: outcomes.reopen(found.pk, reason="Not yet", by=anna, at=AT),
        lambda: outcomes.lose(found.pk, LostReason.PRICE, by=anna, at=AT),
        lambda: ownership.hand_over(found.pk, person(bob), reason="Leave", by=boss, at=AT),
    ]
    for act in acts:
        found.refresh_from_db()
        act()
        trail = AuditRecord.objects.exclude(action="buying_group.changed").count()
        kept = Step.objects.count(), Notification.objects.count()
        act()
        assert AuditRecord.objects.exclude(action="buying_group.changed").count() == trail
        assert (Step.objects.count(), Notification.objects.count()) == kept
    # Another answer than the one that stands is refused as before.
    with pytest.raises(opportunities.NotOpen):
        outcomes.lose(found.pk, LostReason.RANGE, by=bob, at=AT)
    with pytest.raises(steps.StepDone):
        steps.finish(step.pk, StepResult.REACHED, by=bob, at=AT)


def opportunities_details(row: Opportunity) -> OpportunityDetails:
    return OpportunityDetails(row.title, row.amount, row.closes_on, row.bant, row.gpct)


def test_an_opportunity_begins_with_a_call_in_two_working_days(book: Book, anna: Actor) -> None:
    found = opened(book, anna)
    step = next_step(found)
    assert (found.stage, found.status, found.currency) == ("prospecting", "open", "EUR")
    assert (step.kind, step.due_on, step.person) == ("call", date(2026, 3, 4), anna.person)


def test_a_stage_is_not_left_before_its_criteria_hold(book: Book, anna: Actor) -> None:
    found = opened(book, anna)
    with pytest.raises(opportunities.CriteriaMissing, match=r"The need is named; A contact can be reached"):
        opportunities.move(found.pk, Stage.PREPARATION, by=anna, at=AT)
    found.refresh_from_db()
    assert (found.stage, found.moves.count()) == ("prospecting", 1)


def test_a_manager_may_say_why_the_criteria_need_not_hold_and_it_is_written_down(book: Book, anna: Actor) -> None:
    found = opened(book, anna)
    boss = sales_manager()
    with pytest.raises(opportunities.CriteriaMissing):
        opportunities.move(found.pk, Stage.PREPARATION, by=boss, at=AT)
    opportunities.move(found.pk, Stage.PREPARATION, reason="Old customer", by=boss, at=AT)
    move = found.moves.last()
    assert move is not None
    assert (move.after, move.reason, move.missing) == (
        "preparation",
        "Old customer",
        ["need_named", "contact_reachable"],
    )


def test_the_way_through_all_stages_to_a_won_opportunity_that_is_looked_after(book: Book, anna: Actor) -> None:
    found = ready_to_close(book, anna)
    opportunities.move(found.pk, Stage.CLOSE, by=anna, at=AT)
    outcomes.win(found.pk, WonReason.SERVICE, by=anna, at=AT)
    found.refresh_from_db()
    assert (found.stage, found.status, found.closed_at, found.won_because) == ("follow_up", "won", AT, "service")
    step = next_step(found)
    assert (step.kind, step.due_on) == ("follow_up", date(2026, 3, 16))
    # What was planned before is dropped, and the last follow-up ends it all.
    assert steps.finish(step.pk, StepResult.DONE, by=anna, at=AT) is None


def test_an_open_objection_holds_the_close_back(book: Book, anna: Actor) -> None:
    found = ready_to_close(book, anna)
    objection = buying_group.object_to(found.pk, "Too dear", by=anna, at=AT)
    with pytest.raises(opportunities.CriteriaMissing, match="Every objection is answered"):
        outcomes.win(found.pk, WonReason.PRICE, by=anna, at=AT)
    buying_group.answer(objection.pk, "Cheaper over a year", by=anna, at=AT)
    assert outcomes.win(found.pk, WonReason.PRICE, by=anna, at=AT).status == "won"


def test_going_back_takes_a_reason(book: Book, anna: Actor) -> None:
    found = ready_to_close(book, anna)
    opportunities.move(found.pk, Stage.CLOSE, by=anna, at=AT)
    with pytest.raises(opportunities.ReasonMissing):
        opportunities.move(found.pk, Stage.APPROACH, by=anna, at=AT)
    opportunities.move(found.pk, Stage.APPROACH, reason="New buyer", by=anna, at=AT)
    found.refresh_from_db()
    assert found.stage == "approach"


def test_five_follow_ups_come_by_themselves_and_then_a_next_step_is_asked_for(book: Book, anna: Actor) -> None:
    found = opened(book, anna)
    with pytest.raises(outcomes.TooEarlyToGiveUp, match="0 of 5"):
        outcomes.lose(found.pk, LostReason.NO_ANSWER, by=anna, at=AT)
    days = []
    for _number in range(5):
        following = steps.finish(next_step(found).pk, StepResult.NOT_REACHED, by=anna, at=AT)
        assert following is not None
        days.append((following.follow_up, following.due_on.isoformat()))
    assert days == [(1, "2026-03-04"), (2, "2026-03-05"), (3, "2026-03-09"), (4, "2026-03-11"), (5, "2026-03-16")]
    with pytest.raises(steps.NextStepMissing):
        steps.finish(next_step(found).pk, StepResult.NOT_REACHED, by=anna, at=AT)
    then = NextStep(StepKind.MAIL, date(2026, 3, 20))
    steps.finish(next_step(found).pk, StepResult.NOT_REACHED, next_step=then, by=anna, at=AT)
    assert outcomes.lose(found.pk, LostReason.NO_ANSWER, by=anna, at=AT).status == "lost"
    assert not found.steps.filter(done_at=None).exists()


def test_a_next_step_lies_ahead_and_with_a_contact_of_the_account(book: Book, anna: Actor) -> None:
    found = opened(book, anna)
    strangers = Contact.objects.create(account=account(book), name="Eve", created_at=AT)
    for wrong in (
        NextStep(StepKind.CALL, date(2026, 3, 1)),
        NextStep(StepKind.CALL, date(2027, 3, 5)),
        NextStep(StepKind.CALL, date(2026, 3, 9), contact_id=strangers.pk),
    ):
        with pytest.raises(Invalid):
            steps.plan_next(found.pk, wrong, by=anna, at=AT)
    assert steps.plan_next(found.pk, NextStep(StepKind.MEETING, date(2026, 3, 2)), by=anna, at=AT).kind == "meeting"
    assert found.steps.count() == 1


def test_a_lost_opportunity_is_taken_up_again_with_a_reason(book: Book, anna: Actor) -> None:
    found = opened(book, anna)
    outcomes.lose(found.pk, LostReason.POSTPONED, by=anna, at=AT)
    with pytest.raises(opportunities.NotOpen):
        opportunities.move(found.pk, Stage.PREPARATION, by=anna, at=AT)
    with pytest.raises(opportunities.ReasonMissing):
        outcomes.reopen(found.pk, reason=" ", by=anna, at=AT)
    outcomes.reopen(found.pk, reason="They called", by=anna, at=AT)
    found.refresh_from_db()
    assert (found.status, found.closed_at, found.lost_because, next_step(found).kind) == ("open", None, "", "call")


def test_nothing_is_planned_on_a_lost_opportunity(book: Book, anna: Actor) -> None:
    found = opened(book, anna)
    outcomes.lose(found.pk, LostReason.PRICE, by=anna, at=AT)
    with pytest.raises(opportunities.NotOpen):
        steps.plan_next(found.pk, NextStep(StepKind.CALL, date(2026, 3, 9)), by=anna, at=AT)


def test_a_lead_of_a_merged_account_becomes_an_opportunity_of_the_one_that_stands(book: Book, anna: Actor) -> None:
    old, new = account(book, anna), account(book, anna)
    details = LeadDetails(old.name, account_id=old.pk)
    lead, _new = leads.register(book.pk, LeadSource.OWN, details, by=anna, at=AT)
    leads.qualify(lead.pk, GOOD_BANT, {}, version=None, by=anna, at=AT)
    Account.objects.filter(pk=old.pk).update(merged_into=new)
    assert leads.convert(lead.pk, "Cables", by=anna, at=AT).account == new


def test_a_stale_form_changes_nothing(book: Book, anna: Actor) -> None:
    found = opened(book, anna)
    opportunities.change(found.pk, OpportunityDetails("Boxes"), version=1, by=anna, at=AT)
    with pytest.raises(StaleForm):
        opportunities.change(found.pk, OpportunityDetails("Screws"), version=1, by=anna, at=AT)
    found.refresh_from_db()
    assert (found.title, found.version) == ("Boxes", 2)


def test_a_colleague_reads_but_does_not_write_and_a_stranger_finds_nothing(book: Book, anna: Actor) -> None:
    found = opened(book, anna)
    with pytest.raises(opportunities.AnothersOpportunity):
        opportunities.change(found.pk, OpportunityDetails("Mine"), version=1, by=representative(), at=AT)
    with pytest.raises(ManagerOnly):
        ownership.hand_over(found.pk, person(anna), reason="Mine", by=anna, at=AT)
    stranger = member(OrganisationFactory.create(is_supplier=True))
    with pytest.raises(NotFound):
        opportunities.change(found.pk, OpportunityDetails("Theirs"), version=1, by=stranger, at=AT)


def test_a_hand_over_takes_the_next_step_along_and_is_written_down(book: Book, anna: Actor) -> None:
    found = opened(book, anna)
    bob, boss = representative(), sales_manager()
    with pytest.raises(opportunities.ReasonMissing):
        ownership.hand_over(found.pk, person(bob), reason="", by=boss, at=AT)
    with pytest.raises(Invalid):
        ownership.hand_over(
            found.pk, person(member(OrganisationFactory.create(is_supplier=True))), reason="Leave", by=boss, at=AT
        )
    for _click in range(2):  # sent twice it is one
        ownership.hand_over(found.pk, person(bob), reason="Leave", by=boss, at=AT)
    decision = OwnershipDecision.objects.get(opportunity=found)
    assert (decision.winner, decision.decided_by, decision.reason) == (bob.person, boss.person, "Leave")
    assert next_step(found).person == bob.person
    assert told(bob, anna) == ["opportunity_handed_over", "opportunity_gone"]
    assert str(bob.person) in Notification.objects.get(person=anna.person).text


def told(*actors: Actor) -> list[str]:
    """What kinds of notifications they were sent, one after the other."""
    return [kind for one in actors for kind in person(one).notifications.order_by("pk").values_list("kind", flat=True)]


def test_with_an_account_go_the_open_sales_of_who_gives_it_and_nobody_elses(book: Book, anna: Actor) -> None:
    bob, heir, boss = representative(), representative(), sales_manager()
    customer = account(book, anna)
    mine = opportunities.open_for(customer.pk, OpportunityDetails("Cables"), by=anna, at=AT)
    lost = opportunities.open_for(customer.pk, OpportunityDetails("Boxes"), by=anna, at=AT)
    outcomes.lose(lost.pk, LostReason.PRICE, by=anna, at=AT)
    another = opportunities.open_for(customer.pk, OpportunityDetails("Screws"), by=anna, at=AT)
    ownership.hand_over(another.pk, person(bob), reason="Knows screws", by=boss, at=AT)
    lead, _new = leads.register(book.pk, LeadSource.OWN, LeadDetails("K", account_id=customer.pk), by=anna, at=AT)

    customers.hand_over(customer.pk, person(heir).pk, "Anna is on leave", by=boss, at=AT)

    for row in (mine, lost, another, lead):
        row.refresh_from_db()
    whose = [row.representative for row in (mine, lost, another, lead)]
    assert whose == [heir.person, anna.person, bob.person, heir.person]
    assert next_step(mine).person == heir.person
    assert told(heir, anna) == ["account_handed_over", "opportunity_gone", "account_gone"]
    decided = OwnershipDecision.objects.filter(reason="Anna is on leave").order_by("pk")
    assert [(one.lead, one.opportunity, one.winner) for one in decided] == [
        (lead, None, heir.person),
        (None, mine, heir.person),
    ]


def test_an_opportunity_with_a_colleagues_customer_is_the_colleagues(book: Book, anna: Actor) -> None:
    bob, boss = representative(), sales_manager()
    found = opportunities.open_for(account(book, anna).pk, OpportunityDetails("Cables"), by=bob, at=AT)
    assert (found.representative, next_step(found).person) == (anna.person, anna.person)
    decision = OwnershipDecision.objects.get(opportunity=found)
    assert (decision.rule, decision.winner, len(decision.claims)) == ("account", anna.person, 2)
    assert Notification.objects.filter(person=anna.person, kind="opportunity_yours").count() == 1
    # Who has left has no claim any more.
    Person.objects.filter(pk=person(anna).pk).update(staff_roles=[])
    assert (
        opportunities.open_for(found.account_id, OpportunityDetails("Boxes"), by=bob, at=AT).representative
        == bob.person
    )
    # A lead that a manager turns into an opportunity stays with who has it.
    lead, _new = leads.register(book.pk, LeadSource.OWN, LeadDetails("Kabel AG"), by=bob, at=AT)
    leads.qualify(lead.pk, GOOD_BANT, {}, version=None, by=bob, at=AT)
    assert leads.convert(lead.pk, "Cables", by=boss, at=AT).representative == bob.person


def test_a_form_sent_twice_opens_objects_and_adds_once(book: Book, anna: Actor) -> None:
    customer = account(book, anna)
    for second in range(2):
        at = AT + timedelta(seconds=second)
        found = opportunities.open_for(customer.pk, OpportunityDetails("Cables"), by=anna, at=at)
        buying_group.object_to(found.pk, "Too dear", by=anna, at=at)
        contacts.add(customer.pk, ContactDetails("Mia", phone="+49 30 901820"), by=anna, at=at)
        customers.note(customer.pk, "Ask for Mia", by=anna, at=at)
    kept = (customer.opportunities, found.objections, customer.contacts, customer.events)
    assert [rows.count() for rows in kept] == [1, 1, 1, 1]


def test_a_step_finished_in_two_tabs_at_once_is_finished_once(transactional_db: None, book: Book) -> None:
    anna = representative()
    found = opened(book, anna)
    call = next_step(found)

    def finish() -> object:
        return steps.finish(call.pk, StepResult.REACHED, by=anna, at=AT)

    answers = at_the_same_time(finish, finish)
    assert answers == [next_step(found)] * 2
    assert list(found.steps.values_list("follow_up", flat=True)) == [None, 1]


# Reading


def test_everybody_is_reminded_once_a_day_of_what_is_due(book: Book, anna: Actor) -> None:
    due, later = opened(book, anna), opened(book, anna)
    steps.plan_next(due.pk, NextStep(StepKind.CALL, date(2026, 3, 2)), by=anna, at=AT)
    steps.plan_next(later.pk, NextStep(StepKind.CALL, date(2026, 3, 3)), by=anna, at=AT)
    assert [steps.remind(at=AT), steps.remind(at=AT + timedelta(hours=3)), steps.remind(at=AT + timedelta(days=1))] == [
        1,
        0,
        1,
    ]
    words = list(Notification.objects.filter(kind="steps_due").order_by("pk").values_list("text", flat=True))
    assert words == ["1 step of your pipeline is due: Cables.", "2 steps of your pipeline are due, first: Cables."]


def test_who_has_left_is_told_nothing_of_the_customers_any_more(book: Book, anna: Actor) -> None:
    opened(book, anna)
    details = LeadDetails("Kabel AG", need="Cables")
    lead, _new = leads.register(book.pk, LeadSource.OWN, details, by=anna, at=AT)
    Person.objects.filter(pk=person(anna).pk).update(staff_roles=[])
    assert steps.remind(at=AT + timedelta(days=5)) == 0
    leads.register(book.pk, LeadSource.PROGRAM, details, by=sales_manager(), at=AT)
    leads.note_over(Lead.objects.get(pk=lead.pk), "They withdrew.", at=AT)
    assert told(anna) == []


def test_who_cannot_be_reminded_holds_nobody_up_and_is_reminded_once_it_can_be(book: Book, anna: Actor) -> None:
    bob = representative()
    for one in (anna, bob):
        steps.plan_next(opened(book, one).pk, NextStep(StepKind.CALL, date(2026, 3, 2)), by=one, at=AT)
    known = person(anna).time_zone
    Person.objects.filter(pk=person(anna).pk).update(time_zone="Nowhere/Never")
    assert steps.remind(at=AT) == 1
    assert Notification.objects.get(kind="steps_due").person == bob.person
    Person.objects.filter(pk=person(anna).pk).update(time_zone=known)
    told = [steps.remind(at=AT + timedelta(days=day)) for day in (0, 0, 1, 2)]
    assert told == [1, 0, 2, 2]  # every day, not every other


def test_the_board_has_a_column_a_stage_with_its_money(book: Book, anna: Actor) -> None:
    opened(book, anna, amount=Decimal("100.00"))
    opened(book, anna, amount=Decimal("50.00"))
    lost = opened(book, anna, amount=Decimal("7.00"))
    outcomes.lose(lost.pk, LostReason.PRICE, by=anna, at=AT)
    first, *others = queries.board(queries.opportunities(book))
    assert (first.stage, first.count, first.totals) == (Stage.PROSPECTING, 2, {"EUR": Decimal("150")})
    assert [column.count for column in others] == [0] * 6
    assert queries.passed(book)[Stage.PROSPECTING].closed == 1
    assert list(queries.open_amounts(book)) == [(Stage.PROSPECTING, "EUR", None, Decimal("150"))]


def test_the_first_page_tells_what_of_the_pipeline_waits(book: Book, anna: Actor) -> None:
    found = opened(book, anna)
    steps.plan_next(found.pk, NextStep(StepKind.CALL, date(2026, 3, 2)), by=anna, at=AT)
    leads.register(book.pk, LeadSource.OWN, LeadDetails("Kabel AG"), by=anna, at=AT)
    boss = sales_manager()
    leads.register(book.pk, LeadSource.PROGRAM, LeadDetails("Nord AB"), by=boss, at=AT)
    later = AT + timedelta(days=1)
    assert [(str(task.text), task.tone) for task in waiting_pipeline.tasks(anna, later)] == [
        ("1 step of the pipeline is due", "warn"),
        ("1 new lead to qualify", ""),
    ]
    assert [str(task.text) for task in waiting_pipeline.tasks(boss, later)] == ["1 lead has no owner yet"]
    assert list(waiting_pipeline.tasks(member(OrganisationFactory.create(is_supplier=True)), later)) == []
