"""The public page on which anybody has a signature checked: a document, its signature, and the report."""

from __future__ import annotations

import base64
import json
import re
from datetime import datetime
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any, Final

from allauth.account.adapter import get_adapter
from django import forms
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from marketplace.services import signature_check
from marketplace.services.signature_check import LARGEST_DOCUMENT, LARGEST_SIGNATURE, CheckBusy, Checked
from marketplace.services.throttle import TooManyChecks
from marketplace.services.verdict_words import meaning_of
from marketplace.shared import clock
from marketplace.signatures import Indication
from marketplace.web import formats, refusals
from marketplace.web.body_size import body_at_most
from marketplace.web.parts import Fact

#: The names of the fields and what stands between the parts of the form.
_FORM_ITSELF: Final = 64 * 1024
_IDENTIFIER: Final = re.compile(r"[A-Z0-9:]{2,8}-[^\s\x00-\x1f]{1,60}")

TITLES: Final = {
    Indication.PASSED: _("Valid"),
    Indication.FAILED: _("Not valid"),
    Indication.INDETERMINATE: _("Not to be relied on: it cannot be confirmed"),
}


class CheckForm(forms.Form):
    document = forms.FileField(
        label=_("Document that was signed"),
        allow_empty_file=True,
        help_text=_("Any file, exactly as it was signed; 20 MB at most."),
    )
    signature = forms.FileField(label=_("Signature (.p7s)"), help_text=_("Detached, in DER form; 256 kB at most."))
    identifier = forms.CharField(
        label=_("Who should have signed"),
        required=False,
        max_length=80,
        # The browser says it before the files are sent: it would not keep them through a refusal.
        widget=forms.TextInput(attrs={"pattern": r"\s*[A-Za-z0-9:]{2,8}-\S{1,60}\s*", "autocomplete": "off"}),
        help_text=_(
            "The registration number as certificates carry it, such as VATDE-811569869. Left empty, any organisation "
            "may have signed, or the one that a document of this platform names."
        ),
    )

    def clean_document(self) -> Any:
        return _at_most(self.cleaned_data["document"], LARGEST_DOCUMENT)

    def clean_signature(self) -> Any:
        return _at_most(self.cleaned_data["signature"], LARGEST_SIGNATURE)

    def clean_identifier(self) -> str:
        said = str(self.cleaned_data["identifier"]).strip().upper()
        if said and not _IDENTIFIER.fullmatch(said):
            raise ValidationError(_("Write it as certificates do, such as VATDE-811569869 or TINRU-7701234567."))
        return said


def _at_most(upload: Any, limit: int) -> Any:
    if upload.size > limit:
        raise ValidationError(_("This file is too large: at most %(size)s."), params={"size": formats.filesize(limit)})
    return upload


@body_at_most(LARGEST_DOCUMENT + LARGEST_SIGNATURE + _FORM_ITSELF)
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def check(request: HttpRequest) -> HttpResponse:
    """Shows the form; posted, the report above it. For visitors too; keeps nothing."""
    form = CheckForm(request.POST, request.FILES) if request.method == "POST" else CheckForm()
    context: dict[str, Any] = {"form": form, "largest": {"document": LARGEST_DOCUMENT, "signature": LARGEST_SIGNATURE}}
    status = 200
    if form.is_bound and form.is_valid():
        given = form.cleaned_data
        try:
            checked = signature_check.check(
                given["document"].read(),
                given["signature"].read(),
                given["identifier"],
                address=_whose(request),
                at=clock.now(),
            )
            context |= _report(checked, given["document"].name, given["signature"].name)
        except (TooManyChecks, CheckBusy) as error:
            refusals.show_on(form, error)
            status = error.status
    elif form.is_bound:
        status = 422
    return render(request, "marketplace/signature_check.html", context, status=status)


def _whose(request: HttpRequest) -> str:
    """The visitor's address; of a version 6 address the network, since one visitor has them all."""
    said = get_adapter().get_client_ip(request) or ""
    try:
        address = ip_address(said)
    except ValueError:
        return str(said)
    return str(ip_network((address, 64), strict=False)) if isinstance(address, IPv6Address) else str(address)


def _report(checked: Checked, document_name: str, signature_name: str) -> dict[str, Any]:
    report = checked.report
    told = json.dumps(checked.as_dict(), indent=2, ensure_ascii=False).encode()
    return {
        "checked": checked,
        "report": report,
        "title_of_verdict": TITLES[report.indication],
        "meaning": meaning_of(report.sub_indication),
        "who": _who(checked),
        "what": _what(checked, document_name, signature_name),
        "how": _how(checked),
        "lines": [Fact(line.label, _value(line.value)) for line in checked.lines],
        "json": "data:application/json;base64," + base64.b64encode(told).decode(),
    }


def _who(checked: Checked) -> list[Fact]:
    """The signer as the certificate names them; before a verdict that passed, this is a claim."""
    report, signer = checked.report, checked.report.signer
    if signer is None:
        return []
    return [
        Fact(_("Certificate of"), signer.subject),
        Fact(_("Registration numbers in it"), ", ".join(signer.identifiers) or _("none")),
        Fact(_("Serial number of the certificate"), signer.serial),
        Fact(_("Signed, as the signer says"), _value(report.signed_at) if report.signed_at else _("not said")),
        Fact(
            _("Signed before, as a time stamp proves"),
            _value(report.timestamp) if report.timestamp else _("the signature carries no time stamp that counts"),
        ),
    ]


def _what(checked: Checked, document_name: str, signature_name: str) -> list[Fact]:
    facts = []
    for label, name, file in (
        (_("Document"), document_name, checked.document),
        (_("Signature"), signature_name, checked.signature),
    ):
        facts.append(Fact(label, f"{name} · {formats.filesize(file.size)}"))
        facts.append(Fact(_("its SHA-256"), file.sha256))
    return facts


def _how(checked: Checked) -> list[Fact]:
    """What the verdict was made by."""
    policy = checked.policy
    if not checked.expected:
        wanted: Any = _("not asked: any organisation may have signed")
    elif checked.expected_by_document:
        wanted = _("%(numbers)s, whom the document names") % {"numbers": ", ".join(checked.expected)}
    else:
        wanted = _("%(numbers)s, as you wrote") % {"numbers": ", ".join(checked.expected)}
    return [
        Fact(_("Judged as of"), _value(checked.at)),
        Fact(_("By"), _trust_store(len(policy.anchors))),
        Fact(_("Who should have signed"), wanted),
        Fact(_("Purpose the certificate has to name"), policy.eku or _("any")),
        Fact(_("Shortest RSA key"), _("%(bits)d bits") % {"bits": policy.min_rsa}),
    ]


def _trust_store(count: int) -> str:
    said = ngettext(
        "this platform’s trust store of %(count)d authority",
        "this platform’s trust store of %(count)d authorities",
        count,
    )
    return said % {"count": count}


def _value(value: str | datetime) -> str:
    if isinstance(value, datetime):
        return f"{formats.moment_text(value)} {formats.zone_label(value)}"
    return value
