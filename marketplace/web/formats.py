"""Money, numbers, moments and spans as a reader of the active language writes them (Babel)."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_datetime, get_timezone_location
from babel.numbers import format_decimal, get_currency_precision
from django.utils.translation import get_language, ngettext

from marketplace.shared.money import DECIMAL_PLACES, Money

EMPTY = "—"


def locale() -> Locale:
    """The active language's locale; English for one that the CLDR does not know."""
    try:
        return Locale.parse((get_language() or "en").replace("-", "_"))
    except (UnknownLocaleError, ValueError):
        return Locale("en")


def money_of(value: Any, currency: str) -> Money | None:
    """`value` as Money: it is one already, or an exact number whose currency stands beside it."""
    if isinstance(value, Money):
        return value
    if isinstance(value, Decimal | int) and not isinstance(value, bool) and currency:
        return Money(Decimal(value), currency)
    return None


def amount(value: Money) -> str:
    """The figure with at least the currency's minor units, and more digits only where the amount has them."""
    digits = get_currency_precision(value.currency)
    pattern = f"#,##0.{'0' * digits}{'#' * (DECIMAL_PLACES - digits)}"
    return format_decimal(value.amount, pattern, locale())


def filesize(size: int) -> str:
    """Bytes in the unit a person would choose: "1.4 MB" (decimal units, as storage is sold)."""
    if size < 1000:
        return ngettext("%(count)s byte", "%(count)s bytes", size) % {"count": size}
    units = Decimal(size)
    for unit in ("kB", "MB", "GB"):
        units /= 1000
        if units < 1000 or unit == "GB":
            break
    return f"{format_decimal(units, '#,##0' if units >= 100 else '#,##0.#', locale())} {unit}"


def zone_of(name: object) -> ZoneInfo | None:
    """The time zone of that name, or None."""
    try:
        return ZoneInfo(str(name)) if name else None
    except (ZoneInfoNotFoundError, ValueError):
        return None


def offset_minutes(moment: datetime) -> int:
    return round((moment.utcoffset() or timedelta()).total_seconds() / 60)


def offset(moment: datetime) -> str:
    """The distance from UTC: "UTC+5:30"."""
    minutes = offset_minutes(moment)
    if minutes == 0:
        return "UTC"
    hours, rest = divmod(abs(minutes), 60)
    return f"UTC{'+' if minutes > 0 else '−'}{hours}{f':{rest:02}' if rest else ''}"


def zone_label(moment: datetime) -> str:
    """The zone as a reader knows it: "Berlin, UTC+1"."""
    if getattr(moment.tzinfo, "key", "UTC") in ("UTC", "Etc/UTC"):
        return "UTC"
    return f"{get_timezone_location(moment.tzinfo, locale(), return_city=True)}, {offset(moment)}"


def moment_text(moment: datetime, seconds: bool = False) -> str:
    """Day and clock of an aware moment in its own zone: "22 Nov 2026, 17:56"."""
    return format_datetime(moment, "d MMM y, HH:mm:ss" if seconds else "d MMM y, HH:mm", locale=locale())


def day(moment: date) -> str:
    """ "22 Nov 2026"."""
    return format_date(moment, "d MMM y", locale=locale())


def duration(span: timedelta) -> str:
    """The two largest units: "2 days 4 hours", "5 minutes 30 seconds"; a past or empty span is "0 seconds"."""
    left = max(0, int(span.total_seconds()))
    days, left = divmod(left, 86_400)
    hours, left = divmod(left, 3_600)
    minutes, seconds = divmod(left, 60)
    parts = (
        (days, ngettext("%(count)s day", "%(count)s days", days)),
        (hours, ngettext("%(count)s hour", "%(count)s hours", hours)),
        (minutes, ngettext("%(count)s minute", "%(count)s minutes", minutes)),
        (seconds, ngettext("%(count)s second", "%(count)s seconds", seconds)),
    )
    first = next((i for i, (count, _text) in enumerate(parts) if count), 3)
    return " ".join(text % {"count": count} for count, text in parts[first : first + 2] if count or first == 3)
