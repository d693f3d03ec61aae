"""What is thin or odd about a book's purchases, and about a file that is to come in: read cheaply, however long the
history is. The judgement itself is analytics.rules.remarks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Any, Final

from django.db import connection, transaction
from django.db.models import Max
from django.db.models.fields.json import KT

from analytics.models import Book, Import, ImportKind, ImportState, LineSource
from analytics.rules import remarks
from analytics.rules.remarks import Odd, Outline, Remark

#: Why rows stay out though nothing is wrong with them.
_UNDERSTOOD: Final = frozenset({"here_from_the_contract", "quantity_zero"})
#: Cells of the rollup that are looked at to see whether there are so few purchases that it matters.
_SOME: Final = 20 * remarks.FEW_PURCHASES


def of_book(book: Book, until: date) -> list[Remark]:
    """What is odd about all that a book holds, where it may know purchases to `until`. Nothing of an empty book."""
    held = outline(book, book.currency)
    found = remarks.of_history(held, until, own_until=own_until(book)) if held.days else []
    return [*found, *_other_currencies(book, book.currency)]


def own_until(book: Book, *, told: date | None = None) -> date | None:
    """The last day of which files or calls told, by what was noted of each file and when calls came; `told` is that of
    a file that is to come in. None where all comes from there, or nothing."""
    loaded = Import.objects.filter(book=book, state=ImportState.LOADED)
    if not loaded.filter(kind=ImportKind.CONTRACTS).exists():
        return None
    files = loaded.filter(kind=ImportKind.FILE).aggregate(last=Max(KT("found__preview__last")))["last"]
    called = loaded.filter(kind=ImportKind.API).aggregate(last=Max("loaded_at"))["last"]
    known = [date.fromisoformat(files)] if files else []
    return max([*known, *([called.date()] if called else []), *([told] if told else [])], default=None)


@transaction.atomic
def of_file(batch: Import, until: date) -> list[Remark]:
    """What is odd about the staged rows of a file, and about the history as it would be with them."""
    # Rows staged just now are not in the statistics yet: they would be gone through once for each customer.
    _run("SET LOCAL enable_nestloop = off")
    found = _of_file(batch, until)
    _run("SET LOCAL enable_nestloop = on")
    return found


def _run(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


def _of_file(batch: Import, until: date) -> list[Remark]:
    unusable = sum(count for why, count in batch.rejects.items() if why not in _UNDERSTOOD)
    found = remarks.of_rows(batch.counts.get("read", 0), unusable)
    staged = _Staged(batch)
    if not staged.rows:
        return found if batch.rejects else [Remark(Odd.NOTHING)]
    found += [*staged.customers(), *staged.equal_rows()]
    if staged.rows == staged.taken_back:
        found.append(remarks.NOTHING_LEFT)
    book = batch.book
    currency = book.currency or staged.currencies[0]
    added = staged.outline(currency)
    whole = _together(outline(book, currency), added)
    if whole.days:
        own = own_until(book, told=added.days[-1] if added.days else None)
        found += remarks.of_history(whole, until, own_until=own)
    held = {code for remark in _other_currencies(book, currency) for code in remark.details["others"]}
    return [*found, *remarks.of_currencies(currency, [*({*held, *staged.currencies} - {currency})])]


def outline(book: Book, currency: str) -> Outline:
    """The book's history in one currency in figures. Its days are stepped over by the index, one look-up for each that
    there is; accounts and purchases are counted as far as it matters."""
    values = {"book": book.pk, "currency": currency, "some": _SOME, "few": remarks.FEW_PURCHASES}
    [(accounts,)] = _rows(_ACCOUNTS, values)
    [(purchases,)] = _rows(_PURCHASES, values)
    return Outline([day for (day,) in _rows(_DAYS, values)], accounts, purchases)


def _together(held: Outline, added: Outline) -> Outline:
    """Both counts may hold the same purchases: the larger one is certain, and more than that matters in no case."""
    days = sorted({*held.days, *added.days})
    return replace(
        added,
        days=days,
        accounts=max(held.accounts, added.accounts),
        purchases=max(held.purchases, added.purchases),
    )


def _other_currencies(book: Book, scored: str) -> list[Remark]:
    found = [code for (code,) in _rows(_CURRENCIES, {"book": book.pk}) if code != scored]
    return remarks.of_currencies(scored, found)


class _Staged:
    """A file's rows as they were read."""

    def __init__(self, batch: Import) -> None:
        self.batch = batch
        self.values: dict[str, Any] = {"batch": batch.pk, "book": batch.book_id, "most": remarks.MOST_NAMED}
        [(self.rows, self.taken_back)] = _rows(_STAGED, self.values)
        #: The one with most rows first.
        self.currencies = [code for (code,) in _rows(_STAGED_CURRENCIES, self.values)]

    def outline(self, currency: str) -> Outline:
        values = {**self.values, "currency": currency}
        [(accounts, purchases)] = _rows(_STAGED_COUNTS, values)
        return Outline([day for (day,) in _rows(_STAGED_DAYS, values)], accounts, purchases)

    def equal_rows(self) -> list[Remark]:
        has_orders = "order_id" in self.batch.mapping.get("columns", {})
        [(rows,)] = _rows(_EQUAL, {**self.values, "has_orders": has_orders})
        return remarks.of_equal_rows(int(rows), has_orders=has_orders)

    def customers(self) -> list[Remark]:
        renamed = _rows(_RENAMED, self.values)
        shared = _rows(_NAMESAKES, self.values)
        merged = _rows(_MERGED, self.values)
        [(new, known)] = _rows(_KNOWN, self.values)
        found = [
            *remarks.renamed(_count(renamed), [(number, before, now) for _n, number, before, now in renamed]),
            *remarks.namesakes(_count(shared), [(name, numbers) for _n, name, numbers in shared]),
            *remarks.merged(_count(merged), [(number, other) for _n, number, other in merged]),
        ]
        if new and not known and any(_rows(_HAS_OWN, self.values)):
            found.append(Remark(Odd.ALL_NEW, {"customers": new}))
        return found


def _count(rows: Sequence[tuple[Any, ...]]) -> int:
    """Of all, which stands in every row of the examples."""
    return int(rows[0][0]) if rows else 0


def _rows(sql: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return list(cursor.fetchall())


_DAYS: Final = """
    WITH RECURSIVE seen AS (
        SELECT min(day) AS day FROM analytics_dayrollup WHERE book_id = %(book)s AND currency = %(currency)s
        UNION ALL
        SELECT (
            SELECT min(d.day) FROM analytics_dayrollup d
            WHERE d.book_id = %(book)s AND d.currency = %(currency)s AND d.day > seen.day
        ) FROM seen WHERE seen.day IS NOT NULL
    )
    SELECT day FROM seen WHERE day IS NOT NULL
"""
_ACCOUNTS: Final = """
    SELECT count(*) FROM (
        SELECT FROM analytics_account a WHERE a.book_id = %(book)s AND EXISTS (
            SELECT FROM analytics_dayrollup d WHERE d.account_id = a.id AND d.currency = %(currency)s
        ) LIMIT 2
    ) found
"""
_PURCHASES: Final = """
    SELECT least(count(DISTINCT (account_id, day)), %(few)s) FROM (
        SELECT account_id, day FROM analytics_dayrollup WHERE book_id = %(book)s AND currency = %(currency)s
        LIMIT %(some)s
    ) found
"""
_CURRENCIES: Final = """
    WITH RECURSIVE seen AS (
        SELECT min(currency) AS currency FROM analytics_itemday WHERE book_id = %(book)s
        UNION ALL
        SELECT (
            SELECT min(d.currency) FROM analytics_itemday d WHERE d.book_id = %(book)s AND d.currency > seen.currency
        ) FROM seen WHERE seen.currency IS NOT NULL
    )
    SELECT currency FROM seen WHERE currency IS NOT NULL
"""
_HAS_OWN: Final = f"""
    SELECT 1 FROM analytics_orderline WHERE book_id = %(book)s AND source = '{LineSource.OWN}' AND current LIMIT 1
"""
_STAGED: Final = """
    SELECT count(*), count(*) FILTER (WHERE quantity < 0) FROM analytics_stagedline WHERE batch_id = %(batch)s
"""
_STAGED_CURRENCIES: Final = """
    SELECT currency FROM analytics_stagedline WHERE batch_id = %(batch)s
    GROUP BY currency ORDER BY count(*) DESC, currency
"""
_STAGED_DAYS: Final = """
    SELECT DISTINCT day FROM analytics_stagedline
    WHERE batch_id = %(batch)s AND currency = %(currency)s AND quantity > 0 ORDER BY day
"""
_STAGED_COUNTS: Final = """
    SELECT count(DISTINCT account), count(*) FROM (
        SELECT DISTINCT account, day FROM analytics_stagedline
        WHERE batch_id = %(batch)s AND currency = %(currency)s AND quantity > 0
    ) bought
"""
_EQUAL: Final = """
    SELECT coalesce(sum(n - 1), 0) FROM (
        SELECT count(*) AS n FROM analytics_stagedline
        WHERE batch_id = %(batch)s AND ("order" <> '') = %(has_orders)s
        GROUP BY "order", line, account, day, item, category, cancels, quantity, amount, currency
        HAVING count(*) > 1
    ) equal
"""
# By number, the names that the file gives it: the first, and the last.
_NAMED: Final = """
    named AS MATERIALIZED (
        SELECT account AS number, (array_agg(account_name ORDER BY first_row))[1] AS first,
            (array_agg(account_name ORDER BY last_row DESC))[1] AS name
        FROM (
            SELECT account, account_name, min(row) AS first_row, max(row) AS last_row FROM analytics_stagedline
            WHERE batch_id = %(batch)s AND account_name <> '' GROUP BY account, account_name
        ) said GROUP BY account
    )
"""
# A customer that was known by its number alone gets a name and loses none.
_RENAMED: Final = f"""
    WITH {_NAMED}, changed AS (
        SELECT n.number, n.name AS now, CASE
            WHEN a.name <> a.external_id AND a.name <> n.name THEN a.name
            WHEN n.first <> n.name THEN n.first
        END AS before
        FROM named n LEFT JOIN analytics_account a ON a.book_id = %(book)s AND a.external_id = n.number
    )
    SELECT count(*) OVER (), number, before, now FROM changed WHERE before IS NOT NULL ORDER BY number LIMIT %(most)s
"""
# Numbers that were merged already are one customer.
_NAMESAKES: Final = f"""
    WITH {_NAMED}, keyed AS MATERIALIZED (
        SELECT number, name, upper(regexp_replace(name, '\\s+', ' ', 'g')) AS key FROM named
    ), everybody AS (
        SELECT n.number, n.name, n.key FROM keyed n WHERE NOT EXISTS (
            SELECT FROM analytics_account a
            WHERE a.book_id = %(book)s AND a.external_id = n.number AND a.merged_into_id IS NOT NULL
        )
        UNION ALL
        SELECT a.external_id, a.name, upper(a.name) FROM analytics_account a
        WHERE a.book_id = %(book)s AND a.merged_into_id IS NULL
            AND upper(a.name) IN (SELECT key FROM keyed)
            AND NOT EXISTS (SELECT FROM keyed n WHERE n.number = a.external_id)
    )
    SELECT count(*) OVER (), min(name), array_agg(number ORDER BY number)
    FROM everybody GROUP BY key HAVING count(*) > 1 ORDER BY key LIMIT %(most)s
"""
_MERGED: Final = """
    SELECT count(*) OVER (), a.external_id, t.external_id
    FROM analytics_account a JOIN analytics_account t ON t.id = a.merged_into_id
    WHERE a.book_id = %(book)s
        AND a.external_id IN (SELECT account FROM analytics_stagedline WHERE batch_id = %(batch)s)
    ORDER BY a.external_id LIMIT %(most)s
"""
_KNOWN: Final = """
    SELECT count(*) FILTER (WHERE a.id IS NULL), count(a.id)
    FROM (SELECT DISTINCT account FROM analytics_stagedline WHERE batch_id = %(batch)s) s
    LEFT JOIN analytics_account a ON a.book_id = %(book)s AND a.external_id = s.account
"""
