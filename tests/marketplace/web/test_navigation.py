"""Which entry of the top bar a page belongs to."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from django.urls import reverse

from marketplace.models import Person, StaffRole
from marketplace.permissions import NOBODY, Actor
from marketplace.web.navigation import rooms_for
from tests.factories.marketplace import accredited_supplier, member, staff
from tests.factories.procurement import published_tender

pytestmark = pytest.mark.django_db


def marked(actor: Actor, url: str) -> list[str]:
    client = Client()
    assert actor.person is not None
    client.force_login(actor.person)
    page = client.get(url).content.decode()
    bar = page[page.index('class="main-nav"') : page.index("</nav>", page.index('class="main-nav"'))]
    return re.findall(r'aria-current="page">.*?<span>(.*?)</span>', bar, re.DOTALL)


def test_a_buyers_own_procedure_lies_under_what_it_buys() -> None:
    tender = published_tender()
    assert marked(member(tender.buyer), tender.get_absolute_url()) == ["We buy"]
    assert marked(member(tender.buyer), reverse("tender_documents", args=[tender.number])) == ["We buy"]
    assert marked(member(accredited_supplier()), tender.get_absolute_url()) == ["Procedures"]


def test_a_list_is_marked_by_its_address() -> None:
    tender = published_tender()
    assert marked(member(tender.buyer), reverse("tenders")) == ["Procedures"]
    assert marked(member(tender.buyer), "/") == ["Home"]
    assert marked(staff(StaffRole.OPERATOR), reverse("auctions")) == ["Auctions"]


def test_the_pages_of_a_section_stand_together_for_whom_they_are() -> None:
    def found(actor: Actor, path: str) -> list[tuple[str, bool]]:
        return [(str(entry.label), entry.current) for entry in rooms_for(actor, path)]

    representative = Actor(Person(email="rosa@example.com"), staff_roles=frozenset({StaffRole.REPRESENTATIVE.value}))
    rooms = found(representative, reverse("insights_customer", args=[7]))

    assert ("Customers", True) in rooms
    assert not {"Team", "Territories"} & {name for name, _current in rooms}
    assert found(representative, "/tenders/") == []
    assert found(NOBODY, reverse("insights_queue")) == []
