"""Purchase history in, in batches; the imports and runs it goes through, out."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from django.utils.translation import gettext_lazy as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from analytics.features.remark_words import sentences
from analytics.models import Import, ImportKind, ImportState, RunState, ScoringRun
from analytics.permissions import book_of, require_manager
from analytics.queries import history, runs, soundness
from analytics.rules.remarks import Odd
from analytics.services import purchases_in
from analytics.services.imports import yesterday
from analytics.services.purchases_in import MOST_LINES, STATUSES, Line
from marketplace.api.authentication import actor_from
from marketplace.api.pagination import KeysetPagination
from marketplace.shared import clock
from marketplace.shared.errors import NotFound
from marketplace.signatures.payload import canonical

KEY = OpenApiParameter(
    "Idempotency-Key", OpenApiTypes.STR, OpenApiParameter.HEADER, required=True,
    description="1 to 64 characters of your own: the same key sent again answers with what the first one did.",
)  # fmt: skip


class PurchaseIn(serializers.Serializer[Any]):
    """A line of an order. It is known by `order` and `line`: sent again it changes nothing, changed it is replaced.

    A `quantity` below zero takes back, from the day of the order named in `cancels`, else from its own; `amount` is of
    the whole line and has the quantity's sign.
    """

    customer_number = serializers.CharField(max_length=120, help_text="stays when the customer is renamed")
    customer_name = serializers.CharField(max_length=300, required=False, default="", allow_blank=True)
    country = serializers.RegexField("^([A-Z]{2})?$", required=False, default="", help_text="ISO 3166-1 alpha-2")
    order = serializers.CharField(max_length=120)
    line = serializers.CharField(max_length=120)
    date = serializers.DateField()
    item = serializers.CharField(max_length=120, required=False, default="", allow_blank=True)
    item_name = serializers.CharField(max_length=300, required=False, default="", allow_blank=True)
    category = serializers.CharField(max_length=120, required=False, default="", allow_blank=True)
    category_name = serializers.CharField(max_length=300, required=False, default="", allow_blank=True)
    quantity = serializers.DecimalField(18, 4)
    amount = serializers.DecimalField(18, 4)
    currency = serializers.RegexField(
        "^[A-Z]{3}$", help_text="ISO 4217", error_messages={"invalid": _("Three capital letters, as in EUR.")}
    )
    cancels = serializers.CharField(max_length=120, required=False, default="", allow_blank=True)


class PurchasesIn(serializers.Serializer[Any]):
    lines = serializers.ListField(
        child=serializers.DictField(), min_length=1, max_length=MOST_LINES, help_text="each as PurchaseIn"
    )


class DescribedPurchasesIn(serializers.Serializer[Any]):
    lines = PurchaseIn(many=True, help_text=f"1 to {MOST_LINES}; one that cannot be read does not stop the others")


class PurchaseResult(serializers.Serializer[Any]):
    """What became of a line. A rejected one says why in `code` and `detail`, by field in `errors`."""

    status = serializers.ChoiceField(choices=STATUSES)
    order = serializers.CharField(required=False)
    line = serializers.CharField(required=False)
    code = serializers.CharField(required=False)
    detail = serializers.CharField(required=False)
    errors = serializers.DictField(required=False)  # type: ignore[assignment]


class PurchaseCounts(serializers.Serializer[Any]):
    new = serializers.IntegerField()
    changed = serializers.IntegerField()
    unchanged = serializers.IntegerField()
    rejected = serializers.IntegerField()


class PurchasesOut(serializers.Serializer[Any]):
    """`results` are in the order sent."""

    id = serializers.IntegerField(help_text="of the import")
    counts = PurchaseCounts()
    results = PurchaseResult(many=True)


class RemarkOut(serializers.Serializer[Any]):
    """What is thin or odd about a history: a stable code, and the same in a sentence."""

    code = serializers.ChoiceField(choices=[odd.value for odd in Odd])
    says = serializers.CharField()


def _remarks(stored: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    return [{"code": str(one["code"]), "says": said} for one in stored for said in sentences([one])]


class HistoryOut(serializers.Serializer[Any]):
    """All that your company's book holds in the currency that is scored, and what is thin or odd about it."""

    currency = serializers.CharField(help_text="scored; empty until the first purchases are in")
    first_day = serializers.DateField(allow_null=True, help_text="with a purchase")
    last_day = serializers.DateField(allow_null=True)
    days = serializers.IntegerField(help_text="on which anybody bought")
    remarks = RemarkOut(many=True)


class ImportOut(serializers.Serializer[Import]):
    """A batch of order lines: a file, a call of this API, or contracts on the platform."""

    id = serializers.IntegerField(source="pk")
    kind = serializers.ChoiceField(choices=ImportKind.values)
    state = serializers.ChoiceField(choices=ImportState.values)
    name = serializers.CharField()
    counts = serializers.DictField(child=serializers.IntegerField())
    rejects = serializers.DictField(child=serializers.IntegerField(), help_text="rows by the code of the reason")
    remarks = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField()
    loaded_at = serializers.DateTimeField(allow_null=True)

    @extend_schema_field(RemarkOut(many=True))
    def get_remarks(self, batch: Import) -> list[dict[str, str]]:
        """On a file, and on the history with it. For what calls of this API bring in: insights/history/."""
        return _remarks(batch.remarks)


class RunOut(serializers.Serializer[ScoringRun]):
    """A run over the book. The newest whole one is `shown`; `parts_done` of `parts` tell how far another is."""

    id = serializers.IntegerField(source="pk")
    state = serializers.ChoiceField(choices=RunState.values)
    shown = serializers.SerializerMethodField()
    cutoff = serializers.DateField(help_text="the last day whose purchases are known")
    horizon = serializers.IntegerField(help_text="days looked ahead")
    currency = serializers.CharField()
    error = serializers.CharField()
    parts = serializers.IntegerField()
    parts_done = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)
    remarks = serializers.SerializerMethodField()
    unscored = serializers.SerializerMethodField()

    @extend_schema_field(RemarkOut(many=True))
    def get_remarks(self, run: ScoringRun) -> list[dict[str, str]]:
        """On the history that was learnt from."""
        return _remarks(run.facts.get("remarks", []))

    @extend_schema_field(serializers.DictField(child=serializers.IntegerField()))
    def get_unscored(self, run: ScoringRun) -> dict[str, int]:
        """Customers whose leaving has no score, by the code of why."""
        return runs.unscored(run)

    def get_shown(self, run: ScoringRun) -> bool:
        return run.book.run_id == run.pk


class Purchases(APIView):
    pagination_class: ClassVar = KeysetPagination

    @extend_schema(responses=ImportOut(many=True), operation_id="insights_imports_list", tags=["insights"])
    def get(self, request: Request) -> Response:
        """The imports of your company's book, newest first."""
        return KeysetPagination().answer(history.imports(book_of(actor_from(request))), ImportOut, request)

    @extend_schema(
        request=DescribedPurchasesIn, responses=PurchasesOut, parameters=[KEY], operation_id="insights_purchases_send",
        tags=["insights"],
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        """Send order lines; they are in when this answers. A sales manager's token."""
        actor = actor_from(request)
        book = book_of(actor)
        require_manager(actor, book)
        sent = PurchasesIn(data=request.data)
        sent.is_valid(raise_exception=True)
        answer = purchases_in.take(
            book, [_read(line) for line in sent.validated_data["lines"]],
            key=request.headers.get("Idempotency-Key", ""),
            sha256=hashlib.sha256(canonical(_plain(request.data))).hexdigest(), by=actor, at=clock.now(),
        )  # fmt: skip
        return Response(answer)


class Purchase(APIView):
    @extend_schema(responses=ImportOut, operation_id="insights_imports_read", tags=["insights"])
    def get(self, request: Request, import_id: int) -> Response:
        """One import: how far it is, and what it brought."""
        found = history.imports(book_of(actor_from(request))).filter(pk=import_id).first()
        if found is None:
            raise NotFound
        return Response(ImportOut(found).data)


class History(APIView):
    @extend_schema(responses=HistoryOut, operation_id="insights_history_read", tags=["insights"])
    def get(self, request: Request) -> Response:
        """What all imports together came to: the period, and what is thin or odd about it."""
        book = book_of(actor_from(request))
        days = soundness.outline(book, book.currency).days
        found = {
            "currency": book.currency, "days": len(days), "first_day": days[0] if days else None,
            "last_day": days[-1] if days else None,
            "remarks": _remarks([one.as_json() for one in soundness.of_book(book, yesterday(clock.now()))]),
        }  # fmt: skip
        return Response(HistoryOut(found).data)


class Runs(APIView):
    pagination_class: ClassVar = KeysetPagination

    @extend_schema(responses=RunOut(many=True), operation_id="insights_runs_list", tags=["insights"])
    def get(self, request: Request) -> Response:
        """The runs over your company's book, newest first."""
        return KeysetPagination().answer(runs.of(book_of(actor_from(request))), RunOut, request)


class Run(APIView):
    @extend_schema(responses=RunOut, operation_id="insights_runs_read", tags=["insights"])
    def get(self, request: Request, run_id: int) -> Response:
        """One run: how far it is, and whether its scores are those shown."""
        found = runs.of(book_of(actor_from(request))).filter(pk=run_id).first()
        if found is None:
            raise NotFound
        return Response(RunOut(found).data)


def _read(sent: dict[str, Any]) -> Line | dict[str, Any]:
    """A line, or why it cannot be read."""
    line = PurchaseIn(data=sent)
    if not line.is_valid():
        errors = {name: [str(sentence) for sentence in sentences] for name, sentences in line.errors.items()}
        return {"code": "invalid", "detail": "; ".join(f"{name}: {said[0]}" for name, said in errors.items()),
                "errors": errors}  # fmt: skip
    given = line.validated_data
    return Line(
        account=given["customer_number"], account_name=given["customer_name"], country=given["country"],
        order=given["order"], line=given["line"], day=given["date"], item=given["item"],
        item_name=given["item_name"], category=given["category"], category_name=given["category_name"],
        quantity=given["quantity"], amount=given["amount"], currency=given["currency"], cancels=given["cancels"],
    )  # fmt: skip


def _plain(sent: Any) -> Any:
    """What was sent, for its hash: numbers as their words, which no two programs round differently."""
    if isinstance(sent, dict):
        return {str(name): _plain(value) for name, value in sent.items()}
    if isinstance(sent, list):
        return [_plain(value) for value in sent]
    return str(sent) if isinstance(sent, int | float) and not isinstance(sent, bool) else sent
