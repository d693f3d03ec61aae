"""`manage.py demo_world`: a believable marketplace in an empty database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from marketplace.models import Organisation
from marketplace.shared import clock
from procurement.demo import world


class Command(BaseCommand):
    help = "Make the demonstration's world: companies, people, a year of procedures. Never run it on a real platform."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--folder", type=Path, default=settings.LOCAL_DIR / "demo", help="for people.json, keys")
        parser.add_argument("--seed", type=int, default=world.SEED)
        parser.add_argument("--small", action="store_true", help="a few dozen procedures only")

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.PRODUCTION:
            raise CommandError(
                "This is a real platform (OPENLOT_ENVIRONMENT=production): it gets no made-up companies."
            )
        if Organisation.objects.exists():
            raise CommandError("There are organisations already. Start afresh with RESET=1 make demo.")
        world.make(
            options["folder"],
            now=clock.now(),
            size=world.SMALL if options["small"] else None,
            seed=options["seed"],
            progress=world.Bar(),
        )
