"""Give the first staff roles: `manage.py staff_role EMAIL operator auditor`. Without roles it takes them all away."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from marketplace.models import StaffRole
from marketplace.services import staff
from marketplace.shared import clock
from marketplace.shared.errors import DomainError


class Command(BaseCommand):
    help = "Give a person exactly these roles on the platform."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")
        parser.add_argument("roles", nargs="*", metavar="ROLE", help=", ".join(StaffRole.values))

    def handle(self, *args: Any, email: str, roles: list[str], **options: Any) -> None:
        unknown = set(roles) - set(StaffRole.values)
        if unknown:
            raise CommandError(f"There is no role {', '.join(sorted(unknown))}. Roles: {', '.join(StaffRole.values)}.")
        try:
            person = staff.grant(email, roles, by=None, at=clock.now())
        except DomainError as error:
            raise CommandError(str(error)) from None
        self.stdout.write(f"{person.email}: {', '.join(person.staff_roles) or 'no roles'}")
