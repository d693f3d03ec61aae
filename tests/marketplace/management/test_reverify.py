from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from marketplace.models import Signature
from tests.factories import signatures
from tests.factories.marketplace import NOON

pytestmark = pytest.mark.django_db


@pytest.fixture
def taken() -> list[Signature]:
    """Two signatures without a stamp, a day apart: they pass as long as their certificates do."""
    signatures.trust()
    return [signatures.taken(), signatures.taken(at=NOON + timedelta(days=1))]


def run(capsys: Any, *arguments: str, code: int = 0) -> str:
    try:
        call_command("reverify", *arguments)
        found = 0
    except SystemExit as end:
        found = int(end.code or 0)
    said: str = capsys.readouterr().out
    assert found == code, said
    return said


SOON = "--at=2026-03-03T13:00:00Z"


def test_all_are_judged(taken: list[Signature], capsys: Any) -> None:
    assert run(capsys, "--all", SOON) == "2 judged again: 2 pass, 0 do not.\n"


def test_one_is_judged_in_full(taken: list[Signature], capsys: Any) -> None:
    said = run(capsys, f"--signature={taken[0].pk}", SOON)

    assert said.splitlines()[0] == f"Signature {taken[0].pk}: TOTAL-PASSED"
    assert "The signer’s certificate was valid on 2026-03-03 13:00:00 UTC" in said


def test_since_a_day_and_after_a_number(taken: list[Signature], capsys: Any) -> None:
    assert "1 judged again" in run(capsys, "--since=2026-03-03", SOON)
    assert "1 judged again" in run(capsys, "--all", f"--after={taken[0].pk}", SOON)
    assert run(capsys, "--all", f"--after={taken[1].pk}", SOON).startswith("0 judged again")


def test_what_does_not_pass_is_named_and_makes_the_code_1(taken: list[Signature], capsys: Any) -> None:
    said = run(capsys, "--all", "--json", "--at=2028-01-01", code=1)

    first, second, totals = map(json.loads, said.splitlines())
    assert (first["signature"], second["signature"]) == (taken[0].pk, taken[1].pk)
    assert first["indication"] == "INDETERMINATE"
    assert first["reasons"][-1] == "The signature has no time stamp."
    assert first["timestamp"] is None
    assert totals == {"checked": 2, "passed": 0, "failed": 2}


@pytest.mark.parametrize(
    "arguments", [[], ["--signature=1", "--all"], ["--since=yesterday"], ["--all", "--at=noon"], ["--signature=0"]]
)
def test_wrong_usage(arguments: list[str]) -> None:
    with pytest.raises(CommandError):
        call_command("reverify", *arguments)
