"""How Openlot writes money, time, states and icons. A builtin of every template: nothing needs loading.

Numbers and dates are Babel's, in the active language; a moment is shown in the tender's zone and in the reader's, both named.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import date as Date
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_datetime, get_timezone_location
from babel.numbers import format_decimal, format_percent, get_currency_precision
from django import template
from django.contrib.staticfiles import finders
from django.contrib.staticfiles.storage import staticfiles_storage
from django.template.context import Context
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.html import format_html, json_script
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language, gettext, ngettext

from marketplace.shared import clock
from marketplace.shared.money import Money
from marketplace.web.navigation import Entry, entries_for
from marketplace.web.parts import Chart

register = template.Library()

BUILD: Final = "build"
EMPTY: Final = "—"

# A state's tone and picture. Colour never speaks alone: the state's words stand beside it.
_TONES: Final[Mapping[str, tuple[str, str]]] = {
    **dict.fromkeys(("draft", "none", "inactive"), ("quiet", "pencil")),
    **dict.fromkeys(("approval", "pending", "submitted", "scheduled", "asked", "signing", "issued"), ("wait", "hourglass")),
    **dict.fromkeys(("published", "opened", "registered", "answered"), ("open", "circle-dot")),
    **dict.fromkeys(("auction", "running"), ("live", "gavel")),
    **dict.fromkeys(("opening", "evaluation", "awarding", "standstill", "admitted"), ("work", "progress")),
    **dict.fromkeys(
        ("complete", "completed", "active", "winning", "accepted", "approved", "accredited", "paid", "signed", "done"),
        ("good", "circle-check"),
    ),
    **dict.fromkeys(("paused", "invalidated", "suspended", "returned", "expiring"), ("warn", "alert-triangle")),
    **dict.fromkeys(("cancelled", "rejected", "terminated", "unsuccessful", "expired", "overdue", "revoked"), ("bad", "ban")),
    **dict.fromkeys(("withdrawn", "losing", "ended"), ("quiet", "circle-minus")),
}


def _locale() -> Locale:
    try:
        return Locale.parse((get_language() or "en").replace("-", "_"))
    except (UnknownLocaleError, ValueError):
        return Locale("en")


# Money and numbers


def _money_of(value: Any, currency: str) -> Money | None:
    if isinstance(value, Money):
        return value
    if isinstance(value, Decimal | int) and not isinstance(value, bool) and currency:
        return Money(Decimal(value), currency)
    return None


def format_amount(value: Decimal, currency: str) -> str:
    """The amount in the active language with at least the currency's minor units; more digits only where it has them."""
    digits = get_currency_precision(currency)
    return format_decimal(value, f"#,##0.{'0' * digits}{'#' * (4 - digits)}" if digits else "#,##0.####", _locale())


@register.filter(name="amount")
def amount_filter(value: Any, currency: str = "") -> SafeString | str:
    """`{{ lot.limit|amount }}`: the figure alone, for columns whose head names the currency."""
    money = _money_of(value, currency)
    return EMPTY if money is None else format_html("<bdi>{}</bdi>", format_amount(money.amount, money.currency))


@register.filter(name="money")
def money_filter(value: Any, currency: str = "") -> SafeString | str:
    """`{{ bid.total|money }}` or `{{ lot.limit_amount|money:lot.currency }}`: the figure with its currency."""
    money = _money_of(value, currency)
    if money is None:
        return EMPTY
    figure = format_amount(money.amount, money.currency)
    return format_html('<bdi class="money">{} <span class="money-unit">{}</span></bdi>', figure, money.currency)


@register.inclusion_tag("components/_money.html")
def money(value: Any, currency: str = "", vat: bool | None = None) -> dict[str, Any]:
    """`{% money bid.total vat=lot.vat_included %}`: the figure, its currency and whether VAT is inside. `vat=None` says nothing."""
    found = _money_of(value, currency)
    return {
        "figure": format_amount(found.amount, found.currency) if found else "",
        "currency": found.currency if found else "",
        "vat": vat,
    }


@register.filter
def number(value: Any) -> str:
    """A count or a quantity, grouped as the language does."""
    if value is None or value == "":
        return EMPTY
    try:
        return format_decimal(Decimal(str(value)), "#,##0.######", _locale())
    except InvalidOperation:
        return str(value)


@register.filter
def percent(value: Any, digits: int = 1) -> str:
    """A share (0.125) as "12.5%"."""
    if value is None or value == "":
        return EMPTY
    return format_percent(Decimal(str(value)), f"#,##0.{'#' * digits}%", _locale())


@register.filter
def filesize(value: Any) -> str:
    """Bytes in the unit a person would choose: "1.4 MB" (decimal units, as storage is sold)."""
    if value is None or value == "":
        return EMPTY
    size = Decimal(value)
    if size < 1000:
        return ngettext("%(count)s byte", "%(count)s bytes", int(size)) % {"count": int(size)}
    for unit in ("kB", "MB", "GB"):
        size /= 1000
        if size < 1000 or unit == "GB":
            break
    return f"{format_decimal(size, '#,##0' if size >= 100 else '#,##0.#', _locale())} {unit}"


# Time


def zone_of(name: Any) -> ZoneInfo | None:
    try:
        return ZoneInfo(str(name)) if name else None
    except (ZoneInfoNotFoundError, ValueError):
        return None


def _offset(moment: datetime) -> str:
    minutes = round((moment.utcoffset() or timedelta()).total_seconds() / 60)
    hours, rest = divmod(abs(minutes), 60)
    return "UTC" if minutes == 0 else f"UTC{'+' if minutes > 0 else '−'}{hours}{f':{rest:02}' if rest else ''}"


def zone_label(moment: datetime) -> str:
    """The zone as a reader knows it: "Berlin, UTC+1"."""
    name = getattr(moment.tzinfo, "key", "UTC")
    if name in ("UTC", "Etc/UTC"):
        return "UTC"
    return f"{get_timezone_location(moment.tzinfo, _locale(), return_city=True)}, {_offset(moment)}"


def _clock_face(moment: datetime, seconds: bool = False) -> str:
    return format_datetime(moment, "d MMM y, HH:mm:ss" if seconds else "d MMM y, HH:mm", locale=_locale())


def _reader_zone(context: Context) -> ZoneInfo | None:
    person = getattr(context.get("actor"), "person", None)
    return zone_of(getattr(person, "time_zone", "")) or zone_of(timezone.get_current_timezone_name())


@register.inclusion_tag("components/_when.html", takes_context=True)
def when(
    context: Context, moment: datetime | None, tz: str = "", *, compact: bool = False, seconds: bool = False
) -> dict[str, Any]:
    """`{% when tender.closes_at tz=tender.time_zone %}`: in the tender's zone and in the reader's, both named.

    `compact=True` is for table cells: one line, the offset instead of the city. Without `tz` the reader's zone is the only one.
    """
    if moment is None:
        return {"moment": None}
    reader_zone = _reader_zone(context) or ZoneInfo("UTC")
    shown = moment.astimezone(zone_of(tz) or reader_zone)
    reader = moment.astimezone(reader_zone)
    # UTC as the stored zone means that nobody chose one: the browser's own zone then stands beside it.
    browser = reader_zone.key == "UTC" and not compact
    return {
        "moment": moment,
        "iso": moment.astimezone(ZoneInfo("UTC")).isoformat().replace("+00:00", "Z"),
        "text": _clock_face(shown, seconds),
        "zone": _offset(shown) if compact else zone_label(shown),
        "reader": "" if browser or reader.utcoffset() == shown.utcoffset() else _clock_face(reader, seconds),
        "reader_zone": zone_label(reader),
        "browser": browser,
        "compact": compact,
    }


@register.simple_tag
def date(value: Date | None) -> SafeString | str:
    """`{% date certificate.not_after %}`: a day, where the hour does not matter."""
    if value is None:
        return EMPTY
    text = format_date(value, "d MMM y", locale=_locale())
    return format_html('<time datetime="{}">{}</time>', value.isoformat()[:10], text)


@register.filter
def duration(value: timedelta | int | float | None) -> str:
    """The two largest units: "2 days 4 hours", "5 minutes 30 seconds"; a past or zero span is "0 seconds"."""
    if value is None:
        return EMPTY
    left = max(0, int(value.total_seconds() if isinstance(value, timedelta) else value))
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


@register.inclusion_tag("components/_countdown.html")
def countdown(until: datetime | None, label: str = "", over: str = "") -> dict[str, Any]:
    """`{% countdown lot.closes_at label=_("Closes in") over=_("Closed: bids are no longer taken") %}` on the server's clock."""
    if until is None:
        return {"until": None}
    left = until - clock.now()
    return {
        "until": until,
        "iso": until.astimezone(ZoneInfo("UTC")).isoformat().replace("+00:00", "Z"),
        "left": duration(left),
        "is_over": left <= timedelta(0),
        "label": label or gettext("Time left"),
        "over": over or gettext("The time is over"),
    }


# States, icons, assets


def tone_of(status: Any) -> tuple[str, str]:
    """The tone (a class `tone-…`) and the icon of a state's value."""
    return _TONES.get(str(getattr(status, "value", status)), ("quiet", "circle"))


@register.filter
def status_label(value: Any) -> str:
    """A state in words: of an object with a `status`, or of a choice."""
    if hasattr(value, "get_status_display"):
        return str(value.get_status_display())
    return str(getattr(value, "label", value))


@register.inclusion_tag("components/_status.html")
def status(value: Any, label: str | Promise = "", tone: str = "") -> dict[str, Any]:
    """`{% status tender %}`, `{% status bid.status bid.get_status_display %}` or `{% status "paid" _("Paid") %}`."""
    state = getattr(value, "status", value)
    found, picture = tone_of(state)
    return {"label": label or status_label(value), "tone": tone or found, "icon": picture}


@lru_cache(maxsize=1)
def _icons() -> dict[str, str]:
    path = _built("icons.json")
    return json.loads(path.read_text("utf-8")) if path else {}


def _built(name: str) -> Path | None:
    """A file of the front-end bundle: among the collected files, else where the build left it."""
    collected = Path(staticfiles_storage.path(f"{BUILD}/{name}"))
    found = str(collected) if collected.exists() else finders.find(f"{BUILD}/{name}")
    return Path(found) if isinstance(found, str) else None


@register.simple_tag
def icon(name: str, label: str = "", css: str = "") -> SafeString:
    """`{% icon "gavel" %}`: an outline icon of Tabler's set, as inline SVG. Without `label` it is hidden from readers of the screen."""
    body = mark_safe(_icons().get(name, ""))  # noqa: S308  (our own build's file)
    attributes = format_html('role="img" aria-label="{}"', label) if label else mark_safe('aria-hidden="true"')
    return format_html(
        '<svg class="icon {}" viewBox="0 0 24 24" width="24" height="24" fill="none" stroke="currentColor" stroke-width="2" '
        'stroke-linecap="round" stroke-linejoin="round" focusable="false" {}>{}</svg>',
        css, attributes, body,
    )  # fmt: skip


@lru_cache(maxsize=1)
def _integrity_collected() -> dict[str, str]:
    return _integrity_read()


def _integrity_read() -> dict[str, str]:
    path = _built("integrity.json")
    return json.loads(path.read_text("utf-8")) if path else {}


@register.simple_tag
def integrity(name: str) -> str:
    """The subresource hash of a built file, e.g. `{% integrity "forge.js" %}`; empty where files are served as they change."""
    hashed = staticfiles_storage.url(f"{BUILD}/{name}") != f"{staticfiles_storage.base_url}{BUILD}/{name}"
    return _integrity_collected().get(name, "") if hashed else ""


@register.simple_tag
def script(name: str, *, blocking: bool = False) -> SafeString:
    """`{% script "charts" %}`: one of the built scripts, as a module, with its hash."""
    url = staticfiles_storage.url(f"{BUILD}/{name}.js")
    digest = integrity(f"{name}.js")
    return format_html(
        '<script src="{}"{}{}></script>',
        url,
        "" if blocking else mark_safe(' type="module"'),
        format_html(' integrity="{}" crossorigin="anonymous"', digest) if digest else "",
    )


@register.simple_tag
def chart_data(chart: Chart) -> SafeString:
    """The chart's option as JSON the page carries but never runs."""
    return json_script(chart.option, f"{chart.id}-option")


# Lists and navigation


@register.inclusion_tag("components/_sort.html", takes_context=True)
def sort(context: Context, column: str, label: str, start: str = "") -> dict[str, Any]:
    """The head of a sortable column: `{% sort "closes_at" _("Deadline") %}` toggles ?sort=closes_at and ?sort=-closes_at.

    `start="-"` sorts downwards at the first click. The view reads `sort` and refuses what it does not know.
    """
    query = context["request"].GET.copy()
    current = query.get("sort", "")
    direction = {column: "ascending", f"-{column}": "descending"}.get(current, "")
    query["sort"] = {"ascending": f"-{column}", "descending": column}.get(direction, f"{start}{column}")
    for cursor in ("after", "before"):
        query.pop(cursor, None)
    return {"url": f"?{query.urlencode()}", "label": label, "direction": direction}


@register.simple_tag(takes_context=True)
def navigation(context: Context) -> Iterable[Entry]:
    """The pages this actor lives in: `{% navigation as entries %}`."""
    request = context.get("request")
    return entries_for(context.get("actor"), getattr(request, "path", ""))
