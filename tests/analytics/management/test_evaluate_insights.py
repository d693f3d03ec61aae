"""The command's own part: which cut-offs and horizons it takes. The figures are tested beside the evaluation."""

from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from analytics.features.simulation import Shop, simulate


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("measured") / "lines.csv"
    simulate(Shop(accounts=20, days=200, categories=4, items=10, orders=10.0, lines=2.0), seed=3).write(path)
    return path


def measured(lines: Path, *options: str) -> str:
    said = StringIO()
    out = lines.parent / "out"
    call_command("evaluate_insights", "--transactions", str(lines), "--out", str(out), *options, stdout=said)
    return said.getvalue()


@pytest.mark.parametrize("cutoffs", ["100000", "9" * 30, "1999-01-01", "2190-01-01"])
def test_a_cut_off_beside_the_file_is_one_sentence_and_status_two(cutoffs: str, lines: Path) -> None:
    with pytest.raises(CommandError, match="does not lie among the purchases") as refusal:
        measured(lines, "--cutoffs", cutoffs)
    assert refusal.value.returncode == 2


@pytest.mark.parametrize("horizon", ["0", "-5", "x", "731"])
def test_a_horizon_is_some_days(horizon: str, lines: Path) -> None:
    with pytest.raises(CommandError, match="a horizon is a number of days from 1 to 730"):
        measured(lines, f"--horizon={horizon}")


def test_a_seed_is_no_negative_number(lines: Path) -> None:
    with pytest.raises(CommandError, match="a seed is a whole number from 0 on"):
        measured(lines, "--seed=-1")


def test_a_horizon_that_has_not_passed_is_noted_and_a_cut_off_counts_once(lines: Path) -> None:
    said = measured(lines, "--cutoffs", "150,150", "--horizon", "60")
    assert said.count("learning from what came before") == 1
    assert "note: the file ends" in said
    assert "nan" not in said
