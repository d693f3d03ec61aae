"""What people try who mean harm: fields not theirs, old forms, strange numbers, stolen sessions, false addresses."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.core.cache import cache
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.test import Client, override_settings
from django.urls import reverse

from marketplace.models import ApiToken, Membership, Organisation, Person, Plan
from marketplace.services import invitations, tokens
from procurement.models import Bid, BidEnvelope, KeyCeremony, Tender
from procurement.services import bid_drafts
from tests.access.asking import clients_fixture, world_fixture  # noqa: F401  (fixtures)
from tests.access.world import NOW, PDF, World
from tests.factories.committee import holder_of
from tests.factories.marketplace import PASSWORD, member

HARD_AMOUNTS = [
    "-1",
    "0",
    "1e400",
    "NaN",
    "Infinity",
    "-0",
    "9" * 60,
    "0.00001",
    "1,2,3",
    "½",
    "５²",
    "\u202e12",
    "0x10",
]
LONG = "x" * (5 * 1024 * 1024 - 1000)


@pytest.fixture(autouse=True)
def _undone(world: World) -> Any:
    """Nothing that a test does stays."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


# Fields that are not theirs ---------------------------------------------------------------------------------------


def test_nobody_makes_themselves_staff_or_another(world: World) -> None:
    person = world.people["supplier_observer"].person
    assert person is not None
    page = world.client("supplier_observer")
    sent = {
        "full_name": "A New Name", "time_zone": "UTC", "staff_roles": "operator", "is_active": "on", "is_staff": "on",
        "email": "operator@example.com", "password": "x", "pk": "1", "id": "1",
    }  # fmt: skip
    page.post(reverse("person"), sent)
    after = Person.objects.get(pk=person.pk)
    assert (after.staff_roles, after.email, after.password) == ([], person.email, person.password)


def test_nobody_registers_or_accredits_their_company_by_a_field(world: World) -> None:
    client = world.client("person")
    sent = {
        "country": "DE", "full_name": "Mine GmbH", "short_name": "Mine", "legal_form": "GmbH", "is_supplier": "on",
        "email": "me@example.com", "id_VAT": "DE136695976", "status": "registered", "registered_at": "2026-01-01",
        "pk": str(world.names["supplier_id"]), "id": str(world.names["supplier_id"]), "version": "1", "revision": "1",
    }  # fmt: skip
    before = Organisation.objects.get(pk=world.names["supplier_id"])
    client.post(reverse("signup_company"), sent)
    after = Organisation.objects.get(pk=world.names["supplier_id"])
    assert (after.full_name, after.version) == (before.full_name, before.version)
    mine = Organisation.objects.filter(memberships__person=world.people["person"].person)
    assert {one.status for one in mine} <= {"draft"}


def test_a_draft_takes_no_field_of_its_life(world: World) -> None:
    client = world.client("buyer")
    tender = Tender.objects.get(number=world.names["draft"])
    sent = {
        "title": "Chairs and tables", "revision": str(tender.revision), "status": "published", "number": "OL-1",
        "buyer": "1", "published_at": "2020-01-01", "version": "99", "currency": "EUR",
    }  # fmt: skip
    client.post(reverse("tender_save_basics", args=[tender.number]), sent)
    after = Tender.objects.get(pk=tender.pk)
    assert (after.status, after.number, after.buyer_id, after.published_at) == (
        "draft", tender.number, tender.buyer_id, None,
    )  # fmt: skip


def test_prices_of_items_of_another_lot_are_not_kept(world: World) -> None:
    bid = Bid.objects.get(pk=world.names["bid_draft"])
    own = set(bid.lot.items.values_list("pk", flat=True))
    sent = {f"price_{world.names['draft_item']}": "1.00", f"price_{'9' * 30}": "1", f"price_{'9' * 5000}": "1"}
    world.client("supplier").post(reverse("bid_edit", args=[bid.pk]), sent | {"revision": bid.revision, "remarks": ""})
    bid.refresh_from_db()
    assert set(bid_drafts.read_draft(bid, by=world.people["supplier"]).prices) <= own


# Numbers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("amount", HARD_AMOUNTS)
def test_a_strange_price_is_no_price(world: World, amount: str) -> None:
    bid = Bid.objects.get(pk=world.names["bid_draft"])
    first, *_others = bid.lot.items.values_list("pk", flat=True)
    sent = {f"price_{first}": amount, "remarks": "", "revision": bid.revision, "then": "review"}
    response = world.client("supplier").post(reverse("bid_edit", args=[bid.pk]), sent)
    assert response.status_code == 422
    assert not BidEnvelope.objects.filter(bid=bid).exists()


@pytest.mark.parametrize("amount", [*HARD_AMOUNTS, "9" * 24])
def test_a_strange_amount_of_a_plan_is_said_beside_its_field(world: World, amount: str) -> None:
    sent = {
        "code": "odd", "side": "supplier", "name": "Odd", "price": amount, "currency": "EUR", "vat_rate": "19",
        "period_days": "365", "rank": "1", "active": "on", "max_lot_value": amount,
    }  # fmt: skip
    response = world.client("tariff_manager").post(reverse("plan_new"), sent)
    assert response.status_code == 200
    assert not Plan.objects.filter(code="odd").exists()


@pytest.mark.parametrize("number", ["²", "٣", "-1", "1e3", "9" * 20, "9" * 5000, "Infinity"])
def test_a_strange_number_in_a_field_of_ours_is_no_crash(world: World, number: str) -> None:
    buyer, draft, held = world.client("buyer"), world.names["draft"], world.names["held"]
    pages = {
        reverse("tender_custody_invite", args=[draft]): {"person": number},
        reverse("tender_custody", args=[draft]): {"custody": "committee", "members": [number], "threshold": number},
        reverse("tender_save_items", args=[draft, world.names["draft_lot"]]): {"revision": number},
        reverse("organisation_places"): {"revision": number},
    }
    said = [buyer.post(url, sent).status_code for url, sent in pages.items()]
    operator = world.client("operator").post(reverse("staff_roles"), {"do": "confirm", "proposal": number})
    assert [status for status in (*said, operator.status_code) if status >= 500] == []
    program = world.client("supplier").patch(
        reverse("api_bid", args=[world.names["bid_draft"]]),
        json.dumps({"revision": 1, "prices": {number: "1"}}),
        content_type="application/json",
    )
    assert 400 <= program.status_code < 500
    for name in ("share_wrong", "share_release", "shares_key"):
        for body in (
            {"wrong": [float("inf"), 1e400, number, None, True, {}], "releases": {number: "AA=="}, "seed": number},
            {"wrong": float("nan"), "releases": [number], "seed": [float("inf")]},
        ):
            answer = buyer.post(reverse(name, args=[held]), json.dumps(body), content_type="application/json")
            assert answer.status_code < 500


@pytest.mark.parametrize("moment", ["0001-01-01T00:00", "9999-12-31T23:59", "2026-W10-1", "2026-12-01T10:00+99:00"])
def test_a_moment_at_the_end_of_the_calendar_is_said_beside_its_field(world: World, moment: str) -> None:
    page = world.client("buyer").post(
        reverse("tender_amend", args=[world.names["open"]]),
        {"tender_ends_at": moment, "reason": "More time is needed."},
    )
    assert page.status_code == 422


@pytest.mark.parametrize("index", [float("inf"), float("nan"), 1.5, True, "²", "9" * 5000, None])
def test_a_strange_place_of_a_share_is_no_crash(world: World, index: object) -> None:
    buyer, draft = world.client("buyer"), world.names["draft"]
    made = {"lot_keys": {str(index): "AA=="}, "shares": [{"index": index, "sealed": "AA==", "commitment": "0" * 64}]}
    officers = [holder_of(world.people["buyer"]), holder_of(member(world.people["buyer"].organisation))]
    people = [one.actor.person.pk for one in officers if one.actor.person]
    buyer.post(reverse("tender_custody", args=[draft]), {"custody": "committee", "members": people, "threshold": "2"})
    ceremony = KeyCeremony.objects.latest("pk")

    answer = buyer.post(reverse("tender_ceremony", args=[draft]), {"ceremony": ceremony.pk, "made": json.dumps(made)})

    assert answer.status_code == 422
    assert not KeyCeremony.objects.filter(pk=ceremony.pk, made_at__isnull=False).exists()


@pytest.mark.parametrize("days", ["0", "-1", "2147483648", "9" * 30])
def test_a_plan_lasts_a_time_that_a_calendar_has(world: World, days: str) -> None:
    sent = {
        "code": "odd", "side": "supplier", "name": "Odd", "price": "1", "currency": "EUR", "vat_rate": "19",
        "period_days": days, "rank": "1", "active": "on",
    }  # fmt: skip
    world.client("tariff_manager").post(reverse("plan_new"), sent)
    assert not Plan.objects.filter(code="odd").exists()


# Old forms, long texts, strange characters ------------------------------------------------------------------------


def test_an_old_form_of_a_bid_says_what_changed_and_changes_nothing(world: World) -> None:
    bid = Bid.objects.get(pk=world.names["bid_draft"])
    item = bid.lot.items.values_list("pk", flat=True)[0]
    old = {f"price_{item}": "77.00", "remarks": "", "revision": bid.revision - 1}
    response = world.client("supplier").post(reverse("bid_edit", args=[bid.pk]), old)
    assert response.status_code == 409
    assert "77.00" in response.content.decode()  # what was typed is kept on the page
    assert bid_drafts.read_draft(bid, by=world.people["supplier"]).prices[item] == "11.00"


def test_a_signature_sent_again_sends_nothing_again(world: World) -> None:
    url = reverse("bid_sign", args=[world.names["bid_draft"], world.names["sending"]])
    client = world.client("supplier")
    for signature in ("", "MAA=", "!", "A" * 400_000):
        response = client.post(url, {"signature": signature})
        assert response.status_code == 422
    assert not BidEnvelope.objects.filter(bid=world.names["bid_draft"]).exists()


@pytest.mark.parametrize(
    "text", [LONG, "\x00", "\u202eevil", "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"), "\x1b[2J"]
)
def test_long_and_strange_texts_are_taken_or_refused_and_never_a_crash(world: World, text: str) -> None:
    bid = Bid.objects.get(pk=world.names["bid_draft"])
    asked = [
        ("supplier", reverse("bid_edit", args=[bid.pk]), {"remarks": text, "revision": bid.revision}),
        ("supplier", reverse("tender_questions", args=[world.names["open"]]), {"question": text}),
        ("supplier", reverse("organisation_tokens"), {"name": text, "days": "30"}),
        ("supplier", reverse("person"), {"full_name": text, "time_zone": "UTC"}),
        ("person", reverse("signup_keep", args=["company"]), {"full_name": text}),
        ("buyer", reverse("tender_new"), {"title": text, "procedure": "rfq_open"}),
        ("buyer", reverse("contract_edit", args=[world.names["contract"]]), {"text": text, "version": "1"}),
        ("supplier_admin", reverse("organisation_people"), {"email": text, "roles": "observer"}),
        (
            "operator",
            reverse("accreditation_decide", args=[world.names["waiting_accreditation"]]),
            {"return-reasons": text, "do": "return"},
        ),
    ]  # fmt: skip
    answers = {}
    for role, url, sent in asked:
        with transaction.atomic():
            answers[url] = world.client(role, raise_request_exception=False).post(url, sent).status_code
            transaction.set_rollback(True)
    assert {url: status for url, status in answers.items() if status >= 500} == {}


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../etc/passwd.pdf", "passwd.pdf"),
        ("..\\..\\boot.pdf", "boot.pdf"),
        ("offer\u202efdp.exe", None),
        ("offer.pdf.exe", None),
        ("offer.pdf\x00.exe", None),
        ("<img src=x onerror=alert(1)>.pdf", "<img src=x onerror=alert(1)>.pdf"),
    ],
)
def test_a_file_is_stored_under_our_own_name(world: World, name: str, kept: str | None) -> None:
    bid = Bid.objects.get(pk=world.names["bid_draft"])
    before = set(bid.files.values_list("pk", flat=True))
    upload = SimpleUploadedFile("x.pdf", PDF + b"\n% another", content_type="application/pdf")
    upload._name = name  # type: ignore[attr-defined]  # as a client sends it: the class itself drops folders
    world.client("supplier").post(
        reverse("bid_edit", args=[bid.pk]), {"file": upload, "remarks": "", "revision": bid.revision}
    )
    added = bid.files.exclude(pk__in=before).first()
    assert (added is not None) == (kept is not None)
    if added is not None:
        bid.refresh_from_db()
        assert bid_drafts.read_draft(bid, by=world.people["supplier"]).file_names[added.pk] == kept
        assert ".." not in added.sealed_path


# Sessions, log-in, links ------------------------------------------------------------------------------------------


def log_in(client: Client, person: Person, password: str = PASSWORD, **more: str) -> Any:
    return client.post(reverse("account_login"), {"login": person.email, "password": password, **more})


@pytest.mark.parametrize(
    "target",
    ["https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)", "http:evil.example"],
)
def test_a_log_in_leads_to_no_other_site(world: World, target: str) -> None:
    person = world.people["supplier_admin"].person
    assert person is not None
    response = log_in(Client(), person, next=target)
    assert response.status_code == 302
    assert response["Location"] == reverse("home")
    for url, role in ((reverse("switch_organisation"), "supplier"), (reverse("account_logout"), "supplier")):
        sent = {"organisation": world.names["supplier_id"], "next": target}
        assert "evil" not in world.client(role).post(url, sent)["Location"]


def test_the_page_one_wanted_is_kept_through_the_log_in(world: World) -> None:
    response = Client().get("/bids/?state=won&q=a%26next%3D//evil.example")
    assert response["Location"] == "/accounts/login/?next=/bids/%3Fstate%3Dwon%26q%3Da%2526next%253D//evil.example"


def test_a_log_in_changes_the_session_and_its_cookie_is_out_of_scripts_reach(world: World) -> None:
    person = world.people["supplier_admin"].person
    assert person is not None
    client = Client()
    planted = client.session
    planted["x"] = "y"
    planted.save()
    client.cookies["openlot_session"] = str(planted.session_key)
    log_in(client, person)
    cookie = client.cookies["openlot_session"]
    assert cookie.value != planted.session_key
    assert (cookie["httponly"], cookie["samesite"]) == (True, "Lax")


def test_a_changed_password_ends_the_other_sessions(world: World) -> None:
    person = world.people["supplier_admin"].person
    assert person is not None
    stolen, own = world.client("supplier_admin"), world.client("supplier_admin")
    sent = {"oldpassword": PASSWORD, "password1": "a much longer word", "password2": "a much longer word"}
    assert own.post(reverse("account_change_password"), sent).status_code == 302
    assert stolen.get(reverse("my_bids")).status_code == 302
    assert own.get(reverse("my_bids")).status_code == 200


def test_guessing_a_password_is_slowed_down(world: World) -> None:
    person = world.people["supplier_admin"].person
    assert person is not None
    cache.clear()
    with override_settings(ACCOUNT_RATE_LIMITS={"login_failed": "10/5m/ip,5/5m/key"}):
        for _ in range(6):
            log_in(Client(), person, "wrong")
        assert log_in(Client(), person).status_code == 200  # even the right one is not taken now
        cache.clear()
        assert log_in(Client(), person).status_code == 302


def test_an_invitation_is_good_for_one_person_once(world: World) -> None:
    url = reverse("invitation", args=[world.names["invitation_secret"]])
    assert world.client("other_supplier").post(url).status_code != 302  # it is another's
    sent = {"full_name": "New Colleague", "password": "a much longer word", "roles": "administrator"}
    joined = Client()
    assert joined.post(url, sent).status_code == 302
    member = Membership.objects.get(organisation=world.names["supplier_id"], person__email="new@example.com")
    assert member.roles == ["observer"]
    assert [client.get(url).status_code for client in (Client(), joined)] == [404, 404]


def test_a_withdrawn_invitation_opens_nothing(world: World) -> None:
    invitations.revoke(world.names["invitation"], by=world.people["supplier_admin"], at=NOW)
    assert Client().get(reverse("invitation", args=[world.names["invitation_secret"]])).status_code == 404


def test_a_person_who_left_is_out_at_once(world: World) -> None:
    client, program = world.client("supplier"), world.client("token")
    assert (client.get(reverse("my_bids")).status_code, program.get("/api/v1/bids/").status_code) == (200, 200)
    Membership.objects.filter(person=world.people["supplier"].person).update(active=False)
    assert (client.get(reverse("my_bids")).status_code, program.get("/api/v1/bids/").status_code) == (403, 401)


def test_a_token_is_kept_as_its_hash_only(world: World) -> None:
    _token, secret = tokens.create("Another", by=world.people["supplier"], at=NOW)
    assert [one for one in ApiToken.objects.values() if secret in str(one)] == []


@override_settings(ALLOWED_HOSTS=["openlot.example"])
def test_another_host_is_not_believed(world: World) -> None:
    for host in ("evil.example", "openlot.example.evil.example", "openlot.example:80@evil.example"):
        for path in ("/", "/accounts/password/reset/", "/api/v1/tenders/"):
            response = Client(raise_request_exception=False).get(path, headers={"host": host})
            assert response.status_code == 400
            assert "evil" not in response.content.decode()


def test_accounts_cannot_be_asked_for_by_the_list(world: World) -> None:
    cache.clear()
    sent = {"full_name": "A Name", "password": "a much longer word"}
    with override_settings(ACCOUNT_RATE_LIMITS={"signup": "2/m/ip"}, ALLAUTH_TRUSTED_PROXY_COUNT=1):
        answers = []
        for number, address in enumerate(["203.0.113.7"] * 3 + ["203.0.113.8"]):
            # Only the address that our own proxy saw counts, whatever the client wrote before it.
            headers = {"x-forwarded-for": f"198.51.100.{number}, {address}"}
            account = sent | {"email": f"someone{number}@example.com"}
            answers.append(Client().post(reverse("signup"), account, headers=headers).status_code)
    cache.clear()
    assert answers == [302, 302, 422, 302]
