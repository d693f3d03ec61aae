"""A book at which a load or a night's run is at work: nobody waits before a page longer than a few seconds for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from django.db import OperationalError, connection, transaction
from django.utils.translation import gettext_lazy as _

from marketplace.shared.errors import DomainError

#: How long a person or a program waits for locks that a load holds.
WAITS: Final = "10s"


class BookBusy(DomainError):
    code, status = "book_busy", 503
    sentence = _("Purchases of this book are being loaded just now. Nothing was changed; try again in a minute.")


@contextmanager
def bounded_wait() -> Iterator[None]:
    """A transaction whose locks are waited for a few seconds only. Also a decorator. Raises BookBusy."""
    try:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SELECT set_config('lock_timeout', %s, true)", [WAITS])
            yield
    except OperationalError as error:
        if "lock timeout" in str(error):
            raise BookBusy from error
        raise
