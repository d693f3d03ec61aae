"""Dates and numbers as people write them. What a whole column shows decides what one value leaves open.

A date that can be read in one way only is read so, whatever the rest of its column looks like; the column's order
decides between day and month only where both are possible. The same holds for commas and points in numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

EARLIEST, LATEST = date(1970, 1, 1), date(2100, 1, 1)
_EXCEL_ZERO = date(1899, 12, 30)
_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            *("jan january", "feb february", "mar march", "apr april", "may", "jun june", "jul july"),
            *("aug august", "sep sept september", "oct october", "nov november", "dec december"),
        ),
        1,
    )
    for name in names.split()
}
_TIME = re.compile(
    r"[T\s]+\d{1,2}[:.]\d{2}([:.]\d{2}([.,]\d+)?)?\s*([AaPp]\.?[Mm]\.?)?\s*(Z|UTC|GMT|[+-]\d{2}:?\d{2})?$"
)
_NUMBERS = re.compile(r"(\d{1,4})[-/. ](\d{1,2})[-/. ](\d{1,4})\.?")
_NAMED = re.compile(r"(\d{1,2})[-/., ]*([A-Za-z]{3,9})\.?[-/., ]*(\d{4}|\d{2})")
_NAMED_FIRST = re.compile(r"([A-Za-z]{3,9})\.? *(\d{1,2})(?:st|nd|rd|th)?,? +(\d{4})")
# Signs and words that stand for one currency as far as trade goes, in capitals; dollars, crowns, ¥ may be of several.
CURRENCIES = {
    "€": "EUR", "EURO": "EUR", "EUROS": "EUR", "£": "GBP", "US$": "USD", "$US": "USD", "₽": "RUB", "РУБ": "RUB",
    "РУБ.": "RUB", "ЕВРО": "EUR", "ZŁ": "PLN", "KČ": "CZK", "₹": "INR", "₴": "UAH", "₸": "KZT", "฿": "THB",
    "₭": "LAK", "﷼": "IRR", "₫": "VND", "₩": "KRW", "₪": "ILS", "₺": "TRY",
}  # fmt: skip
_SIGNS = "$€£¥₽₹₴₸฿₭﷼₫₩₪₺"
_WEEKDAY = re.compile(r"^(mon|tue|wed|thu|fri|sat|sun)[a-z]*[., ]+", re.IGNORECASE)


class DayMonth(StrEnum):
    """Which comes first in 03/04/2011."""

    DAY = "dmy"
    MONTH = "mdy"


class Decimals(StrEnum):
    POINT = "point"
    COMMA = "comma"


@dataclass(frozen=True, slots=True)
class Amount:
    value: float
    currency: str = ""  # what stood beside the number, in capitals: of a sign that stands for one currency, its code


def day_of(text: str, order: DayMonth) -> date | None:
    """The local date of a date or moment; None if it is none, or lies outside 1970 to 2099. Zones are not converted."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        return _plausible(_of_digits(text))
    text = _WEEKDAY.sub("", _TIME.sub("", text))
    if found := _NUMBERS.fullmatch(text):
        return _plausible(_of_numbers(found[1], found[2], found[3], DayMonth.DAY if "." in text else order))
    if found := _NAMED.fullmatch(text):
        return _plausible(_date(_year(found[3]), _MONTHS.get(found[2].lower(), 0), int(found[1])))
    if found := _NAMED_FIRST.fullmatch(text):
        return _plausible(_date(_year(found[3]), _MONTHS.get(found[1].lower(), 0), int(found[2])))
    return None


def day_month_order(texts: Iterable[str]) -> tuple[DayMonth | None, float]:
    """The order that a column of dates shows by days above 12, None if it shows none; and of the dates that show one,
    the share that has the other order."""
    day_first = month_first = 0
    for text in texts:
        found = _NUMBERS.fullmatch(_TIME.sub("", text.strip()))
        if found and len(found[1]) <= 2 and "." not in found[0]:  # with points, the day always goes first
            first, second = int(found[1]), int(found[2])
            day_first += 12 < first <= 31 and second <= 12
            month_first += 12 < second <= 31 and first <= 12
    if not day_first and not month_first:
        return None, 0.0
    share = min(day_first, month_first) / (day_first + month_first)
    return (DayMonth.DAY if day_first >= month_first else DayMonth.MONTH), share


def is_open_to_both(text: str) -> bool:
    """Whether day and month could be exchanged in it."""
    found = _NUMBERS.fullmatch(_TIME.sub("", text.strip()))
    if not found or len(found[1]) > 2 or "." in found[0]:
        return False
    first, second = int(found[1]), int(found[2])
    return first != second and max(first, second) <= 12


def amount_of(text: str, decimals: Decimals) -> Amount | None:
    """A number that may have a sign, brackets for minus, a currency, marks between thousands, digits of any script."""
    text = "".join(_digit(c) for c in text.strip())
    currency = "".join(c for c in text if c.isalpha() or c in _SIGNS).upper()
    bare = "".join(c for c in text if c in "0123456789.,-+()")
    if len(currency) > 4 or len(bare) + len(currency) < len(re.sub(r"[\s'’\u00a0\u202f٬]", "", text)):
        return None
    minus = bare.startswith("-") or bare.endswith("-") or (bare.startswith("(") and bare.endswith(")"))
    bare = bare.strip("-+()")
    if not re.fullmatch(r"\d[\d.,]*|[.,]\d+", bare):
        return None
    number = _plain(bare, decimals)
    if number is None:
        return None
    return Amount(-number if minus else number, CURRENCIES.get(currency, currency))


def decimals_of(texts: Iterable[str]) -> Decimals | None:
    """What a column of numbers uses before its fractions, by the values that leave no doubt; None if all do."""
    votes = 0
    for text in texts:
        bare = "".join(c for c in text if c in "0123456789.,")
        mark = _surely_decimal(bare)
        votes += (mark == ",") - (mark == ".")
    return None if votes == 0 else Decimals.COMMA if votes > 0 else Decimals.POINT


def _surely_decimal(bare: str) -> str | None:
    last = max(bare.rfind(","), bare.rfind("."))
    if last < 0:
        return None
    mark = bare[last]
    other = "." if mark == "," else ","
    if other in bare:
        return mark if bare.count(mark) == 1 else None
    if bare.count(mark) > 1:
        return other  # 1,234,567 groups by commas
    return None if len(bare) - last - 1 == 3 and 0 < last <= 3 and bare[0] != "0" else mark


def _plain(bare: str, decimals: Decimals) -> float | None:
    mark = _surely_decimal(bare) or ("," if decimals is Decimals.COMMA else ".")
    other = "." if mark == "," else ","
    whole, _point, fraction = bare.replace(other, "").partition(mark)
    return float(f"{whole or 0}.{fraction or 0}") if "," not in fraction and "." not in fraction else None


def _digit(character: str) -> str:
    if character == "٫":
        return "."
    return str(int(character)) if character.isdecimal() else "-" if character == "−" else character


def _of_digits(text: str) -> date | None:
    if len(text) in (8, 12, 14):
        return _date(int(text[:4]), int(text[4:6]), int(text[6:8]))
    if len(text) in (10, 13, 16, 19):
        return date(1970, 1, 1) + timedelta(seconds=int(text[:10]))
    if len(text) == 5:
        return _EXCEL_ZERO + timedelta(days=int(text))
    return None


def _of_numbers(first: str, second: str, third: str, order: DayMonth) -> date | None:
    if len(first) >= 3:
        return _date(int(first), int(second), int(third)) if len(first) == 4 and len(third) <= 2 else None
    year, a, b = _year(third), int(first), int(second)
    day_first, month_first = _date(year, b, a), _date(year, a, b)
    return (day_first or month_first) if order is DayMonth.DAY else (month_first or day_first)


def _year(text: str) -> int:
    if len(text) == 4:
        return int(text)
    return int(text) + (2000 if int(text) < 70 else 1900) if len(text) == 2 else 0


def _date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _plausible(when: date | None) -> date | None:
    return when if when is not None and EARLIEST <= when < LATEST else None
