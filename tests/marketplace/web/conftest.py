"""What the pages of accreditation, tariffs, staff and trust are tried with."""

from __future__ import annotations

from typing import Any

import pytest

from marketplace.models import Organisation, StaffRole
from marketplace.permissions import Actor
from tests.factories.marketplace import NOON, OrganisationFactory, staff


@pytest.fixture
def noon(freeze: Any) -> Any:
    return freeze(NOON)


@pytest.fixture
def supplier() -> Organisation:
    return OrganisationFactory.create(is_supplier=True)


@pytest.fixture
def operator() -> Actor:
    return staff(StaffRole.OPERATOR)
