"""A seller's book with accounts, purchases and a whole run's scores, as cards are made from."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

from analytics.models import (
    Account,
    AccountScore,
    Book,
    Card,
    Category,
    CategoryScore,
    DayRollup,
    GrowthScore,
    RunState,
    ScoringRun,
)
from analytics.permissions import book_for
from analytics.rules.cards import Kind, withheld
from analytics.services import card_making
from marketplace.models import Person, StaffRole
from marketplace.permissions import Actor
from tests.factories.marketplace import staff

CUTOFF = date(2026, 3, 1)
NIGHT = datetime(2026, 3, 2, 2, tzinfo=UTC)
MORNING = datetime(2026, 3, 2, 8, tzinfo=UTC)
CURRENCY = "EUR"
# Enough to qualify a lead by.
GOOD_BANT = {"budget": "yes", "authority": "partly", "need": "yes", "timeline": "unknown"}
_numbers = count(1)


def platform_book(currency: str = CURRENCY) -> Book:
    book = book_for(None)
    book.currency = currency
    book.save(update_fields=["currency"])
    return book


def representative() -> Actor:
    return staff(StaffRole.REPRESENTATIVE)


def sales_manager() -> Actor:
    return staff(StaffRole.SALES_MANAGER)


def account(book: Book, owner: Actor | None = None, **fields: Any) -> Account:
    number = next(_numbers)
    person: Person | None = owner.person if owner else None
    values = {"external_id": f"C-{number}", "name": f"Customer {number}", "country": "DE", "created_at": NIGHT}
    return Account.objects.create(book=book, representative=person, **values | fields)


def shown_account(book: Book, owner: Actor, **fields: Any) -> Account:
    """An account whose recovery cards are not withheld this year, whatever the numbers of this test's database are."""
    while withheld(book.pk, name := f"S-{next(_numbers)}", Kind.RECOVERY, CUTOFF.year) or withheld(
        book.pk, name, Kind.GROWTH, CUTOFF.year
    ):
        pass
    return account(book, owner, external_id=name, **fields)


def category(book: Book, name: str) -> Category:
    return Category.objects.get_or_create(book=book, code=name.lower(), defaults={"name": name})[0]


def bought(account: Account, day: date, amount: str = "100.00", category: Category | None = None) -> DayRollup:
    return DayRollup.objects.create(
        book=account.book, account=account, category=category, currency=CURRENCY, day=day,
        orders=1, quantity=Decimal(1), amount=Decimal(amount),
    )  # fmt: skip


def buys_every(account: Account, days: int, until: date, times: int = 10, **more: Any) -> None:
    for number in range(times):
        bought(account, until - timedelta(days=days * number), **more)


def whole_run(book: Book, cutoff: date = CUTOFF) -> ScoringRun:
    """The newest run of the book, whole, without scores yet."""
    run = ScoringRun.objects.create(
        book=book, state=RunState.WHOLE, cutoff=cutoff, currency=book.currency, created_at=NIGHT, finished_at=NIGHT
    )
    book.run = run
    book.save(update_fields=["run"])
    return run


EVIDENCE = {"gap": 20.0, "silent": 55, "orders": 12, "amount": 400.0, "last": "2026-01-05"}


def at_risk(run: ScoringRun, account: Account, p: float = 0.7, amount: str = "1000.00", **more: Any) -> AccountScore:
    values = {"reasons": [], "evidence": EVIDENCE}
    return AccountScore.objects.create(run=run, account=account, p=p, expected_amount=Decimal(amount), **values | more)


def leaves_category(
    run: ScoringRun, account: Account, category: Category, p: float = 0.7, amount: str = "500.00", **more: Any
) -> CategoryScore:
    values = {"reasons": [], "evidence": EVIDENCE, "survival": 0.05}
    return CategoryScore.objects.create(
        run=run, account=account, category=category, p=p, expected_amount=Decimal(amount), **values | more
    )


def could_buy(
    run: ScoringRun, account: Account, category: Category, p: float = 0.4, amount: str = "300.00", rank: int = 1
) -> GrowthScore:
    return GrowthScore.objects.create(
        run=run, account=account, category=category, rank=rank, score=p, expected_amount=Decimal(amount),
        quantity=4.0, evidence={"share": 0.78, "profile": 43},
    )  # fmt: skip


def made_cards(run: ScoringRun, at: datetime = NIGHT) -> list[Card]:
    """The cards of the run, the most money first."""
    card_making.refresh(run.pk, at=at)
    return list(Card.objects.filter(book=run.book).select_related("account").order_by("-by_money"))


def one_card(by: Actor, p: float = 0.7) -> Card:
    """A card of recovery in somebody's queue."""
    book = platform_book()
    account = shown_account(book, by)
    run = whole_run(book)
    at_risk(run, account, p=p)
    return made_cards(run)[0]
