"""Accreditation from the first document to its renewal, and what must not happen on the way."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from marketplace.models import (
    Accreditation,
    AccreditationDocument,
    AccreditationStatus,
    AuditRecord,
    Notification,
    Organisation,
    OrganisationStatus,
    Role,
    Side,
    StaffRole,
    StoredFile,
)
from marketplace.permissions import Actor, OrganisationNotActive, RoleMissing
from marketplace.queries import accreditations as queries
from marketplace.services import accreditation_decisions, accreditations, files, signing
from marketplace.shared.errors import Invalid, NotFound
from tests.factories.at_once import at_the_same_time
from tests.factories.marketplace import NOON, MembershipFactory, OrganisationFactory, member, staff
from tests.factories.signatures import certificate_of, signed, trust

S = AccreditationStatus
DAY = timedelta(days=1)
YEAR = NOON + 365 * DAY
PDF = b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n"


def pdf(name: str = "extract.pdf", content: bytes = PDF) -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content)


def add(accreditation: Accreditation, kind: str, by: Actor, **changed: Any) -> AccreditationDocument:
    stated = {"title": "", "upload": pdf(f"{kind}.pdf")} | changed
    return accreditations.add_document(accreditation.pk, kind=kind, by=by, at=NOON, **stated)


def complete(by: Actor) -> Accreditation:
    """A supplier's request with every required document."""
    accreditation = accreditations.open_request(Side.SUPPLIER, by=by, at=NOON)
    for kind in ("register", "authority"):
        add(accreditation, kind, by)
    accreditation.refresh_from_db()
    return accreditation


def sent(by: Actor) -> Accreditation:
    """The same, signed and waiting for the operator."""
    accreditation = complete(by)
    request = accreditations.prepare(accreditation.pk, by=by, at=NOON)
    return accreditations.submit(accreditation.pk, request, signed(request), by=by, at=NOON)


@pytest.fixture
def supplier() -> Organisation:
    return OrganisationFactory.create(is_supplier=True)


@pytest.fixture
def signer(supplier: Organisation) -> Actor:
    trust()
    return member(supplier)


@pytest.mark.django_db
class TestRequest:
    def test_what_is_asked_for_depends_on_the_country_and_the_side(self) -> None:
        german = [(one.kind, str(one.title), one.required) for one in queries.requirements("supplier", "DE")]
        thai_buyer = [(one.kind, str(one.title)) for one in queries.requirements("buyer", "TH")]

        assert german == [
            ("register", "Extract from the commercial register (Handelsregister)", True),
            ("authority", "Authority of the person who signs", True),
            ("tax", "Certificate of no tax debts", False),
        ]
        assert thai_buyer == [
            ("register", "Extract from the company register"),
            ("authority", "Authority of the person who signs"),
        ]

    def test_an_asked_document_bears_its_own_title(self, signer: Actor) -> None:
        accreditation = accreditations.open_request(Side.SUPPLIER, by=signer, at=NOON)

        document = add(accreditation, "register", signer, title="something")

        assert document.title == "Extract from the commercial register (Handelsregister)"
        assert [one.kind for one in queries.missing(accreditation)] == ["authority"]

    def test_a_further_document_needs_a_title(self, signer: Actor) -> None:
        accreditation = accreditations.open_request(Side.SUPPLIER, by=signer, at=NOON)

        with pytest.raises(Invalid) as refused:
            add(accreditation, "other", signer)

        assert list(refused.value.errors) == ["title"]
        assert not StoredFile.objects.exists()

    def test_a_refused_file_leaves_nothing(self, signer: Actor) -> None:
        accreditation = accreditations.open_request(Side.SUPPLIER, by=signer, at=NOON)

        with pytest.raises(files.FileTypeMismatch):
            add(accreditation, "register", signer, upload=pdf(content=b"MZ\x90\x00"))

        assert not AccreditationDocument.objects.exists()

    def test_a_request_is_opened_once_on_a_side_the_organisation_is_on(self, signer: Actor) -> None:
        first = accreditations.open_request(Side.SUPPLIER, by=signer, at=NOON)

        assert accreditations.open_request(Side.SUPPLIER, by=signer, at=NOON + DAY) == first
        with pytest.raises(accreditations.NotOnThisSide):
            accreditations.open_request(Side.BUYER, by=signer, at=NOON)

    def test_an_unfinished_registration_asks_for_nothing(self) -> None:
        draft = OrganisationFactory.create(is_supplier=True, status=OrganisationStatus.DRAFT)

        with pytest.raises(OrganisationNotActive):
            accreditations.open_request(Side.SUPPLIER, by=member(draft), at=NOON)

    def test_only_administrators_and_signers_prepare_it(self, supplier: Organisation) -> None:
        with pytest.raises(RoleMissing):
            accreditations.open_request(Side.SUPPLIER, by=member(supplier, Role.OBSERVER), at=NOON)

    def test_another_organisations_request_is_not_found(self, signer: Actor) -> None:
        accreditation = complete(signer)
        document = accreditation.documents.first()
        stranger = member(OrganisationFactory.create(is_supplier=True))
        assert document is not None

        with pytest.raises(NotFound):
            add(accreditation, "tax", stranger)
        with pytest.raises(NotFound):
            accreditations.remove_document(accreditation.pk, document.pk, by=stranger, at=NOON)
        with pytest.raises(NotFound):
            accreditations.prepare(accreditation.pk, by=stranger, at=NOON)


@pytest.mark.django_db
class TestSending:
    def test_it_waits_for_the_operator_with_its_signature_and_hashes(self, signer: Actor) -> None:
        operator = staff(StaffRole.OPERATOR)

        accreditation = sent(signer)

        accreditation.refresh_from_db()
        record = AuditRecord.objects.get(action="accreditation_submitted")
        assert (accreditation.status, accreditation.submitted_at) == (S.SUBMITTED, NOON)
        assert accreditation.signature is not None
        assert [one["sha256"] for one in record.details["documents"]] == [
            document.file.sha256 for document in queries.documents_of(accreditation.pk)
        ]
        assert Notification.objects.get(person=operator.person).kind == "accreditation_submitted"

    def test_it_is_not_sent_while_a_document_is_missing(self, signer: Actor) -> None:
        accreditation = accreditations.open_request(Side.SUPPLIER, by=signer, at=NOON)
        add(accreditation, "register", signer)

        with pytest.raises(accreditations.DocumentsMissing) as refused:
            accreditations.prepare(accreditation.pk, by=signer, at=NOON)

        assert str(refused.value) == "These documents are still missing: Authority of the person who signs."

    def test_what_was_changed_after_preparing_is_not_sent(self, signer: Actor) -> None:
        accreditation = complete(signer)
        request = accreditations.prepare(accreditation.pk, by=signer, at=NOON)
        add(accreditation, "tax", signer)

        with pytest.raises(accreditations.RequestChanged):
            accreditations.submit(accreditation.pk, request, signed(request), by=signer, at=NOON)

    def test_a_foreign_certificate_is_refused_and_the_request_stays_a_draft(self, signer: Actor) -> None:
        accreditation = complete(signer)
        request = accreditations.prepare(accreditation.pk, by=signer, at=NOON)
        foreign = certificate_of(OrganisationFactory.create())

        with pytest.raises(signing.SignatureRefused):
            accreditations.submit(accreditation.pk, request, signed(request, foreign), by=signer, at=NOON)

        accreditation.refresh_from_db()
        assert (accreditation.status, accreditation.submitted_at) == (S.DRAFT, None)

    def test_sent_twice_it_is_sent_once(self, signer: Actor) -> None:
        accreditation = complete(signer)
        request = accreditations.prepare(accreditation.pk, by=signer, at=NOON)
        cms = signed(request)

        first = accreditations.submit(accreditation.pk, request, cms, by=signer, at=NOON)
        second = accreditations.submit(accreditation.pk, request, cms, by=signer, at=NOON)

        assert (first.version, second.version) == (second.version, first.version)
        assert AuditRecord.objects.filter(action="accreditation_submitted").count() == 1

    def test_while_it_waits_nothing_is_changed(self, signer: Actor) -> None:
        accreditation = sent(signer)

        with pytest.raises(accreditations.RequestClosed):
            add(accreditation, "tax", signer)

    def test_a_member_who_is_no_signer_does_not_send_it(self, signer: Actor, supplier: Organisation) -> None:
        with pytest.raises(RoleMissing):
            accreditations.prepare(complete(signer).pk, by=member(supplier, Role.ADMINISTRATOR), at=NOON)


@pytest.mark.django_db
class TestDeciding:
    def test_accepted_it_is_valid_until_the_end_and_not_at_it(self, signer: Actor) -> None:
        accreditation, operator = sent(signer), staff(StaffRole.OPERATOR)

        accepted = accreditation_decisions.accept(
            accreditation.pk, accreditation.version, YEAR, by=operator, at=NOON + DAY
        )

        assert (accepted.status, accepted.decided_by) == (S.ACCEPTED, operator.person)
        assert (accepted.is_valid(YEAR - timedelta(seconds=1)), accepted.is_valid(YEAR)) == (True, False)
        told = Notification.objects.get(kind="accreditation_accepted")
        assert told.text.endswith("is accredited as a supplier until 2 March 2027.")

    def test_returned_with_reasons_it_is_put_right_and_sent_again(self, signer: Actor) -> None:
        accreditation, operator = sent(signer), staff(StaffRole.OPERATOR)

        returned = accreditation_decisions.send_back(
            accreditation.pk, accreditation.version, " The extract is too old. ", by=operator, at=NOON + DAY
        )
        add(returned, "tax", signer)
        request = accreditations.prepare(returned.pk, by=signer, at=NOON + DAY)
        again = accreditations.submit(returned.pk, request, signed(request), by=signer, at=NOON + DAY)

        assert returned.reasons == "The extract is too old."
        assert (again.status, again.reasons, again.submitted_at) == (S.SUBMITTED, "", NOON + DAY)

    def test_nothing_is_returned_without_reasons(self, signer: Actor) -> None:
        accreditation = sent(signer)

        with pytest.raises(Invalid):
            accreditation_decisions.send_back(
                accreditation.pk, accreditation.version, "  ", by=staff(StaffRole.OPERATOR), at=NOON
            )

        accreditation.refresh_from_db()
        assert accreditation.status == S.SUBMITTED

    def test_what_was_decided_is_not_decided_again(self, signer: Actor) -> None:
        accreditation, operator = sent(signer), staff(StaffRole.OPERATOR)
        version = accreditation.version
        accreditation_decisions.accept(accreditation.pk, version, YEAR, by=operator, at=NOON)

        with pytest.raises(accreditation_decisions.AlreadyDecided) as refused:
            accreditation_decisions.send_back(accreditation.pk, version, "Late", by=staff(StaffRole.OPERATOR), at=NOON)

        assert str(refused.value) == f"{operator.person} has decided this request already: Accredited."

    def test_a_request_sent_again_meanwhile_is_read_again_first(self, signer: Actor) -> None:
        accreditation, operator = sent(signer), staff(StaffRole.OPERATOR)
        old = accreditation.version
        accreditation_decisions.send_back(accreditation.pk, old, "Too old", by=operator, at=NOON)
        request = accreditations.prepare(accreditation.pk, by=signer, at=NOON)
        accreditations.submit(accreditation.pk, request, signed(request), by=signer, at=NOON)

        with pytest.raises(accreditations.RequestChanged):
            accreditation_decisions.accept(accreditation.pk, old, YEAR, by=operator, at=NOON)

    @pytest.mark.parametrize("until", [NOON, NOON + 6 * 366 * DAY])
    def test_an_end_that_makes_no_sense_is_refused(self, signer: Actor, until: Any) -> None:
        accreditation = sent(signer)

        with pytest.raises(Invalid):
            accreditation_decisions.accept(
                accreditation.pk, accreditation.version, until, by=staff(StaffRole.OPERATOR), at=NOON
            )

    def test_an_operator_does_not_decide_for_their_own_organisation(
        self, signer: Actor, supplier: Organisation
    ) -> None:
        accreditation, operator = sent(signer), staff(StaffRole.OPERATOR)
        MembershipFactory.create(person=operator.person, organisation=supplier)

        with pytest.raises(accreditation_decisions.OwnOrganisation):
            accreditation_decisions.accept(accreditation.pk, accreditation.version, YEAR, by=operator, at=NOON)

    def test_others_do_not_learn_of_it(self, signer: Actor) -> None:
        accreditation = sent(signer)

        for stranger in (signer, staff(StaffRole.AUDITOR), staff(StaffRole.TARIFF_MANAGER)):
            with pytest.raises(NotFound):
                accreditation_decisions.accept(accreditation.pk, accreditation.version, YEAR, by=stranger, at=NOON)

    def test_revoked_it_ends_at_once_and_may_be_asked_for_again(self, signer: Actor) -> None:
        accreditation, operator = sent(signer), staff(StaffRole.OPERATOR)
        accreditation_decisions.accept(accreditation.pk, accreditation.version, YEAR, by=operator, at=NOON)

        revoked = accreditation_decisions.revoke(accreditation.pk, "Licence withdrawn", by=operator, at=NOON + DAY)

        assert (revoked.is_valid(NOON + DAY), revoked.valid_until) == (False, None)
        assert accreditations.open_request(Side.SUPPLIER, by=signer, at=NOON + DAY).status == S.DRAFT


@pytest.mark.django_db
class TestRenewal:
    def test_while_it_is_renewed_what_was_granted_counts_until_its_end(self, signer: Actor) -> None:
        accreditation, operator, end = sent(signer), staff(StaffRole.OPERATOR), NOON + 100 * DAY
        accreditation_decisions.accept(accreditation.pk, accreditation.version, end, by=operator, at=NOON)
        late = end - DAY

        renewing = accreditations.open_request(Side.SUPPLIER, by=signer, at=late)
        assert (renewing.status, renewing.is_valid(late)) == (S.DRAFT, True)
        request = accreditations.prepare(renewing.pk, by=signer, at=late)
        waiting = accreditations.submit(renewing.pk, request, signed(request), by=signer, at=late)
        assert (waiting.is_valid(late), waiting.is_valid(end)) == (True, False)

        renewed = accreditation_decisions.accept(waiting.pk, waiting.version, end + 365 * DAY, by=operator, at=late)
        assert renewed.is_valid(end)

    def test_the_organisation_is_reminded_once_of_each_end(self, signer: Actor) -> None:
        accreditation, operator = sent(signer), staff(StaffRole.OPERATOR)
        accreditation_decisions.accept(accreditation.pk, accreditation.version, YEAR, by=operator, at=NOON)

        told = [accreditation_decisions.remind(at=YEAR - days * DAY) for days in (31, 30, 29, 0)]

        assert told == [0, 1, 0, 0]
        assert Notification.objects.get(kind="accreditation_ends_soon").text.endswith(
            "ends on 2 March 2027. Renew it in time."
        )


@pytest.mark.django_db(transaction=True)
class TestAtOnce:
    def test_of_two_operators_at_once_one_decides_and_the_other_is_told(self) -> None:
        trust()
        accreditation = sent(member(OrganisationFactory.create(is_supplier=True)))
        first, second = staff(StaffRole.OPERATOR), staff(StaffRole.OPERATOR)
        version = accreditation.version

        answers = at_the_same_time(
            lambda: accreditation_decisions.accept(accreditation.pk, version, YEAR, by=first, at=NOON),
            lambda: accreditation_decisions.send_back(accreditation.pk, version, "Unreadable", by=second, at=NOON),
        )

        told = [answer for answer in answers if isinstance(answer, accreditation_decisions.AlreadyDecided)]
        assert len(told) == 1
        decided = AuditRecord.objects.filter(action__in=["accreditation_accepted", "accreditation_returned"])
        assert decided.count() == 1

    def test_signed_twice_at_once_it_is_sent_once(self) -> None:
        trust()
        by = member(OrganisationFactory.create(is_supplier=True))
        accreditation = complete(by)
        request = accreditations.prepare(accreditation.pk, by=by, at=NOON)
        cms = signed(request)

        answers = at_the_same_time(
            *[lambda: accreditations.submit(accreditation.pk, request, cms, by=by, at=NOON).status] * 2
        )

        assert answers == [S.SUBMITTED, S.SUBMITTED]
        assert AuditRecord.objects.filter(action="accreditation_submitted").count() == 1
