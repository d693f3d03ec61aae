"""Contracts signed on the platform as purchases: in the platform's book, and in the supplier's own."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from analytics.models import Account, Category, DayRollup, Import, OrderLine
from analytics.permissions import book_for
from analytics.services import contract_history
from marketplace.models import Heading, Organisation
from procurement.rules.lifecycle import ContractStatus
from tests.factories.contracts import signed_contract
from tests.factories.marketplace import HeadingFactory, accredited_buyer, accredited_supplier
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
