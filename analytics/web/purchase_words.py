"""Files of purchases in words: columns, why rows were left out, why a file could not be taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from analytics.features.remark_words import sentences
from analytics.models import Import, ImportState
from analytics.rules.remarks import OF_HISTORY, Odd
from analytics.services.rollup import DayTooLarge
from analytics.web import charts
from marketplace.shared.errors import Sentence
from marketplace.web import formats

#: Our columns in the order of the form: name, label, what it is for.
COLUMNS: Final[tuple[tuple[str, Sentence, Sentence], ...]] = (
    ("account", gettext_lazy("Customer"), gettext_lazy("The number that stays when the customer is renamed.")),
    ("account_name", gettext_lazy("Customer’s name"), ""),
    ("country", gettext_lazy("Country"), gettext_lazy("A code of two letters.")),
    ("ts", gettext_lazy("Date"), gettext_lazy("Of the order or invoice.")),
    ("order_id", gettext_lazy("Order or invoice number"), gettext_lazy("Without it a customer’s day is one order.")),
    ("line_no", gettext_lazy("Line of the order"), gettext_lazy("Without it the item tells the lines apart.")),
    ("sku", gettext_lazy("Item"), gettext_lazy("Number or code. Without it no items are suggested.")),
    ("sku_name", gettext_lazy("Item’s name"), ""),
    ("category", gettext_lazy("Category"), gettext_lazy("Without it there are scores of whole customers only.")),
    ("category_name", gettext_lazy("Category’s name"), ""),
    ("qty", gettext_lazy("Quantity"), gettext_lazy("Below zero takes back. Without it every row is one.")),
    ("unit_price", gettext_lazy("Unit price"), gettext_lazy("This or the amount.")),
    ("amount", gettext_lazy("Amount of the line"), ""),
    ("currency", gettext_lazy("Currency"), gettext_lazy("Without it all rows are in the currency below.")),
    (
        "cancels",
        gettext_lazy("Takes back order"),
        gettext_lazy("The order that a row with a quantity below zero cancels."),
    ),
)
#: Encodings to choose from, where letters are not those that were found out.
ENCODINGS: Final[Sequence[tuple[str, Sentence]]] = (
    ("", gettext_lazy("As the file shows")),
    ("utf-8", "UTF-8"),
    ("utf-16", "UTF-16"),
    ("cp1252", gettext_lazy("Western European (Windows-1252)")),
    ("cp1250", gettext_lazy("Central European (Windows-1250)")),
    ("cp1251", gettext_lazy("Cyrillic (Windows-1251)")),
    ("koi8_r", gettext_lazy("Cyrillic (KOI8-R)")),
    ("cp1253", gettext_lazy("Greek (Windows-1253)")),
    ("cp1254", gettext_lazy("Turkish (Windows-1254)")),
    ("cp1256", gettext_lazy("Arabic, Persian (Windows-1256)")),
    ("cp874", gettext_lazy("Thai (Windows-874)")),
    ("cp1258", gettext_lazy("Vietnamese (Windows-1258)")),
    ("gb18030", gettext_lazy("Chinese (GB 18030)")),
    ("shift_jis", gettext_lazy("Japanese (Shift JIS)")),
    ("mac_roman", gettext_lazy("Western European (Macintosh)")),
)
LABELS: Final[Mapping[str, Sentence]] = {name: label for name, label, _hint in COLUMNS}

REASONS: Final[Mapping[str, Sentence]] = {
    "missing_account": gettext_lazy("no customer"),
    "missing_date": gettext_lazy("no date"),
    "bad_date": gettext_lazy("the date cannot be read"),
    "date_leaves_day_and_month_open": gettext_lazy("the date could have the day or the month first"),
    "date_in_future": gettext_lazy("the date lies in the future"),
    "missing_quantity": gettext_lazy("no quantity"),
    "bad_quantity": gettext_lazy("the quantity cannot be read"),
    "quantity_zero": gettext_lazy("the quantity is zero"),
    "missing_price": gettext_lazy("no price"),
    "bad_price": gettext_lazy("the price cannot be read"),
    "price_not_positive": gettext_lazy("the price is zero or below"),
    "amount_too_large": gettext_lazy("the amount is too large to be true"),
    "value_too_long": gettext_lazy("a value is too long"),
    "here_from_the_contract": gettext_lazy("the order is here already, from its contract on the platform"),
    "currency_unknown": gettext_lazy("the currency is not known"),
    "unbalanced_quote": gettext_lazy("a quotation mark is opened and never closed"),
    "line_too_long": gettext_lazy("the line is too long"),
    "line_breaks_off": gettext_lazy("the file breaks off within the line"),
    "too_many_fields": gettext_lazy("more fields than columns"),
}
NOTES: Final[Mapping[str, Sentence]] = {
    "file_breaks_off": gettext_lazy("The file breaks off: what came before the break was read."),
    "nul_bytes_removed": gettext_lazy("The file holds bytes that are no text; they were left out."),
    "lines_not_in_utf8_read_as_cp1252": gettext_lazy(
        "Not all is in UTF-8: it was read as Western European. If letters are wrong below, say which they are and read "
        "it again."
    ),
    "lines_not_in_utf8_read_as_cp1251": gettext_lazy(
        "Not all is in UTF-8: it was read as Cyrillic. If letters are wrong below, say which they are and read it "
        "again."
    ),
    "no_heads_columns_guessed_by_their_values": gettext_lazy(
        "The file has no row of heads. The columns were guessed by their values: check them below."
    ),
    "no_quantity_column_one_assumed": gettext_lazy("There is no column for the quantity: every row counts as one."),
    "dates_leave_day_and_month_open_day_first_assumed": gettext_lazy(
        "Dates could be read with the day or the month first: the day was taken. Say so below if it is the month."
    ),
    "dates_show_both_orders_and_those_open_to_both_are_left_out": gettext_lazy(
        "Some dates have the day first, others the month. Those that could be either are left out: if you know which "
        "it is, say so below and read the file again."
    ),
    "dates_show_both_orders_of_day_and_month": gettext_lazy(
        "Some dates have the day first, others the month. Dates that can be read both ways are read as below."
    ),
}
_ERRORS: Final[Mapping[str, Sentence]] = {
    "purchase_file_empty": gettext_lazy("The file is empty."),
    "purchase_file_not_unpacked": gettext_lazy(
        "The file is packed by gzip and damaged: it does not unpack to what was packed. Pack and upload it anew."
    ),
    "purchase_file_not_text": gettext_lazy(
        "The file is neither a text nor an Excel workbook (XLSX). Save it as one of them, and upload that file."
    ),
    "purchase_workbook_unreadable": gettext_lazy("The file looks like an Excel workbook, but cannot be read as one."),
    "purchase_workbook_too_large": gettext_lazy(
        "The workbook is too large once it is unpacked. Save its sheet as CSV, and upload that file."
    ),
    "purchase_columns_missing": gettext_lazy(
        "No columns were found. A file has at least a customer, a date, and a price or an amount, with their heads."
    ),
    "purchase_columns_too_many": gettext_lazy("The file has too many columns. Leave out those that are not asked for."),
    "purchase_file_not_opened": gettext_lazy("The file is no longer there. Upload it again."),
    "purchase_file_lost": gettext_lazy("The file is no longer there. Upload it again."),
    "purchase_day_too_large": DayTooLarge.sentence,
    "import_too_long": gettext_lazy(
        "It took too long and was broken off; nothing of it is in the book. Try it in several files."
    ),
    "import_lost": gettext_lazy(
        "It was given up after several tries: the processes that were at it were lost. The operator can see why."
    ),
    "import_broken": gettext_lazy("Something went wrong on our side. Try it again; the operator can see why."),
}


def reason(code: str) -> str:
    """Why rows were left out, in words."""
    return str(REASONS.get(code, code.replace("_", " ")))


def notes(batch: Import) -> list[Sentence]:
    """What the reader noticed about the file as a whole."""
    codes = [*batch.found.get("guesses", []), *batch.found.get("notes", {})]
    return [NOTES[code] for code in codes if code in NOTES]


@dataclass(frozen=True, slots=True)
class Shown:
    """A remark as a page shows it: a sentence, and where to do something about it."""

    text: str
    url: str = ""
    label: str = ""


def remarks(stored: Sequence[Mapping[str, Any]], *, merge: bool = False) -> list[Shown]:
    """Remarks on the history, those that change what the scores say first. `merge`: the reader can merge customers."""
    found = []
    for one in sorted(stored, key=lambda one: one["code"] not in _GRAVE):
        for text in sentences([one], day=formats.day, number=charts.count):
            if merge and one["code"] == Odd.NAMESAKES:
                numbers = urlencode({"q": " ".join(one["examples"][0]["numbers"][:2])})
                found.append(Shown(text, f"{reverse('insights_merges')}?{numbers}", _("Merge customers")))
            else:
                found.append(Shown(text))
    return found


_GRAVE: Final = frozenset({*OF_HISTORY, Odd.NOTHING_LEFT, Odd.MOSTLY_REJECTED} - {Odd.OTHER_CURRENCIES})


def error(batch: Import) -> str:
    """Why the import could not be done, or undone."""
    return str(_ERRORS.get(batch.error, _("The file cannot be read."))) % batch.error_details


def next_step(batch: Import) -> str:
    """What happens next, for the head of the page."""
    words: dict[str, Any] = {
        ImportState.UPLOADED: _("Say what the columns are.") if batch.found else _("The file is being looked at."),
        ImportState.FAILED: _("Change what the columns are and read it again, or throw it away.")
        if batch.found
        else _("Throw it away, and upload a file that can be read."),
        ImportState.READING: _("The file is being read. Nothing is loaded yet."),
        ImportState.READ: _("Look at what was understood, then load it.")
        if batch.counts.get("accepted")
        else _("There is nothing to load: change what the columns are, or throw the file away."),
        ImportState.LOADING: _("All rows come in at once, or none."),
        ImportState.LOADED: _("The scores shown know these purchases.")
        if _known_to_scores(batch)
        else _("The next scores will know these purchases."),
        ImportState.UNDOING: _("Its lines are being taken out; what they replaced comes back."),
        ImportState.UNDONE: _("Its lines are out; what they replaced is back."),
    }
    return str(words.get(batch.state, ""))


def _known_to_scores(batch: Import) -> bool:
    """Whether the run whose scores are shown began to learn after the import was loaded."""
    run = batch.book.run if batch.state == ImportState.LOADED else None
    return bool(run and run.started_at and batch.loaded_at and run.started_at >= batch.loaded_at)
