"""The buyer's pages after the deadline, and the contracts of both sides."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from marketplace.models import Role, Signature, SignatureStamp, SigningRequest
from procurement.models import Award, Bid, Contract, Lot, Tender
from procurement.rules.lifecycle import AwardStatus, BidStatus, ContractStatus, TenderStatus
from procurement.services import awards, opening
from tests.factories.bids import CLOSES, LATER, awarded, bidder, contracted, opened_lot, sent_bid, tender_taking_bids
from tests.factories.clients import client_of
from tests.factories.marketplace import accredited_buyer, member
from tests.factories.signatures import signed, trust

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def now(freeze: Callable[..., Any]) -> Any:
    trust()
    return freeze(LATER)


def _text(response: Any) -> str:
    content = b"".join(response.streaming_content) if response.streaming else response.content
    return str(content.decode())


def _signature() -> dict[str, str]:
    request = SigningRequest.objects.latest("pk")
    return {"signing_request": request.nonce, "signature": base64.b64encode(signed(request)).decode()}


def _queries(client: Client, url: str) -> int:
    with CaptureQueriesContext(connection) as captured:
        assert client.get(url).status_code == 200
    return len(captured)


def _lot_url(name: str, lot: Lot) -> str:
    return reverse(name, args=[lot.tender.number, lot.number])


# The errand -------------------------------------------------------------------------------------------------------


def test_from_the_comparison_to_the_signed_award() -> None:
    lot = opened_lot(["10", "20"], ["11", "15"], admit=False)
    client = client_of(member(lot.tender.buyer))
    best = Bid.objects.get(rank=1)

    text = _text(client.get(_lot_url("comparison", lot)))
    assert all(words in text for words in ("260.00", "300.00", "Rank 1", "Admit all 2 bids", "Rank 2"))
    assert reverse("company", args=[best.supplier_id]) in text
    assert "Every bid of every lot has to be admitted or rejected first." in text
    client.post(_lot_url("bids_admit", lot))
    assert Tender.objects.get().status == TenderStatus.AWARDING
    response = client.post(_lot_url("award", lot), {"bid": best.pk, "reason": ""})
    page = client.get(response.url)
    assert all(words in _text(page) for words in (best.supplier.full_name, "260.00", "Sign and award the lot"))
    done = client.post(response.url, _signature(), follow=True)

    best.refresh_from_db()
    assert best.status == BidStatus.WINNING
    assert f"Awarded to {best.supplier.short_name}" in _text(done)


def test_another_winner_without_a_reason_is_refused_beside_the_field() -> None:
    lot = opened_lot(["10", "20"], ["11", "20"])
    client = client_of(member(lot.tender.buyer))

    response = client.post(_lot_url("award", lot), {"bid": Bid.objects.get(rank=2).pk, "reason": ""})

    assert response.status_code == 422
    assert "Say why it wins" in _text(response)
    assert not Award.objects.exists()


def test_a_bid_is_admitted_and_another_rejected_with_its_reason() -> None:
    lot = opened_lot(["10", "20"], ["11", "20"], admit=False)
    client = client_of(member(lot.tender.buyer))
    first, second = Bid.objects.order_by("rank")

    client.post(reverse("bid_admit", args=[lot.tender.number, first.pk]))
    url = reverse("bid_reject", args=[lot.tender.number, second.pk])
    assert client.post(url, {"reason": ""}).status_code == 422
    client.post(url, {"reason": "No certificate."})

    text = _text(client.get(_lot_url("comparison", lot)))
    assert "No certificate." in text
    assert Tender.objects.get().status == TenderStatus.AWARDING


def test_the_comparison_is_exported_without_formulas() -> None:
    lot = opened_lot(["10", "20"])
    supplier = Bid.objects.get().supplier
    supplier.short_name = "=cmd()"
    supplier.save()

    text = _text(client_of(member(lot.tender.buyer)).get(_lot_url("comparison_csv", lot)))

    assert "300.00" in text
    assert '1,"Office chair, adjustable",10' in text
    assert "\n=cmd" not in text


def test_the_protocol_says_who_bid_what_and_when() -> None:
    lot = opened_lot(["10", "20"], ["11", "20"])
    supplier = Bid.objects.get(rank=1).supplier

    text = _text(client_of(member(lot.tender.buyer)).get(reverse("opening_protocol", args=[lot.tender.number])))

    assert all(words in text for words in (supplier.short_name, "300.00", "310.00", "SHA-256"))


@pytest.mark.parametrize(
    ("stamp", "words"),
    [
        ({}, "Time stamp: waiting for the authority"),
        ({"error": "no answer", "attempts": 3}, "The authority was asked 3 times in vain, and is asked again."),
        ({"stamped_at": LATER, "authority": "Clock of Rostock"}, "Clock of Rostock"),
    ],
)
def test_protocol_and_award_say_how_far_each_time_stamp_is(settings: Any, stamp: dict[str, Any], words: str) -> None:
    lot = opened_lot(["10", "20"], ["11", "15"])
    awarded(lot)
    SignatureStamp.objects.all().delete()
    SignatureStamp.objects.bulk_create(
        SignatureStamp(signature=one, wanted_at=LATER, next_try_at=LATER, **stamp) for one in Signature.objects.all()
    )
    settings.TIMESTAMP_AUTHORITY_URLS = ["https://clock.example/"]
    client = client_of(member(lot.tender.buyer))

    assert _text(client.get(reverse("opening_protocol", args=[lot.tender.number]))).count(words) == 3
    assert _text(client.get(_lot_url("comparison", lot))).count(words) == 1


def test_others_read_the_winner_and_no_other_price() -> None:
    lot = opened_lot(["10", "20"], ["11", "20"])
    url = reverse("opening_protocol", args=[lot.tender.number])
    before = _text(client_of(bidder()).get(url))
    awarded(lot)

    after = _text(client_of(bidder()).get(url))

    assert ("300.00" in before, "310.00" in before, "2 bids were sent." in before) == (False, False, True)
    assert ("300.00" in after, "310.00" in after) == (True, False)


def test_before_the_deadline_there_is_a_count_and_nothing_else(now: Any) -> None:
    now.move_to(CLOSES - timedelta(seconds=1))
    lot = tender_taking_bids().lots.get()
    sent_bid(lot, ["10", "20"])
    client = client_of(member(lot.tender.buyer))

    protocol = _text(client.get(reverse("opening_protocol", args=[lot.tender.number])))
    comparison = _text(client.get(_lot_url("comparison", lot)))

    assert "1 bid is sealed." in protocol
    assert "Sealed until the deadline" in comparison
    assert "300.00" not in protocol + comparison


def test_during_a_live_auction_bidders_are_labels_for_the_buyer_too() -> None:
    lot = tender_taking_bids(procedure="auction_english_reverse").lots.get()
    lot.step_kind, lot.step_value = "amount", Decimal(1)
    lot.save()
    bids = [sent_bid(lot, ["10", "20"]), sent_bid(lot, ["11", "20"], files={"plan.txt": b"the plan"})]
    opening.open_tender(lot.tender_id, LATER)
    client = client_of(member(lot.tender.buyer))

    protocol = _text(client.get(reverse("opening_protocol", args=[lot.tender.number])))
    comparison = _text(client.get(_lot_url("comparison", lot)))
    file = client.get(reverse("opened_file", args=[lot.tender.number, bids[1].pk, bids[1].files.get().pk]))

    assert "2 bids were opened." in protocol
    assert "The live auction is running" in comparison
    assert not any(bid.supplier.short_name in protocol + comparison for bid in bids)
    assert file.status_code == 404


def test_the_winner_falls_away_and_the_next_is_proposed() -> None:
    lot = opened_lot(["10", "20"], ["11", "20"])
    awarded(lot)
    client = client_of(member(lot.tender.buyer))
    url = _lot_url("award_fall_away", lot)
    assert "Does " in _text(client.get(url))

    response = client.post(url, {"reason": "Refused to sign."}, follow=True)

    assert "The next-ranked bid is that of" in _text(response)
    assert Award.objects.filter(status=AwardStatus.PENDING.value).exists()


@pytest.mark.parametrize("name", ["comparison", "comparison_csv", "award", "award_fall_away"])
def test_strangers_find_no_page_of_the_award(name: str) -> None:
    lot = opened_lot(["10", "20"])
    awarded(lot)

    for stranger in (bidder(), member(accredited_buyer()), member(Bid.objects.get().supplier)):
        assert client_of(stranger).get(_lot_url(name, lot)).status_code == 404


def test_an_officer_who_may_not_sign_is_told_who_may() -> None:
    lot = opened_lot(["10", "20"])
    client = client_of(member(lot.tender.buyer, Role.OFFICER))

    assert "A signer of your organisation awards." in _text(client.get(_lot_url("comparison", lot)))
    assert client.get(_lot_url("award", lot)).status_code == 403


def test_documents_of_opened_bids_are_the_buyers_to_read() -> None:
    lot = tender_taking_bids().lots.get()
    bid = sent_bid(lot, ["10", "20"], files={"plan.txt": b"the plan"})
    buyer = member(lot.tender.buyer)
    url = reverse("opened_file", args=[lot.tender.number, bid.pk, bid.files.get().pk])
    assert client_of(buyer).get(url).status_code == 404

    opening.open_tender(lot.tender_id, LATER)

    assert _text(client_of(buyer).get(url)) == "the plan"
    assert client_of(bidder()).get(url).status_code == 404


def test_protocol_and_comparison_cost_the_same_for_one_bid_and_for_three() -> None:
    one, three = opened_lot(["10", "20"]), opened_lot(["10", "20"], ["11", "20"], ["12", "20"])

    for url in (
        lambda lot: _lot_url("comparison", lot),
        lambda lot: reverse("opening_protocol", args=[lot.tender.number]),
    ):
        costs = [_queries(client_of(member(lot.tender.buyer)), url(lot)) for lot in (one, three)]
        assert costs[0] == costs[1]


# Contracts --------------------------------------------------------------------------------------------------------


def test_a_contract_is_edited_and_signed_by_both_sides_on_its_page() -> None:
    contract = contracted(opened_lot(["10", "20"]))
    buyer, supplier = client_of(member(contract.buyer)), client_of(member(contract.supplier))
    url = reverse("contract", args=[contract.number])
    assert "not signed yet" in _text(supplier.get(url))

    buyer.post(reverse("contract_edit", args=[contract.number]), {"text": "Our own words", "version": 1})
    assert "Our own words" in _text(supplier.get(url))
    for client in (supplier, buyer):
        page = client.post(reverse("contract_prepare", args=[contract.number]))
        assert "Our own words" in _text(client.get(page.url))
        response = client.post(page.url, _signature(), follow=True)

    contract.refresh_from_db()
    assert contract.status == ContractStatus.ACTIVE
    assert "Signed by both sides: the contract is in force." in _text(response)


def test_an_old_form_of_the_text_is_kept_and_explained() -> None:
    contract = contracted(opened_lot(["10", "20"]))
    client = client_of(member(contract.buyer))
    url = reverse("contract_edit", args=[contract.number])
    client.post(url, {"text": "Second", "version": 1})

    response = client.post(url, {"text": "Third", "version": 1})

    text = _text(response)
    assert response.status_code == 422
    assert "Third" in text
    assert "The text is now version 2." in text


def test_a_text_changed_meanwhile_is_read_again_before_it_is_signed() -> None:
    contract = contracted(opened_lot(["10", "20"]))
    supplier = client_of(member(contract.supplier))
    page = supplier.post(reverse("contract_prepare", args=[contract.number])).url
    body = _signature()
    client_of(member(contract.buyer)).post(
        reverse("contract_edit", args=[contract.number]), {"text": "Dearer", "version": 1}
    )

    response = supplier.post(page, body, follow=True)

    assert "The buyer changed the text" in _text(response)
    assert not contract.signatures.exists()


@pytest.mark.parametrize("name", ["contract", "contract_edit"])
def test_strangers_find_no_contract(name: str) -> None:
    contract = contracted(opened_lot(["10", "20"]))

    assert client_of(bidder()).get(reverse(name, args=[contract.number])).status_code == 404


def test_the_list_shows_the_contracts_of_either_side() -> None:
    contract = contracted(opened_lot(["10", "20"]))
    other = contracted(opened_lot(["10", "20"]))

    text = _text(client_of(member(contract.supplier)).get(reverse("contracts")))

    assert (contract.number in text, other.number in text) == (True, False)
    assert "No contracts yet" in _text(client_of(bidder()).get(reverse("contracts")))


def test_the_list_of_contracts_costs_the_same_for_one_and_for_three() -> None:
    buyer = accredited_buyer()
    client = client_of(member(buyer))
    contracted(opened_lot(["10", "20"], buyer=buyer))
    before = _queries(client, reverse("contracts"))
    for _more in range(2):
        contracted(opened_lot(["10", "20"], buyer=buyer))

    assert Contract.objects.count() == 3
    assert _queries(client, reverse("contracts")) == before


def test_the_end_of_the_standstill_is_on_the_comparison(now: Any) -> None:
    lot = opened_lot(["10", "20"])
    award = awarded(lot)
    assert award.standstill_ends_at is not None
    client = client_of(member(lot.tender.buyer))
    assert "Standstill until" in _text(client.get(_lot_url("comparison", lot)))

    awards.end_standstill(lot.pk, award.standstill_ends_at)
    now.move_to(award.standstill_ends_at)

    assert "Open the contract" in _text(client.get(_lot_url("comparison", lot)))
