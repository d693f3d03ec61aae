"""The platform's time goes on as counted, whatever the database's clock is set to, in every process alike."""

import threading
from datetime import datetime, timedelta
from types import SimpleNamespace

import pytest

from marketplace.models import AuditRecord, ClockStep, Heartbeat, Notification, StaffRole
from marketplace.services import timekeeping
from marketplace.shared import clock
from marketplace.shared.errors import NotFound
from tests.factories.at_once import at_the_same_time
from tests.factories.marketplace import NOON, accredited_supplier, member, staff
from tests.patience import wait_until

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


@pytest.fixture
def world(monkeypatch):
    """What the machines have counted and what the database's clock is set by: `world.counted`, `world.set`."""
    state = SimpleNamespace(counted=0.0, set=timedelta())
    monkeypatch.setattr(clock, "counted", lambda: state.counted)
    real = timekeeping.look

    def look():
        found = real()  # for what is left out
        says = NOON + timedelta(seconds=state.counted) + state.set
        return timekeeping.Look(says, says - (found.clock - found.steady), says - (found.clock - found.at))

    monkeypatch.setattr(timekeeping, "look", look)
    return state


class Process:
    """One that follows the platform's time, and gives its sign with each look."""

    def __init__(self, name):
        self.name, self.carried = name, clock.Carried()

    def look(self):
        found = timekeeping.observe(self.carried, self.name)
        self.carried.ahead = found.ahead
        since = {"since": self.carried.since.isoformat()}
        for name, detail in ((self.name, since), (self.name.partition(":")[0], {})):
            Heartbeat.objects.update_or_create(process=name, defaults={"at": found.at, "detail": detail})
        return found.at

    @property
    def now(self):
        return self.carried.now()


@pytest.fixture
def gateway(world):
    found = Process("gateway:one:1")
    found.look()
    return found


@pytest.fixture
def other(world, gateway):
    found = Process("clock:two:1")
    found.look()
    return found


def later(seconds):
    return NOON + timedelta(seconds=seconds)


@pytest.mark.parametrize("step", [HOUR, -HOUR])
def test_a_step_is_taken_out_once_for_all_and_told(world, gateway, other, step):
    operator = staff(StaffRole.OPERATOR)
    world.counted, world.set = 5.0, step
    assert [process.now for process in (gateway, other)] == [later(5), later(5)]
    for _ in range(2):
        assert [process.look() for process in (gateway, other)] == [later(5), later(5)]
    assert [process.now for process in (gateway, other)] == [later(5), later(5)]
    (found,) = ClockStep.objects.all()
    assert (found.at, found.by, found.noticed_by, found.taken_at) == (later(5), step, gateway.name, None)
    word = "forward" if step > timedelta() else "back"
    for _ in range(2):
        timekeeping.tell_operators(later(5))
    told = Notification.objects.get(person=operator.person).text
    assert told.startswith(f"The database’s clock was set {word} by 3600 seconds. The platform’s time goes on")
    assert AuditRecord.objects.get(action="platform.clock_step").details["seconds"] == step.total_seconds()
    world.counted = 9.0
    newcomer = Process("gateway:three:1")
    assert (newcomer.look(), newcomer.now, timekeeping.look().at) == (later(9), later(9), later(9))


def test_a_clock_that_is_set_right_again_leaves_nothing_out(world, gateway):
    operator = staff(StaffRole.OPERATOR)
    world.counted, world.set = 5.0, HOUR
    gateway.look()
    world.counted, world.set = 6.0, timedelta(milliseconds=-300)
    assert gateway.now == later(6)
    assert gateway.look() == later(5.7)
    # What it is still behind is too little to lead back.
    assert gateway.now == later(6)
    assert not timekeeping.left_out().exists()
    assert timekeeping.look().clock == timekeeping.look().at
    timekeeping.tell_operators(later(6))
    assert "agrees with the platform’s time again" in Notification.objects.filter(person=operator.person)[0].text
    world.counted = 7.0
    assert (gateway.look(), gateway.now) == (later(6.7), later(6.7))


def test_corrections_are_followed_and_are_no_steps(world, gateway):
    world.counted, world.set = 5.0, timedelta(milliseconds=-900)
    gateway.look()
    world.counted = 10.0
    assert (gateway.look(), gateway.now) == (later(9.1), later(9.1))
    assert not ClockStep.objects.exists()


def test_a_machine_that_stood_still_believes_those_that_did_not(world, gateway, other):
    world.counted = 3600.0
    other.look()
    world.counted = 0.0  # what the gateway's machine has counted meanwhile
    world.set = HOUR
    assert gateway.look() == later(3600)
    assert gateway.now == later(3600)
    assert not ClockStep.objects.exists()


def test_a_newcomers_sign_is_no_proof_that_others_stood_still(world, gateway):
    world.counted, world.set = 5.0, HOUR
    newcomer = Process("gateway:three:1")
    newcomer.look()
    assert gateway.look() == later(5)
    assert ClockStep.objects.get().by == HOUR


def test_who_begins_never_goes_back_behind_a_sign_of_life(world, gateway):
    world.counted, world.set = 2.0, -HOUR
    newcomer = Process("gateway:three:1")
    assert newcomer.look() == NOON
    world.counted = 3.0
    assert (gateway.look(), newcomer.look()) == (later(3), later(3))
    assert newcomer.now == gateway.now == later(3)


def test_with_nobody_who_counted_the_database_is_believed_but_never_back(world, gateway):
    world.counted, world.set = 5.0, HOUR
    gateway.look()
    world.counted = 20.0
    assert Process("gateway:one:2").look() == later(20 + 3600)
    assert not timekeeping.left_out().exists()


def test_what_nobody_saw_go_back_stands_still(world, gateway):
    world.counted, world.set = 100.0, -HOUR
    assert Process("gateway:one:2").look() == NOON
    world.counted = 160.0
    # Longer away than is tolerated, but the database's clock is still behind the last sign.
    assert Process("gateway:one:3").look() == later(60)


def test_an_operator_takes_the_new_time_over(world, gateway, other):
    world.counted, world.set = 5.0, HOUR
    gateway.look()
    with pytest.raises(NotFound):
        timekeeping.take_over(by=member(accredited_supplier()), at=NOON)
    operator = staff(StaffRole.OPERATOR)
    assert timekeeping.take_over(by=operator, at=NOON) == HOUR
    assert (gateway.look(), other.look()) == (later(3605), later(3605))
    assert gateway.now == other.now == later(3605)
    assert AuditRecord.objects.get(action="platform.clock_taken_over").person == operator.person
    world.counted, world.set = 6.0, timedelta()
    gateway.look()
    with pytest.raises(timekeeping.TimeWouldGoBack):
        timekeeping.take_over(by=operator, at=NOON)
    assert timekeeping.left_out().count() == 1


@pytest.mark.django_db(transaction=True)
def test_many_processes_that_notice_at_once_take_it_out_once(world, gateway):
    processes = [Process(f"gateway:{number}:1") for number in range(4)]
    for process in processes:
        process.look()
    world.counted, world.set = 5.0, -HOUR
    at_the_same_time(*[process.look for process in processes])
    assert ClockStep.objects.get().by == -HOUR
    assert {process.now for process in processes} == {later(5)}


def test_the_time_is_the_databases_for_who_does_not_follow(db):
    found = timekeeping.now()
    assert isinstance(found, datetime)
    assert abs(found - timekeeping.look().clock) < timedelta(seconds=1)


@pytest.mark.django_db(transaction=True)
def test_a_process_that_follows_is_not_moved_by_the_clock_of_its_machine_nor_by_the_databases(world, monkeypatch):
    monkeypatch.setattr(timekeeping, "_LOOK_EVERY_S", 0.01)

    class SetForward(datetime):
        @classmethod
        def now(cls, tz=None):
            return later(86_400)

    monkeypatch.setattr(clock, "datetime", SetForward)
    stopping = threading.Event()
    thread = timekeeping.follow("web", stopping)
    try:
        wait_until(lambda: clock.now() == NOON)
        world.set, world.counted = HOUR, 5.0
        wait_until(lambda: ClockStep.objects.filter(noticed_by__startswith="web:").exists())
        assert clock.now() == later(5)
        timekeeping.take_over(by=staff(StaffRole.OPERATOR), at=NOON)
        wait_until(lambda: clock.now() == later(3605))
    finally:
        stopping.set()
        thread.join()
        clock.follow(None)


def test_who_gives_no_sign_of_life_decides_nothing_about_steps_of_long_ago(world, gateway):
    world.counted, world.set = 5.0, HOUR
    gateway.look()
    world.counted = 600.0
    carried = clock.Carried()
    assert timekeeping.observe(carried, "web:one:1").at == carried.now() == later(600)
    assert timekeeping.left_out().exists()
