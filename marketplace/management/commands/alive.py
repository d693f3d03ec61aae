"""`manage.py alive clock`: whether a process has said lately that it lives; the health check of its container."""

from datetime import timedelta

from django.core.management.base import BaseCommand, CommandError, CommandParser

from marketplace.models import Heartbeat
from marketplace.services import timekeeping


class Command(BaseCommand):
    help = "Succeed when the named process has written its heartbeat within the given seconds."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("process")
        parser.add_argument("--within", type=int, default=60, metavar="SECONDS")

    def handle(self, *args: object, process: str, within: int, **options: object) -> None:
        beat = Heartbeat.objects.filter(process=process).first()
        if beat is None:
            raise CommandError(f"{process} has never said that it lives.")
        age = timekeeping.now() - beat.at
        if age > timedelta(seconds=within):
            raise CommandError(f"{process} last said that it lives {age.total_seconds():.0f} seconds ago.")
