"""Who calls the API: a token bound to one membership, or the browser's session."""

from __future__ import annotations

import hashlib
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework import authentication, exceptions
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request

from marketplace.models import ApiToken, Person
from marketplace.permissions import Actor
from marketplace.queries import staff
from marketplace.shared import clock
from marketplace.shared.errors import NotAllowed

# The last use is written at most this often, so that a busy client costs no write per call.
USE_RESOLUTION_SECONDS = 300


class TokenReadsOnly(NotAllowed):
    code = "token_reads_only"
    sentence = _("This token reads only. Use one that may also change something.")


class TokenAuthentication(authentication.BaseAuthentication):
    """`Authorization: Bearer olt_…`. The token says for which organisation the person acts."""

    def authenticate(self, request: Request) -> tuple[Person, ApiToken] | None:
        scheme, _space, secret = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        token = (
            ApiToken.objects.select_related("membership__person", "membership__organisation")
            .filter(sha256=hashlib.sha256(secret.strip().encode()).hexdigest(), revoked_at=None)
            .first()
        )
        if token is None or not token.membership.active or not token.membership.person.is_active:
            raise exceptions.AuthenticationFailed(_("This token is unknown or was revoked."))
        now = clock.now()
        if token.expires_at is not None and token.expires_at <= now:
            raise exceptions.AuthenticationFailed(_("This token has expired. Make a new one."))
        if token.read_only and request.method not in SAFE_METHODS:
            raise TokenReadsOnly
        if token.last_used_at is None or (now - token.last_used_at).total_seconds() > USE_RESOLUTION_SECONDS:
            ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
        member = token.membership
        staff_roles = [] if staff.lacks_second_factor(member.person) else member.person.staff_roles
        actor = Actor(member.person, member.organisation, frozenset(member.roles), frozenset(staff_roles))
        request._request.actor = actor  # type: ignore[attr-defined]  # read through permissions.actor_of
        return member.person, token

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class SessionAuthentication(authentication.SessionAuthentication):
    """The browser's session, with CSRF; the organisation is the one chosen on the pages."""

    def authenticate_header(self, request: Request) -> str:
        return "Session"


def reads_only(request: Request) -> bool:
    """Whether the caller sent a token that changes nothing."""
    return isinstance(request.auth, ApiToken) and request.auth.read_only


def actor_from(request: Request) -> Actor:
    """The actor of an API request."""
    http: HttpRequest = request._request
    return http.actor  # type: ignore[attr-defined]  # set by the middleware or by TokenAuthentication


class TokenScheme(OpenApiAuthenticationExtension):
    target_class = "marketplace.api.authentication.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer"}


class SessionScheme(OpenApiAuthenticationExtension):
    target_class = "marketplace.api.authentication.SessionAuthentication"
    name = "session"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "apiKey", "in": "cookie", "name": settings.SESSION_COOKIE_NAME}
