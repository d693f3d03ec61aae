"""What waits for each kind of person on the first page, and their notifications."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from marketplace import waiting
from marketplace.models import (
    AccreditationStatus,
    Notification,
    Organisation,
    OrganisationStatus,
    Person,
    Role,
    Side,
    StaffRole,
)
from marketplace.permissions import Actor
from marketplace.queries import waiting as own
from marketplace.services.notifications import notify
from tests.factories.clients import text_of
from tests.factories.marketplace import (
    NOON,
    AccreditationFactory,
    OrganisationFactory,
    PersonFactory,
    accredited_supplier,
    member,
    staff,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _now(freeze: Callable[..., Any]) -> None:
    freeze(NOON)


def told(actor: Actor) -> list[str]:
    return [str(task.text) for task in own.tasks(actor, NOON)]


class TestTasks:
    def test_an_unfinished_registration(self) -> None:
        assert told(member(OrganisationFactory.create(status=OrganisationStatus.DRAFT))) == [
            "Finish the registration of your organisation"
        ]

    def test_a_new_supplier_is_led_on(self) -> None:
        assert told(member(OrganisationFactory.create(is_supplier=True))) == [
            "Ask for accreditation as a supplier",
            "Choose a tariff",
        ]

    def test_an_accredited_supplier_with_a_tariff_is_left_alone(self) -> None:
        assert told(member(accredited_supplier())) == []

    def test_what_ends_soon_is_said(self) -> None:
        supplier = accredited_supplier()
        supplier.accreditations.update(valid_until=NOON + timedelta(days=5))
        supplier.subscriptions.update(ends_at=NOON + timedelta(days=6))
        assert told(member(supplier)) == ["Renew the accreditation as a supplier", "Renew your tariff"]

    def test_a_returned_request_comes_with_its_reasons(self) -> None:
        supplier = accredited_supplier()
        supplier.accreditations.update(status=AccreditationStatus.RETURNED, reasons="The charter is missing.")
        (task,) = own.tasks(member(supplier), NOON)
        assert (str(task.text), task.note) == ("Your accreditation request was returned", "The charter is missing.")

    def test_who_cannot_act_on_it_is_not_bothered(self) -> None:
        assert told(member(OrganisationFactory.create(is_supplier=True), Role.OBSERVER)) == []

    def test_the_operator_sees_the_queue_with_its_age(self) -> None:
        AccreditationFactory.create_batch(
            2, status=AccreditationStatus.SUBMITTED, submitted_at=NOON - timedelta(hours=5), side=Side.BUYER
        )
        (task,) = own.tasks(staff(StaffRole.OPERATOR), NOON)
        assert (str(task.text), task.note, task.count) == (
            "2 accreditation requests to decide",
            "the oldest for 5 hours",
            2,
        )


class TestPage:
    def test_somebody_without_an_organisation_is_told_what_to_do(self, client: Client) -> None:
        client.force_login(PersonFactory.create())
        page = text_of(client.get("/"))
        assert "ask them to invite you" in page
        assert "Register your organisation" in page

    @pytest.mark.parametrize("roles", [[role] for role in StaffRole])
    def test_it_opens_for_the_platforms_people(self, client: Client, roles: list[str]) -> None:
        client.force_login(PersonFactory.create(staff_roles=roles))
        assert client.get("/").status_code == 200

    def test_it_opens_for_members(self, client: Client) -> None:
        supplier: Organisation = OrganisationFactory.create(is_supplier=True, is_buyer=True)
        actor = member(supplier)
        client.force_login(actor.person)  # type: ignore[arg-type]
        assert "Ask for accreditation as a buyer" in text_of(client.get("/"))

    def test_what_other_apps_register_is_shown_earliest_first(
        self, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        late = waiting.Task("Open the bids", "/x/", due_at=NOON + timedelta(days=2))
        soon = waiting.Task("Answer a question", "/y/", due_at=NOON + timedelta(hours=1))
        monkeypatch.setattr(waiting, "_tasks", [lambda actor, at: [late, waiting.Task("Read", "/z/"), soon]])
        client.force_login(PersonFactory.create())
        page = text_of(client.get("/"))
        assert page.index("Answer a question") < page.index("Open the bids") < page.index("Read")


class TestNotifications:
    @pytest.fixture
    def reader(self, client: Client) -> Person:
        person: Person = PersonFactory.create()
        client.force_login(person)
        return person

    def test_the_list_with_nothing_says_what_comes_here(self, client: Client, reader: Person) -> None:
        assert "No notifications yet" in text_of(client.get("/notifications/"))

    def test_following_marks_as_read(self, client: Client, reader: Person) -> None:
        notify(reader, "news", "You won lot 1.", "/account/", at=NOON, mail=False)
        one = Notification.objects.get()
        assert "You won lot 1." in text_of(client.get("/notifications/?show=new"))
        assert client.get(f"/notifications/{one.pk}/")["Location"] == "/account/"
        assert "Nothing new" in text_of(client.get("/notifications/?show=new"))
        assert "You won lot 1." in text_of(client.get("/notifications/"))

    def test_it_leads_to_this_site_only(self, client: Client, reader: Person) -> None:
        notify(reader, "news", "Look", "https://evil.example/", at=NOON, mail=False)
        assert client.get(f"/notifications/{Notification.objects.get().pk}/")["Location"] == "/notifications/"

    def test_anothers_is_not_there(self, client: Client, reader: Person) -> None:
        notify(PersonFactory.create(), "news", "Secret", at=NOON, mail=False)
        assert client.get(f"/notifications/{Notification.objects.get().pk}/").status_code == 404

    def test_all_are_marked_as_read(self, client: Client, reader: Person) -> None:
        for number in range(3):
            notify(reader, "news", f"News {number}", at=NOON, mail=False)
        client.post("/notifications/read/")
        assert Notification.objects.filter(read_at=None).count() == 0

    def test_the_bell_counts_what_is_new(self, client: Client, reader: Person) -> None:
        notify(reader, "news", "News", at=NOON, mail=False)
        assert "1 new notification" in text_of(client.get("/account/"))

    def test_the_list_is_paged(self, client: Client, reader: Person) -> None:
        for number in range(31):
            notify(reader, "news", f"News {number}", at=NOON, mail=False)
        page = client.get("/notifications/")
        assert len(page.context["list"].rows) == 30
        assert len(client.get("/notifications/" + page.context["list"].next_url).context["list"].rows) == 1
