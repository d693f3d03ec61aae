"""What the first page says about procedures, in a bounded number of queries."""

from datetime import timedelta

import pytest

from marketplace.models import Role
from procurement.models import Bid
from procurement.queries import waiting
from procurement.services import clarifications
from tests.factories.marketplace import NOON, HeadingFactory, accredited_buyer, accredited_supplier, member
from tests.factories.procurement import draft_tender, published_tender

pytestmark = pytest.mark.django_db
QUESTION = "May the chairs be green?"


def test_an_officer_is_told_of_questions_and_drafts():
    buyer = accredited_buyer()
    tender = published_tender(buyer=buyer)
    draft = draft_tender(buyer=buyer)
    draft_tender()
    for _ in range(2):
        clarifications.ask(tender.pk, QUESTION, by=member(accredited_supplier()), at=NOON)
    found = list(waiting.tasks(member(buyer), NOON))
    assert [(str(task.text), task.note) for task in found] == [
        ("Answer 2 questions", tender.title),
        ("Finish and publish a draft", draft.title),
    ]
    assert list(waiting.tasks(member(buyer, Role.OBSERVER), NOON)) == []
    assert list(waiting.tasks(member(accredited_supplier()), NOON)) == []


def test_a_buyer_sees_how_many_bids_are_sealed_and_no_more():
    buyer = accredited_buyer()
    tender = published_tender(buyer=buyer, lots=2)
    for lot, status in zip(tender.lots.all(), ("submitted", "draft"), strict=True):
        supplier = accredited_supplier()
        Bid.objects.create(
            lot=lot,
            supplier=supplier,
            status=status,
            currency="EUR",
            created_by=member(supplier).person,
            created_at=NOON,
        )
    (panel,) = waiting.panels(member(buyer), NOON)
    assert [(row.number, row.figure) for row in panel.rows] == [(tender.number, "1 sealed bid")]


def test_a_supplier_sees_open_procedures_of_its_headings_and_its_answers():
    furniture = HeadingFactory.create()
    chairs = HeadingFactory.create(parent=furniture)
    supplier = accredited_supplier()
    supplier.headings_offered.add(furniture)
    fitting, other = published_tender(), published_tender()
    fitting.lots.get().items.update(category=chairs)
    asked = clarifications.ask(other.pk, QUESTION, by=member(supplier), at=NOON)
    clarifications.answer(asked.pk, "Yes.", by=member(other.buyer), at=NOON)
    matching, answers = waiting.panels(member(supplier), NOON)
    assert [row.number for row in matching.rows] == [fitting.number]
    assert [(row.number, row.note) for row in answers.rows] == [(other.number, "Yes.")]
    assert [figure.value for figure in waiting.figures(member(supplier), NOON)] == ["1"]


def test_a_visitor_sees_what_closes_next():
    late, soon = published_tender(), published_tender(tender_ends_at=NOON + timedelta(days=6))
    draft_tender()
    figures, rows = waiting.public(NOON)
    assert [row.number for row in rows] == [soon.number, late.number]
    assert str(figures[0].value) == "2"


@pytest.mark.parametrize("provider", [waiting.tasks, waiting.figures, waiting.panels])
def test_three_procedures_take_the_queries_of_one(django_assert_max_num_queries, provider):
    organisation = accredited_buyer(is_supplier=True)
    actor = member(organisation)

    def queries():
        with django_assert_max_num_queries(12) as counted:
            list(provider(actor, NOON))
        return len(counted)

    def add():
        tender = published_tender(buyer=organisation)
        clarifications.ask(tender.pk, QUESTION, by=member(accredited_supplier()), at=NOON)
        draft_tender(buyer=organisation)

    add()
    one = queries()
    add()
    add()
    assert queries() == one
