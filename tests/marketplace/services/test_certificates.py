"""The owner of a certificate that ends is told in time, once for each step."""

from __future__ import annotations

from datetime import timedelta

import pytest

from marketplace.models import Notification
from marketplace.services import certificates
from tests.factories.marketplace import NOON, OrganisationFactory, member
from tests.factories.signatures import recorded_certificate as certificate

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


class TestReminders:
    def test_the_owner_is_told_at_30_14_and_3_days_once_each(self) -> None:
        owner = member(OrganisationFactory.create())
        ends = NOON + 40 * DAY
        certificate(owner, ends)

        told = [certificates.remind(at=NOON + days * DAY) for days in (0, 9, 10, 11, 26, 27, 37, 38, 40, 50)]

        assert told == [0, 0, 1, 0, 1, 0, 1, 0, 0, 0]
        words = Notification.objects.filter(person=owner.person, kind="certificate_ends_soon").order_by("pk")
        assert ["within 30 days" in words[0].text, "within 14 days" in words[1].text] == [True, True]
        assert "within 3 days" in words[2].text

    def test_one_found_late_is_told_the_nearest_step_only(self) -> None:
        owner = member(OrganisationFactory.create())
        certificate(owner, NOON + 2 * DAY)

        assert [certificates.remind(at=NOON), certificates.remind(at=NOON + DAY)] == [1, 0]

    def test_who_signs_with_a_newer_one_is_left_in_peace(self) -> None:
        owner = member(OrganisationFactory.create())
        certificate(owner, NOON + 2 * DAY)
        certificate(owner, NOON + 300 * DAY, serial="2")

        assert certificates.remind(at=NOON) == 0
