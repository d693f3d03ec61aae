"""What came of the cards: measured alike for the shown and the withheld, and said only once it is known."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from analytics.models import Card, DayRollup
from analytics.rules import cards as rules
from analytics.rules.cards import CardState, Kind
from analytics.services import card_making, card_outcomes, cards
from marketplace.models import AuditRecord
from marketplace.shared.errors import NotFound
from tests.factories import insights
from tests.factories.insights import CUTOFF, MORNING, NIGHT

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def test_a_tenth_is_withheld_never_touched_and_measured_like_the_rest() -> None:
    book, rosa = insights.platform_book(), insights.representative()
    hidden = insights.account(book, rosa, external_id=_withheld_name(book.pk))
    shown = insights.shown_account(book, rosa)
    run = insights.whole_run(book)
    for account in (hidden, shown):
        insights.at_risk(run, account)
        insights.bought(account, CUTOFF - DAY)
    made = card_making.refresh(run.pk, at=NIGHT)
    card = Card.objects.get(account=hidden)

    assert (made.made, made.withheld, card.state) == (1, 1, CardState.WITHHELD)
    assert set(Card.objects.values_list("offered_on", flat=True)) == {NIGHT.date()}
    with pytest.raises(NotFound):
        cards.accept(card.pk, by=rosa, at=MORNING)
    insights.bought(hidden, CUTOFF + 90 * DAY, "70.00")
    assert card_outcomes.measure(book.pk, at=NIGHT + 89 * DAY) == 0
    insights.bought(shown, CUTOFF + 91 * DAY)
    assert card_outcomes.measure(book.pk, at=NIGHT + 92 * DAY) == 2
    outcome = Card.objects.order_by("pk").values_list("account", "state", "bought", "bought_amount")
    assert set(outcome) == {
        (hidden.pk, "expired", True, Decimal("70.00")),
        (shown.pk, "open", False, Decimal(0)),
    }


def test_who_buys_in_another_currency_has_bought_though_no_money_of_the_cards_is_counted() -> None:
    card = insights.one_card(insights.representative())
    abroad = insights.bought(card.account, CUTOFF + 5 * DAY, "30.00")
    DayRollup.objects.filter(pk=abroad.pk).update(currency="USD")

    card_outcomes.measure(card.book_id, at=NIGHT + 6 * DAY)
    card.refresh_from_db()
    assert (card.bought, card.bought_amount) == (True, Decimal(0))

    abroad.delete()  # taken back
    card_outcomes.measure(card.book_id, at=NIGHT + 7 * DAY)
    card.refresh_from_db()
    assert card.bought is None


def test_a_known_outcome_ends_what_is_in_work_by_the_table_and_is_written_down() -> None:
    rosa = insights.representative()
    card = insights.one_card(rosa)
    act = cards.accept(card.pk, by=rosa, at=MORNING)
    insights.bought(insights.account(card.book), CUTOFF + 91 * DAY)

    over = NIGHT + 92 * DAY
    assert [card_outcomes.measure(card.book_id, at=over) for _time in range(2)] == [1, 0]
    ended = card.events.get(what="measured")
    assert (ended.before, ended.after, ended.reason) == ("accepted", "done", "not_bought")
    record = AuditRecord.objects.get(action="cards.measured")
    assert (record.stream, record.details) == (f"book:{card.book_id}", {"cards": 1, "ended": 1})
    # What the night has decided since is not taken back with an act before it.
    with pytest.raises(cards.CannotUndo):
        cards.undo(act.event.pk, by=rosa, at=MORNING + DAY)
    card.refresh_from_db()
    assert (card.state, card.bought) == ("done", False)


def test_nothing_is_said_of_the_outcome_while_purchases_are_missing() -> None:
    card = insights.one_card(insights.representative())
    insights.bought(card.account, CUTOFF + 5 * DAY, "30.00")

    assert card_outcomes.measure(card.book_id, at=NIGHT + 200 * DAY) == 0
    card.refresh_from_db()
    assert (card.bought, card.bought_amount, card.measured_at) == (True, Decimal("30.00"), None)


def _withheld_name(book: int) -> str:
    names = (f"W-{number}" for number in range(1000))
    return next(name for name in names if rules.withheld(book, name, Kind.RECOVERY, CUTOFF.year))
