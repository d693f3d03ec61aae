"""The keys of a lot: bids are sealed to the public one; the private one is wrapped by a key outside the database."""

from __future__ import annotations

from marketplace.shared import keys
from marketplace.signatures.sealing import new_key_pair
from procurement.models import Lot


def make(lot: Lot) -> None:
    """Give the lot its key pair. Called once, when the tender is published; the caller saves the two fields."""
    pair = new_key_pair()
    lot.public_key = pair.public
    lot.wrapped_private_key = keys.wrap(pair.private, purpose=_purpose(lot))


def unwrap_private(lot: Lot) -> bytes:
    """The lot's private key. Only the opening service calls this, after the deadline, and records that it did.

    Raises `keys.UnwrapError` when the platform's key file does not hold the key it was wrapped by.
    """
    if not lot.wrapped_private_key:
        raise keys.UnwrapError("the lot has no key")
    return keys.unwrap(bytes(lot.wrapped_private_key), purpose=_purpose(lot))


def _purpose(lot: Lot) -> str:
    return f"lot:{lot.pk}:private-key"
