"""Drafts: made from a procedure, edited by several people, copied, thrown away."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from marketplace.models import AuditRecord, Role
from marketplace.shared.errors import Invalid, NotAllowed, NotFound, StaleForm
from procurement import procedures
from procurement.models import Tender
from procurement.permissions import NotABuyer
from procurement.services import lots, tenders
from procurement.services.drafts import NotADraft
from procurement.services.lots import ItemRow
from tests.factories.marketplace import NOON, HeadingFactory, accredited_buyer, accredited_supplier, member
from tests.factories.procurement import draft_tender, published_tender

pytestmark = pytest.mark.django_db


def audit_of(tender):
    return list(AuditRecord.objects.filter(stream=f"tender:{tender.pk}").values_list("action", flat=True))


def test_a_new_draft_keeps_the_newest_version_of_its_procedure_and_has_one_lot():
    buyer = accredited_buyer()
    tender = tenders.create("rfq_open", "  Office   chairs ", by=member(buyer), at=NOON)
    assert (tender.title, tender.procedure, tender.procedure_version) == ("Office chairs", "rfq_open", 1)
    assert tender.number == f"OL-2026-{tender.pk:06d}"
    assert [(lot.number, lot.title, lot.currency) for lot in tender.lots.all()] == [(1, "Office chairs", "EUR")]
    assert audit_of(tender) == ["tender.created"]


def test_a_number_taken_by_an_imported_tender_is_stepped_over():
    buyer = accredited_buyer()
    first = tenders.create("rfq_open", "One", by=member(buyer), at=NOON)
    Tender.objects.filter(pk=first.pk).update(number=f"OL-2026-{first.pk + 1:06d}")
    second = tenders.create("rfq_open", "Two", by=member(buyer), at=NOON)
    assert second.pk == first.pk + 2


def test_only_an_officer_of_a_buyer_creates_a_draft():
    with pytest.raises(NotAllowed):
        tenders.create("rfq_open", "Chairs", by=member(accredited_buyer(), Role.OBSERVER), at=NOON)
    with pytest.raises(NotABuyer):
        tenders.create("rfq_open", "Chairs", by=member(accredited_supplier()), at=NOON)
    assert not Tender.objects.exists()


def test_a_draft_without_a_title_or_of_an_unknown_procedure_is_refused():
    by = member(accredited_buyer())
    with pytest.raises(Invalid) as refused:
        tenders.create("rfq_open", "   ", by=by, at=NOON)
    assert list(refused.value.errors) == ["title"]
    with pytest.raises(procedures.UnknownProcedure):
        tenders.create("barter", "Chairs", by=by, at=NOON)


def test_an_update_saves_counts_and_says_what_changed():
    tender = draft_tender()
    by = member(tender.buyer)
    tenders.update(tender.pk, "basics", {"title": "Desks", "currency": "CHF"}, revision=1, by=by, at=NOON)
    tender.refresh_from_db()
    assert (tender.title, tender.currency, tender.revision) == ("Desks", "CHF", 2)
    assert {lot.currency for lot in tender.lots.all()} == {"CHF"}
    entry = AuditRecord.objects.get(stream=f"tender:{tender.pk}")
    assert [(c["field"], c["after"]) for c in entry.details["changes"]] == [("Title", "Desks"), ("Currency", "CHF")]


def test_an_update_that_changes_nothing_is_not_counted():
    tender = draft_tender()
    tenders.update(tender.pk, "basics", {"title": tender.title}, revision=1, by=member(tender.buyer), at=NOON)
    tender.refresh_from_db()
    assert tender.revision == 1
    assert audit_of(tender) == []


def test_a_stale_form_is_told_who_changed_what_and_writes_nothing():
    tender = draft_tender()
    anna, boris = member(tender.buyer), member(tender.buyer)
    tenders.update(tender.pk, "basics", {"title": "Desks"}, revision=1, by=anna, at=NOON)
    with pytest.raises(StaleForm) as stale:
        tenders.update(tender.pk, "basics", {"title": "Lamps"}, revision=1, by=boris, at=NOON)
    assert [str(change) for change in stale.value.changes] == [
        f"{anna.person.full_name}: Title: “{tender.title}” became “Desks”."
    ]
    tender.refresh_from_db()
    assert tender.title == "Desks"


def test_two_people_may_edit_different_sections_at_once():
    tender = draft_tender()
    tenders.update(tender.pk, "basics", {"title": "Desks"}, revision=1, by=member(tender.buyer), at=NOON)
    tenders.update_settings(tender.pk, "terms", {"minimum_bids": 2}, revision=1, by=member(tender.buyer), at=NOON)
    tender.refresh_from_db()
    assert (tender.title, tender.terms.minimum_bids) == ("Desks", 2)


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"title": " "}, "title"),
        ({"title": "x" * 201}, "title"),
        ({"currency": "XXZ"}, "currency"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"enquiry_ends_at": NOON + timedelta(days=9), "tender_ends_at": NOON + timedelta(days=8)}, "enquiry_ends_at"),
    ],
)
def test_an_update_with_a_wrong_field_is_refused(fields, wrong):
    tender = draft_tender()
    with pytest.raises(Invalid) as refused:
        tenders.update(tender.pk, "basics", fields, revision=1, by=member(tender.buyer), at=NOON)
    assert list(refused.value.errors) == [wrong]


def test_settings_outside_the_procedures_bounds_are_refused():
    tender = draft_tender()
    with pytest.raises(Invalid) as refused:
        tenders.update_settings(
            tender.pk, "terms", {"standstill_days": 31}, revision=1, by=member(tender.buyer), at=NOON
        )
    assert list(refused.value.errors) == ["standstill_days"]


def test_a_foreign_draft_does_not_exist_and_a_published_tender_is_not_edited():
    tender = draft_tender()
    with pytest.raises(NotFound):
        tenders.update(tender.pk, "basics", {"title": "X"}, revision=1, by=member(accredited_buyer()), at=NOON)
    by = member(tender.buyer, Role.EVALUATOR)
    with pytest.raises(NotAllowed):
        tenders.update(tender.pk, "basics", {"title": "X"}, revision=1, by=by, at=NOON)
    live = published_tender()
    with pytest.raises(NotADraft):
        tenders.update(live.pk, "basics", {"title": "X"}, revision=1, by=member(live.buyer), at=NOON)


def test_a_copy_takes_lots_items_and_settings_but_no_dates():
    source = published_tender(lots=2, settings={"minimum_bids": 3})
    buyer = accredited_buyer()
    copied = tenders.copy(source.pk, by=member(buyer), at=NOON)
    assert (copied.buyer, copied.status, copied.title) == (buyer, "draft", source.title)
    assert (copied.tender_ends_at, copied.published_at, copied.settings) == (None, None, {"minimum_bids": 3})
    assert [lot.items.count() for lot in copied.lots.all()] == [2, 2]
    assert [lot.public_key for lot in copied.lots.all()] == [None, None]


def test_a_copy_by_others_does_not_betray_a_hidden_limit_price():
    source = published_tender(settings={"limit_price_shown": False})
    assert tenders.copy(source.pk, by=member(accredited_buyer()), at=NOON).lots.get().limit_price is None
    assert tenders.copy(source.pk, by=member(source.buyer), at=NOON).lots.get().limit_price == Decimal("100000")


def test_a_foreign_draft_cannot_be_copied():
    with pytest.raises(NotFound):
        tenders.copy(draft_tender().pk, by=member(accredited_buyer()), at=NOON)


def test_a_draft_is_deleted_and_a_published_tender_is_not():
    tender = draft_tender()
    tenders.delete(tender.pk, by=member(tender.buyer), at=NOON)
    assert not Tender.objects.filter(pk=tender.pk).exists()
    assert audit_of(tender) == ["tender.deleted"]
    live = published_tender()
    with pytest.raises(NotADraft):
        tenders.delete(live.pk, by=member(live.buyer), at=NOON)


# Lots and items


def row(**fields):
    return replace(ItemRow("Chair", HeadingFactory.create().pk, Decimal(10), "H87"), **fields)


def test_lots_are_added_edited_reordered_and_removed():
    tender = draft_tender()
    by = member(tender.buyer)
    first = tender.lots.get()
    second = lots.add(tender.pk, by=by, at=NOON)
    lots.update(tender.pk, second.pk, {"title": "Desks", "limit_price": Decimal("10.50")}, revision=9, by=by, at=NOON)
    lots.reorder(tender.pk, [second.pk, first.pk], by=by, at=NOON)
    assert list(tender.lots.values_list("number", "title")) == [(1, "Desks"), (2, "Lot 1")]
    lots.remove(tender.pk, second.pk, by=by, at=NOON)
    assert list(tender.lots.values_list("number", "title")) == [(1, "Lot 1")]


def test_the_last_lot_stays():
    tender = draft_tender()
    with pytest.raises(lots.LastLot):
        lots.remove(tender.pk, tender.lots.get().pk, by=member(tender.buyer), at=NOON)


def test_an_order_that_misses_a_lot_is_refused():
    tender = draft_tender(lots=2)
    with pytest.raises(Invalid):
        lots.reorder(tender.pk, [tender.lots.first().pk], by=member(tender.buyer), at=NOON)


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"title": ""}, "title"),
        ({"limit_price": Decimal(0)}, "limit_price"),
        ({"limit_price": Decimal("1.001")}, "limit_price"),
        ({"limit_price": Decimal(10) ** 17}, "limit_price"),
        ({"vat_rate": Decimal(100)}, "vat_rate"),
        ({"step_kind": "percent", "step_value": Decimal(21)}, "step_value"),
        ({"step_kind": "amount", "step_value": Decimal("0.001")}, "step_value"),
    ],
)
def test_a_lot_with_a_wrong_field_is_refused(fields, wrong):
    tender = draft_tender()
    with pytest.raises(Invalid) as refused:
        lots.update(tender.pk, tender.lots.get().pk, fields, revision=1, by=member(tender.buyer), at=NOON)
    assert list(refused.value.errors) == [wrong]


def test_a_table_of_items_is_replaced_in_its_new_order():
    tender = draft_tender(items=2)
    lot = tender.lots.get()
    one, two = lot.items.all()
    rows = [
        row(description="Lamp"),
        row(description="Chair, blue", item_id=two.pk, unit="XBX"),
    ]
    lots.replace_items(tender.pk, lot.pk, rows, revision=1, by=member(tender.buyer), at=NOON)
    assert list(lot.items.values_list("number", "description", "unit")) == [
        (1, "Lamp", "H87"),
        (2, "Chair, blue", "XBX"),
    ]
    assert lot.items.get(number=2).pk == two.pk
    assert not lot.items.filter(pk=one.pk).exists()


def test_an_item_of_another_lot_is_not_taken_over():
    tender, other = draft_tender(), draft_tender()
    foreign = other.lots.get().items.first()
    rows = [row(item_id=foreign.pk, description="Mine")]
    lots.replace_items(tender.pk, tender.lots.get().pk, rows, revision=1, by=member(tender.buyer), at=NOON)
    foreign.refresh_from_db()
    assert foreign.description == "Office chair, adjustable"
    assert tender.lots.get().items.get().pk != foreign.pk


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"description": " "}, "0.description"),
        ({"category_id": 0}, "0.category"),
        ({"quantity": Decimal(0)}, "0.quantity"),
        ({"quantity": Decimal("0.00001")}, "0.quantity"),
        ({"unit": "barrel"}, "0.unit"),
        ({"deliver_from": NOON.date(), "deliver_until": NOON.date() - timedelta(days=1)}, "0.deliver_until"),
    ],
)
def test_a_wrong_row_is_refused_and_the_table_stays(fields, wrong):
    tender = draft_tender()
    lot = tender.lots.get()
    with pytest.raises(Invalid) as refused:
        lots.replace_items(tender.pk, lot.pk, [row(**fields)], revision=1, by=member(tender.buyer), at=NOON)
    assert list(refused.value.errors) == [wrong]
    assert lot.items.count() == 2


def test_a_lot_removed_meanwhile_is_a_stale_form():
    tender = draft_tender(lots=2)
    by = member(tender.buyer)
    gone = tender.lots.first().pk
    lots.remove(tender.pk, gone, by=by, at=NOON)
    with pytest.raises(StaleForm):
        lots.update(tender.pk, gone, {"title": "X"}, revision=1, by=by, at=NOON)
