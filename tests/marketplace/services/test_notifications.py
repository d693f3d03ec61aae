"""Who is told what, and that mail leaves only after the commit."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core import mail

from marketplace.models import Membership, Notification, Role, StaffRole
from marketplace.services.notifications import mark_read, notify, notify_staff
from marketplace.shared.errors import NotFound
from tests.factories.marketplace import NOON, MembershipFactory, OrganisationFactory, PersonFactory, member, staff

pytestmark = pytest.mark.django_db


def told() -> list[str]:
    return list(Notification.objects.order_by("pk").values_list("person__email", flat=True))


def test_members_with_a_fitting_role_are_told(django_capture_on_commit_callbacks: Any) -> None:
    acme = OrganisationFactory.create(short_name="Acme")
    signer = MembershipFactory.create(organisation=acme, roles=[Role.SIGNER])
    MembershipFactory.create(organisation=acme, roles=[Role.OBSERVER])
    MembershipFactory.create(organisation=acme, roles=[Role.SIGNER], active=False)
    with django_capture_on_commit_callbacks(execute=True):
        assert notify(acme, "bid_won", "You won lot 1.", "/bids/1/", at=NOON, roles=[Role.SIGNER]) == 1
    assert told() == [signer.person.email]
    assert [(m.to, m.subject) for m in mail.outbox] == [([signer.person.email], "Openlot: You won lot 1.")]
    assert "/bids/1/" in mail.outbox[0].body
    assert "Acme" in mail.outbox[0].body


def test_administrators_are_told_where_nobody_holds_the_role() -> None:
    acme = OrganisationFactory.create()
    boss = MembershipFactory.create(organisation=acme, roles=[Role.ADMINISTRATOR])
    MembershipFactory.create(organisation=acme, roles=[Role.OBSERVER])
    assert notify(acme, "bid_won", "You won.", at=NOON, roles=[Role.SIGNER]) == 1
    assert told() == [boss.person.email]


def test_all_members_are_told_where_no_role_is_named() -> None:
    acme = OrganisationFactory.create()
    members: list[Membership] = MembershipFactory.create_batch(2, organisation=acme, roles=[Role.OBSERVER])
    assert notify(acme, "news", "News.", at=NOON) == 2
    assert told() == [m.person.email for m in members]


def test_no_mail_leaves_before_the_commit() -> None:
    notify(PersonFactory.create(), "news", "News.", at=NOON)
    assert mail.outbox == []


def test_no_mail_where_none_is_wanted(django_capture_on_commit_callbacks: Any) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        notify(PersonFactory.create(), "news", "News.", at=NOON, mail=False)
    assert mail.outbox == []
    assert Notification.objects.count() == 1


def test_a_line_break_does_not_reach_the_subject(django_capture_on_commit_callbacks: Any) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        notify(PersonFactory.create(), "news", "One\nBcc: all@example.com " + "x" * 400, at=NOON)
    assert "\n" not in mail.outbox[0].subject
    assert len(mail.outbox[0].subject) == 120
    assert len(Notification.objects.get().text) == 300


def test_staff_are_told_by_role() -> None:
    operator = staff(StaffRole.OPERATOR)
    staff(StaffRole.AUDITOR)
    assert notify_staff([StaffRole.OPERATOR], "accreditation", "A request came in.", at=NOON) == 1
    assert told() == [operator.person.email if operator.person else ""]


def test_one_or_all_are_marked_as_read() -> None:
    reader = member(OrganisationFactory.create())
    assert reader.person
    for number in range(3):
        notify(reader.person, "news", f"News {number}.", at=NOON, mail=False)
    first = Notification.objects.order_by("pk")[0]
    assert mark_read(reader, at=NOON, notification_id=first.pk) == 1
    assert mark_read(reader, at=NOON + timedelta(hours=1)) == 2
    first.refresh_from_db()
    assert first.read_at == NOON


def test_anothers_notification_cannot_be_marked() -> None:
    notify(PersonFactory.create(), "news", "News.", at=NOON, mail=False)
    with pytest.raises(NotFound):
        mark_read(member(OrganisationFactory.create()), at=NOON, notification_id=Notification.objects.get().pk)
    assert Notification.objects.get().read_at is None
