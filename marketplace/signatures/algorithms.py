"""Which keys and hash functions are strong enough, for the signature itself and along the chain."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from asn1crypto import algos, keys
from pyhanko_certvalidator.policy_decl import AlgorithmUsageConstraint, AlgorithmUsagePolicy

from .gate import STRONG_HASHES

CURVES = frozenset({"secp256r1", "secp384r1"})
MAX_RSA = 8192
_SUNSET_RSA = 3072
_KEY_OF = {"rsassa_pkcs1v15": {"rsa"}, "rsassa_pss": {"rsa", "rsassa_pss"}, "ecdsa": {"ec"}, "ed25519": {"ed25519"}}
_OK = AlgorithmUsageConstraint(allowed=True)


@dataclass(frozen=True)
class Strength(AlgorithmUsagePolicy):
    """An allow-list: RSA (PKCS #1 v1.5 or PSS) of at least `min_rsa` bits, ECDSA on P-256 or P-384, Ed25519; SHA-2."""

    min_rsa: int
    rsa_3072_from: datetime | None = None

    def digest_algorithm_allowed(
        self, algo: algos.DigestAlgorithm, moment: datetime | None
    ) -> AlgorithmUsageConstraint:
        name = algo["algorithm"].native
        return _OK if name in STRONG_HASHES else _refuse(f"the hash function {name} is too weak or unknown")

    def signature_algorithm_allowed(
        self, algo: algos.SignedDigestAlgorithm, moment: datetime | None, public_key: keys.PublicKeyInfo | None
    ) -> AlgorithmUsageConstraint:
        try:
            scheme = algo.signature_algo
        except ValueError:
            scheme = algo["algorithm"].native
        if scheme not in _KEY_OF:
            return _refuse(f"the signature algorithm {scheme} is not accepted")
        weak_hash = self._weak_hash(algo, scheme)
        if weak_hash:
            return _refuse(weak_hash)
        return self._key_allowed(scheme, public_key, moment) if public_key is not None else _OK

    def _weak_hash(self, algo: algos.SignedDigestAlgorithm, scheme: str) -> str | None:
        try:
            name = algo.hash_algo
        except ValueError:
            return None  # the bare OID of RSA: the hash function is named, and checked, elsewhere
        if name not in STRONG_HASHES:
            return f"the hash function {name} is too weak or unknown"
        if scheme == "rsassa_pss":
            mask = algo["parameters"]["mask_gen_algorithm"]
            if mask["algorithm"].native != "mgf1" or mask["parameters"]["algorithm"].native not in STRONG_HASHES:
                return "the parameters of RSA-PSS are not accepted"
        return None

    def _key_allowed(
        self, scheme: str, public_key: keys.PublicKeyInfo, moment: datetime | None
    ) -> AlgorithmUsageConstraint:
        kind = public_key.algorithm
        if kind not in _KEY_OF[scheme]:
            return _refuse("the key is of another kind than the signature")
        if kind == "ec":
            named, curve = public_key.curve
            return _OK if named == "named" and curve in CURVES else _refuse("the elliptic curve is not P-256 or P-384")
        if kind == "ed25519":
            return _OK
        bits = public_key["public_key"].parsed["modulus"].native.bit_length()
        if not self.min_rsa <= bits <= MAX_RSA:
            return _refuse(f"the RSA key has {bits} bits; at least {self.min_rsa} and at most {MAX_RSA} are accepted")
        if self.rsa_3072_from and bits < _SUNSET_RSA and moment and moment >= self.rsa_3072_from:
            day = self.rsa_3072_from.date().isoformat()
            return AlgorithmUsageConstraint(
                allowed=False,
                not_allowed_after=self.rsa_3072_from,
                failure_reason=f"RSA keys below {_SUNSET_RSA} bits are not accepted since {day}",
            )
        return _OK


def _refuse(reason: str) -> AlgorithmUsageConstraint:
    return AlgorithmUsageConstraint(allowed=False, failure_reason=reason)
