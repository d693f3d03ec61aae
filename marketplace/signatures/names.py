"""Names and keys of authorities as the bytes they stand in: what issuers, lists and certificates are matched by."""

from __future__ import annotations

from . import der

_INTEGER, _SEQUENCE, _VERSION = 0x02, 0x30, 0xA0
_TIMES = (0x17, 0x18)


def name_and_key(certificate: bytes) -> tuple[bytes, bytes]:
    """Subject name and SubjectPublicKeyInfo of a certificate, all DER. Raises `ValueError` when it is none."""
    parts = [whole for tag, whole in _to_be_signed(certificate) if tag != _VERSION]
    try:
        return _cut(certificate, parts[4]), _cut(certificate, parts[5])
    except IndexError:
        raise ValueError("this is no certificate") from None


def issuer_of_list(crl: bytes) -> bytes:
    """The issuer name of a revocation list, both DER. Raises `ValueError` when it is none."""
    parts = [(tag, whole) for tag, whole in _to_be_signed(crl) if tag != _INTEGER][:3]
    if len(parts) < 3 or (parts[0][0], parts[1][0]) != (_SEQUENCE, _SEQUENCE) or parts[2][0] not in _TIMES:
        raise ValueError("this is no revocation list")
    return _cut(crl, parts[1][1])


def _to_be_signed(encoded: bytes) -> list[tuple[int, der.Span]]:
    first = next(der.members(encoded, *der.content(encoded)), None)
    if first is None:
        raise ValueError("there is nothing inside")
    _, inside, _ = first
    return [(tag, whole) for tag, _, whole in der.members(encoded, *inside)]


def _cut(encoded: bytes, span: der.Span) -> bytes:
    return encoded[slice(*span)]


def key_bits(public_key: bytes) -> bytes:
    """The bits of a SubjectPublicKeyInfo (DER): what OCSP and key identifiers hash. Raises `ValueError`."""
    parts = list(der.members(public_key, *der.content(public_key)))
    if len(parts) != 2:
        raise ValueError("this is no public key")
    start, end = parts[1][1]
    return public_key[start + 1 : end]  # the first octet counts unused bits: none
