"""Files as other programs and countries write them: without heads, parted by blanks, in their own words, damaged."""

import gzip
import random
import zipfile
from datetime import date
from pathlib import Path

import pytest

from analytics.features import tables
from analytics.features.files import FileUnreadable
from analytics.features.gathering import gather
from analytics.features.layout import Guess, Told
from analytics.rules.history import History
from analytics.rules.remarks import Odd, Remark
from tests.analytics.features.conftest import Write

CD_SHOP = " 00001 19970101  1   11.77\n 00002 19970112  1   12.00\n 00002 19970112  5   77.00\n"
CD_SHOP_ROWS = [("00001", 0, 1.0, 11.77), ("00002", 11, 6.0, 89.0)]


def bought(history: History) -> list[tuple[str, int, float, float]]:
    columns = (history.account, history.day, history.quantity, history.amount)
    found = zip(*(column.tolist() for column in columns), strict=True)
    return [(history.accounts[account], day, quantity, round(amount, 2)) for account, day, quantity, amount in found]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (CD_SHOP, {}),
        (CD_SHOP, {"account": "1", "ts": "2", "qty": "3", "amount": "4"}),
        (CD_SHOP, {"account": "column 1", "ts": "column 2", "qty": "column 3", "amount": "column 4"}),
        (CD_SHOP.replace(".", ","), {}),
        ("id date quantity amount\n" + CD_SHOP, {"account": "id"}),
        (" customer\tdate  quantity amount\n" + CD_SHOP, {}),
        ("\n".join(",".join(line.split()) for line in CD_SHOP.splitlines()), {}),
    ],
    ids=["guessed", "numbers", "names", "decimal-commas", "heads", "known-heads", "commas"],
)
def test_a_file_of_fixed_columns_is_read_with_or_without_heads(
    content: str, told: dict[str, str], write: Write
) -> None:
    history, report = gather(write(content, "master.txt"), told=Told(columns=told))
    assert bought(history) == CD_SHOP_ROWS
    assert history.first_day == date(1997, 1, 1)
    assert (Guess.NO_HEAD in report.warnings) == (not told and "date" not in content)


def test_columns_are_told_by_their_numbers_where_there_are_heads_too(write: Write) -> None:
    path = write("who,when,worth\n17850,2010-12-13,15.3\n")
    history, _report = gather(path, told=Told(columns={"account": "1", "ts": "2", "amount": "3"}))
    assert bought(history) == [("17850", 0, 1.0, 15.3)]


def test_a_file_without_heads_that_leaves_its_columns_open_is_refused_with_its_first_row(write: Write) -> None:
    with pytest.raises(FileUnreadable) as refusal:
        gather(write("A,2024-01-05,7,8,9.50\nB,2024-01-06,7,8,9.50\n"))
    assert "account=1,ts=2" in str(refusal.value)
    assert "A, 2024-01-05, 7, 8, 9.50" in str(refusal.value)


@pytest.mark.parametrize(
    "content",
    [
        (
            "Kundennummer;Kunde;Datum;Artikel-Nr.;Warengruppe;Menge;Preis;Währung\n"
            "K1;Müller;05.01.2024;s1;Schrauben;2;3,50;€\n"
        ),
        "Kunde;Belegdatum;Artikel;Warengruppe;Stückzahl;Betrag;Waehrung\nK1;05.01.2024;s1;Schrauben;2;7,00;EUR\n",
        "N° client;Date;Référence;Famille;Qté;Prix unitaire;Devise\nK1;05/01/2024;s1;Schrauben;2;3,50;EURO\n",
        (
            "Código de cliente;Cliente;Fecha;Artículo;Categoría;Cantidad;Precio unitario;Moneda\n"
            "K1;Tornillos;05/01/2024;s1;Schrauben;2;3,50;€\n"
        ),
        (
            "Код клиента;Клиент;Дата;Артикул;Категория;Кол-во;Цена;Валюта\n"
            "K1;Ромашка;05.01.2024;s1;Schrauben;2;3,50;евро\n"
        ),
    ],
    ids=["german", "german-amounts", "french", "spanish", "russian"],
)
@pytest.mark.parametrize("encoding", ["utf-8", "as used there"])
def test_heads_of_other_languages_are_known(content: str, encoding: str, write: Write) -> None:
    western = "cp1251" if "Дата" in content else "cp1252"
    history, report = gather(write(content.encode(western if encoding != "utf-8" else "utf-8")))
    assert bought(history) == [("K1", 0, 2.0, 7.0)]
    assert (history.items, history.categories, report.currency) == (("s1",), ("Schrauben",), "EUR")
    assert history.first_day == date(2024, 1, 5)


def test_a_sign_and_a_code_are_one_currency_and_a_dollar_is_only_itself(write: Write) -> None:
    body = "A,2024-01-01,1,5,EUR\nA,2024-01-02,1,5,€\nA,2024-01-03,1,9,$\nA,2024-01-04,1,5,eur\n"
    history, report = gather(write("account,ts,qty,unit_price,currency\n" + body))
    assert (len(history), report.currency, dict(report.rejected)) == (3, "EUR", {"other_currency": 1})
    beside = write("account,ts,qty,unit_price\nA,2024-01-01,1,5 EUR\nA,2024-01-02,1,€5\nA,2024-01-03,1,5 euro\n")
    assert gather(beside)[1].rejected == {}


def test_a_damaged_packed_file_is_refused_for_it_unpacks_to_wrong_rows_before_it_shows(write: Write) -> None:
    draw = random.Random(3)
    lines = [f"A{draw.randrange(10**9)},2024-01-05,{draw.randrange(10**9)}\n" for _ in range(400)]
    packed = bytearray(gzip.compress(("account,ts,amount\n" + "".join(lines)).encode()))
    for place in (len(packed) // 2, len(packed) - 8):  # within, and the checksum alone
        with pytest.raises(FileUnreadable, match="packed by gzip and damaged"):
            gather(write(bytes(packed[:place] + b"\xff" * 4 + packed[place + 4 :]), "lines.csv.gz"))


def test_the_row_within_which_a_file_breaks_off_is_not_used(write: Write) -> None:
    text = "account,ts,amount\n" + "A,2024-01-05,1.25\n" * 3 + "B,2024-01-06,1234"
    packed = gzip.compress(text.encode())
    history, report = gather(write(packed[:-8], "lines.csv.gz"))
    assert history.accounts == ("A",)
    assert report.rejected == {"line_breaks_off": 1}


def test_days_missing_before_the_cut_off_are_told(write: Write) -> None:
    path = write("account,ts,amount\n" + "".join(f"A,2024-01-{day:02},5\n" for day in range(1, 21)))
    assert gather(path, before=date(2024, 2, 4))[1].as_of == date(2024, 2, 3)
    late = gather(path, before=date(2024, 2, 5))[1]
    assert late.as_of == date(2024, 1, 20)
    assert late.remarks[-1] == Remark(Odd.ENDS_EARLY, {"last": "2024-01-20", "days": 15})


def test_categories_beside_are_found_under_the_heads_that_were_told(write: Write) -> None:
    beside = write("Ware,Sorte\ns1,tools\n", "categories.csv")
    path = write("account,Ware,ts,amount\nA,s1,2024-01-05,7\n")
    told = Told(columns={"sku": "Ware", "category": "Sorte"})
    assert gather(path, told=told, categories=beside)[0].categories == ("tools",)
    with pytest.raises(FileUnreadable, match="no column “Sorte”"):
        gather(path, told=told)


def test_a_workbook_that_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "_MOST_UNPACKED", 2**20)
    path = tmp_path / "lines.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b" " * 2**21)
    with pytest.raises(FileUnreadable, match="unpacks to more than 1 MiB"):
        gather(path)
