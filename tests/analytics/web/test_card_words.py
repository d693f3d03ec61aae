"""Every reason of the models has its words."""

from analytics.rules.recovery import Reason
from analytics.web import card_words


def test_every_reason_of_the_models_has_words() -> None:
    assert set(card_words.REASONS) == {reason.value for reason in Reason}
    assert card_words.reason("brand_new") == "Brand new"
