"""The dashboard: every figure from cards with known ends, reckoned by hand; what opens; who sees what."""

from __future__ import annotations

from datetime import timedelta
from html import unescape
from io import BytesIO
from typing import Any

import pytest
from django.urls import reverse
from openpyxl import load_workbook

from analytics.models import Account, Card
from analytics.rules.cards import CardState, Dismissed
from analytics.services import card_outcomes, cards
from analytics.web import results_words
from marketplace.permissions import Actor
from tests.factories import insights
from tests.factories.clients import client_of
from tests.factories.insights import CUTOFF, MORNING, NIGHT

pytestmark = pytest.mark.django_db
RESULTS = "insights_results"
OVER = 91 * timedelta(days=1)


@pytest.fixture
def rosa() -> Actor:
    return insights.representative()


@pytest.fixture
def world(rosa: Actor, freeze: Any) -> list[Card]:
    """Four recovery cards with p = .7: two accepted, of which one bought for 250; one dismissed; one untouched."""
    book = insights.platform_book()
    run = insights.whole_run(book)
    accounts = [insights.shown_account(book, rosa, name=f"Account {number}") for number in range(4)]
    for number, account in enumerate(accounts):
        insights.at_risk(run, account, p=0.7, amount=f"{1000 - number}.00", reasons=["overdue"])
    made = insights.made_cards(run)
    for card in made[:2]:
        cards.accept(card.pk, by=rosa, at=MORNING)
    cards.dismiss(made[2].pk, Dismissed.SEASONAL, by=rosa, at=MORNING)
    insights.bought(accounts[0], CUTOFF + timedelta(days=30), "250.00")
    insights.bought(insights.account(book), CUTOFF + OVER)  # so that the horizon's purchases are known to be in
    card_outcomes.measure(book.pk, at=NIGHT + OVER)
    freeze(NIGHT + OVER)
    return made


def test_figures_are_of_the_cards_they_open(world: list[Card], rosa: Actor) -> None:
    page = client_of(rosa).get(reverse(RESULTS))
    values = {str(stat.label): str(stat.value) for stat in page.context["stats"]}

    # At risk: the untouched card, .7 × 997; found: .7 × (1000 + 999).
    assert values["Revenue at risk"] == "697.90 EUR"
    assert values["Taken on"] == "1399.30 EUR"
    assert values["Recovered"] == "250.00 EUR"
    assert page.context["accepted"] == "67% (2 of 3)"
    # Taken on in March: .7 × (1000 + 999), of which 250 was recovered; it comes along every minute.
    (chart,) = client_of(rosa).get(reverse("insights_results_live")).context["by_month"]
    assert [month[1:] for month in chart.rows] == [("2", "1,399.30", "250.00")]
    opened = client_of(rosa).get(reverse("insights_results_cards"), {"figure": "recovered"})
    assert [row["card"] for row in opened.context["rows"]] == [world[0]]
    assert client_of(rosa).get(reverse("insights_results_cards"), {"figure": "gossip"}).status_code == 404


def test_the_whole_dashboard_renews_itself_and_only_where_something_changed(world: list[Card], rosa: Actor) -> None:
    browser = client_of(rosa)
    url = browser.get(reverse(RESULTS), {"days": "180"}).context["live_url"]
    same = browser.get(url)
    assert (same["HX-Reswap"], b"results-live" in same.content) == ("none", False)
    assert b"As of" in same.content
    cards.accept(world[3].pk, by=rosa, at=NIGHT + OVER)
    renewed = browser.get(url)
    assert "HX-Reswap" not in renewed
    # Every part of it: the figures, the tables by person and the share accepted are those of one moment.
    assert renewed.context["accepted"] == "75% (3 of 4)"
    assert "3 of 4" in renewed.content.decode()
    assert {chart.id for chart in renewed.context["charts"]} >= {"by-person", "by-size", "dismissals"}
    assert (renewed.context["live_url"] != url, "days=180" in renewed.context["live_url"]) == (True, True)


def test_every_row_of_the_tables_opens_its_cards(world: list[Card], rosa: Actor) -> None:
    Card.objects.filter(pk=world[1].pk).update(long_tail=False)
    manager = client_of(insights.sales_manager())
    shown = manager.get(reverse(RESULTS)).context
    charts = [*shown["by_month"], *shown["charts"], *(one["chart"] for one in shown["calibrations"] if one["chart"])]
    rows = {chart.id: [str(row[0]) for row in chart.rows] for chart in charts}
    assert sorted(rows) == [
        "by-month-recovery",
        "by-person",
        "by-reason",
        "by-size",
        "calibration-recovery",
        "dismissals",
    ]
    opened = {
        (name, number): [row["card"].pk for row in manager.get(unescape(link.split('"')[1])).context["rows"]]
        for name, links in rows.items()
        for number, link in enumerate(links)
    }
    decided = [card.pk for card in world[:3]]
    assert opened == {
        ("by-month-recovery", 0): decided[:2],
        ("by-reason", 0): decided,
        ("by-person", 0): decided,
        ("by-size", 0): [world[1].pk],
        ("by-size", 1): [world[0].pk, world[2].pk],
        ("dismissals", 0): [world[2].pk],
        ("calibration-recovery", 0): [card.pk for card in world],
    }
    # Nobody learns from a chip who has an account here, and what cannot be read narrows nothing.
    odd = {"figure": "decided", "person": str(insights.sales_manager().person.pk), "chance": "9", "tail": "x"}  # type: ignore[union-attr]
    page = manager.get(reverse("insights_results_cards"), odd)
    assert ([chip.label for chip in page.context["chips"]], page.context["rows"]) == (["—"], [])
    theirs = client_of(insights.representative()).get(reverse("insights_results_cards"), {"figure": "dismissed"})
    assert theirs.context["rows"] == []


def test_what_was_promised_stands_beside_what_happened(world: list[Card], rosa: Actor) -> None:
    text = client_of(rosa).get(reverse(RESULTS)).content.decode()

    assert "Of cards given 70%, 75% fell silent (4 cards). On average the chances miss by 5%." in text
    assert "Acceptance and success by reason" in text
    assert "Overdue by its own rhythm" in text


def test_what_acting_changes_comes_with_its_interval(world: list[Card], rosa: Actor) -> None:
    """8 of 10 shown bought, 3 of 10 withheld: a half more, by Newcombe between 7 and 74 points."""
    book = world[0].book
    Card.objects.all().delete()
    for number in range(20):
        withheld = number >= 10
        account = insights.account(book, rosa)
        Card.objects.create(
            book=book, account=account, kind="recovery", level="account", p=0.7, p_made=0.7, expected_amount=10,
            currency="EUR", by_money=7, by_certain=2.2, cutoff=CUTOFF, created_at=NIGHT, shown_on=NIGHT.date(),
            offered_on=NIGHT.date(), withheld=withheld, state=CardState.EXPIRED, measured_at=NIGHT + OVER,
            bought=number % 10 < (3 if withheld else 8),
        )  # fmt: skip

    recovery = client_of(rosa).get(reverse(RESULTS)).context["effects"][0]

    assert recovery["value"] == "+50 points"
    assert recovery["note"] == "95% interval: +7 points to +74 points"
    assert recovery["certain"]


def test_representatives_see_their_own_line_and_managers_everybodys(world: list[Card], rosa: Actor) -> None:
    other = insights.representative()
    own = client_of(other).get(reverse(RESULTS)).context["charts"][1]
    everybody = client_of(insights.sales_manager()).get(reverse(RESULTS)).context["charts"][1]

    assert [row[0] for row in own.rows] == ["The whole book"]
    assert [f"<bdi>{rosa.person}</bdi>" in row[0] for row in everybody.rows] == [True]
    assert client_of(other).get(reverse("insights_results_cards"), {"figure": "found"}).context["rows"] == []


def test_the_spreadsheet_holds_the_same_and_no_formula(world: list[Card], rosa: Actor) -> None:
    Account.objects.filter(pk=world[0].account_id).update(name="=1+1")
    Account.objects.filter(pk=world[1].account_id).update(name="Bell\x07")
    answer = client_of(rosa).get(reverse("insights_results_xlsx"))
    book = load_workbook(BytesIO(answer.content))

    assert book.sheetnames[:4] == ["Figures", "Month by month", "By reason", "By representative"]
    assert [cell.value for cell in book["Figures"][4]] == ["Recovered", 250, "EUR", 1]
    names = [row[3] for row in book["Cards"].iter_rows(min_row=2)]
    assert ("=1+1", "s") in [(cell.value, cell.data_type) for cell in names]
    assert "Bell " in [cell.value for cell in names]
    assert len(names) == 4


def test_without_cards_the_page_says_so(rosa: Actor) -> None:
    insights.platform_book()
    assert "No cards yet" in client_of(rosa).get(reverse(RESULTS)).content.decode()


@pytest.mark.parametrize(
    ("stored", "begins"),
    [
        ("", []),
        ("accounts:too_few_cases", ["Recovery, whole accounts: "]),
        ("pairs:no_closed_window", ["Recovery, categories: "]),
        ("accounts:too_few_cases;pairs:too_few_cases", ["Recovery: "]),
    ],
)
def test_only_the_level_that_fell_back_is_said_to_have(stored: str, begins: list[str]) -> None:
    found = results_words.fallbacks({"recovery_fallback": stored})
    assert [words[: len(begin)] for words, begin in zip(found, begins, strict=True)] == begins


def test_differences_are_counted_in_points() -> None:
    assert [results_words.points(one) for one in (-0.012, 0.008, 0.0, 0.25)] == [
        "−1 point", "+1 point", "0 points", "+25 points",
    ]  # fmt: skip
