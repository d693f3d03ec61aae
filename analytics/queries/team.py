"""How a book's representatives get on: what waits, what is in work, what was done and what came of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Sum

from analytics.models import Account, Book, Capacity, Card, CardEvent, CardStatus, Closing, Opportunity, Step
from analytics.queries import sellers
from analytics.queries.cards import standing, waiting_on
from analytics.rules import cards as rules
from analytics.rules.effect import Share
from analytics.rules.pipeline import OpportunityState
from marketplace.models import Person

# The time in which work is counted.
PERIOD: Final = timedelta(days=30)
What = CardEvent.What


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody who sells, in figures. `person` is None for what is nobody's, or is of somebody who has left."""

    person: Person | None
    capacity: int
    accounts: int
    waiting: int
    in_work: int
    overdue: int
    accepted: int
    dismissed: int
    snoozed: int
    success: Share
    recovered: Decimal
    won: Decimal
    # Open opportunities, and how many of them have a next step that is late.
    sales: int
    late: int


def members(book: Book, day: date, at: datetime) -> list[Member]:
    """Every representative, managers who work something themselves, and what is nobody's last where there is anything.

    A fixed number of queries.
    """
    capacities = dict(Capacity.objects.filter(book=book).values_list("person_id", "cards_a_day"))
    accounts = _counted(Account.objects.filter(book=book, merged_into=None), n=Count("pk"))
    shown = Card.objects.filter(book=book, withheld=False)
    cards = _counted(
        shown,
        waiting=Count("pk", filter=waiting_on(day)),
        in_work=Count("pk", filter=Q(state=CardStatus.ACCEPTED)),
        overdue=Count("pk", filter=Q(state=CardStatus.ACCEPTED, due_on__lt=day)),
    )
    acts = _acts(book, at)
    outcomes = _outcomes(book)
    sales = _sales(book, day)
    work = cards.keys() | sales.keys()
    people: list[Person | None] = list(sellers.representatives(book))
    people += [one for one in sellers.managers(book) if one.pk in work and one not in people]
    known = {person.pk for person in people if person}
    nobody = [key for key in cards if key not in known and (cards[key]["waiting"] or cards[key]["in_work"])]
    left = [key for key in sales if key not in known]
    found = []
    for person in [*people, *([None] if nobody or left else [])]:
        key = person.pk if person else None
        of_cards = cards.get(key, {}) if person else _summed(cards, nobody, ("waiting", "in_work", "overdue"))
        of_sales = sales.get(key, {}) if person else _summed(sales, left, ("n", "late"))
        of_acts, outcome = acts.get(key, {}), outcomes.get(key, {})
        found.append(
            Member(
                person,
                capacities.get(person.pk, rules.CARDS_A_DAY) if person else 0,
                accounts.get(key, {}).get("n", 0),
                of_cards.get("waiting", 0),
                of_cards.get("in_work", 0),
                of_cards.get("overdue", 0),
                of_acts.get(What.ACCEPTED.value, 0),
                of_acts.get(What.DISMISSED.value, 0),
                of_acts.get(What.SNOOZED.value, 0),
                Share(outcome.get("again", 0), outcome.get("measured", 0)),
                outcome.get("recovered") or Decimal(0),
                outcome.get("won") or Decimal(0),
                of_sales.get("n", 0),
                of_sales.get("late", 0),
            )
        )
    return found


def _counted(rows: QuerySet[Any], **counts: Any) -> dict[int | None, dict[str, int]]:
    """By representative."""
    grouped = rows.order_by().values("representative").annotate(**counts)
    return {row["representative"]: row for row in grouped}


def _sales(book: Book, day: date) -> dict[int | None, dict[str, int]]:
    late = Step.objects.filter(opportunity=OuterRef("pk"), done_at=None, due_on__lt=day)
    rows = Opportunity.objects.filter(book=book, status=OpportunityState.OPEN.value).annotate(is_late=Exists(late))
    return _counted(rows, n=Count("pk"), late=Count("pk", filter=Q(is_late=True)))


def _summed(rows: dict[int | None, dict[str, int]], keys: list[int | None], names: Sequence[str]) -> dict[str, int]:
    return {name: sum(rows[key][name] for key in keys) for name in names}


def _acts(book: Book, at: datetime) -> dict[int | None, dict[str, int]]:
    """By person: how many cards they accepted, dismissed and snoozed in the period, without what was taken back."""
    events = CardEvent.objects.filter(card__book=book, at__gt=at - PERIOD).exclude(person=None)
    found: dict[int | None, dict[str, int]] = defaultdict(dict)
    for row in standing(events).order_by().values("person", "what").annotate(n=Count("card", distinct=True)):
        found[row["person"]][row["what"]] = row["n"]
    return found


def _outcomes(book: Book) -> dict[int | None, dict[str, Any]]:
    """By who accepted: accepted cards that are measured, those whose account bought, and for how much.

    Of cards in the book's currency.
    """
    cards = Card.objects.filter(book=book, currency=book.currency).exclude(accepted_by=None)
    cards = cards.exclude(closing=Closing.MERGED)
    rows = (
        cards.order_by()
        .values("accepted_by")
        .annotate(
            measured=Count("pk", filter=Q(measured_at__isnull=False)),
            again=Count("pk", filter=Q(measured_at__isnull=False, bought=True)),
            recovered=Sum("bought_amount", filter=Q(kind="recovery", bought=True)),
            won=Sum("bought_amount", filter=Q(kind="growth", bought=True)),
        )
    )
    return {row["accepted_by"]: dict(row) for row in rows}
