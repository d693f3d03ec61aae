"""Files as they come, whole: what is read, what is refused, and that nothing raises but a plain sentence."""

import gzip
import io
from datetime import date, datetime
from pathlib import Path

import openpyxl
import pytest

from analytics.features import records
from analytics.features.files import FileUnreadable, Note
from analytics.features.gathering import Report, gather
from analytics.features.layout import Guess, Told
from analytics.features.values import DayMonth
from analytics.rules import remarks
from analytics.rules.history import History
from analytics.rules.remarks import Odd, Remark
from tests.analytics.features.conftest import Write

HEAD = "account,order_id,sku,category,ts,qty,unit_price\n"
GOOD = "A,1,s1,c1,2024-01-05 10:00:00,2,3.50\nB,2,s2,c2,2024-01-07,1,10\n"


def rows(history: History) -> list[tuple[str, str, str, int, float, float]]:
    return [
        (
            history.accounts[history.account[n]],
            history.categories[history.category[n]] if history.category[n] >= 0 else "",
            history.items[history.item[n]] if history.item[n] >= 0 else "",
            int(history.day[n]),
            float(history.quantity[n]),
            float(history.amount[n]),
        )
        for n in range(len(history))
    ]


GOOD_ROWS = [("A", "c1", "s1", 0, 2.0, 7.0), ("B", "c2", "s2", 2, 1.0, 10.0)]


def rejected(path: Path, **options: object) -> tuple[list[str], Report]:
    lines = io.StringIO()
    _history, report = gather(path, rejects=lines, **options)
    assert lines.getvalue().startswith("line,reason,value\n")
    return lines.getvalue().splitlines()[1:], report


def remarked(report: Report) -> list[Odd]:
    return [remark.code for remark in report.remarks]


def test_a_plain_file_becomes_a_history(write: Write) -> None:
    history, report = gather(write(HEAD + GOOD))
    assert rows(history) == GOOD_ROWS
    assert history.first_day == date(2024, 1, 5)
    assert (report.rows_read, report.rows_used, report.rejected, report.warnings) == (2, 2, {}, {})


@pytest.mark.parametrize(
    "content",
    [
        (HEAD + GOOD).replace("\n", "\r\n").encode("utf-8-sig"),
        (HEAD + GOOD).replace("\n", "\r").encode(),
        (HEAD + GOOD).encode("utf-16"),
        (HEAD + GOOD).encode("utf-16-le"),
        (HEAD + GOOD).replace(",", "\t").encode(),
        ("sep=;\n" + (HEAD + GOOD).replace(",", ";").replace(".", ",")).encode(),
        ("Sales of January\n\n" + HEAD + "\n" + GOOD + "\n\n").encode(),
        gzip.compress((HEAD + GOOD).encode()) + gzip.compress(b""),
        (HEAD + '"A","1","s1","c1","2024-01-05","2","3.50"\n"B","2","s2","c2","2024-01-07","1","10"').encode(),
        (HEAD + GOOD).replace("B,", "\0B,").encode(),
    ],
    ids=["bom+crlf", "cr", "utf16", "utf16-unmarked", "tabs", "semicolons", "titles", "gzip", "quoted", "nul"],
)
def test_the_same_purchases_are_read_however_they_are_written(content: bytes, write: Write) -> None:
    assert rows(gather(write(content))[0]) == GOOD_ROWS


def test_a_workbook_is_read_like_a_file(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for row in [
        ["account", "order_id", "sku", "category", "ts", "qty", "unit_price"],
        ["A", 1, "s1", "c1", datetime(2024, 1, 5, 10, 0), 2, 3.5],  # noqa: DTZ001  as sheets hold them
        [],
        ["B", 2, "s2", "c2", date(2024, 1, 7), 1, 10],
        ["B", 3, "s2", "c2", "never", 1, 10],
    ]:
        book.active.append(row)
    path = tmp_path / "lines.xlsx"
    book.save(path)
    assert rows(gather(path)[0]) == GOOD_ROWS
    assert rejected(path)[0] == ["5,bad_date,never"]


def test_every_row_that_is_not_used_has_its_line_and_reason(write: Write) -> None:
    path = write(
        HEAD
        + GOOD
        + ",3,s1,c1,2024-01-05,1,1\n"
        + "A,4,s1,c1,,1,1\n"
        + "A,5,s1,c1,31.02.2024,1,1\n"
        + "A,6,s1,c1,2024-01-05,,1\n"
        + "A,7,s1,c1,2024-01-05,many,1\n"
        + "A,8,s1,c1,2024-01-05,1,\n"
        + "A,9,s1,c1,2024-01-05,1,free\n"
        + "A,10,s1,c1,2024-01-05,-2,3.50\n"
        + "A,11,s1,c1,2024-01-05,1,0\n"
        + "A,12,s1,c1,2024-01-05,1,3,50\n"
        + "A,13\n"
        + f"{'x' * 300},14,s1,c1,2024-01-05,1,1\n"
        + "A,1,s1,c1,2024-01-05 10:00:00,2,3.50\n"
        + 'A,15,"s1,c1,2024-01-05,1,1\n'
        + "B,16,s2,c2,2024-01-07,1,5\n"
    )
    lines, report = rejected(path)
    assert lines == [
        "4,missing_account,",
        "5,missing_date,",
        "6,bad_date,31.02.2024",
        "7,missing_quantity,",
        "8,bad_quantity,many",
        "9,missing_price,",
        "10,bad_price,free",
        "13,too_many_fields,50",
        "14,missing_date,",
        "15,value_too_long,",
        '17,unbalanced_quote,"A,15,""s1,c1,2024-01-05,1,1"',
        "11,quantity_not_positive,-2.0",
        "12,price_not_positive,0.0",
        "16,duplicate_row,",
    ]
    assert (report.rows_read, report.rows_used) == (17, 3)
    assert sum(report.rejected.values()) == 14


def test_quoted_line_ends_belong_to_the_field_and_lines_keep_their_numbers(write: Write) -> None:
    path = write(HEAD + 'A,1,"s\n1",c1,2024-01-05,2,3.50\nB,2,s2,c2,x,1,10\nB,2,5" pipe,c2,2024-01-07,1,10\n')
    history, _report = gather(path)
    assert [row[2] for row in rows(history)] == ["s 1", '5" pipe']
    assert rejected(path)[0] == ["4,bad_date,x"]


def test_blocks_of_any_size_give_the_same(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    text = HEAD + "".join(f'A{n % 7},{n},"s\n{n % 5}",c,2024-0{1 + n % 9}-01,1,{n + 1}\n' for n in range(200))
    whole = rows(gather(write(text))[0])
    original = records.blocks
    monkeypatch.setattr(
        "analytics.features.tables.blocks", lambda path, **named: original(path, **{**named, "size": 90})
    )
    assert rows(gather(write(text))[0]) == whole
    assert len(whole) == 200


def test_a_packed_file_that_breaks_off_gives_what_came_before(write: Write) -> None:
    packed = gzip.compress((HEAD + GOOD * 2000).encode())
    history, report = gather(write(packed[: len(packed) // 2], "lines.csv.gz"))
    assert len(history) == 2
    assert report.warnings[Note.BROKEN_OFF] == 1


def test_western_letters_are_read_where_a_line_is_not_utf8(write: Write) -> None:
    history, report = gather(write((HEAD + GOOD).encode() + "Café,3,s1,c1,2024-01-08,1,1\n".encode("cp1252")))
    assert history.accounts == ("A", "B", "Café")
    assert report.warnings == {Note.NOT_UTF8: 1}
    named = gather(write((HEAD + "Магазин,3,s1,c1,2024-01-08,1,1\n").encode("cp1251")), told=Told(encoding="cp1251"))
    assert named[0].accounts == ("Магазин",)


def test_dates_in_three_formats_and_day_and_month_told_apart(write: Write) -> None:
    body = "A,1,s,c,25/03/2024,1,1\nA,2,s,c,04/03/2024 10:00,1,1\nA,3,s,c,2024-03-06,1,1\nA,4,s,c,7 Mar 2024,1,1\n"
    history, report = gather(write(HEAD + body))
    assert [history.date_of(day) for day in history.day] == [date(2024, 3, d) for d in (4, 6, 7, 25)]
    assert (report.warnings, remarked(report)) == ({}, [Odd.ONE_ACCOUNT, Odd.FEW])


def test_years_that_are_slips_of_the_pen_are_no_dates(write: Write) -> None:
    slips = "A,3,s1,c1,0022-01-05,1,1\nA,4,s1,c1,2999-01-05,1,1\n"
    for form in (HEAD + GOOD + slips, (HEAD + GOOD + slips).replace("2024-01-07", "07.01.2024")):
        history, report = gather(write(form))
        assert report.rejected == {"bad_date": 2}
        assert (history.first_day, history.last_day) == (date(2024, 1, 5), 2)


def test_dates_that_leave_day_and_month_open_are_read_day_first_and_that_is_said(write: Write) -> None:
    path = write(HEAD + "A,1,s,c,04/03/2024,1,1\n")
    history, report = gather(path)
    assert history.first_day == date(2024, 3, 4)
    assert Guess.DAY_FIRST in report.warnings
    assert gather(path, told=Told(day_month=DayMonth.MONTH))[0].first_day == date(2024, 4, 3)


def test_money_of_another_currency_is_not_added(write: Write) -> None:
    path = write(
        "account,ts,qty,unit_price,currency\nA,2024-01-01,1,5,EUR\nA,2024-01-02,1,5,eur\nA,2024-01-03,1,900,JPY\n"
    )
    lines, report = rejected(path)
    assert lines == ["4,other_currency,JPY"]
    assert report.currency == "EUR"
    signs = write("account,ts,qty,unit_price\nA,2024-01-01,1,£5\nA,2024-01-02,1,£5\nA,2024-01-03,1,$9\n")
    assert rejected(signs)[0] == ["4,other_currency,$"]


def test_who_buys_in_another_currency_now_is_left_out(write: Write) -> None:
    head = "account,ts,qty,unit_price,currency\n"
    moved = "A,2024-01-01,1,5,EUR\nA,2024-01-05,1,5,EUR\nA,2024-03-01,1,5,USD\n"
    both = "B,2024-02-20,1,5,EUR\nB,2024-03-01,1,5,USD\nB,2024-01-01,1,5,EUR\n"
    path = write(head + moved + both)
    history, report = gather(path, before=date(2024, 3, 3))
    assert (history.accounts, report.moved, report.rows_used) == (("B",), 1, 2)
    assert report.rejected == {"other_currency": 2, "account_buys_in_another_currency_now": 2}
    assert gather(path)[0].accounts == ("A", "B")  # what is known later says nothing of then


def test_equal_rows_stay_where_there_is_no_order_to_tell_them_by(write: Write) -> None:
    history, report = gather(write("account,ts,qty,unit_price\nA,2024-01-01,1,5\nA,2024-01-01,1,5\n"))
    assert history.amount.tolist() == [10.0]
    assert report.remarks[-1] == Remark(Odd.DUPLICATES_KEPT, {"rows": 1})


def test_columns_by_other_names_are_known_or_told(write: Write) -> None:
    body = "536365,17850,85123A,6,12/13/2010 8:26,2.55\n"
    known = gather(write("InvoiceNo,CustomerID,StockCode,Quantity,InvoiceDate,UnitPrice\n" + body))[0]
    told = {"account": "who", "ts": "when", "amount": "worth"}
    named = gather(write("who,when,worth\n17850,2010-12-13,15.3\n"), told=Told(columns=told))
    assert rows(known)[0][:1] + rows(known)[0][3:5] == ("17850", 0, 6.0)
    assert (named[0].amount.tolist(), named[0].has_items, named[0].has_categories) == ([15.3], False, False)
    assert named[1].warnings == {Guess.NO_QUANTITY: 1}
    assert remarked(named[1]) == [Odd.ONE_DAY, Odd.ONE_ACCOUNT]


def test_categories_from_beside_go_before_the_file_s_own(write: Write) -> None:
    beside = write("sku,description,category\ns1,first,tools\n", "categories.csv")
    history, _report = gather(write(HEAD + GOOD), categories=beside)
    assert [row[:3] for row in rows(history)] == [("A", "tools", "s1"), ("B", "c2", "s2")]
    assert [history.categories[c] for c in history.item_category] == ["tools", "c2"]


def test_an_account_that_was_renamed_is_one(write: Write) -> None:
    history, _report = gather(write(HEAD + GOOD), merged={"A": "B"})
    assert history.accounts == ("B",)


@pytest.mark.parametrize("beside", [None, "sku,category\ns9,c9\n"])
def test_an_item_in_two_categories_a_day_is_in_the_same_one_whatever_the_order(
    beside: str | None, write: Write
) -> None:
    categories = write(beside, "categories.csv") if beside else None
    rows = ["A,1,s1,c1,2024-01-05,2,3.50\n", "B,2,s1,c2,2024-01-05,1,10\n", "B,3,s1,c0,2024-01-04,1,10\n"]
    for lines in (rows, rows[::-1]):
        history, _report = gather(write(HEAD + "".join(lines)), categories=categories)
        assert [history.categories[code] for code in history.item_category] == ["c2"]


def test_later_rows_have_no_effect(write: Write) -> None:
    later = HEAD + GOOD + "Z,9,s9,c9,2024-01-08,1,1\nA,10,s1,c9,2024-02-08,1,1\n"
    until, report = gather(write(later), before=date(2024, 1, 8))
    assert rows(until) == GOOD_ROWS
    assert (until.accounts, until.items, until.categories) == (("A", "B"), ("s1", "s2"), ("c1", "c2"))
    assert report.after_cutoff == 2
    assert gather(write(later), before=date(2023, 1, 1))[1].remarks == [Remark(Odd.NOTHING)]


def test_holes_of_months_are_told(write: Write) -> None:
    report = gather(write(HEAD + GOOD + "A,9,s1,c1,2024-01-11,1,1\nA,10,s1,c1,2024-06-01,1,1\n"))[1]
    spans = [{"from": "2024-01-12", "until": "2024-05-31", "days": 141}]
    assert report.remarks[-1] == Remark(Odd.HOLES, {"count": 1, "left_out": False, "holes": spans})


def test_names_tell_of_customers_renamed_and_of_one_under_two_numbers(write: Write) -> None:
    names = ["K1,Acme", "K1,ACME  Ltd", "K2,Bolt", "K3,bolt", "K4,Cups"]
    lines = "".join(f"{who},2024-01-0{n + 1},{n},5\n" for n, who in enumerate(names))
    path = write("account,account name,ts,order id,amount\n" + lines)
    renamed = {"count": 1, "examples": [{"number": "K1", "before": "Acme", "now": "ACME  Ltd"}]}
    shared = {"count": 1, "examples": [{"name": "Bolt", "numbers": ["K2", "K3"]}]}
    assert gather(path)[1].remarks[-2:] == [Remark(Odd.RENAMED, renamed), Remark(Odd.NAMESAKES, shared)]
    assert Odd.NAMESAKES not in remarked(gather(path, merged={"K3": "K2"})[1])


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "The file is empty."),
        (b"\n\n", "The file is empty."),
        (b"\x1f\x8b\x08broken", "The file is packed by gzip and damaged"),
        (bytes(range(256)) * 40, "The file is neither a text nor an Excel workbook (XLSX)."),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512), "The file is neither a text nor an Excel workbook (XLSX)."),
        (b"PK\x03\x04broken", "The file looks like an Excel workbook, but cannot be read as one."),
        (
            b"a,b\n1,2\n",
            "The file has no column for account, ts, unit_price (or amount, the money of a row). Its columns",
        ),
    ],
)
def test_what_cannot_be_read_at_all_is_refused_in_a_plain_sentence(content: bytes, sentence: str, write: Write) -> None:
    with pytest.raises(FileUnreadable) as refusal:
        gather(write(content))
    assert str(refusal.value).startswith(sentence)


def test_wrong_hints_are_refused_in_a_plain_sentence(write: Write, tmp_path: Path) -> None:
    path = write(HEAD + GOOD)
    for told, beginning in (
        (Told(columns={"account": "Kunde"}), "The file has no column “Kunde”."),
        (Told(columns={"colour": "sku"}), "“colour” is nothing that is read"),
        (Told(encoding="klingon"), "There is no encoding called klingon."),
        (Told(encoding="base64"), "There is no encoding called base64."),
        (Told(encoding="idna"), "There is no encoding called idna."),
        (Told(delimiter=";;"), "Columns are parted by one character, such as a comma, not by “;;”."),
    ):
        with pytest.raises(FileUnreadable) as refusal:
            gather(path, told=told)
        assert str(refusal.value).startswith(beginning)
    with pytest.raises(FileUnreadable, match="cannot be opened: No such file"):
        gather(tmp_path / "nowhere.csv")


def test_a_line_without_end_costs_itself_only(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "MAX_RECORD", 1000)
    lines, report = rejected(write(HEAD + GOOD + "A," + "x" * 5000 + "\n" + "A,9,s1,c1,2024-01-09,1,1\n"))
    assert lines == ["4,line_too_long,"]
    assert report.rows_used == 3


def test_dates_of_two_hands_that_can_be_read_both_ways_are_left_out_until_somebody_says(write: Write) -> None:
    body = "A,1,s,c,25/03/2024,1,1\nA,2,s,c,03/26/2024,1,1\nA,3,s,c,04/03/2024,1,1\nA,4,s,c,2024-03-06,1,1\n"
    path = write(HEAD + body)
    assert rejected(path)[0] == ["4,date_leaves_day_and_month_open,04/03/2024"]
    assert Guess.DAY_MONTH_TORN in rejected(path)[1].warnings
    assert rejected(path, told=Told(day_month=DayMonth.DAY))[0] == []
    slip = "".join(f"A,{n},s,c,{13 + n % 15}/0{1 + n // 15}/2024,1,1\n" for n in range(60)) + "A,0,s,c,03/04/2024,1,1\n"
    assert rejected(write(HEAD + slip + "A,99,s,c,03/26/2024,1,1\n"))[0] == []


def test_a_file_that_only_takes_back_says_so(write: Write) -> None:
    report = gather(write(HEAD + GOOD.replace(",2,3.50", ",-2,3.50").replace(",1,10", ",-1,10")))[1]
    assert report.remarks == [remarks.NOTHING_LEFT]
