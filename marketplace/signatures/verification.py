"""The judge: gate, hash and signature value, strength, chain and revocation, identity, in this order."""

from __future__ import annotations

import hashlib
from datetime import datetime

from asn1crypto import x509
from pyhanko.sign.validation.generic_cms import validate_sig_integrity

from . import chain, gate
from .algorithms import Strength
from .report import Evidence, Finding, Indication, Policy, Report, Signer, Sub, refused


def verify(
    signature: bytes, payload: bytes | None, policy: Policy, at: datetime, evidence: Evidence | None = None
) -> Report:
    """Judge a detached CAdES signature of `payload` as of `at` (aware). Never raises: any failure inside is a verdict.

    `payload` None means that what was signed is missing. Not to be called inside a running event loop.
    """
    signer: Signer | None = None
    signed_at: datetime | None = None
    try:
        admitted = gate.admit(signature)
        signed_at = admitted.signing_time
        certificate = gate.signer_certificate(admitted)
        signer = gate.describe(certificate)
        if payload is None:
            raise Finding(Sub.SIGNED_DATA_NOT_FOUND, "The document that was signed is missing.")
        weakness = _weakness(admitted, certificate, policy, at)
        _check_integrity(admitted, certificate, payload, weakness)
        findings = [weakness] if weakness else []
        trusted: chain.Chain | None = None
        for check in (
            lambda: gate.check_names(certificate),
            lambda: chain.build(certificate, admitted.certificates, policy, evidence or Evidence(), at),
            lambda: chain.check_usage(certificate, policy.eku),
            lambda: _check_identity(signer, policy),
        ):
            try:
                trusted = check() or trusted
            except Finding as finding:
                findings.append(finding)
            except Exception:  # noqa: BLE001 – the libraries raise bare TypeError, KeyError and more on odd extensions
                findings.append(
                    Finding(Sub.CERTIFICATE_CHAIN_GENERAL_FAILURE, "The certificate or its chain cannot be read.")
                )
        if findings or trusted is None:
            return refused(findings, signer, signed_at)
        return Report(
            indication=Indication.PASSED,
            signer=signer,
            signed_at=signed_at,
            chain=trusted.certificates,
            revocation=trusted.revocation,
        )
    except Finding as finding:
        return refused([finding], signer, signed_at)
    except Exception as error:  # noqa: BLE001 – no flaw, ours or a library's, may pass a signature or break the page
        unexpected = Finding(Sub.GENERIC, f"The signature could not be checked ({type(error).__name__}).")
        return refused([unexpected], signer, signed_at)


def _weakness(admitted: gate.Admitted, certificate: x509.Certificate, policy: Policy, at: datetime) -> Finding | None:
    """Too weak a key or hash function. Kept until the values are checked: a wrong hash is the graver verdict."""
    strength = Strength(policy.min_rsa, policy.rsa_3072_from)
    scheme = admitted.scheme
    for answer in (
        strength.digest_algorithm_allowed(admitted.signer_info["digest_algorithm"], at),
        strength.signature_algorithm_allowed(scheme, at, certificate.public_key),
    ):
        if not answer:
            sub = Sub.CRYPTO_CONSTRAINTS_FAILURE_NO_POE if answer.not_allowed_after else Sub.CRYPTO_CONSTRAINTS_FAILURE
            return Finding(sub, f"The signature is too weak: {answer.failure_reason}.")
    try:
        implied = scheme.hash_algo
    except ValueError:
        implied = admitted.digest_algorithm
    # RFC 8419 wants SHA-512 beside Ed25519; common tools write the hash function they were told instead.
    if implied != admitted.digest_algorithm and scheme.signature_algo != "ed25519":
        return Finding(Sub.CRYPTO_CONSTRAINTS_FAILURE, "The signature uses two different hash functions.")
    return None


def _check_integrity(
    admitted: gate.Admitted, certificate: x509.Certificate, payload: bytes, weakness: Finding | None
) -> None:
    """Raise `Finding` unless the signature is over this payload and verifies under the signer's key."""
    if admitted.digest_algorithm not in gate.STRONG_HASHES | {"sha1", "md5", "sha224"}:
        raise weakness or Finding(Sub.CRYPTO_CONSTRAINTS_FAILURE, "The hash function is unknown.")
    digest = hashlib.new(admitted.digest_algorithm, payload, usedforsecurity=False).digest()
    if digest != admitted.message_digest:
        raise Finding(Sub.HASH_FAILURE, "The signature is for another document, or the document was changed since.")
    try:
        intact, valid = validate_sig_integrity(
            admitted.signer_info, certificate, expected_content_type="data", actual_digest=digest
        )
    except Exception as error:
        # What the cryptographic library refuses outright is weak or of another kind; the finding says which.
        raise weakness or Finding(
            Sub.SIG_CRYPTO_FAILURE, "The signature value cannot be checked with the signer's key."
        ) from error
    if not (intact and valid):
        raise Finding(Sub.SIG_CRYPTO_FAILURE, "The signature value does not verify under the signer's key.")


def _check_identity(signer: Signer | None, policy: Policy) -> None:
    """Raise `Finding` unless the certificate names one of the organisation's identifiers. Names are never compared."""
    if signer is None or not policy.identifiers:
        return
    wanted = {identifier.strip().upper() for identifier in policy.identifiers}
    carried = {identifier.strip().upper() for identifier in signer.identifiers}
    if not carried:
        raise Finding(Sub.SIG_CONSTRAINTS_FAILURE, "The certificate names no organisation.")
    if not wanted & carried:
        raise Finding(
            Sub.SIG_CONSTRAINTS_FAILURE,
            f"The certificate belongs to another organisation: it names {', '.join(sorted(carried))}, "
            f"not {', '.join(sorted(wanted))}.",
        )
