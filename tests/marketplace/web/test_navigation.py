"""Which entry of the top bar a page belongs to."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from django.urls import reverse

from marketplace.permissions import Actor
from tests.factories.marketplace import accredited_supplier, member
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
