"""A contract's sale that the supplier's own system numbers otherwise: counted once, by whatever way the two come in."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from django.db.models import Sum

from analytics.models import Account, Book, DayRollup, OrderLine, SameSale
from analytics.permissions import ManagerOnly, book_for
from analytics.queries import customers
from analytics.services import contract_history, merges, rollup, same_sales
from marketplace.models import Organisation, Role
from marketplace.permissions import Actor
from marketplace.shared.errors import NotFound
from procurement.models import Contract
from tests.factories.contracts import signed_contract
from tests.factories.deliveries import confirmed
from tests.factories.marketplace import HeadingFactory, accredited_buyer, accredited_supplier, member
from tests.factories.purchases import loaded, row, undone

pytestmark = pytest.mark.django_db
SIGNED = datetime(2026, 5, 1, 22, 30, tzinfo=UTC)
LATER = datetime(2026, 6, 1, 8, tzinfo=UTC)
DAY, INVOICED = date(2026, 5, 1), date(2026, 5, 12)


@pytest.fixture
def supplier() -> Organisation:
    return accredited_supplier()


@pytest.fixture
def manager(supplier: Organisation) -> Actor:
    return member(supplier, Role.SALES_MANAGER)


@pytest.fixture
def book(supplier: Organisation) -> Book:
    return book_for(supplier.pk)


@pytest.fixture
def contract(supplier: Organisation) -> Contract:
    """Five pieces of each of two things for 30.00 and 70.00."""
    one, two = (HeadingFactory.create() for _time in range(2))
    return signed_contract(
        accredited_buyer(), supplier, {one: "30", two: "70"}, signed_at=SIGNED, quantity="5"
    )  # fmt: skip


def sold(order: str = "R-77", day: date = INVOICED, **more: str) -> list:
    """The same in the supplier's own system: by other items, the money parted otherwise."""
    return [
        row("K-1", order, day, "29.99", line="1", quantity="5", item="nut", **more),
        row("K-1", order, day, "70.01", line="2", quantity="5", item="bolt", **more),
    ]


def days(book: Book) -> list[tuple[date, int]]:
    rows = DayRollup.objects.filter(book=book).order_by("day").values_list("day").annotate(Sum("amount"))
    kept = [(day, int(amount)) for day, amount in rows]
    rollup.redo_all(book)
    assert kept == [(day, int(amount)) for day, amount in rows.all()]
    return kept


def found(book: Book) -> list[tuple[str, str]]:
    return list(SameSale.objects.filter(book=book, apart_at=None).values_list("order", "contract"))


def is_buyer(book: Book, contract: Contract) -> None:
    """The company has said which of its customers the buyer is."""
    Account.objects.create(book=book, external_id="K-1", name="Our Customer", buyer=contract.buyer, created_at=LATER)


@pytest.mark.parametrize("contract_first", [True, False])
def test_an_order_that_is_a_contract_counts_once_whichever_comes_first(
    book: Book, contract: Contract, contract_first: bool
) -> None:
    is_buyer(book, contract)
    if contract_first:
        contract_history.refresh(book.pk, at=LATER)
    _batch, done = loaded(book, [*sold(), row("K-1", "R-78", INVOICED, "8"), row("K-2", "R-79", DAY, "100")])
    assert done.counted_once == (2 if contract_first else 0)
    contract_history.refresh(book.pk, at=LATER)
    assert found(book) == [("R-77", contract.number)]
    assert days(book) == [(DAY, 200), (INVOICED, 8)]
    ours = Account.objects.get(book=book, external_id="K-1")
    assert sorted(line.order for line in customers.lines_of(ours)) == [contract.number, contract.number, "R-78"]
    # What is taken back from it in the own system takes nothing from the contract, nor from another order of the day.
    loaded(book, [row("K-1", "R-80", INVOICED, "-29.99", quantity="-5", item="nut", cancels="R-77")])
    assert days(book) == [(DAY, 200), (INVOICED, 8)]


def test_merging_the_two_customers_makes_them_one_sale_and_parting_them_two(
    book: Book, contract: Contract, manager: Actor
) -> None:
    contract_history.refresh(book.pk, at=LATER)
    batch, _done = loaded(book, sold())
    assert (found(book), days(book)) == ([], [(DAY, 100), (INVOICED, 100)])
    theirs, ours = Account.objects.filter(book=book).order_by("pk")
    merged = merges.merge(book, theirs.pk, ours.pk, by=manager, at=LATER)
    assert (found(book), days(book)) == ([("R-77", contract.number)], [(DAY, 100)])
    merges.undo(book, merged.pk, by=manager, at=LATER)
    assert (found(book), days(book)) == ([], [(DAY, 100), (INVOICED, 100)])
    merges.merge(book, ours.pk, theirs.pk, by=manager, at=LATER)
    assert days(book) == [(DAY, 100)]
    # The order itself may change, and leave.
    changed, _done = loaded(book, [row("K-1", "R-77", INVOICED, "71", line="2", quantity="5", item="bolt")])
    assert (found(book), days(book)) == ([], [(DAY, 100), (INVOICED, 100)])
    undone(changed)
    assert days(book) == [(DAY, 100)]
    undone(batch)
    assert (found(book), days(book)) == ([], [(DAY, 100)])


def test_a_manager_tells_them_apart_and_it_stays_so(book: Book, contract: Contract, manager: Actor) -> None:
    is_buyer(book, contract)
    contract_history.refresh(book.pk, at=LATER)
    loaded(book, sold())
    same = SameSale.objects.get()
    for other in (member(accredited_supplier(), Role.SALES_MANAGER), member(book.owner, Role.REPRESENTATIVE)):
        with pytest.raises((NotFound, ManagerOnly)):
            same_sales.tell_apart(book, same.pk, by=other, at=LATER)
    for _time in range(2):
        same_sales.tell_apart(book, same.pk, by=manager, at=LATER)
        assert (found(book), days(book)) == ([], [(DAY, 100), (INVOICED, 100)])
    # The next file, and the contract's first delivery, which is all of it, change nothing of that.
    loaded(book, sold())
    confirmed(contract, date(2026, 5, 9), "5", "5", at=LATER)
    contract_history.refresh(book.pk, at=LATER)
    assert days(book) == [(date(2026, 5, 9), 100), (INVOICED, 100)]
    same_sales.take_as_one(book, same.pk, by=manager, at=LATER)
    assert (found(book), days(book)) == ([("R-77", contract.number)], [(date(2026, 5, 9), 100)])


def test_a_contract_stays_one_sale_while_it_is_delivered_and_a_delivery_may_be_an_order_of_its_own(
    book: Book, contract: Contract
) -> None:
    is_buyer(book, contract)
    contract_history.refresh(book.pk, at=LATER)
    loaded(book, sold())
    confirmed(contract, date(2026, 5, 9), "2", "2", at=LATER)
    contract_history.refresh(book.pk, at=LATER)
    assert (found(book), days(book)) == ([("R-77", contract.number)], [(date(2026, 5, 9), 40)])
    # Invoiced as delivered instead: 12.00 and 28.00 for two pieces of each.
    SameSale.objects.all().delete()
    OrderLine.objects.filter(source="own").delete()
    rollup.redo_all(book)
    parts = [row("K-1", "R-90", INVOICED, amount, line=amount, quantity="2") for amount in ("12", "28")]
    loaded(book, parts)
    assert (found(book), days(book)) == ([("R-90", f"{contract.number}/1")], [(date(2026, 5, 9), 40)])


def test_the_same_order_time_and_again_is_left_alone(book: Book, contract: Contract) -> None:
    is_buyer(book, contract)
    contract_history.refresh(book.pk, at=LATER)
    loaded(book, [*sold(), *sold("R-78", INVOICED + timedelta(days=20))])
    assert (found(book), [amount for _day, amount in days(book)]) == ([], [100, 100, 100])
