"""Invented companies and people. Any likeness to a real one is chance; all e-mail addresses are under example.com."""

from __future__ import annotations

import random
from dataclasses import dataclass

from stdnum.eu import vat


@dataclass(frozen=True, slots=True)
class Country:
    code: str
    legal_forms: tuple[str, ...]
    cities: tuple[tuple[str, str], ...]
    streets: tuple[str, ...]
    time_zone: str
    vat_digits: int
    first_names: tuple[str, ...]
    last_names: tuple[str, ...]
    roots: tuple[str, ...]
    phone: str


COUNTRIES: tuple[Country, ...] = (
    Country(
        "DE",
        ("GmbH", "AG", "GmbH & Co. KG"),
        (
            ("Kassel", "34117"),
            ("Bielefeld", "33602"),
            ("Augsburg", "86150"),
            ("Rostock", "18055"),
            ("Chemnitz", "09111"),
            ("Bremen", "28195"),
            ("Mainz", "55116"),
            ("Erfurt", "99084"),
        ),
        ("Industriestraße", "Hafenweg", "Am Gleisdreieck", "Lindenallee", "Werkstraße"),
        "Europe/Berlin",
        9,
        ("Anna", "Jonas", "Katrin", "Felix", "Miriam", "Lukas", "Birgit", "Stefan", "Nora", "Emil"),
        (
            "Hallerbach",
            "Wiesner",
            "Petersohn",
            "Krahl",
            "Dornfeld",
            "Ostermann",
            "Lenzing",
            "Marquardt",
            "Seifert",
            "Brandes",
        ),
        (
            "Hallerbach",
            "Nordwerk",
            "Rheintal",
            "Weserland",
            "Kranich",
            "Silberberg",
            "Altmark",
            "Bergmann",
            "Fuldatal",
            "Ostsee",
        ),
        "+49 30 5550",
    ),
    Country(
        "FR",
        ("SAS", "SA", "SARL"),
        (
            ("Lyon", "69002"),
            ("Nantes", "44000"),
            ("Lille", "59800"),
            ("Dijon", "21000"),
            ("Rouen", "76000"),
            ("Angers", "49000"),
        ),
        ("rue des Forges", "avenue de la Gare", "quai du Port", "rue du Moulin"),
        "Europe/Paris",
        11,
        ("Claire", "Julien", "Manon", "Hugo", "Élise", "Antoine", "Camille", "Mathieu"),
        ("Lavigne", "Moreau", "Delcourt", "Bertin", "Rousselet", "Garnier", "Chevrier", "Aubert"),
        ("Lavigne", "Montclair", "Valmont", "Rhône", "Beaulieu", "Ardenne", "Clairval", "Loire"),
        "+33 1 99 00",
    ),
    Country(
        "PL",
        ("Sp. z o.o.", "S.A."),
        (
            ("Poznań", "61-001"),
            ("Gdynia", "81-301"),
            ("Lublin", "20-001"),
            ("Rzeszów", "35-001"),
            ("Katowice", "40-001"),
        ),
        ("ul. Fabryczna", "ul. Portowa", "ul. Kolejowa", "ul. Przemysłowa"),
        "Europe/Warsaw",
        10,
        ("Agnieszka", "Tomasz", "Magdalena", "Piotr", "Karolina", "Marek"),
        ("Zieliński", "Wrona", "Kaczmarek", "Sowa", "Lewicka", "Borkowski"),
        ("Wisła", "Bałtyk", "Karpaty", "Orlik", "Sokół", "Mazowia", "Dębowa"),
        "+48 22 555",
    ),
    Country(
        "NL",
        ("B.V.", "N.V."),
        (("Utrecht", "3511 AB"), ("Eindhoven", "5611 CD"), ("Groningen", "9711 EF"), ("Breda", "4811 GH")),
        ("Havenstraat", "Industrieweg", "Molenlaan", "Stationsplein"),
        "Europe/Amsterdam",
        9,
        ("Sanne", "Daan", "Lotte", "Bram", "Fleur", "Niels"),
        ("Van Houten", "Dijkstra", "De Graaf", "Vermeer", "Hoekstra", "Bosman"),
        ("Waterland", "Noordzee", "Kennemer", "Veluwe", "Oosterbeek", "Polder"),
        "+31 20 555",
    ),
    Country(
        "IT",
        ("S.r.l.", "S.p.A."),
        (("Modena", "41121"), ("Bergamo", "24121"), ("Parma", "43121"), ("Udine", "33100"), ("Bari", "70121")),
        ("Via dell’Industria", "Via del Porto", "Viale Europa", "Via dei Mulini"),
        "Europe/Rome",
        11,
        ("Giulia", "Marco", "Chiara", "Alessandro", "Elena", "Davide"),
        ("Ferraresi", "Colombo", "Bellandi", "Rinaldi", "Gattesco", "Moretti"),
        ("Adriatica", "Padana", "Montebello", "Valtorta", "Aurora", "Tirrenia"),
        "+39 02 5550",
    ),
    Country(
        "ES",
        ("S.L.", "S.A."),
        (("Zaragoza", "50001"), ("Bilbao", "48001"), ("Valencia", "46001"), ("Vigo", "36201")),
        ("Calle del Puerto", "Avenida de la Industria", "Calle Mayor", "Polígono Norte"),
        "Europe/Madrid",
        9,
        ("Lucía", "Javier", "Marta", "Diego", "Carmen", "Álvaro"),
        ("Ortega", "Navarro", "Iglesias", "Castillo", "Herrero", "Vidal"),
        ("Cantábrica", "Levante", "Ebro", "Montesol", "Atlántida", "Duero"),
        "+34 910 55",
    ),
    Country(
        "AT",
        ("GmbH", "AG"),
        (("Linz", "4020"), ("Graz", "8010"), ("Villach", "9500"), ("Wels", "4600")),
        ("Donaulände", "Gewerbepark", "Bahnhofstraße", "Mühlgasse"),
        "Europe/Vienna",
        9,
        ("Theresa", "Maximilian", "Johanna", "Florian", "Verena", "Matthias"),
        ("Hofstätter", "Lechner", "Gruber", "Steinwender", "Pichler", "Ebner"),
        ("Alpenland", "Donautal", "Enns", "Steirische", "Tauern", "Salzkammer"),
        "+43 1 5550",
    ),
)

BUYER_TRADES: tuple[str, ...] = (
    "Energy",
    "Logistics",
    "Klinik",
    "Maschinenbau",
    "Foods",
    "Railways",
    "Chemicals",
    "Water",
    "Automotive",
    "Retail",
    "Construction",
    "Airports",
    "Paper",
    "Textiles",
    "Ports",
    "Telecom",
)
SUPPLIER_TRADES: tuple[str, ...] = (
    "Trading",
    "Supply",
    "Technik",
    "Industrial",
    "Services",
    "Systems",
    "Partner",
    "Handel",
    "Solutions",
    "Works",
    "Equipment",
    "Materials",
    "Group",
    "Direct",
    "Pro",
    "Tools",
)
POSITIONS: tuple[str, ...] = (
    "Head of procurement",
    "Category manager",
    "Sales director",
    "Key account manager",
    "Commercial manager",
    "Managing director",
)


def vat_number(country: Country, rng: random.Random) -> str:
    """A number of the right form with valid check digits, with its country prefix; invented, registered nowhere."""
    while True:
        digits = "".join(rng.choice("0123456789") for _ in range(country.vat_digits))
        candidates = {
            "AT": f"ATU{digits[:8]}",
            "NL": f"NL{digits}B{rng.randint(1, 9):02d}",
            "ES": f"ESB{digits[:8]}",
        }
        number = candidates.get(country.code, f"{country.code}{digits}")
        if vat.is_valid(number):
            return str(vat.compact(number))


class Namer:
    """Company names, each given once."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._taken: set[str] = set()

    def company(self, country: Country, trades: tuple[str, ...]) -> tuple[str, str, str]:
        """(short name, full name, legal form)."""
        while True:
            root = self._rng.choice(country.roots + country.last_names)
            short = f"{root} {self._rng.choice(trades)}"
            if short not in self._taken:
                break
            short = f"{root} & {self._rng.choice(country.last_names)} {self._rng.choice(trades)}"
            if short not in self._taken:
                break
        self._taken.add(short)
        form = self._rng.choice(country.legal_forms)
        return short, f"{short} {form}", form

    def person(self, country: Country) -> str:
        return f"{self._rng.choice(country.first_names)} {self._rng.choice(country.last_names)}"
