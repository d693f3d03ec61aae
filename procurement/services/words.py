"""Values of a tender in the words that changes, amendments and what is signed are told in."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from babel.numbers import format_decimal, get_currency_precision
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from marketplace.shared.money import DECIMAL_PLACES, Money
from procurement.models import Item
from procurement.models.units import counted
from procurement.procedures import Problem


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


def problem(found: Problem) -> str:
    """Why a setting is refused, in the reader's language."""
    return (
        _(found.template) % {name: _(word) for name, word in found.words.items()} if found.words else _(found.template)
    )
