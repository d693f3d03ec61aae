"""The rollup by day, kept by SQL: only cells that changed are reckoned again, and come out as if all had been.

A cell is what an account bought in one category on one day. Accounts that were merged count as the one they were merged
into. The caller holds the book's lock and fills `touched`, a temporary table of (account_id, category_id, day) with 0
for no category; it lives as long as the transaction.
"""

from __future__ import annotations

from typing import Final

from django.db import connection
from django.utils.translation import gettext_lazy as _

from analytics.models import Book
from marketplace.shared.errors import DomainError

#: Money, or pieces, of a cell: what a line may have at most. Sums of months then have room in their columns.
MOST: Final = 10**14


class DayTooLarge(DomainError):
    code, status = "purchase_day_too_large", 422
    sentence = _(
        "What customer %(account)s bought on %(day)s comes to more than can be kept. Check amounts and quantities."
    )


_TOUCHED: Final = """
    CREATE TEMP TABLE IF NOT EXISTS touched (
        account_id bigint NOT NULL, category_id bigint NOT NULL, day date NOT NULL
    ) ON COMMIT DROP;
    TRUNCATE touched
"""
# A merged account's cells are those of the account it counts as, which may have taken in others.
_CELLS: Final = """
    CREATE TEMP TABLE cells ON COMMIT DROP AS
        SELECT DISTINCT coalesce(a.merged_into_id, a.id) AS account_id, t.category_id, t.day
        FROM touched t JOIN analytics_account a ON a.id = t.account_id;
    ANALYZE cells;
    CREATE TEMP TABLE members ON COMMIT DROP AS
        SELECT DISTINCT account_id AS id, account_id AS root FROM cells
        UNION ALL
        SELECT a.id, r.account_id
        FROM (SELECT DISTINCT account_id FROM cells) r JOIN analytics_account a ON a.merged_into_id = r.account_id;
    ANALYZE members
"""
_FORGET: Final = """
    DELETE FROM {table} d USING (
        SELECT DISTINCT account_id, category_id, day FROM touched
        UNION SELECT account_id, category_id, day FROM cells
    ) c
    WHERE d.account_id = c.account_id AND d.day = c.day AND coalesce(d.category_id, 0) = c.category_id
"""
# An order that was taken back whole is none; what is taken back counts on the day of the order it names. An order that
# is a contract on the platform counts as that alone, and so does what takes it back.
_KEPT: Final = """
    CREATE TEMP TABLE kept ON COMMIT DROP AS
    SELECT * FROM (
        SELECT n.*,
            sum(n.quantity) OVER cell AS left_quantity,
            sum(n.amount) OVER cell AS left_amount
        FROM (
            SELECT m.root, l.category_id, l.item_id, l.currency, l.counts_on, l.source,
                CASE WHEN l.quantity < 0 AND l.cancels <> '' THEN l.cancels ELSE l."order" END AS number,
                sum(l.quantity) AS quantity, sum(l.amount) AS amount
            FROM members m
            JOIN analytics_orderline l ON l.account_id = m.id AND l.current
            JOIN cells c
                ON c.account_id = m.root AND c.category_id = coalesce(l.category_id, 0) AND c.day = l.counts_on
            WHERE NOT EXISTS (
                SELECT FROM analytics_samesale s
                WHERE s.book_id = %(book)s AND l.source = 'own' AND s.apart_at IS NULL
                    AND s."order" = CASE WHEN l.quantity < 0 AND l.cancels <> '' THEN l.cancels ELSE l."order" END
            )
            GROUP BY m.root, l.category_id, l.item_id, l.currency, l.counts_on, l.source, number
        ) n
        WINDOW cell AS (PARTITION BY n.root, n.category_id, n.item_id, n.currency, n.counts_on)
    ) k WHERE left_quantity > 0 AND left_amount > 0
"""
# Looked for only where the largest of so many rows leaves it possible.
_TOO_LARGE: Final = """
    SELECT a.external_id, k.counts_on
    FROM kept k JOIN analytics_account a ON a.id = k.root
    WHERE (SELECT count(*) * greatest(max(quantity), max(amount)) FROM kept) > %(most)s
    GROUP BY a.external_id, k.category_id, k.currency, k.counts_on
    HAVING sum(k.amount) > %(most)s OR sum(k.quantity) > %(most)s
    ORDER BY 2, 1 LIMIT 1
"""
_ITEM_DAYS: Final = """
    INSERT INTO analytics_itemday
        (book_id, account_id, category_id, item_id, currency, day, orders, quantity, amount)
    SELECT %(book)s, root, category_id, item_id, currency, counts_on,
        count(DISTINCT (source, number)) FILTER (WHERE quantity > 0), sum(quantity), sum(amount)
    FROM kept GROUP BY root, category_id, item_id, currency, counts_on
"""
_DAYS: Final = """
    INSERT INTO analytics_dayrollup (book_id, account_id, category_id, currency, day, orders, quantity, amount)
    SELECT %(book)s, root, category_id, currency, counts_on,
        count(DISTINCT (source, number)) FILTER (WHERE quantity > 0), sum(quantity), sum(amount)
    FROM kept GROUP BY root, category_id, currency, counts_on
"""
_DROP: Final = "DROP TABLE IF EXISTS cells, members, kept"


def begin() -> None:
    """An empty `touched` for this transaction."""
    _run(_TOUCHED)


def touch(accounts: list[int], *, as_account: int) -> None:
    """The days on which these accounts bought are to be reckoned again for the account they count or counted as."""
    _run(
        """
        INSERT INTO touched SELECT %(root)s, coalesce(category_id, 0), counts_on
        FROM analytics_orderline WHERE account_id = ANY(%(accounts)s) AND current
        """,
        accounts=accounts,
        root=as_account,
    )


def redo(book: Book) -> int:
    """Reckon the touched cells again. Returns how many there were. Raises DayTooLarge."""
    with connection.cursor() as cursor:
        cursor.execute(_DROP)
        cursor.execute("ANALYZE touched")
        cursor.execute(_CELLS)
        for table in ("analytics_itemday", "analytics_dayrollup"):
            cursor.execute(_FORGET.format(table=table))
        cursor.execute(_KEPT, {"book": book.pk})
        cursor.execute(_TOO_LARGE, {"most": MOST})
        if found := cursor.fetchone():
            raise DayTooLarge(account=found[0], day=found[1].isoformat())
        cursor.execute(_ITEM_DAYS, {"book": book.pk})
        cursor.execute(_DAYS, {"book": book.pk})
        cursor.execute("SELECT count(*) FROM cells")
        count = int(cursor.fetchone()[0])
        cursor.execute(_DROP)
        cursor.execute("TRUNCATE touched")
    return count


def redo_all(book: Book) -> int:
    """Reckon the whole book from its lines. The caller holds the book's lock."""
    begin()
    _run("DELETE FROM analytics_itemday WHERE book_id = %(book)s", book=book.pk)
    _run("DELETE FROM analytics_dayrollup WHERE book_id = %(book)s", book=book.pk)
    _run(
        """
        INSERT INTO touched SELECT DISTINCT account_id, coalesce(category_id, 0), counts_on
        FROM analytics_orderline WHERE book_id = %(book)s AND current
        """,
        book=book.pk,
    )
    return redo(book)


def _run(sql: str, **values: int | list[int]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, values or None)
