from datetime import date
from decimal import Decimal as D

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.rules.spend import Saving, apportion, first_of_period, months, share


def test_a_saving_is_a_share_of_the_limit_prices() -> None:
    saving = Saving(limit=D("160.00"), amount=D("145.50"), contracts=2)

    assert (saving.saved, saving.share) == (D("14.50"), D("0.091"))


def test_a_contract_above_its_limit_is_a_negative_saving() -> None:
    assert Saving(D(100), D(110), 1).share == D("-0.100")


def test_without_limit_prices_there_is_no_share() -> None:
    assert Saving().share is None


@pytest.mark.parametrize(
    ("part", "whole", "expected"), [("1", "3", "0.333"), ("2", "3", "0.667"), ("1", "2000", "0.001"), ("0", "5", "0")]
)
def test_a_share_is_rounded_half_up_to_a_tenth_of_a_percent(part: str, whole: str, expected: str) -> None:
    assert share(D(part), D(whole)) == D(expected)


def test_the_units_left_over_go_to_the_largest_remainders_the_earlier_first() -> None:
    thirds = [D(100) / 3] * 3

    assert apportion(thirds, D("100.00"), D("0.01")) == [D("33.34"), D("33.33"), D("33.33")]
    assert apportion([D("1.4"), D("1.6")], D(3), D(1)) == [D(1), D(2)]


@settings(deadline=None)
@given(
    st.decimals(min_value=0, max_value=10**9, places=2),
    st.lists(st.decimals(min_value=0, max_value=10**9, places=4), min_size=1, max_size=9),
)
def test_apportioned_parts_add_up_and_stay_within_a_unit(total: D, weights: list[D]) -> None:
    whole = sum(weights)
    if not whole:
        return
    exact = [total * weight / whole for weight in weights]

    parts = apportion(exact, total, D("0.01"))

    assert sum(parts) == total
    assert all(abs(part - wanted) < D("0.0101") for part, wanted in zip(parts, exact, strict=True))


def test_months_run_over_the_end_of_a_year() -> None:
    assert months(date(2025, 11, 20), date(2026, 2, 1)) == [
        date(2025, 11, 1),
        date(2025, 12, 1),
        date(2026, 1, 1),
        date(2026, 2, 1),
    ]


def test_a_period_of_twelve_months_ends_with_the_present_one() -> None:
    assert first_of_period(date(2026, 6, 15), 12) == date(2025, 7, 1)
    assert first_of_period(date(2026, 1, 31), 1) == date(2026, 1, 1)
