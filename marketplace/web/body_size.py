"""How much a request may carry, asked before a byte of it is read: what is too large never reaches the disk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

from django.conf import settings
from django.core.files.uploadhandler import MemoryFileUploadHandler
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _

from marketplace.shared.errors import DomainError
from marketplace.web import formats

View = TypeVar("View", bound=Callable[..., HttpResponse])
_LIMIT: Final = "body_limit"
_LARGER: Final = "body_setting"


class BodyTooLarge(DomainError):
    code, status = "body_too_large", 413
    sentence = _("This is too large to be taken. Nothing was changed.")


def body_at_most(size: int) -> Callable[[View], View]:
    """Mark a view: bodies above `size` bytes are refused unread, and files are kept in memory, never on the disk."""

    def mark(view: View) -> View:
        setattr(view, _LIMIT, size)
        return view

    return mark


def body_up_to(setting: str) -> Callable[[View], View]:
    """Mark a view: bodies up to the bytes of this setting are taken, more than elsewhere; files go to the disk."""

    def mark(view: View) -> View:
        setattr(view, _LARGER, setting)
        return view

    return mark


class InMemory(MemoryFileUploadHandler):
    """Keeps every file in memory; for views whose bodies are bounded."""

    def handle_raw_input(self, *args: Any, **kwargs: Any) -> None:
        self.activated = True


class BodySizeMiddleware:
    """Stands before whatever reads forms. Without a Content-Length no body is read at all."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], arguments: list[Any], named: dict[str, Any]
    ) -> HttpResponse | None:
        limit = getattr(view, _LIMIT, None)
        if setting := getattr(view, _LARGER, None):
            larger = getattr(settings, setting)
            # Room for what stands around the file.
            return _refusal(request, larger) if _size(request) > larger + settings.DATA_UPLOAD_MAX_MEMORY_SIZE else None
        if _size(request) > (limit or settings.BODY_MAX_BYTES):
            return _refusal(request, limit)
        if limit is not None:
            request.upload_handlers = [InMemory(request)]
        return None


def _size(request: HttpRequest) -> int:
    try:
        return int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        return 0


def _refusal(request: HttpRequest, limit: int | None) -> HttpResponse:
    error = BodyTooLarge()
    if request.path.startswith("/api/"):
        body = {
            "type": f"urn:openlot:problem:{error.code}",
            "title": str(error),
            "status": error.status,
            "code": error.code,
            "detail": str(error),
        }
        return JsonResponse(body, status=error.status, content_type="application/problem+json")
    largest = formats.filesize(settings.DOCUMENT_MAX_BYTES if limit is None else limit)
    return render(request, "413.html", {"largest": largest}, status=error.status)
