"""The representative's pages: what the queue shows, what is done from it with and without scripts, who gets in."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from analytics.models import Account, Capacity, Card, Dismissal
from analytics.permissions import book_for
from analytics.rules.cards import CardState
from analytics.services import card_making, opportunities
from analytics.services.opportunities import OpportunityDetails
from marketplace.models import Person, Role
from marketplace.permissions import Actor
from tests.factories import insights
from tests.factories.clients import client_of
from tests.factories.insights import CUTOFF, MORNING, NIGHT
from tests.factories.marketplace import accredited_supplier, member
from tests.factories.procurement import published_tender

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}
QUEUE = "insights_queue"


@pytest.fixture(autouse=True)
def morning(freeze: Any) -> Any:
    return freeze(MORNING)


@pytest.fixture
def rosa() -> Actor:
    return insights.representative()


@pytest.fixture
def browser(rosa: Actor) -> Client:
    return client_of(rosa)


@pytest.fixture
def cards(rosa: Actor) -> list[Card]:
    """A large uncertain one, a small sure one, and one of growth."""
    book = insights.platform_book()
    run = insights.whole_run(book)
    large, sure, third = (insights.shown_account(book, rosa, name=name) for name in ("Large", "Sure", "Third"))
    for account, amount in ((large, "900.00"), (sure, "50.00"), (third, "10.00")):
        insights.buys_every(account, 20, CUTOFF - timedelta(days=55), amount=amount)
    insights.at_risk(run, large, p=0.4, amount="9000.00")
    insights.at_risk(run, sure, p=0.9, amount="2500.00", reasons=["account_silent"])
    insights.could_buy(run, third, insights.category(book, "Cups"))
    return insights.made_cards(run)


def test_the_two_orders_and_what_a_card_says(browser: Client, cards: list[Card]) -> None:
    money = browser.get(reverse(QUEUE))
    certain = browser.get(reverse(QUEUE), {"order": "certain"})

    assert [one.card.account.name for one in money.context["shown"]] == ["Large", "Sure", "Third"]
    assert [one.card.account.name for one in certain.context["shown"]] == ["Sure", "Large", "Third"]
    text = money.content.decode()
    assert "Usually buys every 20 days; nothing for 55 days now, since 5 Jan 2026." in text
    assert "78% of the 43 best customers most like this one buy Cups; this account does not." in text
    assert "Very likely to stop" in text
    assert "The whole account is silent" in text
    assert "0 of 15 today" in text


def test_a_card_that_is_no_alarm_says_why_it_stands_there(browser: Client, cards: list[Card]) -> None:
    large, sure, _third = cards
    text = browser.get(reverse(QUEUE)).content.decode()
    assert "No alarm" not in text
    Card.objects.filter(pk__in=[large.pk, sure.pk]).update(reasons=["within_own_cycle"])
    insights.bought(large.account, CUTOFF - timedelta(days=300))
    page = browser.get(reverse(QUEUE))
    first, second, third = page.context["shown"]
    assert first.why_here == (
        "No alarm: it has been silent for 65 days before. It stands here for the money at stake, about 4 in 10 of"
        " 9,000.00 EUR."
    )
    assert (str(first.at_stake), second.why_here, third.why_here) == ("3600.00 EUR", "", "")  # 9 of 10 is an alarm
    assert page.content.decode().count("insight-calm") == 1


def test_the_first_page_leads_to_the_queue(browser: Client, cards: list[Card]) -> None:
    page = browser.get("/")

    assert [(str(task.text), task.url) for task in page.context["tasks"]] == [
        ("3 cards in today’s queue", reverse(QUEUE))
    ]
    first = page.context["stats"][0]
    assert (str(first.label), str(first.value)) == ("Revenue at risk", "5850.00 EUR")


def test_filters_narrow_the_queue(browser: Client, cards: list[Card]) -> None:
    page = browser.get(reverse(QUEUE), {"kind": "growth"})

    assert [one.card.account.name for one in page.context["shown"]] == ["Third"]
    assert [str(chip.label) for chip in page.context["chips"]] == ["Kind: Growth"]
    Card.objects.filter(pk=cards[1].pk).update(long_tail=False)
    for size, names in (("few", ["Large", "Sure"]), ("tail", ["Third"])):
        shown = browser.get(reverse(QUEUE), {"size": size}).context["shown"]
        assert [one.card.account.name for one in shown] == names


def test_accepting_without_scripts_and_taking_it_back(browser: Client, cards: list[Card]) -> None:
    card = cards[0]
    away = browser.post(reverse("insights_card_act", args=[card.pk, "note"]), {"note": "Hm", "next": "queue"})
    assert away["Location"] == reverse(QUEUE)
    sent = {"seen": "open", "next": reverse(QUEUE)}
    page = browser.post(reverse("insights_card_act", args=[card.pk, "accept"]), sent, follow=True)

    card.refresh_from_db()
    assert card.state == CardState.ACCEPTED
    assert "1 of 15 today" in page.content.decode()
    (event, _thing) = page.context["done"][0]
    browser.post(reverse("insights_undo", args=[event.pk]), {"next": reverse(QUEUE)})
    card.refresh_from_db()
    assert card.state == CardState.OPEN


def test_dismissing_with_htmx_leaves_a_way_back_in_the_cards_place(browser: Client, cards: list[Card]) -> None:
    card = cards[0]
    url = reverse("insights_card_act", args=[card.pk, "dismiss"])
    answer = browser.post(url, {"reason": "seasonal", "note": ""}, headers=HTMX)

    assert answer.status_code == 200
    assert "Large is dismissed and not shown before 29 Aug 2026." in answer.content.decode()
    assert 'id="queue-progress" hx-swap-oob="true"' in answer.content.decode()
    assert Dismissal.objects.get().reason == "seasonal"


@pytest.mark.parametrize(
    ("what", "sent", "said"),
    [
        ("dismiss", {"reason": "other", "note": ""}, "Say in a few words why."),
        ("snooze", {"until": "2026-03-01"}, "from tomorrow, within 90 days"),
        ("call", {"heard": "call_back"}, "from tomorrow, within 90 days"),
        ("note", {"note": ""}, "Say in a few words why."),
        ("accept", {"seen": "snoozed"}, "This card has changed meanwhile"),
    ],
)
def test_what_is_refused_is_said_in_the_card(
    browser: Client, cards: list[Card], what: str, sent: dict[str, str], said: str
) -> None:
    url = reverse("insights_card_act", args=[cards[0].pk, what])

    assert said in browser.post(url, sent, headers=HTMX).content.decode()
    page = browser.post(url, sent)
    assert page.status_code == 422
    assert said in page.content.decode()
    cards[0].refresh_from_db()
    assert cards[0].state == CardState.OPEN


def test_a_call_that_is_due_stands_on_top(browser: Client, cards: list[Card], freeze: Any) -> None:
    card = cards[2]
    browser.post(reverse("insights_card_act", args=[card.pk, "call"]), {"heard": "no_answer", "note": "Voice mail"})
    freeze(MORNING + timedelta(days=1))

    page = browser.get(reverse(QUEUE))

    assert [one.card.pk for one in page.context["calls"]] == [card.pk]
    assert [one.card.account.name for one in browser.get(reverse(QUEUE), {"show": "work"}).context["shown"]] == [
        "Third"
    ]


def test_the_day_ends_with_its_capacity(browser: Client, cards: list[Card], rosa: Actor) -> None:
    manager = client_of(insights.sales_manager())
    assert rosa.person is not None
    manager.post(reverse("insights_capacity", args=[rosa.person.pk]), {"cards_a_day": "1"})

    assert len(browser.get(reverse(QUEUE)).context["shown"]) == 1
    browser.post(reverse("insights_card_act", args=[cards[0].pk, "accept"]), {})
    page = browser.get(reverse(QUEUE))
    assert page.context["shown"] == []
    assert "The day’s cards are done" in page.content.decode()
    assert len(browser.get(reverse(QUEUE), {"more": "1"}).context["shown"]) == 2


def test_half_of_the_days_places_are_for_the_long_tail(cards: list[Card], browser: Client, rosa: Actor) -> None:
    """Large and Third are among the few that bring most; the two small ones come before the second of those."""
    book = cards[0].book
    Card.objects.filter(book=book).update(long_tail=False)
    small = [insights.shown_account(book, rosa, name=name) for name in ("Small", "Tiny")]
    run = insights.whole_run(book, CUTOFF + timedelta(days=1))
    for card in cards[:2]:
        insights.buys_every(card.account, 20, CUTOFF - timedelta(days=5), amount="90000.00")
        insights.at_risk(run, card.account, p=0.9, amount="9000.00")
    for account in small:
        insights.at_risk(run, account, p=0.5, amount="20.00")
    card_making.refresh(run.pk, at=NIGHT + timedelta(days=1))
    Capacity.objects.create(book=book, person=rosa.person, cards_a_day=2)

    shown = browser.get(reverse(QUEUE)).context["shown"]

    assert [(one.card.account.name, one.card.long_tail) for one in shown] == [("Large", False), ("Small", True)]


def test_the_team_in_figures(cards: list[Card], browser: Client, rosa: Actor) -> None:
    browser.post(reverse("insights_card_act", args=[cards[0].pk, "accept"]))
    browser.post(reverse("insights_card_act", args=[cards[1].pk, "dismiss"]), {"reason": "known", "note": ""})
    boss, gone = insights.sales_manager(), insights.representative()
    sales = [
        opportunities.open_for(insights.account(cards[0].book, by).pk, OpportunityDetails("Cables"), by=by, at=MORNING)
        for by in (rosa, gone)
    ]
    sales[0].steps.update(due_on=MORNING.date() - timedelta(days=1))
    Person.objects.filter(pk=gone.person.pk).update(staff_roles=[])  # type: ignore[union-attr]

    manager = client_of(boss)
    page = manager.get(reverse("insights_team"))
    assert [(row["member"].sales, row["member"].late) for row in page.context["rows"]] == [(1, 1), (1, 0)]
    for who, found in ((str(rosa.person.pk), sales[0]), ("left", sales[1])):  # type: ignore[union-attr]
        listed = manager.get(reverse("insights_opportunities"), {"who": who, "stage": "prospecting"}).context["rows"]
        assert [row[0] for row in listed] == [found]
    assert manager.get(reverse("insights_opportunities"), {"stage": "close"}).context["rows"] == []

    member = next(row["member"] for row in page.context["rows"] if row["member"].person == rosa.person)
    figures = (member.accounts, member.waiting, member.in_work, member.accepted, member.dismissed, member.capacity)
    assert figures == (4, 1, 1, 1, 1, 15)
    assert (page.context["rows"][-1]["member"].person, page.context["rows"][-1]["member"].accounts) == (None, 1)


def test_a_manager_without_representatives_is_told_what_is_missing_and_with_one_can_choose(db: None) -> None:
    company = accredited_supplier()
    boss = client_of(member(company, Role.SALES_MANAGER))
    assert "Nobody looks after customers yet" in boss.get(reverse(QUEUE)).content.decode()
    only = member(company, Role.REPRESENTATIVE)
    insights.whole_run(book_for(company.pk))
    text = boss.get(reverse(QUEUE)).content.decode()
    assert ("Choose a representative above" in text, f">{only.person}</option>" in text) == (True, True)


def test_others_see_nothing_of_it(browser: Client, cards: list[Card]) -> None:
    other = client_of(insights.representative())
    stranger = client_of(member(accredited_supplier(), Role.REPRESENTATIVE, Role.SALES_MANAGER))
    card, account = cards[0].pk, cards[0].account_id

    for client, of_account in ((other, 200), (stranger, 404)):
        assert client.get(reverse("insights_card", args=[card])).status_code == 404
        assert client.post(reverse("insights_card_act", args=[card, "accept"])).status_code == 404
        assert client.get(reverse("insights_customer", args=[account])).status_code == of_account
    assert other.get(reverse("insights_team")).status_code == 403
    assert other.get(reverse(QUEUE)).context["shown"] == []


def test_a_manager_looks_at_anybodys_queue(cards: list[Card], rosa: Actor) -> None:
    manager = client_of(insights.sales_manager())
    assert rosa.person is not None

    page = manager.get(reverse(QUEUE), {"representative": rosa.person.pk})

    assert len(page.context["shown"]) == 3
    assert manager.get(reverse(QUEUE), {"representative": "0"}).status_code == 404


def test_as_many_queries_for_one_card_as_for_three(
    browser: Client, cards: list[Card], django_assert_max_num_queries: Callable[..., Any]
) -> None:
    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as found:
            browser.get(reverse(QUEUE))
        return len(found)

    three = queries()
    Card.objects.exclude(pk__in=[cards[0].pk, cards[2].pk]).delete()
    assert queries() == three


def test_the_customers_page_has_history_rhythm_cards_and_story(browser: Client, cards: list[Card]) -> None:
    account = cards[0].account
    browser.post(reverse("insights_customer_note", args=[account.pk]), {"note": "Ask for Ms Roth"})
    account.buyer = published_tender().buyer
    account.save(update_fields=["buyer"])

    page = browser.get(reverse("insights_customer", args=[account.pk]))
    text = page.content.decode()

    assert [str(stat.value) for stat in page.context["stats"]] == ["9000.00 EUR", "10", "20 days", "55 days"]
    assert [one.card for one in page.context["cards"]] == [cards[0]]
    assert "Silent for longer than ever" in text
    assert "Ask for Ms Roth" in text
    assert "Made from the scores" in text
    assert len(page.context["procedures"]) == 1
    assert page.context["contacts_url"] == reverse("insights_customer_contacts_part", args=[account.pk])


def test_an_account_is_handed_over_with_its_cards_and_a_note(browser: Client, cards: list[Card], rosa: Actor) -> None:
    account, heir = cards[0].account, insights.representative()
    url = reverse("insights_customer_hand_over", args=[account.pk])
    assert heir.person is not None

    assert browser.post(url, {"to": heir.person.pk, "note": ""}).status_code == 422
    browser.post(url, {"to": heir.person.pk, "note": "Prefers mail"})

    cards[0].refresh_from_db()
    assert cards[0].representative == heir.person
    assert Account.objects.get(pk=account.pk).representative == heir.person
    assert "Prefers mail" in heir.person.notifications.get().text
    assert browser.post(url, {"to": heir.person.pk, "note": "Back"}).status_code == 422
    # Who no longer has the card reads it on the customer's page, without what they may not do.
    shown = browser.get(reverse("insights_customer", args=[account.pk])).content.decode()
    assert f"{heir.person} works on this card." in shown
    assert reverse("insights_card", args=[cards[0].pk]) not in shown
    Card.objects.filter(pk=cards[0].pk).update(state="accepted", accepted_by=rosa.person)
    card = reverse("insights_card", args=[cards[0].pk])
    assert card in browser.get(reverse("insights_customer", args=[account.pk])).content.decode()
    page = browser.get(card)
    text = page.content.decode()
    assert (page.status_code, f"{card}note/" in text, "Make it a lead" in text) == (200, False, False)
    assert browser.post(f"{card}note/", {"note": "Mine"}).status_code == 404


def test_a_territory_takes_accounts_by_rule_and_goes_whole(cards: list[Card], rosa: Actor) -> None:
    manager, heir = client_of(insights.sales_manager()), insights.representative()
    assert heir.person is not None
    assert rosa.person is not None
    manager.post(reverse("insights_territory_new"), {"name": "South", "countries": "de, at", "rank": "1"})
    territory = cards[0].book.territories.get()
    assert territory.accounts.count() == 3
    card_making.refresh(cards[0].run_id or 0, at=NIGHT)
    assert Card.objects.filter(representative=rosa.person).count() == 3  # their own representative comes first

    manager.post(
        reverse("insights_territory_hand_over", args=[territory.pk]), {"to": heir.person.pk, "note": "From today"}
    )
    # What is neither the territory's representative's nor nobody's stays.
    assert Card.objects.filter(representative=rosa.person).count() == 3
    Account.objects.filter(pk=cards[2].account_id).update(representative=None)
    card_making.refresh(cards[0].run_id or 0, at=NIGHT)
    cards[2].refresh_from_db()
    assert cards[2].representative == heir.person
    manager.post(
        reverse("insights_territory_hand_over", args=[territory.pk]), {"to": rosa.person.pk, "note": "As it was"}
    )
    kinds = heir.person.notifications.order_by("pk").values_list("kind", flat=True)
    assert list(kinds) == ["territory_handed_over", "territory_gone"]
    for name in ("insights_territories", "insights_team", "insights_customers"):
        assert manager.get(reverse(name)).status_code == 200
    manager.post(reverse("insights_territory_delete", args=[territory.pk]))
    assert Account.objects.filter(territory=None).count() == 3
