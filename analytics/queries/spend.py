"""What a buyer account has spent: rollups of its awarded contracts, exact and per currency.

A contract counts once both sides have signed it (in force or completed). Every amount is without VAT: where a tender's
prices include it, it is taken out of each contract and rounded half up to the currency's minor unit. What the account
sold is no spend and is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final

from babel.core import get_global
from django.db.models import (
    Case,
    Count,
    DecimalField,
    Exists,
    Expression,
    F,
    Max,
    Min,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Sum,
    Value,
    When,
)
from django.db.models.functions import Left, Round, TruncMonth

from analytics.rules.spend import Saving, apportion
from marketplace.models import Heading
from marketplace.shared.money import minor_unit
from procurement.models import BidPrice, Contract
from procurement.procedures.catalogue import sales
from procurement.rules.lifecycle import ContractStatus

COUNTED: Final = (ContractStatus.ACTIVE.value, ContractStatus.COMPLETED.value)
# The first digits of a CPV code name its division.
DIVISION_DIGITS: Final = 2
NO_SAVING: Final = Saving()
_EXACT: Final = DecimalField(max_digits=40, decimal_places=20)


@dataclass(frozen=True, slots=True)
class Choice:
    """Which contracts: those signed in [since, until), in one currency, narrowed to one row of a table."""

    buyer_id: int
    currency: str
    since: datetime | None = None
    until: datetime | None = None
    category: str = ""
    month: date | None = None
    supplier_id: int | None = None
    procedure: str = ""


@dataclass(frozen=True, slots=True)
class Totals:
    amount: Decimal
    contracts: int
    suppliers: int
    saving: Saving


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a rollup. `key` narrows a Choice to it; "" is what could not be split."""

    key: str
    name: str
    amount: Decimal
    contracts: int
    saving: Saving = NO_SAVING


def contracts(choice: Choice) -> QuerySet[Contract]:
    """The contracts with `net` and `net_limit` (null where the lot had none)."""
    found = _of(choice.buyer_id).filter(currency=choice.currency)
    if choice.since:
        found = found.filter(signed_at__gte=choice.since)
    if choice.until:
        found = found.filter(signed_at__lt=choice.until)
    if choice.month:
        found = found.filter(signed_at__gte=_start(choice.month), signed_at__lt=_start(_next(choice.month)))
    if choice.supplier_id is not None:
        found = found.filter(supplier_id=choice.supplier_id)
    if choice.procedure:
        found = found.filter(tender__procedure=choice.procedure)
    if choice.category:
        found = found.filter(Exists(_lines(OuterRef("award__bid_id"), choice.category)))
    return found.annotate(net=net("amount"), net_limit=net("limit_price"))


def listed(choice: Choice) -> QuerySet[Contract]:
    """As `contracts`, with what a list shows; under a category, `part` is the contract's share of it (not rounded)."""
    found = contracts(choice).select_related("supplier", "tender", "award__lot")
    if choice.category:
        bid = OuterRef("award__bid_id")
        part = F("net") * _sum_of(_lines(bid, choice.category)) / _sum_of(_lines(bid))
        found = found.annotate(part=Case(When(net__isnull=False, then=part), output_field=_EXACT))
    return found


def currencies(buyer_id: int) -> list[tuple[str, int]]:
    """The currencies of the account's contracts with their number, the most used first."""
    rows = _of(buyer_id).order_by().values("currency").annotate(count=Count("pk"))
    return [(row["currency"], row["count"]) for row in rows.order_by("-count", "currency")]


def first_month(buyer_id: int, currency: str) -> date | None:
    """The month of the account's first contract."""
    first = _of(buyer_id).filter(currency=currency).aggregate(first=Min("signed_at"))["first"]
    return first.astimezone(UTC).date().replace(day=1) if first else None


def totals(choice: Choice) -> Totals:
    found = contracts(choice).aggregate(**_SUMS, suppliers=Count("supplier", distinct=True))
    return Totals(found["spent"] or Decimal(0), found["count"], found["suppliers"], _saving(found))


def by_month(choice: Choice) -> dict[date, Row]:
    """Months (UTC) that have contracts, by their first day."""
    rows = _rollup(contracts(choice).annotate(month=TruncMonth("signed_at", tzinfo=UTC)), "month")
    months = ((row["month"].date(), row) for row in rows.order_by("month"))
    return {month: _row(f"{month:%Y-%m}", "", row) for month, row in months}


def by_supplier(choice: Choice) -> list[Row]:
    """Suppliers, the largest first."""
    rows = _rollup(contracts(choice), "supplier_id", "supplier__short_name")
    ordered = rows.order_by("-spent", "supplier__short_name", "supplier_id")
    return [_row(str(row["supplier_id"]), row["supplier__short_name"], row) for row in ordered]


def by_procedure(choice: Choice) -> list[Row]:
    """Kinds of procedures by their code, the largest first; `name` is the code too."""
    rows = _rollup(contracts(choice), "tender__procedure")
    ordered = rows.order_by("-spent", "tender__procedure")
    return [_row(row["tender__procedure"], row["tender__procedure"], row) for row in ordered]


def by_category(choice: Choice) -> list[Row]:
    """Divisions of the items' categories, the largest first; a contract is split by the amounts of its bid's lines.

    The parts add up to what the contracts cost: after a live auction that is less than the lines' own sum, and each
    line bears its share. What has no priced lines stands last under the key "".
    """
    found = contracts(choice)
    split = found.filter(Exists(_lines(OuterRef("award__bid_id"))))
    lines = (
        BidPrice.objects.filter(bid__in=split.values("award__bid_id"))
        .annotate(
            net=net("bid__awards__contract__amount", "bid__awards__contract__"),
            whole=_sum_of(_lines(OuterRef("bid_id"))),
            division=Left("item__category__code", DIVISION_DIGITS),
        )
        .filter(bid__awards__contract__in=split.values("pk"))
        .values("division")
        .annotate(
            exact=Sum(F("net") * F("amount") / F("whole"), output_field=_EXACT),
            count=Count("bid__awards__contract", distinct=True),
        )
        .order_by("division")
    )
    rows = list(lines)
    sums = found.aggregate(**_SUMS)
    split_total = split.aggregate(spent=Sum("net"))["spent"] or Decimal(0)
    amounts = apportion([row["exact"] for row in rows], split_total, minor_unit(choice.currency))
    names = _division_names([row["division"] for row in rows])
    result = [
        Row(row["division"], names.get(row["division"], row["division"]), amount, row["count"])
        for row, amount in zip(rows, amounts, strict=True)
    ]
    result.sort(key=lambda row: (-row.amount, row.key))
    unsplit = (sums["spent"] or Decimal(0)) - split_total
    return [*result, Row("", "", unsplit, sums["count"] - split.count())] if unsplit else result


def accounts_totals(buyer_ids: list[int], since: datetime) -> dict[int, list[Row]]:
    """What each of these accounts has spent since then, a row per currency, the most used first."""
    signed = bought().filter(buyer_id__in=buyer_ids, signed_at__gte=since)
    rows = _rollup(signed.annotate(net=net("amount"), net_limit=net("limit_price")), "buyer_id", "currency")
    found: dict[int, list[Row]] = {}
    for row in rows.order_by("-count", "currency"):
        found.setdefault(row["buyer_id"], []).append(_row(row["currency"], row["currency"], row))
    return found


def last_signed(buyer_ids: list[int]) -> dict[int, datetime]:
    """When each account last signed a contract."""
    rows = Contract.objects.filter(buyer_id__in=buyer_ids, status__in=COUNTED).values("buyer_id")
    return {row["buyer_id"]: row["last"] for row in rows.annotate(last=Max("signed_at")).order_by() if row["last"]}


# Parts of the queries

_SUMS: Final[dict[str, Any]] = {
    "spent": Sum("net"),
    "count": Count("pk"),
    "limited": Count("pk", filter=Q(net_limit__isnull=False)),
    "limit": Sum("net_limit"),
    "limited_amount": Sum("net", filter=Q(net_limit__isnull=False)),
}


def _rollup(rows: QuerySet[Contract], *columns: str) -> Any:
    """The sums of annotated contracts by columns: dictionaries, in no order yet."""
    return rows.order_by().values(*columns).annotate(**_SUMS)


def _row(key: str, name: str, sums: dict[str, Any]) -> Row:
    return Row(key, name, sums["spent"] or Decimal(0), sums["count"], _saving(sums))


def _saving(sums: dict[str, Any]) -> Saving:
    return Saving(sums["limit"] or Decimal(0), sums["limited_amount"] or Decimal(0), sums["limited"])


def _of(buyer_id: int) -> QuerySet[Contract]:
    return bought().filter(buyer_id=buyer_id, signed_at__isnull=False)


def bought() -> QuerySet[Contract]:
    """The contracts in force or completed that cost their account something."""
    return bought_in(Contract.objects.filter(status__in=COUNTED))


def bought_in(contracts: QuerySet[Contract]) -> QuerySet[Contract]:
    """Without those in which the account was paid: sales."""
    return contracts.exclude(tender__procedure__in=sales())


def _lines(bid: Any, category: str = "") -> QuerySet[BidPrice]:
    found = BidPrice.objects.filter(bid_id=bid, amount__gt=0)
    return found.filter(item__category__code__startswith=category) if category else found


def _sum_of(lines: QuerySet[BidPrice]) -> Subquery:
    return Subquery(lines.order_by().values("bid").annotate(sum=Sum("amount")).values("sum"), output_field=_EXACT)


def net(amount: str, contract: str = "") -> Expression:
    """The amount without VAT. `contract` is the path to the contract, where that is not the row itself."""
    exact = F(amount) * Value(Decimal(100)) / (Value(Decimal(100)) + F(f"{contract}award__lot__vat_rate"))
    taken_out = [
        When(
            Q(**{f"{contract}tender__vat_included": True, f"{contract}currency__in": codes}),
            then=Round(exact, precision=digits, output_field=_EXACT),
        )
        for digits, codes in _CURRENCIES_BY_DIGITS.items()
    ]
    rest = When(Q(**{f"{contract}tender__vat_included": True}), then=Round(exact, precision=2, output_field=_EXACT))
    return Case(*taken_out, rest, default=F(amount), output_field=_EXACT)


def _digits() -> dict[int, list[str]]:
    """Currencies whose minor unit is not a hundredth, by their number of digits (CLDR)."""
    found: dict[int, list[str]] = {}
    for code, (digits, *_rest) in get_global("currency_fractions").items():
        if digits != 2 and code != "DEFAULT":
            found.setdefault(digits, []).append(code)
    return found


_CURRENCIES_BY_DIGITS: Final = _digits()


def _division_names(divisions: list[str]) -> dict[str, str]:
    codes = {division.ljust(8, "0"): division for division in divisions}
    return {codes[code]: name for code, name in Heading.objects.filter(code__in=codes).values_list("code", "name")}


def _start(month: date) -> datetime:
    return datetime(month.year, month.month, 1, tzinfo=UTC)


def _next(month: date) -> date:
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)
