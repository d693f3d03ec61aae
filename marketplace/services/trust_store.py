"""The trust store: authorities whose certificates count. The operator's, audited; the gravest changes take two of them.

Everything that changes what is trusted is recorded in one audit stream, `revocation.STREAM`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from marketplace import audit
from marketplace.models import Person, StaffRole, TrustedCertificate, TrustKind
from marketplace.permissions import Actor, require_operator
from marketplace.services import notifications, revocation
from marketplace.shared.errors import DomainError, NotFound
from marketplace.signatures import names
from marketplace.signatures.authority import Authority
from marketplace.signatures.payload import sha256_hex

#: Bytes. One certificate: a larger file is a mistake.
MAX_CERTIFICATE: Final = 64 * 1024
NOTE_MAX_LENGTH: Final = 300
#: What a false one of would let anybody's signature or any time pass. An intermediate counts below an anchor only.
GRAVE: Final = frozenset({TrustKind.ANCHOR, TrustKind.TSA})


class NoCertificate(DomainError):
    code, status = "no_certificate", 422
    sentence = _("This file holds no certificate. Give one certificate in PEM or DER form.")


class NoAuthority(DomainError):
    code, status = "no_authority", 422
    sentence = _("This is not an authority’s certificate: it may not issue others.")


class AuthorityExpired(DomainError):
    code, status = "authority_expired", 422
    sentence = _("This authority’s certificate is expired.")


class AlreadyTrusted(DomainError):
    code = "already_trusted"
    sentence = _("This certificate is in the trust store already.")


class ReasonMissing(DomainError):
    code, status = "reason_missing", 422
    sentence = _("Say why. It is kept with the record.")


class NothingProposed(DomainError):
    code = "nothing_proposed"
    sentence = _("Nothing waits for a confirmation here: somebody else has decided meanwhile.")


class OwnProposal(DomainError):
    code, status = "own_proposal", 403
    sentence = _("You proposed this yourself. Another operator has to confirm it.")


@dataclass(frozen=True, slots=True)
class AuthorityDetails:
    """What an authority's certificate says. `usages` are RFC 5280's words; `path_length` None means no limit."""

    der: bytes
    sha256: str
    subject: str
    issuer: str
    serial: str
    key: str
    not_before: datetime
    not_after: datetime
    path_length: int | None
    usages: tuple[str, ...]
    issues_itself: bool


def read(encoded: bytes, at: datetime, kind: TrustKind = TrustKind.ANCHOR) -> AuthorityDetails:
    """What a certificate (PEM or DER) says, for whoever decides whether to trust it as `kind`.

    A time-stamping authority may be trusted by its own certificate, without whoever issued it.

    Raises NoCertificate, NoAuthority, AuthorityExpired.
    """
    certificate, said = _described(encoded)
    if not _is_authority(certificate) and not (kind == TrustKind.TSA and _may_stamp(certificate)):
        raise NoAuthority(field="certificate")
    if at >= said.not_after:
        raise AuthorityExpired(field="certificate")
    return said


def describe(certificate: x509.Certificate) -> AuthorityDetails:
    der = certificate.public_bytes(serialization.Encoding.DER)
    return AuthorityDetails(
        der=der,
        sha256=sha256_hex(der),
        subject=certificate.subject.rfc4514_string(),
        issuer=certificate.issuer.rfc4514_string(),
        serial=f"{certificate.serial_number:X}",
        key=_key_in_words(certificate),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        path_length=_path_length(certificate),
        usages=_usages(certificate),
        issues_itself=certificate.subject == certificate.issuer,
    )


@transaction.atomic
def add(kind: TrustKind, encoded: bytes, *, by: Actor | None, at: datetime, note: str = "") -> TrustedCertificate:
    """Trust an authority (PEM or DER), or propose it where a second operator has to confirm it (`takes_two`).

    `by` is None for the platform itself: the demonstration's set-up. Raises as `read`, and AlreadyTrusted.
    """
    require_operator(by)
    said = read(encoded, at, kind)
    alike = {TrustKind.TSA} if kind == TrustKind.TSA else {TrustKind.ANCHOR, TrustKind.INTERMEDIATE}
    proposed = takes_two(kind, by)
    name, key = names.name_and_key(said.der)
    if TrustedCertificate.objects.filter(sha256=said.sha256, kind__in=alike).exists():
        raise AlreadyTrusted(field="certificate")
    trusted, created = TrustedCertificate.objects.get_or_create(
        sha256=said.sha256,
        kind=kind,
        defaults={
            "der": said.der,
            "subject": said.subject[:500],
            "name_sha256": sha256_hex(name),
            "key_sha256": sha256_hex(key),
            "not_after": said.not_after,
            "enabled": not proposed,
            "note": note[:NOTE_MAX_LENGTH],
            "added_at": at,
            "added_by": by.person if by else None,
            "counted_at": None if proposed else at,
            "proposed_at": at if proposed else None,
            "proposed_by": by.person if by and proposed else None,
        },
    )
    if not created:
        raise AlreadyTrusted(field="certificate")
    _record("trust_proposed" if proposed else "trust_added", trusted, by, at, why=note)
    if proposed:
        _ask_others(trusted, by, at)
    return trusted


@transaction.atomic
def disable(trusted_id: int, reason: str, *, by: Actor, at: datetime) -> TrustedCertificate:
    """Stop trusting an authority at once, or turn a proposal down. Signatures taken before keep their verdict.

    Raises ReasonMissing.
    """
    require_operator(by)
    trusted = _locked(trusted_id)
    if not reason.strip():
        raise ReasonMissing(field="reason")
    if not trusted.enabled and trusted.proposed_at is None:
        return trusted
    turned_down = trusted.proposed_at is not None
    trusted.enabled, trusted.proposed_at, trusted.proposed_by = False, None, None
    trusted.disabled_at, trusted.disabled_by = at, by.person
    trusted.disabled_reason = reason.strip()[:NOTE_MAX_LENGTH]
    trusted.save(
        update_fields=["enabled", "proposed_at", "proposed_by", "disabled_at", "disabled_by", "disabled_reason"]
    )
    _record("trust_turned_down" if turned_down else "trust_disabled", trusted, by, at, why=trusted.disabled_reason)
    return trusted


@transaction.atomic
def enable(trusted_id: int, reason: str, *, by: Actor, at: datetime) -> TrustedCertificate:
    """Trust an authority again, or propose it where that takes two operators. `reason` becomes why it is trusted.

    Raises ReasonMissing, AuthorityExpired.
    """
    require_operator(by)
    trusted = _locked(trusted_id)
    if not reason.strip():
        raise ReasonMissing(field="reason")
    if trusted.enabled or trusted.proposed_at is not None:
        return trusted
    if at >= trusted.not_after:
        raise AuthorityExpired(field="reason")
    proposed = takes_two(TrustKind(trusted.kind), by)
    trusted.enabled, trusted.note = not proposed, reason.strip()[:NOTE_MAX_LENGTH]
    trusted.proposed_at, trusted.proposed_by = (at, by.person) if proposed else (None, None)
    trusted.counted_at = trusted.counted_at or (None if proposed else at)
    trusted.save(update_fields=["enabled", "note", "counted_at", "proposed_at", "proposed_by"])
    _record("trust_proposed" if proposed else "trust_enabled", trusted, by, at, why=trusted.note)
    if proposed:
        _ask_others(trusted, by, at)
    return trusted


@transaction.atomic
def confirm(trusted_id: int, *, by: Actor, at: datetime) -> TrustedCertificate:
    """A second operator agrees: from now on the authority counts.

    Raises OwnProposal, NothingProposed, AuthorityExpired.
    """
    require_operator(by)
    trusted = _locked(trusted_id)
    if trusted.proposed_at is None:
        raise NothingProposed
    if by.person is None or trusted.proposed_by_id == by.person.pk:
        raise OwnProposal
    if at >= trusted.not_after:
        raise AuthorityExpired
    trusted.enabled, trusted.proposed_at = True, None
    trusted.counted_at = trusted.counted_at or at
    trusted.save(update_fields=["enabled", "counted_at", "proposed_at"])
    _record("trust_confirmed", trusted, by, at, proposed_by=str(trusted.proposed_by))
    return trusted


def takes_two(kind: TrustKind, by: Actor | None) -> bool:
    """Whether another operator has to confirm: it is grave, and there is another."""
    return kind in GRAVE and by is not None and by.person is not None and _others(by).exists()


@transaction.atomic
def trust_demo(authority: Authority, *, at: datetime) -> None:
    """Trust a demo authority and take its revocation lists, as of now; done again, it renews the lists."""
    known = set(TrustedCertificate.objects.values_list("sha256", flat=True))
    for kind, credential in ((TrustKind.ANCHOR, authority.root), (TrustKind.INTERMEDIATE, authority.issuing)):
        if sha256_hex(credential.der) not in known:
            add(kind, credential.der, by=None, at=at, note="Demo certification authority")
    for crl in authority.crls(at):
        revocation.load_list(crl, by=None, at=at)


def _locked(trusted_id: int) -> TrustedCertificate:
    trusted = TrustedCertificate.objects.select_for_update(of=("self",)).filter(pk=trusted_id).first()
    if trusted is None:
        raise NotFound
    return trusted


def _others(by: Actor) -> QuerySet[Person]:
    assert by.person is not None
    operators = Person.objects.filter(is_active=True, staff_roles__contains=[StaffRole.OPERATOR.value])
    return operators.exclude(pk=by.person.pk)


def _ask_others(trusted: TrustedCertificate, by: Actor | None, at: datetime) -> None:
    words = gettext("%(person)s asks you to confirm an authority: %(subject)s")
    text = words % {"person": by.person if by else "", "subject": trusted.subject}
    for person in _others(by) if by else ():
        notifications.notify(person, "trust_proposed", text, trusted.get_absolute_url(), at=at)


def _record(
    action: str, trusted: TrustedCertificate, by: Actor | None, at: datetime, **details: str | int | None
) -> None:
    audit.record(
        action, trusted, by=by, at=at, stream=revocation.STREAM,
        kind=trusted.kind, subject=trusted.subject, sha256=trusted.sha256,
        **{name: value for name, value in details.items() if value},
    )  # fmt: skip


# Reading a certificate


def _described(encoded: bytes) -> tuple[x509.Certificate, AuthorityDetails]:
    if len(encoded) > MAX_CERTIFICATE:
        raise NoCertificate(field="certificate")
    try:
        load = x509.load_pem_x509_certificate if b"-----BEGIN" in encoded else x509.load_der_x509_certificate
        certificate = load(encoded)
        return certificate, describe(certificate)
    except Exception:  # noqa: BLE001 – parts are parsed when asked for, and what is wrong with them has many names
        raise NoCertificate(field="certificate") from None


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        return False


def _may_stamp(certificate: x509.Certificate) -> bool:
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (x509.ExtensionNotFound, ValueError):
        return False
    return list(usage) == [ExtendedKeyUsageOID.TIME_STAMPING]


def _path_length(certificate: x509.Certificate) -> int | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length
    except (x509.ExtensionNotFound, ValueError):
        return None


def _usages(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        said = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except (x509.ExtensionNotFound, ValueError):
        return ()
    words = {
        "digitalSignature": said.digital_signature,
        "nonRepudiation": said.content_commitment,
        "keyEncipherment": said.key_encipherment,
        "dataEncipherment": said.data_encipherment,
        "keyAgreement": said.key_agreement,
        "keyCertSign": said.key_cert_sign,
        "cRLSign": said.crl_sign,
    }
    return tuple(word for word, granted in words.items() if granted)


def _key_in_words(certificate: x509.Certificate) -> str:
    try:
        key = certificate.public_key()
    except (UnsupportedAlgorithm, ValueError):
        return gettext("of a kind this platform does not know")
    match key:
        case rsa.RSAPublicKey():
            return gettext("RSA, %(bits)s bits") % {"bits": key.key_size}
        case ec.EllipticCurvePublicKey():
            return gettext("elliptic curve %(curve)s") % {"curve": key.curve.name}
        case ed25519.Ed25519PublicKey():
            return "Ed25519"
        case ed448.Ed448PublicKey():
            return "Ed448"
    return gettext("of a kind this platform does not know")
