"""Procedures over the API: public fields only, by keyset, refusals as problem documents."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from procurement.services import clarifications, documents, publishing
from tests.factories.marketplace import NOON, accredited_supplier, member
from tests.factories.procurement import draft_tender, published_tender

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _clock(freeze):
    freeze(NOON + timedelta(days=1))


def numbers(response):
    return [row["number"] for row in response.json()["results"]]


def test_the_list_holds_what_is_open_by_deadline_without_logging_in(client):
    late, soon = published_tender(), published_tender(tender_ends_at=NOON + timedelta(days=6))
    published_tender(status="complete")
    draft_tender()
    response = client.get("/api/v1/tenders/")
    assert numbers(response) == [soon.number, late.number]
    assert response.json()["next"] is None
    row = response.json()["results"][0]
    assert (row["family"], row["buyer"]["name"]) == ("request_for_quotations", soon.buyer.short_name)
    assert row["tender_ends_at"] == "2026-03-08T12:00:00Z"


def test_the_list_goes_on_by_its_cursor(client, monkeypatch):
    monkeypatch.setattr("marketplace.api.pagination.KeysetPagination.size", 2)
    expected = [published_tender(tender_ends_at=NOON + timedelta(days=5)).number for _ in range(3)]
    first = client.get("/api/v1/tenders/")
    second = client.get(first.json()["next"])
    assert numbers(first) + numbers(second) == expected
    assert second.json()["next"] is None


@pytest.mark.parametrize(
    "query", [{"q": "office"}, {"family": "auction"}, {"country": "de"}, {"currency": "eur"}, {"standing": "all"}]
)
def test_filters_and_sort_are_taken(client, query):
    published_tender(procedure="auction_english_reverse", title="Office lamps")
    assert len(numbers(client.get("/api/v1/tenders/", query | {"sort": "-published", "within_days": "30"}))) == 1


@pytest.mark.parametrize("query", [{"standing": "odd"}, {"family": "odd"}, {"sort": "price"}, {"within_days": "-1"}])
def test_an_unknown_value_of_a_filter_is_refused(client, query):
    response = client.get("/api/v1/tenders/", query)
    assert response.status_code == 400
    assert response["Content-Type"] == "application/problem+json"
    assert (response.json()["code"], response.json()["field"]) == ("filter_refused", *query)


def test_a_procedure_holds_lots_items_documents_and_answered_questions(client):
    tender = draft_tender(tender_ends_at=NOON + timedelta(days=10))
    by = member(tender.buyer)
    documents.add(tender.pk, SimpleUploadedFile("a.txt", b"Chairs."), by=by, at=NOON)
    publishing.publish(tender.pk, by=by, at=NOON)
    supplier = accredited_supplier()
    first, _second = [
        clarifications.ask(tender.pk, f"May the chairs be {colour}?", by=member(supplier), at=NOON)
        for colour in ("green", "blue")
    ]
    clarifications.answer(first.pk, "Yes.", by=by, at=NOON)
    body = client.get(f"/api/v1/tenders/{tender.number}/").json()
    assert [lot["limit_price"] for lot in body["lots"]] == ["100000.00"]
    assert [item["quantity"] for item in body["lots"][0]["items"]] == ["10.0000", "10.0000"]
    assert [document["name"] for document in body["documents"]] == ["a.txt"]
    assert [(row["question"], row["answer"]) for row in body["questions"]] == [("May the chairs be green?", "Yes.")]
    text = str(body)
    assert supplier.short_name not in text
    assert "key" not in text.lower().replace("api_key", "")


def test_lots_are_read_alone_and_a_hidden_limit_price_is_not_told(client):
    tender = published_tender(lots=2, settings={"limit_price_shown": False})
    tender.lots.update(limit_price=Decimal("77777"))
    body = client.get(f"/api/v1/tenders/{tender.number}/lots/").json()
    assert [lot["number"] for lot in body] == [1, 2]
    lot = client.get(f"/api/v1/lots/{body[0]['id']}/")
    assert (lot.json()["limit_price"], "77777" in lot.content.decode()) == (None, False)


def test_a_draft_is_not_told_to_exist(client):
    tender = draft_tender()
    lot = tender.lots.get()
    for path in (f"tenders/{tender.number}/", f"tenders/{tender.number}/lots/", f"lots/{lot.pk}/", "lots/0/"):
        response = client.get(f"/api/v1/{path}")
        assert (response.status_code, response.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize("route", ["tenders/", "tenders/{number}/", "tenders/{number}/lots/"])
def test_three_rows_take_the_queries_of_one(client, django_assert_max_num_queries, route):
    def queries(tender):
        with django_assert_max_num_queries(12) as counted:
            assert client.get(f"/api/v1/{route.format(number=tender.number)}").status_code == 200
        return len(counted)

    one = queries(published_tender(items=1))
    published_tender()
    assert queries(published_tender(lots=3, items=3)) == one


def test_the_schema_names_the_operations(client):
    schema = client.get("/api/v1/schema/?format=json").json()
    assert {"/api/v1/tenders/", "/api/v1/tenders/{number}/", "/api/v1/lots/{lot_id}/"} <= set(schema["paths"])
    answer = schema["paths"]["/api/v1/bids/"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert answer == {"$ref": "#/components/schemas/PaginatedBidOutList"}
