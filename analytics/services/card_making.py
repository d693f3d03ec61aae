"""Cards from a whole run's scores: made once, renewed while the scores hold, closed when they no longer do.

A night's run may be repeated: the second time nothing changes. Cards that somebody works on are never taken away.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from itertools import groupby
from operator import attrgetter
from typing import Any, Final, NamedTuple

from django.db import transaction
from django.db.models import F, Q, Sum

from analytics.models import (
    Account,
    AccountScore,
    Book,
    Capacity,
    Card,
    CardEvent,
    CategoryScore,
    DayRollup,
    Dismissal,
    GrowthScore,
    RunState,
    ScoringRun,
)
from analytics.queries import sellers
from analytics.rules import cards as rules
from analytics.rules.cards import CardState, Closing, Heard, Kind, Level, Order
from analytics.services import card_outcomes
from analytics.services.transitions import move_card

_BATCH: Final = 1000
_LIVE: Final = [state.value for state in rules.LIVE]
_UPDATED: Final = (
    *("state", "p", "expected_amount", "currency", "by_money", "by_certain", "reasons", "evidence", "run", "long_tail"),
    *("representative", "shown_on", "due_on", "closing", "closed_on"),
)
What = CardEvent.What


class Key(NamedTuple):
    """What a card is about: an account has one live card for it."""

    account: int
    kind: str
    level: str
    category: int | None = None
    item: int | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """A score that could be a card."""

    key: Key
    p: float
    amount: Decimal
    reasons: list[str]
    evidence: dict[str, Any]
    by_money: float
    by_certain: float


@dataclass(slots=True)
class Made:
    """What a refresh did."""

    made: int = 0
    withheld: int = 0
    renewed: int = 0
    updated: int = 0
    closed: int = 0


@transaction.atomic
def refresh(run_id: int, *, at: datetime) -> Made:
    """Make the cards of a run that is whole and its book's newest; of any other none. Idempotent; one at a time."""
    run = ScoringRun.objects.select_related("book").get(pk=run_id)
    book = Book.objects.select_for_update(no_key=True).get(pk=run.book_id)
    if run.state != RunState.WHOLE or book.run_id != run.pk:
        return Made()
    # Nobody acts on a live card until this is done: what was accepted meanwhile would be written back as open.
    live = Card.objects.select_for_update(no_key=True).filter(book=book, state__in=_LIVE)
    list(live.order_by("pk").values_list("pk"))
    # First what came of the cards there are: what was bought meanwhile needs none.
    card_outcomes.measure(book.pk, at=at)
    return _Refresh(book, run, at).do()


class _Refresh:
    """One refresh, under the book's lock."""

    def __init__(self, book: Book, run: ScoringRun, at: datetime) -> None:
        self.book, self.run, self.at, self.day = book, run, at, at.date()
        self.made = Made()
        self.events: list[CardEvent] = []
        self.accounts = _owners(book)
        live = Card.objects.select_for_update(no_key=True).filter(book=book, state__in=_LIVE)
        self.live = {_key(card): card for card in live}
        self.vital = rules.vital_few(spent(book, run.cutoff))
        self.barred = _Barred.of(book, self.day)

    def do(self) -> Made:
        found = self._chosen()
        currencies = {card.currency for card in self.live.values()}
        changed = [card for key, card in self.live.items() if self._renewed(card, found.pop(key, None))]
        Card.objects.bulk_update(changed, _UPDATED, batch_size=_BATCH)
        Card.objects.bulk_create((new := [self._new(one) for one in found.values()]), batch_size=_BATCH)
        made = [self._event(card, What.MADE, "", card.state) for card in new]
        CardEvent.objects.bulk_create([*made, *self.events], batch_size=_BATCH)
        if currencies - {self.run.currency}:
            # What was bought is counted in the currency that is scored now, as what is expected.
            card_outcomes.measure(self.book.pk, at=self.at)
        self.made.made = sum(card.state == CardState.OPEN for card in new)
        self.made.withheld = len(new) - self.made.made
        offer(self.book, self.day)
        return self.made

    # What the scores say

    def _chosen(self) -> dict[Key, Found]:
        """Scores worth a card: what is live already, and the best of each representative's in both orders."""
        kept: dict[Key, Found] = {}
        stock: dict[int | None, _Stock] = {}
        sizes = capacities(self.book)
        for found in self._possible():
            owner = self.accounts[found.key.account].representative
            if found.key.account in self.barred.accounts:
                continue  # nothing more is said of it; its open cards go
            if found.key in self.live:
                kept[found.key] = found
            elif not self.barred.bars(found, self.day):
                size = sizes.get(owner, rules.CARDS_A_DAY) if owner is not None else rules.CARDS_A_DAY
                stock.setdefault(owner, _Stock(size * rules.STOCK_DAYS)).offer(found)
        for one in stock.values():
            kept |= {found.key: found for found in one.best()}
        return kept

    def _possible(self) -> Iterator[Found]:
        if self.run.cutoff + rules.HORIZON <= self.day:
            return  # a history that ended so long ago foretells days that are over: nobody is to be called for them
        covered: set[int] = set()
        for found in self._scores(AccountScore, Kind.RECOVERY, Level.ACCOUNT):
            covered.add(found.key.account)
            yield found
        by_category = self._scores(CategoryScore, Kind.RECOVERY, Level.CATEGORY)
        # Where the whole account falls silent, its categories say nothing new.
        yield from self._few(found for found in by_category if found.key.account not in covered)
        yield from self._few(self._scores(GrowthScore, Kind.GROWTH, Level.CATEGORY))

    def _scores(self, model: Any, kind: Kind, level: Level) -> Iterator[Found]:
        names = ["account_id", "p", "expected_amount", "reasons", "evidence"]
        rows = model.objects.filter(run=self.run, expected_amount__gt=0).order_by("account_id")
        if kind is Kind.GROWTH:
            names = ["account_id", "score", "expected_amount", "category_id", "item_id", "quantity", "evidence"]
            rows = rows.filter(rank__lte=5)
        else:
            names += ["category_id"] * (level is Level.CATEGORY)
            rows = rows.filter(p__gte=rules.LEAST_P[kind], suppressed=False)
        for row in rows.values(*names).iterator(chunk_size=5000):
            if row["account_id"] in self.accounts and (found := _found(row, kind, level)):
                yield found

    def _few(self, rows: Iterable[Found]) -> Iterator[Found]:
        """The best few of each account at each level, and those that are live; `rows` come account by account."""
        for _account, of_account in groupby(rows, key=lambda found: found.key.account):
            taken: Counter[str] = Counter()
            for found in sorted(of_account, key=attrgetter("by_money"), reverse=True):
                taken[found.key.level] += 1
                most = rules.MOST_OF_ACCOUNT[Kind(found.key.kind), Level(found.key.level)]
                if taken[found.key.level] <= most or found.key in self.live:
                    yield found

    # What becomes of the cards

    def _renewed(self, card: Card, found: Found | None) -> bool:
        """Bring a live card up to date; whether anything changed."""
        before = {name: getattr(card, name) for name in _UPDATED}
        owner = self.accounts.get(card.account_id)
        if owner is not None and card.state != CardState.ACCEPTED:
            card.representative_id = owner.representative
        if found is not None:
            card.p, card.expected_amount, card.currency = found.p, found.amount, self.run.currency
            card.by_money, card.by_certain = found.by_money, found.by_certain
            card.reasons, card.evidence, card.run = found.reasons, found.evidence, self.run
            card.long_tail = self._is_tail(card.account_id)
        if card.state == CardState.SNOOZED and card.due_on is not None and card.due_on <= self.day:
            self._move(card, CardState.OPEN, What.RENEWED)
            card.shown_on, card.due_on = self.day, None
            self.made.renewed += 1
        if card.state in (CardState.OPEN, CardState.SNOOZED):
            self._close(card, found)
        if changed := any(getattr(card, name) != value for name, value in before.items()):
            self.made.updated += 1
        return changed

    def _close(self, card: Card, found: Found | None) -> None:
        why = None
        if card.bought:
            why = Closing.BOUGHT
        elif found is None:
            why = Closing.FADED
        elif card.state == CardState.OPEN and rules.is_old(card.shown_on, self.day):
            why = Closing.OLD
        if why is None:
            return
        self._move(card, CardState.EXPIRED, What.EXPIRED, why.value)
        card.closing, card.closed_on, card.due_on = why.value, self.day, None
        self.made.closed += 1

    def _new(self, found: Found) -> Card:
        account = self.accounts[found.key.account]
        kind = Kind(found.key.kind)
        hidden = rules.withheld(self.book.pk, account.external_id, kind, self.run.cutoff.year)
        return Card(
            book=self.book, account_id=found.key.account, kind=kind.value, level=found.key.level,
            category_id=found.key.category, item_id=found.key.item,
            state=(CardState.WITHHELD if hidden else CardState.OPEN).value, withheld=hidden,
            p=found.p, p_made=found.p, expected_amount=found.amount, currency=self.run.currency,
            by_money=found.by_money, by_certain=found.by_certain, reasons=found.reasons, evidence=found.evidence,
            run=self.run, cutoff=self.run.cutoff, long_tail=self._is_tail(found.key.account),
            representative_id=account.representative, created_at=self.at, shown_on=self.day,
        )  # fmt: skip

    def _is_tail(self, account_id: int) -> bool:
        account = self.accounts.get(account_id)
        return account_id not in self.vital and not (account and account.strategic)

    def _move(self, card: Card, after: CardState, what: CardEvent.What, reason: str = "") -> None:
        before = move_card(card, after)
        self.events.append(self._event(card, what, before, after.value, reason))

    def _event(self, card: Card, what: CardEvent.What, before: str, after: str, reason: str = "") -> CardEvent:
        return CardEvent(card=card, at=self.at, what=what, before=before, after=after, reason=reason)


class _Stock:
    """The best so many by money, and as many by certainty."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._offered = 0
        self._heaps: dict[str, list[tuple[float, int, Found]]] = {"by_money": [], "by_certain": []}

    def offer(self, found: Found) -> None:
        # Of equals the first stays.
        self._offered -= 1
        for name, heap in self._heaps.items():
            entry = (getattr(found, name), self._offered, found)
            if len(heap) < self.size:
                heapq.heappush(heap, entry)
            elif heap and entry > heap[0]:
                heapq.heapreplace(heap, entry)

    def best(self) -> Iterator[Found]:
        for heap in self._heaps.values():
            for _worth, _place, found in sorted(heap, reverse=True):
                yield found


@dataclass(slots=True)
class _Barred:
    """Cards that may not be made: dismissed with a reason that holds, or closed not long ago."""

    accounts: set[int] = field(default_factory=set)
    dismissed: dict[Key, tuple[date | None, float]] = field(default_factory=dict)
    resting: dict[Key, date] = field(default_factory=dict)

    @classmethod
    def of(cls, book: Book, day: date) -> _Barred:
        barred = cls()
        standing = Dismissal.objects.filter(card__book=book, undone_at=None).select_related("card", "account")
        for one in standing.order_by("day", "pk").iterator(chunk_size=2000):
            root = one.account.merged_into_id
            # That a number is closed, or another's, is not said of the account that stands for it.
            if one.whole_account and root is not None:
                continue
            barred.dismissed[_key(one.card, root)] = (one.until, one.p)
            if one.whole_account:
                barred.accounts.add(one.account_id)
        longest = max(rules.REST.values())
        closed = Card.objects.filter(book=book, state__in=("done", "expired"), closed_on__gt=day - longest)
        for card in closed.select_related("account").order_by("closed_on", "pk").iterator(chunk_size=2000):
            if card.closed_on is not None and (why := _why(card)):
                barred.resting[_key(card, card.account.merged_into_id)] = rules.rests_until(why, card.closed_on)
        return barred

    def bars(self, found: Found, day: date) -> bool:
        if found.key.account in self.accounts or self.resting.get(found.key, day) > day:
            return True
        if found.key not in self.dismissed:
            return False
        until, p_then = self.dismissed[found.key]
        return not rules.may_return(until, p_then, day, found.p)


def _why(card: Card) -> Closing | Heard | None:
    if card.closing:
        return Closing(card.closing)
    return Heard(card.heard) if card.heard in rules.FINAL_CALLS else None


def _found(row: dict[str, Any], kind: Kind, level: Level) -> Found | None:
    evidence = row["evidence"]
    if kind is Kind.GROWTH:
        level = Level.ITEM if row["item_id"] else Level.CATEGORY
        p = min(row["score"], 1.0)
        evidence = evidence | {"quantity": row["quantity"]}
        if p < rules.LEAST_P[kind]:
            return None
    else:
        p = row["p"]
    amount = float(row["expected_amount"])
    return Found(
        Key(row["account_id"], kind.value, level.value, row.get("category_id"), row.get("item_id")),
        p,
        row["expected_amount"],
        list(row.get("reasons", ())),
        evidence,
        rules.worth(Order.MONEY, p, amount),
        rules.worth(Order.CERTAIN, p, amount),
    )


def _key(card: Card, root: int | None = None) -> Key:
    """What the card is about; `root`: the account that stands for its own after a merge."""
    return Key(root or card.account_id, card.kind, card.level, card.category_id, card.item_id)


class _Owner(NamedTuple):
    external_id: str
    representative: int | None
    strategic: bool


def _owners(book: Book) -> dict[int, _Owner]:
    """Who looks after each account: its representative, else its territory's, else the only one there is.

    Who has left looks after none.
    """
    people = [person.pk for person in sellers.representatives(book)]
    only = people[0] if len(people) == 1 else None
    rows = Account.objects.filter(book=book, merged_into=None).values_list(
        "pk", "external_id", "representative_id", "territory__representative_id", "strategic"
    )
    here = {*people, *(person.pk for person in sellers.managers(book))}
    return {
        pk: _Owner(name, next((one for one in (own, territory) if one in here), only), strategic)
        for pk, name, own, territory, strategic in rows
    }


def spent(book: Book, cutoff: date) -> dict[int, float]:
    """What each account bought in the year to the cut-off."""
    since = cutoff.replace(year=cutoff.year - 1, day=min(cutoff.day, 28))
    days = DayRollup.objects.filter(book=book, day__gt=since, day__lte=cutoff, currency=book.currency)
    return {
        row["account_id"]: float(row["sum"]) for row in days.order_by().values("account_id").annotate(sum=Sum("amount"))
    }


def capacities(book: Book) -> dict[int, int]:
    """Cards a day by person, where the manager has said it."""
    return dict(Capacity.objects.filter(book=book).values_list("person_id", "cards_a_day"))


def offer(book: Book, day: date) -> None:
    """Mark the cards of the day: an open one among the first, and a withheld one that would have been among them.

    So that the shown and the withheld are compared card for card as they would have reached a desk.
    """
    sizes = capacities(book)
    fresh = Card.objects.filter(book=book)
    people = fresh.filter(state=CardState.OPEN).order_by().values_list("representative_id", flat=True).distinct()
    for person in people:
        of_person = fresh.filter(representative_id=person)
        size = sizes.get(person, rules.CARDS_A_DAY) if person else rules.CARDS_A_DAY
        for order in ("by_money", "by_certain"):
            tail, vital = (list(_first(of_person.filter(long_tail=tail), order, size)) for tail in (True, False))
            takes = rules.mixed(vital, tail, size)
            for long_tail, ranked, taken in ((False, vital, takes[0]), (True, tail, takes[1])):
                if taken:
                    least = ranked[taken - 1]
                    reached = Q(state=CardState.OPEN) | Q(state=CardState.WITHHELD)
                    rows = of_person.filter(reached, long_tail=long_tail, offered_on=None, **{f"{order}__gte": least})
                    rows.update(offered_on=day)


def _first(cards: Any, order: str, size: int) -> Any:
    return cards.filter(state=CardState.OPEN).order_by(F(order).desc(), "pk").values_list(order, flat=True)[:size]
