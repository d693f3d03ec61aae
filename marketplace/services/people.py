"""People: their accounts, what they tell about themselves, and the roles they hold in organisations."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from allauth.account.models import EmailAddress
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils.translation import gettext_lazy as _

from marketplace import audit
from marketplace.models import ApiToken, Membership, Organisation, Person, Role
from marketplace.permissions import Actor, person_of, require_role
from marketplace.services import notifications
from marketplace.shared.clock import time_zones
from marketplace.shared.errors import DomainError, Invalid, NotFound, Sentence


class EmailTaken(DomainError):
    code = "email_taken"
    sentence = _("There is an account with this e-mail already. Log in with it, or use “Forgot the password?”.")


class LastAdministrator(DomainError):
    code = "last_administrator"
    sentence = _("This is the only administrator. Make a colleague administrator first.")


class NoRole(DomainError):
    code = "no_role"
    status = 422
    sentence = _("Choose at least one role. To take all of them away, end the membership.")


@dataclass(frozen=True, slots=True)
class PersonDetails:
    """What a person says about themselves. `phone` in E.164."""

    full_name: str
    phone: str
    position: str
    time_zone: str = "UTC"


@transaction.atomic
def sign_up(
    email: str, password: str, details: PersonDetails, *, at: datetime, email_confirmed: bool = False
) -> Person:
    """A new account; `email_confirmed` when they came by a link we sent there. Raises EmailTaken, Invalid."""
    email = Person.objects.normalize_email(email).lower()
    person = Person(email=email)
    _write(person, details)
    if Person.objects.filter(email=email).exists() or EmailAddress.objects.filter(email__iexact=email).exists():
        raise EmailTaken(field="email")
    try:
        validate_password(password, person)
    except ValidationError as error:
        raise Invalid({"password": list(error.messages)}) from error
    person.set_password(password)
    try:
        with transaction.atomic():
            person.save(force_insert=True)
            EmailAddress.objects.create(user=person, email=email, primary=True, verified=email_confirmed)
    except IntegrityError as error:  # a second click on the button
        raise EmailTaken(field="email") from error
    audit.record("person_signed_up", person, by=Actor(person), at=at)
    return person


@transaction.atomic
def update_details(details: PersonDetails, *, by: Actor, at: datetime) -> Person:
    """The person's own name, phone, position and time zone."""
    person = Person.objects.select_for_update(no_key=True).get(pk=person_of(by).pk)
    before = _details_of(person)
    _write(person, details)
    if _details_of(person) != before:
        person.save(update_fields=["full_name", "phone", "position", "time_zone"])
        audit.record("person_details_changed", person, by=by, at=at)
    return person


@transaction.atomic
def grant(membership_id: int, roles: Iterable[str], *, by: Actor, at: datetime) -> Membership:
    """Give a member exactly these roles. An administrator's act; raises NoRole, LastAdministrator."""
    membership, organisation = _locked(membership_id)
    require_role(by, organisation.pk, Role.ADMINISTRATOR)
    wanted = in_order(roles)
    if not wanted:
        raise NoRole(field="roles")
    if Role.ADMINISTRATOR not in wanted:
        _require_another_administrator(membership)
    before = list(membership.roles)
    if before == wanted:
        return membership
    membership.roles = wanted
    membership.save(update_fields=["roles"])
    audit.record(
        "member_roles_changed",
        membership,
        by=by,
        at=at,
        stream=f"organisation:{organisation.pk}",
        member=membership.person.email,
        before=before,
        after=wanted,
    )
    notifications.notify(
        membership.person,
        "roles_changed",
        _("Your roles in %(organisation)s are now: %(roles)s.")
        % {"organisation": organisation.short_name, "roles": labels(wanted)},
        at=at,
    )
    return membership


@transaction.atomic
def end_membership(membership_id: int, *, by: Actor, at: datetime) -> Membership:
    """An administrator parts with a member, or a member leaves. Their API tokens end too; what they did stays theirs.

    Raises LastAdministrator.
    """
    membership, organisation = _locked(membership_id)
    leaving = by.acts_for(organisation.pk) and membership.person_id == person_of(by).pk
    if not leaving:
        require_role(by, organisation.pk, Role.ADMINISTRATOR)
    if not membership.active:
        return membership
    _require_another_administrator(membership)
    membership.active = False
    membership.save(update_fields=["active"])
    ApiToken.objects.filter(membership=membership, revoked_at=None).update(revoked_at=at)
    audit.record(
        "membership_ended",
        membership,
        by=by,
        at=at,
        stream=f"organisation:{organisation.pk}",
        member=membership.person.email,
    )
    if not leaving:
        notifications.notify(
            membership.person,
            "membership_ended",
            _("You no longer act for %(organisation)s.") % {"organisation": organisation.short_name},
            at=at,
        )
    return membership


def in_order(roles: Iterable[str]) -> list[str]:
    """The known roles among those given, once each, in the order they are listed everywhere."""
    given = set(roles)
    return [role.value for role in Role if role.value in given]


def labels(roles: Iterable[str]) -> str:
    """Roles in words."""
    return ", ".join(str(Role(role).label) for role in roles)


def _locked(membership_id: int) -> tuple[Membership, Organisation]:
    """The membership under its organisation's lock: two administrators must not remove each other at once."""
    organisation_id = Membership.objects.filter(pk=membership_id).values_list("organisation_id", flat=True).first()
    if organisation_id is None:
        raise NotFound
    organisation = Organisation.objects.select_for_update(no_key=True).get(pk=organisation_id)
    membership = Membership.objects.select_for_update(of=("self",)).select_related("person").get(pk=membership_id)
    return membership, organisation


def _require_another_administrator(membership: Membership) -> None:
    if not membership.active or Role.ADMINISTRATOR not in membership.roles:
        return
    others = Membership.objects.filter(
        organisation_id=membership.organisation_id,
        active=True,
        person__is_active=True,
        roles__contains=[Role.ADMINISTRATOR.value],
    ).exclude(pk=membership.pk)
    if not others.exists():
        raise LastAdministrator


def _write(person: Person, details: PersonDetails) -> None:
    errors: dict[str, list[Sentence]] = {}
    if not details.full_name.strip():
        errors["full_name"] = [_("Enter your name.")]
    if details.time_zone not in time_zones():
        errors["time_zone"] = [_("Choose a time zone from the list.")]
    if errors:
        raise Invalid(errors)
    person.full_name = details.full_name.strip()
    person.phone = details.phone
    person.position = details.position.strip()
    person.time_zone = details.time_zone


def _details_of(person: Person) -> tuple[str, ...]:
    return (person.full_name, str(person.phone), person.position, person.time_zone)
