"""Whose certificate ends before a procedure needs it is told once, and nobody else is."""

from __future__ import annotations

from datetime import timedelta

import pytest

from marketplace.models import Certificate, Membership, Notification
from procurement.services import certificate_notices
from tests.factories import signatures
from tests.factories.bids import CLOSES, LATER, awarded, bidder, drafted_bid, opened_lot, tender_taking_bids
from tests.factories.marketplace import NOON, member
from tests.factories.signatures import recorded_certificate as certificate

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


class TestBeforeADeadline:
    def test_a_bidder_is_told_once_for_each_procedure(self) -> None:
        supplier = bidder()
        lots = tender_taking_bids(lots=2).lots.all()
        for lot in lots:
            drafted_bid(lot, ["1.00", "2.00"], by=supplier)
        certificate(supplier, CLOSES - DAY)

        assert certificate_notices.remind(at=NOON) == 1
        assert certificate_notices.remind(at=NOON + DAY) == 0

        told = Notification.objects.get(kind="certificate_ends_early")
        assert told.person == supplier.person
        assert lots[0].tender.number in told.text
        assert "neither send nor change" in told.text

    def test_nobody_is_told_whose_certificate_lasts(self) -> None:
        supplier = bidder()
        drafted_bid(tender_taking_bids().lots.get(), ["1.00", "2.00"], by=supplier)
        certificate(supplier, CLOSES)

        assert certificate_notices.remind(at=NOON) == 0

    def test_nor_who_has_a_newer_one_or_left_or_never_bid(self) -> None:
        renewed, gone, stranger = bidder(), bidder(), bidder()
        lot = tender_taking_bids().lots.get()
        for actor in (renewed, gone):
            drafted_bid(lot, ["1.00", "2.00"], by=actor)
        for actor in (renewed, gone, stranger):
            certificate(actor, CLOSES - DAY)
        certificate(renewed, CLOSES + 300 * DAY, serial="2")
        Membership.objects.filter(person=gone.person).update(active=False)

        assert certificate_notices.remind(at=NOON) == 0

    def test_the_buyer_who_will_sign_the_award_is_told(self) -> None:
        tender = tender_taking_bids()
        officer = member(tender.buyer)
        certificate(officer, CLOSES - DAY)

        assert certificate_notices.remind(at=NOON) == 1
        assert "award" in Notification.objects.get(kind="certificate_ends_early").text

    def test_both_sides_are_told_before_a_contract(self) -> None:
        signatures.trust()
        lot = opened_lot(["1.00", "2.00"])
        award = awarded(lot)
        Certificate.objects.update(not_after=NOON)
        assert award.standstill_ends_at is not None
        sides = (member(lot.tender.buyer), member(award.bid.supplier))
        for actor in sides:
            certificate(actor, award.standstill_ends_at - timedelta(minutes=1))

        assert certificate_notices.remind(at=LATER) == 2

        told = Notification.objects.filter(kind="certificate_ends_early")
        assert {one.person for one in told} == {actor.person for actor in sides}
        assert all("contract" in one.text for one in told)
