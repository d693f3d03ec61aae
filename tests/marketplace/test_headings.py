"""The tree of headings that ships with the platform."""

from __future__ import annotations

import pytest
from django.core.management import call_command

from marketplace.management.commands.load_headings import parent_code
from marketplace.models import Heading

KNOWN = dict.fromkeys(["39000000", "39100000", "39110000", "39112000", "30000000", "30125100", "30120000"], "")


@pytest.mark.parametrize(
    ("code", "parent"),
    [
        ("39112000", "39110000"),
        ("39100000", "39000000"),
        ("39000000", ""),
        ("30000000", ""),
        ("30125100", "30120000"),
        ("30120000", "30000000"),
    ],
)
def test_a_heading_lies_under_the_nearest_one_above(code: str, parent: str) -> None:
    assert parent_code(code, KNOWN) == parent


@pytest.mark.django_db
def test_loading_twice_changes_nothing_and_renews_names() -> None:
    call_command("load_headings", verbosity=0)
    before = list(Heading.objects.values_list("code", "parent__code"))
    Heading.objects.filter(code="39112000").update(name="Stools")
    call_command("load_headings", verbosity=0)
    assert list(Heading.objects.values_list("code", "parent__code")) == before
    assert Heading.objects.get(code="39112000").name == "Chairs"
    assert Heading.objects.filter(parent=None).count() == 45
    assert all(len(code) == 8 for code, _parent in before)
