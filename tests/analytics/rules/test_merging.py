"""Who of two accounts that are merged is one person, and what is then known of them."""

from __future__ import annotations

import pytest

from analytics.rules.merging import NOTE_MAX, Known

MIA = Known("Mia Berg", "Buyer", "mia@kabel.example", "+4930901820", "Calls back")


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (Known("mia  BERG"), True),
        (Known("Mia Berg", "Head of buying", "MIA@kabel.example", "+4930901899"), True),
        (Known("Mia Berg", email="m.berg@kabel.example"), False),
        (Known("Mia Berg", phone="+4930901899"), False),
        (Known("Mia Berg", "Driver"), False),
        (Known("Ada", email="mia@kabel.example"), False),
        (Known(""), False),
    ],
)
def test_one_person_has_one_name_and_nothing_against_it(other: Known, same: bool) -> None:
    assert MIA.is_the_same_as(other) is other.is_the_same_as(MIA) is same


def test_nothing_that_is_known_of_a_person_is_lost() -> None:
    other = Known("Mia Berg", "Head of buying", "MIA@kabel.example", "+4930901899", "Likes mornings")
    note = "Calls back; Head of buying; +4930901899; Likes mornings"
    assert MIA.with_all_of(other) == Known(MIA.name, MIA.position, MIA.email, MIA.phone, note)
    assert Known("Mia Berg", note="Calls back").with_all_of(MIA) == MIA
    assert MIA.with_all_of(Known("Mia Berg", note="x" * NOTE_MAX)) is None
