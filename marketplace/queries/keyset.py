"""Keyset pagination: a page begins where the last one ended, so the thousandth page costs what the first one does."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final, Generic, TypeVar

from django.core.exceptions import FieldError, ValidationError
from django.db.models import Model, Q, QuerySet

Row = TypeVar("Row", bound=Model)
SIZE: Final = 50
COUNT_CAP: Final = 1_001


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """`before` and `after` are cursors for the neighbouring pages; "" where there is none."""

    rows: list[Row]
    before: str = ""
    after: str = ""


def page(
    rows: QuerySet[Row], order: Sequence[str], *, after: str = "", before: str = "", size: int = SIZE
) -> Page[Row]:
    """A page of `rows` in `order`: columns without nulls, the last of them unique, e.g. ("-issued_at", "-pk").

    A cursor that cannot be read, or belongs to another order, shows the first page.
    """
    cursor = _read(after or before, order, rows.model)
    backwards = bool(before and not after and cursor)
    direction = [_turned(key) for key in order] if backwards else list(order)
    found = rows.order_by(*direction)
    if cursor:
        found = found.filter(_past(direction, cursor))
    some = list(found[: size + 1])
    more, some = len(some) > size, some[:size]
    if backwards:
        some.reverse()
    if not some:
        return Page([])
    has_previous, has_next = (more, True) if backwards else (bool(cursor), more)
    return Page(some, _write(some[0], order) if has_previous else "", _write(some[-1], order) if has_next else "")


def _turned(key: str) -> str:
    return key[1:] if key.startswith("-") else f"-{key}"


def _past(order: Sequence[str], values: Sequence[Any]) -> Q:
    """Behind `values`: the first column is past, or it is equal and the second is past, and so on."""
    past, equal = Q(), Q()
    for key, value in zip(order, values, strict=True):
        name = key.lstrip("-")
        past |= equal & Q(**{f"{name}__{'lt' if key.startswith('-') else 'gt'}": value})
        equal &= Q(**{name: value})
    # Alternatives alone are only a filter: this bound is what the index is entered by.
    first, side = order[0].lstrip("-"), "lte" if order[0].startswith("-") else "gte"
    return Q(**{f"{first}__{side}": values[0]}) & past


def capped_count(rows: QuerySet[Any]) -> int:
    """How many rows there are, counted to `COUNT_CAP` and no further: "more than 1,000" costs little."""
    return rows.order_by()[:COUNT_CAP].count()


def _write(row: Model, order: Sequence[str]) -> str:
    values = [_plain(getattr(row, key.lstrip("-"))) for key in order]
    return base64.urlsafe_b64encode(json.dumps([list(order), values]).encode()).decode().rstrip("=")


def _plain(value: Any) -> Any:
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value


def _read(cursor: str, order: Sequence[str], model: type[Model]) -> list[Any] | None:
    """The values of a cursor; None for none, and for one that is broken or of another order."""
    if not cursor:
        return None
    try:
        of_order, values = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if of_order != list(order) or len(values) != len(order):
            return None
        # A column of a list has a value in every row; no text of the database holds a NUL character.
        if any(value is None or (isinstance(value, str) and "\x00" in value) for value in values):
            return None
        fields = [model._meta.pk if (name := key.lstrip("-")) == "pk" else model._meta.get_field(name) for key in order]
        return [field.to_python(value) for field, value in zip(fields, values, strict=True)]  # type: ignore[union-attr]
    # binascii.Error and UnicodeDecodeError are ValueErrors.
    except (ValueError, TypeError, ValidationError, FieldError, OverflowError, RecursionError):
        return None
