"""What the settings of a procedure are called and say, in the editor and on its public page."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from marketplace.shared.errors import Sentence
from marketplace.web import formats
from procurement.procedures import Setting
from procurement.services import words

#: What a buyer asks before it answers; the rest is said by the label.
HELP: dict[str, Sentence] = {
    "day_kind": gettext_lazy("Working days leave out weekends and your country’s public holidays."),
    "standstill_days": gettext_lazy("The contract is signed after it, so that those who lost can speak up before."),
    "minimum_bids": gettext_lazy("With fewer, the lot’s bids are not opened and it ends without a winner."),
    "limit_price_shown": gettext_lazy("Otherwise only your own people see it."),
    "abnormally_low_below_mean": gettext_lazy(
        "Such a bid is marked in the comparison, so that you ask about it. Nothing is rejected by itself."
    ),
    "abnormally_low_below_next": gettext_lazy("Marked in the same way."),
    "auction_start_delay_minutes": gettext_lazy("So that bidders are at their desks when it begins."),
    "auction_duration_minutes": gettext_lazy("Extensions come on top of it."),
    "reference": gettext_lazy(
        "The leading bid: every bid is a new best one. Their own: who does not lead may improve step by step, too."
    ),
    "shown": gettext_lazy("Where they see their rank alone, a bid must beat the bidder’s own last one."),
    "soft_close_window_seconds": gettext_lazy("So that nobody wins by bidding in the last second."),
    "soft_close_from": gettext_lazy(
        "From the bid: the end is then that long after it. From the end: every such bid adds the whole time."
    ),
    "max_extensions": gettext_lazy("At 0 the end never moves."),
    "hard_stop_minutes": gettext_lazy("Counted from the start; no extension goes past it."),
    "proxy_bids": gettext_lazy(
        "It bids the least that is admitted whenever they do not lead. Nobody is told a limit while the auction runs."
    ),
    "clock_interval_seconds": gettext_lazy("Each price stands for so long."),
    "turn_seconds": gettext_lazy("Three rounds of five bidders are fifteen turns."),
    "single_bid_price": gettext_lazy("Where only one bid is left, there is no second price."),
}
#: What stands in the timetable, not among the terms.
PERIODS: Final = ("enquiry_period_days", "tender_period_days")
#: What holds for the bids and the award, whether there is an auction or not.
OF_BIDS: Final = frozenset(
    {
        *(*PERIODS, "day_kind", "minimum_remainder_days", "standstill_days"),
        *("minimum_bids", "limit_price_shown", "abnormally_low_below_mean", "abnormally_low_below_next"),
    }
)
_LENGTHS: Final = ("minutes", "seconds")


def in_words(setting: Setting, value: object) -> str:
    """What a setting says, with its unit, as a bidder reads it."""
    if value is None:
        return _(setting.empty_means)
    if setting.kind == "flag":
        return _("yes") if value else _("no")
    if setting.kind == "choice":
        return str(words.CHOICES.get((setting.name, str(value)), value))
    if setting.unit in _LENGTHS:
        length = timedelta(**{setting.unit: int(str(value))})
        # 900 seconds are 15 minutes to whoever reads; beyond a day the words would leave minutes out.
        if length < timedelta(days=1):
            return formats.duration(length)
    return f"{value} {words.unit(setting.unit)}".strip()


def label_of(setting: Setting, *, is_sale: bool) -> str:
    """What a setting is called: a sale's limit price is a reserve price."""
    if is_sale and setting.name == "limit_price_shown":
        return _("Bidders see the reserve price")
    return _(setting.label)


def explained(setting: Setting) -> str:
    """What a setting is for, where its label does not say it, and between which bounds it lies."""
    return " ".join(filter(None, (str(HELP.get(setting.name, "")), _bounds(setting))))


def _bounds(setting: Setting) -> str:
    if setting.minimum is None or setting.maximum is None:
        return ""
    bounds = f"{words.number(setting.minimum)} – {words.number(setting.maximum)} {words.unit(setting.unit)}".strip()
    if setting.nullable:
        return _("%(bounds)s; empty: %(means)s.") % {"bounds": bounds, "means": _(setting.empty_means)}
    return _("%(bounds)s.") % {"bounds": bounds}
