"""Numbers that name an organisation, country by country."""

from __future__ import annotations

import pytest

from marketplace.identifiers import check, clean, numbers_of

COUNTRIES = "AE AM AU AZ BR BY CA CH CN GE IN IR JP KR KZ LA MX NO SG TH TR UA US UZ VN".split()  # noqa: SIM905  a table
SBERBANK = {"INN": "7707083893", "KPP": "773601001", "OGRN": "1027700132195"}


@pytest.mark.parametrize("country", COUNTRIES)
def test_the_example_of_a_country_is_valid(country: str) -> None:
    (number,) = numbers_of(country)
    assert check(country, {"TIN": number.example})[1] == {}


@pytest.mark.parametrize(
    ("country", "values", "found"),
    [
        ("RU", SBERBANK, SBERBANK),
        ("RU", {"INN": "500100732259", "OGRN": "304500116000157"}, {"INN": "500100732259", "OGRN": "304500116000157"}),
        ("DE", {"VAT": "de 136 695 976"}, {"VAT": "DE136695976"}),
        ("DE", {"VAT": "136695976"}, {"VAT": "DE136695976"}),
        ("GR", {"VAT": "094259216"}, {"VAT": "EL094259216"}),
        ("DE", {"NTR": "HRB 11223 München"}, {"NTR": "HRB11223MÜNCHEN"}),
        ("GB", {"NTR": "sc123456", "VAT": "980 7806 84"}, {"NTR": "SC123456", "VAT": "GB980780684"}),
        ("TH", {"TIN": "๐๑๐๗๕๔๔๐๐๐๑๐๘"}, {"TIN": "0107544000108"}),
        ("ZW", {"TIN": "12-34 56"}, {"TIN": "123456"}),
    ],
)
def test_a_valid_number_is_normalised(country: str, values: dict[str, str], found: dict[str, str]) -> None:
    assert check(country, values) == (found, {})


@pytest.mark.parametrize(
    ("country", "values", "wrong"),
    [
        ("RU", SBERBANK | {"INN": "7707083894"}, {"INN": "mistyped"}),
        ("RU", SBERBANK | {"INN": "77070838"}, {"INN": "10 digits"}),
        ("RU", SBERBANK | {"KPP": "77360100"}, {"KPP": "9 characters"}),
        ("RU", SBERBANK | {"KPP": ""}, {"KPP": "has a KPP"}),
        ("RU", SBERBANK | {"OGRN": "1027700132194"}, {"OGRN": "mistyped"}),
        ("RU", SBERBANK | {"OGRN": "304500116000157"}, {"OGRN": "13 digits"}),
        ("RU", {"INN": "500100732259", "KPP": "773601001", "OGRN": "304500116000157"}, {"KPP": "no KPP"}),
        ("RU", {}, {"INN": "Enter", "OGRN": "Enter"}),
        ("DE", {"VAT": "DE136695977"}, {"VAT": "mistyped"}),
        ("DE", {"VAT": "FR40303265045"}, {"VAT": "begins with"}),
        ("DE", {}, {"VAT": "or the trade register"}),
        ("GB", {"NTR": "123"}, {"NTR": "8 characters"}),
        ("TH", {"TIN": "0107544000109"}, {"TIN": "mistyped"}),
        ("KZ", {"TIN": "940140000386"}, {"TIN": "mistyped"}),
        ("IR", {"TIN": "10380284791"}, {"TIN": "mistyped"}),
        ("ZW", {"TIN": "¾"}, {"TIN": "4 to 30"}),
    ],
)
def test_a_wrong_number_is_told_in_words(country: str, values: dict[str, str], wrong: dict[str, str]) -> None:
    _found, told = check(country, values)
    assert set(told) == set(wrong)
    for scheme, words in wrong.items():
        assert words in str(told[scheme])
        assert scheme not in _found


def test_separators_and_scripts_do_not_matter() -> None:
    assert clean(" ٧٧-07.08\u00a03893 ") == "7707083893"
