"""Bids that the bidder sealed: the platform sees ciphertext, builds the manifest from it, and at the opening says of
each what it is. Nobody has looked into them before, so anything may be inside."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from decimal import Decimal
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from marketplace.services.files import open_file
from marketplace.signatures import sealing
from procurement.models import Bid, BidSealing, Lot, Tender
from procurement.rules.lifecycle import BidStatus
from procurement.services import bid_uploads, bids, opening
from procurement.services.bid_checks import DocumentsNotHere
from procurement.services.bids import AmendedSinceReview, ChangedSinceReview, NotSealedContent
from tests.factories import bidder_program as program
from tests.factories.archives import hostile_archives
from tests.factories.bids import LATER, bidder, drafted_bid, tender_taking_bids
from tests.factories.marketplace import NOON
from tests.factories.signatures import trust

pytestmark = pytest.mark.django_db

PRICES = (["20", "30.005"], ["200.00", "300.05"], "500.05")


@pytest.fixture(scope="module", params=["platform", "committee"])
def made(request: pytest.FixtureRequest, shared_world: Callable[[], AbstractContextManager[None]]) -> Iterator[Lot]:
    with shared_world():
        trust()
        lot = tender_taking_bids().lots.get()
        Tender.objects.update(key_custody=request.param)
        yield lot


@pytest.fixture
def lot(made: Lot) -> Lot:
    return Lot.objects.select_related("tender").get(pk=made.pk)


def _bid(lot: Lot) -> tuple[Bid, Any]:
    by = bidder()
    custody = lot.tender.key_custody
    Tender.objects.update(key_custody="platform")
    bid = drafted_bid(lot, ["1", "2"], by=by)
    Tender.objects.update(key_custody=custody)
    return Bid.objects.select_related("lot__tender").get(pk=bid.pk), by


def _document(bid: Bid, plain: bytes, by: Any, **more: Any) -> Any:
    about = {} if bid.lot.tender.key_custody == "platform" else {"about": None}
    return program.send_document(bid, plain, by=by, **(about | more))


def _opened(bid: Bid) -> Bid:
    # Whoever held the key, it is read alike; how a committee's key comes here is tested with the custody.
    Tender.objects.update(key_custody="platform")
    opening.open_tender(bid.lot.tender_id, LATER)
    bid.refresh_from_db()
    return bid


def test_a_bid_sealed_by_its_bidder_opens_like_any_other(lot: Lot) -> None:
    bid, by = _bid(lot)
    plain = os.urandom(2 * program.PART + 3).hex().encode()
    document = _document(bid, plain, by)
    content = program.content_of(bid, *PRICES, remarks="In May", files={document: ("plan.txt", plain)})

    program.send(bid, program.sealed_content(bid, content), [document.pk], by=by)
    opened = _opened(bid)

    assert (opened.status, opened.amount, opened.remarks, opened.opening_problem) == (
        BidStatus.OPENED, Decimal("500.05"), "In May", "",
    )  # fmt: skip
    found = opened.files.get()
    assert found.opened is not None
    with open_file(found.opened) as readable:
        assert (found.name, found.media_type, readable.read()) == ("plan.txt", "text/plain", plain)


def test_the_manifest_says_what_is_stored_here(lot: Lot) -> None:
    bid, by = _bid(lot)
    document = _document(bid, b"plan", by)
    sealed = program.sealed_content(bid, program.content_of(bid, *PRICES))

    program.prepare(bid, sealed, [document.pk], by=by)

    manifest = BidSealing.objects.get().manifest
    assert manifest["content"] == {"size": len(sealed), "sha256": hashlib.sha256(sealed).hexdigest()}
    assert manifest["files"] == [
        {"file": document.pk, "size": sealing.sealed_size(4), "sha256": document.sealed_sha256}
    ]


@pytest.mark.parametrize("length", [0, 10, 48, 1024, 48 + 1023, 48 + (256 + 2 + 1) * 1024, 48 + 3 * 1024 * 1024])
def test_what_is_not_whole_blocks_is_no_sealed_content(lot: Lot, length: int) -> None:
    bid, by = _bid(lot)

    with pytest.raises(NotSealedContent):
        program.prepare(bid, bytes(length), by=by)

    assert not BidSealing.objects.exists()


def test_a_document_that_is_not_here_cannot_be_named(lot: Lot) -> None:
    bid, by = _bid(lot)
    other, other_by = _bid(lot)
    sealed = program.sealed_content(bid, program.content_of(bid, *PRICES))
    foreign = _document(other, b"plan", other_by)
    own = _document(bid, b"plan", by)
    unfinished = bid_uploads.begin(bid.pk, size=sealing.sealed_size(5), by=by, at=NOON)

    for files in ([foreign.pk], [unfinished.file_id], [own.pk, own.pk], [own.pk, 999_999]):
        with pytest.raises(DocumentsNotHere):
            program.prepare(bid, sealed, files, by=by)

    assert not BidSealing.objects.exists()


def test_what_was_sealed_for_another_version_is_refused(lot: Lot) -> None:
    bid, by = _bid(lot)
    sealed = program.sealed_content(bid, program.content_of(bid, *PRICES))
    wanted: dict[str, Any] = {"by": by, "at": NOON}

    with pytest.raises(ChangedSinceReview):
        bids.prepare_sealed(bid.pk, sealed, [], bid_version=2, tender_version=1, **wanted)
    with pytest.raises(AmendedSinceReview):
        bids.prepare_sealed(bid.pk, sealed, [], bid_version=1, tender_version=0, **wanted)


def test_a_bid_is_replaced_by_what_is_sealed_anew(lot: Lot) -> None:
    bid, by = _bid(lot)
    document = _document(bid, b"plan", by)
    files = {document: ("plan.txt", b"plan")}
    first = program.content_of(bid, *PRICES, files=files)
    bid = program.send(bid, program.sealed_content(bid, first), [document.pk], by=by)
    second = program.content_of(bid, ["10", "1"], ["100.00", "10.00"], "110.00", files=files)

    bid = program.send(bid, program.sealed_content(bid, second), [document.pk], by=by)

    assert bid.version == 2
    opened = _opened(bid)
    assert (opened.amount, opened.opening_problem, opened.files.get().name) == (Decimal(110), "", "plan.txt")


# What may be inside -------------------------------------------------------------------------------------------------


def _changed(**changes: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda content: content | changes


def _line(**changes: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda content: content | {"lines": [content["lines"][0] | changes, *content["lines"][1:]]}


NOT_A_BID = "its content is not a bid in the platform’s form"
FORGED: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "not JSON": (lambda _content: b"price 10", NOT_A_BID),
    "a list": (lambda _content: b"[]", NOT_A_BID),
    "nested": (lambda _content: b"[" * 100_000, NOT_A_BID),
    "a huge number": (lambda _content: b'{"format":' + b"9" * 5000 + b"}", NOT_A_BID),
    "another format": (_changed(format="openlot-bid-0"), "it was made for another lot or another version of the bid"),
    "another bid": (_changed(bid=1), "it was made for another lot or another version of the bid"),
    "another version": (_changed(version=7), "it was made for another lot or another version of the bid"),
    "another currency": (_changed(currency="JPY"), "its currency is not the lot’s"),
    "a wrong total": (_changed(total="1.00"), "its total is not the sum of its lines"),
    "no total": (_changed(total="NaN"), "its total is not the sum of its lines"),
    "a number for a price": (_line(unit_price=20), NOT_A_BID),
    "another lot's item": (_line(item=-1), "its price table is not the lot’s"),
    "a price of ten thousand digits": (_line(unit_price="9" * 10_000), NOT_A_BID),
    "an item without end": (
        lambda content: json.dumps(_line(item=float("inf"))(content)).encode(), NOT_A_BID,
    ),
    "a document past every number": (
        lambda content: json.dumps(
            content | {"files": [{"file": 1, "name": "a", "media_type": "", "size": "?", "sha256": "0" * 64}]}
        ).encode().replace(b'"?"', b"1e999"), NOT_A_BID,
    ),
    "two prices for one item": (
        lambda content: content | {"lines": [*content["lines"], content["lines"][0] | {"unit_price": "1"}]},
        "it names two prices for one item",
    ),
    "a name that stands twice": (
        lambda content: json.dumps(content).encode()[:-1] + b', "total": "1.00"}', NOT_A_BID,
    ),
    "an item that is nearly a number": (_line(item=1.5), NOT_A_BID),
    "more documents than a bid holds": (
        _changed(files=[
            {"file": n, "name": "a.txt", "media_type": "", "size": 1, "sha256": "0" * 64} for n in range(1000)
        ]), NOT_A_BID,
    ),
    "remarks without end": (_changed(remarks="x" * 5000), NOT_A_BID),
    "a document without a hash": (
        _changed(files=[{"file": 1, "name": "a.txt", "media_type": "", "size": 1, "sha256": "1"}]), NOT_A_BID,
    ),
}  # fmt: skip


INCOMPLETE: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "an item without a line": (lambda content: content | {"lines": content["lines"][1:]}, "1"),
    "an empty price": (_line(unit_price=" "), "1"),
    "a price below zero": (_line(unit_price="-1"), "1"),
    "not a number": (_line(unit_price="NaN"), "1"),
    "an exponent": (_line(unit_price="1e500000000"), "1"),
    "too fine": (_line(unit_price="0.00001"), "1"),
    "too large for any column": (_line(unit_price="9" * 40), "1"),
    "nothing at all": (lambda content: content | {"lines": []}, "1, 2"),
}  # fmt: skip


@pytest.fixture(scope="class")
def sent(made: Lot, shared_world: Callable[[], AbstractContextManager[None]]) -> Iterator[dict[str, int]]:
    """A sound bid and all that are none, opened together, by their case; the sound one's is "sound"."""
    cases = {case: change for case, (change, _said) in (FORGED | INCOMPLETE).items()} | {"sound": _changed()}
    with shared_world():
        custody = Tender.objects.get(pk=made.tender_id).key_custody
        lot = tender_taking_bids().lots.select_related("tender").get()
        lot.tender.key_custody = custody
        found = {}
        for case, change in cases.items():
            bid, by = _bid(lot)
            content = change(program.content_of(bid, *PRICES, remarks="See"))
            program.send(bid, program.sealed_content(bid, content), by=by)
            found[case] = bid.pk
        _opened(bid)
        yield found


class TestOpenedTogether:
    @pytest.mark.parametrize("case", FORGED)
    def test_an_envelope_that_holds_no_bid_is_shown_as_that(self, sent: dict[str, int], case: str) -> None:
        opened, (_forge, problem) = Bid.objects.get(pk=sent[case]), FORGED[case]
        assert (opened.status, opened.opening_problem, opened.amount) == (BidStatus.REJECTED, problem, None)
        assert opened.decision_reason == f"The envelope could not be read: {problem}."

    @pytest.mark.parametrize("case", INCOMPLETE)
    def test_a_bid_without_every_price_is_shown_and_refused(self, sent: dict[str, int], case: str) -> None:
        opened, (_change, items) = Bid.objects.get(pk=sent[case]), INCOMPLETE[case]
        problem = f"its price table is not complete: no price that counts for item {items}"
        assert (opened.status, opened.opening_problem, opened.amount) == (BidStatus.REJECTED, problem, None)
        assert (opened.decision_reason, opened.remarks) == (f"The bid cannot be taken: {problem}.", "See")
        assert [price.item.number for price in opened.prices.all()] == [n for n in (1, 2) if str(n) not in items]

    def test_they_stop_no_other(self, sent: dict[str, int]) -> None:
        opened = Bid.objects.get(pk=sent["sound"])
        assert (opened.status, opened.rank, opened.amount) == (BidStatus.OPENED, 1, Decimal("500.05"))


def test_a_bid_above_the_limit_is_shown_and_refused(lot: Lot) -> None:
    Lot.objects.update(limit_price=Decimal(500))
    bid, by = _bid(lot)
    program.send(bid, program.sealed_content(bid, program.content_of(bid, *PRICES)), by=by)

    opened = _opened(bid)

    problem = "its total 500.05 EUR is above the lot’s limit price, 500.00 EUR"
    assert (opened.status, opened.opening_problem, opened.rank) == (BidStatus.REJECTED, problem, None)
    assert (opened.amount, opened.prices.count()) == (Decimal("500.05"), 2)


def test_texts_that_no_table_holds_are_put_right(lot: Lot) -> None:
    bid, by = _bid(lot)
    content = program.content_of(bid, *PRICES, remarks="one\x00two\ud800three\nfour")
    program.send(bid, program.sealed_content(bid, content), by=by)

    assert _opened(bid).remarks == "one\ufffdtwo\ufffdthree\nfour"


def test_an_envelope_sealed_to_another_lot_does_not_open(lot: Lot) -> None:
    bid, by = _bid(lot)
    other, _other_by = _bid(tender_taking_bids().lots.get())
    elsewhere = program.sealed_content(other, program.content_of(bid, *PRICES))
    bid = program.send(bid, elsewhere, by=by)
    signed = hashlib.sha256(elsewhere).hexdigest()

    opened = _opened(bid)

    assert (opened.status, opened.opening_problem) == (
        BidStatus.REJECTED,
        f"it is stored as it was signed (SHA-256 {signed[:16]}…), and does not open with the lot’s key",
    )


# Documents ----------------------------------------------------------------------------------------------------------


def _flipped(sealed: bytes) -> bytes:
    return sealed[:-1] + bytes([sealed[-1] ^ 1])


def _sent_with(lot: Lot, plain: bytes, **more: Any) -> tuple[Bid, Any]:
    """A sent bid with one document, and one sound document beside it."""
    bid, by = _bid(lot)
    document = _document(bid, plain, by, **{name: value for name, value in more.items() if name == "sealed"})
    sound = _document(bid, b"sound", by, name="sound.txt")
    said = more.get("said", ("plan.txt", plain))
    content = program.content_of(bid, *PRICES, files={document: said, sound: ("sound.txt", b"sound")})
    return program.send(bid, program.sealed_content(bid, content), [document.pk, sound.pk], by=by), document


def _is_told(bid: Bid, name: str, reason: str) -> None:
    opened = _opened(bid)
    assert opened.opening_problem == f"These documents could not be read: “{name}”: {reason}"
    assert (opened.status, opened.amount) == (BidStatus.OPENED, Decimal("500.05"))
    assert [found.name for found in opened.files.filter(opened__isnull=False)] == ["sound.txt"]


def test_a_document_that_does_not_open_is_told_from_one_that_was_changed_here(lot: Lot) -> None:
    key = sealing.new_key_pair()
    target = io.BytesIO()
    sealing.seal_stream(key.public, io.BytesIO(b"plan"), target, b"another lot")

    sent, _document = _sent_with(lot, b"plan", sealed=target.getvalue())

    _is_told(sent, "plan.txt", "it is stored as it was signed, and does not open with the lot’s key")


def test_a_document_changed_in_the_storage_is_told_with_both_hashes(lot: Lot) -> None:
    sent, document = _sent_with(lot, b"plan")
    with default_storage.open(document.sealed_path) as kept:
        changed = _flipped(kept.read())
    default_storage.delete(document.sealed_path)
    default_storage.save(document.sealed_path, ContentFile(changed))

    found, signed = hashlib.sha256(changed).hexdigest()[:16], document.sealed_sha256[:16]
    _is_told(sent, "plan.txt", f"what is stored is not what was signed: SHA-256 {found}… instead of {signed}…")


def test_a_document_that_is_not_the_one_described_is_told(lot: Lot) -> None:
    sent, _document = _sent_with(lot, b"plan", said=("plan.txt", b"glan"))

    _is_told(sent, "plan.txt", "it opens, and is not the document that the bid describes")


def test_a_document_of_a_forbidden_type_is_told_and_not_stored(lot: Lot) -> None:
    sent, _document = _sent_with(lot, b"MZ\x90\x00", said=("plan.txt", b"MZ\x90\x00"))

    reason = "The content of “plan.txt” is not what its extension says. Save it again in that format, or rename it."
    _is_told(sent, "plan.txt", reason)


@pytest.mark.parametrize("hides", hostile_archives())
def test_an_archive_that_hides_how_many_entries_it_has_is_told(lot: Lot, hides: str) -> None:
    plain = hostile_archives()[hides]
    sent, _document = _sent_with(lot, plain, said=("plan.zip", plain))

    reason = "The content of “plan.zip” is not what its extension says. Save it again in that format, or rename it."
    _is_told(sent, "plan.zip", reason)


def test_a_name_that_turns_the_text_around_it_is_told_without_doing_so(lot: Lot) -> None:
    sent, _document = _sent_with(lot, b"plan", said=("../../plan\u202etxt.exe", b"plan"))

    reason = (
        "The file’s name holds invisible characters that can disguise what it is. Rename the file and send it again."
    )
    _is_told(sent, "../../plan\ufffdtxt.exe", reason)


def test_a_name_with_folders_is_the_last_of_them(lot: Lot) -> None:
    sent, document = _sent_with(lot, b"plan", said=("../../../etc/plan.txt", b"plan"))

    assert _opened(sent).opening_problem == ""
    document.refresh_from_db()
    assert (document.name, document.opened.name) == ("plan.txt", "plan.txt")


def test_a_document_that_was_described_and_never_sent_is_told(lot: Lot) -> None:
    bid, by = _bid(lot)
    sound = _document(bid, b"sound", by, name="sound.txt")
    left_out = _document(bid, b"plan", by)
    files = {left_out: ("plan.txt", b"plan"), sound: ("sound.txt", b"sound")}
    content = program.content_of(bid, *PRICES, files=files)
    sent = program.send(bid, program.sealed_content(bid, content), [sound.pk], by=by)

    _is_told(sent, "plan.txt", "it was never received")
