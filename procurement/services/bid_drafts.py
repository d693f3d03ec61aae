"""A bid being prepared: prices, remarks and what its documents are, encrypted under the key-encryption key. Documents
themselves are sealed to the lot's key from the first moment.

What was typed is kept as typed, right or wrong; nothing is refused while somebody is still writing. Where the buyer's
committee holds the lot's key, no draft is kept here at all: it stays with the bidder (`kept_here`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from django.db import connection, transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from marketplace import audit, entitlements
from marketplace.permissions import Actor, organisation_of, person_of
from marketplace.shared import keys
from marketplace.shared.errors import DomainError, NotFound, Sentence, StaleForm
from marketplace.signatures.payload import canonical
from procurement import permissions
from procurement.models import Bid, Item, KeyCustody, Lot, Tender
from procurement.queries import bids as bid_queries
from procurement.rules.criteria import Answers
from procurement.rules.lifecycle import BidStatus, LotStatus, TenderStatus
from procurement.rules.price_table import PriceTable
from procurement.services import bid_files
from procurement.services.bid_content import ANSWER_LENGTH, PRICE_LENGTH, REMARKS_LENGTH, table_of
from procurement.services.transitions import move

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


class SignatureBeingJudged(DomainError):
    code = "signature_being_judged"
    sentence = gettext_lazy(
        "This bid was sent, and its signature is being judged. Cancel the signature first, or wait for its verdict."
    )


class NoLotKey(DomainError):
    code, status = "no_lot_key", 503
    sentence = gettext_lazy("The lot has no key to seal bids with. The operator has to be told.")


class RemarksTooLong(DomainError):
    code, status = "remarks_too_long", 422
    sentence = gettext_lazy("Remarks are at most %(most)s characters long. Put longer texts into a document.")


class DraftStaysWithBidder(DomainError):
    code = "draft_stays_with_bidder"
    sentence = gettext_lazy(
        "The buyer’s committee holds this lot’s key: prices, remarks and the names of documents do not come here "
        "unsealed. The bid is prepared and sealed in the bidder’s browser or program."
    )


@dataclass(frozen=True, slots=True)
class DraftDocument:
    """What only the bidder knows of a sealed document. `sha256` is of the plain bytes; with `key`, the key it is sealed
    under, its own people read it again."""

    name: str
    media_type: str = ""
    sha256: str = ""
    key: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Draft:
    """What the bidder has written so far: prices as typed by item id, documents by file id, answers by the name of what
    is asked besides the price."""

    prices: Mapping[int, str] = field(default_factory=dict)
    remarks: str = ""
    documents: Mapping[int, DraftDocument] = field(default_factory=dict)
    answers: Mapping[str, str] = field(default_factory=dict)

    @property
    def file_names(self) -> dict[int, str]:
        return {pk: document.name for pk, document in self.documents.items()}


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


def kept_here(tender: Tender) -> bool:
    """Whether the platform keeps drafts of bids for the tender. It does while it holds the keys of the lots anyway;
    where the committee holds them, nothing of a bid is to be readable here."""
    return tender.key_custody == KeyCustody.PLATFORM.value


def read_draft(bid: Bid, *, by: Actor) -> Draft:
    """What the organisation has written. Raises NotFound for everybody else."""
    permissions.require_bidder(by, bid)
    return decrypted(bid)


@transaction.atomic
def save(
    bid_id: int,
    *,
    prices: Mapping[int, str],
    remarks: str,
    revision: int,
    by: Actor,
    at: datetime,
    answers: Mapping[str, str] | None = None,
) -> Bid:
    """Keep what was typed. `revision` is the one the form was opened with; StaleForm says what was changed meanwhile.

    Prices of items, and answers to questions, that are not named stay as they were. Raises DraftStaysWithBidder where
    the committee holds the key.
    """
    bid = editable(bid_id, by=by, at=at)
    require_kept_here(bid)
    if len(remarks) > REMARKS_LENGTH:
        raise RemarksTooLong(field="remarks", most=REMARKS_LENGTH)
    before = decrypted(bid)
    known = {item.pk: item for item in bid.lot.items.all()}
    typed = {item: text.strip()[:PRICE_LENGTH] for item, text in prices.items() if item in known}
    asked = {question.name for question in bid.lot.tender.price_criteria.questions}
    answered = {name: text.strip()[:ANSWER_LENGTH] for name, text in (answers or {}).items() if name in asked}
    after = replace(before, prices={**before.prices, **typed}, remarks=remarks, answers={**before.answers, **answered})
    if after == before:
        return bid
    if revision != bid.revision:
        raise StaleForm(_differences(before, typed, remarks, known, answered))
    keep(bid, after)
    return bid


@transaction.atomic
def discard(bid_id: int, *, by: Actor, at: datetime) -> Bid:
    """Throw away a draft that was never sent. Nothing was promised, so nothing is signed."""
    bid = editable(bid_id, by=by, at=at)
    if bid.status != BidStatus.DRAFT:
        raise BidNotEditable(state=bid.get_status_display())
    if bid_queries.being_judged(bid).exists():
        raise SignatureBeingJudged
    move(bid, BidStatus.WITHDRAWN)
    erase(bid)
    # Begun again, the bid begins without documents: the keys they were sealed under are gone.
    bid.files.filter(removed_at=None).update(removed_at=at)
    bid_files.let_go(bid)
    bid.save(update_fields=["status", "draft", "updated_at"])
    audit.record("bid.discarded", bid, by=by, at=at, stream=f"tender:{bid.lot.tender_id}")
    return bid


# For the services that send and open bids --------------------------------------------------------------------------


def keep_sealed(tender_id: int) -> None:
    """The opening waits until this transaction ends, and nothing else does: a bid received in time is stored before
    the tender is opened, however long its signature takes to judge. Taken before every lock of the tender's rows."""
    _lock_opening("pg_advisory_xact_lock_shared", tender_id)


def wait_for_submissions(tender_id: int) -> None:
    """Wait for all who keep the tender sealed; who comes later waits for this transaction."""
    _lock_opening("pg_advisory_xact_lock", tender_id)


def alone_with(bid_id: int) -> None:
    """Nobody else changes or sends the bid until this transaction ends. Taken before every lock of rows, and kept where
    the service's own work is undone because the signature has to wait: what was signed is still there when it waits."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"bid:{bid_id}"])


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
    alone_with(found.pk)
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
    return table_of(lot, lot.items.all(), draft.prices, answers_of(lot, draft))


def answers_of(lot: Lot, draft: Draft) -> Answers:
    """What the draft answers to what counts besides the price."""
    return lot.answers(draft.answers)


def require_kept_here(bid: Bid) -> None:
    """Raises DraftStaysWithBidder."""
    if not kept_here(bid.lot.tender):
        raise DraftStaysWithBidder


def erase(bid: Bid) -> None:
    """Forget the draft, and documents that were never sent, once the transaction holds; the caller saves `draft`."""
    bid.draft = None
    unsent = bid.files.filter(in_version=None)
    paths = {path for pair in bid.files.values_list("draft_path") for path in pair if path}
    paths |= {path for path in unsent.values_list("sealed_path", flat=True) if path}
    unsent.update(sealed_path="")
    bid.files.update(draft_path="")
    transaction.on_commit(lambda: bid_files.delete(paths), robust=True)


def _lock_opening(function: str, tender_id: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {function}(hashtextextended(%s, 0))", [f"opening:{tender_id}"])


def _lot(lot_id: int) -> Lot:
    lot = Lot.objects.select_related("tender").filter(pk=lot_id, tender__published_at__isnull=False).first()
    if lot is None:
        raise NotFound
    return lot


def draft_purpose(bid: Bid) -> str:
    """What the encrypted draft is bound to."""
    return f"bid:{bid.pk}:draft"


def keep(bid: Bid, draft: Draft) -> None:
    """The draft as it is from now on; where none is kept here, that it changed is all that is kept."""
    plain = canonical(
        {
            "prices": {str(item): typed for item, typed in draft.prices.items()},
            "remarks": draft.remarks,
            "answers": dict(draft.answers),
            "documents": {
                str(pk): {"name": d.name, "media_type": d.media_type, "sha256": d.sha256, "key": d.key.hex()}
                for pk, d in draft.documents.items()
            },
        }
    )
    bid.draft = keys.wrap(plain, purpose=draft_purpose(bid)) if kept_here(bid.lot.tender) else None
    bid.revision += 1
    bid.save(update_fields=["draft", "revision", "updated_at"])


def decrypted(bid: Bid) -> Draft:
    """What is kept of the draft, for whoever asked whether this person may read it."""
    if not bid.draft:
        return Draft()
    found = json.loads(keys.unwrap(bytes(bid.draft), purpose=draft_purpose(bid)))
    return Draft(
        prices={int(item): typed for item, typed in found["prices"].items()},
        remarks=found["remarks"],
        documents={
            int(pk): DraftDocument(d["name"], d["media_type"], d["sha256"], bytes.fromhex(d["key"]))
            for pk, d in found.get("documents", {}).items()
        },
        answers=found.get("answers", {}),
    )


def _differences(
    saved: Draft, typed: Mapping[int, str], remarks: str, items: Mapping[int, Item], answers: Mapping[str, str]
) -> list[Sentence]:
    """What another page saved, beside what this one sends."""
    found: list[Sentence] = [
        _("Item %(number)s: saved is “%(saved)s”, you have “%(sent)s”.")
        % {"number": items[item].number, "saved": saved.prices.get(item, ""), "sent": text}
        for item, text in typed.items()
        if saved.prices.get(item, "") != text
    ]
    found += [
        _("%(question)s: saved is “%(saved)s”, you have “%(sent)s”.")
        % {"question": name, "saved": saved.answers.get(name, ""), "sent": text}
        for name, text in answers.items()
        if saved.answers.get(name, "") != text
    ]
    if saved.remarks != remarks:
        found.append(_("The remarks saved are: “%(saved)s”.") % {"saved": saved.remarks})
    return found
