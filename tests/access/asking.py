"""The world as fixtures, and asking it for a page without leaving a trace."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import transaction
from django.http import HttpResponse
from django.test import Client, override_settings
from django.urls import reverse

from marketplace.shared import clock, keys
from tests.access import world as worlds
from tests.access.table import PROGRAM, ROLES
from tests.access.world import NOW, World


@pytest.fixture(scope="module", name="world")
def world_fixture(
    django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """The world, built once and rolled back at the end, with keys and stored files of its own."""
    own_files = override_settings(MEDIA_ROOT=tmp_path_factory.getbasetemp() / "media")
    logging.disable(logging.CRITICAL)  # thousands of refusals are what is asked for
    with pytest.MonkeyPatch.context() as patch, django_db_blocker.unblock(), clock.frozen(NOW), own_files:
        patch.setenv("OPENLOT_KEYS", keys.new_key_file_text("test").replace("\n", ";"))
        keys.keyring.cache_clear()
        with transaction.atomic():
            yield worlds.build()
            transaction.set_rollback(True)
        keys.keyring.cache_clear()
    logging.disable(logging.NOTSET)


@pytest.fixture(scope="module", name="clients")
def clients_fixture(world: World) -> dict[str, Client]:
    """A logged-in browser for each role."""
    return {role: world.client(role, raise_request_exception=False) for role in ROLES + PROGRAM}


def ask(client: Client, method: str, url: str, sends: dict[str, Any] | None = None) -> HttpResponse:
    """The answer, with everything undone that it changed. The API is sent JSON, a page a form."""
    jar = SimpleCookie(client.cookies.output(header="", sep=";"))
    if method in ("GET", "HEAD"):
        url, sends = f"{url}?{urlencode(sends or {})}", None
    if url.startswith("/api/"):
        body, media = json.dumps(sends or {}), "application/json"
    else:
        body, media = urlencode(sends or {}), "application/x-www-form-urlencoded"
    with transaction.atomic():
        response: Any = client.generic(method, url, body, content_type=media, headers={"Idempotency-Key": "key"})
        if response.streaming:
            b"".join(response.streaming_content)
        transaction.set_rollback(True)
    client.cookies = jar
    return response


def outcome(response: HttpResponse) -> str:
    """ "in", "refused", or what is neither: a crash, or a method that the page does not know."""
    if response.status_code in (401, 403, 404):
        return "refused"
    if response.status_code == 405 or response.status_code >= 500:
        return f"{response.status_code}"
    if response.status_code in (301, 302) and response["Location"].startswith(reverse("account_login")):
        return "refused"
    return "in"
