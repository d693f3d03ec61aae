"""The trust store: authorities whose certificates count, and their revocation lists. The operator's, and audited."""

from __future__ import annotations

import hashlib
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from django.db import transaction
from django.utils.translation import gettext_lazy as _

from marketplace import audit
from marketplace.models import RevocationList, StaffRole, TrustedCertificate, TrustKind
from marketplace.permissions import Actor, require_staff
from marketplace.shared.errors import DomainError, NotFound
from marketplace.signatures.authority import Authority

#: One certificate, or one list: larger files are a mistake.
MAX_CERTIFICATE = 64 * 1024
MAX_LIST = 32 * 1024 * 1024


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


class NoRevocationList(DomainError):
    code, status = "no_revocation_list", 422
    sentence = _("This file holds no revocation list with a date of its next issue. Give one in PEM or DER form.")


class UnknownIssuer(DomainError):
    code, status = "unknown_issuer", 422
    sentence = _("The revocation list was not signed by an authority in the trust store.")


class OlderList(DomainError):
    code = "older_list"
    sentence = _("A newer revocation list of this authority is loaded already.")


@transaction.atomic
def add(kind: TrustKind, encoded: bytes, *, by: Actor | None, at: datetime, note: str = "") -> TrustedCertificate:
    """Trust an authority (PEM or DER). `by` is None for the platform itself: the demonstration's set-up."""
    _require_operator(by)
    certificate = _certificate(encoded)
    if not _is_authority(certificate):
        raise NoAuthority(field="certificate")
    if at >= certificate.not_valid_after_utc:
        raise AuthorityExpired(field="certificate")
    der = certificate.public_bytes(serialization.Encoding.DER)
    trusted, created = TrustedCertificate.objects.get_or_create(
        sha256=hashlib.sha256(der).hexdigest(),
        defaults={
            "kind": kind,
            "der": der,
            "subject": certificate.subject.rfc4514_string()[:500],
            "not_after": certificate.not_valid_after_utc,
            "note": note[:300],
            "added_at": at,
            "added_by": by.person if by else None,
        },
    )
    if not created:
        raise AlreadyTrusted(field="certificate")
    audit.record("trust_added", trusted, by=by, at=at, kind=trusted.kind, sha256=trusted.sha256)
    return trusted


@transaction.atomic
def set_enabled(trusted_id: int, enabled: bool, *, by: Actor, at: datetime) -> TrustedCertificate:
    """Stop trusting an authority, or trust it again. Signatures taken before keep their verdict."""
    _require_operator(by)
    trusted = TrustedCertificate.objects.select_for_update(of=("self",)).filter(pk=trusted_id).first()
    if trusted is None:
        raise NotFound
    if trusted.enabled != enabled:
        trusted.enabled = enabled
        trusted.save(update_fields=["enabled"])
        audit.record("trust_enabled" if enabled else "trust_disabled", trusted, by=by, at=at, sha256=trusted.sha256)
    return trusted


@transaction.atomic
def load_list(encoded: bytes, *, by: Actor | None, at: datetime) -> RevocationList:
    """Take an authority's newest revocation list (PEM or DER) in place of the one before; the same again is fine."""
    _require_operator(by)
    crl = _revocation_list(encoded)
    issuer = crl.issuer.public_bytes()
    if not any(_signed_by(crl, certificate) for certificate in _trusted_named(issuer)):
        raise UnknownIssuer(field="list")
    next_update = crl.next_update_utc
    assert next_update is not None  # _revocation_list takes no other
    fields = {
        "issuer": crl.issuer.rfc4514_string()[:500],
        "der": crl.public_bytes(serialization.Encoding.DER),
        "number": _number(crl),
        "this_update": crl.last_update_utc,
        "next_update": next_update,
        "loaded_at": at,
    }
    name = hashlib.sha256(issuer).hexdigest()
    loaded, created = RevocationList.objects.select_for_update().get_or_create(issuer_sha256=name, defaults=fields)
    if not created:
        if loaded.this_update > crl.last_update_utc:
            raise OlderList(field="list")
        for field, value in fields.items():
            setattr(loaded, field, value)
        loaded.save(update_fields=list(fields))
    audit.record("revocation_list_loaded", loaded, by=by, at=at, number=loaded.number, entries=len(crl))
    return loaded


@transaction.atomic
def trust_demo(authority: Authority, *, at: datetime) -> None:
    """Trust a demo authority and take its revocation lists, as of now; done again, it renews the lists."""
    known = set(TrustedCertificate.objects.values_list("sha256", flat=True))
    for kind, credential in ((TrustKind.ANCHOR, authority.root), (TrustKind.INTERMEDIATE, authority.issuing)):
        if hashlib.sha256(credential.der).hexdigest() not in known:
            add(kind, credential.der, by=None, at=at, note="Demo certification authority")
    for crl in authority.crls(at):
        load_list(crl, by=None, at=at)


def _require_operator(by: Actor | None) -> None:
    if by is not None:
        require_staff(by, StaffRole.OPERATOR)


def _certificate(encoded: bytes) -> x509.Certificate:
    if len(encoded) > MAX_CERTIFICATE:
        raise NoCertificate(field="certificate")
    try:
        if b"-----BEGIN" in encoded:
            return x509.load_pem_x509_certificate(encoded)
        return x509.load_der_x509_certificate(encoded)
    except ValueError:
        raise NoCertificate(field="certificate") from None


def _revocation_list(encoded: bytes) -> x509.CertificateRevocationList:
    try:
        if len(encoded) > MAX_LIST:
            raise ValueError
        if b"-----BEGIN" in encoded[:1024]:
            crl = x509.load_pem_x509_crl(encoded)
        else:
            crl = x509.load_der_x509_crl(encoded)
        if crl.next_update_utc is None:
            raise ValueError
    except ValueError:
        raise NoRevocationList(field="list") from None
    return crl


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        return False


def _trusted_named(name: bytes) -> list[x509.Certificate]:
    store = TrustedCertificate.objects.filter(enabled=True).values_list("der", flat=True)
    certificates = [x509.load_der_x509_certificate(bytes(der)) for der in store]
    return [certificate for certificate in certificates if certificate.subject.public_bytes() == name]


def _signed_by(crl: x509.CertificateRevocationList, issuer: x509.Certificate) -> bool:
    key = issuer.public_key()
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey):
        return False
    try:
        return crl.is_signature_valid(key)
    except (InvalidSignature, ValueError, TypeError):
        return False


def _number(crl: x509.CertificateRevocationList) -> str:
    try:
        return str(crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number)
    except (x509.ExtensionNotFound, ValueError):
        return ""
