"""Accreditation as operators see it: the queue, the documents, the decision."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_safe

from marketplace.models import (
    Accreditation,
    AccreditationStatus,
    AuditRecord,
    StaffRole,
)
from marketplace.permissions import Actor, actor_of, require_staff
from marketplace.queries import accreditations as queries
from marketplace.queries import keyset
from marketplace.services import accreditation_decisions
from marketplace.shared import clock
from marketplace.shared.errors import DomainError, NotFound
from marketplace.web import formats, parts, refusals
from marketplace.web.accreditation import state_label
from marketplace.web.lists import listed

S = AccreditationStatus
_MONTHS = (6, 12, 24, 36)


class AcceptForm(forms.Form):
    months = forms.TypedChoiceField(
        label=_("Valid for"),
        coerce=int,
        initial=12,
        choices=[(6, _("6 months")), (12, _("1 year")), (24, _("2 years")), (36, _("3 years"))],
    )
    version = forms.IntegerField(widget=forms.HiddenInput)


class ReasonsForm(forms.Form):
    reasons = forms.CharField(
        label=_("Reasons"),
        max_length=2000,
        widget=forms.Textarea({"rows": 4}),
        help_text=_("The organisation reads them: say what is wrong and what to send instead."),
    )
    version = forms.IntegerField(widget=forms.HiddenInput, required=False)


@require_safe
def queue(request: HttpRequest) -> HttpResponse:
    """Requests that wait, the oldest first, and what was decided lately."""
    require_staff(actor_of(request), StaffRole.OPERATOR)
    shown = request.GET.get("show") == "decided"
    rows, order = (queries.decided(), ["-decided_at", "-pk"]) if shown else (queries.waiting(), ["submitted_at", "pk"])
    url = reverse("accreditation_queue")
    now, page = clock.now(), listed(request, rows, order)
    context = {
        "list": page,
        "rows": [(row, now - row.submitted_at if row.submitted_at else None) for row in page.rows],
        "decided": shown,
        "tabs": [
            parts.Tab(_("Waiting"), url, not shown, keyset.capped_count(queries.waiting()), "hourglass"),
            parts.Tab(_("Decided"), f"{url}?show=decided", shown, icon="check"),
        ],
    }
    return render(request, "marketplace/accreditation/queue.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def decide(request: HttpRequest, accreditation_id: int) -> HttpResponse:
    """One request: who asks, with which documents and signature; accept it, return it, or revoke what was granted."""
    actor, now = actor_of(request), clock.now()
    require_staff(actor, StaffRole.OPERATOR)
    found = _shown(accreditation_id)
    version = {"version": found.version}
    accept = AcceptForm(initial=version, prefix="accept")
    back = ReasonsForm(initial=version, prefix="return")
    revoke = ReasonsForm(prefix="revoke")
    if request.method == "POST":
        form = _posted(request, actor, found, now)
        if form is None:
            return redirect("accreditation_queue")
        if isinstance(form, AcceptForm):
            accept = form
        elif form.prefix == "return":
            back = form
        else:
            revoke = form
        found = _shown(accreditation_id)
    signature = found.signature
    context = {
        "accreditation": found,
        "organisation": found.organisation,
        "identifiers": list(found.organisation.identifiers.all()),
        "addresses": list(found.organisation.addresses.all()),
        "documents": _documents(found),
        "missing": queries.missing(found),
        "signature": signature,
        "certificate": signature.certificate if signature else None,
        "waits": found.status == S.SUBMITTED,
        "is_valid": found.is_valid(now),
        "waiting_for": formats.duration(now - found.submitted_at) if found.submitted_at else "",
        "state_label": state_label(found, now),
        "accept_form": accept,
        "return_form": back,
        "revoke_form": revoke,
        "history": _history(found),
        "crumbs": [parts.Crumb(_("Accreditation"), reverse("accreditation_queue"))],
    }
    return render(request, "marketplace/accreditation/decide.html", context)


def _posted(request: HttpRequest, actor: Actor, found: Accreditation, now: datetime) -> AcceptForm | ReasonsForm | None:
    """The form with what is wrong with it; None where the decision was taken."""
    doing = request.POST.get("do", "")
    form = (
        AcceptForm(request.POST, prefix="accept")
        if doing == "accept"
        else ReasonsForm(request.POST, prefix="return" if doing == "return" else "revoke")
    )
    if not form.is_valid():
        return form
    given = form.cleaned_data
    try:
        if doing == "accept":
            until = now + timedelta(days=round(given["months"] * 365.25 / 12))
            accreditation_decisions.accept(found.pk, given["version"], until, by=actor, at=now)
            words = _("%(organisation)s is accredited.")
        elif doing == "return":
            accreditation_decisions.send_back(found.pk, given["version"] or 0, given["reasons"], by=actor, at=now)
            words = _("The request of %(organisation)s was returned.")
        else:
            accreditation_decisions.revoke(found.pk, given["reasons"], by=actor, at=now)
            words = _("The accreditation of %(organisation)s was revoked.")
    except DomainError as error:
        refusals.show_on(form, error)
        return form
    messages.success(request, str(words) % {"organisation": found.organisation.short_name})
    return None


def _shown(accreditation_id: int) -> Accreditation:
    found = (
        Accreditation.objects.select_related(
            "organisation", "submitted_by", "decided_by", "signature__certificate", "signature__person"
        )
        .filter(pk=accreditation_id)
        .first()
    )
    if found is None:
        raise NotFound
    return found


def _documents(accreditation: Accreditation) -> list[dict[str, Any]]:
    return [
        {
            "name": added.title,
            "note": added.file.name,
            "url": reverse("accreditation_document", args=[added.pk]),
            "size": added.file.size,
            "sha256": added.file.sha256,
            "uploaded_at": added.file.uploaded_at,
        }
        for added in queries.documents_of(accreditation.pk)
    ]


_HISTORY = {
    "accreditation_document_added": _("Document added"),
    "accreditation_document_removed": _("Document removed"),
    "accreditation_submitted": _("Request sent"),
    "accreditation_accepted": _("Accepted"),
    "accreditation_returned": _("Returned"),
    "accreditation_revoked": _("Revoked"),
    "accreditation_renewal_begun": _("Renewal begun"),
}


def _history(accreditation: Accreditation) -> list[dict[str, Any]]:
    records = (
        AuditRecord.objects.filter(object_type="accreditation", object_id=str(accreditation.pk))
        .select_related("person")
        .order_by("-number")[:50]
    )
    return [
        {
            "at": record.at,
            "actor": str(record.person or ""),
            "action": _HISTORY.get(record.action, record.action),
            "detail": record.details.get("reasons") or record.details.get("title") or "",
            "hash": record.hash,
        }
        for record in records
    ]
