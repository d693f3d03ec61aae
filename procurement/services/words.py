"""Values of a tender in the words that changes, amendments and what is signed are told in."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from babel.numbers import format_decimal, get_currency_precision
from django.conf import settings
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _

from marketplace.shared.errors import Sentence
from marketplace.shared.money import DECIMAL_PLACES, Money
from procurement.models import Item
from procurement.models.units import counted
from procurement.procedures import Problem, Setting
from procurement.rules.periods import PeriodUnit

#: What a choice says, by setting and value.
CHOICES: Final[dict[tuple[str, str], Sentence]] = {
    ("day_kind", "calendar"): gettext_lazy("calendar days"),
    ("day_kind", "working"): gettext_lazy("working days"),
    ("reference", "leader"): gettext_lazy("the leading bid"),
    ("reference", "own"): gettext_lazy("the bidder’s own last bid"),
    ("shown", "price"): gettext_lazy("the best price"),
    ("shown", "rank"): gettext_lazy("their own rank"),
    ("shown", "both"): gettext_lazy("the best price and their own rank"),
    ("single_bid_price", "own"): gettext_lazy("its own price"),
    ("single_bid_price", "limit"): gettext_lazy("the limit price"),
    ("soft_close_from", "receipt"): gettext_lazy("the moment the bid was received"),
    ("soft_close_from", "end"): gettext_lazy("the end as it stood"),
}
_UNITS: dict[str, Sentence] = {
    "days": gettext_lazy("days"),
    "minutes": gettext_lazy("minutes"),
    "seconds": gettext_lazy("seconds"),
    "percent": gettext_lazy("per cent"),
}


def amount(value: Decimal | None, currency: str) -> str:
    """“1250.00 EUR”; empty for none."""
    return "" if value is None else f"{Money(value, currency).as_string()} {currency}"


def price(value: Decimal, currency: str) -> str:
    """“34,247.70 EUR”, grouped as the active language does: for sentences, never for what is signed."""
    return f"{figure(value, currency)} {currency}"


def figure(value: Decimal, currency: str) -> str:
    """“34,247.70”: at least the currency's minor units, up to four decimal places."""
    digits = get_currency_precision(currency)
    pattern = f"#,##0.{'0' * digits}{'#' * (DECIMAL_PLACES - digits)}"
    return format_decimal(value, pattern, locale=(get_language() or "en").replace("-", "_"))


def plain(value: Decimal | None) -> str:
    """A number without trailing zeros: “12.5”."""
    return "" if value is None else f"{value.normalize():f}"


def yes_no(value: bool) -> str:
    return _("yes") if value else _("no")


def moment(value: datetime | None, zone: str) -> str:
    """“2026-03-12 12:00 (Europe/Berlin)”."""
    return "" if value is None else f"{value.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M} ({zone})"


def day(value: date | None) -> str:
    return "" if value is None else value.isoformat()


def item(row: Item) -> str:
    """“Office chair, 10 pieces, 39112000, 2026-04-01 – 2026-04-30”."""
    delivery = " – ".join(filter(None, (day(row.deliver_from), day(row.deliver_until))))
    parts = (row.description, f"{plain(row.quantity)} {counted(row.unit, row.quantity)}", row.category.code, delivery)
    return ", ".join(part for part in parts if part)


def setting(found: Setting, value: object) -> str:
    """What a setting says: “the leading bid”, “45 minutes”; empty for none."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return yes_no(value)
    if found.kind == "choice":
        return str(CHOICES.get((found.name, str(value)), value))
    return f"{value} {unit(found.unit)}".strip()


def problem(found: Problem) -> str:
    """Why a setting is refused, in the reader's language, to stand beside it."""
    if not found.words:
        return _(found.template)
    said = {name: word and _(word) for name, word in found.words.items()}
    if "bound" in said:
        said |= {"bound": number(Decimal(found.words["bound"])), "unit": unit(found.words["unit"])}
    return _(found.template) % said


def named_problem(found: Problem) -> str:
    """The same where the setting is not in sight: “The auction lasts: At most 480 minutes.”"""
    if "setting" not in found.words:
        return problem(found)
    return _("%(setting)s: %(why)s") % {"setting": _(found.words["setting"]), "why": problem(found)}


def number(value: Decimal) -> str:
    """“10,080”, grouped as the active language does."""
    found: str = format_decimal(value, locale=(get_language() or "en").replace("-", "_"))
    return found


def unit(name: str) -> str:
    """The unit of a setting as people count: a day of a period may last a minute here. Empty for none."""
    counted_in = "minutes" if name == "days" and settings.PERIOD_UNIT == PeriodUnit.MINUTE else name
    return str(_UNITS.get(counted_in, counted_in))
