"""From a certificate to the trust anchors: a bounded search of our own, each path found then judged by pyHanko.

Revocation is no part of this: a path is good for as long as its certificates last, so it is worth remembering.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from asn1crypto import core, x509
from pyhanko_certvalidator import ValidationContext, async_validate_path, errors
from pyhanko_certvalidator.authority import CertTrustAnchor, TrustQualifiers
from pyhanko_certvalidator.name_trees import process_general_subtrees
from pyhanko_certvalidator.path import ValidationPath
from pyhanko_certvalidator.policy_decl import (
    CertRevTrustPolicy,
    PKIXValidationParams,
    RevocationCheckingPolicy,
    RevocationCheckingRule,
)

from . import der, values
from .algorithms import Strength
from .report import Finding, Policy, Sub

#: Authorities between a certificate and its anchor; paths judged; signatures of certificates checked for one search.
MAX_PATH, MAX_PATHS, MAX_CHECKS = 6, 8, 64
TOLERANCE = timedelta(seconds=1)
_NO_CHECK = RevocationCheckingRule.NO_CHECK
_WITHOUT_REVOCATION = CertRevTrustPolicy(RevocationCheckingPolicy(_NO_CHECK, _NO_CHECK))


@dataclass(frozen=True)
class Path:
    """A valid path. `certificates` go from the certificate in question up to the anchor's own."""

    certificates: tuple[x509.Certificate, ...]
    judged: ValidationPath

    @cached_property
    def fingerprints(self) -> tuple[str, ...]:
        """The SHA-256 of each certificate, in hexadecimal."""
        return tuple(certificate.sha256.hex() for certificate in self.certificates)

    @cached_property
    def between(self) -> frozenset[bytes]:
        """The certificates that must be at hand beside the one in question and the anchor's, DER."""
        return frozenset(certificate.dump() for certificate in self.certificates[1:-1])

    @cached_property
    def lasts(self) -> tuple[datetime, datetime]:
        """From when until when every certificate is valid, the tolerance included."""
        return (
            max(one.not_valid_before for one in self.certificates) - TOLERANCE,
            min(one.not_valid_after for one in self.certificates) + TOLERANCE,
        )


@dataclass(frozen=True)
class Store:
    """What an operator trusts, parsed."""

    anchors: tuple[CertTrustAnchor, ...]
    intermediates: tuple[x509.Certificate, ...]

    @classmethod
    def of(cls, policy: Policy) -> Store:
        """Raises `Finding` when there is no anchor, or none that can be read."""
        readable = list(_readable(policy.anchors))
        anchors = tuple(anchor for certificate in readable if (anchor := _anchor(certificate)) is not None)
        if policy.anchors and not anchors:
            raise Finding(Sub.POLICY_PROCESSING_ERROR, "None of the trusted certificates can be read.")
        if not anchors:
            raise Finding(Sub.NO_CERTIFICATE_CHAIN_FOUND, "No authority is trusted yet.")
        return cls(anchors, tuple(_readable(policy.intermediates)))


def valid_paths(
    certificate: x509.Certificate,
    others: Iterable[x509.Certificate],
    store: Store,
    strength: Strength,
    moment: datetime,
) -> list[Path]:
    """The paths that are valid at `moment`, the shortest first.

    Raises pyHanko's error, whatever it is, about the shortest path, and `Finding` when the anchor itself is outside of
    its validity: RFC 5280 leaves that open, but nobody answers for an authority's key after its end.
    """
    found: list[Path] = []
    failed: list[Exception] = []
    candidates = sorted(_search(certificate, others, store), key=len)[:MAX_PATHS]
    for *below, anchor in candidates:
        if not _is_valid(anchor.certificate, moment):
            continue
        path = ValidationPath(anchor, below[:0:-1], below[0])
        try:
            _judge(path, strength, moment)
        except Exception as error:  # noqa: BLE001 – on odd extensions also TypeError and more; another path may be good
            failed.append(error)
        else:
            found.append(Path((*below, anchor.certificate), path))
    if found:
        return found
    if failed:
        raise failed[0]
    if candidates:
        raise Finding(
            Sub.NO_CERTIFICATE_CHAIN_FOUND_NO_POE,
            "The certificate of the trusted authority is itself outside of its period of validity.",
        )
    raise errors.PathBuildingError("no path leads to an anchor")


def _is_valid(certificate: x509.Certificate, moment: datetime) -> bool:
    return bool(certificate.not_valid_before - TOLERANCE <= moment <= certificate.not_valid_after + TOLERANCE)


def _judge(path: ValidationPath, strength: Strength, moment: datetime) -> None:
    context = ValidationContext(
        trust_roots=[path.trust_anchor],
        moment=moment,
        best_signature_time=moment,
        allow_fetching=False,
        revinfo_policy=_WITHOUT_REVOCATION,
        time_tolerance=TOLERANCE,
        algorithm_usage_policy=strength,
    )
    asyncio.run(async_validate_path(context, path))


Trail = tuple[x509.Certificate | CertTrustAnchor, ...]


def _search(certificate: x509.Certificate, others: Iterable[x509.Certificate], store: Store) -> Iterator[Trail]:
    """Every way up along names and signatures that verify, depth first, within bounds. Each ends with an anchor."""
    above = [*store.intermediates, *(one for one in others if _is_readable(one))]
    checks = [0]
    pending: list[tuple[x509.Certificate, ...]] = [(certificate,)]
    while pending and checks[0] < MAX_CHECKS:
        trail = pending.pop()
        last = trail[-1]
        for anchor in store.anchors:
            if _issued(last, anchor.certificate, checks):
                yield (*trail, anchor)
        if len(trail) > MAX_PATH:
            continue
        been = {_entity(one) for one in trail}
        pending += ((*trail, one) for one in above if _entity(one) not in been and _issued(last, one, checks))


def _entity(certificate: x509.Certificate) -> tuple[str, bytes]:
    """Who it is: certificates that cross-certify each other are one and the same, and lead nowhere new."""
    return certificate.subject.hashable, certificate.public_key.dump()


def _issued(below: x509.Certificate, above: x509.Certificate, checks: list[int]) -> bool:
    if below.issuer.dump() != above.subject.dump() and below.issuer.hashable != above.subject.hashable:
        return False
    if checks[0] >= MAX_CHECKS:
        return False
    checks[0] += 1
    return signed_by(below, above)


def signed_by(below: x509.Certificate, above: x509.Certificate) -> bool:
    """Whether the one's key made the other's signature; nothing else is asked."""
    scheme = below["signature_algorithm"]
    try:
        return values.verifies(
            below["signature_value"].native, below["tbs_certificate"].dump(), above.public_key, scheme, ""
        )
    except values.Unverifiable:
        return False


class Memory:
    """Paths that were found valid, by everything they were derived from; those used longest ago go first.

    What is remembered answers for the very same certificate, trust store and key sizes only, where its authorities are
    at hand again, and no longer than its certificates last. That no path was found is never remembered.
    For one thread at a time, the certificates it hands out included.
    """

    def __init__(self, most: int = 256) -> None:
        self._most = most
        self._found: OrderedDict[tuple[object, ...], list[Path]] = OrderedDict()
        self._stores: OrderedDict[tuple[tuple[bytes, ...], ...], Store] = OrderedDict()

    def store(self, policy: Policy) -> Store:
        key = (policy.anchors, policy.intermediates)
        if key not in self._stores:
            self._stores[key] = Store.of(policy)
            while len(self._stores) > 8:
                self._stores.popitem(last=False)
        self._stores.move_to_end(key)
        return self._stores[key]

    def get(self, certificate: bytes, others: Iterable[bytes], policy: Policy, moment: datetime) -> list[Path]:
        """The paths remembered that are valid at `moment`; none is no verdict."""
        found = self._found.get(_key(certificate, policy, moment), [])
        at_hand = {*others, *policy.intermediates}
        return [path for path in found if path.between <= at_hand and path.lasts[0] <= moment <= path.lasts[1]]

    def keep(self, certificate: bytes, policy: Policy, moment: datetime, found: list[Path]) -> None:
        key = _key(certificate, policy, moment)
        self._found[key] = found
        self._found.move_to_end(key)
        while len(self._found) > self._most:
            self._found.popitem(last=False)

    def __len__(self) -> int:
        return len(self._found)


def _key(certificate: bytes, policy: Policy, moment: datetime) -> tuple[object, ...]:
    after_sunset = policy.rsa_3072_from is not None and moment >= policy.rsa_3072_from
    return (certificate, policy.anchors, policy.intermediates, policy.min_rsa, policy.rsa_3072_from, after_sunset)


def _anchor(certificate: x509.Certificate) -> CertTrustAnchor | None:
    """A trust anchor held to its own path length and name constraints, which RFC 5280 leaves to us.

    None where they cannot be read: then it cannot be held to them.
    """
    parameters = None
    try:
        names, length = certificate.name_constraints_value, certificate.max_path_length
        if names is not None:
            permitted, excluded = names["permitted_subtrees"], names["excluded_subtrees"]
            parameters = PKIXValidationParams(
                initial_permitted_subtrees=process_general_subtrees(permitted) if permitted else None,
                initial_excluded_subtrees=process_general_subtrees(excluded) if excluded else None,
            )
    except Exception:  # noqa: BLE001 – asn1crypto and pyHanko raise ValueError, TypeError, KeyError and more
        return None
    # Both: pyHanko 0.38 counts the second down as well, and breaks on None.
    qualifiers = TrustQualifiers(standard_parameters=parameters, max_path_length=length, max_aa_path_length=length)
    return CertTrustAnchor(certificate, quals=qualifiers)


def _readable(store: Iterable[bytes]) -> Iterator[x509.Certificate]:
    """The readable certificates of the operator's store."""
    for encoded in store:
        try:
            der.check(encoded)
            certificate = x509.Certificate.load(encoded, strict=True)
        except ValueError:  # a DerError is one; a folder of certificates may hold keys and parameters as well
            continue
        if _is_readable(certificate):
            yield certificate


def is_regular(certificate: x509.Certificate) -> bool:
    """Whether the certificate says each thing once, as RFC 5280 (4.1.1.2, 4.1.2.1, 4.2) has it: two readers of one that
    names two purposes, or two algorithms, could take it for two certificates. Raises what asn1crypto raises."""
    encoded = certificate.dump()
    parts = [encoded[slice(*whole)] for _, _, whole in der.members(encoded, *der.content(encoded))]
    tbs = certificate["tbs_certificate"]
    extensions = tbs["extensions"]
    kinds = [] if isinstance(extensions, core.Void) else [one["extn_id"].dotted for one in extensions]
    return (
        len(parts) == 3
        and parts[1] == tbs["signature"].dump()
        and len(set(kinds)) == len(kinds)
        and (not kinds or tbs["version"].native == "v3")
    )


def _is_readable(certificate: x509.Certificate) -> bool:
    """Whether the parts that path building looks at can be read. asn1crypto is lazy: it would fail midway."""
    try:
        certificate.ca  # noqa: B018 – reading it is the test
        names = certificate.subject.hashable, certificate.issuer.hashable
        return is_regular(certificate) and all((*names, certificate.public_key.algorithm))
    except Exception:  # noqa: BLE001 – asn1crypto raises ValueError, TypeError, KeyError and more
        return False
