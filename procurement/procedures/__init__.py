"""The catalogue of procedures: frozen, versioned presets over a few axes. No code asks which procedure it is; it asks
an axis.

procedure = procedures.get(tender.procedure, tender.procedure_version)
problems = procedures.problems(procedure, given)
settings = procedures.resolve(procedure, given)
"""

from procurement.procedures.axes import Access, Award, Axes, Family, Negotiation, PriceFormat, Rebidding
from procurement.procedures.catalogue import UnknownProcedure, as_json, catalogue, get
from procurement.procedures.settings import (
    AuctionSettings,
    LotAsks,
    Problem,
    Procedure,
    Setting,
    TenderSettings,
    problems,
    resolve,
)

__all__ = [
    "Access",
    "AuctionSettings",
    "Award",
    "Axes",
    "Family",
    "LotAsks",
    "Negotiation",
    "PriceFormat",
    "Problem",
    "Procedure",
    "Rebidding",
    "Setting",
    "TenderSettings",
    "UnknownProcedure",
    "as_json",
    "catalogue",
    "get",
    "problems",
    "resolve",
]
