"""Awarded contracts with their bids and price lines, as analytics reads them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from marketplace.models import Heading, Organisation
from procurement.models import Award, Bid, BidPrice, Contract
from procurement.rules.lifecycle import AwardStatus, BidStatus, ContractStatus, TenderStatus
from tests.factories.marketplace import NOON, PersonFactory
from tests.factories.procurement import ItemFactory, LotFactory, TenderFactory


def signed_contract(
    buyer: Organisation,
    supplier: Organisation,
    lines: Mapping[Heading, str],
    *,
    signed_at: datetime,
    amount: str | None = None,
    limit_price: str | None = "1000.00",
    status: ContractStatus = ContractStatus.ACTIVE,
    currency: str = "EUR",
    vat_included_at: str | None = None,
    procedure: str = "rfq_open",
    quantity: str = "1",
) -> Contract:
    """A contract in force, an item per category; `amount` where a live auction went below the lines' sum.

    `vat_included_at` is the rate in percent that the prices include; `quantity` is ordered of each item, and `lines`
    has the price of the whole line.
    """
    tender = TenderFactory.create(
        buyer=buyer,
        status=TenderStatus.COMPLETE.value,
        published_at=NOON,
        tender_ends_at=NOON,
        currency=currency,
        vat_included=vat_included_at is not None,
        procedure=procedure,
    )
    limit = Decimal(limit_price) if limit_price else None
    vat_rate = Decimal(vat_included_at or 19)
    lot = LotFactory.create(tender=tender, number=1, limit_price=limit, currency=currency, vat_rate=vat_rate)
    total = Decimal(amount) if amount else sum((Decimal(price) for price in lines.values()), Decimal(0))
    person = PersonFactory.create()
    bid = Bid.objects.create(
        lot=lot,
        supplier=supplier,
        status=BidStatus.WINNING.value,
        opened_at=NOON,
        currency=currency,
        amount=total,
        created_by=person,
        created_at=NOON,
    )
    for number, (category, price) in enumerate(lines.items(), start=1):
        item = ItemFactory.create(lot=lot, number=number, category=category, quantity=Decimal(quantity))
        unit_price = (Decimal(price) / Decimal(quantity)).quantize(Decimal("0.0001"))
        BidPrice.objects.create(bid=bid, item=item, unit_price=unit_price, amount=Decimal(price))
    award = Award.objects.create(
        lot=lot, bid=bid, status=AwardStatus.ACTIVE.value, amount=total, currency=currency, created_at=NOON
    )
    return Contract.objects.create(
        number=f"{tender.number}-1",
        award=award,
        tender=tender,
        buyer=buyer,
        supplier=supplier,
        status=status.value,
        text="…",
        amount=total,
        currency=currency,
        limit_price=limit,
        created_at=NOON,
        signed_at=signed_at,
    )
