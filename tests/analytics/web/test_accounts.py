"""The pages of buyer accounts: what they show, what opens, who gets in."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from marketplace.models import Organisation, Role, StaffRole
from tests.factories.contracts import signed_contract
from tests.factories.marketplace import HeadingFactory, OrganisationFactory, member, staff

NOW = datetime(2026, 6, 15, 9, tzinfo=UTC)
MARCH, MAY = datetime(2026, 3, 31, 23, 59, tzinfo=UTC), datetime(2026, 5, 1, tzinfo=UTC)
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def june(freeze: Any) -> Any:
    return freeze(NOW)


@pytest.fixture
def buyer() -> Organisation:
    return OrganisationFactory.create(is_buyer=True, short_name="Hallerbach")


@pytest.fixture
def representative(client: Client) -> Client:
    person = staff(StaffRole.REPRESENTATIVE).person
    assert person is not None
    client.force_login(person)
    return client


@pytest.fixture
def bought(buyer: Organisation) -> tuple[Organisation, Organisation]:
    steel, paint = HeadingFactory.create(code="14622000"), HeadingFactory.create(code="44810000")
    first = OrganisationFactory.create(is_supplier=True, short_name="First")
    second = OrganisationFactory.create(is_supplier=True, short_name="Second")
    signed_contract(buyer, first, {steel: "600.00", paint: "300.00"}, signed_at=MARCH, amount="810.00")
    signed_contract(buyer, second, {paint: "100.00"}, signed_at=MAY, limit_price=None)
    return first, second


def test_the_account_page_shows_figures_charts_and_tables(
    representative: Client, buyer: Organisation, bought: tuple[Organisation, Organisation]
) -> None:
    page = representative.get(reverse("insights_account", args=[buyer.pk]))
    charts = {chart.id: chart for chart in page.context["charts"]}

    assert [(str(stat.label), str(stat.value), str(stat.note)) for stat in page.context["stats"]] == [
        ("Spend", "910.00 EUR", "without VAT"),
        ("Contracts", "2", ""),
        ("Suppliers", "2", ""),
        ("Saved against limit prices", "190.00 EUR", "19.0% of the limit price of 1 contract"),
    ]
    months = charts["spend-by-month"]
    assert months.option["xAxis"]["data"][0] == "Jul 2025"
    assert months.option["series"][0]["data"] == [0, 0, 0, 0, 0, 0, 0, 0, 810, 0, 100, 0]
    assert [row[1:] for row in months.rows[1:4]] == [
        ("1", "100.00", "—"),
        ("0", "0.00", "—"),
        ("1", "810.00", "190.00"),
    ]
    assert [row[1:] for row in charts["spend-by-category"].rows] == [("1", "540.00", "59.3%"), ("2", "370.00", "40.7%")]
    assert [row[1:] for row in charts["procedures"].rows] == [("2", "910.00", "190.00", "19.0%")]
    assert "Open request for quotations" in page.content.decode()


def test_every_linked_figure_opens_to_its_contracts(
    representative: Client, buyer: Organisation, bought: tuple[Organisation, Organisation]
) -> None:
    address = reverse("insights_contracts", args=[buyer.pk])

    def shown(**query: str) -> list[tuple[str, str]]:
        rows = representative.get(address, query).context["rows"]
        return [(str(net), str(part or "")) for _row, net, _limit, part in rows]

    assert shown(category="44") == [("100.00 EUR", "100.00 EUR"), ("810.00 EUR", "270.00 EUR")]
    assert shown(month="2026-03") == [("810.00 EUR", "")]
    assert shown(supplier=str(bought[1].pk)) == [("100.00 EUR", "")]
    assert shown(supplier=str(bought[1].pk), category="14") == []
    assert shown(procedure="auction_english_reverse") == []
    assert shown(month="never", supplier="²", category="<b>") == [("100.00 EUR", ""), ("810.00 EUR", "")]
    assert shown(months="3") == [("100.00 EUR", "")]


def test_the_contracts_can_be_exported(
    representative: Client, buyer: Organisation, bought: tuple[Organisation, Organisation]
) -> None:
    answer = representative.get(reverse("insights_contracts", args=[buyer.pk]), {"format": "csv", "category": "44"})
    lines = b"".join(answer.streaming_content).decode("utf-8-sig").splitlines()  # type: ignore[attr-defined]

    assert len(lines) == 3
    assert lines[2].endswith(",2026-03-31 23:59:00,810.00,1000.00,270.00,EUR")


def test_the_list_of_accounts_has_the_last_twelve_months(
    representative: Client, buyer: Organisation, bought: tuple[Organisation, Organisation]
) -> None:
    OrganisationFactory.create(is_buyer=True, short_name="Zeller")
    OrganisationFactory.create(is_supplier=True)

    rows = representative.get(reverse("insights_accounts")).context["rows"]
    found = representative.get(reverse("insights_accounts"), {"q": "hallerb"}).context["rows"]

    assert [
        (account.short_name, [(str(money), saved) for money, saved in spent], count, last)
        for account, spent, count, last in rows
    ] == [("Hallerbach", [("910.00 EUR", "19.0%")], 2, MAY), ("Zeller", [], 0, None)]
    assert [row[0] for row in found] == [buyer]


def test_an_account_without_contracts_says_so(representative: Client, buyer: Organisation) -> None:
    assert b"No contracts in this period" in representative.get(reverse("insights_account", args=[buyer.pk])).content


@pytest.mark.parametrize("route", ["insights_accounts", "insights_account", "insights_contracts"])
def test_nobody_but_representatives_is_told_that_the_pages_exist(
    client: Client, buyer: Organisation, route: str
) -> None:
    address = reverse(route, args=[] if route == "insights_accounts" else [buyer.pk])
    others = [member(buyer, *Role), staff(StaffRole.OPERATOR, StaffRole.TARIFF_MANAGER, StaffRole.AUDITOR)]

    assert client.get(address).status_code == 302
    for actor in others:
        assert actor.person is not None
        client.force_login(actor.person)
        assert client.get(address).status_code == 404


def test_a_supplier_is_no_buyer_account(representative: Client) -> None:
    supplier = OrganisationFactory.create(is_supplier=True)

    assert representative.get(reverse("insights_account", args=[supplier.pk])).status_code == 404


@pytest.mark.parametrize("route", ["insights_accounts", "insights_account", "insights_contracts"])
def test_a_page_costs_the_same_for_three_rows_as_for_one(
    representative: Client, buyer: Organisation, route: str
) -> None:
    address, counts = reverse(route, args=[] if route == "insights_accounts" else [buyer.pk]), []
    for number in range(3):
        heading = HeadingFactory.create(code=f"{14 + number}600000")
        supplier = OrganisationFactory.create(is_supplier=True, is_buyer=True)
        signed_contract(buyer, supplier, {heading: "5.00"}, signed_at=MAY)
        signed_contract(supplier, buyer, {heading: "5.00"}, signed_at=MAY)
        with CaptureQueriesContext(connection) as queries:
            assert representative.get(address).status_code == 200
        counts.append(len(queries))

    assert counts[0] == counts[2]
    assert counts[0] <= 16
