"""The operators' page of live auctions: what runs, which moments are late, when bids could not be taken, and what the
database's clock was set by."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_safe

from marketplace.models import StaffRole
from marketplace.permissions import actor_of, require_staff
from marketplace.queries import keyset
from marketplace.services import timekeeping
from marketplace.shared import clock
from marketplace.shared.errors import DomainError
from marketplace.web.lists import listed
from marketplace.web.parts import Crumb, Stat
from procurement.models import Outage
from procurement.queries import operations
from procurement.queries import outages as queries

_QUESTION = gettext_lazy("Take over the database’s time?")
_CONSEQUENCES = gettext_lazy(
    "From then on everything goes by the database’s clock. What is due meanwhile happens at once: sealed bids are "
    "opened. Auctions that run get the difference back, those that should have started start soon after."
)


@require_safe
def outages(request: HttpRequest) -> HttpResponse:
    """Figures, what is overdue with its last error, and the outages with what each did to the auctions."""
    actor = actor_of(request)
    require_staff(actor, StaffRole.OPERATOR, StaffRole.AUDITOR)
    now = timekeeping.now()
    found = listed(request, queries.recent(), ["-began_at", "-pk"], size=20)
    late = operations.overdue(now)
    context: dict[str, Any] = {
        "stats": _stats(now, keyset.capped_count(late)),
        "late": [(moment, now - moment.due_at) for moment in late[: operations.ROWS]],
        "list": found,
        "outages": [(outage, _length(outage, now)) for outage in found.rows],
        "tolerance": settings.OUTAGE_TOLERANCE_SECONDS,
        **_clock(),
        "may_take_over": actor.is_a(StaffRole.OPERATOR),
        "crumbs": [Crumb(_("Desk"), reverse("staff_home"))],
    }
    return render(request, "procurement/outages.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def take_over_clock(request: HttpRequest) -> HttpResponse:
    """Ask whether the database's clock is right now, and go by it."""
    actor = actor_of(request)
    require_staff(actor, StaffRole.OPERATOR)
    if request.method == "POST":
        try:
            timekeeping.take_over(by=actor, at=clock.now())
        except DomainError as error:
            messages.error(request, str(error))
        else:
            messages.success(request, _("The platform goes by the database’s clock."))
        return redirect("outages")
    context = {
        "title": _QUESTION,
        "text": _CONSEQUENCES,
        "submit_label": _("Take it over"),
        "danger": True,
        "back_url": reverse("outages"),
    }
    return render(request, "confirm.html", context)


def _clock() -> dict[str, Any]:
    """What the platform's time leaves out of the database's."""
    steps = list(timekeeping.left_out())
    ahead = sum((step.by for step in steps), timedelta())
    return {
        "steps": steps,
        "ahead": ahead if ahead > timedelta() else None,
        "behind": -ahead if ahead < timedelta() else None,
        "question": _QUESTION,
        "consequences": _CONSEQUENCES,
    }


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
