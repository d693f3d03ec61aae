"""The operator's pages of the trust store: what they show, what is asked before anything counts."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from marketplace import waiting
from marketplace.models import RevocationList, RevocationSource, StaffRole, TrustedCertificate, TrustKind
from marketplace.permissions import Actor
from marketplace.services import revocation, trust_store
from marketplace.signatures.authority import Authority
from tests.factories.clients import client_of
from tests.factories.marketplace import NOON, staff
from tests.factories.signatures import authority

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("noon")]
DAY = timedelta(days=1)


@pytest.fixture
def client(operator: Actor) -> Client:
    return client_of(operator)


def root(kind: TrustKind = TrustKind.ANCHOR) -> TrustedCertificate:
    return trust_store.add(kind, authority().root.der, by=None, at=NOON, note="audited")


def text_of(page: Any) -> str:
    return " ".join(page.content.decode().split())


class TestAdding:
    URL = "/staff/trust/add/"

    def given(self, **fields: Any) -> dict[str, Any]:
        return {"do": "read", "kind": "anchor", "note": "The ministry’s list", **fields}

    def test_what_the_certificate_says_is_shown_before_it_counts(self, client: Client) -> None:
        page = client.post(self.URL, self.given(certificate=SimpleUploadedFile("root.cer", authority().root.der)))

        assert page.status_code == 200
        facts = {str(fact.label): str(fact.value) for fact in page.context["facts"]}
        assert facts["Issued by"] == "itself: a root"
        assert facts["Authorities below it"] == "1 level"
        assert facts["It may sign"] == "certificates, revocation lists"
        assert authority().root.certificate.subject.rfc4514_string() in facts["Name"]
        assert page.context["takes_two"] is False
        assert TrustedCertificate.objects.count() == 0

    def test_it_counts_once_the_fingerprint_was_compared(self, client: Client) -> None:
        der = base64.b64encode(authority().root.der).decode()
        sent = {"do": "trust", "kind": "anchor", "note": "Why", "der": der}

        assert list(client.post(self.URL, sent).context["confirmation"].errors) == ["compared"]
        assert TrustedCertificate.objects.count() == 0
        answer = client.post(self.URL, sent | {"compared": "on"})

        trusted = TrustedCertificate.objects.get()
        assert (answer.url, trusted.enabled, trusted.note) == (trusted.get_absolute_url(), True, "Why")  # type: ignore[attr-defined]

    def test_a_certificate_may_be_pasted(self, client: Client) -> None:
        page = client.post(self.URL, self.given(pem=authority().root.pem.decode()))

        assert page.context["said"].sha256 == trust_store.read(authority().root.der, NOON).sha256

    @pytest.mark.parametrize(("fields", "field"), [
        ({"certificate": SimpleUploadedFile("x.cer", b"junk")}, "certificate"), ({"pem": "junk"}, "pem"),
        ({}, "certificate"), ({"pem": "x", "note": ""}, "note"),
    ])  # fmt: skip
    def test_what_is_wrong_is_said_beside_its_field(self, client: Client, fields: Any, field: str) -> None:
        page = client.post(self.URL, self.given(**fields))

        assert (page.status_code, list(page.context["form"].errors)) == (422, [field])

    def test_a_confirmation_that_was_tampered_with_starts_again(self, client: Client) -> None:
        page = client.post(self.URL, {"do": "trust", "kind": "king", "der": "%%%", "note": "x", "compared": "on"})

        assert (page.status_code, page.context["said"]) == (422, None)

    def test_an_odd_choice_is_pointed_out(self, client: Client) -> None:
        page = client.post(self.URL, self.given(pem=authority().issuing.pem.decode()))

        assert "was issued by another one" in str(page.context["cautions"][0])

    def test_an_intermediate_below_nobody_is_pointed_out(self, client: Client) -> None:
        given = self.given(kind="intermediate", pem=authority().issuing.pem.decode())

        assert "Whoever issued it is not in the store" in str(client.post(self.URL, given).context["cautions"][0])
        root()
        assert client.post(self.URL, given).context["cautions"] == []

    def test_a_second_operator_is_announced_and_asked(self, client: Client) -> None:
        second = staff(StaffRole.OPERATOR)
        page = client.post(self.URL, self.given(pem=authority().root.pem.decode()))
        assert page.context["takes_two"] is True
        client.post(
            self.URL,
            {"do": "trust", "kind": "anchor", "note": "Why", "compared": "on",
             "der": base64.b64encode(authority().root.der).decode()},
        )  # fmt: skip
        trusted = TrustedCertificate.objects.get()
        url = reverse("trusted", args=[trusted.pk])

        own = client.get(url)
        assert (own.context["own_proposal"], b"Confirm: trust it" in own.content) == (True, False)
        assert "yourself" in client.post(url, {"do": "confirm"}).context["refusal"]
        (task,) = waiting.tasks_for(second, NOON)
        assert (str(task.text), task.url) == ("Confirm an authority, or turn it down", url)
        assert waiting.tasks_for(Actor(trusted.proposed_by, staff_roles=second.staff_roles), NOON) == []
        client_of(second).post(url, {"do": "confirm"})

        trusted.refresh_from_db()
        assert trusted.enabled


class TestOneAuthority:
    def test_it_is_stopped_with_a_reason_and_trusted_again(self, client: Client) -> None:
        url = reverse("trusted", args=[root().pk])

        assert list(client.post(url, {"do": "disable", "reason": ""}).context["form"].errors) == ["reason"]
        client.post(url, {"do": "disable", "reason": "Its key was stolen"})
        page = client.get(url)
        assert (page.context["standing"], "Its key was stolen" in text_of(page)) == ("disabled", True)
        client.post(url, {"do": "enable", "reason": "A false alarm"})

        page = client.get(url)
        assert page.context["standing"] == "trusted"
        assert [row["action"] for row in page.context["history"]] == ["Trust enabled", "Trust disabled", "Trust added"]

    def test_its_certificate_is_downloaded(self, client: Client) -> None:
        answer = client.get(reverse("trusted_certificate", args=[root().pk]))

        assert answer.content == authority().root.der
        assert answer.headers["Content-Type"] == "application/pkix-cert"

    def test_there_is_nothing_where_there_is_none(self, client: Client) -> None:
        assert client.get(reverse("trusted", args=[17])).status_code == 404
        assert client.post(reverse("trusted", args=[17]), {"do": "confirm"}).status_code == 404


class TestTheStore:
    def test_it_is_filtered_by_name_fingerprint_kind_and_state(self, client: Client) -> None:
        anchor = root()
        below = trust_store.add(TrustKind.INTERMEDIATE, authority().issuing.der, by=None, at=NOON)
        trust_store.disable(below.pk, "A test", by=staff(StaffRole.OPERATOR), at=NOON)

        def shown(**query: str) -> list[int]:
            return [row["it"].pk for row in client.get(reverse("trust_store"), query).context["rows"]]

        assert shown() == [anchor.pk, below.pk]
        assert shown(q="issuing") == [below.pk]
        assert shown(q=f"{anchor.sha256[:2]}:{anchor.sha256[2:6]}".upper()) == [anchor.pk]
        assert (shown(kind="intermediate"), shown(state="trusted"), shown(state="disabled")) == (
            [below.pk], [anchor.pk], [below.pk],
        )  # fmt: skip
        assert shown(state="proposed") == []

    def test_an_authority_without_revocation_data_is_marked(self, client: Client) -> None:
        root()
        assert b"no revocation data" in client.get(reverse("trust_store")).content
        revocation.load_list(authority().crls(NOON)[0], by=None, at=NOON)

        page = client.get(reverse("trust_store"))
        assert b"no revocation data" not in page.content
        assert [(str(stat.label), stat.value) for stat in page.context["stats"]] == [
            ("Trusted", 1), ("Waiting for a second operator", 0), ("Without revocation data", 0),
            ("Lists out of date", 0),
        ]  # fmt: skip

    def test_the_number_of_queries_does_not_grow_with_the_rows(self, client: Client) -> None:
        def queries(url: str) -> int:
            with CaptureQueriesContext(connection) as made:
                assert client.get(url).status_code == 200
            return len(made)

        urls = [reverse(name) for name in ("trust_store", "trust_lists", "trust_sources", "trust_history")]
        filled(1)
        [client.get(url) for url in urls]
        before = [queries(url) for url in urls]
        filled(2)

        assert [queries(url) for url in urls] == before


class TestLists:
    URL = "/staff/trust/lists/"

    def test_age_and_next_issue_are_said_in_words(self, client: Client, noon: Any) -> None:
        root()
        revocation.load_list(authority().crls(NOON - 2 * timedelta(hours=1), 10 * DAY)[0], by=None, at=NOON)

        assert "issued 3 hours ago, next due in 9 days 21 hours" in text_of(client.get(self.URL))
        noon.move_to(NOON + 9 * DAY)
        assert "Next one due soon" in text_of(client.get(self.URL))
        noon.move_to(NOON + 11 * DAY)
        said = text_of(client.get(self.URL))
        assert "Out of date" in said
        assert "the next was due 1 day 3 hours ago" in said

    def test_the_list_of_an_authority_that_no_longer_counts_is_left_out(self, client: Client) -> None:
        anchor = root()
        revocation.load_list(authority().crls(NOON)[0], by=None, at=NOON)
        assert len(client.get(self.URL).context["rows"]) == 1
        trust_store.disable(anchor.pk, "A test", by=staff(StaffRole.OPERATOR), at=NOON)

        assert client.get(self.URL).context["rows"] == []

    def test_a_list_too_large_to_be_read_is_said_to_be_one(self, client: Client) -> None:
        root()
        loaded = revocation.load_list(authority().crls(NOON)[0], by=None, at=NOON)

        for is_indexed, size, said in ((True, 2**23, False), (False, 2**22, False), (False, 2**22 + 1, True)):
            RevocationList.objects.filter(pk=loaded.pk).update(is_indexed=is_indexed, size=size)
            assert ("Too large to be read whole" in text_of(client.get(self.URL))) is said

    def test_a_list_is_loaded_by_hand(self, client: Client, operator: Actor) -> None:
        root()
        crl = SimpleUploadedFile("root.crl", authority().crls(NOON)[0])

        assert client.post(self.URL, {"list": crl}).url == self.URL  # type: ignore[attr-defined]
        assert RevocationList.objects.get().loaded_by == operator.person
        junk = client.post(self.URL, {"list": SimpleUploadedFile("x.crl", b"junk")})
        assert (junk.status_code, list(junk.context["form"].errors)) == (422, ["list"])

    def test_what_is_due_overdue_or_missing_waits_on_the_first_page(self, operator: Actor) -> None:
        anchor = root()

        def said(at: Any) -> list[tuple[str, str]]:
            return [(str(task.text), task.tone) for task in waiting.tasks_for(operator, at)]

        assert said(NOON) == [("1 authority without revocation data", "bad")]
        revocation.load_list(authority().crls(NOON, 10 * DAY)[0], by=None, at=NOON)
        assert said(NOON) == []
        assert said(NOON + 9 * DAY) == [("A revocation list runs out", "warn")]
        assert said(NOON + 10 * DAY) == [("A revocation list is out of date", "bad")]
        RevocationSource.objects.create(
            authority=anchor, kind="crl", url="http://a.example/", added_at=NOON, next_at=NOON, failures=3, error="x"
        )
        assert said(NOON) == [("1 address of revocation data does not answer", "warn")]
        assert waiting.tasks_for(staff(StaffRole.AUDITOR), NOON) == []


class TestSources:
    URL = "/staff/trust/sources/"

    @pytest.fixture
    def source(self) -> RevocationSource:
        return RevocationSource.objects.create(
            authority=root(), kind="crl", url="http://127.0.0.1:9/root.crl", added_at=NOON, next_at=NOON + DAY
        )

    def test_an_address_is_entered(self, client: Client) -> None:
        sent = {"authority": root().pk, "kind": "ocsp", "url": "http://ocsp.example/"}

        assert client.post(self.URL, sent).url == self.URL  # type: ignore[attr-defined]
        assert RevocationSource.objects.get().kind == "ocsp"
        again = client.post(self.URL, sent)
        assert (again.status_code, list(again.context["form"].errors)) == (422, ["url"])
        wrong = client.post(self.URL, sent | {"url": "ftp://x"})
        assert list(wrong.context["form"].errors) == ["url"]

    def test_it_is_asked_at_once_and_the_row_looks_again(self, client: Client, source: RevocationSource) -> None:
        url = reverse("trust_source", args=[source.pk])

        row = client.post(url, {"do": "ask"}, headers={"HX-Request": "true"})

        assert "About to be asked" in text_of(row)
        assert b"hx-trigger" in row.content
        assert client.post(url, {"do": "ask"}).url == self.URL  # type: ignore[attr-defined]

    def test_a_failure_is_said_in_words(self, client: Client, source: RevocationSource) -> None:
        RevocationSource.objects.update(error="status:404", failures=2)

        said = text_of(client.get(self.URL))

        assert "It answered with the status 404. (2 times in a row)" in said
        assert "hx-trigger" not in said

    def test_where_no_worker_takes_it_the_page_says_so_and_stops_looking(
        self, client: Client, source: RevocationSource
    ) -> None:
        RevocationSource.objects.update(next_at=NOON - timedelta(minutes=3))

        said = text_of(client.get(self.URL))

        assert ("no worker has taken it" in said, "hx-trigger" in said) == (True, False)

    def test_it_is_switched_off_and_on(self, client: Client, source: RevocationSource) -> None:
        url = reverse("trust_source", args=[source.pk])
        for do, enabled in (("off", False), ("on", True)):
            client.post(url, {"do": do})
            source.refresh_from_db()
            assert source.enabled is enabled


def filled(count: int) -> None:
    for _ in range(count):
        other = Authority.create(NOON - DAY)
        anchor = trust_store.add(TrustKind.ANCHOR, other.root.der, by=None, at=NOON, note="x")
        revocation.load_list(other.crls(NOON)[0], by=None, at=NOON)
        RevocationSource.objects.create(
            authority=anchor, kind="crl", url="http://a.example/", added_at=NOON, next_at=NOON + DAY
        )
