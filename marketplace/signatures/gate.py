"""The strict gate: only a CMS signature of exactly our profile (CAdES-B, detached) gets past it.

pyHanko alone passes signatures without signed attributes or without signing-certificate-v2, and takes any number of
certificates; so the profile is held here, before it sees anything.
"""

from __future__ import annotations

import hashlib
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

# Importing asn1crypto.tsp teaches asn1crypto.cms the attribute signing_certificate_v2.
from asn1crypto import algos, cms, core, tsp, x509

from . import der, shape
from .report import Finding, Signer, Sub

MAX_SIZE = 256 * 1024
MAX_CERTIFICATES = 10
MAX_ATTRIBUTES = 32
#: Time stamps of one kind.
MAX_STAMPS = 4
STRONG_HASHES = frozenset({"sha256", "sha384", "sha512"})
#: Signing times before this are a dead clock's, not a claim.
_DAWN = datetime(2000, 1, 1, tzinfo=UTC)
_MANDATORY = {
    "content_type": "the content type",
    "message_digest": "the message digest",
    "signing_time": "the signing time",
    "signing_certificate_v2": "the reference to the signer's certificate (signing-certificate-v2)",
}
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_ORGANISATION_IDENTIFIER = "2.5.4.97"
_SIGNATURE_STAMP, _CONTENT_STAMP = "1.2.840.113549.1.9.16.2.14", "1.2.840.113549.1.9.16.2.20"
_SET = b"\x31"


@dataclass(frozen=True, slots=True)
class Admitted:
    """A signature whose form is in order. Nothing in it is believed yet."""

    signed_data: cms.SignedData
    signer_info: cms.SignerInfo
    certificates: tuple[x509.Certificate, ...]
    digest_algorithm: str
    scheme: algos.SignedDigestAlgorithm
    message_digest: bytes
    signing_time: datetime
    certificate_reference: tsp.ESSCertIDv2
    signed_bytes: bytes
    signature_stamps: tuple[bytes, ...]
    content_stamps: tuple[bytes, ...]


def admit(signature: bytes) -> Admitted:
    """The signature taken apart. Raises `Finding`."""
    _check_encoding(signature)
    try:
        return _admit(signature)
    except Finding:
        raise
    except Exception as error:  # asn1crypto raises ValueError, TypeError, KeyError and more on odd structures
        raise _format("The file is not a readable CMS signature.") from error


def signer_certificate(admitted: Admitted) -> x509.Certificate:
    """The certificate that the signature names and pins by its hash. Raises `Finding`."""
    try:
        return _signer_certificate(admitted)
    except Finding:
        raise
    except Exception as error:
        raise _format("A certificate in the signature cannot be read.") from error


def _signer_certificate(admitted: Admitted) -> x509.Certificate:
    sid, reference = admitted.signer_info["sid"], admitted.certificate_reference
    algorithm = reference["hash_algorithm"]["algorithm"].native
    for certificate in admitted.certificates if algorithm in STRONG_HASHES else ():
        pinned = hashlib.new(algorithm, certificate.dump()).digest() == reference["cert_hash"].native
        if pinned and _names(sid, certificate) and _same_issuer_serial(reference, certificate):
            return certificate
    if not any(_names(sid, certificate) for certificate in admitted.certificates):
        raise Finding(Sub.NO_SIGNING_CERTIFICATE_FOUND, "The signature does not contain the signer's certificate.")
    if algorithm not in STRONG_HASHES:
        raise Finding(
            Sub.CRYPTO_CONSTRAINTS_FAILURE, "The signature refers to the signer's certificate by a weak hash function."
        )
    raise Finding(
        Sub.NO_SIGNING_CERTIFICATE_FOUND,
        "The certificate in the signature is not the one the signer referred to when signing.",
    )


def describe(certificate: x509.Certificate) -> Signer:
    """The signer, for people and for comparing identifiers. Raises `Finding` when the names cannot be read."""
    encoded = certificate.dump()
    try:
        identifiers = tuple(
            str(attribute["value"].native)
            for relative in certificate.subject.chosen
            for attribute in relative
            if attribute["type"].dotted == _ORGANISATION_IDENTIFIER
        )
        subject = certificate.subject.human_friendly
    except Exception as error:
        raise Finding(Sub.SIG_CONSTRAINTS_FAILURE, "The names in the signer's certificate cannot be read.") from error
    return Signer(
        subject="".join("\ufffd" if _misleading(character) else character for character in subject),
        serial=f"{certificate.serial_number:X}",
        identifiers=identifiers,
        fingerprint=hashlib.sha256(encoded).hexdigest(),
        certificate=encoded,
    )


def check_names(certificate: x509.Certificate) -> None:
    """Raise `Finding` when a name could show a reader something else than it says."""
    values = [value for name in (certificate.subject, certificate.issuer) for value in _values(name)]
    if any(_misleading(character) for value in values for character in value):
        raise Finding(
            Sub.SIG_CONSTRAINTS_FAILURE,
            "A name in the signer's certificate holds invisible control or direction-changing characters.",
        )


def _check_encoding(signature: bytes) -> None:
    if not signature:
        raise _format("The signature file is empty.")
    if len(signature) > MAX_SIZE:
        raise _format("The signature file is larger than 256 kB.")
    if signature.lstrip()[:10] == b"-----BEGIN":
        raise _format("The signature is in PEM form (text). Save it in DER form (binary) and send it again.")
    try:
        der.check(signature)
    except der.DerError as error:
        raise _format(f"The file is not a readable CMS signature: {error}.") from error


def _admit(signature: bytes) -> Admitted:
    envelope = cms.ContentInfo.load(signature, strict=True)
    if envelope["content_type"].native != "signed_data":
        raise _format("The file is a CMS message, but not a signature.")
    try:
        shape.check(signature)
    except der.DerError as error:
        raise _format(f"The file is not a readable CMS signature: {error}.") from error
    signed_data: cms.SignedData = envelope["content"]
    if signed_data["version"].native not in {"v1", "v3"}:
        raise _format("The signature has an unknown version.")
    content = signed_data["encap_content_info"]
    if content["content_type"].native != "data":
        raise _format("The signature is made over content of another type.")
    if content["content"] is not core.VOID and content["content"].native is not None:
        raise _format("The signature carries the document inside. Make a detached signature.")
    signers = signed_data["signer_infos"]
    if len(signers) != 1:
        raise _format("The file must hold exactly one signature; send each co-signature separately.")
    certificates = _certificates(signed_data)
    signer_info = signers[0]
    by_key = signer_info["sid"].name == "subject_key_identifier"
    if signer_info["version"].native != ("v3" if by_key else "v1"):
        raise _format("The signature has an unknown version.")
    values = _signed_attributes(signer_info)
    if len(signer_info["unsigned_attrs"] or ()) > MAX_ATTRIBUTES:
        raise _format("The signature has too many attributes.")
    # What is signed is the attributes as a SET OF; in the message they are tagged as a member of the signer's sequence.
    signed_bytes = _SET + signer_info["signed_attrs"].dump()[1:]
    return Admitted(
        signed_data=signed_data,
        signer_info=signer_info,
        certificates=certificates,
        digest_algorithm=_digest_algorithm(signed_data, signer_info),
        scheme=_scheme(signer_info),
        message_digest=values["message_digest"].native,
        signing_time=_signing_time(values["signing_time"]),
        certificate_reference=values["signing_certificate_v2"]["certs"][0],
        signed_bytes=signed_bytes,
        signature_stamps=_stamps(signer_info["unsigned_attrs"], _SIGNATURE_STAMP),
        content_stamps=_stamps(signer_info["signed_attrs"], _CONTENT_STAMP),
    )


def _certificates(signed_data: cms.SignedData) -> tuple[x509.Certificate, ...]:
    choices = signed_data["certificates"] or ()
    if len(choices) > MAX_CERTIFICATES:
        raise _format(f"The signature carries more than {MAX_CERTIFICATES} certificates.")
    if any(choice.name != "certificate" for choice in choices):
        raise _format("The signature carries a certificate of an unknown kind.")
    if len(signed_data["crls"] or ()) > MAX_CERTIFICATES:
        raise _format("The signature carries too many revocation lists.")
    return tuple(choice.chosen for choice in choices)


def _signed_attributes(signer_info: cms.SignerInfo) -> dict[str, Any]:
    """The single values of the mandatory signed attributes, by name."""
    attributes = signer_info["signed_attrs"]
    if not attributes:
        raise _format("The signature has no signed attributes.")
    if len(attributes) > MAX_ATTRIBUTES:
        raise _format("The signature has too many attributes.")
    encodings = [attribute.dump() for attribute in attributes]
    if encodings != sorted(encodings):
        raise _format("The signed attributes are not in DER order.")
    kinds = [attribute["type"].dotted for attribute in attributes]
    if len(set(kinds)) != len(kinds):
        raise _format("A signed attribute appears twice.")
    found = {attribute["type"].native: attribute["values"] for attribute in attributes}
    for name, words in _MANDATORY.items():
        if name not in found:
            raise _incomplete(words, signer_info["digest_algorithm"]["algorithm"].native)
        if len(found[name]) != 1:
            raise _format(f"The signature must state {words} exactly once.")
    values = {name: found[name][0] for name in _MANDATORY}
    if values["content_type"].native != "data":
        raise _format("The signature is made over content of another type.")
    if len(values["signing_certificate_v2"]["certs"]) < 1:
        raise _format("The reference to the signer's certificate is empty.")
    return values


def _stamps(attributes: cms.CMSAttributes, kind: str) -> tuple[bytes, ...]:
    """The time-stamp tokens of one kind, DER."""
    if not attributes:
        return ()
    found = [value for one in attributes if one["type"].dotted == kind for value in one["values"]]
    if len(found) > MAX_STAMPS:
        raise _format("The signature has too many time stamps.")
    return tuple(value.dump() for value in found)


def _incomplete(missing: str, digest: str) -> Finding:
    """Told to use SHA-1, OpenSSL refers to the certificate in the old way: the weak hash is what a person can mend."""
    if digest not in STRONG_HASHES:
        return Finding(Sub.CRYPTO_CONSTRAINTS_FAILURE, f"The hash function {digest} is too weak. Sign with SHA-256.")
    return Finding(Sub.SIG_CONSTRAINTS_FAILURE, f"The signature does not state {missing}.")


def _digest_algorithm(signed_data: cms.SignedData, signer_info: cms.SignerInfo) -> str:
    name: str = signer_info["digest_algorithm"]["algorithm"].native
    declared = [algorithm["algorithm"].native for algorithm in signed_data["digest_algorithms"]]
    if declared != [name]:
        raise _format("The signature does not agree with itself about its hash function.")
    return name


def _scheme(signer_info: cms.SignerInfo) -> algos.SignedDigestAlgorithm:
    scheme = signer_info["signature_algorithm"]
    # asn1crypto reads them only when they are looked at, and that would be too late to say what is wrong.
    if scheme["algorithm"].native == "rsassa_pss" and not scheme["parameters"].native:
        raise _format("The signature does not say how RSA-PSS was used.")
    if not (scheme["algorithm"].native and signer_info["signature"].native):
        raise _format("The signature has no value.")
    return scheme


def _signing_time(value: cms.Time) -> datetime:
    moment = value.native
    if not isinstance(moment, datetime) or moment.tzinfo is None or moment < _DAWN:
        raise _format("The signing time cannot be read.")
    return moment.astimezone(UTC)


def _names(sid: cms.SignerIdentifier, certificate: x509.Certificate) -> bool:
    if sid.name == "subject_key_identifier":
        return bool(certificate.key_identifier == sid.chosen.native)
    chosen = sid.chosen
    return bool(
        certificate.serial_number == chosen["serial_number"].native and _is_same(certificate.issuer, chosen["issuer"])
    )


def _is_same(one: x509.Name, other: x509.Name) -> bool:
    """By the rules of RFC 5280, which are slow to apply: the same bytes are the same name."""
    return bool(one.dump() == other.dump() or one == other)


def _same_issuer_serial(reference: tsp.ESSCertIDv2, certificate: x509.Certificate) -> bool:
    stated = reference["issuer_serial"]
    if isinstance(stated, core.Void) or stated.native is None:
        return True
    names = stated["issuer"]
    return bool(
        stated["serial_number"].native == certificate.serial_number
        and len(names) == 1
        and names[0].name == "directory_name"
        and _is_same(names[0].chosen, certificate.issuer)
    )


def _values(name: x509.Name) -> list[str]:
    return [str(attribute["value"].native) for relative in name.chosen for attribute in relative]


def _misleading(character: str) -> bool:
    return character in _BIDI or unicodedata.category(character) in {"Cc", "Cs"}


def _format(reason: str) -> Finding:
    return Finding(Sub.FORMAT_FAILURE, reason)
