"""The papers of the newest finished procedures: sealed envelopes, signatures, receipts and rolls, written in bulk.

What ended before the platform kept rolls has none, as on a platform that is older than they are.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final

from django.db import transaction

from marketplace import audit
from marketplace.models import Certificate, RevocationList, Signature, SigningRequest
from marketplace.permissions import Actor
from marketplace.services import signing
from marketplace.signatures import Indication, Report, Signer, payload, sealing
from marketplace.signatures.sign import sign
from procurement.demo.cast import Notary
from procurement.demo.companies import Company
from procurement.models import Bid, BidEnvelope, Lot, Tender
from procurement.services import bid_content, bid_roll, bids, lot_keys, receipts
from procurement.services.bid_content import Content, ContentLine

#: Procedures published within this time have their papers.
KEPT_SINCE: Final = timedelta(days=75)


@transaction.atomic
def seal(notary: Notary, suppliers: Sequence[Company], now: datetime) -> int:
    """Give the newest finished procedures their papers. Returns how many procedures have a roll now."""
    by_organisation = {company.organisation.pk: company for company in suppliers}
    lists = sorted(RevocationList.objects.values_list("sha256", flat=True))
    tenders = list(Tender.objects.filter(opened_at__isnull=False, published_at__gt=now - KEPT_SINCE, roll=None))
    lots = list(Lot.objects.filter(tender__in=tenders).select_related("tender"))
    for lot in lots:
        lot_keys.make(lot)
    Lot.objects.bulk_update(lots, ["public_key", "wrapped_private_key"], batch_size=500)
    found = (
        Bid.objects.filter(lot__in=lots)
        .select_related("lot__tender", "supplier")
        .prefetch_related("prices", "lot__items", "supplier__identifiers")
        .order_by("received_at", "pk")
    )
    papers = [_Papers(bid, by_organisation[bid.supplier_id], notary, lists) for bid in found]
    _certify(papers)
    SigningRequest.objects.bulk_create((one.request for one in papers), batch_size=500)
    Signature.objects.bulk_create((one.signature() for one in papers), batch_size=500)
    BidEnvelope.objects.bulk_create((one.envelope() for one in papers), batch_size=500)
    for one in papers:
        one.record()
    for tender in tenders:
        assert tender.opened_at is not None  # as asked for above
        bid_roll.close(tender, tender.opened_at)
        audit.record("tender.opened", tender, by=None, at=tender.opened_at, stream=f"tender:{tender.pk}")
    return len(tenders)


def _certify(papers: Iterable[_Papers]) -> None:
    """The record of each certificate, made at its first use."""
    certificates: dict[int, Certificate] = {}
    for one in papers:
        one.certificate = certificates.setdefault(one.bid.supplier_id, one.new_certificate())
    Certificate.objects.bulk_create(certificates.values(), batch_size=500)


class _Papers:
    """One bid as it was sealed, signed and confirmed."""

    def __init__(self, bid: Bid, company: Company, notary: Notary, lists: Sequence[str]) -> None:
        assert bid.received_at is not None  # a sent bid
        self.bid, self.company, self.lists = bid, company, lists
        self.received_at = bid.received_at
        self.credential, self.authority = notary.credential(company), notary.authority
        self.certificate: Certificate | None = None
        self.ciphertext = _sealed(bid)
        self.manifest = _manifest(bid, self.ciphertext)
        self.request = self._request()
        self._signed: Signature | None = None

    def new_certificate(self) -> Certificate:
        parsed = self.credential.certificate
        return Certificate(
            organisation=self.bid.supplier,
            person=self.company.person,
            sha256=sha256(self.credential.der).hexdigest(),
            der=self.credential.der,
            subject=parsed.subject.rfc4514_string()[:500],
            issuer=parsed.issuer.rfc4514_string()[:500],
            serial=f"{parsed.serial_number:X}",
            not_before=parsed.not_valid_before_utc,
            not_after=parsed.not_valid_after_utc,
            first_used_at=self.received_at,
        )

    def signature(self) -> Signature:
        cms = sign(bytes(self.request.payload), self.credential, self.received_at)
        chain = [sha256(one.der).hexdigest() for one in (self.credential, self.authority.issuing, self.authority.root)]
        self._signed = Signature(
            request=self.request,
            organisation=self.bid.supplier,
            person=self.company.person,
            certificate=self.certificate,
            cms=cms,
            report=self._report(chain).as_dict(),
            evidence={"chain": chain, "revocation": list(self.lists)},
            received_at=self.received_at,
        )
        return self._signed

    def envelope(self) -> BidEnvelope:
        assert self._signed is not None  # made before
        return BidEnvelope(
            bid=self.bid,
            version=1,
            ciphertext=self.ciphertext,
            manifest=self.manifest,
            signature=self._signed,
            received_at=self.received_at,
            receipt=receipts.for_envelope(self.bid, self.manifest, self._signed, self.received_at),
        )

    def record(self) -> None:
        """What the audit trail says of it: a signature that it does not know of betrays a trail that was cut."""
        audit.record(
            "bid.submitted", self.bid, by=Actor(self.company.person, self.bid.supplier), at=self.received_at,
            stream=f"tender:{self.bid.lot.tender_id}", version=1, manifest=self.manifest["content"], files=[],
        )  # fmt: skip

    def _request(self) -> SigningRequest:
        prepared, nonce = self.received_at - timedelta(minutes=3), secrets.token_hex(32)
        ends = self.bid.lot.tender.tender_ends_at
        assert ends is not None  # as every published tender has
        signed = payload.canonical(
            {
                "format": signing.FORMAT,
                "action": bids.SUBMIT,
                "organisation": {
                    "name": self.bid.supplier.full_name,
                    "identifiers": signing.identifiers_of(self.bid.supplier),
                },
                "object": {"type": "bid", "id": str(self.bid.pk), "version": 1},
                "content": self.manifest,
                "prepared_at": f"{prepared:%Y-%m-%dT%H:%M:%SZ}",
                "sign_before": f"{min(ends, prepared + bids.SIGNING_TIME):%Y-%m-%dT%H:%M:%SZ}",
                "nonce": nonce,
            }
        )
        return SigningRequest(
            nonce=nonce,
            action=bids.SUBMIT,
            organisation=self.bid.supplier,
            person=self.company.person,
            object_type="bid",
            object_id=str(self.bid.pk),
            object_version=1,
            payload=signed,
            payload_sha256=payload.sha256_hex(signed),
            created_at=prepared,
            expires_at=min(ends, prepared + bids.SIGNING_TIME),
            used_at=self.received_at,
        )

    def _report(self, chain: Sequence[str]) -> Report:
        signer = Signer(
            subject=self.credential.certificate.subject.rfc4514_string(),
            serial=f"{self.credential.serial:X}",
            identifiers=tuple(signing.identifiers_of(self.bid.supplier)),
            fingerprint=chain[0],
            certificate=self.credential.der,
        )
        return Report(Indication.PASSED, signer=signer, signed_at=self.received_at, chain=tuple(chain))


def _sealed(bid: Bid) -> bytes:
    assert bid.initial_amount is not None  # an opened bid
    lines = tuple(ContentLine(price.item_id, price.unit_price, price.amount) for price in bid.prices.all())
    content = Content(lines, bid.initial_amount, "", ())
    plain = bid_content.encode(bid, 1, content, list(bid.lot.items.all()))
    return sealing.seal(bytes(bid.lot.public_key or b""), plain, bid_content.info(bid, bid_content.CONTENT_PART))


def _manifest(bid: Bid, ciphertext: bytes) -> Mapping[str, Any]:
    lot, tender = bid.lot, bid.lot.tender
    assert tender.tender_ends_at is not None  # as every published tender has
    return {
        "tender": tender.number,
        "tender_title": tender.title,
        "tender_version": tender.version,
        "lot": lot.number,
        "lot_title": lot.title,
        "lot_key_sha256": payload.sha256_hex(bytes(lot.public_key or b"")),
        "bid_version": 1,
        "deadline": receipts.instant(tender.tender_ends_at),
        "algorithm": sealing.ALGORITHM,
        "content": {"size": len(ciphertext), "sha256": payload.sha256_hex(ciphertext)},
        "files": [],
    }
