"""What holds on every page, whoever asks: its headers, its forms' protection, and that no text of a person is code."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.apps import apps
from django.db import models, transaction
from django.http import HttpResponse
from django.test import Client

from procurement.models import Bid
from tests.access.asking import ask, clients_fixture, world_fixture  # noqa: F401  (fixtures)
from tests.access.table import TABLE, Row
from tests.access.world import World

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
# Texts that people type and others read; what is longer than its column is cut.
TYPED = {
    "organisation": ["full_name", "short_name", "legal_form"],
    "person": ["full_name", "position"],
    "address": ["street", "city"],
    "tender": ["title", "description", "closing_reason"],
    "lot": ["title", "delivery_place"],
    "item": ["description"],
    "tenderdocument": ["title"],
    "storedfile": ["name"],
    "clarification": ["question"],
    "bid": ["remarks", "decision_reason"],
    "bidfile": ["name"],
    "award": ["reason"],
    "contract": ["text"],
    "accreditationdocument": ["title"],
    "apitoken": ["name"],
    "notification": ["text"],
    "plan": ["name", "description"],
    "heading": ["name"],
    "analytics.account": ["name"],
    "analytics.contact": ["name", "position", "note"],
    "analytics.import": ["name"],
    "analytics.lead": ["company", "contact_name", "need"],
    "analytics.objection": ["text"],
    "analytics.opportunity": ["title"],
    "analytics.step": ["text"],
}
READ = [row for row in TABLE if row.method == "GET" and row.who]
SENT = [row for row in TABLE if row.method != "GET" and row.who and not row.name.startswith("api_")]


def key_of(model: type[models.Model]) -> str:
    """A model's name in `TYPED`: those of the insights with their app, as some have the name of another's."""
    return model._meta.label_lower if model._meta.app_label == "analytics" else model._meta.model_name or ""


def asker(row: Row) -> str:
    """Who sees most of the page: nobody's visitor where a person may."""
    return max(sorted(row.who), key=lambda role: (role != "visitor", role == "supplier", role == "buyer"))


def read(row: Row, world: World, clients: dict[str, Client]) -> HttpResponse:
    return ask(clients[asker(row)], "GET", row.url(world), world.resolve(row.sends))


def is_page(response: Any) -> bool:
    return bool(response["Content-Type"].startswith("text/html")) and not response.streaming


@pytest.fixture(scope="module", name="answers")
def answers_fixture(world: World, clients: dict[str, Client]) -> list[tuple[Row, HttpResponse]]:
    """What is read at every address."""
    return [(row, read(row, world, clients)) for row in READ]


def test_every_answer_carries_the_protective_headers(answers: list[tuple[Row, HttpResponse]]) -> None:
    wrong = []
    for row, response in answers:
        policy = response.get("Content-Security-Policy", "")
        holds = {
            "policy": "default-src" in policy and "unsafe" not in policy,
            "no frames": "frame-ancestors 'none'" in policy or "sandbox" in policy,
            "X-Frame-Options": response.get("X-Frame-Options") == "DENY",
            "nosniff": response.get("X-Content-Type-Options") == "nosniff",
            "referrer": response.get("Referrer-Policy") in ("same-origin", "no-referrer"),
        }
        wrong += [f"{row}: {name}" for name, fine in holds.items() if not fine]
    assert wrong == []


def test_what_can_be_read_can_be_asked_for_by_its_head(
    answers: list[tuple[Row, HttpResponse]], world: World, clients: dict[str, Client]
) -> None:
    """Monitors and link checkers ask so: the same status, and no body."""
    wrong = []
    for row, whole in answers:
        head = ask(clients[asker(row)], "HEAD", row.url(world), world.resolve(row.sends))
        wrong += [f"{row}: {head.status_code} instead of {whole.status_code}"] * (head.status_code != whole.status_code)
    assert wrong == []


def test_no_form_is_taken_without_its_csrf_token(world: World) -> None:
    clients = {role: world.client(role, enforce_csrf_checks=True) for role in {asker(row) for row in SENT}}
    answers = {str(row): ask(clients[asker(row)], row.method, row.url(world)).status_code for row in SENT}
    assert {row: status for row, status in answers.items() if status != 403} == {}


def test_no_text_of_a_person_is_code_on_any_page(world: World, clients: dict[str, Client]) -> None:
    wrong = []
    with transaction.atomic():
        plant()
        for row in READ:
            response = read(row, world, clients)
            if not is_page(response):
                continue
            text = response.content.decode()
            assert response.status_code < 400, row
            wrong += [str(row)] if "<script>alert" in text or "<img src=x" in text else []
        transaction.set_rollback(True)
    assert wrong == []


def plant() -> None:
    """The hostile text in every column that people type into."""
    for model in apps.get_models():
        for name in TYPED.get(key_of(model), []):
            column = model._meta.get_field(name)
            assert isinstance(column, models.CharField | models.TextField)
            rows = model._default_manager.all()
            if model._meta.model_name == "bid":  # a sealed bid has no texts: the database itself refuses them
                rows = rows.filter(opened_at__isnull=False)
            rows.update(**{name: EVIL[: column.max_length or None]})


def test_no_page_holds_code_or_style_of_its_own(answers: list[tuple[Row, HttpResponse]]) -> None:
    """The policy would stop it; the page would be broken."""
    inline = re.compile(
        r"<[^>]+\s(style|on[a-z]+)=|<style|<script(?![^>]*\ssrc=)(?![^>]*application/(ld\+)?json)[^>]*>"
    )
    wrong = []
    for row, response in answers:
        # The API's explorer is a third party's page.
        if is_page(response) and row.name != "api_docs":
            found = inline.search(response.content.decode())
            wrong += [f"{row}: {found.group()[:80]}"] if found else []
    assert wrong == []


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "path",
    [
        "/procedures/%00/",
        "/procedures/?q=%00",
        "/procedures/?after=bnVsbA&q=%F0%28%8C%28",
        "/companies/?q=%00",
        f"/bids/{'9' * 30}/",
        f"/bids/{'9' * 5000}/",
        f"/procedures/OL-2026-000001/lots/{'9' * 25}/bid/",
        "/contracts/%E2%80%AE%00/sign/x/",
        "/invitations/%00/",
        "/receipts/../../etc/passwd",
        "/api/v1/tenders/?q=%00",
        f"/api/v1/tenders/?within_days={'9' * 5000}",
        f"/api/v1/lots/{'9' * 30}/",
        "/api/v1/nothing/here/",
    ],
)
def test_an_address_that_nobody_writes_is_no_crash(path: str, method: str, clients: dict[str, Client]) -> None:
    for role in ("visitor", "supplier"):
        response = ask(clients[role], method, path)
        assert response.status_code < 500, f"{role}: {response.status_code}"
        if path.startswith("/api/") and response.status_code >= 400:
            assert response["Content-Type"] == "application/problem+json"


def pages_of(tender: str, role: str, world: World) -> list[str]:
    """What the role reads on every page of a tender."""
    rows = [row for row in READ if set(row.arguments) == {"number"} and row.arguments["number"] == tender]
    addresses = dict.fromkeys(row.url(world) for row in rows if role in row.who)
    client = world.client(role)
    return [client.get(address).content.decode() for address in addresses]


@pytest.mark.parametrize("role", ["visitor", "other_buyer", "other_supplier", "supplier", "operator", "auditor"])
def test_others_than_the_buyer_read_no_rivals_prices_after_the_opening(role: str, world: World) -> None:
    rival = Bid.objects.filter(lot__tender__number=world.names["awarding"]).exclude(pk=world.names["opened"]).get()
    told = [f"{rival.initial_amount:,.2f}"]
    if role not in ("operator", "auditor"):  # the trail tells them who did what, not for how much
        told += [rival.supplier.short_name, rival.supplier.full_name]
    pages = pages_of("awarding", role, world)
    assert pages
    assert [one for one in told if any(one in page for page in pages)] == []


@pytest.mark.parametrize("role", ["visitor", "buyer", "buyer_observer", "other_supplier", "operator", "auditor"])
def test_nobody_reads_on_a_tenders_pages_who_bids_before_the_opening(role: str, world: World) -> None:
    supplier = Bid.objects.get(pk=world.names["sent"]).supplier
    pages = pages_of("open", role, world)
    assert pages
    assert [one for one in (supplier.short_name, supplier.full_name) if any(one in page for page in pages)] == []
