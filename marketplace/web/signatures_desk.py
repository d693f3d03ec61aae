"""Kept signatures, for operators and auditors: each with its report and evidence, and a button to judge it again."""

from __future__ import annotations

from typing import Any

from cryptography import x509
from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_safe

from marketplace.models import EvidenceKind, Signature, SignatureEvidence, SignatureStamp, StaffRole
from marketplace.permissions import actor_of, require_staff
from marketplace.queries import audit as trail
from marketplace.queries import signatures as queries
from marketplace.services import evidence, reverification, stamping, timestamps
from marketplace.services.signing_words import ACTIONS
from marketplace.shared import clock
from marketplace.shared.errors import NotFound
from marketplace.signatures.timestamps import TimeStampError, read
from marketplace.web import formats, parts
from marketplace.web.lists import chips, listed
from marketplace.web.staff import record_rows

_READERS = (StaffRole.OPERATOR, StaffRole.AUDITOR)
_RUNS_SHOWN = 7
_READ_AT_MOST = 64 * 1024
_RECORDS_SHOWN = 20
#: How a kept piece is called and sent when it is downloaded.
_FILES = {
    EvidenceKind.CERTIFICATE: ("cer", "application/pkix-cert"),
    EvidenceKind.CRL: ("crl", "application/pkix-crl"),
    EvidenceKind.OCSP: ("ors", "application/ocsp-response"),
    EvidenceKind.TIME_STAMP: ("tst", "application/octet-stream"),
}


class SignatureFilter(forms.Form):
    q = forms.CharField(label=_("Number or organisation"), required=False, widget=forms.TextInput({"type": "search"}))
    state = forms.ChoiceField(
        label=_("Time stamp"),
        required=False,
        choices=[
            ("", _("All")),
            (queries.WAITING, _("Waiting")),
            (queries.STAMPED, _("Stamped")),
            (queries.RENEWED, _("Stamped again")),
        ],
    )


@require_safe
def signatures(request: HttpRequest) -> HttpResponse:
    """Every signature with the state of its stamp; how the last samples went."""
    require_staff(actor_of(request), *_READERS)
    now = clock.now()
    form = SignatureFilter(request.GET)
    chosen = form.cleaned_data if form.is_valid() else {}
    rows = queries.signatures(state=chosen.get("state", ""), text=chosen.get("q", ""))
    found = listed(request, rows, ["-pk"])
    late, runs = queries.late_stamps(now), list(queries.runs()[:_RUNS_SHOWN])
    context = {
        "list": found,
        "rows": [(one, ACTIONS.get(one.request.action, one.request.action), _stamp(one)) for one in found.rows],
        "form": form,
        "chips": chips(request, form),
        "configured": timestamps.configured(),
        "authorities": [timestamps.name_of(url) for url in timestamps.addresses()],
        "late": late,
        "overdue": stamping.overdue(now).count() if timestamps.configured() else 0,
        "runs": [(run, run.checked - run.passed, run.failures[:5]) for run in runs],
        "crumbs": [_desk()],
    }
    return render(request, "marketplace/staff/signatures.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def signature(request: HttpRequest, signature_id: int) -> HttpResponse:
    """One signature: what was signed, the verdict, the evidence; posted, it is judged again."""
    actor = actor_of(request)
    require_staff(actor, *_READERS)
    found = _found(signature_id)
    if request.method == "POST":
        verdict = reverification.check_again(found.pk, by=actor, at=clock.now())
        if verdict.passed:
            messages.success(request, gettext("The signature passes by the evidence kept with it."))
        else:
            messages.error(request, gettext("The signature does not pass any more. The reasons are below."))
        return redirect("staff_signature", found.pk)
    context: dict[str, Any] = {
        "signature": found,
        "what": ACTIONS.get(found.request.action, found.request.action),
        "stamp": _stamp(found),
        "check": queries.last_check(found.pk),
        "evidence": _pieces(found.pk),
        "history": record_rows(trail.records(stream=f"signature:{found.pk}").order_by("-number")[:_RECORDS_SHOWN]),
        "crumbs": [_desk(), parts.Crumb(_("Signatures"), reverse("staff_signatures"))],
    }
    return render(request, "marketplace/staff/signature.html", context)


@require_safe
def file(request: HttpRequest, signature_id: int, kind: str) -> HttpResponse:
    """What was signed, or the signature: as it was received, or with its time stamp inside."""
    require_staff(actor_of(request), *_READERS)
    found = Signature.objects.select_related("request").filter(pk=signature_id).first()
    if found is None:
        raise NotFound
    base = f"signature-{found.pk}"
    match kind:
        case "payload":
            return _download(bytes(found.request.payload), f"{base}.json", "application/json")
        case "received":
            return _download(bytes(found.cms), f"{base}.received.p7s", "application/pkcs7-signature")
        case "with-stamp":
            return _download(evidence.stamped_cms(found), f"{base}.p7s", "application/pkcs7-signature")
    raise NotFound


@require_safe
def piece(request: HttpRequest, signature_id: int, sha256: str) -> HttpResponse:
    """A kept certificate, revocation list, answer or time stamp (DER)."""
    require_staff(actor_of(request), *_READERS)
    found = queries.kept(signature_id, sha256)
    if found is None:
        raise NotFound
    ending, kind = _FILES[EvidenceKind(found.object.kind)]
    return _download(bytes(found.object.der), f"{found.object.kind}-{sha256[:16]}.{ending}", kind)


def _found(signature_id: int) -> Signature:
    found = queries.one(signature_id)
    if found is None:
        raise NotFound
    return found


def _stamp(signature: Signature) -> SignatureStamp | None:
    return getattr(signature, "stamp", None)


def _pieces(signature_id: int) -> list[tuple[SignatureEvidence, str]]:
    """What is kept, each with what it says of itself; a large revocation list is not read for that."""
    links = queries.evidence_of(signature_id)
    small = [link.object_id for link in links if link.object.size <= _READ_AT_MOST]
    contents = queries.contents(small)
    return [(link, _words(link.object.kind, contents.get(link.object_id))) for link in links]


def _words(kind: str, der: bytes | None) -> str:
    """Whose certificate or list, or the time of a stamp; "" for what cannot be read, which the verdict tells."""
    try:
        if der is None:
            return ""
        if kind == EvidenceKind.CERTIFICATE:
            return x509.load_der_x509_certificate(der).subject.rfc4514_string()
        if kind == EvidenceKind.CRL:
            crl = x509.load_der_x509_crl(der)
            return f"{crl.issuer.rfc4514_string()}, {formats.moment_text(crl.last_update_utc)} UTC"
        if kind == EvidenceKind.TIME_STAMP:
            token = read(der)
            return f"{token.authority_name}, {formats.moment_text(token.generated_at, seconds=True)} UTC"
    except (ValueError, TimeStampError):
        return ""
    return ""


def _download(content: bytes, name: str, kind: str) -> HttpResponse:
    response = HttpResponse(content, content_type=kind)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["Cache-Control"] = "private, no-store"
    return response


def _desk() -> parts.Crumb:
    return parts.Crumb(_("Desk"), reverse("staff_home"))
