"""Measure a part of the platform on this machine, each figure beside what it is compared with."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from marketplace.management.benching import Run, parts
from marketplace.shared import clock


class Command(BaseCommand):
    help = "Measures a part of the platform. With --json the last line is one JSON object: limit, product, ratio, more."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("part", choices=sorted(parts()))
        parser.add_argument("--seconds", type=float, default=4.0, help="spent on each figure (default 4)")
        parser.add_argument("--clients", type=int, help="bids, stream: clients at once (default 256 and 3000)")
        parser.add_argument("--soak", type=float, default=0.0, help="bids: then so many seconds more, memory watched")
        parser.add_argument("--json", action="store_true", help="end with one JSON object on a line")

    def handle(self, *args: Any, **options: Any) -> None:
        run = Run(clock.now(), options["seconds"], self.stdout.write, options["clients"], options["soak"])
        figures = parts()[options["part"]](run)
        if options["json"]:
            self.stdout.write(json.dumps(figures))
