"""A seller's customers: the list, and what one customer's page shows. All sums are in the book's currency."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from django.db.models import (
    Case,
    Count,
    DecimalField,
    Exists,
    Max,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Sum,
    Value,
    When,
)
from django.db.models.functions import Coalesce, TruncMonth, Upper

from analytics.models import (
    Account,
    AccountEvent,
    Book,
    Card,
    CardEvent,
    CategoryScore,
    DayRollup,
    LineSource,
    OrderLine,
    SameSale,
)
from analytics.rules.cards import LIVE, CardState
from analytics.rules.rhythm import Rhythm, rhythm

_LIVE = [state.value for state in LIVE if state is not CardState.WITHHELD]
_MERGES = (AccountEvent.What.MERGED, AccountEvent.What.PARTED)
_AMOUNT: DecimalField = DecimalField(max_digits=22, decimal_places=4)


@dataclass(frozen=True, slots=True)
class CategoryRow:
    """A category an account buys, with its rhythm and what it brought in the last twelve months."""

    category: int | None
    name: str
    rhythm: Rhythm
    amount: Decimal
    before: Decimal
    p: float | None


@dataclass(frozen=True, slots=True)
class Totals:
    """What an account bought in the last twelve months, and in the twelve before."""

    amount: Decimal
    before: Decimal
    orders: int
    rhythm: Rhythm


def of_book(book: Book) -> QuerySet[Account]:
    """Accounts that stand for themselves: those merged into another are seen through it."""
    return Account.objects.filter(book=book, merged_into=None)


def standing(book: Book, account_id: int) -> Account | None:
    """The account of the book, or the one that stands for it after a merge."""
    found = Account.objects.filter(book=book, pk=account_id).select_related("merged_into").first()
    return found and (found.merged_into or found)


def buyers_of(account: Account) -> list[int]:
    """The organisations on the platform that the account is, with those of the accounts merged into it."""
    whole = Account.objects.filter(Q(pk=account.pk) | Q(merged_into=account.pk)).exclude(buyer=None)
    return list(whole.order_by("buyer").values_list("buyer", flat=True).distinct())


def matching(accounts: QuerySet[Account], text: str) -> QuerySet[Account]:
    """Accounts whose name holds the text, or whose customer number it is."""
    if not text:
        return accounts
    named = accounts.annotate(upper_name=Upper("name"))
    return named.filter(Q(upper_name__contains=text.upper()) | Q(external_id=text))


def with_figures(accounts: QuerySet[Account], book: Book, since: date) -> QuerySet[Account]:
    """With `spent` since that day, `last_day` of a purchase, and the number of open cards."""
    days = DayRollup.objects.filter(account=OuterRef("pk"), currency=book.currency).order_by().values("account")
    spent = days.filter(day__gt=since).annotate(sum=Sum("amount")).values("sum")
    last = days.annotate(last=Max("day")).values("last")
    cards = Card.objects.filter(account=OuterRef("pk"), state__in=_LIVE).order_by().values("account")
    return accounts.select_related("representative", "territory").annotate(
        spent=Coalesce(Subquery(spent), Value(Decimal(0)), output_field=_AMOUNT),
        last_day=Subquery(last),
        open_cards=Coalesce(Subquery(cards.annotate(n=Count("pk")).values("n")), 0),
    )


def lines_of(account: Account) -> QuerySet[OrderLine]:
    """The order lines its figures are made of, those of the accounts merged into it too, and in every currency."""
    whole = [account.pk, *account.merged.values_list("pk", flat=True)]
    rows = OrderLine.objects.filter(account__in=whole, current=True)
    # An order that is a contract on the platform counts as that alone, and so does what takes it back.
    number = Case(When(quantity__lt=0, cancels__gt="", then="cancels"), default="order")
    same = SameSale.objects.filter(book=account.book_id, apart_at=None, order=OuterRef("number"))
    rows = rows.alias(number=number).exclude(Exists(same), source=LineSource.OWN)
    return rows.select_related("account", "category", "item", "brought_by")


def by_month(account: Account, since: date) -> dict[date, tuple[Decimal, int]]:
    """Amount and orders by month, from the month of that day on."""
    days = DayRollup.objects.filter(account=account, currency=account.book.currency, day__gte=since)
    rows = days.order_by().values(month=TruncMonth("day")).annotate(sum=Sum("amount"), n=Count("day", distinct=True))
    return {row["month"]: (row["sum"], row["n"]) for row in rows}


def categories(account: Account, today: date) -> tuple[Totals, list[CategoryRow]]:
    """The account's own figures, and those of each category, the largest of the last twelve months first."""
    rows = DayRollup.objects.filter(account=account, currency=account.book.currency, day__lte=today).order_by("day")
    days: dict[int | None, list[date]] = defaultdict(list)
    names: dict[int | None, str] = {}
    sums: dict[int | None, list[Decimal]] = defaultdict(lambda: [Decimal(0), Decimal(0)])
    orders = 0
    for category, name, day, amount, count in rows.values_list(
        "category_id", "category__name", "day", "amount", "orders"
    ):
        days[category].append(day)
        names[category] = name or ""
        age = (today - day).days
        if age < 730:
            sums[category][age >= 365] += amount
        if age < 365:
            orders += count
    scores = _chances(account)
    found = [
        CategoryRow(pk, names[pk], rhythm(dates, today), sums[pk][0], sums[pk][1], scores.get(pk))
        for pk, dates in days.items()
    ]
    everything = rhythm((day for dates in days.values() for day in dates), today)
    totals = Totals(sum((row.amount for row in found), Decimal(0)), sum((row.before for row in found), Decimal(0)),
                    orders, everything)  # fmt: skip
    return totals, sorted(found, key=lambda row: (-row.amount, -row.before, row.name))


def _chances(account: Account) -> dict[int | None, float]:
    """By category: the chance that nothing more is bought of it."""
    if account.book.run_id is None:
        return {}
    scores = CategoryScore.objects.filter(run_id=account.book.run_id, account=account)
    return dict(scores.values_list("category_id", "p"))


def cards_of(account: Account) -> QuerySet[Card]:
    """The account's live cards that are shown."""
    rows = Card.objects.filter(account=account, state__in=_LIVE)
    return rows.select_related("book", "account", "category", "item", "run", "representative").order_by("-by_money")


def story(account: Account, limit: int = 60) -> list[AccountEvent | CardEvent]:
    """Notes, hand-overs and what was done with cards, of those merged into it too, the newest first."""
    whole = [account.pk, *account.merged.values_list("pk", flat=True)]
    notes = AccountEvent.objects.filter(account=account)
    # That the two were merged is told once.
    before = AccountEvent.objects.filter(account__in=whole[1:]).exclude(what__in=_MERGES)
    own = (notes | before).select_related("by", "giver", "taker")[:limit]
    cards = CardEvent.objects.filter(card__account__in=whole, card__withheld=False)
    cards = cards.exclude(what=CardEvent.What.MEASURED)
    of_cards = cards.select_related("person", "card__category", "card__item").order_by("-at", "-pk")[:limit]
    events: Sequence[AccountEvent | CardEvent] = [*own, *of_cards]
    return sorted(events, key=lambda event: event.at, reverse=True)[:limit]


def territories(book: Book) -> list[tuple[int, str]]:
    return list(book.territories.order_by("rank", "name").values_list("pk", "name"))


def counts_by_territory(book: Book) -> dict[int | None, int]:
    rows = of_book(book).order_by().values("territory").annotate(n=Count("pk"))
    return {row["territory"]: row["n"] for row in rows}


def unowned(book: Book) -> int:
    """Accounts nobody looks after, neither by themselves nor by their territory."""
    return (
        of_book(book).filter(representative=None).filter(Q(territory=None) | Q(territory__representative=None)).count()
    )
