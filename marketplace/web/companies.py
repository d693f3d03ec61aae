"""The public list of organisations and the page of one."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from marketplace import countries
from marketplace.models import AccreditationStatus, Organisation, OrganisationStatus, Role
from marketplace.permissions import Actor, actor_of
from marketplace.queries import organisations as queries
from marketplace.shared import clock
from marketplace.shared.errors import NotFound
from marketplace.web.lists import chips, listed
from marketplace.web.parts import Action, Crumb, Fact, Reason


class FilterForm(forms.Form):
    q = forms.CharField(
        label=_("Name or number"), required=False, max_length=120, widget=forms.TextInput({"type": "search"})
    )
    side = forms.ChoiceField(
        label=_("Side"),
        required=False,
        choices=[("", _("Buyers and suppliers")), ("buyer", _("Buyers")), ("supplier", _("Suppliers"))],
    )
    country = forms.ChoiceField(
        label=_("Country"),
        required=False,
        choices=lambda: [("", _("Every country")), *countries.choices(get_language() or "en")],
    )


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """Organisations by name, found by a part of the name or by a registration number."""
    form = FilterForm(request.GET)
    wanted = form.cleaned_data if form.is_valid() else {}
    rows = queries.listed(
        text=wanted.get("q", "").strip(), side=wanted.get("side", ""), country=wanted.get("country", "")
    )
    shown = listed(request, rows, ["short_name", "pk"], size=30)
    language = get_language() or "en"
    context = {
        "form": form,
        "list": shown,
        "rows": [(one, countries.name_of(one.country, language), list(one.identifiers.all())) for one in shown.rows],
        "chips": chips(request, form),
        "clear_url": request.path,
    }
    template = (
        "marketplace/companies/_list.html" if request.headers.get("HX-Request") else "marketplace/companies/index.html"
    )
    return render(request, template, context)


@require_safe
def detail(request: HttpRequest, organisation_id: int) -> HttpResponse:
    """What the public sees: who it is, what it does, whether it is accredited. Contacts are for those logged in."""
    organisation = queries.public().filter(pk=organisation_id).first()
    if organisation is None:
        raise NotFound
    context = {
        "organisation": organisation,
        "facts": _facts(organisation, bool(request.user.is_authenticated)),
        "standing": _standing(organisation),
        "crumbs": [Crumb(_("Companies"), reverse("companies"))],
        "action": _ask_action(organisation, actor_of(request)),
    }
    return render(request, "marketplace/companies/detail.html", context)


def _ask_action(organisation: Organisation, actor: Actor) -> Action | None:
    """To ask for an offer, where the organisation sells and is not one's own."""
    if not organisation.is_supplier or organisation.status != OrganisationStatus.REGISTERED:
        return None
    label, url = _("Ask for an offer"), reverse("offer_ask", args=[organisation.pk])
    if not actor.is_signed_in:
        return Action(label, url, "message-question")
    if actor.organisation is None:
        return None if actor.is_staff else Action(
            label, url, "message-question", allowed=False, reason=_("Organisations ask. Register yours first."),
            remedy_label=_("Register an organisation"), remedy_url=reverse("register_organisation"),
        )  # fmt: skip
    if actor.acts_for(organisation.pk):
        return None
    reads_only = not actor.roles - {Role.OBSERVER.value}
    reason = _("An observer reads only. A colleague with another role can ask.") if reads_only else ""
    return Action(label, url, "message-question", allowed=not reads_only, reason=reason)


def _facts(organisation: Organisation, signed_in: bool) -> list[Fact]:
    legal = next((a for a in organisation.addresses.all() if a.kind == "legal"), None)
    facts = [
        Fact(_("Country"), countries.name_of(organisation.country, get_language() or "en")),
        Fact(_("Legal form"), organisation.legal_form),
        *(Fact(number.get_scheme_display(), number.value) for number in organisation.identifiers.all()),
        Fact(_("Legal address"), legal),
        Fact(_("Website"), _link(organisation.website)),
    ]
    if signed_in:
        facts += [Fact(_("E-mail"), organisation.email), Fact(_("Phone"), organisation.phone)]
    return [fact for fact in facts if fact.value]


def _link(url: str) -> str:
    return format_html('<a href="{}" rel="noopener nofollow ugc">{}</a>', url, url) if url.startswith("http") else url


def _standing(organisation: Organisation) -> list[Reason]:
    now = clock.now()
    valid: dict[Any, bool] = {
        one.side: one.status == AccreditationStatus.ACCEPTED and one.is_valid(now)
        for one in organisation.accreditations.all()
    }
    words = {
        "buyer": (_("Accredited as a buyer"), _("Not accredited as a buyer")),
        "supplier": (_("Accredited as a supplier"), _("Not accredited as a supplier")),
    }
    sides = [
        side for side, is_on in (("buyer", organisation.is_buyer), ("supplier", organisation.is_supplier)) if is_on
    ]
    return [Reason(valid.get(side, False), words[side][0 if valid.get(side) else 1]) for side in sides]
