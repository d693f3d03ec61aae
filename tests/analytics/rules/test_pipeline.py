from datetime import date
from decimal import Decimal

import pytest

from analytics.rules.claims import Claim, OwnershipRule, owner
from analytics.rules.forecast import Passed, shares, weighted
from analytics.rules.pipeline import (
    EXIT_CRITERIA,
    LEAD_NEXT,
    OPPORTUNITY_NEXT,
    STAGES,
    BuyingRole,
    Criterion,
    Facts,
    LeadState,
    OpportunityState,
    Stage,
    add_working_days,
    follow_up_on,
    missing,
    missing_between,
)
from analytics.rules.qualification import Known, fit

TODAY = date(2026, 11, 23)  # a Monday


def test_every_state_has_its_next_ones_and_what_is_decided_may_be_taken_up_again() -> None:
    assert (set(LEAD_NEXT), set(OPPORTUNITY_NEXT)) == (set(LeadState), set(OpportunityState))
    assert LEAD_NEXT[LeadState.QUALIFIED] == set()
    for decided in (OpportunityState.WON, OpportunityState.LOST):
        assert decided in OPPORTUNITY_NEXT[OpportunityState.OPEN]
        assert OPPORTUNITY_NEXT[decided] == {OpportunityState.OPEN}


def test_the_seven_stages_stand_in_their_order_and_each_has_exit_criteria() -> None:
    assert [stage.value for stage in STAGES] == [
        "prospecting", "preparation", "approach", "presentation", "objections", "close", "follow_up",
    ]  # fmt: skip
    asked = [criterion for criteria in EXIT_CRITERIA.values() for criterion in criteria]
    assert sorted(asked) == sorted(Criterion)


def test_a_stage_is_left_only_when_its_criteria_hold() -> None:
    assert missing(Stage.APPROACH, Facts()) == (
        Criterion.TALKED,
        Criterion.DECISION_MAKER_KNOWN,
        Criterion.BUDGET_KNOWN,
    )
    facts = Facts(talks=1, roles=(BuyingRole.ECONOMIC_BUYER,), budget=Known.PARTLY)
    assert missing(Stage.APPROACH, facts) == ()
    assert missing(Stage.PRESENTATION, facts) == (
        Criterion.GOALS_KNOWN,
        Criterion.GROUP_KNOWN,
        Criterion.OFFER_PRESENTED,
    )


def test_a_no_answers_a_question_but_fulfils_nothing() -> None:
    assert Criterion.BUDGET_KNOWN in missing(Stage.APPROACH, Facts(budget=Known.NO))


def test_leaping_over_stages_asks_for_the_criteria_of_all_of_them_and_going_back_for_none() -> None:
    facts = Facts(need=Known.YES, reachable_contacts=1)
    assert missing_between(Stage.PROSPECTING, Stage.APPROACH, facts) == (
        Criterion.HISTORY_READ,
        Criterion.AMOUNT_KNOWN,
    )
    assert missing_between(Stage.CLOSE, Stage.PREPARATION, Facts()) == ()


@pytest.mark.parametrize(
    ("number", "expected"),
    [(1, date(2026, 11, 25)), (2, date(2026, 11, 26)), (3, date(2026, 11, 30)), (5, date(2026, 12, 7))],
)
def test_follow_ups_fall_on_working_days(number: int, expected: date) -> None:
    assert follow_up_on(number, TODAY) == expected


def test_a_holiday_is_no_working_day() -> None:
    assert add_working_days(TODAY, 2, {date(2026, 11, 25)}) == date(2026, 11, 26)


def test_there_are_five_follow_ups() -> None:
    with pytest.raises(ValueError, match="no follow-up 6"):
        follow_up_on(6, TODAY)


def test_qualification_counts_points_and_is_ruled_out_by_no_need() -> None:
    found = fit(
        {"budget": Known.YES, "need": Known.YES, "timeline": Known.PARTLY}, {"goals": "cut stock", "plans": " "}
    )
    assert (found.points, found.answered, found.qualified) == (5, 1, True)
    ruled_out = fit({"budget": Known.YES, "authority": Known.YES, "need": Known.NO}, {})
    assert (ruled_out.points, ruled_out.qualified, ruled_out.refused) == (4, False, ("need",))


def test_shares_are_the_usual_ones_without_history_and_ones_own_with_much() -> None:
    assert shares({})[Stage.PRESENTATION] == Decimal("0.40")
    # (60 + 20 × 0.4) / (80 + 20)
    assert shares({Stage.PRESENTATION: Passed(80, 60)})[Stage.PRESENTATION] == Decimal("0.68")


def test_a_later_stage_is_never_less_likely() -> None:
    found = shares({Stage.PRESENTATION: Passed(80, 76), Stage.CLOSE: Passed(0, 0)})
    assert found[Stage.OBJECTIONS] == found[Stage.CLOSE] == found[Stage.PRESENTATION] == Decimal("0.84")


def test_the_forecast_is_rounded_once() -> None:
    amounts = [(Stage.PROSPECTING, Decimal("0.10"))] * 3
    assert weighted(amounts, shares({}), Decimal("0.01")) == Decimal("0.02")  # 3 × 0.005 = 0.015, half up


def test_ownership_goes_by_account_then_opportunity_then_territory_then_who_was_first() -> None:
    first = Claim(1, registered_on=date(2026, 11, 1))
    local = Claim(2, owns_territory=True)
    working = Claim(3, opportunity_since=date(2026, 10, 1))
    owning = Claim(4, owns_account=True)
    assert owner([first, local, working, owning], TODAY) == (4, OwnershipRule.ACCOUNT)
    assert owner([first, local, working], TODAY) == (3, OwnershipRule.OPPORTUNITY)
    assert owner([first, local], TODAY) == (2, OwnershipRule.TERRITORY)
    assert owner([first, Claim(5, registered_on=date(2026, 10, 1))], TODAY) == (5, OwnershipRule.FIRST)


def test_who_lets_a_lead_lie_loses_the_claim_of_having_been_first() -> None:
    lay = Claim(1, registered_on=date(2026, 8, 24))  # 91 days
    kept = Claim(2, registered_on=date(2026, 11, 1))
    assert owner([lay, kept], TODAY) == (2, OwnershipRule.FIRST)
    assert owner([Claim(1, registered_on=date(2026, 8, 25))], TODAY) == (1, OwnershipRule.FIRST)  # 90 days
    assert owner([lay], TODAY) is None
    assert owner([Claim(1, registered_on=date(2026, 1, 1), last_step_on=date(2026, 9, 1))], TODAY) == (
        1,
        OwnershipRule.FIRST,
    )
