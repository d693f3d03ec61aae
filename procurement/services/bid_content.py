"""What is inside a sealed bid: its canonical form, its padding, what it is bound to, and how it is read once opened."""

from __future__ import annotations

import json
import re
import tempfile
import unicodedata
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from django.conf import settings
from django.core.files.base import File
from django.utils.translation import gettext as _

from marketplace.models import StoredFile
from marketplace.permissions import NOBODY
from marketplace.services import files as stored_files
from marketplace.shared.money import minor_unit
from marketplace.signatures import sealing
from marketplace.signatures.payload import canonical
from procurement.models import Bid, BidFile, Item, Lot, Tender
from procurement.queries import bids as bid_queries
from procurement.rules.criteria import QUESTIONS_MOST, Answers
from procurement.rules.effective import bound, half_up_to
from procurement.rules.evaluation import PricedItem
from procurement.rules.price_table import PriceTable, read
from procurement.rules.ranking import Direction
from procurement.services import bid_files, words

FORMAT: Final = "openlot-bid-1"
#: The form of a bid for a tender in which more than the price counts: it holds answers too.
FORMAT_WITH_ANSWERS: Final = "openlot-bid-2"
PLATFORM: Final = "openlot"
# Envelopes come in steps of this many bytes: their size must not betray how many digits a price has.
BLOCK: Final = 1024
#: A sealed price table larger than this is none: the longest remarks, names of documents and lines stay below it.
_LARGEST_WITHOUT_LINES, _LARGEST_LINE = 256 * 1024, 1024
FILES_AT_MOST: Final = 20
REMARKS_LENGTH: Final = 4000
#: What a price is at most, as typed.
PRICE_LENGTH: Final = 60
#: What an answer to what counts besides the price is at most.
ANSWER_LENGTH: Final = 120

_SHA256: Final = re.compile(r"[0-9a-f]{64}")


class UnreadableContent(Exception):
    """The envelope opened, but what it holds is not a bid for this lot. The message says why, for the protocol."""


class UnreadableDocument(Exception):
    """A document of an opened bid cannot be had. The message says why, for the protocol."""


@dataclass(frozen=True, slots=True)
class ContentLine:
    item: int
    unit_price: Decimal
    amount: Decimal


@dataclass(frozen=True, slots=True)
class ContentFile:
    """A document. `sha256` is of the plain bytes."""

    file: int
    name: str
    media_type: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Content:
    """An opened bid. `total` is the sum of the lines' amounts, in the lot's currency.

    `problem` is not empty where the bid says plainly what the lot does not take: an item without a price (then it is
    not `complete`, and `total` is no total of a bid), a total above the limit. What can be read is here all the same.
    `answers` are those to what counts besides the price, by the question's name.
    """

    lines: tuple[ContentLine, ...]
    total: Decimal
    remarks: str
    files: tuple[ContentFile, ...]
    problem: str = ""
    complete: bool = True
    answers: Mapping[str, str] = field(default_factory=dict)


def info(bid: Bid, part: str) -> bytes:
    """What the ciphertext is bound to: moved to another lot, bid or place in it, it does not open."""
    return canonical({"platform": PLATFORM, "lot": bid.lot_id, "bid": bid.pk, "part": part})


def sealed_file_part(file_id: int) -> str:
    return f"file:{file_id}"


CONTENT_PART: Final = "content"


def encode(bid: Bid, version: int, content: Content, items: Sequence[Item]) -> bytes:
    """The canonical JSON of a bid, padded with spaces (which JSON ignores) to whole blocks."""
    by_item = {line.item: line for line in content.lines}
    lines = [
        {
            "item": item.pk,
            "number": item.number,
            "quantity": f"{item.quantity:f}",
            "unit": item.unit,
            "unit_price": f"{by_item[item.pk].unit_price:f}",
            "amount": f"{by_item[item.pk].amount:f}",
        }
        for item in items
    ]
    asked = bid.lot.tender.price_criteria.questions
    answers = [{"question": each.name, "answer": content.answers[each.name]} for each in asked]
    plain = canonical(
        {
            "format": format_of(bid.lot.tender),
            "lot": bid.lot_id,
            "bid": bid.pk,
            "version": version,
            "currency": bid.currency,
            "lines": lines,
            "total": f"{content.total:f}",
            "remarks": content.remarks,
            "files": [
                {"file": f.file, "name": f.name, "media_type": f.media_type, "size": f.size, "sha256": f.sha256}
                for f in content.files
            ],
            **({"answers": answers} if asked else {}),
        }
    )
    return plain + b" " * (-len(plain) % BLOCK)


def format_of(tender: Tender) -> str:
    """Which form a bid has: who seals with a program that knows of no answers learns it before the deadline."""
    return FORMAT_WITH_ANSWERS if tender.criteria else FORMAT


def of_table(
    table: PriceTable,
    remarks: str = "",
    files: tuple[ContentFile, ...] = (),
    answers: Mapping[str, str] | None = None,
) -> Content:
    """What a bid with this price table says. Lines without a price are left out."""
    lines = tuple(
        ContentLine(line.item, line.unit_price, line.amount)
        for line in table.lines
        if line.unit_price is not None and line.amount is not None
    )
    return Content(lines, table.total, remarks, files, answers=answers or {})


def table_of(lot: Lot, items: Iterable[Item], prices: Mapping[int, str], answers: Answers) -> PriceTable:
    """The lot's price table with prices as typed. A limit price that bidders do not see is not measured against; where
    more than the price counts, the limit is of what a total counts as, and becomes the total that just meets it."""
    unit, direction = minor_unit(lot.currency), lot.tender.preset.axes.direction
    limit = lot.limit_price if lot.tender.limit_price_shown else None
    if limit is not None:
        limit = bound(answers.formula(direction), limit, unit, direction)
    return read([PricedItem(item.pk, item.quantity) for item in items], prices, unit, limit, direction)


def terms(bid: Bid) -> dict[str, Any]:
    """All that a program needs to seal the bid by itself, as JSON carries it: what the content names, the items and the
    limit it has to keep, and the key. The lot and its tender are loaded."""
    lot, tender = bid.lot, bid.lot.tender
    shown = lot.limit_price is not None and tender.limit_price_shown
    return {
        "format": format_of(tender),
        "platform": PLATFORM,
        "bid": bid.pk,
        "lot": bid.lot_id,
        "version": bid_queries.next_version(bid),
        "tender_version": tender.version,
        "currency": bid.currency,
        "digits": max(0, -int(minor_unit(bid.currency).as_tuple().exponent)),
        "block": BLOCK,
        "items": [
            {"item": item.pk, "number": item.number, "quantity": f"{item.quantity:f}", "unit": item.unit}
            for item in lot.items.all()
        ],
        "limit": f"{lot.limit_price:f}" if shown else None,
        "direction": tender.preset.axes.direction.value,
        "criteria": tender.criteria or None,
        "public_key": b64encode(bytes(lot.public_key or b"")).decode(),
        "custody": tender.key_custody,
    }


def is_sealed_content(sealed: bytes, items: int) -> bool:
    """Whether this can be a sealed price table of so many items: whole blocks, and not more than one holds. What is
    inside is not known."""
    plain = len(sealed) - sealing.OVERHEAD
    return 0 < plain <= _LARGEST_WITHOUT_LINES + items * _LARGEST_LINE and plain % BLOCK == 0


def decode(bid: Bid, version: int, plain: bytes, items: Sequence[Item]) -> Content:
    """The bid that was sealed, its arithmetic done again. Raises UnreadableContent with what is wrong.

    The bytes come from whoever bids and were seen by nobody before: nothing in them is believed.
    """
    try:
        found = json.loads(plain, parse_constant=_no_number, object_pairs_hook=_once)
        return _content(bid, version, found, items)
    except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        raise UnreadableContent(_("its content is not a bid in the platform’s form")) from error


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


def _once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    """What a name says twice, each reader may take for something else."""
    found = dict(members)
    if len(found) != len(members):
        raise ValueError("a name that stands twice")
    return found


def _whole(found: Any) -> int:
    if type(found) is not int:
        raise ValueError("not a whole number")
    return found


def _content(bid: Bid, version: int, found: Mapping[str, Any], items: Sequence[Item]) -> Content:
    tender, made_for = bid.lot.tender, (found["lot"], found["bid"], found["version"])
    if found["format"] != format_of(tender) or made_for != (bid.lot_id, bid.pk, version):
        raise UnreadableContent(_("it was made for another lot or another version of the bid"))
    if found["currency"] != bid.currency:
        raise UnreadableContent(_("its currency is not the lot’s"))
    typed = {_whole(line["item"]): _text(line["unit_price"], PRICE_LENGTH) for line in found["lines"]}
    if len(typed) != len(found["lines"]):
        raise UnreadableContent(_("it names two prices for one item"))
    if not set(typed) <= {item.pk for item in items}:
        raise UnreadableContent(_("its price table is not the lot’s"))
    answers = _answers(bid, found["answers"] if tender.criteria else ())
    table = table_of(bid.lot, items, typed, answers)
    content = of_table(table, _text(found["remarks"], REMARKS_LENGTH), _files(found["files"]), answers.plain)
    if not table.complete:
        return replace(content, problem=_incomplete(table, items), complete=False)
    if not answers.complete:
        return replace(content, problem=_unanswered(answers), complete=False)
    if table.too_large:
        raise UnreadableContent(_("its total is larger than any price can be"))
    if table.total != Decimal(_text(found["total"], PRICE_LENGTH)):
        raise UnreadableContent(_("its total is not the sum of its lines"))
    return replace(content, problem=_beyond(table, bid, answers)) if table.beyond_limit else content


def _answers(bid: Bid, found: Sequence[Mapping[str, Any]]) -> Answers:
    """What was answered to what the tender asks. An answer to another question, or a second one, makes it no bid."""
    if len(found) > QUESTIONS_MOST:
        raise ValueError("more answers than a tender asks for")
    given = {_text(each["question"], ANSWER_LENGTH): _text(each["answer"], ANSWER_LENGTH) for each in found}
    asked = {question.name for question in bid.lot.tender.price_criteria.questions}
    if len(given) != len(found) or not set(given) <= asked:
        raise UnreadableContent(_("it answers other questions than the procedure asks"))
    return bid.lot.answers(given)


def _unanswered(answers: Answers) -> str:
    names = ", ".join(f"“{answer.question.name}”" for answer in answers.wrong)
    return _("it has no answer that counts to %(questions)s") % {"questions": names}


def _files(found: Sequence[Mapping[str, Any]]) -> tuple[ContentFile, ...]:
    if len(found) > FILES_AT_MOST:
        raise ValueError("more documents than a bid holds")
    files = tuple(
        ContentFile(
            _whole(f["file"]), _text(f["name"], 400), _text(f["media_type"], 120), _whole(f["size"]), f["sha256"]
        )
        for f in found
    )
    if not all(_SHA256.fullmatch(file.sha256) for file in files) or len({file.file for file in files}) != len(files):
        raise ValueError("its documents are not described")
    return files


def _text(found: Any, longest: int) -> str:
    """A text that can be stored and shown: what no text holds is replaced. Raises ValueError for anything else."""
    if not isinstance(found, str) or len(found) > longest:
        raise ValueError("not a text of the expected length")
    return "".join("\ufffd" if unicodedata.category(c) in ("Cs", "Cc") and c not in "\n\t" else c for c in found)


def _incomplete(table: PriceTable, items: Sequence[Item]) -> str:
    numbers = {item.pk: item.number for item in items}
    wrong = [str(numbers[line.item]) for line in table.lines if line.problem]
    shown = ", ".join(wrong[:20]) + ("…" if len(wrong) > 20 else "")
    return _("its price table is not complete: no price that counts for item %(items)s") % {"items": shown}


def _beyond(table: PriceTable, bid: Bid, answers: Answers) -> str:
    currency, limit = bid.currency, bid.lot.limit_price
    assert limit is not None
    if answers.criteria:
        direction = bid.lot.tender.preset.axes.direction
        counts_as = half_up_to(answers.formula(direction).of(table.total), minor_unit(currency))
        return _(
            "its total %(total)s counts as %(counts_as)s, which does not meet the lot’s limit price, %(limit)s"
        ) % {
            "total": words.price(table.total, currency),
            "counts_as": words.price(counts_as, currency),
            "limit": words.price(limit, currency),
        }
    said = (
        _("its total %(total)s is below the lot’s reserve price, %(limit)s")
        if table.direction is Direction.UP
        else _("its total %(total)s is above the lot’s limit price, %(limit)s")
    )
    return said % {
        "total": words.price(table.total, currency),
        "limit": words.price(limit, currency),
    }


def open_file(bid: Bid, file: ContentFile, entry: Mapping[str, Any] | None, private: bytes, at: datetime) -> StoredFile:
    """Open one sealed document of the bid and store it readable, never more than two chunks of it in memory.

    `file` is what the opened bid says of it, `entry` what was signed of its ciphertext. Raises UnreadableDocument with
    the evidence, and OSError where the storage does not work just now.
    """
    document = bid.files.filter(pk=file.file).first()
    if document is None or entry is None or not document.sealed_path:
        raise UnreadableDocument(_("it was never received"))
    try:
        with bid_files.open_stored(document.sealed_path) as ciphertext, tempfile.TemporaryFile() as plain:
            _unseal(document, bid_files.Hashing(ciphertext), plain, entry, file, private)
            plain.seek(0)
            stored = stored_files.store(
                File(plain, name=file.name), organisation=bid.supplier, by=NOBODY, at=at,
                limit=settings.BID_FILE_MAX_BYTES,
            )  # fmt: skip
    except FileNotFoundError as error:
        raise UnreadableDocument(_("the platform has lost its ciphertext")) from error
    except stored_files.FileRefused as error:
        raise UnreadableDocument(str(error)) from error
    document.opened, document.name, document.media_type = stored, stored.name, stored.media_type
    document.save(update_fields=["opened", "name", "media_type"])
    return stored


def _unseal(
    document: BidFile,
    ciphertext: bid_files.Hashing,
    plain: sealing.Writable,
    entry: Mapping[str, Any],
    file: ContentFile,
    private: bytes,
) -> None:
    measured = None
    with suppress(sealing.SealingError):  # why it does not open is told below, by what was signed
        measured = sealing.open_stream(private, ciphertext, plain, info(document.bid, sealed_file_part(document.pk)))
    found = ciphertext.sha256()
    if found != entry["sha256"]:
        raise UnreadableDocument(
            _("what is stored is not what was signed: SHA-256 %(found)s… instead of %(signed)s…")
            % {"found": found[:16], "signed": str(entry["sha256"])[:16]}
        )
    if measured is None:
        raise UnreadableDocument(_("it is stored as it was signed, and does not open with the lot’s key"))
    if (measured.size, measured.sha256) != (file.size, file.sha256):
        raise UnreadableDocument(_("it opens, and is not the document that the bid describes"))
