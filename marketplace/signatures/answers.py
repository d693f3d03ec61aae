"""OCSP answers (RFC 6960), whether or not the certificate says where to ask.

pyHanko leaves out answers about certificates without an address to ask at, so they are read here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

from asn1crypto import core, ocsp, x509

from . import der, lists, paths, values
from .algorithms import Strength
from .report import Revocation

MAX_SIZE: Final = 256 * 1024
_MAX_ANSWERS, _MAX_CERTIFICATES = 256, 10
#: How long an answer counts that does not say itself when there will be a newer one.
_WITHOUT_END: Final = timedelta(minutes=30)
_KNOWN_CRITICAL: Final = frozenset({"basic_constraints", "key_usage", "extended_key_usage", "ocsp_no_check"})
_ID_HASHES: Final = frozenset({"sha1", "sha256", "sha384", "sha512"})


@dataclass(frozen=True, slots=True)
class Statement:
    """What one piece of evidence says about one certificate; without `revocation` it says: not revoked.

    `beside` are the fingerprints of what the one who says so was found not to be revoked by.
    """

    revocation: Revocation | None
    this_update: datetime
    next_update: datetime
    sha256: str
    beside: tuple[str, ...] = ()


#: What a responder's certificate is known not to be revoked by (SHA-256); None where it is not known.
Standing = Callable[[x509.Certificate], tuple[str, ...] | None]


@dataclass(frozen=True)
class _Answers:
    """A readable OCSP response. Nothing in it is believed yet."""

    response: ocsp.BasicOCSPResponse
    data: ocsp.ResponseData
    produced_at: datetime
    certificates: tuple[x509.Certificate, ...]
    sha256: str


def statements(
    certificate: x509.Certificate,
    issuer: x509.Certificate,
    responses: Iterable[bytes],
    strength: Strength,
    at: datetime,
    is_good_by: Standing,
) -> Iterator[Statement]:
    """What the responses say about a certificate, by its issuer or in its issuer's name.

    Each statement tells since when it holds: those from after `at` are the caller's to leave out. `is_good_by` is asked
    about the certificates of responders. Responses that cannot be read or verified say nothing.
    """
    for encoded in responses:
        answers = _read(encoded)
        if answers is None:
            continue
        try:
            about = [one for one in answers.data["responses"] if _is_about(one, certificate, issuer)]
            moment = min(answers.produced_at, at)
            beside = _signed_by(answers, issuer, strength, moment, is_good_by) if about else None
            if beside is not None:
                yield from (said for one in about if (said := _said(one, answers.sha256, beside)))
        except Exception:  # noqa: BLE001 – asn1crypto raises ValueError, TypeError, KeyError and more; then it says nothing
            continue


@lru_cache(maxsize=64)
def _read(encoded: bytes) -> _Answers | None:
    try:
        if len(encoded) > MAX_SIZE:
            return None
        der.check(encoded)
        whole = ocsp.OCSPResponse.load(encoded, strict=True)
        content = whole["response_bytes"]
        if whole["response_status"].native != "successful" or content["response_type"].native != "basic_ocsp_response":
            return None
        der.check(bytes(content["response"].contents))
        response = content["response"].parsed
        data = response["tbs_response_data"]
        certificates = tuple(response["certs"] or ())
        if len(data["responses"]) > _MAX_ANSWERS or len(certificates) > _MAX_CERTIFICATES or _strange(data):
            return None
        produced_at = data["produced_at"].native.astimezone(UTC)
        # Nobody can know in advance (RFC 6960, 4.2.2.1).
        if any(one["this_update"].native > produced_at for one in data["responses"]):
            return None
        return _Answers(
            response=response,
            data=data,
            produced_at=produced_at,
            certificates=certificates,
            sha256=hashlib.sha256(encoded).hexdigest(),
        )
    except Exception:  # noqa: BLE001 – as above
        return None


def _strange(part: Any) -> bool:
    """Whether a part says something critical that we do not know."""
    field = "response_extensions" if isinstance(part, ocsp.ResponseData) else "single_extensions"
    extensions = part[field]
    return not isinstance(extensions, core.Void) and any(one["critical"].native for one in extensions)


def _is_about(answer: ocsp.SingleResponse, certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    said = answer["cert_id"]
    algorithm = said["hash_algorithm"]["algorithm"].native
    if algorithm not in _ID_HASHES or _strange(answer):
        return False

    def digest(content: bytes) -> bytes:
        return hashlib.new(algorithm, content, usedforsecurity=False).digest()

    return (
        said["serial_number"].native == certificate.serial_number
        and said["issuer_key_hash"].native == digest(_key_bits(issuer))
        and said["issuer_name_hash"].native in (digest(certificate.issuer.dump()), digest(issuer.subject.dump()))
    )


def _key_bits(certificate: x509.Certificate) -> bytes:
    """The subject's public key without its tag, length and count of unused bits, as OCSP hashes it."""
    return bytes(certificate.public_key["public_key"].contents[1:])


def _said(answer: ocsp.SingleResponse, sha256: str, beside: tuple[str, ...]) -> Statement | None:
    status, this_update = answer["cert_status"], answer["this_update"].native.astimezone(UTC)
    next_update = answer["next_update"].native
    until = next_update.astimezone(UTC) if next_update else this_update + _WITHOUT_END
    if status.name == "good":
        return Statement(None, this_update, until, sha256, beside)
    if status.name == "revoked":
        revoked = status.chosen
        # asn1crypto's words are those of RFC 5280 with underscores; only "on hold" is told apart.
        on_hold = revoked["revocation_reason"].native == "certificate_hold"
        at = revoked["revocation_time"].native.astimezone(UTC)
        return Statement(Revocation(at, lists.HOLD if on_hold else "unspecified"), this_update, until, sha256, beside)
    return None  # the responder does not know the certificate


def _signed_by(
    answers: _Answers, issuer: x509.Certificate, strength: Strength, moment: datetime, is_good_by: Standing
) -> tuple[str, ...] | None:
    """What the trust in the responder rests on: nothing else where the issuer signed itself; None: there is none."""
    for responder in (issuer, *answers.certificates):
        if not _is_named(answers.data["responder_id"], responder):
            continue
        if not _value_verifies(answers, responder, strength, moment):
            continue
        if responder.dump() == issuer.dump() or responder.public_key.dump() == issuer.public_key.dump():
            return ()
        if _may_answer(responder, issuer, strength, moment):
            beside = () if responder.ocsp_no_check_value is not None else is_good_by(responder)
            if beside is not None:
                return beside
    return None


def _is_named(responder_id: ocsp.ResponderId, certificate: x509.Certificate) -> bool:
    if responder_id.name == "by_name":
        return bool(responder_id.chosen.hashable == certificate.subject.hashable)
    digest = hashlib.sha1(_key_bits(certificate), usedforsecurity=False).digest()
    return bool(responder_id.chosen.native == digest)


def _value_verifies(answers: _Answers, responder: x509.Certificate, strength: Strength, moment: datetime) -> bool:
    scheme = answers.response["signature_algorithm"]
    if not strength.signature_algorithm_allowed(scheme, moment, responder.public_key):
        return False
    try:
        return values.verifies(
            answers.response["signature"].native, answers.data.dump(), responder.public_key, scheme, ""
        )
    except values.Unverifiable:
        return False


def _may_answer(responder: x509.Certificate, issuer: x509.Certificate, strength: Strength, moment: datetime) -> bool:
    """RFC 6960, 4.2.2.2: issued by this very issuer, for this purpose by name, and valid when it answered."""
    purposes, usage = responder.extended_key_usage_value, responder.key_usage_value
    return (
        purposes is not None
        and "ocsp_signing" in purposes.native
        and (usage is None or "digital_signature" in usage.native)
        and responder.issuer.hashable == issuer.subject.hashable
        and responder.not_valid_before - paths.TOLERANCE <= moment <= responder.not_valid_after + paths.TOLERANCE
        and not responder.critical_extensions - _KNOWN_CRITICAL
        and bool(strength.signature_algorithm_allowed(responder["signature_algorithm"], moment, issuer.public_key))
        and paths.is_regular(responder)
        and paths.signed_by(responder, issuer)
    )
