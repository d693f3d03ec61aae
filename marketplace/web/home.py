"""The first page: public figures for visitors, what waits for those who are signed in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from marketplace import waiting
from marketplace.models import OrganisationStatus, StaffRole
from marketplace.permissions import Actor, actor_of
from marketplace.shared import clock
from marketplace.shared.errors import Sentence
from marketplace.templatetags.openlot import number
from marketplace.web.parts import Action, Stat


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    actor, now = actor_of(request), clock.now()
    if not actor.is_signed_in:
        key, seconds = f"home:{get_language()}", settings.PUBLIC_PAGE_SECONDS
        figures, rows = cache.get_or_set(key, lambda: waiting.public(now), seconds) or ([], [])
        return render(request, "marketplace/home_public.html", {"figures": figures, "open_procedures": rows})
    # Before it is registered an organisation can do one thing only: finish that.
    begun = actor.organisation is not None and actor.organisation.status == OrganisationStatus.DRAFT
    figures = [] if begun else waiting.figures_for(actor, now)
    context = {
        "tasks": waiting.tasks_for(actor, now),
        "stats": [Stat(f.label, _shown(f.value), f.note, f.url, f.icon, f.tone) for f in figures],
        "panels": [] if begun else waiting.panels_for(actor, now),
        "lead": lead(actor),
        "empty": nothing(actor),
    }
    return render(request, "marketplace/home.html", context)


def _shown(value: Any) -> Any:
    """A count as the reader's language groups it; money and ready words as they are."""
    return number(value) if isinstance(value, int) else value


def lead(actor: Actor) -> Sentence:
    """Whose first page this is, in words."""
    if actor.organisation is not None:
        return actor.organisation.full_name
    if actor.is_staff:
        return _("The platform’s desk")
    return _("You do not act for an organisation yet")


@dataclass(frozen=True, slots=True)
class Nothing:
    """What the page says where nothing waits, and what to begin with."""

    title: Sentence
    text: Sentence
    action: Action


def nothing(actor: Actor) -> Nothing:
    """In the words of the actor's own errand."""
    idle = _("Nothing waits for you")
    if actor.is_a(StaffRole.REPRESENTATIVE, StaffRole.SALES_MANAGER):
        text = _("When an account needs you it is listed here. Until then, look through them.")
        return Nothing(idle, text, Action(_("See the accounts"), reverse("insights"), icon="bulb"))
    if actor.organisation is None and not actor.is_staff:
        return Nothing(
            _("Register your organisation, or join it"),
            _("If a colleague has registered it already, ask them to invite you by e-mail. Otherwise register it now."),
            Action(_("Register your organisation"), reverse("register_organisation"), icon="building"),
        )
    if actor.is_supplier:
        text = _("Deadlines, openings, awards and contracts to sign appear here. Look for something to bid on.")
        return Nothing(idle, text, Action(_("Find procedures"), reverse("tenders"), icon="list-search"))
    text = _("What needs you appears here, and you are told by mail.")
    return Nothing(idle, text, Action(_("See the notifications"), reverse("notifications"), icon="bell"))
