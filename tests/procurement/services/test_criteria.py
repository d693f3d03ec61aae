"""What counts besides the price, from the draft to the award: one ranking key everywhere."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal as D
from typing import Any

import pytest

from marketplace.models import AuditRecord
from marketplace.shared.errors import Invalid, StaleForm
from procurement.auction.projection import state
from procurement.auction.room import Desk
from procurement.models import Award, Bid, Lot, Tender
from procurement.queries import auctions as rooms
from procurement.queries import awards as award_queries
from procurement.rules.criteria import Criteria
from procurement.rules.lifecycle import BidStatus
from procurement.services import (
    amendments,
    auction_pdf,
    auction_protocol,
    auctions,
    bid_checks,
    bid_drafts,
    bids,
    criteria,
    evaluation,
    export_facts,
    opening,
    protocols,
    tenders,
)
from procurement.services.amendment_values import Proposal
from tests.factories import bidder_program as program
from tests.factories.auctions import START, evaluated_tender, seats
from tests.factories.bids import LATER, awarded, bidder, drafted_bid, send, tender_taking_bids
from tests.factories.marketplace import NOON, member
from tests.factories.procurement import draft_tender
from tests.factories.signatures import signed, trust

pytestmark = pytest.mark.django_db

FEATURES = {
    "kind": "features",
    "questions": [
        {
            "name": "Warranty",
            "description": "Repair on the spot",
            "options": [{"name": "12 months", "share": "0"}, {"name": "36 months", "share": "20"}],
        }
    ],
}
COSTS = {"kind": "life_cycle_cost", "questions": [{"name": "Energy", "description": "Ten years"}]}


def asking(kept: dict[str, Any], **fields: Any) -> Lot:
    trust()
    lot = tender_taking_bids(items=1, criteria=kept, settings={"limit_price_shown": True}, **fields).lots.get()
    lot.items.update(quantity=1)
    lot.limit_price = D("100")
    lot.save()
    return lot


def answered(lot: Lot, price: str, answers: dict[str, str], at: Any = NOON) -> Bid:
    by = bidder()
    bid = drafted_bid(lot, [price], by=by, at=at)
    bid = bid_drafts.save(bid.pk, prices={}, remarks="", answers=answers, revision=bid.revision, by=by, at=at)
    return send(bid, by=by, at=at)


def test_costs_decide_the_award_of_a_request_for_quotations() -> None:
    lot = asking(COSTS)
    cheap = answered(lot, "50.00", {"Energy": "40"})
    saving = answered(lot, "60.00", {"Energy": "5.50"}, NOON + timedelta(minutes=1))
    opening.open_tender(lot.tender_id, LATER)
    evaluation.admit_all(lot.pk, by=member(lot.tender.buyer), at=LATER)
    found = {bid.pk: bid for bid in Bid.objects.filter(lot=lot).select_related("lot__tender", "supplier")}
    assert [(found[pk].rank, found[pk].answers) for pk in (saving.pk, cheap.pk)] == [
        (1, {"Energy": "5.50"}),
        (2, {"Energy": "40.00"}),
    ]
    lot = found[cheap.pk].lot
    best, other = award_queries.comparison(lot, LATER).columns
    assert (best[1].pk, best[0].total, best[0].effective, best[0].saving) == (saving.pk, 60, D("65.50"), 40)
    assert other[0].above_best == D("37.4")
    assert export_facts.opened_bid(found[saving.pk])["counts_as"] == {
        "amount": "65.50",
        "arithmetic": "60.00 + 5.50 = 65.50",
    }
    told = protocols.content_of(lot.tender, protocols.ProtocolKind.OPENING, LATER)["lots"][0]["bids"]
    assert [(bid["amount"], bid["counts_as"]) for bid in told] == [("50.00", "90.00"), ("60.00", "65.50")]
    award = awarded(lot)
    # What is paid is the price; that it counts as best is the reason.
    assert (award.bid_id, award.amount) == (saving.pk, D("60"))
    assert "counts as best" in Award.objects.get().reason


def test_the_limit_price_is_of_what_a_total_counts_as() -> None:
    lot = asking(FEATURES)
    by = bidder()
    bid = drafted_bid(lot, ["125.00"], by=by)
    with pytest.raises(bid_checks.AnswersIncomplete):
        bids.prepare_submission(bid.pk, by=by, at=NOON)
    bid = bid_drafts.save(
        bid.pk, prices={}, remarks="", answers={"Warranty": "12 months", "other": "x"}, revision=bid.revision, by=by,
        at=NOON,
    )  # fmt: skip
    with pytest.raises(bid_checks.LimitNotMet, match=r"125.00 EUR counts as 125.00 EUR .* 100.00 EUR"):
        bids.prepare_submission(bid.pk, by=by, at=NOON)
    with pytest.raises(StaleForm):
        bid_drafts.save(bid.pk, prices={}, remarks="", answers={"Warranty": ""}, revision=1, by=by, at=NOON)
    bid = bid_drafts.save(
        bid.pk, prices={}, remarks="", answers={"Warranty": "36 months"}, revision=bid.revision, by=by, at=NOON
    )
    assert bid_drafts.read_draft(bid, by=by).answers == {"Warranty": "36 months"}
    send(bid, by=by)  # 125 ÷ (1 + 20 ÷ 80) = 100
    assert Bid.objects.get().answers == {}  # sealed
    opening.open_tender(lot.tender_id, LATER)
    opened = Bid.objects.get()
    assert (opened.status, opened.amount, opened.flags) == (BidStatus.OPENED, D("125"), [])


def _sealed_answers(lot: Lot, answers: Any, price: str = "100.00", **other: Any) -> Bid:
    by = bidder()
    bid = Bid.objects.select_related("lot__tender").get(pk=bid_drafts.start(lot.pk, by=by, at=NOON).pk)
    content = program.content_of(bid, [price], [price], price) | {"format": "openlot-bid-2", "answers": answers} | other
    return program.send(bid, program.sealed_content(bid, content), by=by)


def test_what_a_bidders_program_sealed_is_believed_in_nothing() -> None:
    lot = asking(FEATURES)
    good = {"question": "Warranty", "answer": "36 months"}
    hostile: dict[str, Bid] = {
        "": _sealed_answers(lot, [good], "125.00"),
        "“Warranty”": _sealed_answers(lot, [good | {"answer": "99 years"}]),
        "no answer that counts": _sealed_answers(lot, []),
        "other questions": _sealed_answers(lot, [good, good]),
        "other questions than": _sealed_answers(lot, [{"question": "Colour", "answer": "red"}]),
        "not a bid in": _sealed_answers(lot, [good | {"answer": {"share": "99"}}]),
        "not a bid": _sealed_answers(lot, "Warranty"),
        "another lot or": _sealed_answers(lot, [good], format="openlot-bid-1"),
        "counts as 104.00": _sealed_answers(lot, [good], "130.00"),
    }
    opening.open_tender(lot.tender_id, LATER)
    for problem, bid in hostile.items():
        bid.refresh_from_db()
        assert problem in bid.opening_problem
        assert (bid.status == BidStatus.REJECTED) == bool(problem)
        if problem != "" and "104" not in problem:
            assert bid.amount is None


def test_an_auction_goes_by_what_prices_count_as() -> None:
    tender = evaluated_tender("98.00", "99.00")
    Tender.objects.filter(pk=tender.pk).update(criteria=FEATURES)
    first, second = Bid.objects.order_by("pk")
    Bid.objects.filter(pk=first.pk).update(answers={"Warranty": "12 months"})
    Bid.objects.filter(pk=second.pk).update(answers={"Warranty": "36 months"})
    (auction,) = auctions.schedule(tender.pk, at=START - timedelta(seconds=30))
    auctions.start(auction.pk, at=START)
    desk, there = Desk(), {seat.participant.bid_id: seat for seat in seats(auction)}
    # 99.00 counts as 79.20: to beat it by 1.00 the first has to come to 78.20.
    refused, taken = (
        desk.decide([there[first.pk].bid(amount, START + timedelta(seconds=after))])[0]
        for amount, after in (("78.21", 1), ("78.20", 2))
    )
    assert (refused.code, refused.allowed_amount, taken.code) == ("step_not_met", "78.20", None)
    hall = rooms.hall(auction.pk)
    assert hall is not None
    own = state(hall, rooms.bidder(there[second.pk].participant.pk), START + timedelta(seconds=3))
    assert (own["own"]["amount"], own["own"]["counts_as"], own["best"]["counts_as"]) == ("99.00", "79.20", "78.20")
    assert (own["allowed"], own["allowed_counts_as"]) == ("96.50", "77.20")
    ended = auctions.end(auction.pk, at=START + timedelta(minutes=11))
    assert [Bid.objects.get(pk=pk).rank for pk in (first.pk, second.pk)] == [1, 2]
    document = auction_protocol.document(ended)
    assert auction_pdf.of(document).startswith(b"%PDF")
    told = document["result"]
    assert [(line["amount"], line["counts_as"]) for line in told["ranking"]] == [("78.20", "78.20"), ("99.00", "79.20")]


def test_a_draft_keeps_and_copies_what_counts_and_refuses_what_is_out_of_bounds() -> None:
    tender = draft_tender()
    by = member(tender.buyer)
    wrong = {**FEATURES, "questions": [{**FEATURES["questions"][0], "options": [{"name": "a", "share": "40"}]}]}
    with pytest.raises(Invalid) as refused:
        criteria.update(tender.pk, Criteria.from_json(wrong), revision=tender.revision, by=by, at=NOON)
    assert set(refused.value.errors) == {"0.name", "0.0.share"}
    kept = criteria.update(tender.pk, Criteria.from_json(FEATURES), revision=tender.revision, by=by, at=NOON)
    assert kept.criteria == FEATURES
    changes = AuditRecord.objects.filter(action="tender.edited").latest("pk").details["changes"]
    assert changes[-1]["after"] == "12 months: 0 %, 36 months: 20 % · Repair on the spot"
    told = criteria.example(kept)
    assert told is not None
    assert (told.counts_as, told.arithmetic) == ("80.00", "100.00 ÷ (1 + 20 % ÷ (100 % − 20 %)) = 80.00")
    Tender.objects.filter(pk=tender.pk).update(status="published", published_at=NOON)
    assert tenders.copy(tender.pk, by=by, at=NOON).criteria == FEATURES


def test_an_amendment_of_what_counts_makes_bidders_confirm() -> None:
    lot = asking(FEATURES)
    bid = answered(lot, "80.00", {"Warranty": "36 months"})
    by = member(lot.tender.buyer)
    longer = {**FEATURES, "questions": [{**FEATURES["questions"][0], "name": "Guarantee"}]}
    proposal = Proposal("The term was wrong.", fields={"criteria": Criteria.from_json(longer)})
    request = amendments.prepare(lot.tender_id, proposal, by=by, at=NOON)
    amendment = amendments.sign(request.pk, signed(request), by=by, at=NOON)
    bid.refresh_from_db()
    assert (bid.status, amendment.invalidates_bids) == (BidStatus.INVALIDATED, True)
    assert [change["field"] for change in amendment.changes][:2] == ["Counts: Guarantee", "Counts: Warranty"]
