"""The auction that a newcomer can watch within two minutes, and the keys of those who bid in it by machine."""

from __future__ import annotations

import hashlib
import json
import random
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from django.db import transaction

from marketplace.models import ApiToken, Heading
from marketplace.shared import jobs
from procurement.demo import companies
from procurement.demo.cast import Notary, api_secret
from procurement.demo.goods import LINES
from procurement.demo.present import AUCTION, Stage, days_are_days
from procurement.models import Auction, Lot
from procurement.rules.lifecycle import AuctionStatus

BIDDERS: Final = 5
# Opened so long ago, and starting so long after that: in a minute and a half.
OPENED_AGO: Final = timedelta(seconds=30)
DELAY_MINUTES: Final = 2
LASTS_MINUTES: Final = 8
FILE: Final = "bidders.json"
"""Who bids by machine: their organisations and API tokens, readable by the owner of the folder only."""


def make_bidders(folder: Path, stage: Stage, now: datetime) -> None:
    """Pick a line, suppliers of it who bid by machine, and give each an API token."""
    first = list(stage.suppliers[:2])
    line = max(
        (line for line in LINES if all(line in supplier.lines for supplier in first)),
        key=lambda line: len(line.goods),
        default=first[0].lines[0],
    )
    bots = stage.market(line, but=stage.buyers[0])
    bots = [company for company in bots if company not in first][:BIDDERS]
    rows = []
    for company in bots:
        secret = api_secret()
        assert company.membership is not None
        digest = hashlib.sha256(secret.encode()).hexdigest()
        ApiToken.objects.create(membership=company.membership, name="Simulated bidder", sha256=digest, created_at=now)
        rows.append({"organisation": company.organisation.pk, "token": secret})
    content = {
        "line": line.code,
        "buyer": stage.buyers[0].organisation.pk,
        "people": [company.organisation.pk for company in first],
        "bots": rows,
    }
    path = folder / FILE
    path.touch(mode=0o600)
    path.write_text(json.dumps(content, indent=1))


def waiting_lot(now: datetime) -> Lot | None:
    """The staged auction's lot, while it is still to come or running."""
    auction = (
        Auction.objects.select_related("lot")
        .filter(
            status__in=[AuctionStatus.SCHEDULED.value, AuctionStatus.RUNNING.value],
            ends_at__gt=now,
            starts_at__lt=now + timedelta(minutes=DELAY_MINUTES),
        )
        .order_by("starts_at")
        .first()
    )
    return auction.lot if auction else None


def stage_auction(folder: Path, *, now: datetime, seed: int) -> Lot:
    """An auction that starts in about a minute and a half: published, bid for and opened through the services, with
    times in the past."""
    content: dict[str, Any] = json.loads((folder / FILE).read_text())
    line = next(line for line in LINES if line.code == content["line"])
    rng = random.Random(seed)
    people = companies.from_database(rng, content["people"], line)
    bots = companies.from_database(rng, [bot["organisation"] for bot in content["bots"]], line)
    (buyer,) = companies.from_database(rng, [content["buyer"]], line)
    headings = {line.code: Heading.objects.get(code=line.code)}
    stage = Stage(rng, Notary.load(folder, now), [buyer], [*people, *bots], headings)
    # At once, or the clock would come for the deadline, which is past, before there is a bid.
    with transaction.atomic(), jobs.discarded(), days_are_days():
        tender = stage.publish(
            buyer, line, now - timedelta(days=8), now - OPENED_AGO, procedure=AUCTION,
            terms={
                "auction_start_delay_minutes": DELAY_MINUTES,
                "auction_duration_minutes": LASTS_MINUTES,
                "soft_close_window_seconds": 60,
                "soft_close_extend_seconds": 60,
            },
        )  # fmt: skip
        stage.bids(tender, buyer, line, now - timedelta(minutes=5), len(stage.suppliers), first=stage.suppliers)
        stage.open(tender)
    return tender.lots.get(number=1)
