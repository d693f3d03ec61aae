"""Sealed content: HPKE (RFC 9180) with X25519, HKDF-SHA256 and AES-256-GCM.

Everybody may seal with a lot's public key; only the holder of its private key opens. `info` names what the
content belongs to (platform, lot, organisation, bid): an envelope moved elsewhere does not open. Documents, which may
be large, are sealed in chunks (OLS1, below). assets/src/sealing/ does the same in the browser.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

ALGORITHM: Final = "HPKE-X25519-HKDF-SHA256-AES-256-GCM"
KEY_SIZE: Final = 32
#: Bytes a sealed text is longer than the plain one: the encapsulated key and the authentication tag.
OVERHEAD: Final = 32 + 16

_SUITE: Final = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class Writable(Protocol):
    def write(self, written: bytes, /) -> object: ...


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


# Documents: OLS1 ----------------------------------------------------------------------------------------------------
#
# "OLS1" ‖ file key sealed by HPKE (80 bytes) ‖ chunks. A chunk is CHUNK bytes of the document, the last one fewer,
# encrypted with AES-256-GCM under the file key. Its nonce is 7 zero bytes ‖ its number (4 bytes, big-endian) ‖ 1 for
# the last chunk, else 0: what is cut, added, moved or repeated fails the tag (the STREAM construction of Hoang,
# Reyhanitabar, Rogaway and Vizár, 2015). An empty document is one empty last chunk; no other chunk is empty.

MAGIC: Final = b"OLS1"
CHUNK: Final = 1024 * 1024
TAG_SIZE: Final = 16
HEADER_SIZE: Final = len(MAGIC) + OVERHEAD + KEY_SIZE
_CHUNKS_AT_MOST: Final = 2**32


@dataclass(frozen=True, slots=True)
class Measured:
    """Size in bytes and SHA-256 (hexadecimal) of what was written."""

    size: int
    sha256: str


def new_file_key() -> bytes:
    return os.urandom(KEY_SIZE)


def sealed_size(size: int) -> int:
    """Bytes of the OLS1 form of a document of `size` bytes."""
    chunks = max(1, -(-size // CHUNK))
    return HEADER_SIZE + size + chunks * TAG_SIZE


def plain_size(sealed: int) -> int:
    """Bytes of the document within an OLS1 form of `sealed` bytes. Raises SealingError when no document has it."""
    chunks = max(1, -(-(sealed - HEADER_SIZE) // (CHUNK + TAG_SIZE)))
    size = sealed - HEADER_SIZE - chunks * TAG_SIZE
    if size < 0 or sealed_size(size) != sealed:
        raise SealingError("no sealed document has this size")
    return size


def seal_stream(public: bytes, source: Readable, target: Writable, info: bytes, key: bytes | None = None) -> Measured:
    """Write the OLS1 form of `source` to `target`, two chunks in memory at a time. Returns what was written.

    `key` is a fresh `new_file_key()` for a sender who wants to read the document again; no key seals two documents.
    Raises SealingError when `public` is no X25519 public key or the document has more than 2^32 chunks.
    """
    file_key = key or new_file_key()
    out = _Measuring(target)
    out.write(MAGIC + seal(public, file_key, info))
    cipher = AESGCM(file_key)
    for number, last, chunk in _chunks(source, CHUNK):
        out.write(cipher.encrypt(_nonce(number, last), chunk, None))
    return out.measured()


def open_stream(private: bytes, source: Readable, target: Writable, info: bytes) -> Measured:
    """Write the document in `source` to `target`, two chunks in memory at a time. Returns what was written.

    Raises SealingError for another key, other `info`, or a changed, cut or lengthened document. What was written until
    then is to be thrown away: each chunk was genuine, the whole is not.
    """
    sealed_key = _header(source)
    return _open_chunks(open_sealed(private, sealed_key, info), source, target)


def open_stream_with_key(key: bytes, source: Readable, target: Writable) -> Measured:
    """As `open_stream`, for who kept the file key."""
    _header(source)
    return _open_chunks(key, source, target)


def _header(source: Readable) -> bytes:
    header = _exactly(source, HEADER_SIZE)
    if len(header) != HEADER_SIZE or not header.startswith(MAGIC):
        raise SealingError("this is no sealed document")
    return header[len(MAGIC) :]


def _open_chunks(key: bytes, source: Readable, target: Writable) -> Measured:
    try:
        cipher = AESGCM(key)
        out = _Measuring(target)
        for number, last, chunk in _chunks(source, CHUNK + TAG_SIZE):
            plain = cipher.decrypt(_nonce(number, last), chunk, None)
            if number and not plain:
                raise SealingError("the document does not open with this key")
            out.write(plain)
    except (InvalidTag, ValueError) as error:
        raise SealingError("the document does not open with this key") from error
    return out.measured()


def _nonce(number: int, last: bool) -> bytes:
    return bytes(7) + number.to_bytes(4, "big") + bytes([last])


def _chunks(source: Readable, size: int) -> Iterator[tuple[int, bool, bytes]]:
    """Number, whether it is the last, and bytes of each chunk; one chunk at least."""
    number, chunk = 0, _exactly(source, size)
    while True:
        following = _exactly(source, size) if len(chunk) == size else b""
        yield number, not following, chunk
        if not following:
            return
        number, chunk = number + 1, following
        if number >= _CHUNKS_AT_MOST:
            raise SealingError("the document is too large to be sealed")


def _exactly(source: Readable, size: int) -> bytes:
    """The next `size` bytes, fewer at the end only: a stream may hand out less than it is asked for."""
    found = source.read(size)
    while 0 < len(found) < size:
        more = source.read(size - len(found))
        if not more:
            break
        found += more
    return found


class _Measuring:
    def __init__(self, target: Writable) -> None:
        self._target, self._size, self._digest = target, 0, hashlib.sha256()

    def write(self, written: bytes) -> None:
        self._target.write(written)
        self._size += len(written)
        self._digest.update(written)

    def measured(self) -> Measured:
        return Measured(self._size, self._digest.hexdigest())
