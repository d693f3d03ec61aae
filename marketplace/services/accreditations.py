"""Accreditation: an organisation asks with documents and a signature; `accreditation_decisions` answers."""

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
    Organisation,
    Role,
    Side,
    SigningRequest,
    StaffRole,
)
from marketplace.permissions import Actor, person_of, require_active, require_role
from marketplace.queries import accreditations
from marketplace.services import files, notifications, signing
from marketplace.services.signing import Judged
from marketplace.shared.errors import DomainError, IllegalTransition, Invalid, NotFound
from marketplace.signed_actions import Sent, SignedAction

ACTION: Final = "accreditation"
SIGN_WITHIN: Final = timedelta(hours=2)
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
    accreditation = locked(accreditation.pk)
    if not made and accreditation.status in (S.ACCEPTED, S.REVOKED):
        move(accreditation, S.DRAFT, "accreditation_renewal_begun", by=by, at=at)
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
    accreditation = locked(accreditation_id)
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
    move(accreditation, S.SUBMITTED, "accreditation_submitted", *changed, by=by, at=at, **_content(accreditation))
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


# Steps, the operator’s too


def locked(accreditation_id: int) -> Accreditation:
    """The request, locked. Raises NotFound."""
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
    accreditation = locked(accreditation_id)
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


def move(
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


def tell(accreditation: Accreditation, kind: str, words: str, at: datetime) -> None:
    """Tell the organisation, in `words` with places for its name, side, the day of the end and the reasons."""
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
