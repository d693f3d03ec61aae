"""From a certificate to a trust anchor: a valid path in which nothing is revoked, from local evidence only."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from asn1crypto import x509
from pyhanko.sign.validation.settings import KeyUsageConstraints
from pyhanko_certvalidator import errors

from . import lists, paths
from .algorithms import Strength
from .paths import Path
from .report import Evidence, Finding, Policy, Sub
from .revocation import Knowledge, Standing, State

_GENERAL = Sub.CERTIFICATE_CHAIN_GENERAL_FAILURE
#: How pyHanko words a constraint an authority put on what it certifies, and our words for it. Tests hold every line.
_CONSTRAINTS = (
    ("namespace", "The signer's names are outside of what the authority may certify."),
    ("maximum path length", "There are more authorities in between than allowed."),
    ("set of policies", "The certificate was not issued under an accepted policy."),
    ("is not a CA", "A certificate in the chain is not an authority's."),
    ("not allowed to sign certificates", "A certificate in the chain may not be used to issue certificates."),
)
#: Held by whoever judges. What is remembered below is parsed only as far as it was looked at: two threads that look at
#: one list or certificate at a time could see half of it. The work is Python's own, so that little is lost by waiting.
turn = threading.RLock()
_memory = paths.Memory()
_shelf = lists.Shelf()


@dataclass(frozen=True, slots=True)
class Chain:
    """SHA-256 fingerprints of the certificates, from the signer's to the anchor's, and of the revocation data."""

    certificates: tuple[str, ...]
    revocation: tuple[str, ...]


class Revoked(Finding):
    """The certificate itself was revoked, at this time."""

    def __init__(self, at: datetime) -> None:
        super().__init__(Sub.REVOKED_NO_POE, f"The certificate was revoked on {_day(at)}.")
        self.at = at


def build(
    signer: x509.Certificate,
    others: Iterable[x509.Certificate],
    policy: Policy,
    evidence: Evidence,
    at: datetime,
    moment: datetime | None = None,
) -> Chain:
    """The trusted chain of a certificate that is valid and not revoked. Raises `Finding`.

    It is judged as of `moment`, `at` unless something proves that the signature existed earlier; the evidence may be of
    any time up to `at`.
    """
    with turn:
        return _build(signer, tuple(others), policy, evidence, at, moment or at)


def _build(
    signer: x509.Certificate,
    others: tuple[x509.Certificate, ...],
    policy: Policy,
    evidence: Evidence,
    at: datetime,
    moment: datetime,
) -> Chain:
    strength = Strength(policy.min_rsa, policy.rsa_3072_from)
    encoded = signer.dump()
    if encoded in policy.anchors:
        raise Finding(Sub.CHAIN_CONSTRAINTS_FAILURE, "An authority's own certificate cannot sign documents.")
    store = _memory.store(policy)
    knowledge = Knowledge(evidence, strength, at, _shelf, store.intermediates)
    for path in _memory.get(encoded, (one.dump() for one in others), policy, moment):
        try:
            return _chain(path, knowledge, moment)
        except Finding:
            continue  # what fails is looked at afresh: another path may have become valid since
    if not paths.is_regular(signer):
        raise Finding(
            _GENERAL, "The certificate contradicts itself: it says something twice, or is of a wrong version."
        )
    try:
        found = paths.valid_paths(signer, others, store, strength, moment)
    except (errors.ExpiredError, errors.NotYetValidError) as error:
        raise _out_of_bounds(signer, others, error, store, knowledge) from error
    except (errors.ValidationError, errors.PathError) as error:
        raise _finding(error) from error
    chain = _first(found, knowledge, moment)
    _memory.keep(encoded, policy, moment, found)
    return chain


def forget() -> None:
    """Forget every path, store and list. What is remembered says nothing new; this is for measuring and for tests."""
    global _memory, _shelf
    with turn:
        _memory, _shelf = paths.Memory(), lists.Shelf()


def _renew_turn() -> None:
    """In a forked child: the thread that held it may be the parent's, and never let go."""
    global turn
    turn = threading.RLock()
    forget()


os.register_at_fork(after_in_child=_renew_turn)


def check_usage(signer: x509.Certificate, eku: str | None) -> None:
    """Raise `Finding` unless the certificate is meant for signing documents here (key usage, extended key usage)."""
    if signer.ca:
        raise Finding(Sub.CHAIN_CONSTRAINTS_FAILURE, "An authority's own certificate cannot sign documents.")
    try:
        KeyUsageConstraints(key_usage={"digital_signature", "non_repudiation"}).validate(signer)
    except errors.InvalidCertificateError as error:
        raise Finding(
            Sub.CHAIN_CONSTRAINTS_FAILURE, "The certificate's key usage does not allow signing documents."
        ) from error
    if eku is None:
        return
    try:
        # Explicit: "any purpose" is not the platform's purpose.
        wanted = {x509.KeyPurposeId(eku).native}
        KeyUsageConstraints(extd_key_usage=wanted, explicit_extd_key_usage_required=True).validate(signer)
    except errors.InvalidCertificateError as error:
        raise Finding(
            Sub.CHAIN_CONSTRAINTS_FAILURE,
            f"The certificate was not issued for signing on this platform (extended key usage {eku} is missing).",
        ) from error


def _first(found: list[Path], knowledge: Knowledge, moment: datetime) -> Chain:
    """The first path in which nothing is revoked. Raises the first one's `Finding` when there is none."""
    failed: list[Finding] = []
    for path in found:
        try:
            return _chain(path, knowledge, moment)
        except Finding as finding:
            failed.append(finding)
    raise failed[0]


def _chain(path: Path, knowledge: Knowledge, moment: datetime) -> Chain:
    """Raises `Finding` unless every certificate below the anchor is known not to be revoked."""
    evidence: dict[str, None] = {}
    for index in range(len(path.certificates) - 2, -1, -1):
        standing = knowledge.standing(path, index, moment)
        if standing.state is not State.GOOD:
            raise _refusal(standing, is_signer=index == 0)
        evidence |= dict.fromkeys(standing.evidence)
    return Chain(certificates=path.fingerprints, revocation=tuple(evidence))


def _refusal(standing: Standing, *, is_signer: bool) -> Finding:
    whose = "The certificate" if is_signer else "The certificate of its authority"
    if standing.revocation and standing.state is State.REVOKED:
        if is_signer:
            return Revoked(standing.revocation.at)
        return Finding(Sub.REVOKED_CA_NO_POE, f"{whose} was revoked on {_day(standing.revocation.at)}.")
    if standing.revocation:  # ETSI EN 319 102-1, 5.2.6.4: it may be taken back
        return Finding(Sub.TRY_LATER, f"{whose} is on hold since {_day(standing.revocation.at)}. Try again later.")
    if standing.state is State.STALE:
        return Finding(Sub.TRY_LATER, "The list of revoked certificates is out of date. Try again later.")
    if standing.state is State.LEFT_OUT:
        return Finding(
            Sub.TRY_LATER,
            "A list of revoked certificates can neither be indexed nor, being too large, be read whole: whether the "
            "certificate was revoked cannot be checked.",
        )
    return Finding(Sub.TRY_LATER, "Whether the certificate was revoked cannot be checked right now. Try again later.")


def _out_of_bounds(
    signer: x509.Certificate,
    others: tuple[x509.Certificate, ...],
    error: errors.ExpiredError | errors.NotYetValidError,
    store: paths.Store,
    knowledge: Knowledge,
) -> Finding:
    """Why the certificate is outside of its validity, and what is known about its revocation then."""
    if error.is_side_validation or not error.is_ee_cert:
        return Finding(_GENERAL, "An authority's certificate in the chain is outside of its period of validity.")
    if isinstance(error, errors.NotYetValidError):
        reason = f"The certificate is not valid before {_day(signer.not_valid_before)}."
        return Finding(Sub.OUT_OF_BOUNDS_NO_POE, reason)
    ended = signer.not_valid_after
    reason = f"The certificate expired on {_day(ended)}."
    try:
        _first(paths.valid_paths(signer, others, store, knowledge.strength, ended), knowledge, ended)
    except Revoked as revoked:
        return revoked
    except (Finding, errors.ValidationError, errors.PathError):
        return Finding(Sub.OUT_OF_BOUNDS_NO_POE, reason)
    return Finding(Sub.OUT_OF_BOUNDS_NOT_REVOKED, f"{reason} It was not revoked until then.")


def _finding(error: errors.ValidationError | errors.PathError) -> Finding:
    match error:
        case errors.DisallowedAlgorithmError():
            sub = Sub.CRYPTO_CONSTRAINTS_FAILURE_NO_POE if error.banned_since else Sub.CRYPTO_CONSTRAINTS_FAILURE
            return Finding(sub, "A key or hash function in the certificate's chain is too weak.")
        case errors.PathBuildingError() | errors.InvalidCertificateError():
            return Finding(
                Sub.NO_CERTIFICATE_CHAIN_FOUND, "The certificate was not issued by an authority trusted here."
            )
        case errors.PathValidationError():
            for words, reason in _CONSTRAINTS:
                if words in error.failure_msg:
                    return Finding(Sub.CHAIN_CONSTRAINTS_FAILURE, reason)
    return Finding(_GENERAL, "The chain from the certificate to its authority is broken.")


def _day(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M UTC")
