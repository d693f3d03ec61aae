"""Published procedures and their lots, as everybody may read them."""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.permissions import AllowAny, BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from marketplace.api.filters import FilterRefused, chosen
from marketplace.api.pagination import KeysetPagination
from marketplace.shared import clock
from marketplace.shared.errors import NotFound
from marketplace.shared.money import Money
from procurement import procedures
from procurement.models import Item, Lot, TenderDocument
from procurement.queries import tenders
from procurement.queries.tenders import Filters, Standing

SORTS = {
    "deadline": ("tender_ends_at", "pk"),
    "-deadline": ("-tender_ends_at", "-pk"),
    "published": ("published_at", "pk"),
    "-published": ("-published_at", "-pk"),
}


class BuyerOut(serializers.Serializer[Any]):
    """Who buys."""

    id = serializers.IntegerField(source="pk")
    name = serializers.CharField(source="short_name")
    country = serializers.CharField()


class TenderOut(serializers.Serializer[Any]):
    """A procedure in a list. Periods are half-open: a bid at `tender_ends_at` is late."""

    number = serializers.CharField()
    title = serializers.CharField()
    procedure = serializers.CharField()
    procedure_version = serializers.IntegerField()
    family = serializers.CharField(source="preset.family.value")
    status = serializers.CharField()
    buyer = BuyerOut()
    currency = serializers.CharField()
    vat_included = serializers.BooleanField()
    time_zone = serializers.CharField()
    published_at = serializers.DateTimeField()
    enquiry_ends_at = serializers.DateTimeField(allow_null=True)
    tender_ends_at = serializers.DateTimeField()
    auction_starts_at = serializers.DateTimeField(allow_null=True)
    version = serializers.IntegerField()


class ItemOut(serializers.Serializer[Item]):
    """An item of a lot; `unit` is a UN/ECE Recommendation 20 code."""

    id = serializers.IntegerField(source="pk")
    number = serializers.IntegerField()
    description = serializers.CharField()
    category = serializers.CharField(source="category.code")
    category_name = serializers.CharField(source="category.name")
    quantity = serializers.DecimalField(18, 4)
    unit = serializers.CharField()
    deliver_from = serializers.DateField(allow_null=True)
    deliver_until = serializers.DateField(allow_null=True)


class LotOut(serializers.Serializer[Any]):
    """A lot with its items. `limit_price` is null where there is none, or where the buyer does not show it."""

    id = serializers.IntegerField(source="pk")
    number = serializers.IntegerField()
    title = serializers.CharField()
    status = serializers.CharField()
    currency = serializers.CharField()
    limit_price = serializers.SerializerMethodField()
    vat_rate = serializers.DecimalField(5, 2)
    delivery_place = serializers.CharField()
    items = ItemOut(many=True)

    @extend_schema_field(serializers.CharField(allow_null=True))
    def get_limit_price(self, lot: Lot) -> str | None:
        if lot.limit_price is None or not lot.tender.limit_price_shown:
            return None
        return Money(lot.limit_price, lot.currency).as_string()


class DocumentOut(serializers.Serializer[TenderDocument]):
    """A version of a document; its bytes are at /procedures/<number>/documents/<id>/."""

    id = serializers.IntegerField(source="pk")
    series = serializers.IntegerField()
    version = serializers.IntegerField()
    title = serializers.CharField()
    lot = serializers.IntegerField(source="lot_id", allow_null=True)
    name = serializers.CharField(source="file.name")
    media_type = serializers.CharField(source="file.media_type")
    size = serializers.IntegerField(source="file.size")
    sha256 = serializers.CharField(source="file.sha256")


class QuestionOut(serializers.Serializer[Any]):
    """An answered question; who asked is told to nobody."""

    number = serializers.IntegerField()
    asked_at = serializers.DateTimeField()
    question = serializers.CharField()
    answer = serializers.CharField()
    answered_at = serializers.DateTimeField()


class AmendmentOut(serializers.Serializer[Any]):
    version = serializers.IntegerField()
    at = serializers.DateTimeField()
    reason = serializers.CharField()
    changes = serializers.JSONField()
    invalidates_bids = serializers.BooleanField()


class TenderDetailOut(TenderOut):
    """A procedure with everything public about it."""

    description = serializers.CharField()
    closing_reason = serializers.CharField()
    closed_at = serializers.DateTimeField(allow_null=True)
    lots = LotOut(many=True)
    documents = DocumentOut(many=True)
    questions = QuestionOut(many=True)
    amendments = AmendmentOut(many=True)
    criteria = serializers.DictField(help_text="what counts besides the price; empty where nothing does")


class PublicView(APIView):
    """What is published is public: no log-in is asked for."""

    permission_classes: ClassVar[list[type[BasePermission]]] = [AllowAny]  # type: ignore[misc]


_TEXT = OpenApiTypes.STR
_FILTERS = [
    OpenApiParameter("q", _TEXT, description="words, or beginnings of words, in number, title and description"),
    OpenApiParameter("standing", _TEXT, enum=[one.value for one in Standing], description="open unless given"),
    OpenApiParameter("family", _TEXT, enum=[family.value for family in procedures.Family]),
    OpenApiParameter("category", _TEXT, description="code of a heading, with all below it"),
    OpenApiParameter("country", _TEXT, description="of the buyer, ISO 3166-1 alpha-2"),
    OpenApiParameter("region", _TEXT, description="of the buyer"),
    OpenApiParameter("currency", _TEXT, description="ISO 4217"),
    OpenApiParameter("within_days", OpenApiTypes.INT, description="bids close within so many days"),
    OpenApiParameter("sort", _TEXT, enum=list(SORTS), description="deadline unless given"),
]


class TenderList(PublicView):
    """Published procedures, those open for bids first to close unless said otherwise."""

    pagination_class: ClassVar = KeysetPagination

    @extend_schema(parameters=_FILTERS, responses=TenderOut(many=True), operation_id="tenders_list")
    def get(self, request: Request) -> Response:
        sort = chosen(request, "sort", list(SORTS)) or "deadline"
        pages = KeysetPagination()
        pages.order = SORTS[sort]  # type: ignore[misc]  # of this answer alone
        return pages.answer(tenders.search(_filters(request), clock.now()), TenderOut, request)


class TenderDetail(PublicView):
    @extend_schema(responses=TenderDetailOut, operation_id="tenders_read")
    def get(self, request: Request, number: str) -> Response:
        tender = tenders.published_with_parts(number)
        if tender is None:
            raise NotFound
        return Response(TenderDetailOut(tender).data)


class TenderLots(PublicView):
    @extend_schema(responses=LotOut(many=True), operation_id="tenders_lots")
    def get(self, request: Request, number: str) -> Response:
        tender = tenders.published().filter(number=number).first()
        if tender is None:
            raise NotFound
        return Response(LotOut(tenders.with_parts(tender), many=True).data)


class LotDetail(PublicView):
    @extend_schema(responses=LotOut, operation_id="lots_read")
    def get(self, request: Request, lot_id: int) -> Response:
        lot = tenders.published_lot(lot_id)
        if lot is None:
            raise NotFound
        return Response(LotOut(lot).data)


def _filters(request: Request) -> Filters:
    asked = request.query_params
    days = asked.get("within_days", "")
    if days and not (days.isascii() and days.isdigit() and len(days) <= 4):
        raise FilterRefused(field="within_days", name="within_days", value=days, possible="1, 2, 3 …")
    return Filters(
        text=asked.get("q", "")[:120],
        standing=Standing(chosen(request, "standing", [one.value for one in Standing]) or Standing.OPEN),
        family=chosen(request, "family", [family.value for family in procedures.Family]),
        category=asked.get("category", ""),
        country=asked.get("country", "").upper(),
        region=asked.get("region", ""),
        currency=asked.get("currency", "").upper(),
        deadline_within_days=int(days) if days else None,
    )
