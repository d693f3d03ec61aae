"""A tender's dates: how its days are counted, what dates are suggested, and what is wrong with those chosen."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import holidays
from babel import Locale
from babel.dates import format_datetime
from django.conf import settings
from django.utils.translation import get_language, ngettext, to_locale
from django.utils.translation import gettext as _

from marketplace.shared.errors import Sentence
from procurement import procedures
from procurement.models import Tender
from procurement.rules.periods import DayKind, PeriodUnit, Reckoning, period_end


@dataclass(frozen=True, slots=True)
class CountryCalendar:
    """Working days of a country: not its weekend, not its public holidays."""

    weekend: frozenset[int]
    closed: Container[date]

    def is_working(self, day: date) -> bool:
        return day.weekday() not in self.weekend and day not in self.closed


@dataclass(frozen=True, slots=True)
class Dates:
    """The ends (UTC) of the two periods that begin with publication."""

    enquiry_ends_at: datetime
    tender_ends_at: datetime


@lru_cache(maxsize=256)
def calendar_of(country: str) -> CountryCalendar:
    """The calendar of an ISO 3166-1 country; Monday to Friday where its holidays are not known."""
    try:
        known = holidays.country_holidays(country)
    except NotImplementedError:
        return CountryCalendar(frozenset({5, 6}), frozenset())
    return CountryCalendar(frozenset(known.weekend), known)


def reckoning_of(tender: Tender) -> Reckoning:
    """How this tender counts its days: its zone, the buyer's country, calendar or working days, the platform's pace."""
    return Reckoning(
        zone=ZoneInfo(tender.time_zone),
        calendar=calendar_of(tender.buyer.country),
        kind=DayKind(_value(tender, "day_kind")),
        unit=PeriodUnit(settings.PERIOD_UNIT),
    )


def suggested(tender: Tender, start: datetime) -> Dates:
    """The dates that follow from the tender's own periods when it is published at `start`."""
    reckoning = reckoning_of(tender)
    return Dates(
        enquiry_ends_at=period_end(start, int(_value(tender, "enquiry_period_days")), reckoning),
        tender_ends_at=period_end(start, int(_value(tender, "tender_period_days")), reckoning),
    )


def dates_at(tender: Tender, start: datetime) -> Dates:
    """The dates if the tender is published at `start`: those chosen, and the suggestion where none was."""
    counted = suggested(tender, start)
    return Dates(tender.enquiry_ends_at or counted.enquiry_ends_at, tender.tender_ends_at or counted.tender_ends_at)


def auction_start(tender: Tender, tender_ends_at: datetime) -> datetime | None:
    """When live auctions are planned to start, counted from the opening; None where the procedure has none."""
    if not tender.preset.live:
        return None
    return tender_ends_at + timedelta(minutes=int(_value(tender, "auction_start_delay_minutes")))


def problems(tender: Tender, at: datetime) -> dict[str, list[Sentence]]:
    """What is wrong with the dates for a publication at `at`, by field: too short, too long, out of order."""
    dates = dates_at(tender, at)
    found: dict[str, list[Sentence]] = {}
    if tender.tender_ends_at is not None and (
        problem := _period_problem(tender, "tender_period_days", dates.tender_ends_at, at)
    ):
        found["tender_ends_at"] = [problem]
    if tender.enquiry_ends_at is not None and (
        problem := _period_problem(tender, "enquiry_period_days", dates.enquiry_ends_at, at)
    ):
        found["enquiry_ends_at"] = [problem]
    if dates.enquiry_ends_at > dates.tender_ends_at:
        found.setdefault("enquiry_ends_at", []).append(_("Questions cannot be taken longer than bids."))
    return found


def _period_problem(tender: Tender, name: str, end: datetime, at: datetime) -> Sentence | None:
    setting = tender.preset.setting(name)
    reckoning = reckoning_of(tender)
    if end <= at:
        return _("This moment has passed.")
    if setting.minimum is not None and end < (earliest := period_end(at, int(setting.minimum), reckoning)):
        return _("This is too early: the procedure asks for at least %(length)s, that is until %(until)s.") % {
            "length": length(int(setting.minimum), reckoning),
            "until": _local(earliest, reckoning),
        }
    if setting.maximum is not None and end > (latest := period_end(at, int(setting.maximum), reckoning)):
        return _("This is too late: the procedure allows at most %(length)s, that is until %(until)s.") % {
            "length": length(int(setting.maximum), reckoning),
            "until": _local(latest, reckoning),
        }
    return None


def length(days: int, reckoning: Reckoning) -> str:
    """A period in words, in the unit and the kind of days that the tender counts."""
    if reckoning.unit is PeriodUnit.MINUTE:
        return ngettext("%(n)s minute", "%(n)s minutes", days) % {"n": days}
    if reckoning.kind is DayKind.WORKING:
        return ngettext("%(n)s working day", "%(n)s working days", days) % {"n": days}
    return ngettext("%(n)s day", "%(n)s days", days) % {"n": days}


def _local(moment: datetime, reckoning: Reckoning) -> str:
    language = Locale.parse(to_locale(get_language() or "en"))
    return format_datetime(moment.astimezone(reckoning.zone), "d MMM y, HH:mm", locale=language)


def _value(tender: Tender, name: str) -> str:
    """The tender's own setting, or the preset's default. A draft may hold values that are still to be corrected."""
    setting = tender.preset.setting(name)
    given = tender.settings.get(name, setting.default)
    refused = {problem.field for problem in procedures.problems(tender.preset, {name: given})}
    return str(setting.default if name in refused else given)
