"""Sending, replacing, confirming and withdrawing bids. A bid is sealed to its lot's key, then signed, then stored."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from django.db import connection, transaction
from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from marketplace import audit, entitlements
from marketplace.models import Role, Signature, SigningRequest
from marketplace.permissions import Actor
from marketplace.services import notifications, signing
from marketplace.services.signing import Judged
from marketplace.shared.errors import DomainError, NotFound
from marketplace.signatures import sealing
from marketplace.signatures.payload import sha256_hex
from procurement import permissions
from procurement.models import Amendment, Bid, BidEnvelope, BidFile, BidSealing
from procurement.queries import bids as bid_queries
from procurement.rules.lifecycle import BidStatus
from procurement.services import bid_checks, bid_content, bid_drafts, bid_files, receipts
from procurement.services.bid_content import ContentFile
from procurement.services.bid_drafts import DraftDocument
from procurement.services.once import once
from procurement.services.transitions import move

SUBMIT: Final = "bid.submit"
WITHDRAW: Final = "bid.withdraw"
#: Each is kept for good. Who replaces a bid so often is no person.
VERSIONS_AT_MOST: Final = 100
#: How long a prepared payload waits for its signature, at most until the deadline.
SIGNING_TIME: Final = timedelta(hours=2)


class TooManyVersions(DomainError):
    code = "too_many_versions"
    sentence = gettext_lazy("A bid can be sent %(most)s times. The one you sent last stands.")


class ChangedSinceReview(DomainError):
    code = "changed_since_review"
    sentence = gettext_lazy("The bid was changed after it was prepared for signing. Review and sign what it says now.")


class AmendedSinceReview(DomainError):
    code = "amended_since_review"
    sentence = gettext_lazy(
        "The buyer amended the procedure after you prepared this bid. Read the changes, then review it again."
    )


class NewerBidStands(DomainError):
    code = "newer_bid_stands"
    sentence = gettext_lazy("A newer version of this bid was received at %(received)s UTC, and stands.")


class NothingToWithdraw(DomainError):
    code = "nothing_to_withdraw"
    sentence = gettext_lazy("There is no bid to withdraw: its state is “%(state)s”.")


class NewerVersionWaits(DomainError):
    code = "newer_version_waits"
    sentence = gettext_lazy(
        "Version %(version)s of this bid was sent at %(received)s UTC, and its signature is being judged: it would "
        "stand after the withdrawal. Cancel it first."
    )


class WithdrawalWaits(DomainError):
    code = "withdrawal_waits"
    sentence = gettext_lazy(
        "This bid’s withdrawal was sent at %(received)s UTC, and its signature is being judged. Cancel it first; then "
        "a new version can be sent."
    )


class NotSealedContent(DomainError):
    code, status = "not_sealed_content", 422
    sentence = gettext_lazy("This is not a sealed price table in the platform’s form. Load the page again and retry.")


@transaction.atomic
def prepare_submission(bid_id: int, *, by: Actor, at: datetime) -> SigningRequest:
    """Seal the draft as it stands and prepare its manifest for a signature. What was prepared before is thrown away.

    For who has no program of its own to seal with. Raises DraftStaysWithBidder where the committee holds the key,
    PricesIncomplete, AnswersIncomplete, TotalTooLarge, OverLimitPrice, BelowReservePrice, LimitNotMet, NotEntitled,
    and whatever ended the time for bids.
    """
    bid = bid_drafts.locked(_signers_bid(bid_id, by), at)
    _require_may_be_sent(bid, at)
    bid_drafts.require_kept_here(bid)
    draft = bid_drafts.read_draft(bid, by=by)
    answers = bid_drafts.answers_of(bid.lot, draft)
    table = bid_checks.complete(bid, bid_drafts.price_table(bid.lot, draft), answers)
    documents = bid_checks.arrived(bid, None)
    if any(document.pk not in draft.documents for document in documents):
        raise bid_checks.DocumentsNotHere(field="documents")
    files = tuple(_described(document, draft.documents[document.pk]) for document in documents)
    content = bid_content.of_table(table, draft.remarks, files, answers.plain)
    version = bid_queries.next_version(bid)
    plain = bid_content.encode(bid, version, content, list(bid.lot.items.all()))
    public = bytes(bid.lot.public_key or b"")
    ciphertext = sealing.seal(public, plain, bid_content.info(bid, bid_content.CONTENT_PART))
    return _prepare(bid, ciphertext, documents, by, at)


@transaction.atomic
def prepare_sealed(
    bid_id: int, ciphertext: bytes, files: Sequence[int], *, bid_version: int, tender_version: int, by: Actor,
    at: datetime,
) -> SigningRequest:  # fmt: skip
    """Take a price table that the bidder sealed, name the documents `files` that have arrived with it, and prepare the
    manifest for a signature. What was prepared before is thrown away.

    The manifest is built from what is stored here, not from what is said of it. `bid_version` and `tender_version` are
    those that the bidder sealed for. Raises NotSealedContent, DocumentsNotHere, ChangedSinceReview, AmendedSinceReview,
    NotEntitled, and whatever ended the time for bids.
    """  # fmt: skip
    bid = bid_drafts.locked(_signers_bid(bid_id, by), at)
    _require_may_be_sent(bid, at)
    if not bid_content.is_sealed_content(ciphertext, bid.lot.items.count()):
        raise NotSealedContent
    if bid_version != bid_queries.next_version(bid):
        raise ChangedSinceReview
    if tender_version != bid.lot.tender.version:
        raise AmendedSinceReview
    return _prepare(bid, ciphertext, bid_checks.arrived(bid, files), by, at)


def _require_may_be_sent(bid: Bid, at: datetime) -> None:
    _require_none_waits(bid, WITHDRAW)
    entitlements.require(bid.supplier, bid_queries.need_of(bid.lot, bid.supplier_id, at, bid_id=bid.pk), at)
    if not bid.lot.public_key:
        raise bid_drafts.NoLotKey


def _prepare(
    bid: Bid, ciphertext: bytes, documents: Sequence[BidFile], by: Actor, at: datetime
) -> SigningRequest:  # fmt: skip
    lot, tender = bid.lot, bid.lot.tender
    version = bid_queries.next_version(bid)
    if version > VERSIONS_AT_MOST:
        raise TooManyVersions(most=VERSIONS_AT_MOST)
    deadline = tender.tender_ends_at
    assert deadline is not None  # a published tender has one: a constraint of the table
    manifest = {
        "tender": tender.number,
        "tender_title": tender.title,
        "tender_version": tender.version,
        "lot": lot.number,
        "lot_title": lot.title,
        "lot_key_sha256": sha256_hex(bytes(lot.public_key or b"")),
        "bid_version": version,
        "deadline": receipts.instant(deadline),
        "algorithm": sealing.ALGORITHM,
        "content": {"size": len(ciphertext), "sha256": sha256_hex(ciphertext)},
        "files": [
            {"file": document.pk, "size": sealing.sealed_size(document.size), "sha256": document.sealed_sha256}
            for document in documents
        ],
    }
    request = signing.prepare(
        action=SUBMIT,
        actor=by,
        object_type="bid",
        object_id=bid.pk,
        object_version=version,
        content=manifest,
        at=at,
        expires_at=min(deadline, at + SIGNING_TIME),
    )
    BidSealing.objects.filter(bid=bid).exclude(pk__in=bid_queries.being_judged(bid)).delete()
    BidSealing.objects.create(
        bid=bid,
        request=request,
        revision=bid.revision,
        tender_version=tender.version,
        ciphertext=ciphertext,
        manifest=manifest,
        created_at=at,
    )
    return request


@transaction.atomic
def submit(
    request_id: int, cms: bytes, *, idempotency_key: str, by: Actor, at: datetime, verdict: Judged | None = None
) -> BidEnvelope:
    """Store the sealed bid under its signature. `at` is the time of receipt: at the closing instant it is late.

    The same request sent again answers with the envelope it made. A refused signature (SignatureRefused) leaves the bid
    as it was. With a `verdict` given later, what was in order at the receipt counts: what was typed since does not
    change it, and an amendment since asks for its confirmation as for every bid. Raises ChangedSinceReview,
    AmendedSinceReview, NewerBidStands, WithdrawalWaits, and whatever ended the time for bids.
    """
    first = once(SUBMIT, idempotency_key, request_id, by=by, at=at)
    request = _request(request_id, SUBMIT)
    found = _signers_bid(int(request.object_id), by)
    if not first or BidEnvelope.objects.filter(signature__request=request_id).exists():
        return BidEnvelope.objects.get(signature__request=request_id)
    was_in_order = verdict is not None
    verdict = verdict or _judged(request, cms, found, by, at)
    bid = bid_drafts.locked(found, at)
    # Two different keys for one request: the second waited for the lock above and finds the first's work done.
    made = BidEnvelope.objects.filter(signature__request=request_id).first()
    if made:
        return made
    sealed = BidSealing.objects.select_related("request").filter(bid=bid, request=request_id).first()
    if sealed is None or (sealed.revision != bid.revision and not was_in_order):
        raise ChangedSinceReview
    if sealed.tender_version != bid.lot.tender.version and not was_in_order:
        raise AmendedSinceReview
    if request.object_version <= bid.version:
        raise NewerBidStands(received=f"{bid.received_at:%Y-%m-%d %H:%M:%S}" if bid.received_at else "")
    if not was_in_order:
        _require_none_waits(bid, WITHDRAW)
    _require_entitled(bid, at)
    signature = signing.complete(sealed.request, cms, by=by, at=at, verdict=verdict)
    envelope = _store(bid, sealed, signature, at)
    audit.record(
        "bid.submitted", bid, by=by, at=at, stream=f"tender:{bid.lot.tender_id}",
        version=envelope.version, manifest=sealed.manifest["content"], files=sealed.manifest["files"],
    )  # fmt: skip
    _tell(bid, "bid_received", _("Your bid for lot %(lot)s of %(tender)s was received and sealed."), at)
    return envelope


@transaction.atomic
def prepare_withdrawal(bid_id: int, *, by: Actor, at: datetime) -> SigningRequest:
    """What is signed to take a sent bid back. Raises NothingToWithdraw, NewerVersionWaits, and whatever ended the time
    for bids."""
    bid = bid_drafts.locked(_signers_bid(bid_id, by), at)
    envelope = _withdrawable(bid)
    _require_none_waits(bid, SUBMIT)
    tender = bid.lot.tender
    assert tender.tender_ends_at is not None
    return signing.prepare(
        action=WITHDRAW,
        actor=by,
        object_type="bid",
        object_id=bid.pk,
        object_version=bid.version,
        content={
            "tender": tender.number,
            "tender_title": tender.title,
            "lot": bid.lot.number,
            "lot_title": bid.lot.title,
            "bid_version": bid.version,
            "received_at": receipts.instant(envelope.received_at),
            "deadline": receipts.instant(tender.tender_ends_at),
            "content": envelope.manifest["content"],
        },
        at=at,
        expires_at=min(tender.tender_ends_at, at + SIGNING_TIME),
    )


@transaction.atomic
def withdraw(
    request_id: int, cms: bytes, *, idempotency_key: str, by: Actor, at: datetime, verdict: Judged | None = None
) -> BidEnvelope:
    """Take the bid back before the deadline; it will not be opened, and may be prepared again. Returns the envelope
    with its receipt of withdrawal.

    What was sent before and is still being judged has to be cancelled first (NewerVersionWaits): it would stand after
    the withdrawal. So it is the other way round (WithdrawalWaits): what stands never hangs on which is judged first.
    """
    first = once(WITHDRAW, idempotency_key, request_id, by=by, at=at)
    request = _request(request_id, WITHDRAW)
    found = _signers_bid(int(request.object_id), by)
    done = BidEnvelope.objects.filter(withdrawal_signature__request=request_id).first()
    if done or not first:
        return done or BidEnvelope.objects.get(withdrawal_signature__request=request_id)
    was_in_order = verdict is not None
    verdict = verdict or _judged(request, cms, found, by, at)
    bid = bid_drafts.locked(found, at)
    envelope = _withdrawable(bid)
    if request.object_version != bid.version:
        raise ChangedSinceReview
    if not was_in_order:
        _require_none_waits(bid, SUBMIT)
    signature = signing.complete(request, cms, by=by, at=at, verdict=verdict)
    move(bid, BidStatus.WITHDRAWN)
    bid.withdrawn_at = at
    bid.save(update_fields=["status", "withdrawn_at", "updated_at"])
    envelope.withdrawal_signature = signature
    envelope.withdrawal_receipt = receipts.for_withdrawal(bid, envelope, signature, at)
    envelope.save(update_fields=["withdrawal_signature", "withdrawal_receipt"])
    bid_files.let_go(bid)
    audit.record("bid.withdrawn", bid, by=by, at=at, stream=f"tender:{bid.lot.tender_id}", version=envelope.version)
    _tell(bid, "bid_withdrawn", _("Your bid for lot %(lot)s of %(tender)s was withdrawn. It will not be opened."), at)
    return envelope


def _require_entitled(bid: Bid, at: datetime) -> None:
    """Raises NotEntitled. Where the tariff counts bids, a supplier's submissions of the moment are counted one by
    one."""
    answer = entitlements.require(bid.supplier, bid_queries.need_of(bid.lot, bid.supplier_id, at, bid_id=bid.pk), at)
    if answer.bids_left is None:
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"bids_of_month:{bid.supplier_id}"])
    entitlements.require(bid.supplier, bid_queries.need_of(bid.lot, bid.supplier_id, at, bid_id=bid.pk), at)


def _signers_bid(bid_id: int, by: Actor) -> Bid:
    bid = Bid.objects.select_related("lot__tender").defer("draft", "lot__tender__search").filter(pk=bid_id).first()
    if bid is None:
        raise NotFound
    permissions.require_bid_signer(by, bid)
    return bid


def _request(request_id: int, action: str) -> SigningRequest:
    request = SigningRequest.objects.filter(pk=request_id, action=action, object_type="bid").first()
    if request is None:
        raise NotFound
    return request


def _judged(request: SigningRequest, cms: bytes, bid: Bid, by: Actor, at: datetime) -> Judged:
    """The verdict on the signature of a bid received in time: only the opening waits for it."""
    bid_drafts.require_open(bid.lot, at)
    bid_drafts.keep_sealed(bid.lot.tender_id)
    return signing.judged(request, cms, by=by, at=at)


def _withdrawable(bid: Bid) -> BidEnvelope:
    if bid.status not in (BidStatus.SUBMITTED, BidStatus.INVALIDATED):
        raise NothingToWithdraw(state=bid.get_status_display())
    return BidEnvelope.objects.select_for_update().get(bid=bid, version=bid.version)


def _require_none_waits(bid: Bid, action: str) -> None:
    """No signature of this action on the bid is being judged. The caller holds the bid."""
    rows = bid_queries.waiting_signatures([bid]).get(bid.pk, [])
    row = next((row for row in rows if row.request.action == action), None)
    if row is None:
        return
    received = f"{row.received_at:%Y-%m-%d %H:%M:%S}"
    if action == WITHDRAW:
        raise WithdrawalWaits(received=received)
    raise NewerVersionWaits(version=row.request.object_version, received=received)


def _described(document: BidFile, about: DraftDocument) -> ContentFile:
    return ContentFile(document.pk, about.name, about.media_type, document.size, about.sha256)


def _store(bid: Bid, sealed: BidSealing, signature: Signature, at: datetime) -> BidEnvelope:
    if bid.status != BidStatus.SUBMITTED:
        move(bid, BidStatus.SUBMITTED)
    bid.version = sealed.request.object_version
    bid.tender_version = sealed.tender_version
    bid.sent_revision = sealed.revision
    bid.received_at = at
    bid.save(update_fields=["status", "version", "tender_version", "sent_revision", "received_at", "updated_at"])
    BidEnvelope.objects.filter(bid=bid, superseded_at=None).update(superseded_at=at)
    envelope = BidEnvelope.objects.create(
        bid=bid,
        version=bid.version,
        ciphertext=sealed.ciphertext,
        manifest=sealed.manifest,
        signature=signature,
        received_at=at,
        receipt=receipts.for_envelope(bid, sealed.manifest, signature, at),
    )
    bid.files.filter(pk__in=[entry["file"] for entry in sealed.manifest["files"]]).update(in_version=bid.version)
    BidSealing.objects.filter(Q(pk=sealed.pk) | ~Q(pk__in=bid_queries.being_judged(bid)), bid=bid).delete()
    bid_files.let_go(bid)
    _confirm_again(bid, at)
    return envelope


def _confirm_again(bid: Bid, at: datetime) -> None:
    """A bid that waited for its verdict while the tender was amended has to be confirmed, like those that stood."""
    tender = bid.lot.tender
    if Amendment.objects.filter(tender=tender, version__gt=bid.tender_version, invalidates_bids=True).exists():
        move(bid, BidStatus.INVALIDATED)
        bid.save(update_fields=["status", "updated_at"])
        audit.record(
            "bid.invalidated", bid, by=None, at=at, stream=f"tender:{tender.pk}", tender_version=tender.version
        )


def _tell(bid: Bid, kind: str, sentence: str, at: datetime) -> None:
    said = sentence % {"lot": bid.lot.number, "tender": bid.lot.tender.number}
    notifications.notify(
        bid.supplier, kind, said, reverse("bid", args=[bid.pk]), at=at, roles=[Role.BID_MANAGER, Role.SIGNER]
    )
