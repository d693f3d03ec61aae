"""The keys of a lot: bids are sealed to the public one; the private one is wrapped by a key outside the database.

Where a committee holds the keys (procurement.services.custody) there is no private one here until enough shares were
put together after the deadline, and none again once the bids are open.
"""

from __future__ import annotations

from datetime import datetime

from marketplace import audit
from marketplace.permissions import Actor
from marketplace.shared import keys
from marketplace.signatures.sealing import new_key_pair
from procurement.models import Lot


def make(lot: Lot) -> None:
    """Give the lot its key pair. Called once, when the tender is published; the caller saves the two fields."""
    pair = new_key_pair()
    lot.public_key = pair.public
    keep(lot, pair.private)


def keep(lot: Lot, private: bytes) -> None:
    """Keep the private key wrapped; the caller saves the field."""
    lot.wrapped_private_key = keys.wrap(private, purpose=purpose(lot.pk))


def forget(lot: Lot) -> None:
    """Keep the private key no longer; the caller saves the field."""
    lot.wrapped_private_key = None


def destroy(lot: Lot, at: datetime, *, by: Actor | None = None) -> None:
    """The lot ends unopened: its bids stay sealed for good, whoever gets hold of the key file. The lot's tender is
    loaded, and its `opened_at` is None; the caller saves the field."""
    if lot.wrapped_private_key is not None:
        forget(lot)
        audit.record("lot.key_destroyed", lot, by=by, at=at, stream=f"tender:{lot.tender_id}", number=lot.number)


def unwrap_private(lot: Lot) -> bytes:
    """The lot's private key. Only the opening service calls this, after the deadline, and records that it did.

    Raises `keys.UnwrapError` when the platform's key file does not hold the key it was wrapped by.
    """
    if not lot.wrapped_private_key:
        raise keys.UnwrapError("the lot has no key")
    return keys.unwrap(bytes(lot.wrapped_private_key), purpose=purpose(lot.pk))


def purpose(lot_id: int) -> str:
    """What the wrapped key is bound to."""
    return f"lot:{lot_id}:private-key"
