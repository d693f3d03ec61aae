"""Files of purchases from upload to undo, by the services and jobs as they are, on PostgreSQL and the disk."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from analytics.models import Account, Book, DayRollup, Import, ImportState, OrderLine
from analytics.permissions import ManagerOnly, book_for
from analytics.queries import history, soundness
from analytics.rules.remarks import Odd
from analytics.services import import_jobs, imports, loading, merges, purchases_in, transitions
from analytics.services.imports import ColumnNeeded, ColumnTwice, ImportNotReady, NothingToLoad, NotUndone
from analytics.web import purchase_words
from analytics.web.purchases import ColumnsForm
from marketplace.models import Notification, Role, StaffRole
from marketplace.permissions import Actor
from marketplace.services.files import FileTooLarge, FileTypeMismatch, FileTypeNotAllowed
from marketplace.shared.errors import IllegalTransition, NotFound
from tests.factories.contracts import signed_contract
from tests.factories.marketplace import HeadingFactory, accredited_buyer, accredited_supplier, member, staff

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 6, 30, 9, tzinfo=UTC)
MAY, JUNE = date(2026, 5, 1), date(2026, 6, 20)
CSV = """Customer No;Customer Name;Invoice;Article;Product Group;Date;Qty;Price
K1;Acme;R1;nut;metal;01.05.2026;10;1,50
K1;Acme;R1;cup;glass;01.05.2026;2;4,00
K2;Bolt;R2;nut;metal;31.05.2026;1.000;1,25
K1;Acme;C1;nut;metal;02.05.2026;-4;1,50
K1;Acme;R3;nut;metal;32.05.2026;1;1,50
K2;Bolt;R4;nut;metal;05.05.2026;0;1,50
K2;Bolt;R5;nut;metal;05.05.2026;1;-1,50
K2;Bolt;R6;nut;metal;05.05.2027;1;1,50
;Nobody;R7;nut;metal;05.05.2026;1;1,50
"""
COLUMNS = {
    "account": "Customer No", "account_name": "Customer Name", "order_id": "Invoice", "sku": "Article",
    "category": "Product Group", "ts": "Date", "qty": "Qty", "unit_price": "Price",
}  # fmt: skip


@pytest.fixture
def book() -> Book:
    return book_for(None)


@pytest.fixture
def manager() -> Actor:
    return staff(StaffRole.SALES_MANAGER)


def now() -> datetime:
    return NOW


def uploaded(book: Book, by: Actor, content: str | bytes = CSV, name: str = "sales.csv") -> Import:
    """A file whose columns were guessed."""
    sent = ContentFile(content.encode() if isinstance(content, str) else content, name)
    batch = imports.upload(book, sent, by=by, at=NOW)
    import_jobs.look(batch.pk, now)
    batch.refresh_from_db()
    return batch


def read(batch: Import, by: Actor, columns: dict[str, str] | None = None, **said: Any) -> Import:
    guessed = batch.found.get("columns", {})
    said = {"currency": "EUR", **said}
    imports.confirm_columns(batch.pk, guessed if columns is None else columns, by=by, at=NOW, **said)
    import_jobs.read(batch.pk, now)
    batch.refresh_from_db()
    return batch


def loaded(batch: Import, by: Actor) -> Import:
    imports.load(batch.pk, by=by, at=NOW)
    import_jobs.load(batch.pk, now)
    batch.refresh_from_db()
    return batch


def undone(batch: Import, by: Actor) -> Import:
    imports.undo(batch.pk, by=by, at=NOW)
    import_jobs.undo(batch.pk, now)
    batch.refresh_from_db()
    return batch


def test_a_file_from_upload_to_undo(book: Book, manager: Actor) -> None:
    batch = uploaded(book, manager)
    assert batch.found["columns"] == COLUMNS
    assert (batch.found["day_month"], batch.found["decimals"]) == ("dmy", "comma")
    assert batch.found["sample"][0] == ["K1", "Acme", "R1", "nut", "metal", "01.05.2026", "10", "1,50"]

    read(batch, manager)
    assert (batch.state, batch.counts) == (ImportState.READ, {"read": 9, "accepted": 4, "rejected": 5})
    assert batch.rejects == {
        "bad_date": 1, "quantity_zero": 1, "price_not_positive": 1, "date_in_future": 1, "missing_account": 1,
    }  # fmt: skip
    with default_storage.open(batch.rejects_path) as listed:
        assert listed.read().decode().splitlines()[:2] == ["line,reason,value", "6,bad_date,32.05.2026"]
    preview = batch.found["preview"]
    assert (preview["accounts_new"], preview["accounts_known"], preview["taken_back"]) == (2, 0, 1)
    assert (preview["first"], preview["last"]) == ("2026-05-01", "2026-05-31")
    assert preview["money"] == {"EUR": "1267.0000"}
    assert [one.account_name for one in history.understood(batch)] == ["Acme", "Acme", "Bolt", "Acme"]
    assert not OrderLine.objects.exists()

    loaded(batch, manager)
    assert (batch.state, batch.counts["new"], batch.counts["accounts_new"]) == (ImportState.LOADED, 4, 2)
    assert not batch.staged.exists()
    assert not batch.path
    days = DayRollup.objects.order_by("day", "amount").values_list("account__name", "category__code", "day", "amount")
    assert [(*row[:3], float(row[3])) for row in days] == [
        ("Acme", "glass", MAY, 8.0), ("Acme", "metal", MAY, 15.0), ("Bolt", "metal", date(2026, 5, 31), 1250.0),
    ]  # fmt: skip
    book.refresh_from_db()
    assert (book.currency, book.mapping) == ("EUR", COLUMNS)

    again = loaded(read(uploaded(book, manager), manager), manager)
    assert (again.counts["new"], again.counts["changed"], again.counts["unchanged"]) == (0, 0, 4)
    undone(again, manager)
    assert OrderLine.objects.count() == 4
    assert undone(batch, manager).state == ImportState.UNDONE
    assert not DayRollup.objects.exists()
    with pytest.raises(ImportNotReady):
        imports.undo(batch.pk, by=manager, at=NOW)


def test_the_columns_of_the_last_file_are_remembered(book: Book, manager: Actor) -> None:
    heads = "who,when,what,how many,worth\n"
    batch = uploaded(book, manager, heads + "K1,2026-05-01,nut,2,3.00\n")
    assert (batch.found["columns"], batch.found["head"]) == ({}, ["who", "when", "what", "how many", "worth"])
    told = {"account": "who", "ts": "when", "sku": "what", "qty": "how many", "amount": "worth"}
    loaded(read(batch, manager, told), manager)
    assert uploaded(book, manager, heads + "K1,2026-05-02,nut,2,3.00\n").found["columns"] == told
    assert uploaded(book, manager).found["columns"] == COLUMNS  # another kind of file


def test_letters_that_were_taken_for_others_are_read_again_as_told(book: Book, manager: Actor) -> None:
    text = "ลูกค้า;ชื่อ;วันที่;จำนวนเงิน\nK1;บริษัท สยาม;2026-05-01;5\nK2;ร้านค้า;2026-05-02;7\n"
    batch = uploaded(book, manager, text.encode("cp874"))
    who, name, when, much = batch.found["head"]
    columns = {"account": who, "account_name": name, "ts": when, "amount": much}
    for _turn in range(2):  # the second time the heads are those of the first
        read(batch, manager, columns, encoding="cp874")
        columns = batch.mapping["columns"]
        assert columns == {"account": "ลูกค้า", "account_name": "ชื่อ", "ts": "วันที่", "amount": "จำนวนเงิน"}
        assert batch.found["sample"][0][1] == "บริษัท สยาม"
        assert [one.account_name for one in history.understood(batch)] == ["บริษัท สยาม", "ร้านค้า"]
    assert loaded(batch, manager).counts["accounts_new"] == 2


def test_what_a_file_does_not_show_is_remembered_for_the_next_that_does_not(book: Book, manager: Actor) -> None:
    heads = "ลูกค้า;วันที่;จำนวนเงิน\n"
    batch = uploaded(book, manager, (heads + "K1;03/04/2026;1,250\n").encode("cp874"))
    assert batch.found["said"] == {}
    told = dict(zip(("account", "ts", "amount"), batch.found["head"], strict=True))
    said = {"encoding": "cp874", "day_month": "mdy", "decimals": "comma"}
    loaded(read(batch, manager, told, **said), manager)

    same = uploaded(book, manager, (heads + "K1;05/04/2026;2,500\n").encode("cp874"))
    assert (same.found["said"], same.found["guesses"]) == (said, ["no_quantity_column_one_assumed"])
    form = ColumnsForm(same)
    assert {name: form.initial[name] for name in said} == said
    assert {str(form.fields[name].help_text) for name in said} == {"As with your last file."}
    assert same.found["columns"] == {"account": "ลูกค้า", "ts": "วันที่", "amount": "จำนวนเงิน"}
    # A file that shows it goes by what it shows, and makes nothing forgotten.
    plain = uploaded(book, manager, heads + "K1;25/04/2026;2.5\n")
    assert (plain.found["said"], plain.found["head"][0], plain.found["day_month"]) == ({}, "ลูกค้า", "dmy")
    loaded(read(plain, manager), manager)
    book.refresh_from_db()
    assert book.reading == said
    # In letters that the remembered encoding has no heads for, the file is looked at as if nothing were known.
    other = uploaded(book, manager, "Kunde;Datum;Betrag;Straße\nK1;05.04.2026;2,500;x\n".encode("cp1252"))
    assert other.found["columns"] == {"account": "Kunde", "ts": "Datum", "amount": "Betrag"}
    # What was offered and taken out again is not offered a third time.
    loaded(read(same, manager, encoding="cp874", day_month="mdy"), manager)
    book.refresh_from_db()
    assert book.reading == {"encoding": "cp874", "day_month": "mdy"}


def test_a_workbook_reads_like_a_csv_file(book: Book, manager: Actor) -> None:
    workbook = openpyxl.Workbook()
    sheet = workbook.active
    assert sheet is not None
    sheet.append(["account", "order_id", "ts", "qty", "unit_price", "currency"])
    sheet.append(["K1", "1", datetime(2026, 5, 1, 12), 2, 3.5, "USD"])  # noqa: DTZ001 – a workbook knows no zones
    sheet.append(["K1", "2", datetime(2026, 5, 2, 12), 1, 1.5, "dollars"])  # noqa: DTZ001
    content = io.BytesIO()
    workbook.save(content)
    batch = read(uploaded(book, manager, content.getvalue(), "sales.xlsx"), manager)
    assert (batch.counts["accepted"], batch.rejects) == (1, {"currency_unknown": 1})
    assert batch.found["preview"]["money"] == {"USD": "7.0000"}


@pytest.mark.parametrize(
    ("before", "after", "error"),
    [
        (b'ref="A1:C2"', b'ref="A1"', ""),  # columns beyond the size it states are read all the same
        (b'r="2"', b'r="2000000000"', "purchase_workbook_unreadable"),
        (b"</sheetData>", b"", "purchase_workbook_unreadable"),
    ],
)
def test_a_workbook_that_is_not_as_it_says(book: Book, manager: Actor, before: bytes, after: bytes, error: str) -> None:
    batch = uploaded(book, manager, _workbook(before, after), "sales.xlsx")
    if not batch.error:
        batch = read(batch, manager, {"account": "account", "ts": "date", "amount": "amount"})
    assert (batch.error, batch.counts.get("accepted", 0)) == (error, int(not error))


def test_a_file_of_very_many_columns_is_refused(book: Book, manager: Actor) -> None:
    head = ",".join(["account", "date", "amount", *(f"c{number}" for number in range(600))])
    batch = uploaded(book, manager, f"{head}\nK1,2026-05-01,5\n")
    assert (batch.error, batch.state) == ("purchase_columns_too_many", ImportState.FAILED)
    assert purchase_words.next_step(batch) == "Throw it away, and upload a file that can be read."
    nothing = read(uploaded(book, manager, "account,date,amount\n"), manager)
    assert (codes(nothing), "nothing to load" in purchase_words.next_step(nothing)) == ([Odd.NOTHING], True)


def _workbook(before: bytes, after: bytes) -> bytes:
    """One row below the heads, with something else written in the sheet's XML."""
    workbook = openpyxl.Workbook()
    sheet = workbook.active
    assert sheet is not None
    sheet.append(["account", "date", "amount"])
    sheet.append(["K1", "2026-05-01", 5])
    plain, changed = io.BytesIO(), io.BytesIO()
    workbook.save(plain)
    with zipfile.ZipFile(plain) as parts, zipfile.ZipFile(changed, "w") as copy:
        for name in parts.namelist():
            text = parts.read(name)
            copy.writestr(name, text.replace(before, after) if name.endswith("sheet1.xml") else text)
    return changed.getvalue()


def test_equal_rows_of_one_order_are_one_and_without_orders_a_day_is_one(book: Book, manager: Actor) -> None:
    rows = "K1,1,2026-05-01,nut,1,2\nK1,1,2026-05-01,nut,1,2\nK1,1,2026-05-01,nut,3,2\n"
    batch = loaded(read(uploaded(book, manager, "account,order,ts,sku,qty,unit_price\n" + rows), manager), manager)
    assert (batch.counts["new"], batch.counts["repeated"]) == (2, 1)
    assert float(DayRollup.objects.get().amount) == 8.0
    undone(batch, manager)

    rows = "K1,2026-05-01,2\nK1,2026-05-01,2\nK1,2026-05-02,5\n"
    batch = loaded(read(uploaded(book, manager, "account,ts,amount\n" + rows), manager), manager)
    assert (batch.counts["new"], batch.counts["repeated"]) == (3, 0)
    assert [float(amount) for amount in DayRollup.objects.order_by("day").values_list("amount", flat=True)] == [
        4.0,
        5.0,
    ]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("", None),
        ("\n\n", "purchase_file_empty"),
        ("one column\nonly\n", "purchase_columns_missing"),
        (b"\x1f\x8bnot packed", "purchase_file_not_unpacked"),
        (b"PK\x03\x04not a workbook", None),
    ],
)
def test_what_cannot_be_read_says_why(book: Book, manager: Actor, content: str | bytes, code: str | None) -> None:
    name = "sales.csv.gz" if isinstance(content, bytes) and content.startswith(b"\x1f") else "sales.csv"
    try:
        batch = uploaded(book, manager, content, name)
    except (imports.files.FileRefused, FileTypeMismatch):
        assert code is None
        return
    assert batch.error == code


def test_a_file_that_fails_while_read_can_be_read_again(book: Book, manager: Actor) -> None:
    batch = uploaded(book, manager)
    path, batch.path = batch.path, "purchases/gone.csv"
    batch.save(update_fields=["path"])
    assert (read(batch, manager).state, batch.error) == (ImportState.FAILED, "purchase_file_not_opened")
    Import.objects.update(path=path)
    assert read(batch, manager).state == ImportState.READ
    assert read(batch, manager).counts["accepted"] == 4  # what was staged before is gone


def test_a_disk_that_takes_no_more_fails_the_import(book: Book, manager: Actor, settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = str(tmp_path)
    batch = uploaded(book, manager, CSV)
    (tmp_path / "purchases" / "rejects").touch()  # where the list of rejects should go
    assert (read(batch, manager).state, batch.error) == (ImportState.FAILED, "import_broken")


def test_what_is_refused(book: Book, manager: Actor, settings: Any) -> None:
    supplier = accredited_supplier()
    other = member(supplier, Role.SALES_MANAGER)
    file = ContentFile(CSV.encode(), "sales.csv")
    with pytest.raises(ManagerOnly):
        imports.upload(book, file, by=staff(StaffRole.REPRESENTATIVE), at=NOW)
    with pytest.raises(NotFound):
        imports.upload(book, file, by=other, at=NOW)
    with pytest.raises(FileTypeNotAllowed):
        imports.upload(book, ContentFile(b"%PDF", "sales.pdf"), by=manager, at=NOW)
    settings.PURCHASES_MAX_BYTES = 10
    with pytest.raises(FileTooLarge):
        imports.upload(book, file, by=manager, at=NOW)
    settings.PURCHASES_MAX_BYTES = 10**6
    batch = uploaded(book, manager)
    for act in (imports.load, imports.discard, imports.undo):
        with pytest.raises(NotFound):
            act(batch.pk, by=other, at=NOW)
    with pytest.raises(ColumnNeeded):
        read(batch, manager, {"account": "Customer No", "ts": "Date", "unit_price": "No such head"})
    with pytest.raises(ColumnTwice):
        read(batch, manager, {"account": "Customer No", "ts": "Date", "amount": "Price", "qty": "Price"})
    with pytest.raises(ImportNotReady):
        imports.load(batch.pk, by=manager, at=NOW)
    read(batch, manager, {"account": "Customer Name", "ts": "Invoice", "amount": "Price"})
    with pytest.raises(NothingToLoad):
        imports.load(batch.pk, by=manager, at=NOW)
    assert imports.discard(batch.pk, by=manager, at=NOW).state == ImportState.DISCARDED
    contracts = Import.objects.create(book=book, kind="contracts", state=ImportState.LOADED, created_at=NOW)
    with pytest.raises(NotUndone):
        imports.undo(contracts.pk, by=manager, at=NOW)


def test_what_a_dying_worker_dropped_is_sent_again(
    book: Book, manager: Actor, django_capture_on_commit_callbacks: Callable[..., Any]
) -> None:
    batch = uploaded(book, manager)
    imports.confirm_columns(batch.pk, COLUMNS, currency="EUR", by=manager, at=NOW)
    assert imports.take(batch.pk, ImportState.READING, at=NOW) is not None
    assert imports.take(batch.pk, ImportState.READING, at=NOW) is None
    with django_capture_on_commit_callbacks() as sent:
        imports.sweep(at=NOW + timedelta(minutes=30))
    assert not sent
    with django_capture_on_commit_callbacks() as sent:
        imports.sweep(at=NOW + imports.LEASE)
    assert len(sent) == 1
    import_jobs.read(batch.pk, lambda: NOW + imports.LEASE)
    batch.refresh_from_db()
    assert batch.state == ImportState.READ
    imports.sweep(at=NOW + imports.KEPT + timedelta(days=1))
    batch.refresh_from_db()
    assert (batch.state, batch.path, batch.rejects_path) == (ImportState.DISCARDED, "", "")
    assert not batch.staged.exists()


def test_an_import_whose_workers_are_lost_time_and_again_is_given_up(book: Book, manager: Actor) -> None:
    batch = uploaded(book, manager)
    imports.confirm_columns(batch.pk, COLUMNS, currency="EUR", by=manager, at=NOW)
    moments = [NOW + number * imports.LEASE for number in range(imports.TRIES + 1)]
    taken = [imports.take(batch.pk, ImportState.READING, at=at) for at in moments]
    assert [one is not None for one in taken] == [True, True, True, False]
    batch.refresh_from_db()
    assert (batch.state, batch.error) == (ImportState.FAILED, imports.LOST)
    assert read(batch, manager).state == ImportState.READ  # a person may try again


def test_what_takes_too_long_or_cannot_be_undone_says_so(
    book: Book, manager: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = read(uploaded(book, manager), manager)

    def too_long(*_: object) -> None:
        raise SoftTimeLimitExceeded

    with monkeypatch.context() as patch:
        patch.setattr(loading, "load", too_long)
        loaded(batch, manager)
    assert (batch.state, batch.error) == (ImportState.FAILED, "import_too_long")
    loaded(read(batch, manager), manager)
    with monkeypatch.context() as patch:
        patch.setattr(loading, "undo", too_long)
        undone(batch, manager)
    assert (batch.state, batch.error) == (ImportState.LOADED, "import_too_long")
    assert undone(batch, manager).state == ImportState.UNDONE


def test_a_day_that_comes_to_more_than_can_be_kept_is_refused_by_name(book: Book, manager: Actor) -> None:
    rows = "".join(f"K1,R{number},2026-05-01,100,900000000000\n" for number in range(2))
    batch = read(uploaded(book, manager, f"account,order,date,qty,price\n{rows}"), manager)
    assert batch.counts["accepted"] == 2
    loaded(batch, manager)
    assert (batch.state, batch.error) == (ImportState.FAILED, "purchase_day_too_large")
    assert "K1" in purchase_words.error(batch)
    assert "2026-05-01" in purchase_words.error(batch)
    assert not OrderLine.objects.exists()


def test_every_state_is_known_to_the_table() -> None:
    assert set(transitions.IMPORT) == set(ImportState)
    with pytest.raises(IllegalTransition):
        transitions.move_import(Import(state=ImportState.UNDONE), ImportState.LOADED)


def daily(first: date, days: int, *customers: str) -> str:
    """A purchase of each customer on each day."""
    rows = [
        f"{customer},{first + timedelta(days=day)},{10 * number + day}\n"
        for day in range(days) for number, customer in enumerate(customers, 1)
    ]  # fmt: skip
    return "customer no,customer name,date,amount\n" + "".join(rows)


def codes(batch: Import) -> list[str]:
    return [remark["code"] for remark in batch.remarks]


def test_holes_are_judged_in_all_that_the_book_would_hold(book: Book, manager: Actor) -> None:
    loaded(read(uploaded(book, manager, daily(date(2025, 12, 1), 90, "K1,Acme", "K2,Bolt")), manager), manager)
    july = read(uploaded(book, manager, daily(date(2026, 5, 1), 55, "K1,Acme", "K2,Bolt")), manager)
    hole = {"from": "2026-03-01", "until": "2026-04-30", "days": 61}
    found = {"code": Odd.HOLES, "count": 1, "left_out": True, "holes": [hole]}
    assert july.remarks == [found]
    assert loaded(july, manager).remarks == [found]
    assert Notification.objects.filter(text__endswith="1 remark on it: see its page.").count() == 1
    book.refresh_from_db()
    assert soundness.of_book(book, NOW.date())[0].details["holes"] == [hole]
    missing = read(uploaded(book, manager, daily(date(2026, 3, 1), 61, "K1,Acme")), manager)
    assert loaded(missing, manager).remarks == []
    assert [one.code for one in soundness.of_book(book, date(2026, 7, 9))] == [Odd.ENDS_EARLY]


def test_customers_are_compared_with_those_known_so_far(book: Book, manager: Actor) -> None:
    loaded(read(uploaded(book, manager, daily(JUNE, 3, "K1,Acme", "K2,Bolt", "K3,Cups", "K4,K4")), manager), manager)
    one, two, *_others = book.accounts.order_by("external_id")
    merges.merge(book, two.pk, one.pk, by=manager, at=NOW)
    known = read(uploaded(book, manager, daily(JUNE, 3, "K1,Acme Ltd", "K2,Bolt", "K4,Dish", "K9,cups")), manager)
    assert known.remarks[:3] == [
        {
            "code": Odd.RENAMED, "count": 1,
            "examples": [{"number": "K1", "before": "Acme", "now": "Acme Ltd"}],
        },
        {"code": Odd.NAMESAKES, "count": 1, "examples": [{"name": "Cups", "numbers": ["K3", "K9"]}]},
        {"code": Odd.MERGED, "count": 1, "examples": [{"number": "K2", "counts_as": "K1"}]},
    ]  # fmt: skip
    assert codes(known)[3:] == [Odd.FEW]
    assert codes(loaded(known, manager)) == [Odd.RENAMED, Odd.NAMESAKES, Odd.MERGED, Odd.FEW]
    other = read(uploaded(book, manager, daily(JUNE, 3, "001,Egg")), manager)
    assert codes(other) == [Odd.ALL_NEW, Odd.FEW]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("K1,1,2026-05-01,-2,5,EUR\nK2,2,2026-05-02,-1,5,EUR\n", [Odd.NOTHING_LEFT]),
        ("K1,1,2026-05-01,1,5,EUR\nK1,1,2026-05-01,1,5,EUR\n", [Odd.DUPLICATES, Odd.ONE_DAY, Odd.ONE_ACCOUNT]),
        ("K1,1,2026-06-01,1,5,€\nK2,2,2026-06-20,1,5,EUR\nK2,3,2026-06-21,1,5,USD\n", [Odd.FEW, Odd.OTHER_CURRENCIES]),
        ("K1,1,2020-05-01,1,5,EUR\nK2,2,2020-05-02,1,5,EUR\n", [Odd.FEW, Odd.OVER]),
        ("K1,1,never,1,5,EUR\nK2,2,2026-06-20,x,5,EUR\nK2,2,2026-06-20,1,5,EUR\n",
         [Odd.MOSTLY_REJECTED, Odd.ONE_DAY, Odd.ONE_ACCOUNT]),
        ("K1,1,never,1,5,EUR\n", [Odd.MOSTLY_REJECTED]),
    ],
    ids=["all-negative", "written-twice", "currencies", "ended-long-ago", "mostly-wrong", "all-wrong"],
)  # fmt: skip
def test_a_file_with_little_in_it_says_what(book: Book, manager: Actor, body: str, expected: list[Odd]) -> None:
    batch = read(uploaded(book, manager, "account,order,date,qty,price,currency\n" + body), manager)
    assert codes(batch) == expected


def test_orders_of_the_platform_are_left_out_of_what_a_company_brings_in(manager: Actor) -> None:
    supplier, at = accredited_supplier(), NOW - timedelta(days=9)
    contract = signed_contract(accredited_buyer(), supplier, {HeadingFactory.create(): "100"}, signed_at=at)
    elsewhere = signed_contract(accredited_buyer(), accredited_supplier(), {HeadingFactory.create(): "5"}, signed_at=at)
    seller, own = member(supplier, Role.SALES_MANAGER), book_for(supplier.pk)
    orders = [contract.number.lower(), f"{contract.number}/2", contract.tender.number, elsewhere.number, "R-1"]
    rows = "".join(f"K1,{order},2026-06-2{n},100\n" for n, order in enumerate(orders))
    batch = read(uploaded(own, seller, "account,order,date,amount\n" + rows), seller)
    assert (batch.counts["accepted"], batch.rejects) == (2, {"here_from_the_contract": 3})
    assert codes(batch) == [Odd.ONE_ACCOUNT, Odd.FEW]
    line = purchases_in.Line("K1", contract.number, "1", MAY, Decimal(1), Decimal(5), "EUR")
    answer = purchases_in.take(own, [line], key="a", sha256="b", by=seller, at=NOW)
    assert answer["results"][0]["code"] == "here_from_the_contract"


def test_renamed_customers_keep_their_number(book: Book, manager: Actor) -> None:
    loaded(read(uploaded(book, manager), manager), manager)
    batch = loaded(read(uploaded(book, manager, CSV.replace("Acme", "Acme Holding")), manager), manager)
    assert (batch.counts["accounts_new"], batch.counts["accounts_renamed"], batch.counts["changed"]) == (0, 1, 0)
    assert Account.objects.get(external_id="K1").name == "Acme Holding"
