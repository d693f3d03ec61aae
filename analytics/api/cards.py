"""Cards and their outcomes, for the system of the company whose customers they are about."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import Exists, OuterRef, Q
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from analytics.models import CallResult, Card, CardEvent, CardKind, CardLevel, CardStatus, Closing, DismissReason
from analytics.permissions import cards_open_to
from marketplace.api.authentication import actor_from
from marketplace.api.filters import chosen, moment
from marketplace.api.pagination import KeysetPagination
from marketplace.shared.money import Money

_SHOWN = [state.value for state in CardStatus if state is not CardStatus.WITHHELD]


class EvidenceOut(serializers.Serializer[Any]):
    """The numbers behind a card; null where they say nothing of it.

    Recovery: how often the customer usually bought, for how long it is silent since when, as of `cutoff`. Growth: the
    share of the best customers most like this one that buys the thing, how many these are, and a quantity to offer.
    """

    usual_gap_days = serializers.FloatField(source="gap", default=None, allow_null=True)
    silent_days = serializers.IntegerField(source="silent", default=None, allow_null=True)
    orders = serializers.IntegerField(default=None, allow_null=True)
    last_bought_on = serializers.DateField(source="last", default=None, allow_null=True)
    share_of_best_customers = serializers.FloatField(source="share", default=None, allow_null=True)
    best_customers = serializers.IntegerField(source="profile", default=None, allow_null=True)
    suggested_quantity = serializers.FloatField(source="quantity", default=None, allow_null=True)


class CardOut(serializers.Serializer[Any]):
    """One thing to tell a representative.

    `chance` is that of falling silent within 90 days (recovery) or of buying it (growth); `expected_amount` what the
    customer is expected to spend in them. `call_result` is what came of the last call, `due_on` the day of the next one
    or on which a snoozed card comes back. `bought` says, 90 days after `cutoff`, whether it did; null until then.
    """

    id = serializers.IntegerField(source="pk")
    kind = serializers.ChoiceField(choices=CardKind.values)
    level = serializers.ChoiceField(choices=CardLevel.values)
    customer_number = serializers.CharField(source="account.external_id")
    category = serializers.CharField(source="category.code", default=None, allow_null=True)
    item = serializers.CharField(source="item.code", default=None, allow_null=True)
    state = serializers.ChoiceField(choices=_SHOWN)
    chance = serializers.FloatField(source="p")
    expected_amount = serializers.SerializerMethodField()
    currency = serializers.CharField()
    reasons = serializers.ListField(child=serializers.CharField())
    evidence = EvidenceOut()
    long_tail = serializers.BooleanField()
    cutoff = serializers.DateField()
    representative = serializers.CharField(source="representative.email", default=None, allow_null=True)
    created_at = serializers.DateTimeField()
    accepted_at = serializers.DateTimeField(allow_null=True)
    call_result = serializers.ChoiceField(source="heard", choices=["", *CallResult.values])
    due_on = serializers.DateField(allow_null=True)
    dismissed_for = serializers.ChoiceField(choices=["", *DismissReason.values])
    closing = serializers.ChoiceField(choices=["", *Closing.values])
    closed_on = serializers.DateField(allow_null=True)
    bought = serializers.BooleanField(allow_null=True)
    bought_amount = serializers.SerializerMethodField()
    measured_at = serializers.DateTimeField(allow_null=True)

    def get_expected_amount(self, card: Card) -> str:
        return Money(card.expected_amount, card.currency).rounded().as_string()

    def get_bought_amount(self, card: Card) -> str | None:
        """What was bought until the outcome was measured; null before."""
        return None if card.measured_at is None else Money(card.bought_amount, card.currency).rounded().as_string()


class _Newest(KeysetPagination):
    order = ("-created_at", "-pk")


class Cards(APIView):
    pagination_class: ClassVar = _Newest

    @extend_schema(
        responses=CardOut(many=True),
        operation_id="insights_cards_list",
        tags=["insights"],
        parameters=[
            OpenApiParameter("state", OpenApiTypes.STR, enum=_SHOWN),
            OpenApiParameter("kind", OpenApiTypes.STR, enum=CardKind.values),
            OpenApiParameter("measured", OpenApiTypes.BOOL, description="only those whose outcome is known, or not"),
            OpenApiParameter(
                "changed_since",
                OpenApiTypes.DATETIME,
                description="only those made, acted upon, closed or measured from this instant on (ISO 8601, with its"
                " offset)",
            ),
        ],
    )
    def get(self, request: Request) -> Response:
        """Cards, newest first: all of your company's book by a sales manager's token, by a representative's their own.

        As on the pages, one's own are those one has, or once accepted. Withheld ones, the control group, are not among
        them.
        """
        rows: Any = cards_open_to(actor_from(request))
        if state := chosen(request, "state", _SHOWN):
            rows = rows.filter(state=state)
        if kind := chosen(request, "kind", CardKind.values):
            rows = rows.filter(kind=kind)
        if measured := chosen(request, "measured", ("true", "false")):
            rows = rows.filter(measured_at__isnull=measured == "false")
        if since := moment(request, "changed_since"):
            events = CardEvent.objects.filter(card=OuterRef("pk"), at__gte=since)
            rows = rows.filter(Q(created_at__gte=since) | Q(measured_at__gte=since) | Exists(events))
        rows = rows.select_related("account", "category", "item", "representative")
        return _Newest().answer(rows, CardOut, request)
