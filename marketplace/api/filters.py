"""Filters of the API's lists: a value that a filter does not have is refused, never passed over."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext_lazy as _
from rest_framework.request import Request

from marketplace.shared.errors import DomainError


class FilterRefused(DomainError):
    code, status = "filter_refused", 400
    sentence = _("“%(value)s” is no value of the filter %(name)s. Possible: %(possible)s.")


def chosen(request: Request, name: str, possible: Sequence[str]) -> str:
    """The filter's value, "" where it is not given. Raises FilterRefused for one that is not possible."""
    value: str = request.query_params.get(name, "")
    if value and value not in possible:
        raise FilterRefused(field=name, name=name, value=value, possible=", ".join(possible))
    return value


def moment(request: Request, name: str) -> datetime | None:
    """The instant that the filter names, None where it is not given. Raises FilterRefused for one without an offset,
    and for what is none.
    """
    value: str = request.query_params.get(name, "")
    if not value:
        return None
    try:
        found = parse_datetime(value)
        if found is not None and found.tzinfo is not None:
            return found.astimezone(UTC)
    except (ValueError, OverflowError):  # of its form, but no instant of the calendar
        pass
    raise FilterRefused(field=name, name=name, value=value, possible="2026-05-01T08:00:00Z")
