"""Browsers of people who have logged in."""

from __future__ import annotations

from django.test import Client

from marketplace.permissions import Actor


def client_of(actor: Actor) -> Client:
    """A browser in which the actor's person is logged in."""
    client = Client()
    assert actor.person is not None
    client.force_login(actor.person, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client
