"""The companies of the demo world and their people, written in bulk."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from io import StringIO

from django.core.management import call_command

from marketplace.models import (
    Accreditation,
    AccreditationStatus,
    Address,
    AddressKind,
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
    Subscription,
    SubscriptionStatus,
)
from procurement.demo.goods import LINES, Line
from procurement.demo.names import BUYER_TRADES, COUNTRIES, POSITIONS, SUPPLIER_TRADES, Country, Namer, vat_number

# Nobody logs in as these: Django treats a password that begins so as unusable.
NO_PASSWORD = "!demo"


@dataclass(slots=True)
class Company:
    """A company of the demo world: its row, its one person, what it trades in, and how it behaves."""

    organisation: Organisation
    country: Country
    person: Person
    city: str
    lines: tuple[Line, ...]
    # A buyer's size multiplies its quantities; a supplier's factor its prices.
    size: float = 1.0
    membership: Membership | None = None
    headings: tuple[Heading, ...] = field(default=())


def make_headings() -> dict[str, Heading]:
    """The headings of the demo's lines, by code, loaded with all others."""
    call_command("load_headings", verbosity=0, stdout=StringIO())
    return {heading.code: heading for heading in Heading.objects.filter(code__in=[line.code for line in LINES])}


def make_companies(
    rng: random.Random, *, buyers: int, suppliers: int, now: datetime, headings: dict[str, Heading]
) -> tuple[list[Company], list[Company]]:
    """`buyers` and `suppliers` registered and accredited companies with a person each; suppliers with a paid tariff."""
    namer = Namer(rng)
    made_buyers = [_draft(rng, namer, now, is_buyer=True) for _ in range(buyers)]
    made_suppliers = [_draft(rng, namer, now, is_buyer=False) for _ in range(suppliers)]
    # Every line has suppliers enough for competition.
    for number, company in enumerate(made_suppliers):
        first = LINES[number % len(LINES)]
        company.lines = (first, *rng.sample([line for line in LINES if line is not first], rng.randint(2, 6)))
    _write([*made_buyers, *made_suppliers], rng, now, headings)
    _subscribe(made_suppliers, rng, now)
    return made_buyers, made_suppliers


def from_database(rng: random.Random, organisation_ids: Sequence[int], line: Line) -> list[Company]:
    """Companies made earlier, in the order asked for, as traders of one line who quote close to each other."""
    countries = {country.code: country for country in COUNTRIES}
    members = {
        member.organisation_id: member
        for member in Membership.objects.filter(organisation__in=organisation_ids)
        .select_related("organisation", "person")
        .order_by("-pk")
    }
    found = []
    for organisation_id in organisation_ids:
        member = members[organisation_id]
        country = countries[member.organisation.country]
        legal = member.organisation.addresses.filter(kind=AddressKind.LEGAL).first()
        city = legal.city if legal else country.cities[0][0]
        size = rng.uniform(0.97, 1.05)
        found.append(Company(member.organisation, country, member.person, city, (line,), size, member))
    return found


def _draft(rng: random.Random, namer: Namer, now: datetime, *, is_buyer: bool) -> Company:
    country = rng.choices(COUNTRIES, weights=[6, 3, 3, 2, 2, 2, 2])[0]
    short, full, form = namer.company(country, BUYER_TRADES if is_buyer else SUPPLIER_TRADES)
    city, _code = rng.choice(country.cities)
    since = now - timedelta(days=rng.randint(400, 900), hours=rng.randint(0, 9))
    organisation = Organisation(
        country=country.code,
        legal_form=form,
        full_name=full,
        short_name=short,
        status=OrganisationStatus.REGISTERED,
        is_buyer=is_buyer,
        is_supplier=not is_buyer,
        created_at=since,
        registered_at=since + timedelta(minutes=18),
    )
    person = Person(
        full_name=namer.person(country),
        position=rng.choice(POSITIONS),
        time_zone=country.time_zone,
        password=NO_PASSWORD,
    )
    lines = tuple(rng.sample(LINES, rng.randint(5, 12))) if is_buyer else ()
    size = rng.lognormvariate(0, 0.6) if is_buyer else rng.uniform(0.93, 1.1)
    return Company(organisation, country, person, city, lines, size)


def _write(companies: Sequence[Company], rng: random.Random, now: datetime, headings: dict[str, Heading]) -> None:
    for number, company in enumerate(companies, start=1):
        slug = f"{'buyer' if company.organisation.is_buyer else 'supplier'}{number}"
        company.organisation.email = f"office@{slug}.example.com"
        company.organisation.website = f"https://{slug}.example.com"
        company.organisation.phone = f"{company.country.phone}{rng.randint(100, 999)}"
        company.person.email = f"contact@{slug}.example.com"
    Organisation.objects.bulk_create([company.organisation for company in companies])
    Person.objects.bulk_create([company.person for company in companies])
    identifiers, addresses, memberships, accreditations = [], [], [], []
    offered: list[tuple[int, int]] = []
    consumed: list[tuple[int, int]] = []
    for company in companies:
        organisation = company.organisation
        identifiers.append(
            OrganisationIdentifier(
                organisation=organisation,
                country=organisation.country,
                scheme=Scheme.VAT,
                value=vat_number(company.country, rng),
            )
        )
        code = dict(company.country.cities)[company.city]
        street = f"{rng.choice(company.country.streets)} {rng.randint(1, 140)}"
        addresses += [
            Address(
                organisation=organisation,
                kind=kind,
                country=organisation.country,
                city=company.city,
                postal_code=code,
                street=street,
            )
            for kind in AddressKind
        ]
        company.membership = Membership(
            organisation=organisation,
            person=company.person,
            roles=[role.value for role in Role],
            created_at=organisation.created_at,
        )
        memberships.append(company.membership)
        decided = organisation.created_at + timedelta(days=2)
        accreditations.append(
            Accreditation(
                organisation=organisation,
                side=Side.BUYER if organisation.is_buyer else Side.SUPPLIER,
                status=AccreditationStatus.ACCEPTED,
                created_at=organisation.created_at,
                submitted_at=organisation.created_at + timedelta(hours=3),
                submitted_by=company.person,
                decided_at=decided,
                valid_until=decided + timedelta(days=3 * 365),
            )
        )
        company.headings = tuple(headings[line.code] for line in company.lines)
        through = consumed if organisation.is_buyer else offered
        through.extend((organisation.pk, heading.pk) for heading in company.headings)
    OrganisationIdentifier.objects.bulk_create(identifiers)
    Address.objects.bulk_create(addresses)
    Membership.objects.bulk_create(memberships)
    Accreditation.objects.bulk_create(accreditations)
    headings_offered, headings_consumed = Organisation.headings_offered.through, Organisation.headings_consumed.through
    headings_offered.objects.bulk_create(
        [headings_offered(organisation_id=organisation, heading_id=heading) for organisation, heading in offered]
    )
    headings_consumed.objects.bulk_create(
        [headings_consumed(organisation_id=organisation, heading_id=heading) for organisation, heading in consumed]
    )


def _subscribe(suppliers: Sequence[Company], rng: random.Random, now: datetime) -> None:
    """Most have the largest plan, as most bid everywhere, in live auctions too; each runs for months yet."""
    plans = [
        plan
        for plan in Plan.objects.filter(side=Side.SUPPLIER, active=True).order_by("rank")
        if plan.permits.get("live_auctions", True)
    ]
    subscriptions = []
    for supplier in suppliers:
        starts = now - timedelta(days=rng.randint(60, 250))
        plan = plans[-1] if rng.random() < 0.8 else rng.choice(plans)
        subscriptions.append(
            Subscription(
                organisation=supplier.organisation,
                plan=plan,
                status=SubscriptionStatus.ACTIVE,
                requested_at=starts,
                requested_by=supplier.person,
                starts_at=starts,
                ends_at=starts + timedelta(days=365),
            )
        )
    Subscription.objects.bulk_create(subscriptions)
