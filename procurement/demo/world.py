"""The whole demo world, in order: companies, a finished year, what runs now, and what waits for the staff."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from django.db import connection

from marketplace.models import Accreditation, AccreditationStatus, Plan, Side
from marketplace.services import plans
from marketplace.shared import jobs
from marketplace.signatures.authority import Authority
from procurement.demo import afterwards, cast, committee_world, companies, history, sealed_past
from procurement.demo.auction_now import make_bidders
from procurement.demo.cast import Notary
from procurement.demo.companies import Company
from procurement.demo.goods import LINES, Line
from procurement.demo.present import AUCTIONS, Stage, days_are_days
from procurement.models import Tender

SEED: Final = 20_260
PROCEDURES: Final = 2_000
BUYERS: Final = 60
SUPPLIERS: Final = 300

Progress = Callable[[float, str], None]


@dataclass(frozen=True, slots=True)
class Size:
    """How large a world: the usual one, or a small one for tests."""

    buyers: int = BUYERS
    suppliers: int = SUPPLIERS
    procedures: int = PROCEDURES
    # How many of each kind of running procedure; `open_` counts most of them.
    open_: int = 40
    each: int = 5


SMALL: Final = Size(buyers=6, suppliers=60, procedures=40, open_=3, each=1)


class Bar:
    """A line that fills up, on a terminal; elsewhere a line per step."""

    def __init__(self) -> None:
        self._last = ""
        self._began = time.monotonic()

    def __call__(self, share: float, what: str) -> None:
        seconds = time.monotonic() - self._began
        if sys.stderr.isatty():
            filled = round(share * 30)
            bar = "█" * filled + "·" * (30 - filled)
            end = f" {seconds:.0f} s\n" if share >= 1 else ""
            sys.stderr.write(f"\r  [{bar}] {share:4.0%} {what:<44}{end}")
        elif what != self._last:
            sys.stderr.write(f"  {seconds:3.0f} s  {share:4.0%}  {what}\n")
        sys.stderr.flush()
        self._last = what


def make(folder: Path, *, now: datetime, size: Size | None = None, seed: int = SEED, progress: Progress) -> None:
    """Make the world in an empty, migrated database; people.json, certificates and tokens go to `folder`."""
    size = size or Size()
    rng = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    with connection.cursor() as cursor:
        # Some thousand commits: none is worth waiting for the disk, for a world that is made anew if it is lost.
        cursor.execute("SET synchronous_commit = off")
    with jobs.discarded():
        progress(0.01, "Headings, tariffs, the certification authority")
        headings = companies.make_headings()
        if not Plan.objects.exists():
            plans.load_standard(at=now - timedelta(days=700))
        notary = Notary(folder, now, Authority.create(now))
        notary.establish()
        cast.make_staff()
        progress(0.04, "Companies and their people")
        buyers, suppliers = companies.make_companies(
            rng, buyers=size.buyers, suppliers=size.suppliers, now=now, headings=headings
        )
        cast.name_the_first(buyers, suppliers)
        running = size.open_ + 9 * size.each + committee_world.COUNT
        past = max(1, size.procedures - running)
        history.make_history(
            rng, count=past, now=now, buyers=buyers, suppliers=suppliers, headings=headings,
            progress=lambda n: progress(0.06 + 0.24 * n / past, "A year of finished procedures"),
        )  # fmt: skip
        progress(0.3, "Envelopes, signatures and rolls of the newest of them")
        sealed_past.seal(notary, suppliers, now)
        stage = Stage(rng, notary, buyers, suppliers, headings)
        _Present(stage, now, size, progress, since=0.31).make()
        progress(0.95, "Deliveries and requests for offers")
        afterwards.make(stage, now)
        progress(0.96, "What waits for the operator")
        _queue(now, suppliers[-4:])
        cast.write_people(folder, notary, buyers[0], suppliers, rng)
        make_bidders(folder, stage, now)
    progress(0.99, "Statistics for the planner")
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
        cursor.execute("RESET synchronous_commit")
    progress(1.0, f"{Tender.objects.count():,} procedures")


class _Present:
    """Running procedures of every state, oldest deadline first, as the clock would have come to them."""

    def __init__(self, stage: Stage, now: datetime, size: Size, progress: Progress, *, since: float) -> None:
        self.stage, self.now, self.size, self.rng = stage, now, size, stage.rng
        self._progress, self._since = progress, since
        self._done, self._all = 0, size.open_ + 9 * size.each + 1
        self.us, self.first = stage.buyers[0], list(stage.suppliers[:2])

    def make(self) -> None:
        each = self.size.each
        with days_are_days():
            for number in range(each):
                self._signed(number)
            for number in range(each):
                self._to_be_signed(number)
            for number in range(each):
                self._in_standstill(number)
            for number in range(each):
                self._to_be_awarded(number)
            for number in range(2 * each):
                self._in_evaluation(number)
            self._with_a_committee()
            for number in range(2 * each):
                self._open(number, procedure=AUCTIONS[number % len(AUCTIONS)])
            for number in range(self.size.open_):
                self._open(number)
            for number in range(each):
                self._draft(number)

    def _step(self, what: str) -> None:
        self._done += 1
        self._progress(self._since + 0.64 * self._done / self._all, what)

    def _buyer(self, number: int) -> Company:
        """The named buyer has one of everything."""
        return self.us if number == 0 else self.rng.choice(self.stage.buyers)

    def _line(self, buyer: Company) -> tuple[Line, list[Company]]:
        """A line the buyer buys, and those of the named suppliers who sell it; for the named buyer one that both do."""
        if buyer is self.us:
            shared = [line for line in LINES if all(line in supplier.lines for supplier in self.first)]
            sold = shared or [line for line in LINES if line in self.first[0].lines]
            line = self.rng.choice(sold)
        else:
            line = self.rng.choice(buyer.lines)
        return line, [supplier for supplier in self.first if line in supplier.lines]

    def _closed(self, number: int, days_ago: float, what: str) -> tuple[Tender, Company]:
        buyer = self._buyer(number)
        line, first = self._line(buyer)
        ends = self.now - timedelta(days=days_ago + self.rng.random())
        tender = self.stage.publish(buyer, line, ends - timedelta(days=12), ends, lot_count=1 + (number % 3 == 2))
        asker = self.stage.market(line, but=buyer)[0]
        self.stage.question(tender, buyer, asker, ends - timedelta(days=11), answered=True)
        # A rich comparison where newcomers look; elsewhere what is usual.
        count = 5 if number == 0 else self.rng.randint(2, 4)
        self.stage.bids(tender, buyer, line, ends, count, first=first)
        self.stage.open(tender)
        self._step(what)
        return tender, buyer

    def _awarded(self, number: int, days_ago: float, decided: float, what: str) -> tuple[Tender, Company]:
        tender, buyer = self._closed(number, days_ago, what)
        assert tender.tender_ends_at is not None
        at = tender.tender_ends_at + timedelta(days=decided)
        self.stage.admit(tender, buyer, at)
        self.stage.award(tender, buyer, at + timedelta(hours=1))
        return tender, buyer

    def _signed(self, number: int) -> None:
        tender, buyer = self._awarded(number, 20, 2, "Contracts signed last week")
        over = self.stage.stand(tender)
        for contract in self.stage.unsigned(tender):
            self.stage.sign(contract, buyer, over + timedelta(hours=3))
            self.stage.sign(contract, self._supplier(contract.supplier_id), over + timedelta(hours=20))

    def _to_be_signed(self, number: int) -> None:
        tender, buyer = self._awarded(number, 12, 2, "Contracts waiting for signatures")
        over = self.stage.stand(tender)
        for contract in self.stage.unsigned(tender):
            if number % 2:
                self.stage.sign(contract, buyer, over + timedelta(hours=4))

    def _in_standstill(self, number: int) -> None:
        self._awarded(number, 2, 1.5, "Awards in standstill")

    def _to_be_awarded(self, number: int) -> None:
        tender, buyer = self._closed(number, 3, "Procedures to be awarded")
        self.stage.admit(tender, buyer, self.now - timedelta(hours=5))

    def _in_evaluation(self, number: int) -> None:
        self._closed(number, 0.3, "Procedures in evaluation")

    def _with_a_committee(self) -> None:
        line, first = self._line(self.us)
        committee_world.make(self.stage, self.us, line, first, self.now)
        self._step("Procedures whose keys a committee holds")

    def _open(self, number: int, *, procedure: str = "rfq_open") -> None:
        buyer = self.us if number < 2 else self.rng.choice(self.stage.buyers)
        line, first = self._line(buyer)
        published = self.now - timedelta(days=self.rng.uniform(1, 6))
        ends = (self.now + timedelta(days=self.rng.uniform(4, 15))).replace(minute=0, second=0, microsecond=0)
        tender = self.stage.publish(
            buyer, line, published, ends, procedure=procedure, lot_count=self.rng.choice([1, 1, 1, 2])
        )
        askers = self.stage.market(line, but=buyer)
        for asker in askers[: self.rng.choice([0, 1, 1, 2])]:
            asked = published + timedelta(hours=self.rng.uniform(2, 15))
            self.stage.question(tender, buyer, asker, asked, answered=buyer is not self.us and self.rng.random() < 0.7)
        self.stage.bids(tender, buyer, line, self.now - timedelta(minutes=5), self.rng.choice([0, 0, 1, 2, 3]))
        if number == 1:
            for supplier in first:
                self._drafted(supplier, tender, line)
        self._step("Open auctions" if procedure in AUCTIONS else "Open requests for quotations")

    def _drafted(self, supplier: Company, tender: Tender, line: Line) -> None:
        """The named suppliers have a bid each that is priced but not sent."""
        lot = tender.lots.prefetch_related("items").first()
        if lot is not None and not lot.bids.filter(supplier=supplier.organisation).exists():
            self.stage.bid(supplier, lot, self.now - timedelta(minutes=50), line, send=False)

    def _draft(self, number: int) -> None:
        buyer = self._buyer(number)
        line, _first = self._line(buyer)
        self.stage.draft(buyer, line, self.now - timedelta(days=self.rng.uniform(0.1, 4)))
        self._step("Drafts")

    def _supplier(self, organisation_id: int) -> Company:
        return next(company for company in self.stage.suppliers if company.organisation.pk == organisation_id)


def _queue(now: datetime, waiting: Sequence[Company]) -> None:
    """Accreditations that wait for the operator."""
    for number, company in enumerate(waiting):
        Accreditation.objects.filter(organisation=company.organisation, side=Side.SUPPLIER).update(
            status=AccreditationStatus.SUBMITTED, valid_until=None, decided_at=None,
            submitted_at=now - timedelta(hours=3 + 19 * number),
        )  # fmt: skip
