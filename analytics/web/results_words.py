"""The dashboard in words: what acting changes and whether that is certain, whether the chances were right."""

from __future__ import annotations

from typing import Any

from babel.numbers import format_percent
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from analytics.rules import effect
from analytics.rules.cards import Kind
from analytics.rules.effect import Bin, Difference, Share
from analytics.web import charts
from marketplace.web import formats


def effect_words(found: Difference, kind: Kind) -> dict[str, Any]:
    """What acting changes, in a sentence with its interval; a number that is not certain is said to be none."""
    if found.value is None:
        sentence = (
            _("Nothing can be said yet: the three months of the first cards are not over.")
            if not found.shown.of
            else _("Nothing can be said yet: no withheld card has come to its end, with which to compare.")
        )
        return {"sentence": sentence, "value": formats.EMPTY, "note": "", "certain": False}
    low, high = (points(end) for end in found.interval)
    values = {
        "shown": percent(found.shown.value), "n": charts.count(found.shown.of),
        "withheld": percent(found.withheld.value), "m": charts.count(found.withheld.of), "low": low, "high": high,
    }  # fmt: skip
    bought = (
        _("Of %(n)s shown cards %(shown)s bought again; of %(m)s withheld ones %(withheld)s.")
        if kind is Kind.RECOVERY
        else _("Of %(n)s shown cards %(shown)s bought the thing; of %(m)s withheld ones %(withheld)s.")
    )
    verdict = (
        _("The difference is real with 95% certainty.")
        if found.is_certain
        else _("That may still be chance: more cards will tell.")
    )
    return {
        "value": points(found.value),
        "note": _("95%% interval: %(low)s to %(high)s") % values,
        "sentence": f"{bought % values} {verdict}",
        "certain": found.is_certain,
    }


def calibration_words(bins: list[Bin], kind: Kind) -> str:
    """The fullest bin in a sentence, and by how much the chances miss on average."""
    if not bins:
        return _("Nothing can be said yet: no card’s three months are over.")
    fullest = max(bins, key=lambda one: one.happened.of)
    values = {
        "p": percent(fullest.promised), "n": charts.count(fullest.happened.of),
        "happened": percent(fullest.happened.value), "miss": percent(effect.error(bins)),
    }  # fmt: skip
    words = (
        _("Of cards given %(p)s, %(happened)s fell silent (%(n)s cards). On average the chances miss by %(miss)s.")
        if kind is Kind.RECOVERY
        else _("Of cards given %(p)s, %(happened)s bought (%(n)s cards). On average the chances miss by %(miss)s.")
    )
    return words % values


def percent(value: float | None) -> str:
    return formats.EMPTY if value is None else format_percent(value, "#,##0%", locale=formats.locale())


def points(difference: float) -> str:
    """A difference of shares in percentage points, with its sign."""
    value = round(100 * difference)
    signed = f"{'+' if value > 0 else '−' if value < 0 else ''}{charts.count(abs(value))}"
    return ngettext("%(n)s point", "%(n)s points", abs(value)) % {"n": signed}


def share(found: Share) -> str:
    """A share with what it is of: "38% (8 of 21)"."""
    if not found.of:
        return formats.EMPTY
    values = {"p": percent(found.value), "hits": charts.count(found.hits), "of": charts.count(found.of)}
    return _("%(p)s (%(hits)s of %(of)s)") % values


def of_bin(one: Bin | None) -> str:
    return share(one.happened) if one else formats.EMPTY


def fallbacks(facts: dict[str, Any]) -> list[str]:
    """Where the models had too little to learn from, said openly; of recovery at which of its two levels."""
    fallen = {part.partition(":")[0] for part in str(facts.get("recovery_fallback", "")).split(";") if part}
    found = []
    if fallen == {"accounts"}:
        found.append(
            _("Recovery, whole accounts: there was too little to learn from; the chances come from their rhythm alone.")
        )
    elif fallen == {"pairs"}:
        found.append(
            _("Recovery, categories: there was too little to learn from; the chances come from their rhythm alone.")
        )
    elif fallen:
        found.append(
            _("Recovery: there was too little to learn from; the chances come from each account’s rhythm alone.")
        )
    if facts.get("growth_fallback"):
        found.append(_("Growth: there was too little to learn from; what is popular is suggested."))
    return found
