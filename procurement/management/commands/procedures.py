"""Print the catalogue of procedures."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from procurement import procedures


class Command(BaseCommand):
    help = "Print the catalogue of procedures: axes, defaults and bounds of every setting."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="one JSON array, for tools")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["json"]:
            self.stdout.write(
                json.dumps([procedures.as_json(p) for p in procedures.catalogue()], ensure_ascii=False, indent=2)
            )
            return
        for procedure in procedures.catalogue():
            self.stdout.write(f"{procedure.code} v{procedure.version}  {procedure.name}")
            self.stdout.write(f"  {procedure.summary}")
