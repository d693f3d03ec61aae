"""Requests for an offer: asked, read by both sides, and moved on."""

from __future__ import annotations

from typing import Any, ClassVar

from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from marketplace.api.authentication import actor_from
from marketplace.api.filters import chosen
from marketplace.api.pagination import KeysetPagination
from marketplace.models import Heading, StaffRole
from marketplace.permissions import Actor, organisation_of
from marketplace.shared import clock
from marketplace.shared.errors import Invalid, NotFound
from procurement import permissions
from procurement.api.bids import IDEMPOTENCY, IdempotencyKeyMissing
from procurement.models import ContactBy, OfferRequest, units
from procurement.queries import offer_requests as queries
from procurement.rules.lifecycle import RequestStatus
from procurement.services import offer_requests as service
from procurement.services.offer_requests import NEED_MAX, Wanted

_MOVES = (RequestStatus.TAKEN_UP, RequestStatus.ANSWERED, RequestStatus.DECLINED, RequestStatus.WITHDRAWN)


class OfferRequestIn(serializers.Serializer[Any]):
    """What is needed. `supplier` null asks the platform itself."""

    supplier = serializers.IntegerField(allow_null=True, help_text="its number on the platform")
    need = serializers.CharField(max_length=NEED_MAX)
    category = serializers.CharField(max_length=16, required=False, default="", help_text="CPV code")
    quantity = serializers.DecimalField(18, 4, required=False, allow_null=True, default=None)
    unit = serializers.ChoiceField(choices=list(units.NAMES), required=False, default="")
    budget = serializers.DecimalField(20, 4, required=False, allow_null=True, default=None, help_text="without VAT")
    currency = serializers.RegexField("^[A-Z]{3}$", required=False, default="", help_text="ISO 4217, of the budget")
    wanted_by = serializers.DateField()
    contact_by = serializers.ChoiceField(choices=ContactBy.values, required=False, default=ContactBy.HERE.value)
    phone = serializers.CharField(max_length=40, required=False, default="", allow_blank=True)


class OfferRequestOut(serializers.Serializer[OfferRequest]):
    """A request and what became of it. `supplier` is null where the platform itself was asked."""

    id = serializers.IntegerField(source="pk")
    status = serializers.ChoiceField(choices=[state.value for state in RequestStatus])
    asker = serializers.IntegerField(source="asker_id")
    asker_name = serializers.CharField(source="asker.short_name")
    asked_by = serializers.CharField(source="asked_by.full_name")
    supplier = serializers.IntegerField(source="supplier_id", allow_null=True)
    need = serializers.CharField()
    category = serializers.CharField(source="category.code", default="")
    quantity = serializers.DecimalField(18, 4, allow_null=True)
    unit = serializers.CharField()
    budget = serializers.SerializerMethodField()
    currency = serializers.CharField()
    wanted_by = serializers.DateField()
    contact_by = serializers.ChoiceField(choices=ContactBy.values)
    email = serializers.SerializerMethodField()
    phone = serializers.CharField()
    answer = serializers.CharField()
    declined_because = serializers.CharField()
    created_at = serializers.DateTimeField()
    changed_at = serializers.DateTimeField()

    def get_budget(self, row: OfferRequest) -> str | None:
        return None if row.budget_money is None else row.budget_money.as_string()

    def get_email(self, row: OfferRequest) -> str:
        """Of whoever asked, where they would like to be answered so."""
        return row.asked_by.email if row.contact_by == ContactBy.EMAIL else ""


class OfferRequestMove(serializers.Serializer[Any]):
    """`text` is the answer, or why it is declined."""

    status = serializers.ChoiceField(choices=[state.value for state in _MOVES])
    text = serializers.CharField(required=False, default="", allow_blank=True)


class OfferRequests(APIView):
    pagination_class: ClassVar = KeysetPagination

    @extend_schema(
        responses=OfferRequestOut(many=True),
        operation_id="offer_requests_list",
        tags=["offer requests"],
        parameters=[OpenApiParameter("side", OpenApiTypes.STR, enum=["sent", "received"])],
    )
    def get(self, request: Request) -> Response:
        """What your organisation has asked (`sent`, unless told otherwise), or was asked; newest first."""
        actor = actor_from(request)
        received = chosen(request, "side", ["sent", "received"]) == "received"
        rows: Any = _received(actor) if received else queries.sent_by(organisation_of(actor))
        return KeysetPagination().answer(rows.select_related("asker"), OfferRequestOut, request)

    @extend_schema(
        request=OfferRequestIn, responses={201: OfferRequestOut}, parameters=[IDEMPOTENCY],
        operation_id="offer_requests_ask", tags=["offer requests"],
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        """Ask for an offer. The same key sent again is answered with the request it made."""
        actor = actor_from(request)
        permissions.require_offer_asked(actor)
        key = request.headers.get("Idempotency-Key", "")
        if not key:
            raise IdempotencyKeyMissing
        sent = OfferRequestIn(data=request.data)
        sent.is_valid(raise_exception=True)
        values = dict(sent.validated_data)
        wanted = Wanted(values.pop("supplier"), **values | {"category": _category(values["category"])})
        asked = service.ask(wanted, key=key, by=actor, at=clock.now())
        return Response(OfferRequestOut(asked).data, status=status.HTTP_201_CREATED)


class OfferRequestDetail(APIView):
    @extend_schema(responses=OfferRequestOut, operation_id="offer_requests_read", tags=["offer requests"])
    def get(self, request: Request, request_id: int) -> Response:
        """One request, for the people of its two sides."""
        return Response(OfferRequestOut(_own(actor_from(request), request_id)).data)


class OfferRequestState(APIView):
    @extend_schema(
        request=OfferRequestMove, responses=OfferRequestOut, operation_id="offer_requests_move", tags=["offer requests"]
    )
    def post(self, request: Request, request_id: int) -> Response:
        """Take it up, answer or decline it, as the side that was asked; withdraw it, as the one that asks."""
        actor, at = actor_from(request), clock.now()
        _own(actor, request_id)
        sent = OfferRequestMove(data=request.data)
        sent.is_valid(raise_exception=True)
        text = sent.validated_data["text"]
        after = RequestStatus(sent.validated_data["status"])
        if after is RequestStatus.ANSWERED:
            service.answer(request_id, text, by=actor, at=at)
        elif after is RequestStatus.DECLINED:
            service.decline(request_id, text, by=actor, at=at)
        else:
            move = service.take_up if after is RequestStatus.TAKEN_UP else service.withdraw
            move(request_id, by=actor, at=at)
        return Response(OfferRequestOut(_own(actor, request_id)).data)


def _received(actor: Actor) -> Any:
    if actor.organisation is None and actor.is_a(StaffRole.REPRESENTATIVE, StaffRole.SALES_MANAGER):
        return queries.sent_to(None)
    return queries.sent_to(organisation_of(actor))


def _category(code: str) -> Heading | None:
    found = Heading.objects.filter(code=code).first() if code else None
    if code and found is None:
        raise Invalid({"category": [_("There is no such category.")]})
    return found


def _own(actor: Actor, request_id: int) -> OfferRequest:
    rows = OfferRequest.objects.select_related("asker", "asked_by", "category")
    found = rows.filter(pk=request_id).first()
    if found is None:
        raise NotFound
    permissions.require_offer_reader(actor, found)
    return found
