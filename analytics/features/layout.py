"""How a purchase file is laid out: what its columns are, how it writes dates and numbers. Found out, or told."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl
from django.utils.translation import gettext_lazy as _

from analytics.features.files import FileUnreadable
from analytics.features.tables import Frame, frames, opening_rows
from analytics.features.values import (
    DayMonth,
    Decimals,
    amount_of,
    day_month_order,
    day_of,
    decimals_of,
    is_open_to_both,
)

SAMPLE_ROWS = 20
MOST_SLIPS = 0.1
"""Of the dates that show an order of day and month, those that may have the other one before nothing can be told of
the rest."""
MORE_FIELDS = ("line_no", "cancels", "account_name", "country", "sku_name", "category_name")
"""What imports keep besides; scores need none of it."""
FIELDS = ("account", "order_id", "sku", "category", "ts", "qty", "unit_price", "amount", "currency", *MORE_FIELDS)
# Heads met in exports, compared without case, accents, blanks and marks; earlier ones go first.
_KNOWN_AS: Mapping[str, tuple[str, ...]] = {
    "account": (
        *("account", "account id", "customer id", "customer", "customer no", "customer code", "client id", "buyer"),
        *("Kundennummer", "Kunden-Nr", "Kundennr", "Kd-Nr", "Debitor", "Debitorennummer", "Kunden-ID", "Kunde"),
        *("code client", "numéro client", "n° client", "no client", "id client", "client", "acheteur"),
        *("código cliente", "código de cliente", "n° cliente", "número de cliente", "cliente", "comprador"),
        *("код клиента", "номер клиента", "id клиента", "код контрагента", "клиент", "контрагент", "покупатель"),
    ),
    "order_id": (
        *("order id", "order", "order no", "order number", "invoice no", "invoice", "invoice id", "basket id"),
        *("Auftragsnummer", "Auftrags-Nr", "Auftrag", "Bestellnummer", "Bestell-Nr", "Bestellung"),
        *("Rechnungsnummer", "Rechnungs-Nr", "Rechnung", "Belegnummer", "Beleg-Nr", "Beleg"),
        *("numéro commande", "n° commande", "no commande", "commande", "numéro facture", "n° facture", "facture"),
        *("número de pedido", "n° pedido", "nº pedido", "pedido"),
        *("número de factura", "n° factura", "nº factura", "factura"),
        *("номер заказа", "заказ", "номер счёта", "счёт", "номер накладной", "накладная", "чек"),
    ),
    "sku": (
        *("sku", "item", "item id", "item code", "stock code", "product id", "product code", "article"),
        *("Artikelnummer", "Artikel-Nr", "Art-Nr", "Artikel", "Produktnummer", "Produkt"),
        *("code article", "référence", "réf article", "code produit", "produit"),
        *("artículo", "código artículo", "referencia", "producto", "código producto"),
        *("артикул", "код товара", "код номенклатуры", "товар", "номенклатура"),
    ),
    "category": (
        *("category", "category id", "product category", "item category", "product group", "commodity"),
        *("Warengruppe", "Kategorie", "Produktgruppe", "Artikelgruppe"),
        *("catégorie", "famille", "famille article", "groupe"),
        *("categoría", "familia", "grupo de artículos", "grupo"),
        *("категория", "товарная группа", "группа товаров", "группа"),
    ),
    "ts": (
        *("ts", "date", "timestamp", "datetime", "order date", "invoice date", "transaction date", "purchase date"),
        *("Datum", "Auftragsdatum", "Bestelldatum", "Rechnungsdatum", "Belegdatum", "Kaufdatum"),
        *("date commande", "date de commande", "date facture", "date de facture"),
        *("fecha", "fecha de pedido", "fecha pedido", "fecha de factura", "fecha factura"),
        *("дата", "дата заказа", "дата продажи", "дата покупки", "дата счёта"),
    ),
    "qty": (
        *("qty", "quantity", "units", "pieces", "Menge", "Anzahl", "Stückzahl", "Stück", "quantité", "qté"),
        *("cantidad", "unidades"),
        *("количество", "кол-во"),
    ),
    "unit_price": (
        *("unit price", "price", "item price", "price per unit", "Einzelpreis", "Stückpreis", "Preis"),
        *("prix unitaire", "prix", "precio unitario", "precio", "цена", "цена за единицу"),
    ),
    "amount": (
        *("amount", "line total", "total", "revenue", "sales", "sales value", "line amount", "spend"),
        *("Betrag", "Nettobetrag", "Positionsbetrag", "Umsatz", "Gesamtpreis", "Gesamtbetrag", "Summe"),
        *("montant", "montant ht", "chiffre d'affaires", "importe", "importe neto", "total línea"),
        *("сумма", "стоимость", "выручка"),
    ),
    "currency": ("currency", "currency code", "Währung", "Waehrung", "devise", "monnaie", "moneda", "divisa", "валюта"),
    "line_no": (
        *("line no", "line", "line number", "position", "order line", "invoice line", "Pos", "Positionsnummer"),
        *("ligne", "numéro ligne", "línea", "nº línea", "строка", "номер строки", "позиция"),
    ),
    "cancels": ("cancels", "cancels order", "original order", "original invoice", "credit for", "return of"),
    "account_name": (
        *("account name", "customer name", "client name", "buyer name", "company name", "company"),
        *("Kundenname", "Firma", "nom client", "nom du client", "raison sociale", "société"),
        *("nombre cliente", "nombre del cliente", "razón social", "empresa"),
        *("имя клиента", "наименование клиента", "название клиента", "наименование контрагента"),
        # Beside a number of the customer these are its name.
        *("customer", "Kunde", "client", "cliente", "клиент", "контрагент"),
    ),
    "country": (
        *("country code", "country", "Ländercode", "Land", "code pays", "pays", "código país", "país"),
        *("код страны", "страна"),
    ),
    "sku_name": (
        *("sku name", "item name", "product name", "description", "item description", "product description"),
        *("Artikelbezeichnung", "Artikelname", "Bezeichnung", "désignation", "libellé"),
        *("descripción", "nombre artículo", "denominación"),
        *("наименование товара", "название товара", "наименование"),
        *("Artikel", "Produkt", "produit", "producto", "товар", "номенклатура"),
    ),
    "category_name": (
        *("category name", "nom catégorie", "nombre categoría", "название категории"),
        *("наименование категории",),
    ),
}
_POSITION = re.compile(r"(?:column )?([1-9]\d{0,2})")


class Guess:
    """What had to be assumed of a file; stable codes."""

    NO_QUANTITY = "no_quantity_column_one_assumed"
    NO_HEAD = "no_heads_columns_guessed_by_their_values"
    DAY_FIRST = "dates_leave_day_and_month_open_day_first_assumed"
    DAY_MONTH_MIXED = "dates_show_both_orders_of_day_and_month"
    DAY_MONTH_TORN = "dates_show_both_orders_and_those_open_to_both_are_left_out"


class ColumnsMissing(FileUnreadable):
    code = "purchase_columns_missing"
    sentence = _(
        "The file has no column for %(missing)s. Its columns are: %(columns)s. Name the right ones, as in "
        "account=CustomerID,ts=date."
    )


class HeadMissing(ColumnsMissing):
    code = "purchase_head_missing"
    sentence = _(
        "The file has no row of heads. Say by their numbers which columns are what, as in "
        "account=1,ts=2,qty=3,amount=4. Its first row: %(columns)s."
    )


class ColumnUnknown(FileUnreadable):
    code = "purchase_column_unknown"
    sentence = _("The file has no column “%(column)s”. Its columns are: %(columns)s.")


class FieldUnknown(FileUnreadable):
    code = "purchase_field_unknown"
    sentence = _("“%(name)s” is nothing that is read from a purchase file; these are: %(fields)s.")


class FileEmpty(FileUnreadable):
    code = "purchase_file_empty"
    sentence = _("The file is empty.")


@dataclass(frozen=True, slots=True)
class Told:
    """What a person says of a file; the rest is found out. `columns` maps our fields to the file's heads."""

    columns: Mapping[str, str] = field(default_factory=dict)
    delimiter: str | None = None
    encoding: str | None = None
    day_month: DayMonth | None = None
    decimals: Decimals | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """`columns` maps our fields to the file's heads; `decimals` is by field. `guesses` are stable codes."""

    head: tuple[str, ...]
    columns: Mapping[str, str]
    delimiter: str
    encoding: str | None
    skipped: int  # rows up to the head, itself included
    day_month: DayMonth = DayMonth.DAY
    leaves_open: bool = False  # two hands wrote the dates: one that can be read both ways tells no day
    decimals: Mapping[str, Decimals] = field(default_factory=dict)
    guesses: tuple[str, ...] = ()
    sample: tuple[tuple[str, ...], ...] = ()

    def place(self, name: str) -> str | None:
        """The column of a table's frame that holds one of our fields."""
        return f"c{self.head.index(self.columns[name])}" if name in self.columns else None

    def frames(self, path: Path, notes: Counter[str]) -> Iterator[Frame]:
        """The rows below the head."""
        left = self.skipped
        for frame in frames(path, len(self.head), delimiter=self.delimiter, encoding=self.encoding, notes=notes):
            drop = min(left, len(frame.lines))
            left -= drop
            yield Frame(frame.cells[drop:], frame.lines[drop:], frame.rejects) if drop else frame

    def as_json(self) -> dict[str, Any]:
        return {
            "columns": dict(self.columns),
            "delimiter": self.delimiter,
            "encoding": self.encoding or "found out",
            "day_month": self.day_month.value,
            "decimals": {name: style.value for name, style in self.decimals.items()},
        }


def look(path: Path, told: Told | None = None) -> Layout:
    """Raises FileUnreadable or one of its kinds, each one plain sentence, where the file cannot be used at all."""
    told = told or Told()
    rows, delimiter = opening_rows(path, delimiter=told.delimiter, encoding=told.encoding)
    head, columns, skipped, guesses = _head(rows, told.columns)
    layout = Layout(
        head=head,
        columns=columns,
        delimiter=delimiter,
        encoding=told.encoding,
        skipped=skipped,
        sample=tuple(tuple(row) for row in rows[skipped : skipped + SAMPLE_ROWS]),
        guesses=guesses if "qty" in columns else (*guesses, Guess.NO_QUANTITY),
    )
    return _with_dates(_with_decimals(layout, path, told), path, told)


def look_categories(path: Path, told: Told | None = None) -> Layout:
    """The layout of a file that says which category each sku is in. Raises FileUnreadable or one of its kinds.

    Of what is told of the purchases' columns counts what this file has too.
    """
    told = told or Told()
    rows, delimiter = opening_rows(path, delimiter=told.delimiter, encoding=told.encoding)
    at = next((at for at, row in enumerate(rows) if any(row) and not _is_separator(row)), None)
    if at is None:
        raise FileEmpty
    head = _unique(rows[at])
    keys = {_key(name) for name in head}
    own = {name: said for name, said in told.columns.items() if name in ("sku", "category") and _key(said) in keys}
    columns = _known(head, own)
    if missing := [name for name in ("sku", "category") if name not in columns]:
        raise ColumnsMissing(missing=", ".join(missing), columns=_shown(head))
    return Layout(head, {name: columns[name] for name in ("sku", "category")}, delimiter, told.encoding, at + 1)


def heads_of(rows: list[list[str]]) -> tuple[tuple[str, ...], int] | None:
    """Names of the columns of a file of which nothing is known, and how many rows stand before the first purchase.

    None where no row has two cells.
    """
    filled = [at for at, row in enumerate(rows) if sum(bool(cell.strip()) for cell in row) > 1]
    if not filled:
        return None
    at = filled[0]
    return (_numbered(rows), at) if _begins_with_data(rows, filled) else (_unique(rows[at]), at + 1)


def _head(
    rows: list[list[str]], told: Mapping[str, str]
) -> tuple[tuple[str, ...], Mapping[str, str], int, tuple[str, ...]]:
    """Heads, our columns among them, the rows up to the first purchase, guesses. Titles above heads are passed over."""
    filled = [at for at, row in enumerate(rows) if any(cell.strip() for cell in row) and not _is_separator(row)]
    if not filled:
        raise FileEmpty
    if unknown := [name for name in told if name not in FIELDS]:
        raise FieldUnknown(name=unknown[0], fields=", ".join(FIELDS))
    if _begins_with_data(rows, filled):
        head = _numbered(rows)
        columns = _columns(head, told) if told else _by_values(rows[filled[0] :], head)
        return head, columns, filled[0], () if told else (Guess.NO_HEAD,)
    refusal: FileUnreadable | None = None
    for at in filled[:10]:
        try:
            head = _unique(rows[at])
            return head, _columns(head, told), at + 1, ()
        except FileUnreadable as error:
            refusal = refusal or error
    raise refusal or FileEmpty


def _begins_with_data(rows: list[list[str]], filled: list[int]) -> bool:
    """Whether the first rows are purchases already: each has a date and another number, and no head that is known."""
    return all(_is_data([cell.strip() for cell in rows[at]]) for at in filled[:2])


def _is_data(cells: list[str]) -> bool:
    if len(cells) < 3 or {_key(cell) for cell in cells} & _ALL_KEYS:
        return False
    dates = [_is_date(cell) for cell in cells]
    return any(dates) and any(_is_number(cell) for cell, date in zip(cells, dates, strict=True) if not date)


def _is_date(text: str) -> bool:
    """Whether it is written as a date: of numbers without marks only those of eight digits are."""
    return day_of(text, DayMonth.DAY) is not None and (not text.isdigit() or len(text) == 8)


def _is_number(text: str) -> bool:
    return amount_of(text, Decimals.POINT) is not None


def _numbered(rows: list[list[str]]) -> tuple[str, ...]:
    return tuple(f"column {number}" for number in range(1, max(map(len, rows)) + 1))


def _by_values(rows: list[list[str]], head: tuple[str, ...]) -> Mapping[str, str]:
    """Customer, date, quantity and amount of a file without heads, where the values leave one reading open.

    The one column of dates; of the others the first is the customer; of two numbers the one that is whole throughout,
    or else the first, is the quantity. Raises HeadMissing.
    """
    whole = [row for row in rows if len(row) == len(head) and all(cell.strip() for cell in row)]
    places = range(len(head))
    dates = [at for at in places if whole and all(_is_date(row[at].strip()) for row in whole)]
    others = [at for at in places if at not in dates]
    numbers = [at for at in others[1:] if all(_is_number(row[at]) for row in whole)]
    if len(dates) != 1 or not 1 <= len(numbers) <= 2 or len(others) != 1 + len(numbers):
        raise HeadMissing(columns=_shown(tuple(cell.strip() for cell in rows[0])))
    found = {"account": others[0], "ts": dates[0], "amount": numbers[-1]}
    if len(numbers) == 2:
        counts = next((at for at in numbers if all(row[at].strip().lstrip("-").isdigit() for row in whole)), numbers[0])
        found |= {"qty": counts, "amount": next(at for at in numbers if at != counts)}
    return {name: head[at] for name, at in found.items()}


def _known(head: tuple[str, ...], told: Mapping[str, str]) -> dict[str, str]:
    by_key = {_key(name): name for name in reversed(head)}
    columns: dict[str, str] = {}
    for name, wanted in told.items():
        number = _POSITION.fullmatch(wanted)
        if wanted in head:
            columns[name] = wanted
        elif _key(wanted) in by_key:
            columns[name] = by_key[_key(wanted)]
        elif number and int(number[1]) <= len(head):
            columns[name] = head[int(number[1]) - 1]
        else:
            raise ColumnUnknown(column=wanted, columns=_shown(head))
    for name, keys in _KEYS.items():
        free = (by_key[key] for key in keys if key in by_key and by_key[key] not in columns.values())
        if name not in columns and (found := next(free, None)):
            columns[name] = found
    return columns


def _columns(head: tuple[str, ...], told: Mapping[str, str]) -> Mapping[str, str]:
    columns = _known(head, told)
    missing = [name for name in ("account", "ts") if name not in columns]
    if "unit_price" not in columns and "amount" not in columns:
        missing.append("unit_price (or amount, the money of a row)")
    if missing:
        raise ColumnsMissing(missing=", ".join(missing), columns=_shown(head))
    if "unit_price" in columns and "amount" not in told:
        columns.pop("amount", None)
    return {name: columns[name] for name in FIELDS if name in columns}


def _with_decimals(layout: Layout, path: Path, told: Told) -> Layout:
    first = next(layout.frames(path, Counter()), None)
    found: dict[str, Decimals | None] = {}
    for name in ("qty", "unit_price", "amount"):
        if place := layout.place(name):
            texts = first.cells.get_column(place).drop_nulls().unique().to_list() if first else []
            found[name] = told.decimals or decimals_of(texts)
    # One hand writes a file: where one column leaves it open, the other ones tell.
    known = next((style for style in found.values() if style), Decimals.POINT)
    return replace(layout, decimals={name: style or known for name, style in found.items()})


def _with_dates(layout: Layout, path: Path, told: Told) -> Layout:
    if told.day_month:
        return replace(layout, day_month=told.day_month)
    place = layout.place("ts") or ""
    any_open = False
    for frame in layout.frames(path, Counter()):
        texts = _dates_of(frame.cells.get_column(place))
        order, other = day_month_order(texts)
        if order:
            torn = other > MOST_SLIPS
            mixed = (Guess.DAY_MONTH_TORN if torn else Guess.DAY_MONTH_MIXED,) if other else ()
            return replace(layout, day_month=order, leaves_open=torn, guesses=(*layout.guesses, *mixed))
        any_open = any_open or any(is_open_to_both(text) for text in texts)
        if not any_open and len(texts):
            break  # years come first, or months are named: nothing is open
    return replace(layout, guesses=(*layout.guesses, Guess.DAY_FIRST)) if any_open else layout


def _dates_of(column: pl.Series) -> list[str]:
    """The distinct dates, times cut off where they follow after ten characters or a blank."""
    return column.drop_nulls().str.strip_chars().str.slice(0, 19).str.replace(r"[ T].*$", "").unique().to_list()


def _unique(row: list[str]) -> tuple[str, ...]:
    """Names of the columns, a number after those that come again."""
    seen: Counter[str] = Counter()
    names = []
    for at, cell in enumerate(row):
        name = "".join(c if c.isprintable() else "�" for c in cell.strip().lstrip("\ufeff")) or f"column {at + 1}"
        seen[name] += 1
        names.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return tuple(names)


def _shown(head: tuple[str, ...]) -> str:
    """The columns in a sentence, cut where a file of something else has names without end."""
    names = ", ".join(name[:40] for name in head)
    return names if len(names) <= 300 else f"{names[:300]}…"


def _key(name: str) -> str:
    """Letters and digits alone, without accents: ё is е, and й is и."""
    return "".join(c for c in unicodedata.normalize("NFKD", name).lower() if c.isalnum())


def _is_separator(row: list[str]) -> bool:
    return bool(row) and row[0].lower().startswith("sep=")


_KEYS: Mapping[str, tuple[str, ...]] = {name: tuple(map(_key, heads)) for name, heads in _KNOWN_AS.items()}
_ALL_KEYS = frozenset(key for keys in _KEYS.values() for key in keys)
