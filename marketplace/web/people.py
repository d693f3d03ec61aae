"""People of the organisation: roles, memberships, invitations."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from marketplace.models import Membership, OrganisationStatus, Role
from marketplace.permissions import actor_of, person_of, require_role
from marketplace.queries import organisations as queries
from marketplace.services import invitations, people
from marketplace.shared import clock
from marketplace.shared.errors import DomainError, NotAllowed, NotFound, Sentence
from marketplace.web import refusals
from marketplace.web.account_forms import BACKEND, DetailsForm, NewPasswordForm
from marketplace.web.csv_export import csv_response
from marketplace.web.forms import posted
from marketplace.web.middleware import ORGANISATION_KEY
from marketplace.web.organisation import frame, own
from marketplace.web.parts import Crumb

# What each role is for, so that an administrator need not guess.
ROLE_HINTS: dict[str, Sentence] = {
    Role.ADMINISTRATOR: _("changes the organisation’s details, invites and removes people, takes tariffs"),
    Role.SIGNER: _("signs for the organisation with a certificate: registration, bids, awards, contracts"),
    Role.OFFICER: _("prepares and publishes procurements, answers questions"),
    Role.BID_MANAGER: _("prepares bids and takes part in auctions"),
    Role.APPROVER: _("approves procurements before they are published"),
    Role.EVALUATOR: _("opens and evaluates bids"),
    Role.REPRESENTATIVE: _("looks after customers: works the insights into what they buy and stop buying"),
    Role.SALES_MANAGER: _("brings in purchase histories, shares customers out among representatives, sees all of them"),
    Role.OBSERVER: _("reads, changes nothing"),
}


class RolesForm(forms.Form):
    """The roles of one person, each with what it is for."""

    roles = forms.MultipleChoiceField(
        label=_("Roles"),
        required=False,
        choices=lambda: [(role.value, f"{role.label}: {ROLE_HINTS[role]}") for role in Role],
        widget=forms.CheckboxSelectMultiple,
    )


class InvitationForm(RolesForm):
    email = forms.EmailField(label=_("E-mail of the colleague"), widget=forms.EmailInput({"autocomplete": "off"}))
    field_order = ("email", "roles")


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def page(request: HttpRequest) -> HttpResponseBase:
    """Members and open invitations; posted, invites."""
    actor, organisation = own(request)
    now = clock.now()
    if request.method == "POST":
        require_role(actor, organisation.pk, Role.ADMINISTRATOR)
    form = InvitationForm(posted(request))
    if request.method == "POST" and form.is_valid():
        try:
            sent = invitations.invite(
                organisation.pk, form.cleaned_data["email"], form.cleaned_data["roles"], by=actor, at=now
            )
        except NotAllowed:
            raise
        except DomainError as error:
            refusals.show_on(form, error)
        else:
            messages.success(request, gettext("The invitation was sent to %(email)s.") % {"email": sent.email})
            return redirect("organisation_people")
    members = queries.members(organisation.pk)
    if "export" in request.GET:
        head = [_("Name"), _("E-mail"), _("Position"), _("Roles"), _("Member since")]
        rows = (
            [str(m.person), m.person.email, m.person.position, people.labels(m.roles), m.created_at] for m in members
        )
        return csv_response("people", head, rows)
    context = frame(
        actor,
        organisation,
        "organisation_people",
        members=[(member, people.labels(member.roles)) for member in members[:500]],
        former=queries.former_members(organisation.pk)[:50],
        invitations=[
            (one, people.labels(one.roles), one.expires_at <= now) for one in queries.open_invitations(organisation.pk)
        ],
        form=form,
        may_invite=actor.has(Role.ADMINISTRATOR) and organisation.status == OrganisationStatus.REGISTERED,
        now=now,
    )
    status = 422 if form.is_bound and form.errors else 200
    return render(request, "marketplace/people/page.html", context, status=status)


def _member(request: HttpRequest, membership_id: int) -> Membership:
    _actor, organisation = own(request)
    found = queries.members(organisation.pk).filter(pk=membership_id).first()
    if found is None:
        raise NotFound
    return found


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def roles(request: HttpRequest, membership_id: int) -> HttpResponse:
    """The roles of one member."""
    actor, organisation = own(request)
    member = _member(request, membership_id)
    require_role(actor, organisation.pk, Role.ADMINISTRATOR)
    form = RolesForm(posted(request), initial={"roles": member.roles})
    if request.method == "POST" and form.is_valid():
        try:
            people.grant(member.pk, form.cleaned_data["roles"], by=actor, at=clock.now())
        except DomainError as error:
            refusals.show_on(form, error)
        else:
            messages.success(request, gettext("The roles of %(person)s are saved.") % {"person": member.person})
            return redirect("organisation_people")
    context = {
        "form": form,
        "member": member,
        "crumbs": [Crumb(_("People and roles"), reverse("organisation_people"))],
    }
    status = 422 if form.is_bound and form.errors else 200
    return render(request, "marketplace/people/roles.html", context, status=status)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def end(request: HttpRequest, membership_id: int) -> HttpResponse:
    """Asks, and posted ends a membership: a colleague's, or one's own."""
    actor, organisation = own(request)
    member = _member(request, membership_id)
    leaving = member.person_id == person_of(actor).pk
    if not leaving:
        require_role(actor, organisation.pk, Role.ADMINISTRATOR)
    if request.method == "POST":
        try:
            people.end_membership(member.pk, by=actor, at=clock.now())
        except DomainError as error:
            messages.error(request, str(error))
            return redirect("organisation_people")
        words = {"person": member.person, "organisation": organisation.short_name}
        messages.success(request, gettext("%(person)s no longer acts for %(organisation)s.") % words)
        return redirect("home" if leaving else "organisation_people")
    words = {"person": member.person, "organisation": organisation.short_name}
    context = {
        "title": (gettext("Leave %(organisation)s?") if leaving else gettext("Remove %(person)s?")) % words,
        "text": gettext("What you did stays on record under your name. Your API tokens stop working at once.")
        if leaving
        else gettext("What they did stays on record under their name. Their API tokens stop working at once."),
        "submit_label": _("Leave the organisation") if leaving else _("End the membership"),
        "back_url": reverse("organisation_people"),
        "danger": True,
    }
    return render(request, "confirm.html", context)


@login_required
@require_POST
def invitation_act(request: HttpRequest, invitation_id: int, act: str) -> HttpResponse:
    """Send an invitation again, or withdraw it."""
    doing = {"again": invitations.send_again, "withdraw": invitations.revoke}
    if act not in doing:
        raise NotFound
    done = doing[act](invitation_id, by=actor_of(request), at=clock.now())
    words = (
        gettext("Sent again to %(email)s.") if act == "again" else gettext("The invitation of %(email)s is withdrawn.")
    )
    messages.success(request, words % {"email": done.email})
    return redirect("organisation_people")


class NewcomerForm(DetailsForm, NewPasswordForm):
    field_order = ("full_name", "password", "position", "phone")


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def accept(request: HttpRequest, secret: str) -> HttpResponse:
    """The page behind the link of an invitation: join with one's account, or make one."""
    actor, now = actor_of(request), clock.now()
    try:
        invitation = invitations.find(secret, at=now)
    except invitations.InvitationUnusable as error:
        return render(request, "marketplace/people/invitation_over.html", {"sentence": str(error)}, status=404)
    form = None if actor.is_signed_in else NewcomerForm(posted(request))
    refusal = ""
    if request.method == "POST":
        try:
            if actor.is_signed_in:
                return _joined(request, invitations.accept(secret, by=actor, at=now))
            if form is not None and form.is_valid():
                joined = invitations.accept_as_new(secret, form.cleaned_data["password"], form.details(), at=now)
                login(request, joined.person, backend=BACKEND)
                return _joined(request, joined)
        except invitations.InvitationForAnother as error:
            refusal = str(error)
        except DomainError as error:
            if form is None:
                raise
            refusals.show_on(form, error)
    context: dict[str, Any] = {
        "invitation": invitation,
        "roles": [(Role(role).label, ROLE_HINTS[Role(role)]) for role in invitation.roles],
        "form": form,
        "refusal": refusal,
    }
    failed = bool(refusal) or bool(form is not None and form.is_bound and form.errors)
    response = render(request, "marketplace/people/accept.html", context, status=422 if failed else 200)
    # The address itself is the secret: it must not travel to other sites or other pages.
    response["Referrer-Policy"] = "no-referrer"
    return response


def _joined(request: HttpRequest, membership: Membership) -> HttpResponse:
    request.session[ORGANISATION_KEY] = membership.organisation_id
    words = {"organisation": membership.organisation.short_name}
    messages.success(request, gettext("You act for %(organisation)s now.") % words)
    return redirect("home")


@login_required
@require_safe
def security(request: HttpRequest) -> HttpResponse:
    """One place for the password, e-mail addresses, second factor and passkeys."""
    return render(request, "marketplace/people/security.html", {"crumbs": [Crumb(_("My details"), reverse("person"))]})
