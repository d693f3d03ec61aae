"""A signature judged for anybody who holds it, under this platform's rules. Nothing is written and nothing is kept."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import pkcs7
from django.utils.translation import gettext_lazy as _

from marketplace.models import RevocationList, TrustedCertificate
from marketplace.services import signing, signing_words, throttle
from marketplace.services.verdict_words import meaning_of
from marketplace.shared.errors import DomainError
from marketplace.signatures import Policy, Report
from marketplace.signatures import payload as payloads
from marketplace.signatures.report import iso_utc

LARGEST_DOCUMENT: Final = 20 * 1024 * 1024
LARGEST_SIGNATURE: Final = 256 * 1024
#: No document of ours has more lines or bytes than these.
_MOST_LINES: Final = 500
_LARGEST_OF_OURS: Final = 1024 * 1024
_MOST_IDENTIFIERS: Final = 20
_LONGEST_IDENTIFIER: Final = 80
_WAIT_SECONDS: Final = 10
# Visitors have one judge at a time: who signs for an organisation never waits for them.
_one_at_a_time = threading.BoundedSemaphore(1)


class CheckBusy(DomainError):
    code, status = "check_busy", 503
    sentence = _("Many signatures are being checked at this moment. Try again in a few seconds.")


@dataclass(frozen=True, slots=True)
class Link:
    """A certificate of the path, from the signer's upwards. `fingerprint` is the SHA-256 of its DER."""

    subject: str
    fingerprint: str
    not_after: datetime | None
    is_trusted: bool


@dataclass(frozen=True, slots=True)
class ListRelied:
    """A revocation list that was relied on."""

    issuer: str
    fingerprint: str
    issued_at: datetime
    next_at: datetime
    age: timedelta


@dataclass(frozen=True, slots=True)
class File:
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Checked:
    """The verdict and what it rests on. `expected` are the identifiers the certificate had to name one of.

    `lines` are the plain words of a document in this platform's form: what it says itself, and nothing besides.
    """

    at: datetime
    report: Report
    document: File
    signature: File
    expected: tuple[str, ...]
    expected_by_document: bool
    policy: Policy
    chain: tuple[Link, ...]
    lists: tuple[ListRelied, ...]
    lines: tuple[signing_words.Line, ...]

    def as_dict(self) -> dict[str, Any]:
        """For the reader's own records."""
        return self.report.as_dict() | {
            "meaning": str(meaning_of(self.report.sub_indication)),
            "checked_at": iso_utc(self.at),
            "document": {"size": self.document.size, "sha256": self.document.sha256},
            "signature": {"size": self.signature.size, "sha256": self.signature.sha256},
            "expected_identifiers": list(self.expected),
            "chain": [
                {
                    "subject": link.subject,
                    "sha256": link.fingerprint,
                    "not_after": iso_utc(link.not_after),
                    "in_trust_store": link.is_trusted,
                }
                for link in self.chain
            ],
            "revocation_lists": [
                {
                    "issuer": one.issuer,
                    "sha256": one.fingerprint,
                    "issued_at": iso_utc(one.issued_at),
                    "next_at": iso_utc(one.next_at),
                }
                for one in self.lists
            ],
            "policy": {
                "trusted_authorities": len(self.policy.anchors),
                "extended_key_usage": self.policy.eku,
                "least_rsa_bits": self.policy.min_rsa,
            },
        }


def check(document: bytes, signature: bytes, expected: str, *, address: str, at: datetime) -> Checked:
    """Judge a detached signature of a document. `expected` is the identifier of who should have signed, or empty.

    Without it, a document in this platform's form names its organisation itself. `address` is whose checks are counted,
    and forgotten after minutes. Raises throttle.TooManyChecks, CheckBusy.
    """
    throttle.require_below(throttle.CHECKS, address, at)
    throttle.count(throttle.CHECKS, address, at)
    said = _document_of_ours(document)
    identifiers = (expected,) if expected else _identifiers(said)
    if not _one_at_a_time.acquire(timeout=_WAIT_SECONDS):
        raise CheckBusy
    try:
        report = signing.judge(signature, document, identifiers=list(identifiers), at=at)
    finally:
        _one_at_a_time.release()
    return Checked(
        at=at,
        report=report,
        document=File(len(document), payloads.sha256_hex(document)),
        signature=File(len(signature), payloads.sha256_hex(signature)),
        expected=identifiers,
        expected_by_document=bool(identifiers) and not expected,
        policy=signing.policy_for(list(identifiers)),
        chain=tuple(_chain(report, signature)),
        lists=tuple(_lists(report, at)),
        lines=_lines(document, said),
    )


def _document_of_ours(document: bytes) -> dict[str, Any] | None:
    """The content of a document in the form that people sign here. Whoever knows the form can write one."""
    if len(document) > _LARGEST_OF_OURS:
        return None
    try:
        said = payloads.parse(document)
    except (payloads.PayloadError, RecursionError):
        return None
    return said if said.get("format") == signing.FORMAT else None


def _identifiers(said: dict[str, Any] | None) -> tuple[str, ...]:
    organisation = (said or {}).get("organisation")
    found = organisation.get("identifiers") if isinstance(organisation, dict) else None
    if not isinstance(found, list) or len(found) > _MOST_IDENTIFIERS:
        return ()
    return tuple(found) if all(isinstance(one, str) and 0 < len(one) <= _LONGEST_IDENTIFIER for one in found) else ()


def _lines(document: bytes, said: dict[str, Any] | None) -> tuple[signing_words.Line, ...]:
    if said is None:
        return ()
    try:
        return tuple(signing_words.plain_words(document)[:_MOST_LINES])
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):  # the form in name only
        return ()


def _chain(report: Report, signature: bytes) -> Iterator[Link]:
    """Only a verdict that passed has a path that means something."""
    if not report.passed:
        return
    trusted = {one.sha256: one for one in TrustedCertificate.objects.filter(enabled=True, sha256__in=report.chain)}
    carried = {one.fingerprint(hashes.SHA256()).hex(): one for one in _carried(signature)}
    for fingerprint in report.chain:
        if fingerprint in trusted:
            one = trusted[fingerprint]
            yield Link(one.subject, fingerprint, one.not_after, is_trusted=True)
        elif fingerprint in carried:
            certificate = carried[fingerprint]
            yield Link(
                certificate.subject.rfc4514_string(), fingerprint, certificate.not_valid_after_utc, is_trusted=False
            )
        else:
            yield Link("", fingerprint, None, is_trusted=False)


def _carried(signature: bytes) -> Iterable[x509.Certificate]:
    try:
        return pkcs7.load_der_pkcs7_certificates(signature)
    except ValueError:
        return ()


def _lists(report: Report, at: datetime) -> Iterator[ListRelied]:
    for one in RevocationList.objects.filter(sha256__in=report.revocation).defer("der").order_by("issuer", "pk"):
        yield ListRelied(one.issuer, one.sha256, one.this_update, one.next_update, at - one.this_update)
