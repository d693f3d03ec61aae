"""Invitations of colleagues by e-mail. The link's secret is mailed once and kept as its SHA-256 only."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from allauth.account.models import EmailAddress
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.utils.translation import gettext_lazy as _

from marketplace import audit
from marketplace.models import Invitation, Membership, Organisation, Person, Role
from marketplace.permissions import Actor, person_of, require_active, require_role
from marketplace.services import notifications, people
from marketplace.services.people import NoRole, PersonDetails
from marketplace.shared.errors import DomainError, Invalid, NotFound

VALID_FOR: Final = timedelta(days=7)
# What one organisation may have open at once, so that the platform cannot be made to send mail to strangers.
MOST_OPEN: Final = 100


class AlreadyMember(DomainError):
    code = "already_member"
    sentence = _("%(email)s is a member already. Change their roles in the list.")


class AlreadyInvited(DomainError):
    code = "already_invited"
    sentence = _("%(email)s is invited already. Send the invitation again from the list.")


class TooManyInvitations(DomainError):
    code = "too_many_invitations"
    sentence = _("There are %(limit)s open invitations. Withdraw some, or wait until they are accepted.")


class InvitationUnusable(DomainError):
    """The link is wrong, used, withdrawn, replaced or too old: which of these is only the inviter's business."""

    code = "invitation_unusable"
    status = 404
    sentence = _("This invitation is no longer valid. Ask the colleague who invited you to send a new one.")


class InvitationForAnother(DomainError):
    code = "invitation_for_another"
    status = 403
    sentence = _("This invitation was sent to %(email)s. Log in with that account, or ask for one to your own e-mail.")


@transaction.atomic
def invite(organisation_id: int, email: str, roles: Iterable[str], *, by: Actor, at: datetime) -> Invitation:
    """Invite somebody to act for the organisation in these roles. An administrator's act.

    Raises Invalid, NoRole, AlreadyMember, AlreadyInvited, TooManyInvitations.
    """
    require_role(by, organisation_id, Role.ADMINISTRATOR)
    organisation = Organisation.objects.select_for_update(no_key=True).get(pk=organisation_id)
    require_active(organisation)
    email = Person.objects.normalize_email(email.strip()).lower()
    try:
        validate_email(email)
    except ValidationError as error:
        raise Invalid({"email": [_("Enter an e-mail address such as name@company.com.")]}) from error
    wanted = people.in_order(roles)
    if not wanted:
        raise NoRole(field="roles")
    _require_new(organisation, email, at)
    secret = secrets.token_urlsafe(32)
    invitation = Invitation.objects.create(
        organisation=organisation,
        email=email,
        roles=wanted,
        token_sha256=digest(secret),
        invited_by=person_of(by),
        created_at=at,
        expires_at=at + VALID_FOR,
    )
    _record("invitation_sent", invitation, by=by, at=at, roles=wanted)
    _send(invitation, secret, by)
    return invitation


@transaction.atomic
def send_again(invitation_id: int, *, by: Actor, at: datetime) -> Invitation:
    """Mail a new link for another seven days; the old one stops working. Raises InvitationUnusable."""
    invitation = _own(invitation_id, by)
    secret = secrets.token_urlsafe(32)
    invitation.token_sha256 = digest(secret)
    invitation.expires_at = at + VALID_FOR
    invitation.save(update_fields=["token_sha256", "expires_at"])
    _record("invitation_sent_again", invitation, by=by, at=at)
    _send(invitation, secret, by)
    return invitation


@transaction.atomic
def revoke(invitation_id: int, *, by: Actor, at: datetime) -> Invitation:
    """Withdraw an invitation that was not accepted yet. Raises InvitationUnusable."""
    invitation = _own(invitation_id, by)
    invitation.revoked_at = at
    invitation.save(update_fields=["revoked_at"])
    _record("invitation_withdrawn", invitation, by=by, at=at)
    return invitation


def find(secret: str, *, at: datetime) -> Invitation:
    """The open invitation of a link. Raises InvitationUnusable."""
    found = Invitation.objects.select_related("organisation", "invited_by").filter(token_sha256=digest(secret)).first()
    if found is None or not is_open(found, at):
        raise InvitationUnusable
    return found


@transaction.atomic
def accept(secret: str, *, by: Actor, at: datetime) -> Membership:
    """The invited person joins, with the roles of the invitation added to those they have.

    Raises InvitationUnusable, InvitationForAnother.
    """
    person = person_of(by)
    invitation = _locked(secret, at)
    if not _is_theirs(person, invitation.email):
        raise InvitationForAnother(email=invitation.email)
    return _join(invitation, person, at)


@transaction.atomic
def accept_as_new(secret: str, password: str, details: PersonDetails, *, at: datetime) -> Membership:
    """Somebody without an account makes one by the link, which proves their e-mail, and joins.

    Raises InvitationUnusable, EmailTaken (they have one: let them log in), Invalid.
    """
    invitation = _locked(secret, at)
    person = people.sign_up(invitation.email, password, details, at=at, email_confirmed=True)
    return _join(invitation, person, at)


def is_open(invitation: Invitation, at: datetime) -> bool:
    """Whether the link still works; at the moment it expires it no longer does."""
    return invitation.accepted_at is None and invitation.revoked_at is None and at < invitation.expires_at


def digest(secret: str) -> str:
    """What is kept of a secret: its SHA-256. The secret has 256 random bits, so that a plain hash is enough."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _require_new(organisation: Organisation, email: str, at: datetime) -> None:
    if Membership.objects.filter(organisation=organisation, active=True, person__email=email).exists():
        raise AlreadyMember(field="email", email=email)
    waiting = Invitation.objects.filter(
        organisation=organisation, accepted_at=None, revoked_at=None, expires_at__gt=at
    ).values_list("email", flat=True)
    if email in waiting:
        raise AlreadyInvited(field="email", email=email)
    if len(waiting) >= MOST_OPEN:
        raise TooManyInvitations(limit=MOST_OPEN)


def _own(invitation_id: int, by: Actor) -> Invitation:
    """An invitation of the actor's organisation, locked, neither accepted nor withdrawn; it may have expired."""
    organisation_id = by.organisation.pk if by.organisation else 0
    invitation = (
        Invitation.objects.select_for_update(of=("self",))
        .select_related("organisation")
        .filter(pk=invitation_id, organisation_id=organisation_id)
        .first()
    )
    if invitation is None:
        raise NotFound
    require_role(by, organisation_id, Role.ADMINISTRATOR)
    if invitation.accepted_at or invitation.revoked_at:
        raise InvitationUnusable
    return invitation


def _locked(secret: str, at: datetime) -> Invitation:
    """An open invitation under its lock: a link counts once, and not after it was withdrawn."""
    invitation = (
        Invitation.objects.select_for_update(of=("self",))
        .select_related("organisation")
        .filter(token_sha256=digest(secret))
        .first()
    )
    if invitation is None or not is_open(invitation, at):
        raise InvitationUnusable
    return invitation


def _is_theirs(person: Person, email: str) -> bool:
    return (
        person.email == email or EmailAddress.objects.filter(user=person, email__iexact=email, verified=True).exists()
    )


def _join(invitation: Invitation, person: Person, at: datetime) -> Membership:
    membership, _made = Membership.objects.get_or_create(
        person=person, organisation=invitation.organisation, defaults={"roles": [], "created_at": at}
    )
    # Roles of an earlier, ended membership do not come back by themselves.
    held = membership.roles if membership.active else []
    membership.roles = people.in_order([*held, *invitation.roles])
    membership.active = True
    membership.save(update_fields=["roles", "active"])
    invitation.accepted_at = at
    invitation.accepted_by = person
    invitation.save(update_fields=["accepted_at", "accepted_by"])
    _record("invitation_accepted", invitation, by=Actor(person, invitation.organisation), at=at, roles=membership.roles)
    notifications.notify(
        invitation.organisation,
        "invitation_accepted",
        _("%(person)s has joined: %(roles)s.") % {"person": person, "roles": people.labels(membership.roles)},
        "/organisation/people/",
        at=at,
        roles=[Role.ADMINISTRATOR],
        mail=False,
    )
    return membership


def _send(invitation: Invitation, secret: str, by: Actor) -> None:
    words = {
        "person": by.person,
        "organisation": invitation.organisation.short_name,
        "roles": people.labels(invitation.roles),
    }
    notifications.send_mail(
        invitation.email,
        _("%(organisation)s invites you") % words,
        [
            _("%(person)s invites you to act for %(organisation)s. Your roles: %(roles)s.") % words,
            _("Follow this link to accept. It works once, for seven days:"),
            notifications.absolute(f"/invitations/{secret}/"),
            _("If you do not know what this is about, do nothing."),
        ],
    )


def _record(action: str, invitation: Invitation, *, by: Actor, at: datetime, **details: object) -> None:
    audit.record(
        action,
        invitation,
        by=by,
        at=at,
        stream=f"organisation:{invitation.organisation_id}",
        email=invitation.email,
        **details,
    )
