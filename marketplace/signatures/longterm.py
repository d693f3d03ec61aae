"""A stored signature judged years later, by nothing but the evidence kept with it and its time stamps.

A time stamp proves that something existed (POE). The signature's own stamp proves the signature; an archive time stamp
proves, under a stronger hash, the signature, its evidence and every stamp before it. So the newest stamp is judged
today, each older one as of the stamp after it, and the signature as of its own stamp: a certificate that expired or was
revoked since, or an algorithm that was broken since, changes nothing as long as no link is missing
(ETSI EN 319 102-1, 5.6).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

from asn1crypto import x509

from . import merkle, strengths
from .cades import stamped_value, tokens_in
from .dossier import Dossier, Kept, digest, leaf_of
from .gate import STRONG_HASHES
from .payload import canonical
from .report import Evidence, Finding, Policy, Report, Sub, refused
from .strengths import Sunsets
from .timestamps import TOLERANCE, TimeStampError, Token, Trusted, judge, read
from .verification import verify

#: Rounds of archive time stamps; one in five years is usual.
MAX_ROUNDS: Final = 200


@dataclass(frozen=True, slots=True)
class LongTermPolicy:
    """What a signature must satisfy: as at its making (`signing`), its stamps (`stamping`), and the sunsets so far.

    `received_at` and `judged_at` are those of a signature whose verdict had to wait for revocation data. It is judged
    as of its stamp, by revocation data from before `judged_at`; its receipt is the caller's word, and counts only where
    the stamp came too late to show that the certificate was in force.
    """

    signing: Policy
    stamping: Policy
    sunsets: Sunsets = field(default_factory=dict)
    received_at: datetime | None = None
    judged_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class LongTermReport:
    """The verdict and, in sentences, what it rests on. `proven_at` is when the signature is proven to have existed."""

    report: Report
    rests_on: tuple[str, ...] = ()
    proven_at: datetime | None = None

    @property
    def passed(self) -> bool:
        return self.report.passed

    def as_dict(self) -> dict[str, Any]:
        return self.report.as_dict() | {"rests_on": list(self.rests_on)}


# Judging -----------------------------------------------------------------------------------------------------------


def reverify(dossier: Dossier, policy: LongTermPolicy, at: datetime, current: Evidence | None = None) -> LongTermReport:
    """Judge a stored signature as of `at`, a later day. Never raises: any failure inside is a verdict.

    `current` is revocation data of that day about the authority of the newest stamp; without it, what was kept has to
    do, and the report says so. Not to be called inside a running event loop.
    """
    judgement = _Judgement(dossier, policy, at, current or Evidence())
    try:
        return judgement.run()
    except Finding as finding:
        return judgement.refused(finding)
    except TimeStampError as error:
        return judgement.refused(Finding(error.sub, error.reason))
    except Exception as error:  # noqa: BLE001 – no flaw, ours or a library's, may pass a signature or break the page
        return judgement.refused(
            Finding(Sub.GENERIC, f"The signature could not be checked again ({type(error).__name__}).")
        )


class _Judgement:
    """One run of `reverify`: backwards from today over the stamps to the signature."""

    def __init__(self, dossier: Dossier, policy: LongTermPolicy, at: datetime, current: Evidence) -> None:
        self.dossier, self.policy, self.at, self.current = dossier, policy, at, current
        self.rests_on: list[str] = []
        #: The moment that what is looked at next is proven to have existed by, and what is proven; None: all of it.
        self.until = at
        self.proven: frozenset[str] | None = None
        self.algorithm = ""

    def run(self) -> LongTermReport:
        self._check_kept()
        for number in range(len(self.dossier.archives), 0, -1):
            self._archive(number)
        self._check_own_sunsets()
        known_until = self.until
        return self._signature(self._own_stamp(), known_until)

    def refused(self, finding: Finding) -> LongTermReport:
        return LongTermReport(refused([finding]), tuple(self.rests_on))

    def _check_kept(self) -> None:
        dossier = self.dossier
        if len(dossier.archives) > MAX_ROUNDS:
            raise Finding(Sub.FORMAT_FAILURE, "There are more archive time stamps than any signature has.")
        for one in (*dossier.evidence, *(archive.token for archive in dossier.archives)):
            if not one.intact:
                raise Finding(Sub.GENERIC, f"Kept evidence was changed since: {one.sha256[:16]}….")
        if dossier.payload is None:
            raise Finding(Sub.SIGNED_DATA_NOT_FOUND, "The document that was signed is missing.")

    def _archive(self, number: int) -> None:
        """The `number`th archive time stamp, as of `until`; from then on only what it covers is proven."""
        archive = self.dossier.archives[number - 1]
        self._require_proven(archive.token.der, canonical(archive.proof()))
        token = read(archive.token.der)
        if archive.hash_algorithm not in STRONG_HASHES:
            raise Finding(Sub.CRYPTO_CONSTRAINTS_FAILURE, "An archive time stamp is made with a weak hash function.")
        leaf = merkle.leaf_hash(leaf_of(archive.hash_algorithm, archive.covers), archive.hash_algorithm)
        path = [bytes.fromhex(one) for one in archive.path]
        root = token.imprint
        if token.hash_algorithm != archive.hash_algorithm or not merkle.proves(
            leaf, archive.index, archive.size, path, root, archive.hash_algorithm
        ):
            raise Finding(Sub.HASH_FAILURE, f"The archive time stamp {number} covers something else.")
        self._stamp(token, newest=number == len(self.dossier.archives), extra={archive.hash_algorithm})
        self.rests_on.append(
            f"Signature, evidence and earlier stamps existed on {_moment(token.generated_at)}: archive time stamp "
            f"{number} by {token.authority_name} ({archive.hash_algorithm.upper()})."
        )
        self.proven, self.algorithm = frozenset(archive.covers), archive.hash_algorithm

    def _own_stamp(self) -> Token | None:
        kept = self.dossier.stamp
        if kept is None:
            return None
        self._require_proven(kept.der)
        token = read(kept.der)
        if not token.stamps(stamped_value(self.dossier.cms)):
            raise Finding(Sub.HASH_FAILURE, "The time stamp is for another signature.")
        self._stamp(token, newest=not self.dossier.archives)
        self.rests_on.append(
            f"The signature existed on {_moment(token.generated_at)}: time stamp by {token.authority_name} "
            f"({token.hash_algorithm.upper()})."
        )
        return token

    def _stamp(self, token: Token, *, newest: bool, extra: Iterable[str] = ()) -> None:
        """A stamp must count when it was made and still when the next one covered it; then its time is the limit."""
        if token.earliest > self.until + TOLERANCE:
            raise Finding(Sub.TIMESTAMP_ORDER_FAILURE, "The time stamps are not in the order of their times.")
        if token.ends_at < self.until:
            raise Finding(
                Sub.OUT_OF_BOUNDS_NO_POE,
                f"The certificate of the time stamp by {token.authority_name} ended on {_moment(token.ends_at)}, "
                "before it was stamped again.",
            )
        dossier = self.dossier
        policy = replace(
            self.policy.stamping,
            intermediates=(*self.policy.stamping.intermediates, *self._usable(dossier.stamp_certificates)),
            rsa_3072_from=None,  # the sunsets say it
        )
        kept = Evidence(crls=self._usable(dossier.stamp_crls), ocsps=self._usable(dossier.stamp_ocsps))
        trust = judge(token, policy, kept, token.generated_at)
        lists = [one.der for one in dossier.stamp_crls if one.sha256 in trust.revocation]
        self._check_sunsets(strengths.of_token(token) | _of_trust(trust, lists) | set(extra), "A time stamp")
        self._check_later_revocation(token, policy, kept, newest)
        self.until = min(self.until, token.latest)

    def _check_later_revocation(self, token: Token, policy: Policy, kept: Evidence, newest: bool) -> None:
        """A stamp whose authority was revoked before the next stamp proves nothing more than that authority's word."""
        if newest:
            current = self.current
            crls, ocsps = kept.crls + current.crls, kept.ocsps + current.ocsps
            kept = Evidence(crls, ocsps, kept.lists + current.lists, current.left_out)
        try:
            judge(token, policy, kept, self.until)
        except TimeStampError as error:
            if error.sub is not Sub.TRY_LATER:
                raise
            self.rests_on.append(
                f"Whether the certificate of {token.authority_name} was revoked between {_moment(token.generated_at)} "
                f"and {_moment(self.until)} is not known."
            )

    def _check_own_sunsets(self) -> None:
        """The signature, its chain and lists must have been proven before any of their algorithms failed."""
        dossier = self.dossier
        self._require_proven(dossier.cms, dossier.payload or b"")
        if not dossier.chain:
            raise Finding(Sub.NO_CERTIFICATE_CHAIN_FOUND, "No chain of certificates was kept with this signature.")
        try:
            names = _of_signature(dossier)
        except (ValueError, TypeError, KeyError) as error:
            raise Finding(Sub.FORMAT_FAILURE, "The kept evidence cannot be read.") from error
        self._check_sunsets(names, "The signature or its evidence")

    def _check_sunsets(self, names: Iterable[str], what: str) -> None:
        sunset = strengths.first_sunset(names, self.policy.sunsets)
        if sunset and sunset[0] <= self.until:
            raise Finding(
                Sub.CRYPTO_CONSTRAINTS_FAILURE_NO_POE,
                f"{what} rests on {sunset[1]}, which counts until {_moment(sunset[0])} only, and was not stamped "
                "again before.",
            )

    def _signature(self, stamp: Token | None, known_until: datetime) -> LongTermReport:
        """`known_until`: its evidence is proven to be from before then."""
        dossier, own = self.dossier, self.policy.signing
        # Without a stamp of its own an archive's serves; without any, today is all that is proven.
        moment = min(stamp.latest, self.at) if stamp else self.until
        chain = self._usable(dossier.chain)
        anchors = tuple(one for one in own.anchors if one in chain)
        if not anchors:
            raise Finding(
                Sub.NO_CERTIFICATE_CHAIN_FOUND, "The authority at the end of the kept chain was never trusted here."
            )
        stamps = self._usable(dossier.stamp_certificates)
        policy = replace(
            own,
            anchors=anchors,
            intermediates=(*chain, *stamps),
            rsa_3072_from=None,
            # For time stamps that came with the signature: a revocation before ours may not matter thanks to them.
            tsa_anchors=tuple(one for one in self.policy.stamping.anchors if one in stamps),
        )
        evidence = Evidence(
            crls=self._usable((*dossier.crls, *dossier.stamp_crls)),
            ocsps=self._usable((*dossier.ocsps, *dossier.stamp_ocsps)),
        )
        at, received_at, judged_at = moment, None, self.policy.judged_at
        if stamp and judged_at:
            at = max(moment, min(judged_at, known_until))
        report = verify(dossier.cms, dossier.payload, policy, at, evidence, moment if at > moment else None)
        if stamp and not report.passed and self.policy.received_at:
            by_receipt = verify(dossier.cms, dossier.payload, policy, at, evidence, self.policy.received_at)
            if by_receipt.passed:
                report, received_at = by_receipt, self.policy.received_at
        proven = moment if stamp or dossier.archives else None
        if report.passed and not set(report.chain) <= {one.sha256 for one in dossier.chain}:
            # Its algorithms were not looked at.
            raise Finding(Sub.NO_CERTIFICATE_CHAIN_FOUND, "The kept chain of certificates is not the whole one.")
        if report.passed:
            self.rests_on.append(
                f"The signer’s certificate was valid on {_moment(moment)} and led to a trusted authority by a chain of "
                f"{len(report.chain)} kept certificates; {len(report.revocation)} kept pieces of revocation data did "
                "not name it."
            )
            if at > moment:
                self.rests_on.append(f"The revocation data about that moment had come by {_moment(at)}.")
            if received_at:
                self.rests_on.append(
                    f"It was received on {_moment(received_at)}, and stamped later. For the time between them there is "
                    "the platform’s word."
                )
        else:
            report = replace(
                report, reasons=(*report.reasons, *(() if proven else ("The signature has no time stamp.",)))
            )
        stated = stamp.generated_at if stamp else proven
        return LongTermReport(replace(report, timestamp=stated), tuple(self.rests_on), proven)

    def _usable(self, kept: Sequence[Kept]) -> tuple[bytes, ...]:
        """The pieces that are proven to have existed by `until`."""
        return tuple(one.der for one in kept if self._is_proven(one.der))

    def _is_proven(self, content: bytes) -> bool:
        return self.proven is None or digest(self.algorithm, content) in self.proven

    def _require_proven(self, *contents: bytes) -> None:
        if not all(map(self._is_proven, contents)):
            raise Finding(
                Sub.HASH_FAILURE, "An archive time stamp does not cover the signature or what was kept before it."
            )


def _of_trust(trust: Trusted, lists: Iterable[bytes]) -> set[str]:
    return strengths.of_chain(trust.chain).union(*(strengths.of_list(one) for one in lists))


# Algorithms --------------------------------------------------------------------------------------------------------


def algorithms_of(dossier: Dossier, trust: Trusted) -> frozenset[str]:
    """The algorithms that the dossier's proof rests on: of its newest stamp, whose trust is `trust`, and of the
    signature and its evidence as long as no archive time stamp covers them. Before the first of them reaches its
    sunset the dossier is to be stamped again. Raises TimeStampError or `ValueError` where it has no readable stamp.
    """
    newest = dossier.archives[-1].token if dossier.archives else dossier.stamp
    if newest is None:
        raise ValueError("there is no time stamp yet")
    lists = [one.der for one in dossier.stamp_crls if one.sha256 in trust.revocation]
    names = strengths.of_token(read(newest.der)) | _of_trust(trust, lists)
    if not dossier.archives and dossier.chain:
        names |= _of_signature(dossier)
    return frozenset(names)


def _of_signature(dossier: Dossier) -> set[str]:
    names = strengths.of_chain(one.der for one in dossier.chain)
    names |= strengths.of_signature(dossier.cms, x509.Certificate.load(dossier.chain[0].der))
    for token in _tokens_within(dossier):
        names |= strengths.of_token(token) | strengths.of_certificates(one.der for one in dossier.stamp_certificates)
    return names.union(*(strengths.of_list(one.der) for one in dossier.crls))


def _tokens_within(dossier: Dossier) -> Iterator[Token]:
    """The time stamps that came with the signature and whose authority's certificate was kept, as they counted."""
    kept = {one.sha256 for one in dossier.stamp_certificates}
    for encoded in tokens_in(dossier.cms):
        try:
            token = read(encoded)
        except TimeStampError:
            continue
        if token.authority.sha256.hex() in kept:
            yield token


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
