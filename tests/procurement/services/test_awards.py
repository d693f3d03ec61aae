"""Awards: proposed, signed, standing still, falling away."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import timedelta
from decimal import Decimal

import pytest

from marketplace.models import AuditRecord, Notification, Role
from marketplace.permissions import RoleMissing
from marketplace.services.signing import SignatureRefused
from marketplace.shared.errors import NotFound
from procurement.models import Award, Bid, Contract, DueMoment, Lot, MomentKind, Tender
from procurement.rules.lifecycle import AwardStatus, BidStatus, ContractStatus, LotStatus, TenderStatus
from procurement.services import awards, contracts, evaluation, opening
from procurement.services.awards import (
    AlreadyAwarded,
    AwardChanged,
    AwardNotInForce,
    BidNotAdmitted,
    BidsUndecided,
    ContractInForce,
    NotAwarding,
    NotLowest,
    StandstillRunning,
)
from procurement.services.evaluation import ReasonMissing
from tests.factories.bids import LATER, awarded, bidder, contracted, opened_lot, sent_bid, tender_taking_bids
from tests.factories.marketplace import accredited_buyer, accredited_supplier, member
from tests.factories.signatures import certificate_of, signed, trust

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module", autouse=True)
def opened(shared_world: Callable[[], AbstractContextManager[None]]) -> Iterator[Lot]:
    """Opened once: what is awarded is undone after each test."""
    with shared_world():
        trust()
        yield opened_lot(["10", "20"], ["11", "20"], ["12", "20"])


@pytest.fixture
def lot(opened: Lot) -> Lot:
    return Lot.objects.select_related("tender__buyer").get(pk=opened.pk)


def _bid(lot: Lot, rank: int) -> Bid:
    return Bid.objects.get(lot=lot, rank=rank)


def test_the_best_bid_wins_without_further_words(lot: Lot) -> None:
    award = awarded(lot)

    lot.tender.refresh_from_db()
    assert (award.status, award.amount, award.reason) == (AwardStatus.ACTIVE, Decimal(300), "The lowest admitted bid.")
    assert [bid.status for bid in Bid.objects.order_by("rank")] == [
        BidStatus.WINNING, BidStatus.LOSING, BidStatus.LOSING,
    ]  # fmt: skip
    assert lot.tender.status == TenderStatus.STANDSTILL
    assert lot.tender.standstill_ends_at == award.standstill_ends_at
    moment = DueMoment.objects.get(kind=MomentKind.STANDSTILL_ENDS)
    assert (moment.lot, moment.due_at) == (lot, award.standstill_ends_at)


def test_losing_suppliers_read_why(lot: Lot) -> None:
    award = awarded(lot)

    assert _bid(lot, 2).decision_reason == (
        f"The lot was awarded to {award.bid.supplier.short_name} for 300.00 EUR. Reason: The lowest admitted bid."
    )
    assert Notification.objects.filter(kind="award_decided").count() == 3


def test_another_than_the_best_needs_a_reason(lot: Lot) -> None:
    by = member(lot.tender.buyer)

    with pytest.raises(NotLowest):
        awards.propose(lot.pk, _bid(lot, 2).pk, " ", by=by, at=LATER)
    request = awards.propose(lot.pk, _bid(lot, 2).pk, "Delivers sooner.", by=by, at=LATER)
    award = awards.decide(request.pk, signed(request), idempotency_key="a", by=by, at=LATER)

    assert (award.bid, award.reason) == (_bid(lot, 2), "Delivers sooner.")
    assert _bid(lot, 1).status == BidStatus.LOSING


def test_a_refused_signature_leaves_a_proposal(lot: Lot) -> None:
    by = member(lot.tender.buyer)
    request = awards.propose(lot.pk, _bid(lot, 1).pk, "", by=by, at=LATER)

    with pytest.raises(SignatureRefused):
        awards.decide(
            request.pk, signed(request, certificate_of(accredited_supplier())), idempotency_key="a", by=by, at=LATER
        )

    assert Award.objects.get().status == AwardStatus.PENDING
    assert _bid(lot, 1).status == BidStatus.ADMITTED


def test_a_double_click_awards_once(lot: Lot) -> None:
    by = member(lot.tender.buyer)
    request = awards.propose(lot.pk, _bid(lot, 1).pk, "", by=by, at=LATER)
    cms = signed(request)

    made = [awards.decide(request.pk, cms, idempotency_key="a", by=by, at=LATER) for _click in range(2)]

    assert made[0].pk == made[1].pk
    assert AuditRecord.objects.filter(action="award.decided").count() == 1


def test_a_proposal_changed_after_it_was_prepared_is_not_signed(lot: Lot) -> None:
    by = member(lot.tender.buyer)
    request = awards.propose(lot.pk, _bid(lot, 1).pk, "", by=by, at=LATER)
    awards.propose(lot.pk, _bid(lot, 2).pk, "Sooner.", by=by, at=LATER)

    with pytest.raises(AwardChanged):
        awards.decide(request.pk, signed(request), idempotency_key="a", by=by, at=LATER)


def test_a_lot_is_awarded_once(lot: Lot) -> None:
    awarded(lot)

    with pytest.raises(AlreadyAwarded):
        awards.propose(lot.pk, _bid(lot, 2).pk, "No.", by=member(lot.tender.buyer), at=LATER)


def test_before_all_bids_are_decided_nothing_is_awarded() -> None:
    lot = opened_lot(["10", "20"], admit=False)

    with pytest.raises(NotAwarding):
        awards.propose(lot.pk, _bid(lot, 1).pk, "", by=member(lot.tender.buyer), at=LATER)


def test_a_lot_with_an_undecided_bid_is_not_awarded(lot: Lot) -> None:
    """Beside lots that were auctioned one may come to the award with a bid that nobody has decided."""
    by = member(lot.tender.buyer)
    Bid.objects.filter(pk=_bid(lot, 3).pk).update(status=BidStatus.OPENED.value)

    with pytest.raises(BidsUndecided):
        awards.propose(lot.pk, _bid(lot, 1).pk, "", by=by, at=LATER)
    evaluation.admit(_bid(lot, 3).pk, by=by, at=LATER)

    assert awarded(lot).bid == _bid(lot, 1)


def test_a_proposal_falls_with_its_bid(lot: Lot) -> None:
    by = member(lot.tender.buyer)
    request = awards.propose(lot.pk, _bid(lot, 1).pk, "", by=by, at=LATER)
    cms = signed(request)

    evaluation.reject(_bid(lot, 1).pk, "No certificate.", by=by, at=LATER)

    assert Award.objects.get().status == AwardStatus.CANCELLED
    with pytest.raises(AwardChanged):
        awards.decide(request.pk, cms, idempotency_key="a", by=by, at=LATER)


def test_a_rejected_bid_cannot_win(lot: Lot) -> None:
    by = member(lot.tender.buyer)
    rejected = _bid(lot, 1)
    evaluation.reject(rejected.pk, "No.", by=by, at=LATER)

    with pytest.raises(BidNotAdmitted):
        awards.propose(lot.pk, rejected.pk, "Yes.", by=by, at=LATER)


def test_a_bid_of_another_lot_cannot_win(lot: Lot) -> None:
    other = opened_lot(["1", "1"])

    with pytest.raises(NotFound):
        awards.propose(lot.pk, _bid(other, 1).pk, "Yes.", by=member(lot.tender.buyer), at=LATER)


def test_only_a_signer_of_the_buyer_awards(lot: Lot) -> None:
    with pytest.raises(RoleMissing):
        awards.propose(lot.pk, _bid(lot, 1).pk, "", by=member(lot.tender.buyer, Role.OFFICER), at=LATER)
    for stranger in (bidder(), member(accredited_buyer())):
        with pytest.raises(NotFound):
            awards.propose(lot.pk, _bid(lot, 1).pk, "", by=stranger, at=LATER)


def test_without_a_standstill_the_contract_follows_at_once() -> None:
    lot = opened_lot(["10", "20"], settings={"standstill_days": 0})

    awarded(lot)

    assert Contract.objects.get().status == ContractStatus.DRAFT
    assert not DueMoment.objects.filter(kind=MomentKind.STANDSTILL_ENDS).exists()


def test_the_tender_stands_still_when_its_last_lot_is_awarded() -> None:
    tender = tender_taking_bids(lots=2)
    for lot in tender.lots.all():
        _sent(lot)
    _open(tender)
    first, second = tender.lots.all()

    awarded(first)
    tender.refresh_from_db()
    assert tender.status == TenderStatus.AWARDING
    awarded(second)
    tender.refresh_from_db()
    assert tender.status == TenderStatus.STANDSTILL


def _sent(lot: Lot) -> None:
    sent_bid(lot, ["1", "2"])


def _open(tender: Tender) -> None:
    opening.open_tender(tender.pk, LATER)
    for lot in tender.lots.all():
        evaluation.admit_all(lot.pk, by=member(tender.buyer), at=LATER)


# Standstill -------------------------------------------------------------------------------------------------------


def test_the_end_of_the_standstill_drafts_one_contract(lot: Lot) -> None:
    award = awarded(lot)
    ends = award.standstill_ends_at
    assert ends is not None

    with pytest.raises(StandstillRunning):
        awards.end_standstill(lot.pk, ends - timedelta(microseconds=1))
    awards.end_standstill(lot.pk, ends)
    awards.end_standstill(lot.pk, ends)

    assert Contract.objects.get().award == award


def test_the_end_of_a_standstill_without_an_award_does_nothing(lot: Lot) -> None:
    assert awards.end_standstill(lot.pk, LATER) is None


# Falling away -----------------------------------------------------------------------------------------------------


def test_a_winner_that_falls_away_gives_way_to_the_next(lot: Lot) -> None:
    award = awarded(lot)
    winner, following = _bid(lot, 1), _bid(lot, 2)

    proposed = awards.fall_away(award.pk, "Refused to sign.", by=member(lot.tender.buyer), at=LATER)

    award.refresh_from_db()
    winner.refresh_from_db()
    assert proposed is not None
    assert (proposed.bid, proposed.status) == (following, AwardStatus.PENDING)
    assert (award.status, winner.status) == (AwardStatus.UNSUCCESSFUL, BidStatus.REJECTED)
    assert winner.decision_reason == "Refused to sign."
    assert Tender.objects.get().status == TenderStatus.AWARDING
    assert not DueMoment.objects.filter(kind=MomentKind.STANDSTILL_ENDS, done_at=None).exists()
    again = awarded(lot)
    assert (again.bid, again.status) == (following, AwardStatus.ACTIVE)


def test_when_nobody_is_left_the_lot_is_unsuccessful() -> None:
    lot = opened_lot(["10", "20"])
    award = awarded(lot)

    assert awards.fall_away(award.pk, "Bankrupt.", by=member(lot.tender.buyer), at=LATER) is None

    lot.refresh_from_db()
    assert (lot.status, Tender.objects.get(pk=lot.tender_id).status) == (
        LotStatus.UNSUCCESSFUL,
        TenderStatus.UNSUCCESSFUL,
    )


def test_falling_away_ends_an_unsigned_contract(lot: Lot) -> None:
    contract = contracted(lot)

    awards.fall_away(contract.award_id, "Refused to sign.", by=member(lot.tender.buyer), at=LATER)

    contract.refresh_from_db()
    assert contract.status == ContractStatus.TERMINATED
    second = contracted(lot)
    assert second.number == f"{contract.number}-2"


def test_a_winner_under_contract_does_not_fall_away(lot: Lot) -> None:
    contract = contracted(lot)
    for side in (contract.buyer, contract.supplier):
        by = member(side)
        request = contracts.prepare_signature(contract.pk, by=by, at=LATER)
        contracts.sign(request.pk, signed(request), idempotency_key=f"c-{side.pk}", by=by, at=LATER)

    with pytest.raises(ContractInForce):
        awards.fall_away(contract.award_id, "Too late.", by=member(lot.tender.buyer), at=LATER)


def test_falling_away_has_a_reason_and_an_author(lot: Lot) -> None:
    award = awarded(lot)

    with pytest.raises(ReasonMissing):
        awards.fall_away(award.pk, " ", by=member(lot.tender.buyer), at=LATER)
    with pytest.raises(RoleMissing):
        awards.fall_away(award.pk, "No.", by=member(lot.tender.buyer, Role.OFFICER), at=LATER)
    with pytest.raises(NotFound):
        awards.fall_away(award.pk, "No.", by=bidder(), at=LATER)


def test_an_award_that_fell_away_does_not_fall_again(lot: Lot) -> None:
    by = member(lot.tender.buyer)
    award = awarded(lot)
    awards.fall_away(award.pk, "No.", by=by, at=LATER)

    with pytest.raises(AwardNotInForce):
        awards.fall_away(award.pk, "No.", by=by, at=LATER)


def test_a_second_price_auction_awards_the_best_bid_at_the_second_best_price() -> None:
    lot = opened_lot(["10", "20"], ["11", "20"], ["12", "20"], procedure="auction_sealed_second_price")

    award = awarded(lot)

    assert (award.bid.amount, award.amount) == (Decimal(300), Decimal(310))
    by = member(lot.tender.buyer)
    following = awards.fall_away(award.pk, "It refused to sign.", by=by, at=LATER)
    assert following is not None
    assert (following.bid.amount, following.amount) == (Decimal(310), Decimal(320))


def test_a_second_price_auction_with_one_bid_pays_as_the_buyer_set() -> None:
    own = opened_lot(["10", "20"], procedure="auction_sealed_second_price")
    limit = opened_lot(["10", "20"], procedure="auction_sealed_second_price", settings={"single_bid_price": "limit"})
    assert awarded(own).amount == Decimal(300)
    assert awarded(limit).amount == limit.limit_price
