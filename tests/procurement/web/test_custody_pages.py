"""The pages of committees: what they say, and what they answer to whoever sends something else than their scripts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from marketplace.models import Role
from procurement.demo import committee as browser
from procurement.models import KeyCeremony, KeyShare, Tender
from procurement.rules.lifecycle import TenderStatus
from procurement.services import bid_drafts, opening
from procurement.services.custody import as_base64
from tests.factories import bidder_program as program
from tests.factories.bids import LATER, bidder
from tests.factories.committee import Committee, held_draft, held_tender, holder
from tests.factories.marketplace import NOON, member
from tests.factories.procurement import draft_tender
from tests.factories.signatures import trust

pytestmark = pytest.mark.django_db


@pytest.fixture
def log_in(client: Client, freeze: Any) -> Any:
    def log_in(actor: Any) -> Client:
        freeze(LATER)
        client.force_login(actor.person, backend="allauth.account.auth_backends.AuthenticationBackend")
        return client

    return log_in


def waiting(**fields: Any) -> Committee:
    trust()
    held = held_tender(**fields)
    lot, by = held.tender.lots.get(), bidder()
    bid = lot.bids.model.objects.select_related("lot__tender").get(pk=bid_drafts.start(lot.pk, by=by, at=NOON).pk)
    content = program.content_of(bid, ["20", "30"], ["200.00", "300.00"], "500.00")
    program.send(bid, program.sealed_content(bid, content), by=by)
    held.tender = opening.open_tender(held.tender.pk, LATER)
    return held


def url(held: Committee, what: str = "") -> str:
    return f"/procedures/{held.tender.number}/shares/{what}"


def test_choosing_a_committee_without_scripts_leads_to_its_ceremony(log_in: Any) -> None:
    tender = draft_tender()
    people = [holder(tender.buyer).actor.person for _ in range(3)]
    client = log_in(member(tender.buyer))

    answer = client.post(
        f"/procedures/{tender.number}/custody/",
        {"custody": "committee", "members": [one.pk for one in people], "threshold": "2", "escrow": "on"},
    )

    assert answer.headers["Location"] == f"/procedures/{tender.number}/custody/keys/"
    planned = KeyCeremony.objects.get()
    assert (planned.threshold, planned.with_escrow, planned.shares.count()) == (2, True, 4)
    page = client.get(answer.headers["Location"]).content.decode()
    assert "2 shares may be lost. With 3 lost nobody can ever open the bids" in page
    assert "The platform, in escrow" in page


@pytest.mark.parametrize(
    ("members", "threshold"), [([], "2"), ([0], "2"), ([0, 1], "3"), ([0, 1], "99"), ([0, 1], "x")]
)
def test_a_committee_that_cannot_be_is_refused_beside_its_fields(
    log_in: Any, members: list[int], threshold: str
) -> None:
    tender = draft_tender()
    people = [holder(tender.buyer).actor.person.pk for _ in range(2)]
    client = log_in(member(tender.buyer))

    answer = client.post(
        f"/procedures/{tender.number}/custody/",
        {"custody": "committee", "members": [people[one] for one in members], "threshold": threshold},
    )

    assert answer.status_code == 422
    assert not KeyCeremony.objects.exists()


@pytest.mark.parametrize(
    "made",
    ["", "{", "[]", "null", '{"lot_keys": {}, "shares": []}', '{"lot_keys": {"x": "y"}, "shares": []}',
     '{"lot_keys": [], "shares": {}}', "[" * 100_000],
)  # fmt: skip
def test_a_ceremony_that_did_not_arrive_whole_is_refused(log_in: Any, made: str) -> None:
    tender = draft_tender()
    people = [holder(tender.buyer).actor.person.pk for _ in range(2)]
    client = log_in(member(tender.buyer))
    client.post(f"/procedures/{tender.number}/custody/", {"custody": "committee", "members": people, "threshold": "2"})

    answer = client.post(
        f"/procedures/{tender.number}/custody/keys/", {"ceremony": KeyCeremony.objects.get().pk, "made": made}
    )

    assert answer.status_code in (409, 422)
    assert KeyCeremony.objects.get().made_at is None


def test_the_review_says_who_has_not_tried_and_what_a_loss_means(log_in: Any) -> None:
    held = held_draft()
    browser.confirm(held.tender, held.holders[0], NOON)

    page = log_in(held.officer).get(f"/procedures/{held.tender.number}/review/").content.decode()

    assert "any 2 of 3 shares open" in page
    assert page.count("not tried yet") == 2
    assert "1 share may be lost. With 2 lost nobody can ever open the bids" in page


def test_a_member_sees_the_form_and_another_colleague_does_not(log_in: Any) -> None:
    held = waiting()

    assert "Release my share" in log_in(held.holders[0].actor).get(url(held)).content.decode()
    page = log_in(held.officer).get(url(held)).content.decode()
    assert "Release my share" not in page
    assert "0 of the 2 shares that are needed are released." in page
    assert "Remind now" in page


def test_release_and_key_over_the_pages_script(log_in: Any) -> None:
    held = waiting()
    first, second, _third = held.holders
    browser.release(held.tender, first, LATER)
    sealed = {place: as_base64(one) for place, one in browser.releases(held.tender, second).items()}
    client = log_in(second.actor)

    answer = client.post(url(held, "release/"), json.dumps({"releases": sealed}), content_type="application/json")

    assert answer.status_code == 200
    state = answer.json()
    assert (state["threshold"], state["complete"], state["own"]["index"]) == (2, False, 2)
    assert {other["index"]: bool(other["released"]) for other in state["others"]} == {1: True, 3: False}
    seed = browser.put_together(held.tender, second)
    wrong = client.post(url(held, "key/"), json.dumps({"seed": as_base64(bytes(32))}), content_type="application/json")
    assert (wrong.status_code, wrong.json()["code"]) == (422, "wrong_key")
    right = client.post(url(held, "key/"), json.dumps({"seed": as_base64(seed)}), content_type="application/json")
    assert right.json() == {"complete": True}
    assert "the bids are being opened" in client.get(url(held)).content.decode()
    assert Tender.objects.get().status == TenderStatus.OPENING


@pytest.mark.parametrize(
    "body", ["", "{", "[]", "null", '{"releases": 1}', '{"releases": {"x": "y"}}', '{"releases": {"2": 5}}',
             '{"releases": {"2": "AAAA", "3": "AAAA"}}', "x" * 200_000, "[" * 50_000],
)  # fmt: skip
def test_what_is_no_release_is_refused_in_words(log_in: Any, body: str) -> None:
    held = waiting()

    answer = log_in(held.holders[0].actor).post(url(held, "release/"), body, content_type="application/json")

    assert (answer.status_code, answer.json()["code"]) == (422, "release_refused")
    assert not KeyShare.objects.filter(released_at__isnull=False).exists()


def test_who_holds_no_share_is_told_so(log_in: Any) -> None:
    held = waiting()
    client = log_in(held.officer)

    for what in ("release/", "key/", "wrong/"):
        answer = client.post(url(held, what), "{}", content_type="application/json")
        assert (answer.status_code, answer.json()["code"]) == (403, "no_key_share")


def test_escrow_and_giving_up_ask_for_a_reason(log_in: Any) -> None:
    held = waiting(escrow=True)
    client = log_in(held.officer)

    assert client.post(url(held, "escrow/"), {"reason": "lost"}).status_code == 422
    assert client.post(url(held, "escrow/"), {"reason": "Two members have left us."}).status_code == 302
    assert "Two members have left us." in client.get(url(held)).content.decode()
    too_soon = client.post(url(held, "give-up/"), {"reason": "Nobody remembers anything."})
    assert too_soon.status_code == 422
    assert "Give the members at least a day" in too_soon.content.decode()


def test_the_first_page_says_what_waits(log_in: Any) -> None:
    held = waiting()
    browser.release(held.tender, held.holders[1], LATER)

    assert "An opening waits for your share of the key" in log_in(held.holders[0].actor).get("/").content.decode()
    assert "An opening waits for" not in log_in(held.holders[1].actor).get("/").content.decode()
    assert "Bids wait for the committee: 1 of 2 shares are released" in log_in(held.officer).get("/").content.decode()


@pytest.mark.parametrize("members", [2, 5])
def test_the_page_of_shares_asks_as_much_for_many_as_for_few(
    log_in: Any, members: int, django_assert_max_num_queries: Any
) -> None:
    held = held_draft(members=members)
    client = log_in(member(held.tender.buyer, Role.OBSERVER))
    client.get(url(held))

    with django_assert_max_num_queries(26):
        client.get(url(held))
