"""What counts besides the price, as it is answered and counted."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from procurement.rules.criteria import Criteria, CriteriaKind, Option, Question, problems
from procurement.rules.effective import bound, half_up_to
from procurement.rules.ranking import Direction

KNOWN = json.loads((Path(__file__).parent / "criteria.json").read_text())


@pytest.mark.parametrize("case", KNOWN["cases"], ids=lambda case: case["name"])
def test_answers_count_as_the_browser_counts_them(case: dict[str, Any]) -> None:
    criteria = Criteria.from_json(KNOWN[case["criteria"]])
    unit, direction = Decimal(1).scaleb(-case["digits"]), Direction(case.get("direction", "down"))
    names = [question.name for question in criteria.questions]
    answers = criteria.read(dict(zip(names, case["typed"], strict=True)), unit)
    formula, total = answers.formula(direction), Decimal(case["total"])
    assert [answer.problem or answer.plain for answer in answers.given] == case["answers"]
    assert str(half_up_to(formula.of(total), unit)) == case["counts"]
    assert str(bound(formula, Decimal(case["limit"]), unit, direction)) == case["bound"]
    if "arithmetic" in case:
        assert answers.arithmetic(total, direction, unit) == case["arithmetic"]
    assert criteria.as_json() == KNOWN[case["criteria"]]


def features(*shares: str, name: str = "Warranty") -> Question:
    return Question(name, "", tuple(Option(f"answer {n}", Decimal(share)) for n, share in enumerate(shares)))


@pytest.mark.parametrize(
    ("questions", "code"),
    [
        ((), "nothing_asked"),
        ((features("0", "30.01"),), "share_out_of_bounds"),
        ((features("-1", "5"),), "share_out_of_bounds"),
        ((features("0", "5.001"),), "share_too_fine"),
        ((features("0", "0"),), "earns_nothing"),
        ((features("5"),), "options_missing"),
        ((features(*["1"] * 11),), "options_missing"),
        ((features("0", "5"), features("0", "5", name="warranty")), "name_twice"),
        ((features("0", "5", name=" "),), "name_missing"),
        ((Question("A", "", (Option("x", Decimal(1)), Option("X", Decimal(2)))),), "option_twice"),
        (tuple(features("0", "20.01", name=str(n)) for n in range(3)), "weight_too_large"),
        (tuple(features("0", "1", name=str(n)) for n in range(11)), "too_many_questions"),
    ],
)
def test_criteria_out_of_bounds_are_refused(questions: tuple[Question, ...], code: str) -> None:
    assert {problem.code for problem in problems(Criteria(CriteriaKind.FEATURES, questions), Direction.DOWN)} == {code}


def test_costs_count_for_purchases_only() -> None:
    costs = Criteria(CriteriaKind.COSTS, (Question("Energy"),))
    assert not list(problems(costs, Direction.DOWN))
    assert [problem.code for problem in problems(costs, Direction.UP)] == ["costs_of_a_sale"]
