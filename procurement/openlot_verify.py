#!/usr/bin/env python3
"""openlot-verify: checks the export of a procedure without the platform that made it.

    openlot-verify EXPORT.zip [--platform-key FINGERPRINT] [--trust DIR] [--receipt FILE] [--proof FILE] [--json]
    openlot-verify PROOF.json [--platform-key FINGERPRINT]

EXPORT is the archive or a folder with its content; a single receipt or proof is checked alone. Every check is printed
with ok, FAILED or "not checkable" and why. Exit status: 0 when nothing failed and nothing is missing that an export
must hold, 1 otherwise, 2 when there is nothing to check (unreadable, hostile, wrong usage).

This file stands alone, on purpose in one piece: copy it anywhere, it needs Python 3.11 and the packages cryptography,
asn1crypto and rfc8785, and shares no code with the platform that it checks. It reads and prints; it writes nothing,
unpacks nothing to disk and fetches nothing.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import sys
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

import rfc8785

# asn1crypto.tsp teaches asn1crypto.cms the attributes and content type of time stamps and signing-certificate-v2.
from asn1crypto import cms, tsp
from cryptography import x509
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

try:
    from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
except ImportError:  # an older cryptography: everything but opening bids with a disclosed key can still be checked
    Suite = None  # type: ignore[assignment,misc]

# Bounds: a hostile archive costs neither memory nor hours.
MOST_FILES = 500_000
LARGEST_FILE = 64 * 1024 * 1024
LARGEST_LINES = 2 * 1024 * 1024 * 1024
LARGEST_LINE = 1024 * 1024
LARGEST_TOTAL = 8 * 1024 * 1024 * 1024
LARGEST_SIGNATURE = 256 * 1024
LARGEST_DOCUMENT = 256 * 1024
WORST_RATIO = 1000
LONGEST_NAME = 200
LONGEST_CHAIN = 8
MOST_CERTIFICATES = 200
MIN_RSA = 2048

GENESIS = "0" * 64
TOLERANCE = timedelta(seconds=60)
SEALED_STATES = {"published", "opening", "evaluation", "auction", "cancelled"}
HASHES: Mapping[str, type[hashes.SHA256 | hashes.SHA384 | hashes.SHA512]] = {
    "sha256": hashes.SHA256,
    "sha384": hashes.SHA384,
    "sha512": hashes.SHA512,
}
ORGANISATION_IDENTIFIER = x509.ObjectIdentifier("2.5.4.97")
KNOWN_CRITICAL = {
    ExtensionOID.BASIC_CONSTRAINTS,
    ExtensionOID.KEY_USAGE,
    ExtensionOID.EXTENDED_KEY_USAGE,
    ExtensionOID.CERTIFICATE_POLICIES,
    ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
}

OK, FAILED, UNCHECKED = "ok", "FAILED", "not checkable"


class Unreadable(Exception):
    """There is nothing to check; the message says why."""


class Wrong(Exception):
    """A check did not hold; the message says why."""


class Unknown(Exception):
    """A check that should be possible is not; the message says why."""


# Findings ------------------------------------------------------------------------------------------------------------


@dataclass
class Check:
    """One check. `by_design`: this kind of export never lets anybody check it, so that it is no failure."""

    name: str
    status: str
    why: str
    by_design: bool = False


@dataclass
class Report:
    checks: list[Check] = field(default_factory=list)

    def ok(self, name: str, why: str = "") -> None:
        self.checks.append(Check(name, OK, why))

    def failed(self, name: str, why: str) -> None:
        self.checks.append(Check(name, FAILED, why))

    def unchecked(self, name: str, why: str, *, by_design: bool) -> None:
        self.checks.append(Check(name, UNCHECKED, why, by_design))

    def holds(self) -> bool:
        return all(check.status == OK or check.by_design for check in self.checks)

    @contextmanager
    def checking(self, name: str, why: str = "") -> Iterator[None]:
        """What is inside holds, or says why not. Whatever hostile input raises is a failure, never a pass."""
        try:
            yield
        except Wrong as error:
            self.failed(name, str(error))
        except Unknown as error:
            self.unchecked(name, str(error), by_design=False)
        except Exception as error:  # noqa: BLE001 – parsers raise what they like on hostile bytes
            self.failed(name, f"it cannot be read ({type(error).__name__}: {str(error)[:120]})")
        else:
            self.ok(name, why)


def require(holds: bool, why: str) -> None:
    if not holds:
        raise Wrong(why)


# The export's files --------------------------------------------------------------------------------------------------


class Export:
    """The files of an archive or a folder, by name, read within bounds."""

    def __init__(self, path: Path) -> None:
        self._zip: zipfile.ZipFile | None = None
        self._folder = path
        self.sizes: dict[str, int] = {}
        try:
            if path.is_dir():
                self._list_folder()
            else:
                self._zip = zipfile.ZipFile(path)
                self._list_archive(self._zip)
        except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError) as error:
            raise Unreadable(f"{path.name} is neither a folder nor a readable ZIP archive ({error}).") from error
        if sum(self.sizes.values()) > LARGEST_TOTAL:
            raise Unreadable("The export is larger than this program reads.")

    def names(self, folder: str = "") -> list[str]:
        return sorted(name for name in self.sizes if name.startswith(folder))

    def __contains__(self, name: str) -> bool:
        return name in self.sizes

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        if name not in self.sizes:
            raise Wrong(f"{name} is missing")
        if self._zip is not None:
            with self._zip.open(name) as stream:
                yield stream
        else:
            with (self._folder / name).open("rb") as stream:
                yield stream

    def read(self, name: str, limit: int = LARGEST_FILE) -> bytes:
        with self.open(name) as stream:
            found = stream.read(limit + 1)
        require(len(found) <= limit, f"{name} is larger than {limit} bytes")
        return found

    def json(self, name: str) -> Any:
        return json.loads(self.read(name))

    def lines(self, name: str) -> Iterator[bytes]:
        """The lines of a file of any length, one in memory at a time."""
        with self.open(name) as stream:
            read = 0
            while line := stream.readline(LARGEST_LINE + 1):
                read += len(line)
                require(
                    len(line) <= LARGEST_LINE and read <= LARGEST_LINES, f"{name} has a line or a size beyond bounds"
                )
                yield line

    def digest(self, name: str) -> tuple[int, str]:
        """Size and SHA-256 of a file of any length."""
        digest, size = hashlib.sha256(), 0
        with self.open(name) as stream:
            while chunk := stream.read(256 * 1024):
                digest.update(chunk)
                size += len(chunk)
                require(size <= LARGEST_LINES, f"{name} is larger than this program reads")
        return size, digest.hexdigest()

    def _list_archive(self, archive: zipfile.ZipFile) -> None:
        for entry in archive.infolist():
            if entry.is_dir():
                continue
            self._add(entry.filename, entry.file_size)
            if entry.flag_bits & 1:
                raise Unreadable(f"{entry.filename} is encrypted.")
            if entry.external_attr >> 16 & 0o170000 not in (0, 0o100000):
                raise Unreadable(f"{entry.filename} is no plain file.")
            if entry.file_size > 1024 * 1024 and entry.file_size > WORST_RATIO * max(1, entry.compress_size):
                raise Unreadable(f"{entry.filename} unpacks to more than {WORST_RATIO} times its size.")

    def _list_folder(self) -> None:
        for path in self._folder.rglob("*"):
            if path.is_symlink():
                raise Unreadable(f"{path.name} is a link.")
            if path.is_file():
                self._add(path.relative_to(self._folder).as_posix(), path.stat().st_size)

    def _add(self, name: str, size: int) -> None:
        parts = name.split("/")
        if (
            name.startswith("/")
            or "\\" in name
            or "\0" in name
            or ":" in name
            or any(p in ("", ".", "..") for p in parts)
        ):
            raise Unreadable(f"A file has a name that leads elsewhere: {name[:LONGEST_NAME]!r}.")
        if name in self.sizes:
            raise Unreadable(f"Two files have the name {name[:LONGEST_NAME]!r}.")
        if len(name) > LONGEST_NAME or len(self.sizes) >= MOST_FILES:
            raise Unreadable("The export holds too many files, or names that are too long.")
        self.sizes[name] = size


# Small parts ---------------------------------------------------------------------------------------------------------


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def canonical(content: Any) -> bytes:
    return bytes(rfc8785.dumps(content))


def moment(text: Any) -> datetime:
    found = datetime.fromisoformat(str(text))
    require(found.tzinfo is not None, f"{text} is a time without zone")
    return found.astimezone(UTC)


def amount(text: Any) -> Decimal:
    try:
        found = Decimal(str(text))
    except InvalidOperation:
        raise Wrong(f"{str(text)[:40]!r} is no amount") from None
    require(found.is_finite(), "an amount is not a number")
    return found


def leaf_hash(leaf: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def merkle_root(leaves: Sequence[bytes]) -> bytes:
    """RFC 9162, 2.1.1."""
    level = list(leaves)
    while len(level) > 1:
        level = [
            node_hash(level[at], level[at + 1]) if at + 1 < len(level) else level[at] for at in range(0, len(level), 2)
        ]
    return level[0] if level else hashlib.sha256(b"").digest()


def leads(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """RFC 9162, 2.1.3.2."""
    if type(index) is not int or type(size) is not int or not 0 <= index < size or len(path) > 64:
        return False
    place, last, found = index, size - 1, leaf
    for neighbour in path:
        if last == 0 or len(neighbour) != 32:
            return False
        if place & 1 or place == last:
            found = node_hash(neighbour, found)
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            found = node_hash(found, neighbour)
        place, last = place >> 1, last >> 1
    return last == 0 and found == root


# The platform's own signatures: receipts, the roll's statement, the index --------------------------------------------


@dataclass
class Platform:
    """Receipt keys that count, by their name: raw Ed25519 public keys."""

    keys: Mapping[str, bytes]

    def content(self, signed: Any) -> Any:
        """What the platform signed. Raises Wrong."""
        require(
            isinstance(signed, dict) and set(signed) >= {"content", "algorithm", "key", "signature"}, "it is not signed"
        )
        require(signed["algorithm"] == "Ed25519", "it is signed with another algorithm than Ed25519")
        key = self.keys.get(str(signed["key"]))
        require(key is not None, f"it is signed with a key that does not count here ({signed['key']})")
        assert key is not None
        message = canonical({name: signed[name] for name in ("content", "algorithm", "key")})
        try:
            value = base64.b64decode(signed["signature"], validate=True)
            ed25519.Ed25519PublicKey.from_public_bytes(key).verify(value, message)
        except InvalidSignature:
            raise Wrong("the platform's signature does not verify: it was changed, or signed by another") from None
        return signed["content"]


def platform_of(found: Any, wanted: Sequence[str], report: Report) -> Platform:
    """The keys in the export that are the named ones; all of them where none is named, to be compared by a person."""
    keys = {str(name): base64.b64decode(key, validate=True) for name, key in found["keys"].items()}
    prints = {name: sha256(key) for name, key in keys.items()}
    said = ", ".join(f"{name}: {digest}" for name, digest in prints.items())
    if not wanted:
        report.unchecked(
            "platform key", f"compare the fingerprint with one you noted elsewhere: {said}", by_design=True
        )
        return Platform(keys)
    clean = {one.replace(":", "").replace(" ", "").lower() for one in wanted}
    counting = {name: key for name, key in keys.items() if prints[name] in clean}
    with report.checking("platform key", ", ".join(f"{name}: {prints[name]}" for name in counting)):
        require(bool(counting), f"none of the keys has the fingerprint you gave; they are {said}")
    return Platform(counting)


# Certificates --------------------------------------------------------------------------------------------------------


@dataclass
class Evidence:
    """Certificates and revocation data that the export brings. Nothing of it is believed for being there."""

    anchors: list[x509.Certificate] = field(default_factory=list)
    stamp_anchors: list[x509.Certificate] = field(default_factory=list)
    certificates: list[x509.Certificate] = field(default_factory=list)
    lists: list[x509.CertificateRevocationList] = field(default_factory=list)
    answers: list[ocsp.OCSPResponse] = field(default_factory=list)
    eku: str | None = None

    def path(
        self,
        leaf: x509.Certificate,
        more: Iterable[x509.Certificate],
        anchors: Sequence[x509.Certificate],
        at: datetime,
    ) -> list[x509.Certificate]:
        """From the leaf to an anchor, all valid at `at`. Raises Wrong."""
        require(bool(anchors), "no authority is trusted for it")
        known = [*self.certificates, *more][:MOST_CERTIFICATES]
        reasons: list[str] = []
        found = self._above([leaf], known, anchors, at, reasons)
        if found is None:
            raise Wrong(reasons[0] if reasons else "its certificate leads to none of the trusted authorities")
        return found

    def _above(
        self,
        path: list[x509.Certificate],
        known: Sequence[x509.Certificate],
        anchors: Sequence[x509.Certificate],
        at: datetime,
        reasons: list[str],
    ) -> list[x509.Certificate] | None:
        below = path[-1]
        if not _valid_at(below, at):
            reasons.append(f"{_name(below)} was not valid on {at:%Y-%m-%d %H:%M} UTC")
            return None
        if len(path) > LONGEST_CHAIN:
            return None
        for anchor in anchors:
            if _issued(anchor, below) and _may_issue(anchor, len(path) - 1):
                return [*path, anchor]
        for authority in known:
            if authority in path or not _issued(authority, below):
                continue
            if not _may_issue(authority, len(path) - 1):
                reasons.append(f"{_name(authority)} may not issue certificates here")
                continue
            further = self._above([*path, authority], known, anchors, at, reasons)
            if further is not None:
                return further
        return None

    def require_unrevoked(self, path: Sequence[x509.Certificate], at: datetime) -> str:
        """That nobody on the path was revoked at `at`. Raises Wrong or Unknown; returns by what it is known."""
        return "; ".join(self._status(certificate, issuer, at) for certificate, issuer in pairwise(path))

    def _status(self, certificate: x509.Certificate, issuer: x509.Certificate, at: datetime) -> str:
        known = None
        for found in self.lists:
            # A list after the moment in question says all the more; one that ended before it says nothing.
            if found.issuer != certificate.issuer or not _is_plain(found) or not _list_signed(found, issuer):
                continue
            if found.next_update_utc is None or found.next_update_utc < at:
                continue
            entry = found.get_revoked_certificate_by_serial_number(certificate.serial_number)
            if entry is not None and entry.revocation_date_utc <= at:
                raise Wrong(f"{_name(certificate)} was revoked on {entry.revocation_date_utc:%Y-%m-%d %H:%M} UTC")
            known = f"{_name(certificate)}: list of {found.last_update_utc:%Y-%m-%d %H:%M} UTC"
        for answer in self.answers:
            said = _answered(answer, certificate, issuer, at)
            known = said or known
        if known is None:
            raise Unknown(f"nothing in the export tells whether {_name(certificate)} was revoked on {at:%Y-%m-%d}")
        return known


def _name(certificate: x509.Certificate) -> str:
    text = certificate.subject.rfc4514_string()[:120]
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


def _valid_at(certificate: x509.Certificate, at: datetime) -> bool:
    return certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc


def _issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    if issuer.subject != certificate.issuer:
        return False
    try:
        _require_strong(issuer.public_key())
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, TypeError, ValueError, Wrong):
        return False
    return certificate.signature_hash_algorithm is None or certificate.signature_hash_algorithm.name in HASHES


def _may_issue(authority: x509.Certificate, below: int) -> bool:
    """Whether it is an authority that allows `below` further ones under it."""
    try:
        constraints = authority.extensions.get_extension_for_class(x509.BasicConstraints).value
        if not constraints.ca or (constraints.path_length is not None and constraints.path_length < below):
            return False
        usage = authority.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound as error:
        return error.oid == ExtensionOID.KEY_USAGE
    return usage.key_cert_sign


def _require_known_extensions(path: Sequence[x509.Certificate]) -> None:
    for certificate in path:
        for extension in certificate.extensions:
            if extension.oid == ExtensionOID.NAME_CONSTRAINTS:
                raise Unknown(f"{_name(certificate)} sets name constraints, which this program does not evaluate")
            if extension.critical and extension.oid not in KNOWN_CRITICAL:
                raise Wrong(
                    f"{_name(certificate)} has a critical extension nobody knows ({extension.oid.dotted_string})"
                )


def _is_plain(found: x509.CertificateRevocationList) -> bool:
    """Neither partial nor indirect: such a list says nothing about what is not in it."""
    special = {ExtensionOID.DELTA_CRL_INDICATOR, ExtensionOID.ISSUING_DISTRIBUTION_POINT}
    return not any(extension.oid in special or _is_odd(extension) for extension in found.extensions)


def _is_odd(extension: x509.Extension[Any]) -> bool:
    return extension.critical and isinstance(extension.value, x509.UnrecognizedExtension)


def _list_signed(found: x509.CertificateRevocationList, issuer: x509.Certificate) -> bool:
    try:
        return found.issuer == issuer.subject and found.is_signature_valid(issuer.public_key())  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False


def _answered(
    answer: ocsp.OCSPResponse, certificate: x509.Certificate, issuer: x509.Certificate, at: datetime
) -> str | None:
    """What an OCSP answer says of the certificate; None where it is about another or not to be believed."""
    if (
        answer.response_status != ocsp.OCSPResponseStatus.SUCCESSFUL
        or answer.serial_number != certificate.serial_number
    ):
        return None
    digest = hashlib.new(answer.hash_algorithm.name, issuer.subject.public_bytes()).digest()
    if digest != answer.issuer_name_hash:
        return None
    signers = [
        issuer,
        *(one for one in answer.certificates if _issued(issuer, one) and _answers(one) and _valid_at(one, at)),
    ]
    for signer in signers:
        try:
            verify_value(
                signer.public_key(), answer.signature, answer.tbs_response_bytes,
                answer.signature_hash_algorithm.name if answer.signature_hash_algorithm else None,
            )  # fmt: skip
        except Wrong:
            continue
        if answer.next_update_utc is not None and answer.next_update_utc < at:
            return None
        if answer.certificate_status == ocsp.OCSPCertStatus.REVOKED:
            when = answer.revocation_time_utc
            require(when is not None and when > at, f"{_name(certificate)} was revoked on {when:%Y-%m-%d %H:%M} UTC")
        elif answer.certificate_status != ocsp.OCSPCertStatus.GOOD:
            return None
        return f"{_name(certificate)}: answer of {answer.this_update_utc:%Y-%m-%d %H:%M} UTC"
    return None


def _answers(certificate: x509.Certificate) -> bool:
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return False
    return ExtendedKeyUsageOID.OCSP_SIGNING in usage


# CMS -----------------------------------------------------------------------------------------------------------------


@dataclass
class Signed:
    """A CMS signature that verifies under its signer's certificate."""

    certificate: x509.Certificate
    others: list[x509.Certificate]
    value: bytes
    claimed_at: datetime | None


def _require_strong(key: Any) -> None:
    if isinstance(key, rsa.RSAPublicKey):
        require(MIN_RSA <= key.key_size <= 16384, f"an RSA key of {key.key_size} bits is too weak")
    elif isinstance(key, ec.EllipticCurvePublicKey):
        require(key.curve.name in {"secp256r1", "secp384r1", "secp521r1"}, "an unknown elliptic curve")
    else:
        require(isinstance(key, ed25519.Ed25519PublicKey), "an unknown kind of key")


def verify_value(key: Any, value: bytes, message: bytes, hash_name: str | None, pss: Any = None) -> None:
    """Raises Wrong unless `value` is the key's signature over `message`."""
    _require_strong(key)
    try:
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(value, message)
            return
        require(hash_name in HASHES, f"the hash function {hash_name} is too weak or unknown")
        algorithm = HASHES[str(hash_name)]()
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(value, message, ec.ECDSA(algorithm))
        else:
            key.verify(value, message, padding.PKCS1v15() if pss is None else _pss(pss), algorithm)
    except InvalidSignature:
        raise Wrong("its value does not verify under the signer's certificate") from None


def _pss(parameters: Any) -> padding.PSS:
    mask = parameters["mask_gen_algorithm"]
    name = mask["parameters"]["algorithm"].native
    require(mask["algorithm"].native == "mgf1" and name in HASHES, "the parameters of RSA-PSS are unknown")
    return padding.PSS(padding.MGF1(HASHES[name]()), int(parameters["salt_length"].native))


def take_apart(encoded: bytes, content: bytes | None, content_type: str) -> tuple[Signed, bytes]:
    """Check form, digest, reference to the certificate and value of a CMS signature over `content`, which is in it
    where none is given. Raises Wrong. Returns the signature and the content."""
    require(0 < len(encoded) <= LARGEST_SIGNATURE, "it is empty or too large")
    envelope = cms.ContentInfo.load(encoded, strict=True)
    require(envelope["content_type"].native == "signed_data", "it is no CMS signature")
    signed_data = envelope["content"]
    inside = signed_data["encap_content_info"]
    require(inside["content_type"].native == content_type, "it is a signature over content of another type")
    if content is None:
        content = bytes(inside["content"])
    else:
        require(inside["content"].native is None, "it carries another document inside")
    require(len(signed_data["signer_infos"]) == 1, "it does not have exactly one signer")
    signer = signed_data["signer_infos"][0]
    attributes = signer["signed_attrs"]
    require(bool(attributes) and len(attributes) <= 64, "it has no signed attributes")
    values: dict[str, Any] = {}
    for attribute in attributes:
        name = attribute["type"].native
        require(name not in values and len(attribute["values"]) == 1, f"the attribute {name} is there twice")
        values[name] = attribute["values"][0]
    digest_name = signer["digest_algorithm"]["algorithm"].native
    require(digest_name in HASHES, f"the hash function {digest_name} is too weak or unknown")
    require("content_type" in values and values["content_type"].native == content_type, "its content type is another's")
    require("message_digest" in values, "it does not say what it is a signature of")
    require(
        hashlib.new(digest_name, content).digest() == values["message_digest"].native,
        "it is not a signature of this document: the digest differs",
    )
    certificates = [
        x509.load_der_x509_certificate(choice.chosen.dump()) for choice in list(signed_data["certificates"] or ())[:20]
    ]
    certificate = _referred(values, certificates)
    raw = attributes.dump()
    algorithm = signer["signature_algorithm"]
    scheme = algorithm.signature_algo
    hash_name, pss = (None, None) if scheme == "ed25519" else (_hash_of(algorithm, digest_name), None)
    if scheme == "rsassa_pss":
        pss = algorithm["parameters"]
        require(pss["hash_algorithm"]["algorithm"].native == digest_name, "its hash functions differ")
    require(hash_name in (None, digest_name), "its hash functions differ")
    value = bytes(signer["signature"].native)
    verify_value(certificate.public_key(), value, b"\x31" + raw[1:], hash_name, pss)
    claimed = values["signing_time"].native if "signing_time" in values else None
    return Signed(certificate, [one for one in certificates if one != certificate], value, claimed), content


def _hash_of(algorithm: Any, digest_name: str) -> str:
    try:
        return str(algorithm.hash_algo)
    except ValueError:  # plain RSA names none: it is the digest's
        return digest_name


def _referred(values: Mapping[str, Any], certificates: Sequence[x509.Certificate]) -> x509.Certificate:
    """The certificate that the signer pinned by its hash: signing-certificate-v2."""
    require("signing_certificate_v2" in values, "it does not pin the signer's certificate (signing-certificate-v2)")
    reference = values["signing_certificate_v2"]["certs"][0]
    name = reference["hash_algorithm"]["algorithm"].native
    require(name in HASHES, "it pins the signer's certificate by a weak hash function")
    for certificate in certificates:
        if hashlib.new(name, certificate.public_bytes(Encoding.DER)).digest() == reference["cert_hash"].native:
            return certificate
    raise Wrong("the certificate that the signer pinned is not in it")


def stamped_at(token: bytes, message: bytes, evidence: Evidence) -> tuple[datetime, str]:
    """The time that a trusted authority gives `message`, and by what that is known. Raises Wrong or Unknown."""
    signed, content = take_apart(token, None, "tst_info")
    info = tsp.TSTInfo.load(content)
    imprint = info["message_imprint"]
    name = imprint["hash_algorithm"]["algorithm"].native
    require(name in HASHES, "the time stamp uses a weak hash function")
    require(
        hashlib.new(name, message).digest() == imprint["hashed_message"].native,
        "it is the time stamp of something else",
    )
    at: datetime = info["gen_time"].native
    path = evidence.path(signed.certificate, signed.others, evidence.stamp_anchors, at)
    usage = signed.certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    require(
        usage.critical and list(usage.value) == [ExtendedKeyUsageOID.TIME_STAMPING],
        "its certificate is not one for time stamps alone",
    )
    _require_known_extensions(path)
    evidence.require_unrevoked(path, at)
    return at.astimezone(UTC), _name(signed.certificate)


# The export ----------------------------------------------------------------------------------------------------------


@dataclass
class Paper:
    """A signed document of the export, as far as it is in order."""

    number: str
    payload: dict[str, Any]
    payload_sha256: str
    signature_sha256: str
    received_at: datetime


@dataclass
class Procedure:
    """What the parts of an export say to each other."""

    export: Export
    report: Report
    platform: Platform
    evidence: Evidence
    tender: dict[str, Any]
    scope: str
    papers: dict[str, Paper] = field(default_factory=dict)  # by the signature's SHA-256
    receipts: dict[tuple[int, int, str], dict[str, Any]] = field(default_factory=dict)
    leaves: dict[int, dict[str, Any]] = field(default_factory=dict)  # by bid
    roll: dict[str, Any] | None = None
    left_out: dict[str, str] | None = None

    @property
    def tells_bidders(self) -> bool:
        """Whether this version names all bids: not before the opening, and to a bidder only its own."""
        if self.scope == "supplier" or self.tender["timetable"]["opened_at"] is None:
            return False
        return bool(self.receipts) or self.tender["status"] not in SEALED_STATES


def verify_export(path: Path, options: argparse.Namespace, report: Report) -> None:
    """Check everything in an export. Raises Unreadable where there is nothing to check."""
    export = Export(path)
    for name in ("index.json", "tender.json", "platform/receipt-keys.json"):
        if name not in export:
            raise Unreadable(f"This is no export of a procedure: {name} is missing.")
    platform = Platform({})
    with report.checking("platform/receipt-keys.json", "readable"):
        platform = platform_of(export.json("platform/receipt-keys.json"), options.platform_key, report)
    scope = check_index(export, platform, report)
    tender: dict[str, Any] = {
        "number": "",
        "status": "",
        "lots": [],
        "timetable": dict.fromkeys(("opened_at", "tender_ends_at")),
    }
    with report.checking("tender.json", "readable"):
        found = export.json("tender.json")
        require({"number", "status", "lots", "timetable"} <= set(found), "it does not say what a procedure is")
        tender = found
    lot_keys = read_lot_keys(options.lot_key)
    readers = {"buyer": "the buyer", "auditor": "operators and auditors", "supplier": "a bidder"}
    report.ok("export", f"of procedure {tender['number']}, for {readers.get(scope, 'nobody known')}")
    procedure = Procedure(export, report, platform, read_evidence(export, options, report), tender, scope)
    for part in (
        check_signatures,
        check_receipts,
        check_audit,
        check_roll,
        check_bids_are_on_the_roll,
        check_envelopes,
        partial(check_opened, lot_keys=lot_keys),
        check_auctions,
        partial(check_held, options=options),
    ):
        try:
            part(procedure)
        except Exception as error:  # noqa: BLE001 – hostile input may break what no single check foresaw
            why = f"it could not be checked to its end ({type(error).__name__}: {str(error)[:120]})"
            report.failed(getattr(part, "__name__", "export").removeprefix("check_").replace("_", " "), why)


def check_index(export: Export, platform: Platform, report: Report) -> str:
    """Every file is as the platform listed it, and none is there besides. Returns for whom the export was made."""
    scope, listed = "buyer", {}
    with report.checking("index.json", "signed by the platform"):
        signed = export.json("index.json")
        content = signed["content"]
        scope = str(content["scope"])
        listed = {str(entry["path"]): (entry["size"], entry["sha256"]) for entry in content["files"]}
        require(content["kind"] == "procedure_export", "it is a statement about something else")
        require(content["format"] == "openlot-export-1", "it is of a form that this program does not know")
        platform.content(signed)
    wrong = 0
    for name in sorted(set(listed) | set(export.sizes) - {"index.json"}):
        try:
            require(name in listed, "it is not in the index: it was added")
            require(name in export, "it is in the index, but not in the export: it was removed")
            require(export.digest(name) == listed[name], "it is not as in the index: it was changed")
        except Wrong as error:
            wrong += 1
            report.failed(f"{name}: index", str(error))
        except Exception as error:  # noqa: BLE001 – zlib and zipfile raise what they like on damaged archives
            wrong += 1
            report.failed(f"{name}: index", f"it cannot be read ({type(error).__name__})")
    if not wrong:
        report.ok("files", f"all {len(listed)} are as in the index")
    return scope


def read_evidence(export: Export, options: argparse.Namespace, report: Report) -> Evidence:
    evidence = Evidence()
    places: list[tuple[str, Callable[[bytes], Any], list[Any]]] = [
        ("trust/anchors/", x509.load_der_x509_certificate, evidence.anchors),
        ("trust/stamps/", x509.load_der_x509_certificate, evidence.stamp_anchors),
        ("evidence/certificates/", x509.load_der_x509_certificate, evidence.certificates),
        ("evidence/lists/", x509.load_der_x509_crl, evidence.lists),
        ("evidence/answers/", ocsp.load_der_ocsp_response, evidence.answers),
    ]
    for folder, load, found in places:
        for name in export.names(folder):
            try:
                encoded = export.read(name)
                require(sha256(encoded) == Path(name).stem, "it is not what its name says")
                found.append(load(encoded))
            except Exception as error:  # noqa: BLE001 – as above
                report.failed(name, f"it cannot be read: {str(error)[:120]}")
    if "trust/policy.json" in export:
        with report.checking("trust/policy.json", "readable"):
            evidence.eku = export.json("trust/policy.json")["eku"]
    if options.eku:
        evidence.eku = options.eku
    if options.trust:
        evidence.anchors = _from_folder(Path(options.trust))
    if options.tsa_trust:
        evidence.stamp_anchors = _from_folder(Path(options.tsa_trust))
    if not options.trust and evidence.anchors:
        prints = ", ".join(f"{_name(one)} {one.fingerprint(hashes.SHA256()).hex()}" for one in evidence.anchors)
        report.unchecked(
            "trust anchors",
            f"they come with the export; compare with the authority's own word: {prints}",
            by_design=True,
        )
    return evidence


def _from_folder(folder: Path) -> list[x509.Certificate]:
    found = []
    try:
        for path in sorted(folder.iterdir()):
            content = path.read_bytes()[:LARGEST_SIGNATURE]
            found += (
                x509.load_pem_x509_certificates(content)
                if b"-----BEGIN" in content
                else [x509.load_der_x509_certificate(content)]
            )
    except (OSError, ValueError) as error:
        raise Unreadable(f"The authorities in {folder} cannot be read ({error}).") from error
    return found


# Signatures ----------------------------------------------------------------------------------------------------------


def check_signatures(procedure: Procedure) -> None:
    folders = sorted(
        {name.split("/")[1] for name in procedure.export.names("signatures/")}, key=lambda one: (len(one), one)
    )
    nonces: dict[str, str] = {}
    for number in folders:
        paper = _check_signature(procedure, number)
        if paper is None:
            continue
        with procedure.report.checking(f"signatures/{number}: nonce", "used once"):
            nonce = str(paper.payload["nonce"])
            require(len(nonce) >= 32 and nonce not in nonces, f"the nonce is that of signature {nonces.get(nonce)} too")
            nonces[nonce] = number
        procedure.papers[paper.signature_sha256] = paper


def _check_signature(procedure: Procedure, number: str) -> Paper | None:
    """All there is to check of one signature. None where the document itself cannot be read."""
    report, export, base = procedure.report, procedure.export, f"signatures/{number}"
    paper: Paper | None = None
    with report.checking(f"{base}/payload.json", "canonical JSON"):
        payload, encoded = export.read(f"{base}/payload.json"), export.read(f"{base}/signature.p7s", LARGEST_SIGNATURE)
        content = json.loads(payload)
        require(canonical(content) == payload, "it is not canonical JSON: what is shown is not what was signed")
        require(content["format"] == "openlot-signature-1", "it is of an unknown form")
        about = export.json(f"{base}/about.json")
        paper = Paper(number, content, sha256(payload), sha256(encoded), moment(about["received_at"]))
    if paper is None:
        return None
    with report.checking(f"{base}/about.json", "agrees with the signature"):
        require(about["payload_sha256"] == paper.payload_sha256, "it is about another document")
        require(about["signature_sha256"] == paper.signature_sha256, "it is about another signature")
        require(about["action"] == content["action"], "it names another action than what was signed")
    signed: Signed | None = None
    with report.checking(f"{base}/signature.p7s", "the signer's, over this document"):
        signed, _content = take_apart(encoded, payload, "data")
    with report.checking(f"{base}: what it binds", f"{content['action']}, of {content['object']}"):
        _require_bound(procedure, paper)
    if signed is None:
        return paper
    at = paper.received_at
    if f"{base}/timestamp.tsr" in export:
        with report.checking(f"{base}/timestamp.tsr"):
            at, authority = stamped_at(
                export.read(f"{base}/timestamp.tsr", LARGEST_DOCUMENT), signed.value, procedure.evidence
            )
            require(at >= paper.received_at - TOLERANCE, "it is older than the receipt")
            report.ok(f"{base}: time", f"{at:%Y-%m-%d %H:%M:%S} UTC by {authority}")
    else:
        report.unchecked(
            f"{base}: time", f"{at:%Y-%m-%d %H:%M:%S} UTC is the platform's word: no time stamp", by_design=True
        )
    _check_signer(procedure, base, paper, signed, at)
    return paper


def _check_signer(procedure: Procedure, base: str, paper: Paper, signed: Signed, at: datetime) -> None:
    report, evidence = procedure.report, procedure.evidence
    path: list[x509.Certificate] = []
    with report.checking(f"{base}: certificate", f"{_name(signed.certificate)}, valid on {at:%Y-%m-%d}"):
        path = evidence.path(signed.certificate, signed.others, evidence.anchors, at)
        _require_known_extensions(path)
        _require_usage(signed.certificate, evidence.eku)
    if path:
        with report.checking(f"{base}: revocation", "not revoked by then"):
            evidence.require_unrevoked(path, at)
    with report.checking(f"{base}: organisation", ", ".join(_identifiers(signed.certificate))):
        wanted = set(paper.payload["organisation"]["identifiers"])
        named = set(_identifiers(signed.certificate))
        require(bool(wanted & named), f"the certificate names {sorted(named)}, the document {sorted(wanted)}")


def _require_usage(certificate: x509.Certificate, eku: str | None) -> None:
    with suppress(x509.ExtensionNotFound):
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
        require(not constraints.ca, "it is an authority's own")
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        raise Wrong("its key usage does not allow signing documents") from None
    require(usage.digital_signature or usage.content_commitment, "its key usage does not allow signing documents")
    if eku:
        try:
            purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        except x509.ExtensionNotFound:
            raise Wrong(f"it was not issued for signing there ({eku} is missing)") from None
        require(x509.ObjectIdentifier(eku) in list(purposes), f"it was not issued for signing there ({eku} is missing)")


def _identifiers(certificate: x509.Certificate) -> list[str]:
    return [str(one.value) for one in certificate.subject.get_attributes_for_oid(ORGANISATION_IDENTIFIER)]


def _require_bound(procedure: Procedure, paper: Paper) -> None:
    """The document is about this procedure, was signed in time, and names object, version and organisation."""
    payload, content = paper.payload, paper.payload["content"]
    require(content.get("tender") == procedure.tender["number"], "it belongs to another procedure")
    require(bool(payload["organisation"]["identifiers"]), "it names no organisation")
    of = payload["object"]
    require({"type", "id", "version"} <= set(of), "it names no object and version")
    require(paper.received_at < moment(payload["sign_before"]), "it came after the time to sign it was over")
    if payload["action"] == "bid.submit":
        require(
            of["type"] == "bid" and of["version"] == content["bid_version"], "it is about another version of the bid"
        )
        require(paper.received_at < moment(content["deadline"]), "the bid came after its deadline")
        lots = {lot["number"]: lot for lot in procedure.tender["lots"]}
        require(content["lot"] in lots, "it is for a lot that the procedure does not have")
        require(content["lot_key_sha256"] == lots[content["lot"]]["public_key_sha256"], "it is sealed to another key")


# Receipts ------------------------------------------------------------------------------------------------------------


def check_receipts(procedure: Procedure) -> None:
    for name in procedure.export.names("receipts/"):
        with procedure.report.checking(name, "signed by the platform, agrees with the signed document"):
            said = procedure.platform.content(procedure.export.json(name))
            bid, version, kind = Path(name).stem.split("-")
            require((said["bid"], said["bid_version"]) == (int(bid), int(version)), "it is about another bid")
            require(said["kind"] == f"bid_{kind}", "it confirms something else")
            require(said["tender"] == procedure.tender["number"], "it belongs to another procedure")
            procedure.receipts[int(bid), int(version), kind] = said
            _require_agrees(procedure, said)
    for paper in procedure.papers.values():
        wanted = {"bid.submit": "received", "bid.withdraw": "withdrawn"}.get(str(paper.payload["action"]))
        if wanted is None:
            continue
        with procedure.report.checking(f"signatures/{paper.number}: receipt", "there is one"):
            of = paper.payload["object"]
            said = procedure.receipts.get((int(of["id"]), int(of["version"]), wanted), {})
            require(said.get("signature_sha256") == paper.signature_sha256, "the platform confirmed no such signature")


def _require_agrees(procedure: Procedure, said: Mapping[str, Any]) -> None:
    """The receipt and the document that was signed say the same."""
    paper = procedure.papers.get(str(said["signature_sha256"]))
    require(paper is not None, "the signature that it confirms is not in the export")
    assert paper is not None
    content = paper.payload["content"]
    require(said["signed_payload_sha256"] == paper.payload_sha256, "it confirms another document")
    require(said["supplier"] == paper.payload["organisation"]["identifiers"], "it names another supplier")
    require(said["lot"] == content["lot"], "it names another lot")
    require(said["content"] == content["content"], "it names another sealed content")
    require(moment(said["received_at"]) == paper.received_at, "it names another time of receipt")
    if said["kind"] == "bid_received":
        require(said["files"] == content["files"], "it names other documents")
        require(said["deadline"] == content["deadline"], "it names another deadline")
        require(moment(said["received_at"]) < moment(said["deadline"]), "it confirms a bid that came too late")


# The roll of bids ----------------------------------------------------------------------------------------------------


def check_roll(procedure: Procedure) -> None:
    report, export = procedure.report, procedure.export
    if "roll/roll.json" not in export:
        if procedure.tender["timetable"]["opened_at"] is not None:
            report.failed("roll/roll.json", "bids were opened, but no roll of them was closed before")
        else:
            report.unchecked("roll", "bidding has not ended, or was cancelled before", by_design=True)
        return
    with report.checking("roll/roll.json", "signed; the leaves lead to its root"):
        found = export.json("roll/roll.json")
        said = procedure.platform.content(found["statement"])
        _require_roll(procedure, found, said)
        procedure.roll = found
    _check_roll_time(procedure)
    for name in export.names("roll/proofs/"):
        with report.checking(name, "leads to the root"):
            _check_proof(procedure, name)
    _check_roll_in_audit(procedure)


def _require_roll(procedure: Procedure, found: Mapping[str, Any], said: Mapping[str, Any]) -> None:
    require(said["kind"] == "bid_roll", "it is a statement about something else")
    require(said["tender"] == procedure.tender["number"], "it belongs to another procedure")
    leaves = [bytes.fromhex(leaf) for leaf in found["leaves"]]
    require(all(len(leaf) == 32 for leaf in leaves), "a leaf is no SHA-256")
    require(leaves == sorted(set(leaves)), "its leaves are not in order, or one is there twice")
    require(len(leaves) == said["size"], f"it lists {len(leaves)} leaves, and its statement says {said['size']}")
    require(merkle_root(leaves).hex() == said["root"], "its leaves do not lead to the root of its statement")
    require(said["deadline"] == procedure.tender["timetable"]["tender_ends_at"], "its deadline is not the procedure's")
    require(moment(said["closed_at"]) >= moment(said["deadline"]), "it was closed before the deadline")
    opened = procedure.tender["timetable"]["opened_at"]
    require(opened is None or moment(said["closed_at"]) <= moment(opened), "it was closed after the bids were opened")


def _check_roll_time(procedure: Procedure) -> None:
    report, export, roll = procedure.report, procedure.export, procedure.roll
    if roll is None:
        return
    if "roll/timestamp.tsr" not in export:
        if roll["timestamp"] is not None:
            report.failed("roll/timestamp.tsr", "the roll's time stamp is missing")
        else:
            report.unchecked("roll: time", "no authority has stamped it yet", by_design=True)
        return
    with report.checking("roll/timestamp.tsr", "of this very statement"):
        token = export.read("roll/timestamp.tsr", LARGEST_DOCUMENT)
        require(roll["timestamp"] == base64.b64encode(token).decode(), "it is not the one in roll.json")
        at, authority = stamped_at(token, canonical(roll["statement"]), procedure.evidence)
        closed_at = moment(roll["statement"]["content"]["closed_at"])
        require(at >= closed_at - TOLERANCE, "it is older than the roll")
        report.ok("roll: time", f"{at:%Y-%m-%d %H:%M:%S} UTC by {authority}, {at - closed_at} after it was closed")


def _check_proof(procedure: Procedure, name: str) -> None:
    roll = procedure.roll
    require(roll is not None, "there is no roll in order that it could prove anything about")
    assert roll is not None
    proof = procedure.export.json(name)
    leaf = require_proof(proof)
    require(proof["statement"] == roll["statement"], "it is about another roll")
    require(str(leaf["bid"]) == Path(name).stem, "it is about another bid")
    procedure.leaves[int(leaf["bid"])] = leaf
    paper = procedure.papers.get(str(leaf["signature_sha256"]))
    require(paper is not None, "the signature that it names is not in the export")
    assert paper is not None
    require(
        leaf["manifest_sha256"] == sha256(canonical(paper.payload["content"])),
        "it names another manifest than was signed",
    )
    require(str(leaf["bid"]) == str(paper.payload["object"]["id"]), "it names another bid than was signed")
    require(leaf["bid_version"] == paper.payload["object"]["version"], "it names another version than was signed")
    require(leaf["lot"] == paper.payload["content"]["lot"], "it names another lot than was signed")
    require(moment(leaf["received_at"]) == paper.received_at, "it names another time of receipt than was confirmed")


def require_proof(proof: Any) -> dict[str, Any]:
    """The leaf of a proof that leads to the root that its own statement names. Raises Wrong."""
    require(isinstance(proof, dict) and proof.get("format") == "openlot-roll-proof-1", "it is no proof")
    leaf, said = proof["leaf"], proof["statement"]["content"]
    require(leaf["format"] == "openlot-roll-leaf-1" and said["kind"] == "bid_roll", "it is no proof of a roll of bids")
    require(leaf["tender"] == said["tender"], "the bid and the roll belong to different procedures")
    path = [bytes.fromhex(step) for step in proof["path"]]
    root = bytes.fromhex(said["root"])
    require(
        leads(leaf_hash(canonical(leaf)), proof["index"], said["size"], path, root), "the bid is not under the root"
    )
    return dict(leaf)


def _check_roll_in_audit(procedure: Procedure) -> None:
    roll = procedure.roll
    if procedure.scope == "supplier" or roll is None:
        return
    with procedure.report.checking("roll: audit", "recorded before any key was used, at the trail's place it names"):
        statement = roll["statement"]
        closed = [one for one in procedure_records(procedure) if one.get("action") == "tender.roll_closed"]
        require(len(closed) == 1, f"the audit trail records its closing {len(closed)} times")
        details, number = closed[0]["details"], closed[0]["number"]
        require(details["root"] == statement["content"]["root"], "the audit trail records another root")
        require(
            details["statement_sha256"] == sha256(canonical(statement)), "the audit trail records another statement"
        )
        heads = {one["hash"]: one["number"] for one in procedure_records(procedure)} | {GENESIS: 0}
        at = heads.get(statement["content"]["audit_head"])
        require(
            at is not None and at < number, "the head of the audit trail that it names is not in the trail before it"
        )
        used = [
            one["number"] for one in procedure_records(procedure) if one.get("action") in ("lot.key_used", "bid.opened")
        ]
        require(all(one > number for one in used), "a lot's key was used before the roll was closed")
        procedure.left_out = {str(one["signature_sha256"]): str(one["why"]) for one in details["left_out"]}


def check_bids_are_on_the_roll(procedure: Procedure) -> None:
    report, roll = procedure.report, procedure.roll
    on_roll = {f"opened/{bid}.json" for bid in procedure.leaves}
    for name in procedure.export.names("opened/"):
        if name not in on_roll:
            report.failed(f"{name}: roll", "the bid was opened, but it is not on the roll")
    if roll is None or procedure.scope == "supplier":
        return
    if not procedure.tells_bidders:
        report.unchecked("roll: bids", "who bids is not told yet: the leaves cannot be opened", by_design=True)
        return
    with report.checking("roll: complete", "every leaf is a bid in this export"):
        size = roll["statement"]["content"]["size"]
        require(
            len(procedure.leaves) == size,
            f"{size} bids stand on it, and {len(procedure.leaves)} of them are in the export",
        )
    standing = {str(leaf["signature_sha256"]) for leaf in procedure.leaves.values()}
    for digest, paper in procedure.papers.items():
        if paper.payload["action"] != "bid.submit":
            continue
        with report.checking(f"signatures/{paper.number}: roll", (procedure.left_out or {}).get(digest, "on it")):
            known = digest in standing or digest in (procedure.left_out or {})
            require(known, "the bid was received, but is neither on the roll nor recorded as left out of it")


# Envelopes, what was read in them, auctions, audit trail -------------------------------------------------------------


def check_envelopes(procedure: Procedure) -> None:
    export, report = procedure.export, procedure.report
    manifests = {}
    for paper in procedure.papers.values():
        if paper.payload["action"] == "bid.submit":
            of = paper.payload["object"]
            manifests[f"envelopes/{of['id']}-{of['version']}.sealed"] = paper.payload["content"]
    for name in export.names("envelopes/"):
        with report.checking(name, "the ciphertext that was signed"):
            require(name in manifests, "nobody signed it")
            said = manifests[name]["content"]
            require(export.digest(name) == (said["size"], said["sha256"]), "it is not the ciphertext that was signed")
    for name in export.names("opened/"):
        with report.checking(f"{name}: envelope", "in the export"):
            leaf = procedure.leaves.get(int(Path(name).stem))
            require(leaf is not None, "the bid is not on the roll")
            assert leaf is not None
            require(
                f"envelopes/{leaf['bid']}-{leaf['bid_version']}.sealed" in export,
                "it was opened, and its envelope is missing",
            )
    if any(manifest["files"] for manifest in manifests.values()):
        report.unchecked(
            "documents of bids",
            "their ciphertexts are not part of an export; the manifests hold their hashes",
            by_design=True,
        )


def read_lot_keys(named: Sequence[str]) -> dict[int, bytes]:
    """Disclosed private keys by lot, from LOT=FILE: 32 bytes, raw or in base64. Raises Unreadable."""
    keys: dict[int, bytes] = {}
    for one in named:
        number, _, file = one.partition("=")
        try:
            text = Path(file).read_bytes()
            keys[int(number)] = text if len(text) == 32 else base64.b64decode(text.strip(), validate=True)
        except (OSError, ValueError) as error:
            raise Unreadable(f"The key of lot {number} cannot be read ({error}).") from error
    return keys


def check_opened(procedure: Procedure, lot_keys: Mapping[int, bytes]) -> None:
    report, export = procedure.report, procedure.export
    for name in export.names("opened/"):
        bid: dict[str, Any] = {}
        with report.checking(name, "its arithmetic is right"):
            bid = export.json(name)
            require(str(bid["bid"]) == Path(name).stem, "it is about another bid")
            _require_arithmetic(procedure, bid)
        key = lot_keys.get(bid.get("lot", 0))
        if key is None:
            report.unchecked(f"{name}: sealed content", "the lot's key is not disclosed (--lot-key)", by_design=True)
            continue
        with report.checking(f"{name}: sealed content", "what was sealed is what was opened"):
            _require_sealed(procedure, bid, key)


def _require_arithmetic(procedure: Procedure, bid: Mapping[str, Any]) -> None:
    leaf = procedure.leaves.get(int(bid["bid"]))
    require(
        leaf is None or (leaf["lot"], leaf["bid_version"]) == (bid["lot"], bid["bid_version"]),
        "it is not the bid of the roll",
    )
    if leaf is not None:
        paper = procedure.papers[str(leaf["signature_sha256"])]
        same = bid["supplier"]["identifiers"] == paper.payload["organisation"]["identifiers"]
        require(same, "it names another supplier than signed")
        require(moment(bid["received_at"]) == paper.received_at, "it names another time of receipt")
    if bid["total"] is None:
        return
    items = {
        item["id"]: item for lot in procedure.tender["lots"] if lot["number"] == bid["lot"] for item in lot["items"]
    }
    require({line["item"] for line in bid["lines"]} == set(items), "its lines are not the lot's items")
    for line in bid["lines"]:
        said = amount(line["amount"])
        exact = amount(line["unit_price"]) * amount(items[line["item"]]["quantity"])
        require(
            said == exact.quantize(said, ROUND_HALF_UP),
            f"line {line['number']} is wrong",
        )
    require(
        sum((amount(line["amount"]) for line in bid["lines"]), Decimal(0)) == amount(bid["total"]),
        "its total is not its lines' sum",
    )


def _require_sealed(procedure: Procedure, bid: Mapping[str, Any], key: bytes) -> None:
    if Suite is None:
        raise Unknown("the installed package cryptography is too old to open sealed bids")
    lot = next(lot for lot in procedure.tender["lots"] if lot["number"] == bid["lot"])
    private = X25519PrivateKey.from_private_bytes(key)
    require(sha256(private.public_key().public_bytes_raw()) == lot["public_key_sha256"], "this is not the lot's key")
    info = canonical({"platform": "openlot", "lot": lot["id"], "bid": bid["bid"], "part": "content"})
    sealed = procedure.export.read(f"envelopes/{bid['bid']}-{bid['bid_version']}.sealed")
    try:
        plain = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM).decrypt(sealed, private, info)
    except (InvalidTag, ValueError):
        require(bool(bid["problem"]) and bid["total"] is None, "the envelope does not open with the lot's key")
        return
    said = json.loads(plain)
    require(
        (said["lot"], said["bid"], said["version"]) == (lot["id"], bid["bid"], bid["bid_version"]),
        "it was made for another bid",
    )
    if bid["total"] is None:
        require(bool(bid["problem"]), "the envelope opens, and the export does not say why the bid was not taken")
        return
    sealed_prices = {line["item"]: amount(line["unit_price"]) for line in said["lines"]}
    opened = {line["item"]: amount(line["unit_price"]) for line in bid["lines"]}
    require(
        sealed_prices == opened and amount(said["total"]) == amount(bid["total"]),
        "its prices are not those that were sealed",
    )
    require(said["remarks"] == bid["remarks"], "its remarks are not those that were sealed")


def procedure_records(procedure: Procedure) -> Iterator[dict[str, Any]]:
    """The audit records, those that are told; of the others number and hash."""
    for raw in procedure.export.lines("audit/chain.jsonl"):
        line = json.loads(raw)
        yield {**line.get("content", {"number": line.get("number")}), "hash": line["hash"]}


def check_audit(procedure: Procedure) -> None:
    report, export = procedure.report, procedure.export
    if procedure.scope == "supplier":
        report.unchecked(
            "audit",
            "the trail is not part of a bidder's export; its head at the deadline is in the roll",
            by_design=True,
        )
        return
    with report.checking("audit/chain.jsonl", "the chain is whole"):
        previous, count, hidden = GENESIS, 0, 0
        for count, raw in enumerate(export.lines("audit/chain.jsonl"), start=1):
            line = json.loads(raw)
            content = line.get("content")
            said = content if content is not None else line
            require(said["number"] == count, f"record {count} is missing or out of its place")
            require(said["previous"] == previous, f"record {count} does not follow the one before it")
            if content is None:
                hidden += 1
            else:
                require(sha256(canonical(content)) == line["hash"], f"record {count} was changed")
            previous = line["hash"]
        head = export.json("index.json")["content"]["audit_head"]
        require(previous == head, "it does not end with the head that the index names: records are missing at its end")
        if hidden:
            report.unchecked(
                "audit: hidden records",
                f"of {hidden} of {count} records only the hash is told to the reader of this export", by_design=True,
            )  # fmt: skip


def check_auctions(procedure: Procedure) -> None:
    heads: dict[str, str] = {}
    for name in procedure.export.names("auctions/"):
        with procedure.report.checking(name, "the chain is whole, and the ranking follows from the bids"):
            auction, head = _check_events(procedure, name)
            heads[f"auction:{auction}"] = head
    if procedure.scope == "supplier" or "audit/chain.jsonl" not in procedure.export:
        return
    for record in procedure_records(procedure):
        if record.get("action") == "auction.ended" and (heads or procedure.tells_bidders):
            with procedure.report.checking(f"{record['object']}: end", "as the audit trail records it"):
                head = record["details"]["head"]
                require(heads.get(record["object"]) == head, "its log is missing, or ends elsewhere")


def _check_events(procedure: Procedure, name: str) -> tuple[int, str]:
    """The auction and the hash of its last event. Raises Wrong where the log is not whole."""
    previous, direction, auction = GENESIS, "", -1
    standing: dict[str, tuple[Decimal, datetime, int]] = {}
    ranking: list[dict[str, Any]] | None = None
    for count, raw in enumerate(procedure.export.lines(name), start=1):
        line = json.loads(raw)
        event = line["content"]
        require(event["number"] == count, f"event {count} is missing or out of its place")
        require(event["previous"] == previous, f"event {count} does not follow the one before it")
        require(auction in (-1, event["auction"]), f"event {count} is of another auction")
        require(sha256(canonical(event)) == line["hash"], f"event {count} was changed")
        previous, auction = line["hash"], event["auction"]
        if event["kind"] == "scheduled":
            direction = event["detail"]["rules"]["direction"]
            for place, one in enumerate(event["detail"]["bidders"]):
                standing[one["bidder"]] = (amount(one["amount"]), moment(one["received_at"]), place - MOST_FILES)
        elif event["kind"] == "bid":
            require(event["bidder"] in standing, f"event {count} is a bid of nobody admitted")
            standing[event["bidder"]] = (amount(event["amount"]), moment(event["at"]), count)
        elif event["kind"] == "ended":
            ranking = event["detail"]["ranking"]
    if ranking is not None:
        sign = 1 if direction == "down" else -1
        order = sorted(standing, key=lambda one: (sign * standing[one][0], *standing[one][1:]))
        told = [(one["bidder"], amount(one["amount"])) for one in sorted(ranking, key=lambda one: one["rank"])]
        require(told == [(one, standing[one][0]) for one in order], "its ranking is not the one that its bids give")
    return auction, previous


# What the person who checks brings along -----------------------------------------------------------------------------


def check_held(procedure: Procedure, options: argparse.Namespace) -> None:
    for file in options.receipt:
        with procedure.report.checking(f"your receipt {Path(file).name}", "the export has the very same"):
            held = _held(file)
            said = procedure.platform.content(held)
            require(said["tender"] == procedure.tender["number"], "it is of another procedure")
            kind = str(said["kind"]).removeprefix("bid_")
            name = f"receipts/{said['bid']}-{said['bid_version']}-{kind}.json"
            if name not in procedure.export and not procedure.tells_bidders:
                raise Unknown("this version of the export does not hold it")
            require(name in procedure.export, "the export does not know of it: your bid was left out")
            require(procedure.export.json(name) == held, "the export holds another in its place")
    for file in options.proof:
        with procedure.report.checking(f"your proof {Path(file).name}", "of the very roll of this export"):
            held = _held(file)
            leaf = require_proof(held)
            procedure.platform.content(held["statement"])
            require(procedure.roll is not None, "the export has no roll in order")
            assert procedure.roll is not None
            require(
                held["statement"] == procedure.roll["statement"],
                "the export has another roll: it was made anew after yours",
            )
            require(leaf_hash(canonical(leaf)).hex() in procedure.roll["leaves"], "your bid is not on it")


def _held(file: str) -> Any:
    content = Path(file).read_bytes()
    require(len(content) <= LARGEST_DOCUMENT * 4, "it is too large")
    return json.loads(content)


def verify_document(path: Path, options: argparse.Namespace, report: Report) -> None:
    """Check a single receipt or proof."""
    try:
        with path.open("rb") as stream:
            raw = stream.read(LARGEST_DOCUMENT * 4 + 1)
        if len(raw) > LARGEST_DOCUMENT * 4:
            raise ValueError("it is too large")
        document = json.loads(raw)
    except (OSError, ValueError, RecursionError) as error:
        raise Unreadable(f"{path.name} cannot be read ({error}).") from error
    if not options.platform_keys:
        raise Unreadable("Name the file with the platform's receipt keys (--platform-keys), from its page of receipts.")
    platform = Platform({})
    with report.checking("platform keys", "readable"):
        platform = platform_of(_held(options.platform_keys), options.platform_key, report)
    is_proof = isinstance(document, dict) and document.get("format") == "openlot-roll-proof-1"
    with report.checking(path.name, "it leads to the signed root" if is_proof else "signed by the platform"):
        if is_proof:
            require_proof(document)
            said = platform.content(document["statement"])
        else:
            said = platform.content(document)
        require({"tender", "kind"} <= set(said), "it is neither a receipt nor a proof")


# The command ---------------------------------------------------------------------------------------------------------


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="openlot-verify", description="Check the export of a procedure without the platform."
    )
    parser.add_argument(
        "export", type=Path, help="the archive, a folder with its content, or a single receipt or proof"
    )
    add = partial(parser.add_argument, action="append", default=[])
    add("--platform-key", metavar="SHA256", help="fingerprint of a receipt key you trust; may be given again")
    add("--receipt", metavar="FILE", help="a receipt you hold: the export must have the very same")
    add("--proof", metavar="FILE", help="a proof you hold: it must be of the export's roll")
    add("--lot-key", metavar="LOT=FILE", help="the disclosed private key of a lot, to open its bids again")
    parser.add_argument(
        "--platform-keys", metavar="FILE", help="the platform's receipt keys, for a single receipt or proof"
    )
    parser.add_argument("--trust", metavar="DIR", help="the authorities you trust, instead of those in the export")
    parser.add_argument("--tsa-trust", metavar="DIR", help="the time-stamp authorities you trust, likewise")
    parser.add_argument("--eku", metavar="OID", help="the extended key usage that signers' certificates must name")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--quiet", action="store_true", help="print what is not ok only")
    return parser


def run(words: Sequence[str], out: Callable[[str], object] = print) -> int:
    """Check and print. Returns the exit status."""
    options = arguments().parse_args(words)
    report = Report()
    try:
        single = options.export.suffix == ".json" and options.export.is_file()
        (verify_document if single else verify_export)(options.export, options, report)
    except Unreadable as error:
        out(
            json.dumps({"result": "unreadable", "why": str(error), "checks": []})
            if options.json
            else f"Cannot check: {error}"
        )
        return 2
    show(report, options, out)
    return 0 if report.holds() else 1


def show(report: Report, options: argparse.Namespace, out: Callable[[str], object]) -> None:
    if options.json:
        checks = [
            {"check": one.name, "status": one.status, "why": one.why, "by_design": one.by_design}
            for one in report.checks
        ]
        out(
            json.dumps({"result": "ok" if report.holds() else "failed", "checks": checks}, ensure_ascii=False, indent=1)
        )
        return
    for one in report.checks:
        if one.status != OK or not options.quiet:
            line = f"{one.status:<14}{one.name}{': ' if one.why else ''}{one.why}"
            out("".join(letter if letter.isprintable() else "\ufffd" for letter in line))
    counts = {status: sum(one.status == status for one in report.checks) for status in (OK, FAILED, UNCHECKED)}
    missing = sum(one.status == UNCHECKED and not one.by_design for one in report.checks)
    out(f"{counts[OK]} ok, {counts[FAILED]} failed, {counts[UNCHECKED]} not checkable")
    if report.holds():
        out("Nothing failed. What is not checkable, and why, is listed above.")
    elif missing:
        out(f"{missing} of what is not checkable belongs into an export: it counts as failed.")


def main() -> None:
    try:
        sys.exit(run(sys.argv[1:]))
    except BrokenPipeError:
        sys.exit(1)


if __name__ == "__main__":
    main()
