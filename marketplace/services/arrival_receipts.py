"""That a signature has come, and when, under the platform's own signature: for whoever has to wait for its verdict."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from typing import Any, Final

from django.conf import settings

from marketplace.models import QueuedSignature
from marketplace.services import signing
from marketplace.shared import keys

#: The kind of these receipts, among all that the platform signs.
KIND: Final = "signature_received"


def of(row: QueuedSignature) -> dict[str, Any]:
    """That these very bytes were received then, under the platform's own signature: the sender's proof whatever the
    verdict, and whenever it comes."""
    request = row.request
    return keys.sign_receipt(
        {
            "kind": KIND,
            "platform": settings.SITE_URL,
            "action": request.action,
            "object": f"{request.object_type}:{request.object_id}",
            "organisation": signing.named_in(bytes(request.payload)),
            "received_at": f"{row.received_at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}Z",
            "signed_payload_sha256": request.payload_sha256,
            "signature_sha256": row.cms_sha256,
        }
    )


def is_on_record(content: Mapping[str, Any]) -> bool:
    """Whether what a receipt of ours says of a signature is what is kept of it."""
    rows = QueuedSignature.objects.filter(
        cms_sha256=content.get("signature_sha256"), request__payload_sha256=content.get("signed_payload_sha256")
    )
    return any(of(row)["content"] == content for row in rows.select_related("request").defer("cms")[:10])
