"""Contracts: drafted from the award, edited by the buyer, signed by both sides."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest

from marketplace.models import Notification, Role
from marketplace.permissions import RoleMissing
from marketplace.services.signing import SignatureRefused
from marketplace.shared.errors import NotFound, StaleForm
from procurement.models import Contract, Lot, Tender
from procurement.rules.lifecycle import ContractStatus, LotStatus, TenderStatus
from procurement.services import contracts
from procurement.services.contracts import (
    ContractChanged,
    ContractNotEditable,
    ContractNotSignable,
    ContractTextUnfit,
    SideSigned,
)
from tests.factories.bids import LATER, bidder, contracted, opened_lot
from tests.factories.marketplace import accredited_supplier, member
from tests.factories.signatures import certificate_of, signed, trust

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module", autouse=True)
def made(shared_world: Callable[[], AbstractContextManager[None]]) -> Iterator[Contract]:
    """Come to once: what happens to it is undone after each test."""
    with shared_world():
        trust()
        yield contracted(opened_lot(["10.5", "20"], ["11", "20"]))


@pytest.fixture
def contract(made: Contract) -> Contract:
    return Contract.objects.get(pk=made.pk)


@pytest.fixture
def lot(contract: Contract) -> Lot:
    return Lot.objects.select_related("tender__buyer").get(pk=contract.award.lot_id)


def _sign(contract: Contract, side: str) -> Contract:
    by = member(contract.buyer if side == "buyer" else contract.supplier)
    request = contracts.prepare_signature(contract.pk, by=by, at=LATER)
    return contracts.sign(request.pk, signed(request), idempotency_key=f"{side}-{request.pk}", by=by, at=LATER)


def test_the_text_names_parties_items_and_price(contract: Contract, lot: Lot) -> None:
    buyer, supplier = contract.buyer, contract.supplier

    assert contract.number == f"{lot.tender.number}-1"
    for words in (
        f"The buyer: {buyer.full_name}, {buyer.identifiers.get()}",
        f"The supplier: {supplier.full_name}, {supplier.identifiers.get()}",
        "1. Office chair, adjustable: 10 pieces × 10.50 = 105.00 EUR",
        "The price of the lot is 305.00 EUR without VAT",
    ):
        assert words in contract.text
    assert Notification.objects.filter(kind="contract_ready").exists()


def test_both_signatures_put_the_contract_in_force_and_complete_the_tender(contract: Contract) -> None:
    assert _sign(contract, "supplier").status == ContractStatus.SIGNING

    after = _sign(contract, "buyer")

    assert (after.status, after.signed_at) == (ContractStatus.ACTIVE, LATER)
    assert [one.side for one in after.signatures.all()] == ["supplier", "buyer"]
    assert (Lot.objects.get().status, Tender.objects.get().status) == (LotStatus.COMPLETE, TenderStatus.COMPLETE)


def test_a_double_click_signs_once(contract: Contract) -> None:
    by = member(contract.buyer)
    request = contracts.prepare_signature(contract.pk, by=by, at=LATER)
    for _click in range(2):
        contracts.sign(request.pk, signed(request), idempotency_key="c", by=by, at=LATER)

    assert contract.signatures.count() == 1


def test_a_side_signs_once(contract: Contract) -> None:
    _sign(contract, "buyer")

    with pytest.raises(SideSigned):
        contracts.prepare_signature(contract.pk, by=member(contract.buyer), at=LATER)


def test_a_refused_signature_changes_nothing(contract: Contract) -> None:
    by = member(contract.supplier)
    request = contracts.prepare_signature(contract.pk, by=by, at=LATER)

    with pytest.raises(SignatureRefused):
        contracts.sign(
            request.pk, signed(request, certificate_of(accredited_supplier())), idempotency_key="c", by=by, at=LATER
        )

    contract.refresh_from_db()
    assert (contract.status, contract.signatures.count()) == (ContractStatus.DRAFT, 0)


def test_the_buyer_edits_until_the_first_signature(contract: Contract) -> None:
    by = member(contract.buyer)

    after = contracts.edit(contract.pk, "New text\r\nwith a line", 1, by=by, at=LATER)

    assert (after.text, after.version) == ("New text\nwith a line\n", 2)
    _sign(contract, "supplier")
    with pytest.raises(ContractNotEditable):
        contracts.edit(contract.pk, "Too late", 2, by=by, at=LATER)


def test_an_old_form_does_not_overwrite_a_newer_text(contract: Contract) -> None:
    by = member(contract.buyer)
    contracts.edit(contract.pk, "Second", 1, by=by, at=LATER)

    with pytest.raises(StaleForm):
        contracts.edit(contract.pk, "Third", 1, by=by, at=LATER)


def test_saving_the_same_text_is_no_new_version(contract: Contract) -> None:
    assert contracts.edit(contract.pk, contract.text, 7, by=member(contract.buyer), at=LATER).version == 1


@pytest.mark.parametrize("text", ["", "  \n", "x" * 200_001])
def test_a_contract_has_a_text(contract: Contract, text: str) -> None:
    with pytest.raises(ContractTextUnfit):
        contracts.edit(contract.pk, text, 1, by=member(contract.buyer), at=LATER)


def test_a_text_changed_after_it_was_read_is_not_signed(contract: Contract) -> None:
    supplier = member(contract.supplier)
    request = contracts.prepare_signature(contract.pk, by=supplier, at=LATER)
    contracts.edit(contract.pk, "Another price", 1, by=member(contract.buyer), at=LATER)

    with pytest.raises(ContractChanged):
        contracts.sign(request.pk, signed(request), idempotency_key="c", by=supplier, at=LATER)


def test_a_contract_in_force_is_not_signed_again(contract: Contract) -> None:
    _sign(contract, "buyer")
    _sign(contract, "supplier")

    with pytest.raises(ContractNotSignable):
        contracts.prepare_signature(contract.pk, by=member(contract.buyer), at=LATER)


def test_who_may_edit_and_sign(contract: Contract) -> None:
    with pytest.raises(RoleMissing):
        contracts.edit(contract.pk, "x", 1, by=member(contract.buyer, Role.SIGNER), at=LATER)
    with pytest.raises(NotFound):
        contracts.edit(contract.pk, "x", 1, by=member(contract.supplier), at=LATER)
    with pytest.raises(RoleMissing):
        contracts.prepare_signature(contract.pk, by=member(contract.supplier, Role.BID_MANAGER), at=LATER)
    with pytest.raises(NotFound):
        contracts.prepare_signature(contract.pk, by=bidder(), at=LATER)
