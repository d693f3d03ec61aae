"""The roll of bids: closed in the transaction that ends bidding, before any key is used, and never changed after.

Its root is published, signed and time-stamped, so that no bid can be added, dropped or changed later without whoever
holds a proof, or the root, being able to tell.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils.translation import gettext_lazy

from marketplace import audit
from marketplace.models import AuditRecord, StampedStatement
from marketplace.permissions import Actor
from marketplace.services import statement_stamps, timestamps
from marketplace.services.stamp_renewal import Renewed
from marketplace.shared import jobs, keys
from marketplace.shared.errors import NotFound, Sentence
from marketplace.signatures.dossier import Dossier
from marketplace.signatures.payload import canonical, sha256_hex
from procurement import permissions
from procurement.models import Bid, BidEnvelope, BidRoll, RollLeaf, Tender
from procurement.rules import roll as rules
from procurement.rules.lifecycle import BidStatus, LotStatus
from procurement.services import export_custody, receipts

#: Rolls that one run stamps; the next comes a minute later.
_STAMPED_AT_ONCE: Final = 100
_AT_ONCE: Final = 1000
_CIPHERTEXTS_AT_ONCE: Final = 20
_NOT_ON_THE_ROLL: Final = ("bid__draft", "receipt", "withdrawal_receipt")
_LACKS: Final[Mapping[rules.Lack, Sentence]] = MappingProxyType(
    {
        rules.Lack.NO_FORM: gettext_lazy("The file is not a proof in the platform’s form."),
        rules.Lack.OTHER_PROCEDURE: gettext_lazy("The bid and the roll belong to different procedures."),
        rules.Lack.NOT_UNDER_ROOT: gettext_lazy("The bid that it names is not under the root that it names."),
    }
)


class Fault(StrEnum):
    """What is not as it was when the roll was closed."""

    ADDED = "added"
    CHANGED = "changed"
    DROPPED = "dropped"
    MISSING = "missing"
    ROLL_CHANGED = "roll_changed"


@dataclass(frozen=True, slots=True)
class Found:
    """A fault; `bid` is None where it is not known whose."""

    fault: Fault
    bid: int | None = None


@dataclass(frozen=True, slots=True)
class ProofVerdict:
    """What an uploaded proof turned out to be. `on_record`: the root is the one this platform has on record."""

    holds: bool
    reason: Sentence = ""
    leaf: Mapping[str, Any] | None = None
    content: Mapping[str, Any] | None = None
    on_record: bool = False


@transaction.atomic
def close(tender: Tender, at: datetime) -> BidRoll:
    """Write down which bids stand, once. The caller holds the tender's lock and has just ended bidding."""
    closed = BidRoll.objects.filter(tender=tender).first()
    if closed is not None:
        return closed
    standing, left_out = _sorted_out(_envelopes(tender).defer("ciphertext", *_NOT_ON_THE_ROLL))
    leaves = [_leaf(envelope, tender.number, secrets.token_hex(rules.SALT_SIZE)) for envelope in standing]
    statement = _statement(tender, [hash_ for _envelope, _salt, hash_ in leaves], at)
    roll = BidRoll.objects.create(
        tender=tender,
        root=statement["content"]["root"],
        size=len(leaves),
        closed_at=at,
        statement=statement,
        statement_sha256=sha256_hex(canonical(statement)),
    )
    RollLeaf.objects.bulk_create(
        (RollLeaf(roll=roll, envelope=envelope, salt=salt, hash=hash_) for envelope, salt, hash_ in leaves),
        batch_size=1000,
    )
    audit.record(
        "tender.roll_closed", tender, by=None, at=at, stream=_stream(tender),
        root=roll.root, size=roll.size, statement_sha256=roll.statement_sha256, left_out=left_out,
    )  # fmt: skip
    jobs.enqueue("procurement.tasks.stamp_roll", roll.pk)
    return roll


def of(tender: Tender) -> BidRoll | None:
    """The tender's roll; None before the deadline, and for one cancelled before it."""
    return BidRoll.objects.filter(tender=tender).first()


def hashes_of(roll: BidRoll) -> list[str]:
    """The public list of leaves, in the tree's order."""
    return list(_hashes(roll))


def page_of(roll: BidRoll, after: str, size: int) -> list[str]:
    """The next `size` of these hashes after the one given, from the first where it is empty."""
    return list(_hashes(roll).filter(hash__gt=after)[:size])


def published(roll: BidRoll) -> dict[str, Any]:
    """What anybody may have: the signed statement, the leaves' hashes and the time stamp."""
    return {"statement": roll.statement, "leaves": hashes_of(roll), "timestamp": _base64(roll.timestamp)}


def leaf_of(bid: Bid) -> RollLeaf | None:
    """The bid's own leaf, with its envelope and the roll."""
    return (
        RollLeaf.objects.filter(envelope__bid=bid)
        .select_related("roll__tender", "envelope__signature", "envelope__bid__lot")
        .defer("envelope__ciphertext")
        .first()
    )


def proof_of(bid: Bid, *, by: Actor) -> dict[str, Any]:
    """The proof that the organisation's own bid is on the roll. Raises NotFound for others, and where it is not."""
    permissions.require_bidder(by, bid)
    leaf = leaf_of(bid)
    if leaf is None:
        raise NotFound
    return proof(leaf)


def proof(leaf: RollLeaf, proofs: rules.Proofs | None = None) -> dict[str, Any]:
    """The proof of one leaf, made of what is stored now: where that is not what stood on the roll, it does not hold.
    `proofs` saves building the tree for each of many leaves."""
    roll, content = leaf.roll, content_of(leaf)
    made = (
        proofs.of(content, leaf.hash)
        if proofs is not None
        else rules.proof(content, leaf.hash, _hashes(roll).iterator(chunk_size=_AT_ONCE), roll.statement)
    )
    return made | {"timestamp": _base64(roll.timestamp)}


def proofs_of(roll: BidRoll) -> rules.Proofs:
    """For the proofs of many leaves."""
    return rules.Proofs(_hashes(roll).iterator(chunk_size=_AT_ONCE), roll.statement)


def content_of(leaf: RollLeaf) -> dict[str, Any]:
    """What the leaf says, made anew of what is stored now: for the bidder, and for all who may read the opened bid."""
    return _content(leaf.envelope, leaf.roll.tender.number, leaf.salt)


def holds(leaf: RollLeaf) -> bool:
    """Whether the bid, as it is stored now, is under the published root."""
    try:
        rules.proven(proof(leaf))
    except rules.NoProof:
        return False
    return True


def stands(bid: Bid, envelope: BidEnvelope) -> bool:
    """Whether the envelope, as it is stored now, is the one that stood on the roll. For the opening: days may lie
    between it and the deadline, where a committee holds the key."""
    leaf = RollLeaf.objects.filter(envelope=envelope).select_related("roll").first()
    if leaf is None:
        return False
    envelope.bid = bid
    return rules.hash_of(_content(envelope, bid.lot.tender.number, leaf.salt)) == leaf.hash


def is_proof(document: bytes) -> bool:
    """Whether these bytes mean to be a proof; whether they are one says `check`."""
    try:
        return rules.read(document[: receipts.LARGEST_RECEIPT + 1]).get("format") == rules.PROOF_FORMAT
    except rules.NoProof:
        return False


def check(document: bytes) -> ProofVerdict:
    """What a proof is worth that somebody holds. Never raises."""
    try:
        found = rules.read(document[: receipts.LARGEST_RECEIPT + 1])
        proven = rules.proven(found)
        content = keys.verify_receipt(proven.statement, keys.keyring().receipt_public_keys())
    except rules.NoProof as error:
        return ProofVerdict(False, _LACKS[error.lack])
    except keys.ReceiptError:
        return ProofVerdict(False, gettext_lazy("The roll’s statement was not signed by this platform."))
    roll = BidRoll.objects.filter(tender__number=str(content["tender"])).first()
    return ProofVerdict(True, "", proven.leaf, content, roll is not None and roll.statement == proven.statement)


def faults(tender: Tender) -> list[Found]:
    """Every difference between the bids as they are stored and the roll; empty when it is whole.

    Bids of the opened tender are compared too: opening changes none of what stands on the roll.
    """
    roll = of(tender)
    if roll is None:
        return []
    found: list[Found] = []
    hashes: list[str] = []
    # A ciphertext may have two megabytes: a few at a time, and nothing of them is kept.
    for envelope in _envelopes(tender).select_related("leaf").order_by("pk").iterator(chunk_size=_CIPHERTEXTS_AT_ONCE):
        leaf = getattr(envelope, "leaf", None)
        if leaf is None or leaf.roll_id != roll.pk:
            if not _why_left_out(envelope):
                found.append(Found(Fault.ADDED, envelope.bid_id))
            continue
        if _why_left_out(envelope) not in ("", "lot_cancelled"):
            found.append(Found(Fault.DROPPED, envelope.bid_id))
        now = rules.hash_of(_content(envelope, tender.number, leaf.salt))
        hashes.append(now)
        if now != leaf.hash or sha256_hex(bytes(envelope.ciphertext)) != envelope.manifest["content"]["sha256"]:
            found.append(Found(Fault.CHANGED, envelope.bid_id))
    found += [Found(Fault.MISSING) for _ in range(max(0, roll.size - len(hashes)))]
    if not _statement_stands(roll) or rules.tree(hashes).root.hex() != roll.statement["content"]["root"]:
        found.append(Found(Fault.ROLL_CHANGED))
    return found


def stamp(roll_id: int, *, at: datetime) -> bool:
    """Have a roll time-stamped that is not yet; False where no authority is set or answers. Asks under no lock."""
    roll = BidRoll.objects.get(pk=roll_id)
    if roll.timestamp is not None or not timestamps.configured():
        return False
    kept = statement_stamps.say(StampedStatement.Kind.BID_ROLL, roll.statement, at=at)
    token = statement_stamps.stamp(kept, at=at)
    if token is None:
        return False
    keep_stamp(roll.pk, token.encoded, token.generated_at, at)
    return True


def stamp_waiting(*, at: datetime) -> int:
    """Stamp the rolls that wait, oldest first, until no authority answers. Returns how many were stamped."""
    waiting = BidRoll.objects.filter(timestamp=None).order_by("pk").values_list("pk", flat=True)[:_STAMPED_AT_ONCE]
    done = 0
    for roll_id in waiting:
        if not stamp(roll_id, at=at):
            break
        done += 1
    return done


def renew_stamps(*, at: datetime) -> Renewed:
    """Stamp rolls again whose stamps would stop proving anything; the leaves are covered with the statement."""
    _adopt_stamps(at)
    return statement_stamps.renew(StampedStatement.Kind.BID_ROLL, _summed, at=at)


def archives_of(roll: BidRoll) -> Dossier | None:
    """The roll's statement with its stamps and what they rest on; None while no stamp is kept with its evidence."""
    kept = StampedStatement.objects.filter(sha256=roll.statement_sha256, stamped_at__isnull=False).first()
    return statement_stamps.dossiers([kept])[kept.pk] if kept is not None else None


def _adopt_stamps(at: datetime) -> None:
    """Have stamps renewed that were kept before what they rest on was, or whose task was cut off in between."""
    settled = StampedStatement.objects.filter(sha256=OuterRef("statement_sha256"))
    settled = settled.filter(Q(stamped_at__isnull=False) | Q(next_try_at__gt=at))
    older = BidRoll.objects.filter(~Exists(settled), timestamp__isnull=False).order_by("pk")
    for roll in older[:_STAMPED_AT_ONCE]:
        kept = statement_stamps.say(StampedStatement.Kind.BID_ROLL, roll.statement, at=at)
        statement_stamps.adopt(kept, bytes(roll.timestamp or b""), at=at)


def _summed(statement: StampedStatement) -> bytes:
    roll = BidRoll.objects.get(statement_sha256=statement.sha256)
    return canonical({"leaves": hashes_of(roll)})


@transaction.atomic
def keep_stamp(roll_id: int, token: bytes, stamped_at: datetime, at: datetime) -> BidRoll:
    """Keep the authority's time stamp over the roll's statement, once."""
    roll = BidRoll.objects.select_for_update(of=("self",)).select_related("tender").get(pk=roll_id)
    if roll.timestamp is not None:
        return roll
    roll.timestamp, roll.stamped_at = token, stamped_at
    roll.save(update_fields=["timestamp", "stamped_at"])
    audit.record(
        "tender.roll_stamped", roll.tender, by=None, at=at, stream=_stream(roll.tender),
        stamped_at=receipts.instant(stamped_at), timestamp_sha256=sha256_hex(token),
    )  # fmt: skip
    return roll


def _statement(tender: Tender, hashes: Sequence[str], at: datetime) -> dict[str, Any]:
    """The roll under the platform's signature. It names the head of the audit trail too: stamped with the rest, that
    fixes everything that was recorded of the procedure until then; and what a committee announced of its keys."""
    assert tender.tender_ends_at is not None  # a published tender has one: a constraint of the table
    head = AuditRecord.objects.filter(stream=_stream(tender)).order_by("-number").values_list("hash", flat=True)
    ceremony = export_custody.fingerprint(tender)
    return keys.sign_receipt(
        {
            **({"custody_sha256": ceremony} if ceremony is not None else {}),
            "kind": rules.STATEMENT_KIND,
            "platform": settings.SITE_URL,
            "tender": tender.number,
            "tender_version": tender.version,
            "deadline": receipts.instant(tender.tender_ends_at),
            "closed_at": receipts.instant(at),
            "algorithm": rules.ALGORITHM,
            "size": len(hashes),
            "root": rules.tree(hashes).root.hex(),
            "audit_head": head.first() or audit.GENESIS,
        }
    )


def _envelopes(tender: Tender) -> QuerySet[BidEnvelope]:
    found = BidEnvelope.objects.filter(bid__lot__tender=tender).select_related("bid__lot", "signature")
    return found.defer(*_NOT_ON_THE_ROLL)


def _hashes(roll: BidRoll) -> QuerySet[RollLeaf, str]:
    return RollLeaf.objects.filter(roll=roll).order_by("hash").values_list("hash", flat=True)


def _sorted_out(envelopes: Iterable[BidEnvelope]) -> tuple[list[BidEnvelope], list[dict[str, str]]]:
    """What stands, and what does not with the reason; the latter by the signature's hash, which names nobody."""
    standing, left_out = [], []
    for envelope in envelopes:
        why = _why_left_out(envelope)
        if why:
            left_out.append({"signature_sha256": sha256_hex(bytes(envelope.signature.cms)), "why": why})
        else:
            standing.append(envelope)
    return standing, sorted(left_out, key=lambda one: one["signature_sha256"])


def _why_left_out(envelope: BidEnvelope) -> str:
    if envelope.withdrawal_signature_id is not None:
        return "withdrawn"
    if envelope.superseded_at is not None or envelope.version != envelope.bid.version:
        return "replaced"
    if envelope.bid.lot.status == LotStatus.CANCELLED:
        return "lot_cancelled"
    if envelope.bid.status in (BidStatus.INVALIDATED, BidStatus.WITHDRAWN):
        return "not_confirmed"
    return ""


def _leaf(envelope: BidEnvelope, number: str, salt: str) -> tuple[BidEnvelope, str, str]:
    return envelope, salt, rules.hash_of(_content(envelope, number, salt))


def _content(envelope: BidEnvelope, number: str, salt: str) -> dict[str, Any]:
    return rules.leaf(
        tender=number,
        lot=envelope.bid.lot.number,
        bid=envelope.bid_id,
        version=envelope.version,
        manifest=envelope.manifest,
        signature=bytes(envelope.signature.cms),
        received_at=envelope.received_at,
        salt=salt,
    )


def _statement_stands(roll: BidRoll) -> bool:
    said = roll.statement["content"]
    try:
        keys.verify_receipt(roll.statement, keys.keyring().receipt_public_keys())
    except keys.ReceiptError:
        return False
    return (
        (said["root"], said["size"]) == (roll.root, roll.size)
        and sha256_hex(canonical(roll.statement)) == roll.statement_sha256
    )  # fmt: skip


def _base64(token: bytes | memoryview | None) -> str | None:
    return None if token is None else base64.b64encode(bytes(token)).decode()


def _stream(tender: Tender) -> str:
    return f"tender:{tender.pk}"
