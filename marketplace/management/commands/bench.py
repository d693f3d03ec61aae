"""Measure a part of the platform on this machine, each figure beside what it is compared with. Needs no database."""

from __future__ import annotations

import json
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandParser

from marketplace.management import bench_sealing, bench_signatures
from marketplace.shared import clock

PARTS: Final = {"sealing": bench_sealing.measure, "signatures": bench_signatures.measure}


class Command(BaseCommand):
    help = "Measures a part of the platform. With --json the last line is one JSON object: limit, product, ratio, more."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("part", choices=sorted(PARTS))
        parser.add_argument("--seconds", type=float, default=4.0, help="spent on each figure (default 4)")
        parser.add_argument("--json", action="store_true", help="end with one JSON object on a line")

    def handle(self, *args: Any, **options: Any) -> None:
        figures = PARTS[options["part"]](clock.now(), options["seconds"], self.stdout.write)
        if options["json"]:
            self.stdout.write(json.dumps(figures))
