"""The pages of accreditation, as the organisation and the operators see them."""

import base64
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from marketplace.models import Accreditation, AccreditationStatus, Organisation, Role, Side, SigningRequest, StaffRole
from tests.factories.clients import client_of
from tests.factories.marketplace import NOON, AccreditationFactory, OrganisationFactory, member, staff
from tests.factories.signatures import certificate_of, signed, trust

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("noon")]
S = AccreditationStatus
PDF = b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n"


def waiting(organisation: Organisation, **fields: Any) -> Accreditation:
    return AccreditationFactory.create(
        organisation=organisation, status=S.SUBMITTED, decided_at=None, valid_until=None, **fields
    )


def test_the_whole_errand_from_the_first_page_to_the_operators_decision(supplier: Organisation) -> None:
    trust()
    client = client_of(member(supplier))
    page_url = reverse("accreditation", args=["supplier"])

    assert str(client.get(page_url).context["action"].label) == "Begin the request"
    client.post(reverse("accreditation_begin", args=["supplier"]))
    action = client.get(page_url).context["action"]
    assert (action.allowed, action.reason) == (False, "2 documents are still missing.")
    for kind in ("register", "authority"):
        upload = SimpleUploadedFile(f"{kind}.pdf", PDF)
        client.post(reverse("accreditation_add", args=["supplier"]), {"kind": kind, "file": upload})
    assert client.get(page_url).context["action"].allowed

    signing_url = client.get(reverse("accreditation_sign", args=["supplier"])).url
    assert "register.pdf, authority.pdf" in client.get(signing_url).content.decode()
    request = SigningRequest.objects.get()
    assert client.get(f"{signing_url}&payload").content == bytes(request.payload)
    refused = client.post(
        signing_url,
        {
            "signing_request": request.nonce,
            "signature": base64.b64encode(signed(request, certificate_of(OrganisationFactory.create()))).decode(),
        },
    )
    assert refused.status_code == 422
    sent = client.post(
        signing_url,
        {"signing_request": request.nonce, "signature": base64.b64encode(signed(request)).decode()},
    )
    assert sent.url == page_url
    accreditation = Accreditation.objects.get()
    assert accreditation.status == S.SUBMITTED

    operator = client_of(staff(StaffRole.OPERATOR))
    decide_url = reverse("accreditation_decide", args=[accreditation.pk])
    assert [row.pk for row, _age in operator.get(reverse("accreditation_queue")).context["rows"]] == [accreditation.pk]
    shown = operator.get(decide_url).content.decode()
    assert accreditation.documents.first().file.sha256 in shown  # type: ignore[union-attr]
    operator.post(decide_url, {"do": "accept", "accept-months": "12", "accept-version": accreditation.version})

    accreditation.refresh_from_db()
    assert accreditation.status == S.ACCEPTED
    assert accreditation.valid_until is not None
    assert (accreditation.valid_until - NOON).days == 365
    assert "valid until" in client.get(page_url).content.decode()


def test_returned_reasons_are_shown_and_the_documents_can_be_changed(supplier: Organisation) -> None:
    accreditation = waiting(supplier)
    operator = client_of(staff(StaffRole.OPERATOR))
    url = reverse("accreditation_decide", args=[accreditation.pk])

    without = operator.post(url, {"do": "return", "return-reasons": "", "return-version": 1})
    operator.post(url, {"do": "return", "return-reasons": "The stamp is missing", "return-version": 1})
    page = client_of(member(supplier)).get(reverse("accreditation", args=["supplier"]))

    assert without.context["return_form"].errors == {"reasons": ["This field is required."]}
    assert "The stamp is missing" in page.content.decode()
    assert page.context["form"] is not None


def test_an_operator_who_comes_second_reads_who_decided(supplier: Organisation) -> None:
    accreditation, first = waiting(supplier), staff(StaffRole.OPERATOR)
    url = reverse("accreditation_decide", args=[accreditation.pk])
    client_of(first).post(url, {"do": "return", "return-reasons": "Too old", "return-version": 1})

    page = client_of(staff(StaffRole.OPERATOR)).post(url, {"do": "accept", "accept-months": "12", "accept-version": 1})

    assert page.status_code == 200
    assert f"{first.person} has decided this request already" in page.content.decode()


def test_a_document_of_a_forbidden_type_is_refused_beside_its_field(supplier: Organisation) -> None:
    client = client_of(member(supplier))
    client.post(reverse("accreditation_begin", args=["supplier"]))

    page = client.post(
        reverse("accreditation_add", args=["supplier"]),
        {"kind": "register", "file": SimpleUploadedFile("run.exe", b"MZ")},
    )

    assert page.status_code == 422
    assert list(page.context["form"].errors) == ["file"]


@pytest.mark.parametrize("route", ["accreditation_queue", "accreditation_decide"])
def test_others_are_not_told_that_the_queue_exists(supplier: Organisation, route: str) -> None:
    accreditation = waiting(supplier)
    url = reverse(route, args=[accreditation.pk] if route == "accreditation_decide" else [])

    for actor in (member(supplier), staff(StaffRole.TARIFF_MANAGER), staff(StaffRole.REPRESENTATIVE)):
        assert client_of(actor).get(url).status_code == 404


def test_an_observer_sees_the_request_and_who_may_change_it(supplier: Organisation) -> None:
    page = client_of(member(supplier, Role.OBSERVER)).get(reverse("accreditation", args=["supplier"]))

    assert (page.status_code, page.context["action"].allowed) == (200, False)
    assert (
        client_of(member(supplier, Role.OBSERVER)).post(reverse("accreditation_begin", args=["supplier"])).status_code
        == 403
    )


def test_the_number_of_queries_does_not_grow_with_the_queue() -> None:
    client, counts = client_of(staff(StaffRole.OPERATOR)), []
    for _ in range(3):
        waiting(OrganisationFactory.create(is_supplier=True), side=Side.SUPPLIER)
        with CaptureQueriesContext(connection) as queries:
            assert len(client.get(reverse("accreditation_queue")).context["rows"]) == len(counts) + 1
        counts.append(len(queries))

    assert counts[0] == counts[2]
