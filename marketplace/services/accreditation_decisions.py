"""The operator's side of accreditation: requests accepted, returned with reasons or revoked, and ends told in time."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from marketplace.models import Accreditation, AccreditationStatus, Membership, Organisation, StaffRole
from marketplace.permissions import Actor, person_of, require_staff
from marketplace.queries import accreditations
from marketplace.services.accreditations import RequestChanged, locked, move, tell
from marketplace.shared.errors import DomainError, Invalid, NotAllowed

REMIND_BEFORE: Final = timedelta(days=30)
LONGEST: Final = timedelta(days=5 * 366)

S = AccreditationStatus


class AlreadyDecided(DomainError):
    code = "accreditation_already_decided"
    sentence = _("%(person)s has decided this request already: %(status)s.")


class OwnOrganisation(NotAllowed):
    code = "own_organisation"
    sentence = _("You are a member of this organisation: another operator has to decide its request.")


@transaction.atomic
def accept(accreditation_id: int, version: int, valid_until: datetime, *, by: Actor, at: datetime) -> Accreditation:
    """Accredit the organisation until `valid_until` (exclusive). Of two operators at once one decides.

    Raises AlreadyDecided, RequestChanged, OwnOrganisation.
    """
    accreditation = _to_decide(accreditation_id, version, by)
    if not at < valid_until <= at + LONGEST:
        raise Invalid({"valid_until": [_("Choose an end after today and within five years.")]})
    accreditation.decided_at, accreditation.decided_by = at, person_of(by)
    accreditation.valid_until, accreditation.reasons = valid_until, ""
    changed = ("decided_at", "decided_by", "valid_until", "reasons")
    until = valid_until.isoformat()
    move(accreditation, S.ACCEPTED, "accreditation_accepted", *changed, by=by, at=at, valid_until=until)
    words = gettext("%(organisation)s is accredited as a %(side)s until %(day)s.")
    tell(accreditation, "accreditation_accepted", words, at)
    return accreditation


@transaction.atomic
def send_back(accreditation_id: int, version: int, reasons: str, *, by: Actor, at: datetime) -> Accreditation:
    """Return the request with reasons the organisation can act on. Raises as `accept`, and Invalid without reasons."""
    accreditation = _to_decide(accreditation_id, version, by)
    accreditation.decided_at, accreditation.decided_by = at, person_of(by)
    accreditation.reasons = _reasons(reasons)
    changed = ("decided_at", "decided_by", "reasons")
    move(accreditation, S.RETURNED, "accreditation_returned", *changed, by=by, at=at, reasons=accreditation.reasons)
    words = gettext("The request of %(organisation)s for accreditation as a %(side)s was returned: %(reasons)s")
    tell(accreditation, "accreditation_returned", words, at)
    return accreditation


@transaction.atomic
def revoke(accreditation_id: int, reasons: str, *, by: Actor, at: datetime) -> Accreditation:
    """End a valid accreditation at once. Raises AlreadyDecided where there is none to end."""
    require_staff(by, StaffRole.OPERATOR)
    accreditation = locked(accreditation_id)
    _require_not_own(accreditation.organisation, by)
    if not accreditation.is_valid(at):
        raise AlreadyDecided(person=accreditation.decided_by, status=accreditation.get_status_display())
    accreditation.decided_at, accreditation.decided_by = at, person_of(by)
    accreditation.valid_until, accreditation.reasons = None, _reasons(reasons)
    changed = ("decided_at", "decided_by", "valid_until", "reasons")
    move(accreditation, S.REVOKED, "accreditation_revoked", *changed, by=by, at=at, reasons=accreditation.reasons)
    words = gettext("The accreditation of %(organisation)s as a %(side)s was revoked: %(reasons)s")
    tell(accreditation, "accreditation_revoked", words, at)
    return accreditation


def remind(*, at: datetime) -> int:
    """Tell the organisations whose accreditation ends within 30 days, once for each end. Returns how many were told."""
    return sum(_remind_one(pk, at) for pk in accreditations.ending(at, REMIND_BEFORE).values_list("pk", flat=True))


@transaction.atomic
def _remind_one(accreditation_id: int, at: datetime) -> int:
    accreditation = accreditations.ending(at, REMIND_BEFORE).select_for_update().filter(pk=accreditation_id).first()
    if accreditation is None:
        return 0
    accreditation.reminded_for = accreditation.valid_until
    accreditation.save(update_fields=["reminded_for"])
    words = gettext("The accreditation of %(organisation)s as a %(side)s ends on %(day)s. Renew it in time.")
    tell(accreditation, "accreditation_ends_soon", words, at)
    return 1


# Steps


def _to_decide(accreditation_id: int, version: int, by: Actor) -> Accreditation:
    require_staff(by, StaffRole.OPERATOR)
    accreditation = locked(accreditation_id)
    _require_not_own(accreditation.organisation, by)
    if accreditation.status != S.SUBMITTED:
        raise AlreadyDecided(
            person=accreditation.decided_by or gettext("Somebody"), status=accreditation.get_status_display()
        )
    if accreditation.version != version:
        raise RequestChanged
    return accreditation


def _require_not_own(organisation: Organisation, by: Actor) -> None:
    if Membership.objects.filter(organisation=organisation, person=by.person, active=True).exists():
        raise OwnOrganisation


def _reasons(reasons: str) -> str:
    if not reasons.strip():
        raise Invalid({"reasons": [_("Say why, in words the organisation can act on.")]})
    return reasons.strip()
