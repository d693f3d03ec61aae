"""What a demo authority publishes: its revocation lists and a responder for single certificates (OCSP)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from asn1crypto import core
from asn1crypto import ocsp as asn1
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from .authority import Authority
from .sign import Credential

#: A list is issued every hour, and when somebody was revoked. It holds for long: a demonstration is not always on.
LIST_HOLDS: Final = timedelta(days=45)
_ANSWER_HOLDS: Final = timedelta(hours=8)
_BACKDATED: Final = timedelta(minutes=1)


@dataclass(frozen=True)
class Publication:
    """The public side of an authority, at any moment."""

    authority: Authority

    def issued_at(self, at: datetime) -> datetime:
        """When the lists in force at `at` were issued: on the hour, or when somebody was revoked after that."""
        hour = at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        return max([hour, *(moment for moment in self.authority.revoked.values() if moment <= at)])

    def lists(self, at: datetime) -> dict[str, bytes]:
        """The lists in force by the names of their files, DER. Made anew at each call: keep them till the next."""
        root, issuing = self.authority.crls(self.issued_at(at), LIST_HOLDS)
        return {"root.crl": root, "issuing.crl": issuing}

    def answer(self, request: bytes, at: datetime) -> bytes:
        """The OCSP response to a request about one certificate, DER; never raises."""
        try:
            asked = ocsp.load_der_ocsp_request(request)
            issuer = self._issuer(asked)
        except (ValueError, UnsupportedAlgorithm):
            return _refusal(ocsp.OCSPResponseStatus.MALFORMED_REQUEST)
        if issuer is None:
            return _refusal(ocsp.OCSPResponseStatus.UNAUTHORIZED)
        revoked_at = self._revoked(issuer).get(asked.serial_number)
        start = at.astimezone(UTC) - _BACKDATED
        builder = ocsp.OCSPResponseBuilder().add_response_by_hash(
            asked.issuer_name_hash,
            asked.issuer_key_hash,
            asked.serial_number,
            asked.hash_algorithm,
            ocsp.OCSPCertStatus.REVOKED if revoked_at else ocsp.OCSPCertStatus.GOOD,
            start,
            start + _ANSWER_HOLDS,
            revoked_at.astimezone(UTC) if revoked_at else None,
            None,
        )
        builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, issuer.certificate)
        return respond(builder, issuer, at)

    def _revoked(self, issuer: Credential) -> dict[int, datetime]:
        if issuer is self.authority.issuing:
            return self.authority.revoked
        moment = self.authority.issuing_revoked_at
        return {self.authority.issuing.serial: moment} if moment else {}

    def _issuer(self, asked: ocsp.OCSPRequest) -> Credential | None:
        for credential in (self.authority.issuing, self.authority.root):
            key = x509.SubjectKeyIdentifier.from_public_key(credential.key.public_key()).digest
            if isinstance(asked.hash_algorithm, hashes.SHA1) and asked.issuer_key_hash == key:
                return credential
        return None


def respond(builder: ocsp.OCSPResponseBuilder, signer: Credential, at: datetime) -> bytes:
    """The response signed by an RSA or elliptic-curve key, DER, produced at `at`."""
    return produced(builder.sign(signer.key, hashes.SHA256()).public_bytes(Encoding.DER), signer, at)


def produced(response: bytes, signer: Credential, at: datetime) -> bytes:
    """The response (DER) dated `at` and signed again with SHA-256: the library knows only its own clock."""
    answer = asn1.OCSPResponse.load(response)
    basic = answer["response_bytes"]["response"].parsed
    basic["tbs_response_data"]["produced_at"] = at.astimezone(UTC)
    basic["signature"] = signer.value_over(basic["tbs_response_data"].dump(force=True))
    answer["response_bytes"]["response"] = core.ParsableOctetString(basic.dump(force=True))
    return bytes(answer.dump(force=True))


def _refusal(status: ocsp.OCSPResponseStatus) -> bytes:
    return ocsp.OCSPResponseBuilder.build_unsuccessful(status).public_bytes(Encoding.DER)
