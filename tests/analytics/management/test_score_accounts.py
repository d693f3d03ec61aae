"""The command line to the letter. No test here may reach a database: the command needs none."""

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from django.core.management import CommandError, call_command

from analytics.features.simulation import FIRST_DAY, Purchases, Shop, simulate
from analytics.rules import protocol

FILES = ("account_churn.csv", "category_defection.csv", "growth_items.csv", "growth_categories.csv")
CUTOFF = 330


@pytest.fixture(scope="module")
def purchases() -> Purchases:
    return simulate(Shop(accounts=120, days=400, categories=10, items=40, orders=20.0, lines=3.0), seed=3)


@pytest.fixture(scope="module")
def scored(purchases: Purchases, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the command makes of the whole file, which goes on after the cut-off."""
    folder = tmp_path_factory.mktemp("scored")
    purchases.write(folder / "lines.csv")
    run(folder / "lines.csv", folder / "out")
    return folder / "out"


def run(transactions: Path, out: Path, **options: Any) -> None:
    cutoff = FIRST_DAY + timedelta(days=CUTOFF + 1)
    call_command("score_accounts", transactions=transactions, out=out, **{"cutoff": cutoff, **options})


def told(out: Path) -> dict[str, Any]:
    return json.loads((out / "run.json").read_text())


def test_the_files_have_the_columns_they_must_have(scored: Path) -> None:
    columns = {name: pl.read_csv(scored / name, infer_schema=False).columns for name in FILES}
    assert columns == {
        "account_churn.csv": ["account", "p", "expected_amount", "reasons"],
        "category_defection.csv": ["account", "category", "p", "expected_amount", "survival", "reasons"],
        "growth_items.csv": ["account", "item", "rank", "score", "expected_amount", "evidence"],
        "growth_categories.csv": ["account", "category", "rank", "score", "expected_amount", "evidence"],
    }
    facts = told(scored)
    assert facts["rows_read"] == facts["rows_used"] + facts["rows_rejected"] + facts["rows_after_cutoff"]
    assert facts["trained_on"]["account_churn"]["windows"]
    assert {"rejected", "seconds", "peak_memory_mb"} <= facts.keys()


def test_everybody_of_the_protocol_is_scored(scored: Path, purchases: Purchases) -> None:
    history = purchases.history()
    accounts = protocol.eligible_accounts(history, CUTOFF)
    churn = pl.read_csv(scored / "account_churn.csv", infer_schema=False)
    assert {history.accounts[a] for a in accounts.account} <= set(churn["account"])
    pairs = protocol.eligible_pairs(history, CUTOFF)
    defection = pl.read_csv(scored / "category_defection.csv", infer_schema=False)
    names = {(history.accounts[a], history.categories[c]) for a, c in zip(pairs.account, pairs.category, strict=True)}
    assert names <= set(defection.select("account", "category").iter_rows())
    items = pl.read_csv(scored / "growth_items.csv")
    assert {history.accounts[a] for a in protocol.growth_accounts(history, CUTOFF)} == set(items["account"])
    ranks = items.group_by("account", maintain_order=True).agg("rank")["rank"].to_list()
    assert all(rank == list(range(1, len(rank) + 1)) for rank in ranks)


def test_chances_are_chances_and_money_is_not_negative(scored: Path) -> None:
    for name, chance in (
        ("account_churn.csv", "p"),
        ("category_defection.csv", "p"),
        ("growth_items.csv", "score"),
        ("growth_categories.csv", "score"),
    ):
        frame = pl.read_csv(scored / name)
        assert frame[chance].is_between(0, 1).all()
        assert (frame["expected_amount"] >= 0).all()


def test_without_the_later_rows_no_byte_is_different(scored: Path, purchases: Purchases, tmp_path: Path) -> None:
    frame = purchases.frame()
    frame.filter(pl.col("ts") <= FIRST_DAY + timedelta(days=CUTOFF)).write_csv(tmp_path / "lines.csv")
    run(tmp_path / "lines.csv", tmp_path / "out")
    for name in FILES:
        assert (tmp_path / "out" / name).read_bytes() == (scored / name).read_bytes()
    assert told(scored)["rows_after_cutoff"] > 0
    assert told(tmp_path / "out")["rows_after_cutoff"] == 0


def test_what_needs_items_or_categories_is_left_out_and_that_is_said(
    purchases: Purchases, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    purchases.frame().select("account", "ts", "qty", "unit_price").write_csv(tmp_path / "lines.csv")
    (tmp_path / "growth_items.csv").write_text("of an earlier run\n")
    run(tmp_path / "lines.csv", tmp_path)
    assert [name for name in FILES if (tmp_path / name).exists()] == ["account_churn.csv"]
    assert told(tmp_path)["files_left_out"] == {
        "category_defection.csv": "no_categories",
        "growth_items.csv": "no_items",
        "growth_categories.csv": "no_categories",
    }
    assert "growth_items.csv: left out: no items" in capsys.readouterr().out


@pytest.mark.parametrize(
    "rows",
    [
        [f"A,{n},s{n % 3},c,2021-0{1 + n % 5}-03,1,2.5" for n in range(10)],
        [f"A{n},{n},s{n % 7},c{n % 2},2021-05-03,1,2.5" for n in range(60)],
        [f"A,{n},s{n % 7},c{n % 2},{date(2021, 1, 1) + timedelta(days=7 * n)},1,2.5" for n in range(40)],
        ["A,1,s,c,2031-01-01,1,2.5"],
        ["A,1,s,c,never,1,2.5"],
        [],
    ],
    ids=["ten-rows", "one-day", "one-account", "only-later", "only-bad", "only-a-head"],
)
def test_too_little_is_reported_and_no_error(rows: list[str], tmp_path: Path) -> None:
    head = "account,order_id,sku,category,ts,qty,unit_price"
    (tmp_path / "lines.csv").write_text("\n".join([head, *rows]) + "\n")
    run(tmp_path / "lines.csv", tmp_path)
    facts = told(tmp_path)
    assert facts["rows_read"] == len(rows)
    assert (tmp_path / "account_churn.csv").read_text().startswith("account,p,expected_amount,reasons\n")
    if "history_ends_too_early" in facts["accounts_without_a_score"]:
        assert (facts["trained_on"], facts["files"]["account_churn.csv"]) == ({}, 0)
    else:
        assert facts["trained_on"]["account_churn"]["fallback"] in ("no_closed_window", "too_few_cases")
    assert facts["remarks"]


def test_a_file_that_cannot_be_read_is_one_sentence_and_status_two(tmp_path: Path) -> None:
    (tmp_path / "lines.csv").write_text("a,b\n1,2\n")
    for name, sentence in (
        ("lines.csv", "The file has no column for account"),
        ("none.csv", "The file none.csv cannot"),
    ):
        with pytest.raises(CommandError) as refusal:
            run(tmp_path / name, tmp_path / "out")
        assert refusal.value.returncode == 2
        assert str(refusal.value).startswith(sentence)


def test_a_refused_file_leaves_no_scores_of_an_earlier_one(tmp_path: Path) -> None:
    (tmp_path / "lines.csv").write_text("account,ts,qty,unit_price\nA,2021-05-03,1,2.5\n")
    run(tmp_path / "lines.csv", tmp_path / "out")
    with pytest.raises(CommandError):
        run(tmp_path / "none.csv", tmp_path / "out")
    assert not {"account_churn.csv", "run.json"} & {path.name for path in (tmp_path / "out").iterdir()}


def test_no_file_to_be_read_is_written_over(tmp_path: Path) -> None:
    lines = tmp_path / "rejects.csv"
    lines.write_text("account,ts,qty,unit_price\nA,2021-05-03,1,2.5\n")
    with pytest.raises(CommandError, match="is where results are written"):
        run(lines, tmp_path)
    assert "2021-05-03" in lines.read_text()


def test_names_without_a_name_now_are_no_merger(tmp_path: Path) -> None:
    (tmp_path / "lines.csv").write_text("account,ts,qty,unit_price\nA,2021-05-03,1,2.5\nB,2021-05-03,1,2.5\n")
    (tmp_path / "merged.csv").write_text("A,\n,B\nB\n\n")
    run(tmp_path / "lines.csv", tmp_path / "out", merged=tmp_path / "merged.csv")
    assert told(tmp_path / "out")["accounts"] == 2


def test_headers_are_mapped_as_told(tmp_path: Path) -> None:
    (tmp_path / "lines.csv").write_text("CustomerID,date,n,each\nA,2021-05-03,1,2.5\n")
    run(tmp_path / "lines.csv", tmp_path, map=["account=CustomerID,ts=date", "qty=n,unit_price=each"])
    assert told(tmp_path)["rows_used"] == 1
    with pytest.raises(CommandError, match="--map wants pairs"):
        run(tmp_path / "lines.csv", tmp_path, map=["account"])


def test_a_file_of_fixed_columns_without_heads_is_scored_and_measured(purchases: Purchases, tmp_path: Path) -> None:
    """As CD shops exchange them: blanks, then customer, date, quantity and money, with nothing above them."""
    lines = purchases.frame().select(
        pl.format(
            " {} {}  {} {}",
            pl.col("account").str.slice(1),
            pl.col("ts").dt.strftime("%Y%m%d"),
            pl.col("qty"),
            (pl.col("qty") * pl.col("unit_price")).round(2),
        )
    )
    path = tmp_path / "master.txt"
    path.write_text("\n".join(lines.to_series()) + "\n")
    run(path, tmp_path / "guessed")
    run(path, tmp_path / "told", map=["account=1,ts=2,qty=3,amount=4"])
    said = [told(tmp_path / name) for name in ("guessed", "told")]
    assert [facts["warnings"].get("no_heads_columns_guessed_by_their_values") for facts in said] == [1, None]
    assert said[0]["rows_used"] == said[1]["rows_used"] > 1000
    churn = [(tmp_path / name / "account_churn.csv").read_bytes() for name in ("guessed", "told")]
    assert churn[0] == churn[1]
    assert set(said[0]["files_left_out"]) == {"category_defection.csv", "growth_items.csv", "growth_categories.csv"}
    call_command("evaluate_insights", transactions=path, out=tmp_path / "measured", cutoffs=[300])
    assert (tmp_path / "measured" / "evaluation.html").exists()
