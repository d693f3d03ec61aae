"""What a buyer wants to amend, and the values of it as they are signed: written once, and read again when applied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final, TypedDict

from django.core.files import File
from django.utils.translation import gettext as _

from marketplace.models import StoredFile
from marketplace.shared.errors import Invalid
from procurement.models import Tender
from procurement.rules.criteria import Criteria
from procurement.rules.periods import extended_end
from procurement.services import timetable
from procurement.services.lots import ItemRow, LotFields


class AmendmentFields(TypedDict, total=False):
    """The tender's own fields that an amendment may change. Dates are aware; `criteria` is all that counts besides the
    price from then on."""

    title: str
    description: str
    enquiry_ends_at: datetime
    tender_ends_at: datetime
    criteria: Criteria


@dataclass(frozen=True, slots=True)
class NewDocument:
    """A document to add; with `series` it is the next version of that one."""

    upload: File[Any]
    title: str = ""
    series: int | None = None


@dataclass(frozen=True, slots=True)
class Proposal:
    """What the buyer wants to change, and why. `lots` and `items` go by the lot's id; items are the whole new table."""

    reason: str
    fields: AmendmentFields = field(default_factory=AmendmentFields)
    lots: Mapping[int, LotFields] = field(default_factory=dict)
    items: Mapping[int, Sequence[ItemRow]] = field(default_factory=dict)
    documents: Sequence[NewDocument] = ()


def signed_values(
    tender: Tender, proposal: Proposal, stored: Sequence[tuple[NewDocument, StoredFile]], at: datetime
) -> dict[str, Any]:
    """The new values as they are signed: strings, lists and objects only.

    Raises Invalid where questions would be taken longer than bids.
    """
    assert tender.tender_ends_at is not None  # it is published
    wanted = proposal.fields.get("tender_ends_at") or tender.tender_ends_at
    end = extended_end(wanted, at, tender.terms.minimum_remainder_days, timetable.reckoning_of(tender))
    enquiry = proposal.fields.get("enquiry_ends_at") or tender.enquiry_ends_at
    if enquiry is not None and enquiry > end:
        raise Invalid({"enquiry_ends_at": [_("Questions cannot be taken longer than bids.")]})
    texts = {name: proposal.fields[name] for name in ("title", "description") if name in proposal.fields}
    return {
        **{name: value.strip() for name, value in texts.items()},
        **({"criteria": proposal.fields["criteria"].as_json()} if "criteria" in proposal.fields else {}),
        "tender_ends_at": end.isoformat(),
        "enquiry_ends_at": enquiry.isoformat() if enquiry else "",
        "lots": [
            {"lot": pk} | {name: _text(value) for name, value in fields.items()} for pk, fields in proposal.lots.items()
        ],
        "items": [{"lot": pk, "rows": [_row_as_json(row) for row in rows]} for pk, rows in proposal.items.items()],
        "documents": [
            {"file": file.pk, "sha256": file.sha256, "title": new.title, "series": new.series or 0}
            for new, file in stored
        ],
    }


def lot_value(name: str, text: str) -> Any:
    """The value of a lot's field, out of its text among the signed values."""
    return _VALUES[name](text)


def item_row(row: Mapping[str, Any]) -> ItemRow:
    """A row of a lot's item table, out of the signed values."""
    return ItemRow(
        description=row["description"],
        category_id=row["category"],
        quantity=Decimal(row["quantity"]),
        unit=row["unit"],
        deliver_from=_day(row["deliver_from"]),
        deliver_until=_day(row["deliver_until"]),
        item_id=row["item"] or None,
    )


def _row_as_json(row: ItemRow) -> dict[str, Any]:
    return {
        "item": row.item_id or 0,
        "description": row.description,
        "category": row.category_id,
        "quantity": str(row.quantity),
        "unit": row.unit,
        "deliver_from": _text(row.deliver_from),
        "deliver_until": _text(row.deliver_until),
    }


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _decimal(text: str) -> Decimal | None:
    return Decimal(text) if text else None


def _day(text: str) -> date | None:
    return date.fromisoformat(text) if text else None


_VALUES: Final[Mapping[str, Any]] = {
    "title": str,
    "delivery_place": str,
    "step_kind": str,
    "limit_price": _decimal,
    "step_value": _decimal,
    "clock_price": _decimal,
    "vat_rate": Decimal,
}
