"""Imports of a book, what was read of a file before it is loaded, the book's purchases in figures, its accounts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from django.db import connection
from django.db.models import Count, Max, Min, OuterRef, Q, QuerySet, Subquery, Sum, Value
from django.db.models.functions import Upper

from analytics.models import (
    Account,
    AccountMerge,
    Book,
    DayRollup,
    Import,
    ImportState,
    LineSource,
    OrderLine,
    SameSale,
    StagedLine,
)

#: Rows shown as they were understood.
PREVIEW_ROWS = 10


@dataclass(frozen=True, slots=True)
class Held:
    """What a book holds, by currency: days on which something was bought, money, the first and the last day."""

    currency: str
    days: int
    amount: Any
    first: date
    last: date


def imports(book: Book) -> QuerySet[Import]:
    """All imports that are not thrown away, the newest first."""
    return Import.objects.filter(book=book).exclude(state=ImportState.DISCARDED).select_related("created_by")


def held(book: Book) -> list[Held]:
    rows = (
        DayRollup.objects.filter(book=book)
        .order_by()
        .values("currency")
        .annotate(days=Count("pk"), sum=Sum("amount"), first=Min("day"), last=Max("day"))
        .order_by("-days", "currency")
    )
    return [Held(row["currency"], row["days"], row["sum"], row["first"], row["last"]) for row in rows]


def accounts(book: Book, *, text: str = "") -> QuerySet[Account]:
    """Accounts that stand for themselves, by a part of the name or the beginning of the number."""
    found = Account.objects.filter(book=book, merged_into=None)
    if text:
        found = found.annotate(upper=Upper("name")).filter(
            Q(upper__contains=Upper(Value(text))) | Q(external_id__startswith=text)
        )
    return found.order_by("name", "pk")


def merges(book: Book) -> QuerySet[AccountMerge]:
    """Merges, the newest first, those undone included."""
    return AccountMerge.objects.filter(book=book).select_related("source", "target", "merged_by", "undone_by")


def same_sales(book: Book) -> QuerySet[SameSale]:
    """Orders that are contracts, those told apart included, with `day`, `amount` and `currency` of the order."""
    lines = OrderLine.objects.filter(
        book=OuterRef("book"), source=LineSource.OWN, order=OuterRef("order"), current=True, quantity__gt=0
    ).order_by()
    of_order = lines.values("order")
    rows = SameSale.objects.filter(book=book).select_related("account", "apart_by")
    return rows.annotate(
        day=Subquery(of_order.annotate(first=Min("day")).values("first")),
        amount=Subquery(of_order.annotate(sum=Sum("amount")).values("sum")),
        currency=Subquery(of_order.annotate(one=Min("currency")).values("one")),
    )


def understood(batch: Import) -> list[StagedLine]:
    """The first rows as they were read."""
    return list(batch.staged.order_by("row", "pk")[:PREVIEW_ROWS])


_PREVIEW = """
    SELECT count(*), min(day), max(day), count(*) FILTER (WHERE quantity < 0),
        count(DISTINCT nullif(item, '')), count(DISTINCT nullif(category, '')), count(DISTINCT day)
    FROM analytics_stagedline WHERE batch_id = %(batch)s
"""
_ACCOUNTS = """
    SELECT count(*), count(a.id) FROM (
        SELECT DISTINCT account FROM analytics_stagedline WHERE batch_id = %(batch)s
    ) s LEFT JOIN analytics_account a ON a.book_id = %(book)s AND a.external_id = s.account
"""


def preview(batch: Import) -> dict[str, Any]:
    """What the staged rows would bring, fit for JSON: rows, period, accounts new and known, money by currency."""
    values = {"batch": batch.pk, "book": batch.book_id}
    with connection.cursor() as cursor:
        cursor.execute(_PREVIEW, values)
        rows, first, last, back, items, categories, days = cursor.fetchone()
        cursor.execute(_ACCOUNTS, values)
        accounts_all, known = cursor.fetchone()
    money = batch.staged.order_by().values("currency").annotate(sum=Sum("amount"), rows=Count("pk"))
    return {
        "rows": rows,
        "first": first.isoformat() if first else "",
        "last": last.isoformat() if last else "",
        "taken_back": back,
        "items": items,
        "categories": categories,
        "days": days,
        "accounts_new": accounts_all - known,
        "accounts_known": known,
        "money": {row["currency"]: f"{row['sum']:f}" for row in money.order_by("-rows", "currency")},
    }
