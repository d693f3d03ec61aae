"""Accreditation as the organisation sees it: its request with documents and signature, and where it stands."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from marketplace.models import (
    Accreditation,
    AccreditationDocument,
    AccreditationStatus,
    Role,
    Side,
    StaffRole,
)
from marketplace.permissions import Actor, actor_of, organisation_of, require_role
from marketplace.queries import accreditations as queries
from marketplace.services import accreditations as service
from marketplace.services import files
from marketplace.shared import clock
from marketplace.shared.errors import DomainError, NotFound, Sentence
from marketplace.web import formats, parts, refusals
from marketplace.web.files import download
from marketplace.web.signing_page import own_request, signing_page

S = AccreditationStatus
_SIDES = {Side.SUPPLIER: _("As a supplier"), Side.BUYER: _("As a buyer")}
_EDITORS = (Role.ADMINISTRATOR, Role.SIGNER)


class DocumentForm(forms.Form):
    kind = forms.ChoiceField(label=_("What it is"))
    title = forms.CharField(
        label=_("Title"), max_length=120, required=False, help_text=_("Only where it is another document.")
    )
    file = forms.FileField(label=_("File"), widget=forms.ClearableFileInput({"accept": files.ACCEPT}))

    def __init__(self, *args: Any, requirements: list[queries.Requirement], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        kind = self.fields["kind"]
        assert isinstance(kind, forms.ChoiceField)
        kind.choices = [*((one.kind, one.title) for one in requirements), (queries.OTHER, _("Another document"))]


@dataclass(frozen=True, slots=True)
class Asked:
    """A document that is asked for, with those that were added for it."""

    requirement: queries.Requirement
    documents: list[AccreditationDocument]


@require_safe
def request_page(request: HttpRequest, side: str) -> HttpResponse:
    """The organisation's request on one side: its state in words, the documents, and the one thing to do."""
    actor = actor_of(request)
    return _request_page(request, actor, _side(side), None)


@require_POST
def begin(request: HttpRequest, side: str) -> HttpResponse:
    """Begin a request, or the renewal of an accreditation."""
    service.open_request(_side(side), by=actor_of(request), at=clock.now())
    return redirect("accreditation", side)


@require_POST
def add_document(request: HttpRequest, side: str) -> HttpResponse:
    actor = actor_of(request)
    accreditation = _own(actor, _side(side))
    require_role(actor, accreditation.organisation_id, *_EDITORS)
    form = DocumentForm(request.POST, request.FILES, requirements=_requirements(accreditation))
    if form.is_valid():
        given = form.cleaned_data
        try:
            service.add_document(
                accreditation.pk,
                kind=given["kind"],
                title=given["title"],
                upload=given["file"],
                by=actor,
                at=clock.now(),
            )
        except files.FileRefused as error:
            form.add_error("file", str(error))
        except DomainError as error:
            refusals.show_on(form, error)
        else:
            messages.success(request, gettext("“%(name)s” was added.") % {"name": given["file"].name})
            return redirect("accreditation", side)
    return _request_page(request, actor, _side(side), form, status=422)


@require_POST
def remove_document(request: HttpRequest, side: str, document_id: int) -> HttpResponse:
    actor = actor_of(request)
    service.remove_document(_own(actor, _side(side)).pk, document_id, by=actor, at=clock.now())
    messages.success(request, gettext("The document was taken out of the request."))
    return redirect("accreditation", side)


@require_http_methods(["GET", "HEAD", "POST"])
def sign(request: HttpRequest, side: str) -> HttpResponse:
    """Sign the request and send it. The payload prepared stays the same while the page is open."""
    actor, at = actor_of(request), clock.now()
    accreditation = _own(actor, _side(side))
    back = reverse("accreditation", args=[side])
    nonce = request.POST.get("signing_request") or request.GET.get("request", "")
    if not nonce:
        try:
            prepared = service.prepare(accreditation.pk, by=actor, at=at)
        except DomainError as error:
            if error.status in (403, 404):
                raise
            messages.error(request, str(error))
            return redirect(back)
        return redirect(f"{request.path}?request={prepared.nonce}")
    prepared = own_request(request, nonce, service.ACTION, "accreditation", accreditation.pk)
    documents = ", ".join(document.file.name for document in queries.documents_of(accreditation.pk))
    return signing_page(
        request,
        prepared,
        at=at,
        done_url=lambda _done: back,
        done_words=lambda _done: _("Your request is with the operator. You are told as soon as it is decided."),
        back_url=back,
        title=_("Sign the request for accreditation"),
        facts=[
            parts.Fact(_("You do"), _SIDES[_side(side)]),
            parts.Fact(_("For"), accreditation.organisation.full_name),
            parts.Fact(_("Documents"), documents),
        ],
        submit_label=_("Sign and send the request"),
        crumbs=[parts.Crumb(_("Accreditation"), back)],
        context={"payload_url": f"?request={nonce}&payload", "action_url": f"{request.path}?request={nonce}"},
    )


@require_safe
def document(request: HttpRequest, document_id: int) -> HttpResponseBase:
    """A document of a request, for the organisation's own people and for operators and auditors."""
    actor = actor_of(request)
    found = AccreditationDocument.objects.select_related("accreditation", "file").filter(pk=document_id).first()
    if found is None or not (
        actor.acts_for(found.accreditation.organisation_id) or actor.is_a(StaffRole.OPERATOR, StaffRole.AUDITOR)
    ):
        raise NotFound
    return download(found.file)


def _side(side: str) -> Side:
    if side not in Side.values:
        raise NotFound
    return Side(side)


def _own(actor: Actor, side: Side) -> Accreditation:
    found = queries.of_organisation(organisation_of(actor).pk).filter(side=side).first()
    if found is None:
        raise NotFound
    return found


def _requirements(accreditation: Accreditation) -> list[queries.Requirement]:
    return queries.requirements(accreditation.side, accreditation.organisation.country)


def _request_page(
    request: HttpRequest, actor: Actor, side: Side, form: DocumentForm | None, status: int = 200
) -> HttpResponse:
    organisation, now = organisation_of(actor), clock.now()
    accreditation = queries.of_organisation(organisation.pk).filter(side=side).select_related("signature").first()
    asked = queries.requirements(side, organisation.country)
    documents = list(queries.documents_of(accreditation.pk)) if accreditation else []
    is_open = accreditation is not None and accreditation.status in (S.DRAFT, S.RETURNED)
    may_edit = actor.has(*_EDITORS)
    kinds = {one.kind for one in asked}
    missing = [one for one in asked if one.required and one.kind not in {added.kind for added in documents}]
    context = {
        "accreditation": accreditation,
        "side": side,
        "lead": _SIDES[side],
        "asked": [Asked(one, [added for added in documents if added.kind == one.kind]) for one in asked],
        "others": [added for added in documents if added.kind not in kinds],
        "form": form or (DocumentForm(requirements=asked) if is_open and may_edit else None),
        "is_open": is_open,
        "may_edit": is_open and may_edit,
        "is_valid": accreditation is not None and accreditation.is_valid(now),
        "next_step": _next_step(accreditation, missing, now),
        "action": _action(accreditation, actor, side, missing, now),
        "state_label": state_label(accreditation, now),
        "tabs": _tabs(actor, side),
        "moments": _moments(accreditation, now),
    }
    return render(request, "marketplace/accreditation/request.html", context, status=status)


def _tabs(actor: Actor, side: Side) -> list[parts.Tab]:
    if not (actor.is_buyer and actor.is_supplier):
        return []
    return [parts.Tab(label, reverse("accreditation", args=[one.value]), one == side) for one, label in _SIDES.items()]


def state_label(accreditation: Accreditation | None, now: datetime) -> Sentence:
    """Where an accreditation stands, in words."""
    if accreditation is None:
        return _("Not asked for yet")
    if accreditation.status == S.ACCEPTED and not accreditation.is_valid(now):
        return _("Ended")
    if accreditation.status == S.DRAFT and accreditation.is_valid(now):
        return _("Renewal not yet sent")
    return str(accreditation.get_status_display())


def _next_step(accreditation: Accreditation | None, missing: list[queries.Requirement], now: datetime) -> Sentence:
    """What happens next, in one sentence."""
    if accreditation is None:
        return _(
            "Begin a request, add the documents and sign it. An operator looks at it, usually within two working days."
        )
    until = formats.moment_text(accreditation.valid_until) if accreditation.valid_until else ""
    if accreditation.status == S.ACCEPTED and not accreditation.is_valid(now):
        return gettext("Your accreditation ended on %(until)s UTC. Renew it to take part again.") % {"until": until}
    if accreditation.status == S.ACCEPTED:
        if not until:
            return _("Your accreditation has no end.")
        return gettext("Your accreditation is valid until %(until)s UTC. You can renew it at any time.") % {
            "until": until
        }
    counts = (
        " " + gettext("What you have counts until %(until)s UTC.") % {"until": until}
        if accreditation.is_valid(now)
        else ""
    )
    sentences = {
        S.DRAFT: gettext("Add the documents, then sign the request and send it.")
        if missing
        else gettext("Everything needed is there: sign the request and send it."),
        S.SUBMITTED: gettext("An operator is looking at it, usually within two working days. There is nothing to do."),
        S.RETURNED: gettext("Put right what the operator names, then sign and send the request again."),
        S.REVOKED: gettext("Ask for accreditation again once the reasons no longer hold."),
    }
    return sentences[S(accreditation.status)] + counts


def _action(
    accreditation: Accreditation | None, actor: Actor, side: Side, missing: list[queries.Requirement], now: datetime
) -> parts.Action | None:
    url = reverse("accreditation_begin", args=[side.value])
    may_edit = actor.has(*_EDITORS)
    who = _("An administrator or signer of your organisation can do this.")
    if accreditation is None:
        return parts.Action(_("Begin the request"), url, "plus", "post", allowed=may_edit, reason=who)
    if accreditation.status in (S.ACCEPTED, S.REVOKED):
        label = _("Renew") if accreditation.status == S.ACCEPTED else _("Ask again")
        return parts.Action(label, url, "refresh", "post", allowed=may_edit, reason=who)
    if accreditation.status == S.SUBMITTED:
        return None
    sign_url, label = reverse("accreditation_sign", args=[side.value]), _("Sign and send")
    if missing:
        count = len(missing)
        words = ngettext("%(count)s document is still missing.", "%(count)s documents are still missing.", count)
        return parts.Action(
            label,
            sign_url,
            "signature",
            allowed=False,
            reason=words % {"count": count},
            remedy_label=_("Add it"),
            remedy_url="#add",
        )
    if not actor.has(Role.SIGNER):
        return parts.Action(
            label, sign_url, "signature", allowed=False, reason=_("A signer of your organisation can send it.")
        )
    return parts.Action(label, sign_url, "signature")


def _moments(accreditation: Accreditation | None, now: datetime) -> list[parts.Moment]:
    if accreditation is None:
        return []
    sent, decided, until = accreditation.submitted_at, accreditation.decided_at, accreditation.valid_until
    waits = accreditation.status == S.SUBMITTED
    if decided and sent and decided < sent:
        decided = None
    return [
        parts.Moment(_("Sent"), sent, "done" if sent else "next"),
        parts.Moment(_("Decided"), decided, "done" if decided else "next" if waits else "later"),
        parts.Moment(_("Valid until"), until, "done" if until and until <= now else "later"),
    ]


# The operators' side
