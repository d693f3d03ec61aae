"""The demonstration's pipeline comes about by the services alone."""

from __future__ import annotations

import random

import pytest

from analytics.demo import pipeline
from analytics.models import Lead, Opportunity
from analytics.queries.pipeline import board, opportunities
from tests.factories.insights import MORNING, account, platform_book, representative

pytestmark = pytest.mark.django_db


def test_every_stage_has_something_and_some_are_won_and_lost() -> None:
    book, sellers = platform_book(), [representative(), representative()]
    made = pipeline.make(book, sellers, [account(book) for _number in range(14)], MORNING, random.Random(1))
    assert (made, Lead.objects.filter(book=book).count()) == (14, 5)
    assert all(column.count for column in board(opportunities(book)))
    assert sorted(Opportunity.objects.values_list("status", flat=True)).count("won") == 2
