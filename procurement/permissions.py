"""Who may do what to which tender, bid, award and contract. Deny by default; what is foreign is not told to exist."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext_lazy as _

from marketplace.models import Organisation, Role, StaffRole
from marketplace.permissions import Actor, organisation_of, require_active, require_role, without_organisation
from marketplace.shared.errors import NotAllowed, NotFound
from procurement.models import Bid, BidEnvelope, Contract, ContractSide, ExportScope, Lot, OfferRequest, Tender
from procurement.rules.lifecycle import TenderStatus

# Who prepares, publishes and runs a buyer's tenders.
BUYING_ROLES = (Role.OFFICER,)
# Who speaks for a supplier before a bid.
ASKING_ROLES = (Role.BID_MANAGER, Role.SIGNER, Role.ADMINISTRATOR)


class NotABuyer(NotAllowed):
    code = "not_a_buyer"
    sentence = _("Your organisation is not registered as a buyer. Say in its profile that you buy.")


class NotASupplier(NotAllowed):
    code = "not_a_supplier"
    sentence = _("Your organisation is not registered as a supplier. Say in its profile that you supply.")


class OwnTender(NotAllowed):
    code = "own_tender"
    sentence = _("This is your own organisation’s procedure.")


class SupplierRecords(NotAllowed):
    code = "supplier_records"
    sentence = _("The supplier records deliveries; you confirm them.")


def require_able_to_act(actor: Actor) -> None:
    """The actor's organisation is registered and not suspended: one that is may read, but changes nothing."""
    require_active(organisation_of(actor))


def can_see_tender(actor: Actor, tender: Tender) -> bool:
    """What was published is public; drafts are the buyer's own."""
    return tender.published_at is not None or actor.acts_for(tender.buyer_id)


def require_tender_visible(actor: Actor, tender: Tender) -> None:
    """Raises NotFound where the tender is not this person's to see."""
    if not can_see_tender(actor, tender):
        raise NotFound


def can_run_tender(actor: Actor, tender: Tender) -> bool:
    """Whether the person prepares, publishes, answers and cancels for the tender's buyer."""
    return actor.acts_for(tender.buyer_id) and actor.has(*BUYING_ROLES)


def require_tender_run(actor: Actor, tender: Tender) -> None:
    """As `can_run_tender`. Another organisation's draft is NotFound; anything else that is not theirs is NotAllowed."""
    require_tender_visible(actor, tender)
    if not actor.acts_for(tender.buyer_id):
        raise NotAllowed
    require_role(actor, tender.buyer_id, *BUYING_ROLES)


def can_sign_for_tender(actor: Actor, tender: Tender) -> bool:
    """Whether the person signs amendments and cancellations for the tender's buyer."""
    return actor.acts_for(tender.buyer_id) and actor.has(Role.SIGNER)


def require_tender_signed(actor: Actor, tender: Tender) -> None:
    """As `can_sign_for_tender`; refuses as `require_tender_run`."""
    require_tender_visible(actor, tender)
    if not actor.acts_for(tender.buyer_id):
        raise NotAllowed
    require_role(actor, tender.buyer_id, Role.SIGNER)


def require_tender_create(actor: Actor) -> Organisation:
    """The buyer for which this person may create tenders."""
    organisation = organisation_of(actor)
    require_active(organisation)
    if not organisation.is_buyer:
        raise NotABuyer
    require_role(actor, organisation.pk, *BUYING_ROLES)
    return organisation


def can_see_tender_audit(actor: Actor, tender: Tender) -> bool:
    """The buyer's people, and the platform's operators and auditors."""
    return actor.acts_for(tender.buyer_id) or actor.is_a(StaffRole.OPERATOR, StaffRole.AUDITOR)


def require_question_asked(actor: Actor, tender: Tender) -> Organisation:
    """The supplier for which this person may ask about the tender. Raises NotFound for a draft."""
    if tender.published_at is None or tender.status == TenderStatus.DRAFT:
        raise NotFound
    if actor.organisation is None:
        raise without_organisation(actor)
    if actor.acts_for(tender.buyer_id):
        raise OwnTender
    require_active(actor.organisation)
    if not actor.organisation.is_supplier:
        raise NotASupplier
    require_role(actor, actor.organisation.pk, *ASKING_ROLES)
    return actor.organisation


# Bids -------------------------------------------------------------------------------------------------------------

READS_OWN_BIDS: Final = (Role.BID_MANAGER, Role.SIGNER, Role.APPROVER, Role.ADMINISTRATOR, Role.OBSERVER)
READS_OPENED_BIDS: Final = (
    *BUYING_ROLES, Role.EVALUATOR, Role.APPROVER, Role.SIGNER, Role.ADMINISTRATOR, Role.OBSERVER,
)  # fmt: skip


def require_bidder(actor: Actor, bid: Bid) -> None:
    """May read the organisation's own bid, prices and all."""
    require_role(actor, bid.supplier_id, *READS_OWN_BIDS)


def require_bids_reader(actor: Actor, supplier_id: int) -> None:
    """May see the list of the organisation's bids."""
    require_role(actor, supplier_id, *READS_OWN_BIDS)


def require_bid_manager(actor: Actor, supplier_id: int) -> None:
    """May write the organisation's bids."""
    require_role(actor, supplier_id, Role.BID_MANAGER)


def require_bid_signer(actor: Actor, bid: Bid) -> None:
    """May send or withdraw the organisation's bid with a signature."""
    require_role(actor, bid.supplier_id, Role.SIGNER)


def can_read_opened_bids(actor: Actor, tender: Tender) -> bool:
    """As `require_reader_of_opened_bids`, for pages that others see less of."""
    return actor.acts_for(tender.buyer_id) and actor.has(*READS_OPENED_BIDS)


def require_reader_of_opened_bids(actor: Actor, tender: Tender) -> None:
    """May read the bids of the buyer's own tender; that they are opened is the query's business."""
    require_role(actor, tender.buyer_id, *READS_OPENED_BIDS)


def export_scope(actor: Actor, tender: Tender) -> ExportScope:
    """Which version of the tender's export the person may have. Raises NotFound where none is theirs."""
    if tender.published_at is None:
        raise NotFound
    if actor.acts_for(tender.buyer_id):
        require_reader_of_opened_bids(actor, tender)
        return ExportScope.BUYER
    if actor.is_a(StaffRole.OPERATOR, StaffRole.AUDITOR):
        return ExportScope.AUDITOR
    if actor.organisation is None:
        raise NotFound
    if not BidEnvelope.objects.filter(bid__lot__tender=tender, bid__supplier=actor.organisation).exists():
        raise NotFound
    require_bids_reader(actor, actor.organisation.pk)
    return ExportScope.SUPPLIER


# Evaluation, award, contract --------------------------------------------------------------------------------------


def require_evaluator(actor: Actor, lot: Lot) -> None:
    """May admit or reject bids of the buyer's own lot."""
    require_role(actor, lot.tender.buyer_id, *BUYING_ROLES, Role.EVALUATOR)


def require_awarder(actor: Actor, lot: Lot) -> None:
    """May award the buyer's own lot with a signature."""
    require_role(actor, lot.tender.buyer_id, Role.SIGNER)


def may_sign_protocols(actor: Actor, tender: Tender) -> bool:
    """Whether the person puts a signature under the protocols of the buyer's own tender."""
    return actor.acts_for(tender.buyer_id) and actor.has(Role.SIGNER, Role.EVALUATOR)


def require_protocol_signer(actor: Actor, tender: Tender) -> None:
    """As `may_sign_protocols`; another organisation's tender is NotFound."""
    require_role(actor, tender.buyer_id, Role.SIGNER, Role.EVALUATOR)


def require_contract_officer(actor: Actor, contract: Contract) -> None:
    """May write the text of the buyer's own contract."""
    require_role(actor, contract.buyer_id, *BUYING_ROLES)


def require_contract_reader(actor: Actor, contract: Contract) -> None:
    """May read a contract of the own organisation, on either side of it."""
    require_role(actor, _own_side(actor, contract), *Role)


def require_contract_signer(actor: Actor, contract: Contract) -> None:
    """May sign for the side that the actor's organisation is."""
    require_role(actor, _own_side(actor, contract), Role.SIGNER)


# Who records, and who confirms, deliveries on a contract.
DELIVERS: Final = (Role.BID_MANAGER, Role.SIGNER, Role.ADMINISTRATOR)
RECEIVES: Final = (*BUYING_ROLES, Role.SIGNER, Role.ADMINISTRATOR)


def require_delivery_recorder(actor: Actor, contract: Contract) -> None:
    """May record deliveries of the supplier's own contract. The buyer, who may not, is told so."""
    if actor.acts_for(contract.buyer_id):
        raise SupplierRecords
    require_role(actor, contract.supplier_id, *DELIVERS)
    require_able_to_act(actor)


def require_delivery_party(actor: Actor, contract: Contract) -> ContractSide:
    """The side for which this person deals with deliveries of a contract."""
    supplies = actor.acts_for(contract.supplier_id)
    if supplies:
        require_role(actor, contract.supplier_id, *DELIVERS)
    else:
        require_role(actor, contract.buyer_id, *RECEIVES)
    require_able_to_act(actor)
    return ContractSide.SUPPLIER if supplies else ContractSide.BUYER


def _own_side(actor: Actor, contract: Contract) -> int:
    return contract.supplier_id if actor.acts_for(contract.supplier_id) else contract.buyer_id


# Requests for an offer --------------------------------------------------------------------------------------------

# Who reads and answers what a supplier is asked, beside those who sell.
SELLING_ROLES: Final = (Role.REPRESENTATIVE, Role.SALES_MANAGER)
HANDLES_REQUESTS: Final = (*SELLING_ROLES, Role.BID_MANAGER, Role.ADMINISTRATOR)
_PLATFORMS_SALES: Final = (StaffRole.REPRESENTATIVE, StaffRole.SALES_MANAGER)


class ObserversRead(NotAllowed):
    code = "observers_read"
    sentence = _("An observer reads only. A colleague with another role can do this.")


def require_offer_asked(actor: Actor) -> Organisation:
    """The organisation for which this person may ask for offers: anybody of it but an observer."""
    organisation = organisation_of(actor)
    require_active(organisation)
    if not _does_more_than_read(actor):
        raise ObserversRead
    return organisation


def is_offer_asker(actor: Actor, request: OfferRequest) -> bool:
    """Whether the actor is of the side that asked."""
    return actor.acts_for(request.asker_id)


def is_offer_asked(actor: Actor, request: OfferRequest) -> bool:
    """Whether the actor is of the side that was asked."""
    if request.supplier_id is None:
        return actor.is_a(*_PLATFORMS_SALES)
    return actor.acts_for(request.supplier_id)


def require_offer_reader(actor: Actor, request: OfferRequest) -> None:
    """May read a request: the people of its two sides. Raises NotFound for anybody else."""
    if not is_offer_asker(actor, request) and not is_offer_asked(actor, request):
        raise NotFound


def can_withdraw_offer(actor: Actor, request: OfferRequest) -> bool:
    """As `require_offer_asker`, without the reasons."""
    return is_offer_asker(actor, request) and _does_more_than_read(actor)


def require_offer_asker(actor: Actor, request: OfferRequest) -> None:
    """May withdraw the own organisation's request; also while it is suspended: nobody should go on working on it."""
    if not is_offer_asker(actor, request):
        raise NotFound
    if not _does_more_than_read(actor):
        raise ObserversRead


def _does_more_than_read(actor: Actor) -> bool:
    return bool(actor.roles - {Role.OBSERVER.value})


def can_handle_offer(actor: Actor, request: OfferRequest) -> bool:
    """As `require_offer_handled`, without the reasons."""
    return is_offer_asked(actor, request) and (request.supplier_id is None or actor.has(*HANDLES_REQUESTS))


def require_offer_handled(actor: Actor, request: OfferRequest) -> None:
    """May take up, answer or decline what was asked of the own side."""
    if not is_offer_asked(actor, request):
        raise NotFound
    if request.supplier_id is not None:
        require_role(actor, request.supplier_id, *HANDLES_REQUESTS)
        require_able_to_act(actor)
