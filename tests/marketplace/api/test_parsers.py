"""Bodies that are files' parts: read once, and not kept."""

from __future__ import annotations

import gc
import tracemalloc

import pytest
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory
from rest_framework.views import APIView

from marketplace.api.parsers import BYTES, bytes_of

MIB = 1024 * 1024


class Counting(APIView):
    authentication_classes = ()
    permission_classes = ()
    throttle_classes = ()

    def put(self, request: Request) -> Response:
        return Response(len(bytes_of(request, 2 * MIB)))


def put(size: int, media: str = BYTES) -> Response:
    answer: Response = Counting.as_view()(APIRequestFactory().put("/", bytes(size), content_type=media))
    return answer


@pytest.mark.parametrize(("sent", "read"), [(0, 0), (5, 5), (2 * MIB, 2 * MIB), (3 * MIB, 2 * MIB + 1)])
def test_a_body_is_read_to_one_byte_past_its_limit(sent: int, read: int) -> None:
    assert put(sent).data == read


def test_a_body_of_another_kind_is_refused() -> None:
    assert put(5, "application/json").status_code == 415


def test_nothing_of_a_body_stays_until_the_collector_comes() -> None:
    put(MIB)
    gc.collect()
    gc.disable()
    try:
        tracemalloc.start()
        for _part in range(8):
            assert put(MIB).status_code == 200
        kept, _peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        gc.enable()
    assert kept < 2 * MIB
