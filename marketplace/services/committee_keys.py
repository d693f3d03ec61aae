"""A person's committee key, made and used in their browser; here its public half, and what only they can open."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hmac import compare_digest
from typing import Any, Final

from cryptography import x509
from django.core import signing as tokens
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from marketplace import audit
from marketplace.models import CommitteeKey, CommitteeKeyKind, Person
from marketplace.permissions import Actor, person_of
from marketplace.shared.errors import DomainError, NotFound
from marketplace.signatures import committee
from marketplace.signatures.committee import CommitteeKeyError, Recipient
from marketplace.signatures.payload import sha256_hex

# A page with a challenge may stay open over lunch.
CHALLENGE_TIME: Final = timedelta(hours=4)
_SALT: Final = "openlot.committee-key"


class KeyRefused(DomainError):
    code, status = "committee_key_refused", 422
    sentence = gettext_lazy("This key cannot be used: %(why)s")


class KeyTaken(DomainError):
    code = "committee_key_taken"
    sentence = gettext_lazy("This key is registered already. Make a new one, or use another certificate.")


class CertificateExpired(DomainError):
    code, status = "certificate_expired", 422
    sentence = gettext_lazy("This certificate is not valid now: it is valid from %(start)s until %(end)s.")


class NotProved(DomainError):
    code, status = "committee_key_not_proved", 422
    sentence = gettext_lazy("Your browser’s answer does not fit this key. Load the page again and try once more.")


@dataclass(frozen=True, slots=True)
class Challenge:
    """Something sealed to a key; who can open it holds the private half. `token` is given back with the answer."""

    sealed: bytes
    info: str
    token: str


def recipient_of(key: CommitteeKey) -> Recipient:
    return Recipient(key.algorithm, bytes(key.public_key))


def standing(person: Person) -> CommitteeKey | None:
    """The key to which shares are sealed now."""
    return CommitteeKey.objects.filter(person=person, retired_at=None).first()


@transaction.atomic
def make(public_key: bytes, wrapped: Mapping[str, Any], *, by: Actor, at: datetime) -> CommitteeKey:
    """Keep a key made in the person's browser, its private half under their passphrase; the one before is retired.

    Raises NotAllowed, KeyRefused, KeyTaken.
    """
    try:
        committee.checked_wrapping(wrapped)
    except CommitteeKeyError as error:
        raise KeyRefused(why=str(error)) from error
    key = CommitteeKey(kind=CommitteeKeyKind.PASSPHRASE.value, wrapped=dict(wrapped))
    return _keep(key, Recipient(committee.X25519, public_key), by, at)


@transaction.atomic
def register_certificate(der: bytes, *, by: Actor, at: datetime) -> CommitteeKey:
    """Keep the public key of the person's certificate, RSA or P-256; the key before is retired.

    Raises NotAllowed, KeyRefused, KeyTaken, CertificateExpired.
    """
    try:
        to = committee.recipient_of_certificate(der)
    except CommitteeKeyError as error:
        raise KeyRefused(why=str(error)) from error
    certificate = x509.load_der_x509_certificate(der)
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if not start <= at < end:
        raise CertificateExpired(start=f"{start:%Y-%m-%d}", end=f"{end:%Y-%m-%d}")
    key = CommitteeKey(
        kind=CommitteeKeyKind.CERTIFICATE.value,
        certificate=der,
        subject=certificate.subject.rfc4514_string()[:500],
        not_after=end,
    )
    return _keep(key, to, by, at)


@transaction.atomic
def retire(*, by: Actor, at: datetime) -> CommitteeKey | None:
    """Take the key out of use for new shares; the old ones still open with it. None when there is none."""
    person = Person.objects.select_for_update().get(pk=person_of(by).pk)
    return _retire(person, by, at)


def challenge(key: CommitteeKey, at: datetime) -> Challenge:
    """A riddle for the key's owner. Nothing is stored: the token names the answer's hash, signed and dated."""
    answer, info = secrets.token_bytes(committee.SHARE_SIZE), f"openlot-challenge-1|{key.fingerprint}"
    token = tokens.dumps({"key": key.pk, "answer": sha256_hex(answer), "at": at.isoformat()}, salt=_SALT)
    return Challenge(committee.seal_share(recipient_of(key), answer, info), info, token)


@transaction.atomic
def prove(token: str, answer: bytes, *, by: Actor, at: datetime) -> CommitteeKey:
    """Note that the owner opened the challenge, so has the passphrase or the key file. Raises NotProved, NotFound."""
    try:
        asked = tokens.loads(token, salt=_SALT)
    except tokens.BadSignature as error:
        raise NotProved from error
    key = CommitteeKey.objects.select_for_update().filter(pk=asked["key"], person=person_of(by)).first()
    if key is None:
        raise NotFound
    if at >= datetime.fromisoformat(asked["at"]) + CHALLENGE_TIME:
        raise NotProved
    if not compare_digest(asked["answer"], sha256_hex(answer)):
        raise NotProved
    key.tried_at = at
    key.save(update_fields=["tried_at"])
    return key


def _keep(key: CommitteeKey, to: Recipient, by: Actor, at: datetime) -> CommitteeKey:
    try:
        to.require_valid()
    except CommitteeKeyError as error:
        raise KeyRefused(why=_("the public key is not a sound one")) from error
    person = Person.objects.select_for_update().get(pk=person_of(by).pk)
    if CommitteeKey.objects.filter(fingerprint=to.fingerprint).exists():
        raise KeyTaken
    _retire(person, by, at)
    key.person, key.algorithm, key.public_key = person, to.algorithm, to.public
    key.fingerprint, key.made_at = to.fingerprint, at
    key.save(force_insert=True)
    audit.record("committee_key.made", key, by=by, at=at, stream=_stream(person), fingerprint=key.fingerprint)
    return key


def _retire(person: Person, by: Actor, at: datetime) -> CommitteeKey | None:
    key = CommitteeKey.objects.select_for_update().filter(person=person, retired_at=None).first()
    if key is not None:
        key.retired_at = at
        key.save(update_fields=["retired_at"])
        audit.record("committee_key.retired", key, by=by, at=at, stream=_stream(person), fingerprint=key.fingerprint)
    return key


def _stream(person: Person) -> str:
    return f"person:{person.pk}"
