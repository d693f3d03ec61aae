"""Does a signature value verify under a key? For signatures, time stamps, OCSP answers: everything but certificates."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from asn1crypto import algos, core, keys
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

_HASHES: dict[str, hashes.HashAlgorithm] = {
    "sha1": hashes.SHA1(),
    "sha224": hashes.SHA224(),
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
_NULL = b"\x05\x00"


class Unverifiable(Exception):
    """The value cannot be checked: a key of another kind, parameters that are out of place, an unknown algorithm."""


def verifies(
    value: bytes, message: bytes, key: keys.PublicKeyInfo, scheme: algos.SignedDigestAlgorithm, digest: str
) -> bool:
    """Whether `value` signs `message`. `digest` counts where the scheme names no hash function of its own.

    Raises `Unverifiable`. Judges no strength.
    """
    try:
        _check_parameters(scheme)
        public = _loaded(key.dump())
        family = scheme.signature_algo
        if family == "ed25519" and isinstance(public, ed25519.Ed25519PublicKey):
            public.verify(value, message)
        elif family == "ecdsa" and isinstance(public, ec.EllipticCurvePublicKey):
            public.verify(value, message, ec.ECDSA(_hash(scheme, digest)))
        elif family == "rsassa_pkcs1v15" and isinstance(public, rsa.RSAPublicKey) and key.algorithm == "rsa":
            public.verify(value, message, padding.PKCS1v15(), _hash(scheme, digest))
        elif family == "rsassa_pss" and isinstance(public, rsa.RSAPublicKey):
            _check_key_parameters(key, scheme)
            public.verify(value, message, *_pss(scheme["parameters"]))
        else:
            raise Unverifiable(f"a {key.algorithm} key cannot verify {family}")
    except InvalidSignature:
        return False
    except Unverifiable:
        raise
    except (UnsupportedAlgorithm, ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        raise Unverifiable(str(error)) from error
    return True


@lru_cache(maxsize=128)
def _loaded(key: bytes) -> Any:
    return serialization.load_der_public_key(key)


def _hash(scheme: algos.SignedDigestAlgorithm, digest: str) -> hashes.HashAlgorithm:
    try:
        name = scheme.hash_algo
    except ValueError:  # the bare OID of RSA or ECDSA
        name = digest
    return _HASHES[name]


def _check_parameters(scheme: algos.SignedDigestAlgorithm) -> None:
    """What stands beside the algorithm is not signed: nothing may stand there that we would pass over."""
    parameters = scheme["parameters"]
    stated = b"" if isinstance(parameters, core.Void) else parameters.dump()
    match scheme.signature_algo:
        case "rsassa_pss":
            return
        case "rsassa_pkcs1v15":
            wrong = stated not in (b"", _NULL)
        case _:
            wrong = stated != b""
    if wrong:
        raise Unverifiable("the algorithm has parameters it may not have")


def _pss(parameters: algos.RSASSAPSSParams) -> tuple[padding.PSS, hashes.HashAlgorithm]:
    name = parameters["hash_algorithm"]["algorithm"].native
    mask = parameters["mask_gen_algorithm"]
    if mask["algorithm"].native != "mgf1" or mask["parameters"]["algorithm"].native != name:
        raise Unverifiable("RSA-PSS with two hash functions")
    if parameters["trailer_field"].native != "trailer_field_bc":
        raise Unverifiable("RSA-PSS with an unknown trailer")
    return padding.PSS(padding.MGF1(_HASHES[name]), parameters["salt_length"].native), _HASHES[name]


def _check_key_parameters(key: keys.PublicKeyInfo, scheme: algos.SignedDigestAlgorithm) -> None:
    """A key made for RSA-PSS may name the only hash functions, and the shortest salt, it is to be used with."""
    if key.algorithm != "rsassa_pss":
        return
    bound, used = key["algorithm"]["parameters"], scheme["parameters"]
    if isinstance(bound, core.Void) or bound.native is None:
        return
    same = all(bound[field].native == used[field].native for field in ("hash_algorithm", "mask_gen_algorithm"))
    if not same or used["salt_length"].native < bound["salt_length"].native:
        raise Unverifiable("the parameters of RSA-PSS are not those of the key")
