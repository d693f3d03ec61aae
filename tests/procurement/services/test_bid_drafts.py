"""A bid being prepared."""

from __future__ import annotations

import errno
import io
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, default_storage

from marketplace.entitlements import NotEntitled
from marketplace.models import Role
from marketplace.permissions import RoleMissing
from marketplace.services.files import FileTypeNotAllowed
from marketplace.shared.errors import NotFound, StaleForm
from marketplace.signatures.payload import sha256_hex
from procurement.models import Bid, Lot, Tender
from procurement.rules.lifecycle import BidStatus, LotStatus, TenderStatus
from procurement.services import bid_documents, bid_drafts, bids
from procurement.services.bid_documents import DuplicateDocument, TooManyBytes, TooManyFiles
from procurement.services.bid_drafts import (
    BidNotEditable,
    DraftStaysWithBidder,
    LotNotOpen,
    OwnTender,
    RemarksTooLong,
    TenderNotOpen,
    TenderPeriodOver,
)
from procurement.services.bid_files import StorageFull
from tests.factories.bids import CLOSES, bidder, drafted_bid, tender_taking_bids
from tests.factories.marketplace import NOON, OrganisationFactory, accredited_supplier, member
from tests.factories.procurement import draft_tender

pytestmark = pytest.mark.django_db


@pytest.fixture
def lot() -> Lot:
    lot = tender_taking_bids().lots.get()
    lot.limit_price = Decimal(1000)
    lot.save()
    return lot


def test_a_draft_is_made_once_per_supplier_and_lot(lot: Lot) -> None:
    by = bidder()

    first, second = bid_drafts.start(lot.pk, by=by, at=NOON), bid_drafts.start(lot.pk, by=by, at=NOON)

    assert first == second
    assert (first.status, first.supplier, first.currency) == (BidStatus.DRAFT, by.organisation, "EUR")


def test_a_buyer_cannot_bid_in_its_own_tender(lot: Lot) -> None:
    with pytest.raises(OwnTender):
        bid_drafts.start(lot.pk, by=member(lot.tender.buyer), at=NOON)


def test_a_supplier_without_accreditation_is_told_why(lot: Lot) -> None:
    stranger = member(OrganisationFactory.create(is_supplier=True))

    with pytest.raises(NotEntitled) as refusal:
        bid_drafts.start(lot.pk, by=stranger, at=NOON)

    assert "accredited" in str(refusal.value)
    assert not Bid.objects.exists()


def test_only_a_bid_manager_starts_a_bid(lot: Lot) -> None:
    with pytest.raises(RoleMissing):
        bid_drafts.start(lot.pk, by=member(accredited_supplier(), Role.SIGNER), at=NOON)


def test_an_unpublished_tender_takes_no_bids() -> None:
    with pytest.raises(NotFound):
        bid_drafts.start(draft_tender().lots.get().pk, by=bidder(), at=NOON)


def test_a_cancelled_tender_takes_no_bids(lot: Lot) -> None:
    lot.tender.status = TenderStatus.CANCELLED
    lot.tender.save()

    with pytest.raises(TenderNotOpen):
        bid_drafts.start(lot.pk, by=bidder(), at=NOON)


def test_a_closed_lot_takes_no_bids(lot: Lot) -> None:
    lot.status = LotStatus.CANCELLED
    lot.save()

    with pytest.raises(LotNotOpen):
        bid_drafts.start(lot.pk, by=bidder(), at=NOON)


def test_the_closing_instant_is_late(lot: Lot) -> None:
    by = bidder()
    bid_drafts.start(lot.pk, by=by, at=CLOSES - timedelta(microseconds=1))

    with pytest.raises(TenderPeriodOver):
        bid_drafts.start(lot.pk, by=bidder(), at=CLOSES)


def test_what_is_typed_is_kept_right_or_wrong(lot: Lot) -> None:
    by = bidder()
    bid = drafted_bid(lot, ["12,50", "not yet"], by=by, remarks="Delivered in May")

    draft = bid_drafts.read_draft(bid, by=by)

    assert (list(draft.prices.values()), draft.remarks) == (["12,50", "not yet"], "Delivered in May")
    table = bid_drafts.price_table(lot, draft)
    assert (str(table.total), table.complete, str(table.share_of_limit)) == ("125.00", False, "12.5")


def test_a_draft_lies_in_the_database_as_ciphertext(lot: Lot) -> None:
    bid = drafted_bid(lot, ["123.45", "678.90"], remarks="secret remark")

    kept = bytes(Bid.objects.get(pk=bid.pk).draft or b"")

    assert len(kept) > 40
    assert not any(secret in kept for secret in (b"123.45", b"678.90", b"secret"))


def test_a_draft_moved_to_another_bid_does_not_open(lot: Lot) -> None:
    by = bidder()
    bid, other = drafted_bid(lot, ["1", "2"]), drafted_bid(lot, ["3", "4"], by=by)
    other.draft = bid.draft
    other.save()

    with pytest.raises(Exception, match="does not unwrap"):
        bid_drafts.read_draft(other, by=by)


def test_nobody_else_reads_a_draft(lot: Lot) -> None:
    bid = drafted_bid(lot, ["1", "2"])

    for stranger in (bidder(), member(lot.tender.buyer)):
        with pytest.raises(NotFound):
            bid_drafts.read_draft(bid, by=stranger)


def test_an_evaluator_of_the_supplier_does_not_read_its_bids(lot: Lot) -> None:
    bid = drafted_bid(lot, ["1", "2"])

    with pytest.raises(RoleMissing):
        bid_drafts.read_draft(bid, by=member(bid.supplier, Role.EVALUATOR))


def test_a_stale_form_says_what_changed_and_changes_nothing(lot: Lot) -> None:
    by = bidder()
    bid = drafted_bid(lot, ["1", "2"], by=by)
    first, second = lot.items.all()
    opened_at = bid.revision
    bid_drafts.save(bid.pk, prices={first.pk: "10"}, remarks="", revision=opened_at, by=by, at=NOON)

    with pytest.raises(StaleForm) as refusal:
        bid_drafts.save(bid.pk, prices={first.pk: "11", second.pk: "2"}, remarks="", revision=opened_at, by=by, at=NOON)

    assert [str(change) for change in refusal.value.changes] == ["Item 1: saved is “10”, you have “11”."]
    assert bid_drafts.read_draft(Bid.objects.get(pk=bid.pk), by=by).prices == {first.pk: "10", second.pk: "2"}


def test_saving_the_same_again_is_no_change(lot: Lot) -> None:
    by = bidder()
    bid = drafted_bid(lot, ["1", "2"], by=by)
    prices = {item.pk: price for item, price in zip(lot.items.all(), ["1", "2"], strict=True)}

    again = bid_drafts.save(bid.pk, prices=prices, remarks="", revision=0, by=by, at=NOON)

    assert again.revision == bid.revision


def test_a_price_for_a_foreign_item_is_not_kept(lot: Lot) -> None:
    by = bidder()
    bid = drafted_bid(lot, ["1", "2"], by=by)
    foreign = tender_taking_bids().lots.get().items.first()
    assert foreign is not None

    bid_drafts.save(bid.pk, prices={foreign.pk: "5"}, remarks="x", revision=bid.revision, by=by, at=NOON)

    assert foreign.pk not in bid_drafts.read_draft(Bid.objects.get(pk=bid.pk), by=by).prices


def test_remarks_have_an_end(lot: Lot) -> None:
    by = bidder()
    bid = drafted_bid(lot, ["1", "2"], by=by)

    with pytest.raises(RemarksTooLong):
        bid_drafts.save(bid.pk, prices={}, remarks="x" * 4001, revision=bid.revision, by=by, at=NOON)


def test_nothing_is_saved_after_the_deadline(lot: Lot) -> None:
    by = bidder()
    bid = drafted_bid(lot, ["1", "2"], by=by)

    with pytest.raises(TenderPeriodOver):
        bid_drafts.save(bid.pk, prices={}, remarks="late", revision=bid.revision, by=by, at=CLOSES)

    assert bid_drafts.read_draft(Bid.objects.get(pk=bid.pk), by=by).remarks == ""


def test_a_document_is_stored_as_ciphertext_without_its_name(lot: Lot) -> None:
    by = bidder()
    bid = drafted_bid(lot, ["1", "2"], by=by)

    document = bid_documents.add(bid.pk, ContentFile(b"unit price 9.99", name="offer-9.99.txt"), by=by, at=NOON)

    with default_storage.open(document.sealed_path) as kept:
        sealed = kept.read()
    assert (b"9.99" not in sealed, sha256_hex(sealed)) == (True, document.sealed_sha256)
    assert (document.name, document.media_type, document.size) == ("", "", 15)
    bid.refresh_from_db()
    assert bid_drafts.read_draft(bid, by=by).file_names == {document.pk: "offer-9.99.txt"}
    document.bid = bid
    plain = io.BytesIO()
    assert bid_documents.read(document, plain, by=by).name == "offer-9.99.txt"
    assert plain.getvalue() == b"unit price 9.99"
    with pytest.raises(NotFound):
        bid_documents.read(document, plain, by=member(lot.tender.buyer))


def test_a_forbidden_document_is_refused_before_storage(lot: Lot) -> None:
    by = bidder()
    bid = drafted_bid(lot, ["1", "2"], by=by)

    with pytest.raises(FileTypeNotAllowed):
        bid_documents.add(bid.pk, ContentFile(b"MZ", name="offer.exe"), by=by, at=NOON)

    assert bid.files.count() == 0


def test_a_bid_holds_twenty_documents(lot: Lot) -> None:
    by = bidder()
    bid = drafted_bid(lot, ["1", "2"], by=by)
    for number in range(20):
        bid_documents.add(bid.pk, ContentFile(b"text %d" % number, name=f"{number}.txt"), by=by, at=NOON)

    with pytest.raises(TooManyFiles):
        bid_documents.add(bid.pk, ContentFile(b"text", name="21.txt"), by=by, at=NOON)


def test_the_same_document_twice_is_refused_and_not_stored(lot: Lot) -> None:
    by = bidder()
    bid = drafted_bid(lot, ["1", "2"], by=by)
    kept = bid_documents.add(bid.pk, ContentFile(b"plan", name="plan.txt"), by=by, at=NOON)

    with pytest.raises(DuplicateDocument, match="in the bid already"):
        bid_documents.add(bid.pk, ContentFile(b"plan", name="same-plan.txt"), by=by, at=NOON)

    assert list(bid.files.values_list("pk", flat=True)) == [kept.pk]
    assert default_storage.listdir(f"bids/{bid.pk}")[1] == [kept.sealed_path.rsplit("/", 1)[1]]


def test_a_document_too_many_for_the_bids_size_is_refused(lot: Lot, settings: Any) -> None:
    settings.BID_MAX_BYTES = 10
    by = bidder()
    bid = drafted_bid(lot, ["1", "2"], by=by)
    bid_documents.add(bid.pk, ContentFile(b"123456", name="a.txt"), by=by, at=NOON)

    with pytest.raises(TooManyBytes):
        bid_documents.add(bid.pk, ContentFile(b"12345", name="b.txt"), by=by, at=NOON)


def test_a_full_disk_is_said_and_leaves_nothing(lot: Lot, monkeypatch: pytest.MonkeyPatch) -> None:
    by = bidder()
    bid = drafted_bid(lot, ["1", "2"], by=by)

    def full(storage: FileSystemStorage, name: str, content: object) -> str:
        place = Path(storage.path(name))
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(FileSystemStorage, "_save", full)
    with pytest.raises(StorageFull):
        bid_documents.add(bid.pk, ContentFile(b"text", name="a.txt"), by=by, at=NOON)

    assert (bid.files.count(), default_storage.listdir(f"bids/{bid.pk}")[1]) == (0, [])


def test_a_disk_almost_full_is_said_before_anything_is_sent(lot: Lot, settings: Any) -> None:
    settings.STORAGE_RESERVE_BYTES = 2**62
    by = bidder()
    bid = drafted_bid(lot, ["1", "2"], by=by)

    with pytest.raises(StorageFull):
        bid_documents.add(bid.pk, ContentFile(b"text", name="a.txt"), by=by, at=NOON)

    assert bid.files.count() == 0


def test_where_the_committee_holds_the_key_nothing_is_kept_or_sealed_here(lot: Lot) -> None:
    by = bidder()
    bid = drafted_bid(lot, ["1", "2"], by=by)
    Tender.objects.update(key_custody="committee")

    with pytest.raises(DraftStaysWithBidder):
        bid_drafts.save(bid.pk, prices={}, remarks="secret", revision=bid.revision, by=by, at=NOON)
    with pytest.raises(DraftStaysWithBidder):
        bid_documents.add(bid.pk, ContentFile(b"plan", name="plan.txt"), by=by, at=NOON)
    with pytest.raises(DraftStaysWithBidder):
        bids.prepare_submission(bid.pk, by=by, at=NOON)

    assert bid.files.count() == 0


def test_a_removed_document_is_no_longer_named(lot: Lot) -> None:
    by = bidder()
    bid = drafted_bid(lot, ["1", "2"], by=by)
    document = bid_documents.add(bid.pk, ContentFile(b"text", name="a.txt"), by=by, at=NOON)

    bid_documents.remove(bid.pk, document.pk, by=by, at=NOON)

    bid.refresh_from_db()
    assert bid_drafts.read_draft(bid, by=by).file_names == {}
    with pytest.raises(NotFound):
        bid_documents.remove(bid.pk, document.pk, by=by, at=NOON)


def test_a_discarded_draft_is_forgotten_and_can_be_begun_again(
    lot: Lot, django_capture_on_commit_callbacks: Any
) -> None:
    by = bidder()
    bid = drafted_bid(lot, ["1", "2"], by=by)
    document = bid_documents.add(bid.pk, ContentFile(b"text", name="a.txt"), by=by, at=NOON)

    with django_capture_on_commit_callbacks(execute=True):
        bid_drafts.discard(bid.pk, by=by, at=NOON)

    assert not default_storage.exists(document.sealed_path)
    bid.refresh_from_db()
    assert (bid.status, bid.draft) == (BidStatus.WITHDRAWN, None)
    with pytest.raises(BidNotEditable):
        bid_drafts.discard(bid.pk, by=by, at=NOON)
    again = bid_drafts.start(lot.pk, by=by, at=NOON)
    assert (again.pk, again.status) == (bid.pk, BidStatus.DRAFT)
    assert not again.files.filter(removed_at=None).exists()
