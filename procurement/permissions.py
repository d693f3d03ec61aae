"""Who may do what to which tender, bid, award and contract. Deny by default.

Another organisation's object is answered with NotFound, one's own without the role with the roles that it takes.
"""

from __future__ import annotations

from typing import Final

from marketplace.models import Role
from marketplace.permissions import Actor, require_role
from procurement.models import Bid, Contract, Lot, Tender

# Bids -------------------------------------------------------------------------------------------------------------

READS_OWN_BIDS: Final = (Role.BID_MANAGER, Role.SIGNER, Role.APPROVER, Role.ADMINISTRATOR, Role.OBSERVER)
READS_OPENED_BIDS: Final = (
    Role.OFFICER, Role.EVALUATOR, Role.APPROVER, Role.SIGNER, Role.ADMINISTRATOR, Role.OBSERVER,
)  # fmt: skip


def require_bidder(actor: Actor, bid: Bid) -> None:
    """May read the organisation's own bid, prices and all."""
    require_role(actor, bid.supplier_id, *READS_OWN_BIDS)


def require_bid_manager(actor: Actor, supplier_id: int) -> None:
    """May write the organisation's bids."""
    require_role(actor, supplier_id, Role.BID_MANAGER)


def require_bid_signer(actor: Actor, bid: Bid) -> None:
    """May send or withdraw the organisation's bid with a signature."""
    require_role(actor, bid.supplier_id, Role.SIGNER)


def require_reader_of_opened_bids(actor: Actor, tender: Tender) -> None:
    """May read the bids of the buyer's own tender; that they are opened is the query's business."""
    require_role(actor, tender.buyer_id, *READS_OPENED_BIDS)


# Evaluation, award, contract --------------------------------------------------------------------------------------


def require_evaluator(actor: Actor, lot: Lot) -> None:
    """May admit or reject bids of the buyer's own lot."""
    require_role(actor, lot.tender.buyer_id, Role.OFFICER, Role.EVALUATOR)


def require_awarder(actor: Actor, lot: Lot) -> None:
    """May award the buyer's own lot with a signature."""
    require_role(actor, lot.tender.buyer_id, Role.SIGNER)


def require_contract_officer(actor: Actor, contract: Contract) -> None:
    """May write the text of the buyer's own contract."""
    require_role(actor, contract.buyer_id, Role.OFFICER)


def require_contract_reader(actor: Actor, contract: Contract) -> None:
    """May read a contract of either side's own organisation."""
    own = contract.supplier_id if actor.acts_for(contract.supplier_id) else contract.buyer_id
    require_role(actor, own, *Role)


def require_contract_signer(actor: Actor, contract: Contract) -> None:
    """May sign for the side that the actor's organisation is."""
    own = contract.supplier_id if actor.acts_for(contract.supplier_id) else contract.buyer_id
    require_role(actor, own, Role.SIGNER)
