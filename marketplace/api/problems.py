"""Every refusal of the API is an RFC 9457 problem document with a stable `code` and a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404
from django.utils.translation import gettext as _
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import exception_handler

from marketplace.shared.errors import DomainError, Invalid, StaleForm

MEDIA_TYPE = "application/problem+json"


def problem(status: int, code: str, detail: str, headers: dict[str, str] | None = None, /, **members: Any) -> Response:
    """A problem document: `type` names the code under this site's own URN, `detail` is the sentence.

    A member that has the name of one of these gives way: what the HTTP answer says is what the document says.
    """
    body = {"type": f"urn:openlot:problem:{code}", "title": detail, "status": status, "code": code, "detail": detail}
    response = Response(members | body, status=status, headers=headers)
    response.content_type = MEDIA_TYPE
    return response


def _member(value: Any) -> Any:
    """A refusal's parameter as JSON: what JSON knows stays what it is, the rest (amounts, moments) is its words."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, Mapping):
        return {str(name): _member(one) for name, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_member(one) for one in value]
    return str(value)


def handle(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler. A bug is not handled here: it stays a 500."""
    if isinstance(error, Invalid):
        return problem(
            error.status, error.code, str(error), errors={k: [str(s) for s in v] for k, v in error.errors.items()}
        )
    if isinstance(error, StaleForm):
        return problem(error.status, error.code, str(error), changes=[str(change) for change in error.changes])
    if isinstance(error, DomainError):
        members = {name: _member(value) for name, value in error.params.items()}
        if error.field:
            members["field"] = error.field
        return problem(error.status, error.code, str(error), None, **members)
    if isinstance(error, exceptions.ValidationError):
        return problem(422, "invalid", _("Please correct what is marked."), errors=error.detail)
    if isinstance(error, Http404):
        return problem(404, "not_found", _("There is nothing here, or it is not yours to see."))
    if isinstance(error, PermissionDenied):
        return problem(403, "not_allowed", _("You are not allowed to do this."))
    response = exception_handler(error, context)
    if response is None or not isinstance(error, exceptions.APIException):
        return response
    code = error.default_code if isinstance(error.default_code, str) else "refused"
    headers = {k: v for k, v in response.items() if k in {"WWW-Authenticate", "Retry-After"}}
    return problem(response.status_code, code, str(error.detail), headers)
