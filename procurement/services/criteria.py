"""What counts besides the price: kept with a draft, refused and told in words, and what an opened bid counts as."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Final

from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from marketplace.permissions import Actor
from marketplace.shared.errors import Invalid, Sentence
from marketplace.shared.money import Money, minor_unit
from procurement.models import Bid, Lot, Tender
from procurement.rules import criteria as rules
from procurement.rules.criteria import Criteria, CriteriaKind, CriteriaProblem
from procurement.rules.effective import half_up_to
from procurement.rules.ranking import Direction
from procurement.services import words
from procurement.services.drafts import lock_draft, require_current, saved
from procurement.services.tenders import changes_between

SECTION: Final = "criteria"
KINDS: Final[Mapping[CriteriaKind, Sentence]] = MappingProxyType(
    {
        CriteriaKind.PRICE: gettext_lazy("Nothing: the price alone"),
        CriteriaKind.FEATURES: gettext_lazy("Features: what a bidder offers makes its price count as better"),
        CriteriaKind.COSTS: gettext_lazy("Costs over the life: what the purchase will cost you besides the price"),
    }
)
_BOUNDS: Final = {
    "questions": rules.QUESTIONS_MOST,
    "options": rules.OPTIONS_MOST,
    "share": rules.SHARE_MOST,
    "shares": rules.SHARES_MOST,
}
# By the rule's code: which field it stands beside, and what is said.
_PROBLEMS: Final[Mapping[str, tuple[str, Sentence]]] = MappingProxyType(
    {
        "costs_of_a_sale": ("", gettext_lazy("Costs over the life count where one buys, not where one sells.")),
        "nothing_asked": ("", gettext_lazy("Say what counts besides the price, or choose the price alone.")),
        "too_many_questions": ("", gettext_lazy("At most %(questions)s of them count besides the price.")),
        "weight_too_large": (
            "",
            gettext_lazy("All features together weigh at most %(shares)s %%: the price has to count for most."),
        ),
        "name_missing": ("name", gettext_lazy("Give it a name, of at most 120 characters.")),
        "name_twice": ("name", gettext_lazy("Another one has this name already.")),
        "options_missing": ("name", gettext_lazy("Give from 2 to %(options)s answers to choose from.")),
        "earns_nothing": ("name", gettext_lazy("At least one answer earns a share above 0 %%.")),
        "option_name_missing": ("name", gettext_lazy("Say what the answer is, in at most 120 characters.")),
        "option_twice": ("name", gettext_lazy("Another answer reads the same.")),
        "share_out_of_bounds": ("share", gettext_lazy("A share is from 0 to %(share)s %%.")),
        "share_too_fine": ("share", gettext_lazy("A share has at most two decimal places.")),
    }
)


@dataclass(frozen=True, slots=True)
class Example:
    """A worked example. `amount` and `counts_as` are decimal strings in the currency."""

    amount: str
    counts_as: str
    arithmetic: str
    plain_counts_as: str


@transaction.atomic
def update(tender_id: int, criteria: Criteria, *, revision: int, by: Actor, at: datetime) -> Tender:
    """Keep what counts besides the price in every lot of a draft.

    Raises NotFound, NotAllowed, NotADraft, StaleForm, Invalid (keys as of `problems`).
    """
    tender = lock_draft(tender_id, by=by)
    require_current(tender, revision, SECTION)
    if found := problems(criteria, tender.preset.axes.direction):
        raise Invalid(found)
    before = in_words(tender)
    tender.criteria = criteria.as_json()
    tender.save(update_fields=["criteria", "updated_at"])
    saved(tender, SECTION, changes_between(before, in_words(tender)), by=by, at=at)
    return tender


def problems(criteria: Criteria, direction: Direction) -> dict[str, list[Sentence]]:
    """What is wrong, by "<question from 0>.name", "<question>.<option>.name" or ".share"; "" of all together."""
    found: dict[str, list[Sentence]] = {}
    for problem in rules.problems(criteria, direction):
        field, sentence = _PROBLEMS[problem.code]
        found.setdefault(_place(problem, field), []).append(str(sentence) % _BOUNDS)
    return found


def in_words(tender: Tender) -> dict[str, str]:
    """What counts besides the price, as changes tell it."""
    criteria = tender.price_criteria
    told = {_("What counts besides the price"): str(KINDS[criteria.kind])}
    for question in criteria.questions:
        options = ", ".join(f"{option.name}: {words.plain(option.share)} %" for option in question.options)
        label = _("Counts: %(name)s") % {"name": question.name}
        told[label] = " · ".join(filter(None, [options, question.description])) or _("a cost that the bidder states")
    return told


def example(tender: Tender) -> Example | None:
    """What a bid of 100 counts as with the best answers, or with costs of 10 each; None for the price alone."""
    criteria, unit, direction = tender.price_criteria, minor_unit(tender.currency), tender.preset.axes.direction
    if not criteria:
        return None
    amount, costs = Decimal(100), {question.name: "10" for question in criteria.questions}
    answers = criteria.read(costs, unit) if criteria.kind is CriteriaKind.COSTS else criteria.best(unit)
    counts_as = half_up_to(answers.formula(direction).of(amount), unit)
    nothing = half_up_to(criteria.read({}, unit).formula(direction).of(amount), unit)
    arithmetic = answers.arithmetic(amount, direction, unit)
    return Example(f"{amount.quantize(unit):f}", f"{counts_as:f}", arithmetic, f"{nothing:f}")


def counts_as(lot: Lot, bid: Bid, amount: Decimal | None) -> str:
    """What an amount of an opened bid counts as, in minor units, rounded half up; empty for none."""
    if amount is None:
        return ""
    effective = half_up_to(lot.formula(bid.answers).of(amount), minor_unit(lot.currency))
    return Money(effective, lot.currency).as_string()


def counted(bid: Bid) -> dict[str, str] | None:
    """What the standing amount of an opened bid counts as, and how; None where the price alone counts.

    The bid's lot and its tender are loaded.
    """
    lot = bid.lot
    if bid.amount is None or not lot.tender.criteria:
        return None
    return {"amount": counts_as(lot, bid, bid.amount), "arithmetic": arithmetic(lot, bid)}


def arithmetic(lot: Lot, bid: Bid) -> str:
    """How the standing amount of an opened bid comes to what it counts as; empty where it has none."""
    if bid.amount is None:
        return ""
    unit, direction = minor_unit(lot.currency), lot.tender.preset.axes.direction
    return lot.answers(bid.answers).arithmetic(bid.amount, direction, unit)


def _place(problem: CriteriaProblem, field: str) -> str:
    return ".".join(str(part) for part in (problem.question, problem.option, field or None) if part is not None)
