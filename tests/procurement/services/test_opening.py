"""Opening: once, after the deadline, envelope by envelope."""

from __future__ import annotations

import errno
import io
import zipfile
from datetime import timedelta
from decimal import Decimal

import pytest
from django.core.files.storage import FileSystemStorage, default_storage

from marketplace.models import AuditRecord, Notification
from marketplace.services.files import open_file
from marketplace.shared.keys import UnwrapError
from procurement.models import Auction, Bid, BidEnvelope, BidFile, BidPrice, Lot, Tender
from procurement.queries import bids as bid_queries
from procurement.queries.audit import of_tender as audit_of_tender
from procurement.rules.lifecycle import BidStatus, LotStatus, TenderStatus
from procurement.services import exports, opening
from procurement.services.opening import DeadlineMoved, TenderPeriodRunning
from procurement.web.audit_words import rows_of
from tests.factories.bids import CLOSES, LATER, bidder, drafted_bid, sent_bid, tender_taking_bids
from tests.factories.marketplace import NOON, member
from tests.factories.signatures import trust

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _trust() -> None:
    trust()


def _lot(**fields: object) -> Lot:
    return tender_taking_bids(**fields).lots.get()  # type: ignore[arg-type]


def test_opening_reads_prices_ranks_bids_and_moves_the_tender_on() -> None:
    lot = _lot()
    dear = sent_bid(lot, ["20", "30.005"], remarks="In May", files={"plan.txt": b"the plan"})
    cheap = sent_bid(lot, ["10", "1"], at=NOON + timedelta(hours=1))

    tender = opening.open_tender(lot.tender_id, LATER)

    assert (tender.status, tender.opened_at) == (TenderStatus.EVALUATION, LATER)
    dear.refresh_from_db()
    cheap.refresh_from_db()
    assert (dear.status, dear.initial_amount, dear.amount, dear.rank) == (
        BidStatus.OPENED, Decimal("500.05"), Decimal("500.05"), 2,
    )  # fmt: skip
    assert (cheap.amount, cheap.rank, cheap.flags) == (Decimal(110), 1, ["below_mean", "below_next"])
    assert [(p.unit_price, p.amount) for p in dear.prices.all()] == [(20, 200), (Decimal("30.005"), Decimal("300.05"))]
    assert (dear.remarks, dear.draft, dear.opening_problem) == ("In May", None, "")
    document = dear.files.get()
    assert document.opened is not None
    with open_file(document.opened) as content:
        assert (document.name, content.read()) == ("plan.txt", b"the plan")


@pytest.mark.parametrize("early", [timedelta(0), timedelta(seconds=1)])
def test_nothing_is_opened_before_the_deadline(early: timedelta) -> None:
    lot = _lot()
    bid = sent_bid(lot, ["20", "30"])

    with pytest.raises(TenderPeriodRunning):
        opening.open_tender(lot.tender_id, CLOSES - early - timedelta(microseconds=1))

    bid.refresh_from_db()
    assert (bid.status, bid.amount) == (BidStatus.SUBMITTED, None)


def test_opening_twice_changes_nothing() -> None:
    lot = _lot()
    sent_bid(lot, ["20", "30"])
    opening.open_tender(lot.tender_id, LATER)
    audits, notes = AuditRecord.objects.count(), Notification.objects.count()

    again = opening.open_tender(lot.tender_id, LATER + timedelta(minutes=1))

    assert again.opened_at == LATER
    assert (AuditRecord.objects.count(), Notification.objects.count()) == (audits, notes)


def test_the_use_of_the_key_is_on_record() -> None:
    lot = _lot()
    bid = sent_bid(lot, ["20", "30"])

    opening.open_tender(lot.tender_id, LATER)

    used = AuditRecord.objects.get(stream=f"tender:{lot.tender_id}", action="lot.key_used")
    assert used.details["envelopes"] == [bid.envelopes.get().manifest["content"]["sha256"]]
    assert (used.person, used.at) == (None, LATER)


def test_a_broken_envelope_is_shown_as_what_it_is_and_stops_no_other() -> None:
    lot = _lot()
    broken, sound = sent_bid(lot, ["20", "30"]), sent_bid(lot, ["10", "1"])
    envelope = broken.envelopes.get()
    envelope.ciphertext = bytes(envelope.ciphertext)[:-1] + b"\0"
    envelope.save()

    opening.open_tender(lot.tender_id, LATER)

    broken.refresh_from_db()
    sound.refresh_from_db()
    assert (broken.status, broken.amount, broken.rank) == (BidStatus.REJECTED, None, None)
    signed = envelope.manifest["content"]["sha256"]
    assert broken.opening_problem.startswith("the stored envelope is not the one that was signed: SHA-256 ")
    assert broken.opening_problem.endswith(f"instead of {signed[:16]}…")
    assert (sound.status, sound.rank) == (BidStatus.OPENED, 1)


def test_an_envelope_moved_to_another_bid_does_not_open() -> None:
    lot = _lot()
    one, other = sent_bid(lot, ["20", "30"]), sent_bid(lot, ["10", "1"])
    stolen = other.envelopes.get()
    BidEnvelope.objects.filter(bid=one).update(ciphertext=bytes(stolen.ciphertext), manifest=stolen.manifest)

    opening.open_tender(lot.tender_id, LATER)

    one.refresh_from_db()
    signed = stolen.manifest["content"]["sha256"]
    assert (one.status, one.opening_problem) == (
        BidStatus.REJECTED,
        f"it is stored as it was signed (SHA-256 {signed[:16]}…), and does not open with the lot’s key",
    )


def test_a_lost_document_is_named_and_the_price_stands() -> None:
    lot = _lot()
    bid = sent_bid(lot, ["20", "30"], files={"plan.txt": b"the plan"})
    default_storage.delete(BidFile.objects.get().sealed_path)

    opening.open_tender(lot.tender_id, LATER)

    bid.refresh_from_db()
    assert (bid.status, bid.amount) == (BidStatus.OPENED, Decimal(500))
    assert bid.opening_problem == "These documents could not be read: “plan.txt”: the platform has lost its ciphertext"


def test_bids_stay_sealed_while_the_lots_key_cannot_be_used() -> None:
    lot = _lot()
    bid = sent_bid(lot, ["20", "30"])
    Lot.objects.update(wrapped_private_key=b"not a key")

    with pytest.raises(UnwrapError):
        opening.open_tender(lot.tender_id, LATER)

    bid.refresh_from_db()
    assert (bid.status, bid.opened_at, Tender.objects.get().status) == (
        BidStatus.SUBMITTED, None, TenderStatus.PUBLISHED,
    )  # fmt: skip
    lot.save(update_fields=["wrapped_private_key"])
    opening.open_tender(lot.tender_id, LATER)
    bid.refresh_from_db()
    assert (bid.status, bid.amount) == (BidStatus.OPENED, Decimal(500))


def test_bids_stay_sealed_while_the_storage_cannot_keep_their_documents(monkeypatch: pytest.MonkeyPatch) -> None:
    lot = _lot()
    bid = sent_bid(lot, ["20", "30"], files={"plan.txt": b"the plan"})

    def full(*_arguments: object) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as storage:
        storage.setattr(FileSystemStorage, "_save", full)
        with pytest.raises(OSError, match="No space left"):
            opening.open_tender(lot.tender_id, LATER)

    bid.refresh_from_db()
    assert bid.status == BidStatus.SUBMITTED
    opening.open_tender(lot.tender_id, LATER)
    bid.refresh_from_db()
    assert (bid.opening_problem, bid.files.get().opened is not None) == ("", True)


def test_drafts_and_unconfirmed_bids_are_dropped_and_forgotten() -> None:
    lot = _lot()
    draft, unconfirmed, sound = drafted_bid(lot, ["1", "2"]), sent_bid(lot, ["1", "2"]), sent_bid(lot, ["3", "4"])
    Bid.objects.filter(pk=unconfirmed.pk).update(status=BidStatus.INVALIDATED.value)

    opening.open_tender(lot.tender_id, LATER)

    for bid in (draft, unconfirmed):
        bid.refresh_from_db()
        assert (bid.status, bid.draft, bid.opened_at, bid.amount) == (BidStatus.WITHDRAWN, None, None, None)
    assert draft.decision_reason == "The draft was not sent before the deadline."
    assert unconfirmed.decision_reason == "The bid was not confirmed after the amendment."
    sound.refresh_from_db()
    assert (sound.status, sound.rank) == (BidStatus.OPENED, 1)


def test_a_lot_without_bids_is_unsuccessful() -> None:
    lot = _lot()

    tender = opening.open_tender(lot.tender_id, LATER)

    lot.refresh_from_db()
    assert (lot.status, lot.closing_reason) == (LotStatus.UNSUCCESSFUL, "No bid was sent.")
    assert (tender.status, tender.closed_at) == (TenderStatus.UNSUCCESSFUL, LATER)


def test_a_deadline_moved_in_the_database_opens_nothing_early() -> None:
    """Whoever writes to the database and has no key file would have the platform open with its own."""
    lot = _lot()
    bid = sent_bid(lot, ["20", "30"])
    Tender.objects.update(tender_ends_at=NOON + timedelta(hours=1), enquiry_ends_at=NOON)

    with pytest.raises(DeadlineMoved):
        opening.open_tender(lot.tender_id, NOON + timedelta(hours=2))

    bid.refresh_from_db()
    lot.tender.refresh_from_db()
    assert (bid.status, bid.amount, lot.tender.status) == (BidStatus.SUBMITTED, None, TenderStatus.PUBLISHED)
    assert not AuditRecord.objects.filter(action="lot.key_used").exists()
    assert opening.open_tender(lot.tender_id, LATER).status == TenderStatus.EVALUATION


def test_too_few_bids_are_not_opened() -> None:
    lot = _lot(settings={"minimum_bids": 2})
    bid = sent_bid(lot, ["20", "30"])

    tender = opening.open_tender(lot.tender_id, LATER)

    bid.refresh_from_db()
    assert (bid.status, bid.amount, tender.status) == (BidStatus.SUBMITTED, None, TenderStatus.UNSUCCESSFUL)
    assert not AuditRecord.objects.filter(action__in=["lot.key_used", "tender.opened"]).exists()
    assert AuditRecord.objects.filter(action="lot.key_destroyed").count() == 1
    lot.refresh_from_db()
    assert (tender.opened_at, lot.wrapped_private_key) == (None, None)


def test_where_nothing_was_opened_the_buyer_is_not_told_who_bid() -> None:
    lot = _lot(settings={"minimum_bids": 2})
    bid = sent_bid(lot, ["20", "30"])
    tender = opening.open_tender(lot.tender_id, LATER)
    by = member(tender.buyer)

    archive = io.BytesIO()
    exports.build(tender, exports.reader_of(by, tender), archive)
    with zipfile.ZipFile(archive) as opened:
        exported = b"".join(opened.read(name) for name in opened.namelist()).decode(errors="replace")
    trail = rows_of(audit_of_tender(tender), tender)

    assert bid.supplier.short_name not in exported
    assert bid.supplier.full_name not in exported
    assert not [row for row in trail if bid.supplier.short_name in f"{row.actor}{row.detail}"]


def test_one_lot_may_fail_while_another_goes_on() -> None:
    first, second = tender_taking_bids(lots=2).lots.all()
    sent_bid(second, ["1", "2"])

    tender = opening.open_tender(first.tender_id, LATER)

    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.status, second.status, tender.status) == (
        LotStatus.UNSUCCESSFUL, LotStatus.ACTIVE, TenderStatus.EVALUATION,
    )  # fmt: skip


def test_a_superseded_envelope_is_not_opened() -> None:
    lot = _lot()
    by = bidder()
    bid = sent_bid(lot, ["20", "30"], by=by)
    sent_bid(lot, ["10", "20"], by=by)

    opening.open_tender(lot.tender_id, LATER)

    bid.refresh_from_db()
    assert (bid.version, bid.amount, BidPrice.objects.count()) == (2, Decimal(300), 2)


def _auction_lot(**settings: object) -> Lot:
    lot = _lot(procedure="auction_english_reverse", settings=settings)
    Lot.objects.update(step_kind="amount", step_value=Decimal(1))
    lot.refresh_from_db()
    return lot


def test_two_fitting_bids_go_to_the_auction() -> None:
    lot = _auction_lot()
    bids = [sent_bid(lot, ["20", "30"]), sent_bid(lot, ["10", "1"])]

    tender = opening.open_tender(lot.tender_id, LATER)

    assert tender.status == TenderStatus.AUCTION
    assert Auction.objects.get().participants.count() == 2
    assert {Bid.objects.get(pk=bid.pk).status for bid in bids} == {BidStatus.ADMITTED}


def test_one_bid_goes_straight_to_the_award() -> None:
    lot = _auction_lot()
    sent_bid(lot, ["20", "30"])

    tender = opening.open_tender(lot.tender_id, LATER)

    assert (tender.status, Auction.objects.count()) == (TenderStatus.AWARDING, 0)


def test_a_bid_above_a_hidden_limit_does_not_enter_the_auction() -> None:
    lot = _auction_lot(limit_price_shown=False)
    above = sent_bid(lot, ["9000", "9000"])
    sent_bid(lot, ["20", "30"])
    sent_bid(lot, ["10", "1"])

    tender = opening.open_tender(lot.tender_id, LATER)

    above.refresh_from_db()
    assert (above.status, above.rank) == (BidStatus.REJECTED, None)
    assert (tender.status, Auction.objects.get().participants.count()) == (TenderStatus.AUCTION, 2)


# The gate ---------------------------------------------------------------------------------------------------------


def test_no_query_returns_a_bid_before_the_deadline_even_if_a_row_says_it_is_open() -> None:
    lot = _lot()
    sent_bid(lot, ["20", "30"])
    opening.open_tender(lot.tender_id, LATER)
    tender = Tender.objects.get()

    assert bid_queries.opened(LATER).count() == 1
    assert bid_queries.opened(CLOSES - timedelta(seconds=1)).count() == 0
    assert bid_queries.opened_of_tender(tender, CLOSES - timedelta(seconds=1)).count() == 0
    Tender.objects.update(tender_ends_at=LATER + timedelta(days=1))
    assert bid_queries.opened(LATER).count() == 0


def test_suppliers_are_told_without_a_price() -> None:
    lot = _lot()
    by = bidder()
    sent_bid(lot, ["20", "30"], by=by)
    reader = member(lot.tender.buyer)

    opening.open_tender(lot.tender_id, LATER)

    assert {n.person for n in Notification.objects.filter(kind="bids_opened")} == {by.person, reader.person}
    assert not any("500" in n.text for n in Notification.objects.all())
