"""Runs over a book, with how far they are."""

from __future__ import annotations

from django.db.models import Count, Q, QuerySet

from analytics.models import Book, PartState, ScoringRun


def of(book: Book) -> QuerySet[ScoringRun]:
    """The book's runs with `parts` and `parts_done`, the newest first."""
    return (
        ScoringRun.objects.filter(book=book)
        .select_related("book", "asked_by")
        .annotate(parts=Count("partitions"), parts_done=Count("partitions", filter=Q(partitions__state=PartState.DONE)))
        .order_by("-pk")
    )
