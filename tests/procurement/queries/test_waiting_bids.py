"""What waits for bidders, awarders and signers on the first page."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from marketplace.models import Role
from procurement.models import Bid
from procurement.queries import waiting_bids
from procurement.rules.lifecycle import BidStatus
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
from tests.factories.marketplace import NOON, member
from tests.factories.signatures import trust

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _trust() -> None:
    trust()


def _texts(actor: object, at: object = NOON) -> list[str]:
    return [str(task.text) for task in waiting_bids.tasks(actor, at)]  # type: ignore[arg-type]


def test_a_draft_and_a_bid_to_confirm_wait_until_the_deadline() -> None:
    by = bidder()
    drafted_bid(tender_taking_bids().lots.get(), ["1", "2"], by=by)
    confirmed = sent_bid(tender_taking_bids().lots.get(), ["1", "2"], by=by)
    Bid.objects.filter(pk=confirmed.pk).update(status=BidStatus.INVALIDATED.value)

    assert _texts(by) == ["Finish and send your bid", "Confirm your bid after the amendment"]
    assert _texts(by, CLOSES) == []
    assert _texts(member(confirmed.supplier, Role.OBSERVER)) == []


def test_opened_bids_wait_to_be_decided_then_to_be_awarded_then_to_be_signed() -> None:
    lot = opened_lot(["1", "2"], admit=False)
    buyer = member(lot.tender.buyer)
    assert _texts(buyer, LATER) == ["Decide the opened bids"]

    lot = opened_lot(["1", "2"], buyer=lot.tender.buyer)
    assert _texts(buyer, LATER) == ["Decide the opened bids", "Award the lot"]

    contract = contracted(lot)
    assert _texts(buyer, LATER) == ["Decide the opened bids", "Sign the contract"]
    assert _texts(member(contract.supplier), LATER) == ["Sign the contract"]
    assert _texts(member(contract.supplier, Role.BID_MANAGER), LATER) == []


def test_deadlines_within_the_week_are_listed() -> None:
    by = bidder()
    bid = sent_bid(tender_taking_bids().lots.get(), ["1", "2"], by=by)

    near = {panel.key: panel for panel in waiting_bids.panels(by, CLOSES - timedelta(days=6))}
    far = {panel.key: panel for panel in waiting_bids.panels(by, NOON)}

    assert [row.number for row in near["deadlines"].rows] == [bid.lot.tender.number]
    assert list(far["deadlines"].rows) == []


def test_contracts_of_both_sides_are_listed() -> None:
    contract = contracted(opened_lot(["1", "2"]))

    for side in (contract.buyer, contract.supplier):
        panels = {panel.key: panel for panel in waiting_bids.panels(member(side), LATER)}
        assert [row.number for row in panels["contracts"].rows] == [contract.number]


def test_how_bids_ended_is_news_for_a_month() -> None:
    lot = opened_lot(["1", "2"], ["3", "4"])
    won, lost = Bid.objects.filter(lot=lot).order_by("rank")
    assert _results(won, LATER) == []

    awarded(lot)

    assert _results(won, LATER) == ["Won"]
    assert _results(lost, LATER) == ["Not selected"]
    assert _results(won, LATER + timedelta(days=31)) == []


def _results(bid: Bid, at: datetime) -> list[str]:
    panels = {panel.key: panel for panel in waiting_bids.panels(member(bid.supplier), at)}
    return [row.status_label for row in panels["results"].rows] if "results" in panels else []
