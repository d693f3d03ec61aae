"""Calling the API with a token: for one organisation, until it is revoked or the membership ends."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from marketplace.models import ApiToken, Membership, Organisation, Role
from marketplace.permissions import Actor
from marketplace.services import people, tokens
from tests.factories.marketplace import NOON, OrganisationFactory, member

pytestmark = pytest.mark.django_db


@pytest.fixture
def acme() -> Organisation:
    return OrganisationFactory.create(short_name="Acme", identifier="DE136695976")


@pytest.fixture
def caller(acme: Organisation) -> Actor:
    return member(acme, Role.BID_MANAGER)


@pytest.fixture
def secret(caller: Actor) -> str:
    return tokens.create("ERP", by=caller, at=NOON)[1]


def call(client: Client, secret: str) -> Any:
    return client.get("/api/v1/me/", headers={"Authorization": f"Bearer {secret}"})


def test_a_token_acts_for_its_person_in_its_organisation(client: Client, secret: str, caller: Actor) -> None:
    answer = call(client, secret)
    assert answer.status_code == 200
    assert caller.person
    assert answer.json()["email"] == caller.person.email
    assert answer.json()["roles"] == ["bid_manager"]
    assert answer.json()["organisation"]["identifiers"] == ["VATDE-136695976"]


def test_the_last_use_is_remembered_but_not_at_every_call(
    client: Client, secret: str, freeze: Callable[..., Any]
) -> None:
    now = freeze(NOON)
    call(client, secret)
    now.advance(timedelta(seconds=10))
    call(client, secret)
    assert ApiToken.objects.get().last_used_at == NOON
    now.advance(timedelta(minutes=10))
    call(client, secret)
    assert ApiToken.objects.get().last_used_at == NOON + timedelta(minutes=10, seconds=10)


def test_a_revoked_token_is_refused(client: Client, secret: str, caller: Actor) -> None:
    tokens.revoke(ApiToken.objects.get().pk, by=caller, at=NOON)
    answer = call(client, secret)
    assert (answer.status_code, answer["Content-Type"]) == (401, "application/problem+json")


def test_a_token_ends_with_the_membership(client: Client, secret: str, acme: Organisation, caller: Actor) -> None:
    people.end_membership(Membership.objects.get(person=caller.person).pk, by=member(acme, Role.ADMINISTRATOR), at=NOON)
    assert call(client, secret).status_code == 401


def test_a_wrong_token_and_none_are_refused(client: Client) -> None:
    assert call(client, "olt_wrong").status_code == 401
    assert client.get("/api/v1/me/").status_code in (401, 403)
