"""The pages of purchase history, merges and runs: each state, what is refused, and that no other book shows through."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from analytics.models import (
    AccountMerge,
    Book,
    Contact,
    Import,
    ImportKind,
    ImportState,
    PartState,
    RunState,
    SameSale,
    ScoringRun,
)
from analytics.permissions import book_for
from analytics.rules.remarks import Odd
from marketplace.models import Role, StaffRole
from tests.factories.clients import client_of
from tests.factories.marketplace import NOON, accredited_supplier, member, staff
from tests.factories.purchases import loaded, row

pytestmark = pytest.mark.django_db
CSV = b"customer,order,date,item,category,qty,price\nK1,1,2026-05-01,nut,metal,2,1.50\nK2,2,bad,nut,metal,2,1.50\n"
DAY = date(2026, 5, 1)


@pytest.fixture
def book() -> Book:
    return book_for(None)


@pytest.fixture
def manager() -> Client:
    return client_of(staff(StaffRole.SALES_MANAGER))


@pytest.fixture
def representative() -> Client:
    return client_of(staff(StaffRole.REPRESENTATIVE))


def shown(client: Client, name: str, *arguments: Any) -> str:
    response = client.get(reverse(name, args=arguments))
    assert response.status_code == 200
    return response.content.decode()


@pytest.mark.django_db(transaction=True)
def test_a_manager_brings_in_a_file_without_javascript() -> None:
    manager = client_of(staff(StaffRole.SALES_MANAGER))
    empty = shown(manager, "insights_purchases")
    assert ("No purchases yet" in empty, "counts once, as the contract" in empty) == (True, True)
    sent = {"file": SimpleUploadedFile("sales.csv", CSV)}
    page = manager.post(reverse("insights_purchases"), sent, follow=True).content.decode()
    assert "What the columns are" in page
    batch = Import.objects.get()
    columns = {f"column_{name}": head for name, head in batch.found["columns"].items()}
    refused = manager.post(reverse("insights_import_columns", args=[batch.pk]), {"currency": "EUR"})
    assert refused.status_code == 422
    assert "Say which column it is." in refused.content.decode()

    typed = {**columns, "currency": "eur"}
    page = manager.post(reverse("insights_import_columns", args=[batch.pk]), typed, follow=True).content.decode()
    assert "the date cannot be read" in page
    assert "Load these rows" in page
    assert "counts once, as the contract" in page
    rejects = b"".join(manager.get(reverse("insights_import_rejects", args=[batch.pk])).streaming_content).decode()  # type: ignore[attr-defined]
    assert "3,the date cannot be read,bad,bad_date" in rejects

    page = manager.post(reverse("insights_import_load", args=[batch.pk]), follow=True).content.decode()
    assert "Lines new" in page
    assert "1 lines are new or changed" in shown(manager, "notifications")
    assert "sales.csv" in shown(manager, "insights_purchases")
    assert "Undo this import?" in shown(manager, "insights_import_undo", batch.pk)
    page = manager.post(reverse("insights_import_undo", args=[batch.pk]), follow=True).content.decode()
    assert "Lines taken out" in page
    again = manager.post(reverse("insights_import_load", args=[batch.pk]))
    assert (again.status_code, "This import is now: Undone" in again.content.decode()) == (409, True)


def test_a_file_that_is_too_large_or_of_another_kind_is_refused_in_a_sentence(manager: Client, settings: Any) -> None:
    url = reverse("insights_purchases")
    settings.PURCHASES_MAX_BYTES = 10
    refused = manager.post(url, {"file": SimpleUploadedFile("sales.csv", CSV)})
    assert (refused.status_code, "is larger than" in refused.content.decode()) == (422, True)
    refused = manager.post(url, {"file": SimpleUploadedFile("sales.pdf", b"%PDF")})
    assert (refused.status_code, "is of a type that is not taken here" in refused.content.decode()) == (422, True)
    settings.PURCHASES_MAX_BYTES = settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 5
    refused = manager.post(url, {"file": SimpleUploadedFile("sales.csv", CSV)})
    assert refused.status_code == 413


def test_progress_is_asked_for_until_it_is_over(book: Book, manager: Client) -> None:
    batch = Import.objects.create(
        book=book, kind="file", name="sales.csv", state=ImportState.READING, done=1200, created_at=NOON
    )
    part = manager.get(reverse("insights_import", args=[batch.pk]), headers={"HX-Request": "true"})
    assert "1,200 rows so far" in part.content.decode()
    assert "<html" not in part.content.decode()
    assert "HX-Refresh" not in part
    Import.objects.update(state=ImportState.FAILED, error="purchase_file_empty")
    part = manager.get(reverse("insights_import", args=[batch.pk]), headers={"HX-Request": "true"})
    assert part["HX-Refresh"] == "true"
    assert "The file is empty." in part.content.decode()


def test_representatives_look_and_managers_act(book: Book, representative: Client) -> None:
    batch, _done = loaded(book, [row("A", "1", DAY)])
    assert "A sales manager brings in files" in shown(representative, "insights_purchases")
    assert "Undo this import" not in shown(representative, "insights_import", batch.pk)
    for name in ("insights_import_undo", "insights_import_load", "insights_import_discard", "insights_import_columns"):
        assert representative.post(reverse(name, args=[batch.pk])).status_code == 403
    assert representative.post(reverse("insights_purchases"), {}).status_code == 403
    assert representative.post(reverse("insights_currency"), {"currency": "EUR"}).status_code == 403
    assert representative.get(reverse("insights_merges")).status_code == 403
    assert representative.post(reverse("insights_run_start")).status_code == 403
    assert "A sales manager can start a run" in shown(representative, "insights_runs")


def test_nobody_sees_anothers_purchases_merges_and_runs(book: Book, manager: Client) -> None:
    batch, _done = loaded(book, [row("Cobalt-Mine", "1", DAY), row("Cobalt-Works", "2", DAY)])
    run = ScoringRun.objects.create(book=book, cutoff=DAY, created_at=NOON)
    one, two = book.accounts.all()
    merged = AccountMerge.objects.create(
        book=book, source=one, target=two, merged_by=staff(StaffRole.SALES_MANAGER).person, merged_at=NOON
    )
    other = client_of(member(accredited_supplier(), Role.SALES_MANAGER))
    for name, pk in (("insights_import", batch.pk), ("insights_run", run.pk)):
        assert other.get(reverse(name, args=[pk])).status_code == 404
    for name, pk in (
        ("insights_import_undo", batch.pk), ("insights_import_load", batch.pk), ("insights_import_columns", batch.pk),
        ("insights_merge_undo", merged.pk), ("insights_run_retry", run.pk),
    ):  # fmt: skip
        assert other.post(reverse(name, args=[pk])).status_code == 404
    assert ["Cobalt-Mine" in shown(who, "insights_merges") for who in (manager, other)] == [True, False]
    refused = other.post(reverse("insights_merges"), {"source": one.pk, "target": two.pk})
    assert refused.status_code == 422
    without = client_of(member(accredited_supplier(), Role.BID_MANAGER))
    assert without.get(reverse("insights_purchases")).status_code == 403


def test_a_sale_counted_once_is_told_apart_and_taken_as_one_again(book: Book, manager: Client) -> None:
    assert "No sale is here twice" in shown(manager, "insights_same_sales")
    contract = [row("K-1", "OL-2026-000001-1-1", DAY, "100", quantity="5")]
    loaded(book, contract, ImportKind.CONTRACTS)
    batch, _done = loaded(book, [row("K-1", "R-77", DAY, "100", quantity="5", name="Acme")])
    batch.counts = _done.as_json()
    batch.save(update_fields=["counts"])
    assert "Lines counted as a contract on the platform" in shown(manager, "insights_import", batch.pk)
    page = shown(manager, "insights_same_sales")
    for words in ("R-77", "OL-2026-000001-1-1", "100.00", "once, as the contract"):
        assert words in page
    same = SameSale.objects.get()
    for what, words in (("apart", "as two sales"), ("one", "once, as the contract")):
        page = manager.post(reverse("insights_same_sale", args=[same.pk, what]), follow=True).content.decode()
        assert words in page
        same = SameSale.objects.get()
    other = client_of(member(accredited_supplier(), Role.SALES_MANAGER))
    assert "R-77" not in shown(other, "insights_same_sales")
    assert other.post(reverse("insights_same_sale", args=[same.pk, "apart"])).status_code == 404


def test_two_customers_are_merged_and_parted(book: Book, manager: Client) -> None:
    assert "Fewer than two customers yet" in shown(manager, "insights_merges")
    loaded(book, [row("A", "1", DAY, name="Acme"), row("B", "2", DAY, name="Akme"), row("C", "3", DAY, name="Bolt")])
    page = manager.get(reverse("insights_merges"), {"q": "acme akme"}).content.decode()
    assert ("Akme" in page, "Bolt" in page) == (True, False)
    one, two, _three = book.accounts.order_by("external_id")
    page = manager.post(reverse("insights_merges"), {"source": two.pk, "target": one.pk}, follow=True).content.decode()
    assert "Akme counts as Acme now" in page
    refused = manager.post(reverse("insights_merges"), {"source": one.pk, "target": one.pk})
    assert (refused.status_code, "cannot be merged into itself" in refused.content.decode()) == (422, True)
    merged = AccountMerge.objects.get()
    Contact.objects.create(account=two, name="Mia", created_at=merged.merged_at)  # as a merge of old left it
    assert "Akme was merged before people’s work went along" in shown(manager, "insights_merges")
    page = manager.post(reverse("insights_merge_bring", args=[merged.pk]), follow=True).content.decode()
    assert ("people’s work went along" in page, Contact.objects.get().account) == (False, one)
    page = manager.post(reverse("insights_merge_undo", args=[merged.pk]), follow=True).content.decode()
    assert "are two customers again" in page


def test_a_run_shows_how_far_it_is_and_why_it_failed(book: Book, manager: Client) -> None:
    loaded(book, [row("A", "1", DAY)])
    assert "No run yet" in shown(manager, "insights_runs")
    run = ScoringRun.objects.create(book=book, cutoff=DAY, created_at=NOON, state=RunState.SCORING, currency="EUR")
    for number in range(4):
        state = PartState.DONE if number < 3 else PartState.RUNNING
        run.partitions.create(number=number, state=state)
    assert "A run is on its way already" in shown(manager, "insights_runs")
    part = manager.get(reverse("insights_run", args=[run.pk]), headers={"HX-Request": "true"}).content.decode()
    assert "3 of 4 parts are done" in part
    assert 'value="75"' in part

    run.partitions.filter(number__lt=2).update(unscored={"fewer_than_three_order_days": 700, "other": 1})
    run.partitions.filter(number=3).update(state=PartState.FAILED, error="MemoryError: no room", tries=3)
    ScoringRun.objects.update(
        state=RunState.FAILED, error="parts_failed",
        facts={
            "other_currencies": {"USD": "12.5"}, "recovery_fallback": "accounts:too_few_cases",
            "remarks": [{"code": Odd.ENDS_EARLY, "last": "2026-05-01", "days": 40}],
        },
    )  # fmt: skip
    page = shown(manager, "insights_run", run.pk)
    for words in (
        "MemoryError: no room", "12.50", "Whole customers", "newest purchase is of 1 May 2026", "Try the failed parts",
        "1,400 customers bought on fewer than three days", "2 customers are just beyond",
    ):  # fmt: skip
        assert words in page
    page = manager.post(reverse("insights_run_retry", args=[run.pk]), follow=True).content.decode()
    assert "The failed parts are tried again." in page
    run.refresh_from_db()
    assert run.state == RunState.SCORING


def test_another_currency_is_scored_only_if_it_was_bought_in(book: Book, manager: Client) -> None:
    loaded(book, [row("A", "1", DAY), row("A", "2", DAY, currency="USD")])
    Book.objects.update(currency="EUR")
    assert "Score this currency" in shown(manager, "insights_purchases")
    assert manager.post(reverse("insights_currency"), {"currency": "THB"}).status_code == 422
    manager.post(reverse("insights_currency"), {"currency": "usd"})
    book.refresh_from_db()
    assert book.currency == "USD"


@pytest.mark.parametrize("name", ["insights_purchases", "insights_runs", "insights_merges"])
def test_queries_do_not_grow_with_rows(book: Book, manager: Client, name: str) -> None:
    def more(number: int) -> None:
        loaded(book, [row(f"A{number}", str(number), DAY), row(f"B{number}", f"b{number}", DAY)])
        ScoringRun.objects.create(book=book, cutoff=DAY, created_at=NOON + timedelta(days=number), state=RunState.WHOLE)
        one, two = book.accounts.filter(external_id__endswith=number)
        by = staff(StaffRole.SALES_MANAGER).person
        AccountMerge.objects.create(book=book, source=one, target=two, merged_by=by, merged_at=NOON)

    more(1)
    manager.get(reverse(name))
    with CaptureQueriesContext(connection) as with_one:
        manager.get(reverse(name))
    more(2)
    more(3)
    with CaptureQueriesContext(connection) as with_three:
        manager.get(reverse(name))
    assert len(with_three) == len(with_one)
