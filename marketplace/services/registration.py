"""Registration of an organisation: a draft that is saved step by step, and is registered by a signature that passes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from marketplace import audit, identifiers
from marketplace.models import (
    AddressKind,
    Membership,
    Organisation,
    OrganisationStatus,
    Person,
    RegistrationDraft,
    Role,
    SigningRequest,
    StaffRole,
)
from marketplace.permissions import Actor, actor_for, person_of, require_role
from marketplace.services import notifications, organisations, signing
from marketplace.services.organisations import Requisites
from marketplace.shared.errors import DomainError, NotFound, Sentence, StaleForm

ACTION: Final = "registration"
SIGN_WITHIN: Final = timedelta(hours=2)
# Whoever registers an organisation works alone at first; they hand roles out to colleagues later.
FIRST_ROLES: Final = tuple(role for role in Role if role is not Role.OBSERVER)


class AlreadyRegistered(DomainError):
    code = "already_registered"
    sentence = _("This organisation is registered already.")


class RegistrationIncomplete(DomainError):
    code = "registration_incomplete"
    sentence = _("The registration is not complete yet: %(first)s")


@dataclass(frozen=True, slots=True)
class Missing:
    """What a registration still lacks: in which step, in words."""

    step: str
    text: Sentence


@transaction.atomic
def open_draft(requisites: Requisites, *, by: Actor, at: datetime) -> Organisation:
    """A new draft of which the person holds the working roles. A person has one draft at a time: a second call gets it.

    Raises Invalid, by field.
    """
    # The person's row is the lock of their drafts: a double click must not make two.
    person = Person.objects.select_for_update(no_key=True).get(pk=person_of(by).pk)
    draft = draft_of(person)
    if draft is None:
        draft = Organisation.objects.create(country=requisites.country, created_at=at)
        Membership.objects.create(
            person=person, organisation=draft, roles=[role.value for role in FIRST_ROLES], created_at=at
        )
        audit.record("organisation_draft_opened", draft, by=by, at=at)
    organisations.write_requisites(draft, requisites, by=actor_for(person, draft), at=at)
    return draft


def draft_of(person: Person) -> Organisation | None:
    """The person's unfinished registration, if any."""
    return (
        Organisation.objects.filter(
            memberships__person=person,
            memberships__active=True,
            memberships__roles__contains=[Role.ADMINISTRATOR.value],
            status=OrganisationStatus.DRAFT,
        )
        .order_by("pk")
        .last()
    )


@transaction.atomic
def keep_typed(step: str, typed: Mapping[str, list[str]], *, by: Actor, at: datetime) -> None:
    """Keep a step's input as it was typed, until the step is saved: nothing typed is lost."""
    RegistrationDraft.objects.update_or_create(
        person=person_of(by), step=step, defaults={"typed": dict(typed), "saved_at": at}
    )


@transaction.atomic
def forget_typed(step: str, *, by: Actor) -> None:
    """The step was saved: what was typed before is of no use any more."""
    RegistrationDraft.objects.filter(person=person_of(by), step=step).delete()


def missing(organisation: Organisation) -> list[Missing]:
    """What must still be said before the registration can be signed, in the order of the steps."""
    held = {number.scheme: number.value for number in organisation.identifiers.all()}
    _found, wrong = identifiers.check(organisation.country, held)
    gaps = [
        Missing("company", _("%(number)s: %(problem)s") % {"number": scheme, "problem": problem})
        for scheme, problem in wrong.items()
    ]
    if not organisation.full_name or not organisation.short_name:
        gaps.append(Missing("company", _("The organisation has no name yet.")))
    if AddressKind.LEGAL not in {address.kind for address in organisation.addresses.all()}:
        gaps.append(Missing("addresses", _("There is no legal address yet.")))
    if organisation.is_supplier and not organisation.headings_offered.exists():
        gaps.append(Missing("addresses", _("Choose at least one heading that you offer.")))
    if organisation.is_buyer and not organisation.headings_consumed.exists():
        gaps.append(Missing("addresses", _("Choose at least one heading that you buy.")))
    return gaps


@transaction.atomic
def prepare(organisation_id: int, *, by: Actor, at: datetime) -> SigningRequest:
    """What is to be signed: the whole registration as it stands. Raises RegistrationIncomplete, AlreadyRegistered."""
    organisation = _locked_draft(organisation_id, by)
    return signing.prepare(
        action=ACTION,
        actor=by,
        object_type="organisation",
        object_id=str(organisation.pk),
        object_version=organisation.version,
        content=content_of(organisation, person_of(by)),
        at=at,
        expires_at=at + SIGN_WITHIN,
    )


@transaction.atomic
def complete(organisation_id: int, request: SigningRequest, cms: bytes, *, by: Actor, at: datetime) -> Organisation:
    """Register the organisation by the signature. Raises SignatureRefused, StaleForm, RegistrationIncomplete.

    A refused signature leaves the draft and the request as they were: it can be signed again.
    """
    organisation = _locked_draft(organisation_id, by)
    if (request.action, request.object_type, request.object_id) != (ACTION, "organisation", str(organisation.pk)):
        raise NotFound
    if request.object_version != organisation.version:
        raise StaleForm(organisations.changes_since(organisation, request.object_version))
    signature = signing.complete(request, cms, by=by, at=at)
    organisation.status = OrganisationStatus.REGISTERED
    organisation.registered_at = at
    organisation.save(update_fields=["status", "registered_at", "updated_at"])
    RegistrationDraft.objects.filter(person=person_of(by)).delete()
    audit.record("organisation_registered", organisation, by=by, at=at, signature=signature.pk)
    notifications.notify_staff(
        [StaffRole.OPERATOR],
        "organisation_registered",
        _("%(name)s has registered.") % {"name": organisation.short_name},
        f"/companies/{organisation.pk}/",
        at=at,
    )
    return organisation


def content_of(organisation: Organisation, person: Person) -> dict[str, Any]:
    """The registration as it is signed: strings and lists only."""
    return {
        "country": organisation.country,
        "legal_form": organisation.legal_form,
        "full_name": organisation.full_name,
        "short_name": organisation.short_name,
        "email": organisation.email,
        "phone": organisation.phone,
        "website": organisation.website,
        "buys": organisation.is_buyer,
        "supplies": organisation.is_supplier,
        "addresses": {address.kind: str(address) for address in organisation.addresses.all()},
        "headings_offered": [str(heading) for heading in organisation.headings_offered.all()],
        "headings_consumed": [str(heading) for heading in organisation.headings_consumed.all()],
        "signer": {"full_name": person.full_name, "email": person.email, "position": person.position},
    }


def _locked_draft(organisation_id: int, by: Actor) -> Organisation:
    require_role(by, organisation_id, Role.SIGNER)
    organisation = Organisation.objects.select_for_update(no_key=True).get(pk=organisation_id)
    if organisation.status != OrganisationStatus.DRAFT:
        raise AlreadyRegistered
    gaps = missing(organisation)
    if gaps:
        raise RegistrationIncomplete(first=gaps[0].text)
    return organisation
