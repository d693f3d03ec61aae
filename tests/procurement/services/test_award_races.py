"""Two signatures at the same moment: of one award, of both sides of a contract."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from marketplace.models import AuditRecord
from procurement.models import Award, Bid, Contract, Lot, Tender
from procurement.rules.lifecycle import AwardStatus, ContractStatus, LotStatus, TenderStatus
from procurement.services import awards, contracts
from tests.factories.at_once import at_the_same_time
from tests.factories.bids import LATER, contracted, opened_lot
from tests.factories.marketplace import member
from tests.factories.signatures import signed, trust

pytestmark = pytest.mark.django_db(transaction=True)


def test_two_proposals_signed_at_once_leave_one_award() -> None:
    trust()
    lot = opened_lot(["10", "20"], ["11", "20"])
    by = member(lot.tender.buyer)
    first = awards.propose(lot.pk, Bid.objects.get(rank=1).pk, "", by=by, at=LATER)
    cms = signed(first)

    def decide(key: str) -> Callable[[], Any]:
        return lambda: awards.decide(first.pk, cms, idempotency_key=key, by=by, at=LATER).pk

    results = at_the_same_time(decide("a"), decide("b"), decide("a"))

    assert results == [Award.objects.get().pk] * 3
    assert Award.objects.get().status == AwardStatus.ACTIVE
    assert AuditRecord.objects.filter(action="award.decided").count() == 1


def test_both_sides_signing_at_once_put_the_contract_in_force() -> None:
    trust()
    contract = contracted(opened_lot(["10", "20"]))
    calls = []
    for side in (contract.buyer, contract.supplier):
        by = member(side)
        request = contracts.prepare_signature(contract.pk, by=by, at=LATER)
        cms = signed(request)
        calls.append(
            lambda request=request, cms=cms, by=by: contracts.sign(
                request.pk, cms, idempotency_key=f"c-{request.pk}", by=by, at=LATER
            )
        )

    results = at_the_same_time(*calls)

    assert all(isinstance(result, Contract) for result in results)
    contract.refresh_from_db()
    assert (contract.status, contract.signatures.count()) == (ContractStatus.ACTIVE, 2)
    assert (Lot.objects.get().status, Tender.objects.get().status) == (LotStatus.COMPLETE, TenderStatus.COMPLETE)
