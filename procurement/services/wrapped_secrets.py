"""What the key file's keys wrap in procurement, for their rotation."""

from __future__ import annotations

from marketplace.rotation import Source, binary
from procurement.models import Bid, KeyCeremony, Lot
from procurement.services import bid_drafts, custody, lot_keys


def sources() -> list[Source]:
    """Lots' private keys, drafts of bids, the platform's keys of shares in escrow."""
    return [
        binary("keys of lots", Lot, "wrapped_private_key", lambda lot: lot_keys.purpose(lot.pk)),
        binary("drafts of bids", Bid, "draft", bid_drafts.draft_purpose),
        binary("keys of escrow", KeyCeremony, "escrow_wrapped_key", custody.escrow_purpose),
    ]
