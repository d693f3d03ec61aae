"""What the insights bring: money at risk, found and recovered, how often cards were right, and what acting changes.

Every sum is of cards in the book's currency. Withheld cards count in the effect and in the calibration, and nowhere
else: nobody is shown them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from django.db.models import Avg, Count, F, FloatField, Func, Q, QuerySet, Sum, Value
from django.db.models.functions import Coalesce, Floor, Least, TruncMonth

from analytics.models import Book, Card, CardStatus, Closing, Dismissal
from analytics.queries.cards import open_to
from analytics.rules.cards import Kind
from analytics.rules.effect import Bin, Difference, Share

BINS: Final = 5
_LIVE: Final = Q(state__in=[CardStatus.OPEN, CardStatus.ACCEPTED, CardStatus.SNOOZED])
_RECOVERY, _GROWTH = Q(kind=Kind.RECOVERY.value), Q(kind=Kind.GROWTH.value)
_MEASURED: Final = Q(measured_at__isnull=False)
_ACCEPTED: Final = Q(accepted_at__isnull=False)
_DISMISSED: Final = Q(state=CardStatus.DISMISSED)
_WHO: Final = Coalesce("accepted_by", "representative")
_PLACE: Final = Least(Floor(F("p_made") * Value(float(BINS))), Value(float(BINS - 1)), output_field=FloatField())


class Figure(StrEnum):
    """A figure of the dashboard; its name is also what opens the cards it is made of."""

    AT_RISK = "at_risk"
    FOUND = "found"
    RECOVERED = "recovered"
    GROWTH_OPEN = "growth_open"
    GROWTH_FOUND = "growth_found"
    GROWTH_WON = "growth_won"
    DECIDED = "decided"
    DISMISSED = "dismissed"
    MEASURED = "measured"


CARDS_OF: Final[dict[Figure, Q]] = {
    Figure.AT_RISK: _RECOVERY & _LIVE,
    Figure.FOUND: _RECOVERY & _ACCEPTED,
    Figure.RECOVERED: _RECOVERY & _ACCEPTED & Q(bought=True),
    Figure.GROWTH_OPEN: _GROWTH & _LIVE,
    Figure.GROWTH_FOUND: _GROWTH & _ACCEPTED,
    Figure.GROWTH_WON: _GROWTH & _ACCEPTED & Q(bought=True),
    Figure.DECIDED: _ACCEPTED | _DISMISSED,
    Figure.DISMISSED: _DISMISSED,
    Figure.MEASURED: _MEASURED,
}
# Figures of money really paid; the others are what is expected.
PAID: Final = frozenset({Figure.RECOVERED, Figure.GROWTH_WON})


@dataclass(frozen=True, slots=True)
class Amount:
    """A figure: how much, and of how many cards."""

    amount: Decimal
    cards: int


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a table: of cards decided on those accepted, and of those accepted and measured those that bought."""

    key: str
    accepted: Share
    success: Share
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Reach:
    """Who the dashboard is about: the whole book, or one person's cards; cards made since a day."""

    book: Book
    since: date | None = None
    person: int | None = None

    def cards(self) -> QuerySet[Card]:
        """Cards that were shown."""
        return self._counted(open_to(self.book, self.person))

    def everything(self) -> QuerySet[Card]:
        return self._counted(Card.objects.filter(book=self.book))

    def _counted(self, rows: QuerySet[Card]) -> QuerySet[Card]:
        # One that ended because its account was merged is counted in the card that stands, or tells nothing.
        rows = rows.filter(currency=self.book.currency).exclude(closing=Closing.MERGED)
        return rows if self.since is None else rows.filter(cutoff__gte=self.since)


@dataclass(frozen=True, slots=True)
class Narrowed:
    """The row of a table that is opened: a model's reason, who decided, why it was dismissed, the kind and the chance
    (its place among BINS), the long tail or the rest, the month of acceptance (its first day, UTC). None and "" narrow
    nothing.
    """

    reason: str = ""
    person: int | None = None
    dismissed_for: str = ""
    kind: str = ""
    place: int | None = None
    long_tail: bool | None = None
    month: date | None = None


@dataclass(frozen=True, slots=True)
class Month:
    """What was taken on in a month (UTC), times its chance, and what of it was bought, until now."""

    first: date
    cards: int
    taken: Decimal
    bought: Decimal


def figures(reach: Reach) -> dict[Figure, Amount]:
    """All figures in one query. Cards that live on count whenever they were made."""
    asked: dict[str, Any] = {}
    for figure, cards in CARDS_OF.items():
        amount = Sum("bought_amount", filter=cards) if figure in PAID else Sum("by_money", filter=cards)
        asked |= {f"{figure.value}_sum": amount, f"{figure.value}_n": Count("pk", filter=cards)}
    found = reach.cards().aggregate(**asked)
    return {figure: Amount(_decimal(found[f"{figure.value}_sum"]), found[f"{figure.value}_n"]) for figure in CARDS_OF}


def acceptance(reach: Reach) -> Share:
    """Of the cards decided on, those that were accepted."""
    found = reach.cards().aggregate(
        accepted=Count("pk", filter=_ACCEPTED), of=Count("pk", filter=CARDS_OF[Figure.DECIDED])
    )
    return Share(found["accepted"], found["of"])


def by_reason(reach: Reach) -> list[Row]:
    """By the models' reasons; a card with several counts for each of them. The most decided on first."""
    unnested = reach.cards().annotate(
        reason=Func(F("reasons"), function="jsonb_array_elements_text", output_field=Card._meta.get_field("state"))
    )
    return _rows(unnested, "reason")


def by_size(reach: Reach) -> list[Row]:
    """The strategic and the few large accounts ("False") beside the long tail ("True")."""
    return _rows(reach.cards(), "long_tail")


def by_person(reach: Reach) -> list[Row]:
    """By who accepted, or whose they are while nobody has."""
    return _rows(reach.cards().annotate(who=_WHO), "who")


def dismissals(reach: Reach) -> list[tuple[str, int]]:
    """Why cards were dismissed, the most frequent first."""
    rows = Dismissal.objects.filter(card__in=reach.cards(), undone_at=None).order_by().values("reason")
    counted = rows.annotate(n=Count("pk"))
    return sorted(((row["reason"], row["n"]) for row in counted), key=lambda row: (-row[1], row[0]))


def by_month(reach: Reach, kind: Kind) -> list[Month]:
    """Accepted cards by the month in which they were, the earliest first; months without any are left out."""
    rows = reach.cards().filter(_ACCEPTED, kind=kind.value).annotate(month=TruncMonth("accepted_at", tzinfo=UTC))
    found = (
        rows.order_by()
        .values("month")
        .annotate(n=Count("pk"), taken=Sum("by_money"), sum=Sum("bought_amount", filter=Q(bought=True)))
    )
    return [
        Month(row["month"].date(), row["n"], _decimal(row["taken"]), _decimal(row["sum"]))
        for row in sorted(found, key=lambda row: row["month"])
    ]


def calibration(reach: Reach, kind: Kind, *, withheld: bool) -> list[Bin]:
    """Of cards given such a chance, how often it happened: fell silent, or for growth bought. Of the whole book.

    Shown cards are acted upon, which is meant to change the outcome; what was withheld is the honest measure.
    """
    rows = reach.everything().filter(_MEASURED, kind=kind.value, withheld=withheld)
    happened = Q(bought=kind is Kind.GROWTH)
    grouped = rows.annotate(place=_PLACE).order_by().values("place")
    found = grouped.annotate(n=Count("pk"), promised=Avg("p_made"), hits=Count("pk", filter=happened))
    return [
        Bin(row["place"] / BINS, (row["place"] + 1) / BINS, row["promised"], Share(row["hits"], row["n"]))
        for row in sorted(found, key=lambda row: row["place"])
    ]


def effect(reach: Reach, kind: Kind) -> Difference:
    """How much more often the account bought where the card was shown than where it was withheld.

    Of the cards that reached a desk, or would have: chance alone made them shown or withheld, whatever was then done.
    """
    rows = reach.everything().filter(_MEASURED, kind=kind.value, offered_on__isnull=False)
    found = {
        row["withheld"]: Share(row["hits"], row["n"])
        for row in rows.order_by().values("withheld").annotate(n=Count("pk"), hits=Count("pk", filter=Q(bought=True)))
    }
    return Difference(found.get(False, Share(0, 0)), found.get(True, Share(0, 0)))


def cards_of(reach: Reach, figure: Figure, narrowed: Narrowed = Narrowed()) -> QuerySet[Card]:
    """The cards a figure, or a row of a table, is made of."""
    rows = reach.cards().filter(CARDS_OF[figure]).select_related("account", "category", "item", "representative")
    if narrowed.reason:
        rows = rows.filter(reasons__contains=[narrowed.reason])
    if narrowed.person is not None:
        rows = rows.annotate(who=_WHO).filter(who=narrowed.person)
    if narrowed.dismissed_for:
        rows = rows.filter(dismissed_for=narrowed.dismissed_for)
    if narrowed.kind:
        rows = rows.filter(kind=narrowed.kind)
    if narrowed.place is not None:
        rows = rows.annotate(place=_PLACE).filter(place=narrowed.place)
    if narrowed.long_tail is not None:
        rows = rows.filter(long_tail=narrowed.long_tail)
    if narrowed.month is not None:
        rows = rows.annotate(month=TruncMonth("accepted_at", tzinfo=UTC))
        rows = rows.filter(month=datetime.combine(narrowed.month, time(), UTC))
    return rows


def _rows(cards: QuerySet[Card], key: str) -> list[Row]:
    counted = (
        cards.filter(CARDS_OF[Figure.DECIDED])
        .order_by()
        .values(key)
        .annotate(
            decided=Count("pk"),
            took=Count("pk", filter=_ACCEPTED),
            settled=Count("pk", filter=_ACCEPTED & _MEASURED),
            again=Count("pk", filter=_ACCEPTED & _MEASURED & Q(bought=True)),
            amount=Sum("bought_amount", filter=_ACCEPTED & Q(bought=True)),
        )
    )
    merged: dict[str, list[Any]] = defaultdict(lambda: [0, 0, 0, 0, Decimal(0)])
    for row in counted:
        sums = merged[str(row[key] if row[key] is not None else "")]
        for place, name in enumerate(("decided", "took", "settled", "again")):
            sums[place] += row[name]
        sums[4] += row["amount"] or Decimal(0)
    rows: Sequence[Row] = [
        Row(name, Share(took, decided), Share(again, settled), amount)
        for name, (decided, took, settled, again, amount) in merged.items()
    ]
    return sorted(rows, key=lambda row: (-row.accepted.of, row.key))


def _decimal(value: Any) -> Decimal:
    """A sum as money; estimates are floats in the database."""
    return value if isinstance(value, Decimal) else Decimal(str(round(value or 0, 2)))
