"""A signature's own time stamps: what they are over, those that a CMS file carries, and one more of them (CAdES-T).

Pure, as `timestamps`.
"""

from __future__ import annotations

from typing import Final

# asn1crypto.tsp, which `timestamps` brings, teaches asn1crypto.cms the attribute.
from asn1crypto import cms

from . import der, shape
from .report import Sub
from .sign import attribute, oid, with_unsigned
from .timestamps import TimeStampError, read

_STAMP: Final = "signature_time_stamp_token"
_STAMP_ATTRIBUTE: Final = oid("1.2.840.113549.1.9.16.2.14")


def stamped_value(signature: bytes) -> bytes:
    """What a signature time stamp is over: the value of the one signature in a CMS file. Raises `TimeStampError`."""
    return bytes(_signer_info(_load(signature))["signature"].native)


def tokens_in(signature: bytes) -> tuple[bytes, ...]:
    """The signature time stamps that a CMS signature carries, DER. Raises `TimeStampError`."""
    attributes = _signer_info(_load(signature))["unsigned_attrs"] or ()
    return tuple(value.dump() for one in attributes if one["type"].native == _STAMP for value in one["values"])


def attach(signature: bytes, token: bytes) -> bytes:
    """The CMS signature with the token as its unsigned attribute signature-time-stamp: CAdES-T, DER.

    Nothing that is signed changes. The same token twice is there once. Raises `TimeStampError` when the token is
    another signature's.
    """
    if not read(token).stamps(stamped_value(signature)):
        raise TimeStampError("The time stamp is for another signature.", Sub.HASH_FAILURE)
    if token in tokens_in(signature):
        return signature
    # The same attribute may hold several; one for each is as good, and leaves those that are there untouched.
    return with_unsigned(signature, attribute(_STAMP_ATTRIBUTE, token))


def _load(signature: bytes) -> cms.ContentInfo:
    try:
        der.check(signature)
        shape.check(signature)
        envelope = cms.ContentInfo.load(signature, strict=True)
        if envelope["content_type"].native == "signed_data" and len(envelope["content"]["signer_infos"]) == 1:
            return envelope
    except Exception as error:  # asn1crypto raises ValueError, TypeError, KeyError and more on odd structures
        raise TimeStampError("The signature to be stamped cannot be read.", Sub.FORMAT_FAILURE) from error
    raise TimeStampError("Only a single signature can be stamped.", Sub.FORMAT_FAILURE)


def _signer_info(envelope: cms.ContentInfo) -> cms.SignerInfo:
    return envelope["content"]["signer_infos"][0]
