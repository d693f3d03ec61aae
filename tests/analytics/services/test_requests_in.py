"""Requests for an offer as leads: each once, whatever was lost on the way, and what becomes of it on both sides."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from django.db import connection, transaction

from analytics.models import Account, Lead, LeadRequest, LeadSource
from analytics.permissions import book_for
from analytics.rules.pipeline import LeadState
from analytics.services import leads, requests_in
from marketplace.models import Notification, Organisation, Role
from marketplace.permissions import Actor, actor_for
from marketplace.shared import jobs
from marketplace.shared.errors import Invalid
from procurement.models import OfferRequest
from procurement.services import offer_requests
from tests.factories import insights
from tests.factories.at_once import at_the_same_time, wait_until_blocked
from tests.factories.marketplace import NOON, MembershipFactory, accredited_buyer, accredited_supplier, member
from tests.factories.offers import NEED, asked
from tests.patience import PATIENCE_S

SOON = NOON + timedelta(minutes=2)
LATER = NOON + timedelta(minutes=4)
_QUALIFIED = {"budget": "yes", "authority": "yes", "need": "yes", "timeline": "partly"}


@pytest.fixture(name="buyer")
def buyer_fixture(db: None) -> Actor:
    return member(accredited_buyer(), Role.OFFICER)


@pytest.fixture(name="supplier")
def supplier_fixture(db: None) -> Organisation:
    return accredited_supplier()


@pytest.fixture(autouse=True)
def lost_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs are lost: what is heard was found by the sweep."""
    monkeypatch.setattr(jobs, "_send", lambda name, args: None)


def status(request: OfferRequest) -> str:
    return OfferRequest.objects.values_list("status", flat=True).get(pk=request.pk)


def test_a_request_becomes_a_lead_of_the_accounts_representative_once(buyer: Actor, supplier: Organisation) -> None:
    assert buyer.organisation is not None
    seller, book = member(supplier, Role.REPRESENTATIVE), book_for(supplier.pk)
    account = insights.account(book, seller, buyer=buyer.organisation)
    request = asked(supplier, buyer, quantity=40, unit="H87", contact_by="here")
    assert requests_in.sweep(at=NOON) == 0  # the job has its time first
    assert requests_in.sweep(at=SOON) == 1
    lead = Lead.objects.get()
    assert (lead.book, lead.account, lead.representative, lead.source) == (book, account, seller.person, "request")
    # Who wants to be answered otherwise is not written to: the address is not passed on.
    assert (lead.company, lead.email) == (buyer.organisation.short_name, "")
    assert lead.need.splitlines() == [
        NEED, "Quantity: 40 pieces", "Wanted by: 1 Jun 2026", "Answer: Here, on the platform",
    ]  # fmt: skip
    assert requests_in.sweep(at=SOON) == 0
    assert requests_in.hear(request.pk, at=SOON) == lead
    assert Lead.objects.count() == LeadRequest.objects.count() == 1
    kinds = Notification.objects.filter(person=seller.person).order_by("pk").values_list("kind", flat=True)
    assert list(kinds) == ["offer_asked", "lead_assigned"]

    # Asked again while the lead is open: it is the same lead.
    asked(supplier, buyer, need="And forty desks, please.", contact_by="email")
    requests_in.sweep(at=SOON)
    lead = Lead.objects.get()
    assert "And forty desks, please." in lead.need
    assert lead.email == (buyer.person and buyer.person.email)
    assert lead.requests.count() == 2


def test_the_one_who_asked_sees_what_becomes_of_the_lead(buyer: Actor, supplier: Organisation) -> None:
    seller = member(supplier, Role.REPRESENTATIVE)
    request = asked(supplier, buyer)
    lead = requests_in.hear(request.pk, at=NOON)
    assert lead is not None
    leads.qualify(lead.pk, _QUALIFIED, {}, version=None, by=seller, at=NOON)
    assert status(request) == "taken_up"
    with pytest.raises(Invalid) as refused:
        leads.give_up(lead.pk, "They never pay.", by=seller, at=NOON)
    assert set(refused.value.errors) == {"said"}
    leads.give_up(lead.pk, "They never pay.", said="We cannot deliver so many.", by=seller, at=NOON)
    request.refresh_from_db()
    assert (request.status, request.declined_because) == ("declined", "We cannot deliver so many.")
    leads.take_up(lead.pk, by=seller, at=NOON)
    assert status(request) == "taken_up"
    requests_in.sweep(at=SOON)
    opportunity = leads.convert(lead.pk, "Chairs", by=seller, at=NOON)
    account = Account.objects.get(pk=opportunity.account_id)
    # Contracts of the same buyer come to the same account.
    assert (account.external_id, account.buyer) == (f"openlot-{request.asker_id}", buyer.organisation)


def test_what_is_done_to_the_request_is_done_on_the_lead(buyer: Actor, supplier: Organisation) -> None:
    seller = member(supplier, Role.REPRESENTATIVE)
    request = asked(supplier, buyer)
    lead = requests_in.hear(request.pk, at=NOON)
    assert lead is not None
    offer_requests.take_up(request.pk, by=seller, at=NOON)
    requests_in.sweep(at=SOON)
    lead.refresh_from_db()
    assert lead.status == LeadState.WORKING
    offer_requests.withdraw(request.pk, by=buyer, at=NOON)
    requests_in.sweep(at=SOON)
    lead.refresh_from_db()
    assert (lead.status, lead.given_up_because) == (LeadState.DISQUALIFIED, "The customer withdrew the request.")
    # Withdrawn before anybody heard of it, it is no lead.
    gone = asked(supplier, buyer)
    offer_requests.withdraw(gone.pk, by=buyer, at=NOON)
    requests_in.sweep(at=SOON)
    assert not LeadRequest.objects.filter(request=gone).exists()
    assert not OfferRequest.objects.filter(heard=False).exists()


def test_a_crash_between_the_two_leaves_it_to_be_heard_and_a_request_to_the_platform_is_the_platforms(
    buyer: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = asked(None, buyer)
    with monkeypatch.context() as broken:
        broken.setattr(offer_requests, "heard", lambda _request: 1 / 0)
        assert requests_in.sweep(at=SOON) == 0
    assert (Lead.objects.count(), LeadRequest.objects.count()) == (0, 0)
    requests_in.sweep(at=LATER)
    lead = Lead.objects.get(source=LeadSource.REQUEST)
    assert (lead.book, lead.requests.get().request) == (book_for(None), request)


def test_what_cannot_be_heard_waits_ever_longer_and_holds_up_nothing(
    buyer: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests_in, "_AT_ONCE", 1)
    unheard = asked(accredited_supplier(), buyer)
    other = asked(accredited_supplier(), buyer, at=NOON + timedelta(seconds=1))
    tried, hear = [], requests_in.hear

    def hear_all_but_one(request_id: int, *, at: datetime) -> Lead | None:
        tried.append((request_id, at))
        if request_id == unheard.pk:
            raise leads.TooManyLeads(n=1)
        return hear(request_id, at=at)

    monkeypatch.setattr(requests_in, "hear", hear_all_but_one)
    last = SOON + timedelta(minutes=1)
    assert [requests_in.sweep(at=at) for at in (SOON, SOON, last, LATER)] == [0, 1, 0, 0]
    assert tried == [(unheard.pk, SOON), (other.pk, SOON), (unheard.pk, LATER)]
    # What happens to it is heard at once.
    offer_requests.withdraw(unheard.pk, by=buyer, at=LATER)
    requests_in.sweep(at=LATER + timedelta(minutes=1))
    assert tried[-1] == (unheard.pk, LATER + timedelta(minutes=1))


def test_what_was_declined_stays_so_until_somebody_takes_up_that_very_thing(
    buyer: Actor, supplier: Organisation
) -> None:
    seller = member(supplier, Role.REPRESENTATIVE)
    first, second = asked(supplier, buyer), asked(supplier, buyer, need="And forty desks, please.")
    requests_in.sweep(at=SOON)
    lead = Lead.objects.get()
    offer_requests.decline(first.pk, "We have no chairs.", by=seller, at=NOON)
    requests_in.sweep(at=SOON)
    # The desks go on; what was said of the chairs is not taken back with them.
    leads.qualify(lead.pk, _QUALIFIED, {}, version=None, by=seller, at=NOON)
    assert (status(first), status(second)) == ("declined", "taken_up")
    offer_requests.decline(second.pk, "Nor desks.", by=seller, at=NOON)
    requests_in.sweep(at=SOON)
    lead.refresh_from_db()
    assert (lead.status, lead.given_up_because) == (LeadState.DISQUALIFIED, "Nor desks.")

    offer_requests.take_up(second.pk, by=seller, at=NOON)
    requests_in.sweep(at=SOON)
    lead.refresh_from_db()
    assert (lead.status, lead.given_up_because) == (LeadState.WORKING, "")


def test_a_request_answered_before_it_was_heard_is_no_new_lead(buyer: Actor, supplier: Organisation) -> None:
    request = asked(supplier, buyer)
    offer_requests.answer(request.pk, "Forty for 4,000.", by=member(supplier, Role.BID_MANAGER), at=NOON)
    requests_in.sweep(at=SOON)
    assert Lead.objects.get().status == LeadState.WORKING


def test_what_two_organisations_ask_stays_apart_though_one_person_or_one_name_asks(
    buyer: Actor, supplier: Organisation
) -> None:
    assert buyer.person is not None
    assert buyer.organisation is not None
    other = accredited_buyer()
    other.short_name, other.country = buyer.organisation.short_name, buyer.organisation.country
    other.save(update_fields=["short_name", "country"])
    account = insights.account(book_for(supplier.pk), buyer=buyer.organisation)
    account.name = other.short_name
    account.save(update_fields=["name"])
    MembershipFactory.create(organisation=other, person=buyer.person, roles=[Role.OFFICER.value])
    of_both = actor_for(buyer.person, other)
    mine, theirs = asked(supplier, buyer), asked(supplier, of_both)
    requests_in.sweep(at=SOON)
    first, second = Lead.objects.get(requests__request=mine), Lead.objects.get(requests__request=theirs)
    assert first != second
    assert (first.account, second.account) == (account, None)
    # Asked once more, each comes to its own.
    again = asked(supplier, of_both, need="And forty desks, please.")
    requests_in.sweep(at=SOON)
    assert Lead.objects.get(requests__request=again) == second


@pytest.mark.django_db(transaction=True)
def test_a_request_is_not_added_to_a_lead_that_is_given_up_at_that_moment() -> None:
    buyer, supplier = member(accredited_buyer()), accredited_supplier()
    seller = member(supplier, Role.REPRESENTATIVE)
    first, second = asked(supplier, buyer), asked(supplier, buyer, need="And forty desks, please.")
    lead = requests_in.hear(first.pk, at=NOON)
    assert lead is not None
    with ThreadPoolExecutor(1) as worker:
        with transaction.atomic():
            leads.give_up(lead.pk, "They never pay.", said="We have none.", by=seller, at=NOON)
            heard = worker.submit(_heard, second)
            wait_until_blocked()
        of_second = heard.result(PATIENCE_S)
    assert of_second != lead.pk
    assert Lead.objects.get(pk=of_second).status == LeadState.NEW


def _heard(request: OfferRequest) -> int:
    try:
        lead = requests_in.hear(request.pk, at=SOON)
        assert lead is not None
        return lead.pk
    finally:
        connection.close()


@pytest.mark.django_db(transaction=True)
def test_one_that_is_withdrawn_at_that_moment_does_not_hold_up_its_lead() -> None:
    buyer, supplier = member(accredited_buyer()), accredited_supplier()
    request = asked(supplier, buyer)
    lead = requests_in.hear(request.pk, at=NOON)
    assert lead is not None
    seller = member(supplier, Role.REPRESENTATIVE)
    with ThreadPoolExecutor(1) as worker:
        with transaction.atomic():
            offer_requests.withdraw(request.pk, by=buyer, at=NOON)
            qualified = worker.submit(_qualified, lead, seller)
            wait_until_blocked()
        assert qualified.result(PATIENCE_S) == LeadState.WORKING
    assert status(request) == "withdrawn"


def _qualified(lead: Lead, by: Actor) -> str:
    try:
        return leads.qualify(lead.pk, _QUALIFIED, {}, version=None, by=by, at=NOON).status
    finally:
        connection.close()


@pytest.mark.django_db(transaction=True)
def test_two_workers_hear_it_once() -> None:
    request = asked(accredited_supplier(), member(accredited_buyer()))
    at_the_same_time(*[lambda: requests_in.hear(request.pk, at=SOON)] * 2)
    assert (Lead.objects.count(), LeadRequest.objects.count()) == (1, 1)
