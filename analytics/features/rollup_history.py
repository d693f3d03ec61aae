"""Purchases from the rollup as arrays: by COPY in binary, so that millions of days cost seconds and little memory."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import numpy as np
from django.db import connection
from django.db.models import Max
from numpy.typing import NDArray

from analytics.models import Account, Book, Category, Item, ItemDay
from analytics.rules import remarks
from analytics.rules.history import NONE, History, collapse

#: One row of COPY (FORMAT BINARY): the number of fields, then each with its length before it, all big-endian.
_ROW: Final = np.dtype(
    [
        ("fields", ">i2"),
        *[
            pair
            for name, kind, size in (
                ("account", ">i8", 8), ("category", ">i8", 8), ("item", ">i8", 8), ("day", ">i4", 4),
                ("quantity", ">f8", 8), ("amount", ">f8", 8),
            )
            for pair in ((f"{name}_length", ">i4"), (name, kind))
        ],
    ]
)  # fmt: skip
_HEAD: Final = 19  # signature, flags, length of the extension, which is empty
_END: Final = b"\xff\xff"
_AT_ONCE: Final = 1 << 22
_COLUMNS: Final = ("account", "category", "item", "day", "quantity", "amount")


@dataclass(frozen=True, slots=True)
class Frame:
    """What codes mean in a run: the same in every part of it."""

    categories: tuple[int, ...]
    items: tuple[int, ...]
    first_day: date


@dataclass(frozen=True, slots=True)
class Part:
    """The accounts whose hash falls to `number` of `of`."""

    number: int = 0
    of: int = 1


WHOLE: Final = Part()
# Knuth's multiplicative hash: accounts registered one after the other fall apart.
_OF_PART: Final = """
    JOIN (
        SELECT id FROM analytics_account
        WHERE book_id = %(book)s AND ((id * 2654435761 %% 4294967296) >> 8) %% %(of)s = %(number)s
    ) part ON part.id = account_id
"""
_WITHOUT: Final = "AND account_id <> ALL(%(without)s)"
_QUERY: Final = """
    COPY (
        SELECT account_id, coalesce(category_id, 0), coalesce(item_id, 0), day - %(first)s::date,
            quantity::float8, amount::float8
        FROM analytics_itemday d {of_part}
        WHERE d.book_id = %(book)s AND currency = %(currency)s AND day <= %(until)s {without}
    ) TO STDOUT (FORMAT BINARY)
"""


def frame_of(book: Book, currency: str, until: date) -> Frame | None:
    """What a run over the book's days to `until` (included) is about; None where there are none."""
    days = ItemDay.objects.filter(book=book, currency=currency, day__lte=until)
    first = days.order_by("day").values_list("day", flat=True).first()
    if first is None:
        return None
    categories = days.order_by().exclude(category=None).values_list("category_id", flat=True).distinct()
    items = days.order_by().exclude(item=None).values_list("item_id", flat=True).distinct()
    return Frame(tuple(sorted(categories)), tuple(sorted(items)), first)


def moved_on(book: Book, currency: str, others: Collection[str], until: date) -> list[int]:
    """Accounts that buy in one of the `others` now: their silence in this currency is none."""
    days = ItemDay.objects.filter(book=book, day__lte=until).order_by()
    latest = dict(days.filter(currency__in=others).values_list("account").annotate(last=Max("day")))
    here = days.filter(currency=currency, account__in=list(latest)).values_list("account").annotate(last=Max("day"))
    return sorted(
        account
        for account, last in here
        if remarks.has_moved_on(last.toordinal(), latest[account].toordinal(), until.toordinal())
    )


@dataclass(frozen=True, slots=True)
class Bought:
    """What accounts bought in other currencies than the one that is scored, as pairs of ids of account and thing."""

    items: frozenset[tuple[int, int]] = frozenset()
    categories: frozenset[tuple[int, int]] = frozenset()


def bought_elsewhere(book: Book, others: Collection[str], until: date, accounts: Sequence[int]) -> Bought:
    """What the accounts bought to `until` (included) in these currencies."""
    days = ItemDay.objects.filter(book=book, currency__in=others, account__in=accounts, day__lte=until)
    rows = list(days.order_by().values_list("account_id", "item_id", "category_id").distinct())
    return Bought(
        frozenset((account, item) for account, item, _category in rows if item is not None),
        frozenset((account, category) for account, _item, category in rows if category is not None),
    )


def history(
    book: Book, currency: str, until: date, frame: Frame, part: Part = WHOLE, *, without: Sequence[int] = ()
) -> tuple[History, list[int]]:
    """The days to `until` (included) of a part's accounts but those `without`, and the accounts' ids by code."""
    values = {
        "book": book.pk, "currency": currency, "until": until, "first": frame.first_day, "of": part.of,
        "number": part.number, "without": list(without),
    }  # fmt: skip
    chunks: dict[str, list[NDArray[Any]]] = {name: [] for name in _COLUMNS}
    # The accounts of a part are looked up: to go through the whole book for each would take longer with every part.
    parts = {"of_part": _OF_PART if part.of > 1 else "", "without": _WITHOUT if without else ""}
    for rows in _copied(_QUERY.format(**parts), values):
        for name in ("quantity", "amount"):
            chunks[name].append(rows[name].astype(np.float64))
        chunks["account"].append(rows["account"].astype(np.int64))
        chunks["category"].append(_codes(rows["category"], frame.categories))
        chunks["item"].append(_codes(rows["item"], frame.items))
        chunks["day"].append(rows["day"].astype(np.int32))
    columns = {name: np.concatenate(some) if some else np.empty(0) for name, some in chunks.items()}
    ids, account = np.unique(columns["account"].astype(np.int64), return_inverse=True)
    accounts = [int(pk) for pk in ids]
    found = collapse(
        account=account.astype(np.int32),
        day=columns["day"].astype(np.int32),
        quantity=columns["quantity"],
        amount=columns["amount"],
        accounts=_names(Account, accounts, "external_id"),
        first_day=frame.first_day,
        category=columns["category"].astype(np.int32),
        item=columns["item"].astype(np.int32),
        categories=_names(Category, frame.categories, "code"),
        items=_names(Item, frame.items, "code"),
        item_category=_item_categories(frame),
    )
    return found, accounts


def _copied(query: str, values: dict[str, Any]) -> Iterator[Any]:
    """The rows as structured arrays, some megabytes at a time."""
    with connection.cursor() as cursor, cursor.copy(query, values) as copy:
        kept = bytearray()
        head = _HEAD
        for some in copy:
            kept += some
            if head and len(kept) >= head:
                del kept[:head]
                head = 0
            if not head and len(kept) >= _AT_ONCE:
                whole = len(kept) // _ROW.itemsize * _ROW.itemsize
                yield np.frombuffer(bytes(kept[:whole]), _ROW)
                del kept[:whole]
        if kept[-2:] != _END or (len(kept) - 2) % _ROW.itemsize:
            raise ValueError("the rollup was not read whole")
        yield np.frombuffer(bytes(kept[:-2]), _ROW)


def _codes(ids: NDArray[Any], known: tuple[int, ...]) -> NDArray[np.int32]:
    """The places of ids among the known ones; NONE for 0 and for what came since."""
    if not known:
        return np.full(len(ids), NONE, dtype=np.int32)
    among = np.asarray(known, dtype=np.int64)
    places = np.clip(np.searchsorted(among, ids), 0, len(among) - 1)
    return np.where(among[places] == ids, places, NONE).astype(np.int32)


def _names(model: Any, ids: tuple[int, ...] | list[int], column: str) -> tuple[str, ...]:
    names = dict(model.objects.filter(pk__in=list(ids)).order_by().values_list("pk", column))
    return tuple(str(names.get(pk, "")) for pk in ids)


def _item_categories(frame: Frame) -> NDArray[np.int32]:
    found = dict(Item.objects.filter(pk__in=list(frame.items)).order_by().values_list("pk", "category_id"))
    return _codes(np.asarray([found.get(pk) or 0 for pk in frame.items], dtype=np.int64), frame.categories)
