"""Cancellation: with a reason, under a signature, never silently."""

from datetime import timedelta

import pytest

from marketplace.models import AuditRecord, Notification, Role
from marketplace.permissions import RoleMissing
from marketplace.services.signing import SignatureRefused
from marketplace.shared.errors import Invalid, NotFound
from procurement.models import AuctionEvent, Award, Bid, Contract, DueMoment, Tender
from procurement.services import auctions, cancellation
from tests.factories.at_once import at_the_same_time
from tests.factories.auctions import evaluated_tender
from tests.factories.marketplace import NOON, accredited_buyer, accredited_supplier, member
from tests.factories.procurement import draft_tender, published_tender
from tests.factories.signatures import certificate_of, signed, trust

pytestmark = pytest.mark.django_db
REASON = "The budget was withdrawn."
LATER = NOON + timedelta(days=1)


@pytest.fixture(autouse=True)
def _trusted():
    trust()


def cancel(tender, lot=None):
    by = member(tender.buyer)
    request = cancellation.prepare(tender.pk, lot.pk if lot else None, REASON, by=by, at=LATER)
    return cancellation.sign(request.pk, signed(request), by=by, at=LATER)


def bid_of(lot, supplier):
    return Bid.objects.create(
        lot=lot, supplier=supplier, status="submitted", currency="EUR",
        created_by=member(supplier, Role.BID_MANAGER).person, created_at=NOON,
    )  # fmt: skip


def test_a_cancelled_tender_keeps_its_reason_and_waits_for_nothing():
    tender = published_tender(lots=2)
    supplier = accredited_supplier()
    bid_of(tender.lots.first(), supplier)
    cancel(tender)
    tender.refresh_from_db()
    assert (tender.status, tender.closing_reason, tender.closed_at) == ("cancelled", REASON, LATER)
    assert {(lot.status, lot.closing_reason) for lot in tender.lots.all()} == {("cancelled", REASON)}
    assert not DueMoment.objects.exists()
    assert Notification.objects.filter(organisation=supplier, kind="tender_cancelled").count() == 1
    assert AuditRecord.objects.filter(stream=f"tender:{tender.pk}", action="lot.cancelled").count() == 2


def test_a_cancelled_lot_leaves_the_others_running():
    tender = published_tender(lots=2)
    first, second = tender.lots.all()
    cancel(tender, first)
    tender.refresh_from_db()
    assert (tender.status, tender.closing_reason) == ("published", "")
    assert list(tender.lots.values_list("status", flat=True)) == ["cancelled", "active"]
    assert DueMoment.objects.filter(tender=tender, done_at=None).count() == 1
    cancel(tender, second)
    tender.refresh_from_db()
    assert tender.status == "cancelled"


def test_an_award_and_an_unsigned_contract_fall_with_the_lot():
    tender = published_tender(status="standstill")
    lot, supplier = tender.lots.get(), accredited_supplier()
    award = Award.objects.create(
        lot=lot, bid=bid_of(lot, supplier), status="active", amount=1, currency="EUR", created_at=NOON
    )
    contract = Contract.objects.create(
        number="C-1", award=award, tender=tender, buyer=tender.buyer, supplier=supplier, text="…", amount=1,
        currency="EUR", created_at=NOON,
    )  # fmt: skip
    cancel(tender)
    award.refresh_from_db()
    contract.refresh_from_db()
    assert (award.status, contract.status) == ("cancelled", "terminated")


def test_a_contract_in_force_is_not_cancelled():
    tender = published_tender(status="standstill")
    lot, supplier = tender.lots.get(), accredited_supplier()
    award = Award.objects.create(
        lot=lot, bid=bid_of(lot, supplier), status="active", amount=1, currency="EUR", created_at=NOON
    )
    Contract.objects.create(
        number="C-1", award=award, tender=tender, buyer=tender.buyer, supplier=supplier, text="…", amount=1,
        currency="EUR", created_at=NOON, status="active",
    )  # fmt: skip
    with pytest.raises(cancellation.ContractsInForce):
        cancellation.prepare(tender.pk, None, REASON, by=member(tender.buyer), at=LATER)


def test_beside_a_contract_in_force_the_other_lots_are_cancelled_not_the_whole():
    tender = published_tender(status="awarding", lots=2)
    first, second = tender.lots.all()
    supplier = accredited_supplier()
    award = Award.objects.create(
        lot=first, bid=bid_of(first, supplier), status="active", amount=1, currency="EUR", created_at=NOON
    )
    Contract.objects.create(
        number="C-1", award=award, tender=tender, buyer=tender.buyer, supplier=supplier, text="…", amount=1,
        currency="EUR", created_at=NOON, status="active",
    )  # fmt: skip
    tender.lots.filter(pk=first.pk).update(status="complete")
    with pytest.raises(cancellation.ContractsInForce):
        cancel(tender)
    cancel(tender, second)
    tender.refresh_from_db()
    assert (tender.status, tender.closing_reason) == ("complete", "")


def test_a_second_click_cancels_once():
    tender = published_tender()
    by = member(tender.buyer)
    request = cancellation.prepare(tender.pk, None, REASON, by=by, at=LATER)
    cms = signed(request)
    cancellation.sign(request.pk, cms, by=by, at=LATER)
    assert cancellation.sign(request.pk, cms, by=by, at=LATER).status == "cancelled"
    assert AuditRecord.objects.filter(action="lot.cancelled").count() == 1


def auctioned_lot_beside_one_bidders(lots=2):
    """A tender in auction whose first lot is auctioned; for the last there is one bid, so that it waits."""
    tender = evaluated_tender("98.00", "97.00", lots=lots)
    tender.lots.last().bids.first().delete()
    auctions.schedule(tender.pk, at=NOON)
    return tender, *tender.lots.all()


def test_a_tender_whose_last_auction_falls_with_its_lot_goes_on_to_the_award():
    tender, first, _second = auctioned_lot_beside_one_bidders()
    cancel(tender, first)
    tender.refresh_from_db()
    assert (first.auction.status, tender.status) == ("cancelled", "awarding")


def test_a_tender_stays_in_auction_while_another_lot_is_auctioned():
    tender, first, _second, _third = auctioned_lot_beside_one_bidders(lots=3)
    cancel(tender, first)
    tender.refresh_from_db()
    assert tender.status == "auction"


def test_rooms_are_closed_in_the_order_in_which_bids_lock_them():
    """Lots are put in another order in the draft; a batch of bids for both would wait for us, and we for it."""
    tender = evaluated_tender("98.00", "97.00", lots=2)
    first, second = tender.lots.all()
    tender.lots.filter(pk=first.pk).update(number=3)
    auctions.schedule(tender.pk, at=NOON)
    cancel(tender)
    closed = AuctionEvent.objects.filter(kind="cancelled").order_by("pk")
    assert list(closed.values_list("auction__lot_id", flat=True)) == [first.pk, second.pk]


def test_a_tender_whose_last_undecided_lot_falls_goes_on_to_the_award():
    tender = evaluated_tender("98.00", lots=2)
    first, _second = tender.lots.all()
    first.bids.update(status="opened")
    cancel(tender, first)
    tender.refresh_from_db()
    assert tender.status == "awarding"


def test_a_tender_whose_last_lot_to_be_awarded_falls_stands_still():
    tender = evaluated_tender("98.00", lots=2)
    Tender.objects.update(status="awarding")
    first, second = tender.lots.all()
    ends = LATER + timedelta(days=2)
    Award.objects.create(
        lot=second, bid=second.bids.get(), status="active", amount=1, currency="EUR", created_at=NOON,
        standstill_ends_at=ends,
    )  # fmt: skip
    cancel(tender, first)
    tender.refresh_from_db()
    assert (tender.status, tender.standstill_ends_at) == ("standstill", ends)


@pytest.mark.django_db(transaction=True)
def test_two_clicks_at_once_cancel_once_and_both_say_so():
    tender = published_tender()
    by = member(tender.buyer)
    request = cancellation.prepare(tender.pk, None, REASON, by=by, at=LATER)
    cms = signed(request)
    click = lambda: cancellation.sign(request.pk, cms, by=by, at=LATER).status  # noqa: E731
    assert at_the_same_time(click, click) == ["cancelled", "cancelled"]
    assert AuditRecord.objects.filter(action="lot.cancelled").count() == 1


def test_a_refused_signature_cancels_nothing():
    tender = published_tender()
    by = member(tender.buyer)
    request = cancellation.prepare(tender.pk, None, REASON, by=by, at=LATER)
    with pytest.raises(SignatureRefused):
        cancellation.sign(request.pk, signed(request, certificate_of(accredited_supplier())), by=by, at=LATER)
    tender.refresh_from_db()
    assert tender.status == "published"


def test_a_reason_is_needed():
    tender = published_tender()
    with pytest.raises(Invalid):
        cancellation.prepare(tender.pk, None, "no", by=member(tender.buyer), at=LATER)


@pytest.mark.parametrize("status", ["complete", "unsuccessful", "cancelled"])
def test_what_is_over_is_not_cancelled(status):
    tender = published_tender(status=status)
    with pytest.raises(cancellation.NotCancellable):
        cancellation.prepare(tender.pk, None, REASON, by=member(tender.buyer), at=LATER)


def test_a_draft_is_deleted_not_cancelled():
    tender = draft_tender()
    with pytest.raises(cancellation.NotCancellable):
        cancellation.prepare(tender.pk, None, REASON, by=member(tender.buyer), at=LATER)


def test_who_may_not_cancel():
    tender = published_tender()
    with pytest.raises(RoleMissing):
        cancellation.prepare(tender.pk, None, REASON, by=member(tender.buyer, Role.OFFICER), at=LATER)
    with pytest.raises(NotFound):
        cancellation.prepare(draft_tender().pk, None, REASON, by=member(accredited_buyer()), at=LATER)
    with pytest.raises(NotFound):
        cancellation.prepare(tender.pk, 0, REASON, by=member(tender.buyer), at=LATER)
