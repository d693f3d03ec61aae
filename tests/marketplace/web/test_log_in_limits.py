"""Who guesses passwords is stopped; whose password is guessed is not kept out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.core.cache import cache
from django.test import Client

from marketplace.models import Person
from marketplace.web.known_devices import COOKIE
from tests.factories.marketplace import PASSWORD, PersonFactory

pytestmark = pytest.mark.django_db
ANNA, BOB = "anna@acme.example", "bob@acme.example"
RIVAL, OFFICE = "203.0.113.9", "198.51.100.7"


@pytest.fixture(autouse=True)
def _limits(settings: Any) -> Iterator[None]:
    settings.ACCOUNT_RATE_LIMITS = {"login_failed": "10/5m/ip,5/5m/key"}
    settings.LOGIN_FAILURES_ON_KNOWN_DEVICE = "5/5m/key"
    cache.clear()
    for email in (ANNA, BOB):
        person: Person = PersonFactory.create(email=email)
        EmailAddress.objects.create(user=person, email=email, primary=True, verified=True)
    yield
    cache.clear()


def attempt(client: Client, address: str, password: str = "wrong", email: str = ANNA) -> str:
    answer = client.post("/accounts/login/", {"login": email, "password": password}, REMOTE_ADDR=address)
    if answer.status_code == 302:
        return "in"
    return "limited" if "Too many wrong attempts" in answer.content.decode() else "wrong"


def test_who_guesses_is_stopped_at_their_address() -> None:
    assert [attempt(Client(), RIVAL) for _ in range(6)] == ["wrong"] * 5 + ["limited"]
    # For another account the count goes on by address.
    assert [attempt(Client(), RIVAL, email=BOB) for _ in range(6)] == ["wrong"] * 4 + ["limited"] * 2
    assert attempt(Client(), RIVAL, PASSWORD) == "limited"


def test_a_rival_keeps_nobody_out() -> None:
    for _ in range(12):
        attempt(Client(), RIVAL)
    assert attempt(Client(), OFFICE, PASSWORD) == "in"


def test_a_known_device_is_not_held_to_the_limit_of_its_address() -> None:
    own = Client()
    assert attempt(own, OFFICE, PASSWORD) == "in"
    assert own.cookies[COOKIE]["httponly"]
    own.post("/accounts/logout/")
    for _ in range(12):
        attempt(Client(), OFFICE)
    assert attempt(Client(), OFFICE, PASSWORD) == "limited"
    assert attempt(own, OFFICE, PASSWORD) == "in"


def test_a_known_device_guesses_no_more_than_others_and_only_for_its_person() -> None:
    own = Client()
    assert attempt(own, OFFICE, PASSWORD) == "in"
    own.post("/accounts/logout/")
    assert [attempt(own, OFFICE) for _ in range(6)] == ["wrong"] * 5 + ["limited"]
    assert [attempt(own, OFFICE, email=BOB) for _ in range(6)] == ["wrong"] * 5 + ["limited"]


def test_a_forged_cookie_is_no_known_device() -> None:
    forger = Client()
    forger.cookies[COOKIE] = "eyJkZXZpY2UiOiJ4IiwicGVvcGxlIjpbMV19:1abc:forged"
    for _ in range(6):
        attempt(Client(), RIVAL)
    assert attempt(forger, RIVAL) == "limited"
