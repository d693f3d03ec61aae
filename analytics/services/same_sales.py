"""Orders of a company's own system that are contracts on the platform by another number: found, and told apart again.

They are looked for whenever purchases come, go, or change hands, of the customers concerned; nothing is deleted: the
rollup leaves the order's lines out as long as the two are one sale.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final

from django.db import connection

from analytics import permissions
from analytics.models import Book, BookedContract, SameSale
from analytics.queries.spend import net
from analytics.rules.same_sale import AFTER, BEFORE, Sale, pairs
from analytics.services import contract_shares, rollup
from analytics.services.busy import bounded_wait
from marketplace import audit
from marketplace.permissions import Actor, person_of
from marketplace.shared.errors import NotFound
from marketplace.shared.money import minor_unit
from procurement.models import Contract

#: A customer, as it counts after merges, and a currency.
Key = tuple[int, str]


def settle(book: Book) -> None:
    """Find anew the orders that are contracts, of the customers in `touched`, and touch what that changes.

    The caller holds the book's lock and has called `rollup.begin`.
    """
    roots = [row[0] for row in _rows(_ROOTS, book=book.pk)]
    if not roots:
        return
    standing = {(order, contract): pk for pk, order, contract in _rows(_STANDING, book=book.pk, roots=roots)}
    found = _found(book, roots)
    gone, new = standing.keys() - found.keys(), found.keys() - standing.keys()
    SameSale.objects.filter(pk__in=[standing[pair] for pair in gone]).delete()
    SameSale.objects.bulk_create(
        SameSale(book=book, account_id=found[order, contract], order=order, contract=contract)
        for order, contract in sorted(new)
    )
    _touch(book, {order for order, _contract in gone | new})


@bounded_wait()
def tell_apart(book: Book, same_sale_id: int, *, by: Actor, at: datetime) -> SameSale:
    """Say that the order and the contract are two sales: both count. Raises ManagerOnly, NotFound, BookBusy."""
    return _said(book, same_sale_id, by, at, apart=True)


@bounded_wait()
def take_as_one(book: Book, same_sale_id: int, *, by: Actor, at: datetime) -> SameSale:
    """Take back that they are two. They count once again where nothing else has come between.

    Raises ManagerOnly, NotFound, BookBusy.
    """
    return _said(book, same_sale_id, by, at, apart=False)


def _said(book: Book, same_sale_id: int, by: Actor, at: datetime, *, apart: bool) -> SameSale:
    permissions.require_manager(by, book)
    book = Book.objects.select_for_update(no_key=True, of=("self",)).get(pk=book.pk)
    found = SameSale.objects.select_related("account").filter(book=book, pk=same_sale_id).first()
    if found is None:
        raise NotFound
    if (found.apart_at is not None) is apart:  # sent twice
        return found
    rollup.begin()
    _touch(book, [found.order])
    audit.record(
        "sale.told_apart" if apart else "sale.taken_as_one", found, by=by, at=at, stream=f"book:{book.pk}",
        order=found.order, contract=found.contract,
    )  # fmt: skip
    if apart:
        found.apart_at, found.apart_by = at, person_of(by)
        found.save(update_fields=["apart_at", "apart_by"])
    else:
        found.delete()  # and found again, if it still is
    settle(book)
    rollup.redo(book)
    return found


def _found(book: Book, roots: list[int]) -> dict[tuple[str, str], int]:
    """Pairs of an order and a contract, or a delivery of one, with an account of the order."""
    wholes, parts = _here(book, roots)
    everything = [sale for sales in (*wholes.values(), *parts.values()) for sale in sales]
    if not everything:
        return {}
    own, accounts = _own(book, sorted({root for root, _currency in (*wholes, *parts)}), everything)
    said = SameSale.objects.filter(book=book).exclude(apart_at=None)
    apart = set(said.values_list("order", "contract"))
    found: list[tuple[str, str]] = []
    for key, orders in own.items():
        whole = pairs(orders, wholes[key], apart)
        taken, bought = {order for order, _ in whole}, {contract for _, contract in whole}
        left = [order for order in orders if order.number not in taken]
        deliveries = [part for part in parts[key] if _contract(part.number) not in bought]
        theirs = {(order, part.number) for order, one in apart for part in deliveries if _contract(part.number) == one}
        found += [*whole, *pairs(left, deliveries, apart | theirs)]
    return {pair: accounts[pair[0]] for pair in found}


def _here(book: Book, roots: list[int]) -> tuple[dict[Key, list[Sale]], dict[Key, list[Sale]]]:
    """The contracts in the book as they were signed, and the deliveries of those that count as delivered."""
    wholes: dict[Key, list[Sale]] = defaultdict(list)
    parts: dict[Key, list[Sale]] = defaultdict(list)
    for order, root, currency, sale, _account in _sales(_HERE, book=book.pk, roots=roots):
        (parts if "/" in order else wholes)[root, currency].append(sale)
    keys: dict[str, Key] = {}
    last: dict[str, date] = {}
    for key, sales in parts.items():
        for part in sales:
            number = _contract(part.number)
            keys[number], last[number] = key, max(last.get(number, part.last), part.last)
    booked = BookedContract.objects.filter(book=book, contract__number__in=keys).values("contract")
    contracts = Contract.objects.filter(pk__in=booked).annotate(net=net("amount")).select_related("award")
    rows = list(contracts.defer("text"))
    shared_out = contract_shares.of(rows)
    for contract in rows:
        shares = shared_out[contract.pk]
        assert contract.signed_at is not None
        signed = contract.signed_at.astimezone(UTC).date()
        amount = sum((share.amount for share in shares), Decimal(0))
        quantities = tuple(sorted(share.quantity for share in shares))
        end = max(signed, last[contract.number])
        wholes[keys[contract.number]].append(Sale(contract.number, signed, end, amount, quantities))
    return wholes, parts


def _own(book: Book, roots: list[int], here: Sequence[Sale]) -> tuple[dict[Key, list[Sale]], dict[str, int]]:
    """Orders of the same money and near the days, and of each an account."""
    found: dict[Key, list[Sale]] = defaultdict(list)
    accounts: dict[str, int] = {}
    asked = {
        "book": book.pk, "roots": roots, "amounts": sorted({sale.amount for sale in here}),
        "first": min(sale.first for sale in here) - BEFORE, "last": max(sale.last for sale in here) + AFTER,
    }  # fmt: skip
    for order, root, currency, sale, account in _sales(_OWN, **asked):
        found[root, currency].append(sale)
        accounts[order] = account
    return found, accounts


def _sales(sql: str, **asked: Any) -> Iterable[tuple[str, int, str, Sale, int]]:
    for order, root, currency, first, last, amount, quantities, account in _rows(sql, **asked):
        rounded = amount.quantize(minor_unit(currency))
        yield order, root, currency, Sale(order, first, last, rounded, tuple(quantities)), account


def _contract(number: str) -> str:
    """The contract of a delivery."""
    return number.rpartition("/")[0]


def _touch(book: Book, orders: Iterable[str]) -> None:
    if found := sorted(orders):
        with connection.cursor() as cursor:
            cursor.execute(_TOUCH, {"book": book.pk, "orders": found})


def _rows(sql: str, **asked: int | str | date | list[int] | list[Decimal]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, asked)
        return list(cursor.fetchall())


# None where the book has lines of one kind only.
_ROOTS: Final = """
    SELECT DISTINCT coalesce(a.merged_into_id, a.id)
    FROM touched t JOIN analytics_account a ON a.id = t.account_id
    WHERE EXISTS (SELECT FROM analytics_samesale WHERE book_id = %(book)s AND apart_at IS NULL)
        OR (EXISTS (SELECT FROM analytics_orderline WHERE book_id = %(book)s AND source = 'own' AND current)
            AND EXISTS (SELECT FROM analytics_orderline WHERE book_id = %(book)s AND source = 'contracts' AND current))
"""
_STANDING: Final = """
    SELECT s.id, s."order", s.contract FROM analytics_samesale s JOIN analytics_account a ON a.id = s.account_id
    WHERE s.book_id = %(book)s AND s.apart_at IS NULL AND coalesce(a.merged_into_id, a.id) = ANY(%(roots)s)
"""
_SALES: Final = """
    SELECT l."order", coalesce(a.merged_into_id, a.id) AS root, l.currency, min(l.day), max(l.day), sum(l.amount),
        array_agg(l.quantity ORDER BY l.quantity), min(l.account_id)
    FROM analytics_account a JOIN analytics_orderline l ON l.account_id = a.id AND l.current
    WHERE a.book_id = %(book)s AND coalesce(a.merged_into_id, a.id) = ANY(%(roots)s) AND l.quantity > 0
"""
_HERE: Final = f"""
    {_SALES} AND l.source = 'contracts' GROUP BY l."order", root, l.currency
"""
_OWN: Final = f"""
    {_SALES} AND l.source = 'own' AND l.counts_on BETWEEN %(first)s AND %(last)s
    GROUP BY l."order", root, l.currency HAVING round(sum(l.amount), 2) = ANY(%(amounts)s)
"""
_TOUCH: Final = """
    INSERT INTO touched SELECT account_id, coalesce(category_id, 0), counts_on FROM analytics_orderline
    WHERE book_id = %(book)s AND source = 'own' AND current AND ("order" = ANY(%(orders)s) OR cancels = ANY(%(orders)s))
"""
