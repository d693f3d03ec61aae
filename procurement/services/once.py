"""A submission counts once, however often its button is pressed: the second of two equal keys waits for the first."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from django.db import connection
from django.utils.translation import gettext_lazy as _

from marketplace.models import IdempotencyKey
from marketplace.permissions import Actor, person_of
from marketplace.shared.errors import DomainError

KEY_LENGTH = 64
# Waits for whoever is writing the same key; makes no row where one was committed.
_NOTE: Final = """
    INSERT INTO marketplace_idempotencykey (person_id, action, key, object_id, created_at)
    VALUES (%s, %s, %s, %s, %s)
    ON CONFLICT (person_id, action, key) DO NOTHING
"""


class IdempotencyKeyUnfit(DomainError):
    code, status = "idempotency_key_unfit", 422
    sentence = _("The idempotency key is 1 to %(most)s characters long.")


class IdempotencyKeyReused(DomainError):
    code, status = "idempotency_key_reused", 422
    sentence = _("This idempotency key was already used for something else.")


def hold(action: str, key: str, *, by: Actor) -> None:
    """Let nobody else of this person's do `action` with `key` until the transaction ends: for rows that hold the key
    themselves, before they are looked for. Taken after the lock on what is acted on. Raises IdempotencyKeyUnfit."""
    if not 0 < len(key) <= KEY_LENGTH:
        raise IdempotencyKeyUnfit(most=KEY_LENGTH)
    with connection.cursor() as cursor:
        name = f"key:{person_of(by).pk}:{action}:{key}"
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [name])


def once(action: str, key: str, subject: object, *, by: Actor, at: datetime) -> bool:
    """Whether this is the first time this person does `action` with `key`; call it inside the transaction that does it.

    A second call at the same time waits here until the first has committed. Raises IdempotencyKeyReused when the key
    stands for another subject.
    """
    if not 0 < len(key) <= KEY_LENGTH:
        raise IdempotencyKeyUnfit(most=KEY_LENGTH)
    person = person_of(by)
    with connection.cursor() as cursor:
        cursor.execute(_NOTE, [person.pk, action, key, str(subject), at])
        if cursor.rowcount:
            return True
    if not IdempotencyKey.objects.filter(person=person, action=action, key=key, object_id=str(subject)).exists():
        raise IdempotencyKeyReused
    return False
