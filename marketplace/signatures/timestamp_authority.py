"""A small time-stamp authority (RFC 3161) of one's own, for demonstrations and tests. Real ones are asked by address.

A real authority's clock is watched and its key lies in hardware; this one has the clock of the machine and a file.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Self

from asn1crypto import algos, cms, core, tsp
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from . import der
from .authority import Authority, KeyType, new_key
from .sign import Credential, write_private
from .timestamps import Answer

#: Under the arc kept for examples (RFC 5612).
POLICY: Final = "1.3.6.1.4.1.32473.7.2"
_HASHES: Final = {"sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512()}
_MAX_REQUEST: Final = 4 * 1024


class _Refused(Exception):
    def __init__(self, failure: str) -> None:
        self.failure = failure


@dataclass(frozen=True)
class TimeStampAuthority:
    """Answers requests with tokens signed by `credential`, an RSA or elliptic-curve key for time stamps only."""

    credential: Credential
    policy: str = POLICY
    accuracy_seconds: int = 1

    def answer(self, request: bytes, at: datetime) -> bytes:
        """The TimeStampResp to a TimeStampReq, DER: granted with `at` as its time, or a refusal. Never raises."""
        try:
            token = self._token(_read(request), at)
        except _Refused as refused:
            status: dict[str, Any] = {"status": "rejection", "fail_info": {refused.failure}}
            return bytes(Answer({"status": status}).dump())
        return bytes(Answer({"status": {"status": "granted"}, "time_stamp_token": token}).dump())

    def _token(self, asked: tsp.TimeStampReq, at: datetime) -> cms.ContentInfo:
        imprint = asked["message_imprint"]
        algorithm = imprint["hash_algorithm"]["algorithm"].native
        if algorithm not in _HASHES or len(imprint["hashed_message"].native) != _HASHES[algorithm].digest_size:
            raise _Refused("bad_alg")
        if asked["req_policy"].native and asked["req_policy"].dotted != self.policy:
            raise _Refused("unaccepted_policy")
        if asked["extensions"].native:
            raise _Refused("unaccepted_extensions")
        said = tsp.TSTInfo(
            {
                "version": "v1",
                "policy": self.policy,
                "message_imprint": imprint,
                "serial_number": secrets.randbits(127) | 1,
                "gen_time": at.astimezone(UTC),
                "accuracy": {"seconds": self.accuracy_seconds},
            }
        )
        if asked["nonce"].native is not None:
            said["nonce"] = asked["nonce"].native
        return self._signed(said.dump(), algorithm, at, with_certificates=bool(asked["cert_req"].native))

    def _signed(self, content: bytes, algorithm: str, at: datetime, *, with_certificates: bool) -> cms.ContentInfo:
        certificate = asn1_x509.Certificate.load(self.credential.der)
        attributes = cms.CMSAttributes(sorted(self._attributes(content, algorithm, at), key=lambda one: one.dump()))
        scheme, value = self._signature(attributes.dump(), algorithm)
        digest_algorithm = algos.DigestAlgorithm({"algorithm": algorithm})
        signer = cms.SignerInfo(
            {
                "version": "v1",
                "sid": cms.SignerIdentifier(
                    "issuer_and_serial_number",
                    {"issuer": certificate.issuer, "serial_number": certificate.serial_number},
                ),
                "digest_algorithm": digest_algorithm,
                "signed_attrs": attributes,
                "signature_algorithm": scheme,
                "signature": value,
            }
        )
        signed: dict[str, Any] = {
            "version": "v3",
            "digest_algorithms": [digest_algorithm],
            "encap_content_info": {"content_type": "tst_info", "content": core.ParsableOctetString(content)},
            "signer_infos": [signer],
        }
        if with_certificates:
            above = [one.public_bytes(serialization.Encoding.DER) for one in self.credential.issuers]
            signed["certificates"] = [asn1_x509.Certificate.load(one) for one in sorted([self.credential.der, *above])]
        return cms.ContentInfo({"content_type": "signed_data", "content": cms.SignedData(signed)})

    def _attributes(self, content: bytes, algorithm: str, at: datetime) -> list[cms.CMSAttribute]:
        reference: dict[str, Any] = {"cert_hash": hashlib.sha256(self.credential.der).digest()}
        if algorithm != "sha256":  # SHA-256 is the default, which DER leaves out
            reference = {
                "hash_algorithm": {"algorithm": algorithm},
                "cert_hash": hashlib.new(algorithm, self.credential.der).digest(),
            }
        return [
            cms.CMSAttribute({"type": "content_type", "values": ["tst_info"]}),
            cms.CMSAttribute({"type": "signing_time", "values": [cms.Time("utc_time", at.astimezone(UTC))]}),
            cms.CMSAttribute({"type": "message_digest", "values": [hashlib.new(algorithm, content).digest()]}),
            cms.CMSAttribute(
                {"type": "signing_certificate_v2", "values": [tsp.SigningCertificateV2({"certs": [reference]})]}
            ),
        ]

    def _signature(self, message: bytes, algorithm: str) -> tuple[algos.SignedDigestAlgorithm, bytes]:
        key, function = self.credential.key, _HASHES[algorithm]
        if isinstance(key, ec.EllipticCurvePrivateKey):
            name, value = f"{algorithm}_ecdsa", key.sign(message, ec.ECDSA(function))
        else:
            assert isinstance(key, rsa.RSAPrivateKey)  # `create` makes no other
            name, value = f"{algorithm}_rsa", key.sign(message, padding.PKCS1v15(), function)
        return algos.SignedDigestAlgorithm({"algorithm": name}), value


@dataclass(frozen=True)
class DemoTimeStamps:
    """The demonstration's time-stamp authority with the certification authority above it, kept in a folder."""

    above: Authority
    server: TimeStampAuthority

    @classmethod
    def create(cls, at: datetime, name: str = "Openlot Demo Time Stamps", key_type: KeyType = "p384") -> Self:
        """A new one; its certificate is valid for five years."""
        above = Authority.create(at, name, key_type)
        return cls(above, TimeStampAuthority(credential(above, at, key_type=key_type, name=name)))

    def save(self, folder: Path) -> None:
        """Write it to a folder that only its owner can enter."""
        self.above.save(folder)
        write_private(folder / "tsa.key.pem", self.server.credential.key_pem())
        write_private(folder / "tsa.crt.pem", self.server.credential.pem)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Raises `FileNotFoundError` when none was saved there."""
        above = Authority.load(folder)
        certificate = x509.load_pem_x509_certificate((folder / "tsa.crt.pem").read_bytes())
        key = serialization.load_pem_private_key((folder / "tsa.key.pem").read_bytes(), password=None)
        assert isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey)
        return cls(above, TimeStampAuthority(Credential(certificate, key, (above.issuing.certificate,))))


def credential(
    above: Authority,
    at: datetime,
    *,
    validity: timedelta = timedelta(days=5 * 365),
    key_type: KeyType = "p256",
    name: str = "Time Stamps",
) -> Credential:
    """A certificate for time stamps only, valid from a year before `at`, so that a made-up past fits in."""
    subject = x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, name), x509.NameAttribute(NameOID.COMMON_NAME, f"{name} TSA")]
    )
    purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])
    start = at - timedelta(days=365)
    return above.certify(subject, new_key(key_type), start, at + validity, eku=None, extensions=[(purpose, True)])


def _read(request: bytes) -> tsp.TimeStampReq:
    try:
        if len(request) > _MAX_REQUEST:
            raise ValueError
        der.check(request)
        asked = tsp.TimeStampReq.load(request, strict=True)
        if asked["version"].native != "v1" or asked.native is None:
            raise ValueError
    except Exception as error:  # asn1crypto raises ValueError, TypeError, KeyError and more on odd structures
        raise _Refused("bad_data_format") from error
    return asked
