"""Who acts (once per request), and refusals as pages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import chain
from typing import Any
from urllib.parse import urlsplit

from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render

from marketplace.models import Membership
from marketplace.permissions import NOBODY, Actor
from marketplace.queries import staff
from marketplace.shared.errors import DomainError, NotAllowed, NotFound
from marketplace.web.gateway import gateway_origin

Handler = Callable[[HttpRequest], HttpResponse]
ORGANISATION_KEY = "organisation_id"
# What a person of the staff reaches who has yet to set up a second factor.
_WITHOUT_SECOND_FACTOR = ("/accounts/", "/account/", "/static/", "/healthz", "/api/")


class ActorMiddleware:
    """Sets `request.actor`: the signed-in person and the organisation they chose, or their first."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        actor = _actor(request)
        if actor.person is not None and staff.lacks_second_factor(actor.person):
            request.must_set_second_factor = True  # type: ignore[attr-defined]  # ours, read by the page of factors
            # Until they have one they act as people who are not of the staff.
            actor = replace(actor, staff_roles=frozenset())
            if request.method in ("GET", "HEAD") and not request.path.startswith(_WITHOUT_SECOND_FACTOR):
                return redirect("mfa_index")
        request.actor = actor  # type: ignore[attr-defined]  # ours, read through permissions.actor_of
        response = self.get_response(request)
        origin = gateway_origin(request)
        if origin:
            response._csp_update = {"connect-src": [origin]}  # type: ignore[attr-defined]  # django-csp's own hook
        return response


def _actor(request: HttpRequest) -> Actor:
    person = request.user
    if not person.is_authenticated:
        return NOBODY
    memberships = list(
        Membership.objects.filter(person=person, active=True).select_related("organisation").order_by("pk")
    )
    request.memberships = memberships  # type: ignore[attr-defined]  # the organisation switcher lists them
    chosen = request.session.get(ORGANISATION_KEY)
    current = next((m for m in memberships if m.organisation_id == chosen), memberships[0] if memberships else None)
    staff_roles = frozenset(person.staff_roles)
    if current is None:
        return Actor(person=person, staff_roles=staff_roles)
    return Actor(person, current.organisation, frozenset(current.roles), staff_roles)


class PlainTextMiddleware:
    """Refuses NUL characters in addresses and form fields: nobody types one, and the database cannot keep it."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], arguments: list[Any], named: dict[str, Any]
    ) -> None:
        given = chain(arguments, named.values(), _texts(request.GET), _texts(request.POST))
        if any("\x00" in text for text in given if isinstance(text, str)):
            raise BadRequest("a NUL character")


def _texts(values: QueryDict) -> chain[str]:
    return chain(values, chain.from_iterable(several for _name, several in values.lists()))


class DomainErrorMiddleware:
    """A refusal that no view showed beside its field becomes a page with the same sentence, and nothing was written."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if not isinstance(error, DomainError):
            return None
        if isinstance(error, NotFound | NotAllowed) and not request.user.is_authenticated:
            return redirect_to_login(_page_of(request))
        template = {403: "403.html", 404: "404.html"}.get(error.status, "409.html")
        if request.method == "POST" and error.status == 409 and request.headers.get("HX-Request"):
            messages.error(request, str(error))
        return render(request, template, {"error": error, "sentence": str(error)}, status=error.status)


def _page_of(request: HttpRequest) -> str:
    """The page to come back to after the log-in: this one, or for what was sent the page it was sent from."""
    if request.method in ("GET", "HEAD"):
        return request.get_full_path()
    sent_from = urlsplit(request.headers.get("Referer", ""))
    return sent_from.path if sent_from.netloc == request.get_host() else "/"
