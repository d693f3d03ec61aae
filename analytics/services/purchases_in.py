"""Order lines sent by another system: a batch is in when it is answered, and counts once under its key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from django.db.models import Exists, OuterRef
from django.utils.translation import gettext_lazy as _

from analytics import permissions
from analytics.models import Book, Import, ImportKind, ImportState, LineSource, OrderLine, StagedLine
from analytics.services import contract_history, loading
from analytics.services.busy import bounded_wait
from marketplace import audit
from marketplace.permissions import Actor, person_of
from marketplace.shared.errors import DomainError, Sentence

#: Lines of one call.
MOST_LINES: Final = 1000
_KEY_LENGTH: Final = 64

NEW, CHANGED, UNCHANGED, REJECTED = "new", "changed", "unchanged", "rejected"
STATUSES: Final = (NEW, CHANGED, UNCHANGED, REJECTED)


class KeyUnfit(DomainError):
    code, status = "idempotency_key_unfit", 422
    sentence = _("The idempotency key is 1 to %(most)s characters long.")


class KeyReused(DomainError):
    code, status = "idempotency_key_reused", 422
    sentence = _("This idempotency key was already used for something else.")


@dataclass(frozen=True, slots=True)
class Line:
    """A line as it was sent; texts are trimmed."""

    account: str
    order: str
    line: str
    day: date
    quantity: Decimal
    amount: Decimal
    currency: str
    account_name: str = ""
    country: str = ""
    item: str = ""
    item_name: str = ""
    category: str = ""
    category_name: str = ""
    cancels: str = ""


def take(
    book: Book, lines: Sequence[Line | Mapping[str, Any]], *, key: str, sha256: str, by: Actor, at: datetime
) -> dict[str, Any]:
    """Load the lines that can be; a mapping stands for one that could not be read: {code, detail}.

    The answer has the state of every line in the order sent. The same key with the same content is answered as the
    first time. Raises ManagerOnly, NotFound, KeyUnfit, KeyReused, BookBusy.
    """
    permissions.require_manager(by, book)
    if not 0 < len(key) <= _KEY_LENGTH:
        raise KeyUnfit(most=_KEY_LENGTH)
    with bounded_wait():
        return _taken(loading.lock(book.pk), lines, key, sha256, by, at)


def _taken(
    book: Book, lines: Sequence[Line | Mapping[str, Any]], key: str, sha256: str, by: Actor, at: datetime
) -> dict[str, Any]:
    known = Import.objects.filter(book=book, idempotency_key=key).first()
    if known is not None:
        if known.request_sha256 != sha256:
            raise KeyReused
        return dict(known.answer)
    batch = Import.objects.create(
        book=book, kind=ImportKind.API, state=ImportState.LOADED, name=key, created_by=person_of(by), created_at=at,
        loaded_at=at, idempotency_key=key, request_sha256=sha256,
    )  # fmt: skip
    here = contract_history.numbered_here(book, [line.order for line in lines if isinstance(line, Line)])
    judged = [line if not isinstance(line, Line) else _refusal(line, at.date(), here) or line for line in lines]
    fit = [(place, line) for place, line in enumerate(judged) if isinstance(line, Line)]
    StagedLine.objects.bulk_create(_rows(batch, fit))
    done = loading.load(batch, book)
    loading.settle_currency(book)
    batch.staged.all().delete()
    results = _results(batch, book, judged)
    counts = {status: sum(one["status"] == status for one in results) for status in STATUSES}
    batch.counts = {**done.as_json(), "read": len(lines), "accepted": len(fit), "rejected": counts[REJECTED]}
    batch.rejects = _reasons(results)
    answer = {"id": batch.pk, "counts": counts, "results": results}
    batch.answer = answer
    batch.save(update_fields=["counts", "rejects", "answer"])
    audit.record("purchases.loaded", batch, by=by, at=at, stream=f"book:{book.pk}", counts=counts)
    return answer


def _rows(batch: Import, fit: list[tuple[int, Line]]) -> Iterator[StagedLine]:
    for place, line in fit:
        yield StagedLine(
            batch=batch, row=place + 1, account=line.account, account_name=line.account_name, country=line.country,
            order=line.order, line=line.line, day=line.day, cancels=line.cancels, item=line.item,
            item_name=line.item_name, category=line.category, category_name=line.category_name,
            quantity=line.quantity, amount=line.amount, currency=line.currency,
        )  # fmt: skip


_REFUSALS: Final[dict[str, Sentence]] = {
    "quantity_zero": _("The quantity is zero."),
    "price_not_positive": _("The amount has the quantity’s sign and is not zero."),
    "date_in_future": _("The date lies in the future."),
    "here_from_the_contract": _("The order is here already: it comes in by itself from its contract on the platform."),
}


def _refusal(line: Line, today: date, here: set[str]) -> dict[str, Any] | None:
    code = ""
    if line.quantity == 0:
        code = "quantity_zero"
    elif line.amount * line.quantity <= 0:
        code = "price_not_positive"
    elif line.day > today + timedelta(days=1):
        code = "date_in_future"
    elif line.order in here:
        code = "here_from_the_contract"
    return {"code": code, "detail": str(_REFUSALS[code])} if code else None


def _results(batch: Import, book: Book, judged: Sequence[Line | Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What became of each line, in the order sent. A line sent twice has become what the last of them says."""
    same = OrderLine.objects.filter(
        book=book, source=LineSource.OWN, order=OuterRef("order"), line=OuterRef("line"), current=False
    )
    brought = batch.lines.annotate(earlier=Exists(same)).values_list("order", "line", "earlier")
    states = {(order, line): CHANGED if earlier else NEW for order, line, earlier in brought}
    found = []
    for one in judged:
        if isinstance(one, Line):
            found.append({"order": one.order, "line": one.line, "status": states.get((one.order, one.line), UNCHANGED)})
        else:
            found.append({"status": REJECTED, **one})
    return found


def _reasons(results: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for one in results:
        if one["status"] == REJECTED:
            counts[one["code"]] = counts.get(one["code"], 0) + 1
    return counts
