"""The demonstration's book: purchases loaded as an import, scored as of last summer and of today, cards worked between.

What was accepted is bought again more often than what was not, so that the dashboard has something to tell.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from django.db import connection, transaction

from analytics.demo import pipeline, purchases
from analytics.demo.purchases import Bought, Customer
from analytics.models import Account, Book, Card, Import, ImportKind, ImportState, RunPartition, ScoringRun, StagedLine
from analytics.permissions import book_for
from analytics.rules.cards import FITTING, CardState, Dismissed, Heard, Kind
from analytics.rules.territories import Rule
from analytics.services import card_making, cards, contract_history, customers, loading, requests_in, runs, scoring
from marketplace.models import Organisation, Person, StaffRole
from marketplace.permissions import Actor, actor_for
from marketplace.shared import jobs
from procurement.demo.names import COUNTRIES

SEED: Final = 5
CUSTOMERS: Final = 300
# How long ago the cards were made whose ends are known by now.
THEN: Final = timedelta(days=112)
# Cards that each representative dealt with since.
WORKED: Final = 80
_CURRENCY: Final = "EUR"
_NORTH: Final = ("DE", "NL", "PL", "SE", "DK")
# Of what is dealt with, what becomes of it; the rest waits until it expires.
_ACTS: Final = (("accept", 56), ("dismiss", 22), ("snooze", 6), ("nothing", 16))
# How often an accepted card is bought, beyond who would have bought anyway.
_WON: Final = {Kind.RECOVERY: 0.34, Kind.GROWTH: 0.3}

Say = Callable[[str], None]


def make(*, now: datetime, count: int = CUSTOMERS, seed: int = SEED, say: Say) -> None:
    """Fill the platform's book. The platform's staff must be there; jobs are not sent."""
    rng = random.Random(seed)
    then = datetime.combine((now - THEN).date(), time(3), UTC)
    with jobs.discarded():
        book = book_for(None)
        found = purchases.customers(rng, count, now.date(), _buyers())
        say("Three years of purchases")
        _load(book, purchases.bought(rng, found, then.date() - timedelta(days=1)), "purchases-3-years.csv", then)
        contract_history.refresh(book.pk, at=now)
        manager, people = _sellers()
        _share_out(book, people, manager, then)
        say("Scored as of last summer")
        _score(book, then)
        say("Cards worked since then")
        _work(rng, book, people, found, then)
        _load(book, purchases.bought(rng, found, now.date() - timedelta(days=1)), "purchases-lately.csv", now)
        say("Scored as of today")
        _score(book, now)
        _begin_the_day(rng, book, people, now)
        _sell(rng, book, people, now)


def _buyers() -> list[tuple[str, str, str]]:
    rows = Organisation.objects.filter(is_buyer=True, tenders__isnull=False).order_by("pk").distinct()[:60]
    return [(f"{contract_history.PREFIX}{row.pk}", row.short_name, row.country) for row in rows]


def _load(book: Book, lines: Iterable[Bought], name: str, at: datetime) -> None:
    """As a file of the seller's own system comes in, without the file."""
    with transaction.atomic():
        batch = Import.objects.create(
            book=book, kind=ImportKind.FILE, state=ImportState.LOADING, name=name, currency=_CURRENCY, created_at=at,
            loaded_at=at,
        )  # fmt: skip
        read = _stage(batch, lines)
        done = loading.load(batch, loading.lock(book.pk))
        batch.staged.all().delete()
        book.refresh_from_db()
        loading.settle_currency(book)
        batch.state = ImportState.LOADED
        batch.counts = {**done.as_json(), "read": read, "accepted": read, "rejected": 0}
        batch.save(update_fields=["state", "counts"])
    if read > loading.HANDFUL:
        # Else the planner would go through all of them for each of the few lines that come next.
        loading.analyse()


def _stage(batch: Import, lines: Iterable[Bought]) -> int:
    """Put the lines down to be loaded, by COPY; how many."""
    columns = (
        *("batch_id", "row", "account", "account_name", "country", "order", "line", "day", "cancels", "item"),
        *("item_name", "category", "category_name", "quantity", "amount", "currency"),
    )
    names = ", ".join(f'"{column}"' for column in columns)
    number = 0
    with connection.cursor() as cursor, cursor.copy(f"COPY {StagedLine._meta.db_table} ({names}) FROM STDIN") as copy:
        for number, line in enumerate(lines, start=1):
            customer, good, kind = line.customer, line.good.name, line.line
            copy.write_row(
                (
                    batch.pk, number + 1, customer.number, customer.name, customer.country, line.order,
                    f"{kind.code}-{good[:60]}", line.day, "", good, good, kind.code, kind.heading, line.quantity,
                    line.amount, _CURRENCY,
                )
            )  # fmt: skip
    return number


def _sellers() -> tuple[Actor, list[Actor]]:
    """The manager and the representatives, Rosa first."""
    manager = Person.objects.filter(staff_roles__contains=[StaffRole.SALES_MANAGER.value]).order_by("pk")[0]
    people = Person.objects.filter(staff_roles__contains=[StaffRole.REPRESENTATIVE.value]).order_by("pk")
    return actor_for(manager), [actor_for(person) for person in people]


def _share_out(book: Book, people: Sequence[Actor], manager: Actor, at: datetime) -> None:
    """Two territories; the twelve largest customers are strategic, and Rosa's."""
    rest = tuple(country.code for country in COUNTRIES if country.code not in _NORTH)
    for rank, (name, codes) in enumerate((("North", _NORTH), ("South and east", rest))):
        territory = customers.save_territory(book.pk, None, name, Rule(countries=codes), rank, by=manager, at=at)
        owner = people[rank % len(people)].person
        assert owner is not None
        customers.hand_over_territory(territory.pk, owner.pk, "The first share-out of the book.", by=manager, at=at)
    spent = card_making.spent(book, at.date())
    for account_id in sorted(spent, key=lambda pk: -spent[pk])[:12]:
        customers.mark_strategic(account_id, True, by=manager, at=at)


def _score(book: Book, at: datetime) -> None:
    """A night's run, here and now, as workers would do it."""
    run = ScoringRun.objects.create(
        book=book, cutoff=(at - timedelta(days=1)).date(), currency=_CURRENCY, created_at=at
    )
    scoring.learn(run.pk, lambda: at)
    for part_id in RunPartition.objects.filter(run=run).order_by("number").values_list("pk", flat=True):
        scoring.score_part(part_id, lambda: at)
    runs.conclude(run.pk, at=at)
    runs.make_cards(run.pk, at=at)


def _work(rng: random.Random, book: Book, people: Sequence[Actor], found: Sequence[Customer], since: datetime) -> None:
    """The first weeks after the run: each works through their cards, the most money first."""
    by_number = {customer.number: customer for customer in found}
    for actor in people:
        own = Card.objects.filter(book=book, representative=actor.person, state=CardState.OPEN)
        ranked = own.select_related("account", "category", "item__category").order_by("-by_money")
        for place, card in enumerate(ranked[:WORKED]):
            if place % 12 == 0:
                card_making.offer(book, since.date() + timedelta(days=place // 12))
            at = since + timedelta(days=place // 12, hours=5, minutes=7 * (place % 12))
            _act(rng, card, actor, at, by_number.get(card.account.external_id))


def _act(rng: random.Random, card: Card, actor: Actor, at: datetime, customer: Customer | None) -> None:
    what = rng.choices([name for name, _share in _ACTS], [share for _name, share in _ACTS])[0]
    kind = Kind(card.kind)
    if what == "accept":
        cards.accept(card.pk, by=actor, at=at)
        won = rng.random() < _WON[kind]
        if won and customer is not None:
            code = item = ""
            if kind is Kind.GROWTH:
                category = card.category or (card.item.category if card.item else None)
                code, item = category.code if category else "", card.item.code if card.item else ""
            purchases.take_up_again(rng, customer, at.date(), code, item)
        if rng.random() < 0.5:
            cards.call(card.pk, Heard.REACHED, note=rng.choice(_NOTES), by=actor, at=at + timedelta(hours=3))
    elif what == "dismiss":
        reasons = [reason for reason in FITTING[kind] if reason not in (Dismissed.OTHER, Dismissed.CLOSED)]
        cards.dismiss(card.pk, rng.choice(reasons), by=actor, at=at)
    elif what == "snooze":
        cards.snooze(card.pk, at.date() + timedelta(days=rng.choice((7, 30))), by=actor, at=at)


def _sell(rng: random.Random, book: Book, people: Sequence[Actor], now: datetime) -> None:
    """A pipeline at work, with customers in the middle of the list."""
    accounts = Account.objects.filter(book=book, merged_into=None, strategic=False).order_by("pk")[40:60]
    pipeline.make(book, people, list(accounts), now, rng)
    requests_in.sweep(at=now)


_NOTES: Final = (
    "The buyer has changed; the new one asks for a price list.",
    "They tried another supplier for two deliveries and were not content.",
    "Stocks are full until the end of the month.",
    "Wants an offer for a year, with call-offs.",
    "Delivery times were too long; promised five days.",
)


def _begin_the_day(rng: random.Random, book: Book, people: Sequence[Actor], now: datetime) -> None:
    """What was taken up yesterday, and is due today; this morning's first cards."""
    yesterday: date = now.date() - timedelta(days=1)
    for actor in people:
        own = Card.objects.filter(book=book, representative=actor.person, state=CardState.OPEN).order_by("-by_certain")
        for place, card in enumerate(own[:6]):
            at = datetime.combine(yesterday, time(9, 10 * place), UTC)
            if place < 2:
                cards.call(card.pk, Heard.NO_ANSWER, again_on=None, note="", by=actor, at=at)
            elif place < 4:
                cards.accept(card.pk, by=actor, at=at)
            else:
                cards.snooze(card.pk, now.date() + timedelta(days=rng.choice((1, 3, 7))), by=actor, at=at)
