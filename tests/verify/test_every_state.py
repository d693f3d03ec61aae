"""The exports of procedures in every state pass for every reader: nothing that is as it should be is called wrong."""

from __future__ import annotations

import io
import tempfile
import zipfile
from collections.abc import Callable
from contextlib import nullcontext
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import override_settings

from marketplace.models import QueuedSignature, SigningRequest
from marketplace.permissions import Actor
from marketplace.services import receipt_stamps, signature_queue
from marketplace.shared import clock
from procurement import openlot_verify
from procurement.demo import committee as browser
from procurement.models import Bid, Contract, ExportScope, Tender
from procurement.models.protocol import ProtocolKind
from procurement.services import (
    amendments,
    awards,
    bid_drafts,
    bids,
    cancellation,
    contracts,
    evaluation,
    exports,
    opening,
    protocols,
    unopenable,
)
from procurement.services.amendment_values import Proposal
from tests.factories import bidder_program as program
from tests.factories.bids import (
    CLOSES,
    LATER,
    awarded,
    bidder,
    contracted,
    drafted_bid,
    opened_lot,
    sent_bid,
    tender_taking_bids,
)
from tests.factories.committee import Committee, held_tender
from tests.factories.marketplace import NOON, member
from tests.factories.signatures import bring_lists, certificate_of, lose_lists, signed, trust
from tests.verify.auctioned import auctioned
from tests.verify.test_good_exports import checked, not_ok
from tests.verify.world import trusted_stamps

pytestmark = pytest.mark.django_db
BEFORE, DAY_AFTER = CLOSES - timedelta(hours=1), LATER + timedelta(days=1)
Built = tuple[Tender, Actor | None]


@pytest.fixture(autouse=True)
def _trust(settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path / "media"
    trust()


def cancelled(tender: Tender, at: Any) -> Tender:
    by = member(tender.buyer)
    request = cancellation.prepare(tender.pk, None, "Nobody needs it any more", by=by, at=at)
    return cancellation.sign(request.pk, signed(request), by=by, at=at)


def cancelled_before_the_deadline() -> Built:
    tender, mine = tender_taking_bids(), bidder()
    sent_bid(tender.lots.get(), ["10", "20"], by=mine)
    return cancelled(tender, NOON), mine


def cancelled_after_the_opening() -> Built:
    tender, mine = tender_taking_bids(), bidder()
    sent_bid(tender.lots.get(), ["10", "20"], by=mine)
    opening.open_tender(tender.pk, LATER)
    return cancelled(tender, LATER), mine


def too_few_bids() -> Built:
    tender, mine = tender_taking_bids(settings={"minimum_bids": 2}), bidder()
    sent_bid(tender.lots.get(), ["10", "20"], by=mine)
    return opening.open_tender(tender.pk, LATER), mine


def two_lots_one_without_bids_and_a_draft() -> Built:
    tender, mine = tender_taking_bids(lots=2), bidder()
    first, second = tender.lots.all()
    sent_bid(first, ["10", "20"], by=mine)
    drafted_bid(second, ["10", "20"])
    return opening.open_tender(tender.pk, LATER), mine


def amended_and_not_confirmed() -> Built:
    tender, mine = tender_taking_bids(), bidder()
    sent_bid(tender.lots.get(), ["10", "20"], by=mine)
    by, at = member(tender.buyer), NOON + timedelta(hours=1)
    title = {"lots": {tender.lots.get().pk: {"title": "Other chairs"}}}
    request = amendments.prepare(tender.pk, Proposal("There was a mistake in it.", **title), by=by, at=at)
    amendments.sign(request.pk, signed(request), by=by, at=at)
    sent_bid(tender.lots.get(), ["11", "21"], at=at)
    tender.refresh_from_db()
    return opening.open_tender(tender.pk, tender.tender_ends_at + timedelta(seconds=5)), mine  # type: ignore[operator]


def an_unreadable_bid() -> Built:
    tender, mine = tender_taking_bids(), bidder()
    bid = Bid.objects.select_related("lot__tender").get(pk=bid_drafts.start(tender.lots.get().pk, by=mine, at=NOON).pk)
    program.send(bid, program.sealed_content(bid, b"no bid"), by=mine)
    sent_bid(tender.lots.get(), ["11", "21"])
    return opening.open_tender(tender.pk, LATER), mine


def _held(**more: Any) -> tuple[Committee, Actor]:
    held, mine = held_tender(**more), bidder()
    bid = Bid.objects.select_related("lot__tender").get(
        pk=bid_drafts.start(held.tender.lots.get().pk, by=mine, at=NOON).pk
    )
    content = program.content_of(bid, ["10", "20"], ["100.00", "200.00"], "300.00")
    program.send(bid, program.sealed_content(bid, content), by=mine)
    return held, mine


def a_committee_before_the_deadline() -> Built:
    held, mine = _held(escrow=True)
    browser.confirm(held.tender, held.holders[0], NOON)
    return held.tender, mine


def a_committee_that_waits_for_shares() -> Built:
    held, mine = _held()
    tender = opening.open_tender(held.tender.pk, LATER)
    browser.release(tender, held.holders[0], LATER)
    return tender, mine


def a_committee_that_lost_its_key() -> Built:
    held, mine = _held()
    opening.open_tender(held.tender.pk, LATER)
    reason = "Two members have left and took their keys with them."
    request = unopenable.prepare(held.tender.pk, reason, by=held.officer, at=DAY_AFTER)
    return unopenable.declare(request.pk, signed(request), by=held.officer, at=DAY_AFTER), mine


def a_contract_in_force_and_protocols() -> Built:
    lot = opened_lot(["10", "20"], ["11", "21"])
    contract = contracted(lot)
    winner = member(contract.supplier)
    for by in (member(lot.tender.buyer), winner):
        at = contract.award.standstill_ends_at
        assert at is not None
        request = contracts.prepare_signature(contract.pk, by=by, at=at)
        contracts.sign(request.pk, signed(request), idempotency_key=f"contract-{request.pk}", by=by, at=at)
    buyer = member(lot.tender.buyer)
    for kind in ProtocolKind:
        request = protocols.prepare(lot.tender_id, kind, by=buyer, at=DAY_AFTER)
        protocols.sign(request.pk, signed(request), by=buyer, at=DAY_AFTER)
    assert Contract.objects.get(pk=contract.pk).status == "active"
    return Tender.objects.get(pk=lot.tender_id), winner


def an_award_that_fell_away() -> Built:
    lot = opened_lot(["10", "20"], ["11", "21"])
    by = member(lot.tender.buyer)
    award = awarded(lot, by=by)
    awards.fall_away(award.pk, "The winner does not sign.", by=by, at=DAY_AFTER)
    return Tender.objects.get(pk=lot.tender_id), member(award.bid.supplier)


def a_rejected_bid() -> Built:
    lot = opened_lot(["10", "20"], ["11", "21"], admit=False)
    by = member(lot.tender.buyer)
    rejected, other = Bid.objects.filter(lot=lot).order_by("pk")
    evaluation.reject(rejected.pk, "It is not what was asked for.", by=by, at=LATER)
    evaluation.admit(other.pk, by=by, at=LATER)
    awarded(Tender.objects.get(pk=lot.tender_id).lots.select_related("tender__buyer").get(), by=by)
    return Tender.objects.get(pk=lot.tender_id), member(rejected.supplier)


def bids_whose_signatures_waited() -> Built:
    """One stamped on receipt and judged after the deadline, under a certificate that was revoked since, and one never
    judged."""
    tender, mine, rival, stamps = tender_taking_bids(), bidder(), bidder(), trusted_stamps()
    lot = tender.lots.get()
    sent_bid(lot, ["12", "22"], by=bidder())
    request = bids.prepare_submission(drafted_bid(lot, ["10", "20"], by=mine).pk, by=mine, at=BEFORE)
    certificate = certificate_of(request.organisation)
    cms = signed(request, certificate)
    waits = [signature_of(request, cms, by=mine)]
    with tempfile.TemporaryDirectory() as folder:
        stamps.save(Path(folder))
        asked = override_settings(TIMESTAMP_AUTHORITY_URLS=["local:"], TIMESTAMP_LOCAL_DIR=Path(folder))
        with clock.frozen(BEFORE), asked:
            assert receipt_stamps.stamp(waits[0].pk, at=BEFORE)
    request = bids.prepare_submission(drafted_bid(lot, ["11", "21"], by=rival).pk, by=rival, at=BEFORE)
    waits.append(signature_of(request, signed(request), by=rival))
    after = CLOSES + timedelta(minutes=1)
    bring_lists(after, {int(certificate.serial): CLOSES})
    signature_queue.judge(waits[0].pk, at=after)
    opening.open_tender(tender.pk, CLOSES + timedelta(minutes=30))
    assert [QueuedSignature.objects.get(pk=row.pk).state for row in waits] == ["passed", "expired"]
    return Tender.objects.get(pk=tender.pk), mine


def an_english_auction_with_a_dropped_limit() -> Built:
    return auctioned("auction_english_reverse")


def a_dutch_auction() -> Built:
    return auctioned("auction_dutch")


def a_japanese_auction() -> Built:
    return auctioned("auction_japanese")


def an_auction_in_turns() -> Built:
    return auctioned("auction_turn_based")


def a_second_price_auction_with_a_contract() -> Built:
    lot = opened_lot(["10", "20"], ["11", "21"], ["12", "22"], procedure="auction_sealed_second_price")
    contract = contracted(lot)
    assert contract.amount == Decimal(320)
    return Tender.objects.get(pk=lot.tender_id), member(contract.supplier)


def a_second_price_auction_of_one_at_the_limit() -> Built:
    settings = {"single_bid_price": "limit"}
    lot = opened_lot(["10", "20"], procedure="auction_sealed_second_price", settings=settings)
    award = awarded(lot)
    assert award.amount == lot.limit_price
    return Tender.objects.get(pk=lot.tender_id), member(award.bid.supplier)


def an_english_auction_with_an_award() -> Built:
    tender, mine = auctioned("auction_english_reverse")
    lot, at = tender.lots.select_related("tender__buyer").get(), CLOSES + timedelta(hours=3)
    evaluation.rank(lot, at)
    awarded(lot, at=at)
    return Tender.objects.get(pk=tender.pk), mine


def an_auction_cancelled_while_it_ran() -> Built:
    tender, mine = auctioned("auction_japanese", end=False)
    return cancelled(tender, CLOSES + timedelta(hours=1, minutes=2)), mine


def signature_of(request: SigningRequest, cms: bytes, *, by: Actor) -> QueuedSignature:
    lose_lists()
    return signature_queue.take(request, cms, by=by, at=BEFORE, idempotency_key=request.nonce[:32])


STATES: list[Callable[[], Built]] = [
    cancelled_before_the_deadline,
    cancelled_after_the_opening,
    too_few_bids,
    two_lots_one_without_bids_and_a_draft,
    amended_and_not_confirmed,
    an_unreadable_bid,
    a_committee_before_the_deadline,
    a_committee_that_waits_for_shares,
    a_committee_that_lost_its_key,
    a_contract_in_force_and_protocols,
    an_award_that_fell_away,
    a_rejected_bid,
    bids_whose_signatures_waited,
    an_english_auction_with_a_dropped_limit,
    a_dutch_auction,
    a_japanese_auction,
    an_auction_in_turns,
    an_auction_cancelled_while_it_ran,
    a_second_price_auction_with_a_contract,
    a_second_price_auction_of_one_at_the_limit,
    an_english_auction_with_an_award,
]


@pytest.mark.parametrize("state", STATES)
def test_the_exports_of_a_procedure_pass_for_every_reader(state: Callable[[], Built], tmp_path: Path) -> None:
    tender, mine = state()
    readers = [exports.Reader(ExportScope.BUYER), exports.Reader(ExportScope.AUDITOR, documents=True)]
    if mine is not None:
        readers.append(exports.Reader(ExportScope.SUPPLIER, mine.organisation, documents=True))
    for reader in readers:
        path, out = tmp_path / f"{reader.scope}.zip", io.BytesIO()
        exports.build(tender, reader, out)
        path.write_bytes(out.getvalue())
        status, checks = checked(path)
        wrong = {check["check"]: check["why"] for check in checks if check["check"] in not_ok(checks)}
        assert (status, wrong) == (0, {}), reader.scope
        if state is bids_whose_signatures_waited:
            said = {check["check"]: check["why"] for check in checks}
            of = next(name for name in said if name.endswith(": in time")).removesuffix(": in time")
            assert said[f"{of}: time"].startswith(f"{BEFORE:%Y-%m-%d %H:%M:%S}")
            assert said[f"{of}: in time"] == "the signature existed before the deadline"
        if state is an_english_auction_with_an_award and reader.scope != ExportScope.SUPPLIER:
            assert any(check["check"].startswith("auctions/1.jsonl: award ") for check in checks)
        assert zipfile.ZipFile(path).testzip() is None


@pytest.mark.parametrize(
    ("paid", "others", "limit", "holds"),
    [
        ("320", ["310", "320", "330"], None, True),
        ("310", ["310", "320", "330"], None, False),
        ("330", ["310", "320", "330"], None, False),
        ("310", ["310"], "2000", True),
        ("2000", ["310"], "2000", True),
        ("400", ["310"], "2000", False),
        # Passed over by the buyer, with a reason: it sets no price.
        ("320", ["300", "310", "320"], None, True),
    ],
)
def test_a_second_price_is_that_of_the_next_bid(paid: str, others: list[str], limit: str | None, holds: bool) -> None:
    lots = [{"number": 1, "limit_price": limit}]
    procedure: Any = SimpleNamespace(tender={"procedure": "auction_sealed_second_price", "lots": lots})
    bids = [{"supplier": f"of {sum_}", "amount": sum_} for sum_ in others]
    content = {"lot": 1, "winner": "of 310", "amount": paid, "bids": bids}
    with nullcontext() if holds else pytest.raises(openlot_verify.Wrong):
        openlot_verify._require_price(procedure, content, Decimal(310))


@pytest.mark.parametrize(
    ("chosen_from", "holds"),
    [("150 199 200", True), ("150 200", True), ("", True), ("199 150", False), ("150 160", False)],
)
def test_an_award_is_chosen_from_the_bids_of_the_auction_in_its_order(chosen_from: str, holds: bool) -> None:
    """Who was rejected is missing, nobody else, and none changes places."""
    left = [Decimal(150), Decimal(199), Decimal(200)]
    assert openlot_verify._in_order(map(Decimal, chosen_from.split()), left) == holds
