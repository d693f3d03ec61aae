"""Judges kept signatures again by their evidence: `manage.py reverify --all`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from marketplace.models import Reverification, Signature
from marketplace.services import reverification
from marketplace.shared import clock
from marketplace.signatures.longterm import LongTermReport

_EVERY = timedelta(seconds=5)


class Command(BaseCommand):
    help = (
        "Judges kept signatures again by nothing but their evidence and time stamps. Exit code 0: all pass; 1: some do "
        "not; 2: wrong usage. An interrupted run is taken up with --after."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("--signature", type=int, metavar="ID")
        which.add_argument("--all", action="store_true")
        which.add_argument("--since", type=_day, metavar="DATE", help="received on that day or later (UTC)")
        parser.add_argument("--after", type=int, default=0, metavar="ID", help="only signatures with a higher number")
        parser.add_argument("--at", type=_moment, default=None, metavar="TIME", help="as of that moment, not now")
        parser.add_argument("--json", action="store_true", help="one JSON object a signature, and one of the totals")

    def handle(self, *args: Any, **options: Any) -> None:
        self.json, self.shown_at = options["json"], clock.now()
        found = Signature.objects.filter(pk__gt=options["after"]).order_by("pk")
        if options["signature"] is not None:
            found = found.filter(pk=options["signature"])
            if not found.exists():
                raise CommandError(f"There is no signature {options['signature']}.", returncode=2)
        elif options["since"] is not None:
            found = found.filter(received_at__gte=options["since"])
        self.total, self.count = found.count(), 0
        done = reverification.run(
            Reverification.Reason.COMMAND, _keys(found), at=options["at"] or clock.now(), progress=self._tell
        )
        totals = {"checked": done.checked, "passed": done.passed, "failed": done.checked - done.passed}
        if self.json:
            self.stdout.write(json.dumps(totals))
        else:
            self.stdout.write(f"{done.checked} judged again: {done.passed} pass, {done.checked - done.passed} do not.")
        if done.passed < done.checked:
            raise SystemExit(1)

    def _tell(self, signature: Signature, found: LongTermReport) -> None:
        self.count += 1
        if self.json:
            self.stdout.write(json.dumps({"signature": signature.pk} | found.as_dict()))
        elif not found.passed or self.total == 1:
            report = found.report
            verdict = " ".join(filter(None, (str(report.indication), str(report.sub_indication or ""))))
            self.stdout.write(f"Signature {signature.pk}: {verdict}")
            for sentence in (*report.reasons, *found.rests_on):
                self.stdout.write(f"  {sentence}")
        if clock.now() - self.shown_at >= _EVERY:
            self.shown_at = clock.now()
            self.stderr.write(f"{self.count} of {self.total}, the last with the number {signature.pk}")


def _keys(found: Any) -> Iterator[int]:
    """In pieces: a national platform has millions."""
    return iter(found.values_list("pk", flat=True).iterator(chunk_size=10_000))


def _day(text: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is no date such as 2026-11-22") from None


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is no time such as 2026-11-22T10:00:00Z") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
