"""Purchase history sent by another system: line by line, once under its key, into the company's own book."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest
from django.db import connections, transaction
from django.test import Client
from django.urls import reverse

from analytics.models import Account, Book, DayRollup, Import, OrderLine, PartState, RunState, ScoringRun
from analytics.permissions import book_for
from analytics.services import busy, loading
from marketplace.models import Organisation, Role
from marketplace.services import tokens
from tests.factories.at_once import at_the_same_time
from tests.factories.marketplace import NOON, accredited_supplier, member
from tests.factories.purchases import loaded, row

pytestmark = pytest.mark.django_db
JSON = "application/json"


@pytest.fixture
def company() -> Organisation:
    return accredited_supplier()


@pytest.fixture
def book(company: Organisation) -> Book:
    return book_for(company.pk)


def program(company: Organisation, role: Role = Role.SALES_MANAGER) -> Client:
    _token, secret = tokens.create("ERP", by=member(company, role), at=NOON)
    return Client(headers={"authorization": f"Bearer {secret}"})


def line(order: str = "R1", number: str = "1", **more: Any) -> dict[str, Any]:
    return {
        "customer_number": "K1", "customer_name": "Acme", "order": order, "line": number, "date": "2026-05-01",
        "item": "nut", "category": "metal", "quantity": "2", "amount": "3.00", "currency": "EUR", **more,
    }  # fmt: skip


def sent(client: Client, lines: list[Any], key: str = "1") -> Any:
    body = json.dumps({"lines": lines})
    return client.post(reverse("api_insights_purchases"), body, JSON, headers={"Idempotency-Key": key})


def test_lines_are_in_when_answered_and_count_once(company: Organisation, book: Book) -> None:
    client = program(company)
    lines = [line(), line("R2", quantity=1.5, amount=2.25), line("R3", date="soon"), line("R4", quantity="0"), {}]
    first = sent(client, lines)
    assert first.status_code == 200
    answer = first.json()
    assert answer["counts"] == {"new": 2, "changed": 0, "unchanged": 0, "rejected": 3}
    assert [one["status"] for one in answer["results"]] == ["new", "new", "rejected", "rejected", "rejected"]
    assert answer["results"][0] == {"order": "R1", "line": "1", "status": "new"}
    assert [one["code"] for one in answer["results"][2:]] == ["invalid", "quantity_zero", "invalid"]
    assert "date" in answer["results"][2]["errors"]
    assert sent(client, lines).json() == answer
    assert Import.objects.count() == 1

    other = sent(client, [line()])
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    again = sent(client, [line(), line("R2", quantity="1.5", amount="9.99"), line("R5")], "2").json()
    assert [one["status"] for one in again["results"]] == ["unchanged", "changed", "new"]
    day = DayRollup.objects.get(book=book)
    assert (day.account.name, day.orders, float(day.amount)) == ("Acme", 3, 15.99)
    book.refresh_from_db()
    assert book.currency == "EUR"


def test_a_cancellation_takes_back_and_a_renamed_customer_keeps_its_number(company: Organisation, book: Book) -> None:
    client = program(company)
    sent(client, [line(), line("R2", date="2026-05-02")])
    back = line("C1", date="2026-06-01", quantity="-2", amount="-3.00", cancels="R1", customer_name="Acme Holding")
    assert sent(client, [back], "2").json()["counts"]["new"] == 1
    assert [one.day for one in DayRollup.objects.filter(book=book)] == [date(2026, 5, 2)]
    assert Account.objects.get(book=book).name == "Acme Holding"


def test_what_is_odd_about_all_that_was_sent_can_be_asked_for(company: Organisation, book: Book) -> None:
    client = program(company)
    empty = {"currency": "", "first_day": None, "last_day": None, "days": 0, "remarks": []}
    assert client.get(reverse("api_insights_history")).json() == empty
    sent(client, [line(), line("R2", currency="USD"), line("R3", currency="€")])
    found = client.get(reverse("api_insights_history")).json()
    assert (found["currency"], found["days"], found["last_day"]) == ("EUR", 1, "2026-05-01")
    assert [one["code"] for one in found["remarks"]] == [
        "all_purchases_on_one_day", "one_account_only", "other_currencies_not_scored",
    ]  # fmt: skip
    assert found["remarks"][2]["says"].startswith("Only purchases in EUR are scored; those in USD")
    run = ScoringRun.objects.create(
        book=book, cutoff=date(2026, 5, 1), created_at=NOON, state=RunState.WHOLE,
        facts={"remarks": [{"code": "one_account_only"}]},
    )  # fmt: skip
    for number in range(2):
        run.partitions.create(number=number, state=PartState.DONE, unscored={"fewer_than_three_order_days": 3})
    told = client.get(reverse("api_insights_run", args=[run.pk])).json()
    assert ([one["code"] for one in told["remarks"]], told["unscored"]) == (
        ["one_account_only"], {"fewer_than_three_order_days": 6},
    )  # fmt: skip


@pytest.mark.parametrize("body", [{}, {"lines": []}, {"lines": "R1"}, {"lines": ["R1"]}, {"lines": [{}] * 1001}])
def test_a_body_of_another_shape_is_refused_whole(company: Organisation, body: Any) -> None:
    answer = program(company).post(
        reverse("api_insights_purchases"), json.dumps(body), JSON, headers={"Idempotency-Key": "1"}
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")


def test_lines_that_come_to_more_than_can_be_kept_are_refused(company: Organisation, book: Book) -> None:
    client = program(company)
    lines = [line(f"R{number}", amount="90000000000000") for number in range(1000)]
    answer = sent(client, lines)
    assert (answer.status_code, answer.json()["code"]) == (422, "purchase_day_too_large")
    assert "K1" in answer.json()["detail"]
    assert not OrderLine.objects.exists()
    assert sent(client, [line(amount="900000000000000")]).json()["results"][0]["code"] == "invalid"


def test_who_may_send_and_read(company: Organisation, book: Book) -> None:
    client, other = program(company), program(accredited_supplier())
    assert sent(client, [line()], "").json()["code"] == "idempotency_key_unfit"
    assert sent(program(company, Role.REPRESENTATIVE), [line()]).json()["code"] == "sales_manager_only"
    assert sent(program(company, Role.BID_MANAGER), [line()]).json()["code"] == "role_missing"
    batch = sent(client, [line()]).json()["id"]
    assert sent(other, [line()]).json()["counts"]["new"] == 1  # in its own book
    assert OrderLine.objects.filter(book=book).count() == 1
    run = ScoringRun.objects.create(book=book, cutoff=date(2026, 5, 1), state=RunState.SCORING, created_at=NOON)
    run.partitions.create(number=0, state=PartState.DONE)
    run.partitions.create(number=1)
    for name, pk in (("api_insights_purchase", batch), ("api_insights_run", run.pk)):
        assert other.get(reverse(name, args=[pk])).status_code == 404
    found = client.get(reverse("api_insights_purchase", args=[batch])).json()
    assert (found["kind"], found["state"], found["counts"]["new"]) == ("api", "loaded", 1)
    assert [one["id"] for one in client.get(reverse("api_insights_purchases")).json()["results"]] == [batch]
    found = client.get(reverse("api_insights_run", args=[run.pk])).json()
    assert (found["parts"], found["parts_done"], found["shown"]) == (2, 1, False)
    assert [one["id"] for one in client.get(reverse("api_insights_runs")).json()["results"]] == [run.pk]


def test_a_file_and_the_api_speak_of_the_same_orders(company: Organisation, book: Book) -> None:
    loaded(book, [row("K1", "R1", date(2026, 5, 1), "3.00", quantity="2", item="nut", category="metal")])
    assert sent(program(company), [line()]).json()["counts"]["unchanged"] == 1


@pytest.mark.django_db(transaction=True)
def test_while_another_import_is_loaded_a_call_is_told_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    company = accredited_supplier()
    book, client = book_for(company.pk), program(company)
    monkeypatch.setattr(busy, "WAITS", "50ms")

    def call() -> Any:
        try:
            return sent(client, [line()])
        finally:
            connections.close_all()

    with transaction.atomic():
        loading.lock(book.pk)
        (answer,) = at_the_same_time(call)
    assert (answer.status_code, answer.json()["code"]) == (503, "book_busy")  # type: ignore[attr-defined]
    assert sent(client, [line()]).json()["counts"]["new"] == 1
