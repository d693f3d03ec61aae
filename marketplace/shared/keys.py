"""The platform's own secrets, kept outside the database so that a stolen dump opens nothing.

A key file has one key per line, `kind id base64`, newest first; `#` starts a comment:

    encryption k-2026-11 <32 bytes>
    receipt    r-2026-11 <32 bytes>

`encryption` keys wrap secrets stored in the database (AES-256-GCM): the first one wraps, every one unwraps, so a key is
rotated by putting a new line on top. `receipt` keys (Ed25519) sign what the platform confirms to its users. The file is
named by the setting OPENLOT_KEYS_FILE; the environment variable OPENLOT_KEYS may hold the same lines instead (`;` for a
line's end).
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import rfc8785
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

RECEIPT_ALGORITHM = "Ed25519"
_KEY_SIZE = 32
_NONCE_SIZE = 12
_FORMAT = b"\x01"
_KEY_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_KINDS = ("encryption", "receipt")


class UnwrapError(Exception):
    """The secret was wrapped by a key we do not hold, for another purpose, or was changed since."""


class ReceiptError(Exception):
    """The receipt was not signed by one of the given keys, or was changed since."""


@dataclass(frozen=True, slots=True)
class Keyring:
    """Key-encryption and receipt keys by id, newest first."""

    encryption: Mapping[str, bytes] = field(repr=False)
    receipt: Mapping[str, bytes] = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> Keyring:
        """The keys of a key file's text. Raises `ValueError` with the number of the wrong line, never its content."""
        found: dict[str, dict[str, bytes]] = {kind: {} for kind in _KINDS}
        for number, line in enumerate(re.split(r"[\n;]", text), start=1):
            words = line.partition("#")[0].split()
            if not words:
                continue
            kind, key_id, key = _parse_line(words, number)
            if key_id in found[kind]:
                raise ValueError(f"line {number}: the key id {key_id} appears twice")
            found[kind][key_id] = key
        for kind, keys in found.items():
            if not keys:
                raise ValueError(f"there is no {kind} key")
        return cls(**found)

    def wrap(self, secret: bytes, *, purpose: str) -> bytes:
        """The secret encrypted under the newest key; `purpose` (what it is and whose) must be given again to unwrap."""
        key_id, key = next(iter(self.encryption.items()))
        head = _FORMAT + bytes([len(key_id)]) + key_id.encode()
        nonce = secrets.token_bytes(_NONCE_SIZE)
        return head + nonce + AESGCM(key).encrypt(nonce, secret, head + purpose.encode())

    def unwrap(self, wrapped: bytes, *, purpose: str) -> bytes:
        """The secret. Raises `UnwrapError`."""
        head, nonce, sealed = _split(bytes(wrapped))
        key = self.encryption.get(_key_id(head))
        if key is None:
            raise UnwrapError("the secret was wrapped by a key that is not in the key file")
        try:
            return AESGCM(key).decrypt(nonce, sealed, head + purpose.encode())
        except InvalidTag as error:
            raise UnwrapError("the secret does not unwrap for this purpose, or was changed") from error

    def wrapped_by_newest(self, wrapped: bytes) -> bool:
        """Whether a rotation still has to wrap this secret again (`False`) or not."""
        return _key_id(_split(bytes(wrapped))[0]) == next(iter(self.encryption))

    def sign_receipt(self, content: Mapping[str, Any]) -> dict[str, Any]:
        """`{"content", "algorithm", "key", "signature"}`: Ed25519 over RFC 8785 JSON of the first three.

        The signature is base64; content holds strings, whole numbers, booleans, null, lists and objects.
        """
        key_id, seed = next(iter(self.receipt.items()))
        receipt: dict[str, Any] = {"content": dict(content), "algorithm": RECEIPT_ALGORITHM, "key": key_id}
        signature = Ed25519PrivateKey.from_private_bytes(seed).sign(rfc8785.dumps(receipt))
        return receipt | {"signature": base64.b64encode(signature).decode()}

    def receipt_public_keys(self) -> dict[str, bytes]:
        """Raw Ed25519 public keys by id: what anybody needs to check a receipt without us."""
        return {
            key_id: Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
            for key_id, seed in self.receipt.items()
        }


def verify_receipt(receipt: Mapping[str, Any], public_keys: Mapping[str, bytes]) -> dict[str, Any]:
    """The content of a genuine receipt. Raises `ReceiptError`, whatever the shape of `receipt`."""
    try:
        signed = {name: receipt[name] for name in ("content", "algorithm", "key")}
        if signed["algorithm"] != RECEIPT_ALGORITHM:
            raise ReceiptError("the receipt is signed with an unknown algorithm")
        public = Ed25519PublicKey.from_public_bytes(public_keys[signed["key"]])
        public.verify(base64.b64decode(receipt["signature"], validate=True), rfc8785.dumps(signed))
    except (KeyError, TypeError, ValueError, InvalidSignature, rfc8785.CanonicalizationError) as error:
        raise ReceiptError("the receipt was not signed by this platform, or was changed") from error
    return dict(signed["content"])


def new_key_file_text(key_id: str) -> str:
    """The text of a fresh key file with one key of each kind."""
    lines = (f"{kind} {key_id} {base64.b64encode(secrets.token_bytes(_KEY_SIZE)).decode()}" for kind in _KINDS)
    return (
        "# Openlot's secrets. Keep a copy elsewhere: without it no sealed bid can be opened.\n"
        + "\n".join(lines)
        + "\n"
    )


def create_key_file(path: Path, key_id: str = "k1") -> bool:
    """Write a fresh key file, readable by its owner only; `False` when there is one already, which is never touched."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as out:
            out.write(new_key_file_text(key_id))
        # A hard link appears whole or not at all, and fails where another process was faster.
        os.link(draft, path)
    except FileExistsError:
        return False
    finally:
        draft.unlink()
    return True


@lru_cache(maxsize=1)
def keyring() -> Keyring:
    """This installation's keys, read once per process. Development makes its key file on first use.

    Raises `ImproperlyConfigured` in production when no keys are named: a platform that invented new keys at each
    start could not open its own bids.
    """
    text = os.environ.get("OPENLOT_KEYS", "")
    source = "OPENLOT_KEYS"
    if not text:
        path = _key_file()
        source = str(path)
        if not settings.PRODUCTION:
            create_key_file(path)
        text = _read_private(path)
    try:
        return Keyring.parse(text)
    except ValueError as error:
        raise ImproperlyConfigured(f"The keys in {source} cannot be read: {error}.") from error


def wrap(secret: bytes, *, purpose: str) -> bytes:
    """See `Keyring.wrap`."""
    return keyring().wrap(secret, purpose=purpose)


def unwrap(wrapped: bytes, *, purpose: str) -> bytes:
    """See `Keyring.unwrap`."""
    return keyring().unwrap(wrapped, purpose=purpose)


def sign_receipt(content: Mapping[str, Any]) -> dict[str, Any]:
    """See `Keyring.sign_receipt`."""
    return keyring().sign_receipt(content)


def _parse_line(words: list[str], number: int) -> tuple[str, str, bytes]:
    if len(words) != 3 or words[0] not in _KINDS or not _KEY_ID.fullmatch(words[1]):
        raise ValueError(f"line {number} is not '{'|'.join(_KINDS)} id base64'")
    try:
        key = base64.b64decode(words[2], validate=True)
    except binascii.Error:
        key = b""
    if len(key) != _KEY_SIZE:
        raise ValueError(f"line {number}: the key is not {_KEY_SIZE} bytes in base64")
    return words[0], words[1], key


def _split(wrapped: bytes) -> tuple[bytes, bytes, bytes]:
    """Head (format, key id), nonce, ciphertext."""
    end = 2 + wrapped[1] if len(wrapped) > 2 and wrapped[:1] == _FORMAT else len(wrapped)
    if len(wrapped) < end + _NONCE_SIZE + 16:
        raise UnwrapError("this is not a wrapped secret")
    return wrapped[:end], wrapped[end : end + _NONCE_SIZE], wrapped[end + _NONCE_SIZE :]


def _key_id(head: bytes) -> str:
    return head[2:].decode(errors="replace")


def _key_file() -> Path:
    named = getattr(settings, "OPENLOT_KEYS_FILE", None)
    if not named:
        raise ImproperlyConfigured(
            "Name the key file in OPENLOT_KEYS_FILE (see marketplace/shared/keys.py for its form)."
        )
    return Path(named)


def _read_private(path: Path) -> str:
    try:
        if path.stat().st_mode & 0o077:
            raise ImproperlyConfigured(f"Others can read the key file {path}: run chmod 600 on it.")
        return path.read_text()
    except OSError as error:
        raise ImproperlyConfigured(f"The key file {path} cannot be read: {error.strerror}.") from error
