"""Accreditation: an organisation asks with documents and a signature, an operator accepts or returns with reasons."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

from babel.dates import format_date
from django.core.files import File
from django.db import transaction
from django.urls import reverse
from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_lazy as _

from marketplace import audit
from marketplace.models import (
    Accreditation,
    AccreditationDocument,
    AccreditationStatus,
    Membership,
    Organisation,
    Role,
    Side,
    SigningRequest,
    StaffRole,
)
from marketplace.permissions import Actor, person_of, require_active, require_role, require_staff
from marketplace.queries import accreditations
from marketplace.services import files, notifications, signing
from marketplace.services.signing import Judged
from marketplace.shared.errors import DomainError, IllegalTransition, Invalid, NotAllowed, NotFound
from marketplace.signed_actions import Sent, SignedAction

ACTION: Final = "accreditation"
SIGN_WITHIN: Final = timedelta(hours=2)
REMIND_BEFORE: Final = timedelta(days=30)
LONGEST: Final = timedelta(days=5 * 366)
MOST_DOCUMENTS: Final = 30

S = AccreditationStatus
NEXT: Final[Mapping[AccreditationStatus, frozenset[AccreditationStatus]]] = MappingProxyType(
    {
        S.DRAFT: frozenset({S.SUBMITTED, S.REVOKED}),
        S.SUBMITTED: frozenset({S.ACCEPTED, S.RETURNED, S.REVOKED}),
        S.RETURNED: frozenset({S.SUBMITTED, S.REVOKED}),
        # A renewal: the request is prepared anew, what was granted counts until its end.
        S.ACCEPTED: frozenset({S.DRAFT, S.REVOKED}),
        S.REVOKED: frozenset({S.DRAFT}),
    }
)
_EDITABLE: Final = frozenset({S.DRAFT, S.RETURNED})


class NotOnThisSide(DomainError):
    code = "not_on_this_side"
    sentence = _("Say in your organisation’s profile that you buy or supply before you ask for accreditation as such.")


class RequestClosed(DomainError):
    code = "accreditation_request_closed"
    sentence = _("The request cannot be changed now: it is “%(status)s”.")


class DocumentsMissing(DomainError):
    code = "accreditation_documents_missing"
    status = 422
    sentence = _("These documents are still missing: %(documents)s.")


class TooManyDocuments(DomainError):
    code = "too_many_documents"
    status = 422
    sentence = _("A request holds at most %(limit)s documents. Put several into one file.")


class RequestChanged(DomainError):
    code = "accreditation_request_changed"
    sentence = _("The request was changed after it was opened here. Read it again before you go on.")


class AlreadyDecided(DomainError):
    code = "accreditation_already_decided"
    sentence = _("%(person)s has decided this request already: %(status)s.")


class OwnOrganisation(NotAllowed):
    code = "own_organisation"
    sentence = _("You are a member of this organisation: another operator has to decide its request.")


# The organisation's side


@transaction.atomic
def open_request(side: Side, *, by: Actor, at: datetime) -> Accreditation:
    """The organisation's request on one side, made where there is none; an accepted or revoked one is opened anew.

    Raises NotOnThisSide, OrganisationNotActive, RoleMissing.
    """
    organisation = by.organisation
    if organisation is None:
        raise NotFound
    _require_editor(by, organisation)
    if not (organisation.is_buyer if side == Side.BUYER else organisation.is_supplier):
        raise NotOnThisSide
    accreditation, made = Accreditation.objects.get_or_create(
        organisation=organisation, side=side, defaults={"created_at": at}
    )
    accreditation = _locked(accreditation.pk)
    if not made and accreditation.status in (S.ACCEPTED, S.REVOKED):
        _move(accreditation, S.DRAFT, "accreditation_renewal_begun", by=by, at=at)
    return accreditation


@transaction.atomic
def add_document(
    accreditation_id: int, *, kind: str, title: str, upload: File[Any], by: Actor, at: datetime
) -> AccreditationDocument:
    """Add a document to a request not yet sent. An asked document keeps its own title. Raises files.FileRefused."""
    accreditation = _editable(accreditation_id, by)
    asked = {
        one.kind: one for one in accreditations.requirements(accreditation.side, accreditation.organisation.country)
    }
    if kind not in asked and kind != accreditations.OTHER:
        raise Invalid({"kind": [_("Choose what the document is.")]})
    title = str(asked[kind].title) if kind in asked else title.strip()
    if not title:
        raise Invalid({"title": [_("Say what the document is.")]})
    if accreditation.documents.count() >= MOST_DOCUMENTS:
        raise TooManyDocuments(limit=MOST_DOCUMENTS)
    stored = files.store(upload, organisation=accreditation.organisation, by=by, at=at)
    document = AccreditationDocument.objects.create(
        accreditation=accreditation, kind=kind, title=title[:120], file=stored
    )
    _touch(accreditation)
    _record("accreditation_document_added", accreditation, by=by, at=at, title=document.title, sha256=stored.sha256)
    return document


@transaction.atomic
def remove_document(accreditation_id: int, document_id: int, *, by: Actor, at: datetime) -> None:
    """Take a document out of a request not yet sent. The file itself is kept: an earlier request may have named it."""
    accreditation = _editable(accreditation_id, by)
    document = AccreditationDocument.objects.filter(pk=document_id, accreditation=accreditation).first()
    if document is None:
        raise NotFound
    title, sha256 = document.title, document.file.sha256
    document.delete()
    _touch(accreditation)
    _record("accreditation_document_removed", accreditation, by=by, at=at, title=title, sha256=sha256)


@transaction.atomic
def prepare(accreditation_id: int, *, by: Actor, at: datetime) -> SigningRequest:
    """What is to be signed: side, and each document's title, name and hash. Raises DocumentsMissing, RoleMissing."""
    accreditation = _editable(accreditation_id, by)
    require_role(by, accreditation.organisation_id, Role.SIGNER)
    _require_complete(accreditation)
    return signing.prepare(
        action=ACTION,
        actor=by,
        object_type="accreditation",
        object_id=str(accreditation.pk),
        object_version=accreditation.version,
        content=_content(accreditation),
        at=at,
        expires_at=at + SIGN_WITHIN,
    )


@transaction.atomic
def submit(
    accreditation_id: int, request: SigningRequest, cms: bytes, *, by: Actor, at: datetime,
    verdict: Judged | None = None,
) -> Accreditation:  # fmt: skip
    """Send the signed request to the operator. Sent twice, it is sent once. A `verdict` may be given later than the
    signature was received; it is sent at `at`.

    Raises RequestChanged where it is no longer what was prepared for signing, and signing.SignatureRefused.
    """
    accreditation = _locked(accreditation_id)
    require_role(by, accreditation.organisation_id, Role.SIGNER)
    request.refresh_from_db(fields=["used_at"])
    if accreditation.status == S.SUBMITTED and accreditation.signature_id and request.used_at:
        return accreditation
    _require_open(accreditation)
    named = (request.action, request.object_type, request.object_id, request.object_version)
    if named != (ACTION, "accreditation", str(accreditation.pk), accreditation.version):
        raise RequestChanged
    _require_complete(accreditation)
    accreditation.signature = signing.complete(request, cms, by=by, at=at, verdict=verdict)
    accreditation.submitted_at, accreditation.submitted_by, accreditation.reasons = at, person_of(by), ""
    changed = ("signature", "submitted_at", "submitted_by", "reasons")
    _move(accreditation, S.SUBMITTED, "accreditation_submitted", *changed, by=by, at=at, **_content(accreditation))
    notifications.notify_staff(
        [StaffRole.OPERATOR],
        "accreditation_submitted",
        gettext("%(organisation)s asks for accreditation.") % {"organisation": accreditation.organisation.short_name},
        reverse("accreditation_decide", args=[accreditation.pk]),
        at=at,
    )
    return accreditation


def _carry_out(sent: Sent, at: datetime) -> Accreditation:
    request = sent.request
    return submit(int(request.object_id), request, sent.cms, by=sent.by, at=at, verdict=sent.verdict)


SIGNED_ACTION: Final = SignedAction(
    ACTION,
    _carry_out,
    lambda _request: gettext("Ask for accreditation"),
    lambda request: reverse("accreditation", args=[Accreditation.objects.get(pk=int(request.object_id)).side]),
)


# The operator's side


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
    _move(accreditation, S.ACCEPTED, "accreditation_accepted", *changed, by=by, at=at, valid_until=until)
    words = gettext("%(organisation)s is accredited as a %(side)s until %(day)s.")
    _tell(accreditation, "accreditation_accepted", words, at)
    return accreditation


@transaction.atomic
def send_back(accreditation_id: int, version: int, reasons: str, *, by: Actor, at: datetime) -> Accreditation:
    """Return the request with reasons the organisation can act on. Raises as `accept`, and Invalid without reasons."""
    accreditation = _to_decide(accreditation_id, version, by)
    accreditation.decided_at, accreditation.decided_by = at, person_of(by)
    accreditation.reasons = _reasons(reasons)
    changed = ("decided_at", "decided_by", "reasons")
    _move(accreditation, S.RETURNED, "accreditation_returned", *changed, by=by, at=at, reasons=accreditation.reasons)
    words = gettext("The request of %(organisation)s for accreditation as a %(side)s was returned: %(reasons)s")
    _tell(accreditation, "accreditation_returned", words, at)
    return accreditation


@transaction.atomic
def revoke(accreditation_id: int, reasons: str, *, by: Actor, at: datetime) -> Accreditation:
    """End a valid accreditation at once. Raises AlreadyDecided where there is none to end."""
    require_staff(by, StaffRole.OPERATOR)
    accreditation = _locked(accreditation_id)
    _require_not_own(accreditation.organisation, by)
    if not accreditation.is_valid(at):
        raise AlreadyDecided(person=accreditation.decided_by, status=accreditation.get_status_display())
    accreditation.decided_at, accreditation.decided_by = at, person_of(by)
    accreditation.valid_until, accreditation.reasons = None, _reasons(reasons)
    changed = ("decided_at", "decided_by", "valid_until", "reasons")
    _move(accreditation, S.REVOKED, "accreditation_revoked", *changed, by=by, at=at, reasons=accreditation.reasons)
    words = gettext("The accreditation of %(organisation)s as a %(side)s was revoked: %(reasons)s")
    _tell(accreditation, "accreditation_revoked", words, at)
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
    _tell(accreditation, "accreditation_ends_soon", words, at)
    return 1


# Steps


def _locked(accreditation_id: int) -> Accreditation:
    found = (
        Accreditation.objects.select_for_update(of=("self",))
        .select_related("organisation", "decided_by")
        .filter(pk=accreditation_id)
        .first()
    )
    if found is None:
        raise NotFound
    return found


def _require_editor(by: Actor, organisation: Organisation) -> None:
    require_role(by, organisation.pk, Role.ADMINISTRATOR, Role.SIGNER)
    require_active(organisation)


def _editable(accreditation_id: int, by: Actor) -> Accreditation:
    accreditation = _locked(accreditation_id)
    _require_editor(by, accreditation.organisation)
    _require_open(accreditation)
    return accreditation


def _require_open(accreditation: Accreditation) -> None:
    if accreditation.status not in _EDITABLE:
        raise RequestClosed(status=accreditation.get_status_display())


def _require_complete(accreditation: Accreditation) -> None:
    missing = accreditations.missing(accreditation)
    if missing:
        raise DocumentsMissing(documents="; ".join(str(one.title) for one in missing))


def _to_decide(accreditation_id: int, version: int, by: Actor) -> Accreditation:
    require_staff(by, StaffRole.OPERATOR)
    accreditation = _locked(accreditation_id)
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


def _move(
    accreditation: Accreditation,
    after: AccreditationStatus,
    action: str,
    *changed: str,
    by: Actor,
    at: datetime,
    **details: Any,
) -> None:
    """The only writer of `status`."""
    if after not in NEXT[S(accreditation.status)]:
        raise IllegalTransition(accreditation.get_status_display(), str(after.label))
    accreditation.status = after
    accreditation.version += 1
    accreditation.save(update_fields=["status", "version", *changed])
    _record(action, accreditation, by=by, at=at, **details)


def _touch(accreditation: Accreditation) -> None:
    accreditation.version += 1
    accreditation.save(update_fields=["version"])


def _record(action: str, accreditation: Accreditation, *, by: Actor, at: datetime, **details: Any) -> None:
    details = {"side": accreditation.side, "version": accreditation.version} | details
    audit.record(action, accreditation, by=by, at=at, stream=f"organisation:{accreditation.organisation_id}", **details)


def _content(accreditation: Accreditation) -> dict[str, Any]:
    return {
        "side": accreditation.side,
        "documents": [
            {"title": document.title, "name": document.file.name, "sha256": document.file.sha256}
            for document in accreditations.documents_of(accreditation.pk)
        ],
    }


def _tell(accreditation: Accreditation, kind: str, words: str, at: datetime) -> None:
    until = accreditation.valid_until
    text = words % {
        "organisation": accreditation.organisation.short_name,
        "side": gettext("supplier") if accreditation.side == Side.SUPPLIER else gettext("buyer"),
        "day": format_date(until, "d MMMM y", locale=(get_language() or "en").replace("-", "_")) if until else "",
        "reasons": accreditation.reasons,
    }
    notifications.notify(
        accreditation.organisation,
        kind,
        text,
        reverse("accreditation", args=[accreditation.side]),
        at=at,
        roles=[Role.ADMINISTRATOR, Role.SIGNER],
    )
