"""The platform's own pages and acts: who may, what changes, what the trail says."""

from datetime import timedelta
from typing import Any

import pytest
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from marketplace import entitlements
from marketplace.models import (
    AccreditationStatus,
    AuditRecord,
    Heartbeat,
    Notification,
    OrganisationStatus,
    Person,
    Role,
    StaffRole,
    StaffRoleProposal,
)
from marketplace.permissions import Actor
from marketplace.queries import audit as trail
from marketplace.services import staff as service
from marketplace.shared import keys
from marketplace.shared.errors import IllegalTransition, Invalid, NotFound
from tests.factories.clients import client_of
from tests.factories.marketplace import (
    NOON,
    AccreditationFactory,
    MembershipFactory,
    OrganisationFactory,
    PersonFactory,
    accredited_supplier,
    member,
    staff,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("noon")]


class TestSuspending:
    def test_a_suspended_organisation_may_not_bid_until_it_is_restored(self, operator: Actor) -> None:
        supplier = accredited_supplier()
        need = entitlements.Need(entitlements.Action.BID, "tender")
        member(supplier)

        suspended = service.suspend(supplier.pk, "Sanctioned", by=operator, at=NOON)
        refused = entitlements.check(suspended, need, NOON)
        restored = service.restore(supplier.pk, "A mistake", by=operator, at=NOON)

        assert [reason.code for reason in refused.reasons] == ["organisation_suspended"]
        assert entitlements.check(restored, need, NOON).allowed
        actions = AuditRecord.objects.filter(stream=f"organisation:{supplier.pk}").values_list("action", flat=True)
        assert list(actions) == ["organisation_suspended", "organisation_restored"]
        assert Notification.objects.filter(organisation=supplier).count() == 2

    def test_it_takes_a_reason_and_the_right_state(self, operator: Actor) -> None:
        organisation = OrganisationFactory.create()

        with pytest.raises(Invalid):
            service.suspend(organisation.pk, " ", by=operator, at=NOON)
        with pytest.raises(IllegalTransition):
            service.restore(organisation.pk, "Why not", by=operator, at=NOON)

        organisation.refresh_from_db()
        assert organisation.status == OrganisationStatus.REGISTERED

    def test_an_operator_does_not_act_on_their_own_organisation(self, operator: Actor) -> None:
        own = OrganisationFactory.create()
        MembershipFactory.create(person=operator.person, organisation=own)

        with pytest.raises(service.OwnOrganisation):
            service.suspend(own.pk, "A test", by=operator, at=NOON)

    def test_an_auditor_looks_and_changes_nothing(self) -> None:
        organisation, client = OrganisationFactory.create(), client_of(staff(StaffRole.AUDITOR))
        url = reverse("staff_organisation", args=[organisation.pk])

        assert client.get(url).context["may_change"] is False
        assert client.post(url, {"do": "suspend", "reason": "No"}).status_code == 404


class TestRoles:
    def test_an_operator_gives_and_takes_roles(self, operator: Actor) -> None:
        person = PersonFactory.create(email="new@example.com")
        client = client_of(operator)

        client.post(reverse("staff_roles"), {"email": "New@Example.com", "roles": ["auditor", "operator"]})
        person.refresh_from_db()
        assert person.staff_roles == ["operator", "auditor"]
        client.post(reverse("staff_roles"), {"email": "new@example.com"})

        person.refresh_from_db()
        assert person.staff_roles == []
        assert [record.details["after"] for record in AuditRecord.objects.filter(stream="staff")] == [
            ["operator", "auditor"],
            [],
        ]

    def test_a_second_operator_confirms_a_new_one(self, operator: Actor) -> None:
        second, person = staff(StaffRole.OPERATOR), PersonFactory.create(email="new@example.com")
        first_page, second_page = client_of(operator), client_of(second)
        asked = {"email": "new@example.com", "roles": ["operator"]}
        page = first_page.post(reverse("staff_roles"), asked, follow=True)
        assert "Another operator has to confirm" in page.content.decode()
        person.refresh_from_db()
        assert person.staff_roles == []
        assert Notification.objects.get(kind="staff_roles_proposed").person == second.person
        proposal = StaffRoleProposal.objects.get()
        decision = {"do": "confirm", "proposal": str(proposal.pk)}
        page = first_page.post(reverse("staff_roles"), decision, follow=True)
        assert "You proposed this yourself." in page.content.decode()
        for actor in (staff(StaffRole.AUDITOR), Actor(person)):
            with pytest.raises(NotFound):
                service.confirm(proposal.pk, by=actor, at=NOON)
        person.refresh_from_db()
        assert person.staff_roles == []
        assert "Confirm" in second_page.get(reverse("staff_roles")).content.decode()
        second_page.post(reverse("staff_roles"), decision)
        person.refresh_from_db()
        assert person.staff_roles == ["operator"]
        assert [one.action for one in AuditRecord.objects.filter(stream="staff")] == [
            "staff_roles_proposed",
            "staff_roles_changed",
        ]
        page = second_page.post(reverse("staff_roles"), decision, follow=True)
        assert "somebody else has decided meanwhile" in page.content.decode()

    def test_a_proposal_is_turned_down_and_other_roles_need_no_second(self, operator: Actor) -> None:
        second, person = staff(StaffRole.OPERATOR), PersonFactory.create(email="new@example.com")
        service.grant(person.email, ["auditor"], by=operator, at=NOON)
        person.refresh_from_db()
        assert person.staff_roles == ["auditor"]
        service.grant(person.email, ["operator", "auditor"], by=operator, at=NOON)
        service.turn_down(StaffRoleProposal.objects.get().pk, by=second, at=NOON)
        person.refresh_from_db()
        assert (person.staff_roles, StaffRoleProposal.objects.count()) == (["auditor"], 0)

    def test_nobody_changes_their_own_roles(self, operator: Actor) -> None:
        assert operator.person is not None

        with pytest.raises(service.OwnRoles):
            service.grant(operator.person.email, [], by=operator, at=NOON)

    def test_an_unknown_address_is_refused_beside_its_field(self, operator: Actor) -> None:
        page = client_of(operator).post(reverse("staff_roles"), {"email": "who@example.com", "roles": ["auditor"]})

        assert list(page.context["form"].errors) == ["email"]

    def test_others_give_no_roles(self) -> None:
        with pytest.raises(NotFound):
            service.grant("a@example.com", ["operator"], by=staff(StaffRole.AUDITOR), at=NOON)

    def test_the_first_operator_is_made_by_a_command(self) -> None:
        PersonFactory.create(email="first@example.com")

        call_command("staff_role", "first@example.com", "operator")

        assert Person.objects.get(email="first@example.com").staff_roles == ["operator"]
        with pytest.raises(CommandError, match="no role king"):
            call_command("staff_role", "first@example.com", "king")


class TestSecondFactor:
    @pytest.fixture(autouse=True)
    def needed(self, settings: Any) -> None:
        settings.STAFF_NEEDS_SECOND_FACTOR = True

    def test_staff_without_one_are_led_to_set_it_up_and_may_do_nothing_before(self, operator: Actor) -> None:
        client = client_of(operator)
        for route in ("home", "staff_home", "tenders"):
            assert client.get(reverse(route))["Location"] == reverse("mfa_index")
        page = client.get(reverse("mfa_index"))
        assert "work with a second factor" in page.content.decode()
        PersonFactory.create(email="new@example.com")
        asked = {"email": "new@example.com", "roles": ["auditor"]}
        assert client.post(reverse("staff_roles"), asked).status_code == 404
        assert Person.objects.get(email="new@example.com").staff_roles == []

    def test_with_one_they_work(self, operator: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OPENLOT_KEYS", keys.new_key_file_text("test").replace("\n", ";"))
        keys.keyring.cache_clear()
        TOTP.activate(operator.person, generate_totp_secret())
        keys.keyring.cache_clear()
        assert client_of(operator).get(reverse("staff_home")).status_code == 200

    def test_others_need_none(self) -> None:
        assert client_of(member(accredited_supplier())).get(reverse("home")).status_code == 200


class TestAudit:
    def test_it_is_filtered_by_stream_action_and_person(self, operator: Actor) -> None:
        one, two = OrganisationFactory.create(), OrganisationFactory.create()
        other = staff(StaffRole.OPERATOR)
        assert other.person is not None
        service.suspend(one.pk, "A", by=operator, at=NOON)
        service.suspend(two.pk, "B", by=other, at=NOON)
        service.restore(two.pk, "C", by=operator, at=NOON)
        client = client_of(staff(StaffRole.AUDITOR))

        def shown(**query: str) -> list[str]:
            return [row["action"] for row in client.get(reverse("audit_browser"), query).context["rows"]]

        assert shown() == ["Organisation restored", "Organisation suspended", "Organisation suspended"]
        assert shown(stream=f"organisation:{one.pk}") == ["Organisation suspended"]
        assert shown(action="organisation_restored") == ["Organisation restored"]
        assert shown(email=other.person.email) == ["Organisation suspended"]

    def test_the_filter_offers_what_was_recorded_and_costs_one_query(
        self, operator: Actor, django_assert_num_queries: Any
    ) -> None:
        organisation = OrganisationFactory.create()
        service.suspend(organisation.pk, "A", by=operator, at=NOON)
        service.restore(organisation.pk, "B", by=operator, at=NOON)
        service.suspend(organisation.pk, "C", by=operator, at=NOON)

        with django_assert_num_queries(1):
            found = trail.actions()

        assert found == ["organisation_restored", "organisation_suspended"]

    def test_a_whole_chain_is_said_to_be_whole_and_a_changed_one_where_it_breaks(self, operator: Actor) -> None:
        organisation = OrganisationFactory.create()
        service.suspend(organisation.pk, "A", by=operator, at=NOON)
        service.restore(organisation.pk, "B", by=operator, at=NOON)
        client, query = client_of(operator), {"stream": f"organisation:{organisation.pk}", "check": "1"}

        assert client.get(reverse("audit_browser"), query).context["verdict"].holds
        with connection.cursor() as cursor:
            # Somebody with the database's own keys, past the trigger that forbids it.
            cursor.execute("SET session_replication_role = replica")
            cursor.execute("UPDATE marketplace_auditrecord SET action = 'x' WHERE number = 2")
            cursor.execute("SET session_replication_role = DEFAULT")
        verdict = client.get(reverse("audit_browser"), query).context["verdict"]

        assert not verdict.holds
        assert "breaks at record 2" in verdict.text


class TestPages:
    ROUTES = {
        "staff_home": {StaffRole.OPERATOR, StaffRole.TARIFF_MANAGER, StaffRole.AUDITOR},
        "staff_organisations": {StaffRole.OPERATOR, StaffRole.AUDITOR},
        "staff_roles": {StaffRole.OPERATOR},
        "trust_store": {StaffRole.OPERATOR},
        "trust_add": {StaffRole.OPERATOR},
        "trust_lists": {StaffRole.OPERATOR},
        "trust_sources": {StaffRole.OPERATOR},
        "trust_history": {StaffRole.OPERATOR},
        "audit_browser": {StaffRole.OPERATOR, StaffRole.AUDITOR},
        "system_health": {StaffRole.OPERATOR, StaffRole.AUDITOR},
    }

    @pytest.mark.parametrize("route", ROUTES)
    def test_each_role_sees_its_pages_and_learns_of_no_others(self, route: str) -> None:
        answers = {role: client_of(staff(role)).get(reverse(route)).status_code for role in StaffRole}

        assert {role for role, status in answers.items() if status == 200} == self.ROUTES[route]
        assert set(answers.values()) <= {200, 404}
        assert client_of(member(OrganisationFactory.create(), *Role)).get(reverse(route)).status_code == 404

    def test_the_first_page_says_what_waits_and_how_long(self, operator: Actor) -> None:
        AccreditationFactory.create(
            status=AccreditationStatus.SUBMITTED, submitted_at=NOON - timedelta(days=3), valid_until=None
        )
        Heartbeat.objects.create(process="clock", at=NOON - timedelta(minutes=5))

        stats = client_of(operator).get(reverse("staff_home")).context["stats"]

        assert [(str(stat.label), stat.value, stat.note, stat.tone) for stat in stats] == [
            ("Requests for accreditation", 1, "the first for 3 days", "warn"),
            ("Invoices to be paid", 0, "", ""),
            ("Overdue invoices", 0, "", ""),
            ("Outdated revocation lists", 0, "", "good"),
            ("Late time stamps", 0, "", ""),
            ("Processes that do not answer", 1, "", "bad"),
        ]

    def test_organisations_are_found_by_name_and_by_number(self, operator: Actor) -> None:
        organisation = OrganisationFactory.create(short_name="Nordkabel", identifier="DE811569869")
        OrganisationFactory.create()
        client = client_of(operator)

        for query in ("nordk", "DE811569869", "de 811 569 869"):
            rows = client.get(reverse("staff_organisations"), {"q": query}).context["list"].rows
            assert rows == [organisation]

    def test_the_number_of_queries_does_not_grow_with_the_rows(self, operator: Actor) -> None:
        for route in ("staff_organisations", "staff_roles"):
            client, counts = client_of(operator), []
            for _ in range(3):
                OrganisationFactory.create()
                staff(StaffRole.AUDITOR)
                with CaptureQueriesContext(connection) as queries:
                    client.get(reverse(route))
                counts.append(len(queries))
            assert counts[0] == counts[2]
