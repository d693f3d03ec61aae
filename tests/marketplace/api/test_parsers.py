"""Bodies that are files' parts are read once, and not kept; JSON is read where it can be answered."""

from __future__ import annotations

import gc
import json
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


class Repeating(APIView):
    authentication_classes = ()
    permission_classes = ()
    throttle_classes = ()

    def post(self, request: Request) -> Response:
        return Response(request.data)


@pytest.mark.parametrize(
    "body",
    [
        rb'{"need": "\ud800"}',
        rb'{"need": ["a", {"b": "x\udfffy"}]}',
        rb'{"\ud83d": 1}',
        rb'"\ude00\ud83d"',
    ],
)
def test_half_a_character_is_refused_and_no_error_of_ours(body: bytes) -> None:
    request = APIRequestFactory().post("/", body, content_type="application/json")
    answer = Repeating.as_view()(request).render()
    assert (answer.status_code, json.loads(answer.content)["code"]) == (400, "parse_error")


def test_whole_characters_of_any_kind_are_read() -> None:
    body = '{"need": "\\ud83d\\ude00 \\u0428 Ш"}'.encode()
    answer = Repeating.as_view()(APIRequestFactory().post("/", body, content_type="application/json"))
    assert answer.data == {"need": "😀 Ш Ш"}
