"""Revocation lists read once and asked by serial number.

A list is *simple* when all it says is which serial numbers of its issuer are revoked, when and why. Whatever else there
is (partitions, deltas, indirect lists, critical extensions we do not know) is left to pyHanko.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from asn1crypto import algos, core, crl
from asn1crypto import x509 as asn1
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import CRLEntryExtensionOID, ExtensionOID

from . import der, values
from .report import IndexedList, Revocation

#: What the cache keeps at most: so many lists, and so many entries in all of them.
MAX_LISTS, MAX_ENTRIES = 64, 1_000_000
#: Lists that are not simple are read whole at every use: so many for one certificate, and so many bytes in all.
MAX_WHOLE: Final = 64
MAX_WHOLE_BYTES: Final = 4 * 1024 * 1024
HOLD: Final = x509.ReasonFlags.certificate_hold.value
_STRONG: Final = frozenset({"sha256", "sha384", "sha512"})
_HARMLESS: Final = frozenset({ExtensionOID.AUTHORITY_KEY_IDENTIFIER, ExtensionOID.CRL_NUMBER})
_CHANGES_SCOPE: Final = frozenset(
    {ExtensionOID.ISSUING_DISTRIBUTION_POINT, ExtensionOID.DELTA_CRL_INDICATOR, ExtensionOID.FRESHEST_CRL}
)
_ENTRY_HARMLESS: Final = frozenset(
    {CRLEntryExtensionOID.CRL_REASON.dotted_string, CRLEntryExtensionOID.INVALIDITY_DATE.dotted_string}
)
_SEQUENCE, _UTC_TIME, _GENERALIZED_TIME = 0x30, 0x17, 0x18
_UNSPECIFIED: Final = x509.ReasonFlags.unspecified.value
_LIFTED: Final = x509.ReasonFlags.remove_from_crl.value
#: RFC 5280, 5.3.1, by number.
_WORDS: Final = {
    0: _UNSPECIFIED,
    1: x509.ReasonFlags.key_compromise.value,
    2: x509.ReasonFlags.ca_compromise.value,
    3: x509.ReasonFlags.affiliation_changed.value,
    4: x509.ReasonFlags.superseded.value,
    5: x509.ReasonFlags.cessation_of_operation.value,
    6: HOLD,
    8: _LIFTED,
    9: x509.ReasonFlags.privilege_withdrawn.value,
    10: x509.ReasonFlags.aa_compromise.value,
}


class Unreadable(ValueError):
    """The bytes are no revocation list, or one signed with too weak a hash function: no evidence at all."""


class NotSimple(ValueError):
    """A list that says more than serial numbers: to be kept whole (DER) and given as such."""


@dataclass(frozen=True, slots=True)
class SimpleList:
    """What a simple list says. Nothing of it is believed before `verified_by` says by whom."""

    issuer: bytes
    this_update: datetime
    next_update: datetime
    sha256: str
    entries: Mapping[int, Revocation]
    encoded: bytes = field(repr=False)
    _parsed: x509.CertificateRevocationList = field(repr=False)
    _verified: dict[bytes, bool] = field(repr=False, compare=False, default_factory=dict)

    def verified_by(self, authority: bytes) -> bool:
        """Whether the certificate (DER) is of this list's issuer, may sign lists, and its key made the signature.

        The certificate itself is not judged: that is the path's matter.
        """
        if authority not in self._verified:
            if len(self._verified) >= MAX_LISTS:
                self._verified.clear()
            self._verified[authority] = self._is_verified_by(authority)
        return self._verified[authority]

    def indexed(self, authority: bytes, serials: Iterable[int]) -> IndexedList:
        """The list cut down to some serial numbers. Raises `ValueError` when the authority did not sign it."""
        if not self.verified_by(authority):
            raise ValueError("the list was not signed by this authority")
        asked = frozenset(serials)
        wanted = {serial: self.entries[serial] for serial in asked if serial in self.entries}
        key = key_sha256(asn1.Certificate.load(authority))
        return IndexedList(self.issuer, key, self.this_update, self.next_update, self.sha256, asked, wanted)

    def _is_verified_by(self, authority: bytes) -> bool:
        try:
            certificate = asn1.Certificate.load(authority)
            usage = certificate.key_usage_value
            if not same_name(self.issuer, certificate.subject) or (usage and "crl_sign" not in usage.native):
                return False
            key = x509.load_der_x509_certificate(authority).public_key()
            assert isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey)
            return self._parsed.is_signature_valid(key)
        except Exception:  # noqa: BLE001 – as in `read`; a list that cannot be checked was not verified
            return False


def read(encoded: bytes) -> SimpleList:
    """Read a list (DER). Raises `Unreadable` or `NotSimple`. Some 3 µs an entry."""
    try:
        parsed = x509.load_der_x509_crl(encoded)
        strong = _is_strong(parsed)
        extensions = {extension.oid: extension for extension in parsed.extensions}
        issuer = parsed.issuer.public_bytes()
        this_update, next_update = parsed.last_update_utc, parsed.next_update_utc
    except Exception as error:  # cryptography has exceptions of its own for versions, extensions and more
        raise Unreadable("this is no revocation list that can be read") from error
    if not strong:
        raise Unreadable("the list is signed with too weak a hash function")
    if next_update is None or next_update < this_update:
        raise NotSimple("the list does not say until when it holds")
    if any(oid in _CHANGES_SCOPE or (one.critical and oid not in _HARMLESS) for oid, one in extensions.items()):
        raise NotSimple("the list is about a part of the certificates, or says something unknown")
    try:
        entries = _entries(parsed)
    except NotSimple:
        raise
    except Exception as error:  # asn1crypto raises ValueError, TypeError, KeyError and more
        raise Unreadable("an entry of the list cannot be read") from error
    return SimpleList(
        issuer=issuer,
        this_update=this_update,
        next_update=next_update,
        sha256=hashlib.sha256(encoded).hexdigest(),
        entries=entries,
        encoded=encoded,
        _parsed=parsed,
    )


def signed_by(encoded: bytes, authority: bytes) -> bool:
    """Whether a certificate's key made a list's signature (both DER), found out before any of its entries is read.

    Names and purposes are not asked: `SimpleList.verified_by` does that. Raises `Unreadable`.
    """
    try:
        (_, signed, tbs), (_, _, stated), (_, (start, end), _) = der.members(encoded, *der.content(encoded))
        within = next(whole for tag, _, whole in der.members(encoded, *signed) if tag == _SEQUENCE)
        scheme = algos.SignedDigestAlgorithm.load(encoded[slice(*stated)], strict=True)
        if encoded[slice(*within)] != encoded[slice(*stated)] or encoded[start : start + 1] != b"\0":
            raise Unreadable("the list does not agree with itself about its signature")
        if not _names_strong_hash(scheme):
            raise Unreadable("the list is signed with too weak a hash function")
        key = asn1.Certificate.load(authority).public_key
        return values.verifies(encoded[start + 1 : end], encoded[slice(*tbs)], key, scheme, "")
    except values.Unverifiable:
        return False
    except Unreadable:
        raise
    except Exception as error:  # asn1crypto raises ValueError, TypeError, KeyError and more
        raise Unreadable("this is no revocation list that can be read") from error


def may_mention(encoded: bytes, serial: int) -> bool:
    """Whether a list (DER) could have an entry of this serial number: not, where its bytes do not occur in it."""
    return core.Integer(serial).dump() in encoded


def same_name(encoded: bytes, name: asn1.Name) -> bool:
    """Whether two names are one by the rules of RFC 5280: case, spaces and string types do not count."""
    other: bytes = name.dump()
    return encoded == other or _meaning(encoded) == _meaning(other)


@lru_cache(maxsize=256)
def _meaning(name: bytes) -> str:
    found: str = asn1.Name.load(name).hashable
    return found


def key_sha256(certificate: asn1.Certificate) -> str:
    """The SHA-256 of a certificate's SubjectPublicKeyInfo, in hexadecimal."""
    return hashlib.sha256(certificate.public_key.dump()).hexdigest()


class Shelf:
    """Lists that were read, by their very bytes; those used longest ago go first. Also remembers which are not simple.

    A list says the same whenever it is read, so nothing here grows old: when it holds is asked at every use. For one
    thread at a time, the lists it hands out included.
    """

    def __init__(self, most_lists: int = MAX_LISTS, most_entries: int = MAX_ENTRIES) -> None:
        self._most_lists, self._most_entries = most_lists, most_entries
        self._found: OrderedDict[bytes, SimpleList | None] = OrderedDict()
        self._entries = 0
        self._whole: OrderedDict[bytes, crl.CertificateList | None] = OrderedDict()

    def get(self, encoded: bytes) -> SimpleList | None:
        """The list, or None when it is not simple. Raises `Unreadable`."""
        if encoded in self._found:
            self._found.move_to_end(encoded)
            return self._found[encoded]
        try:
            found: SimpleList | None = read(encoded)
        except NotSimple:
            found = None
        self._found[encoded] = found
        self._entries += _weight(found)
        while len(self._found) > self._most_lists or (self._entries > self._most_entries and len(self._found) > 1):
            _, dropped = self._found.popitem(last=False)
            self._entries -= _weight(dropped)
        return found

    def whole(self, encoded: bytes) -> crl.CertificateList | None:
        """A list for pyHanko, of which reading takes longest the first time; None when it cannot be read."""
        if encoded not in self._whole:
            found = _loaded(encoded)
            if len(encoded) > MAX_WHOLE_BYTES:
                return found
            self._whole[encoded] = found
            while sum(map(len, self._whole)) > MAX_WHOLE_BYTES:
                self._whole.popitem(last=False)
        self._whole.move_to_end(encoded)
        return self._whole[encoded]

    def __len__(self) -> int:
        return len(self._found)


def _loaded(encoded: bytes) -> crl.CertificateList | None:
    try:
        found = crl.CertificateList.load(encoded, strict=True)
        return found if found.issuer.hashable else None
    except Exception:  # noqa: BLE001 – asn1crypto raises ValueError, TypeError, KeyError and more on odd structures
        return None


def _weight(found: SimpleList | None) -> int:
    return len(found.entries) if found else 0


def _is_strong(parsed: x509.CertificateRevocationList) -> bool:
    function = parsed.signature_hash_algorithm
    return function is None or function.name in _STRONG  # Ed25519 names none


def _names_strong_hash(scheme: algos.SignedDigestAlgorithm) -> bool:
    try:
        return scheme.hash_algo in _STRONG
    except ValueError:
        return bool(scheme.signature_algo == "ed25519")


def _entries(parsed: x509.CertificateRevocationList) -> dict[int, Revocation]:
    """A walk of our own over what cryptography has found well-formed: its own takes ten times as long."""
    encoded = parsed.tbs_certlist_bytes
    entries: dict[int, Revocation] = {}
    moments: dict[bytes, datetime] = {}
    reasons: dict[bytes, str] = {b"": _UNSPECIFIED}
    position, end = _revoked_certificates(encoded)
    while position < end:
        _, (inside, after), _ = next(der.members(encoded, position, end))
        moment_at = inside + 2 + encoded[inside + 1]
        serial = int.from_bytes(encoded[inside + 2 : moment_at], "big", signed=True)
        rest_at = moment_at + 2 + encoded[moment_at + 1]
        moment, rest = encoded[moment_at:rest_at], encoded[rest_at:after]
        if moment not in moments:
            moments[moment] = _moment(moment)
        if rest not in reasons:
            reasons[rest] = _reason(encoded[position:after])
        position = after
        if reasons[rest] == _LIFTED:  # what another entry says of the same certificate still counts
            continue
        revocation = Revocation(moments[moment], reasons[rest])
        before = entries.get(serial)
        entries[serial] = revocation if before is None else _graver(before, revocation)
    return entries


def _revoked_certificates(encoded: bytes) -> der.Span:
    """Where the entries lie in the signed part: the first sequence after the times of issue."""
    members = list(der.members(encoded, *der.content(encoded)))
    times = [number for number, (tag, _, _) in enumerate(members) if tag in (_UTC_TIME, _GENERALIZED_TIME)]
    after = members[times[-1] + 1 :]
    return after[0][1] if after and after[0][0] == _SEQUENCE else (0, 0)


def _moment(encoded: bytes) -> datetime:
    time = core.UTCTime.load(encoded) if encoded[0] == _UTC_TIME else core.GeneralizedTime.load(encoded)
    found: datetime = time.native
    return found.astimezone(UTC)


def _reason(entry: bytes) -> str:
    found = crl.RevokedCertificate.load(entry, strict=True)
    reason = _UNSPECIFIED
    for extension in found["crl_entry_extensions"]:
        kind = extension["extn_id"].dotted
        if kind == CRLEntryExtensionOID.CERTIFICATE_ISSUER.dotted_string or (
            extension["critical"].native and kind not in _ENTRY_HARMLESS
        ):
            raise NotSimple("an entry of the list says something unknown")
        if kind == CRLEntryExtensionOID.CRL_REASON.dotted_string:
            reason = _WORDS[int(extension["extn_value"].parsed)]
    return reason


def _graver(one: Revocation, other: Revocation) -> Revocation:
    """Of two entries on the same certificate: for good goes before on hold, then the earlier one."""
    return min(one, other, key=lambda found: (found.reason == HOLD, found.at))
