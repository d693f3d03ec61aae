"""Cards from scores, what representatives do with them, and what the next night makes of it."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from threading import Event

import pytest
from django.db import transaction

from analytics.models import Card, CardEvent, Dismissal
from analytics.queries import team
from analytics.rules.cards import HORIZON, CardState, Closing, Dismissed, Heard
from analytics.services import card_making, card_outcomes, cards, customers
from analytics.services.card_making import Made
from marketplace.models import AuditRecord, Role, StaffRole
from marketplace.shared.errors import NotFound
from tests.factories import insights
from tests.factories.at_once import at_the_same_time, wait_until_blocked
from tests.factories.insights import CUTOFF, MORNING, NIGHT
from tests.factories.marketplace import accredited_supplier, member, staff
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def _next_night(card: Card, p: float, days: int = 1) -> tuple[Made, Card | None]:
    """Another whole run `days` later, in which the card's account has the chance `p`; and its newest card."""
    run = insights.whole_run(card.book, CUTOFF + days * DAY)
    insights.at_risk(run, card.account, p=p)
    made = card_making.refresh(run.pk, at=NIGHT + days * DAY)
    return made, Card.objects.filter(account=card.account).order_by("-pk").first()


def test_a_whole_run_makes_cards_once_and_renews_them() -> None:
    book, rosa = insights.platform_book(), insights.representative()
    first, second, sure = (insights.shown_account(book, rosa) for _ in range(3))
    cups = insights.category(book, "Cups")
    run = insights.whole_run(book)
    insights.at_risk(run, first, p=0.6, amount="900.00")
    insights.leaves_category(run, first, cups)  # the whole account says it already
    insights.leaves_category(run, second, cups, p=0.5, amount="400.00")
    insights.could_buy(run, second, insights.category(book, "Plates"))
    insights.at_risk(run, sure, p=0.2, amount="9000.00")  # too unlikely for a card

    made = card_making.refresh(run.pk, at=NIGHT)
    again = card_making.refresh(run.pk, at=NIGHT)

    assert (made, again) == (Made(made=3), Made())
    found = Card.objects.order_by("-by_money").values_list("account", "kind", "level", "state", "by_money")
    assert list(found) == [
        (first.pk, "recovery", "account", "open", 540.0),
        (second.pk, "recovery", "category", "open", 200.0),
        (second.pk, "growth", "category", "open", 120.0),
    ]
    later = insights.whole_run(book, CUTOFF + DAY)
    insights.at_risk(later, first, p=0.65, amount="900.00")
    made = card_making.refresh(later.pk, at=NIGHT + DAY)
    card = Card.objects.get(account=first)
    assert (made.updated, made.closed) == (3, 2)
    assert (card.p, card.p_made, card.cutoff, card.run) == (0.65, 0.6, CUTOFF, later)
    assert set(Card.objects.filter(account=second).values_list("state", "closing")) == {("expired", "faded")}


def test_an_account_said_to_be_closed_has_no_other_card_the_next_morning() -> None:
    book, rosa = insights.platform_book(), insights.representative()
    account, cups = insights.shown_account(book, rosa), insights.category(book, "Cups")
    for day in (CUTOFF, CUTOFF + DAY):
        run = insights.whole_run(book, day)
        insights.at_risk(run, account)
        insights.could_buy(run, account, cups)
        if day == CUTOFF:
            card = insights.made_cards(run)[0]
            cards.dismiss(card.pk, Dismissed.CLOSED, by=rosa, at=MORNING)
    card_making.refresh(run.pk, at=NIGHT + DAY)
    assert set(Card.objects.filter(account=account).values_list("kind", "state")) == {
        ("recovery", "dismissed"),
        ("growth", "expired"),
    }


def test_cards_follow_the_currency_that_is_scored() -> None:
    rosa = insights.representative()
    card = insights.one_card(rosa)
    cards.accept(card.pk, by=rosa, at=MORNING)
    insights.bought(card.account, CUTOFF + DAY, "250.00")  # euros
    book = insights.platform_book("USD")

    _next_night(card, 0.8, days=2)
    members = team.members(book, NIGHT.date(), NIGHT + 2 * DAY)

    card.refresh_from_db()
    assert (card.currency, card.expected_amount, card.bought_amount) == ("USD", Decimal("1000.00"), Decimal(0))
    assert sum(one.recovered for one in members) == 0


def test_scores_that_are_not_the_newest_whole_ones_make_no_cards() -> None:
    book, rosa = insights.platform_book(), insights.representative()
    old = insights.whole_run(book)
    insights.at_risk(old, insights.shown_account(book, rosa))
    insights.whole_run(book, CUTOFF + DAY)

    assert card_making.refresh(old.pk, at=NIGHT) == Made()
    assert not Card.objects.exists()


def test_scores_whose_foretold_days_are_over_make_no_cards() -> None:
    book, rosa = insights.platform_book(), insights.representative()
    run = insights.whole_run(book)
    insights.at_risk(run, insights.shown_account(book, rosa))

    assert card_making.refresh(run.pk, at=NIGHT + HORIZON) == Made()
    assert not Card.objects.exists()
    card_making.refresh(run.pk, at=NIGHT + HORIZON - DAY - (NIGHT.date() - CUTOFF))
    assert Card.objects.exists()


def test_a_hand_over_is_no_act_to_take_back() -> None:
    rosa, boss = insights.representative(), insights.sales_manager()
    card, heir = insights.one_card(rosa), insights.representative()
    assert heir.person is not None
    customers.hand_over(card.account_id, heir.person.pk, "Yours now", by=boss, at=MORNING)
    with pytest.raises(cards.CannotUndo):
        cards.undo(card.events.get(what="handed_over").pk, by=boss, at=MORNING)


def test_accepting_is_kept_and_can_be_taken_back() -> None:
    rosa = insights.representative()
    card = insights.one_card(rosa)

    act = cards.accept(card.pk, seen=CardState.OPEN, by=rosa, at=MORNING)
    assert (act.card.state, act.card.accepted_by, act.card.accepted_at) == ("accepted", rosa.person, MORNING)
    back = cards.undo(act.event.pk, by=rosa, at=MORNING)
    card.refresh_from_db()
    assert (card.state, card.accepted_by, card.accepted_at) == ("open", None, None)
    assert (back.event.what, back.event.undoes) == ("undone", act.event)
    with pytest.raises(cards.CannotUndo):
        cards.undo(act.event.pk, by=rosa, at=MORNING)
    assert list(AuditRecord.objects.filter(object_type="card").values_list("action", flat=True)) == [
        "card_accepted",
        "card_act_undone",
    ]


def test_a_snoozed_card_comes_back_on_its_day() -> None:
    rosa = insights.representative()
    card = insights.one_card(rosa)
    with pytest.raises(cards.DayMissing):
        cards.snooze(card.pk, MORNING.date(), by=rosa, at=MORNING)

    cards.snooze(card.pk, MORNING.date() + 3 * DAY, by=rosa, at=MORNING)

    _made, found = _next_night(card, 0.7, days=2)
    assert found is not None
    assert found.state == CardState.SNOOZED
    made, found = _next_night(card, 0.7, days=3)
    assert found is not None
    assert (found.pk, found.state, found.due_on, made.renewed) == (card.pk, CardState.OPEN, None, 1)


def test_a_dismissed_card_stays_away_while_its_reason_holds() -> None:
    rosa = insights.representative()
    card = insights.one_card(rosa)

    act = cards.dismiss(card.pk, Dismissed.WRONG_DATA, by=rosa, at=MORNING)

    assert Dismissal.objects.get().until == date(2026, 4, 1)
    assert _next_night(card, 0.95) == (Made(), act.card)
    assert _next_night(card, 0.74, days=30)[0] == Made()  # the reason's period is over, but no more likely than then
    made, found = _next_night(card, 0.76, days=31)
    assert made.made == 1
    assert found != card


def test_a_dismissal_that_is_taken_back_does_not_count() -> None:
    rosa = insights.representative()
    card = insights.one_card(rosa)
    act = cards.dismiss(card.pk, Dismissed.CLOSED, by=rosa, at=MORNING)
    cards.undo(act.event.pk, by=rosa, at=MORNING)

    made, found = _next_night(card, 0.8)

    assert (made.made, made.updated) == (0, 1)
    assert found is not None
    assert (found.pk, found.state, found.dismissed_for) == (card.pk, "open", "")


def test_a_closed_company_gets_no_card_of_any_kind() -> None:
    rosa = insights.representative()
    card = insights.one_card(rosa)
    cards.dismiss(card.pk, Dismissed.CLOSED, by=rosa, at=MORNING)
    run = insights.whole_run(card.book, CUTOFF + DAY)
    insights.could_buy(run, card.account, insights.category(card.book, "Cups"))

    assert card_making.refresh(run.pk, at=NIGHT + DAY) == Made()


def test_reasons_fit_the_card_and_another_reason_takes_words() -> None:
    rosa = insights.representative()
    card = insights.one_card(rosa)

    with pytest.raises(cards.ReasonUnfit):
        cards.dismiss(card.pk, Dismissed.NOT_NEEDED, by=rosa, at=MORNING)
    with pytest.raises(cards.NoteMissing):
        cards.dismiss(card.pk, Dismissed.OTHER, note=" ", by=rosa, at=MORNING)
    assert not Dismissal.objects.exists()


def test_calls_are_kept_and_a_final_one_finishes_the_card() -> None:
    rosa = insights.representative()
    card = insights.one_card(rosa)

    cards.call(card.pk, Heard.NO_ANSWER, by=rosa, at=MORNING)
    card.refresh_from_db()
    assert (card.state, card.due_on) == ("accepted", date(2026, 3, 3))
    with pytest.raises(cards.DayMissing):
        cards.call(card.pk, Heard.CALL_BACK, by=rosa, at=MORNING)
    cards.call(card.pk, Heard.ORDERED, note="Two pallets", by=rosa, at=MORNING + DAY)
    card.refresh_from_db()
    assert (card.state, card.due_on, card.heard) == ("done", None, "ordered")
    with pytest.raises(cards.CardClosed):
        cards.accept(card.pk, by=rosa, at=MORNING + DAY)
    assert _next_night(card, 0.9, days=30)[0] == Made()  # rests


def test_an_act_sent_twice_is_done_once() -> None:
    rosa = insights.representative()
    card = insights.one_card(rosa)
    for act in (
        lambda: cards.note(card.pk, "Asked for Ms Roth", by=rosa, at=MORNING),
        lambda: cards.accept(card.pk, seen=CardState.OPEN, by=rosa, at=MORNING),
        lambda: cards.call(card.pk, Heard.ORDERED, by=rosa, at=MORNING),
    ):
        assert act().event == act().event
    assert list(card.events.exclude(person=None).values_list("what", flat=True)) == ["note", "accepted", "call"]
    with pytest.raises(cards.CardClosed):
        cards.call(card.pk, Heard.ORDERED, by=rosa, at=MORNING + timedelta(minutes=1))


def test_an_untouched_card_expires_and_one_whose_account_bought_goes() -> None:
    rosa = insights.representative()
    card = insights.one_card(rosa)
    insights.bought(card.account, CUTOFF + 2 * DAY)
    card_outcomes.measure(card.book_id, at=NIGHT + 2 * DAY)

    _made, found = _next_night(card, 0.7, days=2)

    assert found is not None
    assert (found.state, found.closing) == (CardState.EXPIRED, Closing.BOUGHT)
    _made, fresh = _next_night(card, 0.7, days=3)
    assert fresh is not None
    assert fresh.pk != card.pk
    _made, fresh = _next_night(card, 0.7, days=31)
    assert fresh is not None
    assert (fresh.state, fresh.closing) == (CardState.EXPIRED, Closing.OLD)


def test_another_representatives_card_is_not_there_but_the_managers_is() -> None:
    rosa = insights.representative()
    card = insights.one_card(rosa)
    stranger = member(accredited_supplier(), Role.REPRESENTATIVE, Role.SALES_MANAGER)

    for other in (insights.representative(), staff(StaffRole.OPERATOR), stranger):
        with pytest.raises(NotFound):
            cards.accept(card.pk, by=other, at=MORNING)
    assert cards.accept(card.pk, by=insights.sales_manager(), at=MORNING).card.state == "accepted"


def test_events_cannot_be_rewritten() -> None:
    rosa = insights.representative()
    act = cards.accept(insights.one_card(rosa).pk, by=rosa, at=MORNING)

    with pytest.raises(Exception, match="append-only"):
        CardEvent.objects.filter(pk=act.event.pk).update(text="never")


@pytest.mark.django_db(transaction=True)
def test_two_at_one_card_at_once_and_only_the_first_has_it() -> None:
    rosa, manager = insights.representative(), insights.sales_manager()
    card = insights.one_card(rosa)

    answers = at_the_same_time(
        lambda: cards.accept(card.pk, seen=CardState.OPEN, by=rosa, at=MORNING),
        lambda: cards.dismiss(card.pk, Dismissed.KNOWN, seen=CardState.OPEN, by=manager, at=MORNING),
    )

    assert sorted(type(answer).__name__ for answer in answers) == ["Act", "CardTaken"]
    assert CardEvent.objects.exclude(person=None).count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_card_accepted_while_the_night_makes_cards_stays_accepted() -> None:
    rosa = insights.representative()
    card, taken = insights.one_card(rosa), Event()

    def accepts() -> None:
        with transaction.atomic():
            cards.accept(card.pk, by=rosa, at=MORNING)
            taken.set()
            wait_until_blocked()

    def makes() -> Made:
        taken.wait(PATIENCE_S)
        return _next_night(card, 0.8)[0]

    answers = at_the_same_time(accepts, makes)

    card.refresh_from_db()
    assert (answers[0], card.state, card.p, card.accepted_by) == (None, "accepted", 0.8, rosa.person)


@pytest.mark.django_db(transaction=True)
def test_a_card_is_dismissed_while_its_account_is_handed_over() -> None:
    rosa, taker = insights.representative(), insights.representative()
    card, taken = insights.one_card(rosa), Event()
    assert taker.person is not None
    to = taker.person.pk

    def dismisses() -> object:
        with transaction.atomic():
            cards.note(card.pk, "Called", by=rosa, at=MORNING)
            taken.set()
            wait_until_blocked()  # the account is handed over, and waits for this card
            return cards.dismiss(card.pk, Dismissed.KNOWN, by=rosa, at=MORNING)

    def hands_over() -> object:
        taken.wait(PATIENCE_S)
        return customers.hand_over(card.account_id, to, "Yours now", by=rosa, at=MORNING)

    answers = at_the_same_time(dismisses, hands_over)

    assert [type(answer).__name__ for answer in answers] == ["Act", "Account"]
    card.refresh_from_db()
    assert (card.state, card.representative) == ("dismissed", rosa.person)
