"""Staged rows of an import, without a file: what the reader would have made of one."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from django.db import transaction

from analytics.models import Book, Import, ImportKind, ImportState, StagedLine
from analytics.services import loading
from analytics.services.loading import Loaded
from tests.factories.marketplace import NOON


def row(
    account: str, order: str, day: date, amount: str = "10", *, line: str = "1", quantity: str | None = None,
    cancels: str = "", item: str = "", category: str = "", currency: str = "EUR", name: str = "",
) -> StagedLine:  # fmt: skip
    """A row; the quantity has the amount's sign unless told."""
    sign = "-1" if amount.startswith("-") else "1"
    return StagedLine(
        row=0, account=account, account_name=name, order=order, line=line, day=day, cancels=cancels, item=item,
        category=category, quantity=Decimal(quantity or sign), amount=Decimal(amount), currency=currency,
    )  # fmt: skip


def staged(book: Book, rows: list[StagedLine], kind: ImportKind = ImportKind.FILE) -> Import:
    """An import that was read and waits to be loaded."""
    batch = Import.objects.create(book=book, kind=kind, state=ImportState.READ, created_at=NOON)
    for number, one in enumerate(rows, start=2):
        one.pk, one._state.adding = None, True
        one.batch, one.row = batch, number
    StagedLine.objects.bulk_create(rows)
    return batch


def loaded(book: Book, rows: list[StagedLine], kind: ImportKind = ImportKind.FILE) -> tuple[Import, Loaded]:
    """The rows as an import that is in, and what its loading did."""
    batch = staged(book, rows, kind)
    with transaction.atomic():
        done = loading.load(batch, loading.lock(book.pk))
        batch.state = ImportState.LOADED
        batch.save(update_fields=["state"])
    return batch, done


def undone(batch: Import) -> int:
    with transaction.atomic():
        removed = loading.undo(batch, loading.lock(batch.book_id))
        batch.state = ImportState.UNDONE
        batch.save(update_fields=["state"])
    return removed
