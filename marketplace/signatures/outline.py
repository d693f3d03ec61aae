"""Which certificates a signature or an OCSP answer carries, so that the index of revocations can be asked about them.

Read without any library.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Final

from . import der
from .report import CertificateId

MAX_CERTIFICATES: Final = 64
#: Of one OCSP answer: its responder's, and some above it.
MAX_RESPONDERS: Final = 10
_MAX_SIZE: Final = 256 * 1024
_INTEGER, _OCTET_STRING, _SEQUENCE, _SET, _FIRST, _SECOND = 0x02, 0x04, 0x30, 0x31, 0xA0, 0xA1
# Attributes that hold a time-stamp token: content-time-stamp (signed) and signature-time-stamp (unsigned).
_STAMPS: Final = frozenset(
    {bytes.fromhex("060b2a864886f70d0109100214"), bytes.fromhex("060b2a864886f70d010910020e")},
)


def certificates_in(cms: bytes) -> tuple[CertificateId, ...]:
    """Issuer and serial number of every certificate in a CMS signature and in its time stamps, each once.

    At most `MAX_CERTIFICATES`. Bytes that are no such signature hold none; never raises. Believes nothing: the engine
    checks what it uses.
    """
    return _named(cms, _identifiers, MAX_CERTIFICATES)


def certificates_in_answer(response: bytes) -> tuple[CertificateId, ...]:
    """Issuer and serial number of every certificate in an OCSP response (DER), of which one may be its responder's.

    At most `MAX_RESPONDERS`; otherwise as `certificates_in`.
    """
    return _named(response, _responders, MAX_RESPONDERS)


def certificate_id(certificate: bytes) -> CertificateId:
    """Issuer and serial number of one certificate (DER). Raises `ValueError` when it is none."""
    tag, tbs, _ = _first(certificate, *der.content(certificate))
    if tag != _SEQUENCE:
        raise ValueError("this is no certificate")
    parts = [part for part in der.members(certificate, *tbs) if part[0] != _FIRST]
    if len(parts) < 3:
        raise ValueError("this is no certificate")
    (serial_tag, (start, end), _), (issuer_tag, _, issuer) = parts[0], parts[2]
    if (serial_tag, issuer_tag) != (_INTEGER, _SEQUENCE):
        raise ValueError("this is no certificate")
    serial = int.from_bytes(certificate[start:end], "big", signed=True)
    return CertificateId(certificate[slice(*issuer)], serial)


def _named(content: bytes, read: Callable[[bytes], Iterator[CertificateId]], most: int) -> tuple[CertificateId, ...]:
    if not 0 < len(content) <= _MAX_SIZE:
        return ()
    try:
        der.check(content)
        found = dict.fromkeys(read(content))
    except (der.DerError, IndexError, ValueError):
        return ()
    return tuple(found)[:most]


def _identifiers(cms: bytes, depth: int = 0) -> Iterator[CertificateId]:
    _, wrapped = _pair(cms, *der.content(cms))
    _, inside, _ = _first(cms, *wrapped)
    for tag, content, _ in der.members(cms, *inside):
        if tag == _FIRST:
            for member, _, (start, end) in der.members(cms, *content):
                if member == _SEQUENCE:
                    yield certificate_id(cms[start:end])
        elif tag == _SET and depth == 0:  # of digest algorithms first, of signers last: the former hold no attributes
            for start, end in _tokens(cms, *content):
                # Anybody may add a stamp: one that cannot be read hides nothing but itself.
                with contextlib.suppress(der.DerError, IndexError, ValueError):
                    yield from _identifiers(cms[start:end], depth=1)


def _responders(response: bytes) -> Iterator[CertificateId]:
    for tag, wrapped, _ in der.members(response, *der.content(response)):
        if tag != _FIRST:  # the status stands before it
            continue
        _, content, _ = _first(response, *wrapped)
        _, (start, end) = _pair(response, *content)
        basic = response[start:end]
        der.check(basic)
        for inner, listed, _ in der.members(basic, *der.content(basic)):
            if inner == _FIRST:
                _, certificates, _ = _first(basic, *listed)
                for _, _, whole in der.members(basic, *certificates):
                    yield certificate_id(basic[slice(*whole)])


def _tokens(cms: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Where the time-stamp tokens of the signers lie."""
    for _, signer, _ in der.members(cms, start, end):
        for tag, attributes, _ in der.members(cms, *signer):
            if tag not in (_FIRST, _SECOND):
                continue
            for _, attribute, _ in der.members(cms, *attributes):
                kind, values = _pair(cms, *attribute)
                if cms[slice(*kind)] in _STAMPS:
                    yield from (whole for _, _, whole in der.members(cms, *values))


def _first(encoded: bytes, start: int, end: int) -> tuple[int, der.Span, der.Span]:
    for member in der.members(encoded, start, end):
        return member
    raise ValueError("nothing is inside")


def _pair(encoded: bytes, start: int, end: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """An identifier as a whole, and the content of what follows it."""
    (_, _, kind), (_, values, _) = der.members(encoded, start, end)
    return kind, values
