"""Valid tenders with lots and items."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import factory
from factory.django import DjangoModelFactory

from marketplace.models import Organisation
from procurement.models import DueMoment, Item, Lot, MomentKind, Tender
from procurement.rules.lifecycle import TenderStatus
from tests.factories.marketplace import NOON, HeadingFactory, PersonFactory, accredited_buyer


class TenderFactory(DjangoModelFactory[Tender]):
    """A draft request for quotations without lots."""

    class Meta:
        model = Tender

    # Far from the numbers that services give, which follow the row's own.
    number = factory.Sequence(lambda n: f"OL-2026-{900_000 + n}")
    buyer = factory.LazyFunction(accredited_buyer)
    procedure = "rfq_open"
    procedure_version = 1
    title = factory.Sequence(lambda n: f"Office chairs {n}")
    status = TenderStatus.DRAFT.value
    currency = "EUR"
    time_zone = "Europe/Berlin"
    created_by = factory.SubFactory(PersonFactory)
    created_at = NOON


class LotFactory(DjangoModelFactory[Lot]):
    class Meta:
        model = Lot

    tender = factory.SubFactory(TenderFactory)
    number = factory.Sequence(lambda n: n + 1)
    title = "Chairs"
    currency = "EUR"
    limit_price = Decimal("100000")


class ItemFactory(DjangoModelFactory[Item]):
    class Meta:
        model = Item

    lot = factory.SubFactory(LotFactory)
    number = factory.Sequence(lambda n: n + 1)
    description = "Office chair, adjustable"
    category = factory.SubFactory(HeadingFactory)
    quantity = Decimal("10")
    unit = "H87"


def draft_tender(*, lots: int = 1, items: int = 2, buyer: Organisation | None = None, **fields: Any) -> Tender:
    """A complete draft that can be published: closes ten days after NOON, questions five days after."""
    fields = {
        "enquiry_ends_at": NOON + timedelta(days=5),
        "tender_ends_at": NOON + timedelta(days=10),
        **({"buyer": buyer} if buyer else {}),
        **fields,
    }
    tender = TenderFactory.create(**fields)
    for number in range(1, lots + 1):
        lot = LotFactory.create(tender=tender, number=number, title=f"Lot {number}")
        for item in range(1, items + 1):
            ItemFactory.create(lot=lot, number=item)
    return tender


def published_tender(*, lots: int = 1, items: int = 2, **fields: Any) -> Tender:
    """A tender open for bids since NOON, with its due moment; lot keys come only from publishing by the service."""
    fields = {"status": TenderStatus.PUBLISHED.value, "published_at": NOON, **fields}
    tender = draft_tender(lots=lots, items=items, **fields)
    assert tender.tender_ends_at is not None
    DueMoment.objects.create(
        kind=MomentKind.TENDER_ENDS, tender=tender, due_at=tender.tender_ends_at, next_try_at=tender.tender_ends_at
    )
    return tender
