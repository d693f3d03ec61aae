from procurement.models.auction import Auction, AuctionEvent, AuctionParticipant
from procurement.models.award import Award, Contract, ContractSignature
from procurement.models.bid import Bid, BidEnvelope, BidFile, BidPrice, BidSealing, BidUpload
from procurement.models.custody import KeyCeremony, KeyCustody, KeyShare, ReleasedShare
from procurement.models.delivery import ContractSide, Delivery, DeliveryKind, DeliveryLine
from procurement.models.moment import CertificateNotice, DueMoment, MomentKind
from procurement.models.outage import Outage, OutageEffect, OutageEffectKind
from procurement.models.proof import BidRoll, ExportScope, ExportStatus, ProcedureExport, RollLeaf
from procurement.models.protocol import ProtocolKind, ProtocolSignature
from procurement.models.request import ContactBy, OfferRequest
from procurement.models.tender import (
    Amendment,
    Clarification,
    Item,
    Lot,
    Tender,
    TenderDocument,
)

__all__ = [
    "Amendment",
    "Auction",
    "AuctionEvent",
    "AuctionParticipant",
    "Award",
    "Bid",
    "BidEnvelope",
    "BidFile",
    "BidPrice",
    "BidRoll",
    "BidSealing",
    "BidUpload",
    "CertificateNotice",
    "Clarification",
    "ContactBy",
    "Contract",
    "ContractSide",
    "ContractSignature",
    "Delivery",
    "DeliveryKind",
    "DeliveryLine",
    "DueMoment",
    "ExportScope",
    "ExportStatus",
    "Item",
    "KeyCeremony",
    "KeyCustody",
    "KeyShare",
    "Lot",
    "MomentKind",
    "OfferRequest",
    "Outage",
    "OutageEffect",
    "OutageEffectKind",
    "ProcedureExport",
    "ProtocolKind",
    "ProtocolSignature",
    "ReleasedShare",
    "RollLeaf",
    "Tender",
    "TenderDocument",
]
