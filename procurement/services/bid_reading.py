"""Reading one bid at the opening: what its envelope holds goes into the tables, and what cannot be read or taken is
said with the evidence. Whatever is wrong with one bid stops no other."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.utils.translation import gettext as _

from marketplace import audit
from marketplace.services import files
from marketplace.signatures import sealing
from marketplace.signatures.payload import sha256_hex
from procurement.models import Bid, BidEnvelope, BidPrice, Item
from procurement.rules.lifecycle import BidStatus
from procurement.services import bid_content, bid_drafts, bid_roll
from procurement.services.bid_content import CONTENT_PART, Content, UnreadableContent, UnreadableDocument
from procurement.services.transitions import move

_PROBLEM_LENGTH = 300


def read(bid: Bid, envelope: BidEnvelope | None, items: Sequence[Item], private: bytes, at: datetime) -> None:
    """Open the bid's envelope and documents with the lot's private key, and record what was found. The bid, its lot and
    tender are locked by the caller.

    Raises OSError where the storage does not work just now, so that the opening is tried again as a whole.
    """
    move(bid, BidStatus.OPENED)
    bid.opened_at = at
    try:
        content = _opened(bid, envelope, items, private)
    except UnreadableContent as error:
        _reject(bid, str(error), _("The envelope could not be read: %(problem)s.") % {"problem": error})
    else:
        assert envelope is not None
        _record(bid, content, envelope, private, at)
    bid_drafts.erase(bid)
    bid.save()
    audit.record(
        "bid.opened", bid, by=None, at=at, stream=f"tender:{bid.lot.tender_id}", version=bid.version,
        problem=bid.opening_problem,
    )  # fmt: skip


def _opened(bid: Bid, envelope: BidEnvelope | None, items: Sequence[Item], private: bytes) -> Content:
    if envelope is None:
        raise UnreadableContent(_("its envelope is missing"))
    ciphertext = bytes(envelope.ciphertext)
    found, signed = sha256_hex(ciphertext), str(envelope.manifest["content"]["sha256"])
    if found != signed:
        raise UnreadableContent(
            _("the stored envelope is not the one that was signed: SHA-256 %(found)s… instead of %(signed)s…")
            % {"found": found[:16], "signed": signed[:16]}
        )
    if not bid_roll.stands(bid, envelope):
        raise UnreadableContent(_("it is not the one that stood on the roll when the time for bids was over"))
    try:
        plain = sealing.open_sealed(private, ciphertext, bid_content.info(bid, CONTENT_PART))
    except sealing.SealingError:
        raise UnreadableContent(
            _("it is stored as it was signed (SHA-256 %(found)s…), and does not open with the lot’s key")
            % {"found": found[:16]}
        ) from None
    return bid_content.decode(bid, envelope.version, plain, items)


def _record(bid: Bid, content: Content, envelope: BidEnvelope, private: bytes, at: datetime) -> None:
    bid.remarks, bid.answers = content.remarks, dict(content.answers)
    if content.complete:
        bid.initial_amount = bid.amount = content.total
        bid.amount_received_at = bid.received_at
    BidPrice.objects.bulk_create(
        BidPrice(bid=bid, item_id=line.item, unit_price=line.unit_price, amount=line.amount) for line in content.lines
    )
    bid.opening_problem = _open_files(bid, content, envelope, private, at)[:_PROBLEM_LENGTH]
    if content.problem:
        _reject(bid, content.problem, _("The bid cannot be taken: %(problem)s.") % {"problem": content.problem})


def _reject(bid: Bid, problem: str, reason: str) -> None:
    bid.opening_problem = "; ".join(filter(None, [problem, bid.opening_problem]))[:_PROBLEM_LENGTH]
    bid.decision_reason = reason
    move(bid, BidStatus.REJECTED)


def _open_files(bid: Bid, content: Content, envelope: BidEnvelope, private: bytes, at: datetime) -> str:
    """Store each document readable. One that is lost or does not open is named with the reason; the price stands."""
    signed = {entry["file"]: entry for entry in envelope.manifest["files"]}
    lost = []
    for file in content.files:
        try:
            bid_content.open_file(bid, file, signed.get(file.file), private, at)
        except UnreadableDocument as error:
            lost.append(_("“%(name)s”: %(reason)s") % {"name": files.visible(file.name), "reason": error})
    return _("These documents could not be read: %(names)s") % {"names": "; ".join(lost)} if lost else ""
