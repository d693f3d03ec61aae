"""Units of quantity: UN/ECE Recommendation 20 codes under the names that people use."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from django.utils.translation import gettext_lazy as _

from marketplace.shared.errors import Sentence

# In the order in which they are offered: the commonest first.
NAMES: Final[Mapping[str, Sentence]] = MappingProxyType(
    {
        "H87": _("piece"),
        "SET": _("set"),
        "PR": _("pair"),
        "NMP": _("pack"),
        "XBX": _("box"),
        "XBG": _("bag"),
        "XCR": _("crate"),
        "XCA": _("canister"),
        "XTN": _("tin"),
        "XDR": _("drum"),
        "XPX": _("pallet"),
        "RO": _("roll"),
        "ST": _("sheet"),
        "RM": _("ream"),
        "KGM": _("kilogram"),
        "GRM": _("gram"),
        "TNE": _("tonne"),
        "MTR": _("metre"),
        "CMT": _("centimetre"),
        "KMT": _("kilometre"),
        "MTK": _("square metre"),
        "HAR": _("hectare"),
        "MTQ": _("cubic metre"),
        "LTR": _("litre"),
        "KWH": _("kilowatt hour"),
        "MWH": _("megawatt hour"),
        "HUR": _("hour"),
        "DAY": _("day"),
        "MON": _("month"),
        "ANN": _("year"),
        "E48": _("service unit"),
        "E49": _("working day"),
        "LS": _("lump sum"),
    }
)

# What stands in people's spreadsheets.
_ALIASES: Final[Mapping[str, str]] = MappingProxyType(
    {
        **dict.fromkeys(("pc", "pcs", "pce", "pieces", "ea", "each", "unit", "units", "stk", "шт"), "H87"),
        **dict.fromkeys(("sets",), "SET"),
        **dict.fromkeys(("pairs",), "PR"),
        **dict.fromkeys(("packs", "pk", "pkg", "package", "packages"), "NMP"),
        **dict.fromkeys(("boxes", "bx", "carton", "cartons"), "XBX"),
        **dict.fromkeys(("pallets",), "XPX"),
        **dict.fromkeys(("rolls",), "RO"),
        **dict.fromkeys(("sheets",), "ST"),
        **dict.fromkeys(("reams",), "RM"),
        **dict.fromkeys(("kg", "kgs", "kilo", "kilograms", "кг"), "KGM"),
        **dict.fromkeys(("g", "grams"), "GRM"),
        **dict.fromkeys(("t", "ton", "tons", "tonnes", "т"), "TNE"),
        **dict.fromkeys(("m", "meter", "meters", "metres", "м"), "MTR"),
        **dict.fromkeys(("cm",), "CMT"),
        **dict.fromkeys(("km",), "KMT"),
        **dict.fromkeys(("m2", "m²", "sqm", "square metres", "м2"), "MTK"),
        **dict.fromkeys(("ha", "hectares"), "HAR"),
        **dict.fromkeys(("m3", "m³", "cbm", "cubic metres", "м3"), "MTQ"),
        **dict.fromkeys(("l", "liter", "liters", "litres", "л"), "LTR"),
        **dict.fromkeys(("kwh",), "KWH"),
        **dict.fromkeys(("mwh",), "MWH"),
        **dict.fromkeys(("h", "hr", "hrs", "hours"), "HUR"),
        **dict.fromkeys(("d", "days"), "DAY"),
        **dict.fromkeys(("months",), "MON"),
        **dict.fromkeys(("years",), "ANN"),
    }
)


def name_of(code: str) -> Sentence:
    """The unit's name; a code outside the list stands for itself."""
    return NAMES.get(code) or NAMES.get(_package(code), code)


def code_of(text: str) -> str | None:
    """The code of a unit written as a code, a name in the reader’s language or a usual abbreviation; else None."""
    plain = " ".join(text.split())
    for code in (plain.upper(), _package(plain.upper())):
        if code in NAMES:
            return code
    lower = plain.lower().rstrip(".")
    return _ALIASES.get(lower) or next((code for code, name in NAMES.items() if str(name).lower() == lower), None)


def _package(code: str) -> str:
    """Packages are often written with their code of Recommendation 21 alone: BX, which is XBX in Recommendation 20."""
    return {"PK": "NMP"}.get(code, f"X{code}")
