import json
import os
from dataclasses import fields, replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from analytics.features import baselines, evaluation, evaluation_report
from analytics.features.evaluation import LEVELS, PRODUCT, Evaluation, default_cutoffs
from analytics.features.gathering import gather
from analytics.features.simulation import Shop, simulate
from analytics.rules import growth, metrics, protocol
from analytics.rules.history import History

ONLINE_RETAIL = Path(os.environ.get("OPENLOT_DATA", ".local/data")) / "online_retail_compact.csv.gz"
CHANCES = ("ECE", "ECE of cards", "expected ÷ bought")
RUN = {
    "file": "<lines>.csv",
    "first_day": "2021-01-01",
    "last_day": "2022-03-01",
    "rows_used": 1,
    "rows_read": 2,
    "warnings": {"one_day": 1},
    "remarks": [],
    "rejected": {"bad_date": 1},
}


@pytest.fixture(scope="module")
def history() -> History:
    return simulate(Shop(accounts=150, days=400, categories=8, items=40, orders=20.0, lines=2.0), seed=5).history()


@pytest.fixture(scope="module")
def measured(history: History) -> Evaluation:
    return evaluation.evaluate(history, (250, 305))


def test_cut_offs_leave_a_horizon_after_them_and_a_training_window_before(history: History) -> None:
    last = history.last_day
    assert default_cutoffs(history) == (last - 180, last - 150, last - 120, last - 90)
    assert default_cutoffs(history.until(200)) == (110,)
    assert default_cutoffs(history.until(100)) == ()


def test_no_cut_off_is_followed_by_a_hole_of_the_data(history: History) -> None:
    holed = history.where((history.day < 250) | (history.day >= 310))
    cutoffs = evaluation.default_cutoffs(holed, horizon=30)
    assert cutoffs == (219, 309, 339, 369)
    assert evaluation.followed_by_holes(holed, (219, 220, 308, 309), 30) == [220, 308]


def test_every_level_has_the_product_beside_its_baselines(measured: Evaluation) -> None:
    assert all(measured.names(level)[-1] == PRODUCT for level in LEVELS)
    assert measured.names(LEVELS[0])[:2] == ["recency", "revenue drop, 90 d against the 90 before"]
    assert set(measured.mean(LEVELS[0], PRODUCT)) == {"AUC", "AP", "lift@10%", "P@100", "ECE"}
    assert set(measured.mean(LEVELS[2], PRODUCT)) == {"recall@10", "NDCG@10", "hit@5", *CHANCES}
    assert not any(figure in measured.mean(LEVELS[2], "popularity") for figure in CHANCES)
    by_cutoff = [cutoff.figures[LEVELS[0]][PRODUCT]["AUC"] for cutoff in measured.cutoffs]
    assert measured.mean(LEVELS[0], PRODUCT)["AUC"] == pytest.approx(np.mean(by_cutoff))


def test_chances_and_money_of_growth_are_judged_by_what_came(history: History) -> None:
    """Of three suggestions the one with the most money is the card, of those that are likely enough to be one."""
    lists = growth.score(growth.fit(history, 250), history, 250, top=10).items
    assert lists is not None
    rows = np.flatnonzero(lists.account == lists.account[0])[:3]
    three = replace(lists, **{f.name: getattr(lists, f.name)[rows] for f in fields(lists)})
    three = replace(three, score=np.array([0.5, 0.4, 0.05]), expected_amount=np.array([5.0, 8.0, 100.0]))
    came = evaluation.Came.of(history, 250, "items", three, 90)
    assert came.cards.tolist() == [False, True, False]
    later = history.between(250, 340)
    spent = [later.amount[(later.account == three.account[0]) & (later.item == code)].sum() for code in three.code]
    assert came.money.tolist() == pytest.approx(spent)
    bought = evaluation.Came(three, np.array([226.0, 0.0, 0.0])).figures()
    assert bought["ECE"] == pytest.approx((0.5 + 0.4 + 0.05) / 3)
    assert bought["ECE of cards"] == pytest.approx(0.4)
    assert bought["expected ÷ bought"] == pytest.approx(0.5)


def test_the_page_needs_nothing_from_elsewhere_and_escapes_names(measured: Evaluation, history: History) -> None:
    page = evaluation_report.as_html(measured, history, RUN)
    assert "http" not in page
    assert "<script" not in page
    assert "&lt;lines&gt;.csv" in page
    assert page.count("<svg viewBox") == 5 + len([name for name in measured.calibration if "growth" in name])
    assert "so many were bought: growth, items" in page


def test_the_figures_are_plain_json(measured: Evaluation, history: History) -> None:
    figures = json.loads(evaluation_report.as_json(measured, history, RUN))
    assert figures["mean"][LEVELS[1]][PRODUCT].keys() == {"AUC", "AP", "lift@10%", "P@100", "P@500", "ECE"}
    assert [cutoff["day"] for cutoff in figures["cutoffs"]] == [250, 305]


def test_the_tables_can_be_put_into_a_document(measured: Evaluation, history: History) -> None:
    tables = evaluation_report.as_markdown(measured, history).split("\n\n")
    assert tables[0].startswith("| account churn | AUC | AP | lift@10% | P@100 | ECE |\n| --- | ---: |")
    assert len(tables) == 10 + len(measured.calibration)
    assert any(table.startswith("| growth, items, bin | cases | chance given | share bought |") for table in tables)


def test_too_little_data_is_a_page_that_says_so(history: History) -> None:
    nothing = evaluation.evaluate(history.until(50), ())
    assert "too little to measure" in evaluation_report.as_html(nothing, history, RUN)
    without = evaluation.evaluate(history.until(190).of_accounts(np.arange(3, dtype=np.int32)), (100,))
    assert evaluation_report.as_html(without, history, RUN)


@pytest.mark.skipif(not ONLINE_RETAIL.exists(), reason="OPENLOT_DATA names no folder with the Online Retail file")
def test_the_reading_of_the_cut_off_gives_the_protocol_s_baselines() -> None:
    """ANALYTICS: recency .574 / .243 / 1.60, revenue drop .524 / .183 / 0.71, by category .528 / .09 / .16."""

    history, _report = gather(ONLINE_RETAIL)
    assert history.first_day == date(2010, 12, 1)
    found = []
    for day in (192, 222, 252, 283):
        accounts, pairs = protocol.eligible_accounts(history, day), protocol.eligible_pairs(history, day)
        facts = baselines.Silence(history, day, accounts, by_category=False)
        beside = baselines.Silence(history, day, pairs, by_category=True)
        lost, left = protocol.churned(history, day, accounts), protocol.defected(history, day, pairs)
        expected = protocol.spend_behind(history, day, pairs)
        found.append(
            [
                metrics.auc(lost, facts.recency),
                metrics.average_precision(lost, facts.recency),
                metrics.lift(lost, facts.recency),
                metrics.auc(lost, facts.drop),
                metrics.auc(left, beside.drop),
                metrics.precision_at(100, left, beside.drop),
                metrics.capture(500, left, expected, expected),
                metrics.capture(500, left, metrics.unbeaten(left, expected), expected),
            ]
        )
    assert np.round(np.mean(found, axis=0), 3).tolist() == [0.574, 0.243, 1.596, 0.524, 0.528, 0.092, 0.425, 0.921]
