"""Slowing down who fails, or asks for what is costly, again and again. The cache counts; nothing else remembers.

A limit never locks anybody out: whoever is over it has one attempt in each `SLOT`, so that a good signature gets in
within seconds, even a minute before a deadline.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.core.cache import cache
from django.utils.translation import gettext_lazy as _

from marketplace.shared.errors import DomainError

SLOT: Final = timedelta(seconds=20)
_log = logging.getLogger(__name__)


class TooManyAttempts(DomainError):
    """Over the limit. `again_at` (aware) is the first moment at which another attempt is taken."""

    code, status = "too_many_attempts", 429
    sentence = _("Too many attempts in a short time. Try again in %(seconds)s seconds.")

    def __init__(self, again_at: datetime, at: datetime, **params: Any) -> None:
        self.again_at = again_at
        super().__init__(seconds=max(1, -(-(again_at - at) // timedelta(seconds=1))), **params)


class TooManySignaturesFailed(TooManyAttempts):
    sentence = _(
        "Too many signatures failed in a short time. Nothing is lost: find out what is wrong with them, and try again "
        "in %(seconds)s seconds."
    )


class TooManyChecks(TooManyAttempts):
    sentence = _("Many signatures were checked from your address just now. Try again in %(seconds)s seconds.")


@dataclass(frozen=True, slots=True)
class Limit:
    """So many in each window of time; windows begin at whole multiples of their length."""

    name: str
    count: int
    window: timedelta
    refusal: type[TooManyAttempts]


FAILED_SIGNATURES: Final = Limit("failed-signatures", 30, timedelta(minutes=10), TooManySignaturesFailed)
CHECKS: Final = Limit("signature-checks", 30, timedelta(minutes=10), TooManyChecks)


def require_below(limit: Limit, who: object, at: datetime) -> None:
    """Before an attempt. Raises the limit's refusal; over the limit, it takes the one attempt of this slot."""
    key, number = _key(limit, who, at), _whole(at, SLOT)
    try:
        may = cache.get(key, 0) < limit.count or cache.add(f"{key}:slot:{number}", 1, timeout=2 * _seconds(SLOT))
    except Exception:  # noqa: BLE001  whatever the cache's library raises
        _log.exception("the cache does not answer: nobody is slowed down")
        return
    if not may:
        raise limit.refusal(datetime.fromtimestamp((number + 1) * _seconds(SLOT), UTC), at)


def count(limit: Limit, who: object, at: datetime) -> None:
    """After an attempt that counts against the limit."""
    key, timeout = _key(limit, who, at), 2 * _seconds(limit.window)
    try:
        cache.add(key, 0, timeout=timeout)
        cache.incr(key)
    except ValueError:  # it ran out between the two
        cache.set(key, 1, timeout=timeout)
    except Exception:  # noqa: BLE001  whatever the cache's library raises
        _log.exception("the cache does not answer: nobody is slowed down")


def _seconds(length: timedelta) -> int:
    return int(length.total_seconds())


def _key(limit: Limit, who: object, at: datetime) -> str:
    """Of whom, the cache holds a hash only."""
    name = hashlib.sha256(str(who).encode()).hexdigest()[:32]
    return f"throttle:{limit.name}:{name}:{_whole(at, limit.window)}"


def _whole(at: datetime, length: timedelta) -> int:
    return int(at.timestamp()) // _seconds(length)
