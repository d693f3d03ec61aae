"""What the platform's own people do to organisations and to each other: suspend, restore, give staff roles."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from allauth.mfa.models import Authenticator
from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from marketplace import audit
from marketplace.models import Membership, Organisation, OrganisationStatus, Person, Role, StaffRole, StaffRoleProposal
from marketplace.permissions import Actor, person_of, require_operator, require_staff
from marketplace.services import notifications
from marketplace.shared.errors import DomainError, IllegalTransition, Invalid, NotAllowed, NotFound

ROLES_STREAM: Final = "staff"
#: By the status they lead to: where they begin, and what is recorded and told.
_MOVES: Final = {
    OrganisationStatus.SUSPENDED: (
        OrganisationStatus.REGISTERED,
        "organisation_suspended",
        _("The operator has suspended %(organisation)s: %(reason)s"),
    ),
    OrganisationStatus.REGISTERED: (
        OrganisationStatus.SUSPENDED,
        "organisation_restored",
        _("%(organisation)s may take part again: %(reason)s"),
    ),
}


class OwnOrganisation(NotAllowed):
    code = "own_organisation"
    sentence = _("You are a member of this organisation: another operator has to do this.")


class OwnRoles(NotAllowed):
    code = "own_roles"
    sentence = _("Nobody changes their own roles: another operator has to do this.")


class OwnProposal(NotAllowed):
    code = "own_proposal"
    sentence = _("You proposed this yourself. Another operator has to confirm it.")


class NothingProposed(DomainError):
    code, status = "nothing_proposed", 409
    sentence = _("Nothing waits for a confirmation here: somebody else has decided meanwhile.")


class UnknownPerson(DomainError):
    code, status = "unknown_person", 422
    sentence = _("Nobody with this e-mail address has signed up. Ask the person to sign up first.")


class NoProof(DomainError):
    code, status = "no_proof", 422
    sentence = _("Say how you know that it is this person.")


def suspend(organisation_id: int, reason: str, *, by: Actor, at: datetime) -> Organisation:
    """Stop a registered organisation from acting at all; what it did stays. Its members are told the reason.

    Raises NotFound for anybody but an operator, OwnOrganisation, IllegalTransition, Invalid without a reason.
    """
    return _move(organisation_id, OrganisationStatus.SUSPENDED, reason, by=by, at=at)


def restore(organisation_id: int, reason: str, *, by: Actor, at: datetime) -> Organisation:
    """Let a suspended organisation act again. Raises as `suspend` does."""
    return _move(organisation_id, OrganisationStatus.REGISTERED, reason, by=by, at=at)


@transaction.atomic
def grant(email: str, roles: Iterable[str], *, by: Actor | None, at: datetime) -> Person:
    """Give a person exactly these staff roles; none takes them all. `by` is None for the platform's set-up.

    Making somebody an operator is only proposed where another operator can confirm it (`takes_two`): the person's roles
    stay as they are until then. Raises UnknownPerson, OwnRoles, NotFound for anybody but an operator.
    """
    require_operator(by)
    person = Person.objects.select_for_update(no_key=True).filter(email=email.strip().lower(), is_active=True).first()
    if person is None:
        raise UnknownPerson(field="email")
    if by is not None and by.person == person:
        raise OwnRoles
    wanted = [role.value for role in StaffRole if role.value in set(roles)]
    before = list(person.staff_roles)
    if before == wanted:
        return person
    if takes_two(person, wanted, by):
        _propose(person, wanted, by, at)
        return person
    StaffRoleProposal.objects.filter(person=person).delete()
    return _give(person, wanted, by, at)


@transaction.atomic
def confirm(proposal_id: int, *, by: Actor, at: datetime) -> Person:
    """A second operator agrees: the person has the roles from now on. Raises OwnProposal, NotFound."""
    proposal = _locked_proposal(proposal_id, by)
    if proposal.proposed_by_id == person_of(by).pk:
        raise OwnProposal
    person = Person.objects.select_for_update(no_key=True).get(pk=proposal.person_id)
    roles, proposed_by = list(proposal.roles), str(proposal.proposed_by)
    proposal.delete()
    return _give(person, roles, by, at, proposed_by=proposed_by)


@transaction.atomic
def turn_down(proposal_id: int, *, by: Actor, at: datetime) -> Person:
    """An operator turns a proposal down, or takes their own back. Raises NotFound."""
    proposal = _locked_proposal(proposal_id, by)
    person, roles = proposal.person, list(proposal.roles)
    proposal.delete()
    audit.record("staff_roles_turned_down", person, by=by, at=at, stream=ROLES_STREAM, after=roles)
    return person


def takes_two(person: Person, roles: Iterable[str], by: Actor | None) -> bool:
    """Whether another operator has to confirm: somebody becomes an operator, and there is another."""
    operator = StaffRole.OPERATOR.value
    becomes = operator in roles and operator not in person.staff_roles
    return becomes and by is not None and _other_operators(by).exists()


def _other_operators(by: Actor) -> QuerySet[Person]:
    operators = Person.objects.filter(is_active=True, staff_roles__contains=[StaffRole.OPERATOR.value])
    return operators.exclude(pk=person_of(by).pk)


def _propose(person: Person, roles: list[str], by: Actor | None, at: datetime) -> None:
    assert by is not None
    proposal = {"roles": roles, "proposed_by": person_of(by), "proposed_at": at}
    StaffRoleProposal.objects.update_or_create(person=person, defaults=proposal)
    audit.record("staff_roles_proposed", person, by=by, at=at, stream=ROLES_STREAM, after=roles)
    words = gettext("%(proposer)s asks you to confirm that %(person)s becomes an operator.")
    text = words % {"proposer": person_of(by), "person": person}
    for other in _other_operators(by):
        notifications.notify(other, "staff_roles_proposed", text, "/staff/people/", at=at)


def _locked_proposal(proposal_id: int, by: Actor) -> StaffRoleProposal:
    require_staff(by, StaffRole.OPERATOR)
    proposals = StaffRoleProposal.objects.select_for_update(of=("self",)).select_related("person", "proposed_by")
    proposal = proposals.filter(pk=proposal_id).first()
    if proposal is None:
        raise NothingProposed
    return proposal


def _give(person: Person, wanted: list[str], by: Actor | None, at: datetime, **details: str) -> Person:
    before = list(person.staff_roles)
    person.staff_roles = wanted
    person.save(update_fields=["staff_roles"])
    audit.record(
        "staff_roles_changed", person, by=by, at=at, stream=ROLES_STREAM, before=before, after=wanted, **details
    )
    labels = ", ".join(str(StaffRole(role).label) for role in wanted) or gettext("none")
    notifications.notify(
        person,
        "staff_roles_changed",
        gettext("Your roles on the platform are now: %(roles)s.") % {"roles": labels},
        at=at,
    )
    return person


@transaction.atomic
def remove_second_factor(email: str, reason: str, *, at: datetime) -> Person:
    """Take away a person's authenticator app, passkeys and recovery codes, for one who lost them all.

    For whoever runs the platform, at the machine, once they know who is asking. Raises UnknownPerson, NoProof.
    """
    person = Person.objects.select_for_update(no_key=True).filter(email=email.strip().lower()).first()
    if person is None:
        raise UnknownPerson(field="email")
    if not reason.strip():
        raise NoProof
    removed = sorted(Authenticator.objects.filter(user=person).values_list("type", flat=True))
    Authenticator.objects.filter(user=person).delete()
    audit.record("second_factor_removed", person, by=None, at=at, removed=removed, reason=reason.strip())
    words = gettext("The operator removed your second factor and passkeys at your request. Set up new ones.")
    notifications.notify(person, "second_factor_removed", words, at=at)
    return person


def _locked(organisation_id: int, by: Actor) -> Organisation:
    require_staff(by, StaffRole.OPERATOR)
    organisation = Organisation.objects.select_for_update(no_key=True).filter(pk=organisation_id).first()
    if organisation is None:
        raise NotFound
    if Membership.objects.filter(organisation=organisation, person=by.person, active=True).exists():
        raise OwnOrganisation
    return organisation


@transaction.atomic
def _move(organisation_id: int, after: OrganisationStatus, reason: str, *, by: Actor, at: datetime) -> Organisation:
    organisation = _locked(organisation_id, by)
    before, event, words = _MOVES[after]
    if organisation.status != before:
        raise IllegalTransition(organisation.get_status_display(), str(after.label))
    if not (reason := reason.strip()):
        raise Invalid({"reason": [_("Say why: the organisation reads it.")]})
    organisation.status = after
    organisation.save(update_fields=["status", "updated_at"])
    audit.record(event, organisation, by=by, at=at, reason=reason)
    told = words % {"organisation": organisation, "reason": reason}
    notifications.notify(organisation, event, told, at=at, roles=[Role.ADMINISTRATOR, Role.SIGNER])
    return organisation
