"""What the settings of a procedure are called and say, in the editor and on its public page."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from marketplace.shared.errors import Sentence
from marketplace.web import formats
from procurement.procedures import Setting
from procurement.rules.periods import PeriodUnit

CHOICE_WORDS: dict[tuple[str, str], Sentence] = {
    ("day_kind", "calendar"): gettext_lazy("calendar days"),
    ("day_kind", "working"): gettext_lazy("working days"),
    ("reference", "leader"): gettext_lazy("the leading bid"),
    ("reference", "own"): gettext_lazy("the bidder’s own last bid"),
    ("shown", "price"): gettext_lazy("the best price"),
    ("shown", "rank"): gettext_lazy("their own rank"),
    ("shown", "both"): gettext_lazy("the best price and their own rank"),
    ("single_bid_price", "own"): gettext_lazy("its own price"),
    ("single_bid_price", "limit"): gettext_lazy("the limit price"),
    ("soft_close_from", "receipt"): gettext_lazy("the moment the bid was received"),
    ("soft_close_from", "end"): gettext_lazy("the end as it stood"),
}
_UNIT_WORDS: dict[str, Sentence] = {
    "days": gettext_lazy("days"),
    "minutes": gettext_lazy("minutes"),
    "seconds": gettext_lazy("seconds"),
    "percent": gettext_lazy("per cent"),
}
_LENGTHS: Final = ("minutes", "seconds")


def in_words(setting: Setting, value: object) -> str:
    """What a setting says, with its unit, as a bidder reads it."""
    if value is None:
        return _(setting.empty_means)
    if setting.kind == "flag":
        return _("yes") if value else _("no")
    if setting.kind == "choice":
        return str(CHOICE_WORDS.get((setting.name, str(value)), value))
    if setting.unit in _LENGTHS:
        length = timedelta(**{setting.unit: int(str(value))})
        # 900 seconds are 15 minutes to whoever reads; beyond a day the words would leave minutes out.
        if length < timedelta(days=1):
            return formats.duration(length)
    return f"{value} {unit_in_words(setting)}".strip()


def unit_in_words(setting: Setting) -> str:
    """The unit people count in: a day of a period may last a minute here."""
    unit = "minutes" if setting.unit == "days" and settings.PERIOD_UNIT == PeriodUnit.MINUTE else setting.unit
    return str(_UNIT_WORDS.get(unit, unit))
