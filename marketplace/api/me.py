"""Who is calling, and for which organisation: the first thing a program with a new token asks."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from marketplace.api.authentication import actor_from


class OrganisationOut(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    short_name = serializers.CharField()
    full_name = serializers.CharField()
    status = serializers.CharField()
    is_buyer = serializers.BooleanField()
    is_supplier = serializers.BooleanField()
    identifiers = serializers.SerializerMethodField()

    def get_identifiers(self, organisation: Any) -> list[str]:
        """The registration numbers as a signing certificate carries them."""
        return [number.semantic for number in organisation.identifiers.all()]


class MeOut(serializers.Serializer[Any]):
    email = serializers.EmailField()
    full_name = serializers.CharField()
    organisation = OrganisationOut(allow_null=True)
    roles = serializers.ListField(child=serializers.CharField())


class Me(APIView):
    """The person of the token or session, the organisation acted for, and the roles held in it."""

    @extend_schema(responses=MeOut, tags=["me"], summary="Who I am")
    def get(self, request: Request) -> Response:
        actor = actor_from(request)
        assert actor.person is not None  # authentication is required by default
        shown = {
            "email": actor.person.email,
            "full_name": actor.person.full_name,
            "organisation": actor.organisation,
            "roles": sorted(actor.roles),
        }
        return Response(MeOut(shown).data)
