"""CAdES-B signatures made in Python: for simulated bidders, the demo world and tests. People sign in their browser."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import pkcs12

from . import der

_OCTET_STRING, _UTC_TIME, _SEQUENCE, _SET, _UNSIGNED, _NULL = 0x04, 0x17, 0x30, 0x31, 0xA1, b"\x05\x00"


def _tlv(tag: int, *contents: bytes) -> bytes:
    content = b"".join(contents)
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets + content


def _sequence(*members: bytes) -> bytes:
    return _tlv(_SEQUENCE, *members)


def _integer(value: int) -> bytes:
    return _tlv(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def oid(dotted: str) -> bytes:
    """An encoded object identifier."""
    first, second, *rest = map(int, dotted.split("."))
    content = bytearray()
    for arc in (40 * first + second, *rest):
        groups = [arc & 0x7F]
        while arc := arc >> 7:
            groups.append(0x80 | arc & 0x7F)
        content += bytes(reversed(groups))
    return _tlv(0x06, bytes(content))


CONTENT_TYPE = oid("1.2.840.113549.1.9.3")
MESSAGE_DIGEST = oid("1.2.840.113549.1.9.4")
SIGNING_TIME = oid("1.2.840.113549.1.9.5")
SIGNING_CERTIFICATE_V2 = oid("1.2.840.113549.1.9.16.2.47")
_DATA = oid("1.2.840.113549.1.7.1")
_SIGNED_DATA = oid("1.2.840.113549.1.7.2")
_HASH_OIDS = {
    "sha1": oid("1.3.14.3.2.26"),
    "sha256": oid("2.16.840.1.101.3.4.2.1"),
    "sha384": oid("2.16.840.1.101.3.4.2.2"),
    "sha512": oid("2.16.840.1.101.3.4.2.3"),
}
_RSA_OIDS = {
    "sha1": oid("1.2.840.113549.1.1.5"),
    "sha256": oid("1.2.840.113549.1.1.11"),
    "sha384": oid("1.2.840.113549.1.1.12"),
    "sha512": oid("1.2.840.113549.1.1.13"),
}
_ECDSA_OIDS = {
    "sha1": oid("1.2.840.10045.4.1"),
    "sha256": oid("1.2.840.10045.4.3.2"),
    "sha384": oid("1.2.840.10045.4.3.3"),
    "sha512": oid("1.2.840.10045.4.3.4"),
}
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
_HASHES = {"sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512(), "sha1": hashes.SHA1()}
#: PKCS #12 with PBES2 (PBKDF2-HMAC-SHA256, AES-256-CBC): the form a browser's WebCrypto can open.
_P12_ROUNDS = 100_000


@dataclass(frozen=True)
class Credential:
    """A certificate with its private key and the authorities above it, from the issuer upwards."""

    certificate: x509.Certificate
    key: PrivateKey = field(repr=False)
    issuers: tuple[x509.Certificate, ...] = ()

    @cached_property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @cached_property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def serial(self) -> int:
        return self.certificate.serial_number

    def key_pem(self) -> bytes:
        """The private key as unencrypted PKCS #8 PEM."""
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def p12(self, password: str, name: str = "signature") -> bytes:
        """A PKCS #12 file with key, certificate and issuers, as a person would hold it."""
        protection = (
            serialization.PrivateFormat.PKCS12.encryption_builder()
            .kdf_rounds(_P12_ROUNDS)
            .key_cert_algorithm(pkcs12.PBES.PBESv2SHA256AndAES256CBC)
            .hmac_hash(hashes.SHA256())
            .build(password.encode())
        )
        return pkcs12.serialize_key_and_certificates(
            name.encode(), self.key, self.certificate, list(self.issuers), protection
        )

    def save(self, path: Path, password: str) -> list[Path]:
        """Write `path`.p12, .crt.pem (with the issuers) and .key.pem, each readable by its owner only."""
        issuers = b"".join(issuer.public_bytes(serialization.Encoding.PEM) for issuer in self.issuers)
        contents = {".p12": self.p12(password), ".crt.pem": self.pem + issuers, ".key.pem": self.key_pem()}
        written = [path.with_name(path.name + suffix) for suffix in contents]
        for file, content in zip(written, contents.values(), strict=True):
            write_private(file, content)
        return written

    @classmethod
    def from_p12(cls, encoded: bytes, password: str) -> Credential:
        """Raises `ValueError` for a wrong password or a file that is no PKCS #12."""
        key, certificate, issuers = pkcs12.load_key_and_certificates(encoded, password.encode())
        if certificate is None or not isinstance(key, PrivateKey):
            raise ValueError("the file holds no certificate with a usable key")
        return cls(certificate, key, tuple(issuers))

    def value_over(self, message: bytes) -> bytes:
        """The bare signature value over a message, with SHA-256 where the key leaves a choice."""
        return _signature(message, self.key, "sha256", pss=False)[1]

    @cached_property
    def sid(self) -> bytes:
        """IssuerAndSerialNumber, encoded."""
        return _sequence(self.certificate.issuer.public_bytes(), _integer(self.serial))

    @cached_property
    def certificate_set(self) -> bytes:
        """The certificates of a CMS signature, encoded."""
        chain = [self.der, *(issuer.public_bytes(serialization.Encoding.DER) for issuer in self.issuers)]
        return _tlv(0xA0, *sorted(chain))

    @cached_property
    def reference(self) -> bytes:
        """The signed attribute signing-certificate-v2, encoded, with the certificate's SHA-256."""
        hashed = _sequence(_tlv(_OCTET_STRING, hashlib.sha256(self.der).digest()))
        return attribute(SIGNING_CERTIFICATE_V2, _sequence(_sequence(hashed)))


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner can read, from the first byte on."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        out.write(content)


def sign(payload: bytes, credential: Credential, at: datetime, *, digest: str = "sha256", pss: bool = False) -> bytes:
    """A detached CAdES-B signature in DER, with `at` as the claimed signing time. With P-256 some 40 µs."""
    return assemble(signed_attributes(payload, credential, at, digest), credential, digest=digest, pss=pss)


def attribute(kind: bytes, *values: bytes) -> bytes:
    """A CMS attribute from an encoded OID and encoded values."""
    return _sequence(kind, _tlv(_SET, *values))


def signed_attributes(payload: bytes, credential: Credential, at: datetime, digest: str = "sha256") -> list[bytes]:
    """The four mandatory attributes of the profile, encoded."""
    claimed = at.astimezone(UTC).strftime("%y%m%d%H%M%SZ").encode()
    return [
        attribute(CONTENT_TYPE, _DATA),
        attribute(SIGNING_TIME, _tlv(_UTC_TIME, claimed)),
        attribute(MESSAGE_DIGEST, _tlv(_OCTET_STRING, hashlib.new(digest, payload).digest())),
        credential.reference,
    ]


def assemble(
    attributes: Sequence[bytes],
    credential: Credential,
    *,
    digest: str = "sha256",
    pss: bool = False,
    content: bytes | None = None,
) -> bytes:
    """The signature over the given attributes, sorted as DER wants them; `content` makes it an attached one."""
    ordered = b"".join(sorted(attributes))
    hash_algorithm = _sequence(_HASH_OIDS[digest])
    scheme, value = _signature(_tlv(_SET, ordered), credential.key, digest, pss)
    signer = _sequence(
        _integer(1),
        credential.sid,
        hash_algorithm,
        _tlv(0xA0, ordered) if ordered else b"",
        scheme,
        _tlv(_OCTET_STRING, value),
    )
    inside = b"" if content is None else _tlv(0xA0, _tlv(_OCTET_STRING, content))
    signed = _sequence(
        _integer(1),
        _tlv(_SET, hash_algorithm),
        _sequence(_DATA, inside),
        credential.certificate_set,
        _tlv(_SET, signer),
    )
    return _sequence(_SIGNED_DATA, _tlv(0xA0, signed))


def with_unsigned(signature: bytes, attribute: bytes) -> bytes:
    """A CMS signature of one signer with one more unsigned attribute, encoded. Nothing that is signed changes.

    Raises `der.DerError` or `ValueError` when it is none. By hand: asn1crypto takes exponential time to write what was
    changed deep inside.
    """
    kind, (_, wrapped, _) = der.members(signature, *der.content(signature))
    ((_, inside, _),) = der.members(signature, *wrapped)
    *before, (_, signers, _) = der.members(signature, *inside)
    ((_, parts, _),) = der.members(signature, *signers)
    kept, attributes = b"", [attribute]
    for tag, content, (start, end) in der.members(signature, *parts):
        if tag == _UNSIGNED:
            attributes += [signature[slice(*whole)] for _, _, whole in der.members(signature, *content)]
        else:
            kept += signature[start:end]
    signer = _sequence(kept, _tlv(_UNSIGNED, *sorted(attributes)))
    head = b"".join(signature[slice(*whole)] for _, _, whole in before)
    return _sequence(signature[slice(*kind[2])], _tlv(0xA0, _sequence(head, _tlv(_SET, signer))))


def _signature(message: bytes, key: PrivateKey, digest: str, pss: bool) -> tuple[bytes, bytes]:
    """The encoded algorithm and the value."""
    function = _HASHES[digest]
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return _sequence(oid("1.3.101.112")), key.sign(message)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return _sequence(_ECDSA_OIDS[digest]), key.sign(message, ec.ECDSA(function))
    if not pss:
        return _sequence(_RSA_OIDS[digest], _NULL), key.sign(message, padding.PKCS1v15(), function)
    hash_algorithm = _sequence(_HASH_OIDS[digest])
    parameters = _sequence(
        _tlv(0xA0, hash_algorithm),
        _tlv(0xA1, _sequence(oid("1.2.840.113549.1.1.8"), hash_algorithm)),
        _tlv(0xA2, _integer(function.digest_size)),
    )
    value = key.sign(message, padding.PSS(padding.MGF1(function), function.digest_size), function)
    return _sequence(oid("1.2.840.113549.1.1.10"), parameters), value
