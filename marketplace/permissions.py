"""Who acts, and what they may do to an object. Deny by default; hiding the button is a courtesy."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

from marketplace.models import Membership, Organisation, OrganisationStatus, Person, Role, StaffRole
from marketplace.shared.errors import NotAllowed, NotFound, Sentence

if TYPE_CHECKING:
    from django.http import HttpRequest


@dataclass(frozen=True, slots=True)
class Actor:
    """A person, acting for one organisation (or for none, or for the platform)."""

    person: Person | None
    organisation: Organisation | None = None
    roles: frozenset[str] = field(default_factory=frozenset)
    staff_roles: frozenset[str] = field(default_factory=frozenset)

    @property
    def is_signed_in(self) -> bool:
        return self.person is not None

    @property
    def is_staff(self) -> bool:
        return bool(self.staff_roles)

    @property
    def is_buyer(self) -> bool:
        return bool(self.organisation and self.organisation.is_buyer)

    @property
    def is_supplier(self) -> bool:
        return bool(self.organisation and self.organisation.is_supplier)

    def has(self, *roles: Role) -> bool:
        """Whether the person holds one of the roles in the current organisation."""
        return bool(self.roles & {role.value for role in roles})

    def is_a(self, *roles: StaffRole) -> bool:
        """Whether the person holds one of the platform's own roles."""
        return bool(self.staff_roles & {role.value for role in roles})

    def acts_for(self, organisation_id: int) -> bool:
        return self.organisation is not None and self.organisation.pk == organisation_id


NOBODY = Actor(person=None)


class RoleMissing(NotAllowed):
    code = "role_missing"
    sentence = _(
        "Your role does not allow this. It takes: %(roles)s. An administrator of your organisation can grant it."
    )


def actor_for(person: Person, organisation: Organisation | None = None) -> Actor:
    """The actor a person is in `organisation`; raises NotFound where the person is not an active member of it."""
    staff = frozenset(person.staff_roles)
    if organisation is None:
        return Actor(person=person, staff_roles=staff)
    membership = Membership.objects.filter(person=person, organisation=organisation, active=True).first()
    if membership is None:
        raise NotFound
    return Actor(person, organisation, frozenset(membership.roles), staff)


def actor_of(request: HttpRequest) -> Actor:
    """The actor of a request, as the middleware or the API's authentication found it."""
    return getattr(request, "actor", NOBODY)


def person_of(actor: Actor) -> Person:
    """The signed-in person; raises NotAllowed for nobody."""
    if actor.person is None:
        raise NotAllowed
    return actor.person


def organisation_of(actor: Actor) -> Organisation:
    """The organisation acted for; raises NotAllowed where there is none."""
    if actor.organisation is None:
        raise without_organisation(actor)
    return actor.organisation


class NoOrganisation(NotAllowed):
    code = "no_organisation"
    sentence = _("You are not acting for an organisation. Register one, or ask a colleague for an invitation.")


class StaffHasNoOrganisation(NotAllowed):
    code = "staff_has_no_organisation"
    sentence = _(
        "This page belongs to organisations, and as one of the platform’s staff you act for none. What you look after "
        "starts from your first page."
    )


def without_organisation(actor: Actor) -> NotAllowed:
    """The refusal of what only an organisation does, in the words for who asks."""
    return StaffHasNoOrganisation() if actor.is_staff else NoOrganisation()


class OrganisationNotActive(NotAllowed):
    code = "organisation_not_active"
    sentence = _("Your organisation’s registration is not finished, or it is suspended.")


def require_role(actor: Actor, organisation_id: int, *roles: Role) -> None:
    """The actor acts for this organisation (else NotFound: it is not theirs) in one of the roles (else RoleMissing)."""
    if not actor.acts_for(organisation_id):
        raise NotFound
    if not actor.has(*roles):
        raise RoleMissing(roles=_or([role.label for role in roles]))


def require_active(organisation: Organisation) -> None:
    """The organisation has finished its registration and is not suspended."""
    if organisation.status != OrganisationStatus.REGISTERED:
        raise OrganisationNotActive


def require_staff(actor: Actor, *roles: StaffRole) -> None:
    """The actor holds one of the platform's roles. Others are not told that the page exists."""
    if not actor.is_a(*roles):
        raise NotFound


def require_operator(by: Actor | None) -> None:
    """An operator, or the platform itself (None). Raises NotFound for others."""
    if by is not None:
        require_staff(by, StaffRole.OPERATOR)


def _or(labels: list[Sentence]) -> str:
    return " / ".join(str(label) for label in labels)
