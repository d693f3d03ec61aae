"""Periods of a procedure: half-open [start, end), in calendar or working days of the tender's calendar and zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import StrEnum
from typing import Protocol


class DayKind(StrEnum):
    CALENDAR = "calendar"
    WORKING = "working"


class PeriodUnit(StrEnum):
    """The pace of the platform: `minute` makes a day of a preset last a minute, for the demo and for training."""

    DAY = "day"
    MINUTE = "minute"


class WorkingCalendar(Protocol):
    """A country's working days with the tender's own additions; the caller wraps whatever knows the holidays."""

    def is_working(self, day: date) -> bool: ...


@dataclass(frozen=True, slots=True)
class WeekCalendar:
    """Working days by the weekday alone (Monday is 0), less the days that are closed."""

    weekend: frozenset[int] = frozenset({5, 6})
    closed: frozenset[date] = frozenset()

    def is_working(self, day: date) -> bool:
        return day.weekday() not in self.weekend and day not in self.closed


@dataclass(frozen=True, slots=True)
class Period:
    """Half-open: a bid at the closing instant is late."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.end < self.start:
            raise ValueError("a period does not end before it starts")

    def contains(self, at: datetime) -> bool:
        return self.start <= at < self.end


@dataclass(frozen=True, slots=True)
class Reckoning:
    """How a tender counts its days."""

    zone: tzinfo
    calendar: WorkingCalendar
    kind: DayKind = DayKind.CALENDAR
    unit: PeriodUnit = PeriodUnit.DAY


# Longer than any run of holidays; a calendar without working days must not hang a process.
_LONGEST_CLOSURE_DAYS = 60


def period_end(start: datetime, days: int, reckoning: Reckoning) -> datetime:
    """The end (UTC) of a period of full days: midnight of the tender's zone that closes the last day.

    A started day does not count unless it started at midnight. In calendar days, a period that would end on a non-
    working day ends with the next working day. Nought days end where they start. Raises ValueError for negative days.
    """
    if days < 0:
        raise ValueError("a period has no negative days")
    if days == 0:
        return start.astimezone(UTC)
    if reckoning.unit is PeriodUnit.MINUTE:
        return start.astimezone(UTC) + timedelta(minutes=days)
    local = start.astimezone(reckoning.zone)
    day_before = local.date() - timedelta(days=1) if local.time() == time.min else local.date()
    return _midnight_after(_last_day(day_before, days, reckoning), reckoning.zone)


def extended_end(end: datetime, amended_at: datetime, minimum_remainder_days: int, reckoning: Reckoning) -> datetime:
    """The end of the tender period after an amendment: never earlier, and leaving at least the minimum remainder."""
    return max(end, period_end(amended_at, minimum_remainder_days, reckoning))


def _last_day(day_before: date, days: int, reckoning: Reckoning) -> date:
    if reckoning.kind is DayKind.CALENDAR:
        return _working_from(day_before + timedelta(days=days), reckoning.calendar)
    day = day_before
    for _ in range(days):
        day = _working_from(day + timedelta(days=1), reckoning.calendar)
    return day


def _working_from(day: date, calendar: WorkingCalendar) -> date:
    for offset in range(_LONGEST_CLOSURE_DAYS):
        candidate = day + timedelta(days=offset)
        if calendar.is_working(candidate):
            return candidate
    raise ValueError(f"the calendar has no working day within {_LONGEST_CLOSURE_DAYS} days of {day}")


def _midnight_after(day: date, zone: tzinfo) -> datetime:
    return datetime.combine(day + timedelta(days=1), time.min, zone).astimezone(UTC)
