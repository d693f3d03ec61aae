"""Signs of life of gateways and clocks, in the platform's time, and what they prove.

A gateway that has written its sign could have written a bid. So the time between two signs, where no gateway gave one,
is time in which nobody could bid; and what a gateway says of its queue tells when an auction may be closed.
"""

from __future__ import annotations

import json
import logging
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final

from django.conf import settings
from django.db import connection, transaction

from marketplace.models import Heartbeat
from marketplace.services import timekeeping
from marketplace.shared import clock
from procurement.models import Outage
from procurement.services import auction_log

log = logging.getLogger(__name__)

GATEWAY: Final = "gateway"
CLOCK: Final = "clock"
EVERY: Final = timedelta(seconds=1)
# What counts as an outage is longer than STANDS_STILL_S and no longer than LONGEST_DRAIN (OUTAGE_TOLERANCE_SECONDS).
# A gateway that lives, but does not get through its queue, keeps an auction open for no longer than this.
LONGEST_DRAIN: Final = timedelta(seconds=30)
# A gateway that stops in the middle of its sign keeps the others from giving theirs for so long, which is no outage.
STANDS_STILL_S: Final = 5
# The sign of a process that has gone is kept for so long, to be seen.
_KEPT: Final = timedelta(minutes=5)
# Between gateways, on this channel: "asks:process" has the others say at once how far they have decided, which they
# answer with "told:process".
GATEWAYS: Final = "openlot_gateways"
DECIDED_BY_OTHERS: Final = """
    SELECT lot, min(until::timestamptz), min(until::timestamptz) FILTER (WHERE age <= make_interval(secs => %s))
    FROM (
      SELECT lot, %s::timestamptz - at AS age,
        coalesce(detail -> 'undecided' ->> lot::text, detail ->> 'told_at', detail ->> 'decided_until') AS until
      FROM marketplace_heartbeat CROSS JOIN unnest(%s::bigint[]) AS lot
      WHERE starts_with(process, %s) AND process <> %s
    ) AS gateway
    WHERE age <= make_interval(secs => %s)
    GROUP BY lot
"""
# A gateway says every second that it lives: one that did not lately is dead, or has other things to do than to bid.
QUIET: Final = timedelta(seconds=3)
_LONGEST_NAME: Final = 20
# With more lots than that undecided the oldest bid of all stands for each: what is told is written many times a second.
_MOST_LOTS: Final = 200


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a gateway has got: at `at` it had decided all that it had received, but for the lots in `undecided`, each
    with the receipt of its oldest bid."""

    at: datetime
    undecided: Mapping[int, datetime] = field(default_factory=dict)

    @property
    def decided_until(self) -> datetime:
        """All that was received before is decided, whatever the lot."""
        return min([self.at, *self.undecided.values()])

    def as_json(self) -> dict[str, Any]:
        until = self.decided_until
        apart = len(self.undecided) <= _MOST_LOTS
        return {
            "decided_until": until.isoformat(),
            "told_at": (self.at if apart else until).isoformat(),
            "undecided": {str(lot): oldest.isoformat() for lot, oldest in self.undecided.items()} if apart else {},
        }


def tolerance() -> timedelta:
    """For so long it is no outage that no gateway gives a sign."""
    return timedelta(seconds=settings.OUTAGE_TOLERANCE_SECONDS)


def process_name(kind: str) -> str:
    """This process among its like: kind, machine, number; at most 40 characters. Machines whose long names begin alike,
    as copies of a container's do, where each process has the same number, are told apart by a hash."""
    machine = socket.gethostname()
    if len(machine) > _LONGEST_NAME:
        machine = machine[: _LONGEST_NAME - 7] + sha256(machine.encode()).hexdigest()[:7]
    return f"{kind}:{machine}:{os.getpid()}"


@transaction.atomic
def gateway_beat(
    process: str, progress: Progress, *, since_last: timedelta | None, carried: clock.Carried | None = None
) -> timekeeping.Look:
    """Say that this gateway can take bids, and how far it has decided what it received.

    The first sign after an outage ends it, or records it where nobody had noticed. `since_last` is how long ago this
    process gave its last sign by the machine's own count, None for its first. Returns what time it is, with which
    `carried` agrees from now on.
    """
    auction_log.broken_off_after(STANDS_STILL_S)
    known = Heartbeat.objects.select_for_update().filter(process=GATEWAY).first()
    found = _look(carried, process)
    now = found.at
    if known is not None:
        _look_back(known.at, now, process, since_last)
    Heartbeat.objects.update_or_create(process=GATEWAY, defaults={"at": now, "detail": {"last": process}})
    told = {**progress.as_json(), **_since(carried)}
    Heartbeat.objects.update_or_create(process=process, defaults={"at": now, "detail": told})
    return found


@transaction.atomic
def clock_beat(process: str, *, overdue: int, carried: clock.Carried | None = None) -> timekeeping.Look:
    """Say that this clock lives, and how much of its work is overdue. Returns what time it is, with which `carried`
    agrees from now on."""
    found = _look(carried, process)
    now = found.at
    told = {"overdue": overdue}
    Heartbeat.objects.update_or_create(process=CLOCK, defaults={"at": now, "detail": told})
    Heartbeat.objects.update_or_create(process=process, defaults={"at": now, "detail": {**told, **_since(carried)}})
    gone = Heartbeat.objects.filter(process__contains=":", at__lt=now - _KEPT)
    gone.delete()
    return found


def farewell(process: str) -> None:
    """The process stops as it should: nobody need wait for it."""
    Heartbeat.objects.filter(process=process).delete()


def notice(process: str) -> Outage | None:
    """The outage that began where no gateway has given a sign for longer than is tolerated; None where one has, where
    it is known already, and where there never was a gateway."""
    sign = last_sign()
    if sign is None or timekeeping.now() - sign <= tolerance():
        return None
    with transaction.atomic():
        known = Heartbeat.objects.select_for_update().get(process=GATEWAY)
        now = timekeeping.now()
        if now - known.at <= tolerance() or Outage.objects.filter(ended_at=None).exists():
            return None
        return Outage.objects.create(began_at=known.at, noticed_at=now, noticed_by=process)


def can_take_bids(at: datetime) -> bool:
    """Whether a gateway has said lately that it can. Where none was ever seen nothing is known, and nothing held up."""
    sign = last_sign()
    return sign is None or at - sign <= tolerance()


def drained(until: datetime, at: datetime) -> bool:
    """Whether every bid received before `until` has been decided, as far as anybody can still say.

    Asks for a sign that bids could be taken up to then: without one an outage may have begun. A gateway that gives no
    sign any more has answered nobody; one that does not get on is waited for, but not for ever.
    """
    sign = last_sign()
    if sign is None:
        return True
    if sign < until:
        return False
    if at >= until + LONGEST_DRAIN:
        return True
    alive = Heartbeat.objects.filter(process__startswith=f"{GATEWAY}:", at__gte=at - tolerance())
    return all(_decided_until(beat.detail) >= until for beat in alive)


def decided_by_all(at: datetime) -> datetime:
    """Up to when every gateway that lives has decided what it received: nothing that was in time before can come any
    more. `at` where there never was a gateway."""
    sign = last_sign()
    if sign is None:
        return at
    alive = Heartbeat.objects.filter(process__startswith=f"{GATEWAY}:", at__gte=at - tolerance())
    return min([at, sign, *(_decided_until(beat.detail) for beat in alive)])


def others_of(process: str, lots: Sequence[int], at: datetime) -> tuple[float, datetime, Sequence[int], str, str, int]:
    """What DECIDED_BY_OTHERS is asked with at this time. It says of each lot up to when every other gateway that may
    live has decided what it received, and every one that is not quiet (null where all are); nothing where there is no
    other."""
    return QUIET.total_seconds(), at, lots, f"{GATEWAY}:", process, settings.OUTAGE_TOLERANCE_SECONDS


def ask_others(process: str) -> None:
    """Have the other gateways say now how far they have decided."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", [GATEWAYS, f"asks:{process}"])


@transaction.atomic
def tell_others(process: str, progress: Progress) -> None:
    """Say between two signs how far this gateway has decided what it received."""
    with connection.cursor() as cursor:
        # Said again within a second: nothing is lost with it.
        cursor.execute("SET LOCAL synchronous_commit TO off")
        cursor.execute(
            "UPDATE marketplace_heartbeat SET detail = detail || %s::jsonb WHERE process = %s",
            [json.dumps(progress.as_json()), process],
        )
        cursor.execute("SELECT pg_notify(%s, %s)", [GATEWAYS, f"told:{process}"])


def last_sign() -> datetime | None:
    """When a gateway last said that it can take bids; None where none ever has."""
    return Heartbeat.objects.filter(process=GATEWAY).values_list("at", flat=True).first()


def _look(carried: clock.Carried | None, process: str) -> timekeeping.Look:
    return timekeeping.look() if carried is None else timekeeping.observe(carried, process)


def _since(carried: clock.Carried | None) -> dict[str, str]:
    """Since when a process has counted: for others whose machine stood still."""
    return {} if carried is None or carried.since is None else {"since": carried.since.isoformat()}


def _look_back(before: datetime, now: datetime, process: str, since_last: timedelta | None) -> None:
    gap = now - before
    known = Outage.objects.filter(ended_at=None).first()
    if known is None and gap <= tolerance():
        return
    detail: dict[str, Any] = {"ended_by": process}
    if since_last is not None and gap - since_last > tolerance():
        # The process lived all the time, and the machine counted less: the time jumped, by an operator's word.
        detail["clock_forward_s"] = round((gap - since_last).total_seconds())
    if known is None:
        Outage.objects.create(
            began_at=before, ended_at=now, noticed_at=now, noticed_by=process, detail=detail
        )  # fmt: skip
    else:
        known.ended_at, known.detail = now, detail
        known.save(update_fields=["ended_at", "detail"])


def _decided_until(detail: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(detail["decided_until"])
