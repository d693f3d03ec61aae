"""What is signed about a tender as a whole: prepared for its signature, and received with it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from marketplace.models import SigningRequest
from marketplace.permissions import Actor
from marketplace.services import signing
from marketplace.services.signing import Judged
from marketplace.shared.errors import NotFound
from procurement.models import Tender
from procurement.permissions import require_tender_signed


def prepare(
    action: str, tender: Tender, content: dict[str, Any], *, by: Actor, at: datetime, lasts: timedelta
) -> SigningRequest:
    """What is to be signed about the tender as it is now, behind its number and title. Raises signing.NoIdentifier."""
    return signing.prepare(
        action=action,
        actor=by,
        object_type="tender",
        object_id=tender.pk,
        object_version=tender.version,
        content={"tender": tender.number, "tender_title": tender.title, **content},
        at=at,
        expires_at=at + lasts,
    )


def received(
    action: str, request_id: int, cms: bytes, *, by: Actor, at: datetime, verdict: Judged | None
) -> tuple[SigningRequest, Judged | None]:
    """The request of that action and the verdict on its signature: the one given, or one that is reached now unless the
    request was used before.

    Nothing is locked yet, for the verdict may take a while. Raises NotFound, NotAllowed, and what signing.judged does.
    """
    request = SigningRequest.objects.filter(pk=request_id, action=action, object_type="tender").first()
    if request is None:
        raise NotFound
    require_tender_signed(by, Tender.objects.get(pk=int(request.object_id)))
    if verdict is None and request.used_at is None:
        verdict = signing.judged(request, cms, by=by, at=at)
    return request, verdict
