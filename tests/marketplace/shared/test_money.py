from decimal import Decimal

import pytest

from marketplace.shared.money import CurrencyMismatch, Money, minor_unit, parse_decimal


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1234.50", "1234.50"),
        ("1,234.50", "1234.50"),
        ("1.234,50", "1234.50"),
        ("1 234,50", "1234.50"),
        ("1\u202f234,5", "1234.5"),
        ("1'234.50", "1234.50"),
        ("12,5", "12.5"),
        ("1,234", "1234"),
        ("1.234.567", "1234567"),
        ("0.1", "0.1"),
        ("١٢٣٤٫٥", "1234.5"),
        ("۱۲۳", "123"),
        ("๑๒.๕", "12.5"),
        ("\u22125", "-5"),
        (" 7 ", "7"),
    ],
)
def test_a_number_is_read_as_people_write_it(text: str, value: str) -> None:
    assert parse_decimal(text) == Decimal(value)


@pytest.mark.parametrize(
    "text",
    ["", "abc", "1e5", "NaN", "Infinity", "1_000", "1,23,45", "1.2.3", "12,34.56.78", "--1", "1,2345,678", "5²", "①0"],
)
def test_what_can_be_read_in_two_ways_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a number"):
        parse_decimal(text)


def test_a_float_is_not_an_amount() -> None:
    with pytest.raises(TypeError):
        Money(0.1, "EUR")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        Money(Decimal(1), "EUR") * 0.1  # type: ignore[operator]


def test_currencies_do_not_mix() -> None:
    with pytest.raises(CurrencyMismatch):
        Money(Decimal(1), "EUR") + Money(Decimal(1), "USD")


def test_an_unknown_currency_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown currency"):
        Money(Decimal(1), "XQX")


@pytest.mark.parametrize(("currency", "unit"), [("EUR", "0.01"), ("JPY", "1"), ("BHD", "0.001")])
def test_minor_unit_is_the_currencys(currency: str, unit: str) -> None:
    assert minor_unit(currency) == Decimal(unit)


def test_rounding_is_half_up_in_minor_units() -> None:
    assert Money(Decimal("2.345"), "EUR").rounded() == Money(Decimal("2.35"), "EUR")
    assert Money(Decimal("2.5"), "JPY").rounded() == Money(Decimal("3"), "JPY")


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [("1000", "EUR", "1000.00"), ("0.3000", "EUR", "0.30"), ("1E+3", "JPY", "1000"), ("1.2345", "EUR", "1.2345")],
)
def test_json_carries_minor_units_always(amount: str, currency: str, text: str) -> None:
    assert Money(Decimal(amount), currency).as_string() == text
