"""Calling the API with a token: for one organisation, until it is revoked or the membership ends."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

from marketplace.api import throttling
from marketplace.models import ApiToken, Membership, Organisation, Role
from marketplace.permissions import Actor
from marketplace.services import people, tokens
from procurement.auction import tokens as gateway
from tests.factories.auctions import START, running_auction
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


def test_a_token_that_has_expired_is_refused(client: Client, caller: Actor, freeze: Callable[..., Any]) -> None:
    _token, secret = tokens.create("ERP", days=30, by=caller, at=NOON)
    now = freeze(NOON + timedelta(days=30) - timedelta(seconds=1))
    assert call(client, secret).status_code == 200
    now.advance(timedelta(seconds=1))
    answer = call(client, secret)
    assert answer.status_code == 401
    assert answer.json()["detail"] == "This token has expired. Make a new one."


def test_a_token_that_reads_only_changes_nothing(client: Client, caller: Actor) -> None:
    _token, secret = tokens.create("Dashboard", read_only=True, by=caller, at=NOON)
    headers = {"Authorization": f"Bearer {secret}"}
    assert call(client, secret).status_code == 200
    answer = client.post("/api/v1/bids/", {}, content_type="application/json", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "token_reads_only")


def test_a_token_that_reads_only_watches_an_auction(client: Client) -> None:
    auction = running_auction("100.00", "99.00")
    supplier = auction.lot.auction.participants.order_by("pk").first().supplier  # type: ignore[union-attr]  # two take part
    answers = []
    for read_only in (False, True):
        _token, secret = tokens.create("Desk", read_only=read_only, by=member(supplier), at=START)
        url = f"/api/v1/lots/{auction.lot_id}/auction/"
        answers.append(client.get(url, headers={"Authorization": f"Bearer {secret}"}).json())
    assert [one["may_bid"] for one in answers] == [True, False]
    assert [gateway.read(one["ticket"]).may_bid for one in answers] == [True, False]


def test_who_asks_too_often_is_told_when_to_come_again(client: Client, secret: str, monkeypatch: Any) -> None:
    cache.clear()
    monkeypatch.setitem(throttling.Reads.THROTTLE_RATES, "reads", "2/min")
    monkeypatch.setitem(throttling.Writes.THROTTLE_RATES, "writes", "1/min")
    assert [call(client, secret).status_code for _ in range(3)] == [200, 200, 429]
    answer = call(client, secret)
    assert answer.json()["code"] == "throttled"
    assert 0 < int(answer["Retry-After"]) <= 60
    # What changes something is counted by itself, and so is every other caller.
    headers = {"Authorization": f"Bearer {secret}"}
    sent = [client.post("/api/v1/bids/", {}, content_type="application/json", headers=headers) for _ in range(2)]
    assert [one.status_code == 429 for one in sent] == [False, True]
    other = tokens.create("Other", by=member(OrganisationFactory.create()), at=NOON)[1]
    assert call(client, other).status_code == 200
    cache.clear()
