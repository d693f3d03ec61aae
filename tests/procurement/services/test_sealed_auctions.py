"""Sealed auctions, from the opening to the award: as the simulator says of the same bids."""

from __future__ import annotations

from decimal import Decimal

import pytest

from marketplace.models import Notification
from procurement.models import Award, Bid, Lot
from procurement.rules.auction.scenario import parse
from procurement.rules.auction.simulation import simulate
from procurement.rules.lifecycle import BidStatus, LotStatus
from procurement.services import evaluation, opening
from tests.factories.bids import LATER, awarded, sent_bid, tender_taking_bids
from tests.factories.marketplace import member
from tests.factories.signatures import trust

pytestmark = pytest.mark.django_db

FIRST, SECOND = "auction_sealed_first_price", "auction_sealed_second_price"
# Ten of the first item and ten of the second.
TOTALS = {"300.00": ("10", "20"), "310.00": ("11", "20"), "320.00": ("12", "20")}


def simulated(procedure: str, limit: str, single: str) -> tuple[list[str], str | None]:
    """The ranking and the price."""
    bidders = [{"id": total, "initial": total, "received_at_s": place} for place, total in enumerate(TOTALS)]
    fields = {"direction": "down", "currency": "EUR", "start_price": limit, "single_bid_price": single}
    scenario = {"kind": procedure.removeprefix("auction_"), "bidders": bidders, "events": [], **fields}
    outcome = simulate(parse(scenario, {"EUR": Decimal("0.01")}))
    return [line["bidder"] for line in outcome["ranking"]], outcome["price"]


@pytest.mark.parametrize(
    ("procedure", "limit", "single"),
    [(SECOND, "305.00", "own"), (SECOND, "305.00", "limit"), (SECOND, "315.00", "limit"), (FIRST, "295.00", "own")],
)
def test_a_bid_beyond_a_hidden_limit_neither_wins_nor_sets_a_price(procedure: str, limit: str, single: str) -> None:
    trust()
    chosen = {"single_bid_price": single} if procedure == SECOND else {}
    lot = tender_taking_bids(procedure=procedure, settings={"limit_price_shown": False, **chosen}).lots.get()
    Lot.objects.update(limit_price=Decimal(limit))
    for prices in TOTALS.values():
        sent_bid(lot, prices)
    opening.open_tender(lot.tender_id, LATER)

    ranking, price = simulated(procedure, limit, single)
    rejected = Bid.objects.filter(status=BidStatus.REJECTED.value)
    assert rejected.count() == len(TOTALS) - len(ranking)
    assert {bid.decision_reason for bid in rejected} == {"The bid is above the limit price."}
    assert Notification.objects.filter(kind="bid_rejected").count() == rejected.count()
    lot.refresh_from_db()
    if not ranking:
        assert (lot.status, price) == (LotStatus.UNSUCCESSFUL, None)
        return
    evaluation.admit_all(lot.pk, by=member(lot.tender.buyer), at=LATER)
    ranked = Bid.objects.exclude(rank=None).order_by("rank").values_list("amount", flat=True)
    assert [f"{amount:.2f}" for amount in ranked] == ranking
    awarded(Lot.objects.select_related("tender__buyer").get())
    assert f"{Award.objects.get().amount:.2f}" == price
