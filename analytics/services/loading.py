"""From staged rows to order lines: what is new, changed or as before; and the way back when an import is undone.

All of it happens in one transaction under the book's lock, by statements over whole tables: a batch of one line and a
file of millions take the same way. A line is known by its order and its own number there; of one it has already the
book keeps the earlier version, so that undoing the import that changed it brings it back.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Final

from django.db import connection
from django.db.models import Count

from analytics.models import Book, DayRollup, Import, ImportKind, LineSource
from analytics.services import customers, rollup, same_sales

#: Rows above which a batch is read as whole tables, and statistics are brought up to date afterwards.
HANDFUL: Final = 5000
Values = dict[str, int | str | list[str]]


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a load did, in lines; accounts apart. `repeated` stood twice in the batch: the last of them counts.
    `counted_once` are those of the batch whose order is a contract on the platform, and counts as that alone."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    repeated: int = 0
    removed: int = 0
    accounts_new: int = 0
    accounts_renamed: int = 0
    cells: int = 0
    counted_once: int = 0

    def as_json(self) -> dict[str, int]:
        return asdict(self)


def lock(book_id: int) -> Book:
    """The book, until the transaction ends: two imports never load at once. Rows that only name it are not hindered."""
    return Book.objects.select_for_update(no_key=True, of=("self",)).get(pk=book_id)


def source_of(batch: Import) -> LineSource:
    return LineSource.CONTRACTS if batch.kind == ImportKind.CONTRACTS else LineSource.OWN


def load(batch: Import, book: Book) -> Loaded:
    """Bring in the staged rows of a batch. The caller holds the book's lock; the staged rows stay.

    Raises rollup.DayTooLarge.
    """
    values: Values = {"batch": batch.pk, "book": book.pk, "source": source_of(batch).value}
    with _plans_for(batch.staged.count()):
        return _loaded(book, values)


def _loaded(book: Book, values: Values) -> Loaded:
    rollup.begin()
    _count(_INCOMING, values)
    repeated = _asked(_REPEATED, values)[0]
    new_accounts = _count(_NEW_ACCOUNTS, values)
    if new_accounts:
        customers.place_new(book)
    renamed = _count(_RENAMED, values)
    for thing in ("category", "item"):
        _count(_NEW.format(thing=thing), values)
        _count(_NAMED.format(thing=thing), values)
    _count(_ITEM_CATEGORIES, values)
    _count(_COMPARED, values)
    _count(_TOUCH_BEFORE, values)
    _count(_SET_ASIDE, values)
    _count(_CONFIRM, values)
    _count(_INSERT, values)
    _count(_TOUCH_AFTER, values)
    _count(_FOLLOW, values)
    new, changed, unchanged = _asked(_OUTCOME, values)
    same_sales.settle(book)
    cells = rollup.redo(book)
    counted_once = _asked(_COUNTED_ONCE, values)[0]
    _count("DROP TABLE incoming, compared, moved_orders", {})
    return Loaded(
        new=new, changed=changed, unchanged=unchanged, repeated=repeated, accounts_new=new_accounts,
        accounts_renamed=renamed, cells=cells, counted_once=counted_once,
    )  # fmt: skip


def remove_orders(book: Book, source: LineSource, orders: list[str]) -> int:
    """Take whole orders out, for good: they came to nothing. Returns the number of lines. The caller holds the lock."""
    if not orders:
        return 0
    values: Values = {"book": book.pk, "source": source.value, "orders": orders}
    rollup.begin()
    _count(_LEAVING_ORDERS, values)
    removed = _leave(values)
    rollup.redo(book)
    return removed


def undo(batch: Import, book: Book) -> int:
    """Take the batch's lines out; earlier versions come back, and lines that a later import confirmed stay as its own.

    Returns the number of lines that left. The caller holds the book's lock.
    """
    values: Values = {"batch": batch.pk, "book": book.pk, "source": source_of(batch).value}
    with _plans_for(batch.lines.count()):
        rollup.begin()
        _count(_HAND_OVER, values)
        _count("DELETE FROM analytics_lineconfirmation WHERE confirmed_by_id = %(batch)s", values)
        _count(_LEAVING_BATCH, values)
        removed = _leave(values)
        same_sales.settle(book)
        rollup.redo(book)
    return removed


@contextmanager
def _plans_for(rows: int) -> Iterator[None]:
    """Plans for so many rows. What was loaded just now is not in the statistics yet, and the planner would look it up
    row by row as if it were a handful: a file of a hundred thousand lines would take hours."""
    if rows <= HANDFUL:
        yield
        return
    _count("SET LOCAL enable_nestloop = off", {})
    end_when_left()
    yield
    _count("SET LOCAL enable_nestloop = on", {})


def end_when_left() -> None:
    """From here on the database ends this transaction when its process is gone or has given it up, whatever it is at:
    else it would keep its locks until then, and whoever is to say what became of it would wait for them."""
    _count("SET LOCAL client_connection_check_interval = '2s'", {})


def analyse() -> None:
    """Bring the statistics up to date after a large load; call it when that has been committed."""
    for table in ("account", "item", "orderline", "lineconfirmation", "itemday", "dayrollup"):
        _count(f"ANALYZE analytics_{table}", {})


def settle_currency(book: Book) -> None:
    """Where the book scores no currency yet, the one in which most days were bought."""
    if book.currency:
        return
    days = DayRollup.objects.filter(book=book).values("currency").annotate(n=Count("pk")).order_by("-n", "currency")
    if first := days.first():
        book.currency = first["currency"]
        book.save(update_fields=["currency"])


def _leave(values: Values) -> int:
    """Delete the lines in `leaving`, let the newest version before each stand again, and say what that touches."""
    _count(_TOUCH_LEAVING, values)
    removed = _count("DELETE FROM analytics_orderline l USING leaving v WHERE l.id = v.id", values)
    _count(_STAND_AGAIN, values)
    _count(_FOLLOW, values)
    _count("DROP TABLE leaving, moved_orders", {})
    return removed


def _count(sql: str, values: Values) -> int:
    with connection.cursor() as cursor:
        cursor.execute(sql, values or None)
        return max(0, int(cursor.rowcount))


def _asked(sql: str, values: Values) -> tuple[int, ...]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return tuple(cursor.fetchone())


# Rows of one order that are equal in everything are one row written twice; of rows that name the same line, the last
# one counts. A line without a number is its item, counted within the order; without orders, a day of an account is one.
_INCOMING: Final = """
    CREATE TEMP TABLE incoming ON COMMIT DROP AS
        WITH plain AS (
            SELECT s.*, row_number() OVER (
                PARTITION BY s."order", s.line, s.account, s.day, s.item, s.category, s.cancels, s.quantity, s.amount,
                    s.currency
                ORDER BY s.row, s.id
            ) AS copy
            FROM analytics_stagedline s WHERE s.batch_id = %(batch)s
        ), numbered AS (
            SELECT p.row, p.id, p.account, p.account_name, p.country, p.day, p.cancels, p.item, p.item_name,
                p.category, p.category_name, p.quantity, p.amount, p.currency,
                coalesce(nullif(p."order", ''), p.account || '/' || p.day) AS "order",
                CASE WHEN p.line <> '' THEN p.line ELSE p.item || '#' || row_number() OVER (
                    PARTITION BY p."order", p.line, p.item, CASE WHEN p."order" = '' THEN p.account || '/' || p.day END
                    ORDER BY p.row, p.id
                ) END AS line
            FROM plain p WHERE p.copy = 1 OR p."order" = ''
        )
        SELECT DISTINCT ON ("order", line) * FROM numbered ORDER BY "order", line, row DESC, id DESC;
    ANALYZE incoming
"""
_REPEATED: Final = """
    SELECT (SELECT count(*) FROM analytics_stagedline WHERE batch_id = %(batch)s) - (SELECT count(*) FROM incoming)
"""
_NEW_ACCOUNTS: Final = """
    INSERT INTO analytics_account (book_id, external_id, name, country, strategic, created_at)
    SELECT DISTINCT ON (account) %(book)s, account, coalesce(nullif(account_name, ''), account), country, false, now()
    FROM incoming i
    WHERE NOT EXISTS (SELECT FROM analytics_account a WHERE a.book_id = %(book)s AND a.external_id = i.account)
    ORDER BY account, account_name = '', row DESC
    ON CONFLICT (book_id, external_id) DO NOTHING
"""
# The name in the last row that has one.
_RENAMED: Final = """
    UPDATE analytics_account a SET name = n.account_name
    FROM (
        SELECT DISTINCT ON (account) account, account_name FROM incoming WHERE account_name <> ''
        ORDER BY account, row DESC
    ) n
    WHERE a.book_id = %(book)s AND a.external_id = n.account AND a.name <> n.account_name
"""
# Of a category or of an item.
_NEW: Final = """
    INSERT INTO analytics_{thing} (book_id, code, name)
    SELECT DISTINCT ON ({thing}) %(book)s, {thing}, coalesce(nullif({thing}_name, ''), {thing})
    FROM incoming WHERE {thing} <> '' ORDER BY {thing}, {thing}_name = '', row DESC
    ON CONFLICT (book_id, code) DO NOTHING
"""
_NAMED: Final = """
    UPDATE analytics_{thing} t SET name = n.{thing}_name
    FROM (
        SELECT DISTINCT ON ({thing}) {thing}, {thing}_name FROM incoming
        WHERE {thing} <> '' AND {thing}_name <> '' ORDER BY {thing}, row DESC
    ) n
    WHERE t.book_id = %(book)s AND t.code = n.{thing} AND t.name <> n.{thing}_name
"""
_ITEM_CATEGORIES: Final = """
    UPDATE analytics_item i SET category_id = n.category_id
    FROM (
        SELECT DISTINCT ON (s.item) s.item, c.id AS category_id
        FROM incoming s JOIN analytics_category c ON c.book_id = %(book)s AND c.code = s.category
        WHERE s.item <> '' ORDER BY s.item, s.day DESC, s.row DESC
    ) n
    WHERE i.book_id = %(book)s AND i.code = n.item AND i.category_id IS DISTINCT FROM n.category_id
"""
# Each row beside the version of its line that stands now. `same`: nothing about it differs.
_COMPARED: Final = """
    CREATE TEMP TABLE compared ON COMMIT DROP AS
        SELECT i."order", i.line, i.day, i.quantity, i.amount, i.currency,
            CASE WHEN i.quantity < 0 THEN coalesce(nullif(i.cancels, ''), i."order") ELSE '' END AS cancels,
            a.id AS account, coalesce(c.id, t.category_id) AS category, t.id AS item, l.id AS was,
            l.brought_by_id AS was_brought_by,
            l.id IS NOT NULL AND (l.account_id, l.day, l.quantity, l.amount, l.currency, l.cancels)
                = (a.id, i.day, i.quantity, i.amount, i.currency,
                   CASE WHEN i.quantity < 0 THEN coalesce(nullif(i.cancels, ''), i."order") ELSE '' END)
                AND l.category_id IS NOT DISTINCT FROM coalesce(c.id, t.category_id)
                AND l.item_id IS NOT DISTINCT FROM t.id AS same
        FROM incoming i
        JOIN analytics_account a ON a.book_id = %(book)s AND a.external_id = i.account
        LEFT JOIN analytics_category c ON c.book_id = %(book)s AND c.code = i.category AND i.category <> ''
        LEFT JOIN analytics_item t ON t.book_id = %(book)s AND t.code = i.item AND i.item <> ''
        LEFT JOIN analytics_orderline l ON l.book_id = %(book)s AND l.source = %(source)s
            AND l."order" = i."order" AND l.line = i.line AND l.current;
    ANALYZE compared
"""
_TOUCH_BEFORE: Final = """
    INSERT INTO touched SELECT l.account_id, coalesce(l.category_id, 0), l.counts_on
    FROM compared c JOIN analytics_orderline l ON l.id = c.was WHERE NOT c.same;
    CREATE TEMP TABLE moved_orders ON COMMIT DROP AS SELECT DISTINCT "order" AS number FROM compared WHERE NOT same
"""
_SET_ASIDE: Final = """
    UPDATE analytics_orderline l SET current = false FROM compared c WHERE l.id = c.was AND NOT c.same
"""
_CONFIRM: Final = """
    INSERT INTO analytics_lineconfirmation (line_id, confirmed_by_id)
    SELECT was, %(batch)s FROM compared WHERE same AND was_brought_by <> %(batch)s
    ON CONFLICT DO NOTHING
"""
_INSERT: Final = """
    INSERT INTO analytics_orderline (
        book_id, account_id, category_id, item_id, brought_by_id, source, "order", line, day, counts_on, cancels,
        quantity, amount, currency, current
    )
    SELECT %(book)s, account, category, item, %(batch)s, %(source)s, "order", line, day, day, cancels,
        quantity, amount, currency, true
    FROM compared WHERE NOT same
"""
_TOUCH_AFTER: Final = """
    INSERT INTO touched SELECT account, coalesce(category, 0), day FROM compared WHERE NOT same
"""
_OUTCOME: Final = """
    SELECT count(*) FILTER (WHERE was IS NULL), count(*) FILTER (WHERE was IS NOT NULL AND NOT same),
        count(*) FILTER (WHERE same)
    FROM compared
"""
_COUNTED_ONCE: Final = """
    SELECT count(*) FROM compared c JOIN analytics_samesale s
        ON s.book_id = %(book)s AND s.apart_at IS NULL AND %(source)s = 'own' AND s."order" = c."order"
"""
# What takes something back stands on the day of the order it names, where that order came, moved or left: the day on
# which the account bought the same item in it.
_FOLLOW: Final = """
    WITH named AS (
        SELECT l.id FROM moved_orders m JOIN analytics_orderline l
            ON l.book_id = %(book)s AND l.cancels = m.number AND l.cancels <> '' AND l.current
        WHERE l.source = %(source)s
        UNION
        SELECT l.id FROM moved_orders m JOIN analytics_orderline l
            ON l.book_id = %(book)s AND l.source = %(source)s AND l."order" = m.number AND l.current
        WHERE l.cancels <> ''
    ), due AS (
        SELECT l.id, l.counts_on AS before, coalesce(
            (
                SELECT min(o.day) FROM analytics_orderline o
                WHERE o.book_id = l.book_id AND o.source = l.source AND o."order" = l.cancels AND o.current
                    AND o.quantity > 0 AND o.account_id = l.account_id AND o.item_id IS NOT DISTINCT FROM l.item_id
            ),
            l.day
        ) AS counts_on
        FROM named n JOIN analytics_orderline l ON l.id = n.id
    ), moved AS (
        UPDATE analytics_orderline l SET counts_on = d.counts_on
        FROM due d WHERE l.id = d.id AND d.before <> d.counts_on
        RETURNING l.account_id, coalesce(l.category_id, 0) AS category_id, d.before, d.counts_on
    )
    INSERT INTO touched
    SELECT account_id, category_id, before FROM moved
    UNION ALL SELECT account_id, category_id, counts_on FROM moved
"""

# Undone


# To the newest import that had the line as it is and still stands.
_HAND_OVER: Final = """
    WITH heirs AS (
        SELECT c.line_id, max(c.confirmed_by_id) AS heir
        FROM analytics_lineconfirmation c
        JOIN analytics_import i ON i.id = c.confirmed_by_id AND i.state = 'loaded'
        JOIN analytics_orderline l ON l.id = c.line_id AND l.brought_by_id = %(batch)s
        WHERE c.confirmed_by_id <> %(batch)s GROUP BY c.line_id
    ), handed AS (
        UPDATE analytics_orderline l SET brought_by_id = h.heir FROM heirs h WHERE l.id = h.line_id
        RETURNING l.id, l.brought_by_id
    )
    DELETE FROM analytics_lineconfirmation c USING handed h
    WHERE c.line_id = h.id AND c.confirmed_by_id = h.brought_by_id
"""
_LEAVING_BATCH: Final = """
    CREATE TEMP TABLE leaving ON COMMIT DROP AS
        SELECT id, source, "order", line, current FROM analytics_orderline WHERE brought_by_id = %(batch)s;
    ANALYZE leaving
"""
_LEAVING_ORDERS: Final = """
    CREATE TEMP TABLE leaving ON COMMIT DROP AS
        SELECT id, source, "order", line, current FROM analytics_orderline
        WHERE book_id = %(book)s AND source = %(source)s AND "order" = ANY(%(orders)s);
    ANALYZE leaving
"""
_TOUCH_LEAVING: Final = """
    INSERT INTO touched SELECT l.account_id, coalesce(l.category_id, 0), l.counts_on
    FROM leaving v JOIN analytics_orderline l ON l.id = v.id WHERE v.current;
    CREATE TEMP TABLE moved_orders ON COMMIT DROP AS SELECT DISTINCT "order" AS number FROM leaving WHERE current;
    DELETE FROM analytics_lineconfirmation c USING leaving v WHERE c.line_id = v.id
"""
_STAND_AGAIN: Final = """
    WITH newest AS (
        SELECT DISTINCT ON (l."order", l.line) l.id
        FROM leaving v
        JOIN analytics_orderline l ON l.book_id = %(book)s AND l.source = v.source
            AND l."order" = v."order" AND l.line = v.line AND NOT l.current
        WHERE v.current
        ORDER BY l."order", l.line, l.id DESC
    ), standing AS (
        UPDATE analytics_orderline l SET current = true, counts_on = day FROM newest n WHERE l.id = n.id
        RETURNING l.account_id, coalesce(l.category_id, 0) AS category_id, l.day
    )
    INSERT INTO touched SELECT account_id, category_id, day FROM standing
"""
