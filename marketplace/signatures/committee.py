"""Keys that a committee holds: from the seed to the lots' keys, shares of the seed sealed to people, and their own keys
under a passphrase.

assets/src/committee/ does the same in the browser. There the seed is made, split and put together again; the platform
uses this side to check what it is sent, and the demonstration and whoever recovers a key by hand use all of it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from marketplace.signatures import sealing

SEED_SIZE: Final = 32
SHARE_SIZE: Final = 1 + SEED_SIZE
_LOT_SALT: Final = b"openlot-lot-key-1"
_WRAP_CONTEXT: Final = b"openlot-committee-key-1"
KDF_NAME: Final = "PBKDF2-SHA256"
# OWASP's floor for PBKDF2 with SHA-256; the ceiling keeps a stored number from hanging a browser.
ITERATIONS_MIN: Final = 600_000
ITERATIONS_MAX: Final = 10_000_000
RSA_BITS_MIN: Final = 2048
RSA_BITS_MAX: Final = 8192

X25519: Final = "x25519"
P256: Final = "p256"
RSA: Final = "rsa"

_P256_SUITE = Suite(KEM.P256, KDF.HKDF_SHA256, AEAD.AES_256_GCM)

PrivateKey = bytes | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class CommitteeKeyError(Exception):
    """A key, a share or a wrapped key that is not what it should be. The message names the part, never its bytes."""


@dataclass(frozen=True, slots=True)
class Recipient:
    """A public key to which shares are sealed. `public`: raw X25519, an uncompressed point of P-256, or RSA's DER
    SubjectPublicKeyInfo."""

    algorithm: str
    public: bytes

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the public key's bytes, hex."""
        return hashlib.sha256(self.public).hexdigest()

    def require_valid(self) -> None:
        """Raises CommitteeKeyError where shares cannot be sealed to this key."""
        _public_key(self)


def lot_private_key(seed: bytes, lot_id: int) -> bytes:
    """The raw X25519 private key of a lot: HKDF-SHA256 of the tender's seed with the lot's id in decimal."""
    return HKDF(hashes.SHA256(), sealing.KEY_SIZE, _LOT_SALT, str(lot_id).encode()).derive(seed)


def lot_public_key(seed: bytes, lot_id: int) -> bytes:
    return X25519PrivateKey.from_private_bytes(lot_private_key(seed, lot_id)).public_key().public_bytes_raw()


def commitment(share: bytes) -> str:
    """SHA-256 of a share, hex: published before, it names a share that is not the one that was given."""
    return hashlib.sha256(share).hexdigest()


def seal_share(to: Recipient, share: bytes, info: str) -> bytes:
    """The share encrypted to one person: HPKE for the curves, RSA-OAEP-SHA256 with `info` as its label.

    `info` binds it to its ceremony and place. Raises CommitteeKeyError.
    """
    key = _public_key(to)
    if isinstance(key, rsa.RSAPublicKey):
        return key.encrypt(share, _oaep(info))
    if isinstance(key, X25519PublicKey):
        return sealing.seal(to.public, share, info.encode())
    return _P256_SUITE.encrypt(share, key, info.encode())


def open_share(private: PrivateKey, sealed: bytes, info: str) -> bytes:
    """The share. Raises CommitteeKeyError for another key, another `info`, or changed bytes."""
    try:
        if isinstance(private, bytes):
            return sealing.open_sealed(private, sealed, info.encode())
        if isinstance(private, rsa.RSAPrivateKey):
            return private.decrypt(sealed, _oaep(info))
        return _P256_SUITE.decrypt(sealed, private, info.encode())
    except (sealing.SealingError, InvalidTag, ValueError) as error:
        raise CommitteeKeyError("the share does not open with this key") from error


def sealed_size(to: Recipient) -> int:
    """How long a sealed share is for this key, in bytes."""
    key = _public_key(to)
    if isinstance(key, rsa.RSAPublicKey):
        return (key.key_size + 7) // 8
    return SHARE_SIZE + (sealing.OVERHEAD if to.algorithm == X25519 else 65 + 16)


def recipient_of_certificate(der: bytes) -> Recipient:
    """The key of a person's certificate. Raises CommitteeKeyError where a browser could not open shares with it."""
    try:
        key = x509.load_der_x509_certificate(der).public_key()
    except (ValueError, TypeError, x509.InvalidVersion) as error:
        raise CommitteeKeyError("this is not a certificate") from error
    if isinstance(key, rsa.RSAPublicKey) and RSA_BITS_MIN <= key.key_size <= RSA_BITS_MAX:
        return Recipient(RSA, key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return Recipient(P256, key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))
    raise CommitteeKeyError("the certificate has a key to which shares cannot be sealed")


def wrap(private: bytes, passphrase: str, *, iterations: int = ITERATIONS_MIN) -> dict[str, Any]:
    """A raw X25519 private key under a passphrase: PBKDF2-SHA256, AES-256-GCM bound to the public key."""
    salt, nonce = secrets.token_bytes(16), secrets.token_bytes(12)
    ciphertext = AESGCM(_stretched(passphrase, salt, iterations)).encrypt(nonce, private, _bound_to(private))
    parts = {"salt": salt, "iv": nonce, "ciphertext": ciphertext}
    texts = {name: base64.b64encode(value).decode() for name, value in parts.items()}
    return {"kdf": KDF_NAME, "iterations": iterations, **texts}


def unwrap(wrapped: Mapping[str, Any], public: bytes, passphrase: str) -> bytes:
    """The private key. Raises CommitteeKeyError for another passphrase or a changed one."""
    parts = checked_wrapping(wrapped)
    key = _stretched(passphrase, parts["salt"], int(wrapped["iterations"]))
    try:
        return AESGCM(key).decrypt(parts["iv"], parts["ciphertext"], _WRAP_CONTEXT + public)
    except InvalidTag as error:
        raise CommitteeKeyError("the passphrase is another one") from error


def checked_wrapping(wrapped: Mapping[str, Any]) -> dict[str, bytes]:
    """The parts of a key under a passphrase, of the right form and strength. Raises CommitteeKeyError."""
    sizes = {"salt": (16, 64), "iv": (12, 12), "ciphertext": (sealing.KEY_SIZE + 16,) * 2}
    if not isinstance(wrapped, Mapping) or set(wrapped) != {"kdf", "iterations", *sizes}:
        raise CommitteeKeyError("the wrapped key has other parts than it should")
    iterations = wrapped["iterations"]
    strong = type(iterations) is int and ITERATIONS_MIN <= iterations <= ITERATIONS_MAX
    if wrapped["kdf"] != KDF_NAME or not strong:
        raise CommitteeKeyError("the passphrase is not stretched as it has to be")
    parts = {name: from_base64(wrapped[name]) for name in sizes}
    if any(not low <= len(parts[name]) <= high for name, (low, high) in sizes.items()):
        raise CommitteeKeyError("a part of the wrapped key has the wrong size")
    return parts


def from_base64(text: object) -> bytes:
    """Strict base64. Raises CommitteeKeyError."""
    try:
        return base64.b64decode(text, validate=True)  # type: ignore[arg-type]  # anything else is a TypeError
    except (binascii.Error, TypeError, ValueError) as error:
        raise CommitteeKeyError("this is not base64") from error


def _stretched(passphrase: str, salt: bytes, iterations: int) -> bytes:
    return PBKDF2HMAC(hashes.SHA256(), 32, salt, iterations).derive(unicodedata.normalize("NFC", passphrase).encode())


def _bound_to(private: bytes) -> bytes:
    return _WRAP_CONTEXT + X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def _oaep(info: str) -> padding.OAEP:
    return padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), info.encode())


def _public_key(to: Recipient) -> X25519PublicKey | ec.EllipticCurvePublicKey | rsa.RSAPublicKey:
    try:
        if to.algorithm == X25519:
            key = X25519PublicKey.from_public_bytes(to.public)
            # A point of small order would make every share readable by everybody.
            X25519PrivateKey.generate().exchange(key)
            return key
        if to.algorithm == P256:
            return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), to.public)
        if to.algorithm == RSA:
            loaded = load_der_public_key(to.public)
            if isinstance(loaded, rsa.RSAPublicKey) and RSA_BITS_MIN <= loaded.key_size <= RSA_BITS_MAX:
                return loaded
    except (ValueError, TypeError) as error:
        raise CommitteeKeyError("this is not a public key of its kind") from error
    raise CommitteeKeyError("this is not a public key of its kind")
