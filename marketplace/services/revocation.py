"""Revocation lists: taken, kept by version, indexed by serial number, and asked what a verification must know."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby, islice
from operator import attrgetter
from typing import Final

from asn1crypto import pem
from cryptography import x509
from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, FilteredRelation, Q, QuerySet
from django.utils.translation import gettext_lazy as _

from marketplace import audit
from marketplace.models import (
    SERIAL_LENGTH,
    OcspAnswer,
    RevocationList,
    RevocationSource,
    RevokedEntry,
    TrustedCertificate,
)
from marketplace.permissions import Actor, require_operator
from marketplace.shared.errors import DomainError
from marketplace.signatures import (
    CertificateId,
    Evidence,
    IndexedList,
    LeftOut,
    Revocation,
    certificate_id,
    certificates_in,
    certificates_in_answer,
    lists,
    names,
)
from marketplace.signatures.payload import sha256_hex

#: The audit stream of everything that changes what the platform trusts.
STREAM: Final = "trust"
_LINES_AT_ONCE: Final = 5_000
#: How far an authority's clock may be ahead of ours.
_AHEAD: Final = timedelta(minutes=5)
# What tells the parts of a divided list apart.
_DIVIDING: Final = (x509.IssuingDistributionPoint, x509.DeltaCRLIndicator)


class NoRevocationList(DomainError):
    code, status = "no_revocation_list", 422
    sentence = _("This file holds no revocation list with a date of its next issue. Give one in PEM or DER form.")


class UnknownIssuer(DomainError):
    code, status = "unknown_issuer", 422
    sentence = _("The revocation list was not signed by an authority in the trust store.")


class MayNotIssueLists(DomainError):
    code, status = "may_not_issue_lists", 422
    sentence = _("The authority’s certificate does not allow it to sign revocation lists.")


class ListFromTheFuture(DomainError):
    code, status = "list_from_the_future", 422
    sentence = _("The revocation list says that it will be issued only on %(moment)s. Check the clocks.")


class OtherAuthority(DomainError):
    code, status = "other_authority", 422
    sentence = _("This revocation list is of another authority: %(issuer)s.")


class OlderList(DomainError):
    code = "older_list"
    sentence = _("A newer revocation list of this authority is loaded already.")


@dataclass(frozen=True, slots=True)
class _Read:
    """A list as it was read: `entries` is None where its meaning takes more than serial numbers."""

    crl: x509.CertificateRevocationList
    der: bytes
    issuer: str
    this_update: datetime
    next_update: datetime
    number: int | None
    scope: str
    entries: Mapping[int, Revocation] | None

    @property
    def issuer_name(self) -> bytes:
        """Its issuer's name, DER, as it stands in the list."""
        return names.issuer_of_list(self.der)


def load_list(
    encoded: bytes, *, by: Actor | None, at: datetime, source: RevocationSource | None = None
) -> RevocationList:
    """Take an authority's newest revocation list (PEM or DER) in place of the one before; the same again is fine.

    `by` is None for the platform itself. With `source` the list must be of the source's authority. Raises
    NoRevocationList, UnknownIssuer, MayNotIssueLists, ListFromTheFuture, OtherAuthority, OlderList.
    """
    require_operator(by)
    encoded = _der(encoded)
    issuer = _issuer(encoded)
    read = _read(encoded)
    if read.this_update > at + _AHEAD:
        raise ListFromTheFuture(field="list", moment=f"{read.this_update:%Y-%m-%d %H:%M} UTC")
    if source is not None and source.authority.name_sha256 != issuer.name_sha256:
        raise OtherAuthority(field="list", issuer=read.issuer)
    return _take(read, issuer, by=by, at=at, source=source)


@transaction.atomic
def _take(
    read: _Read, issuer: TrustedCertificate, *, by: Actor | None, at: datetime, source: RevocationSource | None
) -> RevocationList:
    """Make it the current list of this issuer, key and scope, unless that is as new already."""
    name = issuer.name_sha256
    _lock(f"{name}:{issuer.key_sha256}:{read.scope}")
    current = (
        RevocationList.objects.filter(
            issuer_sha256=name, issuer_key_sha256=issuer.key_sha256, scope=read.scope, is_current=True
        )
        .defer("der")
        .first()
    )
    sha256 = sha256_hex(read.der)
    if current is not None:
        if current.sha256 == sha256 and current.is_indexed == (read.entries is not None):
            return current
        if _is_older(read, current):
            raise OlderList(field="list")
        RevokedEntry.objects.filter(list=current).delete()
        current.is_current, current.superseded_at = False, at
        current.save(update_fields=["is_current", "superseded_at"])
    loaded = RevocationList.objects.create(
        issuer_sha256=name,
        issuer_key_sha256=issuer.key_sha256,
        scope=read.scope,
        issuer=read.issuer[:500],
        issuer_name=read.issuer_name,
        sha256=sha256,
        der=read.der,
        size=len(read.der),
        number=str(read.number) if read.number is not None else "",
        this_update=read.this_update,
        next_update=read.next_update,
        loaded_at=at,
        loaded_by=by.person if by else None,
        source=source,
        count=len(read.crl),
        is_indexed=read.entries is not None,
    )
    _copy(loaded, read.entries or {})
    audit.record(
        "revocation_list_loaded", loaded, by=by, at=at, stream=STREAM,
        issuer=loaded.issuer, number=loaded.number, entries=loaded.count, sha256=loaded.sha256,
    )  # fmt: skip
    return loaded


def evidence(cms: bytes, intermediates: Iterable[bytes], at: datetime) -> Evidence:
    """What is known about the certificates of a signature and these authorities (DER), at the price of three queries.

    Of an indexed list only the entries of these certificates, and of those who answered about them, are read, however
    many it has. Where a list is newer than `at` (it came while the signature was on its way), the one before it is
    given as well. What has to be read whole is bounded, and what is left out is told.
    """
    asked = {*certificates_in(cms), *map(certificate_id, intermediates)}
    answers = _answers(asked, at)
    # A responder may be revoked like anybody else, and a list says so only where it is asked.
    asked.update(one for answer in answers for one in certificates_in_answer(answer))
    current = RevocationList.objects.filter(
        is_current=True, issuer_sha256__in={sha256_hex(one.issuer) for one in asked}
    )
    serials = frozenset(one.serial for one in asked)
    indexed = list(_indexed(current.filter(is_indexed=True), serials))
    whole, left_out = _whole(current.filter(is_indexed=False), at)
    before = (_before(one, asked, at) for one in indexed if one.this_update > at)
    for older in [one for one in before if one is not None]:
        if isinstance(older, IndexedList):
            indexed.append(older)
        elif isinstance(older, LeftOut):
            left_out.append(older)
        else:
            whole.append(older)
    return Evidence(crls=tuple(whole), ocsps=answers, lists=tuple(indexed), left_out=tuple(left_out))


def _whole(current: QuerySet[RevocationList], at: datetime) -> tuple[list[bytes], list[LeftOut]]:
    """The lists that are read whole, the smallest first, as far as there is time for that; and others that still hold.

    One that has run out says nothing more: an authority may have gone over to answers about single certificates.
    """
    found: list[int] = []
    left_out: list[LeftOut] = []
    size = 0
    for one in current.defer("der").order_by("size", "pk"):
        size += one.size
        if len(found) < lists.MAX_WHOLE and size <= lists.MAX_WHOLE_BYTES:
            found.append(one.pk)
        elif one.next_update > at:
            left_out.append(LeftOut(bytes(one.issuer_name), one.size))
    whole = RevocationList.objects.filter(pk__in=found).order_by("pk") if found else RevocationList.objects.none()
    return [bytes(der) for der in whole.values_list("der", flat=True)], left_out


def _answers(asked: Iterable[CertificateId], at: datetime) -> tuple[bytes, ...]:
    """The answers kept about these certificates that still hold; a revocation holds for ever."""
    issuers, serials = {sha256_hex(one.issuer) for one in asked}, {_hexadecimal(one.serial) for one in asked}
    found = OcspAnswer.objects.filter(
        Q(next_update__gt=at) | Q(status="revoked"),
        authority__name_sha256__in=issuers,
        serial__in=serials,
        this_update__lte=at,
    ).exclude(der=b"")
    return tuple(map(bytes, found.order_by("pk").values_list("der", flat=True)))


def remove_older(*, at: datetime) -> int:
    """Empty the bytes of lists that were replaced long ago; what was relied on is kept with its signature.

    Their rows stay: which list was in force when. Returns how many were emptied.
    """
    before = at - timedelta(days=settings.REVOCATION_KEEP_OLDER_DAYS)
    return RevocationList.objects.filter(superseded_at__lt=before, size__gt=0).exclude(der=b"").update(der=b"")


def _indexed(current: QuerySet[RevocationList], serials: frozenset[int]) -> Iterator[IndexedList]:
    """The lists with their entries among `serials`.

    One statement, so one snapshot: a list that is replaced meanwhile is seen before or after, never without entries.
    """
    wanted = {_hexadecimal(one) for one in serials}
    rows = (
        current.annotate(found=FilteredRelation("entries", condition=Q(entries__serial__in=wanted)))
        .annotate(serial=F("found__serial"), revoked_at=F("found__revoked_at"), reason=F("found__reason"))
        .defer("der")
        .order_by("pk")
    )
    for _pk, found in groupby(rows, key=attrgetter("pk")):
        entries = list(found)
        row = entries[0]
        revoked = {
            int(one.serial, 16): Revocation(one.revoked_at, one.reason) for one in entries if one.serial is not None
        }
        yield _cut_down(row, serials, revoked)


def _before(one: IndexedList, asked: Iterable[CertificateId], at: datetime) -> IndexedList | LeftOut | bytes | None:
    """The list that was in force at `at`, while its bytes are kept.

    Its entries are rows no more, but what a list does not name does not even occur in its bytes.
    """
    older = RevocationList.objects.filter(
        issuer_sha256=sha256_hex(one.issuer),
        issuer_key_sha256=one.issuer_key_sha256,
        scope="",
        is_indexed=True,
        this_update__lte=at,
    )
    row = older.exclude(der=b"").order_by("-this_update", "-pk").first()
    if row is None:
        return None
    der, mine = bytes(row.der), frozenset(each.serial for each in asked if each.issuer == one.issuer)
    if not any(lists.may_mention(der, serial) for serial in mine):
        return _cut_down(row, mine, {})
    return der if len(der) <= lists.MAX_WHOLE_BYTES else LeftOut(one.issuer, len(der))


def _cut_down(row: RevocationList, asked: frozenset[int], revoked: Mapping[int, Revocation]) -> IndexedList:
    return IndexedList(
        issuer=bytes(row.issuer_name),
        issuer_key_sha256=row.issuer_key_sha256,
        this_update=row.this_update,
        next_update=row.next_update,
        sha256=row.sha256,
        asked=asked,
        revoked=revoked,
    )


# Reading a list


def _der(encoded: bytes) -> bytes:
    """Within bounds, out of its PEM form."""
    try:
        if len(encoded) > settings.REVOCATION_MAX_BYTES:
            raise ValueError
        return bytes(pem.unarmor(encoded)[2]) if b"-----BEGIN" in encoded[:1024] else encoded
    except ValueError:
        raise NoRevocationList(field="list") from None


def _read(der: bytes) -> _Read:
    """A list whose signature was verified: only then is it worth reading millions of entries."""
    try:
        crl = x509.load_der_x509_crl(der)
        next_update = crl.next_update_utc
        if next_update is None:
            raise ValueError
        return _Read(
            crl=crl,
            der=der,
            issuer=crl.issuer.rfc4514_string(),
            this_update=crl.last_update_utc,
            next_update=next_update,
            number=_number(crl),
            scope=_scope(crl),
            entries=_entries(der),
        )
    except Exception:  # noqa: BLE001 – parts are parsed when asked for, and what is wrong with them has many names
        raise NoRevocationList(field="list") from None


def _number(crl: x509.CertificateRevocationList) -> int | None:
    try:
        return crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    except x509.ExtensionNotFound:
        return None


def _entries(der: bytes) -> Mapping[int, Revocation] | None:
    """The entries of a simple list; None where the engine has to read it whole. Raises ValueError."""
    try:
        found = lists.read(der).entries
    except lists.NotSimple:
        return None
    return found if all(len(_hexadecimal(serial)) <= SERIAL_LENGTH for serial in found) else None


def _scope(crl: x509.CertificateRevocationList) -> str:
    """ "" for a complete list. The parts of a divided one, and what changed since another, stand beside each other."""
    said = [extension.value for extension in crl.extensions if isinstance(extension.value, _DIVIDING)]
    # A delta names the list it goes by, which changes; that it is one does not.
    parts = [b"delta" if isinstance(one, x509.DeltaCRLIndicator) else one.public_bytes() for one in said]
    return sha256_hex(b"\0".join(sorted(parts))) if parts else ""


def _issuer(der: bytes) -> TrustedCertificate:
    """The trusted certificate whose key signed the list; nothing but its outline is read."""
    try:
        name = sha256_hex(names.issuer_of_list(der))
        named = TrustedCertificate.objects.filter(enabled=True, name_sha256=name).order_by("pk")
        trusted = next((one for one in named if lists.signed_by(der, bytes(one.der))), None)
    except ValueError:
        raise NoRevocationList(field="list") from None
    if trusted is None:
        raise UnknownIssuer(field="list")
    if not _may_sign_lists(x509.load_der_x509_certificate(bytes(trusted.der))):
        raise MayNotIssueLists(field="list")
    return trusted


def _may_sign_lists(issuer: x509.Certificate) -> bool:
    try:
        return issuer.extensions.get_extension_for_class(x509.KeyUsage).value.crl_sign
    except x509.ExtensionNotFound:
        return True


def _is_older(read: _Read, current: RevocationList) -> bool:
    """By date; where the dates are equal, by number."""
    if read.this_update != current.this_update:
        return read.this_update < current.this_update
    return read.number is not None and current.number.isdecimal() and read.number < int(current.number)


# Writing it


def _copy(loaded: RevocationList, entries: Mapping[int, Revocation]) -> None:
    columns = "(list_id, serial, revoked_at, reason)"
    statement = f"COPY {RevokedEntry._meta.db_table} {columns} FROM STDIN"
    with connection.cursor() as cursor, cursor.copy(statement) as rows:
        # Lines of our own, as none of these values needs escaping: row by row takes four times as long.
        lines = (f"{loaded.pk}\t{serial:X}\t{at.isoformat()}\t{reason}\n" for serial, (at, reason) in entries.items())
        while chunk := "".join(islice(lines, _LINES_AT_ONCE)):
            rows.write(chunk)


def _hexadecimal(serial: int) -> str:
    return f"{serial:X}"


def _lock(what: str) -> None:
    """One at a time: also where there is no row yet that could be locked."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"revocation:{what}"])
