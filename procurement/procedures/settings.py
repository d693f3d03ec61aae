"""What a buyer may set for a tender: the preset's default and bounds of each setting, and one validator for all of
them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from dataclasses import field as member
from decimal import Decimal, InvalidOperation
from typing import Any

from procurement.procedures.axes import Axes, Family, Rebidding
from procurement.rules.auction.base import AuctionKind, ExtendFrom, Reference, SingleBidPrice
from procurement.rules.auction.views import Shown
from procurement.rules.periods import DayKind
from procurement.rules.ranking import Direction
from procurement.rules.words import gettext_noop

# No price lies below another by so many per cent: a procedure without these settings flags none.
_NEVER = Decimal(100)
# What a setting holds, as it stands in JSON: a decimal is a string, so that it stays exact.
Value = bool | int | str | None


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of a preset. `kind` is one of integer, decimal, choice, flag; `unit` is days, minutes, seconds,
    percent or empty.

    Bounds are inclusive. `nullable`: may be left empty, which `empty_means` says in words. A choice with one value is
    fixed.
    """

    name: str
    kind: str
    label: str
    default: Value
    minimum: Decimal | None = None
    maximum: Decimal | None = None
    choices: tuple[str, ...] = ()
    unit: str = ""
    nullable: bool = False
    empty_means: str = ""


@dataclass(frozen=True, slots=True)
class LotAsks:
    """What a lot must say for its procedure: a limit price, the step of a bid, the other end of a clock's prices."""

    limit: bool = False
    step: bool = False
    clock: bool = False


_ASKS = {
    AuctionKind.ENGLISH: LotAsks(limit=True, step=True),
    AuctionKind.DUTCH: LotAsks(limit=True, step=True, clock=True),
    AuctionKind.JAPANESE: LotAsks(limit=True, step=True, clock=True),
    AuctionKind.TURN_BASED: LotAsks(limit=True, step=True),
}


@dataclass(frozen=True, slots=True)
class Procedure:
    """A preset. A published tender keeps `code` and `version`; a change of rules is a new version, never a changed
    one."""

    code: str
    version: int
    family: Family
    name: str
    summary: str
    axes: Axes
    settings: tuple[Setting, ...]
    auction: AuctionKind | None = None

    @property
    def live(self) -> bool:
        """Whether bidders compete in a live room after the opening."""
        return self.axes.rebidding is Rebidding.LIVE

    @property
    def is_sale(self) -> bool:
        """Whether whoever holds the procedure sells: then the highest price is the best."""
        return self.axes.direction is Direction.UP

    @property
    def asks(self) -> LotAsks:
        """What a lot of this procedure must say besides its items."""
        return _ASKS.get(self.auction, LotAsks()) if self.auction else LotAsks()

    def setting(self, name: str) -> Setting:
        """The setting of that name; KeyError when the preset has none."""
        for setting in self.settings:
            if setting.name == name:
                return setting
        raise KeyError(name)


@dataclass(frozen=True, slots=True)
class AuctionSettings:
    """The live auction of every lot of a tender. Step and clock prices are the lot's own.

    Parts that a kind has not are as if never set: no duration where a clock or turns decide it, no seconds of a clock
    where nothing ticks.
    """

    kind: AuctionKind
    start_delay_minutes: int
    shown: Shown
    minimum_participants: int
    duration_minutes: int | None = None
    reference: Reference = Reference.OWN
    soft_close_window_seconds: int = 0
    soft_close_extend_seconds: int = 0
    soft_close_from: ExtendFrom = ExtendFrom.RECEIPT
    max_extensions: int | None = 0
    hard_stop_minutes: int | None = None
    proxy_bids: bool = False
    clock_interval_seconds: int | None = None
    first_pause_seconds: int | None = None
    pause_seconds: int | None = None
    turn_seconds: int | None = None
    announcement_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class TenderSettings:
    """All settings of a tender, resolved: what the buyer set, and the preset's defaults for the rest."""

    day_kind: DayKind
    enquiry_period_days: int
    tender_period_days: int
    minimum_remainder_days: int
    standstill_days: int
    minimum_bids: int
    limit_price_shown: bool
    abnormally_low_below_mean: Decimal
    abnormally_low_below_next: Decimal
    auction: AuctionSettings | None
    single_bid_price: SingleBidPrice | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a value is refused: the setting, a stable code, and a sentence to stand beside it. `template` is the sentence
    to be translated, with %(name)s for any of `words`, which are translated on their own where they are words of the
    catalogue; its word "setting" says what the setting is called."""

    field: str
    code: str
    template: str
    words: Mapping[str, str] = member(default_factory=dict)

    @property
    def message(self) -> str:
        """The sentence in English."""
        return self.template % self.words if self.words else self.template


class SettingsRefused(ValueError):
    """The settings given are outside the preset's bounds; `problems` says which."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(f"{problem.field}: {problem.message}" for problem in problems))
        self.problems = problems


def problems(procedure: Procedure, given: Mapping[str, object]) -> list[Problem]:
    """What is wrong with the settings given for a tender, in the preset's order; empty when nothing is.

    Settings not given take the preset's default and are not looked at, except together with others.
    """
    known = {setting.name for setting in procedure.settings}
    found = [
        Problem(
            name,
            "unknown_setting",
            gettext_noop("%(procedure)s has no setting “%(name)s”."),
            {"procedure": procedure.name, "name": name},
        )
        for name in given
        if name not in known
    ]
    for setting in procedure.settings:
        if setting.name in given and (problem := _problem(setting, given[setting.name])):
            found.append(problem)
    return found or list(_together({**_defaults(procedure), **given}))


def resolve(procedure: Procedure, given: Mapping[str, object]) -> TenderSettings:
    """The settings of a tender. Raises SettingsRefused when `problems` would find any."""
    if refused := problems(procedure, given):
        raise SettingsRefused(refused)
    values = {**_defaults(procedure), **given}
    return TenderSettings(
        day_kind=DayKind(_text(values["day_kind"])),
        enquiry_period_days=_whole(values["enquiry_period_days"]),
        tender_period_days=_whole(values["tender_period_days"]),
        minimum_remainder_days=_whole(values["minimum_remainder_days"]),
        standstill_days=_whole(values["standstill_days"]),
        minimum_bids=_whole(values["minimum_bids"]),
        limit_price_shown=values["limit_price_shown"] is True,
        abnormally_low_below_mean=Decimal(_text(values.get("abnormally_low_below_mean", _NEVER))),
        abnormally_low_below_next=Decimal(_text(values.get("abnormally_low_below_next", _NEVER))),
        auction=_auction(procedure.auction, values) if procedure.auction and procedure.live else None,
        single_bid_price=SingleBidPrice(_text(values["single_bid_price"])) if "single_bid_price" in values else None,
    )


def _auction(kind: AuctionKind, values: Mapping[str, object]) -> AuctionSettings:
    """The settings that the preset has, under the names of AuctionSettings."""
    given = {name: read(values[setting]) for name, (setting, read) in _READ.items() if setting in values}
    return AuctionSettings(kind=kind, **given)


def _defaults(procedure: Procedure) -> dict[str, object]:
    return {setting.name: setting.default for setting in procedure.settings}


def _text(value: object) -> str:
    return str(value)


def _whole(value: object) -> int:
    return int(str(value))


def _whole_or_none(value: object) -> int | None:
    return None if value is None else _whole(value)


def _problem(setting: Setting, value: object) -> Problem | None:
    if value is None:
        return None if setting.nullable else _refused(setting, "required", gettext_noop("This is needed."))
    if setting.kind == "flag":
        if setting.choices and value is not setting.default:
            return _refused(setting, "fixed", gettext_noop("This cannot be changed in this procedure."))
        if isinstance(value, bool):
            return None
        return _refused(setting, "not_a_flag", gettext_noop("This is yes or no."))
    if setting.kind == "choice":
        if isinstance(value, str) and value in setting.choices:
            return None
        choices = ", ".join(setting.choices)
        return _refused(setting, "not_a_choice", gettext_noop("One of: %(choices)s."), choices=choices)
    return _number_problem(setting, value)


def _refused(setting: Setting, code: str, template: str, **words: str) -> Problem:
    return Problem(setting.name, code, template, {"setting": setting.label, **words})


#: The fields of AuctionSettings: the setting each is read from, and how.
_READ: dict[str, tuple[str, Callable[[object], Any]]] = {
    "start_delay_minutes": ("auction_start_delay_minutes", _whole),
    "shown": ("shown", lambda value: Shown(_text(value))),
    "minimum_participants": ("minimum_participants", _whole),
    "duration_minutes": ("auction_duration_minutes", _whole),
    "reference": ("reference", lambda value: Reference(_text(value))),
    "soft_close_window_seconds": ("soft_close_window_seconds", _whole),
    "soft_close_extend_seconds": ("soft_close_extend_seconds", _whole),
    "soft_close_from": ("soft_close_from", lambda value: ExtendFrom(_text(value))),
    "max_extensions": ("max_extensions", _whole_or_none),
    "hard_stop_minutes": ("hard_stop_minutes", _whole_or_none),
    "proxy_bids": ("proxy_bids", lambda value: value is True),
    "clock_interval_seconds": ("clock_interval_seconds", _whole),
    "first_pause_seconds": ("first_pause_seconds", _whole),
    "pause_seconds": ("pause_seconds", _whole),
    "turn_seconds": ("turn_seconds", _whole),
    "announcement_seconds": ("announcement_seconds", _whole),
}


def _number_problem(setting: Setting, value: object) -> Problem | None:
    if setting.kind == "integer":
        number = Decimal(value) if isinstance(value, int) and not isinstance(value, bool) else None
    else:
        number = _decimal(value)
    if number is None:
        if setting.kind == "integer":
            return _refused(setting, "not_a_number", gettext_noop("A whole number."))
        return _refused(setting, "not_a_number", gettext_noop("A number."))
    if setting.minimum is not None and number < setting.minimum:
        least = gettext_noop("At least %(bound)s %(unit)s.") if setting.unit else gettext_noop("At least %(bound)s.")
        return _refused(setting, "below_minimum", least, bound=str(setting.minimum), unit=setting.unit)
    if setting.maximum is not None and number > setting.maximum:
        most = gettext_noop("At most %(bound)s %(unit)s.") if setting.unit else gettext_noop("At most %(bound)s.")
        return _refused(setting, "above_maximum", most, bound=str(setting.maximum), unit=setting.unit)
    return None


def _decimal(value: object) -> Decimal | None:
    if not isinstance(value, str | int | Decimal) or isinstance(value, bool):
        return None
    try:
        number = Decimal(value)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _together(values: Mapping[str, object]) -> Iterable[Problem]:
    """What only two settings together can get wrong."""
    if _whole(values["enquiry_period_days"]) > _whole(values["tender_period_days"]):
        yield Problem(
            "enquiry_period_days",
            "enquiries_after_tendering",
            gettext_noop("Questions cannot be asked longer than bids are taken."),
        )
    if values.get("shown") == Shown.RANK and values.get("reference") == Reference.LEADER:
        # The amount that would beat the leader betrays the leader's price.
        yield Problem(
            "reference",
            "rank_only_needs_own_reference",
            gettext_noop("Where bidders see their rank alone, a bid must beat the bidder’s own last one."),
        )
    stop = _whole_or_none(values.get("hard_stop_minutes"))
    if stop is not None and stop < _whole(values["auction_duration_minutes"]):
        yield Problem(
            "hard_stop_minutes",
            "hard_stop_before_end",
            gettext_noop("At least as long as the auction lasts."),
        )
