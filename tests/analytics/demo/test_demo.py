"""The demonstration's customers, and that a small book of them comes out with cards, acts and outcomes."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta

import pytest

from analytics.demo import purchases, world
from analytics.demo.purchases import Habit
from analytics.models import Account, Card, Dismissal, Territory
from marketplace.models import StaffRole
from tests.factories.marketplace import staff

TODAY = date(2026, 11, 23)
NOW = datetime(2026, 11, 23, 7, tzinfo=UTC)


def test_customers_buy_by_their_habits_and_always_the_same() -> None:
    def everything() -> list[tuple[str, date, str]]:
        rng = random.Random(1)
        found = purchases.customers(rng, 60, TODAY, [("openlot-7", "Hallerbach", "DE")])
        lines = list(purchases.bought(rng, found, TODAY))
        gone = {one.number: one.ends for one in found if one.habit is Habit.LEAVES and one.ends}
        assert all(line.day <= gone.get(line.customer.number, TODAY) for line in lines)
        assert min(line.amount for line in lines) > 0
        return [(line.customer.number, line.day, line.line.code) for line in lines]

    first = everything()
    assert first == everything()
    assert {"openlot-7"} < {number for number, _day, _code in first}
    assert max(day for _number, day, _code in first) > TODAY - timedelta(days=7)


def test_who_is_called_about_an_item_buys_it_from_then_on() -> None:
    rng = random.Random(1)
    (customer,) = purchases.customers(rng, 1, TODAY, [])
    code = next(code for code in purchases.BY_CODE if code not in customer.every)
    item = purchases.BY_CODE[code].goods[-1].name
    list(purchases.bought(rng, [customer], TODAY))
    purchases.take_up_again(rng, customer, TODAY, code, item)
    lines = list(purchases.bought(rng, [customer], TODAY + timedelta(days=365)))
    orders = {line.order for line in lines if line.line.code == code}
    assert orders
    assert {line.order for line in lines if line.good.name == item} == orders


@pytest.mark.django_db
def test_a_book_of_the_demonstration_has_a_queue_and_results() -> None:
    rosa, davit = staff(StaffRole.REPRESENTATIVE), staff(StaffRole.REPRESENTATIVE)
    staff(StaffRole.SALES_MANAGER)

    world.make(now=NOW, count=60, seed=1, say=lambda what: None)

    cards = Card.objects.all()
    assert Account.objects.count() == 60
    assert Territory.objects.count() == 2
    people = {actor.person.pk for actor in (rosa, davit) if actor.person}
    assert set(cards.values_list("representative", flat=True)) == people
    assert {"open", "done", "dismissed"} <= set(cards.values_list("state", flat=True))
    assert cards.exclude(measured_at=None).filter(bought=True).exists()
    assert cards.filter(state="open", cutoff=TODAY - timedelta(days=1)).exists()
    assert Dismissal.objects.exists()
