"""`manage.py demo_bidders`: keeps a live auction to be watched, and bids in it by machine over the public API."""

from __future__ import annotations

import json
import logging
import signal
import threading
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import OperationalError, connection

from marketplace.shared import clock
from procurement.demo import auction_now, bidders

log = logging.getLogger(__name__)
# After an auction has ended, its result can be looked at in peace before the next one comes.
_PAUSE_SECONDS = 180


class Command(BaseCommand):
    help = "Stage a live auction with simulated bidders in the demonstration's world, and again when it is over."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--folder", type=Path, default=settings.LOCAL_DIR / "demo")
        parser.add_argument("--once", action="store_true", help="end with the first auction")

    def handle(self, *args: Any, **options: Any) -> None:
        folder: Path = options["folder"]
        if settings.PRODUCTION or not (folder / auction_now.FILE).exists():
            raise CommandError("There is no demo world here: make it with make demo.")
        stopping = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stopping.set())
        tokens = [row["token"] for row in json.loads((folder / auction_now.FILE).read_text())["bots"]]
        site = bidders.Site(settings.SITE_URL)
        while not stopping.is_set():
            lot = self._lot(folder)
            if lot is not None:
                log.info("Bidding in the auction of lot %s, %s", lot, settings.SITE_URL)
                bidders.bid_together(site, lot, tokens, stopping)
            if options["once"]:
                return
            stopping.wait(_PAUSE_SECONDS if lot is not None else 5)

    def _lot(self, folder: Path) -> int | None:
        """The auction that runs or comes already, or a new one."""
        now = clock.now()
        try:
            lot = auction_now.waiting_lot(now) or auction_now.stage_auction(folder, now=now, seed=int(now.timestamp()))
        except OperationalError as error:
            log.warning("The database is away: %s", error)
            return None
        finally:
            connection.close()
        return lot.pk
