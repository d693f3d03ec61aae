"""Is a certificate of a path revoked? By lists, by OCSP answers, and by pyHanko where a list is unusual."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from functools import lru_cache
from itertools import accumulate
from typing import Final

from asn1crypto import crl, x509
from pyhanko_certvalidator import ValidationContext, errors
from pyhanko_certvalidator.path import ValidationPath
from pyhanko_certvalidator.policy_decl import REQUIRE_REVINFO, CertRevTrustPolicy
from pyhanko_certvalidator.revinfo.validate_crl import verify_crl

from . import answers, lists
from .algorithms import Strength
from .answers import Statement
from .paths import TOLERANCE, Path
from .report import Evidence, Revocation


class State(Enum):
    """The gravest news first, any news before none."""

    REVOKED = "revoked"
    ON_HOLD = "on hold"
    GOOD = "good"
    STALE = "stale"
    UNKNOWN = "unknown"
    LEFT_OUT = "a list was left out"


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of a certificate at a moment, and the SHA-256 of the evidence that says so."""

    state: State
    revocation: Revocation | None = None
    evidence: tuple[str, ...] = ()


UNKNOWN, LEFT_OUT = Standing(State.UNKNOWN), Standing(State.LEFT_OUT)


@dataclass(frozen=True)
class Knowledge:
    """The evidence that existed at `at`. Lists are read once and kept on the shelf, by their bytes.

    `known` are the operator's certificates, among which those who sign lists for an authority may be.
    """

    evidence: Evidence
    strength: Strength
    at: datetime
    shelf: lists.Shelf
    known: tuple[x509.Certificate, ...] = ()

    def standing(self, path: Path, index: int, moment: datetime) -> Standing:
        """Of the certificate at `index` of the path (its anchor is last and has none), as of `moment` ≤ `at`.

        Those above it in the path are taken to be in order.
        """
        certificate, issuer = path.certificates[index], path.certificates[index + 1]
        own = self._by_statements(certificate, issuer, moment)
        if own.state is State.REVOKED:
            return own
        unusual = list(self._unusual(path, index))
        asked = _within_bounds([*unusual, *self._beside(path, index)]) if unusual else []
        found = _graver(own, self._by_pyhanko(path, index, moment, asked)) if asked else own
        complete = len(asked) >= len(unusual) and not self._was_left_out(certificate)
        if found.state in (State.REVOKED, State.ON_HOLD) or complete:
            return found
        return LEFT_OUT  # what was not read might say that it is revoked

    def _was_left_out(self, certificate: x509.Certificate) -> bool:
        """Whether whoever gathered the evidence has a list that may be about this certificate, but did not give it."""
        return any(lists.same_name(one.issuer, certificate.issuer) for one in self.evidence.left_out)

    def _by_statements(self, certificate: x509.Certificate, issuer: x509.Certificate, moment: datetime) -> Standing:
        def is_good_by(responder: x509.Certificate) -> tuple[str, ...] | None:
            known = decide(self._listed(responder, issuer), responder, moment, self.at)
            return known.evidence if known.state is State.GOOD else None

        said = list(self._listed(certificate, issuer))
        said += answers.statements(certificate, issuer, self.evidence.ocsps, self.strength, self.at, is_good_by)
        return decide(said, certificate, moment, self.at)

    def _listed(self, certificate: x509.Certificate, issuer: x509.Certificate) -> Iterator[Statement]:
        """What the issuer's simple lists say; those whose certificate names another issuer of lists are not asked."""
        if _names_another_issuer(certificate):
            return
        serial, authority = certificate.serial_number, issuer.dump()
        for found in self._read(self.evidence.crls):
            if isinstance(found, lists.SimpleList) and found.verified_by(authority):
                yield Statement(found.entries.get(serial), found.this_update, found.next_update, found.sha256)
        for one in self.evidence.lists:
            if serial not in one.asked:  # what a list was not asked is unknown, never good
                continue
            if one.issuer_key_sha256 == _key(authority) and lists.same_name(one.issuer, issuer.subject):
                yield Statement(one.revoked.get(serial), one.this_update, one.next_update, one.sha256)

    def _read(self, crls: Iterable[bytes]) -> Iterator[lists.SimpleList | bytes]:
        """The simple lists, and those that are not (DER)."""
        for encoded in crls:
            try:
                yield self.shelf.get(encoded) or encoded
            except lists.Unreadable:
                continue

    def _unusual(self, path: Path, index: int) -> Iterator[bytes]:
        """The lists that only pyHanko can judge and that may be about this certificate.

        A simple list of another name is another authority's: pyHanko would take one of a sibling for an answer.
        """
        certificate, issuer = path.certificates[index], path.certificates[index + 1]
        for found in self._read(self.evidence.crls):
            if isinstance(found, lists.SimpleList):
                mine = lists.same_name(found.issuer, issuer.subject)
                if mine and (not found.verified_by(issuer.dump()) or _names_another_issuer(certificate)):
                    yield found.encoded
            elif (loaded := self.shelf.whole(found)) and (_is_indirect(loaded) or loaded.issuer == certificate.issuer):
                yield found

    def _beside(self, path: Path, index: int) -> Iterator[bytes]:
        """The simple lists of the authorities above, by which whoever signs an unusual one is judged in turn."""
        above = path.certificates[index + 1 :]
        for found in self._read(self.evidence.crls):
            if isinstance(found, lists.SimpleList) and any(found.verified_by(one.dump()) for one in above):
                yield found.encoded

    def _by_pyhanko(self, path: Path, index: int, moment: datetime, crls: Iterable[bytes]) -> Standing:
        found = [loaded for one in crls if (loaded := self.shelf.whole(one))]
        usable = [one for one in found if one["tbs_cert_list"]["this_update"].native <= self.at + TOLERANCE]
        context = ValidationContext(
            trust_roots=[path.judged.trust_anchor],
            other_certs=[*path.certificates, *self.known],
            moment=moment,
            best_signature_time=moment,
            allow_fetching=False,
            crls=usable,
            revinfo_policy=CertRevTrustPolicy(REQUIRE_REVINFO, retroactive_revinfo=moment < self.at),
            time_tolerance=TOLERANCE,
            algorithm_usage_policy=self.strength,
        )
        anchor, below = path.judged.trust_anchor, path.certificates[-2::-1]
        for place, authority in enumerate(below[: len(below) - index - 1]):
            context.record_validation(authority, ValidationPath(anchor, below[:place], authority))  # type: ignore[no-untyped-call]
        certificate = path.certificates[index]
        whole = ValidationPath(anchor, below[: len(below) - index - 1], certificate)
        digests = tuple(hashlib.sha256(one.dump()).hexdigest() for one in usable)
        try:
            asyncio.run(verify_crl(certificate, whole, context))
        except errors.RevokedError as error:
            on_hold = error.reason.native == "certificate_hold"
            revocation = Revocation(error.revocation_dt, lists.HOLD if on_hold else "unspecified")
            return Standing(State.ON_HOLD if on_hold else State.REVOKED, revocation, digests)
        except errors.CRLValidationIndeterminateError as error:
            return Standing(State.STALE) if error.suspect_stale else UNKNOWN
        except Exception:  # noqa: BLE001 – beside its own errors pyHanko raises NotImplementedError, TypeError and more
            return UNKNOWN
        return Standing(State.GOOD, None, digests)


def decide(said: Iterable[Statement], certificate: x509.Certificate, moment: datetime, at: datetime) -> Standing:
    """What statements that existed at `at` make of a certificate as of `moment` ≤ `at`.

    Revoked for good is revoked, however old the evidence. On hold is what the newest statement says. Not revoked needs
    a statement that is not outdated at `moment`, from before the certificate's own end: afterwards lists forget it.
    """
    existing = [one for one in said if one.this_update <= at + TOLERANCE]
    revoked = [one for one in existing if one.revocation and one.revocation.at <= moment]
    final = [one for one in revoked if one.revocation and one.revocation.reason != lists.HOLD]
    if final:
        earliest = min(final, key=_revoked_at)
        return Standing(State.REVOKED, earliest.revocation, (earliest.sha256, *earliest.beside))
    newest = max(existing, key=lambda one: (one.this_update, one in revoked), default=None)
    if newest is None:
        return UNKNOWN
    if newest in revoked:
        return Standing(State.ON_HOLD, newest.revocation, (newest.sha256,))
    end = certificate.not_valid_after
    fresh = [one for one in existing if one not in revoked and one.next_update + TOLERANCE >= moment]
    known = [one for one in fresh if one.this_update <= end + TOLERANCE]
    if known:
        latest = max(known, key=lambda one: one.this_update)
        return Standing(State.GOOD, None, (latest.sha256, *latest.beside))
    return Standing(State.STALE) if not fresh else UNKNOWN


def _revoked_at(one: Statement) -> datetime:
    return one.revocation.at if one.revocation else datetime.max.replace(tzinfo=UTC)


_ORDER: Final = tuple(State)


def _graver(one: Standing, other: Standing) -> Standing:
    """Of two verdicts on one certificate: a revocation goes before good news, and any news before none."""
    return min(one, other, key=lambda standing: _ORDER.index(standing.state))


def _within_bounds(crls: list[bytes]) -> list[bytes]:
    """As many of them, from the first on, as pyHanko reads in the time there is: some 10 µs an entry."""
    sizes = accumulate(map(len, crls))
    return [one for one, size in zip(crls[: lists.MAX_WHOLE], sizes, strict=False) if size <= lists.MAX_WHOLE_BYTES]


def _names_another_issuer(certificate: x509.Certificate) -> bool:
    """Whether the certificate says that lists about it are issued by somebody else than its issuer (RFC 5280)."""
    points = certificate.crl_distribution_points_value
    return bool(points) and any(point["crl_issuer"].native for point in points)


def _is_indirect(found: crl.CertificateList) -> bool:
    point = found.issuing_distribution_point_value
    return bool(point) and bool(point["indirect_crl"].native)


@lru_cache(maxsize=256)
def _key(authority: bytes) -> str:
    return lists.key_sha256(x509.Certificate.load(authority))
