"""The exact shape of a CMS signature (RFC 5652): every part in its place, and nothing beside them.

asn1crypto passes over whatever follows the last part it knows, most of which nobody has signed: two readers of the
same bytes could then see two signatures.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from . import der

_INTEGER, _OCTET_STRING, _NULL, _OID, _SEQUENCE, _SET = 0x02, 0x04, 0x05, 0x06, 0x30, 0x31
_FIRST, _SECOND, _KEY_IDENTIFIER = 0xA0, 0xA1, 0x80


class _Place(NamedTuple):
    tags: frozenset[int]
    required: bool = True


def _one(*tags: int) -> _Place:
    return _Place(frozenset(tags))


def _perhaps(tag: int) -> _Place:
    return _Place(frozenset({tag}), required=False)


_ENVELOPE: Final = (_one(_OID), _one(_FIRST))
_SIGNED_DATA: Final = (
    _one(_INTEGER),
    _one(_SET),
    _one(_SEQUENCE),
    _perhaps(_FIRST),
    _perhaps(_SECOND),
    _one(_SET),
)
_CONTENT: Final = (_one(_OID), _perhaps(_FIRST))
_SIGNER: Final = (
    _one(_INTEGER),
    _one(_SEQUENCE, _KEY_IDENTIFIER),
    _one(_SEQUENCE),
    _perhaps(_FIRST),
    _one(_SEQUENCE),
    _one(_OCTET_STRING),
    _perhaps(_SECOND),
)
_ATTRIBUTE: Final = (_one(_OID), _one(_SET))
#: RFC 5754: the parameters of a hash function are absent or NULL.
_HASH_FUNCTION: Final = (_one(_OID), _perhaps(_NULL))
_ABSENT: Final[der.Span] = (-1, -1)
_TOO_MUCH, _TOO_LITTLE = "it holds more than a signature has places for", "a part of it is missing"


def check(encoded: bytes) -> None:
    """Raise `der.DerError` unless the bytes, which `der.check` has passed, are a SignedData of exactly this shape."""
    _, wrapped = _parts(encoded, der.content(encoded), _ENVELOPE)
    (signed,) = _parts(encoded, wrapped, (_one(_SEQUENCE),))
    _, digests, content, _, _, signers = _parts(encoded, signed, _SIGNED_DATA)
    for digest in _sequences(encoded, digests):
        _parts(encoded, digest, _HASH_FUNCTION)
    _parts(encoded, content, _CONTENT)
    for signer in _sequences(encoded, signers):
        _check_signer(encoded, signer)


def _check_signer(encoded: bytes, signer: der.Span) -> None:
    _, _, digest, signed, _, _, unsigned = _parts(encoded, signer, _SIGNER)
    _parts(encoded, digest, _HASH_FUNCTION)
    for attributes in (signed, unsigned):
        if attributes == _ABSENT:
            continue
        _require(attributes[0] < attributes[1], _TOO_LITTLE)
        for attribute in _sequences(encoded, attributes):
            _parts(encoded, attribute, _ATTRIBUTE)


def _sequences(encoded: bytes, span: der.Span) -> Iterator[der.Span]:
    """The contents of the members, all of which have to be sequences."""
    for tag, inside, _ in der.members(encoded, *span):
        _require(tag == _SEQUENCE, _TOO_LITTLE)
        yield inside


def _parts(encoded: bytes, span: der.Span, places: tuple[_Place, ...]) -> list[der.Span]:
    """Where the content of each part lies; `_ABSENT` for one that may be, and is, absent."""
    members = list(der.members(encoded, *span))
    found = []
    for place in places:
        if members and members[0][0] in place.tags:
            found.append(members.pop(0)[1])
        else:
            _require(not place.required, _TOO_LITTLE)
            found.append(_ABSENT)
    _require(not members, _TOO_MUCH)
    return found


def _require(holds: bool, problem: str) -> None:
    if not holds:
        raise der.DerError(problem)
