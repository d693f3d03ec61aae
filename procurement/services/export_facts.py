"""What an export says in words and JSON: the public facts of a procedure, opened bids, and how to check it all."""

from __future__ import annotations

import base64
import json
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from django.utils.translation import gettext_lazy

from marketplace.services import signing
from marketplace.shared.errors import Sentence
from marketplace.shared.money import Money
from marketplace.signatures.payload import sha256_hex
from procurement.models import Bid, Clarification, Item, Lot, Tender, TenderDocument
from procurement.queries import tenders
from procurement.rules.lifecycle import ClarificationStatus
from procurement.services import criteria, receipts

README: Final = """\
Openlot: export of procedure {number}
{title}

This archive holds what is needed to check the procedure without the platform that ran it. Nothing in it has to be
believed: get `openlot-verify` (one Python file) from a source you trust and run

    openlot-verify {number}.zip --platform-key FINGERPRINT

with the fingerprint of the platform's receipt key that you noted earlier, or that a bidder gives you. Without
--platform-key the fingerprint of the key in this archive is printed: compare it yourself. If you hold a receipt or a
proof of your own, add --receipt FILE or --proof FILE: it must agree with what is in here.

What is where
    tender.json          the public facts: timetable, lots, items, documents (by SHA-256), questions, amendments
    signatures/N/        what was signed (payload.json), the signature (signature.p7s, CAdES, DER), its time stamp
                         (timestamp.tsr) where there is one, the archive time stamps that renewed it (archive-M.tsr,
                         and in archive-M.json what each covers), and about.json: what it was judged by
    evidence/            the certificates, revocation lists and OCSP answers they were judged by, by their SHA-256
    trust/               the anchors the platform trusted: compare them with what your authority publishes
    receipts/            what the platform confirmed to bidders under its own key
    envelopes/           bids as they were sealed; the lots' keys are not in here
    documents/           the documents of those bids as they were sealed, where this version was asked for with them;
                         their hashes stand in what was signed either way
    opened/              what the opening read in them
    custody/             of keys that a committee holds: how many shares open, their commitments, the lots' public
                         keys, and which shares were released when; never a share, nor who holds which
    roll/                the roll of bids closed at the deadline: signed root, all leaves, its time stamp, and the
                         proofs of the bids that may be named here
    audit/chain.jsonl    the audit trail, each record in the form in which it is hashed; of a record that is not for
                         the reader of this export, its number, its hash and the one before stand alone
    audit/anchors/N/     that record N was the trail's head when an authority stamped it: nothing before it can have
                         been changed since
    auctions/            the events of live auctions, chained by hash
    protocols/           what each live auction came to, with all that it takes to check it; labels until the award
    platform/            the public keys of receipts
    index.json           every file with size and SHA-256, under the platform's receipt key

This version: {scope}
{left_out}
"""
_SCOPE_WORDS: Final = {
    "buyer": gettext_lazy("The whole procedure. Before the opening nothing in it tells who bids."),
    "auditor": gettext_lazy("The whole procedure, with who asked what. Before the opening it does not tell who bids."),
    "supplier": gettext_lazy("What is public, and what is your own: bid, receipts, signatures, proof."),
}
SCOPES: Final = {
    "buyer": "for the buyer",
    "auditor": "for the platform's operators and auditors",
    "supplier": "for one bidder: what is public, and what is its own",
}
SEALED: Final = (
    "Who bids and how is not told yet: signatures, receipts and audit records of bids are left out, as are leaves."
)
OF_SUPPLIER: Final = (
    "Other bidders' signatures, receipts, envelopes and leaves are left out, and so is the audit trail, whose length\n"
    "would tell about them. Its head at the deadline stands in the roll's signed statement."
)
COMPLETE: Final = (
    "Envelopes that were withdrawn, replaced or not opened are left out: they are nobody's to read. Of a question the\n"
    "audit record of its asking is for the platform's auditors alone, since it names who asked."
)


def scope_words(scope: str) -> Sentence:
    """What the version of the export holds, for the page that offers it."""
    return _SCOPE_WORDS[scope]


def readme(tender: Tender, scope: str, left_out: str) -> bytes:
    text = README.format(number=tender.number, title=tender.title, scope=SCOPES[scope], left_out=left_out)
    return text.encode()


def pretty(document: Any) -> bytes:
    """JSON that a person can read; the same bytes for the same document."""
    return (json.dumps(document, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()


def tender_facts(tender: Tender, *, shows_limit: bool) -> dict[str, Any]:
    """What is public about the tender; limit prices where the reader may see them."""
    questions = Clarification.objects.filter(tender=tender, status=ClarificationStatus.ANSWERED.value)
    documents = TenderDocument.objects.filter(tender=tender).select_related("file", "lot")
    return {
        "number": tender.number,
        "title": tender.title,
        "description": tender.description,
        "buyer": {"name": tender.buyer.full_name, "identifiers": signing.identifiers_of(tender.buyer)},
        "procedure": tender.procedure,
        "procedure_version": tender.procedure_version,
        "key_custody": tender.key_custody,
        "version": tender.version,
        "status": tender.status,
        "currency": tender.currency,
        "vat_included": tender.vat_included,
        **({"criteria": tender.criteria} if tender.criteria else {}),
        "time_zone": tender.time_zone,
        "timetable": {
            "published_at": _instant(tender.published_at),
            "enquiry_ends_at": _instant(tender.enquiry_ends_at),
            "tender_ends_at": _instant(tender.tender_ends_at),
            "opened_at": _instant(tender.opened_at),
            "auction_starts_at": _instant(tender.auction_starts_at),
            "standstill_ends_at": _instant(tender.standstill_ends_at),
            "closed_at": _instant(tender.closed_at),
        },
        "closing_reason": tender.closing_reason,
        "lots": [_lot(lot, shows_limit=shows_limit) for lot in tenders.with_parts(tender)],
        "documents": [
            {
                "series": one.series, "version": one.version, "title": one.title, "name": one.file.name,
                "lot": one.lot.number if one.lot else None, "size": one.file.size, "sha256": one.file.sha256,
                "added_at": _instant(one.added_at),
            }
            for one in documents
        ],
        "questions": [
            {"number": one.number, "asked_at": _instant(one.asked_at), "question": one.question,
             "answer": one.answer, "answered_at": _instant(one.answered_at)}
            for one in questions
        ],
        "amendments": [
            {"version": one.version, "at": _instant(one.at), "reason": one.reason, "changes": one.changes,
             "bids_must_be_confirmed": one.invalidates_bids, "signature": one.signature_id}
            for one in tender.amendments.all()
        ],
    }  # fmt: skip


def opened_bid(bid: Bid) -> dict[str, Any]:
    """What the opening read, and what stands now. `bid` comes with supplier, lot and prices."""
    return {
        "bid": bid.pk,
        "bid_version": bid.version,
        "lot": bid.lot.number,
        "supplier": {"name": bid.supplier.full_name, "identifiers": signing.identifiers_of(bid.supplier)},
        "status": bid.status,
        "received_at": _instant(bid.received_at),
        "opened_at": _instant(bid.opened_at),
        "currency": bid.currency,
        "total": _amount(bid.initial_amount, bid.currency),
        "standing": _amount(bid.amount, bid.currency),
        **({"answers": bid.answers, "counts_as": criteria.counted(bid)} if bid.lot.tender.criteria else {}),
        "rank": bid.rank,
        "remarks": bid.remarks,
        "problem": bid.opening_problem,
        "reason": bid.decision_reason,
        "lines": [
            {"item": line.item_id, "number": line.item.number, "unit_price": f"{line.unit_price.normalize():f}",
             "amount": _amount(line.amount, bid.currency)}
            for line in bid.prices.all()
        ],
    }  # fmt: skip


def _lot(lot: Lot, *, shows_limit: bool) -> dict[str, Any]:
    key = bytes(lot.public_key) if lot.public_key else None
    return {
        "id": lot.pk,
        "number": lot.number,
        "title": lot.title,
        "status": lot.status,
        "closing_reason": lot.closing_reason,
        "currency": lot.currency,
        "limit_price": _amount(lot.limit_price, lot.currency) if shows_limit else None,
        "vat_rate": f"{lot.vat_rate:f}",
        "delivery_place": lot.delivery_place,
        "public_key": base64.b64encode(key).decode() if key else None,
        "public_key_sha256": sha256_hex(key) if key else None,
        "items": [_item(item) for item in lot.items.all()],
    }


def _item(item: Item) -> dict[str, Any]:
    return {
        "id": item.pk,
        "number": item.number,
        "description": item.description,
        "category": item.category.code,
        "quantity": f"{item.quantity.normalize():f}",
        "unit": item.unit,
    }


def _amount(amount: Decimal | None, currency: str) -> str | None:
    return None if amount is None else Money(amount, currency).as_string()


def _instant(moment: datetime | None) -> str | None:
    return None if moment is None else receipts.instant(moment)
