"""A representative's morning: the queue, the evidence, a card dismissed with a reason; and the next day honours it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from playwright.sync_api import Locator, expect

from analytics.models import Account, Dismissal, ScoringRun
from analytics.services import card_making
from marketplace.permissions import Actor
from tests.browser.people import Visitor
from tests.factories import insights
from tests.factories.insights import CUTOFF, MORNING, NIGHT

DAY = timedelta(days=1)


def test_a_representatives_morning_and_the_next(visit: Callable[..., Visitor], freeze: Callable[..., Any]) -> None:
    now = freeze(MORNING)
    actor = insights.representative()
    seasonal, leaving, third = _customers(actor)
    _night(CUTOFF, seasonal, leaving, third)
    assert actor.person is not None
    rosa = visit("rosa", reduced_motion="reduce")
    rosa.logs_in(actor.person.email)
    rosa.follows("3 cards in today’s queue")
    rosa.reads_title("Today’s queue")
    _reads_the_evidence(rosa)
    _dismisses_the_first(rosa)
    _works_the_second_by_keyboard(rosa)
    rosa.pictures_in_every_look("queue")

    now.move_to(MORNING + DAY)
    _night(CUTOFF + DAY, seasonal, leaving, third)
    rosa.menu("Insights")
    rosa.sees("0 of 15 today")
    expect(_card(rosa, "Third customer")).to_be_visible()
    expect(rosa.page.get_by_role("heading", name="Ski resort")).to_have_count(0)
    assert Dismissal.objects.get().account == seasonal


def _customers(actor: Actor) -> tuple[Account, Account, Account]:
    """Three that have bought every twenty days until two months ago."""
    book = insights.platform_book()
    found = [
        insights.shown_account(book, actor, name=name) for name in ("Ski resort", "Machine works", "Third customer")
    ]
    for account in found:
        insights.buys_every(account, 20, CUTOFF - timedelta(days=55), amount="400.00")
    return found[0], found[1], found[2]


def _night(cutoff: Any, *accounts: Account) -> ScoringRun:
    """A night's run with the same scores for all, the first with the most money; and its cards."""
    run = insights.whole_run(accounts[0].book, cutoff)
    for place, account in enumerate(accounts):
        insights.at_risk(run, account, p=0.7, amount=f"{9000 - 3000 * place}.00", reasons=["overdue"])
    card_making.refresh(run.pk, at=NIGHT + (cutoff - CUTOFF))
    return run


def _card(rosa: Visitor, name: str) -> Locator:
    return rosa.page.get_by_role("article").filter(has=rosa.page.get_by_role("heading", name=name))


def _reads_the_evidence(rosa: Visitor) -> None:
    first = rosa.page.get_by_role("article").first
    expect(first.get_by_role("heading")).to_have_text("Ski resort")
    expect(first).to_contain_text("Usually buys every 20 days; nothing for 55 days now, since 5 Jan 2026.")
    expect(first).to_contain_text("Likely to stop")
    expect(first).to_contain_text("9,000.00 EUR")
    first.get_by_text("As a table").click()
    expect(first.get_by_role("cell", name="400.00").first).to_be_visible()


def _dismisses_the_first(rosa: Visitor) -> None:
    card = _card(rosa, "Ski resort")
    card.get_by_text("Dismiss", exact=True).click()
    card.get_by_role("radio", name="Buys by season, and this is not the season").check()
    card.get_by_role("button", name="Dismiss the card").click()
    rosa.is_told("Ski resort is dismissed and not shown before 29 Aug 2026.")
    rosa.sees("1 of 15 today")


def _works_the_second_by_keyboard(rosa: Visitor) -> None:
    """Accepted by a key, taken back, and accepted again."""
    page = rosa.page
    card = _card(rosa, "Machine works")
    card.focus()
    page.keyboard.press("a")
    rosa.is_told("Machine works is yours to call")
    rosa.sees("2 of 15 today")
    rosa.presses("Take it back Machine works")
    rosa.sees("1 of 15 today")
    expect(card).to_be_focused()
    page.keyboard.press("j")
    expect(_card(rosa, "Third customer")).to_be_focused()
    page.keyboard.press("k")
    page.keyboard.press("a")
    rosa.is_told("Machine works is yours to call")
