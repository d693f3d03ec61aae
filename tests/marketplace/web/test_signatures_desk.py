"""The pages of kept signatures: what they show, what can be taken from them, and judging again."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from marketplace.models import AuditRecord, EvidenceRole, Signature, SignatureStamp, StaffRole
from marketplace.services import evidence, reverification, stamping, timestamps
from marketplace.signatures import cades
from marketplace.signatures.timestamp_authority import DemoTimeStamps
from tests.factories import signatures
from tests.factories.marketplace import NOON, staff

pytestmark = pytest.mark.django_db


@pytest.fixture
def auditor() -> Client:
    client = Client()
    person = staff(StaffRole.AUDITOR).person
    assert person is not None
    client.force_login(person, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


@pytest.fixture
def signature(freeze: Any, settings: Any, tmp_path: Path) -> Signature:
    """Taken at noon, with an authority for its stamp."""
    cache.clear()
    freeze(NOON)
    settings.TIMESTAMP_LOCAL_DIR, settings.TIMESTAMP_AUTHORITY_URLS = tmp_path, ["local:"]
    DemoTimeStamps.create(NOON - timedelta(days=1)).save(tmp_path)
    timestamps.trust_demo(tmp_path, at=NOON)
    signatures.trust()
    return signatures.taken()


def text(response: Any) -> str:
    assert response.status_code == 200
    return " ".join(response.content.decode().split())


def test_the_list_shows_the_state_of_each_stamp(auditor: Client, signature: Signature, settings: Any) -> None:
    url = reverse("staff_signatures")
    assert "Waiting" in text(auditor.get(url))
    stamping.stamp(signature.pk, at=NOON)
    signatures.taken()

    page = text(auditor.get(url))
    assert page.count("2 Mar 2026, 12:00:00") >= 3
    assert "by <bdi>Openlot Demo Time Stamps TSA</bdi>" in page
    assert "No signature waits too long for its stamp." in page
    assert [len(auditor.get(url, {"state": state}).context["rows"]) for state in ("", "waiting", "stamped")] == [
        2,
        1,
        1,
    ]
    assert len(auditor.get(url, {"state": "renewed"}).context["rows"]) == 0
    assert len(auditor.get(url, {"q": str(signature.pk)}).context["rows"]) == 1
    assert len(auditor.get(url, {"q": signature.organisation.short_name}).context["rows"]) >= 1
    assert len(auditor.get(url, {"q": "9" * 30}).context["rows"]) == 0
    settings.TIMESTAMP_AUTHORITY_URLS = []
    assert "No time-stamp authority is set" in text(auditor.get(url))


def test_the_list_costs_the_same_for_one_and_for_three(
    auditor: Client, signature: Signature, django_assert_max_num_queries: Any
) -> None:
    url = reverse("staff_signatures")
    auditor.get(url)
    with CaptureQueriesContext(connection) as one:
        auditor.get(url)
    for _ in range(2):
        stamping.stamp(signatures.taken().pk, at=NOON)
    with django_assert_max_num_queries(len(one)):
        auditor.get(url)


def test_what_is_late_or_fails_is_shown(auditor: Client, signature: Signature, freeze: Any) -> None:
    later = NOON + timedelta(hours=2)
    freeze(later)
    reverification.nightly(at=later + timedelta(days=3 * 365))

    page = text(auditor.get(reverse("staff_signatures")))
    assert "One signature waits too long for its stamp." in page
    assert "0 of 1 pass" in page
    assert f"Signature {signature.pk}</a>:" in page
    assert text(auditor.get(reverse("staff_home")))


def test_a_page_shows_report_evidence_and_downloads(auditor: Client, signature: Signature) -> None:
    stamping.stamp(signature.pk, at=NOON)

    page = text(auditor.get(reverse("staff_signature", args=[signature.pk])))

    assert "TOTAL-PASSED" in page
    assert signature.request.payload_sha256 in page
    kept = evidence.dossier(signature)
    for one in kept.evidence:
        assert one.sha256 in page
        got = auditor.get(reverse("staff_signature_piece", args=[signature.pk, one.sha256]))
        assert (got.status_code, got.content) == (200, one.der)
        assert got["Content-Disposition"].startswith("attachment; filename=")
        assert got["Cache-Control"] == "private, no-store"
    files = {
        name: auditor.get(reverse("staff_signature_file", args=[signature.pk, name])).content
        for name in ("payload", "received", "with-stamp")
    }
    assert files["payload"] == bytes(signature.request.payload)
    assert files["received"] == bytes(signature.cms)
    assert kept.stamp is not None
    assert cades.tokens_in(files["with-stamp"]) == (kept.stamp.der,)


def test_evidence_of_another_signature_is_not_handed_out(auditor: Client, signature: Signature) -> None:
    other = signatures.taken()
    own = other.evidence_links.filter(role=EvidenceRole.CHAIN).first()
    assert own is not None

    assert auditor.get(reverse("staff_signature_piece", args=[signature.pk, own.object.sha256])).status_code == 404


def test_the_button_judges_again_and_shows_why(auditor: Client, signature: Signature, freeze: Any) -> None:
    url = reverse("staff_signature", args=[signature.pk])
    stamping.stamp(signature.pk, at=NOON)
    freeze(NOON + timedelta(days=2 * 365))

    page = text(auditor.post(url, follow=True))
    assert "The signature passes by the evidence kept with it." in page
    assert "The signature existed on 2026-03-02 12:00:00 UTC: time stamp by Openlot Demo Time Stamps TSA" in page
    freeze(NOON + timedelta(days=6 * 365))
    page = text(auditor.post(url, follow=True))
    assert "Does not pass" in page
    assert "OUT_OF_BOUNDS_NO_POE" in page
    assert AuditRecord.objects.filter(action="signature_checked_again").count() == 2


def test_a_signature_without_a_stamp_row_is_shown(auditor: Client, signature: Signature) -> None:
    SignatureStamp.objects.all().delete()

    assert "Waiting" in text(auditor.get(reverse("staff_signature", args=[signature.pk])))
    assert auditor.get(reverse("staff_signatures")).status_code == 200
