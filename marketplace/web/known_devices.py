"""Devices on which a person has logged in before: a signed cookie says whose they are.

Wrong passwords are counted for an account together with the address or the known device they come from. Counted for
the account alone, a rival could keep a person out before a deadline by entering wrong passwords for them.
"""

from __future__ import annotations

import secrets
from typing import Final

from allauth.account.models import EmailAddress
from django.conf import settings
from django.core import signing
from django.http import HttpRequest
from django.http.response import HttpResponseBase

COOKIE: Final = "openlot_device"
_SALT: Final = "marketplace.known_device"
_SECONDS: Final = 180 * 24 * 3600
# Colleagues share a computer; a cookie for everybody who ever sat there is not needed.
_PEOPLE: Final = 5


def device_of(request: HttpRequest, email: str) -> str:
    """The id of this device if the owner of `email` has logged in on it before, else empty."""
    device, people = _read(request)
    known = device and EmailAddress.objects.filter(user_id__in=people, email__iexact=email).exists()
    return device if known else ""


def remember(request: HttpRequest, response: HttpResponseBase, person_id: int) -> None:
    """Note on the device that this person has logged in on it."""
    device, people = _read(request)
    people = [person_id, *(one for one in people if one != person_id)][:_PEOPLE]
    response.set_cookie(
        COOKIE,
        signing.dumps({"device": device or secrets.token_urlsafe(12), "people": people}, salt=_SALT),
        max_age=_SECONDS,
        httponly=True,
        secure=settings.SESSION_COOKIE_SECURE,
        samesite="Lax",
    )


def _read(request: HttpRequest) -> tuple[str, list[int]]:
    try:
        content = signing.loads(request.COOKIES.get(COOKIE, ""), salt=_SALT, max_age=_SECONDS)
    except signing.BadSignature:
        return "", []
    return str(content["device"]), [int(one) for one in content["people"]]
