"""What the first page says about procedures: to a buyer, to a supplier, to a visitor. Every list is bounded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from django.db.models import Count, Q, QuerySet
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from marketplace.models import Organisation, OrganisationStatus, Role
from marketplace.permissions import Actor
from marketplace.queries.keyset import COUNT_CAP, capped_count
from marketplace.shared.money import Money
from marketplace.waiting import Figure, Panel, Row, Task
from procurement.models import Clarification, Tender
from procurement.queries import tenders
from procurement.rules.lifecycle import BidStatus, ClarificationStatus, TenderStatus

ROWS: Final = 6
WEEK: Final = timedelta(days=7)
ANSWERS_OF: Final = timedelta(days=14)
_SENT: Final = [BidStatus.SUBMITTED.value, BidStatus.INVALIDATED.value]


def tasks(actor: Actor, at: datetime) -> Iterator[Task]:
    """Questions to answer and drafts to finish."""
    buyer = actor.organisation
    if buyer is None or not buyer.is_buyer or not actor.has(Role.OFFICER):
        return
    for tender in _with_questions(buyer, at):
        count: int = tender.questions_open  # type: ignore[attr-defined]  # annotated
        yield Task(
            ngettext("Answer %(n)s question", "Answer %(n)s questions", count) % {"n": count},
            reverse("tender_questions", args=[tender.number]),
            icon="message-question",
            due_at=tender.tender_ends_at,
            time_zone=tender.time_zone,
            note=tender.title,
            tone="warn",
            count=count,
        )
    for tender in _drafts(buyer):
        yield Task(
            _("Finish and publish a draft"),
            reverse("tender_edit", args=[tender.number]),
            icon="pencil",
            note=tender.title,
        )


def figures(actor: Actor, at: datetime) -> Iterator[Figure]:
    """A buyer's running procedures; a supplier's matching ones."""
    own = actor.organisation
    if own is None:
        return
    if own.is_buyer:
        running = tenders.of_buyer(own).filter(status=TenderStatus.PUBLISHED.value, tender_ends_at__gt=at)
        yield Figure(
            _("Procedures open for bids"), _capped(running), f"{reverse('my_tenders')}?standing=open", icon="circle-dot"
        )
        deciding = tenders.search(tenders.Filters(standing=tenders.Standing.IN_PROGRESS), at, tenders.of_buyer(own))
        url = f"{reverse('my_tenders')}?standing=in_progress"
        yield Figure(_("Being decided"), _capped(deciding), url, icon="progress")
    if own.is_supplier:
        yield Figure(
            _("Open procedures for what you supply"),
            _capped(tenders.matching(own, at)),
            reverse("tenders"),
            icon="list-search",
        )


def panels(actor: Actor, at: datetime) -> Iterator[Panel]:
    """A buyer's running procedures with bids counted; a supplier's matching ones and answers."""
    own = actor.organisation
    if own is None:
        return
    if own.is_buyer:
        yield _running(own, at)
    if own.is_supplier:
        yield _matching(own, at)
        yield _answers(own, at)


def public(at: datetime) -> tuple[Sequence[Figure], Sequence[Row]]:
    """How much is open now, who takes part, and what closes next."""
    found = tenders.open_to_bids(at)
    buyers = Organisation.objects.filter(is_buyer=True, status=OrganisationStatus.REGISTERED)
    suppliers = Organisation.objects.filter(is_supplier=True, status=OrganisationStatus.REGISTERED)
    numbers = [
        Figure(_("Procedures open for bids"), _capped(found), reverse("tenders"), icon="circle-dot"),
        Figure(
            _("Published in the last 30 days"),
            _capped(tenders.published().filter(published_at__gt=at - timedelta(days=30))),
            f"{reverse('tenders')}?standing=all&sort=-published",
            icon="calendar-plus",
        ),
        Figure(_("Buyers"), _capped(buyers), icon="building"),
        Figure(_("Suppliers"), _capped(suppliers), icon="truck"),
    ]
    closing = tenders.for_list(found).order_by("tender_ends_at", "pk")[:ROWS]
    return numbers, [_row(tender, at, figure=_limit(tender)) for tender in closing]


def _with_questions(buyer: Organisation, at: datetime) -> QuerySet[Tender]:
    asked = Q(clarifications__status=ClarificationStatus.ASKED.value)
    return (
        tenders.of_buyer(buyer)
        .filter(asked, status=TenderStatus.PUBLISHED.value, tender_ends_at__gt=at)
        .annotate(questions_open=Count("clarifications", filter=asked))
        .order_by("tender_ends_at", "pk")[:ROWS]
    )


def _drafts(buyer: Organisation) -> QuerySet[Tender]:
    return tenders.of_buyer(buyer).filter(status=TenderStatus.DRAFT.value).order_by("-updated_at")[:ROWS]


def _running(buyer: Organisation, at: datetime) -> Panel:
    """Bids are counted and nothing else about them is read."""
    found = (
        tenders.of_buyer(buyer)
        .filter(status=TenderStatus.PUBLISHED.value, tender_ends_at__gt=at)
        .annotate(bids_sent=Count("lots__bids", filter=Q(lots__bids__status__in=_SENT)))
        .order_by("tender_ends_at", "pk")[:ROWS]
    )
    rows = []
    for tender in found:
        count: int = tender.bids_sent
        bids = ngettext("%(n)s sealed bid", "%(n)s sealed bids", count) % {"n": count}
        rows.append(_row(tender, at, figure=bids))
    return Panel(
        "running",
        _("Running procedures"),
        rows,
        url=f"{reverse('my_tenders')}?standing=open",
        icon="circle-dot",
        empty_title=_("Nothing is open for bids"),
        empty_text=_("Your published procedures and the number of their sealed bids are shown here."),
        empty_label=_("New procedure"),
        empty_url=reverse("tender_new"),
        order=20,
    )


def _matching(supplier: Organisation, at: datetime) -> Panel:
    found = tenders.for_list(tenders.matching(supplier, at)).order_by("tender_ends_at", "pk")[:ROWS]
    return Panel(
        "matching",
        _("Open procedures for what you supply"),
        [_row(tender, at, figure=_limit(tender)) for tender in found],
        url=reverse("tenders"),
        icon="list-search",
        empty_title=_("Nothing for your headings is open now"),
        empty_text=_("Procedures whose items fit the headings of your profile are shown here."),
        empty_label=_("Search all procedures"),
        empty_url=reverse("tenders"),
        order=30,
    )


def _answers(supplier: Organisation, at: datetime) -> Panel:
    found = (
        Clarification.objects.filter(
            organisation=supplier, status=ClarificationStatus.ANSWERED.value, answered_at__gt=at - ANSWERS_OF
        )
        .select_related("tender")
        .order_by("-answered_at", "-pk")[:ROWS]
    )
    rows = [
        Row(
            title=row.tender.title,
            url=f"{reverse('tender_questions', args=[row.tender.number])}#question-{row.number}",
            number=row.tender.number,
            note=row.answer[:140],
            at=row.answered_at,
            at_label=_("Answered"),
            time_zone=row.tender.time_zone,
        )
        for row in found
    ]
    return Panel(
        "answers",
        _("Answers to your questions"),
        rows,
        icon="message-question",
        empty_title=_("No new answers"),
        empty_text=_("Answers of the last two weeks to what you asked are shown here."),
        order=60,
    )


def _row(tender: Tender, at: datetime, *, figure: object = None) -> Row:
    return Row(
        title=tender.title,
        url=tender.get_absolute_url(),
        number=tender.number,
        note=tender.buyer.short_name,
        status=tender.status,
        status_label=tenders.state_label(tender, at),
        at=tender.tender_ends_at,
        at_label=_("Bids until"),
        time_zone=tender.time_zone,
        figure=figure,
    )


def _limit(tender: Tender) -> Money | None:
    lots = list(tender.lots.all())
    prices = [lot.limit_price for lot in lots if lot.limit_price is not None]
    if not tender.limit_price_shown or not lots or len(prices) != len(lots) or len({lot.currency for lot in lots}) != 1:
        return None
    return Money(sum(prices, Decimal(0)), lots[0].currency)


def _capped(rows: QuerySet[Tender] | QuerySet[Organisation]) -> str:
    count = capped_count(rows)
    return f"{COUNT_CAP - 1:,}+" if count >= COUNT_CAP else str(count)
