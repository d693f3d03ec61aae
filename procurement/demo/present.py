"""What runs now in the demo world: made through the very services that people use, at the times it claims."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Final

from django.conf import settings

from marketplace.entitlements import NotEntitled
from marketplace.models import Heading, SigningRequest
from marketplace.permissions import Actor, actor_for
from marketplace.shared.money import minor_unit
from marketplace.signatures import sealing
from marketplace.signatures.sign import sign
from procurement import procedures
from procurement.auction import clock as due
from procurement.demo.cast import Notary
from procurement.demo.companies import Company
from procurement.demo.goods import Line
from procurement.demo.history import QUESTIONS, limit_of, price_of, quantity_of, rounded, title_of
from procurement.models import Bid, Contract, Lot, Tender
from procurement.rules.evaluation import PricedItem
from procurement.rules.lifecycle import BidStatus, ContractStatus, LotStatus
from procurement.rules.price_table import read
from procurement.rules.ranking import Direction
from procurement.services import (
    awards,
    bid_content,
    bid_drafts,
    bids,
    clarifications,
    contracts,
    evaluation,
    lots,
    publishing,
    tenders,
)
from procurement.services.lots import ItemRow

RFQ: Final = "rfq_open"
AUCTION: Final = "auction_english_reverse"
#: Every kind there is, the usual one first.
AUCTIONS: Final = tuple(preset.code for preset in procedures.catalogue() if preset.family is procedures.Family.AUCTION)
# Long enough to hold a working day, whatever day of the week it begins on.
QUESTIONS_TAKEN: Final = timedelta(days=4, hours=16)


@contextmanager
def days_are_days() -> Iterator[None]:
    """The made-up past was published under real periods, whatever pace the demonstration has now."""
    before, settings.PERIOD_UNIT = settings.PERIOD_UNIT, "day"
    try:
        yield
    finally:
        settings.PERIOD_UNIT = before


def _sealed(bid: Bid, lot: Lot, prices: Mapping[int, str]) -> bytes:
    """The bid as its bidder's own program seals it, before anything is sent."""
    items = list(lot.items.all())
    table = read([PricedItem(item.pk, item.quantity) for item in items], prices, minor_unit(lot.currency))
    plain = bid_content.encode(bid, bid.version + 1, bid_content.of_table(table), items)
    return sealing.seal(bytes(lot.public_key or b""), plain, bid_content.info(bid, bid_content.CONTENT_PART))


@dataclass(slots=True)
class Stage:
    """Where things are made to happen: the companies, their credentials, the dice."""

    rng: random.Random
    notary: Notary
    buyers: Sequence[Company]
    suppliers: Sequence[Company]
    headings: dict[str, Heading]
    _actors: dict[int, Actor] = field(default_factory=dict)

    def actor(self, company: Company) -> Actor:
        found = self._actors.get(company.organisation.pk)
        if found is None:
            found = self._actors[company.organisation.pk] = actor_for(company.person, company.organisation)
        return found

    def signed(self, request: SigningRequest, company: Company, at: datetime) -> bytes:
        return sign(bytes(request.payload), self.notary.credential(company), at)

    def market(self, line: Line, *, but: Company, first: Sequence[Company] = ()) -> list[Company]:
        """Suppliers of a line in random order, those of `first` before the others."""
        others = [s for s in self.suppliers if line in s.lines and s is not but and s not in first]
        self.rng.shuffle(others)
        return [*first, *others]

    # Buyers ------------------------------------------------------------------------------------------------------

    def draft(self, buyer: Company, line: Line, at: datetime, *, procedure: str = RFQ, lot_count: int = 1) -> Tender:
        """A complete draft: title, description, lots with items, limit prices and auction steps."""
        by = self.actor(buyer)
        sale = procedures.get(procedure).axes.direction is Direction.UP
        title = title_of(self.rng, line, buyer, at)
        tender = tenders.create(procedure, f"Sale of stock: {title}" if sale else title, by=by, at=at)
        description = (
            f"Unused stock of {buyer.organisation.short_name}, to be taken over in {buyer.city}. Prices without VAT."
            if sale
            else f"{line.heading} for {buyer.organisation.short_name}. Delivery to {buyer.city}, unloading included. "
            "Prices without VAT, fixed until delivery. Equivalents of a named make are welcome."
        )
        tenders.update(
            tender.pk, "basics", {"description": description, "time_zone": buyer.country.time_zone},
            revision=_revision(tender), by=by, at=at,
        )  # fmt: skip
        for _ in range(lot_count - 1):
            lots.add(tender.pk, by=by, at=at)
        for lot in tender.lots.all():
            self._fill(tender, lot, buyer, line, procedure, at)
        tender.refresh_from_db()
        return tender

    def _fill(self, tender: Tender, lot: Lot, buyer: Company, line: Line, procedure: str, at: datetime) -> None:
        by = self.actor(buyer)
        chosen = self.rng.sample(line.goods, self.rng.randint(2, min(4, len(line.goods))))
        goods = [(good, quantity_of(self.rng, good, buyer.size)) for good in chosen]
        until = (at + timedelta(days=45)).date()
        preset = procedures.get(procedure)
        # Stock is sold from half of what it was bought for.
        limit = limit_of(goods)
        if preset.axes.direction is Direction.UP:
            limit = rounded(limit / 2)
        fields: lots.LotFields = {
            "title": f"{line.heading} {lot.number}" if lot.number > 1 else line.heading,
            "limit_price": limit,
            "vat_rate": Decimal(19),
            "delivery_place": f"{buyer.city}, {buyer.country.code}",
        }
        if preset.asks.step:
            # A clock goes its way in some twenty ticks.
            fields |= {"step_kind": "percent", "step_value": Decimal(2) if preset.asks.clock else Decimal("0.5")}
        if preset.asks.clock:
            fields |= {"clock_price": rounded(limit * Decimal("0.6"))}
        lots.update(tender.pk, lot.pk, fields, revision=_revision(tender), by=by, at=at)
        heading = self.headings[line.code]
        other = next(city for city, _code in buyer.country.cities if city != buyer.city)
        rows = [
            ItemRow(
                good.name.format(place=buyer.city, other=other), heading.pk, quantity, good.unit, deliver_until=until
            )
            for good, quantity in goods
        ]
        lots.replace_items(tender.pk, lot.pk, rows, revision=_revision(tender), by=by, at=at)

    def publish(
        self,
        buyer: Company,
        line: Line,
        at: datetime,
        ends_at: datetime,
        *,
        procedure: str = RFQ,
        lot_count: int = 1,
        terms: dict[str, object] | None = None,
    ) -> Tender:
        """A tender published at `at` whose bids close at `ends_at`, questions at half that time."""
        by = self.actor(buyer)
        drafted = at - timedelta(hours=20)
        with days_are_days():
            tender = self.draft(buyer, line, drafted, procedure=procedure, lot_count=lot_count)
            if terms:
                tenders.update_settings(tender.pk, "terms", terms, revision=_revision(tender), by=by, at=drafted)
            tenders.update(
                tender.pk,
                "timetable",
                {"enquiry_ends_at": at + max((ends_at - at) / 2, QUESTIONS_TAKEN), "tender_ends_at": ends_at},
                revision=_revision(tender), by=by, at=drafted,
            )  # fmt: skip
            return publishing.publish(tender.pk, by=by, at=at)

    def question(self, tender: Tender, buyer: Company, asker: Company, at: datetime, *, answered: bool) -> None:
        text, answer = self.rng.choice(QUESTIONS)
        asked = clarifications.ask(tender.pk, text, by=self.actor(asker), at=at)
        if answered:
            clarifications.answer(asked.pk, answer, by=self.actor(buyer), at=at + timedelta(hours=2))

    # Suppliers ---------------------------------------------------------------------------------------------------

    def bid(self, supplier: Company, lot: Lot, at: datetime, line: Line, *, send: bool = True) -> Bid | None:
        """A priced bid, sent under signature unless only drafted. None where it would not be taken."""
        by = self.actor(supplier)
        usual = {good.name.partition(" {")[0]: good for good in line.goods}
        prices, total = {}, Decimal(0)
        for item in lot.items.all():
            good = next((g for name, g in usual.items() if item.description.startswith(name)), line.goods[0])
            unit = price_of(self.rng, good, supplier.size, at)
            prices[item.pk] = f"{unit:f}"
            total += unit * item.quantity
        direction = lot.tender.preset.axes.direction
        if lot.limit_price is not None and direction.better(Fraction(lot.limit_price), Fraction(total)):
            return None
        try:
            bid = bid_drafts.start(lot.pk, by=by, at=at)
        except NotEntitled:  # a small tariff: this supplier does not take part
            return None
        if bid_drafts.kept_here(lot.tender):
            bid = bid_drafts.save(bid.pk, prices=prices, remarks="", revision=bid.revision, by=by, at=at)
        if send:
            versions = {"bid_version": bid.version + 1, "tender_version": lot.tender.version}
            request = bids.prepare_sealed(bid.pk, _sealed(bid, lot, prices), [], **versions, by=by, at=at)
            bids.submit(request.pk, self.signed(request, supplier, at), idempotency_key=request.nonce, by=by, at=at)
        return bid

    def bids(
        self, tender: Tender, buyer: Company, line: Line, until: datetime, count: int, *, first: Sequence[Company] = ()
    ) -> None:
        """Up to `count` bids for every lot, received in the last hours before `until`."""
        for lot in tender.lots.prefetch_related("items"):
            for supplier in self.market(line, but=buyer, first=first)[:count]:
                published = tender.published_at or until
                at = max(until - timedelta(minutes=self.rng.randint(2, 2000)), published + timedelta(minutes=5))
                self.bid(supplier, lot, at, line)

    # After the deadline ------------------------------------------------------------------------------------------

    def open(self, tender: Tender) -> None:
        """The clock comes at the deadline, a moment late as clocks are."""
        assert tender.tender_ends_at is not None
        due.tick(tender.tender_ends_at + timedelta(seconds=1))
        tender.refresh_from_db()

    def admit(self, tender: Tender, buyer: Company, at: datetime) -> None:
        for lot in tender.lots.filter(status=LotStatus.ACTIVE.value):
            evaluation.admit_all(lot.pk, by=self.actor(buyer), at=at)

    def award(self, tender: Tender, buyer: Company, at: datetime) -> None:
        """Every lot to its best-ranked bid."""
        by = self.actor(buyer)
        for lot in tender.lots.filter(status=LotStatus.ACTIVE.value):
            best = lot.bids.filter(status=BidStatus.ADMITTED.value).order_by("rank").first()
            if best is None:
                continue
            request = awards.propose(lot.pk, best.pk, "", by=by, at=at)
            awards.decide(request.pk, self.signed(request, buyer, at), idempotency_key=request.nonce, by=by, at=at)

    def stand(self, tender: Tender) -> datetime:
        """Let the standstill of every lot pass; when it was over."""
        ends = max(
            (moment.due_at for moment in tender.moments.filter(done_at=None, kind="standstill_ends")), default=None
        )
        assert ends is not None
        due.tick(ends + timedelta(seconds=1))
        return ends

    def sign(self, contract: Contract, side: Company, at: datetime) -> None:
        by = self.actor(side)
        request = contracts.prepare_signature(contract.pk, by=by, at=at)
        contracts.sign(request.pk, self.signed(request, side, at), idempotency_key=request.nonce, by=by, at=at)

    def unsigned(self, tender: Tender) -> list[Contract]:
        return list(tender.contracts.filter(status__in=[ContractStatus.DRAFT.value, ContractStatus.SIGNING.value]))


def _revision(tender: Tender) -> int:
    return Tender.objects.values_list("revision", flat=True).get(pk=tender.pk)
