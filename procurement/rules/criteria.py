"""What counts besides the price: features whose answers earn a share of the weight, or costs that a bid brings with it.

They are fixed with the tender and hold for each of its lots; a bid's answers make its formula for the effective price.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from hashlib import sha256
from typing import Any, Final

from marketplace.shared.money import parse_decimal
from procurement.rules.effective import PRICE_ALONE, EffectivePrice, by_features, by_life_cycle_cost, half_up_to
from procurement.rules.price_table import LARGEST_AMOUNT
from procurement.rules.ranking import Direction

QUESTIONS_MOST: Final = 10
OPTIONS_MOST: Final = 10
NAME_LENGTH: Final = 120
DESCRIPTION_LENGTH: Final = 500
#: Percent of the weight that one feature takes at most, and all together: the price stays what mostly counts.
SHARE_MOST: Final = Decimal(30)
SHARES_MOST: Final = Decimal(60)
#: As fine as a share may be: formulas keep small denominators, and a room of thousands of bids stays fast.
SHARE_STEP: Final = Decimal("0.01")
_HUNDRED: Final = Decimal(100)


class CriteriaKind(StrEnum):
    """price: nothing else counts."""

    PRICE = "price"
    FEATURES = "features"
    COSTS = "life_cycle_cost"


@dataclass(frozen=True, slots=True)
class Option:
    """An answer to choose, and the share of the weight it earns, in percent."""

    name: str
    share: Decimal


@dataclass(frozen=True, slots=True)
class Question:
    """What a bidder answers: one of the options, or, where there are none, a cost in the lot's currency."""

    name: str
    description: str = ""
    options: tuple[Option, ...] = ()

    @property
    def key(self) -> str:
        """Names the question in forms: the same for the same name only, so that no answer slips to another one."""
        return sha256(self.name.encode()).hexdigest()[:12]

    @property
    def maximum(self) -> Decimal:
        """The largest share to be earned, in percent."""
        return max((option.share for option in self.options), default=Decimal(0))

    def option(self, name: str) -> Option | None:
        return next((option for option in self.options if option.name == name), None)


class AnswerProblem(StrEnum):
    MISSING = "missing"
    NOT_OFFERED = "not_offered"
    NOT_A_NUMBER = "not_a_number"
    NEGATIVE = "negative"
    TOO_PRECISE = "too_precise"
    TOO_LARGE = "too_large"


@dataclass(frozen=True, slots=True)
class Answer:
    """What was typed or chosen, and what it comes to: a share in percent, or a cost; None where there is a problem."""

    question: Question
    typed: str
    value: Decimal | None
    problem: AnswerProblem | None = None

    @property
    def plain(self) -> str:
        """As a bid carries it: the option's name, or the cost as a decimal string."""
        return self.typed if self.question.options or self.value is None else f"{self.value:f}"


@dataclass(frozen=True, slots=True)
class Answers:
    """A bid's answers, one for each question. What is not answered yet earns nothing and costs nothing."""

    criteria: Criteria
    given: tuple[Answer, ...]

    @property
    def complete(self) -> bool:
        return all(answer.problem is None for answer in self.given)

    @property
    def wrong(self) -> tuple[Answer, ...]:
        return tuple(answer for answer in self.given if answer.problem is not None)

    @property
    def plain(self) -> dict[str, str]:
        """Those without a problem, by question."""
        return {answer.question.name: answer.plain for answer in self.given if answer.problem is None}

    @property
    def _values(self) -> list[Decimal]:
        return [answer.value or Decimal(0) for answer in self.given]

    def formula(self, direction: Direction) -> EffectivePrice:
        """What an amount of this bidder counts as."""
        match self.criteria.kind:
            case CriteriaKind.FEATURES:
                shares = [value / _HUNDRED for value in self._values]
                return by_features(shares, [each.maximum / _HUNDRED for each in self.criteria.questions], direction)
            case CriteriaKind.COSTS:
                return by_life_cycle_cost(sum(self._values, Decimal(0)))
            case _:
                return PRICE_ALONE

    def arithmetic(self, amount: Decimal, direction: Direction, minor_unit: Decimal) -> str:
        """How the amount comes to what it counts as: “100.00 ÷ (1 + 10 % ÷ (100 % − 20 %)) = 88.89”."""
        result = half_up_to(self.formula(direction).of(amount), minor_unit)
        typed = f"{amount.quantize(minor_unit):f}"
        if self.criteria.kind is CriteriaKind.COSTS:
            parts = "".join(f" + {value.quantize(minor_unit):f}" for value in self._values)
            return f"{typed}{parts} = {result:f}"
        sign = "÷" if direction is Direction.DOWN else "×"
        earned = " + ".join(f"{_plain(value)} %" for value in self._values)
        earned = f"({earned})" if len(self.given) > 1 else earned
        return f"{typed} {sign} (1 + {earned} ÷ (100 % − {_plain(self.criteria.weight)} %)) = {result:f}"


@dataclass(frozen=True, slots=True)
class Criteria:
    """What bidders are asked besides their prices: nothing, features or costs; never both. False where nothing."""

    kind: CriteriaKind = CriteriaKind.PRICE
    questions: tuple[Question, ...] = ()

    def __bool__(self) -> bool:
        return self.kind is not CriteriaKind.PRICE

    @property
    def weight(self) -> Decimal:
        """What all features earn together at most, in percent."""
        return sum((question.maximum for question in self.questions), Decimal(0))

    def read(self, typed: Mapping[str, str], minor_unit: Decimal) -> Answers:
        """The answers as typed, by the question's name; what is asked no more is left out."""
        return Answers(
            self,
            tuple(_answer(each, typed.get(each.name, "").strip(), minor_unit) for each in self.questions),
        )

    def best(self, minor_unit: Decimal) -> Answers:
        """The answers that earn most; costs of nothing."""
        typed = {
            question.name: max(question.options, key=lambda option: option.share).name if question.options else "0"
            for question in self.questions
        }
        return self.read(typed, minor_unit)

    def as_json(self) -> dict[str, Any]:
        """Empty where only the price counts; shares are decimal strings in percent."""
        if not self:
            return {}
        return {"kind": self.kind.value, "questions": [_question_json(question) for question in self.questions]}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Criteria:
        if not kept:
            return NOTHING_BESIDES
        return cls(
            CriteriaKind(kept["kind"]),
            tuple(
                Question(
                    each["name"],
                    each["description"],
                    tuple(Option(option["name"], Decimal(option["share"])) for option in each.get("options", ())),
                )
                for each in kept["questions"]
            ),
        )


NOTHING_BESIDES: Final = Criteria()


@dataclass(frozen=True, slots=True)
class CriteriaProblem:
    """What keeps the criteria from counting: of which question and option, from 0; None where of all together."""

    code: str
    question: int | None = None
    option: int | None = None


def problems(criteria: Criteria, direction: Direction) -> Iterator[CriteriaProblem]:
    """Everything that is wrong, in the order in which it is read."""
    if not criteria:
        return
    if criteria.kind is CriteriaKind.COSTS and direction is Direction.UP:
        yield CriteriaProblem("costs_of_a_sale")
    if not criteria.questions:
        yield CriteriaProblem("nothing_asked")
    if len(criteria.questions) > QUESTIONS_MOST:
        yield CriteriaProblem("too_many_questions")
    seen: set[str] = set()
    for place, question in enumerate(criteria.questions):
        if not question.name.strip() or len(question.name) > NAME_LENGTH:
            yield CriteriaProblem("name_missing", place)
        elif question.name.casefold() in seen:
            yield CriteriaProblem("name_twice", place)
        seen.add(question.name.casefold())
        if criteria.kind is CriteriaKind.FEATURES:
            yield from _of_options(question, place)
    if criteria.kind is CriteriaKind.FEATURES and criteria.weight > SHARES_MOST:
        yield CriteriaProblem("weight_too_large")


def _of_options(question: Question, place: int) -> Iterator[CriteriaProblem]:
    if not 2 <= len(question.options) <= OPTIONS_MOST:
        yield CriteriaProblem("options_missing", place)
    elif question.maximum <= 0:
        yield CriteriaProblem("earns_nothing", place)
    seen: set[str] = set()
    for number, option in enumerate(question.options):
        if not option.name.strip() or len(option.name) > NAME_LENGTH:
            yield CriteriaProblem("option_name_missing", place, number)
        elif option.name.casefold() in seen:
            yield CriteriaProblem("option_twice", place, number)
        seen.add(option.name.casefold())
        if not option.share.is_finite() or not 0 <= option.share <= SHARE_MOST:
            yield CriteriaProblem("share_out_of_bounds", place, number)
        elif option.share % SHARE_STEP:
            yield CriteriaProblem("share_too_fine", place, number)


def _answer(question: Question, typed: str, minor_unit: Decimal) -> Answer:
    if not typed:
        return Answer(question, typed, None, AnswerProblem.MISSING)
    if question.options:
        chosen = question.option(typed)
        return Answer(question, typed, chosen.share) if chosen else _refused(question, typed, AnswerProblem.NOT_OFFERED)
    try:
        cost = parse_decimal(typed)
    except ValueError:
        return _refused(question, typed, AnswerProblem.NOT_A_NUMBER)
    if cost < 0:
        return _refused(question, typed, AnswerProblem.NEGATIVE)
    if cost >= LARGEST_AMOUNT:
        return _refused(question, typed, AnswerProblem.TOO_LARGE)
    if Fraction(cost) % Fraction(minor_unit):
        return _refused(question, typed, AnswerProblem.TOO_PRECISE)
    return Answer(question, typed, abs(cost).quantize(minor_unit))  # no “−0.00”


def _refused(question: Question, typed: str, problem: AnswerProblem) -> Answer:
    return Answer(question, typed, None, problem)


def _question_json(question: Question) -> dict[str, Any]:
    told: dict[str, Any] = {"name": question.name, "description": question.description}
    if question.options:
        told["options"] = [{"name": option.name, "share": _plain(option.share)} for option in question.options]
    return told


def _plain(share: Decimal) -> str:
    """A share as it is written: 7.5, 10."""
    return f"{share.normalize():f}"
