"""What came of the cards, shown and withheld alike: did the account buy within the horizon after the cut-off?

Whether it bought is asked of purchases in any currency: a customer who pays in another one now is not lost. How much is
told in the card's own, in which the expected amount stands; nothing is converted. An account that was merged buys what
the one buys that stands for it.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from django.db import transaction
from django.db.models import Exists, F, Max, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce

from analytics.models import Book, Card, CardEvent, DayRollup, ItemDay
from analytics.rules import cards as rules
from analytics.rules.cards import CardState, Level
from analytics.services.transitions import move_card
from marketplace import audit

_NONE: Final = Decimal(0)
_BATCH: Final = 1000


@transaction.atomic
def measure(book_id: int, *, at: datetime) -> int:
    """Bring what the cards' accounts bought up to date, and settle those whose horizon is over; how many were settled.

    A card counts as bought from the first purchase on, unless that is taken back. "Not bought" is said only once the
    purchases of the whole horizon are in: as long as the newest known purchase of the book is older, nothing is said.
    """
    book = Book.objects.select_for_update(no_key=True).get(pk=book_id)
    waiting = Card.objects.filter(book=book, measured_at=None)
    for level in Level:
        for merged in (False, True):
            _count(waiting.filter(level=level.value, account__merged_into__isnull=not merged), level, merged)
    newest = DayRollup.objects.filter(book=book).aggregate(newest=Max("day"))["newest"]
    if newest is None:
        return 0
    over = waiting.filter(cutoff__lte=newest - rules.HORIZON, cutoff__lt=at.date() - rules.HORIZON)
    return _settle(book, over, at)


def _count(cards: QuerySet[Card], level: Level, merged: bool) -> None:
    """Bring up to date whether and for how much was bought."""
    days = _days(level, merged)
    amount = Coalesce(Subquery(_sum(days.filter(currency=OuterRef("currency")))), _NONE)
    cards.annotate(now=amount).exclude(now=F("bought_amount")).update(bought_amount=amount)
    cards.filter(Exists(days), bought=None).update(bought=True)
    cards.filter(~Exists(days), bought=True).update(bought=None)


def _settle(book: Book, over: QuerySet[Card], at: datetime) -> int:
    """The outcome stands; what was only to be measured, and what nobody reported on, is closed with it."""
    settled = list(over.select_for_update(of=("self",)).order_by("pk"))
    if not settled:
        return 0
    events = [_settled(card, at) for card in settled]
    CardEvent.objects.bulk_create(events, batch_size=_BATCH)
    Card.objects.bulk_update(settled, ["state", "bought", "measured_at", "closed_on", "due_on"], batch_size=_BATCH)
    ended = sum(event.before != event.after for event in events)
    audit.record("cards.measured", book, by=None, at=at, stream=f"book:{book.pk}", cards=len(settled), ended=ended)
    return len(settled)


def _settled(card: Card, at: datetime) -> CardEvent:
    before = card.state
    after = rules.AFTER_OUTCOME.get(CardState(before))
    if after is not None:
        move_card(card, after)
        card.closed_on, card.due_on = at.date(), None
    card.bought, card.measured_at = bool(card.bought), at
    reason = "bought" if card.bought else "not_bought"
    return CardEvent(
        card=card, at=at, what=CardEvent.What.MEASURED, before=before, after=card.state, reason=reason
    )  # fmt: skip


def _days(level: Level, merged: bool) -> QuerySet[Any]:
    """The days (cut-off, cut-off + horizon] on which the card's account bought of its thing, in any currency."""
    days: QuerySet[Any] = (ItemDay if level is Level.ITEM else DayRollup).objects.all()
    narrowed = {
        Level.ACCOUNT: Q(),
        Level.CATEGORY: Q(category_id=OuterRef("category_id")),
        Level.ITEM: Q(item_id=OuterRef("item_id")),
    }[level]
    whose = {"account__merged" if merged else "account_id": OuterRef("account_id")}
    return days.filter(narrowed, **whose, day__gt=OuterRef("cutoff"), day__lte=OuterRef("cutoff") + rules.HORIZON)


def _sum(days: QuerySet[Any]) -> QuerySet[Any]:
    sums: QuerySet[Any] = days.order_by().values("account_id").annotate(sum=Sum("amount")).values("sum")
    return sums
