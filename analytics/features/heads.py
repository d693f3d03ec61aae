"""The words that stand above the columns of exports, and which of our fields each of them names."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping

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


def key_of(name: str) -> str:
    """What two spellings of a head have in common: letters and digits alone, without accents: ё is е, and й is и."""
    return "".join(c for c in unicodedata.normalize("NFKD", name).lower() if c.isalnum())


KEYS: Mapping[str, tuple[str, ...]] = {name: tuple(map(key_of, heads)) for name, heads in _KNOWN_AS.items()}
"""By field; earlier ones go first."""
ALL_KEYS = frozenset(key for keys in KEYS.values() for key in keys)
