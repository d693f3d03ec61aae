"""How Openlot writes money, time, states and icons. A builtin of every template: nothing needs loading."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from datetime import date as Date
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Any, Final
from zoneinfo import ZoneInfo

from babel.numbers import format_decimal, format_percent
from django import template
from django.conf import settings
from django.template.context import Context
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.html import format_html, json_script
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language, gettext

from marketplace import countries
from marketplace.shared import clock
from marketplace.web import bundle, formats
from marketplace.web.formats import EMPTY, zone_of
from marketplace.web.navigation import Entry, entries_for, rooms_for
from marketplace.web.parts import Chart
from marketplace.web.script_words import SENTENCES

register = template.Library()

# A state's tone and picture. Colour never speaks alone: the state's words stand beside it.
_STATES: Final[Mapping[tuple[str, str], tuple[str, ...]]] = {
    ("quiet", "pencil"): ("draft", "none", "inactive"),
    ("quiet", "circle-minus"): (
        *("withdrawn", "losing", "ended", "lost", "disqualified", "declined"),
        *("undone", "discarded", "dismissed"),
    ),
    ("wait", "hourglass"): (
        "approval",
        "pending",
        "submitted",
        "scheduled",
        "asked",
        "recorded",
        "sent",
        "signing",
        "issued",
        "uploaded",
        "read",
        "snoozed",
    ),
    ("open", "circle-dot"): ("published", "opened", "registered", "answered", "open", "new"),
    ("live", "gavel"): ("auction", "running"),
    ("work", "progress"): (
        *("opening", "evaluation", "awarding", "standstill", "admitted", "working", "taken_up"),
        *("reading", "loading", "undoing", "learning", "scoring"),
    ),
    ("good", "circle-check"): (
        *("complete", "completed", "active", "winning", "accepted"),
        *("approved", "accredited", "paid", "signed", "done", "won", "qualified", "loaded", "whole", "confirmed"),
    ),
    ("warn", "alert-triangle"): ("paused", "invalidated", "suspended", "returned", "expiring"),
    ("bad", "ban"): ("cancelled", "rejected", "terminated", "unsuccessful", "expired", "overdue", "revoked", "failed"),
}
# The picture of a tone by itself: the last one listed.
_PICTURES: Final[Mapping[str, str]] = dict(_STATES.keys())
_TONES: Final = {state: look for look, states in _STATES.items() for state in states}


# Money and numbers


@register.filter(name="amount")
def amount_filter(value: Any, currency: str = "") -> SafeString | str:
    """`{{ lot.limit|amount }}`: the figure alone, for columns whose head names the currency."""
    found = formats.money_of(value, currency)
    return EMPTY if found is None else format_html("<bdi>{}</bdi>", formats.amount(found))


@register.filter(name="money")
def money_filter(value: Any, currency: str = "") -> SafeString | str:
    """`{{ bid.total|money }}` or `{{ lot.limit_amount|money:lot.currency }}`: the figure with its currency."""
    found = formats.money_of(value, currency)
    if found is None:
        return EMPTY
    return format_html(
        '<bdi class="money">{} <span class="money-unit">{}</span></bdi>', formats.amount(found), found.currency
    )


@register.inclusion_tag("components/_money.html")
def money(value: Any, currency: str = "", vat: bool | None = None) -> dict[str, Any]:
    """`{% money bid.total vat=lot.vat_included %}`: figure, currency, and whether VAT is inside (None says nothing)."""
    found = formats.money_of(value, currency)
    return {
        "figure": formats.amount(found) if found else "",
        "currency": found.currency if found else "",
        "vat": vat,
    }


@register.filter
def number(value: Any) -> str:
    """A count or a quantity, grouped as the language does."""
    if value is None or value == "":
        return EMPTY
    try:
        return format_decimal(Decimal(str(value)), "#,##0.######", formats.locale())
    except InvalidOperation:
        return str(value)


@register.filter
def percentage(value: Any) -> str:
    """A percentage (12) as "12.0%": one decimal always, so that a column lines up."""
    if value is None or value == "":
        return EMPTY
    return format_percent(Decimal(str(value)) / 100, "#,##0.0%", formats.locale())


@register.filter
def filesize(value: int | None) -> str:
    """Bytes as "1.4 MB"."""
    return EMPTY if value is None else formats.filesize(int(value))


@register.filter
def country(code: str) -> str:
    """`{{ organisation.country|country }}`: the country's name in the reader's language."""
    return countries.name_of(code, get_language() or "en") if code else EMPTY


# Time


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _reader_zone(context: Context) -> ZoneInfo:
    person = getattr(context.get("actor"), "person", None)
    chosen = zone_of(getattr(person, "time_zone", "")) or zone_of(timezone.get_current_timezone_name())
    return chosen or ZoneInfo("UTC")


@register.inclusion_tag("components/_when.html", takes_context=True)
def when(
    context: Context, moment: datetime | None, tz: str = "", *, compact: bool = False, seconds: bool = False
) -> dict[str, Any]:
    """`{% when tender.closes_at tz=tender.time_zone %}`: in the tender's zone and in the reader's, both named.

    `compact=True` is for table cells: one line, the offset instead of the city. Without `tz` only the reader's zone.
    """
    if moment is None:
        return {"moment": None}
    reader_zone = _reader_zone(context)
    shown = moment.astimezone(zone_of(tz) or reader_zone)
    reader = moment.astimezone(reader_zone)
    # UTC means that nobody chose a zone: the browser's own then stands beside the tender's.
    nobody_chose = reader_zone.key == "UTC"
    return {
        "moment": moment,
        "iso": _iso(moment),
        "offset": formats.offset_minutes(shown),
        "text": formats.moment_text(shown, seconds),
        "zone": formats.offset(shown) if compact else formats.zone_label(shown),
        "reader": ""
        if nobody_chose or reader.utcoffset() == shown.utcoffset()
        else formats.moment_text(reader, seconds),
        "reader_zone": formats.zone_label(reader),
        "browser": nobody_chose and not compact,
        "compact": compact,
    }


@register.simple_tag
def date(value: Date | None) -> SafeString | str:
    """`{% date certificate.not_after %}`: a day, where the hour does not matter."""
    if value is None:
        return EMPTY
    return format_html('<time datetime="{}">{}</time>', value.isoformat()[:10], formats.day(value))


@register.filter
def duration(value: timedelta | int | float | None) -> str:
    """A span (a timedelta, or seconds) in its two largest units."""
    if value is None:
        return EMPTY
    return formats.duration(value if isinstance(value, timedelta) else timedelta(seconds=value))


@register.inclusion_tag("components/_countdown.html")
def countdown(until: datetime | None, label: str = "", over: str = "") -> dict[str, Any]:
    """`{% countdown lot.closes_at label=_("Closes in") over=_("Closed: no more bids") %}`, on the server's clock."""
    if until is None:
        return {"until": None}
    left = until - clock.now()
    return {
        "until": until,
        "iso": _iso(until),
        "left": formats.duration(left),
        "is_over": left <= timedelta(0),
        "label": label or gettext("Time left"),
        "over": over or gettext("The time is over"),
    }


# What is signed, and what submits once


@register.filter
def base64(value: bytes | memoryview | str | None) -> str:
    """Bytes for a data attribute."""
    return b64encode(_bytes(value)).decode()


@register.filter
def utf8(value: bytes | memoryview | str | None) -> str:
    """Bytes shown as the text they are; what is no UTF-8 is replaced visibly."""
    return _bytes(value).decode("utf-8", "replace")


def _bytes(value: bytes | memoryview | str | None) -> bytes:
    return value.encode() if isinstance(value, str) else bytes(value or b"")


# States, icons, scripts


def _look(status: Any) -> tuple[str, str]:
    return _TONES.get(str(getattr(status, "value", status)), ("quiet", "circle"))


def _in_words(value: Any) -> str:
    if hasattr(value, "get_status_display"):
        return str(value.get_status_display())
    return str(getattr(value, "label", value))


@register.inclusion_tag("components/_status.html")
def status(value: Any, label: str | Promise = "", tone: str = "") -> dict[str, Any]:
    """`{% status tender %}`, `{% status bid.status bid.get_status_display %}` or `{% status "paid" _("Paid") %}`."""
    found, picture = _look(getattr(value, "status", value))
    if tone and tone != found:
        found, picture = tone, _PICTURES.get(tone, picture)
    return {"label": label or _in_words(value), "tone": found, "icon": picture}


@register.inclusion_tag("components/_time_stamp.html", takes_context=True)
def time_stamp(context: Context, signature: Any) -> dict[str, Any]:
    """`{% time_stamp envelope.signature %}`: how far its time stamp is; nothing while no authority is set."""
    stamp = getattr(signature, "stamp", None)
    if stamp is not None and stamp.stamped_at is None and not settings.TIMESTAMP_AUTHORITY_URLS:
        stamp = None
    return {"stamp": stamp, "actor": context.get("actor")}


@register.simple_tag
def icon(name: str, label: str = "", css: str = "") -> SafeString:
    """`{% icon "gavel" %}`: an outline icon of Tabler's set as inline SVG; without `label` it is decoration."""
    return format_html(
        '<svg class="icon {}" viewBox="0 0 24 24" width="24" height="24" fill="none" stroke="currentColor" '
        'stroke-width="2" stroke-linecap="round" stroke-linejoin="round" focusable="false" {}>{}</svg>',
        css,
        format_html('role="img" aria-label="{}"', label) if label else mark_safe('aria-hidden="true"'),
        mark_safe(bundle.icon(name)),
    )


@register.simple_tag
def integrity(name: str) -> str:
    """The subresource hash of a built file, e.g. `{% integrity "forge.js" %}`."""
    return bundle.integrity(name)


@register.simple_tag
def script(name: str, *, blocking: bool = False) -> SafeString:
    """`{% script "charts" %}`: one of the built scripts, as a module, with its hash."""
    digest = bundle.integrity(f"{name}.js")
    return format_html(
        '<script src="{}"{}{}></script>',
        bundle.url(f"{name}.js"),
        "" if blocking else mark_safe(' type="module"'),
        format_html(' integrity="{}" crossorigin="anonymous"', digest) if digest else "",
    )


@register.simple_tag
def script_words() -> SafeString | str:
    """The scripts' sentences in the active language; nothing in English, which is what the scripts are written in."""
    return _script_words(get_language())


@cache
def _script_words(_active: str | None) -> SafeString | str:
    """Made once a language: there are hundreds, and every page carries them."""
    translated = {english: text for english in SENTENCES if (text := gettext(english)) != english}
    return json_script(translated, "words") if translated else ""


@register.simple_tag
def chart_data(chart: Chart) -> SafeString:
    """The chart's option as JSON the page carries but never runs."""
    return json_script(chart.option, f"{chart.id}-option")


# Lists and navigation


@register.inclusion_tag("components/_sort.html", takes_context=True)
def sort(context: Context, column: str, label: str, start: str = "") -> dict[str, Any]:
    """The head of a sortable column: `{% sort "closes_at" _("Deadline") %}` toggles ?sort=closes_at and -closes_at.

    `start="-"` sorts downwards at the first click. The view reads `sort` and refuses what it does not know.
    """
    query = context["request"].GET.copy()
    direction = {column: "ascending", f"-{column}": "descending"}.get(query.get("sort", ""), "")
    query["sort"] = {"ascending": f"-{column}", "descending": column}.get(direction, f"{start}{column}")
    for cursor in ("after", "before"):
        query.pop(cursor, None)
    return {"url": f"?{query.urlencode()}", "label": label, "direction": direction}


@register.simple_tag(takes_context=True)
def navigation(context: Context) -> Iterable[Entry]:
    """The pages this actor lives in: `{% navigation as entries %}`."""
    request = context.get("request")
    crumbs = context.get("crumbs") or []
    return entries_for(context.get("actor"), getattr(request, "path", ""), [str(crumb.url) for crumb in crumbs])


@register.simple_tag(takes_context=True)
def rooms(context: Context) -> Iterable[Entry]:
    """The rooms of the place this page belongs to: `{% rooms as entries %}`."""
    crumbs = context.get("crumbs") or []
    path = getattr(context.get("request"), "path", "")
    return rooms_for(context.get("actor"), path, [str(crumb.url) for crumb in crumbs])
