"""Money: an exact amount with its currency. A float near a price is a bug, so floats are refused."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

from babel.core import get_global
from babel.numbers import get_currency_precision

MAX_DIGITS = 20
DECIMAL_PLACES = 4


class CurrencyMismatch(ValueError):
    """Two amounts of different currencies were added or compared: there is no rate here."""


def is_currency(code: str) -> bool:
    """Whether `code` is an ISO 4217 currency known to the CLDR."""
    return code in get_global("all_currencies")


def minor_unit(currency: str) -> Decimal:
    """The smallest amount of the currency: 0.01 for EUR, 1 for JPY, 0.001 for BHD (CLDR)."""
    return Decimal(1).scaleb(-get_currency_precision(currency))


def parse_decimal(text: str) -> Decimal:
    """The exact decimal in `text`. Digits of any script, spaces and apostrophes as grouping are taken.

    A comma is a decimal separator when it is the only mark and at most two digits follow, else grouping ("1,234.50"); a
    point likewise in "1.234,50". Raises ValueError for anything that can be read in two ways or not at all.
    """
    plain = "".join(str(unicodedata.decimal(c)) if c.isdecimal() and not c.isascii() else c for c in text.strip())
    plain = plain.translate({0x066B: ".", 0x066C: ",", 0x2212: "-", 0x2019: None, 0x27: None})
    plain = "".join(c for c in plain if not c.isspace() and c not in "\u200e\u200f\u061c")
    commas, points = plain.count(","), plain.count(".")
    if commas and points:
        plain = _without_grouping(plain, *((",", ".") if plain.rfind(".") > plain.rfind(",") else (".", ",")))
    elif commas:
        tail = plain.rsplit(",", 1)[1]
        plain = plain.replace(",", ".") if commas == 1 and len(tail) <= 2 else _without_grouping(plain, ",", ".")
    elif points > 1:
        plain = _without_grouping(plain, ".", ",")
    try:
        value = Decimal(plain)
    except InvalidOperation:
        raise ValueError(f"not a number: {text!r}") from None
    if not value.is_finite() or "e" in plain.lower() or "_" in plain:
        raise ValueError(f"not a number: {text!r}")
    return value


def _without_grouping(text: str, group: str, point: str) -> str:
    whole, _, fraction = text.partition(point)
    head, *groups = whole.lstrip("-+").split(group)
    if not 1 <= len(head) <= 3 or any(len(part) != 3 for part in groups) or group in fraction or point in fraction:
        raise ValueError(f"not a number: {text!r}")
    return whole.replace(group, "") + ("." + fraction if fraction else "")


@dataclass(frozen=True, slots=True)
class Money:
    """An exact amount in an ISO 4217 currency. Arithmetic never rounds; `rounded` does, half up, where a rule says."""

    amount: Decimal
    currency: str

    def __post_init__(self) -> None:
        if not isinstance(self.amount, Decimal):
            raise TypeError(f"an amount is a Decimal, not {type(self.amount).__name__}")
        if not self.amount.is_finite():
            raise ValueError("an amount is finite")
        if not is_currency(self.currency):
            raise ValueError(f"unknown currency {self.currency!r}")

    def _same(self, other: Money) -> None:
        if self.currency != other.currency:
            raise CurrencyMismatch(f"{self.currency} and {other.currency}")

    def __add__(self, other: Money) -> Money:
        self._same(other)
        return Money(self.amount + other.amount, self.currency)

    def __sub__(self, other: Money) -> Money:
        self._same(other)
        return Money(self.amount - other.amount, self.currency)

    def __mul__(self, factor: Decimal | int) -> Money:
        if isinstance(factor, float):
            raise TypeError("money is multiplied by a Decimal or an int")
        return Money(self.amount * factor, self.currency)

    def __lt__(self, other: Money) -> bool:
        self._same(other)
        return self.amount < other.amount

    def __le__(self, other: Money) -> bool:
        self._same(other)
        return self.amount <= other.amount

    def rounded(self) -> Money:
        """This amount in whole minor units, half up."""
        return Money(self.amount.quantize(minor_unit(self.currency), ROUND_HALF_UP), self.currency)

    @property
    def is_whole(self) -> bool:
        """Whether the amount is a whole number of the currency's minor units."""
        return self.amount == self.amount.quantize(minor_unit(self.currency), ROUND_HALF_UP)

    def as_string(self) -> str:
        """The amount as JSON carries it: at least the currency's minor units, no exponent, no grouping."""
        digits = get_currency_precision(self.currency)
        exponent = self.amount.normalize().as_tuple().exponent
        places = max(digits, -exponent if isinstance(exponent, int) else 0)
        return f"{self.amount:.{places}f}"

    def __str__(self) -> str:
        return f"{self.as_string()} {self.currency}"
