"""Which revocation data a certificate's verdict waits for, and having it asked for at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from django.db.models import Max, Q

from marketplace.models import RevocationList, RevocationSource, TrustedCertificate
from marketplace.queries import trust
from marketplace.services import revocation_sources
from marketplace.shared import jobs
from marketplace.signatures import certificate_id
from marketplace.signatures.payload import sha256_hex

#: No address is asked more often than that for signatures that wait, however many they are.
_ASKED_EVERY: Final = timedelta(seconds=60)


def newest_at() -> datetime:
    """When the newest revocation data came."""
    lists = RevocationList.objects.filter(is_current=True).aggregate(at=Max("loaded_at"))["at"]
    answers = RevocationSource.objects.aggregate(at=Max("fetched_at"))["at"]
    return max(filter(None, (lists, answers)), default=datetime.min.replace(tzinfo=UTC))


def authorities_without(certificate: bytes, at: datetime) -> list[str]:
    """The names of the authorities above a certificate (DER) that have no list in force, the nearest first."""
    missing = []
    for authority in _above(certificate):
        fresh = RevocationList.objects.filter(
            is_current=True, issuer_sha256=authority.name_sha256, issuer_key_sha256=authority.key_sha256,
            next_update__gt=at,
        )  # fmt: skip
        if not fresh.exists():
            missing.append(trust.name_of(authority.subject))
    return list(dict.fromkeys(missing))


def ask_for(certificate: bytes, at: datetime, *, again: bool = False) -> None:
    """Have the responders and lists asked for that say whether a certificate (DER) or an authority above it is revoked.

    A list is asked for once a minute at most, unless told `again`.
    """
    revocation_sources.ask_about(certificate, at)
    rested = Q() if again else Q(tried_at=None) | Q(tried_at__lte=at - _ASKED_EVERY)
    sources = RevocationSource.objects.filter(
        rested, kind=RevocationSource.Kind.CRL, enabled=True, authority__enabled=True,
        authority__name_sha256__in={one.name_sha256 for one in _above(certificate)},
    )  # fmt: skip
    for source in sources:
        RevocationSource.objects.filter(pk=source.pk, next_at__gt=at).update(next_at=at)
        jobs.enqueue("marketplace.tasks.refresh_source", source.pk)


def _above(certificate: bytes) -> list[TrustedCertificate]:
    """The authorities of the store above a certificate (DER), from below."""
    found: dict[int, TrustedCertificate] = {}
    wanted = {sha256_hex(certificate_id(certificate).issuer)}
    while wanted:
        above = TrustedCertificate.objects.filter(enabled=True, name_sha256__in=wanted).exclude(pk__in=found)
        new = {one.pk: one for one in above.order_by("pk")}
        found |= new
        wanted = {sha256_hex(certificate_id(bytes(one.der)).issuer) for one in new.values()}
    return list(found.values())
