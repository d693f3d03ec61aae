"""The clock process: what must happen at a time happens here."""

import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from marketplace.shared.clock import now
from procurement.auction import clock


class Command(BaseCommand):
    help = "Carry out due moments (openings, auctions, standstills) until stopped. Any number may run."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--once", action="store_true", help="carry out what is due now, and end")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["once"]:
            tick = clock.tick(now())
            self.stdout.write(f"{tick.done} done, {tick.failed} failed")
            return
        stopping = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.set())
        clock.run(stopping)
