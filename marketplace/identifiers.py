"""Which numbers identify an organisation in each country, and whether one of them can be true.

Check digits by python-stdnum where it knows the number, else by patterns of our own; a country we do not know asks for
its taxpayer number and takes any. Pure: no database, no clock. Numbers are normalised: upper case, without spaces and
dashes, digits of any script turned to ASCII, a VAT number with its country's prefix.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Final

from django.utils.translation import gettext_lazy as _
from stdnum.exceptions import InvalidChecksum, InvalidComponent, InvalidFormat, InvalidLength, ValidationError

from marketplace.shared.errors import Sentence

Validate = Callable[[str], str]

# Two companies may share a KPP, and it changes with the address: it identifies nobody by itself.
NOT_IDENTIFYING: Final = frozenset({"KPP"})

_SEPARATORS: Final = re.compile(r"[\s.\-‐-―/]+")
_MISTYPED: Final = _("A digit of this number is mistyped: its check digit does not match.")
_IMPOSSIBLE: Final = _("No such number can exist: look at its first characters.")
_REQUIRED: Final = _("Enter this number.")


@dataclass(frozen=True, slots=True)
class Number:
    """A number an organisation of a country has. `shape` says how it is written, `hint` what else helps to give it."""

    scheme: str
    label: Sentence
    shape: Sentence
    validate: Validate
    example: str = ""
    required: bool = True
    hint: Sentence = ""


def numbers_of(country: str) -> tuple[Number, ...]:
    """What an organisation of the country (ISO 3166-1 alpha-2) is asked for, in order."""
    return _COUNTRIES.get(country) or _ANY_COUNTRY


def check(country: str, values: Mapping[str, str]) -> tuple[dict[str, str], dict[str, Sentence]]:
    """Normalised numbers by scheme, and what is wrong with the others, by scheme in plain words.

    Numbers left empty are in neither, unless one is required. A scheme the country does not know is dropped.
    """
    found: dict[str, str] = {}
    wrong: dict[str, Sentence] = {}
    for number in numbers_of(country):
        value = clean(values.get(number.scheme, ""))
        if not value:
            if number.required:
                wrong[number.scheme] = _REQUIRED
            continue
        try:
            found[number.scheme] = number.validate(value)
        except (InvalidFormat, InvalidLength):
            wrong[number.scheme] = number.shape
        except InvalidChecksum:
            wrong[number.scheme] = _MISTYPED
        except (InvalidComponent, ValidationError):
            wrong[number.scheme] = _IMPOSSIBLE
    _require_consistent(country, found, wrong)
    return found, wrong


def clean(value: str) -> str:
    """Upper case, without separators, digits of any script as ASCII."""
    digits = "".join(str(unicodedata.digit(c)) if unicodedata.category(c) == "Nd" else c for c in value)
    return _SEPARATORS.sub("", unicodedata.normalize("NFKC", digits)).upper()


def _require_consistent(country: str, found: dict[str, str], wrong: dict[str, Sentence]) -> None:
    """What one number says about the others."""
    if country == "RU":
        _require_russian(found, wrong)
    elif country in _EU and not found and not wrong:
        wrong["VAT"] = _("Enter the VAT number, or the trade register number below.")


def _require_russian(found: dict[str, str], wrong: dict[str, Sentence]) -> None:
    """A company has a 10-digit INN, a KPP and a 13-digit OGRN; a sole trader 12 digits, none, and 15 digits."""
    inn, ogrn = found.get("INN"), found.get("OGRN")
    if inn is None:
        return
    trader = len(inn) == 12
    if not trader and "KPP" not in found and "KPP" not in wrong:
        wrong["KPP"] = _("A company has a KPP. Only a sole trader (INN of 12 digits) leaves it empty.")
    if trader and "KPP" in found:
        del found["KPP"]
        wrong["KPP"] = _("A sole trader (INN of 12 digits) has no KPP. Leave it empty.")
    if ogrn and (len(ogrn) == 15) != trader:
        del found["OGRN"]
        wrong["OGRN"] = _("The INN of a company goes with an OGRN of 13 digits, of a sole trader with 15 digits.")


def _by(module: str) -> Validate:
    """python-stdnum's check of `stdnum.<module>`."""
    validate: Validate = import_module(f"stdnum.{module}").validate
    return validate


def _pattern(expression: str) -> Validate:
    compiled = re.compile(expression)

    def validate(value: str) -> str:
        if not compiled.fullmatch(value):
            raise InvalidFormat
        return value

    return validate


def _vat(country: str) -> Validate:
    """A VAT number of the European Union, kept with its prefix ("EL" for Greece)."""
    prefix = {"GR": "EL"}.get(country, country)
    validate = _by("eu.vat")
    return lambda value: validate(value if value.startswith(prefix) else prefix + value)


def _vat_of_britain(value: str) -> str:
    return "GB" + _by("gb.vat")(value.removeprefix("GB"))


def _tin_of_thailand(value: str) -> str:
    """A company's number begins with 0, a person's does not; each says better than both together what is wrong."""
    return _by("th.moa" if value.startswith("0") else "th.pin")(value)


def _bin_of_kazakhstan(value: str) -> str:
    """BIN, 12 digits; the last checks the others: weights 1…11, and 3…11, 1, 2 where that gives 10."""
    digits = _digits(value, 12)
    check_digit = sum(w * d for w, d in zip(range(1, 12), digits, strict=False)) % 11
    if check_digit == 10:
        check_digit = sum(w * d for w, d in zip([*range(3, 12), 1, 2], digits, strict=False)) % 11
    if check_digit != digits[11]:
        raise InvalidChecksum
    return value


def _national_id_of_iran(value: str) -> str:
    """Legal person's national identifier, 11 digits; the last checks the others."""
    digits = _digits(value, 11)
    weights = (29, 27, 23, 19, 17, 29, 27, 23, 19, 17)
    rest = sum(w * (d + digits[9] + 2) for w, d in zip(weights, digits, strict=False)) % 11
    if rest % 10 != digits[10]:
        raise InvalidChecksum
    return value


def _digits(value: str, length: int) -> list[int]:
    if not re.fullmatch(rf"[0-9]{{{length}}}", value):
        raise InvalidFormat
    return [int(c) for c in value]


def _taxpayer(label: Sentence, shape: Sentence, validate: Validate, example: str = "") -> tuple[Number, ...]:
    """A country where one number says it all."""
    return (Number("TIN", label, shape, validate, example),)


def _of_the_union(country: str) -> tuple[Number, ...]:
    return (
        Number(
            "VAT",
            _("VAT number"),
            _("A VAT number begins with the country’s letters, such as DE123456788."),
            _vat(country),
            _VAT_EXAMPLES.get(country, ""),
            required=False,
            hint=_("This one, or the trade register number."),
        ),
        Number(
            "NTR",
            _("Trade register number"),
            _("4 to 40 letters and digits, as the register writes them."),
            _pattern(r"\w{4,40}"),
            _REGISTER_EXAMPLES.get(country, ""),
            required=False,
        ),
    )


_EU: Final = frozenset(
    {"AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IT", "LT", "LU", "LV"}
    | {"MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK"}
)
_VAT_EXAMPLES: Final = {"DE": "DE136695976", "FR": "FR40303265045", "IT": "IT00743110157", "GR": "EL094259216"}
_REGISTER_EXAMPLES: Final = {"DE": "HRB 11223 (München)", "FR": "303 265 045", "IT": "MI-1234567", "PL": "0000012345"}

_RUSSIA: Final = (
    Number("INN", _("INN"), _("An INN has 10 digits; a sole trader’s has 12."), _by("ru.inn"), "7707083893"),
    Number(
        "KPP",
        _("KPP"),
        _("A KPP has 9 characters: 4 digits, 2 digits or letters, 3 digits."),
        _pattern(r"[0-9]{4}[0-9A-Z]{2}[0-9]{3}"),
        "773601001",
        required=False,
        hint=_("A sole trader has none."),
    ),
    Number("OGRN", _("OGRN"), _("An OGRN has 13 digits; a sole trader’s has 15."), _by("ru.ogrn"), "1027700132195"),
)
_BRITAIN: Final = (
    Number(
        "NTR",
        _("Company number"),
        _("A company number has 8 characters: digits, or two letters (such as SC) and 6 digits."),
        _pattern(r"[0-9]{8}|[A-Z]{2}[0-9]{6}|[A-Z]{2}[0-9]{5}[A-Z]"),
        "00445790",
    ),
    Number(
        "VAT",
        _("VAT number"),
        _("A VAT number has 9 or 12 digits after GB."),
        _vat_of_britain,
        "GB980780684",
        required=False,
    ),
)
_ANY_COUNTRY: Final = _taxpayer(
    _("Taxpayer number"), _("4 to 30 letters and digits, without other signs."), _pattern(r"[A-Z0-9]{4,30}")
)

_COUNTRIES: Final[Mapping[str, tuple[Number, ...]]] = {
    **{country: _of_the_union(country) for country in _EU},
    "RU": _RUSSIA,
    "GB": _BRITAIN,
    "AE": _taxpayer(_("TRN"), _("A TRN has 15 digits and begins with 1."), _pattern(r"1[0-9]{14}"), "100123456700003"),
    "AM": _taxpayer(_("Taxpayer number"), _("This number has 8 digits."), _pattern(r"[0-9]{8}"), "02512345"),
    "AU": _taxpayer(_("ABN"), _("An ABN has 11 digits."), _by("au.abn"), "83914571673"),
    "AZ": _taxpayer(_("VÖEN"), _("A VÖEN has 10 digits."), _by("az.voen"), "1400057421"),
    "BR": _taxpayer(_("CNPJ"), _("A CNPJ has 14 characters."), _by("br.cnpj"), "16727230000197"),
    "BY": _taxpayer(_("UNP"), _("A UNP has 9 characters."), _by("by.unp"), "200988541"),
    "CA": _taxpayer(_("Business number"), _("A business number has 9 or 15 characters."), _by("ca.bn"), "123026635"),
    "CH": _taxpayer(_("UID"), _("A UID begins with CHE and has 9 digits."), _by("ch.uid"), "CHE100155212"),
    "CN": _taxpayer(
        _("Unified social credit code"), _("This code has 18 characters."), _by("cn.uscc"), "91110000600037341L"
    ),
    "GE": _taxpayer(_("Identification code"), _("This code has 9 digits."), _pattern(r"[0-9]{9}"), "204378869"),
    "IN": _taxpayer(_("GSTIN"), _("A GSTIN has 15 characters."), _by("in_.gstin"), "27AAPFU0939F1ZV"),
    "IR": _taxpayer(_("National ID"), _("A company’s national ID has 11 digits."), _national_id_of_iran, "10380284790"),
    "JP": _taxpayer(_("Corporate number"), _("A corporate number has 13 digits."), _by("jp.cn"), "5835678256246"),
    "KR": _taxpayer(_("Business number"), _("A business number has 10 digits."), _by("kr.brn"), "1168201195"),
    "KZ": _taxpayer(_("BIN"), _("A BIN has 12 digits."), _bin_of_kazakhstan, "940140000385"),
    "LA": _taxpayer(
        _("Taxpayer number"), _("This number has 8 to 14 digits."), _pattern(r"[0-9]{8,14}"), "123456789000"
    ),
    "MX": _taxpayer(_("RFC"), _("An RFC has 12 or 13 characters."), _by("mx.rfc"), "GODE561231GR8"),
    "NO": _taxpayer(_("Organisation number"), _("This number has 9 digits."), _by("no.orgnr"), "988077917"),
    "SA": _taxpayer(
        _("VAT number"), _("A VAT number has 15 digits; the first and the last are 3."), _pattern(r"3[0-9]{13}3")
    ),
    "SG": _taxpayer(_("UEN"), _("A UEN has 9 or 10 characters."), _by("sg.uen"), "00192200M"),
    "TH": _taxpayer(_("Taxpayer number"), _("This number has 13 digits."), _tin_of_thailand, "0107544000108"),
    "TR": _taxpayer(_("VKN"), _("A VKN has 10 digits."), _by("tr.vkn"), "4540536920"),
    "UA": _taxpayer(_("EDRPOU"), _("An EDRPOU has 8 digits."), _by("ua.edrpou"), "32855961"),
    "US": _taxpayer(_("EIN"), _("An EIN has 9 digits."), _by("us.ein"), "911144442"),
    "UZ": _taxpayer(_("STIR"), _("A STIR has 9 digits."), _pattern(r"[0-9]{9}"), "302936161"),
    "VN": _taxpayer(_("MST"), _("An MST has 10 or 13 digits."), _by("vn.mst"), "0100233488"),
}
