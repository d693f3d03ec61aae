"""A suspended buyer changes nothing, with or without a signature; once it is restored it goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from marketplace.models import AuditRecord, Organisation, OrganisationStatus
from marketplace.permissions import Actor, OrganisationNotActive, actor_for
from procurement.models import Award, Bid, Clarification, Contract
from procurement.services import awards, clarifications, contracts, drafts, evaluation
from tests.factories.bids import LATER, awarded, contracted, opened_lot
from tests.factories.marketplace import NOON, MembershipFactory, accredited_supplier, member
from tests.factories.procurement import draft_tender, published_tender
from tests.factories.signatures import trust

pytestmark = pytest.mark.django_db
PRICES = ["61.50", "119.90"]


def _bid(act: Callable[..., Any]) -> Callable[[], tuple[Organisation, Callable[[Actor], Any]]]:
    def made() -> tuple[Organisation, Callable[[Actor], Any]]:
        lot = opened_lot(PRICES, admit=False)
        return lot.tender.buyer, lambda by: act(lot, Bid.objects.get(), by)

    return made


def _contract() -> tuple[Organisation, Callable[[Actor], Any]]:
    contract = contracted(opened_lot(PRICES))
    text, version = f"{contract.text}\nDelivered by May.", contract.version
    return contract.buyer, lambda by: contracts.edit(contract.pk, text, version, by=by, at=LATER)


def _award() -> tuple[Organisation, Callable[[Actor], Any]]:
    award = awarded(opened_lot(PRICES, ["70.00", "120.00"]))
    return award.lot.tender.buyer, lambda by: awards.fall_away(award.pk, "Insolvent", by=by, at=LATER)


def _question() -> tuple[Organisation, Callable[[Actor], Any]]:
    tender = published_tender()
    asked = clarifications.ask(tender.pk, "May they be green?", by=member(accredited_supplier()), at=NOON)
    return tender.buyer, lambda by: clarifications.answer(asked.pk, "Yes.", by=by, at=NOON)


def _draft() -> tuple[Organisation, Callable[[Actor], Any]]:
    tender = draft_tender()
    return tender.buyer, lambda by: drafts.lock_draft(tender.pk, by=by)


ACTS = {
    "admit a bid": _bid(lambda lot, bid, by: evaluation.admit(bid.pk, by=by, at=LATER)),
    "admit all bids": _bid(lambda lot, bid, by: evaluation.admit_all(lot.pk, by=by, at=LATER)),
    "reject a bid": _bid(lambda lot, bid, by: evaluation.reject(bid.pk, "Incomplete", by=by, at=LATER)),
    "edit a contract": _contract,
    "let the winner fall away": _award,
    "answer a question": _question,
    "change a draft": _draft,
}


@pytest.mark.parametrize("made", ACTS.values(), ids=ACTS.keys())
def test_a_suspended_buyer_changes_nothing(made: Callable[[], tuple[Organisation, Callable[[Actor], Any]]]) -> None:
    trust()
    buyer, act = made()
    membership = MembershipFactory.create(organisation=buyer)
    before = _state()
    _set(buyer, OrganisationStatus.SUSPENDED)
    with pytest.raises(OrganisationNotActive):
        act(_fresh(membership))
    assert _state() == before
    _set(buyer, OrganisationStatus.REGISTERED)
    act(_fresh(membership))


def _set(buyer: Organisation, status: OrganisationStatus) -> None:
    Organisation.objects.filter(pk=buyer.pk).update(status=status)


def _fresh(membership: Any) -> Actor:
    """As a new request would find them."""
    membership.organisation.refresh_from_db()
    return actor_for(membership.person, membership.organisation)


def _state() -> list[list[Any]]:
    return [
        list(Bid.objects.order_by("pk").values_list("pk", "status")),
        list(Contract.objects.order_by("pk").values_list("pk", "version")),
        list(Award.objects.order_by("pk").values_list("pk", "status")),
        list(Clarification.objects.order_by("pk").values_list("pk", "status")),
        [AuditRecord.objects.count()],
    ]
