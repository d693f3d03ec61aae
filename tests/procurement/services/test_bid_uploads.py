"""Sealed documents on their way: parts in order, from one person, until the deadline, whole or not at all."""

from __future__ import annotations

import hashlib
import os
import tempfile
import tracemalloc
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.storage import default_storage

from marketplace.services.files import FileTooLarge, FileTypeNotAllowed
from marketplace.shared.errors import DomainError, NotFound
from marketplace.signatures import sealing
from procurement.models import Bid, BidFile, BidUpload, Tender
from procurement.services import bid_documents, bid_drafts, bid_files, bid_uploads, bids, opening
from procurement.services.bid_documents import BidderFull, DuplicateDocument
from procurement.services.bid_drafts import DraftDocument, DraftStaysWithBidder, TenderPeriodOver
from procurement.services.bid_files import StorageFull
from procurement.services.bid_uploads import (
    BeingFinished,
    Damaged,
    DescriptionRefused,
    NotASealedDocument,
    NotComplete,
    PartRefused,
    WrongPlace,
)
from tests.factories.at_once import at_the_same_time
from tests.factories.bidder_program import PART, sealed_document, send_document
from tests.factories.bids import CLOSES, LATER, bidder, drafted_bid, send, sent_bid, tender_taking_bids
from tests.factories.marketplace import NOON, member
from tests.factories.signatures import signed, trust

pytestmark = pytest.mark.django_db

PLAIN = os.urandom(2 * PART + 77)


@pytest.fixture
def bid() -> Bid:
    return drafted_bid(tender_taking_bids().lots.get(), ["1", "2"])


@pytest.fixture
def by(bid: Bid) -> Any:
    return member(bid.supplier)


def _begun(bid: Bid, by: Any, plain: bytes = PLAIN) -> tuple[BidUpload, bytes]:
    upload = bid_uploads.begin(bid.pk, size=sealing.sealed_size(len(plain)), by=by, at=NOON)
    return upload, sealed_document(bid, upload.file_id, plain)


def _stored(bid: Bid) -> list[str]:
    folder = f"bids/{bid.pk}"
    return default_storage.listdir(folder)[1] if default_storage.exists(folder) else []


def test_a_document_arrives_in_parts_and_becomes_one_ciphertext(
    bid: Bid, by: Any, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        document = send_document(bid, PLAIN, by=by, name="plan.txt")

    assert (document.size, document.name) == (len(PLAIN), "")
    assert _stored(bid) == [document.sealed_path.rsplit("/", 1)[1]]
    with default_storage.open(document.sealed_path) as kept:
        sealed = kept.read()
    assert (len(sealed), hashlib.sha256(sealed).hexdigest()) == (
        sealing.sealed_size(len(PLAIN)),
        document.sealed_sha256,
    )
    bid.refresh_from_db()
    assert bid_drafts.read_draft(bid, by=by).file_names == {document.pk: "plan.txt"}


def test_a_part_that_comes_again_or_too_early_is_told_where_to_go_on(bid: Bid, by: Any) -> None:
    upload, sealed = _begun(bid, by)
    bid_uploads.receive(bid.pk, upload.token, 0, sealed[:PART], by=by, at=NOON)

    for offset in (0, 2 * PART, PART - 1):
        with pytest.raises(WrongPlace) as refused:
            bid_uploads.receive(bid.pk, upload.token, offset, sealed[:PART], by=by, at=NOON)
        assert refused.value.params == {"offset": PART}

    assert (len(_stored(bid)), BidUpload.objects.get().received) == (1, PART)
    bid_uploads.receive(bid.pk, upload.token, PART, sealed[PART:], by=by, at=NOON)
    assert BidUpload.objects.get().received == len(sealed)


def test_more_than_was_announced_is_refused(bid: Bid, by: Any, settings: Any) -> None:
    settings.BID_PART_MAX_BYTES = 4 * PART
    upload, sealed = _begun(bid, by)

    for content in (b"", sealed + b"x", bytes(4 * PART + 1)):
        with pytest.raises(PartRefused):
            bid_uploads.receive(bid.pk, upload.token, 0, content, by=by, at=NOON)

    assert _stored(bid) == []


def test_only_the_last_part_is_a_small_one(bid: Bid, by: Any, settings: Any) -> None:
    upload, sealed = _begun(bid, by)
    least = settings.BID_PART_MIN_BYTES

    for content in (sealed[:1], sealed[: least - 1]):
        with pytest.raises(PartRefused):
            bid_uploads.receive(bid.pk, upload.token, 0, content, by=by, at=NOON)

    bid_uploads.receive(bid.pk, upload.token, 0, sealed[:-1], by=by, at=NOON)
    bid_uploads.receive(bid.pk, upload.token, len(sealed) - 1, sealed[-1:], by=by, at=NOON)
    assert BidUpload.objects.get().received == len(sealed)


def test_a_bidder_s_documents_are_bounded_over_all_its_bids(bid: Bid, by: Any, settings: Any) -> None:
    settings.BIDDER_MAX_BYTES = 2 * len(PLAIN)
    other = drafted_bid(tender_taking_bids().lots.get(), ["1", "2"], by=by)
    _begun(bid, by)
    promised, _sealed = _begun(other, by)

    with pytest.raises(BidderFull):
        bid_uploads.begin(other.pk, size=sealing.sealed_size(1), by=by, at=NOON)
    bid_documents.remove(other.pk, promised.file_id, by=by, at=NOON)
    bid_uploads.begin(other.pk, size=sealing.sealed_size(1), by=by, at=NOON)

    rival = bidder()
    bid_uploads.begin(drafted_bid(bid.lot, ["1", "2"], by=rival).pk, size=sealing.sealed_size(1), by=rival, at=NOON)


def test_the_disk_is_asked_at_each_step(bid: Bid, by: Any, settings: Any) -> None:
    upload, sealed = _begun(bid, by)
    bid_uploads.receive(bid.pk, upload.token, 0, sealed[:PART], by=by, at=NOON)
    usual, settings.STORAGE_RESERVE_BYTES = settings.STORAGE_RESERVE_BYTES, 2**60

    with pytest.raises(StorageFull):
        bid_uploads.receive(bid.pk, upload.token, PART, sealed[PART:], by=by, at=NOON)
    settings.STORAGE_RESERVE_BYTES = usual
    bid_uploads.receive(bid.pk, upload.token, PART, sealed[PART:], by=by, at=NOON)
    settings.STORAGE_RESERVE_BYTES = 2**60
    with pytest.raises(StorageFull):
        _finish(bid, upload, sealed, by)

    assert len(_stored(bid)) == 2
    settings.STORAGE_RESERVE_BYTES = usual
    assert _finish(bid, upload, sealed, by).sealed_path


def test_a_removed_document_leaves_nothing(bid: Bid, by: Any, django_capture_on_commit_callbacks: Any) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        whole = send_document(bid, b"plan", by=by)
        upload, sealed = _begun(bid, by)
        bid_uploads.receive(bid.pk, upload.token, 0, sealed[:PART], by=by, at=NOON)

    for file_id in (whole.pk, upload.file_id):
        with django_capture_on_commit_callbacks(execute=True):
            bid_documents.remove(bid.pk, file_id, by=by, at=NOON)

    assert (BidFile.objects.count(), BidUpload.objects.count(), _stored(bid)) == (0, 0, [])


def test_what_was_sent_is_let_go_once_it_is_replaced_or_withdrawn(django_capture_on_commit_callbacks: Any) -> None:
    trust()
    by = bidder()
    bid = sent_bid(tender_taking_bids().lots.get(), ["1", "2"], by=by, files={"a.txt": b"a", "b.txt": b"b"})
    first, second = bid.files.all()

    with django_capture_on_commit_callbacks(execute=True):
        bid_documents.remove(bid.pk, first.pk, by=by, at=NOON)
    assert len(_stored(bid)) == 2  # it would be opened as it was sent
    with django_capture_on_commit_callbacks(execute=True):
        send(bid, by=by)
    assert _stored(bid) == [second.sealed_path.rsplit("/", 1)[1]]

    with django_capture_on_commit_callbacks(execute=True):
        request = bids.prepare_withdrawal(bid.pk, by=by, at=NOON)
        bids.withdraw(request.pk, signed(request), idempotency_key="w", by=by, at=NOON)
    assert len(_stored(bid)) == 1  # the bid may be sent again with it
    with django_capture_on_commit_callbacks(execute=True):
        opening.open_tender(bid.lot.tender_id, LATER)
    assert _stored(bid) == []
    assert {file.sealed_sha256 for file in bid.files.all()} == {first.sealed_sha256, second.sealed_sha256}


def test_another_person_does_not_go_on_with_an_upload(bid: Bid, by: Any) -> None:
    upload, sealed = _begun(bid, by)

    for other in (member(bid.supplier), bidder()):
        with pytest.raises(NotFound):
            bid_uploads.receive(bid.pk, upload.token, 0, sealed[:PART], by=other, at=NOON)
        with pytest.raises(NotFound):
            bid_uploads.cancel(bid.pk, upload.token, by=other, at=NOON)
    with pytest.raises(NotFound):
        bid_uploads.receive(bid.pk, uuid.uuid4(), 0, sealed[:PART], by=by, at=NOON)

    assert (BidUpload.objects.get().received, _stored(bid)) == (0, [])


def test_an_upload_does_not_belong_to_another_bid(bid: Bid, by: Any) -> None:
    other = drafted_bid(tender_taking_bids().lots.get(), ["1", "2"], by=by)
    upload, sealed = _begun(bid, by)

    with pytest.raises(NotFound):
        bid_uploads.receive(other.pk, upload.token, 0, sealed[:PART], by=by, at=NOON)


def test_nothing_is_taken_at_the_deadline(bid: Bid, by: Any) -> None:
    upload, sealed = _begun(bid, by)
    bid_uploads.receive(bid.pk, upload.token, 0, sealed[:PART], by=by, at=CLOSES - timedelta(microseconds=1))

    with pytest.raises(TenderPeriodOver):
        bid_uploads.receive(bid.pk, upload.token, PART, sealed[PART:], by=by, at=CLOSES)
    with pytest.raises(TenderPeriodOver):
        bid_uploads.begin(bid.pk, size=sealing.sealed_size(5), by=by, at=CLOSES)

    assert (len(_stored(bid)), BidUpload.objects.get().received) == (1, PART)


@pytest.mark.parametrize("size", [-5, 0, 50, sealing.sealed_size(0), sealing.HEADER_SIZE + sealing.CHUNK + 17])
def test_a_size_that_no_sealed_document_has_is_refused(bid: Bid, by: Any, size: int) -> None:
    with pytest.raises(NotASealedDocument):
        bid_uploads.begin(bid.pk, size=size, by=by, at=NOON)

    assert not BidFile.objects.exists()


def test_a_document_over_the_limit_is_refused_before_a_byte_is_sent(bid: Bid, by: Any, settings: Any) -> None:
    settings.BID_FILE_MAX_BYTES = 1000

    bid_uploads.begin(bid.pk, size=sealing.sealed_size(1000), by=by, at=NOON)
    with pytest.raises(FileTooLarge):
        bid_uploads.begin(bid.pk, size=sealing.sealed_size(1001), by=by, at=NOON)


def test_what_has_not_arrived_whole_is_not_kept(bid: Bid, by: Any) -> None:
    upload, sealed = _begun(bid, by)
    bid_uploads.receive(bid.pk, upload.token, 0, sealed[:PART], by=by, at=NOON)

    with pytest.raises(NotComplete):
        bid_uploads.finish(bid.pk, upload.token, sha256="0" * 64, about=_about(PLAIN), by=by, at=NOON)

    assert BidFile.objects.get().sealed_path == ""


def test_what_was_damaged_on_its_way_is_thrown_away(bid: Bid, by: Any, django_capture_on_commit_callbacks: Any) -> None:
    upload, sealed = _begun(bid, by)
    damaged = sealed[:-1] + bytes([sealed[-1] ^ 1])
    bid_uploads.receive(bid.pk, upload.token, 0, damaged, by=by, at=NOON)

    with django_capture_on_commit_callbacks(execute=True), pytest.raises(Damaged):
        bid_uploads.finish(
            bid.pk, upload.token, sha256=hashlib.sha256(sealed).hexdigest(), about=_about(PLAIN), by=by, at=NOON
        )

    assert (BidFile.objects.count(), BidUpload.objects.count(), _stored(bid)) == (0, 0, [])


def test_finishing_twice_answers_the_same(bid: Bid, by: Any) -> None:
    upload, sealed = _begun(bid, by)
    bid_uploads.receive(bid.pk, upload.token, 0, sealed, by=by, at=NOON)
    told: dict[str, Any] = {"sha256": hashlib.sha256(sealed).hexdigest(), "about": _about(PLAIN), "by": by, "at": NOON}

    first, again = (bid_uploads.finish(bid.pk, upload.token, **told) for _time in range(2))

    assert first == again
    with pytest.raises(WrongPlace):
        bid_uploads.receive(bid.pk, upload.token, len(sealed), b"more", by=by, at=NOON)


def test_the_same_document_from_two_tabs_is_in_the_bid_once(
    bid: Bid, by: Any, django_capture_on_commit_callbacks: Any
) -> None:
    (one, sealed_one), (two, sealed_two) = _begun(bid, by), _begun(bid, by)
    bid_uploads.receive(bid.pk, one.token, 0, sealed_one, by=by, at=NOON)
    bid_uploads.receive(bid.pk, two.token, 0, sealed_two, by=by, at=NOON)
    with django_capture_on_commit_callbacks(execute=True):
        kept = bid_uploads.finish(
            bid.pk, one.token, sha256=hashlib.sha256(sealed_one).hexdigest(), about=_about(PLAIN), by=by, at=NOON
        )

    with django_capture_on_commit_callbacks(execute=True), pytest.raises(DuplicateDocument):
        bid_uploads.finish(
            bid.pk, two.token, sha256=hashlib.sha256(sealed_two).hexdigest(), about=_about(PLAIN), by=by, at=NOON
        )

    assert list(BidFile.objects.values_list("pk", flat=True)) == [kept.pk]
    assert _stored(bid) == [kept.sealed_path.rsplit("/", 1)[1]]


def test_a_cancelled_upload_leaves_nothing(bid: Bid, by: Any, django_capture_on_commit_callbacks: Any) -> None:
    upload, sealed = _begun(bid, by)
    bid_uploads.receive(bid.pk, upload.token, 0, sealed[:PART], by=by, at=NOON)

    with django_capture_on_commit_callbacks(execute=True):
        bid_uploads.cancel(bid.pk, upload.token, by=by, at=NOON)

    assert (BidFile.objects.count(), BidUpload.objects.count(), _stored(bid)) == (0, 0, [])
    with pytest.raises(NotFound):
        bid_uploads.receive(bid.pk, upload.token, PART, sealed[PART:], by=by, at=NOON)


def test_names_are_refused_where_no_draft_is_kept_here(bid: Bid, by: Any) -> None:
    Tender.objects.update(key_custody="committee")

    with pytest.raises(DraftStaysWithBidder):
        send_document(bid, b"plan", by=by)
    document = send_document(bid, b"plan", by=by, about=None)

    bid.refresh_from_db()
    assert (bid.draft, bool(document.sealed_path)) == (None, True)


@pytest.mark.parametrize(
    ("about", "refusal"),
    [
        (None, DescriptionRefused),
        (DraftDocument("plan.txt", "text/plain", "00"), DescriptionRefused),
        (DraftDocument("plan.txt", "application/pdf", "0" * 64), DescriptionRefused),
        (DraftDocument("../plan.txt", "text/plain", "0" * 64), DescriptionRefused),
        (DraftDocument("plan.txt", "text/plain", "0" * 64, b"short"), DescriptionRefused),
        (DraftDocument("plan.exe", "text/plain", "0" * 64), FileTypeNotAllowed),
    ],
)
def test_what_is_said_of_a_document_has_to_fit(
    bid: Bid, by: Any, about: DraftDocument | None, refusal: type[DomainError]
) -> None:
    with pytest.raises(refusal):
        send_document(bid, b"plan", by=by, about=about)

    assert BidFile.objects.get().sealed_path == ""


def test_the_sweep_takes_what_nobody_names_and_what_stopped_coming(bid: Bid, by: Any) -> None:
    kept = send_document(bid, b"plan", by=by)
    upload, sealed = _begun(bid, by)
    bid_uploads.receive(bid.pk, upload.token, 0, sealed[:PART], by=by, at=NOON)
    orphan = bid_files.write(bid.pk, b"left by a transaction that was rolled back")
    written = default_storage.get_modified_time(orphan)

    assert bid_files.sweep(written + timedelta(hours=23)) == 0
    BidUpload.objects.update(updated_at=written)
    # Its part is named no longer, and neither is the orphan; the parts of the first were left by the open transaction.
    assert bid_files.sweep(written + timedelta(hours=25)) >= 2

    assert _stored(bid) == [kept.sealed_path.rsplit("/", 1)[1]]
    assert list(bid.files.all()) == [kept]


def test_the_sweep_takes_places_that_nothing_came_to_fill(bid: Bid, by: Any) -> None:
    bid_documents.reserve(bid.pk, 5, by=by, at=NOON)

    bid_files.sweep(NOON + timedelta(hours=23))
    assert bid.files.count() == 1
    bid_files.sweep(NOON + timedelta(hours=25))
    assert bid.files.count() == 0


@pytest.mark.django_db(transaction=True)
def test_of_two_tabs_sending_the_same_part_one_is_told_to_go_on(bid: Bid, by: Any) -> None:
    upload, sealed = _begun(bid, by)

    answers = at_the_same_time(
        *[lambda: bid_uploads.receive(bid.pk, upload.token, 0, sealed[:PART], by=by, at=NOON)] * 2
    )

    assert [type(answer) for answer in answers if isinstance(answer, Exception)] == [WrongPlace]
    assert (BidUpload.objects.get().received, len(_stored(bid))) == (PART, 1)


@pytest.mark.django_db(transaction=True)
def test_a_document_finished_by_several_at_once_is_written_once(bid: Bid, by: Any) -> None:
    Tender.objects.update(key_custody="committee")
    upload, sealed = _begun(bid, by)
    bid_uploads.receive(bid.pk, upload.token, 0, sealed, by=by, at=NOON)

    answers = at_the_same_time(*[lambda: _finish(bid, upload, sealed, by, about=None)] * 4)

    assert all(isinstance(answer, (BidFile, BeingFinished)) for answer in answers), answers
    assert _stored(bid) == [bid.files.get().sealed_path.rsplit("/", 1)[1]]
    assert bid.files.get() in answers


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("other", ["wrong hash", "cancel", "remove", "discard"])
def test_what_is_given_up_while_it_is_finished_is_there_whole_or_not_at_all(bid: Bid, by: Any, other: str) -> None:
    upload, sealed = _begun(bid, by)
    bid_uploads.receive(bid.pk, upload.token, 0, sealed, by=by, at=NOON)
    ways: dict[str, Any] = {
        "wrong hash": lambda: _finish(bid, upload, b"another", by),
        "cancel": lambda: bid_uploads.cancel(bid.pk, upload.token, by=by, at=NOON),
        "remove": lambda: bid_documents.remove(bid.pk, upload.file_id, by=by, at=NOON),
        "discard": lambda: bid_drafts.discard(bid.pk, by=by, at=NOON),
    }

    answers = at_the_same_time(lambda: _finish(bid, upload, sealed, by), ways[other])

    assert all(answer is None or isinstance(answer, (Bid, BidFile, DomainError)) for answer in answers), answers
    kept = bid.files.filter(removed_at=None).first()
    assert _stored(bid) == ([kept.sealed_path.rsplit("/", 1)[1]] if kept else [])
    assert not BidUpload.objects.exclude(parts=[]).exists()
    if kept is not None:
        assert kept.sealed_sha256 == hashlib.sha256(sealed).hexdigest()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("going_on", ["part", "finish"])
def test_the_sweep_spares_what_goes_on_at_that_moment(bid: Bid, by: Any, going_on: str) -> None:
    """A day old, and then a part comes, or the word that all have: one of the two is first, and the other yields."""
    Tender.objects.update(tender_ends_at=CLOSES + timedelta(days=9))
    upload, sealed = _begun(bid, by)
    bid_uploads.receive(bid.pk, upload.token, 0, sealed[:PART] if going_on == "part" else sealed, by=by, at=NOON)
    now = NOON + timedelta(hours=25)
    ways: dict[str, Any] = {
        "part": lambda: bid_uploads.receive(bid.pk, upload.token, PART, sealed[PART:], by=by, at=now),
        "finish": lambda: _finish(bid, upload, sealed, by, at=now),
    }

    gone_on, _removed = at_the_same_time(ways[going_on], lambda: bid_files.sweep(now))

    if isinstance(gone_on, NotFound):
        assert (BidFile.objects.count(), BidUpload.objects.count(), _stored(bid)) == (0, 0, [])
    else:
        assert not isinstance(gone_on, Exception), gone_on
        document = gone_on if isinstance(gone_on, BidFile) else _finish(bid, upload, sealed, by, at=now)
        with bid_files.open_stored(document.sealed_path) as kept:
            assert kept.read() == sealed


def _finish(bid: Bid, upload: BidUpload, sealed: bytes, by: Any, **more: Any) -> BidFile:
    told = {"about": _about(PLAIN), "at": NOON, **more}
    return bid_uploads.finish(bid.pk, upload.token, sha256=hashlib.sha256(sealed).hexdigest(), by=by, **told)


def _about(plain: bytes) -> DraftDocument:
    return DraftDocument("plan.txt", "text/plain", hashlib.sha256(plain).hexdigest(), sealing.new_file_key())


def test_the_server_needs_no_more_memory_for_a_larger_document(bid: Bid, by: Any, settings: Any) -> None:
    """48 MB arrive, are joined, and are opened with their key; the sender's own copy is made before counting."""
    plain = bytes(48 * PART)
    upload, sealed = _begun(bid, by, plain)
    part, target = 8 * PART, tempfile.TemporaryFile()  # noqa: SIM115  # closed with the test
    key = sealing.new_file_key()
    told = hashlib.sha256(sealed).hexdigest()

    tracemalloc.start()
    for offset in range(0, len(sealed), part):
        bid_uploads.receive(bid.pk, upload.token, offset, sealed[offset : offset + part], by=by, at=NOON)
    document = bid_uploads.finish(bid.pk, upload.token, sha256=told, about=_about(plain), by=by, at=NOON)
    with bid_files.open_stored(document.sealed_path) as kept, pytest.raises(sealing.SealingError):
        sealing.open_stream_with_key(key, kept, target)
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 3 * part
