"""`manage.py create_keys`: the key file of a new installation."""

from django.conf import settings
from django.core.management.base import BaseCommand

from marketplace.shared import clock, keys


class Command(BaseCommand):
    help = "Write a fresh key file at OPENLOT_KEYS_FILE. One that is there already is never touched."
    requires_system_checks: list[str] = []

    def handle(self, *args: object, **options: object) -> None:
        path = settings.OPENLOT_KEYS_FILE
        if keys.create_key_file(path, key_id=f"k-{clock.now():%Y-%m}"):
            self.stdout.write(f"The keys are in {path}. Keep a copy elsewhere: without it no sealed bid can be opened.")
        else:
            self.stdout.write(f"There is a key file at {path} already; it was left as it is.")
