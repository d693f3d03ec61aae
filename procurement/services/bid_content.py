"""What is inside a sealed bid: its canonical form, its padding, what it is bound to, and how it is read once opened."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from marketplace.shared.money import minor_unit
from marketplace.signatures.payload import canonical
from procurement.models import Bid, Item
from procurement.rules.evaluation import line_amount

FORMAT: Final = "openlot-bid-1"
# Envelopes come in steps of this many bytes: their size must not betray how many digits a price has.
BLOCK: Final = 1024


class UnreadableContent(Exception):
    """The envelope opened, but what it holds is not a bid for this lot. The message says why, for the protocol."""


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
    """An opened bid. `total` is the sum of the lines' amounts, in the lot's currency."""

    lines: tuple[ContentLine, ...]
    total: Decimal
    remarks: str
    files: tuple[ContentFile, ...]


def info(bid: Bid, part: str) -> bytes:
    """What the ciphertext is bound to: moved to another lot, bid or place in it, it does not open."""
    return canonical({"platform": "openlot", "lot": bid.lot_id, "bid": bid.pk, "part": part})


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
    plain = canonical(
        {
            "format": FORMAT,
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
        }
    )
    return plain + b" " * (-len(plain) % BLOCK)


def decode(bid: Bid, version: int, plain: bytes, items: Sequence[Item]) -> Content:
    """The bid that was sealed, its arithmetic done again. Raises UnreadableContent with what is wrong."""
    try:
        found = json.loads(plain)
        return _content(bid, version, found, items)
    except (ValueError, KeyError, TypeError, AttributeError, InvalidOperation) as error:
        raise UnreadableContent("its content is not a bid in the platform’s form") from error


def _content(bid: Bid, version: int, found: Mapping[str, Any], items: Sequence[Item]) -> Content:
    if found["format"] != FORMAT or (found["lot"], found["bid"], found["version"]) != (bid.lot_id, bid.pk, version):
        raise UnreadableContent("it was made for another lot or another version of the bid")
    if found["currency"] != bid.currency:
        raise UnreadableContent("its currency is not the lot’s")
    prices = {int(line["item"]): Decimal(line["unit_price"]) for line in found["lines"]}
    if set(prices) != {item.pk for item in items}:
        raise UnreadableContent("its price table is not the lot’s")
    if any(not price.is_finite() or price <= 0 for price in prices.values()):
        raise UnreadableContent("a price in it is not an amount")
    unit = minor_unit(bid.currency)
    lines = tuple(ContentLine(i.pk, prices[i.pk], line_amount(i.quantity, prices[i.pk], unit)) for i in items)
    total = sum((line.amount for line in lines), Decimal(0))
    if total != Decimal(found["total"]):
        raise UnreadableContent("its total is not the sum of its lines")
    files = tuple(
        ContentFile(int(f["file"]), str(f["name"]), str(f["media_type"]), int(f["size"]), str(f["sha256"]))
        for f in found["files"]
    )
    return Content(lines, total, str(found["remarks"]), files)
