"""Browsers of people who have logged in, and what they read."""

from __future__ import annotations

import re
from typing import Any

from django.test import Client

from marketplace.permissions import Actor


def client_of(actor: Actor) -> Client:
    """A browser in which the actor's person is logged in."""
    client = Client()
    assert actor.person is not None
    client.force_login(actor.person, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def text_of(response: Any) -> str:
    """The words of a page, without its markup."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.content.decode()))
