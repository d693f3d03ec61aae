"""The export of a procedure: an archive that anybody can check without this platform.

Who may have which version: the buyer's people and the platform's auditors the whole, a bidder what is public and what
is its own. Before the opening no version tells who else bids, and none ever holds what nobody may read.
"""

from __future__ import annotations

import base64
import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import BinaryIO, Final

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q, QuerySet, Sum

from marketplace import audit
from marketplace.models import AuditRecord, Organisation, Signature, StampedStatement
from marketplace.permissions import Actor
from marketplace.services import audit_anchors
from marketplace.services.audit_anchors import Anchor
from marketplace.shared import keys
from marketplace.signatures.payload import canonical, sha256_hex
from procurement import permissions
from procurement.models import (
    Auction,
    Award,
    Bid,
    BidEnvelope,
    BidFile,
    BidRoll,
    Contract,
    ExportScope,
    RollLeaf,
    Tender,
)
from procurement.queries import auctions as auction_queries
from procurement.queries import audit as audit_queries
from procurement.queries.bids import OPENED
from procurement.rules.lifecycle import AuctionStatus
from procurement.services import (
    auction_protocol,
    bid_files,
    bid_roll,
    export_custody,
    export_facts,
    protocols,
    receipts,
)
from procurement.services.export_archive import CHUNK, Archive, Content, Stored
from procurement.services.export_evidence import Evidence, Stamps

FORMAT: Final = "openlot-export-1"
KIND: Final = "procedure_export"
_AT_ONCE: Final = 100


@dataclass(frozen=True, slots=True)
class Reader:
    """For whom an export is made; `organisation` is the bidder's. `documents`: with the ciphertexts of the documents of
    the standing bids whose envelopes are in it."""

    scope: ExportScope
    organisation: Organisation | None = None
    documents: bool = False


@dataclass
class _Gathered:
    """What the parts of one export have in common, and what became of its documents."""

    reader: Reader
    evidence: Evidence = field(default_factory=Evidence)
    lost: list[str] = field(default_factory=list)


def reader_of(actor: Actor, tender: Tender, *, documents: bool = False) -> Reader:
    """The version this person may have. Raises NotFound, or RoleMissing for a colleague without the role."""
    scope = permissions.export_scope(actor, tender)
    return Reader(scope, actor.organisation if scope == ExportScope.SUPPLIER else None, documents)


def build(tender: Tender, reader: Reader, out: BinaryIO, progress: Callable[[int], None] | None = None) -> None:
    """Write the archive, one state of the database, a few entries in memory at a time.

    The same state gives the same bytes. `progress` is told how many entries are written.
    """
    with _snapshot():
        tender = Tender.objects.select_related("buyer").defer("search").get(pk=tender.pk)
        archive, gathered = Archive(out), _Gathered(reader)
        for path, content in _parts(tender, gathered):
            archive.add(path, content)
            if progress is not None:
                progress(len(archive.entries))
        archive.add("index.json", export_facts.pretty(_index(tender, gathered, archive)))
        archive.close()


def weight(tender: Tender, reader: Reader) -> int:
    """About how many entries the archive will have."""
    signatures = _signatures(tender, reader).count()
    bids, documents = _bids(tender, reader).count(), _documents(tender, reader).count()
    anchors = 0 if reader.scope == ExportScope.SUPPLIER else audit_anchors.count(f"tender:{tender.pk}")
    return 3 * signatures + 4 * bids + documents + 2 * anchors + 10


def document_bytes(tender: Tender, reader: Reader) -> int:
    """About how many bytes of documents the archive will have."""
    return _documents(tender, reader).aggregate(total=Sum("size"))["total"] or 0


# What is in it ------------------------------------------------------------------------------------------------------


def _parts(tender: Tender, gathered: _Gathered) -> Iterator[tuple[str, Content]]:
    reader, evidence = gathered.reader, gathered.evidence
    shows_limit = reader.scope != ExportScope.SUPPLIER or tender.limit_price_shown
    yield "README.txt", export_facts.readme(tender, reader.scope, _left_out(tender, reader))
    yield "tender.json", export_facts.pretty(export_facts.tender_facts(tender, shows_limit=shows_limit))
    yield "platform/receipt-keys.json", export_facts.pretty(receipt_keys())
    yield from _signature_parts(tender, reader, evidence)
    yield from _bid_parts(tender, gathered)
    yield from _roll_parts(tender, reader, evidence)
    yield from _custody_parts(tender)
    yield from _protocol_parts(tender, reader)
    if reader.scope != ExportScope.SUPPLIER:
        yield "audit/chain.jsonl", _audit_lines(tender, reader)
        yield from _anchor_parts(tender, evidence)
        yield from _auction_parts(tender)
    yield from evidence.parts()
    yield "trust/policy.json", export_facts.pretty({"eku": settings.SIGNING_EKU_OID or None})


def _signature_parts(tender: Tender, reader: Reader, evidence: Evidence) -> Iterator[tuple[str, Content]]:
    found = _signatures(tender, reader).select_related("request", "certificate").order_by("pk")
    rows = found.iterator(chunk_size=_AT_ONCE)
    while some := list(islice(rows, _AT_ONCE)):
        stamps = evidence.of(some)
        for signature in some:
            folder = f"signatures/{signature.pk}"
            yield f"{folder}/payload.json", bytes(signature.request.payload)
            yield f"{folder}/signature.p7s", bytes(signature.cms)
            yield f"{folder}/about.json", export_facts.pretty(_about(signature))
            if signature.pk in stamps:
                yield from stamps[signature.pk].parts(folder)


def _bid_parts(tender: Tender, gathered: _Gathered) -> Iterator[tuple[str, Content]]:
    reader = gathered.reader
    bids = _bids(tender, reader)
    own = reader.scope == ExportScope.SUPPLIER
    envelopes = BidEnvelope.objects.filter(bid__in=bids).select_related("bid__lot").defer("bid__draft")
    for envelope in envelopes.order_by("bid_id", "version").iterator(chunk_size=20):
        name = f"{envelope.bid_id}-{envelope.version}"
        yield f"receipts/{name}-received.json", export_facts.pretty(envelope.receipt)
        if envelope.withdrawal_receipt:
            yield f"receipts/{name}-withdrawn.json", export_facts.pretty(envelope.withdrawal_receipt)
        stands = envelope.superseded_at is None and envelope.withdrawal_signature_id is None
        if own or (stands and envelope.bid.status in OPENED):
            yield f"envelopes/{name}.sealed", bytes(envelope.ciphertext)
            if reader.documents and stands:
                yield from _document_parts(envelope, gathered)
    opened = bids.filter(opened_at__isnull=False, status__in=[status.value for status in OPENED])
    opened = opened.select_related("lot__tender", "supplier").defer("draft").order_by("pk")
    for bid in opened.prefetch_related("prices__item", "supplier__identifiers").iterator(chunk_size=_AT_ONCE):
        yield f"opened/{bid.pk}.json", export_facts.pretty(export_facts.opened_bid(bid))


def _document_parts(envelope: BidEnvelope, gathered: _Gathered) -> Iterator[tuple[str, Content]]:
    """The ciphertexts that the envelope's manifest names, as they are stored now: what is signed of them is there too,
    so that one that was changed is found by whoever reads the export. One that is lost is named in the index."""
    stored = dict(envelope.bid.files.values_list("pk", "sealed_path"))
    for entry in envelope.manifest["files"]:
        name = f"documents/{envelope.bid_id}-{entry['file']}.sealed"
        path = stored.get(entry["file"])
        try:
            document = bid_files.open_stored(path) if path else None
        except FileNotFoundError:
            document = None
        if document is None:
            gathered.lost.append(name)
            continue
        with document:
            yield name, Stored(int(entry["size"]), document.chunks(CHUNK))


def _roll_parts(tender: Tender, reader: Reader, evidence: Evidence) -> Iterator[tuple[str, Content]]:
    roll = BidRoll.objects.filter(tender=tender).first()
    if roll is None:
        return
    yield "roll/roll.json", export_facts.pretty(bid_roll.published(roll))
    if roll.timestamp is not None:
        yield from _roll_stamps(roll, evidence)
    proofs = bid_roll.proofs_of(roll)
    leaves = RollLeaf.objects.filter(roll=roll, envelope__bid__in=_bids(tender, reader))
    leaves = leaves.select_related("roll__tender", "envelope__signature", "envelope__bid__lot")
    for leaf in (
        leaves.defer("envelope__ciphertext", "envelope__bid__draft")
        .order_by("envelope__bid")
        .iterator(chunk_size=_AT_ONCE)
    ):
        yield f"roll/proofs/{leaf.envelope.bid_id}.json", export_facts.pretty(bid_roll.proof(leaf, proofs))


def _roll_stamps(roll: BidRoll, evidence: Evidence) -> Iterator[tuple[str, Content]]:
    kept = StampedStatement.objects.filter(sha256=roll.statement_sha256)
    stamps = next(iter(evidence.of_statements(kept).values()), None)
    if stamps is None:  # stamped before what stamps rest on was kept
        stamps = Stamps(bytes(roll.timestamp or b""))
        evidence.of_token(stamps.own)
    yield from stamps.parts("roll")


def _custody_parts(tender: Tender) -> Iterator[tuple[str, Content]]:
    ceremony = export_custody.ceremony(tender)
    if ceremony is not None:
        yield "custody/ceremony.json", export_facts.pretty(ceremony)
        yield "custody/releases.json", export_facts.pretty(export_custody.releases(tender))


def _anchor_parts(tender: Tender, evidence: Evidence) -> Iterator[tuple[str, Content]]:
    """The time stamps over the audit trail. While it is not told who bids, the newest alone: when records were added
    would tell when bids came."""
    anchors: Iterable[Anchor] = audit_anchors.of(f"tender:{tender.pk}")
    if audit_queries.hides_bidders(tender):
        anchors = deque(anchors, maxlen=1)
    anchors = iter(anchors)
    while some := list(islice(anchors, _AT_ONCE)):
        stamps = evidence.of_statements([anchor.statement for anchor in some])
        for anchor in some:
            folder = f"audit/anchors/{anchor.number}"
            yield f"{folder}/anchor.json", export_facts.pretty(
                {
                    "number": anchor.number, "hash": anchor.hash, "index": anchor.index, "size": anchor.size,
                    "path": list(anchor.path), "stream": f"tender:{tender.pk}", "statement": anchor.statement.statement,
                }
            )  # fmt: skip
            yield from stamps[anchor.statement.pk].parts(folder)


def _audit_lines(tender: Tender, reader: Reader) -> Iterator[bytes]:
    hidden = audit_queries.hides_bidders(tender)
    records = AuditRecord.objects.filter(stream=f"tender:{tender.pk}").order_by("number")
    for record in records.iterator(chunk_size=500):
        if _is_hidden(record, tender, reader, hidden):
            line = {"number": record.number, "hash": record.hash, "previous": record.previous_hash}
        else:
            line = {"content": audit.content_of(record), "hash": record.hash}
        yield canonical(line) + b"\n"


def _auction_parts(tender: Tender) -> Iterator[tuple[str, Content]]:
    if audit_queries.hides_bidders(tender):
        return
    for auction in Auction.objects.filter(lot__tender=tender).select_related("lot").order_by("lot__number"):
        yield f"auctions/{auction.lot.number}.jsonl", _event_lines(auction.pk)


def _protocol_parts(tender: Tender, reader: Reader) -> Iterator[tuple[str, Content]]:
    """The protocols of auctions that are over, for who may see them: a bidder those in which it had a seat."""
    if audit_queries.hides_bidders(tender):
        return
    over = Auction.objects.filter(lot__tender=tender, status=AuctionStatus.ENDED.value)
    if reader.scope == ExportScope.SUPPLIER:
        over = over.filter(participants__supplier=reader.organisation)
    for auction in over.select_related("lot__tender__buyer").order_by("lot__number"):
        # A broken log has no protocol; its lines under auctions/ show where it breaks.
        with suppress(auction_protocol.AuctionLogBroken):
            document = auction_protocol.document(auction)
            yield f"protocols/auction-{auction.lot.number}.json", export_facts.pretty(document)


def _event_lines(auction: int) -> Iterator[bytes]:
    previous = audit.GENESIS
    for event, recorded in auction_queries.events(auction):
        line = {"content": event.content(auction, previous), "hash": recorded}
        yield json.dumps(line, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode() + b"\n"
        previous = recorded


# For whom -----------------------------------------------------------------------------------------------------------


def _bids(tender: Tender, reader: Reader) -> QuerySet[Bid]:
    """The sent bids that may be named to the reader."""
    sent = Bid.objects.filter(lot__tender=tender, version__gt=0)
    if reader.scope == ExportScope.SUPPLIER:
        return sent.filter(supplier=reader.organisation)
    return sent.none() if audit_queries.hides_bidders(tender) else sent


def _documents(tender: Tender, reader: Reader) -> QuerySet[BidFile]:
    """Documents of bids, about those that the export will have."""
    if not reader.documents:
        return BidFile.objects.none()
    return BidFile.objects.filter(bid__in=_bids(tender, reader), in_version__isnull=False)


def _signatures(tender: Tender, reader: Reader) -> QuerySet[Signature]:
    """The tender's own; those of the bids, awards and contracts that the reader may see."""
    of = {"tender": [tender.pk], "bid": _bids(tender, reader).values_list("pk", flat=True)}
    contracts = Contract.objects.filter(tender=tender)
    if reader.scope == ExportScope.SUPPLIER:
        of["contract"] = contracts.filter(supplier=reader.organisation).values_list("pk", flat=True)
    elif not audit_queries.hides_bidders(tender):
        of["award"] = Award.objects.filter(lot__tender=tender).values_list("pk", flat=True)
        of["contract"] = contracts.values_list("pk", flat=True)
        of[protocols.OBJECT] = [tender.pk]
    wanted = Q(pk__in=[])
    for kind, objects in of.items():
        wanted |= Q(request__object_type=kind, request__object_id__in=[str(pk) for pk in objects])
    return Signature.objects.filter(wanted)


def _is_hidden(record: AuditRecord, tender: Tender, reader: Reader, hides_bidders: bool) -> bool:
    if record.action == "question.asked":
        return hides_bidders or reader.scope != ExportScope.AUDITOR
    # Whatever another organisation than the buyer did tells of somebody who looks at the procedure.
    return hides_bidders and (record.object_type == "bid" or record.organisation_id not in (None, tender.buyer_id))


def _left_out(tender: Tender, reader: Reader) -> str:
    if reader.scope == ExportScope.SUPPLIER:
        return export_facts.OF_SUPPLIER
    return export_facts.SEALED if audit_queries.hides_bidders(tender) else export_facts.COMPLETE


def _about(signature: Signature) -> dict[str, object]:
    return {
        "signature": signature.pk,
        "action": signature.request.action,
        "received_at": receipts.instant(signature.received_at),
        "payload_sha256": signature.request.payload_sha256,
        "signature_sha256": sha256_hex(bytes(signature.cms)),
        "certificate_sha256": signature.certificate.sha256,
        "chain": signature.evidence.get("chain", []),
        "revocation": signature.evidence.get("revocation", []),
    }


def receipt_keys() -> dict[str, object]:
    """The public keys of receipts in the form in which an export carries them."""
    public = keys.keyring().receipt_public_keys()
    return {"algorithm": keys.RECEIPT_ALGORITHM, "keys": {k: base64.b64encode(v).decode() for k, v in public.items()}}


def _index(tender: Tender, gathered: _Gathered, archive: Archive) -> dict[str, object]:
    reader = gathered.reader
    head = AuditRecord.objects.filter(stream=f"tender:{tender.pk}").order_by("-number").values_list("hash", flat=True)
    return keys.sign_receipt(
        {
            "kind": KIND,
            "format": FORMAT,
            "platform": settings.SITE_URL,
            "tender": tender.number,
            "scope": str(reader.scope),
            "audit_head": (head.first() or audit.GENESIS) if reader.scope != ExportScope.SUPPLIER else None,
            "documents": {"included": reader.documents, "lost": sorted(set(gathered.lost))},
            "files": archive.entries,
        }
    )


@contextmanager
def _snapshot() -> Iterator[None]:
    """One state of the database, however long the archive takes."""
    outer = connection.in_atomic_block
    with transaction.atomic():
        if not outer:
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield
