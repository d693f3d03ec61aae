"""A strict look at the DER encoding (X.690) before any other parser sees the bytes."""

from __future__ import annotations

from collections.abc import Iterator

Span = tuple[int, int]

#: The name of an authority inside a time stamp inside a signature lies 26 deep.
MAX_DEPTH = 32
MAX_ELEMENTS = 20_000

_BOOLEAN, _INTEGER, _BIT_STRING, _NULL, _OID, _ENUMERATED = 1, 2, 3, 5, 6, 10
_TIMES = {23, 24}
_CONSTRUCTED_ONLY = {8, 11, 16, 17}  # EXTERNAL, EMBEDDED PDV, SEQUENCE, SET


class DerError(ValueError):
    """The bytes are not one well-formed DER element; the message says what is wrong."""


def check(encoded: bytes) -> None:
    """Raise `DerError` unless the bytes are exactly one DER element within bounds. Looks into no OCTET STRING."""
    position, elements = 0, 0
    ends: list[int] = []
    while True:
        while ends and position == ends[-1]:
            ends.pop()
        if elements and not ends:
            break
        elements += 1
        limit = ends[-1] if ends else len(encoded)
        tag_class, constructed, number, start, end = _header(encoded, position, limit)
        if not ends and end != len(encoded):
            raise DerError("there are bytes after the end of the signature")
        if elements > MAX_ELEMENTS or len(ends) >= MAX_DEPTH:
            raise DerError("its structure is too large or nested too deeply")
        if tag_class == 0:
            _check_universal(number, constructed, encoded, start, end)
        if constructed:
            ends.append(end)
            position = start
        else:
            position = end


def members(encoded: bytes, start: int, end: int) -> Iterator[tuple[int, Span, Span]]:
    """The elements from `start` to `end`: first octet, where the content lies, where the whole lies.

    Raises `DerError` for lengths that are wrong; checks nothing else.
    """
    while start < end:
        _, _, _, inside, after = _header(encoded, start, end)
        yield encoded[start], (inside, after), (start, after)
        start = after


def content(encoded: bytes) -> Span:
    """Where the content of one element lies. Raises `DerError`."""
    _, _, _, start, end = _header(encoded, 0, len(encoded))
    return start, end


def _header(encoded: bytes, position: int, limit: int) -> tuple[int, bool, int, int, int]:
    """Class, constructed, tag number, start and end of the content."""
    if position + 2 > limit:
        raise DerError("it is cut short")
    first = encoded[position]
    number = first & 0x1F
    position += 1
    if number == 0x1F:
        # Nothing in a CMS signature has a tag number above 30; the long form only serves to confuse parsers.
        raise DerError("it has an element of an unknown kind")
    length = encoded[position]
    position += 1
    if length == 0x80:
        raise DerError("it is not in DER form (a length is indefinite)")
    if length > 0x80:
        size = length & 0x7F
        octets = encoded[position : position + size]
        length = int.from_bytes(octets, "big")
        if size > 4 or len(octets) != size or octets[0] == 0 or length < 0x80:
            raise DerError("it is not in DER form (a length is not in its shortest form)")
        position += size
    if position + length > limit:
        raise DerError("it is cut short")
    return first >> 6, bool(first & 0x20), number, position, position + length


def _check_universal(number: int, constructed: bool, encoded: bytes, start: int, end: int) -> None:
    if number == 0 or constructed != (number in _CONSTRUCTED_ONLY):
        raise DerError("it is not in DER form (a value is split in parts)")
    size = end - start
    if number in (_INTEGER, _ENUMERATED):
        padded = size > 1 and encoded[start] in (0x00, 0xFF) and (encoded[start] ^ encoded[start + 1]) < 0x80
        wrong = size == 0 or padded
    elif number == _BOOLEAN:
        wrong = size != 1 or encoded[start] not in (0x00, 0xFF)
    elif number == _NULL:
        wrong = size != 0
    elif number == _BIT_STRING:
        unused = encoded[start] if size else 8
        # Bits that are not used are zero, or two encodings would be one value.
        wrong = unused > 7 or bool(encoded[end - 1] & ((1 << unused) - 1) if size > 1 else unused)
    elif number in _TIMES:
        # Without its zone a time would be read as this machine's.
        wrong = encoded[end - 1 : end] != b"Z" or size == 0
    elif number == _OID:
        wrong = size == 0 or bool(encoded[end - 1] & 0x80)
    else:
        wrong = False
    if wrong:
        raise DerError("it is not in DER form (a value is not in its only allowed form)")
