"""What counts besides the price, on the buyer's and the bidder's pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from procurement.models import Bid, Tender
from procurement.services import bid_drafts, evaluation, opening
from tests.factories.bids import LATER, bidder, send, tender_taking_bids
from tests.factories.clients import text_of
from tests.factories.marketplace import NOON, member
from tests.factories.procurement import draft_tender, published_tender
from tests.factories.signatures import trust

pytestmark = pytest.mark.django_db

FEATURES = {
    "kind": "features",
    "questions": [
        {
            "name": "Warranty",
            "description": "On the spot",
            "options": [{"name": "12 months", "share": "0"}, {"name": "36 months", "share": "20"}],
        }
    ],
}
TYPED = {
    "criteria-kind": "features",
    "criteria-q0_name": "Warranty",
    "criteria-q0_description": "On the spot",
    "criteria-q0_o0_name": "12 months",
    "criteria-q0_o0_share": "0",
    "criteria-q0_o1_name": "36 months",
    "criteria-q0_o1_share": "20",
    "criteria-q0_o2_name": "",
    "criteria-q0_o2_share": "",
    "criteria-q1_name": "",
}


def test_a_buyer_says_what_counts_and_sees_what_it_comes_to(client: Client) -> None:
    tender = draft_tender()
    client.force_login(member(tender.buyer).person)
    url = reverse("tender_save_criteria", args=[tender.number])
    wrong = client.post(url, TYPED | {"criteria-revision": tender.revision, "criteria-q0_o1_share": "31"})
    assert wrong.status_code == 422
    assert 'id="id_criteria-q0_o1_share_error">A share is from 0 to 30 %.' in wrong.content.decode()
    saved = client.post(url, TYPED | {"criteria-revision": tender.revision}, headers={"HX-Request": "true"})
    tender.refresh_from_db()
    assert tender.criteria == FEATURES
    assert "counts as 80.00" in text_of(saved)
    page = client.get(reverse("tender_edit", args=[tender.number]))
    # A blank answer and a blank question stand behind what is there.
    assert [len(row.options) for row in page.context["criteria"].questions] == [4, 3]
    review = client.get(reverse("tender_review", args=[tender.number]))
    assert "100.00 ÷ (1 + 20 % ÷ (100 % − 20 %)) = 80.00" in text_of(review)
    nothing = {"criteria-kind": "price", "criteria-revision": tender.revision}
    client.post(url, TYPED | nothing)
    assert Tender.objects.get(pk=tender.pk).criteria == {}


def test_an_amendment_page_changes_what_counts(client: Client, freeze: Callable[..., Any]) -> None:
    trust()
    freeze(NOON)
    tender = published_tender(criteria=FEATURES)
    client.force_login(member(tender.buyer).person)
    url = reverse("tender_amend", args=[tender.number])
    page = client.get(url)
    data = {name: page.context["form"][name].value() for name in page.context["form"].fields}
    for section in page.context["sections"]:
        for part in (section.form, section.table.management_form, *section.table.forms):
            data |= {bound.html_name: bound.value() for bound in part}
    data |= TYPED | {"reason": "It was too much.", "criteria-q0_o1_share": "15"}
    answer = client.post(url, {name: value for name, value in data.items() if value not in (None, False)})
    assert answer.status_code == 302
    signing = text_of(client.get(answer.url))  # type: ignore[attr-defined]
    assert "36 months: 15 %" in signing
    assert "to be confirmed" in signing


def test_bidders_answer_beside_their_prices_and_the_buyer_reads_what_it_came_to(
    client: Client, freeze: Callable[..., Any]
) -> None:
    trust()
    lot = tender_taking_bids(items=1, criteria=FEATURES).lots.get()
    lot.items.update(quantity=1)
    by = bidder()
    client.force_login(by.person)
    assert "What counts besides the price" in text_of(client.get(reverse("tender", args=[lot.tender.number])))
    bid = bid_drafts.start(lot.pk, by=by, at=NOON)
    edit, key = reverse("bid_edit", args=[bid.pk]), lot.tender.price_criteria.questions[0].key
    typed = {f"price_{lot.items.get().pk}": "90", f"answer_{key}": "36 months", "remarks": "", "revision": bid.revision}
    freeze(NOON)
    saved = client.post(edit, typed, headers={"X-Autosave": "yes"})
    assert "1 of 1 questions that count besides the price are answered." in saved.json()["parts"]["checks"]
    told = "90.00 ÷ (1 + 20 % ÷ (100 % − 20 %)) = 72.00"
    assert told in text_of(client.get(edit))
    send(Bid.objects.get(pk=bid.pk), by=by)
    opening.open_tender(lot.tender_id, LATER)
    evaluation.admit_all(lot.pk, by=member(lot.tender.buyer), at=LATER)
    freeze(LATER)
    assert told in text_of(client.get(reverse("bid", args=[bid.pk])))
    client.force_login(member(lot.tender.buyer).person)
    for url in (
        reverse("comparison", args=[lot.tender.number, lot.number]),
        reverse("opening_protocol", args=[lot.tender.number]),
        reverse("award", args=[lot.tender.number, lot.number]),
    ):
        assert told in text_of(client.get(url))
    table = client.get(reverse("comparison_csv", args=[lot.tender.number, lot.number]))
    assert "Counts as" in b"".join(table.streaming_content).decode()  # type: ignore[attr-defined]
