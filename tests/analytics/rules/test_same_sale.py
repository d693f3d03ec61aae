"""When a sale of a company's own system is a contract on the platform, worked out by hand."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from analytics.rules.same_sale import Sale, pairs

SIGNED, DELIVERED = date(2026, 5, 10), date(2026, 6, 10)


def sale(number: str, amount: str = "119.40", day: date = SIGNED, *quantities: str, last: date | None = None) -> Sale:
    found = tuple(Decimal(one) for one in quantities or ("2", "10"))
    return Sale(number, day, last or day, Decimal(amount), found)


CONTRACT = sale("OL-1")


def test_the_same_money_and_quantities_of_fitting_days_are_one_sale() -> None:
    # 10.0000 pieces are 10.
    assert pairs([sale("R-1", "119.40", date(2026, 5, 20), "2.0000", "10.0000")], [CONTRACT]) == [("R-1", "OL-1")]


@pytest.mark.parametrize(
    "order",
    [
        sale("R-1", "119.41"),
        sale("R-1", "119.40", SIGNED, "12"),
        sale("R-1", "119.40", SIGNED, "2", "11"),
        sale("R-1", "119.40", date(2026, 5, 2)),  # eight days before
        sale("R-1", "119.40", date(2026, 6, 25)),  # 46 days after
    ],
)
def test_whatever_speaks_against_it_leaves_two_sales(order: Sale) -> None:
    assert pairs([order], [CONTRACT]) == []


def test_the_last_days_that_fit_are_a_week_before_and_45_after_the_last_delivery() -> None:
    contract = sale("OL-1", "119.40", SIGNED, last=DELIVERED)
    for day in (date(2026, 5, 3), date(2026, 7, 25)):
        assert pairs([sale("R-1", "119.40", day)], [contract]) == [("R-1", "OL-1")]
    assert pairs([sale("R-1", "119.40", date(2026, 7, 26))], [contract]) == []


def test_of_two_that_fit_none_is_taken() -> None:
    assert pairs([sale("R-1"), sale("R-2", "119.40", date(2026, 6, 1))], [CONTRACT]) == []
    assert pairs([sale("R-1")], [CONTRACT, sale("OL-2", "119.40", date(2026, 5, 12))]) == []
    # Another one that fits nothing else is not hindered.
    others = [sale("R-1"), sale("R-2"), sale("R-3", "7.00", SIGNED, "1")]
    assert pairs(others, [CONTRACT, sale("OL-3", "7.00", SIGNED, "1")]) == [("R-3", "OL-3")]


def test_what_a_person_said_are_two_sales_stays_apart_and_decides_the_rest() -> None:
    two = [sale("R-1"), sale("R-2", "119.40", date(2026, 6, 1))]
    assert pairs(two, [CONTRACT], {("R-2", "OL-1")}) == [("R-1", "OL-1")]
    assert pairs(two[:1], [CONTRACT], {("R-1", "OL-1")}) == []
