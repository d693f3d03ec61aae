"""Publication happens once, completely or not at all."""

from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from marketplace.entitlements import NotEntitled
from marketplace.models import AuditRecord, Notification, Role
from marketplace.services.files import FileTypeNotAllowed
from marketplace.shared.errors import NotAllowed, NotFound
from marketplace.signatures.sealing import open_sealed, seal
from procurement.models import DueMoment, MomentKind, Tender
from procurement.services import documents, lot_keys, publishing
from procurement.services.completeness import missing
from procurement.services.drafts import NotADraft
from tests.factories.at_once import at_the_same_time
from tests.factories.marketplace import (
    NOON,
    HeadingFactory,
    OrganisationFactory,
    accredited_buyer,
    accredited_supplier,
    member,
)
from tests.factories.procurement import draft_tender, published_tender

pytestmark = pytest.mark.django_db


def codes(tender, *, blocking=True):
    return [problem.code for problem in missing(tender, NOON) if problem.blocking == blocking]


def test_publishing_opens_the_tender_seals_its_lots_and_makes_its_end_due():
    tender = draft_tender(lots=2)
    publishing.publish(tender.pk, by=member(tender.buyer), at=NOON)
    tender.refresh_from_db()
    assert (tender.status, tender.published_at, tender.version) == ("published", NOON, 1)
    moment = DueMoment.objects.get()
    assert (moment.kind, moment.tender, moment.due_at) == (MomentKind.TENDER_ENDS, tender, tender.tender_ends_at)
    one, two = tender.lots.all()
    assert open_sealed(lot_keys.unwrap_private(one), seal(one.public_key, b"42", b"lot"), b"lot") == b"42"
    assert bytes(one.public_key) != bytes(two.public_key)
    entry = AuditRecord.objects.get(action="tender.published")
    assert (entry.stream, entry.details["bids_until"]) == (f"tender:{tender.pk}", tender.tender_ends_at.isoformat())


def test_dates_not_chosen_are_counted_from_publication_in_working_days():
    tender = draft_tender(enquiry_ends_at=None, tender_ends_at=None)
    publishing.publish(tender.pk, by=member(tender.buyer), at=NOON)
    tender.refresh_from_db()
    # Monday noon in Berlin: three full working days end with Thursday, five with the Monday after.
    assert tender.enquiry_ends_at.isoformat() == "2026-03-05T23:00:00+00:00"
    assert tender.tender_ends_at.isoformat() == "2026-03-09T23:00:00+00:00"


def test_the_demonstration_counts_minutes_for_days(settings):
    settings.PERIOD_UNIT = "minute"
    tender = draft_tender(enquiry_ends_at=None, tender_ends_at=None)
    publishing.publish(tender.pk, by=member(tender.buyer), at=NOON)
    tender.refresh_from_db()
    assert tender.tender_ends_at == NOON + timedelta(minutes=5)


def test_an_auctions_start_is_planned_after_the_opening():
    tender = draft_tender(procedure="auction_english_reverse", settings={"auction_start_delay_minutes": 30})
    tender.lots.update(step_kind="percent", step_value="0.5")
    publishing.publish(tender.pk, by=member(tender.buyer), at=NOON)
    tender.refresh_from_db()
    assert tender.auction_starts_at == tender.tender_ends_at + timedelta(minutes=30)


def test_what_is_missing_is_said_all_at_once():
    tender = draft_tender(
        procedure="auction_english_reverse", items=0, tender_ends_at=NOON + timedelta(hours=1), enquiry_ends_at=None
    )
    tender.lots.update(limit_price=None)
    assert codes(tender) == ["no_items", "start_price_missing", "step_missing", "dates_refused", "dates_refused"]
    assert codes(tender, blocking=False) == ["description_missing", "delivery_missing", "no_documents"]
    with pytest.raises(publishing.NotComplete) as refused:
        publishing.publish(tender.pk, by=member(tender.buyer), at=NOON)
    assert len(refused.value.missing) == 5
    tender.refresh_from_db()
    assert (tender.status, tender.lots.get().public_key, DueMoment.objects.count()) == ("draft", None, 0)


@pytest.mark.parametrize(
    ("procedure", "lot", "missing"),
    [
        ("auction_dutch", {}, ["step_missing", "clock_price_missing"]),
        ("auction_dutch", {"clock_price": 60}, ["step_missing"]),
        ("auction_dutch", {"clock_price": 60, "step_kind": "amount", "step_value": 1}, []),
        ("auction_japanese", {"clock_price": 100, "step_kind": "amount", "step_value": 1}, ["clock_price_not_better"]),
        ("auction_japanese", {"clock_price": 60, "step_kind": "percent", "step_value": "0.01"}, ["clock_too_long"]),
        ("auction_turn_based", {"step_kind": "amount", "step_value": 100}, ["step_too_large"]),
        ("auction_sealed_first_price", {"limit_price": None}, []),
        ("auction_sealed_second_price", {"limit_price": None}, ["limit_price_missing"]),
    ],
)
def test_each_kind_of_auction_asks_its_lots_for_what_it_needs(procedure, lot, missing):
    settings = {"single_bid_price": "limit"} if procedure == "auction_sealed_second_price" else {}
    tender = draft_tender(procedure=procedure, settings=settings)
    tender.lots.update(**{"limit_price": 100, **lot})
    assert codes(tender) == missing


def test_a_step_in_percent_does_not_tell_a_hidden_limit_price():
    tender = draft_tender(procedure="auction_english_reverse", settings={"limit_price_shown": False})
    tender.lots.update(limit_price=100, step_kind="percent", step_value="0.5")
    assert codes(tender) == ["step_tells_limit"]
    tender.lots.update(step_kind="amount")
    assert codes(tender) == []


@pytest.mark.parametrize("days", [0, 1, 200])
def test_a_period_outside_the_procedures_bounds_is_refused(days):
    tender = draft_tender(enquiry_ends_at=None, tender_ends_at=NOON + timedelta(days=days))
    assert "dates_refused" in codes(tender)


def test_a_buyer_who_is_not_accredited_cannot_publish():
    tender = draft_tender(buyer=OrganisationFactory.create(is_buyer=True))
    with pytest.raises(NotEntitled):
        publishing.publish(tender.pk, by=member(tender.buyer), at=NOON)


def test_only_an_officer_of_the_buyer_publishes():
    tender = draft_tender()
    with pytest.raises(NotAllowed):
        publishing.publish(tender.pk, by=member(tender.buyer, Role.SIGNER, Role.EVALUATOR), at=NOON)
    with pytest.raises(NotFound):
        publishing.publish(tender.pk, by=member(accredited_buyer()), at=NOON)


def test_a_published_tender_is_not_published_again():
    tender = published_tender()
    with pytest.raises(publishing.AlreadyPublished):
        publishing.publish(tender.pk, by=member(tender.buyer), at=NOON)


@pytest.mark.django_db(transaction=True)
def test_a_double_click_publishes_once():
    tender = draft_tender()
    by = member(tender.buyer)

    answers = at_the_same_time(*[lambda: publishing.publish(tender.pk, by=by, at=NOON)] * 2)

    assert [answer.code for answer in answers if isinstance(answer, Exception)] == ["already_published"]
    assert DueMoment.objects.count() == AuditRecord.objects.filter(action="tender.published").count() == 1
    assert Tender.objects.get().status == "published"


def test_suppliers_of_the_heading_or_of_one_above_are_told_once():
    furniture = HeadingFactory.create(name="Furniture")
    chairs = HeadingFactory.create(name="Chairs", parent=furniture)
    tender = published_tender(items=1)
    tender.lots.get().items.update(category=chairs)
    exact, above, other = accredited_supplier(), accredited_supplier(), accredited_supplier()
    people = [member(organisation, Role.BID_MANAGER).person for organisation in (exact, above, other)]
    exact.headings_offered.add(chairs)
    above.headings_offered.add(furniture)
    other.headings_offered.add(HeadingFactory.create())
    assert publishing.announce(tender.pk, at=NOON) == 2
    assert publishing.announce(tender.pk, at=NOON) == 0
    assert set(Notification.objects.values_list("person", flat=True)) == {people[0].pk, people[1].pk}


# Documents


def upload(name="specification.txt", content=b"Chairs, blue."):
    return SimpleUploadedFile(name, content)


def test_a_document_keeps_its_versions_and_hashes():
    tender = draft_tender()
    by = member(tender.buyer)
    first = documents.add(tender.pk, upload(), title="Specification", by=by, at=NOON)
    second = documents.add(tender.pk, upload(content=b"Chairs, red."), series=first.series, by=by, at=NOON)
    assert (second.series, second.version, second.title) == (first.series, 2, "Specification")
    assert first.file.sha256 != second.file.sha256


def test_a_document_of_a_forbidden_type_is_refused_before_it_is_kept():
    tender = draft_tender()
    with pytest.raises(FileTypeNotAllowed):
        documents.add(tender.pk, upload("setup.exe", b"MZ"), by=member(tender.buyer), at=NOON)
    assert not tender.documents.exists()


def test_a_document_leaves_a_draft_but_not_a_published_tender():
    tender = draft_tender()
    by = member(tender.buyer)
    document = documents.add(tender.pk, upload(), by=by, at=NOON)
    documents.remove(tender.pk, document.pk, by=by, at=NOON)
    assert not tender.documents.exists()
    live = published_tender()
    with pytest.raises(NotADraft):
        documents.add(live.pk, upload(), by=member(live.buyer), at=NOON)
