import base64

import pytest

from marketplace.models import Plan
from marketplace.queries import keyset
from tests.factories.marketplace import PlanFactory

pytestmark = pytest.mark.django_db
ORDER = ("-rank", "price", "pk")


@pytest.fixture
def plans() -> list[Plan]:
    Plan.objects.all().delete()
    made = [PlanFactory.create(rank=rank, price=price) for rank, price in [(1, 5), (2, 5), (2, 3), (1, 5), (2, 3)]]
    return sorted(made, key=lambda plan: (-plan.rank, plan.price, plan.pk))


def test_pages_follow_each_other_without_a_gap_forwards_and_back(plans: list[Plan]) -> None:
    first = keyset.page(Plan.objects.all(), ORDER, size=2)
    second = keyset.page(Plan.objects.all(), ORDER, size=2, after=first.after)
    third = keyset.page(Plan.objects.all(), ORDER, size=2, after=second.after)
    back = keyset.page(Plan.objects.all(), ORDER, size=2, before=third.before)

    assert (first.rows, second.rows, third.rows, back.rows) == (plans[:2], plans[2:4], plans[4:], plans[2:4])
    assert (first.before, third.after) == ("", "")
    assert back.before
    assert keyset.page(Plan.objects.all(), ORDER, size=2, before=back.before).before == ""


def test_a_row_added_before_the_page_moves_nothing(plans: list[Plan]) -> None:
    first = keyset.page(Plan.objects.all(), ORDER, size=2)
    PlanFactory.create(rank=3, price=1)

    assert keyset.page(Plan.objects.all(), ORDER, size=2, after=first.after).rows == plans[2:4]


def cursor_of(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "forged",
    [
        '[["-rank", "price", "pk"], [null, "1", 1]]',
        '[["-rank", "price", "pk"], [1, "NaN", 1]]',
        '[["-rank", "price", "pk"], [1, "1\\u0000", 1]]',
        '[["-rank", "price", "pk"], [1, [], {}]]',
        "[" * 20_000,
    ],
)
def test_a_forged_cursor_shows_the_first_page(plans: list[Plan], forged: str) -> None:
    assert keyset.page(Plan.objects.all(), ORDER, size=2, after=cursor_of(forged)).rows == plans[:2]


@pytest.mark.parametrize("cursor", ["x", "!!!", "bnVsbA", "W10", "W1siLXJhbmsiXSwgWzFdXQ", "é"])
def test_a_broken_cursor_shows_the_first_page(plans: list[Plan], cursor: str) -> None:
    assert keyset.page(Plan.objects.all(), ORDER, size=2, after=cursor).rows == plans[:2]
