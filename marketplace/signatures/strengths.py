"""Which algorithms a piece of evidence rests on, in words of the settings, so that their sunsets can be minded.

sha256, sha384, sha512; rsa-2048 (any key below 3072 bits), rsa-3072 (and above), p256, p384, ed25519; anything else
under the name its standard gives it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from asn1crypto import algos, cms, crl, keys, x509

from .timestamps import Token

_CURVES = {"secp256r1": "p256", "secp384r1": "p384", "secp521r1": "p521"}
Sunsets = Mapping[str, datetime]


def of_signature(signature: bytes, signer: x509.Certificate) -> set[str]:
    """Those of a CMS signature itself. Raises `ValueError` and the like where it cannot be read."""
    info = cms.ContentInfo.load(signature)["content"]["signer_infos"][0]
    return {
        info["digest_algorithm"]["algorithm"].native,
        *_scheme(info["signature_algorithm"]),
        of_key(signer.public_key),
    }


def of_token(token: Token) -> set[str]:
    digest, scheme = token.signature_algorithms
    return {
        token.hash_algorithm,
        digest["algorithm"].native,
        *_scheme(scheme),
        of_key(token.authority.public_key),
    }


def of_chain(chain: Iterable[bytes]) -> set[str]:
    """Those by which certificates (DER, the anchor last) vouch for one another; nobody relies on an anchor's own."""
    certificates = [x509.Certificate.load(one) for one in chain]
    vouched = {name for one in certificates[:-1] for name in _scheme(one["signature_algorithm"])}
    return vouched | {of_key(one.public_key) for one in certificates}


def of_certificates(bag: Iterable[bytes]) -> set[str]:
    """As `of_chain`, of several chains in no order."""
    certificates = [x509.Certificate.load(one) for one in bag]
    vouched = {
        name
        for one in certificates
        if one.issuer.dump() != one.subject.dump()
        for name in _scheme(one["signature_algorithm"])
    }
    return vouched | {of_key(one.public_key) for one in certificates}


def of_list(encoded: bytes) -> set[str]:
    return _scheme(crl.CertificateList.load(encoded)["signature_algorithm"])


def of_key(key: keys.PublicKeyInfo) -> str:
    kind: str = key.algorithm
    if kind == "ec":
        curve = key.curve[1]
        return _CURVES.get(curve, str(curve))
    if kind in ("rsa", "rsassa_pss"):
        return "rsa-2048" if key["public_key"].parsed["modulus"].native.bit_length() < 3072 else "rsa-3072"
    return kind


def first_sunset(names: Iterable[str], sunsets: Sunsets) -> tuple[datetime, str] | None:
    """The earliest sunset among these algorithms and whose it is."""
    return min(((sunsets[name], name) for name in names if name in sunsets), default=None)


def _scheme(scheme: algos.SignedDigestAlgorithm) -> set[str]:
    try:
        return {scheme.hash_algo}
    except ValueError:  # the bare OID of RSA and Ed25519 name no hash function
        return set()
