"""Enquiries: nobody but the asker's organisation learns who asked."""

from datetime import timedelta

import pytest

from marketplace.models import AuditRecord, Notification, Role
from marketplace.permissions import RoleMissing
from marketplace.shared.errors import Invalid, NotAllowed, NotFound
from procurement.models import Clarification
from procurement.permissions import NotASupplier, OwnTender
from procurement.queries.clarifications import shown_to
from procurement.services import clarifications
from tests.factories.marketplace import NOON, OrganisationFactory, accredited_buyer, accredited_supplier, member
from tests.factories.procurement import draft_tender, published_tender

pytestmark = pytest.mark.django_db
LATER = NOON + timedelta(days=1)
QUESTION = "May the chairs be green?"


def ask(tender, supplier=None, at=LATER):
    return clarifications.ask(tender.pk, QUESTION, by=member(supplier or accredited_supplier()), at=at)


def test_a_question_waits_for_the_buyer_who_is_told_without_a_name():
    tender = published_tender()
    officer = member(tender.buyer, Role.OFFICER).person
    asked = ask(tender)
    assert (asked.number, asked.status, asked.question) == (1, "asked", QUESTION)
    told = Notification.objects.get(person=officer)
    assert asked.organisation.short_name not in told.text


def test_the_buyers_audit_trail_does_not_say_who_asked():
    tender = published_tender()
    asked = ask(tender)
    entry = AuditRecord.objects.get(stream=f"tender:{tender.pk}")
    assert (entry.action, entry.person, entry.organisation, entry.details) == (
        "question.asked",
        None,
        None,
        {"number": 1},
    )
    own = AuditRecord.objects.get(stream=f"organisation:{asked.organisation_id}")
    assert own.person == asked.asked_by


def test_an_unanswered_question_is_seen_by_the_buyer_and_the_asker_only():
    tender, supplier = published_tender(), accredited_supplier()
    ask(tender, supplier)
    assert [row.own for row in shown_to(tender.buyer, tender)] == [False]
    assert [row.own for row in shown_to(supplier, tender)] == [True]
    assert shown_to(accredited_supplier(), tender) == shown_to(None, tender) == []


def test_an_answer_is_public_and_names_nobody():
    tender, supplier = published_tender(), accredited_supplier()
    person = member(supplier, Role.BID_MANAGER).person
    asked = ask(tender, supplier)
    clarifications.answer(asked.pk, "Yes, they may.", by=member(tender.buyer), at=LATER)
    (row,) = shown_to(None, tender)
    assert (row.question, row.answer, row.own) == (QUESTION, "Yes, they may.", False)
    assert not hasattr(row, "organisation")
    assert Notification.objects.filter(person=person, kind="question_answered").count() == 1


def test_a_question_at_the_closing_instant_is_late():
    tender = published_tender()
    ask(tender, at=tender.enquiry_ends_at - timedelta(microseconds=1))
    with pytest.raises(clarifications.EnquiriesOver):
        ask(tender, at=tender.enquiry_ends_at)
    assert Clarification.objects.count() == 1


@pytest.mark.parametrize("text", ["", "  short  ", "x" * 4001])
def test_a_question_of_a_wrong_length_is_refused(text):
    tender = published_tender()
    with pytest.raises(Invalid) as refused:
        clarifications.ask(tender.pk, text, by=member(accredited_supplier()), at=LATER)
    assert list(refused.value.errors) == ["question"]


def test_who_may_not_ask_is_told_why():
    tender = published_tender()
    with pytest.raises(OwnTender):
        clarifications.ask(tender.pk, QUESTION, by=member(tender.buyer), at=LATER)
    with pytest.raises(NotASupplier):
        clarifications.ask(tender.pk, QUESTION, by=member(OrganisationFactory.create()), at=LATER)
    with pytest.raises(RoleMissing):
        clarifications.ask(tender.pk, QUESTION, by=member(accredited_supplier(), Role.OBSERVER), at=LATER)
    with pytest.raises(NotFound):
        clarifications.ask(draft_tender().pk, QUESTION, by=member(accredited_supplier()), at=LATER)


def test_a_flood_of_questions_is_refused(monkeypatch):
    monkeypatch.setattr(clarifications, "WAITING_MAX", 1)
    tender, supplier = published_tender(), accredited_supplier()
    ask(tender, supplier)
    with pytest.raises(clarifications.TooManyQuestions):
        ask(tender, supplier)
    ask(tender)


def test_only_an_officer_of_the_buyer_answers():
    asked = ask(published_tender())
    with pytest.raises(NotAllowed):
        clarifications.answer(asked.pk, "Yes.", by=member(asked.tender.buyer, Role.OBSERVER), at=LATER)
    with pytest.raises(NotFound):
        clarifications.answer(asked.pk, "Yes.", by=member(accredited_buyer()), at=LATER)
    with pytest.raises(NotFound):
        clarifications.answer(asked.pk, "Yes.", by=member(asked.organisation), at=LATER)


def test_an_answer_stays_as_it_is_and_none_comes_after_the_bids():
    tender = published_tender()
    first, second = ask(tender), ask(tender)
    by = member(tender.buyer)
    clarifications.answer(first.pk, "Yes.", by=by, at=LATER)
    with pytest.raises(clarifications.AlreadyAnswered):
        clarifications.answer(first.pk, "No.", by=by, at=LATER)
    with pytest.raises(clarifications.AnswersOver):
        clarifications.answer(second.pk, "Yes.", by=by, at=tender.tender_ends_at)


def test_the_list_of_questions_is_one_query(django_assert_num_queries):
    tender = published_tender()
    ask(tender)
    with django_assert_num_queries(1):
        shown_to(tender.buyer, tender)
    for _ in range(2):
        ask(tender)
    with django_assert_num_queries(1):
        assert len(shown_to(tender.buyer, tender)) == 3
