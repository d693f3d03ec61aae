"""What the time stamps inside a signature prove about when it was made (ETSI EN 319 102-1, 5.5 and 5.6).

A signature time stamp (over the signature's value, unsigned) proves that the signature existed by then; a content time
stamp (over the document, signed) proves that it was made after then. An authority's clock is only as good as it says:
each proof is of the weaker moment. Stamps that do not verify prove nothing, and leave a remark: whoever passes a
signature on may add them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from asn1crypto import x509

from . import chain, timestamps
from .gate import Admitted
from .paths import TOLERANCE
from .payload import sha256_hex
from .report import Evidence, Finding, Policy, Sub

#: What a proof that the signature existed earlier may mend.
MENDED_BY_TIME: Final = frozenset(
    {
        Sub.CERTIFICATE_CHAIN_GENERAL_FAILURE,
        Sub.CRYPTO_CONSTRAINTS_FAILURE_NO_POE,
        Sub.NO_CERTIFICATE_CHAIN_FOUND_NO_POE,
        Sub.OUT_OF_BOUNDS_NOT_REVOKED,
        Sub.OUT_OF_BOUNDS_NO_POE,
        Sub.REVOKED_CA_NO_POE,
        Sub.REVOKED_NO_POE,
        Sub.TRY_LATER,
    }
)


@dataclass(frozen=True, slots=True)
class Proofs:
    """The signature existed at `before` and was made at `after` or later; None where nothing proves it.

    `stated` is the authority's time behind `before`, without its accuracy. `chain` and `revocation` are fingerprints
    (SHA-256) of what the trust in the stamps over the signature rests on.
    """

    before: datetime | None = None
    after: datetime | None = None
    stated: datetime | None = None
    remarks: tuple[str, ...] = ()
    chain: tuple[str, ...] = ()
    revocation: tuple[str, ...] = ()

    def check_order(self) -> None:
        """Raise `Finding` when the signature would have existed before it was made, however the clocks may err."""
        if self.before and self.after and self.after > self.before + TOLERANCE:
            raise Finding(
                Sub.TIMESTAMP_ORDER_FAILURE,
                "The time stamp of the document is later than the time stamp of the signature over it.",
            )

    def sharpened(self, finding: Finding, certificate: x509.Certificate, policy: Policy) -> Finding:
        """The finding, said for certain where the signature is known to have been made too late."""
        if self.after is None:
            return finding
        day = self.after.strftime("%Y-%m-%d %H:%M UTC")
        if isinstance(finding, chain.Revoked) and self.after >= finding.at:
            return Finding(Sub.REVOKED, f"{finding.reason} The signature was made later, not before {day}.")
        out_of_bounds = finding.sub in (Sub.OUT_OF_BOUNDS_NO_POE, Sub.OUT_OF_BOUNDS_NOT_REVOKED)
        if out_of_bounds and self.after > certificate.not_valid_after:
            return Finding(Sub.EXPIRED, f"{finding.reason} The signature was made later, not before {day}.")
        weak = finding.sub is Sub.CRYPTO_CONSTRAINTS_FAILURE_NO_POE
        if weak and policy.rsa_3072_from and self.after >= policy.rsa_3072_from:
            return Finding(Sub.CRYPTO_CONSTRAINTS_FAILURE, finding.reason)
        return finding


def gather(admitted: Admitted, payload: bytes, policy: Policy, evidence: Evidence, at: datetime) -> Proofs:
    """What the stamps prove that verify and whose authorities are trusted as of `at`."""
    if not (admitted.content_stamps or admitted.signature_stamps):
        return Proofs()
    value = admitted.signer_info["signature"].native
    remarks: list[str] = []
    made = _counted(admitted.content_stamps, lambda token: token.stamps(payload), policy, evidence, at, remarks)
    existed = _counted(admitted.signature_stamps, lambda token: token.stamps(value), policy, evidence, at, remarks)
    first = min((token for token, _trust in existed), key=lambda token: token.latest, default=None)
    return Proofs(
        before=min(first.latest, at) if first else None,
        after=max((token.earliest for token, _trust in made), default=None),
        stated=first.generated_at if first else None,
        remarks=tuple(remarks),
        chain=_distinct(sha256_hex(one) for _token, trust in existed for one in trust.chain),
        revocation=_distinct(one for _token, trust in existed for one in trust.revocation),
    )


def _counted(
    tokens: Iterable[bytes],
    fits: Callable[[timestamps.Token], bool],
    policy: Policy,
    evidence: Evidence,
    at: datetime,
    remarks: list[str],
) -> list[tuple[timestamps.Token, timestamps.Trusted]]:
    """Those tokens that count, and what that rests on; the others leave a remark."""
    trust = replace(policy, anchors=policy.tsa_anchors)
    found = []
    for encoded in tokens:
        try:
            token = timestamps.read(encoded)
            if not fits(token):
                raise timestamps.TimeStampError("A time stamp in the signature is for something else.")
            found.append((token, timestamps.judge(token, trust, evidence, at)))
        except timestamps.TimeStampError as error:
            remarks.append(f"{error.reason} It was not counted.")
        except Exception:  # noqa: BLE001 – a token is hostile input: the libraries raise TypeError, KeyError and more
            remarks.append("A time stamp in the signature cannot be read. It was not counted.")
    return found


def _distinct(fingerprints: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(fingerprints))
