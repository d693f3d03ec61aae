"""From a draft to a registered organisation, and what may change afterwards."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from marketplace.models import (
    AddressKind,
    AuditRecord,
    Membership,
    Organisation,
    OrganisationIdentifier,
    OrganisationStatus,
    Role,
    SigningRequest,
)
from marketplace.permissions import Actor, RoleMissing, actor_for
from marketplace.services import organisations, registration, signing
from marketplace.services.organisations import TAKEN, AddressDetails, Requisites
from marketplace.shared.errors import Invalid, NotFound, StaleForm
from tests.factories.at_once import at_the_same_time
from tests.factories.marketplace import NOON, HeadingFactory, OrganisationFactory, PersonFactory, member
from tests.factories.signatures import authority, certificate_of, signed, trust

pytestmark = pytest.mark.django_db

ACME = Requisites(
    country="DE",
    legal_form="GmbH",
    full_name="Acme Maschinenbau GmbH",
    short_name="Acme",
    email="office@acme.example",
    is_supplier=True,
    identifiers={"VAT": "DE 136 695 976"},
)
BERLIN = AddressDetails("DE", "Berlin", "Unter den Linden 1", postal_code="10117")


def newcomer() -> Actor:
    return Actor(PersonFactory.create())


def drafted(requisites: Requisites = ACME) -> tuple[Organisation, Actor]:
    person = newcomer()
    organisation = registration.open_draft(requisites, by=person, at=NOON)
    assert person.person
    return organisation, actor_for(person.person, organisation)


def complete_draft() -> tuple[Organisation, Actor]:
    organisation, actor = drafted()
    organisation = organisations.save_addresses(
        organisation.pk, {AddressKind.LEGAL: BERLIN}, version=organisation.version, by=actor, at=NOON
    )
    organisation = organisations.save_headings(
        organisation.pk,
        offered=[HeadingFactory.create().pk],
        consumed=[],
        version=organisation.version,
        by=actor,
        at=NOON,
    )
    return organisation, actor


class TestDraft:
    def test_the_first_person_gets_every_working_role(self) -> None:
        organisation, actor = drafted()
        assert organisation.status == OrganisationStatus.DRAFT
        assert Membership.objects.get().roles == [role.value for role in Role if role is not Role.OBSERVER]
        assert [str(number) for number in organisation.identifiers.all()] == ["VAT DE136695976"]
        assert actor.has(Role.ADMINISTRATOR)

    def test_a_second_call_writes_to_the_same_draft(self) -> None:
        organisation, actor = drafted()
        again = registration.open_draft(replace(ACME, short_name="Acme 2"), by=actor, at=NOON)
        assert again.pk == organisation.pk
        assert Organisation.objects.get().short_name == "Acme 2"

    @pytest.mark.parametrize(
        ("wrong", "field"),
        [
            ({"country": "XX"}, "country"),
            ({"full_name": " "}, "full_name"),
            ({"is_supplier": False}, "is_buyer"),
            ({"identifiers": {"VAT": "DE136695977"}}, "identifier_VAT"),
            ({"identifiers": {}}, "identifier_VAT"),
        ],
    )
    def test_what_is_wrong_is_told_by_field_and_nothing_is_written(self, wrong: dict[str, object], field: str) -> None:
        with pytest.raises(Invalid) as refused:
            registration.open_draft(replace(ACME, **wrong), by=newcomer(), at=NOON)  # type: ignore[arg-type]
        assert list(refused.value.errors) == [field]
        assert Organisation.objects.count() == 0

    def test_a_registered_number_is_refused_with_the_way_out(self) -> None:
        OrganisationFactory.create(identifier="DE136695976")
        with pytest.raises(Invalid) as refused:
            drafted()
        assert refused.value.errors == {"identifier_VAT": [TAKEN]}

    def test_an_unfinished_registration_reserves_no_number(self) -> None:
        first, _actor = drafted()
        second, _other = drafted()
        assert list(first.identifiers.all()) == []
        assert [number.value for number in second.identifiers.all()] == ["DE136695976"]
        assert registration.missing(first)[0].step == "company"

    def test_a_form_opened_before_a_change_is_told_what_changed(self) -> None:
        organisation, actor = drafted()
        opened = organisation.version
        organisations.save_requisites(
            organisation.pk, replace(ACME, phone="+4930111111"), version=opened, by=actor, at=NOON
        )
        with pytest.raises(StaleForm) as stale:
            organisations.save_requisites(
                organisation.pk, replace(ACME, short_name="Other"), version=opened, by=actor, at=NOON
            )
        assert [str(change) for change in stale.value.changes] == [f"{actor.person} changed: phone."]
        organisation.refresh_from_db()
        assert organisation.short_name == "Acme"

    def test_saving_the_same_again_changes_nothing(self) -> None:
        organisation, actor = drafted()
        before = (organisation.version, AuditRecord.objects.count())
        organisations.save_requisites(organisation.pk, ACME, version=organisation.version, by=actor, at=NOON)
        organisation.refresh_from_db()
        assert (organisation.version, AuditRecord.objects.count()) == before

    def test_too_many_headings_are_refused(self) -> None:
        organisation, actor = drafted()
        with pytest.raises(organisations.TooManyHeadings):
            organisations.save_headings(
                organisation.pk,
                offered=[heading.pk for heading in HeadingFactory.create_batch(61)],
                consumed=[],
                version=organisation.version,
                by=actor,
                at=NOON,
            )


class TestSigning:
    def test_what_is_missing_is_told_in_the_order_of_the_steps(self) -> None:
        organisation, actor = drafted()
        assert [(gap.step, str(gap.text)) for gap in registration.missing(organisation)] == [
            ("addresses", "There is no legal address yet."),
            ("addresses", "Choose at least one heading that you offer."),
        ]
        with pytest.raises(registration.RegistrationIncomplete, match="no legal address"):
            registration.prepare(organisation.pk, by=actor, at=NOON)

    def test_a_signature_that_passes_registers(self) -> None:
        trust()
        organisation, actor = complete_draft()
        request = registration.prepare(organisation.pk, by=actor, at=NOON)
        done = registration.complete(
            organisation.pk, request, signed(request), by=actor, at=NOON + timedelta(minutes=1)
        )
        assert (done.status, done.registered_at) == (OrganisationStatus.REGISTERED, NOON + timedelta(minutes=1))
        assert AuditRecord.objects.filter(stream=f"organisation:{organisation.pk}").last().action == (  # type: ignore[union-attr]
            "organisation_registered"
        )

    def test_a_foreign_certificate_is_refused_and_the_draft_stays(self) -> None:
        trust()
        organisation, actor = complete_draft()
        request = registration.prepare(organisation.pk, by=actor, at=NOON)
        foreign = certificate_of(OrganisationFactory.create())
        with pytest.raises(signing.SignatureRefused, match="registration number"):
            registration.complete(organisation.pk, request, signed(request, foreign), by=actor, at=NOON)
        organisation.refresh_from_db()
        assert organisation.status == OrganisationStatus.DRAFT
        # The same request still takes a good signature.
        assert registration.complete(organisation.pk, request, signed(request), by=actor, at=NOON).pk == organisation.pk

    def test_an_expired_certificate_is_refused(self) -> None:
        trust()
        organisation, actor = complete_draft()
        request = registration.prepare(organisation.pk, by=actor, at=NOON)
        expired = authority().issue(
            person="A",
            organisation="Acme",
            identifiers=signing.identifiers_of(organisation),
            at=NOON - timedelta(days=20),
            validity=timedelta(days=10),
        )
        with pytest.raises(signing.SignatureRefused, match="period of validity"):
            registration.complete(organisation.pk, request, signed(request, expired), by=actor, at=NOON)

    def test_what_was_changed_after_preparing_must_be_signed_anew(self) -> None:
        trust()
        organisation, actor = complete_draft()
        request = registration.prepare(organisation.pk, by=actor, at=NOON)
        organisations.save_requisites(
            organisation.pk, replace(ACME, short_name="Acme 2"), version=organisation.version, by=actor, at=NOON
        )
        with pytest.raises(StaleForm):
            registration.complete(organisation.pk, request, signed(request), by=actor, at=NOON)

    def test_registering_twice_is_refused(self) -> None:
        trust()
        organisation, actor = complete_draft()
        request = registration.prepare(organisation.pk, by=actor, at=NOON)
        registration.complete(organisation.pk, request, signed(request), by=actor, at=NOON)
        with pytest.raises(registration.AlreadyRegistered):
            registration.complete(organisation.pk, request, signed(request), by=actor, at=NOON)

    def test_only_a_signer_of_the_organisation_signs(self) -> None:
        organisation, _actor = complete_draft()
        with pytest.raises(RoleMissing):
            registration.prepare(organisation.pk, by=member(organisation, Role.ADMINISTRATOR), at=NOON)
        with pytest.raises(NotFound):
            registration.prepare(organisation.pk, by=member(OrganisationFactory.create()), at=NOON)
        assert SigningRequest.objects.count() == 0


class TestRegistered:
    def test_requisites_change_and_the_version_rises(self) -> None:
        organisation = OrganisationFactory.create(is_supplier=True, identifier="DE136695976")
        actor = member(organisation, Role.ADMINISTRATOR)
        organisations.save_requisites(organisation.pk, ACME, version=1, by=actor, at=NOON)
        organisation.refresh_from_db()
        assert (organisation.full_name, organisation.version) == ("Acme Maschinenbau GmbH", 2)
        entry = AuditRecord.objects.get(stream=f"organisation:{organisation.pk}")
        assert entry.details["values"]["short_name"][1] == "Acme"

    def test_a_registered_number_stays(self) -> None:
        organisation = OrganisationFactory.create(identifier="DE136695976")
        with pytest.raises(organisations.RegisteredNumberFixed) as refused:
            organisations.save_requisites(
                organisation.pk,
                replace(ACME, identifiers={"VAT": "DE811569869"}),
                version=1,
                by=member(organisation),
                at=NOON,
            )
        assert refused.value.field == "identifier_VAT"

    def test_a_missing_number_may_be_added(self) -> None:
        organisation = OrganisationFactory.create(identifier="DE136695976")
        more = replace(ACME, identifiers={"VAT": "DE136695976", "NTR": "HRB 11223"})
        organisations.save_requisites(organisation.pk, more, version=1, by=member(organisation), at=NOON)
        assert {n.scheme: n.value for n in organisation.identifiers.all()} == {"VAT": "DE136695976", "NTR": "HRB11223"}

    def test_others_may_not_change_it(self) -> None:
        organisation = OrganisationFactory.create()
        with pytest.raises(RoleMissing):
            organisations.save_requisites(
                organisation.pk, ACME, version=1, by=member(organisation, Role.SIGNER), at=NOON
            )
        with pytest.raises(NotFound):
            organisations.save_requisites(
                organisation.pk, ACME, version=1, by=member(OrganisationFactory.create()), at=NOON
            )

    def test_an_address_that_is_not_given_is_removed(self) -> None:
        organisation = OrganisationFactory.create()
        actor = member(organisation)
        both = {AddressKind.LEGAL: BERLIN, AddressKind.POSTAL: replace(BERLIN, street="PO box 7")}
        organisations.save_addresses(organisation.pk, both, version=1, by=actor, at=NOON)
        organisations.save_addresses(organisation.pk, {AddressKind.LEGAL: BERLIN}, version=2, by=actor, at=NOON)
        assert [address.kind for address in organisation.addresses.all()] == ["legal"]


@pytest.mark.django_db(transaction=True)
def test_two_registrations_of_one_number_at_once_leave_it_with_one() -> None:
    one, another = newcomer(), newcomer()
    saved = at_the_same_time(
        lambda: registration.open_draft(ACME, by=one, at=NOON),
        lambda: registration.open_draft(ACME, by=another, at=NOON),
    )
    assert OrganisationIdentifier.objects.count() == 1
    assert [answer for answer in saved if not isinstance(answer, Invalid)] != []
    assert not any(isinstance(answer, Exception) and not isinstance(answer, Invalid) for answer in saved)


@pytest.mark.django_db(transaction=True)
def test_a_double_click_makes_one_draft() -> None:
    person = newcomer()
    made = at_the_same_time(*[lambda: registration.open_draft(ACME, by=person, at=NOON)] * 2)
    assert not any(isinstance(answer, Exception) for answer in made)
    assert Organisation.objects.count() == 1
