"""Leads in from other systems, and what became of them; opportunities out."""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from analytics.models import LeadSource, Opportunity
from analytics.permissions import book_of
from analytics.queries import pipeline as queries
from analytics.rules.pipeline import LeadState, OpportunityState, Stage
from analytics.services import leads
from analytics.services.leads import LeadDetails
from marketplace.api.authentication import actor_from
from marketplace.api.filters import chosen
from marketplace.api.pagination import KeysetPagination
from marketplace.shared import clock
from marketplace.shared.money import Money


class LeadIn(serializers.Serializer[Any]):
    """Somebody who may buy. With a `reference` of your system the same lead sent twice is one."""

    company = serializers.CharField(max_length=200)
    country = serializers.RegexField("^([A-Z]{2})?$", required=False, default="", help_text="ISO 3166-1 alpha-2")
    contact_name = serializers.CharField(max_length=200, required=False, default="", allow_blank=True)
    email = serializers.EmailField(required=False, default="", allow_blank=True)
    phone = serializers.CharField(max_length=40, required=False, default="", allow_blank=True)
    need = serializers.CharField(max_length=2000, required=False, default="", allow_blank=True)
    reference = serializers.CharField(max_length=80, required=False, default="", allow_blank=True)


class LeadOut(serializers.Serializer[Any]):
    """A lead; `opportunity` is the one it became."""

    id = serializers.IntegerField(source="pk")
    reference = serializers.CharField()
    origin = serializers.ChoiceField(choices=LeadSource.values, source="source")
    company = serializers.CharField()
    country = serializers.CharField()
    customer_number = serializers.CharField(source="account.external_id", default=None, allow_null=True)
    status = serializers.ChoiceField(choices=[state.value for state in LeadState])
    representative = serializers.CharField(source="representative.email", default=None, allow_null=True)
    given_up_because = serializers.CharField()
    opportunity = serializers.IntegerField(source="opportunity.pk", default=None, allow_null=True)
    created_at = serializers.DateTimeField()
    touched_at = serializers.DateTimeField()


class OpportunityOut(serializers.Serializer[Any]):
    """A sale in one of seven stages; `expected_amount` is without VAT, null where nobody knows it yet."""

    id = serializers.IntegerField(source="pk")
    title = serializers.CharField()
    customer_number = serializers.CharField(source="account.external_id")
    stage = serializers.ChoiceField(choices=[stage.value for stage in Stage])
    status = serializers.ChoiceField(choices=[state.value for state in OpportunityState])
    expected_amount = serializers.SerializerMethodField()
    currency = serializers.CharField()
    closes_on = serializers.DateField(allow_null=True)
    representative = serializers.CharField(source="representative.email")
    next_step_on = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField()
    closed_at = serializers.DateTimeField(allow_null=True)
    won_because = serializers.CharField()
    lost_because = serializers.CharField()

    def get_expected_amount(self, row: Opportunity) -> str | None:
        return None if row.amount is None else Money(row.amount, row.currency).rounded().as_string()

    def get_next_step_on(self, row: Any) -> str | None:
        """The day of the next step; null where it is decided and nothing is planned."""
        return row.next_steps[0].due_on.isoformat() if row.next_steps else None


class _Newest(KeysetPagination):
    order = ("-created_at", "-pk")


class Leads(APIView):
    pagination_class: ClassVar = _Newest

    @extend_schema(responses=LeadOut(many=True), operation_id="insights_leads_list", tags=["insights"])
    def get(self, request: Request) -> Response:
        """The leads of your company's book, newest first."""
        return _Newest().answer(queries.leads(book_of(actor_from(request))), LeadOut, request)

    @extend_schema(
        request=LeadIn,
        responses={201: LeadOut, 200: LeadOut},
        operation_id="insights_leads_register",
        tags=["insights"],
    )
    def post(self, request: Request) -> Response:
        """Register a lead. 200 with the one there is where it is known: what is new has been added to it."""
        actor = actor_from(request)
        sent = LeadIn(data=request.data)
        sent.is_valid(raise_exception=True)
        details = LeadDetails(**sent.validated_data)
        lead, is_new = leads.register(book_of(actor).pk, LeadSource.PROGRAM, details, by=actor, at=clock.now())
        return Response(LeadOut(lead).data, status=status.HTTP_201_CREATED if is_new else status.HTTP_200_OK)


class Opportunities(APIView):
    pagination_class: ClassVar = _Newest

    @extend_schema(
        responses=OpportunityOut(many=True),
        operation_id="insights_opportunities_list",
        tags=["insights"],
        parameters=[OpenApiParameter("status", OpenApiTypes.STR, enum=[state.value for state in OpportunityState])],
    )
    def get(self, request: Request) -> Response:
        """The opportunities of your company's book, newest first."""
        rows = queries.opportunities(book_of(actor_from(request)))
        if state := chosen(request, "status", [state.value for state in OpportunityState]):
            rows = rows.filter(status=state)
        return _Newest().answer(rows, OpportunityOut, request)
