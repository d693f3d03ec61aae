"""Reading a scenario field by field: whatever is wrong with one is refused with its path."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Any, Final, TypeVar

from procurement.rules.auction.judging import refused_for_shape

START: Final = datetime(2000, 1, 1, tzinfo=UTC)
LONGEST_SECONDS: Final = 10**9
_DECIMAL: Final = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,20})?", re.ASCII)
_AMOUNT: Final = re.compile(r"-?[0-9]{1,100}(\.[0-9]{1,100})?", re.ASCII)
_FINEST_SECONDS: Final = -30

Choice = TypeVar("Choice", bound=StrEnum)


class ScenarioRefused(ValueError):
    """The scenario is malformed; `field` is the path of the part that is wrong."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}" if field else message)
        self.field = field


class Node:
    """A part of the scenario that knows its own path. A field that is null is the same as one that is not there."""

    def __init__(self, value: Any, path: str = "") -> None:
        self.value = value
        self.path = path

    def refuse(self, message: str) -> ScenarioRefused:
        return ScenarioRefused(self.path, message if self.path else f"the input {message}")

    def members(self, *known: str) -> None:
        """That this is an object with no other fields than these."""
        if not isinstance(self.value, dict):
            raise self.refuse("is an object")
        for name in self.value:
            if name not in known:
                raise self.at(name).refuse(f"is not a field here; known are {', '.join(known)}")

    def at(self, name: str) -> Node:
        return Node(self.value.get(name), f"{self.path}.{name}" if self.path else name)

    @property
    def missing(self) -> bool:
        return self.value is None

    def needed(self, why: str) -> Node:
        """This field, which may not be missing."""
        if self.missing:
            raise self.refuse(f"is needed: {why}")
        return self

    def items(self) -> Iterator[Node]:
        if not isinstance(self.value, list):
            raise self.refuse("is a list")
        return (Node(value, f"{self.path}[{place}]") for place, value in enumerate(self.value))

    def text(self) -> str:
        if not isinstance(self.value, str) or not self.value.strip():
            raise self.refuse("is a string that is not empty")
        if any("\ud800" <= letter <= "\udfff" for letter in self.value):
            raise self.refuse("is a string of whole characters")
        return self.value

    def choice(self, kind: type[Choice], known: Sequence[Choice] = ()) -> Choice:
        """One of `known`, or any of the kind."""
        if not isinstance(self.value, str) or self.value not in (known or list(kind)):
            raise self.refuse(f"is one of: {', '.join(known or kind)}")
        return kind(self.value)

    def decimal(self) -> Decimal:
        if not isinstance(self.value, str) or not _DECIMAL.fullmatch(self.value):
            raise self.refuse('is a decimal string, such as "95.00"')
        return Decimal(self.value)

    def amount(self) -> Decimal:
        """What a bidder types: also what no price is so large or so fine as. Whether it is one is for the rules."""
        if not isinstance(self.value, str) or not _AMOUNT.fullmatch(self.value):
            raise self.refuse('is a decimal string, such as "95.00"')
        return Decimal(self.value)

    def not_negative(self) -> Decimal:
        number = self.decimal()
        if number < 0:
            raise self.refuse("is not below zero")
        return number

    def price(self, minor_unit: Decimal) -> Decimal:
        number = self.decimal()
        if refused_for_shape(number, minor_unit) is not None:
            raise self.refuse(f"is above zero and in whole units of {minor_unit}")
        return number

    def seconds(self) -> Fraction:
        """A number of seconds, also below zero."""
        if isinstance(self.value, bool) or not isinstance(self.value, int | float | Decimal):
            raise self.refuse("is a number of seconds")
        number = Decimal(str(self.value)) if isinstance(self.value, float) else Decimal(self.value)
        exponent = number.as_tuple().exponent
        if not isinstance(exponent, int) or exponent < _FINEST_SECONDS or number.copy_abs() > LONGEST_SECONDS:
            raise self.refuse("is a number of seconds")
        return Fraction(number)

    def instant(self) -> datetime:
        return START + span(self.seconds())

    def positive_span(self) -> timedelta:
        length = span(self.seconds())
        if length <= timedelta():
            raise self.refuse("is above zero")
        return length

    def span(self) -> timedelta:
        length = span(self.seconds())
        if length < timedelta():
            raise self.refuse("is not below zero")
        return length

    def count(self) -> int:
        if isinstance(self.value, bool) or not isinstance(self.value, int) or self.value < 0:
            raise self.refuse("is a whole number, not below zero")
        return self.value


def span(seconds: Fraction) -> timedelta:
    """Down to the microsecond, so that what comes before the end stays before the end."""
    return timedelta(microseconds=seconds * 1_000_000 // 1)
