"""Amendments of a published tender: the buyer signs the difference, and exactly what was signed is applied."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from marketplace import audit
from marketplace.models import SigningRequest, StoredFile
from marketplace.permissions import Actor, person_of
from marketplace.services import files, signing
from marketplace.services.notifications import notify
from marketplace.services.signing import Judged
from marketplace.shared.errors import DomainError, Invalid, NotFound, Sentence
from marketplace.signatures.payload import parse
from procurement.models import Amendment, Bid, Lot, MomentKind, Tender
from procurement.permissions import ASKING_ROLES, require_tender_signed
from procurement.queries import clarifications as queries
from procurement.rules.lifecycle import BidStatus, LotStatus, TenderStatus
from procurement.services import criteria, documents, lots, moments, tender_signing, words
from procurement.services.amendment_values import Proposal, item_row, lot_value, signed_values
from procurement.services.completeness import missing_in_lot
from procurement.services.drafts import Change, lock_tender, stream_of
from procurement.services.tenders import changes_between
from procurement.services.transitions import move

ACTION = "amendment"
# The minimum remainder is counted from the preparation, so little of it may pass until the signature.
SIGNING_TIME = timedelta(minutes=15)
REASON_MIN_LENGTH = 10


class NotOpenForBids(DomainError):
    code = "not_open_for_bids"
    sentence = gettext_lazy("Bids are closed: the procedure can no longer be amended.")


class NothingChanged(DomainError):
    code = "nothing_changed"
    status = 422
    sentence = gettext_lazy("Nothing would change. Change something first, or go back.")


class AmendedMeanwhile(DomainError):
    code = "amended_meanwhile"
    sentence = gettext_lazy("The procedure was amended meanwhile. Look at what it says now, then prepare your change.")


@dataclass(frozen=True, slots=True)
class Effect:
    """What an amendment does: the changes in words, and whether sent bids have to be confirmed."""

    changes: list[Change]
    invalidates_bids: bool


@transaction.atomic
def prepare(tender_id: int, proposal: Proposal, *, by: Actor, at: datetime) -> SigningRequest:
    """What the buyer signs: reason, changes in words, the values themselves, the new end of bidding.

    The tender period is extended to leave the procedure's minimum remainder from `at`. Raises NotFound, NotAllowed,
    NotOpenForBids, NothingChanged, Invalid, files.FileRefused, signing.NoIdentifier.
    """
    tender = _lock_open(tender_id, by, at)
    _require_valid(tender, proposal, at)
    stored = [(new, files.store(new.upload, organisation=tender.buyer, by=by, at=at)) for new in proposal.documents]
    values = signed_values(tender, proposal, stored, at)
    effect = _rehearse(tender, values, at)
    longer = proposal.fields.get("tender_ends_at", tender.tender_ends_at) != tender.tender_ends_at
    # That the end moves when nothing else does is no amendment, unless it was asked for.
    if not longer and not [change for change in effect.changes if change.label != _("Bids until")]:
        raise NothingChanged
    content = {
        "reason": proposal.reason.strip(),
        "changes": [change.as_json() for change in effect.changes],
        "bids_must_be_confirmed": effect.invalidates_bids,
        "documents": [{"name": one.name, "sha256": one.sha256} for _new, one in stored],
        "values": values,
    }
    return tender_signing.prepare(ACTION, tender, content, by=by, at=at, lasts=SIGNING_TIME)


@transaction.atomic
def sign(request_id: int, cms: bytes, *, by: Actor, at: datetime, verdict: Judged | None = None) -> Amendment:
    """Apply a prepared amendment under its signature; sent again, the answer is the amendment it made.

    A `verdict` may be given later than the signature was received; what is amended, is amended at `at`.

    Moves the end of bidding and its due moment, invalidates sent bids when lots or items changed, tells everybody
    concerned. Raises NotFound, NotAllowed, NotOpenForBids, AmendedMeanwhile, and what signing.complete raises.
    """
    request, verdict = tender_signing.received(ACTION, request_id, cms, by=by, at=at, verdict=verdict)
    tender = lock_tender(int(request.object_id))
    if made := Amendment.objects.filter(signature__request=request).first():
        return made
    _require_open(tender, at)
    if request.object_version != tender.version:
        raise AmendedMeanwhile
    signature = signing.complete(request, cms, by=by, at=at, verdict=verdict)
    content = parse(bytes(request.payload))["content"]
    old_end = tender.tender_ends_at
    effect = _apply(tender, content["values"], at)
    tender.version += 1
    tender.revision += 1
    tender.save(update_fields=["version", "revision", "updated_at"])
    amendment = Amendment.objects.create(
        tender=tender,
        version=tender.version,
        at=at,
        by=person_of(by),
        reason=content["reason"],
        changes=content["changes"],
        invalidates_bids=effect.invalidates_bids,
        signature=signature,
    )
    _move_deadline(tender, old_end)
    audit.record(
        "tender.amended",
        tender,
        by=by,
        at=at,
        stream=stream_of(tender),
        version=tender.version,
        reason=amendment.reason,
        changes=amendment.changes,
        invalidates_bids=amendment.invalidates_bids,
    )
    if effect.invalidates_bids:
        _invalidate_bids(tender, by, at)
    _tell(tender, amendment, at)
    return amendment


def _lock_open(tender_id: int, by: Actor, at: datetime) -> Tender:
    tender = lock_tender(tender_id)
    require_tender_signed(by, tender)
    _require_open(tender, at)
    return tender


def _require_open(tender: Tender, at: datetime) -> None:
    if tender.status != TenderStatus.PUBLISHED or tender.tender_ends_at is None or at >= tender.tender_ends_at:
        raise NotOpenForBids


def _require_valid(tender: Tender, proposal: Proposal, at: datetime) -> None:
    found: dict[str, list[Sentence]] = {}
    if len(proposal.reason.strip()) < REASON_MIN_LENGTH:
        found["reason"] = [_("Say why, in a sentence that every bidder will read.")]
    if "title" in proposal.fields and not proposal.fields["title"].strip():
        found["title"] = [_("Give the procedure a title that says what is bought.")]
    end = proposal.fields.get("tender_ends_at")
    if end is not None and tender.tender_ends_at is not None and end < tender.tender_ends_at:
        found["tender_ends_at"] = [_("Bids cannot be closed earlier than announced.")]
    enquiry = proposal.fields.get("enquiry_ends_at")
    if enquiry is not None and enquiry != tender.enquiry_ends_at and enquiry <= at:
        found["enquiry_ends_at"] = [_("This moment has passed.")]
    if (asked := proposal.fields.get("criteria")) is not None:
        wrong = criteria.problems(asked, tender.preset.axes.direction)
        found |= {f"criteria-{name}": sentences for name, sentences in wrong.items()}
    known = {lot.pk: lot for lot in tender.lots.filter(status=LotStatus.ACTIVE.value)}
    if not {*proposal.lots, *proposal.items} <= set(known):
        raise NotFound
    for pk, fields in proposal.lots.items():
        found |= {f"lot-{pk}-{name}": wrong for name, wrong in lots.field_problems(fields, known[pk].currency).items()}
    for pk, rows in proposal.items.items():
        found |= {f"items-{pk}-{cell}": wrong for cell, wrong in lots.row_problems(rows).items()}
    if found:
        raise Invalid(found)


class _Rehearsed(Exception):
    """Undoes what was tried."""


def _rehearse(tender: Tender, values: Mapping[str, Any], at: datetime) -> Effect:
    """Apply the values and take them back: what is shown and signed comes from the same code as what is done."""
    effect: Effect | None = None
    try:
        with transaction.atomic():
            effect = _apply(tender, values, at)
            raise _Rehearsed
    except _Rehearsed:
        tender.refresh_from_db()
    assert effect is not None
    return effect


def _apply(tender: Tender, values: Mapping[str, Any], at: datetime) -> Effect:
    before = _in_words(tender)
    for name in ("title", "description"):
        if name in values:
            setattr(tender, name, values[name])
    tender.tender_ends_at = datetime.fromisoformat(values["tender_ends_at"])
    tender.enquiry_ends_at = datetime.fromisoformat(values["enquiry_ends_at"]) if values["enquiry_ends_at"] else None
    tender.save(update_fields=["title", "description", "tender_ends_at", "enquiry_ends_at", "updated_at"])
    changes = changes_between(before, _in_words(tender))
    matters = _apply_criteria(tender, values["criteria"]) if "criteria" in values else []
    matters += [change for entry in values["lots"] for change in _apply_lot(tender, entry)]
    matters += [change for entry in values["items"] for change in _apply_items(tender, entry)]
    documents.require_room(tender, len(values["documents"]))
    added = [_apply_document(tender, entry, at) for entry in values["documents"]]
    return Effect([*changes, *matters, *added], invalidates_bids=bool(matters))


def _apply_criteria(tender: Tender, kept: Mapping[str, Any]) -> list[Change]:
    before = criteria.in_words(tender)
    tender.criteria = dict(kept)
    tender.save(update_fields=["criteria", "updated_at"])
    return changes_between(before, criteria.in_words(tender))


def _apply_lot(tender: Tender, entry: Mapping[str, Any]) -> list[Change]:
    lot = _active_lot(tender, entry["lot"])
    before = lots.in_words(lot)
    for name in entry.keys() - {"lot"}:
        setattr(lot, name, lot_value(name, entry[name]))
    lot.save(update_fields=sorted(entry.keys() - {"lot"}))
    _require_biddable(tender, lot)
    return changes_between(before, lots.in_words(lot))


def _apply_items(tender: Tender, entry: Mapping[str, Any]) -> list[Change]:
    lot = _active_lot(tender, entry["lot"])
    changes = lots.write_items(lot, [item_row(row) for row in entry["rows"]])
    _require_biddable(tender, lot)
    return changes


def _apply_document(tender: Tender, entry: Mapping[str, Any], at: datetime) -> Change:
    stored = StoredFile.objects.get(pk=entry["file"], sha256=entry["sha256"])
    document = documents.attach(tender, stored, title=entry["title"], lot=None, series=entry["series"] or None, at=at)
    return Change(_("Document"), "", documents.in_words(document))


def _active_lot(tender: Tender, pk: int) -> Lot:
    lot = tender.lots.select_for_update().filter(pk=pk, status=LotStatus.ACTIVE.value).first()
    if lot is None:
        raise NotFound
    return lot


def _require_biddable(tender: Tender, lot: Lot) -> None:
    if wrong := [problem.sentence for problem in missing_in_lot(tender, lot)]:
        raise Invalid({"": wrong})


def _move_deadline(tender: Tender, old_end: datetime | None) -> None:
    if tender.tender_ends_at is None or old_end is None or tender.tender_ends_at == old_end:
        return
    moments.schedule(MomentKind.TENDER_ENDS, tender, tender.tender_ends_at)
    if tender.auction_starts_at is not None:
        tender.auction_starts_at += tender.tender_ends_at - old_end
        tender.save(update_fields=["auction_starts_at", "updated_at"])


def _invalidate_bids(tender: Tender, by: Actor, at: datetime) -> None:
    """Sent bids stay sealed as they are, and count again when their bidders confirm them."""
    for bid in (
        Bid.objects.select_for_update().defer("draft").filter(lot__tender=tender, status=BidStatus.SUBMITTED.value)
    ):
        move(bid, BidStatus.INVALIDATED)
        bid.save(update_fields=["status", "updated_at"])
        audit.record("bid.invalidated", bid, by=by, at=at, stream=stream_of(tender), tender_version=tender.version)


def _tell(tender: Tender, amendment: Amendment, at: datetime) -> None:
    text = _("%(tender)s was amended. Bids are taken until %(until)s.") % {
        "tender": tender.number,
        "until": words.moment(tender.tender_ends_at, tender.time_zone),
    }
    if amendment.invalidates_bids:
        text += " " + _("A bid that you have sent counts only when you confirm it.")
    for organisation in queries.concerned(tender):
        notify(organisation, "tender_amended", text, tender.get_absolute_url(), at=at, roles=ASKING_ROLES)


def _in_words(tender: Tender) -> dict[str, str]:
    return {
        _("Title"): tender.title,
        _("Description"): tender.description,
        _("Questions until"): words.moment(tender.enquiry_ends_at, tender.time_zone),
        _("Bids until"): words.moment(tender.tender_ends_at, tender.time_zone),
    }
