"""From the signer's certificate to a trust anchor: path and revocation by pyHanko, from local evidence only."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from asn1crypto import crl, ocsp, x509
from pyhanko.sign.validation.settings import KeyUsageConstraints
from pyhanko_certvalidator import ValidationContext, errors, find_valid_path
from pyhanko_certvalidator.authority import CertTrustAnchor, TrustQualifiers
from pyhanko_certvalidator.name_trees import process_general_subtrees
from pyhanko_certvalidator.path import ValidationPath
from pyhanko_certvalidator.policy_decl import REQUIRE_REVINFO, CertRevTrustPolicy, PKIXValidationParams

from . import der
from .algorithms import Strength
from .report import Evidence, Finding, Policy, Sub

MAX_PATH = 6
_TOLERANCE = timedelta(seconds=1)
_GENERAL = Sub.CERTIFICATE_CHAIN_GENERAL_FAILURE
#: How pyHanko words a constraint an authority put on what it certifies, and our words for it. Tests hold every line.
_CONSTRAINTS = (
    ("namespace", "The signer's names are outside of what the authority may certify."),
    ("maximum path length", "There are more authorities in between than allowed."),
    ("set of policies", "The certificate was not issued under an accepted policy."),
    ("is not a CA", "A certificate in the chain is not an authority's."),
    ("not allowed to sign certificates", "A certificate in the chain may not be used to issue certificates."),
)


@dataclass(frozen=True, slots=True)
class Chain:
    """SHA-256 fingerprints of the certificates, from the signer's to the anchor's, and of the revocation data."""

    certificates: tuple[str, ...]
    revocation: tuple[str, ...]


def build(
    signer: x509.Certificate, others: Iterable[x509.Certificate], policy: Policy, evidence: Evidence, at: datetime
) -> Chain:
    """The trusted chain of a certificate that is valid and not revoked at `at`. Raises `Finding`."""
    validator = _Validator(signer, others, policy, evidence, at)
    try:
        path = validator.path(at)
    except (errors.ExpiredError, errors.NotYetValidError) as error:
        raise _out_of_bounds(signer, error, validator) from error
    except (errors.ValidationError, errors.PathError) as error:
        raise _finding(error) from error
    if path.pkix_len == 0:
        raise Finding(Sub.CHAIN_CONSTRAINTS_FAILURE, "An authority's own certificate cannot sign documents.")
    return _describe(path, validator.crls, evidence)


class _Validator:
    """pyHanko's path validation of one certificate with local evidence, at any moment."""

    def __init__(
        self,
        signer: x509.Certificate,
        others: Iterable[x509.Certificate],
        policy: Policy,
        evidence: Evidence,
        signed_at: datetime,
    ) -> None:
        self.signer, self.signed_at = signer, signed_at
        self.anchors = [_anchor(certificate) for certificate in _certificates(policy.anchors)]
        if not self.anchors:
            raise Finding(Sub.NO_CERTIFICATE_CHAIN_FOUND, "No authority is trusted yet.")
        self.intermediates = _above(signer, [*_certificates(policy.intermediates), *filter(_readable, others)])
        self.crls, self.ocsps = _revocation(evidence)
        self.strength = Strength(policy.min_rsa, policy.rsa_3072_from)

    def path(self, moment: datetime, *, retroactive: bool = False) -> ValidationPath:
        """The valid path; raises pyHanko's errors. `retroactive` believes revocation data issued after `moment`."""
        context = ValidationContext(
            trust_roots=self.anchors,
            other_certs=self.intermediates,
            moment=moment,
            best_signature_time=self.signed_at,
            allow_fetching=False,
            crls=self.crls,
            ocsps=self.ocsps,
            revinfo_policy=CertRevTrustPolicy(REQUIRE_REVINFO, retroactive_revinfo=retroactive),
            time_tolerance=_TOLERANCE,
            algorithm_usage_policy=self.strength,
        )
        paths = context.path_builder.async_build_paths_lazy(self.signer)
        path: ValidationPath = asyncio.run(find_valid_path(self.signer, paths, context))
        return path


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


def _above(signer: x509.Certificate, known: list[x509.Certificate]) -> list[x509.Certificate]:
    """The known authorities that stand above the signer by name; whatever else came with the signature is left out."""
    chosen: dict[bytes, x509.Certificate] = {}
    wanted = {signer.issuer.hashable}
    for _ in range(MAX_PATH):
        found = [
            certificate
            for certificate in known
            if certificate.subject.hashable in wanted and certificate.ca and certificate.sha256 not in chosen
        ]
        chosen.update((certificate.sha256, certificate) for certificate in found)
        wanted = {certificate.issuer.hashable for certificate in found}
    return list(chosen.values())


def _out_of_bounds(
    signer: x509.Certificate, error: errors.ExpiredError | errors.NotYetValidError, validator: _Validator
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
        validator.path(ended, retroactive=True)
        validator.path(ended)
    except errors.RevokedError as revoked:
        return _finding(revoked)
    except (errors.ValidationError, errors.PathError):
        return Finding(Sub.OUT_OF_BOUNDS_NO_POE, reason)
    return Finding(Sub.OUT_OF_BOUNDS_NOT_REVOKED, f"{reason} It was not revoked until then.")


def _finding(error: errors.ValidationError | errors.PathError) -> Finding:
    match error:
        case errors.RevokedError(is_side_validation=True):
            return Finding(_GENERAL, "The certificate that vouches for the revocation data was revoked.")
        case errors.RevokedError(is_ee_cert=True):
            return Finding(Sub.REVOKED_NO_POE, f"The certificate was revoked on {_day(error.revocation_dt)}.")
        case errors.RevokedError():
            day = _day(error.revocation_dt)
            return Finding(Sub.REVOKED_CA_NO_POE, f"The certificate of its authority was revoked on {day}.")
        case errors.DisallowedAlgorithmError():
            sub = Sub.CRYPTO_CONSTRAINTS_FAILURE_NO_POE if error.banned_since else Sub.CRYPTO_CONSTRAINTS_FAILURE
            return Finding(sub, "A key or hash function in the certificate's chain is too weak.")
        case errors.StaleRevinfoError():
            return Finding(Sub.TRY_LATER, "The list of revoked certificates is out of date. Try again later.")
        case errors.InsufficientRevinfoError():
            return Finding(
                Sub.TRY_LATER, "Whether the certificate was revoked cannot be checked right now. Try again later."
            )
        case errors.PathBuildingError() | errors.InvalidCertificateError():
            return Finding(
                Sub.NO_CERTIFICATE_CHAIN_FOUND, "The certificate was not issued by an authority trusted here."
            )
        case errors.PathValidationError():
            for words, reason in _CONSTRAINTS:
                if words in error.failure_msg:
                    return Finding(Sub.CHAIN_CONSTRAINTS_FAILURE, reason)
    return Finding(_GENERAL, "The chain from the certificate to its authority is broken.")


def _anchor(certificate: x509.Certificate) -> CertTrustAnchor:
    """A trust anchor held to its own path length and name constraints, which RFC 5280 leaves to us."""
    names = certificate.name_constraints_value
    parameters = None
    if names is not None:
        permitted, excluded = names["permitted_subtrees"], names["excluded_subtrees"]
        parameters = PKIXValidationParams(
            initial_permitted_subtrees=process_general_subtrees(permitted) if permitted else None,
            initial_excluded_subtrees=process_general_subtrees(excluded) if excluded else None,
        )
    length = certificate.max_path_length
    # Both: pyHanko 0.38 counts the second down as well, and breaks on None.
    qualifiers = TrustQualifiers(standard_parameters=parameters, max_path_length=length, max_aa_path_length=length)
    return CertTrustAnchor(certificate, quals=qualifiers)


def _certificates(store: Iterable[bytes]) -> list[x509.Certificate]:
    """The readable certificates of the operator's store."""
    found = []
    for encoded in store:
        try:
            der.check(encoded)
        except der.DerError:
            continue
        found.append(x509.Certificate.load(encoded))
    return [certificate for certificate in found if _readable(certificate)]


def _readable(certificate: x509.Certificate) -> bool:
    """Whether the parts that path building looks at can be read. asn1crypto is lazy: it would fail midway."""
    try:
        certificate.ca  # noqa: B018 – reading it is the test
        return all((certificate.subject.hashable, certificate.issuer.hashable, certificate.public_key.algorithm))
    except Exception:  # noqa: BLE001 – asn1crypto raises ValueError, TypeError, KeyError and more
        return False


def _revocation(evidence: Evidence) -> tuple[list[crl.CertificateList], list[ocsp.OCSPResponse]]:
    crls, ocsps = [], []
    for encoded in evidence.crls:
        try:
            found = crl.CertificateList.load(encoded, strict=True)
            if found.issuer.hashable:
                crls.append(found)
        except Exception:  # noqa: BLE001 – as above; unreadable evidence is missing evidence
            continue
    for encoded in evidence.ocsps:
        try:
            answer = ocsp.OCSPResponse.load(encoded, strict=True)
            if answer["response_status"].native == "successful":
                ocsps.append(answer)
        except Exception:  # noqa: BLE001 – as above
            continue
    return crls, ocsps


def _describe(path: ValidationPath, crls: list[crl.CertificateList], evidence: Evidence) -> Chain:
    certificates = list(path.iter_certs(include_root=True))[::-1]
    issuers = {certificate.subject.hashable for certificate in certificates}
    used = [found.dump() for found in crls if found.issuer.hashable in issuers]
    return Chain(
        certificates=tuple(certificate.sha256.hex() for certificate in certificates),
        revocation=tuple(hashlib.sha256(encoded).hexdigest() for encoded in (*used, *evidence.ocsps)),
    )


def _day(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M UTC")
