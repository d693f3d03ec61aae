"""The marketplace's own contracts as purchases: of its buyers in the platform's book, of its customers in a supplier's.

A contract counts on the day on which its second side signed, at its price without VAT, shared out over the lines of the
bid that won. From its first confirmed delivery on it counts as it is delivered instead: what was accepted and did not
go back, on the day of each delivery, at the contract's price. A contract of which anything changed leaves and comes in
anew in one transaction, so that nothing of it stands twice. Of one that is terminated what was delivered stays; where
nothing was, it leaves whole. What was sold in a sale is no purchase and stays out.
"""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Final

from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from analytics.models import Account, Book, BookedContract, Import, ImportKind, ImportState, LineSource, StagedLine
from analytics.queries.spend import COUNTED, bought_in, net
from analytics.services import contract_shares, loading
from analytics.services.contract_shares import Share
from analytics.services.loading import Loaded
from analytics.services.rollup import MOST, DayTooLarge
from analytics.services.transitions import move_import
from marketplace.shared.money import minor_unit
from procurement.models import Contract, Delivery, DeliveryKind, DeliveryLine, Item
from procurement.rules.deliveries import QUANTITY_STEP, amounts
from procurement.rules.lifecycle import ContractStatus, DeliveryStatus

_NOTHING: Final = Decimal(0)
_AT_ONCE: Final = 2000
#: What an account is called that came from the platform and not from the seller's own system.
PREFIX: Final = "openlot-"
# A procedure's number, with its lot's where it is that of a contract, and a delivery's.
_OF_PLATFORM: Final = re.compile(r"(?P<number>OL-\d{4}-\d{6,}(-\d+){0,2})(/\d+)?")
# Of an organisation's number: what a whole number of the database may have.
_DIGITS: Final = 19
_log = logging.getLogger(__name__)


class _TooLarge(Exception):
    """A line of this contract alone is more than a day can hold."""

    def __init__(self, contract_id: int) -> None:
        super().__init__(contract_id)
        self.contract_id = contract_id


@transaction.atomic
def refresh(book_id: int, *, at: datetime) -> Loaded | None:
    """Bring in what was signed or delivered since, take out what was terminated undelivered; None where nothing was.

    Safe to repeat. A contract that comes to more than a day can hold stays as it was, and is told in the log: what two
    sides have agreed on must not keep everybody else's purchases from being counted.
    """
    book, too_large = loading.lock(book_id), set[int]()
    while True:
        try:
            with transaction.atomic():
                return _refreshed(book, too_large, at)
        except _TooLarge as found:
            too_large.add(found.contract_id)
        except DayTooLarge as found:
            together = _brought_in(book, str(found.params["account"])) - too_large
            if not together:
                raise
            too_large |= together
        _log.error("Contracts %s come to more than a day of book %s can hold", sorted(too_large), book.pk)


def _refreshed(book: Book, too_large: Collection[int], at: datetime) -> Loaded | None:
    gone = _no_longer_counted(book)
    changed = [pk for pk in _changed(book) if pk not in too_large]
    if not gone and not changed:
        return None
    leaving = BookedContract.objects.filter(book=book, contract__in=[*gone, *changed])
    orders = _orders(list(leaving.values_list("contract", flat=True)))
    removed = loading.remove_orders(book, LineSource.CONTRACTS, orders)
    leaving.delete()
    batch = Import.objects.create(
        book=book, kind=ImportKind.CONTRACTS, state=ImportState.LOADING, created_at=at, loaded_at=at
    )
    read = _stage(batch, book, changed)
    done = loading.load(batch, book)
    _link(book)
    batch.staged.all().delete()
    loading.settle_currency(book)
    move_import(batch, ImportState.LOADED)
    batch.counts = {**done.as_json(), "removed": removed, "read": read, "accepted": read, "rejected": 0}
    batch.save(update_fields=["state", "counts"])
    return done


def numbered_here(book: Book, orders: Iterable[str]) -> set[str]:
    """Which of these numbers, given to orders by another system, are those of contracts that come into the book by
    themselves: a contract's, one of its deliveries', or its procedure's. A sale known by one is here already."""
    by_number: dict[str, list[str]] = defaultdict(list)
    for order in orders:
        if found := _OF_PLATFORM.fullmatch(order.strip().upper()):
            by_number[found["number"]].append(order)
    rows = _counted(book).filter(Q(number__in=by_number) | Q(tender__number__in=by_number))
    numbers = {number for pair in rows.values_list("number", "tender__number") for number in pair}
    return {order for number in numbers & by_number.keys() for order in by_number[number]}


def _counted(book: Book) -> QuerySet[Contract]:
    stands = Q(status__in=COUNTED) | Q(status=ContractStatus.TERMINATED.value, deliveries_version__gt=0)
    found = bought_in(Contract.objects.filter(stands, signed_at__isnull=False))
    return found if book.owner_id is None else found.filter(supplier=book.owner_id)


def _changed(book: Book) -> list[int]:
    """The contracts that are not in the book as they are: new ones, and those with deliveries confirmed since."""
    booked = BookedContract.objects.filter(book=book, contract=OuterRef("pk"), version=OuterRef("deliveries_version"))
    return list(_counted(book).filter(~Exists(booked)).order_by("pk").values_list("pk", flat=True))


def _brought_in(book: Book, customer: str) -> set[int]:
    """The contracts to be brought in that would count as bought by this customer, who may be new."""
    accounts = Account.objects.filter(Q(external_id=customer) | Q(merged_into__external_id=customer), book=book)
    buyers = set(accounts.exclude(buyer=None).values_list("buyer", flat=True))
    number = customer.removeprefix(PREFIX)
    if number != customer and number.isdecimal() and len(number) < _DIGITS:
        buyers.add(int(number))
    return set(_counted(book).filter(pk__in=_changed(book), buyer__in=buyers).values_list("pk", flat=True))


def _no_longer_counted(book: Book) -> list[int]:
    booked = BookedContract.objects.filter(book=book)
    stands = _counted(book).filter(pk=OuterRef("contract"))
    return list(booked.filter(~Exists(stands)).order_by("pk").values_list("contract", flat=True))


def _orders(contracts: list[int]) -> list[str]:
    """What the lines of these contracts may be filed under: the contract itself, and each of its deliveries."""
    numbers = dict(Contract.objects.filter(pk__in=contracts).values_list("pk", "number"))
    came = Delivery.objects.filter(contract__in=contracts, kind=DeliveryKind.DELIVERY).order_by("pk")
    deliveries = came.values_list("contract", "number")
    return [*numbers.values(), *(_order(numbers[contract], number) for contract, number in deliveries)]


def _order(contract: str, delivery: int) -> str:
    return f"{contract}/{delivery}"


def _stage(batch: Import, book: Book, contracts: list[int]) -> int:
    known = dict(
        Account.objects.filter(book=book, buyer__isnull=False, merged_into=None)
        .order_by("-pk")
        .values_list("buyer_id", "external_id")
    )
    staged = 0
    for start in range(0, len(contracts), _AT_ONCE):
        # The versions are read before the deliveries: one that is confirmed in between comes in the next time again.
        some = Contract.objects.filter(pk__in=contracts[start : start + _AT_ONCE]).annotate(net=net("amount"))
        found = list(some.select_related("buyer", "award").defer("text").order_by("pk"))
        BookedContract.objects.bulk_create(
            [BookedContract(book=book, contract=row, version=row.deliveries_version) for row in found]
        )
        rows = list(_rows(batch, found, known, staged))
        StagedLine.objects.bulk_create(rows, batch_size=_AT_ONCE)
        staged += len(rows)
    return staged


@dataclass(frozen=True, slots=True)
class _Bought:
    """A purchase: of which share how much, for how much, in which order on which day."""

    order: str
    day: date
    share: Share
    quantity: Decimal
    amount: Decimal


def _rows(batch: Import, contracts: Sequence[Contract], known: dict[int, str], before: int) -> Iterator[StagedLine]:
    shared_out = contract_shares.of(contracts)
    delivered = _delivered([contract for contract in contracts if contract.deliveries_version])
    row = before
    for contract in contracts:
        shares = shared_out[contract.pk]
        own = f"{PREFIX}{contract.buyer_id}"
        number = known.get(contract.buyer_id, own)
        came = _by_delivery(contract, shares, delivered[contract.pk]) if contract.deliveries_version else None
        for bought_line in _at_signing(contract, shares) if came is None else came:
            if max(bought_line.quantity, bought_line.amount) > MOST:
                raise _TooLarge(contract.pk)
            row += 1
            heading = bought_line.share.heading
            yield StagedLine(
                batch=batch,
                row=row,
                account=number,
                # What the seller's own system calls a customer stays.
                account_name=contract.buyer.short_name if number == own else "",
                country=contract.buyer.country,
                order=bought_line.order,
                line=str(bought_line.share.number),
                day=bought_line.day,
                category=heading.code if heading else "",
                category_name=heading.name if heading else "",
                quantity=bought_line.quantity,
                amount=bought_line.amount,
                currency=contract.currency,
            )


def _at_signing(contract: Contract, shares: list[Share]) -> Iterator[_Bought]:
    for share in shares:
        yield _Bought(contract.number, _day(contract), share, share.quantity, share.amount)


def _by_delivery(contract: Contract, shares: list[Share], came: list[_Came]) -> Iterator[_Bought]:
    """What was accepted and kept of each delivery. A contract without priced lines has one share for everything: there
    its deliveries share the price by the part of the ordered quantities that each brought."""
    for share in shares:
        of_share = [
            (one, one.parts if share.item_id is None else one.kept.get(share.item_id, _NOTHING)) for one in came
        ]
        quantities = [kept for _one, kept in of_share]
        try:
            worth = amounts(share.amount, share.quantity, quantities, minor_unit(contract.currency))
        except InvalidOperation:  # more digits than are reckoned with
            raise _TooLarge(contract.pk) from None
        for (one, kept), amount in zip(of_share, worth, strict=True):
            if kept > 0 and amount > 0:
                quantity = max(kept.quantize(QUANTITY_STEP), QUANTITY_STEP)
                yield _Bought(_order(contract.number, one.number), one.day, share, quantity, amount)


@dataclass(slots=True)
class _Came:
    """A confirmed delivery: what of it was accepted and kept, by item; `parts` is that as a part of all ordered."""

    number: int
    day: date
    kept: dict[int, Decimal]
    parts: Decimal = _NOTHING


def _delivered(contracts: list[Contract]) -> dict[int, list[_Came]]:
    """The confirmed deliveries of each contract, in the order in which they were recorded."""
    found: dict[int, list[_Came]] = defaultdict(list)
    confirmed = Delivery.objects.filter(contract__in=contracts, status=DeliveryStatus.CONFIRMED.value)
    by_id: dict[int, _Came] = {}
    for one in confirmed.filter(kind=DeliveryKind.DELIVERY).order_by("contract", "number"):
        by_id[one.pk] = _Came(one.number, one.delivered_on, {})
        found[one.contract_id].append(by_id[one.pk])
    lines = DeliveryLine.objects.filter(delivery__in=confirmed).order_by("pk")
    for came_id, went_from, item, accepted in lines.values_list("delivery", "delivery__corrects", "item", "accepted"):
        came = by_id.get(went_from or came_id)
        if came is None:  # confirmed since the deliveries were read: the next time all of the contract comes in anew
            continue
        came.kept[item] = came.kept.get(item, _NOTHING) + (accepted or _NOTHING) * (-1 if went_from else 1)
    _in_parts(contracts, found)
    return found


def _in_parts(contracts: Sequence[Contract], found: dict[int, list[_Came]]) -> None:
    """Say of each delivery which part of all ordered it brought, every item weighing alike."""
    lots = {contract.pk: contract.award.lot_id for contract in contracts}
    ordered: dict[int, dict[int, Decimal]] = defaultdict(dict)
    for lot, item, quantity in Item.objects.filter(lot__in=set(lots.values())).values_list("lot", "pk", "quantity"):
        ordered[lot][item] = quantity
    for contract, came in found.items():
        whole = ordered[lots[contract]]
        for one in came:
            shares = [kept / whole[item] for item, kept in one.kept.items() if item in whole]
            one.parts = sum(shares, _NOTHING) / len(whole) if whole else _NOTHING


def _day(contract: Contract) -> date:
    assert contract.signed_at is not None
    return contract.signed_at.astimezone(UTC).date()


def _link(book: Book) -> None:
    """Say of new accounts which buyer they are, and of new categories which heading."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE analytics_account a SET buyer_id = o.id
            FROM marketplace_organisation o
            WHERE a.book_id = %(book)s AND a.buyer_id IS NULL AND a.external_id = %(prefix)s || o.id
            """,
            {"book": book.pk, "prefix": PREFIX},
        )
        cursor.execute(
            """
            UPDATE analytics_category c SET heading_id = h.id FROM marketplace_heading h
            WHERE c.book_id = %(book)s AND c.heading_id IS NULL AND c.code = h.code
            """,
            {"book": book.pk},
        )
