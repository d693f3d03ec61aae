"""The pipeline's values in words: one table for pages, the API's documentation and exports."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from django.utils.translation import gettext_lazy as _

from analytics.rules.claims import OwnershipRule
from analytics.rules.pipeline import (
    BuyingRole,
    Criterion,
    LeadState,
    LostReason,
    OpportunityState,
    Stage,
    StepKind,
    StepResult,
    WonReason,
)
from analytics.rules.qualification import Known
from marketplace.shared.errors import Sentence

Value = TypeVar("Value", bound=StrEnum)

STAGE_NAMES = {
    Stage.PROSPECTING: _("Prospecting"),
    Stage.PREPARATION: _("Preparation"),
    Stage.APPROACH: _("Approach"),
    Stage.PRESENTATION: _("Presentation"),
    Stage.OBJECTIONS: _("Objections"),
    Stage.CLOSE: _("Close"),
    Stage.FOLLOW_UP: _("Follow-up"),
}
# What a stage is for: shown under its name.
STAGE_HINTS = {
    Stage.PROSPECTING: _("Is there a need, and somebody to talk to?"),
    Stage.PREPARATION: _("Read what they bought and what it may be worth, before you call."),
    Stage.APPROACH: _("Talk to them; learn who decides and what there is to spend."),
    Stage.PRESENTATION: _("Show the group what you offer for their goals."),
    Stage.OBJECTIONS: _("Answer what speaks against it."),
    Stage.CLOSE: _("Agree on terms and a date."),
    Stage.FOLLOW_UP: _("See the first order arrive, and ask whether they are content."),
}
CRITERION_NAMES = {
    Criterion.NEED_NAMED: _("The need is named"),
    Criterion.CONTACT_REACHABLE: _("A contact can be reached by mail or phone"),
    Criterion.HISTORY_READ: _("What they bought so far has been read"),
    Criterion.AMOUNT_KNOWN: _("The expected amount is known"),
    Criterion.TALKED: _("You have talked to them: a call or a meeting in which they were reached"),
    Criterion.DECISION_MAKER_KNOWN: _("Who decides, or who pays, is among the contacts"),
    Criterion.BUDGET_KNOWN: _("There is a budget, at least in part"),
    Criterion.GOALS_KNOWN: _("Their goals are written down"),
    Criterion.GROUP_KNOWN: _("At least two people of the buying group are known"),
    Criterion.OFFER_PRESENTED: _("The offer was presented"),
    Criterion.OBJECTIONS_ANSWERED: _("Every objection is answered"),
    Criterion.CLOSING_DATE_KNOWN: _("The date of closing is known"),
    Criterion.TERMS_AGREED: _("Terms are agreed"),
    Criterion.FIRST_ORDER_SEEN: _("The first order has arrived"),
    Criterion.SATISFACTION_ASKED: _("They were asked whether they are content"),
}
OPPORTUNITY_NAMES = {
    OpportunityState.OPEN: _("Open"),
    OpportunityState.WON: _("Won"),
    OpportunityState.LOST: _("Lost"),
}
LEAD_NAMES = {
    LeadState.NEW: _("New"),
    LeadState.WORKING: _("Being qualified"),
    LeadState.QUALIFIED: _("Qualified"),
    LeadState.DISQUALIFIED: _("Given up"),
}
KNOWN_NAMES = {
    Known.UNKNOWN: _("Not asked yet"),
    Known.NO: _("No"),
    Known.PARTLY: _("In part"),
    Known.YES: _("Yes"),
}
BUYING_ROLE_NAMES = {
    BuyingRole.DECISION_MAKER: _("Decides"),
    BuyingRole.ECONOMIC_BUYER: _("Holds the budget"),
    BuyingRole.TECHNICAL_BUYER: _("Judges the technical side"),
    BuyingRole.USER: _("Uses it"),
    BuyingRole.INFLUENCER: _("Advises"),
    BuyingRole.CHAMPION: _("Speaks for us"),
    BuyingRole.GATEKEEPER: _("Lets through or not"),
}
STEP_NAMES = {
    StepKind.CALL: _("Call"),
    StepKind.MAIL: _("Mail"),
    StepKind.MEETING: _("Meeting"),
    StepKind.PRESENTATION: _("Presentation"),
    StepKind.OFFER: _("Offer"),
    StepKind.FOLLOW_UP: _("Follow-up"),
    StepKind.OTHER: _("Other"),
}
RESULT_NAMES = {
    StepResult.REACHED: _("Reached them"),
    StepResult.NOT_REACHED: _("Did not reach them"),
    StepResult.DONE: _("Done"),
    StepResult.DROPPED: _("Dropped"),
}
WON_NAMES = {
    WonReason.PRICE: _("Price"),
    WonReason.RANGE: _("Range of goods"),
    WonReason.SERVICE: _("Service and advice"),
    WonReason.DELIVERY: _("Delivery"),
    WonReason.RELATION: _("They know and trust us"),
    WonReason.TENDER: _("Won in a procedure"),
}
LOST_NAMES = {
    LostReason.PRICE: _("Price"),
    LostReason.COMPETITOR: _("Went to a competitor"),
    LostReason.NO_NEED: _("No need"),
    LostReason.NO_BUDGET: _("No budget"),
    LostReason.NO_ANSWER: _("No answer"),
    LostReason.POSTPONED: _("Put off"),
    LostReason.RANGE: _("We do not have what they need"),
    LostReason.CLOSED_DOWN: _("The company has closed down"),
    LostReason.DOUBLE: _("The same sale goes on elsewhere"),
}
OWNERSHIP_NAMES = {
    OwnershipRule.ACCOUNT: _("looks after the account"),
    OwnershipRule.OPPORTUNITY: _("has the earliest open opportunity with the account"),
    OwnershipRule.TERRITORY: _("looks after the territory"),
    OwnershipRule.FIRST: _("registered it first and works on it"),
}


def choices(names: Mapping[Value, Sentence]) -> list[tuple[str, Sentence]]:
    """A table of names as Django's choices."""
    return [(value.value, name) for value, name in names.items()]
