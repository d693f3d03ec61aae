"""Sealed content: HPKE (RFC 9180) with X25519, HKDF-SHA256 and AES-256-GCM.

Everybody may seal with a lot's public key; only the holder of its private key opens. `info` names what the
content belongs to (platform, lot, organisation, bid): an envelope moved elsewhere does not open.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

ALGORITHM = "HPKE-X25519-HKDF-SHA256-AES-256-GCM"
KEY_SIZE = 32
#: Bytes a sealed text is longer than the plain one: the encapsulated key and the authentication tag.
OVERHEAD = 32 + 16

_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


class SealingError(Exception):
    """The content cannot be sealed or opened. It never says which part was wrong: that would help a forger."""


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A lot's keys as raw X25519 bytes (32 each). The private one is shown by no `repr`."""

    public: bytes
    private: bytes = field(repr=False)


def new_key_pair() -> KeyPair:
    private = X25519PrivateKey.generate()
    return KeyPair(public=private.public_key().public_bytes_raw(), private=private.private_bytes_raw())


def seal(public: bytes, plaintext: bytes, info: bytes) -> bytes:
    """The plaintext encrypted to `public`: encapsulated key ‖ ciphertext ‖ tag, `OVERHEAD` bytes longer.

    Raises `SealingError` when `public` is no X25519 public key.
    """
    try:
        return _SUITE.encrypt(plaintext, X25519PublicKey.from_public_bytes(public), info)
    except ValueError as error:
        raise SealingError("the public key is not an X25519 key") from error


def open_sealed(private: bytes, sealed: bytes, info: bytes) -> bytes:
    """The plaintext. Raises `SealingError` for another key, other `info`, or a changed envelope."""
    try:
        return _SUITE.decrypt(sealed, X25519PrivateKey.from_private_bytes(private), info)
    except (InvalidTag, ValueError) as error:
        raise SealingError("the envelope does not open with this key") from error
