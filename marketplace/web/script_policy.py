"""Browsers run no script on our pages that comes without its published hash, whoever put it there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from django.http import HttpRequest, HttpResponse

from marketplace.web import bundle

#: Pages with scripts of libraries: the API's explorer, and allauth's for passkeys.
_OTHERS: Final = ("/api/", "/accounts/")


class ScriptPolicyMiddleware:
    """Sets Integrity-Policy where pages name hashes, which is wherever files are served as they were collected."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        is_page = response.get("Content-Type", "").startswith("text/html")
        if is_page and not request.path.startswith(_OTHERS) and bundle.is_collected():
            response["Integrity-Policy"] = "blocked-destinations=(script)"
        return response
