"""The exports of procedures in every state pass for every reader: nothing that is as it should be is called wrong."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from marketplace.permissions import Actor
from procurement.demo import committee as browser
from procurement.models import Bid, Contract, ExportScope, Tender
from procurement.models.protocol import ProtocolKind
from procurement.services import (
    amendments,
    awards,
    bid_drafts,
    cancellation,
    contracts,
    evaluation,
    exports,
    opening,
    protocols,
    unopenable,
)
from procurement.services.amendments import Proposal
from tests.factories import bidder_program as program
from tests.factories.bids import (
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
from tests.factories.signatures import signed, trust
from tests.verify.test_good_exports import checked, not_ok

pytestmark = pytest.mark.django_db
DAY_AFTER = LATER + timedelta(days=1)
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
        assert zipfile.ZipFile(path).testzip() is None
