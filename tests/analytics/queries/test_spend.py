"""The rollups, with the numbers worked out by hand."""

from datetime import UTC, date, datetime
from decimal import Decimal as D
from typing import Any

import pytest

from analytics.queries import spend
from analytics.queries.spend import Choice, Row
from analytics.rules.spend import Saving
from marketplace.models import Heading, Organisation
from procurement.rules.lifecycle import ContractStatus
from tests.factories.contracts import signed_contract
from tests.factories.marketplace import HeadingFactory, OrganisationFactory

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 6, 15, 9, tzinfo=UTC)
SINCE = datetime(2025, 7, 1, tzinfo=UTC)
MARCH, MAY = datetime(2026, 3, 31, 23, 59, tzinfo=UTC), datetime(2026, 5, 1, tzinfo=UTC)


@pytest.fixture
def buyer() -> Organisation:
    return OrganisationFactory.create(is_buyer=True)


@pytest.fixture
def first() -> Organisation:
    return OrganisationFactory.create(is_supplier=True, short_name="First")


@pytest.fixture
def second() -> Organisation:
    return OrganisationFactory.create(is_supplier=True, short_name="Second")


def heading(code: str, name: str) -> Heading:
    HeadingFactory.create(code=f"{code[:2]}000000", name=f"Division {code[:2]}")
    return HeadingFactory.create(code=code, name=name)


@pytest.fixture
def steel() -> Heading:
    return heading("14622000", "Steel")


@pytest.fixture
def paint() -> Heading:
    return heading("44810000", "Paints")


def year(buyer: Organisation, currency: str = "EUR", **narrowed: Any) -> Choice:
    return Choice(buyer.pk, currency, SINCE, NOW, **narrowed)


@pytest.fixture
def bought(buyer: Organisation, first: Organisation, second: Organisation, steel: Heading, paint: Heading) -> None:
    # The auction brought 900 down to 810; the limit price was 1,000.
    signed_contract(
        buyer,
        first,
        {steel: "600.00", paint: "300.00"},
        signed_at=MARCH,
        amount="810.00",
        procedure="auction_english_reverse",
    )
    signed_contract(buyer, second, {paint: "100.00"}, signed_at=MAY, limit_price=None)
    # None of these counts: a sale, not signed by both, terminated, another buyer's, before and after the period.
    signed_contract(buyer, first, {steel: "77.00"}, signed_at=MAY, procedure="auction_english_forward")
    signed_contract(buyer, first, {steel: "77.00"}, signed_at=MAY, status=ContractStatus.SIGNING)
    signed_contract(buyer, first, {steel: "77.00"}, signed_at=MAY, status=ContractStatus.TERMINATED)
    signed_contract(OrganisationFactory.create(is_buyer=True), first, {steel: "77.00"}, signed_at=MAY)
    signed_contract(buyer, first, {steel: "77.00"}, signed_at=datetime(2025, 6, 30, 23, 59, tzinfo=UTC))
    signed_contract(buyer, first, {steel: "77.00"}, signed_at=NOW)


LIMITED = Saving(D("1000.00"), D("810.00"), 1)


@pytest.mark.usefixtures("bought")
def test_totals_count_what_both_sides_signed_in_the_period(buyer: Organisation) -> None:
    totals = spend.totals(year(buyer))

    assert (totals.amount, totals.contracts, totals.suppliers) == (D("910"), 2, 2)
    assert totals.saving == LIMITED
    assert (totals.saving.saved, totals.saving.share) == (D("190"), D("0.190"))


@pytest.mark.usefixtures("bought")
def test_months_are_those_of_the_signature_in_utc(buyer: Organisation) -> None:
    assert spend.by_month(year(buyer)) == {
        date(2026, 3, 1): Row("2026-03", "", D("810"), 1, LIMITED),
        date(2026, 5, 1): Row("2026-05", "", D("100"), 1),
    }


@pytest.mark.usefixtures("bought")
def test_suppliers_and_procedures_are_listed_the_largest_first(
    buyer: Organisation, first: Organisation, second: Organisation
) -> None:
    assert spend.by_supplier(year(buyer)) == [
        Row(str(first.pk), "First", D("810"), 1, LIMITED),
        Row(str(second.pk), "Second", D("100"), 1),
    ]
    assert spend.by_procedure(year(buyer)) == [
        Row("auction_english_reverse", "auction_english_reverse", D("810"), 1, LIMITED),
        Row("rfq_open", "rfq_open", D("100"), 1),
    ]


@pytest.mark.usefixtures("bought")
def test_a_contract_is_split_among_divisions_as_its_lines_were(buyer: Organisation) -> None:
    # 810 × 600 ⁄ 900 of steel; 810 × 300 ⁄ 900 and 100 of paints.
    assert spend.by_category(year(buyer)) == [
        Row("14", "Division 14", D("540.00"), 1),
        Row("44", "Division 44", D("370.00"), 2),
    ]


def test_categories_add_up_to_the_cent(buyer: Organisation, first: Organisation) -> None:
    lines = {heading(code, code): "1.00" for code in ("14600000", "44600000", "33600000")}
    signed_contract(buyer, first, lines, signed_at=MAY, amount="100.00")

    amounts = [row.amount for row in spend.by_category(year(buyer))]

    assert amounts == [D("33.34"), D("33.33"), D("33.33")]


def test_what_has_no_priced_lines_stands_apart(buyer: Organisation, first: Organisation, steel: Heading) -> None:
    signed_contract(buyer, first, {steel: "60.00"}, signed_at=MAY)
    signed_contract(buyer, first, {}, signed_at=MAY, amount="40.00")

    assert spend.by_category(year(buyer)) == [
        Row("14", "Division 14", D("60.00"), 1),
        Row("", "", D("40.00"), 1),
    ]


@pytest.mark.parametrize(
    ("currency", "amount", "rate", "net"),
    [
        ("EUR", "119.00", "19", "100.00"),
        ("EUR", "100.00", "19", "84.03"),  # 84.0336…
        ("EUR", "0.63", "20", "0.53"),  # 0.525 half up
        ("JPY", "1000", "10", "909"),
        ("BHD", "1.000", "10", "0.909"),
    ],
)
def test_vat_that_prices_include_is_taken_out_to_the_minor_unit(
    buyer: Organisation, first: Organisation, steel: Heading, currency: str, amount: str, rate: str, net: str
) -> None:
    signed_contract(
        buyer, first, {steel: amount}, signed_at=MAY, currency=currency, vat_included_at=rate, limit_price=amount
    )

    totals = spend.totals(year(buyer, currency))

    assert (totals.amount, totals.saving) == (D(net), Saving(D(net), D(net), 1))
    assert [row.amount for row in spend.by_category(year(buyer, currency))] == [D(net)]


def test_currencies_are_never_added(buyer: Organisation, first: Organisation, steel: Heading) -> None:
    for currency, price in [("USD", "5.00"), ("EUR", "7.00"), ("USD", "6.00")]:
        signed_contract(buyer, first, {steel: price}, signed_at=MAY, currency=currency)

    assert spend.currencies(buyer.pk) == [("USD", 2), ("EUR", 1)]
    assert (spend.totals(year(buyer, "USD")).amount, spend.totals(year(buyer)).amount) == (D("11"), D("7"))
    assert [(row.key, row.amount) for row in spend.accounts_totals([buyer.pk], SINCE)[buyer.pk]] == [
        ("USD", D("11")),
        ("EUR", D("7")),
    ]


@pytest.mark.usefixtures("bought")
def test_every_row_opens_to_the_contracts_it_is_made_of(
    buyer: Organisation, first: Organisation, second: Organisation
) -> None:
    def amounts(**narrowed: Any) -> list[D]:
        return [row.net for row in spend.listed(year(buyer, **narrowed)).order_by("signed_at")]

    assert amounts() == [D("810"), D("100")]
    assert amounts(month=date(2026, 3, 1)) == [D("810")]
    assert amounts(supplier_id=second.pk) == [D("100")]
    assert amounts(procedure="rfq_open") == [D("100")]
    assert amounts(category="14") == [D("810")]
    parts = [row.part for row in spend.listed(year(buyer, category="44")).order_by("signed_at")]  # type: ignore[attr-defined]
    assert parts == [D("270"), D("100")]


def test_an_account_without_contracts_has_empty_rollups(buyer: Organisation) -> None:
    totals = spend.totals(year(buyer))

    assert (totals.amount, totals.contracts, totals.saving.share) == (D(0), 0, None)
    assert (spend.by_month(year(buyer)), spend.by_category(year(buyer)), spend.by_supplier(year(buyer))) == ({}, [], [])
