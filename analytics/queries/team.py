"""How a book's representatives get on: what waits, what is in work, what was done and what came of it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import chain
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
    """Every representative, managers who have anything themselves, and what is nobody's last where work is among it.

    A fixed number of queries.
    """
    capacities = dict(Capacity.objects.filter(book=book).values_list("person_id", "cards_a_day"))
    work = _work(book, day)
    people = sellers.representatives(book)
    people += [one for one in sellers.managers(book) if work[one.pk].total() and one not in people]
    known = {person.pk for person in people}
    nobody = sum((of for key, of in work.items() if key not in known), Counter[str]())
    acts, outcomes = _acts(book, at), _outcomes(book)
    found = [
        _member(
            person, capacities.get(person.pk, rules.CARDS_A_DAY), work[person.pk], acts.get(person.pk, {}),
            outcomes.get(person.pk, {}),
        )
        for person in people
    ]  # fmt: skip
    if nobody["waiting"] or nobody["in_work"] or nobody["sales"]:
        found.append(_member(None, 0, nobody, {}, {}))
    return found


def _member(
    person: Person | None, capacity: int, work: Counter[str], acts: Mapping[str, int], outcome: Mapping[str, Any]
) -> Member:
    return Member(
        person=person,
        capacity=capacity,
        accounts=work["accounts"],
        waiting=work["waiting"],
        in_work=work["in_work"],
        overdue=work["overdue"],
        accepted=acts.get(What.ACCEPTED.value, 0),
        dismissed=acts.get(What.DISMISSED.value, 0),
        snoozed=acts.get(What.SNOOZED.value, 0),
        success=Share(outcome.get("again", 0), outcome.get("measured", 0)),
        recovered=outcome.get("recovered") or Decimal(0),
        won=outcome.get("won") or Decimal(0),
        sales=work["sales"],
        late=work["late"],
    )


def _work(book: Book, day: date) -> dict[int | None, Counter[str]]:
    """By representative, None where there is none: what they have, and what of it waits or is late on the day."""
    late = Step.objects.filter(opportunity=OuterRef("pk"), done_at=None, due_on__lt=day)
    sales = Opportunity.objects.filter(book=book, status=OpportunityState.OPEN.value).annotate(is_late=Exists(late))
    counted = (
        _counted(Account.objects.filter(book=book, merged_into=None), accounts=Count("pk")),
        _counted(
            Card.objects.filter(book=book, withheld=False),
            waiting=Count("pk", filter=waiting_on(day)),
            in_work=Count("pk", filter=Q(state=CardStatus.ACCEPTED)),
            overdue=Count("pk", filter=Q(state=CardStatus.ACCEPTED, due_on__lt=day)),
        ),
        _counted(sales, sales=Count("pk"), late=Count("pk", filter=Q(is_late=True))),
    )
    found: dict[int | None, Counter[str]] = defaultdict(Counter)
    for row in chain.from_iterable(counted):
        found[row.pop("representative")].update(row)
    return found


def _counted(rows: QuerySet[Any], **counts: Any) -> Iterable[dict[str, Any]]:
    return rows.order_by().values("representative").annotate(**counts)


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
