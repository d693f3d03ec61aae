"""The tables are complete, agree with the models' constraints, and are the only way to move."""

from itertools import product

import pytest

from procurement.models import Auction, Award, Bid, Clarification, Contract, Delivery, Lot, OfferRequest, Tender
from procurement.rules.lifecycle import (
    TABLES,
    AuctionStatus,
    AwardStatus,
    BidStatus,
    ClarificationStatus,
    ContractStatus,
    DeliveryStatus,
    IllegalMove,
    LotStatus,
    RequestStatus,
    TenderStatus,
    advance,
    allowed,
    is_final,
    tender_outcome,
)

MODELS = {
    TenderStatus: Tender,
    LotStatus: Lot,
    BidStatus: Bid,
    AwardStatus: Award,
    ContractStatus: Contract,
    AuctionStatus: Auction,
    ClarificationStatus: Clarification,
    RequestStatus: OfferRequest,
    DeliveryStatus: Delivery,
}


@pytest.mark.parametrize("states", TABLES)
def test_table_choices_and_constraint_name_the_same_states(states):
    values = {state.value for state in states}
    assert set(TABLES[states]) == set(states)
    assert {after for moves in TABLES[states].values() for after in moves} <= set(states)
    model = MODELS[states]
    assert {value for value, _ in model._meta.get_field("status").choices} == values
    constraint = next(c for c in model._meta.constraints if c.name.endswith("status_known"))
    assert set(dict(constraint.condition.children)["status__in"]) == values


@pytest.mark.parametrize("states", TABLES)
def test_a_move_outside_the_table_is_refused(states):
    for before, after in product(states, states):
        if after in TABLES[states][before]:
            assert advance(before, after) is after
        else:
            assert not allowed(before, after)
            with pytest.raises(IllegalMove):
                advance(before, after)


def test_a_live_tender_can_always_be_cancelled_and_a_finished_one_never():
    for state in TenderStatus:
        assert allowed(state, TenderStatus.CANCELLED) is not is_final(state)


def test_an_opened_bid_is_never_withdrawn_and_an_unopened_one_never_wins():
    for state in (BidStatus.OPENED, BidStatus.ADMITTED, BidStatus.WINNING, BidStatus.LOSING):
        assert not allowed(state, BidStatus.WITHDRAWN)
    for state in (BidStatus.DRAFT, BidStatus.SUBMITTED, BidStatus.WITHDRAWN, BidStatus.INVALIDATED):
        assert not allowed(state, BidStatus.WINNING)
        assert not allowed(state, BidStatus.ADMITTED)


@pytest.mark.parametrize(
    ("lots", "outcome"),
    [
        (["active", "complete"], None),
        (["cancelled", "cancelled"], TenderStatus.CANCELLED),
        (["cancelled", "unsuccessful"], TenderStatus.UNSUCCESSFUL),
        (["unsuccessful"], TenderStatus.UNSUCCESSFUL),
        (["cancelled", "unsuccessful", "complete"], TenderStatus.COMPLETE),
    ],
)
def test_the_tender_becomes_what_its_lots_became(lots, outcome):
    assert tender_outcome(map(LotStatus, lots)) is outcome


def test_a_tender_without_lots_has_no_outcome():
    with pytest.raises(ValueError, match="at least one lot"):
        tender_outcome([])
