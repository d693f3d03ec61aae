"""Runs over a book, with how far they are."""

from __future__ import annotations

from collections import Counter

from django.db.models import Count, Prefetch, Q, QuerySet

from analytics.models import Book, PartState, RunPartition, ScoringRun


def unscored(run: ScoringRun) -> dict[str, int]:
    """How many accounts of the parts that are done have no score of leaving, by why: protocol.unscored.

    Parts that were fetched along are not asked for again.
    """
    counts: Counter[str] = Counter()
    if moved := run.facts.get("moved_on"):
        counts["buys_in_another_currency"] = moved
    for part in run.partitions.all():
        counts.update(part.unscored)
    return dict(counts)


def of(book: Book) -> QuerySet[ScoringRun]:
    """The book's runs with `parts` and `parts_done`, the newest first."""
    return (
        ScoringRun.objects.filter(book=book)
        .select_related("book", "asked_by")
        .prefetch_related(Prefetch("partitions", RunPartition.objects.only("run", "unscored")))
        .annotate(parts=Count("partitions"), parts_done=Count("partitions", filter=Q(partitions__state=PartState.DONE)))
        .order_by("-pk")
    )
