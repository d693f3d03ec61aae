"""The day's queue of a representative, and what its cards show. Withheld cards are in none of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet

from analytics.models import (
    Account,
    Book,
    Capacity,
    Card,
    CardEvent,
    CardStatus,
    Category,
    DayRollup,
    GrowthScore,
    Item,
    ItemDay,
)
from analytics.rules import cards as rules
from analytics.rules.cards import Kind, Level, Order
from marketplace.models import Person

What = CardEvent.What
# Acts that take a card off the day's queue, and so count towards the day.
ACTS: Final = (What.ACCEPTED, What.SNOOZED, What.DISMISSED, What.CALL)
# How far back a card's chart looks.
LOOK_BACK: Final = timedelta(days=550)
PEERS: Final = 5
# A thing that hardly any of the best customers buys is suggested for another reason: their shares would not show it.
WORTH_A_PICTURE: Final = 0.1


@dataclass(frozen=True, slots=True)
class Choice:
    """How the queue is narrowed; "" and None narrow nothing."""

    order: Order = Order.MONEY
    kind: str = ""
    category: int | None = None
    territory: int | None = None
    long_tail: bool | None = None


@dataclass(frozen=True, slots=True)
class Queue:
    """The day of one representative: what is left of it, calls that are due, and how far they are."""

    cards: list[Card]
    calls: list[Card]
    acted: int
    capacity: int
    # Open cards beyond the day's.
    waiting: int

    @property
    def places(self) -> int:
        return max(self.capacity - self.acted, 0)


@dataclass(frozen=True, slots=True)
class Bought:
    """A day on which an account bought, and for how much."""

    day: date
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Peer:
    """What the best customers of the account's profile buy, and whether the account does."""

    name: str
    share: float
    is_this: bool


def open_to(book: Book, person: int | None) -> QuerySet[Card]:
    """The cards that a person may list and open: theirs now, or accepted by them once. None: everybody's.

    Withheld ones are nobody's to see.
    """
    rows = Card.objects.filter(book=book, withheld=False)
    return rows if person is None else rows.filter(Q(representative=person) | Q(accepted_by=person))


def of_person(book: Book, person: Person | None) -> QuerySet[Card]:
    """A representative's own cards; withheld ones are nobody's to see."""
    return Card.objects.filter(book=book, representative=person).filter(withheld=False)


def waiting_on(day: date) -> Q:
    """Cards that wait to be looked at: open ones, and snoozed ones whose day has come."""
    return Q(state=CardStatus.OPEN) | Q(state=CardStatus.SNOOZED, due_on__lte=day)


def queue(book: Book, person: Person, choice: Choice, day: date, *, more: int = 0) -> Queue:
    """What is left of the person's day, in the order asked; `more` adds places beyond the capacity."""
    acted, capacity = acted_on(person, book, day), capacity_of(book, person)
    places = max(capacity - acted, 0) + more
    rows = narrowed(of_person(book, person).filter(waiting_on(day)), choice).select_related(
        "account", "category", "item", "run"
    )
    order = "by_money" if choice.order is Order.MONEY else "by_certain"
    ranked = rows.order_by(F(order).desc(), "pk")
    vital, tail = (list(ranked.filter(long_tail=is_tail)[:places]) for is_tail in (False, True))
    first, rest = rules.mixed(vital, tail, places)
    shown = sorted([*vital[:first], *tail[:rest]], key=lambda card: (-getattr(card, order), card.pk))
    calls = narrowed(of_person(book, person).filter(state=CardStatus.ACCEPTED, due_on__lte=day), choice)
    return Queue(
        shown,
        list(calls.select_related("account", "category", "item", "run").order_by("due_on", "-by_money", "pk")[:50]),
        acted,
        capacity,
        max(rows.count() - len(shown), 0),
    )


def in_work(book: Book, person: Person, choice: Choice) -> QuerySet[Card]:
    """What the person has accepted and not finished: what is due first."""
    rows = narrowed(of_person(book, person).filter(state=CardStatus.ACCEPTED), choice)
    joined = rows.select_related("account", "category", "item", "run")
    return joined.order_by(F("due_on").asc(nulls_last=True), "-by_money", "pk")


def narrowed(cards: QuerySet[Card], choice: Choice) -> QuerySet[Card]:
    if choice.kind:
        cards = cards.filter(kind=choice.kind)
    if choice.category is not None:
        cards = cards.filter(category_id=choice.category)
    if choice.territory is not None:
        cards = cards.filter(account__territory_id=choice.territory)
    if choice.long_tail is not None:
        cards = cards.filter(long_tail=choice.long_tail)
    return cards


def capacity_of(book: Book, person: Person) -> int:
    """Cards a day, as the manager has said or as is usual."""
    found = Capacity.objects.filter(book=book, person=person).values_list("cards_a_day", flat=True).first()
    return rules.CARDS_A_DAY if found is None else found


def standing(events: QuerySet[CardEvent]) -> QuerySet[CardEvent]:
    """Without what was taken back."""
    return events.exclude(Exists(CardEvent.objects.filter(undoes=OuterRef("pk"))))


def acts_of(person: Person, book: Book, day: date) -> QuerySet[CardEvent]:
    """What the person did on that day of theirs, the newest first."""
    begin, end = hours_of(person, day)
    events = CardEvent.objects.filter(person=person, card__book=book, at__gte=begin, at__lt=end, what__in=ACTS)
    return standing(events).select_related("card__account", "card__category", "card__item").order_by("-at", "-pk")


def acted_on(person: Person, book: Book, day: date) -> int:
    """How many cards the person has dealt with on that day."""
    found = acts_of(person, book, day).order_by().aggregate(n=Count("card", distinct=True))
    return int(found["n"])


def hours_of(person: Person, day: date) -> tuple[datetime, datetime]:
    """The day where the person is, as [begin, end) in UTC."""
    zone = ZoneInfo(getattr(person, "time_zone", "") or "UTC")
    begin, end = (datetime.combine(one, time(), zone).astimezone(UTC) for one in (day, day + timedelta(days=1)))
    return begin, end


# What a card shows


def purchases(cards: Sequence[Card]) -> dict[int, list[Bought]]:
    """By card: the days on which its account bought its thing in the past year and a half, in order.

    Two queries whatever the number of cards.
    """
    found: dict[int, dict[date, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    if not cards:
        return {}
    since = min(card.cutoff for card in cards) - LOOK_BACK
    accounts = {card.account_id for card in cards}
    days = DayRollup.objects.filter(account_id__in=accounts, day__gte=since).order_by("day")
    by_account: dict[tuple[int, int | None], list[Card]] = defaultdict(list)
    for card in cards:
        if card.level != Level.ITEM.value:
            by_account[card.account_id, card.category_id].append(card)
    for account, category, currency, day, amount in days.values_list(
        "account_id", "category_id", "currency", "day", "amount"
    ):
        for card in [*by_account[account, None], *(by_account[account, category] if category else ())]:
            if card.currency == currency:
                found[card.pk][day] += amount
    of_items = {(card.account_id, card.item_id): card for card in cards if card.level == Level.ITEM.value}
    items = ItemDay.objects.filter(account_id__in=accounts, day__gte=since, item_id__in=[item for _, item in of_items])
    for account, item, day, amount in items.values_list("account_id", "item_id", "day", "amount") if of_items else ():
        if of_item := of_items.get((account, item)):
            found[of_item.pk][day] += amount
    return {pk: [Bought(day, amount) for day, amount in sorted(days.items())] for pk, days in found.items()}


def peers(cards: Sequence[Card]) -> dict[int, list[Peer]]:
    """By growth card: what the best customers like this account buy and it does not, the card's own thing first."""
    growth = [card for card in cards if card.kind == Kind.GROWTH.value and card.run_id]
    if not growth:
        return {}
    scores = GrowthScore.objects.filter(
        run_id__in={card.run_id for card in growth}, account_id__in={card.account_id for card in growth}
    )
    rows: dict[tuple[int, int, bool], list[GrowthScore]] = defaultdict(list)
    for score in scores.select_related("category", "item").order_by("rank"):
        rows[score.run_id, score.account_id, score.item_id is not None].append(score)
    found = {}
    for card in growth:
        assert card.run_id is not None
        of_card = rows[card.run_id, card.account_id, card.item_id is not None]
        named = [
            Peer(
                str(score.item or score.category),
                float(score.evidence.get("share") or 0),
                (score.item_id, score.category_id if score.item_id is None else card.category_id)
                == (card.item_id, card.category_id),
            )
            for score in of_card
        ]
        own = [peer for peer in named if peer.is_this and peer.share >= WORTH_A_PICTURE]
        if not own:
            continue
        others = sorted((peer for peer in named if not peer.is_this), key=lambda peer: -peer.share)
        found[card.pk] = [*own, *others][:PEERS]
    return found


def companions(cards: Sequence[Card]) -> dict[int, str]:
    """By growth card: the name of what the account buys already that speaks most for it."""
    named: dict[bool, dict[int, str]] = {}
    for of_items, model in ((True, Item), (False, Category)):
        wanted = {card.evidence.get("because") for card in cards if (card.item_id is not None) is of_items}
        rows: QuerySet[Any] = model._default_manager.filter(pk__in=wanted - {None})
        named[of_items] = dict(rows.values_list("pk", "name")) if wanted - {None} else {}
    found = {card.pk: named[card.item_id is not None].get(card.evidence.get("because") or 0, "") for card in cards}
    return {pk: name for pk, name in found.items() if name}


def categories_in(cards: QuerySet[Card]) -> list[tuple[int, str]]:
    """The categories these cards are about, by name."""
    rows = cards.exclude(category=None).order_by("category__name").values_list("category_id", "category__name")
    return [(pk, name) for pk, name in rows.distinct() if pk is not None]


def territories_in(cards: QuerySet[Card]) -> list[tuple[int, str]]:
    """The territories of the accounts these cards are about, by name."""
    rows = Account.objects.filter(cards__in=cards).exclude(territory=None).order_by("territory__name")
    return [(pk, name) for pk, name in rows.values_list("territory_id", "territory__name").distinct() if pk is not None]
