"""How bodies sent to the API are read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

from django.utils.translation import gettext_lazy as _
from rest_framework import parsers
from rest_framework.exceptions import ParseError


class BytesParser(parsers.BaseParser):
    """The body as it is, for parts of files. The view says in `largest_body` how many bytes it takes; one more is read,
    so that it can tell."""

    media_type = "application/octet-stream"

    def parse(  # type: ignore[override]  # the framework's own stubs know no body of bytes
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> bytes:
        view = (parser_context or {}).get("view")
        left = int(getattr(view, "largest_body", 0)) + 1
        found = []
        while left > 0 and (chunk := stream.read(min(left, 1024 * 1024))):
            found.append(chunk)
            left -= len(chunk)
        return b"".join(found)


class JSONParser(parsers.JSONParser):
    """As the framework's, and brackets nested by the thousand are unreadable too instead of an error of ours."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        try:
            return super().parse(stream, media_type, parser_context)
        except RecursionError as error:
            raise ParseError(_("The JSON is nested too deeply.")) from error
