"""What an organisation may take part in, and why not: each reason says what would change it.

`decide` is a pure function of a `Standing`; `check` and `require` load it first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from babel.dates import format_date
from babel.numbers import format_currency
from django.urls import reverse
from django.utils.translation import get_language, gettext, gettext_lazy, ngettext

from marketplace.models import AccreditationStatus, Organisation, OrganisationStatus, Side, SubscriptionStatus
from marketplace.queries.standing import FAMILY_NAMES, Offer, Permits, Standing, Taken, standing_of
from marketplace.shared.errors import NotAllowed, Sentence
from marketplace.shared.money import Money


class Action(StrEnum):
    """A live auction is a bid, and more: what is asked of a bid is asked of it too."""

    BID = "bid"
    LIVE_AUCTION = "live_auction"
    PUBLISH = "publish"


@dataclass(frozen=True, slots=True)
class Need:
    """What somebody wants to do. `bids_this_month`: sent before this one in the calendar month (UTC)."""

    action: Action
    family: str
    side: Side = Side.SUPPLIER
    lot_value: Money | None = None
    bids_this_month: int = 0


@dataclass(frozen=True, slots=True)
class Reason:
    """Why not (`sentence`), what would change it (`remedy`), and the page where that is done ("": there is none)."""

    code: str
    sentence: str
    remedy: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """`plan` names the plan that counts; `bids_left` is None where bids are not counted."""

    reasons: tuple[Reason, ...] = ()
    plan: str = ""
    bids_left: int | None = None
    need: Need | None = field(default=None, compare=False)

    @property
    def allowed(self) -> bool:
        return not self.reasons


class NotEntitled(NotAllowed):
    """Refused for every reason in `reasons`; the sentence joins them."""

    code = "not_entitled"
    sentence = gettext_lazy("%(why)s")

    def __init__(self, reasons: tuple[Reason, ...]) -> None:
        self.reasons = reasons
        super().__init__(
            why=" ".join(f"{reason.sentence} {reason.remedy}" for reason in reasons),
            reasons=", ".join(reason.code for reason in reasons),
        )


def check(organisation: Organisation, need: Need, at: datetime) -> Answer:
    """Whether the organisation may, with every reason why not. Three queries."""
    return decide(standing_of(organisation, need.side), need, at)


def require(organisation: Organisation, need: Need, at: datetime) -> Answer:
    """As `check`; raises NotEntitled with all reasons."""
    answer = check(organisation, need, at)
    if not answer.allowed:
        raise NotEntitled(answer.reasons)
    return answer


def decide(standing: Standing, need: Need, at: datetime) -> Answer:
    """The answer, from the standing alone. The reasons are in the order in which they would be dealt with."""
    plan = standing.current(at)
    reasons = [*_registration(standing, need), *_accreditation(standing, need, at)]
    if plan:
        reasons += _limits(plan, standing, need)
    elif _needs_tariff(standing, need):
        reasons.append(_no_tariff(standing, need, at))
    left = None
    if plan and plan.permits.bids_per_month is not None and need.side == Side.SUPPLIER:
        left = max(0, plan.permits.bids_per_month - need.bids_this_month)
    return Answer(tuple(reasons), plan.name if plan else "", left, need)


def _registration(standing: Standing, need: Need) -> list[Reason]:
    if standing.status == OrganisationStatus.SUSPENDED:
        sentence = gettext("The operator has suspended your organisation.")
        return [Reason("organisation_suspended", sentence, gettext("Ask the operator what has to be put right."))]
    if standing.status != OrganisationStatus.REGISTERED:
        sentence = gettext("Your organisation’s registration is not finished.")
        remedy = gettext("Finish it: fill in what is missing and sign it.")
        return [Reason("registration_not_finished", sentence, remedy, reverse("register_organisation"))]
    if standing.on_side:
        return []
    if need.side == Side.SUPPLIER:
        sentence = gettext("Your organisation is not registered as a supplier.")
        remedy = gettext("Say in your organisation’s profile that you supply.")
    else:
        sentence = gettext("Your organisation is not registered as a buyer.")
        remedy = gettext("Say in your organisation’s profile that you buy.")
    return [Reason("not_on_this_side", sentence, remedy, reverse("organisation"))]


# State of the accreditation: what the organisation reads, and what would change it.
_NOT_ACCREDITED: Final[Mapping[str, tuple[Sentence, Sentence]]] = MappingProxyType(
    {
        "missing": (
            gettext_lazy("Your organisation is not accredited as a %(side)s."),
            gettext_lazy("Ask for accreditation: add the documents and sign the request."),
        ),
        "waiting": (
            gettext_lazy("Your accreditation as a %(side)s is waiting for the operator’s decision."),
            gettext_lazy("There is nothing to do: you are told as soon as it is decided."),
        ),
        "returned": (
            gettext_lazy("The operator returned your request for accreditation: “%(reasons)s”."),
            gettext_lazy("Put this right and send the request again."),
        ),
        "revoked": (
            gettext_lazy("The operator revoked your accreditation: “%(reasons)s”."),
            gettext_lazy("Put this right and ask for accreditation again."),
        ),
        "expired": (
            gettext_lazy("Your accreditation as a %(side)s ended on %(day)s."),
            gettext_lazy("Renew it: check your documents and send the request again."),
        ),
    }
)
_STATE_OF: Final[Mapping[AccreditationStatus, str]] = MappingProxyType(
    {
        AccreditationStatus.SUBMITTED: "waiting",
        AccreditationStatus.RETURNED: "returned",
        AccreditationStatus.REVOKED: "revoked",
    }
)


def _accreditation(standing: Standing, need: Need, at: datetime) -> list[Reason]:
    until = standing.accredited_until
    if standing.is_accredited(at):
        return []
    if standing.accreditation == AccreditationStatus.ACCEPTED:
        state = "expired"
    else:
        state = _STATE_OF.get(standing.accreditation, "missing") if standing.accreditation else "missing"
    sentence, remedy = _NOT_ACCREDITED[state]
    words = {
        "side": gettext("supplier") if need.side == Side.SUPPLIER else gettext("buyer"),
        "reasons": standing.return_reasons,
        "day": _day(until) if until else "",
    }
    return [
        Reason(
            f"accreditation_{state}",
            str(sentence) % words,
            str(remedy),
            reverse("accreditation", args=[need.side.value]),
        )
    ]


def _needs_tariff(standing: Standing, need: Need) -> bool:
    """Suppliers always do. Buyers do where the platform sells them something."""
    return need.side == Side.SUPPLIER or bool(standing.on_offer)


def _no_tariff(standing: Standing, need: Need, at: datetime) -> Reason:
    """Why no plan counts: the nearest thing to one that there is."""
    unpaid = next((taken for taken in standing.taken if taken.status == SubscriptionStatus.PENDING), None)
    if unpaid:
        return Reason(
            "tariff_not_paid",
            gettext("Your tariff “%(plan)s” is not paid yet.") % {"plan": unpaid.offer.name},
            gettext("Pay invoice %(number)s: the tariff begins when the payment is confirmed.")
            % {"number": unpaid.invoice},
            reverse("invoice", args=[unpaid.invoice_id]) if unpaid.invoice_id else reverse("tariffs"),
        )
    later = min(_times(standing, Taken.begins_later, "starts_at", at), default=None)
    if later:
        sentence = gettext("Your tariff “%(plan)s” begins on %(day)s.") % {"plan": later[1], "day": _day(later[0])}
        return Reason("tariff_begins_later", sentence, gettext("There is nothing to do but wait."), reverse("tariffs"))
    over = max(_times(standing, Taken.is_over, "ends_at", at), default=None)
    if over:
        sentence = gettext("Your tariff “%(plan)s” ended on %(day)s.") % {"plan": over[1], "day": _day(over[0])}
        remedy = _remedy(standing, need, gettext("Renew it, or choose another tariff."))
        return Reason("tariff_expired", sentence, remedy, reverse("tariffs"))
    remedy = _remedy(standing, need, gettext("Choose a tariff."))
    return Reason("tariff_missing", gettext("Your organisation has no tariff."), remedy, reverse("tariffs"))


def _times(
    standing: Standing, holds: Callable[[Taken, datetime], bool], moment: str, at: datetime
) -> list[tuple[datetime, str]]:
    return [(getattr(taken, moment), taken.offer.name) for taken in standing.taken if holds(taken, at)]


def _limits(plan: Offer, standing: Standing, need: Need) -> list[Reason]:
    """What the plan does not permit, each with the smallest plan that would permit the whole need."""
    remedy = _remedy(standing, need, gettext("Ask the operator for a tariff that permits it."))
    return [
        Reason(code, sentence % {"plan": plan.name, **words}, remedy, reverse("tariffs"))
        for code, sentence, words in exceeded(plan.permits, need)
    ]


def exceeded(permits: Permits, need: Need) -> list[tuple[str, str, dict[str, str]]]:
    """Codes of the exceeded limits with their sentences, which still lack the plan's name."""
    found: list[tuple[str, str, dict[str, str]]] = []
    if permits.families and need.family not in permits.families:
        words = {"family": str(FAMILY_NAMES.get(need.family, need.family))}
        found.append(("family_not_in_tariff", gettext("Your tariff “%(plan)s” does not cover %(family)s."), words))
    if need.action == Action.PUBLISH and not permits.publish:
        found.append(("publishing_not_in_tariff", gettext("Your tariff “%(plan)s” does not cover publishing."), {}))
    if need.action == Action.LIVE_AUCTION and not permits.live_auctions:
        sentence = gettext("Your tariff “%(plan)s” does not cover live auctions.")
        found.append(("live_auctions_not_in_tariff", sentence, {}))
    return found + _lot_exceeds(permits, need.lot_value) + _bids_exceed(permits, need)


def _lot_exceeds(permits: Permits, value: Money | None) -> list[tuple[str, str, dict[str, str]]]:
    limit = permits.max_lot_value
    if limit is None or value is None:
        return []
    if limit.currency != value.currency:
        sentence = gettext("The lot is priced in %(currency)s, and your tariff “%(plan)s” covers lots in %(own)s only.")
        return [("lot_currency_not_in_tariff", sentence, {"currency": value.currency, "own": limit.currency})]
    if value <= limit:
        return []
    sentence = gettext("The lot’s value is %(value)s, and your tariff “%(plan)s” covers lots up to %(limit)s.")
    return [("lot_value_over_tariff", sentence, {"value": _amount(value), "limit": _amount(limit)})]


def _bids_exceed(permits: Permits, need: Need) -> list[tuple[str, str, dict[str, str]]]:
    limit = permits.bids_per_month
    if need.side != Side.SUPPLIER or limit is None or need.bids_this_month < limit:
        return []
    sentence = ngettext(
        "Your tariff “%(plan)s” covers %(count)s bid a month, and you have sent %(sent)s.",
        "Your tariff “%(plan)s” covers %(count)s bids a month, and you have sent %(sent)s.",
        limit,
    )
    return [("bids_of_month_used_up", sentence, {"count": str(limit), "sent": str(need.bids_this_month)})]


def _remedy(standing: Standing, need: Need, otherwise: str) -> str:
    """The smallest plan on offer that permits the need, with its price; `otherwise` where none does."""
    fitting = next((offer for offer in standing.on_offer if not exceeded(offer.permits, need)), None)
    if fitting is None:
        return otherwise
    return gettext("The tariff “%(plan)s” (%(price)s without VAT) permits it.") % {
        "plan": fitting.name,
        "price": _amount(fitting.price),
    }


def _locale() -> str:
    return (get_language() or "en").replace("-", "_")


def _day(moment: datetime) -> str:
    return format_date(moment, "d MMMM y", locale=_locale())


def _amount(money: Money) -> str:
    return format_currency(money.amount, money.currency, "#,##0.00 ¤¤", locale=_locale())
