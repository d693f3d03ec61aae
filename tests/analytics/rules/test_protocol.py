from datetime import date

import numpy as np

from analytics.rules import protocol
from analytics.rules.history import History, collapse


def a_history(purchases: dict[tuple[str, str], list[int]], amount: float = 10.0) -> History:
    """Account and category → days; an item of the same name as its category."""
    accounts = sorted({account for account, _ in purchases})
    categories = sorted({category for _, category in purchases})
    rows = [(accounts.index(a), categories.index(c), day) for (a, c), days in purchases.items() for day in days]
    account, category, day = np.array(rows, dtype=np.int32).T
    return collapse(
        account=account,
        category=category,
        item=category,
        day=day,
        quantity=np.ones(len(rows)),
        amount=np.full(len(rows), amount),
        accounts=tuple(accounts),
        categories=tuple(categories),
        items=tuple(categories),
        first_day=date(2024, 1, 1),
    )


def test_training_windows_close_by_the_cut_off() -> None:
    assert protocol.training_cutoffs(192) == (102,)
    assert protocol.training_cutoffs(252) == (162, 132, 102)
    assert protocol.training_cutoffs(179) == ()


def test_eligible_accounts_have_three_days_sixty_of_tenure_and_ninety_of_silence_at_most() -> None:
    history = a_history(
        {
            ("at the bounds", "x"): [0, 5, 30],
            ("two days", "x"): [0, 100],
            ("too new", "x"): [61, 70, 80],
            ("silent", "x"): [0, 10, 29],
        }
    )
    assert history.accounts[protocol.eligible_accounts(history, 120).account[0]] == "at the bounds"
    assert len(protocol.eligible_accounts(history, 120)) == 1
    assert len(protocol.eligible_accounts(history, 121)) == 1  # "too new" is 60 days old now, "at the bounds" is silent


def test_days_after_the_cut_off_make_nobody_eligible() -> None:
    history = a_history({("a", "x"): [0, 10, 121]})
    assert len(protocol.eligible_accounts(history, 120)) == 0


def test_labels_look_at_the_ninety_days_after_the_cut_off() -> None:
    history = a_history({("gone", "x"): [0, 50, 100, 191], ("stays", "x"): [0, 50, 100, 190]})
    eligible = protocol.eligible_accounts(history, 100)
    assert protocol.churned(history, 100, eligible).tolist() == [True, False]
    assert protocol.churned(history, 100, eligible, horizon=91).tolist() == [False, False]


def test_pairs_need_a_median_gap_of_forty_five_days_and_are_lost_by_category() -> None:
    history = a_history(
        {("a", "x"): [0, 45, 90, 120], ("a", "y"): [0, 44, 90], ("a", "z"): [0, 46, 92]},
    )
    eligible = protocol.eligible_pairs(history, 100)
    assert [history.categories[c] for c in eligible.category] == ["x", "y"]
    assert protocol.defected(history, 100, eligible).tolist() == [False, True]
    assert protocol.spend_behind(history, 100, eligible).tolist() == [30 / 100 * 90, 30 / 100 * 90]


def test_median_gaps_are_those_computed_by_hand() -> None:
    history = a_history({("a", "x"): [0, 1, 11, 13], ("b", "x"): [0, 4, 10], ("c", "x"): [3]})
    assert protocol.median_gaps(history.account_days()).tolist() == [2.0, 5.0, float("inf")]


def test_growth_asks_for_what_was_never_bought_before() -> None:
    history = a_history(
        {
            ("a", "x"): [0, 10, 150],
            ("a", "y"): [120],  # new to it, known by others
            ("a", "z"): [130],  # nobody knew it
            ("b", "y"): [0],  # one order day: not asked about
            ("b", "x"): [120],
        }
    )
    case = protocol.growth_case(history, 100, of="items")
    assert [history.accounts[a] for a in case.accounts] == ["a"]
    assert case.relevant_counts().tolist() == [1]
    accounts = np.zeros(3, dtype=np.int32)
    assert case.is_relevant(accounts, np.arange(3, dtype=np.int32)).tolist() == [False, True, False]
    assert case.is_bought(accounts, np.arange(3, dtype=np.int32)).tolist() == [True, False, False]


def test_growth_leaves_out_accounts_silent_for_half_a_year() -> None:
    history = a_history({("a", "x"): [0, 20], ("b", "x"): [0, 19]})
    assert [history.accounts[a] for a in protocol.growth_accounts(history, 200)] == ["a"]


def test_nothing_to_judge_is_no_error() -> None:
    history = a_history({("a", "x"): [0]})
    assert len(protocol.eligible_pairs(history, 100)) == 0
    assert protocol.spend_behind(history, 100, protocol.eligible_accounts(history, 100)).tolist() == []
    assert protocol.growth_case(history, 100, of="items").relevant_counts().tolist() == []
