"""A year of finished procedures, written in bulk: the services would take hours for what lies in the past."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

from django.db import connection

from marketplace.models import Heading
from procurement.demo.companies import Company
from procurement.demo.goods import Good, Line
from procurement.models import Award, Bid, BidPrice, Clarification, Contract, Item, Lot, Tender
from procurement.procedures import get as preset
from procurement.rules.lifecycle import (
    AwardStatus,
    BidStatus,
    ClarificationStatus,
    ContractStatus,
    LotStatus,
    TenderStatus,
)

CENT = Decimal("0.01")
CHUNK = 200
QUESTIONS = (
    (
        "May an equivalent of another make be offered?",
        "Yes, if it meets every stated property. Please attach the data sheet.",
    ),
    ("Is partial delivery possible?", "Up to two deliveries, both within the stated period."),
    ("Are the quantities binding?", "They are; an option for another 10 % is part of the contract text."),
    ("Does the price include unloading?", "Yes, delivered and unloaded at the stated place."),
    ("Which Incoterms apply?", "DAP, place of delivery as stated in the lot."),
    ("Can the deadline be extended by a week?", "No. The date stands."),
)
LOSING = "Another bid had the lower price."
NO_BIDS = "No bid was received before the deadline."
CANCELLED = (
    "The need fell away: the site is closed earlier than planned.",
    "The budget was not approved.",
    "The specification has to be reworked; the procedure will be published anew.",
)


@dataclass(slots=True)
class Batch:
    """Rows of one chunk of tenders, in the order in which the database wants them."""

    tenders: list[Tender] = field(default_factory=list)
    lots: list[Lot] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)
    clarifications: list[Clarification] = field(default_factory=list)
    bids: list[Bid] = field(default_factory=list)
    prices: list[BidPrice] = field(default_factory=list)
    awards: list[Award] = field(default_factory=list)
    contracts: list[Contract] = field(default_factory=list)

    def write(self) -> None:
        Tender.objects.bulk_create(self.tenders)
        Lot.objects.bulk_create(self.lots)
        Item.objects.bulk_create(self.items, batch_size=2000)
        Clarification.objects.bulk_create(self.clarifications)
        Bid.objects.bulk_create(self.bids, batch_size=2000)
        BidPrice.objects.bulk_create(self.prices, batch_size=4000)
        Award.objects.bulk_create(self.awards)
        Contract.objects.bulk_create(self.contracts)


def reserve_numbers(count: int) -> list[int]:
    """`count` primary keys of tenders, taken from their sequence, so that a tender's number can be made of it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT nextval(pg_get_serial_sequence('procurement_tender', 'id')) FROM generate_series(1, %s)", [count]
        )
        return [row[0] for row in cursor.fetchall()]


def make_history(
    rng: random.Random,
    *,
    count: int,
    now: datetime,
    buyers: Sequence[Company],
    suppliers: Sequence[Company],
    headings: dict[str, Heading],
    progress: Callable[[int], None],
) -> list[Contract]:
    """`count` procedures published between 400 and 45 days ago, all ended. Returns the contracts that came of them."""
    numbers = reserve_numbers(count)
    by_line: dict[str, list[Company]] = {}
    for supplier in suppliers:
        for line in supplier.lines:
            by_line.setdefault(line.code, []).append(supplier)
    # Older procedures have lower numbers, as on a real platform.
    times = sorted(_office_hour(rng, now - timedelta(days=rng.uniform(45, 400))) for _ in range(count))
    weights = [buyer.size for buyer in buyers]
    contracts: list[Contract] = []
    batch = Batch()
    for done, (number, published) in enumerate(zip(numbers, times, strict=True), start=1):
        buyer = rng.choices(buyers, weights)[0]
        line = rng.choices(buyer.lines, [line.yearly for line in buyer.lines])[0]
        _Procedure(rng, batch, number, published, buyer, line, headings[line.code], by_line[line.code]).make()
        if done % CHUNK == 0 or done == count:
            batch.write()
            contracts += batch.contracts
            batch = Batch()
            progress(done)
    return contracts


def _office_hour(rng: random.Random, at: datetime) -> datetime:
    """The same day between 7:00 and 15:00 UTC; on a weekend the Friday before."""
    at -= timedelta(days=max(0, at.weekday() - 4))
    return at.astimezone(UTC).replace(
        hour=rng.randint(7, 14), minute=rng.randint(0, 59), second=rng.randint(0, 59), microsecond=0
    )


def title_of(rng: random.Random, line: Line, buyer: Company, at: datetime) -> str:
    other = rng.choice([city for city, _code in buyer.country.cities if city != buyer.city])
    quarter = f"Q{(at.month - 1) // 3 + 1} {at.year}"
    return rng.choice(line.titles).format(place=buyer.city, other=other, quarter=quarter, year=at.year)


def quantity_of(rng: random.Random, good: Good, size: float) -> Decimal:
    """A round quantity near the usual one, times the buyer's size."""
    wanted = max(1.0, good.lot * size * rng.uniform(0.5, 1.6))
    digits = max(0, len(str(int(wanted))) - 2)
    return Decimal(max(1, round(wanted / 10**digits) * 10**digits))


def rounded(amount: Decimal) -> Decimal:
    return amount.quantize(CENT, ROUND_HALF_UP)


def price_of(rng: random.Random, good: Good, factor: float, at: datetime) -> Decimal:
    """The good's usual price, times the supplier's factor, with noise, two per cent a year of inflation."""
    inflation = 1 + 0.02 * (at - datetime(2026, 1, 1, tzinfo=UTC)).days / 365
    return max(CENT, rounded(good.price * Decimal(str(round(factor * inflation * rng.uniform(0.96, 1.06), 4)))))


def limit_of(goods: Sequence[tuple[Good, Decimal]]) -> Decimal:
    """A buyer's limit price: a tenth above what is usual, in round hundreds (tens for a small lot)."""
    usual = sum((good.price * quantity for good, quantity in goods), Decimal(0)) * Decimal("1.16")
    step = Decimal(100) if usual > 2000 else Decimal(10)
    return (usual / step).to_integral_value(ROUND_HALF_UP) * step


class _Procedure:
    """One finished procedure, from publishing to contract."""

    def __init__(
        self,
        rng: random.Random,
        batch: Batch,
        number: int,
        published: datetime,
        buyer: Company,
        line: Line,
        heading: Heading,
        market: Sequence[Company],
    ) -> None:
        self.rng, self.batch, self.buyer, self.line, self.heading = rng, batch, buyer, line, heading
        self.market, self.published = market, published
        self.code = "auction_english_reverse" if rng.random() < 0.22 else "rfq_open"
        self.is_auction = self.code == "auction_english_reverse"
        enquiry = published + timedelta(days=rng.randint(3, 7))
        ends = (published + timedelta(days=rng.randint(8, 18))).replace(hour=10, minute=0, second=0)
        self.decided = ends + timedelta(days=rng.randint(1, 6), hours=rng.randint(1, 5))
        self.standstill = self.decided + timedelta(days=2)
        self.signed = self.standstill + timedelta(days=rng.randint(1, 6), minutes=rng.randint(5, 400))
        self.tender = Tender(
            pk=number,
            number=f"OL-{published.year}-{number:06d}",
            buyer=buyer.organisation,
            procedure=self.code,
            procedure_version=preset(self.code).version,
            title=title_of(rng, line, buyer, published),
            description=f"{line.heading} for {buyer.organisation.full_name}, delivered to {buyer.city}.",
            currency="EUR",
            time_zone=buyer.country.time_zone,
            created_by=buyer.person,
            created_at=published - timedelta(days=2),
            published_at=published,
            enquiry_ends_at=enquiry,
            tender_ends_at=ends,
            opened_at=ends + timedelta(seconds=4),
            auction_starts_at=ends + timedelta(hours=3) if self.is_auction else None,
        )
        self.ends = ends

    def make(self) -> None:
        chance = self.rng.random()
        self.batch.tenders.append(self.tender)
        self._questions()
        outcomes = [
            self._lot(n, cancelled=chance < 0.05) for n in range(1, self.rng.choices([2, 3, 4], [75, 17, 8])[0])
        ]
        if chance < 0.05:
            self.tender.status = TenderStatus.CANCELLED.value
            self.tender.closing_reason = self.rng.choice(CANCELLED)
            self.tender.closed_at = self.ends - timedelta(days=2)
            self.tender.opened_at = None
        elif any(outcomes):
            self.tender.status = TenderStatus.COMPLETE.value
            self.tender.closed_at = self.signed
            self.tender.standstill_ends_at = self.standstill
        else:
            self.tender.status = TenderStatus.UNSUCCESSFUL.value
            self.tender.closing_reason = NO_BIDS
            self.tender.closed_at = self.tender.opened_at

    def _questions(self) -> None:
        for number, (question, answer) in enumerate(
            self.rng.sample(QUESTIONS, self.rng.choices([0, 1, 2, 3], [50, 28, 15, 7])[0]), 1
        ):
            asker = self.rng.choice(self.market)
            asked = self.published + timedelta(hours=self.rng.randint(5, 50))
            self.batch.clarifications.append(
                Clarification(
                    tender=self.tender,
                    number=number,
                    status=ClarificationStatus.ANSWERED.value,
                    organisation=asker.organisation,
                    asked_by=asker.person,
                    asked_at=asked,
                    question=question,
                    answer=answer,
                    answered_at=asked + timedelta(hours=self.rng.randint(1, 20)),
                    answered_by=self.buyer.person,
                )
            )

    def _lot(self, number: int, *, cancelled: bool) -> bool:
        """Add the lot with its items and bids; true when a contract came of it."""
        rng = self.rng
        chosen = rng.sample(self.line.goods, rng.randint(1, min(4, len(self.line.goods))))
        goods = [(good, quantity_of(rng, good, self.buyer.size)) for good in chosen]
        lot = Lot(
            tender=self.tender,
            number=number,
            title=goods[0][0].name if len(goods) == 1 else f"{self.line.heading}, lot {number}",
            currency="EUR",
            limit_price=limit_of(goods),
            vat_rate=Decimal(19),
            delivery_place=f"{self.buyer.city}, {self.buyer.country.code}",
            status=LotStatus.ACTIVE.value,
        )
        if self.is_auction:
            lot.step_kind, lot.step_value = "percent", Decimal("0.5")
        self.batch.lots.append(lot)
        items = [
            Item(
                lot=lot,
                number=n,
                description=good.name.format(place=self.buyer.city, other=self.buyer.country.cities[0][0]),
                category=self.heading,
                quantity=quantity,
                unit=good.unit,
                deliver_until=(self.signed + timedelta(days=30)).date(),
            )
            for n, (good, quantity) in enumerate(goods, 1)
        ]
        self.batch.items += items
        if cancelled:
            lot.status, lot.closing_reason = LotStatus.CANCELLED.value, "The tender was cancelled."
            return False
        bids = self._bids(lot, [good for good, _quantity in goods], items)
        if not bids:
            lot.status, lot.closing_reason = LotStatus.UNSUCCESSFUL.value, NO_BIDS
            return False
        lot.status = LotStatus.COMPLETE.value
        self._contract(lot, bids[0])
        return True

    def _bids(self, lot: Lot, goods: Sequence[Good], items: Sequence[Item]) -> list[Bid]:
        """The lot's bids, the winner first."""
        rng = self.rng
        wanted = min(len(self.market), rng.choices([0, 1, 2, 3, 4, 5, 6, 8], [5, 8, 16, 24, 20, 14, 9, 4])[0])
        bids: list[tuple[Bid, list[BidPrice]]] = []
        for supplier in rng.sample(self.market, wanted):
            received = self.ends - timedelta(minutes=rng.randint(3, 5000), seconds=rng.randint(0, 59))
            bid = Bid(
                lot=lot,
                supplier=supplier.organisation,
                version=1,
                received_at=received,
                opened_at=self.tender.opened_at,
                currency="EUR",
                created_by=supplier.person,
                created_at=received - timedelta(hours=2),
                amount_received_at=received,
            )
            prices = []
            for good, item in zip(goods, items, strict=True):
                unit = price_of(rng, good, supplier.size, received)
                prices.append(BidPrice(bid=bid, item=item, unit_price=unit, amount=rounded(unit * item.quantity)))
            bid.initial_amount = bid.amount = sum((price.amount for price in prices), Decimal(0))
            if lot.limit_price is not None and bid.initial_amount <= lot.limit_price:
                bids.append((bid, prices))
        if self.is_auction and len(bids) > 1:
            self._bid_down([bid for bid, _prices in bids])
        bids.sort(key=lambda pair: (pair[0].amount, pair[0].amount_received_at))
        for rank, (bid, prices) in enumerate(bids, 1):
            bid.rank = rank
            bid.status = (BidStatus.WINNING if rank == 1 else BidStatus.LOSING).value
            bid.decision_reason = "" if rank == 1 else LOSING
            self.batch.prices += prices
        self.batch.bids += [bid for bid, _prices in bids]
        return [bid for bid, _prices in bids]

    def _bid_down(self, bids: Sequence[Bid]) -> None:
        """The live auction: most bidders go down by some steps, whoever wants it most goes deepest."""
        assert self.tender.auction_starts_at is not None
        for bid in bids:
            assert bid.initial_amount is not None
            depth = self.rng.choice([0, 0.005, 0.02, 0.05, 0.09])
            bid.amount = rounded(bid.initial_amount * Decimal(str(1 - depth)))
            if depth:
                bid.amount_received_at = self.tender.auction_starts_at + timedelta(seconds=self.rng.randint(20, 1500))

    def _contract(self, lot: Lot, bid: Bid) -> None:
        assert bid.amount is not None
        award = Award(
            lot=lot,
            bid=bid,
            status=AwardStatus.ACTIVE.value,
            amount=bid.amount,
            currency=bid.currency,
            reason="The lowest price.",
            decided_at=self.decided,
            decided_by=self.buyer.person,
            standstill_ends_at=self.standstill,
            created_at=self.decided,
        )
        self.batch.awards.append(award)
        self.batch.contracts.append(
            Contract(
                number=f"{self.tender.number}-{lot.number}",
                award=award,
                tender=self.tender,
                buyer=self.buyer.organisation,
                supplier=bid.supplier,
                status=ContractStatus.ACTIVE.value,
                amount=bid.amount,
                currency=bid.currency,
                limit_price=lot.limit_price,
                created_at=self.standstill,
                signed_at=self.signed,
                text=(
                    f"{self.buyer.organisation.full_name} buys and {bid.supplier.full_name} supplies {lot.title} as "
                    f"described in {self.tender.number}, lot {lot.number}, for {bid.amount:.2f} {bid.currency} "
                    f"without VAT, delivered to {lot.delivery_place}."
                ),
            )
        )
