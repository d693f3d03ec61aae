"""A signature that waits for its verdict: its own page, and the operators' list of all that wait."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any, Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_safe

from marketplace import signed_actions
from marketplace.models import QueuedSignature, QueuedState, StaffRole
from marketplace.permissions import actor_of, require_staff
from marketplace.services import arrival_receipts, receipt_stamps, signature_queue, waiting_ends
from marketplace.services.signature_queue import BindingByNow, NothingWaits
from marketplace.services.signing_words import ACTIONS
from marketplace.shared import clock
from marketplace.shared.errors import NotFound
from marketplace.web.lists import listed
from marketplace.web.parts import Crumb
from marketplace.web.trust import crumbs, tabs

#: How each state looks; the words are the model's.
_LOOKS: Final = {
    QueuedState.WAITING: "pending",
    QueuedState.PASSED: "accepted",
    QueuedState.REFUSED: "rejected",
    QueuedState.EXPIRED: "overdue",
    QueuedState.WITHDRAWN: "withdrawn",
}
#: Signatures are tried again within seconds: one that is so late finds no worker.
_NO_WORKER: Final = timedelta(minutes=2)


@require_http_methods(["GET", "HEAD", "POST"])
def own(request: HttpRequest, queued_id: int) -> HttpResponse:
    """What became of a signature, or what it waits for; posted, it is taken back. Its people's alone."""
    actor, now = actor_of(request), clock.now()
    row = signature_queue.own(queued_id, actor)
    if request.method == "POST":
        try:
            signature_queue.withdraw(row.pk, by=actor, at=now)
        except (NothingWaits, BindingByNow) as error:
            messages.error(request, str(error))
        else:
            messages.success(request, gettext("The signature is cancelled. Nothing was done under it."))
        return redirect("waiting_signature", queued_id)
    shown = _shown(row, now)
    # Asked by the page every few seconds; what follows the verdict is a page of its own.
    template = "_own.html" if getattr(request, "htmx", False) else "own.html"
    return render(request, f"marketplace/waiting/{template}", shown | {"crumbs": [Crumb(_("Home"), reverse("home"))]})


@require_safe
def receipt(request: HttpRequest, queued_id: int) -> HttpResponse:
    """The platform's word for when the signature came, to be kept."""
    row = signature_queue.own(queued_id, actor_of(request))
    text = json.dumps(arrival_receipts.of(row), indent=2, ensure_ascii=False) + "\n"
    response = HttpResponse(text, content_type="application/json")
    response["Content-Disposition"] = f'attachment; filename="signature-{row.pk}-received.json"'
    response["Cache-Control"] = "private, no-store"
    return response


@require_safe
def stamped(request: HttpRequest, queued_id: int) -> HttpResponse:
    """The signature with the time stamp of its receipt inside: proof that does not rest on the platform's word."""
    row = signature_queue.own(queued_id, actor_of(request))
    response = HttpResponse(receipt_stamps.stamped_cms(row), content_type="application/pkcs7-signature")
    response["Content-Disposition"] = f'attachment; filename="signature-{row.pk}.p7s"'
    response["Cache-Control"] = "private, no-store"
    return response


@require_safe
def waiting(request: HttpRequest) -> HttpResponse:
    """All that wait, the first received first, with what each waits for."""
    require_staff(actor_of(request), StaffRole.OPERATOR)
    now = clock.now()
    found = signature_queue.waiting().select_related("organisation", "person", "request")
    rows = listed(request, found, ["received_at", "pk"])
    context = {
        "list": rows,
        "rows": [
            _row(row, authorities, now)
            for row, authorities in zip(rows.rows, waiting_ends.waits_for(rows.rows, now), strict=True)
        ],
        "late": [row for row in rows.rows if now - row.next_try_at > _NO_WORKER],
        "tabs": tabs("trust_waiting"),
        "crumbs": crumbs(),
    }
    return render(request, "marketplace/staff/trust/waiting.html", context)


@require_http_methods(["POST"])
def fetch(request: HttpRequest, queued_id: int) -> HttpResponse:
    """Have the data a signature waits for asked for, and the signature judged, at once."""
    actor = actor_of(request)
    require_staff(actor, StaffRole.OPERATOR)
    if not QueuedSignature.objects.filter(pk=queued_id).exists():
        raise NotFound
    try:
        signature_queue.fetch_now(queued_id, by=actor, at=clock.now())
    except NothingWaits as error:
        messages.error(request, str(error))
    else:
        messages.success(request, gettext("What it waits for is being asked for."))
    return redirect("trust_waiting")


def _row(row: QueuedSignature, authorities: list[str], now: datetime) -> dict[str, Any]:
    """What both pages say; `authorities` are those whose data is missing."""
    action = signed_actions.find(row.request.action)
    return {
        "it": row,
        "about": action.about(row.request) if action else ACTIONS.get(row.request.action, row.request.action),
        "state": _LOOKS[QueuedState(row.state)],
        "authorities": authorities,
        "on_hold": row.is_waiting and any("on hold" in reason for reason in row.report.get("reasons", ())),
        "age": now - row.received_at,
        "left": max(row.give_up_at - now, timedelta()),
    }


def _shown(row: QueuedSignature, now: datetime) -> dict[str, Any]:
    action = signed_actions.find(row.request.action)
    waits = row.is_waiting
    return _row(row, waiting_ends.waits_for([row], now)[0] if waits else [], now) | {
        "url": action.url(row.request) if action else "",
        "binding": str(BindingByNow()) if waits and action and signature_queue.binds(row, now) else "",
    }
