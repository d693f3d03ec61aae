"""Two accounts that are one customer: merged and parted again, their purchases follow."""

from __future__ import annotations

from datetime import date

import pytest

from analytics.models import Account, Book, DayRollup
from analytics.permissions import ManagerOnly, book_for
from analytics.services import merges
from analytics.services.merges import MergeNotPossible, MergeUndone
from marketplace.models import Role, StaffRole
from marketplace.permissions import Actor
from marketplace.shared.errors import NotFound
from tests.factories.marketplace import NOON, accredited_supplier, member, staff
from tests.factories.purchases import loaded, row

pytestmark = pytest.mark.django_db
MAY = date(2026, 5, 1)
JUNE = date(2026, 6, 1)


@pytest.fixture
def book() -> Book:
    found = book_for(None)
    loaded(
        found,
        [row("A", "1", MAY, "1"), row("B", "2", MAY, "2"), row("B", "3", JUNE, "4"), row("C", "4", JUNE, "8")],
    )
    return found


@pytest.fixture
def manager() -> Actor:
    return staff(StaffRole.SALES_MANAGER)


def pk(book: Book, name: str) -> int:
    return Account.objects.get(book=book, external_id=name).pk


def days(book: Book) -> dict[str, list[int]]:
    """What each account bought on its days, in money."""
    found: dict[str, list[int]] = {}
    for one in DayRollup.objects.filter(book=book).select_related("account").order_by("account", "day"):
        found.setdefault(one.account.external_id, []).append(int(one.amount))
    return found


def test_merged_accounts_count_as_one_and_parted_ones_as_two(book: Book, manager: Actor) -> None:
    before = days(book)
    merged = merges.merge(book, pk(book, "B"), pk(book, "A"), by=manager, at=NOON)
    assert days(book) == {"A": [3, 4], "C": [8]}
    loaded(book, [row("B", "5", JUNE, "10")])
    assert days(book) == {"A": [3, 14], "C": [8]}
    merges.undo(book, merged.pk, by=manager, at=NOON)
    assert days(book) == {**before, "B": [2, 14]}
    with pytest.raises(MergeUndone):
        merges.undo(book, merged.pk, by=manager, at=NOON)


def test_what_was_merged_before_goes_along_and_stays_with_it(book: Book, manager: Actor) -> None:
    first = merges.merge(book, pk(book, "B"), pk(book, "A"), by=manager, at=NOON)
    second = merges.merge(book, pk(book, "A"), pk(book, "C"), by=manager, at=NOON)
    assert days(book) == {"C": [3, 12]}
    merges.undo(book, second.pk, by=manager, at=NOON)
    assert days(book) == {"A": [3, 4], "C": [8]}
    third = merges.merge(book, pk(book, "A"), pk(book, "C"), by=manager, at=NOON)
    merges.undo(book, first.pk, by=manager, at=NOON)  # the older one first
    assert days(book) == {"B": [2, 4], "C": [1, 8]}
    merges.undo(book, third.pk, by=manager, at=NOON)
    assert days(book) == {"A": [1], "B": [2, 4], "C": [8]}


def test_what_cannot_be_merged(book: Book, manager: Actor) -> None:
    merges.merge(book, pk(book, "B"), pk(book, "A"), by=manager, at=NOON)
    for source, target in (("A", "A"), ("B", "C"), ("C", "B")):
        with pytest.raises(MergeNotPossible):
            merges.merge(book, pk(book, source), pk(book, target), by=manager, at=NOON)
    supplier = accredited_supplier()
    other = book_for(supplier.pk)
    loaded(other, [row("A", "1", MAY, "1")])
    with pytest.raises(NotFound):
        merges.merge(book, pk(other, "A"), pk(book, "C"), by=manager, at=NOON)
    with pytest.raises(NotFound):
        merges.merge(book, pk(book, "C"), pk(book, "A"), by=member(supplier, Role.SALES_MANAGER), at=NOON)
    with pytest.raises(ManagerOnly):
        merges.merge(book, pk(book, "C"), pk(book, "A"), by=staff(StaffRole.REPRESENTATIVE), at=NOON)
