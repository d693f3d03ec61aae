"""Everything in the database that a key of the key file wraps, gathered from every app without knowing them.

    # procurement/apps.py
    rotation.register(Source("lots", lambda: Lot.objects.exclude(wrapped_private_key=None), _rewrap_lot))

`manage.py rotate_keys` wraps it all anew under the newest key, so that an older one can be taken out of the file. What
is wrapped and not registered here would be lost with it: tests/marketplace/test_rotation.py looks for such.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

# Gives back what was wrapped, wrapped by the newest key, or the very same where it is already.
Rewrap = Callable[[bytes, str], bytes]


@dataclass(frozen=True, slots=True)
class Source:
    """A kind of secret. `rows`: those that have one; `rewrap(row, again)` puts `again(wrapped, purpose)` in its place
    without saving, and returns the names of the fields that changed."""

    name: str
    rows: Callable[[], QuerySet[Any]]
    rewrap: Callable[[Any, Rewrap], list[str]]


_sources: dict[str, Source] = {}


def register(source: Source) -> None:
    """Once, however often an app says it."""
    _sources.setdefault(source.name, source)


def sources() -> list[Source]:
    return list(_sources.values())


def binary(name: str, model: Any, field: str, purpose: Callable[[Any], str]) -> Source:
    """A source of one binary column; `purpose` of a row is what its secret is bound to."""

    def rewrap(row: Any, again: Rewrap) -> list[str]:
        before = bytes(getattr(row, field))
        after = again(before, purpose(row))
        setattr(row, field, after)
        return [field] if after != before else []

    return Source(name, lambda: model.objects.exclude(**{field: None}), rewrap)
