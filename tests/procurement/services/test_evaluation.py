"""Admitting and rejecting opened bids."""

from __future__ import annotations

import pytest

from marketplace.models import Notification, Role
from marketplace.permissions import RoleMissing
from marketplace.shared.errors import NotFound
from procurement.models import Bid, Lot, Tender
from procurement.rules.lifecycle import BidStatus, LotStatus, TenderStatus
from procurement.services import evaluation
from procurement.services.evaluation import AlreadyDecided, NotInEvaluation, ReasonMissing
from tests.factories.bids import LATER, bidder, opened_lot, sent_bid, tender_taking_bids
from tests.factories.marketplace import member
from tests.factories.signatures import trust

pytestmark = pytest.mark.django_db


@pytest.fixture
def lot() -> Lot:
    trust()
    return opened_lot(["10", "20"], ["11", "20"], admit=False)


def _bids(lot: Lot) -> list[Bid]:
    return list(Bid.objects.filter(lot=lot).order_by("rank"))


def test_when_the_last_bid_is_decided_the_award_is_due(lot: Lot) -> None:
    by = member(lot.tender.buyer)
    first, second = _bids(lot)

    evaluation.admit(first.pk, by=by, at=LATER)
    assert Tender.objects.get().status == TenderStatus.EVALUATION
    evaluation.admit(second.pk, by=by, at=LATER)

    assert Tender.objects.get().status == TenderStatus.AWARDING
    assert {bid.status for bid in _bids(lot)} == {BidStatus.ADMITTED}


def test_a_rejected_bid_loses_its_rank_and_its_supplier_reads_why(lot: Lot) -> None:
    first, second = _bids(lot)

    evaluation.reject(first.pk, "No certificate.", by=member(lot.tender.buyer), at=LATER)

    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.status, first.rank, first.decision_reason) == (BidStatus.REJECTED, None, "No certificate.")
    assert second.rank == 1
    assert "No certificate." in Notification.objects.get(kind="bid_rejected").text


def test_a_rejection_has_a_reason(lot: Lot) -> None:
    with pytest.raises(ReasonMissing):
        evaluation.reject(_bids(lot)[0].pk, "  ", by=member(lot.tender.buyer), at=LATER)


def test_a_lot_whose_bids_are_all_rejected_is_unsuccessful(lot: Lot) -> None:
    by = member(lot.tender.buyer)

    for bid in _bids(lot):
        evaluation.reject(bid.pk, "No.", by=by, at=LATER)

    lot.refresh_from_db()
    assert (lot.status, Tender.objects.get().status) == (LotStatus.UNSUCCESSFUL, TenderStatus.UNSUCCESSFUL)


def test_a_decided_bid_is_not_decided_again(lot: Lot) -> None:
    by = member(lot.tender.buyer)
    first, _second = _bids(lot)
    evaluation.reject(first.pk, "No.", by=by, at=LATER)

    with pytest.raises(AlreadyDecided):
        evaluation.admit(first.pk, by=by, at=LATER)
    with pytest.raises(AlreadyDecided):
        evaluation.reject(first.pk, "Again.", by=by, at=LATER)


def test_only_officers_and_evaluators_of_the_buyer_decide(lot: Lot) -> None:
    bid = _bids(lot)[0]

    with pytest.raises(RoleMissing):
        evaluation.admit(bid.pk, by=member(lot.tender.buyer, Role.SIGNER), at=LATER)
    for stranger in (bidder(), member(bid.supplier)):
        with pytest.raises(NotFound):
            evaluation.admit(bid.pk, by=stranger, at=LATER)


def test_a_sealed_bid_cannot_be_decided() -> None:
    trust()
    sealed = sent_bid(tender_taking_bids().lots.get(), ["1", "2"])

    with pytest.raises(NotFound):
        evaluation.admit(sealed.pk, by=member(sealed.lot.tender.buyer), at=LATER)


def test_bids_are_not_decided_during_an_auction(lot: Lot) -> None:
    Tender.objects.update(status=TenderStatus.AUCTION.value)

    with pytest.raises(NotInEvaluation):
        evaluation.reject(_bids(lot)[0].pk, "No.", by=member(lot.tender.buyer), at=LATER)
    with pytest.raises(NotInEvaluation):
        evaluation.admit_all(lot.pk, by=member(lot.tender.buyer), at=LATER)
