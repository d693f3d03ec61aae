"""Valid people and organisations."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import factory
from factory.django import DjangoModelFactory

from marketplace.models import (
    Accreditation,
    AccreditationStatus,
    Heading,
    Membership,
    Organisation,
    OrganisationIdentifier,
    OrganisationStatus,
    Person,
    Plan,
    Role,
    Scheme,
    Side,
    StaffRole,
    Subscription,
    SubscriptionStatus,
)
from marketplace.permissions import Actor, actor_for

# The factories' "now": tests that care give their own times.
NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
PASSWORD = "correct horse battery"


class PersonFactory(DjangoModelFactory[Person]):
    class Meta:
        model = Person
        skip_postgeneration_save = True

    email = factory.Sequence(lambda n: f"person{n}@example.com")
    full_name = factory.Sequence(lambda n: f"Person {n}")
    position = "Manager"
    password = factory.django.Password(PASSWORD)


class HeadingFactory(DjangoModelFactory[Heading]):
    class Meta:
        model = Heading

    code = factory.Sequence(lambda n: f"{30000000 + n}")
    name = factory.Sequence(lambda n: f"Heading {n}")


class OrganisationFactory(DjangoModelFactory[Organisation]):
    """A registered German company with a VAT number; neither buyer nor supplier unless said."""

    class Meta:
        model = Organisation
        skip_postgeneration_save = True

    country = "DE"
    legal_form = "GmbH"
    full_name = factory.Sequence(lambda n: f"Company {n} GmbH")
    short_name = factory.Sequence(lambda n: f"Company {n}")
    status = OrganisationStatus.REGISTERED
    email = factory.Sequence(lambda n: f"office{n}@example.com")
    created_at = NOON
    registered_at = NOON

    @factory.post_generation
    def identifier(self: Organisation, create: bool, value: str | None, **_: Any) -> None:
        if create:
            OrganisationIdentifier.objects.create(
                organisation=self, country=self.country, scheme=Scheme.VAT, value=value or f"DE{811000000 + self.pk}"
            )


class MembershipFactory(DjangoModelFactory[Membership]):
    class Meta:
        model = Membership

    person = factory.SubFactory(PersonFactory)
    organisation = factory.SubFactory(OrganisationFactory)
    roles = [role.value for role in Role]
    created_at = NOON


class AccreditationFactory(DjangoModelFactory[Accreditation]):
    class Meta:
        model = Accreditation

    organisation = factory.SubFactory(OrganisationFactory)
    side = Side.SUPPLIER
    status = AccreditationStatus.ACCEPTED
    created_at = NOON
    submitted_at = NOON
    decided_at = NOON
    valid_until = NOON + timedelta(days=3650)


class PlanFactory(DjangoModelFactory[Plan]):
    """A plan that permits everything."""

    class Meta:
        model = Plan

    code = factory.Sequence(lambda n: f"plan-{n}")
    name = "Unlimited"
    price = "1000.00"
    currency = "EUR"
    vat_rate = "19.00"
    period_days = 365
    permits: dict[str, Any] = {}


class SubscriptionFactory(DjangoModelFactory[Subscription]):
    class Meta:
        model = Subscription

    organisation = factory.SubFactory(OrganisationFactory)
    plan = factory.SubFactory(PlanFactory)
    status = SubscriptionStatus.ACTIVE
    requested_at = NOON
    starts_at = NOON - timedelta(days=365)
    ends_at = NOON + timedelta(days=3650)


def member(organisation: Organisation, *roles: Role) -> Actor:
    """A new person of the organisation, acting for it; with every role unless some are named."""
    membership = MembershipFactory.create(
        organisation=organisation, roles=[role.value for role in (roles or tuple(Role))]
    )
    return actor_for(membership.person, organisation)


def staff(*roles: StaffRole) -> Actor:
    """A new person of the platform's staff."""
    return actor_for(PersonFactory.create(staff_roles=[role.value for role in roles]))


def accredited_buyer(**fields: Any) -> Organisation:
    """A registered buyer whom the operator has accredited."""
    organisation = OrganisationFactory.create(is_buyer=True, **fields)
    AccreditationFactory.create(organisation=organisation, side=Side.BUYER)
    return organisation


def accredited_supplier(**fields: Any) -> Organisation:
    """A registered, accredited supplier whose tariff permits everything."""
    organisation = OrganisationFactory.create(is_supplier=True, **fields)
    AccreditationFactory.create(organisation=organisation, side=Side.SUPPLIER)
    SubscriptionFactory.create(organisation=organisation)
    return organisation
