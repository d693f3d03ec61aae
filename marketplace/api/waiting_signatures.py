"""A signature whose verdict waits for revocation data, for programs: 202 with its address, then what became of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.urls import reverse
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from marketplace.api.authentication import actor_from
from marketplace.models import QueuedSignature, QueuedState
from marketplace.services import arrival_receipts, signature_queue, waiting_ends
from marketplace.services.signature_queue import SignatureNotTaken
from marketplace.shared import clock

#: Seconds after which it makes sense to ask again.
_AGAIN = "5"


class WaitingSignatureOut(serializers.Serializer[QueuedSignature]):
    """`state` is waiting or passed; a signature that was not taken is answered with a problem document.

    When it passed, the call that sent it, sent again, answers with what was done.
    """

    id = serializers.IntegerField(source="pk")
    state = serializers.ChoiceField(choices=[QueuedState.WAITING.value, QueuedState.PASSED.value])
    action = serializers.CharField(source="request.action")
    nonce = serializers.CharField(source="request.nonce")
    signature_sha256 = serializers.CharField(source="cms_sha256")
    received_at = serializers.DateTimeField()
    stamped_at = serializers.SerializerMethodField()
    judged_until = serializers.DateTimeField(source="give_up_at")
    waits_for = serializers.SerializerMethodField()
    status_url = serializers.SerializerMethodField()
    receipt = serializers.SerializerMethodField()

    def get_stamped_at(self, row: QueuedSignature) -> datetime | None:
        """The time that a time-stamp authority states, once one has answered. It is judged as of then."""
        return row.stamp.stamped_at if hasattr(row, "stamp") else None

    def get_receipt(self, row: QueuedSignature) -> dict[str, Any]:
        """Signed by the platform: what came, and when. Keep it."""
        return arrival_receipts.of(row)

    def get_waits_for(self, row: QueuedSignature) -> list[str]:
        """The authorities whose revocation data is missing."""
        return waiting_ends.waits_for([row], clock.now())[0] if row.is_waiting else []

    def get_status_url(self, row: QueuedSignature) -> str:
        return reverse("api_waiting_signature", args=[row.pk])


def accepted(row: QueuedSignature) -> Response:
    """202: received, and to be asked about at the address in Location."""
    body = WaitingSignatureOut(row).data
    headers = {"Location": body["status_url"], "Retry-After": _AGAIN}
    return Response(body, status=status.HTTP_202_ACCEPTED, headers=headers)


class WaitingSignature(APIView):
    @extend_schema(responses=WaitingSignatureOut, operation_id="signatures_read", tags=["signatures"])
    def get(self, request: Request, queued_id: int) -> Response:
        """What became of a signature that was received and had to wait, or what it waits for."""
        row = signature_queue.own(queued_id, actor_from(request))
        if row.state not in (QueuedState.WAITING, QueuedState.PASSED):
            raise SignatureNotTaken(row)
        headers = {"Retry-After": _AGAIN} if row.is_waiting else {}
        return Response(WaitingSignatureOut(row).data, headers=headers)

    @extend_schema(responses={204: None}, operation_id="signatures_cancel", tags=["signatures"])
    def delete(self, request: Request, queued_id: int) -> Response:
        """Take back a signature that waits."""
        signature_queue.withdraw(queued_id, by=actor_from(request), at=clock.now())
        return Response(status=status.HTTP_204_NO_CONTENT)
