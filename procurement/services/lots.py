"""Lots of a draft and the table of items of each: add, edit, remove, reorder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import TypedDict

from django.db import transaction
from django.db.models import F, Max
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from marketplace.models import Heading
from marketplace.permissions import Actor
from marketplace.shared.errors import DomainError, Invalid, Sentence
from marketplace.shared.money import DECIMAL_PLACES, MAX_DIGITS, Money
from procurement.models import Item, Lot, Tender
from procurement.models.units import NAMES as UNIT_NAMES
from procurement.services import words
from procurement.services.drafts import Change, lock_draft, lock_lot, require_current, saved
from procurement.services.tenders import changes_between

LOTS_MAX = 100
ITEMS_MAX = 500
_QUANTITY_DIGITS = 14
# Above this a percentage of the start price leaves no room for a second bid.
STEP_PERCENT_MAX = Decimal(20)
_BEYOND = 1_000_000


class TooMany(DomainError):
    code = "too_many"
    sentence = gettext_lazy("At most %(n)s of them are possible here.")


class LastLot(DomainError):
    code = "last_lot"
    sentence = gettext_lazy("A procedure has at least one lot. Add another one before you remove this.")


class LotFields(TypedDict, total=False):
    """What a lot's own form holds. Amounts are for the whole lot, in the tender's currency; `vat_rate` in percent."""

    title: str
    limit_price: Decimal | None
    vat_rate: Decimal
    delivery_place: str
    step_kind: str
    step_value: Decimal | None
    clock_price: Decimal | None


@dataclass(frozen=True, slots=True)
class ItemRow:
    """A row of the table of items; `item_id` is None for a new one. `unit` is a UN/ECE code."""

    description: str
    category_id: int
    quantity: Decimal
    unit: str
    deliver_from: date | None = None
    deliver_until: date | None = None
    item_id: int | None = None


def section_of(lot: Lot) -> str:
    """The name of the lot's form for stale-form checks; its items have their own."""
    return f"lot:{lot.pk}"


@transaction.atomic
def add(tender_id: int, *, by: Actor, at: datetime) -> Lot:
    """An empty lot at the end. Raises NotFound, NotAllowed, NotADraft, TooMany."""
    tender = lock_draft(tender_id, by=by)
    last = tender.lots.aggregate(last=Max("number"))["last"] or 0
    if tender.lots.count() >= LOTS_MAX:
        raise TooMany(n=LOTS_MAX)
    number = last + 1
    lot = Lot.objects.create(
        tender=tender, number=number, title=_("Lot %(n)s") % {"n": number}, currency=tender.currency
    )
    saved(tender, "lots", [Change(_("Lot %(n)s") % {"n": number}, "", lot.title)], by=by, at=at)
    return lot


@transaction.atomic
def update(tender_id: int, lot_id: int, fields: LotFields, *, revision: int, by: Actor, at: datetime) -> Tender:
    """Save a lot's own fields. Raises NotFound, NotAllowed, NotADraft, StaleForm, Invalid."""
    tender = lock_draft(tender_id, by=by)
    lot = lock_lot(tender, lot_id)
    require_current(tender, revision, section_of(lot))
    if problems := field_problems(fields, tender.currency):
        raise Invalid(problems)
    before = in_words(lot)
    for name, value in fields.items():
        setattr(lot, name, value)
    lot.save(update_fields=[*fields])
    saved(tender, section_of(lot), changes_between(before, in_words(lot)), by=by, at=at)
    return tender


@transaction.atomic
def remove(tender_id: int, lot_id: int, *, by: Actor, at: datetime) -> Tender:
    """Remove a lot with its items; those behind it move up. Raises LastLot besides what `update` raises."""
    tender = lock_draft(tender_id, by=by)
    lot = lock_lot(tender, lot_id)
    if tender.lots.count() == 1:
        raise LastLot
    change = Change(_("Lot %(n)s") % {"n": lot.number}, lot.title, "")
    lot.delete()
    _renumber(tender, list(tender.lots.all()))
    saved(tender, "lots", [change], by=by, at=at)
    return tender


@transaction.atomic
def reorder(tender_id: int, lot_ids: Sequence[int], *, by: Actor, at: datetime) -> Tender:
    """Put the lots in this order. Raises StaleForm when `lot_ids` are not exactly the tender's lots."""
    tender = lock_draft(tender_id, by=by)
    lots = {lot.pk: lot for lot in tender.lots.select_for_update()}
    if sorted(lot_ids) != sorted(lots):
        require_current(tender, 0, "lots")
        raise Invalid({"": [_("The order must name every lot once.")]})
    before = ", ".join(lot.title for lot in lots.values())
    ordered = [lots[pk] for pk in lot_ids]
    _renumber(tender, ordered)
    change = Change(_("Order of lots"), before, ", ".join(lot.title for lot in ordered))
    saved(tender, "lots", [change] if change.before != change.after else [], by=by, at=at)
    return tender


@transaction.atomic
def replace_items(
    tender_id: int, lot_id: int, rows: Sequence[ItemRow], *, revision: int, by: Actor, at: datetime
) -> Tender:
    """Make `rows` the lot's items, in this order: known ones are changed, new ones added, those not named removed.

    Raises NotFound, NotAllowed, NotADraft, StaleForm, Invalid (keys are "<row from 0>.<field>").
    """
    tender = lock_draft(tender_id, by=by)
    lot = lock_lot(tender, lot_id)
    section = f"items:{lot.pk}"
    require_current(tender, revision, section)
    if problems := row_problems(rows):
        raise Invalid(problems)
    saved(tender, section, write_items(lot, rows), by=by, at=at)
    return tender


def write_items(lot: Lot, rows: Sequence[ItemRow]) -> list[Change]:
    """Store the rows as the items of a locked lot; what changed, in words."""
    present = {item.pk: item for item in lot.items.select_related("category").select_for_update(of=("self",))}
    before = {_item_label(lot, item.number): words.item(item) for item in present.values()}
    kept = {row.item_id for row in rows if row.item_id in present}
    lot.items.exclude(pk__in=kept).delete()
    # The numbers are unique in a lot: out of the way first, then to their places.
    lot.items.update(number=F("number") + _BEYOND)
    items = [
        Item(
            pk=row.item_id if row.item_id in present else None,
            lot=lot,
            number=number,
            description=row.description,
            category_id=row.category_id,
            quantity=row.quantity,
            unit=row.unit,
            deliver_from=row.deliver_from,
            deliver_until=row.deliver_until,
        )
        for number, row in enumerate(rows, start=1)
    ]
    fields = ["number", "description", "category", "quantity", "unit", "deliver_from", "deliver_until"]
    Item.objects.bulk_update([item for item in items if item.pk], fields)
    Item.objects.bulk_create([item for item in items if not item.pk])
    stored = lot.items.select_related("category")
    return changes_between(before, {_item_label(lot, item.number): words.item(item) for item in stored})


def row_problems(rows: Sequence[ItemRow]) -> dict[str, list[Sentence]]:
    """What is wrong with a table of items, by "<row>.<field>"."""
    if len(rows) > ITEMS_MAX:
        raise TooMany(n=ITEMS_MAX)
    known = set(Heading.objects.filter(pk__in={row.category_id for row in rows}).values_list("pk", flat=True))
    found: dict[str, list[Sentence]] = {}
    for index, row in enumerate(rows):
        if not row.description.strip():
            found[f"{index}.description"] = [_("Say what is needed.")]
        if row.category_id not in known:
            found[f"{index}.category"] = [_("Choose a category from the list.")]
        if row.quantity <= 0 or row.quantity.adjusted() >= _QUANTITY_DIGITS:
            found[f"{index}.quantity"] = [_("A quantity is a number above zero.")]
        elif _places(row.quantity) > DECIMAL_PLACES:
            found[f"{index}.quantity"] = [_("At most %(n)s decimal places.") % {"n": DECIMAL_PLACES}]
        if row.unit not in UNIT_NAMES:
            found[f"{index}.unit"] = [_("Choose a unit from the list.")]
        if row.deliver_from and row.deliver_until and row.deliver_until < row.deliver_from:
            found[f"{index}.deliver_until"] = [_("Delivery cannot end before it begins.")]
    return found


def field_problems(fields: LotFields, currency: str) -> dict[str, list[Sentence]]:
    """What is wrong with a lot's own fields, by field."""
    found: dict[str, list[Sentence]] = {}
    if "title" in fields and not fields["title"].strip():
        found["title"] = [_("Give the lot a title.")]
    if (limit := fields.get("limit_price")) is not None and (wrong := _amount_problem(limit, currency)):
        found["limit_price"] = [wrong]
    rate = fields.get("vat_rate")
    if rate is not None and not (0 <= rate < 100 and _places(rate) <= 2):
        found["vat_rate"] = [_("A percentage from 0 to 99.99.")]
    step = fields.get("step_value")
    if step is not None:
        if fields.get("step_kind") == "percent":
            if not (0 < step <= STEP_PERCENT_MAX and _places(step) <= DECIMAL_PLACES):
                found["step_value"] = [_("Above 0 and at most %(n)s %%.") % {"n": STEP_PERCENT_MAX}]
        elif wrong := _amount_problem(step, currency):
            found["step_value"] = [wrong]
    if (best := fields.get("clock_price")) is not None and (wrong := _amount_problem(best, currency)):
        found["clock_price"] = [wrong]
    return found


def in_words(lot: Lot) -> dict[str, str]:
    """A lot's own fields in words, each label naming the lot."""
    head = _("Lot %(n)s") % {"n": lot.number}
    step = (
        words.plain(lot.step_value) + " %" if lot.step_kind == "percent" else words.amount(lot.step_value, lot.currency)
    )
    return {
        _("%(lot)s, title") % {"lot": head}: lot.title,
        _("%(lot)s, limit price") % {"lot": head}: words.amount(lot.limit_price, lot.currency),
        _("%(lot)s, VAT rate") % {"lot": head}: f"{words.plain(lot.vat_rate)} %",
        _("%(lot)s, place of delivery") % {"lot": head}: lot.delivery_place,
        _("%(lot)s, auction step") % {"lot": head}: step if lot.step_value is not None else "",
        _("%(lot)s, best price of the clock") % {"lot": head}: words.amount(lot.clock_price, lot.currency),
    }


def _item_label(lot: Lot, number: int) -> str:
    return _("Lot %(lot)s, item %(item)s") % {"lot": lot.number, "item": number}


def _renumber(tender: Tender, ordered: Sequence[Lot]) -> None:
    tender.lots.update(number=F("number") + _BEYOND)
    for number, lot in enumerate(ordered, start=1):
        lot.number = number
    Lot.objects.bulk_update(ordered, ["number"])


def _amount_problem(value: Decimal, currency: str) -> Sentence | None:
    if value <= 0:
        return _("An amount is above zero.")
    if value.adjusted() >= MAX_DIGITS - DECIMAL_PLACES:
        return _("This amount is too large.")
    if not Money(value, currency).is_whole:
        return _("An amount in %(currency)s has no smaller part than its minor unit.") % {"currency": currency}
    return None


def _places(value: Decimal) -> int:
    exponent = value.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0
