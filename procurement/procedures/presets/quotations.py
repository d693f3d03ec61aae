"""Requests for quotations."""

from __future__ import annotations

from procurement.procedures.axes import Axes, Family
from procurement.procedures.presets.common import ABNORMALLY_LOW, DAY_KIND, LIMIT_PRICE_SHOWN, days, whole
from procurement.procedures.settings import Procedure
from procurement.rules.words import gettext_noop

RFQ_OPEN = Procedure(
    code="rfq_open",
    version=1,
    family=Family.REQUEST_FOR_QUOTATIONS,
    name=gettext_noop("Open request for quotations"),
    summary=gettext_noop(
        "Any accredited supplier sends one sealed bid for a lot; after opening the lowest price wins the lot."
    ),
    axes=Axes(),
    settings=(
        DAY_KIND,
        days("enquiry_period_days", gettext_noop("Questions are taken for"), 3, 1, 60),
        days("tender_period_days", gettext_noop("Bids are taken for"), 5, 2, 90),
        days("minimum_remainder_days", gettext_noop("After an amendment bids are taken for at least"), 2, 1, 30),
        days("standstill_days", gettext_noop("Standstill after the award"), 2, 0, 30),
        whole("minimum_bids", gettext_noop("Bids needed for a lot"), 1, 1, 10),
        LIMIT_PRICE_SHOWN,
        *ABNORMALLY_LOW,
    ),
)

PRESETS = (RFQ_OPEN,)
