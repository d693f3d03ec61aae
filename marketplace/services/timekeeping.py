"""The platform's time: the database's, without the steps of its clock.

Nobody can tell from a clock that was set whether it is right now or was before. What the machines counted meanwhile is
sure: who lived through the step takes it out, for all, and the platform's time goes on, neither running ahead nor going
back nor standing still. It takes over the database's time when an operator says so, or with the first process to begin
after a time in which none lived.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import Error, connection, transaction
from django.db.models import Max, QuerySet
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from marketplace import audit
from marketplace.models import ClockStep, Heartbeat, StaffRole
from marketplace.permissions import Actor, require_staff
from marketplace.services import notifications
from marketplace.shared import clock
from marketplace.shared.errors import DomainError

log = logging.getLogger(__name__)

# Under these names those who follow the platform's time say together that one of them lives.
FOLLOWERS: Final = ("gateway", "clock")
# Who gives no sign looks so often.
_LOOK_EVERY_S: Final = 5.0
_LOOK: Final = """
    SELECT clock_timestamp(), coalesce(sum(by), '0'), coalesce(sum(by) FILTER (WHERE taken_at IS NULL), '0')
    FROM marketplace_clockstep
"""
_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtextextended('platform time', 0))"


class TimeWouldGoBack(DomainError):
    code = "time_would_go_back"
    sentence = _("The platform’s time would go back by %(seconds)s seconds. Set the database’s clock right instead.")


@dataclass(frozen=True, slots=True)
class Look:
    """What the database's clock said at one instant, with all its steps taken out, and with those that the platform's
    time leaves out."""

    clock: datetime
    steady: datetime
    at: datetime

    @property
    def ahead(self) -> timedelta:
        """How much of the steps the platform's time has taken over."""
        return self.at - self.steady


def now() -> datetime:
    """The one time that all processes share. From what this process counts, where it follows it; else of the
    database."""
    carried = clock.followed()
    return look().at if carried is None else carried.now()


def look() -> Look:
    """What time it is for the database and for the platform."""
    with connection.cursor() as cursor:
        cursor.execute(_LOOK)
        says, steps, left_out = cursor.fetchone()
    return Look(says, says - steps, says - left_out)


def observe(carried: clock.Carried, process: str) -> Look:
    """Have `carried` agree with the database. A step of its clock that `carried` counted through is taken out, once,
    whoever else notices it.

    What the platform's time has taken over meanwhile is the caller's to set: `carried.ahead`. A process that gives
    signs of life begins with one: what it says of steps of long ago, `_begin` has decided.
    """
    if not carried.knows and process.startswith(FOLLOWERS):
        _begin(process)
    before = clock.counted()
    found = look()
    if carried.step(found.steady, before, clock.counted()) and _take_out(carried, process):
        before = clock.counted()
        found = look()
    after = clock.counted()
    if not carried.knows:
        carried.ahead = found.ahead
    carried.observe(found.steady, before, after)
    return found


def follow(kind: str, stopping: threading.Event) -> threading.Thread:
    """Have all of this process go by the platform's time, from a thread that looks at the database now and then."""
    carried, process = clock.Carried(), f"{kind}:{socket.gethostname()[:20]}:{os.getpid()}"
    clock.follow(carried)
    thread = threading.Thread(target=_keep_looking, args=(carried, process, stopping), name="time", daemon=True)
    thread.start()
    return thread


def _keep_looking(carried: clock.Carried, process: str, stopping: threading.Event) -> None:
    while True:
        try:
            carried.ahead = observe(carried, process).ahead
        except Error as error:
            log.warning("The database is not asked for the time: %s", error)
        except Exception:
            log.exception("The database is not asked for the time")
        connection.close()
        if stopping.wait(_LOOK_EVERY_S):
            return


def left_out() -> QuerySet[ClockStep]:
    """The steps that the platform's time leaves out, the newest first."""
    return ClockStep.objects.filter(taken_at=None)


def tell_operators(at: datetime) -> None:
    """Of steps that they were not told of. Not by who notices one: it has locked what all signs of life wait for."""
    with transaction.atomic():
        for step in ClockStep.objects.select_for_update(skip_locked=True).filter(told_at=None).order_by("pk"):
            step.told_at = at
            step.save(update_fields=["told_at"])
            words = _forward_or_back(step) % {"seconds": round(abs(step.by).total_seconds())}
            text = f"{words} {_what_to_do()}"
            notifications.notify_staff([StaffRole.OPERATOR], "clock_set", text, reverse("outages"), at=at, mail=True)


def take_over(*, by: Actor, at: datetime) -> timedelta:
    """Go by the database's clock from now on: it is right. Returns by how much the time moves; what is lost to running
    auctions is given back as after an outage. An operator's. Raises TimeWouldGoBack where it would."""
    require_staff(by, StaffRole.OPERATOR)
    with transaction.atomic():
        _lock()
        found = look()
        ahead = found.clock - found.at
        if ahead < timedelta():
            raise TimeWouldGoBack(seconds=round(-ahead.total_seconds()))
        for step in left_out():
            audit.record("platform.clock_taken_over", step, by=by, at=at, seconds=round(step.by.total_seconds()))
        left_out().update(taken_at=found.clock)
    return ahead


@transaction.atomic
def _take_out(carried: clock.Carried, process: str) -> bool:
    """Whether there was a step, or somebody else took it out meanwhile; not where it was this machine that stood still,
    which others know who did not."""
    _lock()
    before = clock.counted()
    found = look()
    step = carried.step(found.steady, before, clock.counted())
    if not step:
        return True
    if _others_counted(process, found.at - step, found.at):
        log.warning("This machine stood still for %s: it counted less than the others", step)
        return False
    _record(found.at - step, step, process)
    return True


def _others_counted(process: str, since: datetime, until: datetime) -> bool:
    """Whether another process that lived at `since` has given a sign after it and no later than `until`."""
    others = Heartbeat.objects.filter(process__contains=":").exclude(process=process)
    later = others.filter(at__gt=since + clock.Carried.STEP, at__lte=until).values_list("detail", flat=True)
    return any(datetime.fromisoformat(told["since"]) <= since for told in later if "since" in told)


@transaction.atomic
def _begin(process: str) -> None:
    """The first look of a process. Where none has lived for longer than is tolerated, nobody vouches for steps of long
    ago: the database is believed. But never does time go back behind a sign of life."""
    last = Heartbeat.objects.filter(process__in=FOLLOWERS).aggregate(last=Max("at"))["last"]
    if last is None:
        return
    _lock()
    found = look()
    if found.at - last > timedelta(seconds=settings.OUTAGE_TOLERANCE_SECONDS) and found.clock >= last:
        left_out().update(taken_at=found.clock)
    elif last - found.at > clock.Carried.STEP:
        _record(last, found.at - last, process)


def _record(at: datetime, by: timedelta, process: str) -> None:
    step = ClockStep.objects.create(at=at, by=by, noticed_by=process)
    log.warning("The database's clock was set by %s; the platform's time goes on without", by)
    audit.record("platform.clock_step", step, by=None, at=at, seconds=round(by.total_seconds()), noticed_by=process)
    found = look()
    if abs(found.clock - found.at) <= clock.Carried.STEP:
        left_out().update(taken_at=found.clock)


def _forward_or_back(step: ClockStep) -> str:
    if step.by > timedelta():
        return gettext("The database’s clock was set forward by %(seconds)s seconds.")
    return gettext("The database’s clock was set back by %(seconds)s seconds.")


def _what_to_do() -> str:
    if left_out().exists():
        return gettext("The platform’s time goes on without that. Set the clock right, or, if it is now, take it over.")
    return gettext("It agrees with the platform’s time again: nothing is to be done.")


def _lock() -> None:
    with connection.cursor() as cursor:
        cursor.execute(_LOCK)
