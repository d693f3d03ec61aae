"""What must hold of a bid before it can be sealed and sent: prices, answers, limits, documents, what its bidder may."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from marketplace import entitlements
from marketplace.shared.errors import DomainError, Invalid, Sentence
from marketplace.shared.money import minor_unit
from procurement.models import Bid, BidFile
from procurement.queries import bids as bid_queries
from procurement.rules.criteria import AnswerProblem, Answers
from procurement.rules.effective import half_up_to
from procurement.rules.price_table import PriceProblem, PriceTable
from procurement.rules.ranking import Direction
from procurement.services import bid_drafts, words
from procurement.services.bid_drafts import Draft

PRICE_PROBLEMS: Final[Mapping[PriceProblem, Sentence]] = MappingProxyType(
    {
        PriceProblem.MISSING: gettext_lazy("Enter a unit price."),
        PriceProblem.NOT_A_NUMBER: gettext_lazy("This is not a price. Write it like 1250.50."),
        PriceProblem.NOT_POSITIVE: gettext_lazy("The price must be above zero."),
        PriceProblem.TOO_PRECISE: gettext_lazy("A unit price has at most four decimal places."),
        PriceProblem.TOO_LARGE: gettext_lazy("This price is too large to be right."),
    }
)

ANSWER_PROBLEMS: Final[Mapping[AnswerProblem, Sentence]] = MappingProxyType(
    {
        AnswerProblem.MISSING: gettext_lazy("This counts besides the price: answer it."),
        AnswerProblem.NOT_OFFERED: gettext_lazy("Choose one of the answers."),
        AnswerProblem.NOT_A_NUMBER: gettext_lazy("This is not an amount. Write it like 1250.50."),
        AnswerProblem.NEGATIVE: gettext_lazy("A cost is not below zero."),
        AnswerProblem.TOO_PRECISE: gettext_lazy("A cost has no smaller part than the currency’s minor unit."),
        AnswerProblem.TOO_LARGE: gettext_lazy("This cost is too large to be right."),
    }
)


class AnswersIncomplete(Invalid):
    """`errors` has one entry for each question without an answer that counts: "answer_<key>"."""

    code = "answers_incomplete"
    sentence = gettext_lazy("Not everything that counts besides the price is answered.")


class PricesIncomplete(Invalid):
    """`errors` has one entry for each line that is wrong: "price_<item id>"."""

    code = "prices_incomplete"
    sentence = gettext_lazy("The price table is not complete.")


class OverLimitPrice(DomainError):
    code, status = "over_limit_price", 422
    sentence = gettext_lazy("The total %(total)s is above the lot’s limit price, %(limit)s. Such a bid is not taken.")


class BelowReservePrice(DomainError):
    code, status = "below_reserve_price", 422
    sentence = gettext_lazy("The total %(total)s is below the lot’s reserve price, %(limit)s. Such a bid is not taken.")


class LimitNotMet(DomainError):
    code, status = "limit_not_met", 422
    sentence = gettext_lazy(
        "The total %(total)s counts as %(counts_as)s with your answers, and does not meet the lot’s limit price of "
        "%(limit)s. Such a bid is not taken."
    )


class TotalTooLarge(DomainError):
    code, status = "total_too_large", 422
    sentence = gettext_lazy(
        "The lines together are larger than any price can be. Look for a comma or a zero too many in the unit prices."
    )


class DocumentsNotHere(DomainError):
    code, status = "documents_not_here", 422
    sentence = gettext_lazy(
        "Not every document of this bid has arrived whole. Wait until it has, or remove it and add it again."
    )


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the check before sending. `anchor` names the field that puts it right."""

    holds: bool
    text: Sentence
    anchor: str = ""


def checks(bid: Bid, draft: Draft, table: PriceTable, *, at: datetime) -> list[Check]:
    """What must hold before the bid can be sent, in the order in which one would put it right."""
    lot = bid.lot
    first_wrong = next((line for line in table.lines if line.problem), None)
    found = [
        Check(
            table.complete,
            _("%(priced)s of %(all)s items have a price.") % {"priced": table.priced, "all": len(table.lines)},
            f"price_{first_wrong.item}" if first_wrong else "",
        )
    ]
    answers = bid_drafts.answers_of(lot, draft)
    if answers.criteria:
        found.append(_answered(answers))
    if table.too_large:
        found.append(Check(False, str(TotalTooLarge()), "total"))
    elif answers.criteria and lot.limit_price is not None and lot.tender.limit_price_shown:
        # A total of which a part is missing meets every limit price: that says nothing.
        if table.beyond_limit or (table.complete and answers.complete):
            found.append(_in_effect(bid, table, answers))
    elif table.limit is not None:
        limit = words.price(table.limit, lot.currency)
        found.append(Check(not table.beyond_limit, _beside_limit(table) % {"limit": limit}, "total"))
    if any(not document.sealed_path for document in bid.files.filter(removed_at=None)):
        found.append(Check(False, str(DocumentsNotHere()), "documents"))
    return found + entitlement_checks(bid, at=at)


def entitlement_checks(bid: Bid, *, at: datetime) -> list[Check]:
    """What the bidder's accreditation and tariff say, whatever the bid holds."""
    answer = entitlements.check(bid.supplier, bid_queries.need_of(bid.lot, bid.supplier_id, at, bid_id=bid.pk), at)
    found = [Check(False, f"{reason.sentence} {reason.remedy}") for reason in answer.reasons]
    if answer.allowed:
        found.append(Check(True, _("Accreditation and tariff permit this bid.")))
    return found


def complete(bid: Bid, table: PriceTable, answers: Answers) -> PriceTable:
    """The price table, which with the answers may be sealed and sent.

    Raises PricesIncomplete, AnswersIncomplete, TotalTooLarge, OverLimitPrice, BelowReservePrice, LimitNotMet.
    """
    wrong: dict[str, list[Sentence]] = {
        f"price_{line.item}": [PRICE_PROBLEMS[line.problem]] for line in table.lines if line.problem
    }
    if wrong:
        raise PricesIncomplete(wrong)
    if answers.wrong:
        raise AnswersIncomplete(
            {
                f"answer_{answer.question.key}": [ANSWER_PROBLEMS[answer.problem]]
                for answer in answers.wrong
                if answer.problem
            }
        )
    if table.too_large:
        raise TotalTooLarge(field="total")
    if table.beyond_limit and answers.criteria:
        raise LimitNotMet(field="total", **_limit_words(bid, table, answers))
    if table.beyond_limit and table.limit is not None:
        refused = BelowReservePrice if table.direction is Direction.UP else OverLimitPrice
        raise refused(
            field="total",
            total=words.price(table.total, bid.currency),
            limit=words.price(table.limit, bid.currency),
        )
    return table


def arrived(bid: Bid, wanted: Sequence[int] | None) -> list[BidFile]:
    """The bid's documents, or those wanted, in the order they were added. Raises DocumentsNotHere for one that is not
    this bid's, was removed, or never arrived whole."""
    there = list(bid.files.filter(removed_at=None))
    if wanted is not None:
        there = [document for document in there if document.pk in set(wanted)]
        if len(there) != len(wanted):
            raise DocumentsNotHere(field="documents")
    if any(not document.sealed_path for document in there):
        raise DocumentsNotHere(field="documents")
    return there


def _answered(answers: Answers) -> Check:
    said = {"answered": len(answers.given) - len(answers.wrong), "all": len(answers.given)}
    anchor = f"answer_{answers.wrong[0].question.key}" if answers.wrong else ""
    text = _("%(answered)s of %(all)s questions that count besides the price are answered.") % said
    return Check(answers.complete, text, anchor)


def _in_effect(bid: Bid, table: PriceTable, answers: Answers) -> Check:
    """Whether what the total counts as meets the limit price."""
    if table.beyond_limit:
        return Check(False, str(LimitNotMet(**_limit_words(bid, table, answers))), "total")
    text = _("The total counts as %(counts_as)s with your answers, and meets the limit price of %(limit)s.")
    return Check(True, text % _limit_words(bid, table, answers), "total")


def _limit_words(bid: Bid, table: PriceTable, answers: Answers) -> dict[str, str]:
    counts_as = answers.formula(bid.lot.tender.preset.axes.direction).of(table.total)
    limit = bid.lot.limit_price
    assert limit is not None  # there is one to be met
    return {
        "total": words.price(table.total, bid.currency),
        "counts_as": words.price(half_up_to(counts_as, minor_unit(bid.currency)), bid.currency),
        "limit": words.price(limit, bid.currency),
    }


def _beside_limit(table: PriceTable) -> str:
    if table.direction is Direction.UP:
        if table.beyond_limit:
            return _("The total is below the reserve price of %(limit)s: such a bid is not taken.")
        return _("The total is not below the reserve price of %(limit)s.")
    if table.beyond_limit:
        return _("The total is above the limit price of %(limit)s: such a bid is not taken.")
    return _("The total is within the limit price of %(limit)s.")
