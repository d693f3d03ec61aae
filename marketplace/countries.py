"""Countries: their ISO 3166-1 alpha-2 codes, and their names in the reader's language."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from babel import Locale, UnknownLocaleError

# Territories of the language data that are no countries.
_NO_COUNTRY: Final = frozenset({"AC", "CP", "CQ", "DG", "EA", "EU", "EZ", "IC", "QO", "TA", "UN", "XA", "XB", "ZZ"})

CODES: Final = frozenset(
    code for code in map(str, Locale("en").territories) if len(code) == 2 and code.isalpha() and code not in _NO_COUNTRY
)


@lru_cache(maxsize=16)
def choices(language: str = "en") -> tuple[tuple[str, str], ...]:
    """(code, name) of every country, by name."""
    names = _locale(language).territories
    return tuple(sorted(((code, str(names.get(code, code))) for code in CODES), key=lambda pair: pair[1]))


def name_of(code: str, language: str = "en") -> str:
    """The country's name; the code itself where it is unknown."""
    return str(_locale(language).territories.get(code, code))


def _locale(language: str) -> Locale:
    try:
        return Locale.parse(language.replace("-", "_"))
    except (UnknownLocaleError, ValueError):
        return Locale("en")
