"""What every list page needs: addresses with a filter changed, chips of the filters in force, the pager's links."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django import forms
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from marketplace.queries import keyset
from marketplace.web import parts

Row = TypeVar("Row", bound=Model)
_CURSORS = ("after", "before")


@dataclass(frozen=True, slots=True)
class List(Generic[Row]):
    """A page of rows with the links around it; "" where there is none."""

    rows: list[Row]
    previous_url: str
    next_url: str


def listed(request: HttpRequest, rows: QuerySet[Row], order: Sequence[str], size: int = keyset.SIZE) -> List[Row]:
    """The page of `rows` the request's cursor names."""
    after, before = (request.GET.get(cursor, "") for cursor in _CURSORS)
    page = keyset.page(rows, order, after=after, before=before, size=size)
    return List(
        page.rows,
        address(request, before=page.before) if page.before else "",
        address(request, after=page.after) if page.after else "",
    )


def address(request: HttpRequest, **changes: str) -> str:
    """The page's own address with these parameters changed ("" drops one), back at the first page."""
    query = request.GET.copy()
    for name in (*_CURSORS, *changes):
        query.pop(name, None)
    for name, value in changes.items():
        if value:
            query[name] = value
    return f"?{query.urlencode()}" if query else request.path


def chips(request: HttpRequest, form: forms.Form) -> list[parts.Chip]:
    """A chip for each filter in force, in words: "State: paid"."""
    if not form.is_bound or not form.is_valid():
        return []
    found = []
    for name, field in form.fields.items():
        value: Any = form.cleaned_data.get(name)
        if not value:
            continue
        words = _label_of(field, value) if isinstance(field, forms.ChoiceField) else value
        found.append(parts.Chip(f"{field.label}: {words}", address(request, **{name: ""})))
    return found


def _label_of(field: forms.ChoiceField, value: Any) -> Any:
    choices: Any = field.choices
    return dict(choices).get(value, value)
