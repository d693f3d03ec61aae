#!/usr/bin/env python3
"""openlot-verify: checks the export of a procedure without the platform that made it.

    openlot-verify EXPORT.zip [--platform-key FINGERPRINT] [--trust DIR] [--receipt FILE] [--proof FILE]
                   [--earlier EXPORT.zip] [--lot-key LOT=FILE] [--seed FILE] [--share FILE …] [--rules DIR] [--json]
    openlot-verify PROOF.json --platform-keys FILE [--platform-key FINGERPRINT] [--rules DIR]

EXPORT is the archive or a folder with its content; a single receipt, proof or protocol of an auction is checked alone.
Every check is printed with ok, FAILED or "not checkable" and why. Exit status: 0 when nothing failed and nothing is
missing that an export must hold, 1 otherwise, 2 when there is nothing to check (unreadable, hostile, wrong usage).

This file stands alone, on purpose in one piece: copy it anywhere, it needs Python 3.11 and the packages cryptography,
asn1crypto and rfc8785, and shares no code with the platform that it checks (--rules alone runs the platform's rules of
auctions, from a folder you name). It reads and prints; it writes nothing, unpacks nothing to disk and fetches nothing.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import importlib
import ipaddress
import json
import struct
import sys
import zipfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from functools import lru_cache, partial
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
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

try:
    from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
except ImportError:  # an older cryptography: everything but opening bids with a disclosed key can still be checked
    Suite = None  # type: ignore[assignment,misc]

# Bounds: a hostile archive costs neither memory nor hours.
MOST_FILES = 500_000
LARGEST_DIRECTORY = 96 * 1024 * 1024
LARGEST_FILE = 64 * 1024 * 1024
LARGEST_LINES = 8 * 1024 * 1024 * 1024
LARGEST_LINE = 1024 * 1024
LARGEST_TOTAL = 256 * 1024 * 1024 * 1024
LARGEST_JSON = 16 * 1024 * 1024
LARGEST_LIST = 64 * 1024 * 1024
MOST_VALUES = 3_000_000
LARGEST_SIGNATURE = 256 * 1024
LARGEST_DOCUMENT = 256 * 1024
LARGEST_ENVELOPE = 16 * 1024 * 1024
LARGEST_EVIDENCE = 1024 * 1024 * 1024
WORST_RATIO = 1000
CHUNK = 1024 * 1024 + 16
#: An export as a whole packs to a tenth or so; up to this size nobody looks.
WORST_RATIO_OF_ALL = 60
SMALL_TOTAL = 256 * 1024 * 1024
LONGEST_NAME = 200
LONGEST_CHAIN = 8
MOST_CERTIFICATES = 20_000
MOST_CHECKS = 300
MOST_CONSTRAINTS = 500
MOST_RENEWALS = 100
MOST_NOTED = 200_000
MIN_RSA = 2048

GENESIS = "0" * 64
TOLERANCE = timedelta(seconds=60)
#: Where audit records are anchored, it is done every few minutes; an authority may be away for a day.
LONGEST_UNANCHORED = timedelta(days=2)
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
    ExtensionOID.NAME_CONSTRAINTS,
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
        self._folders: dict[str, list[str]] | None = None
        try:
            if path.is_dir():
                self._list_folder()
            else:
                require_bounded_directory(path)
                self._zip = zipfile.ZipFile(path)
                self._list_archive(self._zip)
        except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError, struct.error) as error:
            raise Unreadable(f"{path.name} is neither a folder nor a readable ZIP archive ({error}).") from error
        total = sum(self.sizes.values())
        if total > LARGEST_TOTAL:
            raise Unreadable("The export is larger than this program reads.")
        if self._zip is not None and total > max(SMALL_TOTAL, WORST_RATIO_OF_ALL * path.stat().st_size):
            raise Unreadable(f"The archive unpacks to more than {WORST_RATIO_OF_ALL} times its size.")

    def names(self, folder: str = "") -> list[str]:
        return sorted(name for name in self.sizes if name.startswith(folder))

    def within(self, folder: str) -> list[str]:
        """The files in a folder, found without looking through all of them."""
        if self._folders is None:
            self._folders = {}
            for name in self.names():
                self._folders.setdefault(name.rpartition("/")[0], []).append(name)
        return self._folders.get(folder, [])

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

    def json(self, name: str, limit: int = LARGEST_JSON) -> Any:
        return parsed(self.read(name, limit), name)

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
        entries = archive.infolist()
        if archive.comment or (entries and min(entry.header_offset for entry in entries) != 0):
            raise Unreadable("The archive holds more than its directory lists: another program may read other files.")
        for entry in entries:
            if entry.is_dir():
                continue
            self._add(entry.filename, entry.file_size)
            if entry.flag_bits & 1:
                raise Unreadable(f"{entry.filename} is encrypted.")
            if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise Unreadable(f"{entry.filename} is packed in a way that exports do not use.")
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


def require_bounded_directory(path: Path) -> None:
    """Before anything of an archive is in memory: its directory is not larger than that of any export. Raises
    Unreadable, or what a file that is no archive raises."""
    with path.open("rb") as file:
        end = file.seek(0, 2)
        file.seek(max(0, end - 22 - 65535 - 20))
        tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < 22:
        raise zipfile.BadZipFile("it has no directory")
    entries, size = struct.unpack_from("<HI", tail, at + 10)
    if (entries, size) == (0xFFFF, 0xFFFFFFFF) or tail[max(0, at - 20) : at].startswith(b"PK\x06\x07"):
        with path.open("rb") as file:
            file.seek(struct.unpack_from("<Q", tail, at - 12)[0])
            size = struct.unpack_from("<Q", file.read(56), 40)[0]
    if size > LARGEST_DIRECTORY:
        raise Unreadable("The export holds too many files, or names that are too long.")


# Small parts ---------------------------------------------------------------------------------------------------------


def parsed(content: bytes, name: str = "it") -> Any:
    """The JSON in these bytes, refused where its values would fill the memory, or where two programs could read two
    things in it."""
    require(sum(map(content.count, (b",", b"[", b"{"))) <= MOST_VALUES, f"{name} holds too many values")
    return json.loads(content, object_pairs_hook=_once_each, parse_constant=_no_number)


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    require(len(found) == len(pairs), "it says two things under one name")
    return found


def _no_number(text: str) -> Any:
    raise Wrong(f"{text} is no number of JSON")


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
    # Whoever computes with ten to the billion is never done.
    require(len(str(text)) <= 60 and abs(found.adjusted()) <= 60, "an amount is no price of anything")
    return found


def require_tame(value: Any) -> None:
    """No text in it is a number beyond all prices. Raises Wrong."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
        elif isinstance(one, str) and one[:1] in "+-.0123456789" and "e" in one.lower():
            with suppress(InvalidOperation):
                require(abs(Decimal(one).adjusted()) <= 60, "an amount is no price of anything")


def leaf_hash(leaf: bytes, algorithm: str = "sha256") -> bytes:
    return hashlib.new(algorithm, b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes, algorithm: str = "sha256") -> bytes:
    return hashlib.new(algorithm, b"\x01" + left + right).digest()


def merkle_root(leaves: Sequence[bytes]) -> bytes:
    """RFC 9162, 2.1.1."""
    level = list(leaves)
    while len(level) > 1:
        level = [
            node_hash(level[at], level[at + 1]) if at + 1 < len(level) else level[at] for at in range(0, len(level), 2)
        ]
    return level[0] if level else hashlib.sha256(b"").digest()


def leads(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes, algorithm: str = "sha256") -> bool:
    """RFC 9162, 2.1.3.2."""
    if type(index) is not int or type(size) is not int or not 0 <= index < size or len(path) > 64:
        return False
    place, last, found = index, size - 1, leaf
    for neighbour in path:
        if last == 0 or len(neighbour) != len(leaf):
            return False
        if place & 1 or place == last:
            found = node_hash(neighbour, found, algorithm)
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            found = node_hash(found, neighbour, algorithm)
        place, last = place >> 1, last >> 1
    return last == 0 and found == root


def hashes_in(found: Any) -> list[bytes]:
    """A list of hashes in hexadecimal. Raises Wrong or ValueError."""
    require(isinstance(found, list) and len(found) <= MOST_FILES, "it is no list of hashes")
    return [bytes.fromhex(one) for one in found]


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
class Memory:
    """What was computed once of certificates and lists: thousands of signatures rest on the same few."""

    issued: dict[tuple[bytes, bytes], bool] = field(default_factory=dict)
    listed: dict[tuple[int, bytes], bool] = field(default_factory=dict)
    pieces: dict[str, dict[str, Any]] = field(default_factory=dict)  # of all evidence, by hash function and digest


@dataclass
class Evidence:
    """Certificates and revocation data that the export brings. Nothing of it is believed for being there."""

    anchors: list[x509.Certificate] = field(default_factory=list)
    stamp_anchors: list[x509.Certificate] = field(default_factory=list)
    certificates: list[x509.Certificate] = field(default_factory=list)
    lists: list[x509.CertificateRevocationList] = field(default_factory=list)
    answers: list[ocsp.OCSPResponse] = field(default_factory=list)
    eku: str | None = None
    memory: Memory = field(default_factory=Memory)
    base: Evidence | None = None  # all of it, where this is what a later time stamp covers: the pieces in `narrow`
    narrow: frozenset[int] | None = None
    by_subject: dict[x509.Name, list[x509.Certificate]] | None = None

    def covered(self, algorithm: str, covers: frozenset[str]) -> Evidence:
        """Of all this, the pieces that an archive time stamp covers. Anchors are trusted, not proven."""
        known = self.memory.pieces.get(algorithm)
        base = self.base or self
        if known is None:
            every: list[Any] = [*base.certificates, *base.lists, *base.answers]
            known = self.memory.pieces[algorithm] = {
                hashlib.new(algorithm, one.public_bytes(Encoding.DER)).hexdigest(): one for one in every
            }
        found: list[Any] = [known[digest] for digest in covers if digest in known]
        if self.narrow is not None:
            found = [one for one in found if id(one) in self.narrow]
        return replace(
            self,
            certificates=[one for one in found if isinstance(one, x509.Certificate)],
            lists=[one for one in found if isinstance(one, x509.CertificateRevocationList)],
            answers=[one for one in found if isinstance(one, ocsp.OCSPResponse)],
            base=base,
            narrow=frozenset(map(id, found)),
            by_subject=None,
        )

    def path(
        self,
        leaf: x509.Certificate,
        more: Iterable[x509.Certificate],
        anchors: Sequence[x509.Certificate],
        at: datetime,
    ) -> list[x509.Certificate]:
        """From the leaf to an anchor, all valid at `at`. Raises Wrong."""
        require(bool(anchors), "no authority is trusted for it")
        search = _Search(self, list(more), anchors, at)
        found = search.above([leaf])
        if found is None:
            reasons = search.reasons
            raise Wrong(reasons[0] if reasons else "its certificate leads to none of the trusted authorities")
        return found

    def named(self, subject: x509.Name) -> Sequence[x509.Certificate]:
        """The certificates of this name."""
        if self.by_subject is None:
            self.by_subject = {}
            for one in self.certificates:
                self.by_subject.setdefault(one.subject, []).append(one)
        return self.by_subject.get(subject, ())

    def require_unrevoked(self, path: Sequence[x509.Certificate], at: datetime) -> str:
        """That nobody on the path was revoked at `at`. Raises Wrong or Unknown; returns by what it is known."""
        return "; ".join(self._status(certificate, issuer, at) for certificate, issuer in pairwise(path))

    def _status(self, certificate: x509.Certificate, issuer: x509.Certificate, at: datetime) -> str:
        known = None
        for found in self.lists:
            # A list after the moment in question says all the more; one that ended before it says nothing.
            if found.next_update_utc is None or found.next_update_utc < at or found.issuer != certificate.issuer:
                continue
            if not self._counts(found, issuer):
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

    def _counts(self, found: x509.CertificateRevocationList, issuer: x509.Certificate) -> bool:
        key = (id(found), issuer.fingerprint(hashes.SHA256()))
        if key not in self.memory.listed:
            self.memory.listed[key] = _is_plain(found) and _list_signed(found, issuer)
        return self.memory.listed[key]


@dataclass
class _Search:
    """The search for one path, which a hostile heap of certificates cannot make long."""

    evidence: Evidence
    more: list[x509.Certificate]
    anchors: Sequence[x509.Certificate]
    at: datetime
    reasons: list[str] = field(default_factory=list)
    checks: int = 0

    def above(self, path: list[x509.Certificate]) -> list[x509.Certificate] | None:
        below = path[-1]
        if not _valid_at(below, self.at):
            self.reasons.append(f"{_name(below)} was not valid on {self.at:%Y-%m-%d %H:%M} UTC")
            return None
        if len(path) > LONGEST_CHAIN:
            return None
        for anchor in self.anchors:
            if self._issued(anchor, below) and _may_issue(anchor, len(path) - 1):
                return [*path, anchor]
        for authority in (*self.evidence.named(below.issuer), *self.more):
            if authority in path or not self._issued(authority, below):
                continue
            if not _may_issue(authority, len(path) - 1):
                self.reasons.append(f"{_name(authority)} may not issue certificates here")
                continue
            further = self.above([*path, authority])
            if further is not None:
                return further
        return None

    def _issued(self, issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
        if issuer.subject != certificate.issuer:
            return False
        self.checks += 1
        require(self.checks <= MOST_CHECKS, "too many certificates claim to stand above it")
        known = self.evidence.memory.issued
        key = (issuer.fingerprint(hashes.SHA256()), certificate.fingerprint(hashes.SHA256()))
        if key not in known:
            known[key] = _issued(issuer, certificate)
        return known[key]


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
    """Nobody on the path has a critical extension that is not looked at, and each keeps to the names that those above
    it, the anchor included, allow (RFC 5280, 4.2.1.10). Raises Wrong."""
    for place, certificate in enumerate(path):
        for extension in certificate.extensions:
            if extension.critical and extension.oid not in KNOWN_CRITICAL:
                raise Wrong(
                    f"{_name(certificate)} has a critical extension nobody knows ({extension.oid.dotted_string})"
                )
            if isinstance(extension.value, x509.NameConstraints):
                for below, one in enumerate(path[:place]):
                    # An authority that certifies itself anew is not the one that is constrained.
                    if below == 0 or one.subject != one.issuer:
                        _require_names(one, certificate, extension.value)


def _require_names(one: x509.Certificate, above: x509.Certificate, constraints: x509.NameConstraints) -> None:
    permitted, excluded = constraints.permitted_subtrees or [], constraints.excluded_subtrees or []
    require(len(permitted) + len(excluded) <= MOST_CONSTRAINTS, f"{_name(above)} has more constraints than any has")
    for name in _names_of(one):
        bounds = [bound for bound in permitted if type(bound) is type(name)]
        inside = any(_is_within(name, bound) for bound in bounds) or not bounds
        outside = any(_is_within(name, bound) for bound in excluded if type(bound) is type(name))
        require(inside and not outside, f"{_name(above)} does not allow the name {str(name.value)[:120]!r}")


def _names_of(certificate: x509.Certificate) -> list[x509.GeneralName]:
    names: list[x509.GeneralName] = []
    with suppress(x509.ExtensionNotFound):
        names = list(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    if certificate.subject.rdns:
        names.append(x509.DirectoryName(certificate.subject))
    if not any(isinstance(name, x509.RFC822Name) for name in names):
        mails = certificate.subject.get_attributes_for_oid(x509.oid.NameOID.EMAIL_ADDRESS)
        # As in an old certificate: the address stands in the subject.
        names += [x509.RFC822Name(str(mail.value)) for mail in mails if str(mail.value).isascii()]
    require(len(names) <= MOST_CONSTRAINTS, f"{_name(certificate)} has more names than any certificate has")
    return names


def _is_within(name: x509.GeneralName, bound: x509.GeneralName) -> bool:
    """Whether a name lies under a constraint of its kind. Raises Wrong for a kind that nobody here can compare."""
    if isinstance(name, x509.DirectoryName):
        wanted, found = list(bound.value.rdns), list(name.value.rdns)
        return [*map(_plain_rdn, found[: len(wanted)])] == [*map(_plain_rdn, wanted)]
    if isinstance(name, x509.IPAddress):
        return isinstance(bound.value, ipaddress.IPv4Network | ipaddress.IPv6Network) and name.value in bound.value
    require(
        isinstance(name, x509.DNSName | x509.RFC822Name | x509.UniformResourceIdentifier),
        f"its names of the kind {type(name).__name__} are constrained, which nobody here can compare",
    )
    text, limit = str(name.value).casefold().rstrip("."), str(bound.value).casefold().rstrip(".")
    if isinstance(name, x509.DNSName):
        return not limit or text == limit or text.endswith("." + limit.lstrip("."))
    if isinstance(name, x509.RFC822Name):
        if "@" in limit:
            return text == limit
        host = text.rpartition("@")[2]
    else:
        host = text.partition("://")[2].partition("/")[0].rpartition("@")[2].partition(":")[0]
        require(bool(host) and "[" not in host, "an address without a host is constrained")
    return not limit or (host.endswith(limit) if limit.startswith(".") else host == limit)


def _plain_rdn(rdn: x509.RelativeDistinguishedName) -> frozenset[tuple[str, str]]:
    """Compared as RFC 5280, 7.1 has it, near enough: without regard to case and repeated spaces."""
    return frozenset((one.oid.dotted_string, " ".join(str(one.value).casefold().split())) for one in rdn)


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


@dataclass
class Stamp:
    """A time stamp that a trusted authority made of something: at the time it states, good to its clock's accuracy.
    What it stamped existed by `at`, the latest that can be meant."""

    at: datetime
    stated: datetime
    authority: str
    ends_at: datetime
    path: list[x509.Certificate]
    hash_name: str
    imprint: bytes


def stamp_of(token: bytes, evidence: Evidence) -> Stamp:
    """What a token says, its authority trusted and unrevoked at its time. Raises Wrong or Unknown."""
    signed, content = _token(token)
    info = tsp.TSTInfo.load(content)
    imprint = info["message_imprint"]
    name = imprint["hash_algorithm"]["algorithm"].native
    require(name in HASHES, "the time stamp uses a weak hash function")
    at: datetime = info["gen_time"].native
    path = evidence.path(signed.certificate, signed.others, evidence.stamp_anchors, at)
    usage = signed.certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    require(
        usage.critical and list(usage.value) == [ExtendedKeyUsageOID.TIME_STAMPING],
        "its certificate is not one for time stamps alone",
    )
    _require_known_extensions(path)
    evidence.require_unrevoked(path, at)
    ends_at = min(one.not_valid_after_utc for one in path)
    stated, accuracy = at.astimezone(UTC), _accuracy(info["accuracy"])
    return Stamp(
        stated + accuracy, stated, _name(signed.certificate), ends_at, path, name, imprint["hashed_message"].native
    )


def _accuracy(said: Any) -> timedelta:
    if said.native is None:
        return timedelta()
    parts = {name: said[name].native or 0 for name in ("seconds", "millis", "micros")}
    require(0 <= parts["seconds"] <= 86_400, "its clock is good for nothing")
    require(0 <= parts["millis"] < 1000 and 0 <= parts["micros"] < 1000, "its accuracy cannot be read")
    return timedelta(seconds=parts["seconds"], milliseconds=parts["millis"], microseconds=parts["micros"])


@lru_cache(maxsize=64)
def _token(token: bytes) -> tuple[Signed, bytes]:
    """One archive time stamp serves a thousand signatures: it is taken apart once."""
    return take_apart(token, None, "tst_info")


@dataclass
class Stamped:
    """What the time stamps of one thing prove: that it existed by `at`, and that `evidence` did in time. `stated` is
    the time that the first authority gave."""

    at: datetime
    stated: datetime
    authority: str
    evidence: Evidence
    renewals: int
    ends_at: datetime

    @property
    def words(self) -> str:
        again = f", stamped again {self.renewals} times since" if self.renewals > 1 else ", stamped again since"
        return f"{self.stated:%Y-%m-%d %H:%M:%S} UTC by {self.authority}{again if self.renewals else ''}"


@dataclass
class _Covers:
    """What a later time stamp covers: nothing else is proven to have existed before it."""

    algorithm: str
    digests: frozenset[str]
    at: datetime

    def require(self, content: bytes, what: str) -> None:
        known = hashlib.new(self.algorithm, content).hexdigest() in self.digests
        require(known, f"the time stamp that renews it does not cover {what}")


def check_stamps(export: Export, folder: str, message: bytes, others: Sequence[bytes], evidence: Evidence) -> Stamped:
    """The time stamps of `message` in a folder: its own, and those that renewed it, each over all that was there before
    (`others` are what else belongs to it). They are judged backwards, each as of the one after it, by what that covers.
    Raises Wrong or Unknown."""
    renewals = _renewals(export, folder)
    later: _Covers | None = None
    ends_at: datetime | None = None
    for number in range(renewals, 0, -1):
        token = export.read(f"{folder}/archive-{number}.tsr", LARGEST_DOCUMENT)
        proof = export.json(f"{folder}/archive-{number}.json", LARGEST_DOCUMENT * 4)
        if later is not None:
            later.require(token, f"archive time stamp {number}")
            later.require(canonical(proof), f"what archive time stamp {number} covers")
        stamp = stamp_of(token, evidence)
        _require_covers(stamp, proof, number)
        _require_counted(stamp, later, evidence)
        later = _Covers(str(proof["hash"]), frozenset(map(str, proof["covers"])), stamp.at)
        ends_at = ends_at or stamp.ends_at
        evidence = evidence.covered(later.algorithm, later.digests)
    token = export.read(f"{folder}/timestamp.tsr", LARGEST_DOCUMENT)
    if later is not None:
        later.require(token, "the first time stamp")
        for content in others:
            later.require(content, "what was stamped")
    own = stamp_of(token, evidence)
    require(hashlib.new(own.hash_name, message).digest() == own.imprint, "it is the time stamp of something else")
    _require_counted(own, later, evidence)
    return Stamped(own.at, own.stated, own.authority, evidence, renewals, ends_at or own.ends_at)


def _renewals(export: Export, folder: str) -> int:
    number = 0
    while f"{folder}/archive-{number + 1}.tsr" in export:
        number += 1
        require(number <= MOST_RENEWALS, "it was stamped again more often than anything is")
    known = sum(name.startswith(f"{folder}/archive-") for name in export.within(folder))
    require(known == 2 * number, "an archive time stamp, or what it covers, is missing in the row")
    return number


def _require_covers(stamp: Stamp, proof: Mapping[str, Any], number: int) -> None:
    algorithm, covers = proof["hash"], proof["covers"]
    require(proof["format"] == "openlot-archive-1" and algorithm in HASHES, "it is of an unknown form")
    leaf = leaf_hash(
        canonical({"format": "openlot-archive-1", "hash": algorithm, "covers": list(covers)}), str(algorithm)
    )
    path = [bytes.fromhex(step) for step in proof["path"]]
    holds = stamp.hash_name == algorithm and leads(
        leaf, proof["index"], proof["size"], path, stamp.imprint, str(algorithm)
    )
    require(holds, f"archive time stamp {number} is of something else")


def _require_counted(stamp: Stamp, later: _Covers | None, evidence: Evidence) -> None:
    """It still counted when the next one covered it."""
    if later is None:
        return
    require(stamp.stated <= later.at + TOLERANCE, "its time stamps are not in the order of their times")
    require(stamp.ends_at >= later.at, f"the certificate of {stamp.authority} had ended before it was stamped again")
    with suppress(Unknown):  # nobody has to say anything of an authority between two stamps
        evidence.require_unrevoked(stamp.path, later.at)


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
    documents: Mapping[str, Any] = field(default_factory=dict)  # what the index says of bids' documents
    papers: dict[str, Paper] = field(default_factory=dict)  # by the signature's SHA-256
    receipts: dict[tuple[int, int, str], dict[str, Any]] = field(default_factory=dict)
    leaves: dict[int, dict[str, Any]] = field(default_factory=dict)  # by bid
    roll: dict[str, Any] | None = None
    left_out: dict[str, str] | None = None
    ceremony: dict[str, Any] | None = None
    roll_stamped: bool = False
    heads_held: set[str] = field(default_factory=set)  # of the audit trail, in earlier exports
    stamped: list[Stamped] = field(default_factory=list)
    audit: Audit | None = None

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
    scope, documents = check_index(export, platform, report)
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
    disclosed = Disclosed.read(options)
    readers = {"buyer": "the buyer", "auditor": "operators and auditors", "supplier": "a bidder"}
    report.ok("export", f"of procedure {tender['number']}, for {readers.get(scope, 'nobody known')}")
    evidence = read_evidence(export, options, report)
    procedure = Procedure(export, report, platform, evidence, tender, scope, documents)
    for file in options.earlier:
        with suppress(Wrong, KeyError, TypeError, ValueError):  # check_earlier says what is wrong with it
            head = Export(Path(file)).json("index.json", LARGEST_LIST)["content"]["audit_head"]
            procedure.heads_held.add(str(head))
    parts: Mapping[str, Callable[[Procedure], None]] = {
        "lots": check_lots,
        "signatures": check_signatures,
        "receipts": check_receipts,
        "roll": check_roll,
        "audit": check_audit,
        "roll and audit": check_roll_in_audit,
        "signatures and audit": check_signatures_in_audit,
        "bids on the roll": check_bids_are_on_the_roll,
        "course": check_course,
        "custody": check_custody,
        "keys": partial(check_disclosed, disclosed=disclosed),
        "envelopes": check_envelopes,
        "documents": check_documents,
        "opened bids": partial(check_opened, disclosed=disclosed),
        "awards": check_awards,
        "auctions": partial(check_auctions, options=options),
        "time stamps": check_newest_stamps,
        "what you bring": partial(check_held, options=options),
        "earlier export": partial(check_earlier, options=options),
    }
    for name, part in parts.items():
        try:
            part(procedure)
        except Exception as error:  # noqa: BLE001 – hostile input may break what no single check foresaw
            why = f"it could not be checked to its end ({type(error).__name__}: {str(error)[:120]})"
            report.failed(name, why)


def check_index(export: Export, platform: Platform, report: Report) -> tuple[str, Mapping[str, Any]]:
    """Every file is as the platform listed it, and none is there besides. Returns for whom the export was made, and
    what the index says of documents."""
    scope, listed, documents = "buyer", {}, {"included": False, "lost": []}
    with report.checking("index.json", "signed by the platform"):
        signed = export.json("index.json", LARGEST_LIST)
        content = signed["content"]
        scope = str(content["scope"])
        documents |= content.get("documents", {})
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
    return scope, documents


def read_evidence(export: Export, options: argparse.Namespace, report: Report) -> Evidence:
    evidence = Evidence()
    places: list[tuple[str, Callable[[bytes], Any], list[Any]]] = [
        ("trust/anchors/", x509.load_der_x509_certificate, evidence.anchors),
        ("trust/stamps/", x509.load_der_x509_certificate, evidence.stamp_anchors),
        ("evidence/certificates/", x509.load_der_x509_certificate, evidence.certificates),
        ("evidence/lists/", x509.load_der_x509_crl, evidence.lists),
        ("evidence/answers/", ocsp.load_der_ocsp_response, evidence.answers),
    ]
    size = 0
    for folder, load, found in places:
        for name in export.names(folder):
            size += export.sizes[name]
            if size > LARGEST_EVIDENCE or len(found) >= MOST_CERTIFICATES:
                report.failed(folder, "there is more of it than any export needs: the rest was not read")
                break
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
    told = (
        ("trust anchors", options.trust, evidence.anchors),
        ("time-stamp authorities", options.tsa_trust, evidence.stamp_anchors),
    )
    for name, given, anchors in told:
        if anchors and not given:
            prints = ", ".join(f"{_name(one)} {one.fingerprint(hashes.SHA256()).hex()}" for one in anchors[:20])
            why = f"they come with the export; compare with the authority's own word: {prints}"
            report.unchecked(name, why, by_design=True)
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
        content = parsed(payload)
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
    of = content.get("object") if isinstance(content.get("object"), dict) else {}
    words = f"{content['action']}, of {of.get('type')} {of.get('id')}, version {of.get('version')}"
    with report.checking(f"{base}: what it binds", words):
        _require_bound(procedure, paper)
    if signed is None:
        return paper
    at, evidence = paper.received_at, procedure.evidence
    if f"{base}/timestamp.tsr" in export:
        with report.checking(f"{base}/timestamp.tsr"):
            stamped = check_stamps(export, base, signed.value, (encoded, payload), evidence)
            require(stamped.at >= paper.received_at - TOLERANCE, "it is older than the receipt")
            at, evidence = stamped.at, stamped.evidence
            procedure.stamped.append(stamped)
            report.ok(f"{base}: time", stamped.words)
            if content["action"] == "bid.submit":
                _tell_in_time(report, base, stamped.at, moment(content["content"]["deadline"]))
    else:
        report.unchecked(
            f"{base}: time", f"{at:%Y-%m-%d %H:%M:%S} UTC is the platform's word: no time stamp", by_design=True
        )
    _check_signer(procedure, base, paper, signed, at, evidence)
    return paper


def _tell_in_time(report: Report, base: str, at: datetime, deadline: datetime) -> None:
    if at <= deadline:
        report.ok(f"{base}: in time", "the signature existed before the deadline")
    else:
        why = f"stamped {at - deadline} after its deadline: that it came before is the platform's word"
        report.unchecked(f"{base}: in time", why, by_design=True)


def _check_signer(
    procedure: Procedure, base: str, paper: Paper, signed: Signed, at: datetime, evidence: Evidence
) -> None:
    report = procedure.report
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
        found = export.json("roll/roll.json", LARGEST_LIST)
        said = procedure.platform.content(found["statement"])
        _require_roll(procedure, found, said)
        procedure.roll = found
    _check_roll_time(procedure)
    for name in export.names("roll/proofs/"):
        with report.checking(name, "leads to the root"):
            _check_proof(procedure, name)


def _require_roll(procedure: Procedure, found: Mapping[str, Any], said: Mapping[str, Any]) -> None:
    require(said["kind"] == "bid_roll", "it is a statement about something else")
    require(said["tender"] == procedure.tender["number"], "it belongs to another procedure")
    leaves = hashes_in(found["leaves"])
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
        statement = canonical(roll["statement"])
        stamped = check_stamps(
            export, "roll", statement, (statement, canonical({"leaves": roll["leaves"]})), procedure.evidence
        )
        closed_at = moment(roll["statement"]["content"]["closed_at"])
        require(stamped.at >= closed_at - TOLERANCE, "it is older than the roll")
        procedure.stamped.append(stamped)
        procedure.roll_stamped = True
        report.ok("roll: time", f"{stamped.words}, {stamped.stated - closed_at} after it was closed")


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


def check_roll_in_audit(procedure: Procedure) -> None:
    roll, audit = procedure.roll, procedure.audit
    if procedure.scope == "supplier" or roll is None:
        return
    with procedure.report.checking("roll: audit", "recorded before any key was used, at the trail's place it names"):
        require(audit is not None, "the audit trail is not whole")
        assert audit is not None
        statement = roll["statement"]
        closed = audit.of("tender.roll_closed")
        require(len(closed) == 1, f"the audit trail records its closing {len(closed)} times")
        details, number = closed[0]["details"], closed[0]["number"]
        require(details["root"] == statement["content"]["root"], "the audit trail records another root")
        require(
            details["statement_sha256"] == sha256(canonical(statement)), "the audit trail records another statement"
        )
        at = audit.places.get(statement["content"]["audit_head"])
        require(
            at is not None and at < number, "the head of the audit trail that it names is not in the trail before it"
        )
        used = [one["number"] for one in (*audit.of("lot.key_used"), *audit.of("bid.opened"))]
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


# Envelopes and documents ---------------------------------------------------------------------------------------------


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


def check_documents(procedure: Procedure) -> None:
    """The ciphertexts of documents are those whose hashes were signed; without them it is said that they are not
    included."""
    export, report = procedure.export, procedure.report
    signed: dict[str, Mapping[str, Any]] = {}
    wanted: set[str] = set()
    for paper in procedure.papers.values():
        if paper.payload["action"] == "bid.submit":
            bid = paper.payload["object"]["id"]
            entries = {f"documents/{bid}-{entry['file']}.sealed": entry for entry in paper.payload["content"]["files"]}
            signed |= entries
            leaf = procedure.leaves.get(int(bid))
            envelope = f"envelopes/{bid}-{paper.payload['object']['version']}.sealed"
            if leaf is not None and leaf["signature_sha256"] == paper.signature_sha256 and envelope in export:
                wanted |= set(entries)
    if not procedure.documents["included"]:
        for name in export.names("documents/"):
            report.failed(name, "the index says that documents are not included")
        if signed:
            report.unchecked(
                "documents of bids",
                f"not included: {len(signed)} hashes of their ciphertexts stand in the signed manifests",
                by_design=True,
            )
        return
    for name in export.names("documents/"):
        with report.checking(name, "the ciphertext that was signed"):
            require(name in signed, "nobody signed it")
            entry = signed[name]
            require(export.digest(name) == (entry["size"], entry["sha256"]), "it is not the document that was signed")
    lost = set(procedure.documents["lost"])
    for name in sorted(wanted - set(export.sizes)):
        why = "the platform says that it has lost it" if name in lost else "it was signed, and is missing"
        report.failed(name, why)


def check_lots(procedure: Procedure) -> None:
    """Each lot has the public key whose hash the bidders signed."""
    with procedure.report.checking("tender.json: lots' keys", "each as its hash says"):
        lots = procedure.tender["lots"]
        require(len({lot["number"] for lot in lots}) == len(lots), "two lots have the same number")
        for lot in lots:
            key = lot.get("public_key")
            require(
                key is None or sha256(base64.b64decode(key, validate=True)) == lot["public_key_sha256"],
                f"the key of lot {lot['number']} is not the one whose hash was signed",
            )


# The committee's ceremony, and keys that its members disclose --------------------------------------------------------


def check_custody(procedure: Procedure) -> None:
    """What a committee announced of its keys before the first bid counted at the deadline and at the opening."""
    export, report, tender = procedure.export, procedure.report, procedure.tender
    if tender.get("key_custody") != "committee":
        for name in export.names("custody/"):
            report.failed(name, "the procedure has no committee that holds keys")
        if procedure.roll is not None and "custody_sha256" in procedure.roll["statement"]["content"]:
            report.failed("custody: roll", "the roll's statement names a committee's ceremony, and the export has none")
        return
    if "custody/ceremony.json" not in export:
        if tender["timetable"].get("published_at") is not None:
            report.failed("custody/ceremony.json", "the lots' keys are a committee's, and what it announced is missing")
        return
    found: dict[str, Any] | None = None
    with report.checking("custody/ceremony.json", "enough commitments; the lots' keys are the committee's"):
        said = export.json("custody/ceremony.json")
        _require_ceremony(procedure, said)
        found = procedure.ceremony = said
    if found is None:
        return
    if procedure.roll is not None:
        with report.checking("custody: roll", "the one that the roll's stamped statement names"):
            named = procedure.roll["statement"]["content"].get("custody_sha256")
            if named is None:
                raise Unknown("the roll's statement names no ceremony")
            require(named == sha256(canonical(found)), "it is not the ceremony that the roll's statement names")
    with report.checking("custody/releases.json", "enough shares, after the deadline, before the key"):
        _require_releases(procedure, found)
    if procedure.scope != "supplier":
        with report.checking("custody: audit", "as the audit trail records it"):
            _require_ceremony_recorded(procedure, found)


def _require_ceremony(procedure: Procedure, said: Mapping[str, Any]) -> None:
    require(said["format"] == "openlot-ceremony-1", "it is of an unknown form")
    require(said["tender"] == procedure.tender["number"], "it belongs to another procedure")
    shares, threshold = said["shares"], said["threshold"]
    members = [share for share in shares if share["holder"] == "member"]
    others = [share["holder"] for share in shares if share["holder"] != "member"]
    commitments = [bytes.fromhex(share["commitment"]) for share in shares]
    require([share["index"] for share in shares] == list(range(1, len(shares) + 1)), "a share is missing")
    require(all(len(one) == 32 for one in commitments), "a commitment is no SHA-256")
    require(len(set(commitments)) == len(commitments), "two shares are the same")
    require(type(threshold) is int and threshold >= 2, "a single share would open the bids")
    require(len(members) >= threshold, f"{threshold} members are needed, and there are {len(members)}")
    require(others in ([], ["platform"]), "a share has a holder of an unknown kind")
    keys = {str(lot["id"]): lot["public_key"] for lot in procedure.tender["lots"]}
    require(dict(said["lot_keys"]) == keys, "the lots' keys are not those that the committee made")


def _require_releases(procedure: Procedure, ceremony: Mapping[str, Any]) -> None:
    said = procedure.export.json("custody/releases.json")
    released = [one["index"] for one in said["released"]]
    places = {share["index"] for share in ceremony["shares"]}
    require(len(set(released)) == len(released) and set(released) <= places, "a share is released that is none")
    deadline = moment(procedure.tender["timetable"]["tender_ends_at"])
    require(all(moment(one["at"]) >= deadline for one in said["released"]), "a share was released before the deadline")
    put_together, opened = said["put_together_at"], procedure.tender["timetable"]["opened_at"]
    if opened is not None and procedure.export.names("opened/"):
        require(put_together is not None, "bids were opened, and the key was never put together")
    if put_together is not None:
        require(len(released) >= ceremony["threshold"], "the key was put together of too few shares")
        before = sorted(moment(one["at"]) for one in said["released"])[: ceremony["threshold"]]
        require(before[-1] <= moment(put_together), "the key was put together before enough shares were released")


def _require_ceremony_recorded(procedure: Procedure, ceremony: Mapping[str, Any]) -> None:
    audit = procedure.audit
    require(audit is not None, "the audit trail is not whole")
    assert audit is not None
    commitments = {share["index"]: share["commitment"] for share in ceremony["shares"]}
    made = [one for one in audit.of("keys.made") if one["details"]["lot_keys"] == dict(ceremony["lot_keys"])]
    require(len(made) == 1, "the audit trail does not record that these keys were made")
    details = made[0]["details"]
    require(details["threshold"] == ceremony["threshold"], "the audit trail records another threshold")
    require(
        {one["index"]: one["commitment"] for one in details["shares"]} == commitments,
        "the audit trail records other commitments",
    )
    number = details["ceremony"]
    for one in audit.of("tender.published"):
        require(one["number"] > made[0]["number"], "the keys were made after the procedure was published")
    closed = audit.of("tender.roll_closed")
    released = [one for one in audit.of("share.released") if one["details"]["ceremony"] == number]
    for one in released:
        require(bool(closed) and one["number"] > closed[0]["number"], "a share was released before the roll was closed")
        place = one["details"]["index"]
        require(commitments.get(place) == one["details"]["commitment"], f"another share {place} was released")
    said = {one["index"] for one in procedure.export.json("custody/releases.json")["released"]}
    require({one["details"]["index"] for one in released} == said, "the audit trail records other releases")
    for one in audit.of("keys.put_together"):
        places = {record["details"]["index"] for record in released if record["number"] < one["number"]}
        require(set(one["details"]["shares_released"]) <= places, "the key was put together of shares not released")
        require(len(places) >= ceremony["threshold"], "the key was put together of too few shares")


@dataclass
class Disclosed:
    """Private keys of lots, a committee's seed, or shares of it, that whoever checks was given outside the export."""

    lots: dict[int, bytes] = field(default_factory=dict)
    seed: bytes | None = None
    shares: dict[str, bytes] = field(default_factory=dict)  # by the file

    @classmethod
    def read(cls, options: argparse.Namespace) -> Disclosed:
        """Each 32 bytes (a share 33), raw or in base64. Raises Unreadable."""
        found = cls()
        for one in options.lot_key:
            number, _, file = one.partition("=")
            try:
                found.lots[int(number)] = _secret(file, 32)
            except ValueError as error:
                raise Unreadable(f"--lot-key takes the lot's number, =, and a file ({error}).") from error
        if options.seed:
            found.seed = _secret(options.seed, 32)
        for file in options.share:
            found.shares[file] = _secret(file, 33)
        return found


def _secret(file: str, size: int) -> bytes:
    try:
        text = Path(file).read_bytes()[:1024]
        found = text if len(text) == size else base64.b64decode(text.strip(), validate=True)
        if len(found) != size:
            raise ValueError(f"it is not {size} bytes")
    except (OSError, ValueError) as error:
        raise Unreadable(f"The key or share in {file} cannot be read ({error}).") from error
    return found


def check_disclosed(procedure: Procedure, disclosed: Disclosed) -> None:
    """Shares are those that were announced and give the seed; the seed derives the lots' public keys."""
    report, ceremony = procedure.report, procedure.ceremony
    if disclosed.shares:
        with report.checking("shares", "those that were announced before the first bid"):
            require(ceremony is not None, "no committee's ceremony in order is in this export")
            assert ceremony is not None
            known = {share["commitment"] for share in ceremony["shares"]}
            for name, share in disclosed.shares.items():
                require(sha256(share) in known, f"{name} is none of the shares that were announced")
            places = {share[0] for share in disclosed.shares.values()}
            require(len(places) == len(disclosed.shares), "a share is given twice")
            require(len(places) >= ceremony["threshold"], f"it takes {ceremony['threshold']} shares")
            disclosed.seed = combined(list(disclosed.shares.values()))
    if disclosed.seed is not None:
        with report.checking("seed", "it makes the public keys to which the bids were sealed"):
            require(ceremony is not None, "no committee's ceremony in order is in this export")
            for lot in procedure.tender["lots"]:
                key = lot_key_of(disclosed.seed, lot["id"])
                require(_public(key) == lot["public_key"], f"it does not make the key of lot {lot['number']}")
                disclosed.lots.setdefault(lot["number"], key)
    for number, key in disclosed.lots.items():
        with report.checking(f"key of lot {number}", "it belongs to the public key to which the bids were sealed"):
            lots = [lot for lot in procedure.tender["lots"] if lot["number"] == number]
            require(bool(lots) and _public(key) == lots[0]["public_key"], "this is not the lot's key")


def _public(private: bytes) -> str:
    return base64.b64encode(X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()).decode()


def lot_key_of(seed: bytes, lot: int) -> bytes:
    """A lot's private key, of the committee's seed."""
    return HKDF(hashes.SHA256(), 32, b"openlot-lot-key-1", str(lot).encode()).derive(seed)


def combined(shares: Sequence[bytes]) -> bytes:
    """Shamir's secret, of shares over GF(256): the values at 0 of the polynomials through them."""
    secret = bytes(len(shares[0]) - 1)
    for share in shares:
        weight = 1
        for other in shares:
            if other[0] != share[0]:
                weight = _times(weight, _times(other[0], _power(other[0] ^ share[0], 254)))
        secret = bytes(a ^ _times(weight, b) for a, b in zip(secret, share[1:], strict=True))
    return secret


def _times(a: int, b: int) -> int:
    """In the field of AES."""
    product = 0
    while b:
        product ^= a if b & 1 else 0
        a = a << 1 ^ (0x11B if a & 0x80 else 0)
        b >>= 1
    return product


def _power(a: int, exponent: int) -> int:
    found = 1
    for _ in range(exponent):
        found = _times(found, a)
    return found


# Opened bids ---------------------------------------------------------------------------------------------------------


def check_opened(procedure: Procedure, disclosed: Disclosed) -> None:
    report, export = procedure.report, procedure.export
    undisclosed = 0
    for name in export.names("opened/"):
        bid: dict[str, Any] = {}
        with report.checking(name, "its arithmetic is right"):
            bid = export.json(name)
            require(str(bid["bid"]) == Path(name).stem, "it is about another bid")
            _require_arithmetic(procedure, bid)
        key = disclosed.lots.get(bid.get("lot", 0))
        if key is None:
            undisclosed += 1
            continue
        with report.checking(f"{name}: sealed content", "what was sealed is what was opened"):
            files = _require_sealed(procedure, bid, key)
            for file in files:
                document = f"documents/{bid['bid']}-{file['file']}.sealed"
                if document in export:
                    with report.checking(f"{document}: sealed content", "the document that the bid describes"):
                        _require_sealed_document(procedure, bid, file, key)
    if undisclosed:
        report.unchecked(
            "opened bids: sealed content",
            f"that the prices of {undisclosed} bids are those that were sealed shows only with the lot's key "
            "(--lot-key, --seed or --share): it is not disclosed",
            by_design=True,
        )


def _require_sealed_document(procedure: Procedure, bid: Mapping[str, Any], file: Mapping[str, Any], key: bytes) -> None:
    """OLS1: a file key sealed by HPKE, then chunks under it. A chunk in memory at a time."""
    name = f"documents/{bid['bid']}-{file['file']}.sealed"
    part = f"file:{file['file']}"
    digest, size, number = hashlib.sha256(), 0, 0
    with procedure.export.open(name) as stream:
        header = stream.read(84)
        require(len(header) == 84 and header.startswith(b"OLS1"), "it is no sealed document")
        cipher = AESGCM(_unsealed(procedure, bid, part, header[4:], key))
        chunk = stream.read(CHUNK)
        while True:
            following = stream.read(CHUNK) if len(chunk) == CHUNK else b""
            nonce = bytes(7) + number.to_bytes(4, "big") + bytes([not following])
            try:
                plain = cipher.decrypt(nonce, chunk, None)
            except (InvalidTag, ValueError):
                raise Wrong("it does not open with the lot's key") from None
            digest.update(plain)
            size += len(plain)
            if not following:
                break
            chunk, number = following, number + 1
    require((size, digest.hexdigest()) == (file["size"], file["sha256"]), "it is not the document that the bid names")


def _unsealed(procedure: Procedure, bid: Mapping[str, Any], part: str, sealed: bytes, key: bytes) -> bytes:
    """Raises InvalidTag or ValueError where it does not open."""
    if Suite is None:
        raise Unknown("the installed package cryptography is too old to open sealed bids")
    lot = next(lot for lot in procedure.tender["lots"] if lot["number"] == bid["lot"])
    info = canonical({"platform": "openlot", "lot": lot["id"], "bid": bid["bid"], "part": part})
    private = X25519PrivateKey.from_private_bytes(key)
    return Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM).decrypt(sealed, private, info)


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


def _require_sealed(procedure: Procedure, bid: Mapping[str, Any], key: bytes) -> Sequence[Mapping[str, Any]]:
    """Returns the documents that the sealed bid describes."""
    lot = next(lot for lot in procedure.tender["lots"] if lot["number"] == bid["lot"])
    require(_public(key) == lot["public_key"], "this is not the lot's key")
    sealed = procedure.export.read(f"envelopes/{bid['bid']}-{bid['bid_version']}.sealed", LARGEST_ENVELOPE)
    try:
        plain = _unsealed(procedure, bid, "content", sealed, key)
    except (InvalidTag, ValueError):
        require(bool(bid["problem"]) and bid["total"] is None, "the envelope does not open with the lot's key")
        return []
    said = parsed(plain)
    require(
        (said["lot"], said["bid"], said["version"]) == (lot["id"], bid["bid"], bid["bid_version"]),
        "it was made for another bid",
    )
    if bid["total"] is None:
        require(bool(bid["problem"]), "the envelope opens, and the export does not say why the bid was not taken")
        return []
    sealed_prices = {line["item"]: amount(line["unit_price"]) for line in said["lines"]}
    opened = {line["item"]: amount(line["unit_price"]) for line in bid["lines"]}
    require(
        sealed_prices == opened and amount(said["total"]) == amount(bid["total"]),
        "its prices are not those that were sealed",
    )
    require(said["remarks"] == bid["remarks"], "its remarks are not those that were sealed")
    return list(said["files"])


# The audit trail -----------------------------------------------------------------------------------------------------


@dataclass
class Anchor:
    """That the trail's record `number` had this hash at a time that an authority gives."""

    number: int
    hash: str
    at: datetime


#: What the other checks need of the trail; everything else is only hashed.
NOTED = {
    "auction.ended",
    "award.decided",
    "bid.opened",
    "bid.submitted",
    "bid.withdrawn",
    "contract.signed",
    "keys.made",
    "keys.put_together",
    "lot.key_used",
    "protocol.signed",
    "share.released",
    "tender.opened",
    "tender.published",
    "tender.roll_closed",
}


@dataclass
class Audit:
    """What one reading of the trail leaves in memory."""

    count: int = 0
    hidden: int = 0
    head: str = GENESIS
    noted: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    places: dict[str, int] = field(default_factory=lambda: {GENESIS: 0})  # of the hashes that were asked for
    kept: int = 0

    def of(self, action: str) -> list[dict[str, Any]]:
        return self.noted.get(action, [])

    def note(self, content: dict[str, Any]) -> None:
        self.kept += 1
        require(self.kept <= MOST_NOTED, "it has more records of bids than any procedure has")
        self.noted.setdefault(str(content["action"]), []).append(content)


def check_audit(procedure: Procedure) -> None:
    report, export = procedure.report, procedure.export
    if procedure.scope == "supplier":
        report.unchecked(
            "audit",
            "the trail is not part of a bidder's export; its head at the deadline is in the roll",
            by_design=True,
        )
        return
    anchors = _anchors(procedure)
    found: Audit | None = None
    with report.checking("audit/chain.jsonl", "the chain is whole"):
        asked = {procedure.roll["statement"]["content"]["audit_head"]} if procedure.roll is not None else set()
        asked |= procedure.heads_held
        audit, gaps = _read_audit(procedure, anchors, asked)
        head = export.json("index.json", LARGEST_LIST)["content"]["audit_head"]
        require(
            audit.head == head, "it does not end with the head that the index names: records are missing at its end"
        )
        found = procedure.audit = audit
    if found is None:
        return
    if found.hidden:
        report.unchecked(
            "audit: hidden records",
            f"of {found.hidden} of {found.count} records only the hash is told to the reader of this export",
            by_design=True,
        )
        if procedure.scope == "auditor" and procedure.tells_bidders:
            report.failed("audit: for the auditor", "nothing is hidden from auditors once it is told who bids")
    _tell_anchored(procedure, found, anchors, gaps)


def check_course(procedure: Procedure) -> None:
    """Bids are told when they were opened, which is when the trail says, and by bids alone that may be told."""
    opened_at = procedure.tender["timetable"]["opened_at"]
    with procedure.report.checking("tender.json: opening", "as the files and the trail tell it"):
        told = [*procedure.export.names("opened/"), *procedure.leaves]
        shown = bool(told) and procedure.scope != "supplier"
        require(opened_at is not None or not shown, "it says that no bid was opened, and bids are here")
        if procedure.audit is not None:
            recorded = {moment(one["at"]) for one in procedure.audit.of("tender.opened")}
            said = set() if opened_at is None else {moment(opened_at)}
            require(recorded == said, "the audit trail tells another time of the opening")


#: Procedures in which the winner is paid by the second-best bid.
SECOND_PRICE = {"auction_sealed_second_price"}


def check_awards(procedure: Procedure) -> None:
    """An award is of a bid that was opened, at the amount at which it stands, or that the next one sets; without an
    auction it stands at its total."""
    export = procedure.export
    if not procedure.tells_bidders:
        return
    auctioned = {Path(name).stem for name in export.names("auctions/")}
    standing: dict[int, dict[str, tuple[str, Any]]] = {}
    for name in export.names("opened/"):
        with procedure.report.checking(f"{name}: standing", "its total, or what the auction made of it"):
            bid = export.json(name)
            of_lot = standing.setdefault(bid["lot"], {})
            of_lot[canonical(bid["supplier"]["identifiers"]).decode()] = (bid["supplier"]["name"], bid["standing"])
            require(str(bid["lot"]) in auctioned or bid["standing"] == bid["total"], "it stands at another amount")
    for paper in procedure.papers.values():
        if paper.payload["object"]["type"] != "award":
            continue
        with procedure.report.checking(f"signatures/{paper.number}: award", "of a bid that was opened, at its amount"):
            content = paper.payload["content"]
            bids = standing.get(content["lot"], {})
            winner = bids.get(canonical(content["winner_identifiers"]).decode())
            require(winner is not None, "its winner has no opened bid")
            known = {(name, None if sum_ is None else amount(sum_)) for name, sum_ in bids.values()}
            for one in content["bids"]:
                require((one["supplier"], amount(one["amount"])) in known, "it names a bid that does not stand so")
            if winner is not None:
                require(winner[0] == content["winner"], "it gives the winner another name")
                _require_price(procedure, content, amount(winner[1]))


def _require_price(procedure: Procedure, content: Mapping[str, Any], own: Decimal) -> None:
    """The award is at the winner's own amount; in a second-price auction at that of the next bid, or with no other at
    the limit price or its own. Where more than the price counts the next bid's amount is not the winner's."""
    paid = amount(content["amount"])
    if procedure.tender["procedure"] not in SECOND_PRICE:
        require(paid == own, "its amount is not the winner's")
        return
    if procedure.tender.get("criteria"):
        return
    bids = [(one["supplier"], amount(one["amount"])) for one in content["bids"]]
    require((content["winner"], own) in bids, "it does not name the winner's bid among all")
    after = bids[bids.index((content["winner"], own)) + 1 :]
    if after:
        require(paid == after[0][1], "its amount is not the second-best")
        return
    (limit,) = [lot["limit_price"] for lot in procedure.tender["lots"] if lot["number"] == content["lot"]]
    require(paid == own or limit is None or paid == amount(limit), "its amount is neither the winner's nor the limit")


def _anchors(procedure: Procedure) -> list[Anchor]:
    """The time stamps over the trail that are in order, by the records' numbers."""
    export, found = procedure.export, []
    folders = {name.split("/")[2] for name in export.names("audit/anchors/")}
    for folder in sorted(folders, key=lambda one: (len(one), one)):
        name = f"audit/anchors/{folder}"
        with procedure.report.checking(name, "a time stamp over the head of the trail"):
            said = export.json(f"{name}/anchor.json")
            statement = procedure.platform.content(said["statement"])
            require(statement["kind"] == "audit_anchor", "it is a statement about something else")
            require(str(said["number"]) == folder, "it is about another record")
            leaf = {
                "format": "openlot-audit-head-1",
                "stream": said["stream"],
                "number": said["number"],
                "hash": said["hash"],
            }
            path, root = [bytes.fromhex(step) for step in said["path"]], bytes.fromhex(statement["root"])
            holds = leads(leaf_hash(canonical(leaf)), said["index"], statement["size"], path, root)
            require(holds, "the head is not under the root that was stamped")
            stamped = check_stamps(
                export, name, canonical(said["statement"]), [canonical(said["statement"])], procedure.evidence
            )
            procedure.stamped.append(stamped)
            found.append(Anchor(said["number"], str(said["hash"]), stamped.at))
    return found


def _read_audit(procedure: Procedure, anchors: Sequence[Anchor], asked: set[str]) -> tuple[Audit, list[str]]:
    """Read the trail once. Returns what is kept of it, and which records were anchored long after they were made.
    Raises Wrong where it is not whole, or where an anchor is not over it."""
    audit, waiting = Audit(), list(anchors)
    gaps: list[str] = []
    before: datetime | None = None
    for count, raw in enumerate(procedure.export.lines("audit/chain.jsonl"), start=1):
        line = parsed(raw)
        content = line.get("content")
        said = content if content is not None else line
        require(said["number"] == count, f"record {count} is missing or out of its place")
        require(said["previous"] == audit.head, f"record {count} does not follow the one before it")
        audit.count, audit.head = count, str(line["hash"])
        if audit.head in asked:
            audit.places[audit.head] = count
        if content is None:
            audit.hidden += 1
        else:
            require(sha256(canonical(content)) == line["hash"], f"record {count} was changed")
            if content["action"] in NOTED:
                audit.note(content)
            if waiting:
                at = moment(content["at"])
                require(
                    at <= waiting[0].at + TOLERANCE, f"record {count} says that it is younger than the stamp over it"
                )
                if before is not None and waiting[0].at - at > LONGEST_UNANCHORED and len(gaps) < 10:
                    gaps.append(f"record {count} of {at:%Y-%m-%d %H:%M} was stamped on {waiting[0].at:%Y-%m-%d %H:%M}")
        if waiting and waiting[0].number == count:
            require(waiting[0].hash == audit.head, f"record {count} is not the one that was stamped")
            before = waiting.pop(0).at
    require(not waiting, "it ends before a record that was stamped: records are missing at its end")
    return audit, gaps


def _tell_anchored(procedure: Procedure, audit: Audit, anchors: Sequence[Anchor], gaps: Sequence[str]) -> None:
    report = procedure.report
    times = [one.at for one in anchors]
    if times != sorted(times):
        report.failed("audit: anchors", "later records were stamped before earlier ones")
    elif gaps:
        report.failed("audit: anchors", f"records may have been written anew before they were stamped: {gaps[0]}")
    elif anchors:
        report.ok("audit: anchors", f"records up to {anchors[-1].number} existed by {times[-1]:%Y-%m-%d %H:%M:%S} UTC")
    last = max([0, *(one.number for one in anchors)])
    if procedure.roll is not None and procedure.roll_stamped:
        last = max(last, audit.places.get(procedure.roll["statement"]["content"]["audit_head"], 0))
    if last < audit.count:
        report.unchecked(
            "audit: end",
            f"no authority has stamped the last {audit.count - last} of {audit.count} records: they are the platform's "
            "word, and that there are no more",
            by_design=True,
        )


#: Which record belongs to a signature, by its action or the kind of its object.
RECORDED = {
    "bid.submit": "bid.submitted",
    "bid.withdraw": "bid.withdrawn",
    "award": "award.decided",
    "contract": "contract.signed",
}


def check_signatures_in_audit(procedure: Procedure) -> None:
    """Each signature of a bid, an award or a contract is recorded, and each that is recorded is there: who cuts the end
    off the trail, or takes a signature out, would have to do both."""
    audit = procedure.audit
    if audit is None or not procedure.tells_bidders:
        return
    signed: Counter[tuple[str, str, int | None]] = Counter()
    for paper in procedure.papers.values():
        of, action = paper.payload["object"], str(paper.payload["action"])
        kind = RECORDED.get(action) or RECORDED.get(of["type"])
        if kind == "award.decided":  # however many people signed it, it is decided once
            signed[kind, f"award:{of['id']}", None] = 1
        elif kind:
            signed[kind, f"{of['type']}:{of['id']}", of["version"]] += 1
    recorded: Counter[tuple[str, str, int | None]] = Counter()
    for kind in RECORDED.values():
        for one in audit.of(kind):
            recorded[kind, str(one["object"]), one["details"].get("version")] += 1
    with procedure.report.checking("signatures: audit", "each is recorded, and each that is recorded is here"):
        for (kind, of, _version), count in (recorded - signed).items():
            raise Wrong(f"the audit trail records {kind} of {of}, and {count} of its signatures are missing")
        for (kind, of, _version), _count in (signed - recorded).items():
            raise Wrong(f"a signature of {of} is here, and the audit trail does not record it as {kind}")


def check_newest_stamps(procedure: Procedure) -> None:
    """A stamp whose certificate has ended is no worse for that, but nobody says any more if its key was lost."""
    ended = sum(one.ends_at < datetime.now(UTC) for one in procedure.stamped)
    if ended:
        procedure.report.unchecked(
            "time stamps: newest",
            f"of {ended} of {len(procedure.stamped)} the certificate has ended since this export was made: a newer "
            "export has newer stamps",
            by_design=True,
        )


# Auctions ------------------------------------------------------------------------------------------------------------


#: Kinds of auction whose ranking follows from the standing amounts alone, so that this program computes it.
RANKED_HERE = {"english"}
MOVES = {"bid", "accept", "confirm", "withdraw", "limit"}
#: What time alone brings about: a move that was received before has to come before it.
COURSE = {"tick", "pause", "turn", "published", "announcement"}
PLAIN_EVENTS = {"scheduled", "started", "bid", "paused", "resumed", "retimed", "ended", "cancelled"}


@dataclass
class Log:
    """What the log of one auction says, every hash computed anew."""

    auction: int = -1
    head: str = GENESIS
    count: int = 0
    labels: dict[str, Any] = field(default_factory=dict)
    kind: str = ""
    direction: str = ""
    by_amount: bool = True
    standing: dict[str, tuple[Decimal, datetime, int]] = field(default_factory=dict)
    ranking: list[dict[str, Any]] | None = None
    reached: datetime | None = None  # the latest receipt of a move, tick or turn so far
    overtaken: int = 0  # moves that were decided after one that was received later, or after a later tick or turn


def check_auctions(procedure: Procedure, options: argparse.Namespace) -> None:
    """The logs of live auctions are whole, end where the audit trail says, and give the ranking that they tell; the
    protocols tell the same."""
    report = procedure.report
    heads: dict[str, str] = {}
    lots: dict[str, str] = {}  # by auction, the number of the lot that its log is said to be of
    standing = _standing(procedure)
    rules = None if options.rules is None else Rules(options.rules)
    for name in procedure.export.names("auctions/"):
        log: Log | None = None
        with report.checking(name, "the chain is whole"):
            log = _read_log(_lines(procedure, name))
            heads[f"auction:{log.auction}"] = log.head
            lots[f"auction:{log.auction}"] = Path(name).stem
        if log is None:
            continue
        _tell_order(report, name, log)
        _check_ranking(procedure, name, log)
        _check_standing(procedure, name, log, standing[Path(name).stem])
        _check_award(procedure, name, log)
        if rules is not None:
            with report.checking(f"{name}: rules", "by the rules each bid was rightly taken"):
                rules.replay(log.auction, _events(_lines(procedure, name)))
        else:
            _leave_to_rules(report, name, log.kind)
    for name in procedure.export.names("protocols/auction-"):
        document: dict[str, Any] | None = None
        with report.checking(name, "signed by the platform, and of the very log"):
            document, log = _checked_protocol(procedure, name, heads)
            if not heads:
                _tell_order(report, name, log)
        if document is not None and rules is not None:
            with report.checking(f"{name}: rules", "by the rules each bid was rightly taken, and this came out"):
                rules.check(document)
        elif document is not None and not heads:
            _leave_to_rules(report, name, str(document["terms"]["rules"]["kind"]))
    _tell_missing(procedure)
    if procedure.scope == "supplier" or procedure.audit is None:
        return
    for record in procedure.audit.of("auction.ended"):
        if heads or procedure.tells_bidders:
            with report.checking(f"{record['object']}: end", "as the audit trail records it"):
                said = record["details"]
                require(heads.get(record["object"]) == said["head"], "its log is missing, or ends elsewhere")
                numbers = {lot["id"]: str(lot["number"]) for lot in procedure.tender["lots"]}
                require(lots.get(record["object"]) == numbers.get(said["lot"]), "its log is told of another lot")


def _tell_missing(procedure: Procedure) -> None:
    """A bidder has no trail that would tell of its auction: what is not there has to be said."""
    planned = procedure.tender["timetable"].get("auction_starts_at")
    over = procedure.tender["status"] in {"awarding", "standstill", "complete"}
    if planned and over and not procedure.export.names("protocols/auction-"):
        why = (
            "no protocol is in it: none was held, the reader had no seat, or its log does not hold; ask if you had one"
        )
        procedure.report.unchecked("auction", why, by_design=True)


def _tell_order(report: Report, name: str, log: Log) -> None:
    """First received, first decided. The platform says that this may fail where one of its gateways stands still."""
    if not log.overtaken:
        report.ok(f"{name}: order", "moves were decided as they were received")
        return
    why = f"{log.overtaken} of its moves were decided after what came later: have the platform say why"
    report.unchecked(f"{name}: order", why, by_design=True)


def _leave_to_rules(report: Report, name: str, kind: str) -> None:
    report.unchecked(
        f"{name}: rules",
        f"whether the rules ({kind}) allowed each bid shows with --rules, or by `manage.py replay_auction`",
        by_design=True,
    )


def _lines(procedure: Procedure, name: str) -> Iterator[Any]:
    return (parsed(raw) for raw in procedure.export.lines(name))


def _events(lines: Iterable[Any]) -> Iterator[tuple[int, dict[str, Any], str]]:
    """Number, content and hash of each event, the chain checked on the way. Raises Wrong."""
    previous, auction = GENESIS, None
    for count, line in enumerate(lines, start=1):
        event = line["content"]
        require(event["number"] == count, f"event {count} is missing or out of its place")
        require(event["previous"] == previous, f"event {count} does not follow the one before it")
        require(auction in (None, event["auction"]), f"event {count} is of another auction")
        require(sha256(canonical(event)) == line["hash"], f"event {count} was changed")
        previous, auction = str(line["hash"]), event["auction"]
        yield count, event, previous


def _read_log(lines: Iterable[Any]) -> Log:
    log, ended, ends_at = Log(), False, None
    for count, event, head in _events(lines):
        require(not ended, f"event {count} comes after the end")
        require((count == 1) == (event["kind"] == "scheduled"), f"event {count} is out of turn")
        log.auction, log.head, log.count = event["auction"], head, count
        detail = event["detail"]
        if "ends_at" in detail:
            ends_at = moment(detail["ends_at"])
        if event["kind"] == "ended":
            require(ends_at is not None and moment(event["at"]) >= ends_at, "it was ended before its end had come")
        if event["kind"] == "scheduled":
            log.kind, log.direction = str(detail["rules"]["kind"]), str(detail["rules"].get("direction", ""))
            log.by_amount = "formulas" not in detail["rules"]
            for place, one in enumerate(detail["bidders"]):
                log.by_amount &= set(one) <= {"bidder", "label", "amount", "received_at"}
                log.labels[one["bidder"]] = one["label"]
                # By a clock first bids only let their bidders in: there is no amount, and nothing stands.
                if one["amount"] is not None or log.kind in RANKED_HERE:
                    standing = amount(one["amount"]), moment(one["received_at"]), place - MOST_FILES
                    log.standing[one["bidder"]] = standing
        elif event["bidder"] is not None:
            require(event["bidder"] in log.labels, f"event {count} is of nobody admitted")
            if event["kind"] == "bid":
                log.standing[event["bidder"]] = (amount(event["amount"]), moment(event["at"]), count)
        if event["kind"] in MOVES | COURSE:
            at = moment(event["at"])
            log.overtaken += event["kind"] in MOVES and log.reached is not None and at < log.reached
            log.reached = max(at, log.reached or at)
        log.by_amount &= event["kind"] in PLAIN_EVENTS
        if event["kind"] in ("ended", "cancelled"):
            ended = True
            log.ranking = detail.get("ranking")
    require(log.auction != -1, "it is empty")
    return log


def _order(log: Log) -> list[tuple[str, Decimal]]:
    """Bidders and amounts from the best on; of two alike the earlier."""
    sign = 1 if log.direction == "down" else -1
    order = sorted(log.standing, key=lambda one: (sign * log.standing[one][0], *log.standing[one][1:]))
    return [(one, log.standing[one][0]) for one in order]


def _told(ranking: Iterable[Mapping[str, Any]]) -> list[tuple[str, Decimal]]:
    return [(one["bidder"], amount(one["amount"])) for one in sorted(ranking, key=lambda one: one["rank"])]


def _check_ranking(procedure: Procedure, name: str, log: Log) -> None:
    if log.ranking is None or log.kind not in RANKED_HERE or not log.by_amount:
        return
    with procedure.report.checking(f"{name}: ranking", "it follows from the bids"):
        require(_told(log.ranking) == _order(log), "its ranking is not the one that its bids give")


def _standing(procedure: Procedure) -> Mapping[str, Counter[Decimal]]:
    """By lot, the amounts at which its opened bids stand. What cannot be read is named where it is checked."""
    found: defaultdict[str, Counter[Decimal]] = defaultdict(Counter)
    for name in procedure.export.names("opened/"):
        with suppress(Exception):
            bid = procedure.export.json(name)
            if bid["standing"] is not None:
                found[str(bid["lot"])][amount(bid["standing"])] += 1
    return found


def _check_standing(procedure: Procedure, name: str, log: Log, standing: Counter[Decimal]) -> None:
    """The bids of the lot stand at the amounts of the last event, whoever is behind which label."""
    if log.ranking is None or not procedure.tells_bidders:
        return
    with procedure.report.checking(f"{name}: bids", "they stand as the auction left them"):
        left = Counter(amount(one["amount"]) for one in log.ranking)
        require(left <= standing, "a bid stands at another amount than the auction left it at")


def _check_award(procedure: Procedure, name: str, log: Log) -> None:
    """Whom the buyer chose from were the bidders of the auction, in the order in which it left them."""
    for paper in procedure.papers.values():
        content = paper.payload["content"]
        if paper.payload["object"]["type"] == "award" and str(content["lot"]) == Path(name).stem:
            with procedure.report.checking(
                f"{name}: award {paper.number}", "from its bids, in the order it left them in"
            ):
                chosen_from = [amount(one["amount"]) for one in content["bids"]]
                left = [sum_ for _bidder, sum_ in _told(log.ranking or ())]
                require(_in_order(chosen_from, left), "its bids stand in another order than the auction left them in")


def _in_order(some: Iterable[Decimal], of: Iterable[Decimal]) -> bool:
    """Whether the first are among the others, in the same order."""
    left = iter(of)
    return all(any(one == other for other in left) for one in some)


def _checked_protocol(procedure: Procedure, name: str, heads: Mapping[str, str]) -> tuple[dict[str, Any], Log]:
    document: dict[str, Any] = procedure.export.json(name, LARGEST_LIST)
    statement, log = read_protocol(document, procedure.platform)
    require(statement["tender"] == procedure.tender["number"], "it belongs to another procedure")
    require(f"protocols/auction-{statement['lot']}.json" == name, "it is of another lot")
    require(heads.get(f"auction:{log.auction}", log.head) == log.head, "it ends elsewhere than the auction's log")
    return document, log


def read_protocol(document: Mapping[str, Any], platform: Platform) -> tuple[Mapping[str, Any], Log]:
    """What the platform signed of an auction's protocol, and the log in it, which gives what the protocol says."""
    statement = platform.content(document["statement"])
    require(statement["kind"] == "auction_protocol", "it is signed as something else")
    rest = {part: value for part, value in document.items() if part != "statement"}
    require(statement["document_sha256"] == sha256(canonical(rest)), "it was changed after it was signed")
    log, result = _read_log(document["events"]), document["result"]
    about = (document["tender"]["number"], document["lot"]["number"], document["auction"])
    require((statement["tender"], statement["lot"], statement["auction"]) == about, "it is signed as of another lot")
    require(log.auction == document["auction"], "its events are of another auction")
    for said in (statement, result):
        require((said["events"], said["head"]) == (log.count, log.head), "it tells another end than its events")
    require({one["bidder"]: one["label"] for one in document["bidders"]} == log.labels, "its bidders are others")
    told = [(one["label"], amount(one["amount"])) for one in sorted(result["ranking"], key=lambda one: one["rank"])]
    for order in _orders(log):
        named = [(log.labels[one], sum_) for one, sum_ in order]
        require(told == named, "its ranking is not the one that its events give")
        first = (result["winner"], None if result["price"] is None else amount(result["price"]))
        require(first == (named[0] if named else (None, None)), "its winner is not the one that its events give")
    return statement, log


def _orders(log: Log) -> Iterator[list[tuple[str, Decimal]]]:
    """Bidders and amounts from the best on, as the last event tells them, and as they follow from the bids where that
    is known here."""
    if log.ranking is not None:
        yield _told(log.ranking)
    if log.kind in RANKED_HERE and log.by_amount:
        yield _order(log)


class Rules:
    """The platform's own rules of auctions, from a folder or archive that whoever checks has: they need nothing but
    Python. The one place where this program runs code of the platform, and only where it is told to."""

    def __init__(self, folder: str) -> None:
        """Raises Unreadable."""
        writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True
        sys.path.insert(0, folder)
        try:
            self._log: Any = importlib.import_module("procurement.rules.auction.log")
            self._document: Any = importlib.import_module("procurement.rules.auction.document")
        except ImportError as error:
            raise Unreadable(f"There are no rules of auctions in {folder} ({error}).") from error
        finally:
            sys.path.remove(folder)
            sys.dont_write_bytecode = writes

    def replay(self, auction: int, events: Iterable[tuple[int, dict[str, Any], str]]) -> None:
        """Decide every move again. Raises Wrong."""
        try:
            self._log.replay(auction, ((self._event(content), head) for _count, content, head in events))
        except self._log.LogBroken as error:
            raise Wrong(str(error)) from None

    def check(self, document: Mapping[str, Any]) -> None:
        """The same of a protocol, and what it says came out. Raises Wrong."""
        require_tame(document)
        try:
            self._document.check({part: value for part, value in document.items() if part != "statement"})
        except (self._log.LogBroken, self._document.DocumentWrong) as error:
            raise Wrong(str(error)) from None

    def _event(self, content: Mapping[str, Any]) -> Any:
        require_tame(content)
        given = {one.name: content[one.name] for one in fields(self._log.Event) if one.name in content}
        sum_ = content["amount"]
        typed = {"kind": self._log.EventKind(content["kind"]), "at": moment(content["at"])}
        return self._log.Event(**given | typed | {"amount": None if sum_ is None else amount(sum_)})


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


def check_earlier(procedure: Procedure, options: argparse.Namespace) -> None:
    """What an earlier export of the procedure said still stands in this one: nothing was cut off and written anew."""
    for file in options.earlier:
        name = f"your earlier export {Path(file).name}"
        with procedure.report.checking(name, "this one goes on from it"):
            _require_goes_on(procedure, Export(Path(file)))


def _require_goes_on(procedure: Procedure, earlier: Export) -> None:
    index = procedure.platform.content(earlier.json("index.json", LARGEST_LIST))
    require(index["tender"] == procedure.tender["number"], "it is of another procedure")
    if "roll/roll.json" in earlier:
        held = earlier.json("roll/roll.json", LARGEST_LIST)["statement"]
        require(procedure.roll is not None and procedure.roll["statement"] == held, "it has another roll of bids")
    lasting = {"payload.json", "signature.p7s", "ceremony.json"}
    told = {name for name in earlier.sizes if name.rpartition("/")[2] in lasting or name.startswith("receipts/")}
    for name in sorted(told):
        if name not in procedure.export:
            same_reader = index["scope"] == procedure.scope
            if not same_reader:
                continue
            raise Wrong(f"{name} was in it, and is gone")
        require(procedure.export.digest(name) == earlier.digest(name), f"{name} was another then")
    for name in earlier.names("protocols/auction-"):
        if name in procedure.export:
            then, now = (one.json(name, LARGEST_LIST)["statement"]["content"] for one in (earlier, procedure.export))
            same = all(then[part] == now[part] for part in ("auction", "events", "head"))
            require(same, f"{name} was of another log then")
    head = index.get("audit_head")
    if head and head != GENESIS and procedure.audit is not None:
        require(head in procedure.audit.places, "the audit trail was written anew: its head of then is not in it")


def _held(file: str) -> Any:
    content = Path(file).read_bytes()
    require(len(content) <= LARGEST_DOCUMENT * 4, "it is too large")
    return parsed(content)


def verify_document(path: Path, options: argparse.Namespace, report: Report) -> None:
    """Check a single receipt, proof or protocol of an auction."""
    try:
        with path.open("rb") as stream:
            raw = stream.read(LARGEST_LIST + 1)
        if len(raw) > LARGEST_LIST:
            raise ValueError("it is too large")
        document = parsed(raw)
    except (OSError, ValueError, RecursionError, Wrong) as error:
        raise Unreadable(f"{path.name} cannot be read ({error}).") from error
    if not options.platform_keys:
        raise Unreadable("Name the file with the platform's receipt keys (--platform-keys), from its page of receipts.")
    platform = Platform({})
    with report.checking("platform keys", "readable"):
        platform = platform_of(_held(options.platform_keys), options.platform_key, report)
    form = document.get("format") if isinstance(document, dict) else None
    if form == "openlot-auction-1":
        _check_single_protocol(path.name, document, platform, options, report)
        return
    is_proof = form == "openlot-roll-proof-1"
    with report.checking(path.name, "it leads to the signed root" if is_proof else "signed by the platform"):
        if is_proof:
            require_proof(document)
            said = platform.content(document["statement"])
        else:
            said = platform.content(document)
        require({"tender", "kind"} <= set(said), "it is neither a receipt nor a proof")


def _check_single_protocol(
    name: str, document: Mapping[str, Any], platform: Platform, options: argparse.Namespace, report: Report
) -> None:
    log: Log | None = None
    with report.checking(name, "signed by the platform, its chain is whole"):
        statement, log = read_protocol(document, platform)
        report.ok("auction", f"of lot {statement['lot']} of {statement['tender']}; head {log.head}")
    if log is None:
        return
    _tell_order(report, name, log)
    if options.rules is None:
        _leave_to_rules(report, name, log.kind)
        return
    rules = Rules(options.rules)
    with report.checking(f"{name}: rules", "by the rules each bid was rightly taken, and this came out"):
        rules.check(document)


# The command ---------------------------------------------------------------------------------------------------------


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="openlot-verify", description="Check the export of a procedure without the platform."
    )
    parser.add_argument(
        "export", type=Path, help="the archive, a folder with its content, or a single receipt, proof or protocol"
    )
    add = partial(parser.add_argument, action="append", default=[])
    add("--platform-key", metavar="SHA256", help="fingerprint of a receipt key you trust; may be given again")
    add("--receipt", metavar="FILE", help="a receipt you hold: the export must have the very same")
    add("--proof", metavar="FILE", help="a proof you hold: it must be of the export's roll")
    add("--earlier", metavar="EXPORT", help="an earlier export you hold: this one must go on from it")
    add("--lot-key", metavar="LOT=FILE", help="the disclosed private key of a lot, to open its bids again")
    add("--share", metavar="FILE", help="a disclosed share of a committee's key; as many as it takes")
    parser.add_argument("--seed", metavar="FILE", help="the key that a committee's shares give, disclosed")
    words = "folder or archive with the platform's package procurement: auctions are decided again by its rules"
    parser.add_argument("--rules", metavar="DIR", help=words)
    parser.add_argument("--platform-keys", metavar="FILE", help="the platform's receipt keys, for a single document")
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
