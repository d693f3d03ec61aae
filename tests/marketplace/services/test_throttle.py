from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.core.cache import cache

from marketplace.services import throttle
from marketplace.services.throttle import Limit, TooManyAttempts
from tests.factories.marketplace import NOON

LIMIT = Limit("tries", 3, timedelta(minutes=10), TooManyAttempts)
SECOND = timedelta(seconds=1)


@pytest.fixture(autouse=True)
def _own_cache() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


def over_the_limit() -> None:
    for _ in range(LIMIT.count):
        throttle.require_below(LIMIT, "anna", NOON)
        throttle.count(LIMIT, "anna", NOON)


def test_over_the_limit_one_attempt_is_taken_every_twenty_seconds() -> None:
    over_the_limit()
    throttle.require_below(LIMIT, "anna", NOON + 5 * SECOND)
    with pytest.raises(TooManyAttempts) as refused:
        throttle.require_below(LIMIT, "anna", NOON + 6 * SECOND)
    assert refused.value.again_at == NOON + 20 * SECOND
    assert str(refused.value) == "Too many attempts in a short time. Try again in 14 seconds."
    throttle.require_below(LIMIT, "anna", NOON + 20 * SECOND)


def test_attempts_that_do_not_count_are_as_many_as_one_likes() -> None:
    for _ in range(5 * LIMIT.count):
        throttle.require_below(LIMIT, "anna", NOON)


def test_another_person_and_the_next_window_are_not_concerned() -> None:
    over_the_limit()
    for who, at in (("bert", NOON), ("anna", NOON + LIMIT.window)):
        throttle.require_below(LIMIT, who, at)
        throttle.require_below(LIMIT, who, at)


def test_a_cache_that_is_down_locks_nobody_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def down(*_arguments: object, **_more: object) -> None:
        raise ConnectionError

    for name in ("get", "add", "incr"):
        monkeypatch.setattr(cache, name, down)
    over_the_limit()
    throttle.require_below(LIMIT, "anna", NOON)
