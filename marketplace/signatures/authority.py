"""A demo certification authority: a root, one issuing authority under it, their revocation lists.

It makes the certificates of the demo world and of the tests. A real deployment trusts real authorities instead.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID, ObjectIdentifier

from .sign import Credential, PrivateKey, write_private

KeyType = Literal["p256", "p384", "rsa-2048", "rsa-3072", "ed25519", "rsa-1024"]
#: The platform's extended key usage when the settings name no other, under the arc kept for examples (RFC 5612).
DEFAULT_EKU = "1.3.6.1.4.1.32473.7.1"
_ORGANISATION_IDENTIFIER = ObjectIdentifier("2.5.4.97")
_KEY_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)
_CRL_LIFE = timedelta(days=30)
_BACKDATED = timedelta(hours=1)


@dataclass
class Authority:
    """Root and issuing authority. `revoked` maps serial numbers of issued certificates to the moment of revocation."""

    root: Credential
    issuing: Credential
    revoked: dict[int, datetime] = field(default_factory=dict)
    issuing_revoked_at: datetime | None = None

    @classmethod
    def create(cls, at: datetime, name: str = "Openlot Demo", key_type: KeyType = "p256") -> Authority:
        """A new authority, valid for twenty years from a year before `at`, so that past demo signatures fit in."""
        start, end = at - timedelta(days=366), at + timedelta(days=365 * 20)
        root_key, issuing_key = new_key(key_type), new_key(key_type)
        root_name, issuing_name = _name(f"{name} Root CA", name), _name(f"{name} Issuing CA", name)
        root = _authority_certificate(root_name, root_key, root_name, root_key, start, end, path_length=1)
        issuing = _authority_certificate(issuing_name, issuing_key, root_name, root_key, start, end, path_length=0)
        return cls(Credential(root, root_key), Credential(issuing, issuing_key, (root,)))

    def issue(
        self,
        *,
        person: str,
        organisation: str,
        identifiers: Sequence[str],
        at: datetime,
        country: str = "XX",
        validity: timedelta = timedelta(days=365),
        key_type: KeyType = "p256",
        eku: str | None = DEFAULT_EKU,
        key_usage: bool = True,
    ) -> Credential:
        """A certificate for a person signing for an organisation, valid from `at`.

        `identifiers` are in ETSI form, such as TINRU-7701234567. Without `eku` or `key_usage` it cannot sign here: for
        tests.
        """
        key = new_key(key_type)
        subject = x509.Name(
            [
                x509.NameAttribute(NameOID.COUNTRY_NAME, country),
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation[:64]),
                *(x509.NameAttribute(_ORGANISATION_IDENTIFIER, identifier) for identifier in identifiers),
                x509.NameAttribute(NameOID.COMMON_NAME, person[:64]),
            ]
        )
        return self.certify(subject, key, at, at + validity, eku=eku, key_usage=key_usage)

    def certify(
        self,
        subject: x509.Name,
        key: PrivateKey,
        start: datetime,
        end: datetime,
        *,
        eku: str | None = DEFAULT_EKU,
        key_usage: bool = True,
        extensions: Sequence[tuple[x509.ExtensionType, bool]] = (),
    ) -> Credential:
        """A certificate for any subject and key, with further extensions (and whether each is critical)."""
        wanted: list[tuple[x509.ExtensionType, bool]] = [(x509.BasicConstraints(ca=False, path_length=None), True)]
        if key_usage:
            wanted.append((_key_usage("digital_signature", "content_commitment"), True))
        if eku:
            wanted.append((x509.ExtendedKeyUsage([ObjectIdentifier(eku)]), False))
        certificate = _certificate(
            subject, key, self.issuing.certificate.subject, self.issuing.key, start, end, [*wanted, *extensions]
        )
        return Credential(certificate, key, (self.issuing.certificate,))

    def revoke(self, serial: int, at: datetime) -> None:
        self.revoked.setdefault(serial, at)

    def crls(self, at: datetime, life: timedelta = _CRL_LIFE) -> tuple[bytes, bytes]:
        """Both current revocation lists in DER, the root's and the issuing authority's, valid for `life` from `at`."""
        above = {self.issuing.serial: self.issuing_revoked_at} if self.issuing_revoked_at else {}
        return _crl(self.root, above, at, life), _crl(self.issuing, self.revoked, at, life)

    def save(self, folder: Path) -> None:
        """Write keys, certificates and revocations to a folder that only its owner can enter."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        for label, credential in (("root", self.root), ("issuing", self.issuing)):
            write_private(folder / f"{label}.key.pem", credential.key_pem())
            write_private(folder / f"{label}.crt.pem", credential.pem)
        revoked = {str(serial): moment.isoformat() for serial, moment in self.revoked.items()}
        write_private(folder / "revoked.json", json.dumps(revoked, indent=1).encode())

    @classmethod
    def load(cls, folder: Path) -> Authority:
        """Raises `FileNotFoundError` when none was saved there."""
        root = Credential(*_read(folder, "root"))
        issuing = Credential(*_read(folder, "issuing"), issuers=(root.certificate,))
        revoked = json.loads((folder / "revoked.json").read_text())
        return cls(root, issuing, {int(serial): datetime.fromisoformat(at) for serial, at in revoked.items()})


def new_key(key_type: KeyType) -> PrivateKey:
    match key_type:
        case "p256":
            return ec.generate_private_key(ec.SECP256R1())
        case "p384":
            return ec.generate_private_key(ec.SECP384R1())
        case "ed25519":
            return ed25519.Ed25519PrivateKey.generate()
        case _:
            return rsa.generate_private_key(public_exponent=65537, key_size=int(key_type.removeprefix("rsa-")))


def _authority_certificate(
    subject: x509.Name,
    key: PrivateKey,
    issuer: x509.Name,
    issuer_key: PrivateKey,
    start: datetime,
    end: datetime,
    *,
    path_length: int,
) -> x509.Certificate:
    extensions: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(ca=True, path_length=path_length), True),
        (_key_usage("key_cert_sign", "crl_sign"), True),
    ]
    return _certificate(subject, key, issuer, issuer_key, start, end, extensions)


def _certificate(
    subject: x509.Name,
    key: PrivateKey,
    issuer: x509.Name,
    issuer_key: PrivateKey,
    start: datetime,
    end: datetime,
    extensions: Sequence[tuple[x509.ExtensionType, bool]],
) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start.astimezone(UTC))
        .not_valid_after(end.astimezone(UTC))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(issuer_key, _hash_for(issuer_key))


def _crl(issuer: Credential, revoked: dict[int, datetime], at: datetime, life: timedelta) -> bytes:
    start = at.astimezone(UTC) - _BACKDATED
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(start)
        .next_update(start + life)
        .add_extension(x509.CRLNumber(int(at.timestamp())), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()), critical=False)
    )
    for serial, moment in revoked.items():
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(moment.astimezone(UTC))
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(issuer.key, _hash_for(issuer.key)).public_bytes(serialization.Encoding.DER)


def _name(common_name: str, organisation: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _key_usage(*granted: str) -> x509.KeyUsage:
    return x509.KeyUsage(**{usage: usage in granted for usage in _KEY_USAGES})


def _hash_for(key: PrivateKey) -> hashes.SHA256 | hashes.SHA384 | None:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return None
    return hashes.SHA384() if isinstance(key, ec.EllipticCurvePrivateKey) and key.key_size > 256 else hashes.SHA256()


def _read(folder: Path, label: str) -> tuple[x509.Certificate, PrivateKey]:
    certificate = x509.load_pem_x509_certificate((folder / f"{label}.crt.pem").read_bytes())
    key = serialization.load_pem_private_key((folder / f"{label}.key.pem").read_bytes(), password=None)
    assert isinstance(key, PrivateKey)
    return certificate, key
