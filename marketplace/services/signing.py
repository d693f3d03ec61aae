"""Signing one action once: prepare what is signed, then take the signature that completes it.

What is signed names the action, the organisation, the object with its version and a nonce, so a signature is good for
nothing else; and its nonce is spent by the first signature that passes.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from cryptography import x509
from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext_lazy as _

from marketplace import audit
from marketplace.models import (
    Certificate,
    Organisation,
    OrganisationStatus,
    Scheme,
    Signature,
    SigningRequest,
    TrustedCertificate,
    TrustKind,
)
from marketplace.permissions import Actor, OrganisationNotActive, organisation_of, person_of
from marketplace.services import evidence, revocation, stamping, throttle
from marketplace.services.signing_words import refusal_sentence
from marketplace.shared.errors import DomainError, NotFound
from marketplace.signatures import Policy, Report, Sub, verify_bounded
from marketplace.signatures import payload as payloads
from marketplace.signatures.cades import attach
from marketplace.signatures.timestamps import TimeStampError

FORMAT: Final = "openlot-signature-1"


class NoIdentifier(DomainError):
    code, status = "no_identifier", 422
    sentence = _("Give your organisation’s registration number first: a signing certificate is matched by it.")


class AlreadySigned(DomainError):
    code = "already_signed"
    sentence = _("This was signed already. A signature counts once.")


class SigningTimeOver(DomainError):
    code = "signing_time_over"
    sentence = _("The time to sign this is over. Go back, check it again and sign what it says now.")


class OrganisationChanged(DomainError):
    code = "organisation_changed"
    sentence = _("Your organisation’s registration numbers changed meanwhile. Go back and sign what it says now.")


class SignatureRefused(DomainError):
    """The signature did not pass. Nothing is spent: the same request may be signed again."""

    code, status = "signature_refused", 422

    def __init__(self, report: Report) -> None:
        self.report = report
        super().__init__(
            field="signature",
            indication=str(report.indication),
            sub_indication=str(report.sub_indication),
            reasons=list(report.reasons),
        )

    def __str__(self) -> str:
        return str(refusal_sentence(self.report.sub_indication))


class SignatureWaits(SignatureRefused):
    """Nothing speaks against the signature, nor against what it is for; but whether its certificate is revoked cannot
    be said now. signature_queue.take keeps it; whoever calls a service directly has it refused."""


@transaction.atomic
def prepare(
    *,
    action: str,
    actor: Actor,
    object_type: str,
    object_id: int | str,
    object_version: int,
    content: Mapping[str, Any],
    at: datetime,
    expires_at: datetime,
) -> SigningRequest:
    """What is to be signed for one action on one version of an object, until `expires_at` (which is too late).

    `content` is what the reader must see and the signature must cover: strings, whole numbers, booleans, lists and
    objects; files by their SHA-256, amounts as strings. Raises NoIdentifier, NoOrganisation,
    OrganisationNotActive (suspended), payload.PayloadError.
    """
    person, organisation = person_of(actor), organisation_of(actor)
    _require_not_suspended(organisation)
    identifiers = identifiers_of(organisation)
    if not identifiers:
        raise NoIdentifier
    nonce = secrets.token_hex(32)
    payload = payloads.canonical(
        {
            "format": FORMAT,
            "action": action,
            "organisation": {"name": organisation.full_name, "identifiers": identifiers},
            "object": {"type": object_type, "id": str(object_id), "version": object_version},
            "content": dict(content),
            "prepared_at": _instant(at),
            "sign_before": _instant(expires_at),
            "nonce": nonce,
        }
    )
    return SigningRequest.objects.create(
        nonce=nonce,
        action=action,
        organisation=organisation,
        person=person,
        object_type=object_type,
        object_id=str(object_id),
        object_version=object_version,
        payload=payload,
        payload_sha256=payloads.sha256_hex(payload),
        created_at=at,
        expires_at=expires_at,
    )


@dataclass(frozen=True, slots=True)
class Judged:
    """The verdict on a signature: these bytes, over this payload, received at this time.

    It has passed, or it is to be tried later. `stamp` is the time stamp (DER) it was judged by, if any.
    """

    cms: bytes
    payload: bytes
    at: datetime
    report: Report
    stamp: bytes | None = None


def judged(request: SigningRequest, cms: bytes, *, by: Actor, at: datetime) -> Judged:
    """Judge a signature before the object it is about is locked, and hand the verdict to `complete`.

    Hostile input takes seconds to refuse: nobody else is to wait for that. Raises as `complete`, which asks everything
    but the cryptography again. Where only revocation data is missing the verdict says so, and `complete` raises
    SignatureWaits once everything else is in order. Writes nothing. Who fails again and again is slowed down
    (throttle.TooManySignaturesFailed).
    """
    payload = _payload_to_sign(request, by, at)
    who = person_of(by).pk
    throttle.require_below(throttle.FAILED_SIGNATURES, who, at)
    report = judge(cms, payload, identifiers=named_in(payload), at=at)
    if not report.passed and report.sub_indication is not Sub.TRY_LATER:
        throttle.count(throttle.FAILED_SIGNATURES, who, at)
        raise SignatureRefused(report)
    return Judged(cms, payload, at, report)


@transaction.atomic
def complete(
    request: SigningRequest, cms: bytes, *, by: Actor, at: datetime, verdict: Judged | None = None
) -> Signature:
    """Take a person's signature of what was prepared for them. Spends the request.

    `verdict` is what was said of this very signature; without it, it is judged here, `at` being its receipt. With it,
    `at` may be later than the receipt. Raises SignatureWaits, SignatureRefused, AlreadySigned, SigningTimeOver,
    OrganisationChanged, OrganisationNotActive (suspended), and NotFound for a request that was prepared for another
    person or organisation. The caller has checked that it is for its own object.
    """
    locked = SigningRequest.objects.select_for_update(of=("self",)).filter(pk=request.pk).first()
    if locked is None:
        raise NotFound
    if verdict is None:
        verdict = judged(locked, cms, by=by, at=at)
    elif (verdict.cms, verdict.payload) != (cms, _payload_to_sign(locked, by, verdict.at)) or verdict.at > at:
        raise ValueError("the verdict is on another signature")
    if not verdict.report.passed:
        raise SignatureWaits(verdict.report)
    report, person, organisation = verdict.report, person_of(by), organisation_of(by)
    signature = Signature.objects.create(
        request=locked,
        organisation=organisation,
        person=person,
        certificate=_certificate(report, by, at),
        cms=cms,
        report=report.as_dict(),
        evidence={
            **report.evidence,
            # What it had to satisfy then, for whoever judges it again.
            "policy": {"eku": settings.SIGNING_EKU_OID, "min_rsa": settings.SIGNING_MIN_RSA_BITS},
        },
        received_at=verdict.at,
    )
    evidence.keep_verdict(signature, at=at, stamp=verdict.stamp)
    stamping.want(signature, at=at)
    locked.used_at = at
    locked.save(update_fields=["used_at"])
    request.used_at = at
    audit.record(
        "signature_accepted", signature, by=by, at=at,
        signed_action=locked.action, signed_object=f"{locked.object_type}:{locked.object_id}",
        object_version=locked.object_version, payload_sha256=locked.payload_sha256,
        certificate_sha256=signature.certificate.sha256, received_at=verdict.at.isoformat(),
    )  # fmt: skip
    return signature


def _payload_to_sign(request: SigningRequest, by: Actor, at: datetime) -> bytes:
    """The payload, where this person may sign it at this time. Raises as `complete`."""
    person, organisation = person_of(by), organisation_of(by)
    if (request.person_id, request.organisation_id) != (person.pk, organisation.pk):
        raise NotFound
    if request.used_at is not None:
        raise AlreadySigned
    if at >= request.expires_at:
        raise SigningTimeOver
    _require_not_suspended(organisation)
    payload = bytes(request.payload)
    if named_in(payload) != identifiers_of(organisation):
        raise OrganisationChanged
    return payload


def _require_not_suspended(organisation: Organisation) -> None:
    if organisation.status == OrganisationStatus.SUSPENDED:
        raise OrganisationNotActive


def judge(
    cms: bytes,
    payload: bytes,
    *,
    identifiers: list[str],
    at: datetime,
    received_at: datetime | None = None,
    stamp: bytes | None = None,
) -> Report:
    """The verdict under this platform's policy: its trust store, revocation lists, extended key usage and key sizes.

    One received earlier is judged by what is known at `at`: as of its time stamp (`stamp`, DER) where it has one that
    counts, otherwise as of its receipt.
    """
    policy = policy_for(identifiers)
    if stamp is not None:
        with contextlib.suppress(TimeStampError):
            stamped = attach(cms, stamp)
            known = revocation.evidence(stamped, policy.intermediates, at)
            report = verify_bounded(stamped, payload, policy, at, known)
            if report.timestamp is not None or report.sub_indication is Sub.GENERIC:
                return report
        # Its authority is trusted no more, or nobody can say so now; or the file has no room for it.
    return verify_bounded(cms, payload, policy, at, revocation.evidence(cms, policy.intermediates, at), received_at)


def named_in(payload: bytes) -> list[str]:
    """The registration numbers of the organisation that a payload names."""
    return [str(number) for number in payloads.parse(payload)["organisation"]["identifiers"]]


def policy_for(identifiers: list[str]) -> Policy:
    """What this platform asks of a signature; with `identifiers`, that its certificate names one of them."""
    trusted: dict[str, list[bytes]] = {kind: [] for kind in TrustKind}
    for kind, der in TrustedCertificate.objects.filter(enabled=True).order_by("pk").values_list("kind", "der"):
        trusted[kind].append(bytes(der))
    return Policy(
        anchors=tuple(trusted[TrustKind.ANCHOR]),
        intermediates=tuple(trusted[TrustKind.INTERMEDIATE]),
        eku=settings.SIGNING_EKU_OID or None,
        identifiers=frozenset(identifiers),
        min_rsa=settings.SIGNING_MIN_RSA_BITS,
        rsa_3072_from=settings.SIGNING_RSA_3072_FROM,
        tsa_anchors=tuple(trusted[TrustKind.TSA]),
    )


def identifiers_of(organisation: Organisation) -> list[str]:
    """The numbers that name this organisation and no other, in ETSI form, sorted. A KPP may be shared by two."""
    return sorted(one.semantic for one in organisation.identifiers.all() if one.scheme != Scheme.KPP)


def _certificate(report: Report, by: Actor, at: datetime) -> Certificate:
    """The record of a certificate that has passed, made at its first use by the organisation."""
    signer = report.signer
    assert signer is not None  # a signature that passed has a signer
    parsed = x509.load_der_x509_certificate(signer.certificate)
    certificate, _created = Certificate.objects.get_or_create(
        organisation=organisation_of(by),
        sha256=signer.fingerprint,
        defaults={
            "person": person_of(by),
            "der": signer.certificate,
            "subject": signer.subject[:500],
            "issuer": parsed.issuer.rfc4514_string()[:500],
            "serial": signer.serial,
            "not_before": parsed.not_valid_before_utc,
            "not_after": parsed.not_valid_after_utc,
            "first_used_at": at,
        },
    )
    return certificate


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
