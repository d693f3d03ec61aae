"""The only place where a `status` is assigned: through the table of procurement.rules.lifecycle."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

from marketplace.shared.errors import IllegalTransition
from procurement.rules.lifecycle import TABLES


class HasStatus(Protocol):
    status: str

    def get_status_display(self) -> str: ...


def move(subject: HasStatus, after: StrEnum) -> None:
    """Set the status; the caller holds the row's lock and saves it. Raises IllegalTransition, both states in words."""
    before = type(after)(subject.status)
    if after not in TABLES[type(after)][before]:
        words = subject.get_status_display()
        subject.status = after.value
        refused, subject.status = subject.get_status_display(), before.value
        raise IllegalTransition(words, refused)
    subject.status = after.value
