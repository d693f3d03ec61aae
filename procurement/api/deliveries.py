"""Deliveries on a contract: how far it is, recorded by the supplier's system, confirmed or rejected by the buyer's."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from marketplace.api.authentication import actor_from
from marketplace.api.pagination import KeysetPagination
from marketplace.permissions import Actor
from marketplace.shared import clock
from marketplace.shared.errors import Invalid, NotFound
from procurement import permissions
from procurement.api.bids import IDEMPOTENCY, IdempotencyKeyMissing
from procurement.models import Contract, ContractSide, Delivery, DeliveryKind, DeliveryLine, Item
from procurement.queries import deliveries as queries
from procurement.rules import deliveries as rules
from procurement.rules.lifecycle import DeliveryStatus
from procurement.services import deliveries as service
from procurement.services.delivery_checks import NOTE_MAX, REMARK_MAX, WHY_MAX, Accepted, Came

_DECISIONS = (DeliveryStatus.CONFIRMED, DeliveryStatus.REJECTED, DeliveryStatus.CANCELLED)


class LineIn(serializers.Serializer[Any]):
    position = serializers.IntegerField(help_text="its number in the contract")
    quantity = serializers.DecimalField(18, 4)


class DeliveryIn(serializers.Serializer[Any]):
    """What came. `more` says that the buyer knows that more comes than was ordered."""

    delivered_on = serializers.DateField(help_text="in the time zone of the contract's procedure")
    note_number = serializers.CharField(max_length=NOTE_MAX)
    remark = serializers.CharField(max_length=REMARK_MAX, required=False, default="", allow_blank=True)
    lines = LineIn(many=True)
    more = serializers.BooleanField(required=False, default=False)


class ReturnIn(serializers.Serializer[Any]):
    """What of a confirmed delivery goes back; `remark` is why."""

    delivered_on = serializers.DateField(help_text="when it was sent back")
    note_number = serializers.CharField(max_length=NOTE_MAX, required=False, default="", allow_blank=True)
    remark = serializers.CharField(max_length=REMARK_MAX)
    lines = LineIn(many=True)


class AcceptedLineIn(LineIn):
    """How much of a line is accepted; where it is less than came, why."""

    why = serializers.CharField(max_length=WHY_MAX, required=False, default="", allow_blank=True)


class DecisionIn(serializers.Serializer[Any]):
    """`lines` of a confirmed delivery; left out, all of it is accepted. `reason` of one rejected or cancelled."""

    status = serializers.ChoiceField(choices=[state.value for state in _DECISIONS])
    reason = serializers.CharField(max_length=REMARK_MAX, required=False, default="", allow_blank=True)
    lines = AcceptedLineIn(many=True, required=False)
    agrees_to_more = serializers.BooleanField(required=False, default=False)


class DeliveryLineOut(serializers.Serializer[DeliveryLine]):
    position = serializers.IntegerField(source="item.number")
    quantity = serializers.DecimalField(18, 4)
    accepted = serializers.DecimalField(18, 4, allow_null=True)
    why = serializers.CharField()


class DeliveryOut(serializers.Serializer[Delivery]):
    """A delivery, or a return of what `corrects` names."""

    number = serializers.IntegerField()
    kind = serializers.ChoiceField(choices=DeliveryKind.values)
    corrects = serializers.IntegerField(source="corrects.number", default=None, allow_null=True)
    status = serializers.ChoiceField(choices=[state.value for state in DeliveryStatus])
    recorded_by_side = serializers.ChoiceField(choices=ContractSide.values, source="side")
    delivered_on = serializers.DateField()
    note_number = serializers.CharField()
    remark = serializers.CharField()
    reason = serializers.CharField()
    more_agreed = serializers.BooleanField()
    lines = DeliveryLineOut(many=True)
    recorded_at = serializers.DateTimeField()
    decided_at = serializers.DateTimeField(allow_null=True)


class PositionOut(serializers.Serializer[Any]):
    """A position: what was ordered, accepted less what went back, what waits for the buyer, what is still to come."""

    position = serializers.IntegerField(source="item.number")
    description = serializers.CharField(source="item.description")
    unit = serializers.CharField(source="item.unit")
    ordered = serializers.DecimalField(18, 4, source="state.ordered")
    accepted = serializers.DecimalField(18, 4, source="state.accepted")
    waiting = serializers.DecimalField(18, 4, source="state.waiting")
    open = serializers.DecimalField(18, 4, source="state.open")


class DeliveriesOut(serializers.Serializer[Any]):
    """`progress` is the percent of the contract's price that is delivered; `tolerance` of the ordered quantities.

    `deliveries` are those of a page, `next` and `previous` the addresses of its neighbours.
    """

    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    contract = serializers.CharField()
    progress = serializers.IntegerField()
    tolerance = serializers.DecimalField(5, 2)
    positions = PositionOut(many=True)
    deliveries = DeliveryOut(many=True)


class _AsRecorded(KeysetPagination):
    order = ("number",)


_PAGES: Final = [
    OpenApiParameter(one["name"], OpenApiTypes.STR, description=one["description"])
    for one in _AsRecorded().get_schema_operation_parameters(None)
]


class Deliveries(APIView):
    @extend_schema(responses=DeliveriesOut, parameters=_PAGES, operation_id="deliveries_list", tags=["deliveries"])
    def get(self, request: Request, number: str) -> Response:
        """How far the contract is, and its deliveries in the order in which they were recorded, fifty at a time."""
        contract = _own_contract(actor_from(request), number)
        rows = queries.positions(contract)
        pages = _AsRecorded()
        deliveries = pages.paginate_queryset(queries.of(contract), request, self)
        found = {
            "next": pages.next,
            "previous": pages.previous,
            "contract": contract.number,
            "progress": rules.progress([row.state for row in rows]),
            "tolerance": contract.delivery_tolerance,
            "positions": rows,
            "deliveries": deliveries,
        }
        return Response(DeliveriesOut(found).data)

    @extend_schema(
        request=DeliveryIn, responses={201: DeliveryOut}, parameters=[IDEMPOTENCY], operation_id="deliveries_record",
        tags=["deliveries"],
    )  # fmt: skip
    def post(self, request: Request, number: str) -> Response:
        """Record a delivery, as the supplier. The same key sent again is answered with the delivery it made."""
        actor = actor_from(request)
        contract = _own_contract(actor, number)
        permissions.require_delivery_recorder(actor, contract)
        key, sent = _key(request), DeliveryIn(data=request.data)
        sent.is_valid(raise_exception=True)
        came = _came(contract, sent.validated_data)
        more = sent.validated_data["more"]
        made = service.record(contract.pk, came, key=key, more=more, by=actor, at=clock.now())
        return Response(DeliveryOut(_own(contract, made.number)).data, status=status.HTTP_201_CREATED)


class DeliveryDetail(APIView):
    @extend_schema(responses=DeliveryOut, operation_id="deliveries_read", tags=["deliveries"])
    def get(self, request: Request, number: str, delivery: int) -> Response:
        contract = _own_contract(actor_from(request), number)
        return Response(DeliveryOut(_own(contract, delivery)).data)


class DeliveryState(APIView):
    @extend_schema(request=DecisionIn, responses=DeliveryOut, operation_id="deliveries_decide", tags=["deliveries"])
    def post(self, request: Request, number: str, delivery: int) -> Response:
        """Confirm or reject what the other side recorded; cancel what is a mistake, as either side."""
        actor, at = actor_from(request), clock.now()
        contract = _own_contract(actor, number)
        found = _own(contract, delivery)
        permissions.require_delivery_party(actor, contract)
        sent = DecisionIn(data=request.data)
        sent.is_valid(raise_exception=True)
        values = sent.validated_data
        after = DeliveryStatus(values["status"])
        if after is DeliveryStatus.CONFIRMED:
            accepted = _accepted(contract, found, values.get("lines"))
            service.confirm(found.pk, accepted, agrees=values["agrees_to_more"], by=actor, at=at)
        else:
            decide = service.reject if after is DeliveryStatus.REJECTED else service.cancel
            decide(found.pk, values["reason"], by=actor, at=at)
        return Response(DeliveryOut(_own(contract, delivery)).data)


class DeliveryReturns(APIView):
    @extend_schema(
        request=ReturnIn, responses={201: DeliveryOut}, parameters=[IDEMPOTENCY], operation_id="deliveries_return",
        tags=["deliveries"],
    )  # fmt: skip
    def post(self, request: Request, number: str, delivery: int) -> Response:
        """Record that something of a confirmed delivery goes back, as either side; the other confirms it."""
        actor = actor_from(request)
        contract = _own_contract(actor, number)
        found = _own(contract, delivery)
        permissions.require_delivery_party(actor, contract)
        key, sent = _key(request), ReturnIn(data=request.data)
        sent.is_valid(raise_exception=True)
        came = _came(contract, sent.validated_data)
        made = service.give_back(found.pk, came, key=key, by=actor, at=clock.now())
        return Response(DeliveryOut(_own(contract, made.number)).data, status=status.HTTP_201_CREATED)


def _came(contract: Contract, sent: dict[str, Any]) -> Came:
    quantities = _by_item(contract, sent["lines"])
    return Came(sent["delivered_on"], quantities, sent["note_number"], sent["remark"])


def _accepted(contract: Contract, found: Delivery, lines: list[dict[str, Any]] | None) -> Accepted:
    if lines is None:
        return Accepted({line.item_id: line.quantity for line in found.lines.all()})
    numbers = _items(contract)
    return Accepted(_by_item(contract, lines), {numbers.get(line["position"], 0): line["why"] for line in lines})


def _by_item(contract: Contract, lines: list[dict[str, Any]]) -> dict[int, Decimal]:
    """A position that the contract does not have becomes item 0, which the service refuses. Raises Invalid where one
    stands there twice: of two quantities neither is meant rather than the other."""
    numbers = _items(contract)
    if len({line["position"] for line in lines}) < len(lines):
        raise Invalid({"lines": [_("Name each position once.")]})
    return {numbers.get(line["position"], 0): line["quantity"] for line in lines}


def _items(contract: Contract) -> dict[int, int]:
    return dict(Item.objects.filter(lot=contract.award.lot_id).values_list("number", "pk"))


def _key(request: Request) -> str:
    key = request.headers.get("Idempotency-Key", "")
    if not key:
        raise IdempotencyKeyMissing
    return key


def _own_contract(actor: Actor, number: str) -> Contract:
    contract = Contract.objects.select_related("award", "tender").filter(number=number).first()
    if contract is None:
        raise NotFound
    permissions.require_contract_reader(actor, contract)
    return contract


def _own(contract: Contract, number: int) -> Delivery:
    found = queries.of(contract).filter(number=number).first()
    if found is None:
        raise NotFound
    return found
