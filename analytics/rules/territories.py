"""Which accounts belong to a territory: by country, by the beginning of the customer number, or one by one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

MOST_ENTRIES: Final = 500


@dataclass(frozen=True, slots=True)
class Rule:
    """An account belongs where any of the three says so; an empty rule takes nobody."""

    countries: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()

    def fits(self, country: str, external_id: str) -> bool:
        """Countries are ISO 3166-1 alpha-2; numbers are compared as they are written."""
        return country in self.countries or external_id in self.accounts or external_id.startswith(self.prefixes)

    def as_json(self) -> dict[str, list[str]]:
        """Without what is empty."""
        named = {"countries": self.countries, "prefixes": self.prefixes, "accounts": self.accounts}
        return {name: list(values) for name, values in named.items() if values}


def read(rule: Mapping[str, Any]) -> Rule:
    """A kept rule; what is not a list of texts is left out."""

    def texts(name: str) -> tuple[str, ...]:
        values = rule.get(name)
        return tuple(str(value) for value in values) if isinstance(values, list) else ()

    return Rule(texts("countries"), texts("prefixes"), texts("accounts"))


def typed(countries: str, prefixes: str, accounts: str) -> Rule:
    """What a manager typed: entries apart by commas, semicolons or lines, each once, in their order."""

    def entries(text: str) -> tuple[str, ...]:
        parts = text.replace(";", ",").replace("\n", ",").split(",")
        return tuple(dict.fromkeys(part.strip() for part in parts if part.strip()))

    return Rule(tuple(country.upper() for country in entries(countries)), entries(prefixes), entries(accounts))
