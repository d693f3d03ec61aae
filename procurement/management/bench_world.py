"""A throwaway database for the benchmarks of live auctions, on the server of DATABASE_URL."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection, connections
from psycopg import sql

from marketplace.models import (
    Heartbeat,
    Membership,
    Organisation,
    OrganisationStatus,
    Person,
    Plan,
    Role,
    Subscription,
    SubscriptionStatus,
)
from procurement.auction import tokens
from procurement.models import Auction, AuctionParticipant, Bid, Lot, Tender
from procurement.rules.lifecycle import BidStatus, TenderStatus
from procurement.services import auctions

# Room enough for every bid of a run, each a cent below the last.
FIRST_PRICE = Decimal("900000000.00")
_HOURS = 8


@dataclass(frozen=True)
class Seat:
    """A bidder of one lot with a pass to the gateway."""

    lot: int
    participant: int
    person: int
    token: str


@contextmanager
def own_database(say: Callable[[str], object]) -> Iterator[str]:
    """An empty, migrated database that Django uses inside the block; its address."""
    name = f"openlot_bench_{os.getpid()}"
    url = urlsplit(settings.DATABASE_URL)._replace(path=f"/{name}").geturl()
    _maintain("CREATE DATABASE {}", name)
    usual = connection.settings_dict["NAME"]
    try:
        _use(name)
        say(f"A database of its own, {name}, is being set up.")
        call_command("migrate", verbosity=0, interactive=False)
        yield url
    finally:
        _use(usual)
        _maintain("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)


def running_auctions(lots: int, bidders: int, suppliers: list[Membership], at: datetime) -> list[list[Seat]]:
    """Auctions that run, eight hours long: the seats of each lot, taken by as many of the suppliers in turn."""
    buyer = _organisation("Buyer", at, is_buyer=True)
    buyer.save()
    tender = Tender.objects.create(
        number=f"OL-BENCH-{Tender.objects.count()}",
        buyer=buyer,
        procedure="auction_english_reverse",
        procedure_version=1,
        settings={"auction_duration_minutes": _HOURS * 60},
        title="Benchmark",
        status=TenderStatus.EVALUATION.value,
        currency="EUR",
        time_zone="UTC",
        published_at=at - timedelta(days=10),
        opened_at=at - timedelta(minutes=1),
        enquiry_ends_at=at - timedelta(days=5),
        tender_ends_at=at - timedelta(minutes=1),
        auction_starts_at=at,
        created_by=suppliers[0].person,
        created_at=at,
    )
    made = Lot.objects.bulk_create(
        Lot(
            tender=tender,
            number=number,
            title=f"Lot {number}",
            currency="EUR",
            limit_price=FIRST_PRICE,
            step_kind="amount",
            step_value=Decimal("0.01"),
        )
        for number in range(1, lots + 1)
    )
    Bid.objects.bulk_create(
        _bid(lot, suppliers[(place * bidders + nth) % len(suppliers)], at)
        for place, lot in enumerate(made)
        for nth in range(bidders)
    )
    for auction in auctions.schedule(tender.pk, at=at - timedelta(seconds=30)):
        auctions.start(auction.pk, at=at)
    return [_seats(lot) for lot in made]


def suppliers(count: int, at: datetime) -> list[Membership]:
    """Registered suppliers with a tariff, each with a person who may bid."""
    organisations = Organisation.objects.bulk_create(
        _organisation(f"Supplier {number}", at, is_supplier=True) for number in range(count)
    )
    plan = Plan.objects.create(code="bench", name="Benchmark", price=0, currency="EUR", period_days=1)
    Subscription.objects.bulk_create(
        Subscription(
            organisation=organisation,
            plan=plan,
            status=SubscriptionStatus.ACTIVE,
            requested_at=at,
            starts_at=at - timedelta(days=1),
            ends_at=at + timedelta(hours=_HOURS),
        )
        for organisation in organisations
    )
    people = Person.objects.bulk_create(
        Person(email=f"bench{number}@example.com", full_name=f"Person {number}", password="!")
        for number in range(count)
    )
    return Membership.objects.bulk_create(
        Membership(person=person, organisation=organisation, roles=[Role.BID_MANAGER.value], created_at=at)
        for person, organisation in zip(people, organisations, strict=True)
    )


@contextmanager
def gateway(database_url: str, port: int, log: Path, workers: int = 1) -> Iterator[subprocess.Popen[bytes]]:
    """The gateway on its server, as in production, on a port of this machine."""
    # Between two gateways of a benchmark nobody could bid. That is no outage to be made up for.
    Heartbeat.objects.all().delete()
    options = ["--interface", "asgi", "--runtime-mode", "st", "--no-ws", "--workers", str(workers)]
    # Every stream is a request that goes on: as many as there are watchers, and bids beside them.
    options += ["--backlog", "4096", "--backpressure", "24000"]
    address = ["--host", "127.0.0.1", "--port", str(port)]
    with open(log, "wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "granian", *options, *address, "procurement.auction.gateway:application"],
            cwd=settings.BASE_DIR,
            # What one bidder may send is not what is measured.
            env={**os.environ, "DATABASE_URL": database_url, "GATEWAY_BIDS_PER_SECOND": "100000"},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait_for(f"http://127.0.0.1:{port}/live/healthz", process, log)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def resident_bytes(process: int) -> int:
    """The memory that a process and its children hold, in bytes."""
    total = 0
    for number in [process, *_children(process)]:
        with suppress(OSError):
            status = Path(f"/proc/{number}/status").read_text()
            total += sum(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS:"))
    return total


def processor_seconds(process: int) -> float:
    """The processor's time that a process and its children have used, in seconds."""
    ticks = 0
    for number in [process, *_children(process)]:
        with suppress(OSError):
            fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _children(process: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{process}/task").glob("*/children"):
        with suppress(OSError):
            children = [int(number) for number in task.read_text().split()]
            found += children + [number for child in children for number in _children(child)]
    return found


def _wait_for(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(OSError), urllib.request.urlopen(address, timeout=2):
            return
        time.sleep(0.1)
    raise CommandError(f"The gateway does not answer:\n{log.read_text(errors='replace')}")


def _organisation(name: str, at: datetime, **fields: bool) -> Organisation:
    status = OrganisationStatus.REGISTERED
    return Organisation(country="DE", full_name=name, short_name=name, status=status, created_at=at, **fields)


def _bid(lot: Lot, supplier: Membership, at: datetime) -> Bid:
    return Bid(
        lot=lot,
        supplier_id=supplier.organisation_id,
        status=BidStatus.ADMITTED.value,
        version=1,
        currency=lot.currency,
        received_at=at - timedelta(hours=1),
        opened_at=at,
        initial_amount=FIRST_PRICE,
        amount=FIRST_PRICE,
        amount_received_at=at - timedelta(hours=1),
        created_by_id=supplier.person_id,
        created_at=at,
    )


def _seats(lot: Lot) -> list[Seat]:
    auction = Auction.objects.get(lot=lot)
    rows = AuctionParticipant.objects.filter(auction=auction).order_by("pk")
    people = dict(
        Membership.objects.filter(organisation__in=rows.values("supplier")).values_list("organisation", "person")
    )
    found = []
    for row in rows:
        person = people[row.supplier_id]
        token = tokens.issue(tokens.Ticket(lot.pk, person, row.pk, may_bid=True))
        found.append(Seat(lot.pk, row.pk, person, token))
    return found


def _maintain(statement: str, name: str) -> None:
    url = urlsplit(settings.DATABASE_URL)._replace(path="/postgres").geturl()
    try:
        with psycopg.connect(url, autocommit=True) as maintenance:
            maintenance.execute(sql.SQL(statement).format(sql.Identifier(name)))
    except psycopg.Error as error:
        raise CommandError(f"A database for the measurement could not be made or dropped: {error}") from error


def _use(name: str) -> None:
    connections.close_all()
    if settings.DATABASES["default"]["OPTIONS"].get("pool"):
        connection.close_pool()  # type: ignore[attr-defined]
    connection.settings_dict["NAME"] = name
    settings.DATABASES["default"]["NAME"] = name
