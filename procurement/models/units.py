"""Units of quantity: UN/ECE Recommendation 20 codes under the names that people use."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

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

# After a number.
_COUNTED: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "H87": ngettext_lazy("piece", "pieces"),
        "SET": ngettext_lazy("set", "sets"),
        "PR": ngettext_lazy("pair", "pairs"),
        "NMP": ngettext_lazy("pack", "packs"),
        "XBX": ngettext_lazy("box", "boxes"),
        "XBG": ngettext_lazy("bag", "bags"),
        "XCR": ngettext_lazy("crate", "crates"),
        "XCA": ngettext_lazy("canister", "canisters"),
        "XTN": ngettext_lazy("tin", "tins"),
        "XDR": ngettext_lazy("drum", "drums"),
        "XPX": ngettext_lazy("pallet", "pallets"),
        "RO": ngettext_lazy("roll", "rolls"),
        "ST": ngettext_lazy("sheet", "sheets"),
        "RM": ngettext_lazy("ream", "reams"),
        "KGM": ngettext_lazy("kilogram", "kilograms"),
        "GRM": ngettext_lazy("gram", "grams"),
        "TNE": ngettext_lazy("tonne", "tonnes"),
        "MTR": ngettext_lazy("metre", "metres"),
        "CMT": ngettext_lazy("centimetre", "centimetres"),
        "KMT": ngettext_lazy("kilometre", "kilometres"),
        "MTK": ngettext_lazy("square metre", "square metres"),
        "HAR": ngettext_lazy("hectare", "hectares"),
        "MTQ": ngettext_lazy("cubic metre", "cubic metres"),
        "LTR": ngettext_lazy("litre", "litres"),
        "KWH": ngettext_lazy("kilowatt hour", "kilowatt hours"),
        "MWH": ngettext_lazy("megawatt hour", "megawatt hours"),
        "HUR": ngettext_lazy("hour", "hours"),
        "DAY": ngettext_lazy("day", "days"),
        "MON": ngettext_lazy("month", "months"),
        "ANN": ngettext_lazy("year", "years"),
        "E48": ngettext_lazy("service unit", "service units"),
        "E49": ngettext_lazy("working day", "working days"),
        "LS": ngettext_lazy("lump sum", "lump sums"),
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


def counted(code: str, quantity: Decimal) -> Sentence:
    """The unit as it is said after this quantity: “piece” after 1, “pieces” after 33 and after 1.5."""
    known = code if code in _COUNTED else _package(code)
    if known not in _COUNTED:
        return code
    # Languages choose the form by a whole number; a fraction takes that of two.
    whole = int(quantity) if quantity == int(quantity) else 2
    return str(_COUNTED[known] % whole)


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
