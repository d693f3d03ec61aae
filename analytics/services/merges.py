"""Two accounts that are one customer: merged, their purchases count together; undone, each has its own again."""

from __future__ import annotations

from datetime import datetime

from django.utils.translation import gettext_lazy as _

from analytics import permissions
from analytics.models import Account, AccountMerge, Book
from analytics.services import loading, merged_work, rollup, same_sales
from analytics.services.busy import bounded_wait
from marketplace import audit
from marketplace.permissions import Actor, person_of
from marketplace.shared.errors import DomainError, NotFound


class MergeNotPossible(DomainError):
    code, status = "merge_not_possible", 422
    sentence = _("An account cannot be merged into itself, nor with one that is merged already.")


class MergeUndone(DomainError):
    code = "merge_undone"
    sentence = _("This was undone already.")


@bounded_wait()
def merge(book: Book, source_id: int, target_id: int, *, by: Actor, at: datetime) -> AccountMerge:
    """From now on what `source` bought counts as bought by `target`, and so does what comes later under its number.

    Its people, leads, opportunities and live cards go along; of two cards or opportunities for the same thing one ends,
    and who is a contact of both is one from then on.
    Scores follow with the next run. Raises ManagerOnly, NotFound, MergeNotPossible, TooManyContacts, BookBusy.
    """
    permissions.require_manager(by, book)
    book = loading.lock(book.pk)
    source, target = _account(book, source_id), _account(book, target_id)
    known = AccountMerge.objects.filter(source=source, target=target, merged_by=by.person, undone_at=None).first()
    if known is not None and source.merged_into_id == target.pk:  # sent twice
        return known
    if source.pk == target.pk or source.merged_into_id or target.merged_into_id:
        raise MergeNotPossible(field="target")
    # First: the account that stands tells what its cards are about before it takes the purchases in.
    moved = merged_work.bring(source, target, by=by, at=at)
    brought = list(Account.objects.filter(merged_into=source).order_by("pk").values_list("pk", flat=True))
    merged = AccountMerge.objects.create(
        book=book, source=source, target=target, brought=brought, moved=moved, merged_by=person_of(by),
        merged_at=at,
    )  # fmt: skip
    _point([source.pk, *brought], target.pk)
    _reckon(book, [source.pk, *brought], [source.pk, target.pk])
    audit.record(
        "account.merged", merged, by=by, at=at, stream=_stream(book), source=source.external_id,
        target=target.external_id,
    )  # fmt: skip
    return merged


@bounded_wait()
def undo(book: Book, merge_id: int, *, by: Actor, at: datetime) -> AccountMerge:
    """Part the two again, whatever was merged since. Raises ManagerOnly, NotFound, MergeUndone, BookBusy."""
    permissions.require_manager(by, book)
    book = loading.lock(book.pk)
    found = AccountMerge.objects.select_related("source", "target").filter(book=book, pk=merge_id).first()
    if found is None:
        raise NotFound
    if found.undone_at is not None:
        raise MergeUndone
    counted_as = found.source.merged_into_id or found.source_id
    with_it = _came_along(found, counted_as)
    found.undone_at, found.undone_by = at, person_of(by)
    found.save(update_fields=["undone_at", "undone_by"])
    _point([found.source_id], None)
    _point(with_it, found.source_id)
    counted = Account.objects.get(pk=counted_as)
    merged_work.give_back(found, found.source, counted, by=by, at=at)
    _reckon(book, [found.source_id, *with_it], [found.source_id, counted_as])
    audit.record(
        "account.parted", found, by=by, at=at, stream=_stream(book), source=found.source.external_id,
        target=found.target.external_id,
    )  # fmt: skip
    return found


@bounded_wait()
def bring_work(book: Book, merge_id: int, *, by: Actor, at: datetime) -> AccountMerge:
    """Bring what people work on along with a merge from before it came along by itself; nothing where none is left.

    What was merged on since takes it further; each part of the way can be undone. Raises ManagerOnly, NotFound,
    MergeUndone, TooManyContacts, BookBusy.
    """
    permissions.require_manager(by, book)
    book = loading.lock(book.pk)
    found = AccountMerge.objects.select_related("source").filter(book=book, pk=merge_id).first()
    if found is None:
        raise NotFound
    if found.undone_at is not None:
        raise MergeUndone
    if not merged_work.left_behind(Account.objects.filter(pk=found.source_id)).exists():
        return found
    counted = Account.objects.get(pk=found.source.merged_into_id or found.target_id)
    moved = merged_work.bring(found.source, counted, late=True, by=by, at=at)
    for one in _way(found):
        one.moved = merged_work.together(one.moved, moved)
        one.save(update_fields=["moved"])
    audit.record("account.work_brought", found, by=by, at=at, stream=_stream(book), source=found.source.external_id)
    return found


def _way(merge: AccountMerge) -> list[AccountMerge]:
    """The merge, and those by which its target was merged on: what moves goes along with each."""
    found = [merge]
    standing = AccountMerge.objects.filter(undone_at=None)
    while (further := standing.filter(source=found[-1].target_id).first()) is not None:
        found.append(further)
    return found


def _came_along(merge: AccountMerge, counted_as: int) -> list[int]:
    """The accounts that came with the source and belong to it still; one parted since may have gone elsewhere."""
    theirs = AccountMerge.objects.filter(
        undone_at=None, source__in=merge.brought, target__in=[merge.source_id, *merge.brought]
    )
    still = theirs.filter(source__merged_into=counted_as).order_by("source")
    return list(still.values_list("source", flat=True))


def _point(accounts: list[int], root: int | None) -> None:
    Account.objects.filter(pk__in=accounts).update(merged_into=root)


def _reckon(book: Book, moved: list[int], roots: list[int]) -> None:
    """Reckon again every day of the accounts that moved, under the account they counted as and the one they do now."""
    rollup.begin()
    for root in roots:
        rollup.touch(moved, as_account=root)
    same_sales.settle(book)
    rollup.redo(book)


def _account(book: Book, account_id: int) -> Account:
    found = Account.objects.filter(book=book, pk=account_id).first()
    if found is None:
        raise NotFound
    return found


def _stream(book: Book) -> str:
    return f"book:{book.pk}"
