"""How bodies sent to the API are read."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import IO, Any, Final

from django.utils.translation import gettext_lazy as _
from rest_framework import parsers
from rest_framework.exceptions import ParseError, UnsupportedMediaType
from rest_framework.request import Request

BYTES: Final = "application/octet-stream"


def bytes_of(request: Request, most: int) -> bytes:
    """The body as it is, for parts of files: one byte more than `most` where it is longer, so that the caller can tell.

    Raises UnsupportedMediaType.
    """
    if request.content_type.partition(";")[0].strip().lower() != BYTES:
        raise UnsupportedMediaType(request.content_type)
    stream, found, left = request.stream, [], most + 1
    # A server hands out at once all that it has: asked for bit by bit, every byte would be here twice.
    while stream is not None and left > 0 and (chunk := stream.read(left)):
        found.append(chunk)
        left -= len(chunk)
    _let_go(request)
    return found[0] if len(found) == 1 else b"".join(found)


def _let_go(request: Request) -> None:
    """Leave nothing of the body with the request: it and its view know each other, so what they hold stays until the
    garbage collector comes round, and with large bodies that is hundreds of megabytes. The server's input keeps its
    bytes after they are read, and so does `request.data`, which is not asked for."""
    plain = request._request
    plain._stream = plain.META["wsgi.input"] = io.BytesIO()


class JSONParser(parsers.JSONParser):
    """As the framework's, and what would be an error of ours further on is unreadable too: brackets nested by the
    thousand, and halves of characters (an escaped surrogate alone), which nothing can write down or send back."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        try:
            found = super().parse(stream, media_type, parser_context)
        except RecursionError as error:
            raise ParseError(_("The JSON is nested too deeply.")) from error
        if not _is_text(found):
            raise ParseError(_("The JSON holds half a character: a surrogate without its other half."))
        return found


def _is_text(content: Any) -> bool:
    """Whether every text in it can be written as UTF-8."""
    waiting = [content]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            waiting += one
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
        elif isinstance(one, str) and not one.isascii():
            try:
                one.encode()
            except UnicodeEncodeError:
                return False
    return True
