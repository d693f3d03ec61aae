"""`manage.py rotate_keys`: wrap every secret anew under the newest key of the key file, so that older ones can go."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from marketplace.services import key_rotation
from marketplace.shared import clock
from marketplace.shared.keys import keyring


class Command(BaseCommand):
    help = (
        "Wrap every secret in the database anew under the newest encryption key, the first in the key file. May be "
        "interrupted and started again. With --check it only counts, and exits with 1 while an older key is needed."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--check", action="store_true", help="count what an older key still wraps; change nothing")
        parser.add_argument("--batch", type=int, default=key_rotation.BATCH, help="rows per transaction")

    def handle(self, *args: object, **options: Any) -> None:
        if options["batch"] < 1:
            raise CommandError("--batch must be at least 1.")
        newest = next(iter(keyring().encryption))
        if options["check"]:
            counts = key_rotation.check()
        else:
            counts = key_rotation.rotate(at=clock.now(), batch=options["batch"], progress=self._progress)
        for count in counts:
            said = f"{count.old} by an older key" if options["check"] else f"{count.old} wrapped anew"
            self.stdout.write(
                f"{count.name}: {count.seen} secrets, {said}" + (f", {count.lost} LOST" if count.lost else "")
            )
        lost = sum(count.lost for count in counts)
        if lost:
            raise CommandError(f"{lost} secrets open with no key of the key file. Put the missing key back into it.")
        if options["check"] and any(count.old for count in counts):
            raise CommandError(f"Not everything is wrapped by {newest}: keep the older keys and run rotate_keys.")
        self.stdout.write(f"Everything is wrapped by {newest}. Older encryption keys can be taken out of the key file.")

    def _progress(self, name: str, seen: int) -> None:
        self.stderr.write(f"{name}: {seen} …")
