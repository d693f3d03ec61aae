"""The page on which something is signed: the payload in plain words, signing here or elsewhere, refusals in words."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext_lazy as _

from marketplace.models import QueuedSignature, SigningRequest
from marketplace.permissions import actor_of
from marketplace.services import signature_queue, signing, signing_words
from marketplace.services.signature_queue import SignatureNotTaken
from marketplace.services.signing import SignatureRefused
from marketplace.services.throttle import TooManySignaturesFailed
from marketplace.shared.errors import DomainError, NotFound, Sentence
from marketplace.signatures import payload as payloads
from marketplace.web import formats
from marketplace.web.parts import Crumb, Fact

#: A larger file is no detached signature.
LARGEST_SIGNATURE: Final = 256 * 1024


class SignatureMissing(DomainError):
    code, status = "signature_missing", 422
    sentence = _("There is no signature in this. Sign in the browser, or choose the file with your signature.")


def own_request(request: HttpRequest, nonce: str, action: str, object_type: str, object_id: int) -> SigningRequest:
    """What this very person prepared for this very object; NotFound for anything else."""
    found = SigningRequest.objects.filter(
        nonce=nonce, action=action, object_type=object_type, object_id=str(object_id), person=actor_of(request).person
    ).first()
    if found is None:
        raise NotFound
    return found


def signature_from(request: HttpRequest) -> bytes:
    """The signature that was sent: made in the browser (base64), or uploaded. Raises SignatureMissing."""
    upload = request.FILES.get("signature_file")
    if upload is not None:
        content = upload.read(LARGEST_SIGNATURE + 1)
    else:
        try:
            content = base64.b64decode(request.POST.get("signature", ""), validate=True)
        except (binascii.Error, ValueError):
            content = b""
    if not 0 < len(content) <= LARGEST_SIGNATURE:
        raise SignatureMissing(field="signature")
    return content


def facts_of(prepared: SigningRequest) -> list[Fact]:
    """What is signed, read back from the very bytes, in plain words."""
    return [
        Fact(
            line.label,
            f"{formats.moment_text(line.value)} {formats.zone_label(line.value)}"
            if isinstance(line.value, datetime)
            else line.value,
        )
        for line in signing_words.plain_words(bytes(prepared.payload))
    ]


def payload_file(prepared: SigningRequest) -> HttpResponse:
    """The exact bytes to sign, as a download."""
    response = HttpResponse(bytes(prepared.payload), content_type="application/json")
    response["Content-Disposition"] = 'attachment; filename="payload.json"'
    response["Cache-Control"] = "private, no-store"
    return response


def signing_page(
    request: HttpRequest,
    prepared: SigningRequest,
    *,
    at: datetime,
    arguments: Mapping[str, str] | None = None,
    complete: Callable[[bytes], Any] | None = None,
    done_url: Callable[[Any], str],
    done_words: Callable[[Any], Sentence],
    back_url: str,
    title: Sentence,
    facts: Sequence[Fact],
    submit_label: Sentence,
    crumbs: Sequence[Crumb] = (),
    template: str = "marketplace/sign.html",
    context: dict[str, Any] | None = None,
) -> HttpResponse:
    """Show what is signed, or take the signature, received `at`, and do what it is for with `arguments`. A refused
    signature is said here, and the same request stays open; one that has to wait for its verdict has a page of its own;
    any other refusal leads back to `back_url`, where the person sees what changed. What never waits is done by
    `complete`."""
    if request.method != "POST" and "payload" in request.GET:
        return payload_file(prepared)
    shown: dict[str, Any] = {
        "signing": prepared,
        "facts": facts,
        "title": title,
        "submit_label": submit_label,
        "crumbs": crumbs,
        "payload_url": "?payload",
        "back_url": back_url,
        "identifiers": signing.identifiers_of(prepared.organisation),
        "signs_for": _signs_for(prepared, facts),
        **(context or {}),
    }
    if request.method != "POST":
        return render(request, template, shown)
    try:
        cms = signature_from(request)
        if complete is not None:
            result = complete(cms)
        else:
            result = signature_queue.take(prepared, cms, by=actor_of(request), at=at, **(arguments or {}))
    except (SignatureRefused, SignatureMissing, SignatureNotTaken, TooManySignaturesFailed) as error:
        shown["sign_error"] = str(error)
        shown["sign_reasons"] = list(error.report.reasons) if isinstance(error, SignatureRefused) else []
        return render(request, template, shown, status=error.status)
    except DomainError as error:
        if error.status in (403, 404):
            raise
        messages.error(request, str(error))
        return redirect(back_url)
    if isinstance(result, QueuedSignature):
        return redirect("waiting_signature", result.pk)
    messages.success(request, str(done_words(result)))
    return redirect(done_url(result))


def _signs_for(prepared: SigningRequest, facts: Sequence[Fact]) -> str:
    """The organisation as the payload names it; empty where the facts say it already."""
    if any(str(fact.label) == str(_("Organisation")) for fact in facts):
        return ""
    organisation = payloads.parse(bytes(prepared.payload))["organisation"]
    return f"{organisation['name']} ({', '.join(organisation['identifiers'])})"
