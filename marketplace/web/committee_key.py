"""My committee key: made, tried, renewed and retired. What is secret happens in the browser; here arrives the rest."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any, Final

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from marketplace.models import CommitteeKey, CommitteeKeyKind
from marketplace.permissions import actor_of, person_of
from marketplace.services import committee_keys
from marketplace.shared import clock
from marketplace.shared.errors import DomainError
from marketplace.signatures.committee import CommitteeKeyError, from_base64
from marketplace.web.formats import moment_text, zone_label, zone_of
from marketplace.web.parts import Fact

SOON: Final = timedelta(days=30)
# Larger than any key or certificate that a browser would send.
_MAX_TEXT: Final = 16_000


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def page(request: HttpRequest) -> HttpResponse:
    refusal: DomainError | None = None
    if request.method == "POST":
        try:
            _kept(request)
        except DomainError as error:
            refusal = error
        else:
            messages.success(request, _("This is your committee key now. Try it once: it must open when it is needed."))
            return redirect("committee_key")
    return _shown(request, refusal)


@login_required
@require_POST
def try_it(request: HttpRequest) -> HttpResponse:
    """The answer to what was sealed to the key."""
    try:
        answer = _bytes(request, "answer")
        committee_keys.prove(request.POST.get("token", ""), answer, by=actor_of(request), at=clock.now())
    except DomainError as error:
        if error.status == 404:
            raise
        return _shown(request, error)
    messages.success(request, _("It works: you can open your shares with it."))
    return redirect("committee_key")


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def retire(request: HttpRequest) -> HttpResponse:
    if request.method == "POST":
        committee_keys.retire(by=actor_of(request), at=clock.now())
        messages.success(request, _("Retired. No new share is sealed to it."))
        return redirect("committee_key")
    context = {
        "title": _("Retire your committee key?"),
        "text": _(
            "Committees can no longer count on you until you make a new one. Keep the passphrase or the key file: "
            "shares that you already have open with nothing else."
        ),
        "submit_label": _("Retire the key"),
        "back_url": reverse("committee_key"),
        "danger": True,
    }
    return render(request, "confirm.html", context)


def _kept(request: HttpRequest) -> CommitteeKey:
    actor, at = actor_of(request), clock.now()
    if request.POST.get("act") == "certificate":
        return committee_keys.register_certificate(_bytes(request, "certificate"), by=actor, at=at)
    try:
        wrapped = json.loads(request.POST.get("wrapped", "")[:_MAX_TEXT])
    except (ValueError, RecursionError) as error:
        raise committee_keys.KeyRefused(why=_("it did not arrive whole")) from error
    return committee_keys.make(_bytes(request, "public_key"), wrapped, by=actor, at=at)


def _bytes(request: HttpRequest, name: str) -> bytes:
    try:
        return from_base64(request.POST.get(name, "")[:_MAX_TEXT])
    except CommitteeKeyError as error:
        raise committee_keys.KeyRefused(why=_("it did not arrive whole")) from error


def _shown(request: HttpRequest, refusal: DomainError | None = None) -> HttpResponse:
    person, at = person_of(actor_of(request)), clock.now()
    key = committee_keys.standing(person)
    own = CommitteeKey.objects.filter(person=person)
    context: dict[str, Any] = {
        "key": key,
        "key_wrapped": json.dumps(key.wrapped) if key and key.wrapped else "",
        "key_ends_soon": key is not None and key.not_after is not None and key.not_after < at + SOON,
        "facts": _facts(key, person.time_zone) if key else [],
        "challenge": committee_keys.challenge(key, at) if key else None,
        "retired": own.filter(retired_at__isnull=False)[:10],
        "shares": own.filter(shares__isnull=False).count(),
        "refusal": refusal,
    }
    status = refusal.status if refusal else 200
    return render(request, "marketplace/people/committee_key.html", context, status=status)


def _facts(key: CommitteeKey, time_zone: str) -> list[Fact]:
    def when(moment: datetime) -> str:
        local = moment.astimezone(zone_of(time_zone))
        return f"{moment_text(local)} {zone_label(local)}"

    found = [
        Fact(
            _("It opens with"), _("your passphrase") if key.kind == CommitteeKeyKind.PASSPHRASE else _("your key file")
        ),
        Fact(_("Fingerprint (SHA-256)"), grouped(key.fingerprint)),
        Fact(_("Made"), when(key.made_at)),
        Fact(_("Last tried"), when(key.tried_at) if key.tried_at else _("never")),
    ]
    if key.kind == CommitteeKeyKind.CERTIFICATE:
        found.insert(1, Fact(_("Certificate"), key.subject))
    if key.not_after:
        found.append(Fact(_("Certificate until"), when(key.not_after)))
    return found


def grouped(fingerprint: str) -> str:
    """A fingerprint in groups of four, to be read out."""
    return " ".join(fingerprint[start : start + 4] for start in range(0, len(fingerprint), 4))
