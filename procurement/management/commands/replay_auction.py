"""Prove an auction from its log."""

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from procurement.auction.replay import LogBroken, replay_lot
from procurement.models import Auction
from procurement.rules.auction import document


class Command(BaseCommand):
    help = (
        "Replay an auction from its log: recompute every hash, decide every bid again. A lot's log is compared with "
        "the tables; a document's (auction.json, --file) with what the document says, and no database is asked."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("lot", type=int, nargs="?", help="the lot's id")
        parser.add_argument("--file", type=Path, help="an auction's document instead")
        parser.add_argument("--json", action="store_true", help="print the result as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        if (options["lot"] is None) == (options["file"] is None):
            raise CommandError("Name a lot, or a document with --file.")
        try:
            found = _of_lot(options["lot"]) if options["file"] is None else _of_file(options["file"])
        except (LogBroken, document.DocumentWrong) as broken:
            raise CommandError(f"The log does not hold: {broken}.") from broken
        if options["json"]:
            self.stdout.write(json.dumps(found, ensure_ascii=False, indent=1))
        else:
            self.stdout.write("\n".join(document.words(found)))


def _of_lot(lot: int) -> dict[str, Any]:
    try:
        found = replay_lot(lot)
    except Auction.DoesNotExist as error:
        raise CommandError(f"Lot {lot} has no auction.") from error
    if found.differences:
        raise CommandError("The log holds, but the tables differ: " + "; ".join(found.differences))
    return document.result(found.hall, found.events)


def _of_file(path: Path) -> dict[str, Any]:
    try:
        content = document.parsed(path.read_bytes())
    except document.DocumentWrong:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise CommandError(f"{path} cannot be read: {error}.") from error
    return document.check(content)[1]
