"""What a procedure's page says happens next."""

from datetime import timedelta

import pytest

from procurement import procedures
from procurement.models import Tender
from procurement.rules.lifecycle import TenderStatus
from procurement.web import setting_words, tender_words
from tests.factories.marketplace import NOON


@pytest.mark.parametrize(
    ("procedure", "said"),
    [
        ("rfq_open", "the lowest price wins each lot."),
        ("auction_sealed_first_price", "the lowest price wins each lot."),
        ("auction_sealed_second_price", "the lowest price wins each lot, at the second-lowest price."),
        ("auction_dutch", "the admitted bidders then compete live."),
    ],
)
def test_while_bids_are_taken_it_is_said_how_they_win(procedure: str, said: str) -> None:
    tender = Tender(
        procedure=procedure,
        procedure_version=1,
        status=TenderStatus.PUBLISHED.value,
        tender_ends_at=NOON + timedelta(days=1),
        time_zone="Europe/Berlin",
    )
    assert tender_words.next_step(tender, NOON).endswith(f"then they are opened, and {said}")


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("soft_close_window_seconds", 900, "15 minutes"),
        ("soft_close_extend_seconds", 90, "1 minute 30 seconds"),
        ("auction_duration_minutes", 480, "8 hours"),
        ("hard_stop_minutes", 2879, "2879 minutes"),
        ("hard_stop_minutes", None, "never forced"),
        ("proxy_bids", True, "yes"),
    ],
)
def test_the_lengths_of_an_auction_are_said_as_people_count(setting: str, value: object, said: str) -> None:
    found = next(one for one in procedures.get("auction_english_reverse").settings if one.name == setting)
    assert setting_words.in_words(found, value) == said
