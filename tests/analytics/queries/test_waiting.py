from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from analytics.queries import waiting
from marketplace.models import Organisation, StaffRole
from marketplace.shared.money import Money
from marketplace.waiting import Row
from procurement.rules.lifecycle import ContractStatus
from tests.factories.contracts import signed_contract
from tests.factories.marketplace import NOON, HeadingFactory, OrganisationFactory, member, staff

pytestmark = pytest.mark.django_db


def _rows() -> dict[str, list[Row]]:
    return {panel.key: list(panel.rows) for panel in waiting.panels(staff(StaffRole.REPRESENTATIVE), NOON)}


def _buys(buyer: Organisation, days_ago: int, amount: str, **fields: Any) -> None:
    supplier = OrganisationFactory.create(is_supplier=True)
    signed_contract(
        buyer, supplier, {HeadingFactory.create(): amount}, signed_at=NOON - timedelta(days=days_ago), **fields
    )


def test_a_representative_sees_quiet_and_large_accounts() -> None:
    quiet, busy, gone = (
        OrganisationFactory.create(is_buyer=True, short_name=name) for name in ("Quiet", "Busy", "Gone")
    )
    _buys(quiet, 91, "500.00")
    _buys(quiet, 200, "400.00")
    _buys(busy, 100, "119.00", vat_included_at="19")
    _buys(busy, 90, "10.00")
    _buys(busy, 5, "77.00", status=ContractStatus.TERMINATED)
    _buys(gone, 366, "9000.00")

    rows = _rows()

    assert [(row.title, row.at) for row in rows["quiet_accounts"]] == [("Quiet", NOON - timedelta(days=91))]
    assert [(row.title, row.figure) for row in rows["largest_accounts"]] == [
        ("Quiet", Money(Decimal(900), "EUR")),
        ("Busy", Money(Decimal(110), "EUR")),
    ]


def test_nobody_else_is_shown_accounts() -> None:
    for actor in (member(OrganisationFactory.create(is_buyer=True)), staff(StaffRole.OPERATOR, StaffRole.AUDITOR)):
        assert list(waiting.panels(actor, NOON)) == []


def test_the_panels_cost_two_queries(django_assert_num_queries: Any) -> None:
    actor = staff(StaffRole.REPRESENTATIVE)
    for _ in range(3):
        _buys(OrganisationFactory.create(is_buyer=True), 91, "5.00")
    with django_assert_num_queries(2):
        list(waiting.panels(actor, NOON))
