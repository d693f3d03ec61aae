"""A lot's live auction: its state as the caller may see it, and the ticket to the gateway for bids and the stream."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from marketplace.api.authentication import actor_from, reads_only
from marketplace.shared import clock
from marketplace.shared.errors import NotFound
from marketplace.web.gateway import gateway_origin
from procurement.auction import tokens
from procurement.auction.halls import HALLS
from procurement.auction.projection import state
from procurement.models import Auction, Lot
from procurement.queries import auctions as rooms
from procurement.services import auction_protocol


class _Own(serializers.Serializer[Any]):
    label = serializers.CharField()  # type: ignore[assignment]  # a field named so, not the field's label
    amount = serializers.CharField(allow_null=True)
    rank = serializers.IntegerField(allow_null=True)
    leading = serializers.BooleanField()
    made = serializers.CharField(allow_null=True, help_text="the bid of the turn that runs, published when it ends")
    limit = serializers.CharField(allow_null=True, help_text="down (in a sale: up) to which the system bids")


class _Best(serializers.Serializer[Any]):
    label = serializers.CharField(allow_null=True)  # type: ignore[assignment]  # likewise
    amount = serializers.CharField()


class _Course(serializers.Serializer[Any]):
    """The tick, pause or turn that runs. `number` counts ticks from 0 and rounds from 1."""

    kind = serializers.ChoiceField(["tick", "pause", "turn", "announcement"])
    number = serializers.IntegerField()
    last = serializers.IntegerField()
    until = serializers.CharField(allow_null=True)
    price = serializers.CharField(allow_null=True)
    label = serializers.CharField(allow_null=True)  # type: ignore[assignment]  # likewise
    own = serializers.BooleanField()
    order = serializers.ListField(child=serializers.CharField(), help_text="of a round's turns, by label")


class _Clock(serializers.Serializer[Any]):
    """How the price of a clock moves on."""

    tick = serializers.CharField()
    interval_s = serializers.IntegerField()
    last = serializers.CharField()


class AuctionStateOut(serializers.Serializer[Any]):
    """As in the stream of the gateway. Amounts are strings; what the lot does not show is null."""

    number = serializers.IntegerField(help_text="of the last event")
    kind = serializers.CharField()
    status = serializers.CharField()
    now = serializers.CharField()
    starts_at = serializers.CharField()
    ends_at = serializers.CharField()
    extensions = serializers.IntegerField()
    currency = serializers.CharField()
    direction = serializers.CharField()
    step = serializers.CharField()
    reference = serializers.CharField()
    shown = serializers.CharField()
    bidders = serializers.IntegerField()
    proxy_bids = serializers.BooleanField()
    course = _Course(allow_null=True)
    clock = _Clock(allow_null=True)
    own = _Own(allow_null=True)
    best = _Best(allow_null=True)
    allowed = serializers.CharField(allow_null=True)
    actions = serializers.ListField(
        child=serializers.ChoiceField(["bid", "accept", "confirm", "withdraw", "limit"]), required=False
    )
    until = serializers.CharField(allow_null=True, required=False, help_text="when what may be done may change")
    refused = serializers.CharField(allow_null=True, required=False, help_text="why nothing may be done now")


class AuctionOut(serializers.Serializer[Any]):
    """`ticket` goes as `Authorization: Bearer …` to `bids_url` and `events_url`."""

    lot = serializers.IntegerField()
    may_bid = serializers.BooleanField()
    ticket = serializers.CharField()
    bids_url = serializers.CharField()
    events_url = serializers.CharField()
    state = AuctionStateOut()


class AuctionDetail(APIView):
    """The live auction of a lot."""

    @extend_schema(responses=AuctionOut, tags=["auctions"])
    def get(self, request: Request, lot_id: int) -> Response:
        lot = Lot.objects.select_related("tender", "auction").filter(pk=lot_id, auction__isnull=False).first()
        if lot is None:
            raise NotFound
        ticket = tokens.ticket_for(actor_from(request), lot)
        if reads_only(request):
            ticket = replace(ticket, may_bid=False)
        hall = HALLS.of(lot.auction.pk)
        if hall is None:
            raise NotFound
        viewer = None if ticket.participant is None else rooms.bidder(ticket.participant)
        gateway = gateway_origin(request._request)
        return Response(
            {
                "lot": lot.pk,
                "may_bid": ticket.may_bid,
                "ticket": tokens.issue(ticket),
                "bids_url": f"{gateway}/live/lots/{lot.pk}/bids",
                "events_url": f"{gateway}/live/lots/{lot.pk}/events",
                "state": state(hall, viewer, clock.now()),
            }
        )


class AuctionProtocol(APIView):
    """The protocol of an auction that has ended: terms, every event as it is hashed, the result, and the platform's
    signature. docs/procedures/auction-protocol.md says what is in it and how to check it alone."""

    @extend_schema(responses=OpenApiTypes.OBJECT, tags=["auctions"])
    def get(self, request: Request, lot_id: int) -> Response:
        found = Auction.objects.select_related("lot__tender__buyer").filter(lot=lot_id).first()
        if found is None:
            raise NotFound
        tokens.ticket_for(actor_from(request), found.lot)
        return Response(auction_protocol.document(found))
