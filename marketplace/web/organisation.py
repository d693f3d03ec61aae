"""The organisation's own pages: requisites, addresses and headings, certificates, API tokens, history; the switch."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from marketplace import countries
from marketplace.identifiers import NOT_IDENTIFYING
from marketplace.models import AddressKind, Certificate, Organisation, OrganisationStatus, Role, Side
from marketplace.permissions import Actor, actor_for, actor_of, organisation_of, person_of, require_role
from marketplace.queries import organisations as queries
from marketplace.queries.waiting import SOON
from marketplace.services import organisations, tokens
from marketplace.shared import clock
from marketplace.shared.errors import DomainError, NotFound
from marketplace.web import history, refusals
from marketplace.web.csv_export import csv_response
from marketplace.web.forms import posted, whole_number
from marketplace.web.headings import heading_choice, ids_in
from marketplace.web.lists import listed
from marketplace.web.middleware import ORGANISATION_KEY
from marketplace.web.organisation_forms import AddressesForms, CompanyForm
from marketplace.web.parts import Action, Tab

# A comma that is not escaped separates the parts of a name.
_COMMA = re.compile(r"(?<!\\),")


def own(request: HttpRequest) -> tuple[Actor, Organisation]:
    """The actor and their organisation with everything its pages show. Raises NoOrganisation."""
    actor = actor_of(request)
    return actor, queries.detailed().get(pk=organisation_of(actor).pk)


def frame(actor: Actor, organisation: Organisation, current: str, **context: Any) -> dict[str, Any]:
    """What every page of the organisation has: its header and tabs."""
    places: list[tuple[str, Any, str]] = [
        ("organisation", _("Requisites"), "id"),
        ("organisation_people", _("People and roles"), "users"),
        ("organisation_certificates", _("Certificates"), "file-certificate"),
        ("organisation_tokens", _("API tokens"), "key"),
        ("organisation_history", _("History"), "history"),
    ]
    tabs = [Tab(label, reverse(name), name == current, icon=icon) for name, label, icon in places]
    tabs[1:1] = [*_accreditation_tabs(organisation), Tab(_("Invoices"), reverse("invoices"), icon="receipt")]
    return {"organisation": organisation, "tabs": tabs, "may_edit": actor.has(Role.ADMINISTRATOR)} | context


def _accreditation_tabs(organisation: Organisation) -> list[Tab]:
    if organisation.status == OrganisationStatus.DRAFT:
        return []
    sides = {Side.BUYER: organisation.is_buyer, Side.SUPPLIER: organisation.is_supplier}
    named = {Side.BUYER: _("Accreditation as buyer"), Side.SUPPLIER: _("Accreditation as supplier")}
    return [
        Tab(named[side], reverse("accreditation", args=[side.value]), icon="certificate")
        for side, is_on in sides.items()
        if is_on
    ]


@login_required
@require_safe
def requisites(request: HttpRequest) -> HttpResponse:
    """Everything the organisation says about itself."""
    actor, organisation = own(request)
    action = None
    if organisation.status == OrganisationStatus.DRAFT:
        action = Action(_("Finish the registration"), reverse("register_organisation"), "arrow-right")
    elif actor.has(Role.ADMINISTRATOR):
        action = Action(_("Edit"), reverse("organisation_edit"), "pencil")
    context = frame(
        actor,
        organisation,
        "organisation",
        action=action,
        addresses=addresses_of(organisation),
        country=countries.name_of(organisation.country, get_language() or "en"),
        public=_public(organisation),
    )
    return render(request, "marketplace/organisation/requisites.html", context)


def _public(organisation: Organisation) -> str:
    return "" if organisation.status == OrganisationStatus.DRAFT else reverse("company", args=[organisation.pk])


def addresses_of(organisation: Organisation) -> list[tuple[Any, Any]]:
    """Each kind with its address; an absent one is the same as the legal one."""
    held = {address.kind: address for address in organisation.addresses.all()}
    if not held:
        return []
    return [(kind.label, held.get(kind) or _("same as the legal address")) for kind in AddressKind]


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HttpRequest) -> HttpResponse:
    """Names, contacts, sides; registered numbers are shown and stay."""
    actor, organisation = own(request)
    require_role(actor, organisation.pk, Role.ADMINISTRATOR)
    held = {number.scheme for number in organisation.identifiers.all()} - NOT_IDENTIFYING
    fixed = held if organisation.status != OrganisationStatus.DRAFT else set()
    form = CompanyForm(posted(request), initial=CompanyForm.initial_of(organisation), fixed=fixed)
    if request.method == "POST" and form.is_valid():
        try:
            organisations.save_requisites(
                organisation.pk, form.requisites(), version=form.cleaned_data["revision"], by=actor, at=clock.now()
            )
        except DomainError as error:
            refusals.show_on(form, error)
        else:
            messages.success(request, gettext("Saved."))
            return redirect("organisation")
    status = 422 if form.is_bound else 200
    context = frame(actor, organisation, "organisation", form=form)
    return render(request, "marketplace/organisation/edit.html", context, status=status)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def edit_places(request: HttpRequest) -> HttpResponse:
    """Addresses and headings."""
    actor, organisation = own(request)
    require_role(actor, organisation.pk, Role.ADMINISTRATOR)
    sides = [
        name for name, is_on in (("offered", organisation.is_supplier), ("consumed", organisation.is_buyer)) if is_on
    ]
    held = {
        name: list(getattr(organisation, f"headings_{name}").values_list("pk", flat=True))
        for name in ("offered", "consumed")
    }
    refused: list[str] = []
    searching = "search" in request.POST
    if request.method == "POST":
        parts = AddressesForms(request.POST)
        revision = whole_number(request.POST.get("revision")) or 0
        chosen = held | {name: ids_in(request.POST, name) for name in sides}
        if not searching and parts.is_valid():
            try:
                organisations.save_places_and_headings(
                    organisation.pk,
                    parts.addresses(),
                    **chosen,
                    version=revision,
                    by=actor,
                    at=clock.now(),
                )
            except DomainError as error:
                refused = [str(error), *map(str, getattr(error, "changes", []))]
            else:
                messages.success(request, gettext("Saved."))
                return redirect("organisation")
    else:
        parts, chosen, revision = (
            AddressesForms(initial=AddressesForms.initial_of(organisation)),
            held,
            organisation.version,
        )
    trees = [heading_choice(name, chosen[name], request.POST.get(f"find_{name}", "")) for name in sides]
    context = frame(actor, organisation, "organisation", forms=parts, trees=trees, revision=revision, refusals=refused)
    failed = request.method == "POST" and not searching
    return render(request, "marketplace/organisation/edit_places.html", context, status=422 if failed else 200)


@login_required
@require_safe
def certificates(request: HttpRequest) -> HttpResponse:
    """Certificates that have signed for the organisation."""
    actor, organisation = own(request)
    now = clock.now()
    rows = [
        (one, _names(one.subject, "CN", "O"), _names(one.issuer, "CN"), _validity(one, now))
        for one in queries.certificates(organisation.pk)[:200]
    ]
    context = frame(actor, organisation, "organisation_certificates", rows=rows)
    return render(request, "marketplace/organisation/certificates.html", context)


def _names(distinguished: str, *wanted: str) -> str:
    """The wanted parts of an RFC 4514 name in words, or the name as it stands where it has none of them."""
    parts = dict(part.split("=", 1) for part in _COMMA.split(distinguished) if "=" in part)
    found = [parts[name].replace("\\", "") for name in wanted if name in parts]
    return ", ".join(found) or distinguished


def _validity(certificate: Certificate, now: datetime) -> str:
    if certificate.not_after <= now:
        return "expired"
    if certificate.not_before > now:
        return "scheduled"
    return "expiring" if certificate.not_after < now + SOON else "active"


class TokenForm(forms.Form):
    name = forms.CharField(label=_("What will use it"), max_length=80, help_text=_("Such as “ERP, nightly import”."))
    days = forms.TypedChoiceField(
        label=_("Serves for"),
        coerce=int,
        choices=[(30, _("30 days")), (90, _("90 days")), (tokens.LONGEST_DAYS, _("a year"))],
        initial=90,
    )
    read_only = forms.BooleanField(
        label=_("Reads only"), required=False, help_text=_("It then changes nothing and places no bid.")
    )


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def api_tokens(request: HttpRequest) -> HttpResponse:
    """The list; posted, makes a token and shows its secret this one time."""
    actor, organisation = own(request)
    form, secret = TokenForm(posted(request)), ""
    if request.method == "POST" and form.is_valid():
        try:
            _token, secret = tokens.create(**form.cleaned_data, by=actor, at=clock.now())
            form = TokenForm()
        except DomainError as error:
            refusals.show_on(form, error)
    all_of_them = queries.tokens(organisation.pk)
    rows = all_of_them if actor.has(Role.ADMINISTRATOR) else all_of_them.filter(membership__person=person_of(actor))
    context = frame(
        actor, organisation, "organisation_tokens", form=form, secret=secret, rows=list(rows), now=clock.now()
    )
    status = 422 if form.is_bound and form.errors else 200
    return render(request, "marketplace/organisation/tokens.html", context, status=status)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def revoke_token(request: HttpRequest, token_id: int) -> HttpResponse:
    """Asks, and posted ends the token."""
    actor, organisation = own(request)
    token = queries.tokens(organisation.pk).filter(pk=token_id).first()
    if token is None:
        raise NotFound
    if token.membership.person_id != person_of(actor).pk:
        require_role(actor, organisation.pk, Role.ADMINISTRATOR)
    if request.method == "POST":
        tokens.revoke(token_id, by=actor, at=clock.now())
        messages.success(request, gettext("“%(name)s” can no longer be used.") % {"name": token.name})
        return redirect("organisation_tokens")
    context = {
        "title": gettext("Revoke “%(name)s”?") % {"name": token.name},
        "text": gettext("Whatever uses this token is refused from that moment on. This cannot be undone."),
        "submit_label": _("Revoke the token"),
        "back_url": reverse("organisation_tokens"),
        "danger": True,
    }
    return render(request, "confirm.html", context)


@login_required
@require_safe
def audit_log(request: HttpRequest) -> HttpResponseBase:
    """Who changed what, newest first; ?export=csv gives all of it."""
    actor, organisation = own(request)
    records = queries.history(organisation.pk)
    if "export" in request.GET:
        head = [_("When (UTC)"), _("Who"), _("What"), _("Details"), _("Chain hash")]
        lines = (history.line(record) for record in records.order_by("number").iterator(chunk_size=500))
        rows = ([line.at, line.actor, line.action, line.detail, line.hash] for line in lines)
        return csv_response("history", head, rows)
    shown = listed(request, records, ["-number"], size=30)
    context = frame(
        actor, organisation, "organisation_history", list=shown, rows=[history.line(record) for record in shown.rows]
    )
    return render(request, "marketplace/organisation/history.html", context)


@login_required
@require_POST
def switch(request: HttpRequest) -> HttpResponse:
    """Act for another of one's organisations from now on."""
    organisation = Organisation.objects.filter(pk__in=ids_in(request.POST, "organisation")).first()
    if organisation is None:
        raise NotFound
    actor_for(person_of(actor_of(request)), organisation)
    request.session[ORGANISATION_KEY] = organisation.pk
    messages.info(request, gettext("You act for %(organisation)s now.") % {"organisation": organisation.short_name})
    target = request.POST.get("next", "")
    # Pages of the organisation left behind would answer "not found": only pages that everybody has are kept.
    kept = target.startswith(("/organisation/", "/tariffs/")) and url_has_allowed_host_and_scheme(target, None)
    return redirect(target if kept else "home")
