"""Accounts sorted into territories: only those that move are written, and two changes at once are both heeded."""

from __future__ import annotations

from threading import Thread

import pytest
from django.db import connection, transaction

from analytics.models import Account, Book, Territory
from analytics.rules.territories import Rule
from analytics.services import customers
from tests.factories.at_once import wait_until_blocked
from tests.factories.insights import NIGHT, account, platform_book, sales_manager

DE, NORTH = Rule(countries=("DE",)), Rule(prefixes=("N",))


def versions(book: Book) -> dict[int, object]:
    """What PostgreSQL numbers each account's row by: another one after every write."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT id, xmin::text FROM analytics_account WHERE book_id = %s", [book.pk])
        return dict(cursor.fetchall())


@pytest.mark.django_db(transaction=True)
def test_accounts_that_stay_are_not_written() -> None:
    book, manager = platform_book(), sales_manager()
    in_both, in_one, nowhere = (
        account(book, external_id=name, country=country) for name, country in (("N1", "DE"), ("K1", "DE"), ("K2", "FR"))
    )
    customers.save_territory(book.pk, None, "Germany", DE, 1, by=manager, at=NIGHT)
    before = versions(book)
    customers.save_territory(book.pk, None, "North", NORTH, 0, by=manager, at=NIGHT)
    after = versions(book)
    assert [pk for pk in after if after[pk] != before[pk]] == [in_both.pk]
    names = dict(Account.objects.values_list("pk", "territory__name"))
    assert names == {in_both.pk: "North", in_one.pk: "Germany", nowhere.pk: None}


@pytest.mark.django_db(transaction=True)
def test_a_territory_taken_away_while_another_is_written_sorts_by_both_changes() -> None:
    book, manager = platform_book(), sales_manager()
    customer = account(book, external_id="N1", country="DE")
    customers.save_territory(book.pk, None, "Germany", DE, 5, by=manager, at=NIGHT)
    old = customers.save_territory(book.pk, None, "Old", Rule(prefixes=("X",)), 9, by=manager, at=NIGHT)

    def take_away() -> None:
        try:
            customers.delete_territory(old.pk, by=manager, at=NIGHT)
        finally:
            connection.close()

    other = Thread(target=take_away)
    with transaction.atomic():
        customers.save_territory(book.pk, None, "North", NORTH, 0, by=manager, at=NIGHT)
        other.start()
        wait_until_blocked()
    other.join()
    customer.refresh_from_db()
    assert customer.territory is not None
    assert customer.territory.name == "North"
    assert set(Territory.objects.values_list("name", flat=True)) == {"Germany", "North"}
