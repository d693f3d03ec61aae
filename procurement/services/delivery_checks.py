"""What is recorded and accepted of a delivery, and everything that may be wrong with it, field by field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from django.utils.translation import gettext as _

from marketplace.shared.errors import Invalid, Sentence
from procurement.models import Contract, DeliveryLine
from procurement.rules import deliveries as rules
from procurement.rules.deliveries import DayProblem
from procurement.services import words

REMARK_MAX, NOTE_MAX, WHY_MAX = 1000, 60, 500

Errors = dict[str, list[Sentence]]


@dataclass(frozen=True, slots=True)
class Came:
    """What came: quantities by the item's id. Of a return `remark` is why it goes back."""

    delivered_on: date
    quantities: Mapping[int, Decimal]
    note_number: str = ""
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Accepted:
    """What of it is accepted, by the item's id; where less than came, why."""

    quantities: Mapping[int, Decimal]
    why: Mapping[int, str] = field(default_factory=dict)


def wrong_day(contract: Contract, day: date, at: datetime, since: date | None = None) -> Errors:
    assert contract.signed_at is not None
    zone = ZoneInfo(contract.tender.time_zone)
    signed_on = contract.signed_at.astimezone(zone).date()
    problem = rules.day_problem(day, since or signed_on, at.astimezone(zone).date())
    if problem is None:
        return {}
    if problem is DayProblem.IN_THE_FUTURE:
        return {"delivered_on": [_("This day is still to come.")]}
    before = _("The goods came on %(day)s only.") if since else _("The contract was signed on %(day)s only.")
    return {"delivered_on": [before % {"day": words.day(since or signed_on)}]}


def wrong_quantities(rows: Mapping[int, object], quantities: Mapping[int, Decimal]) -> Errors:
    errors: Errors = {}
    if not quantities:
        errors[""] = [_("Give the quantity of at least one position.")]
    for pk, quantity in quantities.items():
        if pk not in rows:
            errors[""] = [_("One of the positions is not of this contract.")]
        elif not rules.is_quantity(quantity):
            errors[field_of(pk)] = [_("A number above 0 with at most four decimal places.")]
    return errors


def wrong_acceptance(lines: list[DeliveryLine], accepted: Accepted) -> Errors:
    if set(accepted.quantities) != {line.item_id for line in lines}:
        return {"": [_("Say of every line how much of it you accept.")]}
    errors: Errors = {}
    for line in lines:
        quantity, why = accepted.quantities[line.item_id], accepted.why.get(line.item_id, "").strip()
        if (quantity != 0 and not rules.is_quantity(quantity)) or quantity > line.quantity:
            errors[field_of(line.item_id)] = [_("From 0 to the %(n)s that came.") % {"n": words.plain(line.quantity)}]
        elif quantity < line.quantity and not why:
            errors[field_of(line.item_id, "why")] = [_("Say why you accept less than came.")]
        elif len(why) > WHY_MAX:
            errors[field_of(line.item_id, "why")] = [_("At most %(n)s characters.") % {"n": WHY_MAX}]
    if not errors and not any(accepted.quantities.values()):
        errors[""] = [_("Where nothing is accepted, reject the delivery with the reason.")]
    return errors


def wrong_texts(came: Came) -> Errors:
    errors: Errors = {}
    for name, most in (("note_number", NOTE_MAX), ("remark", REMARK_MAX)):
        if len(getattr(came, name)) > most:
            errors[name] = [_("At most %(n)s characters.") % {"n": most}]
    return errors


def field_of(item_id: int, what: str = "quantity") -> str:
    """What a form calls the field of a line."""
    return f"{what}_{item_id}"


def require_none(errors: Errors) -> None:
    if errors:
        raise Invalid(errors)


def reason(text: str) -> str:
    """The reason as it is kept. Raises Invalid."""
    said = text.strip()
    if not said:
        raise Invalid({"reason": [_("Say why.")]})
    if len(said) > REMARK_MAX:
        raise Invalid({"reason": [_("At most %(n)s characters.") % {"n": REMARK_MAX}]})
    return said
