"""The time-stamp authorities the platform asks (RFC 3161): by address, bounded in size and time, one after the other.

    token = timestamps.stamp(sha256_digest)      # DER; TimeStampUnavailable when none gave one that counts

Called from tasks and processes, never while a row is locked: an authority may take its time, or be dead.
"""

from __future__ import annotations

import base64
import hashlib
import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit, urlunsplit

from django.conf import settings
from django.core.cache import cache
from django.core.exceptions import ImproperlyConfigured
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from marketplace.models import TrustedCertificate, TrustKind
from marketplace.services import revocation, trust_store
from marketplace.shared import clock, outbound
from marketplace.shared.errors import DomainError
from marketplace.signatures import Evidence, Policy
from marketplace.signatures.timestamp_authority import DemoTimeStamps
from marketplace.signatures.timestamps import (
    MAX_ANSWER,
    TOLERANCE,
    TimeStampError,
    Token,
    Trusted,
    judge,
    read_answer,
    request,
)

#: The address of the demonstration's own authority, which answers in this process.
LOCAL: Final = "local:"
_REQUEST_TYPE: Final = "application/timestamp-query"
_ANSWER_TYPE: Final = "application/timestamp-reply"
#: How old a fresh stamp may say it is: an authority whose clock is behind is not one.
_BEHIND: Final = timedelta(minutes=5)
#: Seconds for which an authority that failed is asked only after the others.
_OUT_OF_FAVOUR: Final = 60
#: What keeps an authority from answering, by the code of an OutboundError.
_WHY: Final = {
    "no_address": "The address is not one of http or https.",
    "no_such_host": "There is no server {detail}.",
    "redirected": "It sends us to another address.",
    "status": "It answered with the status {detail}.",
    "too_large": "Its answer is too large.",
    "too_slow": "It takes too long to answer.",
    "false_certificate": "Its TLS certificate is not to be trusted: {detail}",
    "cut_off": "Its answer was cut off.",
}
_log = logging.getLogger(__name__)


class TimeStampUnavailable(DomainError):
    code, status = "time_stamp_unavailable", 503
    sentence = _("No time-stamp authority answers as it should at the moment.")

    def __init__(self, *why: str) -> None:
        super().__init__(reasons=list(why))
        self.why = " ".join(why)

    def __str__(self) -> str:
        return self.why or str(self.sentence)


@dataclass(frozen=True, slots=True)
class Stamped:
    """A token that counts, and what that rests on."""

    token: Token
    trust: Trusted
    evidence: Evidence = field(repr=False)


def configured() -> bool:
    """Whether any authority is set."""
    return bool(settings.TIMESTAMP_AUTHORITY_URLS)


def addresses() -> list[str]:
    """The authorities in the order in which they are asked. For people: `name_of` each."""
    return list(settings.TIMESTAMP_AUTHORITY_URLS)


def stamp(digest: bytes) -> bytes:
    """A time-stamp token (DER) over a SHA-256, SHA-384 or SHA-512 digest. Raises TimeStampUnavailable."""
    return stamped(digest).token.encoded


def stamped(digest: bytes) -> Stamped:
    """As `stamp`, with what the trust in the token rests on.

    The authorities of TIMESTAMP_AUTHORITY_URLS are asked in order until one answers with a token that counts. Raises
    TimeStampUnavailable when none does, or none is set.
    """
    why = []
    for url in sorted(addresses(), key=lambda one: cache.get(_favour(one), 0)):
        try:
            return _ask(url, digest)
        except TimeStampError as error:
            cache.set(_favour(url), 1, _OUT_OF_FAVOUR)
            _log.warning("No time stamp from %s: %s", name_of(url), error.reason)
            why.append(f"{name_of(url)}: {error.reason}")
    raise TimeStampUnavailable(*(why or ["No time-stamp authority is set."]))


def trusted_at(token: Token, at: datetime, *, past: bool = False) -> tuple[Trusted, Evidence]:
    """What the trust in a token rests on now, by the trust store and its revocation data. Raises TimeStampError.

    With `past`, an authority counts that was trusted once and is no longer.
    """
    policy = stamp_policy(past=past)
    found = revocation.evidence(token.encoded, (*policy.anchors, *policy.intermediates), at)
    return judge(token, policy, found, at), found


def stamp_policy(*, past: bool = False) -> Policy:
    """What a time stamp must satisfy. With `past`, authorities count that were trusted once and are no longer."""
    # A proposal that was turned down never counted.
    counts = Q(enabled=True) | Q(counted_at__isnull=False) if past else Q(enabled=True)
    store = TrustedCertificate.objects.filter(counts)
    trusted = [(kind, bytes(der)) for kind, der in store.values_list("kind", "der")]
    return Policy(
        anchors=tuple(der for kind, der in trusted if kind == TrustKind.TSA),
        intermediates=tuple(der for kind, der in trusted if kind == TrustKind.INTERMEDIATE),
        min_rsa=settings.SIGNING_MIN_RSA_BITS,
        rsa_3072_from=settings.SIGNING_RSA_3072_FROM,
    )


def name_of(url: str) -> str:
    """An authority's address for people and logs: without the password it may carry."""
    parts = urlsplit(url)
    if url == LOCAL:
        return "local (demonstration only)"
    return url if parts.hostname is None else f"{parts.scheme}://{parts.hostname}{parts.path}"


def trust_demo(folder: Path, *, at: datetime) -> DemoTimeStamps:
    """Make the demonstration's authority in `folder`, or take the one there, and trust it. Refused in production."""
    if settings.PRODUCTION:
        raise ImproperlyConfigured("A demo authority is not trusted in production: anybody may hold its keys.")
    try:
        demo = DemoTimeStamps.load(folder)
    except FileNotFoundError:
        demo = DemoTimeStamps.create(at)
        demo.save(folder)
        _local.cache_clear()
    known = set(TrustedCertificate.objects.values_list("sha256", flat=True))
    for kind, certificate in ((TrustKind.TSA, demo.above.root), (TrustKind.INTERMEDIATE, demo.above.issuing)):
        if hashlib.sha256(certificate.der).hexdigest() not in known:
            trust_store.add(kind, certificate.der, by=None, at=at, note="Demonstration only: time stamps")
    for crl in demo.above.crls(at, timedelta(days=400)):
        revocation.load_list(crl, by=None, at=at)
    return demo


# One authority -----------------------------------------------------------------------------------------------------


def _ask(url: str, digest: bytes) -> Stamped:
    asked = request(digest, policy=settings.TIMESTAMP_POLICY or None)
    answer = _local_answer(asked.encoded) if url == LOCAL else _post(url, asked.encoded)
    token, now = read_answer(answer, asked), clock.now()
    if not now - _BEHIND <= token.generated_at <= now + TOLERANCE:
        raise TimeStampError(f"Its clock says {token.generated_at:%Y-%m-%d %H:%M:%S} UTC.")
    # A clock a few seconds ahead of ours is no reason to refuse the stamp.
    trust, found = trusted_at(token, max(now, token.generated_at))
    return Stamped(token, trust, found)


def _local_answer(asked: bytes) -> bytes:
    if settings.PRODUCTION:
        raise TimeStampError("The demonstration's authority does not serve in production.")
    try:
        return _local(settings.TIMESTAMP_LOCAL_DIR).server.answer(asked, clock.now())
    except FileNotFoundError:
        raise TimeStampError("The demonstration's authority was not made yet.") from None


@lru_cache(maxsize=2)
def _local(folder: Path) -> DemoTimeStamps:
    return DemoTimeStamps.load(folder)


def _post(url: str, asked: bytes) -> bytes:
    parts = urlsplit(url)
    headers = {"Content-Type": _REQUEST_TYPE, "Accept": _ANSWER_TYPE, "User-Agent": settings.SITE_NAME}
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    address = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    try:
        # The operator named the address in the settings: it may lie in the own network.
        answer = outbound.fetch(
            address,
            most_bytes=MAX_ANSWER,
            seconds=settings.TIMESTAMP_SECONDS,
            body=asked,
            headers=headers,
            private=True,
        )
    except outbound.OutboundError as error:
        words = _WHY.get(error.code, "It cannot be reached ({detail}).")
        raise TimeStampError(words.format(detail=error.detail)) from error
    if answer.headers.get("content-type", "").partition(";")[0].strip().lower() != _ANSWER_TYPE:
        raise TimeStampError("It answered with something else than a time stamp.")
    return answer.body


def _favour(url: str) -> str:
    return f"timestamps:out-of-favour:{hashlib.sha256(url.encode()).hexdigest()[:32]}"
