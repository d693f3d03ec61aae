"""Order lines and the rollup by day, on PostgreSQL: what comes in, changes, is taken back, and leaves again."""

from __future__ import annotations

import random
import threading
from collections import defaultdict
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.db import connection, transaction

from analytics.models import Account, Book, DayRollup, Import, ItemDay, OrderLine, StagedLine, Territory
from analytics.permissions import book_for
from analytics.services import loading, rollup
from analytics.services.loading import Loaded
from tests.factories.at_once import at_the_same_time, wait_until_blocked
from tests.factories.marketplace import accredited_supplier
from tests.factories.purchases import loaded, row, staged, undone

MAY = date(2026, 5, 1)
JUNE = date(2026, 6, 1)


@pytest.fixture
def book(db: None) -> Book:
    return book_for(None)


def days(book: Book) -> dict[tuple[str, str, date], tuple[int, str]]:
    """The rollup by account, category and day: orders and money."""
    rows = DayRollup.objects.filter(book=book).select_related("account", "category")
    return {
        (r.account.external_id, r.category.code if r.category else "", r.day): (r.orders, f"{r.amount.normalize():f}")
        for r in rows
    }


def test_lines_become_days_by_account_and_category(book: Book) -> None:
    _batch, done = loaded(
        book,
        [
            row("A", "1", MAY, "10", line="1", item="nut", category="metal"),
            row("A", "1", MAY, "5", line="2", item="bolt", category="metal"),
            row("A", "2", MAY, "7", item="nut", category="metal"),
            row("A", "3", MAY, "3", item="cup", category="glass"),
            row("B", "4", JUNE, "2", item="cup"),  # its category is known from the item
        ],
    )
    assert (done.new, done.accounts_new) == (5, 2)
    assert days(book) == {
        ("A", "metal", MAY): (2, "22"),
        ("A", "glass", MAY): (1, "3"),
        ("B", "glass", JUNE): (1, "2"),
    }
    nuts = ItemDay.objects.get(book=book, item__code="nut")
    assert (nuts.orders, nuts.quantity, nuts.amount) == (2, 2, 17)


def test_a_new_account_comes_into_the_first_territory_that_fits(book: Book) -> None:
    east = Territory.objects.create(book=book, name="East", rule={"prefixes": ["E-", "B"]}, rank=1)
    north = Territory.objects.create(book=book, name="North", rule={"accounts": ["B"]}, rank=0)
    loaded(book, [row(number, "1", MAY, "10", line=number) for number in ("E-1", "B", "C")])
    assert dict(Account.objects.filter(book=book).values_list("external_id", "territory")) == {
        "E-1": east.pk,
        "B": north.pk,
        "C": None,
    }


def test_what_is_loaded_again_changes_nothing_and_a_changed_line_replaces(book: Book) -> None:
    rows = [row("A", "1", MAY, "10"), row("A", "2", JUNE, "20", name="Acme")]
    loaded(book, rows)
    before = days(book)
    _batch, again = loaded(book, rows)
    assert (again.new, again.changed, again.unchanged, again.cells) == (0, 0, 2, 0)
    assert days(book) == before

    _batch, changed = loaded(book, [row("A", "1", MAY + timedelta(days=3), "12", name="Acme Ltd")])
    assert (changed.new, changed.changed, changed.accounts_renamed) == (0, 1, 1)
    assert days(book) == {("A", "", MAY + timedelta(days=3)): (1, "12"), ("A", "", JUNE): (1, "20")}
    assert Account.objects.get(book=book, external_id="A").name == "Acme Ltd"


def test_the_last_of_two_rows_for_one_line_counts(book: Book) -> None:
    _batch, done = loaded(book, [row("A", "1", MAY, "10"), row("A", "1", MAY, "11")])
    assert (done.new, done.repeated) == (1, 1)
    assert days(book) == {("A", "", MAY): (1, "11")}


def test_a_cancellation_takes_from_the_day_of_the_order_it_names(book: Book) -> None:
    loaded(book, [row("A", "1", MAY, "10", item="nut"), row("A", "2", MAY, "4", item="nut")])
    loaded(book, [row("A", "C1", JUNE, "-10", cancels="1", item="nut")])
    assert days(book) == {("A", "", MAY): (1, "4")}


def test_a_cancellation_that_comes_before_its_order_waits_for_it(book: Book) -> None:
    loaded(book, [row("A", "C1", JUNE, "-4", quantity="-1", cancels="1", item="nut")])
    assert days(book) == {}
    _order, _done = loaded(book, [row("A", "1", MAY, "10", quantity="3", item="nut")])
    assert days(book) == {("A", "", MAY): (1, "6")}
    loaded(book, [row("A", "1", MAY + timedelta(days=1), "10", quantity="3", item="nut")])
    assert days(book) == {("A", "", MAY + timedelta(days=1)): (1, "6")}


def test_a_cancellation_that_names_nothing_reduces_its_own_day(book: Book) -> None:
    loaded(book, [row("A", "1", MAY, "10", quantity="5", item="nut"), row("A", "2", MAY, "3", item="cup")])
    loaded(book, [row("A", "C9", MAY, "-4", quantity="-2", item="nut"), row("A", "C8", JUNE, "-4", item="nut")])
    assert days(book) == {("A", "", MAY): (2, "9")}


def test_money_of_another_currency_stands_apart(book: Book) -> None:
    loaded(book, [row("A", "1", MAY, "10"), row("A", "2", MAY, "9", currency="USD")])
    found = DayRollup.objects.filter(book=book).order_by("currency").values_list("currency", "amount")
    assert list(found) == [("EUR", Decimal(10)), ("USD", Decimal(9))]


def test_undoing_an_import_brings_back_what_stood_before(book: Book) -> None:
    first, _ = loaded(book, [row("A", "1", MAY, "10"), row("A", "2", MAY, "5")])
    second, _ = loaded(book, [row("A", "1", JUNE, "99"), row("B", "3", JUNE, "7")])
    assert undone(second) == 2
    assert days(book) == {("A", "", MAY): (2, "15")}
    assert undone(first) == 2
    assert days(book) == {}
    assert not OrderLine.objects.filter(book=book).exists()


def test_a_line_that_a_later_import_confirmed_outlives_the_import_that_brought_it(book: Book) -> None:
    first, _ = loaded(book, [row("A", "1", MAY, "10"), row("A", "2", MAY, "5")])
    second, _ = loaded(book, [row("A", "1", MAY, "10")])
    assert undone(first) == 1
    assert days(book) == {("A", "", MAY): (1, "10")}
    assert undone(second) == 1
    assert days(book) == {}


def test_one_sellers_orders_are_not_anothers(book: Book, db: None) -> None:
    other = Book.objects.create(owner=accredited_supplier())
    loaded(book, [row("A", "1", MAY, "10")])
    loaded(other, [row("A", "1", JUNE, "3")])
    assert days(book) == {("A", "", MAY): (1, "10")}
    assert days(other) == {("A", "", JUNE): (1, "3")}


# Incremental and from scratch ----------------------------------------------------------------------------------------


def by_hand(book: Book) -> dict[tuple[object, ...], tuple[int, Decimal, Decimal]]:
    """The rollup of items reckoned here, line by line, from nothing but the lines that stand."""
    lines = list(OrderLine.objects.filter(book=book, current=True).select_related("account"))
    cells: dict[tuple[object, ...], list[tuple[str, Decimal, Decimal]]] = defaultdict(list)
    for one in lines:
        day = one.day
        if one.quantity < 0:
            whose = (one.cancels, one.account_id, one.item_id)
            named = [o.day for o in lines if o.quantity > 0 and (o.order, o.account_id, o.item_id) == whose]
            day = min(named, default=one.day)
        root = one.account.merged_into_id or one.account_id
        number = one.cancels if one.quantity < 0 else one.order
        cells[root, one.category_id, one.item_id, one.currency, day].append((number, one.quantity, one.amount))
    found = {}
    for cell, parts in cells.items():
        orders: dict[str, Decimal] = defaultdict(Decimal)
        for number, quantity, _amount in parts:
            orders[number] += quantity
        quantity, amount = sum(p[1] for p in parts), sum(p[2] for p in parts)
        if quantity > 0 and amount > 0:
            found[cell] = (sum(1 for left in orders.values() if left > 0), quantity, amount)
    return found


def kept(book: Book) -> dict[tuple[object, ...], tuple[int, Decimal, Decimal]]:
    rows = ItemDay.objects.filter(book=book)
    return {(r.account_id, r.category_id, r.item_id, r.currency, r.day): (r.orders, r.quantity, r.amount) for r in rows}


def table(name: str) -> list[tuple[object, ...]]:
    with connection.cursor() as cursor:
        columns = "account_id, category_id, currency, day, orders, quantity, amount"
        cursor.execute(f"SELECT {columns} FROM {name} ORDER BY 1, 2, 3, 4, 6")
        return list(cursor.fetchall())


@pytest.mark.parametrize("seed", range(4))
def test_the_rollup_kept_step_by_step_is_the_one_made_from_scratch(book: Book, seed: int) -> None:
    """Random imports, changes, cancellations, back-dated lines and undos: each leaves the rollup as the lines say."""
    dice = random.Random(seed)
    standing = []
    for _step in range(12):
        if standing and dice.random() < 0.3:
            undone(standing.pop(dice.randrange(len(standing))))
        else:
            batch, _done = loaded(book, [_random_row(dice) for _ in range(dice.randint(1, 8))])
            standing.append(batch)
        assert kept(book) == by_hand(book)
    incremental = table("analytics_dayrollup")
    rollup.redo_all(book)
    assert kept(book) == by_hand(book)
    assert table("analytics_dayrollup") == incremental


def _random_row(dice: random.Random) -> StagedLine:
    item = dice.choice(["nut", "cup", ""])
    quantity = dice.choice([1, 1, 2, 3, -1, -2])
    return row(
        dice.choice("AB"), str(dice.randint(1, 5)), MAY + timedelta(days=dice.randint(0, 3)),
        str(quantity * dice.randint(1, 3)), line=str(dice.randint(1, 2)), quantity=str(quantity),
        cancels=dice.choice(["", str(dice.randint(1, 5))]) if quantity < 0 else "", item=item,
        category=dice.choice(["", "metal", "glass"]), currency=dice.choice(["EUR", "EUR", "USD"]),
    )  # fmt: skip


@pytest.mark.django_db(transaction=True)
def test_of_two_imports_of_the_same_lines_at_once_the_second_sees_what_the_first_did() -> None:
    """Without the book's lock both find the lines missing, and the second breaks on the first one's."""
    book = book_for(None)
    loaded(book, [row("A", "0", JUNE, "5")])
    first = staged(book, [row("A", "1", MAY, "1"), row("A", "2", MAY, "1")])
    second = staged(book, [row("A", "1", MAY, "2"), row("A", "2", MAY, "1")])

    def load(batch: Import, until: Callable[[], None]) -> Loaded:
        with transaction.atomic():
            done = loading.load(batch, loading.lock(book.pk))
            until()
        return done

    begun = threading.Event()

    def begin_and_wait() -> None:
        begun.set()
        wait_until_blocked()

    def after_the_first() -> Loaded:
        begun.wait(30)
        return load(second, lambda: None)

    answers = at_the_same_time(lambda: load(first, begin_and_wait), after_the_first)
    assert answers == [Loaded(new=2, cells=1), Loaded(changed=1, unchanged=1, cells=1)]
    assert days(book) == {("A", "", MAY): (2, "3"), ("A", "", JUNE): (1, "5")}
