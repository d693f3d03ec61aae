"""Contracts signed on the platform as purchases: in the platform's book, and in the supplier's own."""

from __future__ import annotations

import random
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.db.models import Sum

from analytics.models import Account, Book, BookedContract, Category, DayRollup, Import, OrderLine
from analytics.permissions import book_for
from analytics.services import contract_history, rollup
from marketplace.models import Heading, Organisation
from procurement.models import Contract, DeliveryLine
from procurement.queries import deliveries
from procurement.rules.lifecycle import ContractStatus
from procurement.services.deliveries import confirm
from procurement.services.delivery_checks import Accepted
from tests.factories.contracts import signed_contract
from tests.factories.deliveries import confirmed, recorded, returned
from tests.factories.marketplace import HeadingFactory, accredited_buyer, accredited_supplier, member
from tests.factories.purchases import loaded, row

pytestmark = pytest.mark.django_db
SIGNED = datetime(2026, 5, 1, 22, 30, tzinfo=UTC)
LATER = datetime(2026, 6, 1, 8, tzinfo=UTC)
DAY = date(2026, 5, 1)


@pytest.fixture
def buyer() -> Organisation:
    return accredited_buyer()


@pytest.fixture
def supplier() -> Organisation:
    return accredited_supplier()


def headings() -> tuple[Heading, Heading]:
    return HeadingFactory.create(), HeadingFactory.create()


def bought(owner: Organisation | None) -> list[tuple[str, str, date, Decimal]]:
    book = book_for(owner.pk if owner else None)
    rows = DayRollup.objects.filter(book=book).select_related("account", "category").order_by("account", "category")
    return [(r.account.external_id, r.category.code if r.category else "", r.day, r.amount) for r in rows]


def test_a_signed_contract_is_shared_out_over_its_lines_without_vat(
    buyer: Organisation, supplier: Organisation
) -> None:
    one, two = headings()
    # 119.00 with 19% VAT, brought down in the auction from 300.00: 100.00 net, a third and two thirds.
    signed_contract(
        buyer, supplier, {one: "100", two: "200"}, signed_at=SIGNED, amount="119.00", vat_included_at="19.00"
    )
    for owner in (None, supplier):
        done = contract_history.refresh(book_for(owner.pk if owner else None).pk, at=LATER)
        assert done is not None
        assert (done.new, done.accounts_new) == (2, 1)
        name = f"openlot-{buyer.pk}"
        assert bought(owner) == [(name, one.code, DAY, Decimal("33.33")), (name, two.code, DAY, Decimal("66.67"))]
    account = Account.objects.get(book=book_for(None))
    assert (account.buyer, account.name) == (buyer, buyer.short_name)
    assert Category.objects.filter(heading=one).count() == 2
    assert book_for(None).currency == "EUR"


def test_only_what_is_new_comes_in_and_what_was_terminated_leaves(buyer: Organisation, supplier: Organisation) -> None:
    one, _two = headings()
    first = signed_contract(buyer, supplier, {one: "10"}, signed_at=SIGNED)
    signed_contract(buyer, supplier, {one: "5"}, signed_at=SIGNED)
    signed_contract(buyer, supplier, {one: "7"}, signed_at=SIGNED, procedure="auction_english_forward")
    book = book_for(None)
    contract_history.refresh(book.pk, at=LATER)
    assert [amount for *_cell, amount in bought(None)] == [Decimal(15)]
    assert contract_history.refresh(book.pk, at=LATER) is None
    assert Import.objects.filter(book=book).count() == 1

    first.status = ContractStatus.TERMINATED.value
    first.save(update_fields=["status"])
    contract_history.refresh(book.pk, at=LATER)
    assert [amount for *_cell, amount in bought(None)] == [Decimal(5)]
    assert Import.objects.filter(book=book).first().counts["removed"] == 1  # type: ignore[union-attr]


def test_what_is_confirmed_while_the_history_is_read_comes_in_the_next_time(
    buyer: Organisation, supplier: Organisation
) -> None:
    contract = signed_contract(buyer, supplier, {headings()[0]: "40"}, signed_at=SIGNED, quantity="4")
    confirmed(contract, date(2026, 5, 10), "1", at=LATER)
    waiting = recorded(contract, date(2026, 5, 20), "2", at=LATER)
    book, officer = book_for(None), member(buyer)
    lines = Accepted({waiting.lines.get().item_id: Decimal(2)})

    def meanwhile(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        """Between the deliveries and their lines the buyer confirms another."""
        if not done and sql.startswith("SELECT") and 'FROM "procurement_deliveryline"' in sql:
            done.append(sql)
            confirm(waiting.pk, lines, by=officer, at=LATER)
        return execute(sql, params, many, context)

    done: list[str] = []
    with connection.execute_wrapper(meanwhile):
        contract_history.refresh(book.pk, at=LATER)
    assert done
    assert days(book) == [(date(2026, 5, 10), Decimal(10))]
    contract_history.refresh(book.pk, at=LATER)
    assert days(book) == [(date(2026, 5, 10), Decimal(10)), (date(2026, 5, 20), Decimal(20))]


@pytest.mark.parametrize("delivered", ["10000000000000", "99999999999999"])
def test_what_two_sides_agreed_on_does_not_keep_the_others_purchases_out(
    buyer: Organisation, supplier: Organisation, delivered: str
) -> None:
    one, _two = headings()
    other, book = accredited_buyer(), book_for(None)
    signed_contract(other, supplier, {one: "7"}, signed_at=SIGNED)
    # A slip of the hand, agreed to; and two that only together are too much for a day.
    slip = signed_contract(buyer, supplier, {one: "900000000000"}, signed_at=SIGNED, quantity="3")
    contract_history.refresh(book.pk, at=LATER)
    before = days(book)
    confirmed(slip, date(2026, 5, 10), delivered, at=LATER, more=True)
    for _time in range(2):
        signed_contract(buyer, supplier, {one: "90000000000000"}, signed_at=SIGNED)
    signed_contract(other, supplier, {one: "5"}, signed_at=SIGNED)
    for _night in range(2):
        contract_history.refresh(book.pk, at=LATER)
        assert days(book) == [(DAY, before[0][1] + 5)]


def test_another_suppliers_contracts_are_not_in_the_book(buyer: Organisation, supplier: Organisation) -> None:
    one, _two = headings()
    signed_contract(buyer, supplier, {one: "10"}, signed_at=SIGNED)
    assert contract_history.refresh(book_for(accredited_supplier().pk).pk, at=LATER) is None
    assert OrderLine.objects.count() == 0


def test_a_customer_that_was_said_to_be_the_buyer_takes_its_contracts(
    buyer: Organisation, supplier: Organisation
) -> None:
    one, _two = headings()
    book = book_for(supplier.pk)
    loaded(book, [row("K-1", "900", DAY, "3", name="Our Customer")])
    Account.objects.filter(book=book).update(buyer=buyer)
    signed_contract(buyer, supplier, {one: "10"}, signed_at=SIGNED)
    contract_history.refresh(book.pk, at=LATER)
    assert bought(supplier) == [("K-1", one.code, DAY, Decimal(10)), ("K-1", "", DAY, Decimal(3))]
    assert Account.objects.get(book=book).name == "Our Customer"


def days(book: Book) -> list[tuple[date, Decimal]]:
    """What was bought on each day, of everything."""
    rows = DayRollup.objects.filter(book=book).order_by("day").values_list("day").annotate(Sum("amount"))
    return [(day, amount) for day, amount in rows]


def test_a_contract_counts_as_it_is_delivered_from_its_first_confirmed_delivery_on(
    buyer: Organisation, supplier: Organisation
) -> None:
    one, two = headings()
    # 119.00 with VAT is 100.00 net, brought down from 300.00: a third and two thirds, for three pieces of each.
    contract = signed_contract(
        buyer, supplier, {one: "100", two: "200"}, signed_at=SIGNED, amount="119.00", vat_included_at="19.00",
        quantity="3",
    )  # fmt: skip
    book = book_for(None)
    contract_history.refresh(book.pk, at=LATER)
    waiting = recorded(contract, date(2026, 5, 20), "1", at=LATER)
    assert contract_history.refresh(book.pk, at=LATER) is None
    assert days(book) == [(DAY, Decimal(100))]

    # 3 × 11.11 and 2 × 22.22 of 33.33 and 66.67.
    confirm(waiting.pk, Accepted({waiting.lines.get().item_id: Decimal(1)}), by=member(buyer), at=LATER)
    contract_history.refresh(book.pk, at=LATER)
    assert days(book) == [(date(2026, 5, 20), Decimal("11.11"))]
    back_dated = confirmed(contract, date(2026, 5, 10), "2", "3", accepted=["2", "2"], at=LATER)
    contract_history.refresh(book.pk, at=LATER)
    assert days(book) == [(date(2026, 5, 10), Decimal("66.67")), (date(2026, 5, 20), Decimal("11.11"))]
    returned(back_dated, date(2026, 5, 28), "0", "1", at=LATER)
    contract_history.refresh(book.pk, at=LATER)
    # What went back is taken from the day on which it came.
    assert days(book) == [(date(2026, 5, 10), Decimal("44.44")), (date(2026, 5, 20), Decimal("11.11"))]
    # Delivered whole it is worth its price to the cent.
    confirmed(contract, date(2026, 5, 30), "0", "2", at=LATER)
    contract_history.refresh(book.pk, at=LATER)
    assert sum(amount for _day, amount in days(book)) == Decimal(100)
    returned(waiting, date(2026, 5, 28), "1", at=LATER)
    contract_history.refresh(book.pk, at=LATER)
    assert [day for day, _amount in days(book)] == [date(2026, 5, 10), date(2026, 5, 30)]
    # Ended early, what came and stayed was bought all the same; what still comes in from before does too.
    on_its_way = recorded(contract, date(2026, 5, 31), "1", at=LATER)
    before = days(book)
    contract.status = ContractStatus.TERMINATED.value
    contract.save(update_fields=["status"])
    assert contract_history.refresh(book.pk, at=LATER) is None
    assert days(book) == before
    confirm(on_its_way.pk, Accepted({on_its_way.lines.get().item_id: Decimal(1)}), by=member(buyer), at=LATER)
    contract_history.refresh(book.pk, at=LATER)
    assert days(book) == [*before, (date(2026, 5, 31), Decimal("11.11"))]


def by_hand(contracts: list[Contract]) -> dict[date, Decimal]:
    """What contracts of two lines of 50.00 for five pieces each are worth by day: 10.00 a piece that was kept."""
    found: dict[date, Decimal] = defaultdict(Decimal)
    for contract in contracts:
        kept = DeliveryLine.objects.filter(delivery__contract=contract, delivery__status="confirmed")
        if not kept.exists() and contract.status == ContractStatus.ACTIVE:
            found[DAY] += 100
        for line in kept.select_related("delivery__corrects"):
            day = (line.delivery.corrects or line.delivery).delivered_on
            found[day] += 10 * (line.accepted or 0) * (-1 if line.delivery.corrects else 1)
    return {day: amount for day, amount in found.items() if amount}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_rollup_of_contracts_kept_step_by_step_is_the_one_made_from_scratch(
    seed: int, buyer: Organisation, supplier: Organisation
) -> None:
    dice, book = random.Random(seed), book_for(supplier.pk)
    one, two = headings()
    contracts: list[Contract] = []
    for _step in range(14):
        what = dice.choice(["sign", "deliver", "deliver", "deliver", "back", "back", "wait", "end"])
        contract = dice.choice(contracts) if contracts else None
        if contract is None or what == "sign":
            contracts.append(signed_contract(buyer, supplier, {one: "50", two: "50"}, signed_at=SIGNED, quantity="5"))
            continue
        day = DAY + timedelta(days=dice.randint(1, 9))
        came = list(contract.deliveries.filter(kind="delivery", status="confirmed"))
        if what == "end":
            contract.status = ContractStatus.TERMINATED.value
            contract.save(update_fields=["status"])
        elif contract.status == ContractStatus.TERMINATED:
            continue
        elif what == "deliver":
            confirmed(contract, day, str(dice.randint(1, 3)), str(dice.randint(0, 2)), at=LATER, more=True)
        elif what == "wait":
            recorded(contract, day, "1", at=LATER, more=True)
        elif came:
            delivery = dice.choice(came)
            left = [str(int(n)) for _item, n in sorted(deliveries.returnable(delivery).items())]
            if any(int(n) for n in left):
                returned(delivery, date(2026, 5, 30), *left[:1], *(["0"] if left[0] != "0" else left[1:]), at=LATER)
        if dice.random() < 0.6:
            contract_history.refresh(book.pk, at=LATER)
            assert dict(days(book)) == by_hand(contracts)
    contract_history.refresh(book.pk, at=LATER)
    step_by_step = dict(days(book)), bought(supplier)
    assert step_by_step[0] == by_hand(contracts)
    rollup.redo_all(book)
    assert (dict(days(book)), bought(supplier)) == step_by_step
    OrderLine.objects.all().delete()
    BookedContract.objects.all().delete()
    rollup.redo_all(book)
    contract_history.refresh(book.pk, at=LATER)
    assert (dict(days(book)), bought(supplier)) == step_by_step
