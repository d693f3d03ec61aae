"""Contracts of an organisation, on either side."""

from __future__ import annotations

from django.db.models import Prefetch, Q, QuerySet

from marketplace.models import Organisation
from procurement.models import Contract, ContractSignature
from procurement.rules.lifecycle import ContractStatus

#: Where a signature is still missing.
UNSIGNED = (ContractStatus.DRAFT.value, ContractStatus.SIGNING.value)


def of(organisation: Organisation, *, side: str = "") -> QuerySet[Contract]:
    """The organisation's contracts as buyer, as supplier, or both, with parties, tender and signatures. Two queries."""
    sides = {"buyer": Q(buyer=organisation), "supplier": Q(supplier=organisation)}
    return (
        Contract.objects.filter(sides.get(side, sides["buyer"] | sides["supplier"]))
        .select_related("tender", "buyer", "supplier", "award__lot")
        .prefetch_related(
            Prefetch(
                "signatures", ContractSignature.objects.select_related("signature__person", "signature__certificate")
            )
        )
    )


def to_sign(organisation: Organisation) -> QuerySet[Contract]:
    """Contracts that still need this organisation's signature."""
    mine = Q(buyer=organisation) & ~Q(signatures__side="buyer") | Q(supplier=organisation) & ~Q(
        signatures__side="supplier"
    )
    return Contract.objects.filter(mine, status__in=UNSIGNED).select_related("tender", "buyer", "supplier").distinct()
