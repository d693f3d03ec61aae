"""What is signed: a canonical JSON document (RFC 8785), the same bytes whoever writes it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import rfc8785


class PayloadError(ValueError):
    """The content has no canonical form: a float, a whole number past 2⁵³, a key that is no string, another type."""


def canonical(content: Mapping[str, Any]) -> bytes:
    """The canonical bytes of strings, whole numbers, booleans, null, lists and objects. Raises `PayloadError`.

    Floats are refused although RFC 8785 has a form for them: an amount of money is a string here.
    """
    _refuse_floats(content)
    try:
        return rfc8785.dumps(dict(content))
    except rfc8785.CanonicalizationError as error:
        raise PayloadError(str(error)) from error


def sha256_hex(payload: bytes) -> str:
    """Lower-case hexadecimal SHA-256."""
    return hashlib.sha256(payload).hexdigest()


def parse(payload: bytes) -> dict[str, Any]:
    """The content of a canonical document. Raises `PayloadError` when the bytes are not exactly its canonical form."""
    try:
        content = json.loads(payload)
    except ValueError as error:
        raise PayloadError("this is not a JSON document") from error
    if not isinstance(content, dict) or canonical(content) != payload:
        raise PayloadError("this is not a canonical JSON object")
    return content


def _refuse_floats(value: Any) -> None:
    if isinstance(value, float):
        raise PayloadError("a number with a fraction must be written as a string")
    if isinstance(value, Mapping):
        for member in value.values():
            _refuse_floats(member)
    elif isinstance(value, (list, tuple)):
        for member in value:
            _refuse_floats(member)
