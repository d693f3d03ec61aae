"""The pipeline as it is read: facts for the criteria, the board, what is due, the history behind the forecast."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

from django.db.models import Count, Exists, OuterRef, Prefetch, Q, QuerySet, Sum

from analytics.models import Book, Contact, GroupMember, Lead, Opportunity, StageMove, Step
from analytics.rules.forecast import Passed
from analytics.rules.pipeline import (
    STAGES,
    BuyingRole,
    Criterion,
    Facts,
    LeadState,
    LostReason,
    OpportunityState,
    Stage,
    StepKind,
    StepResult,
)
from analytics.rules.qualification import Known

# Cards of one column of the board; the list has all.
COLUMN: Final = 25
_TALKS: Final = [StepKind.CALL.value, StepKind.MEETING.value, StepKind.PRESENTATION.value, StepKind.FOLLOW_UP.value]


@dataclass(frozen=True, slots=True)
class Column:
    """A stage of the board: its first opportunities, how many there are, and their money by currency."""

    stage: Stage
    rows: list[Opportunity]
    count: int
    totals: Mapping[str, Decimal]


def facts_of(opportunity: Opportunity) -> Facts:
    """What the exit criteria look at."""
    contacts = Contact.objects.filter(account=opportunity.account_id, removed_at=None)
    members = GroupMember.objects.filter(opportunity=opportunity, contact__removed_at=None)
    talks = Step.objects.filter(opportunity=opportunity, kind__in=_TALKS, result=StepResult.REACHED.value)
    return Facts(
        need=Known(opportunity.bant.get("need", Known.UNKNOWN)),
        budget=Known(opportunity.bant.get("budget", Known.UNKNOWN)),
        goals=opportunity.gpct.get("goals", ""),
        amount=opportunity.amount,
        closes_on=opportunity.closes_on,
        roles=tuple(BuyingRole(role) for role in members.values_list("role", flat=True)),
        reachable_contacts=contacts.exclude(email="", phone="").count(),
        talks=talks.count(),
        open_objections=opportunity.objections.filter(answered_at=None).count(),
        confirmed=frozenset(Criterion(value) for value in opportunity.confirmed),
    )


def opportunities(book: Book) -> QuerySet[Opportunity]:
    """A book's opportunities with account, representative and next step (`next_steps`, at most one)."""
    waiting = Prefetch("steps", Step.objects.filter(done_at=None), to_attr="next_steps")
    return Opportunity.objects.filter(book=book).select_related("account", "representative").prefetch_related(waiting)


def narrowed(
    rows: QuerySet[Opportunity],
    *,
    representative_id: int | None = None,
    none_of: Collection[int] | None = None,
    stage: str = "",
    text: str = "",
    due_by: date | None = None,
) -> QuerySet[Opportunity]:
    """By who works on it or that it is none of these, its stage, a part of the title or the account's name, and whether
    its next step is due by a day.
    """
    if representative_id is not None:
        rows = rows.filter(representative=representative_id)
    if none_of is not None:
        rows = rows.exclude(representative__in=none_of)
    if stage:
        rows = rows.filter(stage=stage)
    if text:
        rows = rows.filter(Q(title__icontains=text) | Q(account__name__icontains=text))
    if due_by is not None:
        due = Step.objects.filter(opportunity=OuterRef("pk"), done_at=None, due_on__lte=due_by)
        rows = rows.filter(Exists(due))
    return rows


def board(rows: QuerySet[Opportunity]) -> list[Column]:
    """The columns of the open opportunities among `rows`, the next to close first; won ones being looked after last."""
    shown = rows.filter(Q(status=OpportunityState.OPEN.value) | _looked_after())
    found: dict[str, tuple[int, dict[str, Decimal]]] = defaultdict(lambda: (0, {}))
    for stage, currency, count, total in (
        shown.order_by().values_list("stage", "currency").annotate(n=Count("pk"), total=Sum("amount"))
    ):
        known, totals = found[stage]
        found[stage] = (known + count, totals | ({currency: total} if total else {}))
    return [
        Column(
            stage,
            list(shown.filter(stage=stage.value).order_by("closes_on", "pk")[:COLUMN]) if stage.value in found else [],
            *found[stage.value],
        )
        for stage in STAGES
    ]


def _looked_after() -> Q:
    """Won, and with something still planned."""
    waiting = Step.objects.filter(opportunity=OuterRef("pk"), done_at=None)
    return Q(Exists(waiting), status=OpportunityState.WON.value)


def passed(book: Book) -> dict[Stage, Passed]:
    """Of the opportunities that ended: how many had reached each stage, and how many of those were won.

    Without those that were another one over again.
    """
    ended = Opportunity.objects.filter(book=book).exclude(status=OpportunityState.OPEN.value)
    ended = ended.exclude(lost_because=LostReason.DOUBLE.value)
    moves = StageMove.objects.filter(opportunity__in=ended).order_by()
    counts = moves.values_list("after").annotate(
        n=Count("opportunity", distinct=True),
        won=Count("opportunity", distinct=True, filter=Q(opportunity__status=OpportunityState.WON.value)),
    )
    return {Stage(stage): Passed(count, won) for stage, count, won in counts}


def open_amounts(
    book: Book, representative_id: int | None = None, none_of: Collection[int] | None = None
) -> Iterable[tuple[Stage, str, date | None, Decimal]]:
    """Stage, currency, first of the month of closing, and money of what is open."""
    rows = narrowed(Opportunity.objects.filter(book=book), representative_id=representative_id, none_of=none_of)
    sums = (
        rows.filter(status=OpportunityState.OPEN.value, amount__gt=0)
        .order_by()
        .values_list("stage", "currency", "closes_on__year", "closes_on__month")
        .annotate(total=Sum("amount"))
    )
    for stage, currency, year, month, total in sums:
        yield Stage(stage), currency, date(year, month, 1) if year else None, total


def leads(book: Book) -> QuerySet[Lead]:
    return Lead.objects.filter(book=book).select_related("account", "representative", "opportunity")


def open_leads(book: Book) -> QuerySet[Lead]:
    return leads(book).filter(status__in=[LeadState.NEW.value, LeadState.WORKING.value])


def by_reason(book: Book) -> list[tuple[OpportunityState, str, int, dict[str, Decimal]]]:
    """Won and lost opportunities by reason: how many, and their money by currency; the most frequent first."""
    ended = Opportunity.objects.filter(book=book).exclude(status=OpportunityState.OPEN.value).order_by()
    found: dict[tuple[str, str], tuple[int, dict[str, Decimal]]] = defaultdict(lambda: (0, {}))
    for status, won, lost, currency, count, total in ended.values_list(
        "status", "won_because", "lost_because", "currency"
    ).annotate(n=Count("pk"), total=Sum("amount")):
        known, totals = found[(status, won or lost)]
        found[(status, won or lost)] = (known + count, totals | ({currency: total} if total else {}))
    rows = [(OpportunityState(status), reason, *counted) for (status, reason), counted in found.items() if reason]
    return sorted(rows, key=lambda row: (row[0] is OpportunityState.LOST, -row[2], row[1]))
