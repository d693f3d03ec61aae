"""What a book's manager decides about the book itself."""

from __future__ import annotations

from datetime import datetime

from django.utils.translation import gettext_lazy as _

from analytics import permissions
from analytics.models import Book, DayRollup
from analytics.services import loading
from analytics.services.busy import bounded_wait
from marketplace import audit
from marketplace.permissions import Actor
from marketplace.shared.errors import DomainError


class CurrencyNotBought(DomainError):
    code, status = "currency_not_bought", 422
    sentence = _("Nothing in this book was bought in %(currency)s.")


@bounded_wait()
def score_currency(book: Book, currency: str, *, by: Actor, at: datetime) -> Book:
    """From the next run on the scores are of purchases in this currency; those in others are told, not converted.

    Raises ManagerOnly, NotFound, CurrencyNotBought, BookBusy.
    """
    permissions.require_manager(by, book)
    found = loading.lock(book.pk)
    if not DayRollup.objects.filter(book=found, currency=currency).exists():
        raise CurrencyNotBought(field="currency", currency=currency)
    if found.currency != currency:
        before, found.currency = found.currency, currency
        found.save(update_fields=["currency"])
        audit.record(
            "book.currency", found, by=by, at=at, stream=f"book:{found.pk}", before=before, after=currency
        )  # fmt: skip
    return found
