"""The pages of a procedure: who sees what, what they do, and how many queries that takes."""

import html
import re
from datetime import timedelta
from decimal import Decimal

import pytest
from django.core.cache import cache
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from marketplace import audit
from marketplace.models import Address, Role, StaffRole
from procurement import procedures
from procurement.models import Bid, Tender
from procurement.procedures import Family
from procurement.services import clarifications, documents, lots, publishing
from procurement.web.item_table import TableTooLong, TableUnreadable, cells_of, decoded
from tests.factories.clients import text_of
from tests.factories.marketplace import NOON, HeadingFactory, accredited_buyer, accredited_supplier, member, staff
from tests.factories.procurement import draft_tender, published_tender
from tests.factories.signatures import trust

pytestmark = pytest.mark.django_db
LATER = NOON + timedelta(days=1)
TABS = ("tender", "tender_lots", "tender_documents", "tender_questions", "tender_timetable")


@pytest.fixture(autouse=True)
def _clock(freeze):
    freeze(LATER)
    cache.clear()


@pytest.fixture
def visit(client):
    """Ask for a page as an actor."""

    def visit(route, *args, by=None, data=None, htmx=False, **query):
        client.logout()
        if by is not None:
            client.force_login(by.person)
        url = reverse(route, args=args)
        headers = {"HX-Request": "true"} if htmx else {}
        return client.get(url, query, headers=headers) if data is None else client.post(url, data, headers=headers)

    return visit


# Who sees what


@pytest.mark.parametrize("route", TABS)
def test_a_published_procedure_is_open_to_everybody(visit, route):
    tender = published_tender(lots=2)
    for actor in (None, member(tender.buyer), member(accredited_supplier()), staff(StaffRole.OPERATOR)):
        response = visit(route, tender.number, by=actor)
        assert response.status_code == 200
        assert tender.title in response.content.decode()


@pytest.mark.parametrize("route", [*TABS[:3], "tender_edit", "tender_review", "tender_publish", "tender_delete"])
def test_a_foreign_draft_does_not_exist(visit, route):
    tender = draft_tender()
    for actor in (member(accredited_buyer()), member(accredited_supplier()), staff(StaffRole.OPERATOR)):
        assert visit(route, tender.number, by=actor).status_code == 404
    assert visit(route, tender.number).status_code == 302


def test_a_draft_is_not_in_the_public_list_but_in_the_buyers(visit):
    tender = draft_tender()
    assert tender.title not in visit("tenders", standing="all").content.decode()
    assert tender.title in visit("my_tenders", by=member(tender.buyer)).content.decode()
    assert tender.title not in visit("my_tenders", by=member(accredited_buyer())).content.decode()


def test_a_colleague_without_the_role_reads_a_draft_and_is_told_why_not_more(visit):
    tender = draft_tender()
    observer = member(tender.buyer, Role.OBSERVER)
    page = visit("tender", tender.number, by=observer)
    assert "It takes: Buyer’s officer" in text_of(page).replace("'", "’").replace("&#x27;", "’")
    assert visit("tender_edit", tender.number, by=observer).status_code == 403


@pytest.mark.parametrize("route", ["tender_amend", "tender_cancel"])
def test_only_a_signer_of_the_buyer_amends_and_cancels(visit, route):
    tender = published_tender()
    assert visit(route, tender.number, by=member(tender.buyer)).status_code == 200
    assert visit(route, tender.number, by=member(tender.buyer, Role.OFFICER)).status_code == 403
    assert visit(route, tender.number, by=member(accredited_supplier())).status_code == 403


def test_the_audit_trail_is_for_the_buyer_and_auditors(visit):
    tender = published_tender()
    assert visit("tender_audit", tender.number, by=member(tender.buyer)).status_code == 200
    assert visit("tender_audit", tender.number, by=staff(StaffRole.AUDITOR)).status_code == 200
    assert visit("tender_audit", tender.number, by=member(accredited_supplier())).status_code == 404


@pytest.mark.parametrize(("opened_at", "told"), [(None, False), (LATER, True)])
def test_who_bid_is_told_only_where_bids_were_opened(visit, opened_at, told):
    tender, supplier = published_tender(status="cancelled", opened_at=opened_at), accredited_supplier()
    bid = Bid.objects.create(
        lot=tender.lots.get(), supplier=supplier, currency="EUR", created_by=member(supplier).person, created_at=NOON
    )
    audit.record("bid.submitted", bid, by=member(supplier), at=NOON, stream=f"tender:{tender.pk}")
    page = text_of(visit("tender_audit", tender.number, by=member(tender.buyer)))
    assert (supplier.short_name in page, "A bidder" in page) == (told, not told)


def test_a_hidden_limit_price_is_shown_to_the_buyer_only(visit):
    tender = published_tender(settings={"limit_price_shown": False})
    tender.lots.update(limit_price=Decimal("77777.00"))
    for route in ("tender", "tender_lots", "tenders"):
        args = [] if route == "tenders" else [tender.number]
        assert "77,777" not in visit(route, *args, by=member(accredited_supplier())).content.decode()
    assert "77,777" in visit("tender", tender.number, by=member(tender.buyer)).content.decode()


def test_a_document_is_downloaded_by_everybody_once_published(visit):
    tender = draft_tender()
    by = member(tender.buyer)
    document = documents.add(tender.pk, SimpleUploadedFile("a.txt", b"Chairs."), by=by, at=NOON)
    assert visit("tender_document", tender.number, document.pk, by=member(accredited_supplier())).status_code == 404
    publishing.publish(tender.pk, by=by, at=NOON)
    response = visit("tender_document", tender.number, document.pk)
    assert b"".join(response.streaming_content) == b"Chairs."
    other = published_tender()
    assert visit("tender_document", other.number, document.pk, by=by).status_code == 404


# What now, and can I bid


def test_a_supplier_reads_whether_it_can_bid_and_why_not(visit):
    tender = published_tender()
    allowed = visit("tender", tender.number, by=member(accredited_supplier()))
    assert "Can I bid? Yes" in text_of(allowed)
    not_accredited = accredited_supplier()
    not_accredited.accreditations.all().delete()
    refused = visit("tender", tender.number, by=member(not_accredited))
    assert "Can I bid? Not yet" in text_of(refused)
    assert "Can I bid?" not in text_of(visit("tender", tender.number, by=member(tender.buyer)))


def test_the_next_step_is_said_in_a_sentence(visit, freeze):
    tender = published_tender()
    assert "Bids are taken until 12 Mar 2026, 13:00 (Berlin, UTC+1)" in text_of(visit("tender", tender.number))
    freeze(tender.tender_ends_at)
    assert "Bids are closed and are being opened." in text_of(visit("tender", tender.number))


# Search


def found(response):
    return [row.tender for row in response.context["rows"]]


def test_the_list_shows_what_is_open_by_deadline(visit):
    late, soon = published_tender(), published_tender(tender_ends_at=NOON + timedelta(days=6))
    published_tender(tender_ends_at=LATER)
    published_tender(status="complete")
    assert found(visit("tenders")) == [soon, late]
    assert found(visit("tenders", sort="-deadline")) == [late, soon]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"q": "steel"}, {"steel"}),
        ({"q": "ste pip"}, {"steel"}),
        ({"q": "& | ! nothing"}, set()),
        ({"family": "auction"}, {"auction"}),
        ({"country": "AT"}, {"austrian"}),
        ({"region": "tirol"}, {"austrian"}),
        ({"currency": "CHF"}, {"swiss"}),
        ({"within": "3"}, {"soon"}),
        ({"category": "44000000"}, {"steel"}),
        ({"standing": "complete"}, {"complete"}),
    ],
)
def test_each_filter_narrows_the_list(visit, query, names):
    above = HeadingFactory.create(code="44000000", name="Construction")
    pipes = HeadingFactory.create(code="44160000", name="Pipes", parent=above)
    austrian = accredited_buyer(country="AT")
    Address.objects.create(
        organisation=austrian, kind="legal", country="AT", region="Tirol", city="Innsbruck", street="1"
    )
    tenders = {
        "steel": published_tender(title="Steel pipes"),
        "auction": published_tender(procedure="auction_english_reverse"),
        "austrian": published_tender(buyer=austrian),
        "swiss": published_tender(currency="CHF"),
        "soon": published_tender(tender_ends_at=LATER + timedelta(days=2)),
        "complete": published_tender(status="complete"),
    }
    tenders["steel"].lots.get().items.update(category=pipes)
    assert set(found(visit("tenders", **query))) == {tenders[name] for name in names}


def test_a_number_finds_its_procedure(visit):
    tender = published_tender()
    published_tender()
    assert found(visit("tenders", q=tender.number.lower())) == [tender]


def test_filters_in_force_are_chips_that_can_be_dropped(visit):
    response = visit("tenders", q="steel", currency="EUR")
    assert [str(chip.label) for chip in response.context["chips"]] == ["Search: steel", "Currency: EUR"]
    assert response.context["chips"][0].url == "?currency=EUR"
    assert "Nothing fits" in text_of(response)


def test_pages_go_on_where_the_last_one_ended(visit, client, monkeypatch):
    monkeypatch.setattr("procurement.web.search.PAGE", 2)
    # Two of them end at the same instant: the key tells them apart.
    expected = [published_tender(tender_ends_at=NOON + timedelta(days=5 + n // 2)) for n in range(5)]
    first = visit("tenders")
    second = client.get(reverse("tenders") + first.context["list"].next_url)
    third = client.get(reverse("tenders") + second.context["list"].next_url)
    assert found(first) + found(second) + found(third) == expected
    assert third.context["list"].next_url == ""
    back = client.get(reverse("tenders") + third.context["list"].previous_url)
    assert found(back) == found(second)


def test_the_export_holds_the_same_rows(visit):
    tender = published_tender(title="=1+1")
    published_tender(title="Other", currency="CHF")
    body = b"".join(visit("tenders_export", currency="EUR").streaming_content).decode("utf-8-sig")
    head, row = body.strip().splitlines()
    assert head.startswith("Number,Title,Kind")
    assert row.startswith(f"{tender.number},'=1+1,Request for quotations,Open for bids")


def queries_of(visit, django_assert_max_num_queries, *args, most, **kwargs):
    with django_assert_max_num_queries(most) as counted:
        assert visit(*args, **kwargs).status_code == 200
    return len(counted)


def test_the_list_takes_the_same_queries_for_one_row_and_for_three(visit, django_assert_max_num_queries):
    published_tender()
    visit("tenders")
    one = queries_of(visit, django_assert_max_num_queries, "tenders", most=12)
    published_tender(lots=2)
    published_tender()
    assert queries_of(visit, django_assert_max_num_queries, "tenders", most=12) == one


def test_the_buyers_list_takes_the_same_queries_for_one_row_and_for_three(visit, django_assert_max_num_queries):
    buyer = accredited_buyer()
    by = member(buyer)
    published_tender(buyer=buyer)
    visit("my_tenders", by=by)
    one = queries_of(visit, django_assert_max_num_queries, "my_tenders", by=by, most=30)
    published_tender(buyer=buyer, lots=2)
    draft_tender(buyer=buyer)
    assert queries_of(visit, django_assert_max_num_queries, "my_tenders", by=by, most=30) == one


@pytest.mark.parametrize("route", TABS)
def test_a_tab_takes_the_same_queries_for_one_lot_and_for_three(visit, django_assert_max_num_queries, route):
    one_lot, three_lots = published_tender(), published_tender(lots=3, items=4)
    by = member(accredited_supplier())
    visit(route, one_lot.number, by=by)
    one = queries_of(visit, django_assert_max_num_queries, route, one_lot.number, by=by, most=35)
    assert queries_of(visit, django_assert_max_num_queries, route, three_lots.number, by=by, most=35) == one


# Questions


def test_the_pages_never_tell_who_asked(visit):
    tender, supplier = published_tender(), accredited_supplier()
    asker = member(supplier)
    response = visit("tender_questions", tender.number, by=asker, data={"question": "May the chairs be green?"})
    assert response.status_code == 302
    buyer = member(tender.buyer)
    for route in ("tender_questions", "tender_audit", "tender"):
        page = visit(route, tender.number, by=buyer).content.decode()
        assert supplier.short_name not in page
        assert asker.person.full_name not in page
    assert "Asked by you" in visit("tender_questions", tender.number, by=asker).content.decode()


def test_a_refused_question_keeps_what_was_typed(visit, freeze):
    tender = published_tender()
    freeze(tender.enquiry_ends_at)
    response = visit(
        "tender_questions", tender.number, by=member(accredited_supplier()), data={"question": "May they be green?"}
    )
    assert response.status_code == 422
    assert "The time for questions is over." in text_of(response)


def test_the_buyer_answers_beside_the_question(visit):
    tender = published_tender()
    asked = clarifications.ask(tender.pk, "May the chairs be green?", by=member(accredited_supplier()), at=NOON)
    by = member(tender.buyer)
    data = {f"q{asked.pk}-answer": "Yes, they may."}
    assert visit("tender_answer", tender.number, asked.number, by=by, data=data).status_code == 302
    assert "Yes, they may." in visit("tender_questions", tender.number).content.decode()
    visit("tender_answer", tender.number, asked.number, by=by, data=data | {f"q{asked.pk}-answer": "No."})
    page = text_of(visit("tender_questions", tender.number))
    assert ("Yes, they may." in page, "No." in page) == (True, False)


# The editor


def basics(tender, **given):
    fields = {
        "title": tender.title, "description": tender.description, "currency": "EUR", "time_zone": "Europe/Berlin",
        "revision": tender.revision,
    }  # fmt: skip
    return {f"basics-{name}": value for name, value in (fields | given).items()}


def table_of(lot, rows, revision=1):
    """The form of a lot's table with these rows of cells."""
    data = {"revision": revision, f"items-{lot.pk}-TOTAL_FORMS": len(rows), f"items-{lot.pk}-INITIAL_FORMS": 0}
    for index, row in enumerate(rows):
        data |= {f"items-{lot.pk}-{index}-{name}": value for name, value in row.items()}
    return data


def test_a_draft_is_begun_from_a_title_and_a_kind(visit):
    by = member(accredited_buyer())
    page = visit("tender_new", by=by)
    assert "rfq_open" not in text_of(page)
    response = visit("tender_new", by=by, data={"title": "Desks", "procedure": "rfq_open"})
    assert response.url == reverse("tender_edit", args=[Tender.objects.get().number])
    assert visit("tender_new", by=by, data={"title": "Desks"}).status_code == 200
    assert visit("tender_new", by=member(accredited_supplier())).status_code == 403


def test_a_section_saves_with_and_without_a_script(visit):
    tender = draft_tender()
    by = member(tender.buyer)
    saved = visit("tender_save_basics", tender.number, by=by, data=basics(tender, title="Desks"), htmx=True)
    assert "Saved 12:00 UTC" in text_of(saved)
    assert 'id="id_basics-revision"' in saved.content.decode()
    tender.refresh_from_db()
    assert (tender.title, tender.revision) == ("Desks", 2)
    response = visit("tender_save_basics", tender.number, by=by, data=basics(tender, title="Lamps"))
    assert response.url == reverse("tender_edit", args=[tender.number]) + "#basics"


def test_a_refused_section_keeps_the_input_and_says_why(visit):
    tender = draft_tender()
    by = member(tender.buyer)
    data = basics(tender, title="", description="A long text that nobody wants to type again.")
    page = visit("tender_save_basics", tender.number, by=by, data=data)
    assert page.status_code == 422
    assert "A long text that nobody wants to type again." in page.content.decode()
    note = visit("tender_save_basics", tender.number, by=by, data=data, htmx=True)
    assert "Not saved yet: Title: This field is required." in text_of(note)


def test_a_stale_section_keeps_the_input_and_says_what_changed(visit):
    tender = draft_tender()
    anna, boris = member(tender.buyer), member(tender.buyer)
    visit("tender_save_basics", tender.number, by=anna, data=basics(tender, title="Desks"))
    page = visit("tender_save_basics", tender.number, by=boris, data=basics(tender, title="Lamps"))
    assert page.status_code == 422
    assert "Lamps" in page.content.decode()
    assert f"{anna.person.full_name}: Title:" in text_of(page)
    tender.refresh_from_db()
    assert tender.title == "Desks"


def test_the_timetable_is_counted_or_fixed(visit):
    tender = draft_tender(enquiry_ends_at=None, tender_ends_at=None)
    by = member(tender.buyer)
    fixed = {
        "timetable-mode": "fixed",
        "timetable-enquiry_ends_at": "2026-03-10T12:00",
        "timetable-tender_ends_at": "2026-03-12T12:00",
        "timetable-revision": 1,
    }
    assert visit("tender_save_timetable", tender.number, by=by, data=fixed).status_code == 302
    tender.refresh_from_db()
    assert tender.tender_ends_at.isoformat() == "2026-03-12T11:00:00+00:00"
    counted = {
        "timetable-mode": "counted",
        "timetable-enquiry_period_days": 4,
        "timetable-tender_period_days": 8,
        "timetable-revision": tender.revision,
    }
    assert visit("tender_save_timetable", tender.number, by=by, data=counted).status_code == 302
    tender.refresh_from_db()
    assert (tender.tender_ends_at, tender.settings["tender_period_days"]) == (None, 8)


def test_the_rules_are_saved_within_their_bounds(visit):
    tender = draft_tender(procedure="auction_english_reverse")
    by = member(tender.buyer)
    form = visit("tender_edit", tender.number, by=by).context["terms"]
    data = {f"terms-{name}": value for name, value in form.initial.items() if value not in (None, False)}
    changed = {"terms-auction_duration_minutes": 45, "terms-reference": "own"}
    good = visit("tender_save_terms", tender.number, by=by, data=data | changed)
    assert good.status_code == 302
    said = text_of(visit("tender_audit", tender.number, by=by))
    assert ("45 minutes" in said, "the bidder’s own last bid" in said) == (True, True)
    tender.refresh_from_db()
    assert tender.terms.auction.duration_minutes == 45
    bad = data | {"terms-auction_duration_minutes": 481, "terms-revision": tender.revision}
    page = visit("tender_save_terms", tender.number, by=by, data=bad)
    assert "The auction lasts : At most 480 minutes." in text_of(page)


def test_every_kind_of_auction_is_set_in_its_own_words_and_bounds(visit):
    by = member(accredited_buyer())
    kinds = [one for one in procedures.catalogue() if one.family is Family.AUCTION]
    assert len(kinds) == 7
    for kind in kinds:
        visit("tender_new", by=by, data={"title": "Desks", "procedure": kind.code})
        tender = Tender.objects.get(procedure=kind.code)
        page = visit("tender_edit", tender.number, by=by)
        form, shown = page.context["terms"], html.unescape(text_of(page))
        said = [field.label for field in form.of_bids() + form.of_auction()]
        assert (len(said), [label for label in said if label not in shown]) == (len(form.offered), [])
        data = {f"terms-{name}": value for name, value in form.initial.items() if value not in (None, False)}
        assert visit("tender_save_terms", tender.number, by=by, data=data).status_code == 302
        tender.refresh_from_db()
        bounded = [one for one in form.offered if one.kind == "integer"]
        beyond = {f"terms-{one.name}": one.maximum + 1 for one in bounded} | {"terms-revision": tender.revision}
        page = visit("tender_save_terms", tender.number, by=by, data=data | beyond)
        said = html.unescape(text_of(page))
        assert [one.label for one in bounded if f"{one.label} : At most {one.maximum:,}" not in said] == []


def test_the_table_of_items_is_saved_reordered_and_shortened(visit):
    tender = draft_tender(items=2)
    lot, by = tender.lots.get(), member(tender.buyer)
    one, two = lot.items.all()
    category = HeadingFactory.create(name="Lamps")
    data = table_of(
        lot,
        [
            {
                "item": one.pk,
                "description": "Chair",
                "category": str(one.category),
                "quantity": "5",
                "unit": "H87",
                "ORDER": 2,
            },
            {
                "item": two.pk,
                "description": "Gone",
                "category": str(two.category),
                "quantity": "1",
                "unit": "H87",
                "DELETE": "on",
            },
            {"description": "Lamp", "category": category.code, "quantity": "1 250,5", "unit": "KGM", "ORDER": 1},
            {"description": "", "category": "", "quantity": "", "unit": "H87"},
        ],
    )
    assert visit("tender_save_items", tender.number, lot.pk, by=by, data=data).status_code == 302
    assert list(lot.items.values_list("number", "description", "quantity", "category__name")) == [
        (1, "Lamp", Decimal("1250.5"), "Lamps"),
        (2, "Chair", Decimal(5), one.category.name),
    ]


def test_a_wrong_cell_is_marked_and_the_table_is_kept(visit):
    tender = draft_tender()
    lot, by = tender.lots.get(), member(tender.buyer)
    rows = [{"description": "Lamp", "category": "no such", "quantity": "many", "unit": "H87"}]
    page = visit("tender_save_items", tender.number, lot.pk, by=by, data=table_of(lot, rows))
    assert page.status_code == 422
    assert "Choose a category from the list." in text_of(page)
    assert 'value="many"' in page.content.decode()
    assert lot.items.count() == 2


def test_rows_are_pasted_and_uploaded_behind_those_there_are(visit):
    tender = draft_tender(items=1)
    lot, by = tender.lots.get(), member(tender.buyer)
    category = HeadingFactory.create(code="39112000", name="Chairs")
    pasted = f"Description\tCategory\tQuantity\tUnit\nStool\t{category.code}\t4\tpcs\nBench\tChairs\t2,5\tm"
    data = {f"import-{lot.pk}-pasted": pasted}
    assert visit("tender_import_items", tender.number, lot.pk, by=by, data=data).status_code == 302
    assert list(lot.items.values_list("description", "quantity", "unit"))[1:] == [
        ("Stool", Decimal(4), "H87"),
        ("Bench", Decimal("2.5"), "MTR"),
    ]
    table = SimpleUploadedFile("rows.csv", b"Sofa;Chairs;1;each;2026-04-01;2026-04-30\n")
    assert (
        visit("tender_import_items", tender.number, lot.pk, by=by, data={f"import-{lot.pk}-table": table}).status_code
        == 302
    )
    assert lot.items.count() == 4


def test_pasted_rows_with_a_wrong_cell_are_shown_to_be_mended(visit):
    tender = draft_tender(items=1)
    lot, by = tender.lots.get(), member(tender.buyer)
    page = visit(
        "tender_import_items", tender.number, lot.pk, by=by, data={f"import-{lot.pk}-pasted": "Stool\t?\t4\tpcs"}
    )
    assert page.status_code == 422
    assert 'value="Stool"' in page.content.decode()
    assert lot.items.count() == 1


def test_what_is_no_table_is_refused():
    with pytest.raises(TableUnreadable):
        decoded(b"PK\x03\x04\x00\x00")
    with pytest.raises(TableTooLong):
        cells_of("a\t1\n" * 501)


def test_lots_are_added_moved_and_removed_on_the_page(visit):
    tender = draft_tender()
    by = member(tender.buyer)
    visit("tender_add_lot", tender.number, by=by, data={})
    first, second = tender.lots.all()
    visit("tender_move_lot", tender.number, second.pk, by=by, data={})
    assert list(tender.lots.all()) == [second, first]
    visit("tender_remove_lot", tender.number, second.pk, by=by, data={})
    visit("tender_remove_lot", tender.number, first.pk, by=by, data={})
    assert list(tender.lots.all()) == [first]
    lot = {"title": "Seats", "limit_price": "1,000.50", "vat_rate": "19", "delivery_place": "Rostock", "revision": 9}
    data = {f"lot-{first.pk}-{name}": value for name, value in lot.items()}
    assert visit("tender_save_lot", tender.number, first.pk, by=by, data=data).status_code == 302
    first.refresh_from_db()
    assert (first.title, first.limit_price) == ("Seats", Decimal("1000.50"))


def test_a_document_of_a_forbidden_type_is_refused_on_the_page(visit):
    tender = draft_tender()
    by = member(tender.buyer)
    bad = {"document-upload": SimpleUploadedFile("a.exe", b"MZ")}
    assert visit("tender_add_document", tender.number, by=by, data=bad).status_code == 422
    good = {"document-upload": SimpleUploadedFile("a.txt", b"Chairs.")}
    assert visit("tender_add_document", tender.number, by=by, data=good).status_code == 302
    document = tender.documents.get()
    visit("tender_remove_document", tender.number, document.pk, by=by, data={})
    assert not tender.documents.exists()


def test_the_review_lists_what_is_missing_with_links_and_offers_no_button(visit):
    tender = draft_tender(items=0)
    lot = tender.lots.get()
    page = visit("tender_review", tender.number, by=member(tender.buyer)).content.decode()
    assert f"{reverse('tender_edit', args=[tender.number])}#items-{lot.pk}" in page
    assert 'aria-disabled="true"' in page


def test_publishing_on_the_page_and_clicking_twice(visit):
    tender = draft_tender()
    by = member(tender.buyer)
    assert "Publish this procedure?" in text_of(visit("tender_publish", tender.number, by=by))
    for _click in range(2):
        assert visit("tender_publish", tender.number, by=by, data={}).url == tender.get_absolute_url()
    tender.refresh_from_db()
    assert tender.status == "published"


AUCTIONS = [one for one in procedures.catalogue() if one.family is Family.AUCTION]


@pytest.mark.parametrize("kind", AUCTIONS, ids=lambda kind: kind.code)
def test_every_kind_of_auction_is_set_and_published_on_its_pages(visit, kind):
    tender = draft_tender(procedure=kind.code)
    by, lot = member(tender.buyer), tender.lots.get()
    terms = visit("tender_edit", tender.number, by=by).context["terms"]
    data = {f"terms-{name}": value for name, value in terms.initial.items() if value not in (None, False)}
    assert visit("tender_save_terms", tender.number, by=by, data=data).status_code == 302
    typed = {"title": "Desks", "vat_rate": "19", "limit_price": "1000", "clock_price": "500"}
    typed |= {"step_kind": "amount", "step_value": "10", "revision": 1}
    data = {f"lot-{lot.pk}-{name}": value for name, value in typed.items()}
    assert visit("tender_save_lot", tender.number, lot.pk, by=by, data=data).status_code == 302
    visit("tender_publish", tender.number, by=by, data={})
    tender.refresh_from_db()
    assert tender.status == "published", text_of(visit("tender_review", tender.number, by=by))
    assert str(kind.name) in html.unescape(text_of(visit("tender", tender.number)))


def test_an_incomplete_draft_is_led_back_to_the_review(visit):
    tender = draft_tender(items=0)
    response = visit("tender_publish", tender.number, by=member(tender.buyer), data={})
    assert response.url == reverse("tender_review", args=[tender.number])


def test_a_procedure_is_copied_and_a_draft_thrown_away(visit):
    tender = published_tender()
    by = member(tender.buyer)
    copied = visit("tender_copy", tender.number, by=by, data={})
    draft = Tender.objects.get(status="draft")
    assert copied.url == reverse("tender_edit", args=[draft.number])
    assert visit("tender_delete", draft.number, by=by, data={}).url == reverse("my_tenders")
    assert not Tender.objects.filter(status="draft").exists()


# Amending and cancelling


def amend_form(page, **given):
    """What the amendment's form would send, with some of it changed."""
    form = page.context["form"]
    data = {name: form[name].value() for name in form.fields}
    data |= {bound.html_name: bound.value() for bound in page.context["criteria"]}
    for section in page.context["sections"]:
        for part in (section.form, section.table.management_form, *section.table.forms):
            data |= {bound.html_name: bound.value() for bound in part}
    return {name: value for name, value in (data | given).items() if value not in (None, False)}


def test_an_amendment_is_prepared_from_what_differs(visit):
    trust()
    tender = published_tender()
    by = member(tender.buyer)
    page = visit("tender_amend", tender.number, by=by)
    data = amend_form(page, reason="Suppliers asked for it.", description="Green chairs will do.")
    response = visit("tender_amend", tender.number, by=by, data=data)
    assert response.status_code == 302
    signing = visit("tender_amend_sign", tender.number, response.url.rstrip("/").split("/")[-1], by=by)
    assert "Green chairs will do." in text_of(signing)
    assert "stay valid" in text_of(signing)


def test_an_amendment_of_a_lot_is_said_to_matter(visit):
    trust()
    tender = published_tender()
    by, lot = member(tender.buyer), tender.lots.get()
    page = visit("tender_amend", tender.number, by=by)
    data = amend_form(page, **{"reason": "The budget is smaller.", f"lot-{lot.pk}-limit_price": "90,000"})
    response = visit("tender_amend", tender.number, by=by, data=data)
    signing = visit("tender_amend_sign", tender.number, response.url.rstrip("/").split("/")[-1], by=by)
    assert "to be confirmed" in text_of(signing)


def test_an_amendment_without_a_reason_is_shown_again(visit):
    tender = published_tender()
    by = member(tender.buyer)
    page = visit("tender_amend", tender.number, by=by)
    again = visit("tender_amend", tender.number, by=by, data=amend_form(page, title="Desks", reason="so"))
    assert again.status_code == 422
    assert "Say why, in a sentence that every bidder will read." in text_of(again)


def test_a_cancellation_says_what_is_signed(visit):
    trust()
    tender = published_tender(lots=2)
    by = member(tender.buyer)
    lot = tender.lots.first()
    response = visit("tender_cancel", tender.number, by=by, data={"what": lot.pk, "reason": "The budget is gone."})
    nonce = response.url.rstrip("/").split("/")[-1]
    assert "Lot 1: Lot 1" in text_of(visit("tender_cancel_sign", tender.number, nonce, by=by))
    assert visit("tender_cancel_sign", tender.number, nonce, by=member(tender.buyer)).status_code == 404
    assert visit("tender_cancel", tender.number, by=by, data={"what": "", "reason": "no"}).status_code == 422


def test_lot_services_refuse_what_the_page_cannot_send():
    tender = draft_tender()
    rows = [lots.ItemRow("x", 0, Decimal(1), "H87")] * (lots.ITEMS_MAX + 1)
    with pytest.raises(lots.TooMany):
        lots.replace_items(tender.pk, tender.lots.get().pk, rows, revision=1, by=member(tender.buyer), at=NOON)


def test_a_standstill_that_is_over_is_not_called_one(visit, freeze):
    trust()
    tender = published_tender()
    ends = NOON + timedelta(days=20)
    Tender.objects.filter(pk=tender.pk).update(status="standstill", standstill_ends_at=ends)
    buyer = member(tender.buyer)
    freeze(ends - timedelta(seconds=1))
    assert (
        "The contract can be signed after the standstill" in visit("tender", tender.number, by=buyer).content.decode()
    )
    freeze(ends)
    for route in (("tender", tender.number), ("my_tenders",)):
        page = visit(*route, by=buyer).content.decode()
        assert "Contracts being signed" in page
        assert not re.search(r"Standstill\s*</span>", page)
