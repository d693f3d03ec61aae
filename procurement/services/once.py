"""A submission counts once, however often its button is pressed: the second of two equal keys waits for the first."""

from __future__ import annotations

from datetime import datetime

from django.utils.translation import gettext_lazy as _

from marketplace.models import IdempotencyKey
from marketplace.permissions import Actor, person_of
from marketplace.shared.errors import DomainError

KEY_LENGTH = 64


class IdempotencyKeyUnfit(DomainError):
    code, status = "idempotency_key_unfit", 422
    sentence = _("The idempotency key is 1 to %(most)s characters long.")


class IdempotencyKeyReused(DomainError):
    code, status = "idempotency_key_reused", 422
    sentence = _("This idempotency key was already used for something else.")


def once(action: str, key: str, subject: object, *, by: Actor, at: datetime) -> bool:
    """Whether this is the first time this person does `action` with `key`; call it inside the transaction that does it.

    A second call at the same time waits here until the first has committed. Raises IdempotencyKeyReused when the key
    stands for another subject.
    """
    if not 0 < len(key) <= KEY_LENGTH:
        raise IdempotencyKeyUnfit(most=KEY_LENGTH)
    row, first = IdempotencyKey.objects.get_or_create(
        person=person_of(by), action=action, key=key, defaults={"object_id": str(subject), "created_at": at}
    )
    if not first and row.object_id != str(subject):
        raise IdempotencyKeyReused
    return first
