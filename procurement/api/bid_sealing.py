"""Bids sealed by the bidder's own program, the browser's page included: documents in parts, then the price table.

docs/sealing-bids.md describes the forms and shows a program.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any
from uuid import UUID

from django.conf import settings
from django.http import FileResponse
from django.utils.translation import gettext_lazy as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from marketplace.api.authentication import actor_from
from marketplace.api.parsers import BYTES, bytes_of
from marketplace.permissions import Actor
from marketplace.shared import clock
from marketplace.shared.errors import DomainError, NotFound
from marketplace.signatures import sealing
from procurement import permissions
from procurement.api.bids import BidDocumentOut, SigningOut
from procurement.models import Bid, BidFile, BidUpload
from procurement.services import bid_content, bid_drafts, bid_files, bid_uploads, bids
from procurement.services.bid_drafts import DraftDocument


class OffsetMissing(DomainError):
    code, status = "offset_missing", 400
    sentence = _("Say in the address at which byte of the sealed document this part begins: ?offset=0.")


class ContentUnreadable(DomainError):
    code, status = "content_unreadable", 422
    sentence = _("The sealed content is sent as base64.")


class ItemToPriceOut(serializers.Serializer[Any]):
    item = serializers.IntegerField()
    number = serializers.IntegerField()
    quantity = serializers.CharField()
    unit = serializers.CharField()


class SealingTermsOut(serializers.Serializer[Any]):
    """What a program needs to seal the bid by itself. `digits` are the currency's decimal places, `block` the bytes to
    which the content is padded, `criteria` what counts besides the price and has to be answered in the content,
    `public_key` the lot's X25519 key in base64."""

    format = serializers.CharField()
    platform = serializers.CharField()
    bid = serializers.IntegerField()
    lot = serializers.IntegerField()
    version = serializers.IntegerField()
    tender_version = serializers.IntegerField()
    currency = serializers.CharField()
    digits = serializers.IntegerField()
    block = serializers.IntegerField()
    items = ItemToPriceOut(many=True)
    limit = serializers.CharField(allow_null=True)
    direction = serializers.ChoiceField(["down", "up"])
    criteria = serializers.DictField(allow_null=True)
    public_key = serializers.CharField()
    custody = serializers.ChoiceField(["platform", "committee"])


class UploadIn(serializers.Serializer[Any]):
    """`size` is of the sealed document, in bytes."""

    size = serializers.IntegerField(max_value=2**53)


class UploadOut(serializers.Serializer[BidUpload]):
    """`document` is part of what the document is sealed to. The next part begins at byte `received`, and only the last
    one is smaller than `smallest_part`."""

    upload = serializers.UUIDField(source="token")
    document = serializers.IntegerField(source="file_id")
    size = serializers.IntegerField()
    received = serializers.IntegerField()
    largest_part = serializers.SerializerMethodField()
    smallest_part = serializers.SerializerMethodField()

    def get_largest_part(self, _upload: BidUpload) -> int:
        return int(settings.BID_PART_MAX_BYTES)

    def get_smallest_part(self, _upload: BidUpload) -> int:
        return int(min(settings.BID_PART_MIN_BYTES, settings.BID_PART_MAX_BYTES))


class DescriptionIn(serializers.Serializer[Any]):
    """What the draft keeps of a document, so that the organisation's people know it. `sha256` is of the plain bytes;
    `key` is the hexadecimal key it is sealed under, for who wants to read it again."""

    name = serializers.CharField(max_length=400)
    media_type = serializers.CharField(max_length=120)
    sha256 = serializers.RegexField(r"^[0-9a-f]{64}$")
    key = serializers.RegexField(r"^([0-9a-f]{64})?$", required=False, allow_blank=True, default="")


class FinishIn(serializers.Serializer[Any]):
    """`sha256` is of the sealed document. `about` is needed where the platform holds the lot's key, and refused where
    the committee does: names stay with the bidder then."""

    sha256 = serializers.RegexField(r"^[0-9a-f]{64}$")
    about = DescriptionIn(required=False, allow_null=True, default=None)


class FinishedOut(BidDocumentOut):
    """The document as the bid has it now, and the revision of the draft that names it."""

    revision = serializers.IntegerField()


class SealedIn(serializers.Serializer[Any]):
    """The sealed content in base64, the documents that belong to it, and the versions it was sealed for."""

    content = serializers.CharField(max_length=3_000_000)
    documents = serializers.ListField(child=serializers.IntegerField(), max_length=100)
    version = serializers.IntegerField()
    tender_version = serializers.IntegerField()


class BidSealingTerms(APIView):
    @extend_schema(responses=SealingTermsOut, operation_id="bids_sealing_terms")
    def get(self, request: Request, bid_id: int) -> Response:
        """What has to be known to seal this bid."""
        return Response(SealingTermsOut(bid_content.terms(_own(actor_from(request), bid_id))).data)


class BidUploads(APIView):
    @extend_schema(request=UploadIn, responses={201: UploadOut}, operation_id="bids_begin_upload")
    def post(self, request: Request, bid_id: int) -> Response:
        """Announce a sealed document. The answer says what it has to be sealed to, and where its parts go."""
        sent = UploadIn(data=request.data)
        sent.is_valid(raise_exception=True)
        upload = bid_uploads.begin(bid_id, size=sent.validated_data["size"], by=actor_from(request), at=clock.now())
        return Response(UploadOut(upload).data, status=status.HTTP_201_CREATED)


class BidUploadParts(APIView):
    @extend_schema(responses=UploadOut, operation_id="bids_read_upload")
    def get(self, request: Request, bid_id: int, token: UUID) -> Response:
        """How much has arrived: where to go on after a lost connection."""
        return Response(UploadOut(bid_uploads.find(bid_id, token, by=actor_from(request))).data)

    @extend_schema(
        request={BYTES: OpenApiTypes.BINARY}, responses=UploadOut, operation_id="bids_send_part",
        parameters=[OpenApiParameter("offset", OpenApiTypes.INT, OpenApiParameter.QUERY, required=True)],
    )  # fmt: skip
    def put(self, request: Request, bid_id: int, token: UUID) -> Response:
        """The next part. One that comes twice or too early is answered with 409 and the `offset` at which to go on."""
        actor, at = actor_from(request), clock.now()
        bid_uploads.find(bid_id, token, by=actor)  # before the body is read
        offset = request.query_params.get("offset", "")
        if not offset.isascii() or not offset.isdigit() or len(offset) > 18:
            raise OffsetMissing
        content = bytes_of(request, settings.BID_PART_MAX_BYTES)
        return Response(UploadOut(bid_uploads.receive(bid_id, token, int(offset), content, by=actor, at=at)).data)

    @extend_schema(responses={204: None}, operation_id="bids_cancel_upload")
    def delete(self, request: Request, bid_id: int, token: UUID) -> Response:
        """Give the upload up; what has arrived is thrown away."""
        bid_uploads.cancel(bid_id, token, by=actor_from(request), at=clock.now())
        return Response(status=status.HTTP_204_NO_CONTENT)


class BidUploadFinish(APIView):
    @extend_schema(request=FinishIn, responses=FinishedOut, operation_id="bids_finish_upload")
    def post(self, request: Request, bid_id: int, token: UUID) -> Response:
        """All parts are sent: the document is put together, compared with its SHA-256 and kept. May be repeated."""
        bid_uploads.find(bid_id, token, by=actor_from(request))
        sent = FinishIn(data=request.data)
        sent.is_valid(raise_exception=True)
        given = sent.validated_data
        about = given["about"] and DraftDocument(
            given["about"]["name"], given["about"]["media_type"], given["about"]["sha256"],
            bytes.fromhex(given["about"]["key"]),
        )  # fmt: skip
        document = bid_uploads.finish(
            bid_id, token, sha256=given["sha256"], about=about, by=actor_from(request), at=clock.now()
        )
        name, media_type = (about.name, about.media_type) if about else ("", "")
        found = {"id": document.pk, "name": name, "size": document.size, "media_type": media_type}
        return Response(FinishedOut(found | {"revision": document.bid.revision}).data)


class BidSealedDocument(APIView):
    @extend_schema(responses={(200, "application/octet-stream"): OpenApiTypes.BINARY}, operation_id="bids_read_sealed")
    def get(self, request: Request, bid_id: int, file_id: int) -> FileResponse:
        """The ciphertext of an own document: who kept its key reads it again."""
        bid = _own(actor_from(request), bid_id)
        document = BidFile.objects.filter(bid=bid, pk=file_id, removed_at=None).exclude(sealed_path="").first()
        if document is None:
            raise NotFound
        response = FileResponse(
            bid_files.open_stored(document.sealed_path), content_type="application/octet-stream", as_attachment=True,
            filename=f"{document.pk}.ols1",
        )  # fmt: skip
        response["Content-Length"] = str(sealing.sealed_size(document.size))
        response["Cache-Control"] = "private, no-store"
        return response


class BidPrepareSealed(APIView):
    @extend_schema(request=SealedIn, responses=SigningOut, operation_id="bids_prepare_sealed")
    def post(self, request: Request, bid_id: int) -> Response:
        """Take a bid that its bidder sealed. The answer is what has to be signed: it names what is stored here."""
        permissions.require_bid_signer(actor_from(request), _own(actor_from(request), bid_id))
        sent = SealedIn(data=request.data)
        sent.is_valid(raise_exception=True)
        given = sent.validated_data
        try:
            ciphertext = base64.b64decode(given["content"], validate=True)
        except (binascii.Error, ValueError):
            raise ContentUnreadable(field="content") from None
        prepared = bids.prepare_sealed(
            bid_id, ciphertext, given["documents"], bid_version=given["version"],
            tender_version=given["tender_version"], by=actor_from(request), at=clock.now(),
        )  # fmt: skip
        return Response(SigningOut(prepared).data)


def _own(actor: Actor, bid_id: int) -> Bid:
    bid = Bid.objects.select_related("lot__tender").filter(pk=bid_id).first()
    if bid is None:
        raise NotFound
    permissions.require_bidder(actor, bid)
    if not bid.lot.public_key:
        raise bid_drafts.NoLotKey
    return bid
