from __future__ import annotations

from typing import Any

import pytest

from marketplace.signatures import payload


def test_canonical_sorts_keys_and_leaves_no_blanks() -> None:
    assert payload.canonical({"b": [1, True, None], "a": "é"}) == '{"a":"é","b":[1,true,null]}'.encode()


def test_canonical_does_not_depend_on_the_order_given() -> None:
    assert payload.canonical({"a": 1, "b": 2}) == payload.canonical({"b": 2, "a": 1})


@pytest.mark.parametrize("value", [1.5, [0.1], {"price": 100.0}, ({"deep": [float("nan")]},), 2**53, b"bytes", {1: 2}])
def test_canonical_refuses_what_has_no_safe_form(value: Any) -> None:
    with pytest.raises(payload.PayloadError):
        payload.canonical({"value": value})


def test_parse_reads_what_canonical_wrote() -> None:
    content = {"action": "bid", "lot": 1, "files": []}

    assert payload.parse(payload.canonical(content)) == content


@pytest.mark.parametrize(
    "text", [b"", b"[]", b"{", b'{"a": 1}', b'{"b":1,"a":2}', b'{"a":1.0}', b'{"a":1,"a":1}', b"\xff"]
)
def test_parse_refuses_other_forms(text: bytes) -> None:
    with pytest.raises(payload.PayloadError):
        payload.parse(text)


def test_hash_is_sha256_in_hexadecimal() -> None:
    assert payload.sha256_hex(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
