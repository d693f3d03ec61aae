"""Wrapping every secret of the database anew under the newest key of the key file. Interrupted, it goes on."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from allauth.mfa.models import Authenticator
from django.db import transaction

from marketplace import audit, rotation
from marketplace.models import KeyRotation
from marketplace.rotation import Source
from marketplace.shared.keys import Keyring, UnwrapError, keyring

BATCH: Final = 500
#: What the secrets of second factors are bound to.
SECOND_FACTOR: Final = "second factor"
_FACTOR_SECRETS: Final = ("secret", "seed", "migrated_codes")
STREAM: Final = "platform:keys"

Progress = Callable[[str, int], None]


@dataclass(slots=True)
class Count:
    """Secrets of one kind. `lost`: wrapped by a key that is not in the file, or changed."""

    name: str
    seen: int = 0
    old: int = 0
    lost: int = 0


def second_factors() -> Source:
    """Secrets of authenticator apps and recovery codes, as marketplace.web.accounts encrypts them: base64 in JSON."""
    return Source("second factors", lambda: Authenticator.objects.exclude(type=Authenticator.Type.WEBAUTHN), _of_factor)


def check() -> list[Count]:
    """How many secrets an older key still wraps, and how many no key of the file opens. Changes nothing."""
    ring = keyring()
    return [_counted(source, ring) for source in rotation.sources()]


def rotate(*, at: datetime, batch: int = BATCH, progress: Progress = lambda name, done: None) -> list[Count]:
    """Wrap everything anew that the newest key does not wrap. What is wrapped anew stays so if this is interrupted.

    `progress(name, seen)` is called after each batch. A secret that no key of the file opens is left as it is and
    counted. Leaves a row and an audit record.
    """
    counts = [_rotated(source, batch, progress) for source in rotation.sources()]
    with transaction.atomic():
        done = KeyRotation.objects.create(
            key=next(iter(keyring().encryption)), at=at, counts={one.name: one.old for one in counts},
            lost=sum(one.lost for one in counts),
        )  # fmt: skip
        audit.record(
            "keys.rotated", done, by=None, at=at, stream=STREAM, key=done.key, counts=done.counts, lost=done.lost
        )
    return counts


def _of_factor(row: Any, again: rotation.Rewrap) -> list[str]:
    def anew(value: Any) -> Any:
        if isinstance(value, list):
            return [anew(one) for one in value]
        return b64encode(again(b64decode(value), SECOND_FACTOR)).decode()

    changed = {name: anew(row.data[name]) for name in _FACTOR_SECRETS if row.data.get(name)}
    if all(row.data[name] == value for name, value in changed.items()):
        return []
    row.data = row.data | changed
    return ["data"]


def _counted(source: Source, ring: Keyring) -> Count:
    count = Count(source.name)
    for row in source.rows().order_by("pk").iterator(chunk_size=BATCH):
        _seen(count, row, source, ring)
    return count


def _rotated(source: Source, batch: int, progress: Progress) -> Count:
    count, ring = Count(source.name), keyring()
    for keys in _batches(source, batch):
        with transaction.atomic():
            for row in source.rows().filter(pk__in=keys).order_by("pk").select_for_update(of=("self",)):
                if changed := _seen(count, row, source, ring):
                    row.save(update_fields=changed)
        progress(source.name, count.seen)
    return count


def _batches(source: Source, batch: int) -> Iterator[list[Any]]:
    """Keys of the rows in their order, as many at a time; rows made meanwhile are wrapped by the newest key anyway."""
    last: Any = None
    while True:
        rows = source.rows().order_by("pk")
        found = list((rows if last is None else rows.filter(pk__gt=last)).values_list("pk", flat=True)[:batch])
        if not found:
            return
        yield found
        last = found[-1]


def _seen(count: Count, row: Any, source: Source, ring: Keyring) -> list[str]:
    """The fields that changed in the row, which is not saved."""

    def again(wrapped: bytes, purpose: str) -> bytes:
        secret = ring.unwrap(wrapped, purpose=purpose)
        return wrapped if ring.wrapped_by_newest(wrapped) else ring.wrap(secret, purpose=purpose)

    count.seen += 1
    try:
        changed = source.rewrap(row, again)
    except UnwrapError:
        count.lost += 1
        return []
    count.old += bool(changed)
    return changed
