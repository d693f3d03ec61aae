"""Cards in words: the sentence of evidence, the reasons, the chance. A number never stands without its words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from babel.numbers import format_percent
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, pgettext

from analytics.models import Card
from analytics.rules import cards as rules
from analytics.rules.cards import Confidence, Kind, Level
from analytics.rules.rhythm import Rhythm
from analytics.web.charts import count
from marketplace.shared.errors import Sentence
from marketplace.shared.money import Money
from marketplace.web import formats

# By the codes of rules.recovery.Reason, which itself brings numpy along: pages do without.
REASONS: Final[Mapping[str, Sentence]] = {
    "overdue": gettext_lazy("Overdue by its own rhythm"),
    "within_own_cycle": gettext_lazy("Still within its own rhythm"),
    "account_silent": gettext_lazy("The whole account is silent"),
    "category_only": gettext_lazy("Only here: other things are still bought"),
    "fading": gettext_lazy("Bought less and less lately"),
    "category_quiet": gettext_lazy("The category goes badly with everybody"),
    "one_off": gettext_lazy("One order makes more than half of all"),
    "erratic": gettext_lazy("Buys at irregular intervals"),
    "off_season": gettext_lazy("Out of season"),
}
_WITHIN_CYCLE: Final = "within_own_cycle"
# From this chance on a card is an alarm, whatever the rhythm says.
_ALARM: Final = 0.5
# Below it, the share of the best customers who buy a thing convinces nobody.
TELLING_SHARE: Final = 0.3
_STOPS: Final[Mapping[Confidence, Sentence]] = {
    Confidence.VERY_LIKELY: gettext_lazy("Very likely to stop"),
    Confidence.LIKELY: gettext_lazy("Likely to stop"),
    Confidence.EVEN: gettext_lazy("May well stop"),
    Confidence.POSSIBLE: gettext_lazy("May stop"),
    Confidence.HINT: gettext_lazy("A first sign"),
}
_BUYS: Final[Mapping[Confidence, Sentence]] = {
    Confidence.VERY_LIKELY: gettext_lazy("Very likely to buy"),
    Confidence.LIKELY: gettext_lazy("Likely to buy"),
    Confidence.EVEN: gettext_lazy("May well buy"),
    Confidence.POSSIBLE: gettext_lazy("Worth asking"),
    Confidence.HINT: gettext_lazy("Worth a mention"),
}


def reason(code: str) -> Sentence:
    """A model's reason in words; one that we have no words for yet is left readable."""
    return REASONS.get(code) or code.replace("_", " ").capitalize()


def confidence(card: Card) -> Sentence:
    words = _STOPS if card.kind == Kind.RECOVERY.value else _BUYS
    return words[rules.confidence(card.p)]


def chance(card: Card) -> str:
    """The number behind the words, as one would say it: "7 of 10 such accounts stop"."""
    if card.kind == Kind.RECOVERY.value:
        return _("about %(n)s of 10 like it stop") % {"n": count(_tenths(card))}
    return _("about %(n)s of 10 like it buy within three months") % {"n": count(_tenths(card))}


def _tenths(card: Card) -> int:
    return min(max(round(card.p * 10), 1), 10)


def is_calm(card: Card) -> bool:
    """Whether it is no alarm: the silence is within its own rhythm, and the card stands there for its money."""
    return card.kind == Kind.RECOVERY.value and card.p < _ALARM and _WITHIN_CYCLE in card.reasons


def why_here(card: Card, rhythm: Rhythm) -> str:
    """Of a card that is no alarm: why not, and why it is shown all the same. Empty of any other."""
    if not is_calm(card):
        return ""
    values = {
        "longest": ngettext("%(n)s day", "%(n)s days", rhythm.longest) % {"n": count(rhythm.longest)},
        "tenths": count(_tenths(card)),
        "amount": f"{formats.amount(Money(card.expected_amount, card.currency).rounded())} {card.currency}",
    }
    if rhythm.longest >= rhythm.silent:
        words = _(
            "No alarm: it has been silent for %(longest)s before. It stands here for the money at stake, about"
            " %(tenths)s in 10 of %(amount)s."
        )
    else:
        words = _(
            "No alarm: by its rhythm it may still buy as usual. It stands here for the money at stake, about"
            " %(tenths)s in 10 of %(amount)s."
        )
    return words % values


def thing(card: Card) -> str:
    """What the card is about besides the account: a category, an item, or nothing."""
    if card.level == Level.ITEM.value:
        return str(card.item)
    return str(card.category) if card.level == Level.CATEGORY.value else ""


def sentence(card: Card, rhythm: Rhythm, companion: str = "") -> str:
    """The evidence in a sentence. `companion`: what the account buys already and goes with it."""
    return _recovery(card, rhythm) if card.kind == Kind.RECOVERY.value else _growth(card, companion)


def _recovery(card: Card, rhythm: Rhythm) -> str:
    if rhythm.last is None:
        return _("Nothing was bought lately.")
    last = formats.day(rhythm.last)
    if rhythm.gap is None:
        return _("Bought once, on %(day)s, and nothing since.") % {"day": last}
    usual = max(round(rhythm.gap), 1)
    every = ngettext("every day", "every %(n)s days", usual) % {"n": count(usual)}
    silent = ngettext("%(n)s day", "%(n)s days", rhythm.silent) % {"n": count(rhythm.silent)}
    values = {"every": every, "silent": silent, "last": last, "what": thing(card)}
    if card.level == Level.ACCOUNT.value:
        return _("Usually buys %(every)s; nothing for %(silent)s now, since %(last)s.") % values
    return _("Usually buys %(what)s %(every)s; none for %(silent)s now, since %(last)s.") % values


def _growth(card: Card, companion: str) -> str:
    share, profile = card.evidence.get("share") or 0, card.evidence.get("profile") or 0
    values = {
        "what": thing(card), "share": percent_of(share), "n": count(int(profile)), "companion": companion,
    }  # fmt: skip
    if share >= TELLING_SHARE and profile:
        return (
            _("%(share)s of the %(n)s best customers most like this one buy %(what)s; this account does not.") % values
        )
    if companion:
        return (
            _("Who buys %(companion)s, as this account does, often buys %(what)s too; this account does not.") % values
        )
    return _("Customers who buy the same things also buy %(what)s; this account does not.") % values


def percent_of(share: float | None) -> str:
    """A share of the models as whole percent."""
    return format_percent(share, "#,##0%", locale=formats.locale()) if share else formats.EMPTY


def suggestion(card: Card) -> str:
    """How much to offer, where the models say it."""
    quantity = card.evidence.get("quantity")
    if card.kind != Kind.GROWTH.value or not quantity:
        return ""
    return pgettext("suggested quantity", "about %(n)s") % {"n": count(max(round(quantity), 1))}
