"""Key files (.p12, .pfx) as the tools of several decades write them, for signing in a real browser."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from asn1crypto import core
from asn1crypto import pkcs12 as asn1_pkcs12
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.serialization import pkcs12

from marketplace.signatures.sign import Credential
from tests.patience import PATIENCE_S

#: How `openssl pkcs12 -export` is told to protect a file.
NEW = ("-keypbe", "AES-256-CBC", "-certpbe", "AES-256-CBC", "-macalg", "sha256")
OLD = ("-legacy", "-keypbe", "PBE-SHA1-3DES", "-certpbe", "PBE-SHA1-RC2-40", "-macalg", "sha1")
TRIPLE_DES_IN_PBES2 = ("-keypbe", "DES-EDE3-CBC", "-certpbe", "DES-EDE3-CBC", "-macalg", "sha1")


@dataclass(frozen=True)
class KeyFile:
    """A file, the password that its owner types, and whose key it holds."""

    name: str
    content: bytes
    typed: str
    credential: Credential


def by_openssl(credential: Credential, password: str, how: Sequence[str], folder: Path) -> bytes:
    """As OpenSSL writes it; `folder` is for its input."""
    issuers = b"".join(issuer.public_bytes(serialization.Encoding.PEM) for issuer in credential.issuers)
    (folder / "in.pem").write_bytes(credential.key_pem() + credential.pem + issuers)
    command = ["openssl", "pkcs12", "-export", "-in", "in.pem", "-passout", f"pass:{password}", *how]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=PATIENCE_S).stdout


def by_old_python(credential: Credential, password: str) -> bytes:
    """Triple DES and a SHA-1 check value, as Python's cryptography writes them for old readers."""
    protection = (
        serialization.PrivateFormat.PKCS12.encryption_builder()
        .kdf_rounds(2048)
        .key_cert_algorithm(pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC)
        .hmac_hash(hashes.SHA1())
        .build(password.encode())
    )
    return pkcs12.serialize_key_and_certificates(
        "Schlüssel".encode(), credential.key, credential.certificate, list(credential.issuers), protection
    )


def of_indefinite_length(encoded: bytes) -> bytes:
    """The same content as tools that stream write it: BER without lengths, the content in pieces."""
    file = asn1_pkcs12.Pfx.load(encoded)
    content = file["auth_safe"]["content"].native
    pieces = [core.OctetString(content[start : start + 1000]).dump() for start in range(0, len(content), 1000)]
    octets = _without_length(b"\x24", *pieces)
    wrapped = _without_length(b"\xa0", octets)
    safe = _without_length(b"\x30", file["auth_safe"]["content_type"].dump(), wrapped)
    return _without_length(b"\x30", file["version"].dump(), safe, file["mac_data"].dump())


def of_several(password: str, credentials: Sequence[Credential], folder: Path) -> bytes:
    """One file with the keys of all; OpenSSL writes one to a file, so the parts of several are put together."""
    parts = b""
    for one in credentials:
        single = asn1_pkcs12.Pfx.load(by_openssl(one, password, (*NEW, "-nomac"), folder))
        parts += core.Sequence.load(single["auth_safe"]["content"].native).contents
    safe = asn1_pkcs12.ContentInfo(
        {"content_type": "data", "content": core.OctetString(core.Sequence(contents=parts).dump())}
    )
    return bytes(asn1_pkcs12.Pfx({"version": "v3", "auth_safe": safe}).dump())


def without_key(credential: Credential, password: str) -> bytes:
    """The certificate alone, in a file of the same kind."""
    protection = serialization.BestAvailableEncryption(password.encode())
    return pkcs12.serialize_key_and_certificates(
        None, None, credential.certificate, list(credential.issuers), protection
    )


def without_certificate(credential: Credential, password: str) -> bytes:
    """The key alone."""
    return pkcs12.serialize_key_and_certificates(
        None, credential.key, None, None, serialization.BestAvailableEncryption(password.encode())
    )


def _without_length(tag: bytes, *contents: bytes) -> bytes:
    return tag + b"\x80" + b"".join(contents) + b"\x00\x00"
