from datetime import date

import pytest

from analytics.features.values import (
    Amount,
    DayMonth,
    Decimals,
    amount_of,
    day_month_order,
    day_of,
    decimals_of,
    is_open_to_both,
)

FOURTH_OF_MARCH = date(2011, 3, 4)


@pytest.mark.parametrize(
    "text",
    [
        "2011-03-04",
        "2011/3/4",
        "2011-03-04 08:26:00",
        "2011-03-04T08:26:00.123Z",
        "2011-03-04T23:59:59+03:00",
        "04.03.2011",
        "4.3.2011 8:26",
        "4/3/2011 8:26 PM",
        "04-Mar-2011",
        "4 March 2011",
        "Mar 4, 2011 08:26",
        "Fri, 4 Mar 2011",
        "04/03/11",
        "20110304",
        "20110304082600",
        "1299225600",
        "1299225600000",
        "40606",
    ],
)
def test_a_date_is_read_in_any_of_its_ways(text: str) -> None:
    assert day_of(text, DayMonth.DAY) == FOURTH_OF_MARCH


@pytest.mark.parametrize("text", ["", "soon", "2011-02-30", "32/13/2011", "2011", "0000-00-00", "2211-01-01", "1"])
def test_what_is_no_date_is_none(text: str) -> None:
    assert day_of(text, DayMonth.DAY) is None


def test_the_order_decides_only_where_both_are_possible() -> None:
    assert day_of("03/04/2011", DayMonth.MONTH) == FOURTH_OF_MARCH
    assert day_of("03/04/2011", DayMonth.DAY) == date(2011, 4, 3)
    assert day_of("03/14/2011", DayMonth.DAY) == date(2011, 3, 14)
    assert day_of("14/03/2011", DayMonth.MONTH) == date(2011, 3, 14)
    assert day_of("04.03.2011", DayMonth.MONTH) == FOURTH_OF_MARCH


def test_a_column_shows_its_order_by_days_above_twelve() -> None:
    assert day_month_order(["01/02/2011", "13/02/2011"]) == (DayMonth.DAY, 0.0)
    assert day_month_order(["01/02/2011", "02/13/2011 10:00"]) == (DayMonth.MONTH, 0.0)
    assert day_month_order(["13/02/2011", "14/02/2011", "02/13/2011", "15/02/2011"]) == (DayMonth.DAY, 0.25)
    assert day_month_order(["01/02/2011", "2011-02-13"]) == (None, 0.0)
    assert day_month_order(["13.02.2011", "02/13/2011"]) == (DayMonth.MONTH, 0.0)  # points: always the day first
    assert is_open_to_both("01/02/2011")
    assert not is_open_to_both("01.02.2011")
    assert not is_open_to_both("2011-01-02")


@pytest.mark.parametrize(
    ("text", "decimals", "value"),
    [
        ("4.25", Decimals.POINT, 4.25),
        ("4,25", Decimals.POINT, 4.25),  # no thousands look so
        ("4.25", Decimals.COMMA, 4.25),
        ("1,234", Decimals.POINT, 1234.0),
        ("1,234", Decimals.COMMA, 1.234),
        ("1.234,56", Decimals.POINT, 1234.56),
        ("1,234.56", Decimals.COMMA, 1234.56),
        ("1 234,5", Decimals.COMMA, 1234.5),
        ("1'234.50", Decimals.POINT, 1234.5),
        ("1,234,567", Decimals.COMMA, 1234567.0),
        ("(4.50)", Decimals.POINT, -4.5),
        ("-4", Decimals.POINT, -4.0),
        ("4-", Decimals.POINT, -4.0),
        ("−4", Decimals.POINT, -4.0),
        (".5", Decimals.POINT, 0.5),
        ("٤٫٢٥", Decimals.POINT, 4.25),
    ],
)
def test_a_number_is_read_in_any_of_its_ways(text: str, decimals: Decimals, value: float) -> None:
    assert amount_of(text, decimals) == Amount(value)


def test_a_currency_beside_the_number_is_kept() -> None:
    assert amount_of("£4.25", Decimals.POINT) == Amount(4.25, "GBP")
    assert amount_of("4,25 eur", Decimals.COMMA) == Amount(4.25, "EUR")


@pytest.mark.parametrize("text", ["", "abc", "12abcde", "4;5", "1.2.3,4,5", "--", "4 pieces"])
def test_what_is_no_number_is_none(text: str) -> None:
    assert amount_of(text, Decimals.POINT) is None


def test_a_column_shows_its_decimals_by_values_that_leave_no_doubt() -> None:
    assert decimals_of(["1,234", "4,25"]) is Decimals.COMMA
    assert decimals_of(["1.234", "4.25"]) is Decimals.POINT
    assert decimals_of(["1,234", "17"]) is None
