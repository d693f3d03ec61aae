"""Tenders that may be read, and the search over them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from django.contrib.postgres.search import SearchQuery
from django.db.models import Count, Exists, OuterRef, Prefetch, Q, QuerySet
from django.utils.translation import gettext as _

from marketplace.models import Address, Heading, Organisation, OrganisationStatus
from procurement import procedures
from procurement.models import Clarification, Item, Lot, Tender, TenderDocument
from procurement.rules.lifecycle import ClarificationStatus, TenderStatus

_NUMBER = re.compile(r"[A-Za-z]{2}-\d{4}-\d+")


class Standing(StrEnum):
    """States as people look for them."""

    OPEN = "open"
    IN_PROGRESS = "in_progress"
    COMPLETE = "complete"
    ENDED = "ended"
    ALL = "all"


STATUSES: dict[Standing, tuple[TenderStatus, ...]] = {
    Standing.OPEN: (TenderStatus.PUBLISHED,),
    Standing.IN_PROGRESS: (
        TenderStatus.OPENING,
        TenderStatus.EVALUATION,
        TenderStatus.AUCTION,
        TenderStatus.AWARDING,
        TenderStatus.STANDSTILL,
    ),
    Standing.COMPLETE: (TenderStatus.COMPLETE,),
    Standing.ENDED: (TenderStatus.UNSUCCESSFUL, TenderStatus.CANCELLED),
}


@dataclass(frozen=True, slots=True)
class Filters:
    """What a list of tenders is narrowed by; empty means any. `category` is a heading's code, with all below it."""

    text: str = ""
    standing: Standing = Standing.OPEN
    family: str = ""
    category: str = ""
    country: str = ""
    region: str = ""
    currency: str = ""
    deadline_within_days: int | None = None


def state_label(tender: Tender, at: datetime) -> str:
    """The state for a reader, by what is so: a period that is over is not said to run until the clock comes round."""
    if tender.status == TenderStatus.PUBLISHED and tender.tender_ends_at is not None and at >= tender.tender_ends_at:
        return _("Bids are closed")
    if is_being_signed(tender, at):
        return _("Contracts being signed")
    return str(tender.get_status_display())


def is_being_signed(tender: Tender, at: datetime) -> bool:
    """Nothing stands still any more: what remains are the signatures of the contracts."""
    over = tender.standstill_ends_at is not None and at >= tender.standstill_ends_at
    return tender.status == TenderStatus.STANDSTILL and over


def published() -> QuerySet[Tender]:
    """Everything the public may read."""
    return Tender.objects.filter(published_at__isnull=False).select_related("buyer").defer("search")


def open_to_bids(at: datetime) -> QuerySet[Tender]:
    """Tenders that take bids at this moment, whether or not the clock has come round to closing them."""
    return published().filter(status=TenderStatus.PUBLISHED.value, tender_ends_at__gt=at)


def of_buyer(organisation: Organisation) -> QuerySet[Tender]:
    """All tenders of a buyer, drafts too."""
    return Tender.objects.filter(buyer=organisation).select_related("buyer").defer("search")


def search(filters: Filters, at: datetime, among: QuerySet[Tender] | None = None) -> QuerySet[Tender]:
    """The tenders that fit, unordered; the published ones unless others are given."""
    found = published() if among is None else among
    if filters.standing is Standing.OPEN and among is None:
        found = found.filter(status=TenderStatus.PUBLISHED.value, tender_ends_at__gt=at)
    elif filters.standing is not Standing.ALL:
        found = found.filter(status__in=[status.value for status in STATUSES[filters.standing]])
    if filters.text:
        found = found.filter(_matches(filters.text))
    if filters.family:
        codes = [preset.code for preset in procedures.catalogue() if preset.family.value == filters.family]
        found = found.filter(procedure__in=codes)
    if filters.category:
        items = Item.objects.filter(lot__tender=OuterRef("pk"), category__in=below([filters.category]))
        found = found.filter(Exists(items))
    if filters.country:
        found = found.filter(buyer__country=filters.country)
    if filters.region:
        found = found.filter(
            Exists(Address.objects.filter(organisation=OuterRef("buyer"), region__iexact=filters.region))
        )
    if filters.currency:
        found = found.filter(currency=filters.currency)
    if filters.deadline_within_days is not None:
        until = at + timedelta(days=filters.deadline_within_days)
        found = found.filter(tender_ends_at__gt=at, tender_ends_at__lte=until)
    return found


def for_list(tenders: QuerySet[Tender]) -> QuerySet[Tender]:
    """With what a row of the list shows of the lots: one query more, however many rows."""
    lots = Lot.objects.only("tender", "number", "title", "currency", "limit_price", "delivery_place", "status")
    return tenders.prefetch_related(Prefetch("lots", lots))


def with_parts(tender: Tender) -> list[Lot]:
    """The tender's lots with their items and categories: three queries."""
    items = Item.objects.select_related("category")
    return list(tender.lots.prefetch_related(Prefetch("items", items)))


def published_with_parts(number: str) -> Tender | None:
    """A published tender with all that is public about it, in a fixed number of queries."""
    answered = Clarification.objects.filter(status=ClarificationStatus.ANSWERED.value)
    return (
        published()
        .filter(number=number)
        .prefetch_related(
            Prefetch("lots", Lot.objects.prefetch_related(Prefetch("items", Item.objects.select_related("category")))),
            Prefetch("documents", TenderDocument.objects.select_related("file")),
            Prefetch("clarifications", answered.order_by("number"), to_attr="questions"),
            "amendments",
        )
        .first()
    )


def published_lot(pk: int) -> Lot | None:
    """A lot of a published tender, with its items."""
    return (
        Lot.objects.filter(pk=pk, tender__published_at__isnull=False)
        .select_related("tender__buyer")
        .prefetch_related(Prefetch("items", Item.objects.select_related("category")))
        .first()
    )


def unanswered(tenders: QuerySet[Tender]) -> QuerySet[Tender]:
    """With `questions_open`, the number of questions that wait for an answer."""
    return tenders.annotate(questions_open=Count("clarifications", filter=Q(clarifications__status="asked")))


def suppliers_matching(tender: Tender) -> QuerySet[Organisation]:
    """Registered suppliers who offer a category of the tender's items or a heading above one, but not the buyer."""
    wanted = set(Item.objects.filter(lot__tender=tender).values_list("category_id", flat=True))
    offering = Organisation.objects.filter(
        is_supplier=True, status=OrganisationStatus.REGISTERED, headings_offered__in=above(wanted)
    )
    return Organisation.objects.filter(pk__in=offering.values("pk")).exclude(pk=tender.buyer_id)


def matching(supplier: Organisation, at: datetime) -> QuerySet[Tender]:
    """Open tenders for what the supplier offers."""
    offered = below(supplier.headings_offered.values_list("code", flat=True))
    wanted = Item.objects.filter(lot__tender=OuterRef("pk"), category__in=offered)
    return open_to_bids(at).filter(Exists(wanted)).exclude(buyer=supplier)


def below(codes: list[str] | QuerySet[Heading, str]) -> set[int]:
    """The headings with these codes and everything under them: a query per level of the tree."""
    level = set(Heading.objects.filter(code__in=codes).values_list("pk", flat=True))
    found = set(level)
    while level:
        level = set(Heading.objects.filter(parent__in=level).values_list("pk", flat=True)) - found
        found |= level
    return found


def above(headings: set[int]) -> set[int]:
    """These headings and everything over them."""
    level, found = set(headings), set(headings)
    while level:
        parents = Heading.objects.filter(pk__in=level, parent__isnull=False).values_list("parent", flat=True)
        level = {pk for pk in parents if pk is not None} - found
        found |= level
    return found


def _matches(text: str) -> Q:
    """Every word, or the beginning of one, in number, title or description; a whole number is looked up as such."""
    if _NUMBER.fullmatch(text.strip()):
        return Q(number__iexact=text.strip())
    words = re.findall(r"\w+", text)[:12]
    if not words:
        return Q(pk__in=[])
    terms = " & ".join(f"{word}:*" for word in words)
    return Q(search=SearchQuery(terms, search_type="raw", config="simple"))
