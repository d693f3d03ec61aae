"""An organisation's own bids: prepare, sign, submit, replace, withdraw. The services are those of the pages."""

from __future__ import annotations

import base64
import binascii
from typing import Any, ClassVar

from django.utils.translation import gettext_lazy as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from marketplace.api.authentication import actor_from
from marketplace.api.pagination import KeysetPagination
from marketplace.api.waiting_signatures import WaitingSignatureOut, accepted
from marketplace.models import QueuedSignature, SigningRequest
from marketplace.permissions import Actor, organisation_of
from marketplace.services import signature_queue
from marketplace.shared import clock
from marketplace.shared.errors import DomainError, NotFound
from procurement import permissions
from procurement.models import Bid, BidEnvelope, BidFile
from procurement.queries import bids as bid_queries
from procurement.services import bid_documents, bid_drafts, bids
from procurement.services.bid_drafts import DraftDocument

IDEMPOTENCY = OpenApiParameter(
    "Idempotency-Key", OpenApiTypes.STR, OpenApiParameter.HEADER, required=True,
    description="1 to 64 characters of your own: the same key sent again answers with what the first one did.",
)  # fmt: skip


#: A document whose name stays with its bidder.
UNKNOWN = DraftDocument("")


class IdempotencyKeyMissing(DomainError):
    code, status = "idempotency_key_missing", 400
    sentence = _("Send a key of your own in the header Idempotency-Key, so that a repetition counts once.")


class SignatureUnreadable(DomainError):
    code, status = "signature_unreadable", 422
    sentence = _("The signature is the base64 of a detached CMS signature in DER form.")


class BidOut(serializers.Serializer[Bid]):
    """A bid as its own organisation sees it."""

    id = serializers.IntegerField(source="pk")
    tender = serializers.CharField(source="lot.tender.number")
    lot = serializers.IntegerField(source="lot_id")
    lot_number = serializers.IntegerField(source="lot.number")
    status = serializers.CharField()
    version = serializers.IntegerField()
    revision = serializers.IntegerField()
    sent_revision = serializers.IntegerField()
    deadline = serializers.DateTimeField(source="lot.tender.tender_ends_at")
    received_at = serializers.DateTimeField(allow_null=True)
    currency = serializers.CharField()
    decision_reason = serializers.CharField()


class BidPriceOut(serializers.Serializer[Any]):
    item = serializers.IntegerField()
    typed = serializers.CharField()
    unit_price = serializers.DecimalField(20, 4, allow_null=True)
    amount = serializers.DecimalField(20, 4, allow_null=True)
    problem = serializers.CharField(allow_null=True)


class BidDocumentOut(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    name = serializers.CharField()
    size = serializers.IntegerField()
    media_type = serializers.CharField()


class BidDetailOut(BidOut):
    """With the price table and remarks: the draft's until the opening, what was sent after it."""

    prices = BidPriceOut(many=True)
    total = serializers.DecimalField(20, 4, allow_null=True)
    complete = serializers.BooleanField()
    remarks = serializers.CharField()
    answers = serializers.DictField(child=serializers.CharField())
    documents = BidDocumentOut(many=True)


class BidIn(serializers.Serializer[Any]):
    lot = serializers.IntegerField()


class DraftIn(serializers.Serializer[Any]):
    """`revision` is the one that was read; prices are decimal strings by item id, answers to what counts besides
    the price by its name: an answer to choose from, or a cost as a decimal string."""

    revision = serializers.IntegerField()
    prices = serializers.DictField(child=serializers.CharField(max_length=60, allow_blank=True), required=False)
    remarks = serializers.CharField(required=False, allow_blank=True, trim_whitespace=False)
    answers = serializers.DictField(child=serializers.CharField(max_length=120, allow_blank=True), required=False)

    def validate_prices(self, value: dict[str, str]) -> dict[int, str]:
        if not all(name.isascii() and name.isdigit() and len(name) <= 18 for name in value):
            raise serializers.ValidationError(_("Prices are named by the numbers of their items."))
        return {int(name): typed for name, typed in value.items()}


class SigningOut(serializers.Serializer[SigningRequest]):
    """What is to be signed: `payload` is the base64 of the exact bytes."""

    nonce = serializers.CharField()
    payload = serializers.SerializerMethodField()
    payload_sha256 = serializers.CharField()
    expires_at = serializers.DateTimeField()

    def get_payload(self, request: SigningRequest) -> str:
        return base64.b64encode(bytes(request.payload)).decode()


class SignedIn(serializers.Serializer[Any]):
    """The nonce of what was prepared, and the base64 of its detached CMS signature (DER)."""

    nonce = serializers.CharField(max_length=64)
    signature = serializers.CharField(max_length=360_000)


class BidReceiptOut(serializers.Serializer[Any]):
    """The receipt signed by the platform: keep it."""

    content = serializers.DictField()
    algorithm = serializers.CharField()
    key = serializers.CharField()
    signature = serializers.CharField()


class FileIn(serializers.Serializer[Any]):
    file = serializers.FileField()


class BidList(APIView):
    """Own bids, newest first; a post begins one, or answers with the one there is."""

    pagination_class: ClassVar = KeysetPagination

    @extend_schema(responses=BidOut(many=True), operation_id="bids_list")
    def get(self, request: Request) -> Response:
        actor = actor_from(request)
        supplier = organisation_of(actor)
        permissions.require_bids_reader(actor, supplier.pk)
        return KeysetPagination().answer(bid_queries.own(supplier), BidOut, request)

    @extend_schema(request=BidIn, responses={201: BidOut}, operation_id="bids_start")
    def post(self, request: Request) -> Response:
        sent = BidIn(data=request.data)
        sent.is_valid(raise_exception=True)
        bid = bid_drafts.start(sent.validated_data["lot"], by=actor_from(request), at=clock.now())
        return Response(BidOut(_own(actor_from(request), bid.pk)).data, status=status.HTTP_201_CREATED)


class BidDetail(APIView):
    @extend_schema(responses=BidDetailOut, operation_id="bids_read")
    def get(self, request: Request, bid_id: int) -> Response:
        actor = actor_from(request)
        return Response(_detail(_own(actor, bid_id), actor))

    @extend_schema(request=DraftIn, responses=BidDetailOut, operation_id="bids_save")
    def patch(self, request: Request, bid_id: int) -> Response:
        """Save the draft. What was sent stands until it is replaced."""
        actor = actor_from(request)
        bid = _own(actor, bid_id)
        permissions.require_bid_manager(actor, bid.supplier_id)
        sent = DraftIn(data=request.data)
        sent.is_valid(raise_exception=True)
        given = sent.validated_data
        remarks = given["remarks"] if "remarks" in given else bid_drafts.read_draft(bid, by=actor).remarks
        bid_drafts.save(
            bid.pk, prices=given.get("prices", {}), remarks=remarks, answers=given.get("answers"),
            revision=given["revision"], by=actor, at=clock.now(),
        )  # fmt: skip
        return Response(_detail(_own(actor, bid_id), actor))


class BidDocuments(APIView):
    parser_classes = [MultiPartParser]

    @extend_schema(
        request={"multipart/form-data": FileIn}, responses={201: BidDocumentOut}, operation_id="bids_add_file"
    )
    def post(self, request: Request, bid_id: int) -> Response:
        actor = actor_from(request)
        permissions.require_bid_manager(actor, _own(actor, bid_id).supplier_id)
        sent = FileIn(data=request.data)
        sent.is_valid(raise_exception=True)
        document = bid_documents.add(bid_id, sent.validated_data["file"], by=actor, at=clock.now())
        about = bid_drafts.read_draft(_own(actor, bid_id), by=actor).documents[document.pk]
        return Response(_document(document, about.name, about.media_type), status=status.HTTP_201_CREATED)


class BidDocument(APIView):
    @extend_schema(responses={204: None}, operation_id="bids_remove_file")
    def delete(self, request: Request, bid_id: int, file_id: int) -> Response:
        bid_documents.remove(bid_id, file_id, by=actor_from(request), at=clock.now())
        return Response(status=status.HTTP_204_NO_CONTENT)


class BidPrepare(APIView):
    @extend_schema(request=None, responses=SigningOut, operation_id="bids_prepare")
    def post(self, request: Request, bid_id: int) -> Response:
        """Seal the bid as it stands; the answer is what has to be signed."""
        return Response(SigningOut(bids.prepare_submission(bid_id, by=actor_from(request), at=clock.now())).data)


class BidSubmit(APIView):
    @extend_schema(
        request=SignedIn, responses={201: BidReceiptOut, 202: WaitingSignatureOut}, parameters=[IDEMPOTENCY],
        operation_id="bids_submit",
    )  # fmt: skip
    def post(self, request: Request, bid_id: int) -> Response:
        """Send the sealed bid under its signature. The time of receipt is this call's, also where the verdict on the
        signature has to wait for revocation data (202)."""
        at = clock.now()
        prepared, cms, key = _signed(request, bids.SUBMIT, bid_id)
        taken = signature_queue.take(prepared, cms, by=actor_from(request), at=at, idempotency_key=key)
        if isinstance(taken, QueuedSignature):
            return accepted(taken)
        return Response(taken.receipt, status=status.HTTP_201_CREATED)


class BidPrepareWithdrawal(APIView):
    @extend_schema(request=None, responses=SigningOut, operation_id="bids_prepare_withdrawal")
    def post(self, request: Request, bid_id: int) -> Response:
        return Response(SigningOut(bids.prepare_withdrawal(bid_id, by=actor_from(request), at=clock.now())).data)


class BidWithdraw(APIView):
    @extend_schema(
        request=SignedIn, responses={200: BidReceiptOut, 202: WaitingSignatureOut}, parameters=[IDEMPOTENCY],
        operation_id="bids_withdraw",
    )  # fmt: skip
    def post(self, request: Request, bid_id: int) -> Response:
        """Take the bid back under a signature; 202 as for sending it."""
        at = clock.now()
        prepared, cms, key = _signed(request, bids.WITHDRAW, bid_id)
        taken = signature_queue.take(prepared, cms, by=actor_from(request), at=at, idempotency_key=key)
        if isinstance(taken, QueuedSignature):
            return accepted(taken)
        return Response(taken.withdrawal_receipt)


class BidReceipt(APIView):
    @extend_schema(responses=BidReceiptOut, operation_id="bids_receipt")
    def get(self, request: Request, bid_id: int, version: int) -> Response:
        bid = _own(actor_from(request), bid_id)
        envelope = BidEnvelope.objects.filter(bid=bid, version=version).first()
        if envelope is None:
            raise NotFound
        return Response(envelope.receipt)


def _own(actor: Actor, bid_id: int) -> Bid:
    bid = Bid.objects.select_related("lot__tender", "supplier").filter(pk=bid_id).first()
    if bid is None:
        raise NotFound
    permissions.require_bidder(actor, bid)
    return bid


def _detail(bid: Bid, actor: Actor) -> dict[str, Any]:
    """The draft as it is kept for its own people; after the opening what the envelope held."""
    found: dict[str, Any] = dict(BidOut(bid).data)
    draft = bid_drafts.read_draft(bid, by=actor)
    if bid.opened_at is not None:
        prices = [
            {"item": p.item_id, "typed": "", "unit_price": p.unit_price, "amount": p.amount, "problem": None}
            for p in bid.prices.all()
        ]
        total, complete, remarks = bid.initial_amount, bid.initial_amount is not None, bid.remarks
    else:
        table = bid_drafts.price_table(bid.lot, draft)
        prices = [
            {
                "item": line.item,
                "typed": line.typed,
                "unit_price": line.unit_price,
                "amount": line.amount,
                "problem": line.problem.value if line.problem else None,
            }
            for line in table.lines
        ]
        total, complete, remarks = table.total, table.complete, draft.remarks
    found["prices"] = BidPriceOut(prices, many=True).data
    found |= {"total": None if total is None else f"{total:f}", "complete": complete, "remarks": remarks}
    found["answers"] = dict(bid.answers if bid.opened_at is not None else draft.answers)
    found["documents"] = [
        _document(document, document.name or about.name, document.media_type or about.media_type)
        for document in bid.files.filter(removed_at=None)
        for about in [draft.documents.get(document.pk, UNKNOWN)]
    ]
    return found


def _document(document: BidFile, name: str, media_type: str) -> dict[str, Any]:
    return {"id": document.pk, "name": name, "size": document.size, "media_type": media_type}


def _signed(request: Request, action: str, bid_id: int) -> tuple[SigningRequest, bytes, str]:
    """The person's own prepared request, the signature's bytes and the idempotency key."""
    key = request.headers.get("Idempotency-Key", "")
    if not key:
        raise IdempotencyKeyMissing
    sent = SignedIn(data=request.data)
    sent.is_valid(raise_exception=True)
    prepared = SigningRequest.objects.filter(
        nonce=sent.validated_data["nonce"], action=action, object_type="bid", object_id=str(bid_id),
        person=actor_from(request).person,
    ).first()  # fmt: skip
    if prepared is None:
        raise NotFound
    try:
        return prepared, base64.b64decode(sent.validated_data["signature"], validate=True), key
    except (binascii.Error, ValueError):
        raise SignatureUnreadable(field="signature") from None
