from datetime import date
from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.rules.spend import Deal, Saving, allocate, months, percent, saving


def test_saving_counts_only_contracts_with_a_limit_price() -> None:
    deals = [Deal(D("90.00"), D("100.00")), Deal(D("40.00"), None), Deal(D("55.50"), D("60.00"))]

    assert saving(deals) == Saving(D("14.50"), D("9.06"), 2)


def test_saving_is_unknown_without_limit_prices() -> None:
    assert saving([Deal(D(10), None)]) is None
    assert saving([]) is None


def test_a_contract_above_its_limit_is_a_negative_saving() -> None:
    assert saving([Deal(D(110), D(100))]) == Saving(D(-10), D("-10.00"), 1)


@pytest.mark.parametrize(
    ("part", "whole", "expected"), [("1", "3", "33.33"), ("2", "3", "66.67"), ("1", "800", "0.13"), ("5", "0", "0.00")]
)
def test_percent_rounds_half_up(part: str, whole: str, expected: str) -> None:
    assert percent(D(part), D(whole)) == D(expected)


def test_allocate_gives_the_units_left_over_to_the_largest_remainders() -> None:
    assert allocate(D("100.00"), {"a": D(1), "b": D(1), "c": D(1)}, D("0.01")) == {
        "a": D("33.34"),
        "b": D("33.33"),
        "c": D("33.33"),
    }


@given(
    st.decimals(min_value=0, max_value=10**9, places=2),
    st.dictionaries(st.text("abc", min_size=1), st.decimals(min_value=0, max_value=10**9, places=4), max_size=6),
)
def test_allocated_shares_add_up_and_are_close_to_exact(total: D, parts: dict[str, D]) -> None:
    shares = allocate(total, parts, D("0.01"))

    if any(parts.values()):
        assert sum(shares.values()) == total
        whole = sum(parts.values())
        assert all(abs(share - total * parts[name] / whole) < D("0.011") for name, share in shares.items())
    else:
        assert shares == {}


def test_months_fill_the_gap_over_a_year_end() -> None:
    assert list(months(date(2025, 11, 20), date(2026, 2, 1))) == [
        date(2025, 11, 1),
        date(2025, 12, 1),
        date(2026, 1, 1),
        date(2026, 2, 1),
    ]
