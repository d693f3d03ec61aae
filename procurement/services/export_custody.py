"""What may be told of a committee that holds the keys: how many shares open, their commitments, the lots' public keys,
and which shares were released when. Never a share, a seed or a private key; holders are labels, not names.

A commitment is the SHA-256 of 32 uniformly random bytes and a number: nobody finds the share by it.
"""

from __future__ import annotations

from typing import Any, Final

from marketplace.signatures.payload import canonical, sha256_hex
from procurement.models import KeyCustody, Tender
from procurement.queries import custody as queries
from procurement.services import receipts

FORMAT: Final = "openlot-ceremony-1"


def ceremony(tender: Tender) -> dict[str, Any] | None:
    """What was announced when the keys were made, the same ever after; None where the platform holds the keys."""
    made = queries.standing(tender) if tender.key_custody == KeyCustody.COMMITTEE else None
    if made is None or made.made_at is None:
        return None
    return {
        "format": FORMAT,
        "tender": tender.number,
        "made_at": receipts.instant(made.made_at),
        "threshold": made.threshold,
        "lot_keys": dict(made.lot_keys),
        "shares": [
            {"index": index, "holder": "member" if member else "platform", "commitment": commitment}
            for index, member, commitment in made.shares.order_by("index").values_list("index", "member", "commitment")
        ],
    }


def fingerprint(tender: Tender) -> str | None:
    """SHA-256 of the ceremony's canonical form, which the roll's statement names."""
    found = ceremony(tender)
    return sha256_hex(canonical(found)) if found is not None else None


def releases(tender: Tender) -> dict[str, Any]:
    """Which shares were released after the deadline, and when the key was put together."""
    made = queries.standing(tender)
    assert made is not None  # asked for where there is a ceremony
    shares = made.shares.order_by("index").values_list("index", "released_at")
    put_together = made.seed_received_at
    return {
        "released": [{"index": index, "at": receipts.instant(at)} for index, at in shares if at is not None],
        "put_together_at": receipts.instant(put_together) if put_together else None,
    }
