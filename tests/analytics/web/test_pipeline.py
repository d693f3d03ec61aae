"""The pipeline's pages: a lead's way to a won opportunity, refusals beside the form, other people's work."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from io import BytesIO

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from openpyxl import Workbook

from analytics.models import Book, Card, Contact, Lead, LeadSource, Opportunity, Step
from analytics.rules.pipeline import LostReason
from analytics.rules.qualification import BANT, GPCT
from analytics.services import leads, opportunities, outcomes
from analytics.services.leads import LeadDetails
from analytics.services.opportunities import OpportunityDetails
from marketplace.models import AuditRecord
from marketplace.permissions import Actor
from marketplace.shared import clock
from tests.conftest import FrozenClock
from tests.factories.insights import (
    MORNING,
    account,
    at_risk,
    made_cards,
    representative,
    sales_manager,
    shown_account,
    whole_run,
)
from tests.factories.marketplace import accredited_buyer, member
from tests.factories.offers import asked

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _morning(freeze: Callable[[datetime], FrozenClock]) -> None:
    """A working day, and the same for all that is done in it."""
    freeze(MORNING)


@pytest.fixture
def page(client: Client, anna: Actor) -> Client:
    assert anna.person is not None
    client.force_login(anna.person)
    return client


def answers(**some: str) -> dict[str, str]:
    return dict.fromkeys(BANT, "unknown") | dict.fromkeys(GPCT, "") | some


def test_a_lead_becomes_an_opportunity_and_is_worked_until_it_is_won(page: Client, book: Book) -> None:
    sent = {
        "company": "Kabel AG",
        "country": "DE",
        "contact_name": "Mia",
        "email": "mia@kabel.example",
        "need": "Cables",
    }
    answer = page.post(reverse("insights_lead_new"), sent)
    lead = Lead.objects.get()
    assert (answer.status_code, answer["Location"]) == (302, lead.get_absolute_url())
    shown = page.get(lead.get_absolute_url())
    assert "It takes 4 of 8 points" in shown.content.decode()

    page.post(
        _lead(lead, "qualify"), answers(budget="yes", authority="yes", need="yes", goals="Less stock", version="1")
    )
    answer = page.post(_lead(lead, "convert"), {"title": "Cables for 2027"})
    found = Opportunity.objects.get()
    assert answer["Location"] == found.get_absolute_url()

    today = clock.now().date()
    details = {"title": "Cables", "amount": "12,500.50", "closes_on": (today + timedelta(days=30)).isoformat()}
    page.post(
        _opportunity(found, "details"),
        answers(budget="yes", authority="yes", need="yes", goals="Less stock")
        | details
        | {"version": str(found.version)},
    )
    tom = Contact.objects.create(account=found.account, name="Tom", created_at=clock.now())
    mia = Contact.objects.get(name="Mia")
    for contact, role in ((mia, "decision_maker"), (tom, "user")):
        page.post(_opportunity(found, "group"), {"contact": contact.pk, "role": role})
    page.post(_opportunity(found, "finish"), {"result": "reached", "kind": "call"})
    for criterion in ("history_read", "offer_presented"):
        page.post(reverse("insights_opportunity_confirm", args=[found.pk, criterion]), {"holds": "on"})
    refused = page.post(_opportunity(found, "won"), {"because": "service"})
    assert refused.status_code == 422
    assert "Before that: Terms are agreed." in refused.content.decode()
    page.post(reverse("insights_opportunity_confirm", args=[found.pk, "terms_agreed"]), {"holds": "on"})
    page.post(_opportunity(found, "won"), {"because": "service", "note": "Quick"})
    found.refresh_from_db()
    assert (found.status, found.stage, str(found.amount)) == ("won", "follow_up", "12500.5000")
    assert "Won" in page.get(found.get_absolute_url()).content.decode()


def test_every_page_of_the_pipeline_shows_with_one_opportunity_and_three_in_as_many_queries(
    page: Client, book: Book, anna: Actor
) -> None:
    for name in ("insights_pipeline", "insights_opportunities", "insights_forecast", "insights_leads"):
        assert page.get(reverse(name)).status_code == 200
    counts = []
    for _round in range(2):
        for number in range(2):
            opened = opportunities.open_for(
                account(book).pk, OpportunityDetails(f"Sale {number}"), by=anna, at=clock.now()
            )
            leads.register(book.pk, LeadSource.OWN, LeadDetails(f"Firm {opened.pk}"), by=anna, at=clock.now())
        counts.append(
            [_queries(page, name) for name in ("insights_pipeline", "insights_opportunities", "insights_leads")]
        )
    assert counts[0] == counts[1]


def test_a_refused_form_keeps_what_was_typed_and_says_why(page: Client, book: Book, anna: Actor) -> None:
    found = opportunities.open_for(account(book).pk, OpportunityDetails("Cables"), by=anna, at=clock.now())
    answer = page.post(_opportunity(found, "plan"), {"kind": "mail", "due_on": "2020-01-01", "text": "Send the list"})
    assert answer.status_code == 422
    assert "This day is over. The next step lies ahead." in answer.content.decode()
    assert "Send the list" in answer.content.decode()
    assert Step.objects.get().kind == "call"


def test_a_form_opened_before_anothers_change_says_what_is_there_now_and_can_be_sent_again(
    page: Client, book: Book, anna: Actor
) -> None:
    found = opportunities.open_for(account(book).pk, OpportunityDetails("Cables"), by=anna, at=clock.now())
    sent = answers(need="yes") | {"title": "Copper cables", "amount": "900"}
    first, second = (sent | {"version": "1", "title": title} for title in ("Copper cables", "Steel cables"))
    assert page.post(_opportunity(found, "details"), first).status_code == 302

    refused = page.post(_opportunity(found, "details"), second)
    text = refused.content.decode()
    assert refused.status_code == 422
    assert "What is sold: “Copper cables” stands there now." in text
    assert "Need:" not in "".join(refused.context["forms"]["details"].non_field_errors())
    assert 'value="Steel cables"' in text

    again = second | {"version": str(refused.context["forms"]["details"]["version"].value())}
    assert page.post(_opportunity(found, "details"), again).status_code == 302
    found.refresh_from_db()
    assert found.title == "Steel cables"


def test_the_forecast_weighs_by_stage_and_tells_why_sales_end(page: Client, book: Book, anna: Actor) -> None:
    for title, amount in (("Cables", "1000"), ("Boxes", "500")):
        details = OpportunityDetails(title, amount=Decimal(amount), closes_on=date(2027, 1, 15))
        opened = opportunities.open_for(account(book).pk, details, by=anna, at=clock.now())
    outcomes.lose(opened.pk, LostReason.PRICE, by=anna, at=clock.now())
    listed = page.get(reverse("insights_opportunities")).content.decode()
    # What is lost closes no more: it says when it was, and why.
    assert (listed.count("15 Jan 2027"), '<span class="cell-note">Price</span>' in listed) == (1, True)

    shown = page.get(reverse("insights_forecast"))

    (block,) = shown.context["blocks"]
    # One ended in prospecting and was lost: (0 + 20 × 5%) / (1 + 20) of 1,000.
    assert [str(money) for money in (block["total"], block["weighted"])] == ["1000.00 EUR", "47.62 EUR"]
    assert [(str(name), share) for _value, name, _money, share, _counts in block["stages"]] == [("Prospecting", "4.8%")]
    assert block["chart"].option["xAxis"]["data"] == ["Jan 2027"]
    (ended,) = shown.context["results"]
    assert [str(ended[0]), str(ended[1]), ended[2], [str(money) for money in ended[3]]] == [
        "Lost", "Price", 1, ["500.00 EUR"],
    ]  # fmt: skip


def test_a_finished_step_sent_again_does_not_finish_the_next(page: Client, book: Book, anna: Actor) -> None:
    found = opportunities.open_for(account(book).pk, OpportunityDetails("Cables"), by=anna, at=clock.now())
    form = page.get(found.get_absolute_url()).context["forms"]["finish"]
    sent = {"result": "not_reached", "kind": "follow_up", "step": form["step"].value()}
    answers = [page.post(_opportunity(found, "finish"), sent).status_code for _ in range(2)]
    assert answers == [302, 302]
    assert page.post(_opportunity(found, "finish"), sent | {"result": "reached"}).status_code == 422
    assert list(found.steps.values_list("kind", "result").order_by("pk")) == [
        ("call", "not_reached"),
        ("follow_up", ""),
    ]


def test_a_colleague_reads_and_is_refused_and_only_a_manager_hands_over(
    client: Client, book: Book, anna: Actor
) -> None:
    found = opportunities.open_for(account(book).pk, OpportunityDetails("Cables"), by=anna, at=clock.now())
    bob, boss = representative(), sales_manager()
    assert bob.person
    assert boss.person
    client.force_login(bob.person)
    assert "You may read it" in client.get(found.get_absolute_url()).content.decode()
    answer = client.post(_opportunity(found, "lost"), {"because": "price"})
    assert (answer.status_code, "works on this" in answer.content.decode()) == (422, True)
    client.post(_opportunity(found, "hand_over"), {"to": bob.person.pk, "reason": "Mine"})
    found.refresh_from_db()
    assert (found.status, found.representative) == ("open", anna.person)
    client.force_login(boss.person)
    client.post(_opportunity(found, "hand_over"), {"to": bob.person.pk, "reason": "Anna is on leave"})
    found.refresh_from_db()
    assert found.representative == bob.person


def test_a_file_of_leads_is_taken_row_by_row_and_twice_adds_nothing(page: Client, book: Book) -> None:
    text = (
        "Company;Country;E-mail;Reference\nKabel AG;Germany;mia@kabel.example;7\n;DE;;8\nNord;Atlantis;;9\nÖl;SE;;10\n"
    )
    for new in (2, 0):
        sent = SimpleUploadedFile("leads.csv", text.encode("cp1252"))
        answer = page.post(reverse("insights_leads_import"), {"file": sent})
        assert answer.context["result"].new == new
    assert [(row.row, row.why) for row in answer.context["result"].rejected] == [
        (3, "Give the company’s name."),
        (4, "“Atlantis” is no country."),
    ]
    assert sorted(Lead.objects.values_list("company", "country")) == [("Kabel AG", "DE"), ("Öl", "SE")]


def test_a_file_that_the_book_has_no_room_for_says_what_was_taken_and_what_not(
    page: Client, book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leads, "LEADS_MAX", 1)
    sent = SimpleUploadedFile("leads.csv", b"company,need\nAcme,Chairs\nBolt,Desks\nAcme,Lamps\n")
    answer = page.post(reverse("insights_leads_import"), {"file": sent})
    result = answer.context["result"]
    assert (answer.status_code, result.new, result.known) == (200, 1, 1)
    assert [(row.row, row.company) for row in result.rejected] == [(3, "Bolt")]
    assert "The book holds 1 open leads already." in answer.content.decode()
    assert Lead.objects.get(book=book).need == "Chairs\n\nLamps"


def test_a_spreadsheet_of_leads_is_read_and_rubbish_is_refused_in_a_sentence(page: Client, book: Book) -> None:
    workbook = Workbook()
    sheet = workbook.active
    assert sheet is not None
    sheet.append(["Company", "Need"])
    sheet.append(["Kabel AG", "Cables"])
    kept = BytesIO()
    workbook.save(kept)
    page.post(reverse("insights_leads_import"), {"file": SimpleUploadedFile("leads.xlsx", kept.getvalue())})
    assert Lead.objects.get().need == "Cables"
    long = "company,contact,email\nKabel AG," + "n" * 300 + ",\nFar," + "f," + "@".join(["f" * 60, "a." * 99 + "com"])
    page.post(reverse("insights_leads_import"), {"file": SimpleUploadedFile("leads.csv", long.encode())})
    assert [len(lead.contact_name) for lead in Lead.objects.all()] == [200]
    for name, content, words in (
        ("leads.xlsx", b"no spreadsheet", "neither a CSV file nor a spreadsheet"),
        ("leads.xlsx", kept.getvalue().replace(b"xl/worksheets/sheet1.xml", b"xl/worksheets/sheet9.xml"), "neither"),
        ("leads.csv", b"\x00\x01\x02,", "neither a CSV file nor a spreadsheet"),
        ("leads.csv", b"a,b\n1,2\n", "This file has none"),
        ("leads.csv", b"company\n" + b"Firm\n" * 2001, "at most 2,000 rows"),
    ):
        answer = page.post(reverse("insights_leads_import"), {"file": SimpleUploadedFile(name, content)})
        assert (answer.status_code, words in answer.content.decode()) == (422, True)


def test_contacts_are_kept_changed_and_forgotten(page: Client, book: Book, anna: Actor) -> None:
    customer = account(book, anna)
    url = reverse("insights_customer_contacts", args=[customer.pk])
    assert page.post(url, {"name": "Mia", "email": "no address"}).status_code == 422
    page.post(url, {"name": "Mia", "email": "mia@kabel.example", "phone": "+49 30 901820"})
    mia = Contact.objects.get()
    page.post(reverse("insights_contact", args=[mia.pk]), {"name": "Mia Berg", "position": "Buyer"})
    assert "Mia Berg" in page.get(reverse("insights_customer_contacts_part", args=[customer.pk])).content.decode()
    # A second tab, opened before that: what was typed is kept, what stands there now is said; sent again it is meant.
    url_of_mia = reverse("insights_contact", args=[mia.pk])
    late = {"name": "Mia", "position": "Boss", "version": "1"}
    answer = page.post(url_of_mia, late)
    shown = answer.content.decode()
    assert (answer.status_code, "Position: “Buyer” stands there now." in shown) == (422, True)
    assert 'value="Boss"' in shown
    assert page.post(url_of_mia, late | {"version": "2"}).status_code == 302
    mia.refresh_from_db()
    assert (mia.name, mia.position) == ("Mia", "Boss")
    page.post(reverse("insights_contact_remove", args=[mia.pk]))
    mia.refresh_from_db()
    assert (mia.name, mia.email, str(mia.phone), mia.removed_at is not None) == ("", "", "", True)
    assert page.get(reverse("insights_contact", args=[mia.pk])).status_code == 404


def test_exports_hold_the_list(page: Client, book: Book, anna: Actor) -> None:
    details = OpportunityDetails("=Cables", closes_on=date(2030, 1, 2))
    opportunities.open_for(account(book, name="Kabel AG").pk, details, by=anna, at=clock.now())
    text = b"".join(page.get(reverse("insights_opportunities") + "?format=csv")).decode()  # type: ignore[arg-type]
    assert "'=Cables,Kabel AG,Open,Prospecting,,EUR,2030-01-02" in text


def test_a_card_becomes_one_lead_of_its_account(page: Client, book: Book, anna: Actor) -> None:
    customer = shown_account(book, anna)
    run = whole_run(book)
    at_risk(run, customer)
    (card,) = made_cards(run)
    refused = page.post(reverse("insights_card_lead", args=[card.pk]), follow=True)
    assert "Accept it first." in refused.content.decode()
    page.post(reverse("insights_card_act", args=[card.pk, "accept"]))
    colleague = representative().person
    assert colleague is not None
    other = Client()
    other.force_login(colleague)
    assert other.post(reverse("insights_card_lead", args=[card.pk])).status_code == 404
    answered = [page.post(reverse("insights_card_lead", args=[card.pk])) for _time in range(2)]
    lead = Lead.objects.get()
    assert [answer["Location"] for answer in answered] == [lead.get_absolute_url()] * 2
    assert (lead.source, lead.account, lead.card, lead.representative) == ("card", customer, card, anna.person)


def test_a_second_card_is_added_to_its_accounts_open_lead_once(page: Client, book: Book, anna: Actor) -> None:
    customer = shown_account(book, anna)
    run = whole_run(book)
    at_risk(run, customer)
    (card,) = made_cards(run)
    page.post(reverse("insights_card_act", args=[card.pk, "accept"]))
    first = Card.objects.get(pk=card.pk)
    first.pk, first.state = None, "expired"
    first.save()
    details = LeadDetails(customer.name, account_id=customer.pk)
    lead, _new = leads.register(book.pk, LeadSource.OWN, details, by=anna, at=clock.now())
    Lead.objects.filter(pk=lead.pk).update(card=first)
    url = reverse("insights_card_lead", args=[card.pk])
    said = page.post(url, follow=True).content.decode()
    assert "The account has an open lead already: the card was added to it." in said
    assert page.post(url)["Location"] == lead.get_absolute_url()
    assert AuditRecord.objects.filter(stream=f"lead:{lead.pk}", action="lead.registered_again").count() == 1
    assert [row.card for row in lead.further_cards.all()] == [card]
    shown = page.get(reverse("insights_card", args=[card.pk])).content.decode()
    assert ("The account’s lead, to which it was added" in shown, url in shown) == (True, False)


def test_the_lead_of_a_request_is_made_by_a_button_and_by_no_address(page: Client, book: Book) -> None:
    request = asked(None, member(accredited_buyer()))
    url = reverse("insights_request", args=[request.pk])
    assert f'action="{url}"' in page.get(reverse("offer_request", args=[request.pk])).content.decode()
    assert (page.get(url).status_code, Lead.objects.count()) == (405, 0)
    assert page.post(url)["Location"] == Lead.objects.get(book=book).get_absolute_url()


def _lead(lead: Lead, what: str) -> str:
    return reverse("insights_lead_act", args=[lead.pk, what])


def _opportunity(found: Opportunity, what: str) -> str:
    return reverse("insights_opportunity_act", args=[found.pk, what])


def _queries(page: Client, name: str) -> int:
    with CaptureQueriesContext(connection) as seen:
        assert page.get(reverse(name)).status_code == 200
    return len(seen)
