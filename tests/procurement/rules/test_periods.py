from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from procurement.rules.periods import (
    DayKind,
    Period,
    PeriodUnit,
    Reckoning,
    WeekCalendar,
    extended_end,
    period_end,
)

BERLIN = ZoneInfo("Europe/Berlin")
WORKING = Reckoning(BERLIN, WeekCalendar(), DayKind.WORKING)
CALENDAR = Reckoning(BERLIN, WeekCalendar(), DayKind.CALENDAR)
# A Wednesday; that week's Friday is the 6th.
WEDNESDAY_NOON = datetime(2026, 3, 4, 12, tzinfo=BERLIN)


def midnight(day: int, month: int = 3) -> datetime:
    return datetime(2026, month, day, tzinfo=BERLIN)


def test_a_period_holds_its_start_and_not_its_end():
    period = Period(midnight(4), midnight(5))
    assert period.contains(midnight(4))
    assert period.contains(midnight(5) - timedelta(microseconds=1))
    assert not period.contains(midnight(5))


def test_a_period_does_not_end_before_it_starts():
    with pytest.raises(ValueError, match="before it starts"):
        Period(midnight(5), midnight(4))


@pytest.mark.parametrize(
    ("reckoning", "days", "end"),
    [
        (WORKING, 2, midnight(7)),  # Thursday, Friday
        (WORKING, 3, midnight(10)),  # … and Monday
        (CALENDAR, 2, midnight(7)),
        (CALENDAR, 3, midnight(10)),  # Saturday: the next working day is Monday
        (CALENDAR, 0, WEDNESDAY_NOON),
    ],
)
def test_full_days_end_at_midnight_of_the_tenders_zone(reckoning, days, end):
    assert period_end(WEDNESDAY_NOON, days, reckoning) == end


def test_a_period_that_starts_at_midnight_counts_that_day():
    assert period_end(midnight(4), 1, WORKING) == midnight(5)


def test_a_holiday_is_not_counted_and_nothing_ends_on_it():
    closed = WeekCalendar(closed=frozenset({date(2026, 3, 6)}))
    assert period_end(WEDNESDAY_NOON, 2, Reckoning(BERLIN, closed, DayKind.WORKING)) == midnight(10)
    assert period_end(WEDNESDAY_NOON, 2, Reckoning(BERLIN, closed, DayKind.CALENDAR)) == midnight(10)


def test_a_weekend_of_one_friday_is_known():
    friday_only = Reckoning(ZoneInfo("Asia/Tehran"), WeekCalendar(weekend=frozenset({4})), DayKind.WORKING)
    end = period_end(datetime(2026, 3, 5, 9, tzinfo=ZoneInfo("Asia/Tehran")), 1, friday_only)
    assert end == datetime(2026, 3, 8, tzinfo=ZoneInfo("Asia/Tehran"))


def test_the_day_the_clocks_change_is_a_day_like_others():
    # Summer time starts on Sunday 29 March 2026: the period is an hour short of five times 24 h.
    end = period_end(datetime(2026, 3, 27, tzinfo=BERLIN), 5, CALENDAR)
    assert end == datetime(2026, 4, 1, tzinfo=BERLIN)
    assert end - datetime(2026, 3, 27, tzinfo=BERLIN).astimezone(UTC) == timedelta(days=5) - timedelta(hours=1)


def test_the_demonstration_counts_a_day_as_a_minute():
    reckoning = Reckoning(BERLIN, WeekCalendar(), DayKind.WORKING, PeriodUnit.MINUTE)
    assert period_end(WEDNESDAY_NOON, 5, reckoning) == WEDNESDAY_NOON + timedelta(minutes=5)


def test_an_amendment_leaves_the_minimum_remainder_and_never_shortens():
    assert extended_end(midnight(5), WEDNESDAY_NOON, 2, WORKING) == midnight(7)
    assert extended_end(midnight(20), WEDNESDAY_NOON, 2, WORKING) == midnight(20)


def test_a_calendar_without_working_days_is_refused_instead_of_hanging():
    never = Reckoning(BERLIN, WeekCalendar(weekend=frozenset(range(7))), DayKind.WORKING)
    with pytest.raises(ValueError, match="no working day"):
        period_end(WEDNESDAY_NOON, 1, never)


def test_days_are_not_negative():
    with pytest.raises(ValueError, match="negative"):
        period_end(WEDNESDAY_NOON, -1, WORKING)


@given(
    start=st.integers(0, 10 * 365 * 86_400).map(
        lambda seconds: datetime(2020, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    ),
    days=st.integers(1, 90),
    kind=st.sampled_from(DayKind),
)
def test_a_period_has_at_least_its_days_and_closes_a_working_day(start, days, kind):
    end = period_end(start, days, Reckoning(BERLIN, WeekCalendar(), kind))
    local = end.astimezone(BERLIN)
    assert (local.hour, local.minute, local.second, local.microsecond) == (0, 0, 0, 0)
    assert (local.date() - timedelta(days=1)).weekday() < 5
    assert local.date() - start.astimezone(BERLIN).date() >= timedelta(days=days)
