"""Settings that most presets have, each made with the preset's own default and bounds."""

from __future__ import annotations

from decimal import Decimal

from procurement.procedures.settings import Setting, Value
from procurement.rules.words import gettext_noop


def days(name: str, label: str, default: int, minimum: int, maximum: int) -> Setting:
    """A period in full days, calendar or working as the tender's `day_kind` says."""
    return whole(name, label, default, minimum, maximum, unit="days")


def whole(
    name: str,
    label: str,
    default: int | None,
    minimum: int,
    maximum: int,
    *,
    unit: str = "",
    empty_means: str = "",
) -> Setting:
    """A whole number; with `empty_means` it may be left empty."""
    return Setting(
        name,
        "integer",
        label,
        default,
        minimum=Decimal(minimum),
        maximum=Decimal(maximum),
        unit=unit,
        nullable=bool(empty_means),
        empty_means=empty_means,
    )


def percentage(name: str, label: str, default: str, minimum: str, maximum: str) -> Setting:
    """An exact percentage, a decimal string."""
    return Setting(name, "decimal", label, default, minimum=Decimal(minimum), maximum=Decimal(maximum), unit="percent")


def choice(name: str, label: str, default: Value, *choices: str) -> Setting:
    return Setting(name, "choice", label, default, choices=choices)


def flag(name: str, label: str, default: bool) -> Setting:
    return Setting(name, "flag", label, default)


def fixed_flag(name: str, label: str, value: bool) -> Setting:
    """What cannot be chosen in this procedure."""
    return Setting(name, "flag", label, value, choices=("yes" if value else "no",))


DAY_KIND = choice("day_kind", gettext_noop("Days are counted as"), "working", "calendar", "working")
#: A clock shows where it goes, and one of its ends is the limit price.
LIMIT_PRICE_ALWAYS_SHOWN = fixed_flag("limit_price_shown", gettext_noop("Bidders see the limit price"), True)
LIMIT_PRICE_SHOWN = flag("limit_price_shown", gettext_noop("Bidders see the limit price"), True)
ABNORMALLY_LOW = (
    percentage(
        "abnormally_low_below_mean", gettext_noop("Flagged when below the mean of the others by"), "40", "10", "90"
    ),
    percentage(
        "abnormally_low_below_next", gettext_noop("Flagged when below the next-ranked bid by"), "30", "10", "90"
    ),
)
