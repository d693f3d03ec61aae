from datetime import UTC, datetime
from decimal import Decimal as D
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from analytics.queries import accounts as queries
from analytics.queries.accounts import Period, Slice
from marketplace.models import Organisation, Role, StaffRole
from marketplace.shared import clock
from procurement.rules.lifecycle import ContractStatus
from tests.factories.contracts import signed_contract
from tests.factories.marketplace import HeadingFactory, OrganisationFactory, member, staff

NOW = datetime(2026, 6, 15, 9, tzinfo=UTC)
YEAR = Period(datetime(2025, 7, 1, tzinfo=UTC), NOW)
pytestmark = pytest.mark.django_db


@pytest.fixture
def buyer() -> Organisation:
    return OrganisationFactory.create(is_buyer=True, short_name="Hallerbach")


@pytest.fixture
def representative(client: Client) -> Client:
    person = staff(StaffRole.REPRESENTATIVE).person
    assert person is not None
    client.force_login(person)
    return client


def _spend(buyer: Organisation) -> tuple[Any, Any, Any, Any]:
    steel, paint = HeadingFactory.create(name="Steel"), HeadingFactory.create(name="Paint")
    first = OrganisationFactory.create(is_supplier=True, short_name="First")
    second = OrganisationFactory.create(is_supplier=True, short_name="Second")
    march, may = datetime(2026, 3, 31, 23, 59, tzinfo=UTC), datetime(2026, 5, 1, tzinfo=UTC)
    signed_contract(buyer, first, {steel: "600.00", paint: "300.00"}, signed_at=march, amount="810.00")
    signed_contract(buyer, second, {paint: "100.00"}, signed_at=may, limit_price=None)
    # None of these counts: not yet signed, terminated, another buyer's, before the period.
    signed_contract(buyer, first, {steel: "77.00"}, signed_at=may, status=ContractStatus.SIGNING)
    signed_contract(buyer, first, {steel: "77.00"}, signed_at=may, status=ContractStatus.TERMINATED)
    signed_contract(OrganisationFactory.create(is_buyer=True), first, {steel: "77.00"}, signed_at=may)
    signed_contract(buyer, first, {steel: "77.00"}, signed_at=datetime(2025, 6, 30, 23, 59, tzinfo=UTC))
    return steel, paint, first, second


def test_spend_is_rolled_up_by_month_supplier_and_category(buyer: Organisation) -> None:
    steel, paint, first, second = _spend(buyer)
    contracts = queries.contracts_of(buyer, YEAR, "EUR")

    assert queries.by_month(contracts) == [Slice("2026-03", "", D(810), 1), Slice("2026-05", "", D(100), 1)]
    assert queries.by_supplier(contracts) == [
        Slice(str(first.pk), "First", D(810), 1),
        Slice(str(second.pk), "Second", D(100), 1),
    ]
    # 810 shared out as the lines were: two thirds steel.
    assert queries.by_category(contracts, "EUR") == [
        Slice(steel.code, "Steel", D(540), 1),
        Slice(paint.code, "Paint", D(370), 2),
    ]


def test_the_account_page_shows_the_figures(representative: Client, buyer: Organisation) -> None:
    _spend(buyer)
    with clock.frozen(NOW):
        page = representative.get(reverse("insights_account", args=[buyer.pk])).content.decode()

    assert "910.00" in page
    assert "190.00" in page  # saved: 1,000 less 810
    assert "19.0 % of the limit price of 1 contract" in page
    assert "540.00" in page


def test_a_figure_opens_to_its_contracts(representative: Client, buyer: Organisation) -> None:
    steel, paint, _first, second = _spend(buyer)
    address = reverse("insights_contracts", args=[buyer.pk])
    with clock.frozen(NOW):
        of_paint = representative.get(address, {"category": paint.code}).context["list"].rows
        of_march = representative.get(address, {"month": "2026-03"}).context["list"].rows
        of_second = representative.get(address, {"supplier": str(second.pk), "category": steel.code}).context["list"]
        nonsense = representative.get(address, {"month": "never", "supplier": "²"}).context["list"].rows

    assert [contract.amount for contract in of_paint] == [D(100), D(810)]
    assert [contract.amount for contract in of_march] == [D(810)]
    assert of_second.rows == []
    assert len(nonsense) == 2


def test_the_contracts_can_be_exported(representative: Client, buyer: Organisation) -> None:
    _spend(buyer)
    with clock.frozen(NOW):
        answer = representative.get(reverse("insights_contracts", args=[buyer.pk]), {"format": "csv"})
    lines = b"".join(answer.streaming_content).decode().splitlines()  # type: ignore[attr-defined]

    assert len(lines) == 3
    assert "810.0000" in lines[2]


def test_an_account_without_contracts_says_so(representative: Client, buyer: Organisation) -> None:
    assert b"No contracts in this period" in representative.get(reverse("insights_account", args=[buyer.pk])).content


@pytest.mark.parametrize("route", ["insights", "insights_account", "insights_contracts"])
def test_nobody_but_representatives_is_told_that_the_pages_exist(
    client: Client, buyer: Organisation, route: str
) -> None:
    address = reverse(route, args=[] if route == "insights" else [buyer.pk])
    others = [member(buyer, *Role), staff(StaffRole.OPERATOR, StaffRole.TARIFF_MANAGER, StaffRole.AUDITOR)]

    for actor in others:
        assert actor.person is not None
        client.force_login(actor.person)
        assert client.get(address).status_code == 404


def test_a_supplier_is_no_buyer_account(representative: Client) -> None:
    supplier = OrganisationFactory.create(is_supplier=True)

    assert representative.get(reverse("insights_account", args=[supplier.pk])).status_code == 404


@pytest.mark.parametrize("sort", ["", "name"])
def test_the_list_of_accounts_costs_the_same_for_three(
    representative: Client, django_assert_num_queries: Any, django_assert_max_num_queries: Any, sort: str
) -> None:
    address = reverse("insights")
    OrganisationFactory.create(is_buyer=True)
    with django_assert_max_num_queries(12) as first:
        representative.get(address, {"sort": sort})
    OrganisationFactory.create_batch(2, is_buyer=True)
    with django_assert_num_queries(len(first)):
        rows = representative.get(address, {"sort": sort}).context["rows"]
    assert len(rows) == 3


def test_the_account_page_costs_the_same_for_many_contracts(
    representative: Client, buyer: Organisation, django_assert_num_queries: Any, django_assert_max_num_queries: Any
) -> None:
    heading, supplier = HeadingFactory.create(), OrganisationFactory.create(is_supplier=True)
    signed_contract(buyer, supplier, {heading: "5"}, signed_at=NOW)
    address = reverse("insights_account", args=[buyer.pk])
    with clock.frozen(NOW):
        with django_assert_max_num_queries(20) as first:
            representative.get(address)
        for _ in range(2):
            signed_contract(buyer, supplier, {heading: "5"}, signed_at=NOW)
        with django_assert_num_queries(len(first)):
            representative.get(address)
