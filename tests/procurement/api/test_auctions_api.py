import pytest
from django.test import Client
from django.urls import reverse

from marketplace.models import StaffRole
from procurement.auction import tokens
from tests.factories.auctions import running_auction, seats
from tests.factories.marketplace import accredited_supplier, member, staff

pytestmark = pytest.mark.django_db


def test_a_bidder_sees_its_own_standing_and_gets_a_ticket(client: Client) -> None:
    auction = running_auction("100.00", "98.00")
    seat = seats(auction)[0]
    client.force_login(seat.by.person)

    answer = client.get(reverse("api_auction", args=[auction.lot_id])).json()

    assert answer["may_bid"] is True
    assert answer["bids_url"] == f"/live/lots/{auction.lot_id}/bids"
    assert answer["state"]["own"]["amount"] == "100.00"
    assert answer["state"]["best"]["amount"] == "98.00"
    assert answer["state"]["allowed"] == "97.00"
    assert "ranking" not in answer["state"]
    assert tokens.read(answer["ticket"]).participant == seat.participant.pk


def test_an_operator_observes_and_may_not_bid(client: Client) -> None:
    auction = running_auction()
    client.force_login(staff(StaffRole.OPERATOR).person)

    answer = client.get(reverse("api_auction", args=[auction.lot_id])).json()

    assert answer["may_bid"] is False
    assert [row["amount"] for row in answer["state"]["ranking"]] == ["98.00", "99.00", "100.00"]


def test_a_supplier_that_takes_no_part_is_not_told_of_the_auction(client: Client) -> None:
    auction = running_auction()
    client.force_login(member(accredited_supplier()).person)

    answer = client.get(reverse("api_auction", args=[auction.lot_id]))

    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == "not_found"
