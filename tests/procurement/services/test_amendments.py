"""Amendments: what is signed is what is applied, and bidders lose no time by it."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from marketplace.models import AuditRecord, Notification, Role
from marketplace.permissions import RoleMissing
from marketplace.services.signing import SignatureRefused, SigningTimeOver
from marketplace.shared.errors import Invalid, NotAllowed, NotFound
from procurement.models import Amendment, Bid, DueMoment, MomentKind
from procurement.services import amendments, clarifications
from procurement.services.amendment_values import NewDocument, Proposal
from procurement.services.lots import ItemRow
from tests.factories.marketplace import NOON, accredited_buyer, accredited_supplier, member
from tests.factories.procurement import draft_tender, published_tender
from tests.factories.signatures import certificate_of, signed, trust

pytestmark = pytest.mark.django_db
REASON = "A supplier asked for more time."
LATER = NOON + timedelta(days=1)


@pytest.fixture(autouse=True)
def _trusted():
    trust()


def sent_bid(tender, supplier):
    return Bid.objects.create(
        lot=tender.lots.first(),
        supplier=supplier,
        status="submitted",
        currency="EUR",
        created_by=member(supplier).person,
        created_at=NOON,
    )


def amend(tender, *, at=LATER, **parts):
    by = member(tender.buyer)
    request = amendments.prepare(tender.pk, Proposal(REASON, **parts), by=by, at=at)
    return amendments.sign(request.pk, signed(request), by=by, at=at)


def test_an_amendment_changes_what_was_signed_and_says_it():
    tender = published_tender()
    amendment = amend(tender, fields={"title": "Chairs and desks"})
    before = tender.title
    tender.refresh_from_db()
    assert (tender.title, tender.version) == ("Chairs and desks", 2)
    assert (amendment.version, amendment.reason, amendment.invalidates_bids) == (2, REASON, False)
    assert amendment.changes == [{"field": "Title", "before": before, "after": "Chairs and desks"}]
    assert amendment.signature.organisation == tender.buyer
    assert AuditRecord.objects.get(action="tender.amended").details["version"] == 2


def test_the_tender_period_leaves_at_least_the_minimum_remainder():
    tender = published_tender()
    # A day before the end on Thursday noon: two full working days end with the Friday after.
    at = tender.tender_ends_at - timedelta(days=1)
    amend(tender, at=at, fields={"description": "Now with castors."})
    tender.refresh_from_db()
    assert tender.tender_ends_at.isoformat() == "2026-03-13T23:00:00+00:00"
    moment = DueMoment.objects.get()
    assert (moment.kind, moment.due_at, moment.next_try_at) == (MomentKind.TENDER_ENDS, *[tender.tender_ends_at] * 2)


def test_the_planned_auction_moves_with_the_end_of_bidding():
    tender = published_tender(procedure="auction_english_reverse")
    tender.auction_starts_at = tender.tender_ends_at + timedelta(hours=1)
    tender.save()
    end = tender.tender_ends_at + timedelta(days=3)
    amend(tender, fields={"tender_ends_at": end})
    tender.refresh_from_db()
    assert (tender.tender_ends_at, tender.auction_starts_at) == (end, end + timedelta(hours=1))


def test_only_a_change_of_lots_or_items_invalidates_sent_bids():
    tender = published_tender()
    bid = sent_bid(tender, accredited_supplier())
    amend(tender, fields={"description": "Now with castors."})
    bid.refresh_from_db()
    assert bid.status == "submitted"
    amend(tender, lots={tender.lots.get().pk: {"limit_price": Decimal("90000")}})
    bid.refresh_from_db()
    assert bid.status == "invalidated"
    assert Amendment.objects.get(version=3).invalidates_bids is True


def test_items_are_changed_in_place_so_that_bids_can_refer_to_them():
    tender = published_tender(items=1)
    item = tender.lots.get().items.get()
    row = ItemRow("Office chair, green", item.category_id, Decimal(12), "H87", item_id=item.pk)
    amendment = amend(tender, items={tender.lots.get().pk: [row]})
    assert tender.lots.get().items.get().pk == item.pk
    assert [(c["before"], c["after"]) for c in amendment.changes] == [
        (
            f"Office chair, adjustable, 10 pieces, {item.category.code}",
            f"Office chair, green, 12 pieces, {item.category.code}",
        )
    ]


def test_a_new_version_of_a_document_is_signed_with_its_hash():
    tender = published_tender()
    amendment = amend(tender, documents=[NewDocument(SimpleUploadedFile("specification.txt", b"Chairs."))])
    document = tender.documents.get()
    assert document.file.sha256 in amendment.changes[0]["after"]
    amend(tender, documents=[NewDocument(SimpleUploadedFile("new.txt", b"Desks."), series=document.series)])
    assert list(tender.documents.values_list("series", "version")) == [(1, 2), (1, 1)]


def test_everybody_concerned_is_told():
    tender = published_tender()
    bidder, asker, other = accredited_supplier(), accredited_supplier(), accredited_supplier()
    people = [member(organisation, Role.BID_MANAGER).person for organisation in (bidder, asker, other)]
    sent_bid(tender, bidder)
    clarifications.ask(tender.pk, "May the chairs be green?", by=member(asker), at=NOON)
    amend(tender, fields={"description": "Green chairs will do."})
    told = Notification.objects.filter(kind="tender_amended", person__in=people)
    assert {notification.person for notification in told} == set(people[:2])


def test_preparing_changes_nothing():
    tender = published_tender()
    amendments.prepare(
        tender.pk, Proposal(REASON, lots={tender.lots.get().pk: {"title": "X"}}), by=member(tender.buyer), at=LATER
    )
    tender.refresh_from_db()
    assert (tender.version, tender.lots.get().title) == (1, "Lot 1")
    assert not Amendment.objects.exists()


def test_a_second_click_amends_once():
    tender = published_tender()
    by = member(tender.buyer)
    request = amendments.prepare(tender.pk, Proposal(REASON, fields={"title": "Desks"}), by=by, at=LATER)
    cms = signed(request)
    first = amendments.sign(request.pk, cms, by=by, at=LATER)
    assert amendments.sign(request.pk, cms, by=by, at=LATER) == first
    tender.refresh_from_db()
    assert tender.version == 2


def test_a_refused_signature_changes_nothing():
    tender = published_tender()
    by = member(tender.buyer)
    request = amendments.prepare(tender.pk, Proposal(REASON, fields={"title": "Desks"}), by=by, at=LATER)
    foreign = certificate_of(accredited_supplier())
    with pytest.raises(SignatureRefused):
        amendments.sign(request.pk, signed(request, foreign), by=by, at=LATER)
    tender.refresh_from_db()
    assert (tender.version, Amendment.objects.count()) == (1, 0)


def test_of_two_prepared_amendments_the_later_signature_is_asked_to_look_again():
    tender = published_tender()
    by = member(tender.buyer)
    first = amendments.prepare(tender.pk, Proposal(REASON, fields={"title": "Desks"}), by=by, at=LATER)
    second = amendments.prepare(tender.pk, Proposal(REASON, fields={"title": "Lamps"}), by=by, at=LATER)
    amendments.sign(first.pk, signed(first), by=by, at=LATER)
    with pytest.raises(amendments.AmendedMeanwhile):
        amendments.sign(second.pk, signed(second), by=by, at=LATER)


def test_a_signature_after_a_quarter_of_an_hour_is_too_late():
    tender = published_tender()
    by = member(tender.buyer)
    request = amendments.prepare(tender.pk, Proposal(REASON, fields={"title": "Desks"}), by=by, at=LATER)
    with pytest.raises(SigningTimeOver):
        amendments.sign(request.pk, signed(request), by=by, at=LATER + timedelta(minutes=15))


def test_nothing_is_amended_once_bids_are_closed():
    tender = published_tender()
    by = member(tender.buyer)
    with pytest.raises(amendments.NotOpenForBids):
        amendments.prepare(tender.pk, Proposal(REASON, fields={"title": "X"}), by=by, at=tender.tender_ends_at)
    draft = draft_tender(buyer=tender.buyer)
    with pytest.raises(amendments.NotOpenForBids):
        amendments.prepare(draft.pk, Proposal(REASON, fields={"title": "X"}), by=by, at=LATER)


def test_an_amendment_without_a_change_is_refused():
    tender = published_tender()
    at = tender.tender_ends_at - timedelta(hours=1)
    with pytest.raises(amendments.NothingChanged):
        amendments.prepare(tender.pk, Proposal(REASON), by=member(tender.buyer), at=at)


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"title": " "}, "title"),
        ({"tender_ends_at": NOON + timedelta(days=9)}, "tender_ends_at"),
        ({"enquiry_ends_at": NOON}, "enquiry_ends_at"),
        ({"enquiry_ends_at": NOON + timedelta(days=90)}, "enquiry_ends_at"),
    ],
)
def test_wrong_fields_are_refused(fields, wrong):
    tender = published_tender()
    with pytest.raises(Invalid) as refused:
        amendments.prepare(tender.pk, Proposal(REASON, fields=fields), by=member(tender.buyer), at=LATER)
    assert list(refused.value.errors) == [wrong]


def test_a_reason_is_needed():
    tender = published_tender()
    with pytest.raises(Invalid) as refused:
        amendments.prepare(tender.pk, Proposal("so", fields={"title": "X"}), by=member(tender.buyer), at=LATER)
    assert list(refused.value.errors) == ["reason"]


def test_a_lot_cannot_be_left_without_items():
    tender = published_tender()
    with pytest.raises(Invalid):
        amendments.prepare(
            tender.pk, Proposal(REASON, items={tender.lots.get().pk: []}), by=member(tender.buyer), at=LATER
        )


def test_who_may_not_amend():
    tender = published_tender()
    proposal = Proposal(REASON, fields={"title": "X"})
    with pytest.raises(RoleMissing):
        amendments.prepare(tender.pk, proposal, by=member(tender.buyer, Role.OFFICER), at=LATER)
    with pytest.raises(NotAllowed):
        amendments.prepare(tender.pk, proposal, by=member(accredited_buyer()), at=LATER)
    with pytest.raises(NotFound):
        amendments.prepare(draft_tender().pk, proposal, by=member(accredited_buyer()), at=LATER)
    other = published_tender(lots=1)
    with pytest.raises(NotFound):
        amendments.prepare(
            tender.pk, Proposal(REASON, lots={other.lots.get().pk: {"title": "X"}}), by=member(tender.buyer), at=LATER
        )
