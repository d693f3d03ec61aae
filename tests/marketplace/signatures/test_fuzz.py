"""A few hundred spoilt signatures; `fuzz` says what is looked for, and how to look for longer."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.marketplace.signatures.fuzz import CHANGES, World, fault


@pytest.fixture(scope="module")
def world() -> World:
    return World.create()


def test_good_signatures_pass(world: World) -> None:
    assert [world.judge(signature).reasons for signature in world.signatures] == [()] * len(world.signatures)


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_spoilt_signature_does_not_pass(world: World, data: st.DataObject) -> None:
    chance = data.draw(st.randoms(use_true_random=False))

    assert fault(world, world.spoilt(chance)) is None


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 6), st.lists(st.tuples(st.integers(0, 20_000), st.binary(max_size=3)), min_size=1, max_size=3))
def test_replaced_bytes_do_not_pass(world: World, which: int, changes: list[tuple[int, bytes]]) -> None:
    signature = world.signatures[which]
    for place, new in changes:
        place %= len(signature)
        signature = signature[:place] + new + signature[place + len(new) :]

    assert fault(world, signature) is None


@pytest.mark.parametrize("change", range(len(CHANGES)))
def test_every_kind_of_change_changes(world: World, change: int) -> None:
    chance = random.Random(change)
    signature = world.signatures[0]

    assert any(CHANGES[change](signature, chance, world.signatures[2]) != signature for _ in range(5))


def test_fault_is_found_where_there_is_one(world: World) -> None:
    """The looking itself: a signature of nobody's that the judge lets pass."""

    class Careless(World):
        def judge(self, signature: bytes) -> object:  # type: ignore[override]
            return super().judge(self.signatures[0])

    careless = Careless(world.signatures[:1], world.policy, world.evidence)

    assert fault(careless, world.signatures[1]) == "passed"
