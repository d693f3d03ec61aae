"""A bid being prepared, all of it encrypted under the key-encryption key: prices, remarks, documents and their names.

What was typed is kept as typed, right or wrong; nothing is refused while somebody is still writing.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from django.core.files.base import ContentFile, File
from django.core.files.storage import default_storage
from django.db import connection, transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from marketplace import audit, entitlements
from marketplace.permissions import Actor, organisation_of, person_of
from marketplace.services import files
from marketplace.shared import keys
from marketplace.shared.errors import DomainError, NotFound, Sentence, StaleForm
from marketplace.shared.money import minor_unit
from marketplace.signatures.payload import canonical
from procurement import permissions
from procurement.models import Bid, BidFile, Item, Lot, Tender
from procurement.queries import bids as bid_queries
from procurement.rules.evaluation import PricedItem
from procurement.rules.lifecycle import BidStatus, LotStatus, TenderStatus
from procurement.rules.price_table import PriceTable, read
from procurement.services.transitions import move

FILES_AT_MOST: Final = 20
REMARKS_LENGTH: Final = 4000
FOLDER: Final = "bids"

#: States in which the supplier may go on writing; what was sent stays sent until it is replaced.
EDITABLE: Final = (BidStatus.DRAFT, BidStatus.SUBMITTED, BidStatus.INVALIDATED)


class TenderNotOpen(DomainError):
    code = "tender_not_open"
    sentence = gettext_lazy("This procedure does not take bids now.")


class TenderPeriodOver(DomainError):
    code = "tender_period_over"
    sentence = gettext_lazy("The time for bids ended at %(ended)s UTC, and this was received at %(received)s UTC.")

    def __init__(self, ended: datetime, received: datetime) -> None:
        super().__init__(ended=f"{ended:%Y-%m-%d %H:%M:%S}", received=f"{received:%Y-%m-%d %H:%M:%S.%f}"[:-3])


class LotNotOpen(DomainError):
    code = "lot_not_open"
    sentence = gettext_lazy("This lot is closed: %(state)s.")


class OwnTender(DomainError):
    code, status = "own_tender", 403
    sentence = gettext_lazy("This is your own organisation’s procedure: it cannot bid in it.")


class BidNotEditable(DomainError):
    code = "bid_not_editable"
    sentence = gettext_lazy("This bid cannot be changed: its state is “%(state)s”.")


class TooManyFiles(DomainError):
    code, status = "too_many_files", 422
    sentence = gettext_lazy("A bid holds at most %(most)s documents. Put several into one archive.")


class RemarksTooLong(DomainError):
    code, status = "remarks_too_long", 422
    sentence = gettext_lazy("Remarks are at most %(most)s characters long. Put longer texts into a document.")


@dataclass(frozen=True, slots=True)
class Draft:
    """What the bidder has written so far: prices as typed by item id, documents' names by file id."""

    prices: Mapping[int, str] = field(default_factory=dict)
    remarks: str = ""
    file_names: Mapping[int, str] = field(default_factory=dict)


@transaction.atomic
def start(lot_id: int, *, by: Actor, at: datetime) -> Bid:
    """The organisation's bid for the lot: the one there is, or a new draft. A withdrawn bid becomes a draft again.

    Raises NotEntitled with every reason, OwnTender, TenderNotOpen, TenderPeriodOver, LotNotOpen.
    """
    lot = _lot(lot_id)
    supplier = organisation_of(by)
    if supplier.pk == lot.tender.buyer_id:
        raise OwnTender
    permissions.require_bid_manager(by, supplier.pk)
    bid = Bid.objects.filter(lot=lot, supplier=supplier).first()
    if bid and bid.status != BidStatus.WITHDRAWN:
        return bid
    lot.tender = hold(lot.tender_id)
    require_open(lot, at)
    entitlements.require(supplier, bid_queries.need_of(lot, supplier.pk, at), at)
    bid, made = Bid.objects.select_for_update().get_or_create(
        lot=lot,
        supplier=supplier,
        defaults={
            "currency": lot.currency,
            "tender_version": lot.tender.version,
            "created_by": person_of(by),
            "created_at": at,
        },
    )
    if not made and bid.status == BidStatus.WITHDRAWN:
        move(bid, BidStatus.DRAFT)
        bid.withdrawn_at = None
        bid.save(update_fields=["status", "withdrawn_at", "updated_at"])
        made = True
    if made:
        audit.record("bid.started", bid, by=by, at=at, stream=f"tender:{lot.tender_id}")
    return bid


def read_draft(bid: Bid, *, by: Actor) -> Draft:
    """What the organisation has written. Raises NotFound for everybody else."""
    permissions.require_bidder(by, bid)
    return _decrypted(bid)


@transaction.atomic
def save(bid_id: int, *, prices: Mapping[int, str], remarks: str, revision: int, by: Actor, at: datetime) -> Bid:
    """Keep what was typed. `revision` is the one the form was opened with; StaleForm says what was changed meanwhile.

    Prices of items not named stay as they were.
    """
    bid = editable(bid_id, by=by, at=at)
    if len(remarks) > REMARKS_LENGTH:
        raise RemarksTooLong(field="remarks", most=REMARKS_LENGTH)
    before = _decrypted(bid)
    known = {item.pk: item for item in bid.lot.items.all()}
    typed = {item: text.strip()[:60] for item, text in prices.items() if item in known}
    after = replace(before, prices={**before.prices, **typed}, remarks=remarks)
    if after == before:
        return bid
    if revision != bid.revision:
        raise StaleForm(_differences(before, typed, remarks, known))
    _keep(bid, after)
    return bid


@transaction.atomic
def add_file(bid_id: int, upload: File[Any], *, by: Actor, at: datetime) -> BidFile:
    """Keep a document of the bid, encrypted. Raises a FileRefused before a byte of it is stored."""
    found = files.examine(upload)
    bid = editable(bid_id, by=by, at=at)
    if bid.files.filter(removed_at=None).count() >= FILES_AT_MOST:
        raise TooManyFiles(field="file", most=FILES_AT_MOST)
    document = BidFile.objects.create(bid=bid, media_type=found.kind.media_type, size=found.size, added_at=at)
    document.draft_path = store(bid, keys.wrap(upload.read(), purpose=_file_purpose(document)))
    document.save(update_fields=["draft_path"])
    draft = _decrypted(bid)
    _keep(bid, replace(draft, file_names={**draft.file_names, document.pk: found.name}))
    return document


@transaction.atomic
def remove_file(bid_id: int, file_id: int, *, by: Actor, at: datetime) -> Bid:
    """Leave the document out of the bid. What was already sent with it stays sent until the bid is replaced."""
    bid = editable(bid_id, by=by, at=at)
    document = bid.files.select_for_update().filter(pk=file_id, removed_at=None).first()
    if document is None:
        raise NotFound
    document.removed_at = at
    document.save(update_fields=["removed_at"])
    draft = _decrypted(bid)
    _keep(bid, replace(draft, file_names={pk: name for pk, name in draft.file_names.items() if pk != file_id}))
    return bid


@transaction.atomic
def discard(bid_id: int, *, by: Actor, at: datetime) -> Bid:
    """Throw away a draft that was never sent. Nothing was promised, so nothing is signed."""
    bid = editable(bid_id, by=by, at=at)
    if bid.status != BidStatus.DRAFT:
        raise BidNotEditable(state=bid.get_status_display())
    move(bid, BidStatus.WITHDRAWN)
    erase(bid)
    # Begun again, the bid begins without documents: their ciphertext is gone.
    bid.files.filter(removed_at=None).update(removed_at=at)
    bid.save(update_fields=["status", "draft", "updated_at"])
    audit.record("bid.discarded", bid, by=by, at=at, stream=f"tender:{bid.lot.tender_id}")
    return bid


def plain_file(document: BidFile, *, by: Actor) -> bytes:
    """A document of the organisation's own draft. Raises NotFound for everybody else, and once it is erased."""
    permissions.require_bidder(by, document.bid)
    return decrypted_file(document)


# For the services that send and open bids --------------------------------------------------------------------------


def keep_sealed(tender_id: int) -> None:
    """The opening waits until this transaction ends, and nothing else does: a bid received in time is stored before
    the tender is opened, however long its signature takes to judge. Taken before every lock of the tender's rows."""
    _lock_opening("pg_advisory_xact_lock_shared", tender_id)


def wait_for_submissions(tender_id: int) -> None:
    """Wait for all who keep the tender sealed; who comes later waits for this transaction."""
    _lock_opening("pg_advisory_xact_lock", tender_id)


def hold(tender_id: int) -> Tender:
    """The tender, kept as it is until this transaction ends. Bidders share this lock; opening, amending and
    cancelling wait for it."""
    return Tender.objects.raw("SELECT * FROM procurement_tender WHERE id = %s FOR SHARE", [tender_id])[0]


def editable(bid_id: int, *, by: Actor, at: datetime) -> Bid:
    """The organisation's own bid, locked, with lot, tender and items, while bids are taken."""
    found = Bid.objects.filter(pk=bid_id).only("supplier_id", "lot__tender_id").select_related("lot").first()
    if found is None:
        raise NotFound
    permissions.require_bid_manager(by, found.supplier_id)
    return locked(found, at)


def locked(found: Bid, at: datetime) -> Bid:
    """The bid under its tender's shared lock and its own; raises when bids are no longer taken."""
    tender = hold(found.lot.tender_id)
    bid = Bid.objects.select_for_update(of=("self",)).select_related("lot", "supplier").get(pk=found.pk)
    bid.lot.tender = tender
    require_open(bid.lot, at)
    if bid.status not in EDITABLE:
        raise BidNotEditable(state=bid.get_status_display())
    return bid


def require_open(lot: Lot, at: datetime) -> None:
    """Bids for the lot are taken at `at`. The deadline comes first: after it nothing else matters to the bidder."""
    tender = lot.tender
    if tender.tender_ends_at is not None and at >= tender.tender_ends_at:
        raise TenderPeriodOver(tender.tender_ends_at, at)
    if tender.status != TenderStatus.PUBLISHED:
        raise TenderNotOpen
    if lot.status != LotStatus.ACTIVE:
        raise LotNotOpen(state=lot.get_status_display())


def price_table(lot: Lot, draft: Draft) -> PriceTable:
    """The lot's price table as the draft fills it. A limit price that bidders do not see is not measured against."""
    items = [PricedItem(item.pk, item.quantity) for item in lot.items.all()]
    limit = lot.limit_price if lot.tender.limit_price_shown else None
    return read(items, draft.prices, minor_unit(lot.currency), limit)


def erase(bid: Bid) -> None:
    """Forget the draft and its documents, once the transaction holds; the caller saves `draft`."""
    bid.draft = None
    paths = [path for path in bid.files.values_list("draft_path", flat=True) if path]
    bid.files.update(draft_path="")
    transaction.on_commit(lambda: _delete(paths), robust=True)


def store(bid: Bid, ciphertext: bytes) -> str:
    """The path under which the ciphertext now lies."""
    return str(default_storage.save(f"{FOLDER}/{bid.pk}/{uuid.uuid4().hex}", ContentFile(ciphertext)))


def stored(path: str) -> bytes:
    with default_storage.open(path, "rb") as ciphertext:
        return bytes(ciphertext.read())


def decrypted_file(document: BidFile) -> bytes:
    if not document.draft_path:
        raise NotFound
    return keys.unwrap(stored(document.draft_path), purpose=_file_purpose(document))


def _lock_opening(function: str, tender_id: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {function}(hashtextextended(%s, 0))", [f"opening:{tender_id}"])


def _lot(lot_id: int) -> Lot:
    lot = Lot.objects.select_related("tender").filter(pk=lot_id, tender__published_at__isnull=False).first()
    if lot is None:
        raise NotFound
    return lot


def _delete(paths: list[str]) -> None:
    for path in paths:
        default_storage.delete(path)


def _draft_purpose(bid: Bid) -> str:
    return f"bid:{bid.pk}:draft"


def _file_purpose(document: BidFile) -> str:
    return f"bid:{document.bid_id}:file:{document.pk}"


def _keep(bid: Bid, draft: Draft) -> None:
    plain = canonical(
        {
            "prices": {str(item): typed for item, typed in draft.prices.items()},
            "remarks": draft.remarks,
            "file_names": {str(pk): name for pk, name in draft.file_names.items()},
        }
    )
    bid.draft = keys.wrap(plain, purpose=_draft_purpose(bid))
    bid.revision += 1
    bid.save(update_fields=["draft", "revision", "updated_at"])


def _decrypted(bid: Bid) -> Draft:
    if not bid.draft:
        return Draft()
    found = json.loads(keys.unwrap(bytes(bid.draft), purpose=_draft_purpose(bid)))
    return Draft(
        prices={int(item): typed for item, typed in found["prices"].items()},
        remarks=found["remarks"],
        file_names={int(pk): name for pk, name in found["file_names"].items()},
    )


def _differences(saved: Draft, typed: Mapping[int, str], remarks: str, items: Mapping[int, Item]) -> list[Sentence]:
    """What another page saved, beside what this one sends."""
    found: list[Sentence] = [
        _("Item %(number)s: saved is “%(saved)s”, you have “%(sent)s”.")
        % {"number": items[item].number, "saved": saved.prices.get(item, ""), "sent": text}
        for item, text in typed.items()
        if saved.prices.get(item, "") != text
    ]
    if saved.remarks != remarks:
        found.append(_("The remarks saved are: “%(saved)s”.") % {"saved": saved.remarks})
    return found
