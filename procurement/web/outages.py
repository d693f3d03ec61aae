"""The operators' page of live auctions: what runs, which moments are late, when bids could not be taken."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from marketplace.models import StaffRole
from marketplace.permissions import actor_of, require_staff
from marketplace.queries import keyset
from marketplace.shared import clock
from marketplace.web.lists import listed
from marketplace.web.parts import Crumb, Stat
from procurement.models import Outage
from procurement.queries import operations
from procurement.queries import outages as queries


@require_safe
def outages(request: HttpRequest) -> HttpResponse:
    """Figures, what is overdue with its last error, and the outages with what each did to the auctions."""
    require_staff(actor_of(request), StaffRole.OPERATOR, StaffRole.AUDITOR)
    now = clock.now()
    found = listed(request, queries.recent(), ["-began_at", "-pk"], size=20)
    late = operations.overdue(now)
    context: dict[str, Any] = {
        "stats": _stats(now, keyset.capped_count(late)),
        "late": [(moment, now - moment.due_at) for moment in late[: operations.ROWS]],
        "list": found,
        "outages": [(outage, _length(outage, now)) for outage in found.rows],
        "tolerance": settings.OUTAGE_TOLERANCE_SECONDS,
        "crumbs": [Crumb(_("Desk"), reverse("staff_home"))],
    }
    return render(request, "procurement/outages.html", context)


def _stats(now: datetime, late: int) -> list[Stat]:
    hall = operations.hall(now)
    url = reverse("auctions")
    return [
        Stat(_("Auctions running"), hall.running, url=url, icon="gavel"),
        Stat(_("Auctions paused"), hall.paused, url=url, icon="player-pause", tone="warn" if hall.paused else ""),
        Stat(_("Starting within the hour"), hall.soon, url=url, icon="calendar-plus"),
        Stat(_("Gateways that take bids"), hall.gateways, icon="broadcast", tone="good" if hall.gateways else "bad"),
        Stat(_("Clocks"), hall.clocks, icon="clock", tone="good" if hall.clocks else "bad"),
        Stat(_("Overdue"), late, icon="alert-triangle", tone="bad" if late else "good"),
    ]


def _length(outage: Outage, now: datetime) -> timedelta:
    return (outage.ended_at or now) - outage.began_at
