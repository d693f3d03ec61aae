"""Requests for an offer."""

from __future__ import annotations

from datetime import date, datetime
from itertools import count
from typing import Any

from marketplace.models import Organisation
from marketplace.permissions import Actor
from procurement.models import OfferRequest
from procurement.services import offer_requests
from procurement.services.offer_requests import Wanted
from tests.factories.marketplace import NOON

_keys = count(1)
WANTED_BY = date(2026, 6, 1)
NEED = "Forty office chairs for our new site."


def wanted(supplier: Organisation | None, **fields: Any) -> Wanted:
    values: dict[str, Any] = {"need": NEED, "wanted_by": WANTED_BY}
    return Wanted(supplier.pk if supplier else None, **(values | fields))


def asked(supplier: Organisation | None, by: Actor, at: datetime = NOON, **fields: Any) -> OfferRequest:
    """A request as its form sends it."""
    return offer_requests.ask(wanted(supplier, **fields), key=f"key-{next(_keys)}", by=by, at=at)
