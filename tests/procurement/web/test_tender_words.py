"""What a procedure's page says happens next."""

from datetime import timedelta

import pytest

from procurement.models import Tender
from procurement.rules.lifecycle import TenderStatus
from procurement.web import tender_words
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
