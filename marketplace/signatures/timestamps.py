"""Time stamps (RFC 3161, RFC 5816): asked for, read strictly and judged.

    asked = request(digest)
    token = read_answer(send(asked.encoded), asked)     # form, status, imprint, nonce, the authority's signature
    trust = judge(token, Policy(anchors=…), evidence, at)   # its certificate: trusted and not revoked at that moment

Pure: sends nothing and reads no clock. `timestamp_authority` is the other side; `cades` joins them to signatures.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Final

# asn1crypto.tsp also teaches asn1crypto.cms the content type and the attributes of time stamps.
from asn1crypto import algos, cms, core, tsp, x509
from pyhanko.sign.validation.generic_cms import validate_sig_integrity

from . import chain, der, shape
from .algorithms import Strength
from .gate import STRONG_HASHES
from .report import Evidence, Finding, Policy, Sub

#: Bytes. Tokens with a chain of three RSA-4096 certificates have some 7 kB.
MAX_TOKEN: Final = 64 * 1024
MAX_ANSWER: Final = MAX_TOKEN + 4 * 1024
MAX_CERTIFICATES: Final = 10
#: How far the authority's clock may be ahead of ours.
TOLERANCE: Final = timedelta(seconds=60)
_HASH_OF_SIZE: Final = {32: "sha256", 48: "sha384", 64: "sha512"}
_REFERENCES: Final = {"signing_certificate", "signing_certificate_v2"}
_GRANTED: Final = {"granted", "granted_with_mods"}
_MAX_ATTRIBUTES: Final = 32


class Answer(core.Sequence):  # type: ignore[misc]
    """TimeStampResp, whose token is absent from a refusal; asn1crypto's own wants one always."""

    _fields = [("status", tsp.PKIStatusInfo), ("time_stamp_token", cms.ContentInfo, {"optional": True})]


class TimeStampError(Exception):
    """No time stamp, or none that counts; the message is a sentence that says why.

    `sub` is what a signature that rests on this stamp is told.
    """

    def __init__(self, reason: str, sub: Sub = Sub.GENERIC) -> None:
        super().__init__(reason)
        self.reason, self.sub = reason, sub


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked, to compare the answer with; `encoded` is the TimeStampReq."""

    digest: bytes
    nonce: int
    policy: str | None
    encoded: bytes = field(repr=False)


@dataclass(frozen=True)
class Token:
    """A token in order and signed by the certificate it names. Whether that is trusted is `judge`'s question.

    `generated_at` is the authority's time, good to `accuracy`; `policy` is an OID in dotted form.
    """

    encoded: bytes = field(repr=False)
    generated_at: datetime
    accuracy: timedelta
    serial: int
    policy: str
    hash_algorithm: str
    imprint: bytes
    nonce: int | None
    signature_algorithms: tuple[algos.DigestAlgorithm, algos.SignedDigestAlgorithm] = field(repr=False)
    authority: x509.Certificate = field(repr=False)
    certificates: tuple[x509.Certificate, ...] = field(repr=False)

    @cached_property
    def sha256(self) -> str:
        """Hexadecimal, over the whole token."""
        return hashlib.sha256(self.encoded).hexdigest()

    @property
    def authority_name(self) -> str:
        """The common name of the authority's certificate, or its whole subject."""
        named = self.authority.subject.native
        name = named.get("common_name") or self.authority.subject.human_friendly
        return str(name if isinstance(name, str) else name[0])

    @property
    def ends_at(self) -> datetime:
        """When the authority's certificate expires: by then the stamp must have been stamped again."""
        ends: datetime = self.authority.not_valid_after
        return ends

    @property
    def earliest(self) -> datetime:
        """What was stamped was there at some moment from here on (RFC 3161, 2.4.2) …"""
        return self.generated_at - self.accuracy

    @property
    def latest(self) -> datetime:
        """… and until here: what a stamp proves to have existed, existed by then."""
        return self.generated_at + self.accuracy

    def stamps(self, message: bytes) -> bool:
        """Whether this is the time stamp of `message`."""
        return hashlib.new(self.hash_algorithm, message).digest() == self.imprint


@dataclass(frozen=True, slots=True)
class Trusted:
    """What the trust in a token rests on: the chain (DER, the authority's certificate first) and revocation data."""

    chain: tuple[bytes, ...] = field(repr=False)
    revocation: tuple[str, ...]


# Asking ------------------------------------------------------------------------------------------------------------


def request(digest: bytes, *, policy: str | None = None, nonce: int | None = None) -> Request:
    """A request to stamp a SHA-256, SHA-384 or SHA-512 digest, with the authority's certificates in the answer.

    Raises `ValueError` for a digest of another size.
    """
    nonce = secrets.randbits(63) | 1 if nonce is None else nonce
    wanted = tsp.TimeStampReq(
        {
            "version": "v1",
            "message_imprint": {
                "hash_algorithm": {"algorithm": hash_of(digest), "parameters": core.Null()},
                "hashed_message": digest,
            },
            "nonce": nonce,
            "cert_req": True,
        }
    )
    if policy:
        wanted["req_policy"] = policy
    return Request(digest, nonce, policy, wanted.dump())


def hash_of(digest: bytes) -> str:
    """The hash function by the size of its digest. Raises `ValueError` for one that is not accepted."""
    name = _HASH_OF_SIZE.get(len(digest))
    if name is None:
        raise ValueError("a time stamp is for a SHA-256, SHA-384 or SHA-512 digest")
    return name


def read_answer(encoded: bytes, asked: Request) -> Token:
    """The token in an authority's answer (TimeStampResp). Raises `TimeStampError` unless it is what was asked for."""
    token = read(_granted(encoded))
    if (token.hash_algorithm, token.imprint) != (hash_of(asked.digest), asked.digest):
        raise TimeStampError("The time stamp is for something else than was sent.", Sub.HASH_FAILURE)
    if token.nonce != asked.nonce:
        raise TimeStampError("The time stamp answers another request: its nonce differs.")
    if asked.policy and token.policy != asked.policy:
        raise TimeStampError("The time stamp was made under another policy than was asked for.")
    return token


def _granted(encoded: bytes) -> bytes:
    if len(encoded) > MAX_ANSWER:
        raise TimeStampError("The authority's answer is too large.")
    try:
        der.check(encoded)
        answer = Answer.load(encoded, strict=True)
        status = answer["status"]
        if status["status"].native not in _GRANTED:
            said = [*(status["status_string"].native or ()), *sorted(status["fail_info"].native or ())]
            why = ", ".join("".join(filter(str.isprintable, one)) for one in said)[:200]
            raise TimeStampError(f"The authority refused: {why or status['status'].native}.")
        # Cut out as it stands: to have it written anew takes long, and could change it.
        whole = [encoded[slice(*span)] for _tag, _inside, span in der.members(encoded, *der.content(encoded))]
        if len(whole) < 2:
            raise TimeStampError("The authority granted the time stamp, but did not send it.")
        return whole[1]
    except TimeStampError:
        raise
    except Exception as error:  # asn1crypto raises ValueError, TypeError, KeyError and more on odd structures
        raise TimeStampError("The authority's answer is no time-stamp response.") from error


# Reading -----------------------------------------------------------------------------------------------------------


def read(encoded: bytes) -> Token:
    """A token (DER) whose form is in order and whose signature verifies. Raises `TimeStampError`."""
    if not 0 < len(encoded) <= MAX_TOKEN:
        raise TimeStampError("The time stamp is empty or too large.", Sub.FORMAT_FAILURE)
    try:
        der.check(encoded)
        shape.check(encoded)
        return _read(encoded)
    except TimeStampError:
        raise
    except Exception as error:  # as above
        raise TimeStampError("The time stamp cannot be read.", Sub.FORMAT_FAILURE) from error


def _read(encoded: bytes) -> Token:
    envelope = cms.ContentInfo.load(encoded, strict=True)
    if envelope["content_type"].native != "signed_data":
        raise _format("it is not signed")
    signed: cms.SignedData = envelope["content"]
    content = signed["encap_content_info"]
    if content["content_type"].native != "tst_info" or content["content"].native is None:
        raise _format("it holds no time")
    if len(signed["signer_infos"]) != 1 or len(signed["certificates"] or ()) > MAX_CERTIFICATES:
        raise _format("it has more signers or certificates than a time stamp may")
    signer = signed["signer_infos"][0]
    if not signer["signed_attrs"] or len(signer["signed_attrs"]) > _MAX_ATTRIBUTES:
        raise _format("it has no signed attributes, or too many")
    certificates = tuple(choice.chosen for choice in signed["certificates"] or () if choice.name == "certificate")
    authority = _authority(signer, certificates)
    _check_signature(signer, authority, bytes(content["content"]))
    _check_purpose(authority)
    if signer["signature_algorithm"].native is None:  # all of it, while there is somebody to say that it cannot be read
        raise _format("it names no algorithm")
    der.check(bytes(content["content"]))
    said = tsp.TSTInfo.load(bytes(content["content"]), strict=True)
    if said["version"].native != "v1" or any(one["critical"].native for one in said["extensions"] or ()):
        raise _format("it has a version or an extension that is unknown")
    imprint, algorithm = said["message_imprint"]["hashed_message"].native, said["message_imprint"]["hash_algorithm"]
    name = algorithm["algorithm"].native
    if name not in STRONG_HASHES:
        raise TimeStampError("The time stamp is made with a weak hash function.", Sub.CRYPTO_CONSTRAINTS_FAILURE)
    if _HASH_OF_SIZE.get(len(imprint)) != name:
        raise _format("its digest has the wrong size")
    return Token(
        encoded=encoded,
        generated_at=said["gen_time"].native.astimezone(UTC),
        accuracy=_accuracy(said["accuracy"]),
        serial=said["serial_number"].native,
        policy=said["policy"].dotted,
        hash_algorithm=name,
        imprint=imprint,
        nonce=said["nonce"].native,
        signature_algorithms=(signer["digest_algorithm"], signer["signature_algorithm"]),
        authority=authority,
        certificates=certificates,
    )


def _authority(signer: cms.SignerInfo, certificates: Iterable[x509.Certificate]) -> x509.Certificate:
    """The certificate that the token names as its signer's and pins by its hash (RFC 3161, RFC 5816).

    Many authorities still pin by SHA-1, as RFC 3161 had it. That is no weakness here: to deceive, somebody would have
    to find a second certificate of that very hash, signed by an authority, and collisions do not help with that.
    """
    references = [one for one in signer["signed_attrs"] if one["type"].native in _REFERENCES]
    kinds = {one["type"].native for one in references}
    if not references or len(kinds) != len(references) or any(len(one["values"]) != 1 for one in references):
        raise _format("it does not refer to its authority's certificate")
    for certificate in certificates:
        pinned = all(_pins(one["values"][0]["certs"][0], certificate) for one in references)
        if pinned and _names(signer["sid"], certificate):
            return certificate
    raise TimeStampError(
        "The time stamp does not contain its authority's certificate.", Sub.NO_SIGNING_CERTIFICATE_FOUND
    )


def _pins(reference: tsp.ESSCertID | tsp.ESSCertIDv2, certificate: x509.Certificate) -> bool:
    algorithm = "sha1"
    if isinstance(reference, tsp.ESSCertIDv2):
        algorithm = reference["hash_algorithm"]["algorithm"].native
        if algorithm not in STRONG_HASHES:
            raise TimeStampError(
                "The time stamp refers to its certificate by a weak hash.", Sub.CRYPTO_CONSTRAINTS_FAILURE
            )
    digest = hashlib.new(algorithm, certificate.dump(), usedforsecurity=False).digest()
    return bool(digest == reference["cert_hash"].native)


def _names(sid: cms.SignerIdentifier, certificate: x509.Certificate) -> bool:
    if sid.name == "subject_key_identifier":
        return bool(certificate.key_identifier == sid.chosen.native)
    chosen = sid.chosen
    return bool(certificate.serial_number == chosen["serial_number"].native and certificate.issuer == chosen["issuer"])


def _check_signature(signer: cms.SignerInfo, authority: x509.Certificate, content: bytes) -> None:
    algorithm = signer["digest_algorithm"]["algorithm"].native
    if algorithm not in STRONG_HASHES:
        raise TimeStampError("The time stamp is signed with a weak hash.", Sub.CRYPTO_CONSTRAINTS_FAILURE)
    digest = hashlib.new(algorithm, content).digest()
    try:
        intact, valid = validate_sig_integrity(signer, authority, "tst_info", digest)
    except Exception as error:  # whatever the libraries refuse does not verify
        raise _forged() from error
    if not (intact and valid):
        raise _forged()


def _check_purpose(authority: x509.Certificate) -> None:
    """RFC 3161, 2.3: the key serves time stamps and nothing else, said in a critical extension."""
    usage, purposes = authority.key_usage_value, authority.extended_key_usage_value
    critical = "extended_key_usage" in authority.critical_extensions
    if purposes is None or purposes.native != ["time_stamping"] or not critical:
        raise TimeStampError(
            "The certificate of the time stamp is not one for time stamps only.", Sub.CHAIN_CONSTRAINTS_FAILURE
        )
    if usage is not None and not usage.native & {"digital_signature", "non_repudiation"}:
        raise TimeStampError("The key of the time stamp may not sign.", Sub.CHAIN_CONSTRAINTS_FAILURE)


def _accuracy(stated: tsp.Accuracy) -> timedelta:
    if stated.native is None:
        return timedelta()
    parts = {name: stated[name].native or 0 for name in ("seconds", "millis", "micros")}
    if not 0 <= parts["seconds"] <= 86_400 or not 0 <= parts["millis"] < 1000 or not 0 <= parts["micros"] < 1000:
        raise _format("its accuracy cannot be read")
    return timedelta(seconds=parts["seconds"], milliseconds=parts["millis"], microseconds=parts["micros"])


# Judging -----------------------------------------------------------------------------------------------------------


def judge(token: Token, policy: Policy, evidence: Evidence, at: datetime) -> Trusted:
    """What the trust in the token rests on as of `at`, a moment at which the token existed. Raises `TimeStampError`.

    Its certificate must be valid from the time stated until `at`, lead to one of `policy.anchors` (or be one itself)
    and not be revoked at `at`. For a token of today `at` is now; for an old one, when it was stamped again.
    """
    if token.generated_at > at + TOLERANCE:
        raise TimeStampError("The time stamp is from the future.", Sub.TIMESTAMP_ORDER_FAILURE)
    if not token.authority.not_valid_before <= token.generated_at:
        raise TimeStampError("The time stamp is older than its certificate.", Sub.OUT_OF_BOUNDS_NO_POE)
    _check_strength(token, policy, at)
    encoded = token.authority.dump()
    if encoded in policy.anchors:  # trusted by itself; nobody above could revoke it
        if at > token.authority.not_valid_after:
            raise TimeStampError("The certificate of the time stamp is expired.", Sub.OUT_OF_BOUNDS_NO_POE)
        return Trusted((encoded,), ())
    try:
        found = chain.build(token.authority, token.certificates, policy, evidence, at)
    except Finding as finding:
        raise TimeStampError(f"The time stamp does not count: {finding.reason}", finding.sub) from finding
    except Exception as error:  # the libraries raise bare TypeError, KeyError and more on odd extensions
        raise TimeStampError(
            "The certificate of the time stamp cannot be read.", Sub.CERTIFICATE_CHAIN_GENERAL_FAILURE
        ) from error
    known = {
        hashlib.sha256(one).hexdigest(): one
        for one in (*(one.dump() for one in token.certificates), *policy.intermediates, *policy.anchors)
    }
    return Trusted(tuple(known[fingerprint] for fingerprint in found.certificates), found.revocation)


def _check_strength(token: Token, policy: Policy, at: datetime) -> None:
    strength = Strength(policy.min_rsa, policy.rsa_3072_from)
    digest, scheme = token.signature_algorithms
    for answer in (
        strength.digest_algorithm_allowed(digest, at),
        strength.signature_algorithm_allowed(scheme, at, token.authority.public_key),
    ):
        if not answer:
            raise TimeStampError(
                f"The time stamp is too weak: {answer.failure_reason}.", Sub.CRYPTO_CONSTRAINTS_FAILURE
            )


def _format(what: str) -> TimeStampError:
    return TimeStampError(f"The time stamp is not in order: {what}.", Sub.FORMAT_FAILURE)


def _forged() -> TimeStampError:
    return TimeStampError(
        "The time stamp was changed, or was not made with the key of its certificate.", Sub.SIG_CRYPTO_FAILURE
    )
