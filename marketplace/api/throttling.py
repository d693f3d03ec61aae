"""How often a caller may ask: generous for people and programs, too little for a flood."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle

from marketplace.models import ApiToken

if TYPE_CHECKING:
    # It imports the default throttles itself.
    from rest_framework.views import APIView


class _ByCaller(SimpleRateThrottle):
    """Counted for each token, else each person, else each address as the last trusted proxy saw it."""

    counts_writes = False

    def allow_request(self, request: Request, view: APIView) -> bool:
        if (request.method not in SAFE_METHODS) != self.counts_writes:
            return True
        return bool(super().allow_request(request, view))

    def get_cache_key(self, request: Request, view: APIView) -> str:
        if isinstance(request.auth, ApiToken):
            caller = f"token:{request.auth.pk}"
        elif request.user and request.user.is_authenticated:
            caller = f"person:{request.user.pk}"
        else:
            caller = f"address:{self.get_ident(request)}"
        return self.cache_format % {"scope": self.scope, "ident": caller}


class Reads(_ByCaller):
    scope = "reads"


class Writes(_ByCaller):
    scope = "writes"
    counts_writes = True
