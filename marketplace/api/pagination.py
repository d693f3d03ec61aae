"""Lists of the API by keyset: `next` and `previous` are addresses, null where there is none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from rest_framework import pagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.utils.urls import remove_query_param, replace_query_param
from rest_framework.views import APIView

from marketplace.queries import keyset


class KeysetPagination(pagination.BasePagination):
    """A subclass names the `order`: columns without nulls, the last of them unique."""

    order: ClassVar[Sequence[str]] = ("-pk",)
    size: ClassVar[int] = keyset.SIZE

    def paginate_queryset(self, queryset: Any, request: Request, view: APIView | None = None) -> list[Any]:
        after, before = (request.query_params.get(name, "") for name in ("after", "before"))
        page = keyset.page(queryset, self.order, after=after, before=before, size=self.size)
        address = request.build_absolute_uri()
        for name in ("after", "before"):
            address = remove_query_param(address, name)
        self.next = replace_query_param(address, "after", page.after) if page.after else None
        self.previous = replace_query_param(address, "before", page.before) if page.before else None
        return page.rows

    def answer(self, rows: Any, out: type[Serializer[Any]], request: Request) -> Response:
        """A page of the rows, each as `out` writes it."""
        page = self.paginate_queryset(rows, request)
        return self.get_paginated_response(out(page, many=True).data)

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"next": self.next, "previous": self.previous, "results": data})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        address = {"type": "string", "format": "uri", "nullable": True}
        return {
            "type": "object",
            "required": ["next", "previous", "results"],
            "properties": {"next": address, "previous": address, "results": schema},
        }

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        return [
            {"name": name, "in": "query", "required": False, "schema": {"type": "string"}, "description": words}
            for name, words in (("after", "the page after this cursor"), ("before", "the page before this cursor"))
        ]
