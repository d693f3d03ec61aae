"""`manage.py demo_insights`: customers, purchases and worked cards in the demonstration's book."""

from __future__ import annotations

import time
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from analytics.demo import world
from analytics.models import Account
from marketplace.models import Person, StaffRole
from marketplace.shared import clock


class Command(BaseCommand):
    help = "Fill the platform's book of the demonstration with made-up purchases. Never run it on a real platform."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--customers", type=int, default=world.CUSTOMERS)
        parser.add_argument("--seed", type=int, default=world.SEED)

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.PRODUCTION:
            raise CommandError(
                "This is a real platform (OPENLOT_ENVIRONMENT=production): it gets no made-up purchases."
            )
        if Account.objects.filter(book__owner=None).exists():
            self.stdout.write("The platform’s book has customers already: they stay.")
            return
        if not Person.objects.filter(staff_roles__contains=[StaffRole.SALES_MANAGER.value]).exists():
            self.stdout.write("Nobody manages the sales here: RESET=1 make demo makes a world in which somebody does.")
            return
        begun = time.monotonic()

        def say(what: str) -> None:
            self.stdout.write(f"  {time.monotonic() - begun:3.0f} s  {what}")

        # All or nothing: what is interrupted is begun anew at the next start.
        with transaction.atomic():
            world.make(now=clock.now(), count=options["customers"], seed=options["seed"], say=say)
        say(f"{Account.objects.filter(book__owner=None).count()} customers")
