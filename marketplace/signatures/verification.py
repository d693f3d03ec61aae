"""The judge: gate, hash and signature value, strength, chain and revocation, identity, time stamps, in this order."""

from __future__ import annotations

import hashlib
import re
from collections import OrderedDict
from datetime import datetime, timedelta

from asn1crypto import x509

from . import chain, gate, proofs, values
from .algorithms import Strength
from .report import Evidence, Finding, Indication, Policy, Report, Signer, Sub, refused

_MAX_SIGNERS = 512
_OBJECT_IDENTIFIER = re.compile(r"[012](\.(0|[1-9]\d{0,38})){1,32}")
#: Signers whose certificate, names and usage were found in order, by certificate (DER) and extended key usage.
_signers: OrderedDict[tuple[bytes, str | None], tuple[x509.Certificate, Signer]] = OrderedDict()


def verify(
    signature: bytes,
    payload: bytes | None,
    policy: Policy,
    at: datetime,
    evidence: Evidence | None = None,
    received_at: datetime | None = None,
) -> Report:
    """Judge a detached CAdES signature of `payload` as of `at` (aware). Never raises: any failure inside is a verdict.

    `payload` None means that what was signed is missing. With `received_at` ≤ `at` the caller vouches that the
    signature existed by then, as a time stamp would: what happened to its certificate afterwards does not touch it.
    Not to be called inside a running event loop; threads take turns.
    """
    with chain.turn:
        return _verify(signature, payload, policy, at, evidence or Evidence(), received_at)


def _verify(
    signature: bytes,
    payload: bytes | None,
    policy: Policy,
    at: datetime,
    evidence: Evidence,
    received_at: datetime | None,
) -> Report:
    signer: Signer | None = None
    signed_at: datetime | None = None
    try:
        _check_policy(policy, at)
        admitted = gate.admit(signature)
        signed_at = admitted.signing_time
        certificate = gate.signer_certificate(admitted)
        known = _signers.get((certificate.dump(), policy.eku))
        certificate, signer = known or (certificate, gate.describe(certificate))
        if payload is None:
            raise Finding(Sub.SIGNED_DATA_NOT_FOUND, "The document that was signed is missing.")
        weakness = _weakness(admitted, certificate, policy, at)
        _check_integrity(admitted, certificate, payload, weakness)
    except Finding as finding:
        return refused([finding], signer, signed_at)
    except Exception as error:  # noqa: BLE001 – no flaw, ours or a library's, may pass a signature or break the page
        return refused([_unexpected(error)], signer, signed_at)
    try:
        judgement = _Judgement(admitted, certificate, signer, payload, policy, at, evidence, received_at)
        report = judgement.report(weakness, known is not None)
    except Exception as error:  # noqa: BLE001 – as above
        return refused([_unexpected(error)], signer, signed_at)
    if report.passed and known is None:
        _signers[certificate.dump(), policy.eku] = (certificate, signer)
        if len(_signers) > _MAX_SIGNERS:
            _signers.popitem(last=False)
    return report


def forget() -> None:
    """Forget what was remembered of earlier signatures; for measuring and for tests."""
    with chain.turn:
        _signers.clear()
        chain.forget()


class _Judgement:
    """A signature whose value is in order: who may have made it, and when."""

    def __init__(
        self,
        admitted: gate.Admitted,
        certificate: x509.Certificate,
        signer: Signer,
        payload: bytes,
        policy: Policy,
        at: datetime,
        evidence: Evidence,
        received_at: datetime | None,
    ) -> None:
        self.admitted, self.certificate, self.signer = admitted, certificate, signer
        self.policy, self.at, self.evidence = policy, at, evidence
        self.proofs = proofs.gather(admitted, payload, policy, evidence, at)
        #: When it is known to have existed: by a time stamp, or because whoever asks had it.
        self.existed = min(filter(None, (self.proofs.before, received_at)), default=None)

    def report(self, weakness: Finding | None, known: bool) -> Report:
        """The verdict. `known` says that names and usage were found in order before."""
        findings = self._weaknesses(weakness)
        trusted: chain.Chain | None = None
        for check in (
            *(() if known else (lambda: gate.check_names(self.certificate),)),
            self._trusted,
            *(() if known else (lambda: chain.check_usage(self.certificate, self.policy.eku),)),
            lambda: _check_identity(self.signer, self.policy),
            self.proofs.check_order,
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
            return refused(findings, self.signer, self.admitted.signing_time, self.timestamp, self.proofs.remarks)
        return Report(
            indication=Indication.PASSED,
            reasons=self.proofs.remarks,
            signer=self.signer,
            signed_at=self.admitted.signing_time,
            timestamp=self.timestamp,
            chain=trusted.certificates,
            revocation=trusted.revocation,
            stamp_chain=self.proofs.chain,
            stamp_revocation=self.proofs.revocation,
        )

    @property
    def timestamp(self) -> datetime | None:
        """The authority's word, to the second."""
        return self.proofs.stated and self.proofs.stated.replace(microsecond=0)

    def _weaknesses(self, weakness: Finding | None) -> list[Finding]:
        """A key that was strong enough when the signature is known to have existed is strong enough."""
        if weakness and self.existed and weakness.sub in proofs.MENDED_BY_TIME:
            weakness = _weakness(self.admitted, self.certificate, self.policy, self.existed)
        return [self.proofs.sharpened(weakness, self.certificate, self.policy)] if weakness else []

    def _trusted(self) -> chain.Chain:
        """The chain as of now or, where that fails, as of the time the signature is known to have existed."""
        proven = self.existed
        if proven and proven < self.certificate.not_valid_before - timedelta(seconds=1):
            how = "as its time stamp proves" if self.proofs.before else "as its receipt proves"
            raise Finding(Sub.NOT_YET_VALID, f"The signature is older than its certificate, {how}.")
        others = self.admitted.certificates
        try:
            return chain.build(self.certificate, others, self.policy, self.evidence, self.at)
        except Finding as now:
            if proven is None or now.sub not in proofs.MENDED_BY_TIME:
                raise self.proofs.sharpened(now, self.certificate, self.policy) from now
            try:
                return chain.build(self.certificate, others, self.policy, self.evidence, self.at, proven)
            except Finding as then:
                graver = then if then.sub is not Sub.TRY_LATER else now
                raise self.proofs.sharpened(graver, self.certificate, self.policy) from then


def _check_policy(policy: Policy, at: datetime) -> None:
    """Raise `Finding` for a policy that means nothing: that is the operator's mistake, not the signer's."""
    for moment in (at, policy.rsa_3072_from):
        if moment is not None and moment.tzinfo is None:
            raise Finding(Sub.POLICY_PROCESSING_ERROR, "A time in the policy has no zone.")
    if policy.eku is not None and not _OBJECT_IDENTIFIER.fullmatch(policy.eku):
        raise Finding(Sub.POLICY_PROCESSING_ERROR, "The extended key usage of the policy is no object identifier.")
    if policy.min_rsa < 1:
        raise Finding(Sub.POLICY_PROCESSING_ERROR, "The smallest RSA key of the policy is no number of bits.")


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
        valid = values.verifies(
            admitted.signer_info["signature"].native,
            admitted.signed_bytes,
            certificate.public_key,
            admitted.scheme,
            admitted.digest_algorithm,
        )
    except values.Unverifiable as error:
        # What the cryptographic library refuses outright is weak or of another kind; the finding says which.
        raise weakness or Finding(
            Sub.SIG_CRYPTO_FAILURE, "The signature value cannot be checked with the signer's key."
        ) from error
    if not valid:
        raise Finding(Sub.SIG_CRYPTO_FAILURE, "The signature value does not verify under the signer's key.")


def _check_identity(signer: Signer, policy: Policy) -> None:
    """Raise `Finding` unless the certificate names one of the organisation's identifiers. Names are never compared."""
    if not policy.identifiers:
        return
    wanted = set(map(_comparable, policy.identifiers))
    carried = set(map(_comparable, signer.identifiers))
    if not carried:
        raise Finding(Sub.SIG_CONSTRAINTS_FAILURE, "The certificate names no organisation.")
    if not wanted & carried:
        raise Finding(
            Sub.SIG_CONSTRAINTS_FAILURE,
            f"The certificate belongs to another organisation: it names {', '.join(sorted(carried))}, "
            f"not {', '.join(sorted(wanted))}.",
        )


def _comparable(identifier: str) -> str:
    """Without case and spaces around; but letters of other scripts stay: some have Latin capitals, as ı has I."""
    return identifier.strip().upper() if identifier.isascii() else identifier


def _unexpected(error: Exception) -> Finding:
    return Finding(Sub.GENERIC, f"The signature could not be checked ({type(error).__name__}).")
