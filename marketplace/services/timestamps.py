"""The time-stamp authorities the platform asks (RFC 3161): by address, bounded in size and time, one after the other.

    token = timestamps.stamp(sha256_digest)      # DER; TimeStampUnavailable when none gave one that counts

Called from tasks and processes, never while a row is locked: an authority may take its time, or be dead.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import logging
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from time import monotonic
from typing import Final, NoReturn
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from django.conf import settings
from django.core.cache import cache
from django.core.exceptions import ImproperlyConfigured
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from marketplace.models import TrustedCertificate, TrustKind
from marketplace.services import revocation, trust_store
from marketplace.shared import clock
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


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """The operator named an address; an answer that names another one is not followed."""

    def redirect_request(self, *_args: object, **_kwargs: object) -> NoReturn:
        raise TimeStampError("It sends us to another address.")


def _post(url: str, asked: bytes) -> bytes:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or parts.hostname is None:
        raise TimeStampError("The address is not one of http or https.")
    headers = {"Content-Type": _REQUEST_TYPE, "Accept": _ANSWER_TYPE, "User-Agent": settings.SITE_NAME}
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    seconds = settings.TIMESTAMP_SECONDS
    deadline = monotonic() + seconds
    sent = urllib.request.Request(_without_password(parts), asked, headers, method="POST")
    try:
        with urllib.request.build_opener(_NoRedirects).open(sent, timeout=seconds) as answer:
            if answer.headers.get_content_type() != _ANSWER_TYPE:
                raise TimeStampError("It answered with something else than a time stamp.")
            return _read(answer, deadline)
    except urllib.error.HTTPError as error:
        raise TimeStampError(f"It answered with the status {error.code}.") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise TimeStampError(f"It cannot be reached ({type(error).__name__}).") from error


def _read(answer: http.client.HTTPResponse, deadline: float) -> bytes:
    """The whole answer, however slowly it drips, within the size and time allowed."""
    found = b""
    while chunk := answer.read1(MAX_ANSWER + 1 - len(found)):
        found += chunk
        if len(found) > MAX_ANSWER:
            raise TimeStampError("Its answer is too large.")
        if monotonic() > deadline:
            raise TimeStampError("It takes too long to answer.")
    return found


def _without_password(parts: SplitResult) -> str:
    host = parts.hostname or ""
    address = f"[{host}]" if ":" in host else host
    return urlunsplit(parts._replace(netloc=address if parts.port is None else f"{address}:{parts.port}"))


def _favour(url: str) -> str:
    return f"timestamps:out-of-favour:{hashlib.sha256(url.encode()).hexdigest()[:32]}"
