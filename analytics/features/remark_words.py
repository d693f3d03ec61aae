"""Remarks on a purchase history as sentences, the same in reports of the command line, on pages and in the API."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any, Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, ngettext_lazy, pgettext

from analytics.rules.remarks import LONGEST_FORGIVEN, Odd
from marketplace.shared.errors import Sentence

Day = Callable[[date], str]
Number = Callable[[int], str]
_PLAIN: Final[Mapping[Odd, Sentence]] = {
    Odd.NOTHING: gettext_lazy("There is no purchase that counts, so nothing can be scored."),
    Odd.NOTHING_LEFT: gettext_lazy(
        "Every row takes back and none buys, so nothing is left as a purchase. Does your system write "
        "sales with a minus?"
    ),
    Odd.ONE_ACCOUNT: gettext_lazy(
        "All purchases are of one customer: only its own rhythm can speak, and there is nobody whose purchases could "
        "be suggested to it. Is the right column taken for the customer?"
    ),
}  # fmt: skip


def sentences(
    remarks: Sequence[Mapping[str, Any]], *, day: Day = date.isoformat, number: Number = "{:,}".format
) -> list[str]:
    """Remarks as they are stored (`Remark.as_json`) in plain words; codes that are no longer known are left out."""
    return [said for one in remarks if (said := _sentence(one, day, number))]


def _sentence(remark: Mapping[str, Any], day: Day, number: Number) -> str:
    try:
        code = Odd(remark["code"])
    except ValueError:
        return ""
    if code in _PLAIN:
        return str(_PLAIN[code])
    return _SAID[code](remark, day, number)


def _one_day(remark: Mapping[str, Any], day: Day, _number: Number) -> str:
    return _(
        "All purchases are of one day, %(day)s: no rhythm can be seen, so nobody is scored. Is it the day of the "
        "export and not that of the orders?"
    ) % {"day": _day(remark["day"], day)}


def _few(remark: Mapping[str, Any], _day: Day, number: Number) -> str:
    count = remark["purchases"]
    only = ngettext(
        "The history has only %(n)s purchase (what a customer buys on a day is one), too few to learn from.",
        "The history has only %(n)s purchases (what a customer buys on a day is one), too few to learn from.",
        count,
    ) % {"n": number(count)}
    return f"{only} " + _(
        "Customers are scored by their own rhythm alone, and only those who bought on three days or more."
    )


def _short(remark: Mapping[str, Any], _day: Day, number: Number) -> str:
    return _(
        "The history covers %(days)s days. From %(needed)s days on forecasts can be checked against the past; until "
        "then customers are scored by their own rhythm alone."
    ) % {"days": number(remark["days"]), "needed": number(remark["needed"])}


def _holes(remark: Mapping[str, Any], day: Day, number: Number) -> str:
    spans = [
        _("from %(first)s to %(last)s (%(days)s days)")
        % {"first": _day(hole["from"], day), "last": _day(hole["until"], day), "days": number(hole["days"])}
        for hole in remark["holes"]
    ]
    more = remark["count"] - len(spans)
    if more > 0:
        spans.append(ngettext("%(n)s time more", "%(n)s times more", more) % {"n": number(more)})
    said = _("Nobody bought anything %(spans)s. If purchases of that time are missing, bring them in.") % {
        "spans": _listed(spans)
    }
    taken = _("Until then these days count as silence.")
    if remark["left_out"]:
        taken = _("Until then these days are not counted as anybody’s silence.")
        if any(hole["days"] > LONGEST_FORGIVEN for hole in remark["holes"]):
            taken = _(
                "Until then these days are not counted as silence, but whoever has not come back since is not scored."
            )
    return f"{said} {taken}"


def _ends_early(remark: Mapping[str, Any], day: Day, number: Number) -> str:
    return _(
        "The newest purchase is of %(last)s; of the %(days)s days since nothing is known. Scores are as of that day, "
        "or everybody would seem to leave: bring in what came since."
    ) % {"last": _day(remark["last"], day), "days": number(remark["days"])}


def _over(remark: Mapping[str, Any], day: Day, number: Number) -> str:
    return _(
        "The newest purchase is of %(last)s, %(days)s days ago: what could be foretold from there is over, and nobody "
        "is to be called because of it. Bring in what came since."
    ) % {"last": _day(remark["last"], day), "days": number(remark["days"])}


def _own_ends_early(remark: Mapping[str, Any], day: Day, _number: Number) -> str:
    return _(
        "Purchases from your own system are known to %(last)s, newer ones from contracts on the platform only: whoever "
        "buys elsewhere seems to leave. Bring in what came since."
    ) % {"last": _day(remark["last"], day)}


def _other_currencies(remark: Mapping[str, Any], _day: Day, _number: Number) -> str:
    return _("Only purchases in %(scored)s are scored; those in %(others)s are neither converted nor scored.") % {
        "scored": remark["scored"], "others": _listed(remark["others"]),
    }  # fmt: skip


def _duplicates(remark: Mapping[str, Any], _day: Day, number: Number) -> str:
    return ngettext(
        "%(n)s row repeats another of the same order in everything and counts once with it.",
        "%(n)s rows repeat another of the same order in everything and count once with it.",
        remark["rows"],
    ) % {"n": number(remark["rows"])} + " " + _(
        "If they are purchases of their own, bring in a column that numbers the lines of an order."
    )  # fmt: skip


def _duplicates_kept(remark: Mapping[str, Any], _day: Day, number: Number) -> str:
    return ngettext(
        "%(n)s row is equal to another in everything. Without order numbers nothing tells whether it is the same "
        "purchase: both count.",
        "%(n)s rows are equal to another in everything. Without order numbers nothing tells whether they are the same "
        "purchases: all count.",
        remark["rows"],
    ) % {"n": number(remark["rows"])}


def _renamed(remark: Mapping[str, Any], _day: Day, number: Number) -> str:
    examples = [
        _("%(number)s (“%(before)s”, then “%(now)s”)") % {name: str(one[name]) for name in ("number", "before", "now")}
        for one in remark["examples"]
    ]
    return ngettext(
        "%(n)s customer has another name under the same number: %(examples)s. It stays one customer, under the name of "
        "the last row.",
        "%(n)s customers have another name under the same number: %(examples)s. Each stays one customer, under the "
        "name of its last row.",
        remark["count"],
    ) % {"n": number(remark["count"]), "examples": _some(examples, remark["count"], number)}


def _namesakes(remark: Mapping[str, Any], _day: Day, number: Number) -> str:
    examples = [f"“{one['name']}” ({', '.join(one['numbers'])})" for one in remark["examples"]]
    return ngettext(
        "%(n)s name stands under several numbers: %(examples)s. If that is one customer with a new number, merge the "
        "two: else the old one seems to leave.",
        "%(n)s names stand under several numbers: %(examples)s. Where that is one customer with a new number, merge "
        "the two: else the old one seems to leave.",
        remark["count"],
    ) % {"n": number(remark["count"]), "examples": _some(examples, remark["count"], number)}


def _merged(remark: Mapping[str, Any], _day: Day, number: Number) -> str:
    examples = [f"{one['number']} → {one['counts_as']}" for one in remark["examples"]]
    return ngettext(
        "%(n)s customer of the file was merged into another, and its purchases count there: %(examples)s.",
        "%(n)s customers of the file were merged into others, and their purchases count there: %(examples)s.",
        remark["count"],
    ) % {"n": number(remark["count"]), "examples": _some(examples, remark["count"], number)}


def _all_new(remark: Mapping[str, Any], _day: Day, number: Number) -> str:
    return ngettext(
        "The file’s customer is not among those known so far. Is its number written as before, with leading zeros and "
        "prefixes?",
        "None of the file’s %(n)s customers is among those known so far. Are their numbers written as before, with "
        "leading zeros and prefixes?",
        remark["customers"],
    ) % {"n": number(remark["customers"])}


def _mostly_rejected(remark: Mapping[str, Any], _day: Day, number: Number) -> str:
    return _(
        "%(rows)s of %(of)s rows cannot be used. Look at the reasons, and whether the columns are the right ones."
    ) % {"rows": number(remark["rows"]), "of": number(remark["of"])}


_SAID: Final[Mapping[Odd, Callable[[Mapping[str, Any], Day, Number], str]]] = {
    Odd.ONE_DAY: _one_day,
    Odd.FEW: _few,
    Odd.SHORT: _short,
    Odd.HOLES: _holes,
    Odd.ENDS_EARLY: _ends_early,
    Odd.OVER: _over,
    Odd.OWN_ENDS_EARLY: _own_ends_early,
    Odd.OTHER_CURRENCIES: _other_currencies,
    Odd.DUPLICATES: _duplicates,
    Odd.DUPLICATES_KEPT: _duplicates_kept,
    Odd.RENAMED: _renamed,
    Odd.NAMESAKES: _namesakes,
    Odd.MERGED: _merged,
    Odd.ALL_NEW: _all_new,
    Odd.MOSTLY_REJECTED: _mostly_rejected,
}


def unscored(counts: Mapping[str, int], *, number: Number = "{:,}".format) -> list[str]:
    """Whose leaving has no score, by the reasons of `protocol.unscored` and that of a history that is over."""
    return [
        str(words % {"count": counts[code], "n": number(counts[code])}) for code, words in _UNSCORED if counts.get(code)
    ]


_UNSCORED: Final = (
    ("fewer_than_three_order_days", ngettext_lazy(
        "%(n)s customer bought on fewer than three days: that is no rhythm yet.",
        "%(n)s customers bought on fewer than three days: that is no rhythm yet.", "count",
    )),
    ("first_order_less_than_sixty_days_ago", ngettext_lazy(
        "%(n)s customer bought for the first time less than 60 days before: too new to judge.",
        "%(n)s customers bought for the first time less than 60 days before: too new to judge.", "count",
    )),
    ("silent_for_longer_than_ninety_days", ngettext_lazy(
        "%(n)s customer has been silent for more than 90 days: it counts as gone, no longer as leaving.",
        "%(n)s customers have been silent for more than 90 days: they count as gone, no longer as leaving.",
        "count",
    )),
    ("history_ends_too_early", ngettext_lazy(
        "%(n)s customer: the history ends too early.", "%(n)s customers: the history ends too early.", "count",
    )),
    ("buys_in_another_currency", ngettext_lazy(
        "%(n)s customer buys in another currency now: silence in this one says nothing.",
        "%(n)s customers buy in another currency now: silence in this one says nothing.", "count",
    )),
    ("other", ngettext_lazy(
        "%(n)s customer is just beyond these bounds.", "%(n)s customers are just beyond these bounds.", "count",
    )),
)  # fmt: skip


def _day(text: str, day: Day) -> str:
    return day(date.fromisoformat(text))


def _some(examples: Sequence[str], count: int, number: Number) -> str:
    more = count - len(examples)
    others = [ngettext("%(n)s more", "%(n)s more", more) % {"n": number(more)}] if more > 0 else []
    return _listed([*examples, *others])


def _listed(parts: Sequence[str]) -> str:
    if len(parts) < 2:
        return "".join(parts)
    return pgettext("a list of things", "%(some)s and %(last)s") % {"some": ", ".join(parts[:-1]), "last": parts[-1]}
