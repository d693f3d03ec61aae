import json
from dataclasses import FrozenInstanceError

import pytest
from django.core.management import call_command

from procurement import procedures
from procurement.procedures.settings import SettingsRefused
from procurement.rules.auction.base import AuctionKind, Reference, SingleBidPrice
from procurement.rules.periods import DayKind
from procurement.rules.ranking import Direction

RFQ = procedures.get("rfq_open")
ENGLISH = procedures.get("auction_english_reverse")
SEVEN = (
    *("english_reverse", "english_forward", "dutch", "japanese"),
    *("sealed_first_price", "sealed_second_price", "turn_based"),
)


def codes(procedure, **given):
    return [(problem.field, problem.code) for problem in procedures.problems(procedure, given)]


@pytest.mark.parametrize("procedure", procedures.catalogue(), ids=lambda p: p.code)
def test_every_preset_is_valid_by_its_own_bounds(procedure):
    defaults = {setting.name: setting.default for setting in procedure.settings}
    assert procedures.problems(procedure, defaults) == []
    assert procedures.resolve(procedure, {}) == procedures.resolve(procedure, defaults)
    assert len({setting.name for setting in procedure.settings}) == len(procedure.settings)
    assert json.loads(json.dumps(procedures.as_json(procedure)))["code"] == procedure.code


def test_a_version_stays_what_it_was():
    assert procedures.get("rfq_open", 1) is RFQ
    with pytest.raises(FrozenInstanceError):
        RFQ.version = 2


@pytest.mark.parametrize(("code", "version"), [("barter", None), ("rfq_open", 99)])
def test_an_unknown_procedure_is_refused(code, version):
    with pytest.raises(procedures.UnknownProcedure):
        procedures.get(code, version)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"tender_period_days": 1}, ("tender_period_days", "below_minimum")),
        ({"tender_period_days": 91}, ("tender_period_days", "above_maximum")),
        ({"tender_period_days": "5"}, ("tender_period_days", "not_a_number")),
        ({"tender_period_days": True}, ("tender_period_days", "not_a_number")),
        ({"tender_period_days": None}, ("tender_period_days", "required")),
        ({"day_kind": "lunar"}, ("day_kind", "not_a_choice")),
        ({"limit_price_shown": "yes"}, ("limit_price_shown", "not_a_flag")),
        ({"abnormally_low_below_mean": "NaN"}, ("abnormally_low_below_mean", "not_a_number")),
        ({"abnormally_low_below_mean": "9.99"}, ("abnormally_low_below_mean", "below_minimum")),
        ({"auction_duration_minutes": 30}, ("auction_duration_minutes", "unknown_setting")),
        ({"enquiry_period_days": 6}, ("enquiry_period_days", "enquiries_after_tendering")),
    ],
)
def test_a_setting_out_of_bounds_is_named(given, problem):
    assert codes(RFQ, **given) == [problem]
    with pytest.raises(SettingsRefused):
        procedures.resolve(RFQ, given)


def test_what_two_settings_get_wrong_together_is_named():
    assert codes(ENGLISH, shown="rank") == [("reference", "rank_only_needs_own_reference")]
    assert codes(ENGLISH, shown="rank", reference="own") == []
    assert codes(ENGLISH, hard_stop_minutes=29) == [("hard_stop_minutes", "hard_stop_before_end")]
    assert codes(ENGLISH, hard_stop_minutes=30, max_extensions=None) == []


def test_settings_are_resolved_with_the_presets_defaults():
    settings = procedures.resolve(ENGLISH, {"reference": "own", "day_kind": "calendar"})
    assert (settings.day_kind, settings.tender_period_days, settings.minimum_bids) == (DayKind.CALENDAR, 5, 1)
    assert settings.auction is not None
    assert (settings.auction.reference, settings.auction.max_extensions) == (Reference.OWN, None)
    assert procedures.resolve(RFQ, {}).auction is None
    assert ENGLISH.auction is AuctionKind.ENGLISH


def test_seven_kinds_of_auctions_can_be_chosen():
    settings = {kind: procedures.resolve(procedures.get(f"auction_{kind}"), {}) for kind in SEVEN}
    live = [kind for kind in SEVEN if settings[kind].auction]
    assert live == ["english_reverse", "english_forward", "dutch", "japanese", "turn_based"]
    assert procedures.get("auction_english_forward").axes.direction is Direction.UP
    assert settings["dutch"].auction.clock_interval_seconds == 60
    assert settings["dutch"].auction.duration_minutes is None
    turns = settings["turn_based"].auction
    assert (turns.first_pause_seconds, turns.pause_seconds, turns.turn_seconds, turns.announcement_seconds) == (
        *(300, 120),
        *(120, 120),
    )
    assert settings["sealed_second_price"].single_bid_price is SingleBidPrice.OWN
    assert settings["sealed_first_price"].single_bid_price is None
    assert [procedures.get(f"auction_{kind}").asks.clock for kind in SEVEN] == [False, False, True, True, *[False] * 3]


def test_the_catalogue_is_printed_as_json(capsys):
    call_command("procedures", "--json")
    printed = {procedure["code"]: procedure for procedure in json.loads(capsys.readouterr().out)}
    assert set(printed) == {"rfq_open"} | {f"auction_{kind}" for kind in SEVEN}
    assert printed["rfq_open"]["axes"]["direction"] == "down"
    assert printed["rfq_open"]["settings"]["tender_period_days"]["minimum"] == 2
