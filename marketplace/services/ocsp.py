"""Answers about single certificates (OCSP, RFC 6960): asked of an authority's responder, checked, kept while fresh."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import monotonic
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID
from django.conf import settings
from django.db import transaction
from django.db.models import Q

from marketplace.models import SERIAL_LENGTH, Certificate, OcspAnswer, RevocationSource, TrustedCertificate
from marketplace.shared import outbound
from marketplace.signatures import certificate_id, names
from marketplace.signatures.payload import sha256_hex

#: Certificates asked about in one go, and bytes of one answer.
BATCH: Final = 200
MAX_ANSWER: Final = 64 * 1024
_SECONDS_EACH: Final = 10.0
#: After how many requests without any answer a responder is left alone for this round.
PATIENCE: Final = 3
#: A certificate that signed in this time will soon sign again.
IN_USE: Final = timedelta(days=30)
_AHEAD: Final = timedelta(minutes=5)
_log = logging.getLogger(__name__)
_HEADERS: Final = {"Content-Type": "application/ocsp-request", "Accept": "application/ocsp-response"}
_STATUS: Final = {
    ocsp.OCSPCertStatus.GOOD: "good",
    ocsp.OCSPCertStatus.REVOKED: "revoked",
    ocsp.OCSPCertStatus.UNKNOWN: "unknown",
}


class Unusable(Exception):
    """The responder's answer does not count; `code` as outbound.OutboundError's."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code, self.detail = code, detail


def want(certificate: bytes, at: datetime) -> list[RevocationSource]:
    """Note that a certificate (DER) matters, where a responder can be asked about it; returns the responders."""
    one = certificate_id(certificate)
    if len(f"{one.serial:X}") > SERIAL_LENGTH:
        return []
    sources = list(
        RevocationSource.objects.filter(
            kind=RevocationSource.Kind.OCSP, enabled=True, authority__name_sha256=sha256_hex(one.issuer)
        )
    )
    for source in sources:
        OcspAnswer.objects.update_or_create(
            authority_id=source.authority_id,
            serial=f"{one.serial:X}",
            defaults={"wanted_at": at},
            create_defaults={
                "wanted_at": at,
                "not_after": x509.load_der_x509_certificate(certificate).not_valid_after_utc,
            },
        )
    return sources


@dataclass(slots=True)
class Round:
    """What one round brought: bytes received, certificates answered about, and those about which no answer counts."""

    received: int = 0
    answered: int = 0
    refused: dict[str, Unusable | outbound.OutboundError] = field(default_factory=dict)


def refresh(source: RevocationSource, at: datetime) -> Round:
    """Ask about every certificate in use whose answer runs out before the next round.

    At most `BATCH`, those that matter most recently first, and not for longer than REVOCATION_SECONDS. What comes to
    nothing about one certificate keeps nobody from the next; a responder that does not answer at all, `PATIENCE` times,
    is left for the next round.
    """
    authority = source.authority
    _note_those_in_use(authority, at)
    soon = at + timedelta(minutes=settings.REVOCATION_REFRESH_MINUTES) + timedelta(minutes=5)
    waiting = OcspAnswer.objects.filter(authority=authority, not_after__gt=at, wanted_at__gt=at - IN_USE)
    due = waiting.filter(Q(next_update=None) | Q(next_update__lte=soon)).order_by("-wanted_at", "pk")[:BATCH]
    issuer = x509.load_der_x509_certificate(bytes(authority.der))
    deadline, done, silent = monotonic() + settings.REVOCATION_SECONDS, Round(), 0
    for kept in due:
        left = deadline - monotonic()
        if left <= 0 or silent >= PATIENCE:
            break
        try:
            encoded = _asked(source, issuer, int(kept.serial, 16), min(_SECONDS_EACH, left))
            done.received += len(encoded)
            _keep(kept.pk, encoded, check(encoded, issuer, int(kept.serial, 16), at), at)
            done.answered += 1
        except (Unusable, outbound.OutboundError) as error:
            _log.warning("No answer from %s about %s: %s", source.url, kept.serial, error)
            done.refused[kept.serial] = error
            silent += isinstance(error, outbound.OutboundError)
    return done


def remove_unused(*, at: datetime) -> int:
    """Forget answers about certificates that have ended, or that nobody has needed for long and are not revoked."""
    found = OcspAnswer.objects.filter(Q(not_after__lte=at) | Q(wanted_at__lte=at - 2 * IN_USE) & ~Q(status="revoked"))
    return found.delete()[0]


def check(encoded: bytes, issuer: x509.Certificate, serial: int, at: datetime) -> ocsp.OCSPSingleResponse:
    """What an answer says about one certificate of `issuer`, believed. Raises Unusable."""
    try:
        answer = ocsp.load_der_ocsp_response(encoded)
        if answer.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            raise Unusable("responder_refused", answer.response_status.name.lower())
        found = next((one for one in answer.responses if _is_about(one, issuer, serial)), None)
        believed = any(_verifies(answer, key) for key in _keys_of_responders(answer, issuer, at))
    except Unusable:
        raise
    except Exception:  # noqa: BLE001 – parts are parsed when asked for, and what is wrong with them has many names
        raise Unusable("no_answer") from None
    if found is None:
        raise Unusable("other_certificate")
    if not believed:
        raise Unusable("not_signed")
    if found.this_update_utc > answer.produced_at_utc or answer.produced_at_utc > at + _AHEAD:
        raise Unusable("answer_from_the_future")
    if found.next_update_utc is None or found.next_update_utc <= at:
        raise Unusable("answer_not_fresh")
    return found


def _note_those_in_use(authority: TrustedCertificate, at: datetime) -> None:
    """The authorities trusted below this one, and whoever signed lately."""
    rows = []
    for trusted in TrustedCertificate.objects.filter(enabled=True, not_after__gt=at):
        one = certificate_id(bytes(trusted.der))
        if sha256_hex(one.issuer) == authority.name_sha256 and trusted.name_sha256 != authority.name_sha256:
            rows.append((f"{one.serial:X}", trusted.not_after))
    signers = Certificate.objects.filter(
        issuer=authority.subject, not_after__gt=at, signatures__received_at__gt=at - IN_USE
    )
    rows += signers.order_by("-pk").distinct().values_list("serial", "not_after")[: 10 * BATCH]
    OcspAnswer.objects.bulk_create(
        [
            OcspAnswer(authority=authority, serial=serial, not_after=end, wanted_at=at)
            for serial, end in dict(rows).items()
        ],
        update_conflicts=True,
        unique_fields=["authority", "serial"],
        update_fields=["wanted_at"],
    )


def _asked(source: RevocationSource, issuer: x509.Certificate, serial: int, seconds: float) -> bytes:
    return outbound.fetch(
        source.url,
        most_bytes=MAX_ANSWER,
        seconds=seconds,
        body=_request(issuer, serial),
        headers=_HEADERS,
        private=settings.REVOCATION_PRIVATE_ADDRESSES,
    ).body


def _request(issuer: x509.Certificate, serial: int) -> bytes:
    # SHA-1 names the issuer here and protects nothing; every responder knows it (RFC 5019).
    name, key = _issuer_hashes(issuer, hashes.SHA1())
    builder = ocsp.OCSPRequestBuilder().add_certificate_by_hash(name, key, serial, hashes.SHA1())
    return builder.build().public_bytes(Encoding.DER)


def _issuer_hashes(issuer: x509.Certificate, algorithm: hashes.HashAlgorithm) -> tuple[bytes, bytes]:
    name, key = names.name_and_key(issuer.public_bytes(Encoding.DER))
    return _hashed(name, algorithm), _hashed(names.key_bits(key), algorithm)


def _hashed(value: bytes, algorithm: hashes.HashAlgorithm) -> bytes:
    return hashlib.new(algorithm.name, value, usedforsecurity=False).digest()


def _is_about(one: ocsp.OCSPSingleResponse, issuer: x509.Certificate, serial: int) -> bool:
    if one.serial_number != serial:
        return False
    return (one.issuer_name_hash, one.issuer_key_hash) == _issuer_hashes(issuer, one.hash_algorithm)


def _keys_of_responders(
    answer: ocsp.OCSPResponse, issuer: x509.Certificate, at: datetime
) -> Iterator[CertificateIssuerPublicKeyTypes]:
    """The authority's own key, and those of certificates it issued for answering."""
    yield issuer.public_key()  # type: ignore[misc]
    for delegate in answer.certificates:
        try:
            delegate.verify_directly_issued_by(issuer)
            usage = delegate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        except (InvalidSignature, ValueError, TypeError, x509.ExtensionNotFound):
            continue
        is_valid = delegate.not_valid_before_utc <= at + _AHEAD and at < delegate.not_valid_after_utc
        if is_valid and ExtendedKeyUsageOID.OCSP_SIGNING in usage:
            yield delegate.public_key()  # type: ignore[misc]


def _verifies(answer: ocsp.OCSPResponse, key: object) -> bool:
    algorithm, signature, signed = answer.signature_hash_algorithm, answer.signature, answer.tbs_response_bytes
    is_strong = isinstance(algorithm, hashes.SHA256 | hashes.SHA384 | hashes.SHA512)
    try:
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, signed)
        elif algorithm is not None and is_strong and isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, signed, padding.PKCS1v15(), algorithm)
        elif algorithm is not None and is_strong and isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, signed, ec.ECDSA(algorithm))
        else:
            return False
    except InvalidSignature:
        return False
    return True


@transaction.atomic
def _keep(pk: int, encoded: bytes, said: ocsp.OCSPSingleResponse, at: datetime) -> None:
    """In place of an older answer only: an attacker who holds back and replays gains nothing.

    "I do not know it" is no evidence either way: it takes back good news, but no revocation. Revoked for good, a
    certificate stays so whatever is said later; only what was on hold may become good again.
    """
    kept = OcspAnswer.objects.select_for_update().filter(pk=pk).first()
    if kept is None:
        return
    status = _STATUS[said.certificate_status]
    is_newer = kept.this_update is None or kept.this_update <= said.this_update_utc
    stays = kept.status == "revoked" and (status == "unknown" or (status == "good" and not _is_on_hold(kept)))
    kept.fetched_at = at
    if is_newer and not stays:
        known = status != "unknown"
        kept.der, kept.status, kept.this_update = encoded if known else b"", status, said.this_update_utc
        kept.next_update = said.next_update_utc if known else None
    kept.save(update_fields=["der", "status", "this_update", "next_update", "fetched_at"])


def _is_on_hold(kept: OcspAnswer) -> bool:
    answer = ocsp.load_der_ocsp_response(bytes(kept.der))
    about = (one for one in answer.responses if one.serial_number == int(kept.serial, 16))
    return any(one.revocation_reason is x509.ReasonFlags.certificate_hold for one in about)
