"""Other systems: leads in, cards and opportunities out; each company sees its own book only."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from django.test import Client
from django.urls import reverse

from analytics.models import Book, Card, Lead
from analytics.permissions import book_for
from analytics.rules.cards import Heard, Kind, withheld
from analytics.services import cards, opportunities
from analytics.services.opportunities import OpportunityDetails
from marketplace.models import Organisation, Role
from marketplace.permissions import Actor, person_of
from marketplace.services import tokens
from tests.factories.insights import (
    CUTOFF,
    MORNING,
    account,
    at_risk,
    made_cards,
    platform_book,
    representative,
    shown_account,
    whole_run,
)
from tests.factories.marketplace import accredited_supplier, member

pytestmark = pytest.mark.django_db
JSON = "application/json"


@pytest.fixture
def company() -> Organisation:
    return accredited_supplier()


@pytest.fixture
def seller(company: Organisation) -> Actor:
    return member(company, Role.REPRESENTATIVE)


@pytest.fixture
def program(seller: Actor) -> Client:
    _token, secret = tokens.create("CRM", by=seller, at=MORNING)
    return Client(headers={"authorization": f"Bearer {secret}"})


@pytest.fixture
def book(company: Organisation) -> Book:
    return book_for(company.pk)


def test_a_lead_sent_twice_is_one_and_says_what_became_of_it(program: Client, book: Book) -> None:
    url = reverse("api_insights_leads")
    sent = {"company": "Kabel AG", "country": "DE", "need": "Cables", "reference": "CRM-7"}
    first, again = (program.post(url, sent, JSON) for _time in range(2))
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"] == Lead.objects.get(book=book).pk
    assert first.json() | {"id": 0, "created_at": "", "touched_at": "", "representative": ""} == {
        "id": 0, "reference": "CRM-7", "origin": "program", "company": "Kabel AG", "country": "DE",
        "customer_number": None, "status": "new", "representative": "", "given_up_because": "", "opportunity": None,
        "created_at": "", "touched_at": "",
    }  # fmt: skip
    assert [row["reference"] for row in program.get(url).json()["results"]] == ["CRM-7"]


def test_a_wrong_lead_is_refused_by_field(program: Client) -> None:
    answer = program.post(reverse("api_insights_leads"), {"company": "", "country": "de", "email": "x"}, JSON)
    assert answer.status_code in (400, 422)
    assert answer["Content-Type"] == "application/problem+json"


def test_opportunities_come_out_with_their_next_step_and_only_ones_own(
    program: Client, book: Book, seller: Actor
) -> None:
    mine = opportunities.open_for(account(book).pk, OpportunityDetails("Cables"), by=seller, at=MORNING)
    theirs = account(platform_book())
    opportunities.open_for(theirs.pk, OpportunityDetails("Theirs"), by=representative(), at=MORNING)
    rows = program.get(reverse("api_insights_opportunities")).json()["results"]
    assert [(row["id"], row["stage"], row["next_step_on"]) for row in rows] == [(mine.pk, "prospecting", "2026-03-04")]
    assert program.get(reverse("api_insights_opportunities"), {"status": "won"}).json()["results"] == []
    assert program.get(reverse("api_insights_opportunities"), {"status": "odd"}).status_code == 400


def test_cards_come_out_without_the_control_group(program: Client, book: Book, seller: Actor) -> None:
    book.currency = "EUR"
    book.save(update_fields=["currency"])
    run = whole_run(book)
    names = (f"C-{number}" for number in range(1000))
    kept = next(name for name in names if withheld(book.pk, name, Kind.RECOVERY, CUTOFF.year))
    at_risk(run, account(book, seller, external_id=kept))
    at_risk(run, shown_account(book, seller))
    assert len(made_cards(run)) == 2
    rows = program.get(reverse("api_insights_cards")).json()["results"]
    assert [(row["state"], row["kind"], row["customer_number"] == kept) for row in rows] == [
        ("open", "recovery", False)
    ]
    assert program.get(reverse("api_insights_cards"), {"measured": "true"}).json()["results"] == []
    # What came of it, with its evidence; and only what changed, for a program that asks every hour.
    (evidence,) = (row["evidence"] for row in rows)
    assert {name: value for name, value in evidence.items() if value is not None} == {
        "usual_gap_days": 20.0, "silent_days": 55, "orders": 12, "last_bought_on": "2026-01-05",
    }  # fmt: skip
    since = {"changed_since": (MORNING + timedelta(hours=1)).isoformat()}
    assert program.get(reverse("api_insights_cards"), since).json()["results"] == []
    called = MORNING + timedelta(hours=2)
    cards.call(rows[0]["id"], Heard.CALL_BACK, again_on=date(2026, 3, 9), by=seller, at=called)
    (row,) = program.get(reverse("api_insights_cards"), since).json()["results"]
    assert (row["state"], row["call_result"], row["due_on"]) == ("accepted", "call_back", "2026-03-09")
    for odd in ("yesterday", "2026-03-09", "2026-03-09T08:00:00", "2026-02-30T08:00:00Z", "0001-01-01T00:00:00+23:00"):
        assert program.get(reverse("api_insights_cards"), {"changed_since": odd}).status_code == 400
    assert program.get(reverse("api_insights_cards"), {"state": "withheld"}).status_code == 400


def test_a_representative_reads_their_own_cards_and_the_manager_all_as_on_the_pages(
    company: Organisation, program: Client, book: Book, seller: Actor
) -> None:
    book.currency = "EUR"
    book.save(update_fields=["currency"])
    colleague, manager = member(company, Role.REPRESENTATIVE), member(company, Role.SALES_MANAGER)
    run = whole_run(book)
    for owner in (seller, colleague, colleague):
        at_risk(run, shown_account(book, owner))
    mine, handed_over, theirs = sorted(made_cards(run), key=lambda card: card.account.pk)
    # Once accepted it stays readable, whoever has it now.
    Card.objects.filter(pk=handed_over.pk).update(accepted_by=person_of(seller))
    _token, secret = tokens.create("ERP", by=manager, at=MORNING)
    whole = Client(headers={"authorization": f"Bearer {secret}"})
    for reader, read, of in ((seller, program, {mine, handed_over}), (manager, whole, {mine, handed_over, theirs})):
        rows = read.get(reverse("api_insights_cards")).json()["results"]
        assert {row["id"] for row in rows} == {card.pk for card in of}
        page = Client()
        page.force_login(person_of(reader))
        for card in (mine, handed_over, theirs):
            answer = page.get(reverse("insights_card", args=[card.pk]))
            assert answer.status_code == (200 if card in of else 404)
