"""A bidder's own program: it seals by itself and sends what is sealed, as the browser does. It shares the format's
primitives with the platform and none of its services."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from marketplace.models import SigningRequest
from marketplace.permissions import Actor
from marketplace.signatures import sealing
from procurement.models import Bid, BidFile, BidUpload
from procurement.services import bid_uploads, bids
from procurement.services.bid_drafts import DraftDocument
from tests.factories.marketplace import NOON
from tests.factories.signatures import signed

PART = 1024 * 1024


def sealed_document(bid: Bid, file_id: int, plain: bytes, key: bytes | None = None) -> bytes:
    """The document in OLS1, sealed to the bid's lot."""
    target = io.BytesIO()
    sealing.seal_stream(_lot_key(bid), io.BytesIO(plain), target, _info(bid, f"file:{file_id}"), key)
    return target.getvalue()


def send_document(bid: Bid, plain: bytes, *, by: Actor, name: str = "plan.txt", **more: Any) -> BidFile:
    """Seal a document and send it in parts. `sealed` replaces what is sent; `about` what the draft is told of it."""
    key = sealing.new_file_key()
    upload = bid_uploads.begin(bid.pk, size=sealing.sealed_size(len(plain)), by=by, at=NOON)
    sealed = more.get("sealed") or sealed_document(bid, upload.file_id, plain, key)
    send_parts(bid, upload, sealed, by=by)
    about = more.get("about", DraftDocument(name, "text/plain", hashlib.sha256(plain).hexdigest(), key))
    return bid_uploads.finish(
        bid.pk, upload.token, sha256=hashlib.sha256(sealed).hexdigest(), about=about, by=by, at=NOON
    )


def send_parts(bid: Bid, upload: BidUpload, sealed: bytes, *, by: Actor) -> None:
    for offset in range(0, len(sealed), PART):
        bid_uploads.receive(bid.pk, upload.token, offset, sealed[offset : offset + PART], by=by, at=NOON)


def content_of(bid: Bid, prices: Sequence[str], amounts: Sequence[str], total: str, **more: Any) -> dict[str, Any]:
    """What a bid says, word for word as given: right or wrong. `files` maps documents to names and plain bytes."""
    files: Mapping[BidFile, tuple[str, bytes]] = more.get("files", {})
    return {
        "format": "openlot-bid-1",
        "lot": bid.lot_id,
        "bid": bid.pk,
        "version": bid.version + 1,
        "currency": bid.currency,
        "lines": [
            {"item": item.pk, "number": item.number, "quantity": f"{item.quantity:f}", "unit": item.unit,
             "unit_price": price, "amount": amount}
            for item, price, amount in zip(bid.lot.items.all(), prices, amounts, strict=False)
        ],
        "total": total,
        "remarks": more.get("remarks", ""),
        "files": [
            {"file": file.pk, "name": name, "media_type": "text/plain", "size": len(plain),
             "sha256": hashlib.sha256(plain).hexdigest()}
            for file, (name, plain) in files.items()
        ],
    }  # fmt: skip


def sealed_content(bid: Bid, content: Mapping[str, Any] | bytes) -> bytes:
    """The content as JSON, padded to whole blocks and sealed to the bid's lot."""
    plain = content if isinstance(content, bytes) else json.dumps(content, sort_keys=True).encode()
    return sealing.seal(_lot_key(bid), plain + b" " * (-len(plain) % 1024), _info(bid, "content"))


def prepare(bid: Bid, ciphertext: bytes, files: Sequence[int] = (), *, by: Actor) -> SigningRequest:
    bid.refresh_from_db()
    return bids.prepare_sealed(
        bid.pk, ciphertext, files, bid_version=bid.version + 1, tender_version=bid.lot.tender.version, by=by, at=NOON
    )


def send(bid: Bid, ciphertext: bytes, files: Sequence[int] = (), *, by: Actor) -> Bid:
    """Sign and submit what was sealed."""
    request = prepare(bid, ciphertext, files, by=by)
    return bids.submit(request.pk, signed(request), idempotency_key=f"send-{request.pk}", by=by, at=NOON).bid


def _lot_key(bid: Bid) -> bytes:
    return bytes(bid.lot.public_key or b"")


def _info(bid: Bid, part: str) -> bytes:
    # RFC 8785: members in order, no spaces.
    return f'{{"bid":{bid.pk},"lot":{bid.lot_id},"part":"{part}","platform":"openlot"}}'.encode()
