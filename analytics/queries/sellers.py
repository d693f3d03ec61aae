"""Who works a book: its representatives and managers."""

from __future__ import annotations

from django.db.models import Q, QuerySet

from analytics.models import Book
from marketplace.models import Person, Role, StaffRole


def _people(book: Book, role: Role, staff_role: StaffRole) -> QuerySet[Person]:
    active = Person.objects.filter(is_active=True)
    if book.owner_id is None:
        return active.filter(staff_roles__contains=[staff_role.value])
    held = Q(memberships__organisation_id=book.owner_id, memberships__active=True)
    return active.filter(held & Q(memberships__roles__contains=[role.value]))


def representatives(book: Book) -> list[Person]:
    """Those who look after accounts, by name."""
    return list(_people(book, Role.REPRESENTATIVE, StaffRole.REPRESENTATIVE).order_by("full_name", "pk"))


def managers(book: Book) -> list[Person]:
    return list(_people(book, Role.SALES_MANAGER, StaffRole.SALES_MANAGER).order_by("full_name", "pk"))
