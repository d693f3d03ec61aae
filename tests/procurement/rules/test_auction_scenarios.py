"""Auctions worked by hand: the rule, the arithmetic and the whole outcome are in each file of `scenarios/`."""

import json
from pathlib import Path

import pytest
from django.core.management import call_command

from tests.procurement.rules import models

WORKED = sorted((Path(__file__).parent / "scenarios").glob("*.json"), key=lambda path: path.stem)


@pytest.mark.parametrize("path", WORKED, ids=lambda path: path.stem)
def test_an_auction_goes_as_worked_by_hand(path, tmp_path, capsys):
    worked = json.loads(path.read_text(encoding="utf-8"))
    scenario = tmp_path / "scenario.json"
    scenario.write_text(json.dumps(worked["scenario"]), encoding="utf-8")
    call_command("simulate_auction", str(scenario), "--json")
    assert json.loads(capsys.readouterr().out) == worked["expected"]


@pytest.mark.parametrize("path", WORKED, ids=lambda path: path.stem)
def test_the_models_go_as_worked_by_hand(path):
    worked = json.loads(path.read_text(encoding="utf-8"))
    assert json.loads(json.dumps(models.run(worked["scenario"]))) == worked["expected"]
