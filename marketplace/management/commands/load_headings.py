"""`manage.py load_headings`: the tree of what is bought and sold."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand
from django.db import transaction

from marketplace.models import Heading

SOURCE = Path(__file__).resolve().parents[2] / "data" / "headings.csv"


class Command(BaseCommand):
    help = "Load or renew the headings of the Common Procurement Vocabulary (CPV 2008) that ship with the platform."

    def handle(self, *args: Any, **options: Any) -> None:
        with SOURCE.open(encoding="utf-8", newline="") as lines:
            names = {row["code"]: row["name"] for row in csv.DictReader(lines)}
        with transaction.atomic():
            Heading.objects.bulk_create(
                [Heading(code=code, name=name) for code, name in names.items()],
                update_conflicts=True,
                unique_fields=["code"],
                update_fields=["name"],
            )
            ours = {heading.code: heading for heading in Heading.objects.filter(code__in=names)}
            for code, heading in ours.items():
                heading.parent = ours.get(parent_code(code, names))
            Heading.objects.bulk_update(ours.values(), ["parent"], batch_size=500)
        self.stdout.write(f"{len(names)} headings are in place.")


def parent_code(code: str, known: dict[str, str]) -> str:
    """The nearest known heading above: 39112000 lies under 39110000, or 39100000, or 39000000; "" for a division."""
    significant = code.rstrip("0")
    for length in range(len(significant) - 1, 1, -1):
        above = significant[:length].ljust(8, "0")
        if above != code and above in known:
            return above
    return ""
