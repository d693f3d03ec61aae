"""The people a newcomer logs in as, the platform's staff, and everybody's signing certificates."""

from __future__ import annotations

import json
import random
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from allauth.account.models import EmailAddress
from django.contrib.auth.hashers import make_password
from django.db import transaction

from marketplace.models import Heading, Organisation, OrganisationIdentifier, Person, Scheme, StaffRole, TrustKind
from marketplace.services import revocation, trust_store
from marketplace.signatures.authority import Authority
from marketplace.signatures.sign import Credential
from procurement.demo.companies import Company
from procurement.demo.goods import LINES
from procurement.demo.names import COUNTRIES, vat_number

PASSWORD = "demo-openlot"
AUTHORITY = "authority"
_CERTIFICATES_LAST = timedelta(days=1100)
_LISTS_LAST = timedelta(days=800)
# Certificates of people who are not in this world.
_REVOKED = 37


@dataclass(frozen=True, slots=True)
class Part:
    """A named person of the demo: the first buyer and the first suppliers get these names."""

    role: str
    name: str
    email: str
    position: str
    company: tuple[str, str, str] = ("", "", "")
    staff: tuple[StaffRole, ...] = ()


BUYER = Part(
    "Buyer", "Anna Wiesner", "anna@hallerbach.example.com", "Head of procurement",
    ("Hallerbach Maschinenbau", "Hallerbach Maschinenbau GmbH", "GmbH"),
)  # fmt: skip
SUPPLIERS = (
    Part(
        "Supplier", "Jonas Krahl", "jonas@nordwerk.example.com", "Sales director",
        ("Nordwerk Industriebedarf", "Nordwerk Industriebedarf GmbH", "GmbH"),
    ),
    Part(
        "Second supplier", "Claire Moreau", "claire@lavigne.example.com", "Key account manager",
        ("Lavigne Fournitures", "Lavigne Fournitures SAS", "SAS"),
    ),
)  # fmt: skip
# The buyer's colleagues, with whom she holds the keys of some procedures. They open their shares with the log-in's
# password.
COMMITTEE = (
    Part("Committee member", "Bruno Falk", "bruno@hallerbach.example.com", "Head of production"),
    Part("Committee member", "Nadia Roth", "nadia@hallerbach.example.com", "Controller"),
)
STAFF = (
    Part("Operator", "Olena Marchenko", "operator@openlot.example.com", "Operations", staff=(StaffRole.OPERATOR,)),
    Part("Tariff manager", "Tariq Haddad", "tariffs@openlot.example.com", "Finance", staff=(StaffRole.TARIFF_MANAGER,)),
    Part("Representative", "Rosa Lindqvist", "sales@openlot.example.com", "Sales", staff=(StaffRole.REPRESENTATIVE,)),
    Part(
        "Second representative",
        "Davit Beridze",
        "sales2@openlot.example.com",
        "Sales",
        staff=(StaffRole.REPRESENTATIVE,),
    ),
    Part(
        "Sales manager",
        "Ingrid Solberg",
        "sales-manager@openlot.example.com",
        "Head of sales",
        staff=(StaffRole.SALES_MANAGER,),
    ),
    Part("Auditor", "Aino Salmi", "audit@openlot.example.com", "Internal audit", staff=(StaffRole.AUDITOR,)),
)
# Furniture, computers, fasteners, cable, electrical supplies, protective gear, pumps, valves, packaging, lighting.
COMMON_LINES = (
    *("39130000", "30213000", "44316000", "44320000", "31680000"),
    *("18143000", "42120000", "42130000", "19640000", "31500000"),
)
NEWCOMER = Part(
    "Newcomer (sign up)", "Mira Kranich", "mira@kranich.example.com", "Managing director",
    ("Kranich Handel", "Kranich Handel GmbH", "GmbH"),
)  # fmt: skip


def name_the_first(buyers: list[Company], suppliers: list[Company]) -> None:
    """Give the named people their companies, and put these first: a German buyer, a German and a French supplier."""
    buyer = next(company for company in buyers if company.country.code == "DE")
    buyers.remove(buyer)
    buyers.insert(0, buyer)
    first = next(company for company in suppliers if company.country.code == "DE")
    second = next(company for company in suppliers if company.country.code == "FR")
    for company in (first, second):
        suppliers.remove(company)
    suppliers[:0] = [first, second]
    # Cheap enough to have won something by today.
    first.size = 0.92
    _trade_in_common(first, second)
    password = make_password(PASSWORD)
    for part, company in zip((BUYER, *SUPPLIERS), (buyer, first, second), strict=True):
        short, full, form = part.company
        Organisation.objects.filter(pk=company.organisation.pk).update(
            short_name=short, full_name=full, legal_form=form, email=part.email
        )
        company.organisation.refresh_from_db()
        person = company.person
        person.email, person.full_name, person.position = part.email, part.name, part.position
        person.password = password
        person.save()
        EmailAddress.objects.create(user=person, email=part.email, primary=True, verified=True)


def _trade_in_common(*suppliers: Company) -> None:
    """The named suppliers compete in the same lines, so that each of them meets the other."""
    lines = tuple(line for line in LINES if line.code in COMMON_LINES)
    headings = Heading.objects.filter(code__in=COMMON_LINES)
    for supplier in suppliers:
        supplier.lines = lines
        supplier.organisation.headings_offered.set(headings)


def make_staff() -> None:
    """The platform's own people."""
    for part in STAFF:
        person = Person.objects.create_user(
            part.email, PASSWORD, full_name=part.name, position=part.position, staff_roles=[r.value for r in part.staff]
        )
        EmailAddress.objects.create(user=person, email=part.email, primary=True, verified=True)


class Notary:
    """The demo's certification authority, the trust in it, and a credential for whoever signs."""

    def __init__(self, folder: Path, now: datetime, authority: Authority) -> None:
        self.folder, self.now, self.authority = folder, now, authority
        self._credentials: dict[int, Credential] = {}

    @classmethod
    def load(cls, folder: Path, now: datetime) -> Notary:
        """The notary of a world made earlier."""
        return cls(folder, now, Authority.load(folder / AUTHORITY))

    @transaction.atomic
    def establish(self) -> None:
        """Save the authority and have the platform trust it. Its revocation lists reach back over the made-up past."""
        for number in range(_REVOKED):
            self.authority.revoke((_REVOKED + number) ** 20, self.now - timedelta(days=401 + 9 * number))
        self.authority.save(self.folder / AUTHORITY)
        trust_store.add(TrustKind.ANCHOR, self.authority.root.pem, by=None, at=self.now, note="Demonstration only")
        trust_store.add(
            TrustKind.INTERMEDIATE, self.authority.issuing.pem, by=None, at=self.now, note="Demonstration only"
        )
        for crl in self.authority.crls(self.now - timedelta(days=400), _LISTS_LAST):
            revocation.load_list(crl, by=None, at=self.now)

    def credential(self, company: Company) -> Credential:
        organisation = company.organisation
        found = self._credentials.get(organisation.pk)
        if found is None:
            found = self._credentials[organisation.pk] = self._issue(
                company.person.full_name,
                organisation.full_name,
                organisation.country,
                [one.semantic for one in organisation.identifiers.all()],
            )
        return found

    def hand_out(self, path: str, credential: Credential) -> Path:
        """Write the .p12 a person signs with, and the PEM pair that OpenSSL takes; the password is the log-in's."""
        folder = self.folder / "certificates"
        folder.mkdir(mode=0o700, exist_ok=True)
        return credential.save(folder / path, PASSWORD)[0]

    def newcomer(self, rng: random.Random) -> tuple[str, Path]:
        """A company that has not registered yet: its VAT number and its certificate."""
        country = COUNTRIES[0]
        while True:
            vat = vat_number(country, rng)
            if not OrganisationIdentifier.objects.filter(scheme=Scheme.VAT, value=vat).exists():
                break
        semantic = OrganisationIdentifier(country=country.code, scheme=Scheme.VAT, value=vat).semantic
        credential = self._issue(NEWCOMER.name, NEWCOMER.company[1], country.code, [semantic])
        return vat, self.hand_out("newcomer", credential)

    def _issue(self, person: str, organisation: str, country: str, identifiers: list[str]) -> Credential:
        return self.authority.issue(
            person=person, organisation=organisation, country=country, identifiers=identifiers,
            at=self.now - timedelta(days=500), validity=_CERTIFICATES_LAST,
        )  # fmt: skip


def write_people(folder: Path, notary: Notary, buyer: Company, suppliers: list[Company], rng: random.Random) -> None:
    """people.json: what `make demo` prints."""
    rows: list[dict[str, Any]] = []
    for part, company in zip((BUYER, *SUPPLIERS), (buyer, *suppliers[:2]), strict=True):
        path = notary.hand_out(part.email.partition("@")[0], notary.credential(company))
        rows.append(_row(part, f"{part.name}, {part.company[0]}", PASSWORD, path))
    rows += [_row(part, f"{part.name}, {BUYER.company[0]}", PASSWORD, None) for part in COMMITTEE]
    rows += [_row(part, part.name, PASSWORD, None) for part in STAFF]
    vat, path = notary.newcomer(rng)
    rows.append(_row(NEWCOMER, f"{NEWCOMER.name}, {NEWCOMER.company[1]}, VAT {vat}", "your choice", path))
    (folder / "people.json").write_text(json.dumps(rows, indent=1, ensure_ascii=False))


def _row(part: Part, name: str, password: str, certificate: Path | None) -> dict[str, Any]:
    row: dict[str, Any] = {"role": part.role, "name": name, "email": part.email, "password": password}
    if certificate is not None:
        row["certificate"] = str(certificate)
    return row


def api_secret() -> str:
    return f"olt_{secrets.token_urlsafe(32)}"
