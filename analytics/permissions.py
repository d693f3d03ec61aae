"""Whose book an actor works in, and what only its manager may do. Nobody is told that another's book exists."""

from __future__ import annotations

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from analytics.models import Book, Card
from analytics.queries import cards
from marketplace.models import Role, StaffRole
from marketplace.permissions import Actor, RoleMissing, person_of
from marketplace.shared.errors import NotAllowed, NotFound

SELLERS = (Role.REPRESENTATIVE, Role.SALES_MANAGER)
PLATFORMS_SELLERS = (StaffRole.REPRESENTATIVE, StaffRole.SALES_MANAGER)


class ManagerOnly(NotAllowed):
    code = "sales_manager_only"
    sentence = _("Your role does not allow this: it is a sales manager’s decision.")


def sells(actor: Actor) -> bool:
    """Whether the actor works a book: a supplier's people for their company, the platform's own for the platform."""
    return (actor.is_supplier and actor.has(*SELLERS)) or actor.is_a(*PLATFORMS_SELLERS)


def book_of(actor: Actor) -> Book:
    """The book the actor works in: that of the supplier acted for, else the platform's. It is begun on first use.

    Raises RoleMissing for a supplier's people without the role, NotFound for everybody else.
    """
    if actor.organisation is not None and actor.is_supplier and actor.has(*SELLERS):
        return book_for(actor.organisation.pk)
    if actor.is_a(*PLATFORMS_SELLERS):
        return book_for(None)
    if actor.is_supplier:
        raise RoleMissing(roles=" / ".join(str(role.label) for role in SELLERS))
    raise NotFound


def book_for(organisation_id: int | None) -> Book:
    """The book of an organisation, or of the platform (None)."""
    found = Book.objects.select_related("owner").filter(owner=organisation_id).first()
    if found is None:
        Book.objects.bulk_create([Book(owner_id=organisation_id)], ignore_conflicts=True)
        found = Book.objects.select_related("owner").get(owner=organisation_id)
    return found


def is_manager(actor: Actor, book: Book) -> bool:
    """Whether the actor manages this book."""
    if book.owner_id is None:
        return actor.is_a(StaffRole.SALES_MANAGER)
    return actor.acts_for(book.owner_id) and actor.is_supplier and actor.has(Role.SALES_MANAGER)


def cards_open_to(actor: Actor) -> QuerySet[Card]:
    """The cards that the actor may list and open: all of the book for its manager, their own for a representative.

    Raises as `book_of` does.
    """
    book = book_of(actor)
    return cards.open_to(book, None if is_manager(actor, book) else person_of(actor).pk)


def require_manager(actor: Actor, book: Book) -> None:
    """The actor manages this book. Raises NotFound for another's book, ManagerOnly for its representatives."""
    if is_manager(actor, book):
        return
    if not works(actor, book):
        raise NotFound
    raise ManagerOnly


def works(actor: Actor, book: Book) -> bool:
    """Whether the actor works in this book, as a representative or its manager."""
    if book.owner_id is None:
        return actor.is_a(*PLATFORMS_SELLERS)
    return actor.acts_for(book.owner_id) and actor.is_supplier and actor.has(*SELLERS)


def require_seller(actor: Actor, book: Book) -> None:
    """The actor works in this book. Raises NotFound for another's."""
    if not works(actor, book):
        raise NotFound
