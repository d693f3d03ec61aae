"""For who lost phone, passkeys and recovery codes: `manage.py remove_second_factor EMAIL WHY`."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from marketplace.services import staff
from marketplace.shared import clock
from marketplace.shared.errors import DomainError


class Command(BaseCommand):
    help = "Remove a person's second factor, passkeys and recovery codes once you know that it is they who ask."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")
        parser.add_argument("reason", help="how you know that it is this person; kept in the audit trail")

    def handle(self, *args: Any, email: str, reason: str, **options: Any) -> None:
        try:
            person = staff.remove_second_factor(email, reason, at=clock.now())
        except DomainError as error:
            raise CommandError(str(error)) from None
        self.stdout.write(f"{person.email} logs in with the password alone now")
