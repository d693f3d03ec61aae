"""What came of the cards, shown and withheld alike: did the account buy within the horizon after the cut-off?"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from django.db import transaction
from django.db.models import F, Max, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce

from analytics.models import Book, Card, CardEvent, DayRollup, ItemDay
from analytics.rules import cards as rules
from analytics.rules.cards import CardState, Level

_NONE: Final = Decimal(0)


@transaction.atomic
def measure(book_id: int, *, at: datetime) -> int:
    """Bring what the cards' accounts bought up to date, and settle those whose horizon is over; how many were settled.

    A card counts as bought from the first purchase on. "Not bought" is said only once the purchases of the whole
    horizon are in: as long as the newest known purchase of the book is older, nothing is said.
    """
    book = Book.objects.select_for_update(no_key=True).get(pk=book_id)
    waiting = Card.objects.filter(book=book, measured_at=None)
    for level in Level:
        of_level = waiting.filter(level=level.value)
        amount = Coalesce(Subquery(_bought(level)), _NONE)
        of_level.annotate(now=amount).exclude(now=F("bought_amount")).update(bought_amount=amount)
    waiting.filter(bought=None, bought_amount__gt=0).update(bought=True)
    newest = DayRollup.objects.filter(book=book).aggregate(newest=Max("day"))["newest"]
    if newest is None:
        return 0
    over = waiting.filter(cutoff__lte=newest - rules.HORIZON, cutoff__lt=at.date() - rules.HORIZON)
    return _settle(over, at)


def _settle(over: QuerySet[Card], at: datetime) -> int:
    """The outcome stands; what was only to be measured, and what nobody reported on, is closed with it."""
    ids = list(over.select_for_update().values_list("pk", flat=True))
    settled = Card.objects.filter(pk__in=ids)
    CardEvent.objects.bulk_create(
        [
            CardEvent(card_id=pk, at=at, what=CardEvent.What.MEASURED, reason="bought" if bought else "not_bought")
            for pk, bought in settled.values_list("pk", "bought")
        ],
        batch_size=1000,
    )
    settled.filter(bought=None).update(bought=False)
    settled.filter(state=CardState.WITHHELD).update(state=CardState.EXPIRED, closed_on=at.date())
    settled.filter(state=CardState.ACCEPTED).update(state=CardState.DONE, closed_on=at.date(), due_on=None)
    settled.update(measured_at=at)
    return len(ids)


def _bought(level: Level) -> QuerySet[Any]:
    """What the card's account bought of its thing in the days (cut-off, cut-off + horizon]."""
    days: QuerySet[Any] = (ItemDay if level is Level.ITEM else DayRollup).objects.all()
    narrowed = {
        Level.ACCOUNT: Q(),
        Level.CATEGORY: Q(category_id=OuterRef("category_id")),
        Level.ITEM: Q(item_id=OuterRef("item_id")),
    }[level]
    sums: QuerySet[Any] = (
        days.filter(narrowed, account_id=OuterRef("account_id"), currency=OuterRef("currency"))
        .filter(day__gt=OuterRef("cutoff"), day__lte=OuterRef("cutoff") + rules.HORIZON)
        .order_by()
        .values("account_id")
        .annotate(sum=Sum("amount"))
        .values("sum")
    )
    return sums
