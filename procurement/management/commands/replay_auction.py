"""Prove an auction from its log."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from procurement.auction.replay import LogBroken, replay_lot
from procurement.models import Auction


class Command(BaseCommand):
    help = "Replay a lot's auction from its log: recompute every hash, decide every bid again, compare with the tables."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("lot", type=int, help="the lot's id")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            found = replay_lot(options["lot"])
        except Auction.DoesNotExist as error:
            raise CommandError(f"Lot {options['lot']} has no auction.") from error
        except LogBroken as broken:
            raise CommandError(f"The log does not hold: {broken}.") from broken
        if found.differences:
            raise CommandError("The log holds, but the tables differ: " + "; ".join(found.differences))
        hall = found.hall
        self.stdout.write(f"{hall.number} events hold, {hall.room.extensions} extensions, status {hall.room.status}.")
        for line in hall.room.ranking:
            amount = hall.rules.plain(line.standing.amount)
            self.stdout.write(f"{line.rank:>3}. bidder {hall.labels[line.standing.bidder]}  {amount} {hall.currency}")
        self.stdout.write(f"Head of the chain: {hall.head}")
