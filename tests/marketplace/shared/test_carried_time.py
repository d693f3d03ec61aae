"""The database's time, carried by what the machine counts: no setting of the machine's clock moves it."""

from datetime import UTC, datetime, timedelta

import pytest

from marketplace.shared import clock

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


@pytest.fixture
def count(monkeypatch):
    """What the machine has counted: `count(seconds)` sets it."""
    held = [1000.0]
    monkeypatch.setattr(clock, "counted", lambda: held[0])
    return lambda seconds: held.__setitem__(0, 1000.0 + seconds)


@pytest.fixture
def carried(count):
    found = clock.Carried()
    found.observe(NOON, 1000.0, 1000.0)
    clock.follow(found)
    yield found
    clock.follow(None)


def later(seconds):
    return NOON + timedelta(seconds=seconds)


def test_setting_the_machines_clock_moves_nothing(carried, count, monkeypatch):
    class SetForward(datetime):
        @classmethod
        def now(cls, tz=None):
            return later(86_400)

    monkeypatch.setattr(clock, "datetime", SetForward)
    count(7.5)
    assert clock.now() == later(7.5)


def test_before_the_first_look_and_after_following_the_machine_is_asked(count):
    clock.follow(clock.Carried())
    try:
        assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=5)
    finally:
        clock.follow(None)
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=5)


def test_a_look_corrects_no_more_than_it_is_sure_of(carried, count):
    count(10)
    # Asked at 10, answered at 10.4: anything between agrees.
    assert carried.observe(later(10.2), 1010.0, 1010.4) == timedelta()
    assert clock.now() == later(10)
    assert carried.observe(later(10.9), 1010.0, 1010.4) == timedelta(seconds=0.5)
    assert clock.now() == later(10.5)


def test_a_small_correction_never_leads_back(carried, count):
    count(10)
    assert clock.now() == later(10)
    assert carried.observe(later(9.8), 1010.0, 1010.0) == timedelta(seconds=-0.2)
    assert clock.now() == later(10)
    count(10.1)
    assert clock.now() == later(10)
    count(10.3)
    assert clock.now() == later(10.1)


@pytest.mark.parametrize("step", [3600, -3600])
def test_a_step_of_the_databases_clock_is_told_before_it_is_followed(carried, count, step):
    count(10)
    assert clock.now() == later(10)
    assert carried.step(later(10.9), 1010.0, 1010.0) == timedelta()
    assert carried.step(later(10 + step), 1010.0, 1010.0) == timedelta(seconds=step)
    assert clock.now() == later(10)
    assert carried.observe(later(10 + step), 1010.0, 1010.0) == timedelta(seconds=step)
    assert clock.now() == later(10 + step)
