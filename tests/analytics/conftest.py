from __future__ import annotations

import pytest

from analytics.models import Book
from marketplace.permissions import Actor
from tests.factories.insights import platform_book, representative


@pytest.fixture
def book() -> Book:
    return platform_book()


@pytest.fixture
def anna() -> Actor:
    return representative()
