"""Receipts: what the platform confirms to a bidder under its own signature, and how anybody checks one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from django.conf import settings

from marketplace.models import Signature
from marketplace.services import arrival_receipts, signing
from marketplace.shared import keys
from marketplace.signatures.payload import sha256_hex
from procurement.models import Bid, BidEnvelope

RECEIVED: Final = "bid_received"
WITHDRAWN: Final = "bid_withdrawn"
#: A receipt is small; what is larger is not one.
LARGEST_RECEIPT: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an uploaded receipt turned out to be. `on_record`: the very same receipt is kept by this platform."""

    genuine: bool
    content: Mapping[str, Any]
    on_record: bool


def for_envelope(bid: Bid, manifest: Mapping[str, Any], signature: Signature, received_at: datetime) -> dict[str, Any]:
    """The receipt of a bid: which ciphertexts came when, signed by whom. Nothing of the content is in it."""
    return keys.sign_receipt(
        _about(bid, RECEIVED, signature, received_at)
        | {"content": manifest["content"], "files": manifest["files"], "deadline": manifest["deadline"]}
    )


def for_withdrawal(bid: Bid, envelope: BidEnvelope, signature: Signature, received_at: datetime) -> dict[str, Any]:
    """The receipt of a withdrawal, naming the ciphertext that will not be opened."""
    return keys.sign_receipt(_about(bid, WITHDRAWN, signature, received_at) | {"content": envelope.manifest["content"]})


def verify(document: bytes) -> Verdict:
    """Whether these bytes are a receipt of this platform, unchanged. Never raises: whatever is sent gets a verdict."""
    if len(document) > LARGEST_RECEIPT:
        return Verdict(False, {}, False)
    try:
        receipt = json.loads(document)
        content = keys.verify_receipt(receipt, keys.keyring().receipt_public_keys())
    except (ValueError, RecursionError, keys.ReceiptError):
        return Verdict(False, {}, False)
    if content.get("kind") == arrival_receipts.KIND:
        return Verdict(True, content, arrival_receipts.is_on_record(content))
    if content.get("kind") not in (RECEIVED, WITHDRAWN):
        return Verdict(False, {}, False)
    return Verdict(True, content, _on_record(receipt, content))


def as_bytes(receipt: Mapping[str, Any]) -> bytes:
    """The receipt as it is handed out: JSON a person can read."""
    return (json.dumps(receipt, indent=2, ensure_ascii=False) + "\n").encode()


def instant(moment: datetime) -> str:
    """A moment as receipts and manifests carry it: UTC, to the microsecond."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}Z"


def _about(bid: Bid, kind: str, signature: Signature, received_at: datetime) -> dict[str, Any]:
    tender = bid.lot.tender
    return {
        "kind": kind,
        "platform": settings.SITE_URL,
        "tender": tender.number,
        "tender_version": bid.tender_version,
        "lot": bid.lot.number,
        "bid": bid.pk,
        "bid_version": bid.version,
        "supplier": signing.identifiers_of(bid.supplier),
        "supplier_name": bid.supplier.full_name,
        "received_at": instant(received_at),
        "signer": signature.certificate.subject,
        "signed_payload_sha256": signature.request.payload_sha256,
        "signature_sha256": sha256_hex(bytes(signature.cms)),
    }


def _on_record(receipt: Mapping[str, Any], content: Mapping[str, Any]) -> bool:
    bid, version = content.get("bid"), content.get("bid_version")
    if not isinstance(bid, int) or not isinstance(version, int):
        return False
    envelope = BidEnvelope.objects.filter(bid=bid, version=version).first()
    return envelope is not None and receipt in (envelope.receipt, envelope.withdrawal_receipt)
