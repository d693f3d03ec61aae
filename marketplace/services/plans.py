"""Plans: data that the tariff manager changes by publishing new versions. What was bought stays as it was bought."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from marketplace import audit
from marketplace.models import Plan, Side, StaffRole
from marketplace.permissions import Actor, require_staff
from marketplace.queries.standing import FAMILY_NAMES
from marketplace.shared.errors import DomainError, Invalid, NotFound, Sentence, StaleForm
from marketplace.shared.money import Money, is_currency

STANDARD_PLANS: Final = Path(__file__).resolve().parents[1] / "data" / "plans.json"
#: What a column of the database holds, with room for VAT.
LARGEST_AMOUNT: Final = Decimal(10) ** 14
LONGEST_DAYS: Final = 3660


class PlanCodeTaken(DomainError):
    code = "plan_code_taken"
    sentence = _("There is a plan with the code “%(plan)s” already.")


@dataclass(frozen=True, slots=True)
class Terms:
    """What a plan costs and permits. `price` without VAT; `permits` as Plan describes it."""

    side: str
    name: str
    price: Decimal
    currency: str
    period_days: int
    vat_rate: Decimal = Decimal(0)
    description: str = ""
    rank: int = 0
    active: bool = True
    permits: Mapping[str, Any] = field(default_factory=dict)


@transaction.atomic
def revise(code: str, version: int, terms: Terms, *, by: Actor, at: datetime) -> Plan:
    """Publish the next version of a plan. Raises StaleForm where `version` is not the newest, Invalid."""
    require_staff(by, StaffRole.TARIFF_MANAGER)
    newest = Plan.objects.select_for_update().filter(code=code).order_by("-version").first()
    if newest is None:
        raise NotFound
    if newest.version != version:
        raise StaleForm([_("Version %(version)s was published meanwhile.") % {"version": newest.version}])
    if terms.side != newest.side:
        raise Invalid({"side": [_("A plan stays on its side: make a new plan for the other.")]})
    return _publish(code, version + 1, terms, by=by, at=at)


@transaction.atomic
def create(code: str, terms: Terms, *, by: Actor, at: datetime) -> Plan:
    """Publish the first version of a new plan. Raises PlanCodeTaken, Invalid."""
    require_staff(by, StaffRole.TARIFF_MANAGER)
    if Plan.objects.filter(code=code).exists():
        raise PlanCodeTaken(field="code", plan=code)
    return _publish(code, 1, terms, by=by, at=at)


@transaction.atomic
def load_standard(*, at: datetime) -> int:
    """Publish those of the standard plans whose code is not there yet. Returns how many were published."""
    taken = set(Plan.objects.values_list("code", flat=True))
    missing = [stated for stated in json.loads(STANDARD_PLANS.read_text("utf-8")) if stated["code"] not in taken]
    for stated in missing:
        exact: dict[str, Any] = {name: Decimal(stated[name]) for name in ("price", "vat_rate")}
        _publish(stated.pop("code"), 1, Terms(**stated | exact), by=None, at=at)
    return len(missing)


def _publish(code: str, version: int, terms: Terms, *, by: Actor | None, at: datetime) -> Plan:
    _require_valid(terms)
    plan = Plan.objects.create(
        code=code,
        version=version,
        side=terms.side,
        name=terms.name,
        description=terms.description,
        price=terms.price,
        currency=terms.currency,
        vat_rate=terms.vat_rate,
        period_days=terms.period_days,
        permits=dict(terms.permits),
        rank=terms.rank,
        active=terms.active,
    )
    details = {"price": str(terms.price), "currency": terms.currency, "permits": plan.permits, "active": terms.active}
    audit.record("plan_published", plan, by=by, at=at, stream=f"plan:{code}", version=version, **details)
    return plan


def _require_valid(terms: Terms) -> None:
    errors: dict[str, list[Sentence]] = {}
    if terms.side not in Side.values:
        errors["side"] = [_("Choose a side.")]
    if not terms.name.strip():
        errors["name"] = [_("Give the plan a name.")]
    if not 1 <= terms.period_days <= LONGEST_DAYS:
        errors["period_days"] = [_("A period lasts from 1 to 3,660 days.")]
    if not 0 <= terms.vat_rate < 100:
        errors["vat_rate"] = [_("VAT is from 0 to less than 100 percent.")]
    if not is_currency(terms.currency):
        errors["currency"] = [_("Choose a currency.")]
    elif terms.price < 0 or not Money(terms.price, terms.currency).is_whole:
        errors["price"] = [_("The price is zero or more, with no more decimals than the currency has.")]
    elif terms.price >= LARGEST_AMOUNT:
        errors["price"] = [_("This price is too large.")]
    permits = terms.permits
    limit = permits.get("max_lot_value")
    if limit is not None and Decimal(limit) <= 0:
        errors["max_lot_value"] = [_("The limit is above zero; leave it empty for no limit.")]
    elif limit is not None and Decimal(limit) >= LARGEST_AMOUNT:
        errors["max_lot_value"] = [_("This limit is too large: leave it empty for no limit.")]
    bids = permits.get("bids_per_month")
    if bids is not None and bids < 0:
        errors["bids_per_month"] = [_("The number is zero or more; leave it empty for no limit.")]
    if set(permits.get("families") or ()) - set(FAMILY_NAMES):
        errors["families"] = [_("Choose from the kinds of procedures.")]
    if permits.get("included") and terms.price:
        errors["included"] = [_("What everybody has without subscribing costs nothing.")]
    if errors:
        raise Invalid(errors)
