"""The marketplace's own contracts as purchases: of its buyers in the platform's book, of its customers in a supplier's.

A contract counts on the day on which its second side signed, at its price without VAT, shared out over the lines of the
bid that won; it is taken out again when it is terminated. What was sold in a sale is no purchase and stays out.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import groupby
from typing import Final

from django.db import connection, transaction
from django.db.models import Exists, OuterRef, QuerySet

from analytics.models import Account, Book, Import, ImportKind, ImportState, LineSource, OrderLine, StagedLine
from analytics.queries.spend import bought, net
from analytics.rules.spend import apportion
from analytics.services import loading
from analytics.services.loading import Loaded
from analytics.services.transitions import move_import
from marketplace.shared.money import minor_unit
from procurement.models import BidPrice, Contract

_AT_ONCE: Final = 2000
#: What an account is called that came from the platform and not from the seller's own system.
PREFIX: Final = "openlot-"


@transaction.atomic
def refresh(book_id: int, *, at: datetime) -> Loaded | None:
    """Bring in what was signed since, take out what was terminated; None where nothing was. Safe to repeat."""
    book = loading.lock(book_id)
    gone = _terminated(book)
    missing = _missing(book)
    if not gone and not missing.exists():
        return None
    removed = loading.remove_orders(book, LineSource.CONTRACTS, gone)
    batch = Import.objects.create(
        book=book, kind=ImportKind.CONTRACTS, state=ImportState.LOADING, created_at=at, loaded_at=at
    )
    read = _stage(batch, book, missing)
    done = loading.load(batch, book)
    _link(book)
    batch.staged.all().delete()
    loading.settle_currency(book)
    move_import(batch, ImportState.LOADED)
    batch.counts = {**done.as_json(), "removed": removed, "read": read, "accepted": read, "rejected": 0}
    batch.save(update_fields=["state", "counts"])
    return done


def _counted(book: Book) -> QuerySet[Contract]:
    found = bought().filter(signed_at__isnull=False)
    return found if book.owner_id is None else found.filter(supplier=book.owner_id)


def _missing(book: Book) -> QuerySet[Contract]:
    lines = OrderLine.objects.filter(book=book, source=LineSource.CONTRACTS, current=True, order=OuterRef("number"))
    return _counted(book).filter(~Exists(lines))


def _terminated(book: Book) -> list[str]:
    """Numbers of the contracts in the book that no longer count."""
    lines = OrderLine.objects.filter(book=book, source=LineSource.CONTRACTS, current=True)
    stands = _counted(book).filter(number=OuterRef("order"))
    return list(lines.filter(~Exists(stands)).order_by("order").values_list("order", flat=True).distinct())


def _stage(batch: Import, book: Book, contracts: QuerySet[Contract]) -> int:
    known = dict(
        Account.objects.filter(book=book, buyer__isnull=False, merged_into=None)
        .order_by("-pk")
        .values_list("buyer_id", "external_id")
    )
    staged = 0
    found = (
        contracts.annotate(net=net("amount"))
        .select_related("buyer")
        .defer("text")
        .order_by("pk")
        .iterator(chunk_size=_AT_ONCE)
    )
    for _number, some in groupby(enumerate(found), key=lambda pair: pair[0] // _AT_ONCE):
        rows = list(_rows(batch, [contract for _place, contract in some], known, staged))
        StagedLine.objects.bulk_create(rows, batch_size=_AT_ONCE)
        staged += len(rows)
    return staged


def _rows(batch: Import, contracts: list[Contract], known: dict[int, str], before: int) -> Iterator[StagedLine]:
    prices: dict[int, list[BidPrice]] = {}
    lines = BidPrice.objects.filter(bid__awards__contract__in=contracts, amount__gt=0)
    for line in lines.select_related("item__category", "bid").order_by("item__number", "pk"):
        prices.setdefault(line.bid_id, []).append(line)
    row = before
    bids = dict(Contract.objects.filter(pk__in=[c.pk for c in contracts]).values_list("pk", "award__bid_id"))
    for contract in contracts:
        own = f"{PREFIX}{contract.buyer_id}"
        for number, amount, quantity, price in _shares(contract, prices.get(bids[contract.pk], [])):
            row += 1
            heading = price.item.category if price else None
            yield StagedLine(
                batch=batch,
                row=row,
                account=known.get(contract.buyer_id, own),
                # What the seller's own system calls a customer stays.
                account_name=contract.buyer.short_name if known.get(contract.buyer_id, own) == own else "",
                country=contract.buyer.country,
                order=contract.number,
                line=str(number),
                day=_day(contract),
                category=heading.code if heading else "",
                category_name=heading.name if heading else "",
                quantity=quantity,
                amount=amount,
                currency=contract.currency,
            )


def _shares(contract: Contract, prices: list[BidPrice]) -> Iterator[tuple[int, Decimal, Decimal, BidPrice | None]]:
    """Line number, money, quantity and price line: what was paid, shared out as the bid's lines had it.

    After a live auction that is less than their sum, and each bears its part.
    """
    total: Decimal = contract.net  # type: ignore[attr-defined]
    whole = sum((price.amount for price in prices), Decimal(0))
    if not prices or not whole:
        if total > 0:
            yield 1, total, Decimal(1), None
        return
    parts = apportion([total * price.amount / whole for price in prices], total, minor_unit(contract.currency))
    for price, part in zip(prices, parts, strict=True):
        if part > 0:
            yield price.item.number, part, price.item.quantity, price


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
