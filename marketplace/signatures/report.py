"""The verdict on a signature, in the terms of ETSI EN 319 102-1, and what it was judged by."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple


class Indication(StrEnum):
    PASSED = "TOTAL-PASSED"
    FAILED = "TOTAL-FAILED"
    INDETERMINATE = "INDETERMINATE"


class Sub(StrEnum):
    """Sub-indications: why a signature did not pass."""

    FORMAT_FAILURE = "FORMAT_FAILURE"
    HASH_FAILURE = "HASH_FAILURE"
    SIG_CRYPTO_FAILURE = "SIG_CRYPTO_FAILURE"
    REVOKED = "REVOKED"
    EXPIRED = "EXPIRED"
    NOT_YET_VALID = "NOT_YET_VALID"
    SIG_CONSTRAINTS_FAILURE = "SIG_CONSTRAINTS_FAILURE"
    CHAIN_CONSTRAINTS_FAILURE = "CHAIN_CONSTRAINTS_FAILURE"
    CERTIFICATE_CHAIN_GENERAL_FAILURE = "CERTIFICATE_CHAIN_GENERAL_FAILURE"
    CRYPTO_CONSTRAINTS_FAILURE = "CRYPTO_CONSTRAINTS_FAILURE"
    CRYPTO_CONSTRAINTS_FAILURE_NO_POE = "CRYPTO_CONSTRAINTS_FAILURE_NO_POE"
    NO_SIGNING_CERTIFICATE_FOUND = "NO_SIGNING_CERTIFICATE_FOUND"
    NO_CERTIFICATE_CHAIN_FOUND = "NO_CERTIFICATE_CHAIN_FOUND"
    NO_CERTIFICATE_CHAIN_FOUND_NO_POE = "NO_CERTIFICATE_CHAIN_FOUND_NO_POE"
    REVOKED_NO_POE = "REVOKED_NO_POE"
    REVOKED_CA_NO_POE = "REVOKED_CA_NO_POE"
    OUT_OF_BOUNDS_NO_POE = "OUT_OF_BOUNDS_NO_POE"
    OUT_OF_BOUNDS_NOT_REVOKED = "OUT_OF_BOUNDS_NOT_REVOKED"
    TRY_LATER = "TRY_LATER"
    TIMESTAMP_ORDER_FAILURE = "TIMESTAMP_ORDER_FAILURE"
    SIGNED_DATA_NOT_FOUND = "SIGNED_DATA_NOT_FOUND"
    POLICY_PROCESSING_ERROR = "POLICY_PROCESSING_ERROR"
    GENERIC = "GENERIC"

    @property
    def indication(self) -> Indication:
        return Indication.FAILED if self in _FAILED else Indication.INDETERMINATE


_FAILED = {Sub.FORMAT_FAILURE, Sub.HASH_FAILURE, Sub.SIG_CRYPTO_FAILURE, Sub.REVOKED, Sub.EXPIRED, Sub.NOT_YET_VALID}


@dataclass(frozen=True, slots=True)
class Policy:
    """What a signature must satisfy. Certificates are DER.

    `intermediates` are authorities known besides those that come with the signature. With `eku` (an OID in dotted form)
    the signer's certificate must name it; with `identifiers` (ETSI form, such as TINRU-7701234567) it must name one of
    them. `min_rsa` is in bits; from `rsa_3072_from` on, RSA keys below 3072 bits count as weak.
    """

    anchors: tuple[bytes, ...]
    intermediates: tuple[bytes, ...] = ()
    eku: str | None = None
    identifiers: frozenset[str] = frozenset()
    min_rsa: int = 2048
    rsa_3072_from: datetime | None = None
    tsa_anchors: tuple[bytes, ...] = ()


class CertificateId(NamedTuple):
    """What a revocation list knows a certificate by: its issuer's name (DER) and its serial number."""

    issuer: bytes
    serial: int


class Revocation(NamedTuple):
    """An entry of a revocation list. `reason` is RFC 5280's word, such as keyCompromise or certificateHold."""

    at: datetime
    reason: str = "unspecified"


@dataclass(frozen=True, slots=True)
class IndexedList:
    """A simple revocation list that was verified at loading, cut down to the serial numbers somebody asked about.

    `issuer` is the list's issuer name (DER), `issuer_key_sha256` the hexadecimal SHA-256 of the SubjectPublicKeyInfo
    (DER) of the key that verified it, `sha256` that of the whole list. `asked` are the numbers that were looked for and
    `revoked` those of them it holds: about any other number the list says nothing. Who makes one asks for those of
    every certificate in question (`certificates_in`, and the intermediates of the policy). A list counts only for
    certificates whose issuer has this name and this key.
    """

    issuer: bytes
    issuer_key_sha256: str
    this_update: datetime
    next_update: datetime
    sha256: str
    asked: frozenset[int]
    revoked: Mapping[int, Revocation]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A list there is, too large to be given whole: `issuer` is its issuer's name (DER), `size` in bytes."""

    issuer: bytes
    size: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """Revocation data, DER or indexed. Nothing is ever fetched: what is not here is missing.

    Of whom a list was left out nobody is known not to be revoked.
    """

    crls: tuple[bytes, ...] = ()
    ocsps: tuple[bytes, ...] = ()
    lists: tuple[IndexedList, ...] = ()
    left_out: tuple[LeftOut, ...] = ()


@dataclass(frozen=True, slots=True)
class Signer:
    """Who signed, by the certificate (DER). `serial` is upper-case hexadecimal, `fingerprint` the SHA-256."""

    subject: str
    serial: str
    identifiers: tuple[str, ...]
    fingerprint: str
    certificate: bytes = field(repr=False)


_EVIDENCE: Final = ("chain", "revocation", "stamp_chain", "stamp_revocation")


@dataclass(frozen=True, slots=True)
class Report:
    """The verdict. `reasons` are sentences; `signed_at` is the signer's claim, `timestamp` an authority's word.

    `chain` (from the signer's certificate to the anchor's) and `revocation` are SHA-256 fingerprints of what was
    relied on; `stamp_chain` and `stamp_revocation` those of what the time stamps that came with it rest on.
    """

    indication: Indication
    sub_indication: Sub | None = None
    reasons: tuple[str, ...] = ()
    signer: Signer | None = None
    signed_at: datetime | None = None
    timestamp: datetime | None = None
    chain: tuple[str, ...] = ()
    revocation: tuple[str, ...] = ()
    stamp_chain: tuple[str, ...] = ()
    stamp_revocation: tuple[str, ...] = ()

    @property
    def evidence(self) -> dict[str, list[str]]:
        """The fingerprints of everything relied on, to be kept with the signature, by what it served for."""
        return {name: list(getattr(self, name)) for name in _EVIDENCE}

    @property
    def passed(self) -> bool:
        return self.indication is Indication.PASSED

    def as_dict(self) -> dict[str, Any]:
        """The public form: what `verify_signature --json` prints."""
        return {
            "indication": str(self.indication),
            "sub_indication": str(self.sub_indication) if self.sub_indication else None,
            "reasons": list(self.reasons),
            "signer": self.signer
            and {
                "subject": self.signer.subject,
                "serial": self.signer.serial,
                "identifiers": list(self.signer.identifiers),
            },
            "signed_at": iso_utc(self.signed_at),
            "timestamp": iso_utc(self.timestamp),
        }

    def to_json(self) -> bytes:
        """Everything, for another process of ours; read again by `from_json`."""
        more: dict[str, Any] = {**self.evidence}
        if self.signer:
            more["certificate"] = base64.b64encode(self.signer.certificate).decode()
            more["fingerprint"] = self.signer.fingerprint
        return json.dumps(self.as_dict() | {"more": more}).encode()

    @classmethod
    def from_json(cls, encoded: bytes) -> Report:
        """Raises `KeyError`, `TypeError` or `ValueError` when it is no report."""
        said = json.loads(encoded)
        more, signer = said["more"], said["signer"]
        return cls(
            indication=Indication(said["indication"]),
            sub_indication=Sub(said["sub_indication"]) if said["sub_indication"] else None,
            reasons=tuple(map(str, said["reasons"])),
            signer=signer
            and Signer(
                subject=str(signer["subject"]),
                serial=str(signer["serial"]),
                identifiers=tuple(map(str, signer["identifiers"])),
                fingerprint=str(more["fingerprint"]),
                certificate=base64.b64decode(more["certificate"]),
            ),
            signed_at=_moment(said["signed_at"]),
            timestamp=_moment(said["timestamp"]),
            **{name: tuple(map(str, more[name])) for name in _EVIDENCE},
        )


class Finding(Exception):
    """Something that keeps the signature from passing; raised inside this package only, never to its callers."""

    def __init__(self, sub: Sub, reason: str) -> None:
        super().__init__(reason)
        self.sub = sub
        self.reason = reason


def refused(
    findings: Sequence[Finding],
    signer: Signer | None = None,
    signed_at: datetime | None = None,
    timestamp: datetime | None = None,
    remarks: Sequence[str] = (),
) -> Report:
    """The report of a signature with at least one finding.

    The first finding decides, but "try later" yields to any other: waiting would not help.
    """
    deciding = next((finding for finding in findings if finding.sub is not Sub.TRY_LATER), findings[0])
    others = [finding for finding in findings if finding is not deciding]
    return Report(
        indication=deciding.sub.indication,
        sub_indication=deciding.sub,
        reasons=(*(finding.reason for finding in (deciding, *others)), *remarks),
        signer=signer,
        signed_at=signed_at,
        timestamp=timestamp,
    )


def iso_utc(moment: datetime | None) -> str | None:
    """To the second, as in 2026-03-02T08:00:00Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if moment else None


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
