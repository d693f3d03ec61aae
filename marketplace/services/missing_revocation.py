"""Which revocation data a certificate's verdict waits for, and having it asked for at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


def authorities_without(certificates: Sequence[bytes], at: datetime) -> list[list[str]]:
    """For each certificate (DER) the names of the authorities above it that have no list in force, the nearest first.

    Two queries, however many there are.
    """
    fresh = set(
        RevocationList.objects.filter(is_current=True, next_update__gt=at).values_list(
            "issuer_sha256", "issuer_key_sha256"
        )
    )
    return [
        list(
            dict.fromkeys(trust.name_of(one.subject) for one in above if (one.name_sha256, one.key_sha256) not in fresh)
        )
        for above in _above(certificates)
    ]


def ask_for(certificate: bytes, at: datetime, *, again: bool = False) -> None:
    """Have the responders and lists asked for that say whether a certificate (DER) or an authority above it is revoked.

    A list is asked for once a minute at most, unless told `again`.
    """
    revocation_sources.ask_about(certificate, at)
    rested = Q() if again else Q(tried_at=None) | Q(tried_at__lte=at - _ASKED_EVERY)
    sources = RevocationSource.objects.filter(
        rested, kind=RevocationSource.Kind.CRL, enabled=True, authority__enabled=True,
        authority__name_sha256__in={one.name_sha256 for one in _above([certificate])[0]},
    )  # fmt: skip
    for source in sources.order_by("pk"):  # all lock the rows in one order
        RevocationSource.objects.filter(pk=source.pk, next_at__gt=at).update(next_at=at)
        jobs.enqueue("marketplace.tasks.refresh_source", source.pk)


def _above(certificates: Sequence[bytes]) -> list[list[TrustedCertificate]]:
    """For each certificate (DER) the authorities of the store above it, from below."""
    store: dict[str, list[TrustedCertificate]] = {}
    for one in TrustedCertificate.objects.filter(enabled=True).order_by("pk"):
        store.setdefault(one.name_sha256, []).append(one)
    return [_climbed(certificate, store) for certificate in certificates]


def _climbed(certificate: bytes, store: Mapping[str, list[TrustedCertificate]]) -> list[TrustedCertificate]:
    found: dict[int, TrustedCertificate] = {}
    wanted = {_issuer(certificate)}
    while wanted:
        new = {one.pk: one for name in sorted(wanted) for one in store.get(name, ()) if one.pk not in found}
        found |= new
        wanted = {_issuer(bytes(one.der)) for one in new.values()}
    return list(found.values())


def _issuer(certificate: bytes) -> str:
    return sha256_hex(certificate_id(certificate).issuer)
