"""Publish the standard plans: `manage.py load_plans`. Plans that are there already are left as they are."""

from typing import Any

from django.core.management.base import BaseCommand

from marketplace.services import plans
from marketplace.shared import clock


class Command(BaseCommand):
    help = "Publish the standard plans that are not there yet."

    def handle(self, **options: Any) -> None:
        published = plans.load_standard(at=clock.now())
        self.stdout.write(f"{published} plans published.")
