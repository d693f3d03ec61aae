import io
import json

import pytest
from django.core.management import call_command

BIDDERS = [
    {
        "id": "A",
        "initial": "100.00",
        "received_at_s": -3600,
        "features": ["0.1", "0.1"],
        "non_price_cost": "0",
        "proxy_limit": None,
    },
    {
        "id": "B",
        "initial": "99.00",
        "received_at_s": -3500,
        "features": ["0", "0.1"],
        "non_price_cost": "5.00",
        "proxy_limit": None,
    },
]
SCENARIO = {
    "kind": "english",
    "direction": "down",
    "currency": "EUR",
    "start_price": "100.00",
    "step": {"amount": "1.00"},
    "reference": "leader",
    "duration_s": 600,
    "soft_close": {"window_s": 180, "extend_s": 180, "from": "receipt", "max_extensions": None, "hard_stop_s": None},
    "clock": None,
    "single_bid_price": "own",
    "evaluation": None,
    "bidders": BIDDERS,
    "events": [
        {"at_s": 590.5, "bidder": "B", "do": "bid", "amount": "93.00"},
        {"at_s": 10.0, "bidder": "A", "do": "bid", "amount": "98.01"},
        {"at_s": 10.5, "bidder": "A", "do": "bid", "amount": "95.00"},
        {"at_s": 770.5, "bidder": "A", "do": "bid", "amount": "90.00"},
    ],
}


def simulate(tmp_path, capsys, **changes):
    path = tmp_path / "scenario.json"
    path.write_text(json.dumps({**SCENARIO, **changes}))
    call_command("simulate_auction", str(path), "--json")
    return json.loads(capsys.readouterr().out)


def refusal(tmp_path, capsys, text):
    path = tmp_path / "scenario.json"
    path.write_text(text)
    with pytest.raises(SystemExit) as stopped:
        call_command("simulate_auction", str(path), "--json")
    assert stopped.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    return printed.err


def test_an_auction_on_paper_is_told_in_order_of_time(tmp_path, capsys):
    assert simulate(tmp_path, capsys) == {
        "decisions": [
            {
                "at_s": 10,
                "bidder": "A",
                "accepted": False,
                "code": "step_not_met",
                "allowed_amount": "98.00",
                "effective": "98.01",
            },
            {
                "at_s": 10.5,
                "bidder": "A",
                "accepted": True,
                "code": None,
                "allowed_amount": "98.00",
                "effective": "95.00",
            },
            {
                "at_s": 590.5,
                "bidder": "B",
                "accepted": True,
                "code": None,
                "allowed_amount": "94.00",
                "effective": "93.00",
            },
            {
                "at_s": 770.5,
                "bidder": "A",
                "accepted": False,
                "code": "auction_over",
                "allowed_amount": None,
                "effective": "90.00",
            },
        ],
        "stages": [],
        "ranking": [
            {"rank": 1, "bidder": "B", "amount": "93.00", "effective": "93.00"},
            {"rank": 2, "bidder": "A", "amount": "95.00", "effective": "95.00"},
        ],
        "winner": "B",
        "price": "93.00",
        "ended_at_s": 770.5,
        "extensions": 1,
    }


def test_a_sale_goes_up(tmp_path, capsys):
    outcome = simulate(
        tmp_path,
        capsys,
        direction="up",
        start_price="90.00",
        step={"percent": "0.5"},
        events=[
            {"at_s": 1, "bidder": "B", "do": "bid", "amount": "100.44"},
            {"at_s": 2, "bidder": "B", "do": "bid", "amount": "100.45"},
        ],
    )
    assert [(d["code"], d["allowed_amount"]) for d in outcome["decisions"]] == [
        ("step_not_met", "100.45"),
        (None, "100.45"),
    ]
    assert (outcome["winner"], outcome["price"]) == ("B", "100.45")


def test_nobody_bids_and_nobody_wins(tmp_path, capsys):
    outcome = simulate(tmp_path, capsys, bidders=[{"id": "A"}], events=[])
    assert (outcome["winner"], outcome["price"], outcome["ranking"], outcome["ended_at_s"]) == (None, None, [], 600)


def test_criteria_and_the_cost_of_the_life_cycle_count(tmp_path, capsys):
    features = simulate(tmp_path, capsys, evaluation={"feature_maxima": ["0.15", "0.15"]}, events=[])
    assert [(r["bidder"], r["effective"]) for r in features["ranking"]] == [("A", "77.78"), ("B", "86.63")]
    costs = simulate(tmp_path, capsys, evaluation={"life_cycle_cost": True}, events=[])
    assert [(r["bidder"], r["effective"]) for r in costs["ranking"]] == [("A", "100.00"), ("B", "104.00")]


def test_what_is_not_done_in_an_english_auction_is_refused(tmp_path, capsys):
    outcome = simulate(tmp_path, capsys, events=[{"at_s": 1, "bidder": "A", "do": "accept"}])
    assert [d["code"] for d in outcome["decisions"]] == ["wrong_action"]


def test_a_currency_without_minor_units_is_counted_in_whole_ones(tmp_path, capsys):
    events = [{"at_s": 1, "bidder": "B", "do": "bid", "amount": "98.5"}]
    bidders = [{"id": "A", "initial": "100", "received_at_s": 0}, {"id": "B"}]
    outcome = simulate(tmp_path, capsys, currency="JPY", step={"percent": "1.4"}, bidders=bidders, events=events)
    assert [(d["code"], d["allowed_amount"]) for d in outcome["decisions"]] == [("amount_too_precise", "99")]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"kind": "dutch"}, "clock: is needed"),
        ({"kind": "raffle"}, "kind: is one of"),
        ({"direction": None}, "direction:"),
        ({"currency": "EURO"}, "currency:"),
        ({"start_price": 100}, "start_price:"),
        ({"start_price": "NaN"}, "start_price:"),
        ({"step": {}}, "step:"),
        ({"step": {"amount": "1.00", "percent": "1"}}, "step:"),
        ({"step": {"amount": "0"}}, "step.amount:"),
        ({"step": {"percent": "0.5"}, "start_price": None}, "step.percent:"),
        ({"reference": "best"}, "reference:"),
        ({"duration_s": 0}, "duration_s:"),
        ({"duration_s": "600"}, "duration_s:"),
        ({"soft_close": {"window_s": -1, "extend_s": 1}}, "soft_close.window_s:"),
        ({"soft_close": {"window_s": 1, "extend_s": 1, "max_extensions": 1.5}}, "soft_close.max_extensions:"),
        ({"soft_close": {"window_s": 1, "extend_s": 1, "hard_stop_s": 599}}, "soft_close.hard_stop_s:"),
        ({"evaluation": {"feature_maxima": ["0.5", "0.5"]}}, "evaluation.feature_maxima:"),
        ({"evaluation": {"feature_maxima": ["0.5"]}}, "bidders[0].features:"),
        ({"bidders": {}}, "bidders:"),
        ({"bidders": [*BIDDERS, {"id": "A"}]}, "bidders[2].id:"),
        ({"bidders": [{"id": "A", "initial": "1.001", "received_at_s": 0}]}, "bidders[0].initial:"),
        ({"bidders": [{"id": "A", "initial": "1.00"}]}, "bidders[0].received_at_s:"),
        ({"bidders": [{"id": "A", "proxy_limit": "0"}]}, "bidders[0].proxy_limit:"),
        ({"events": [{"at_s": 1, "bidder": "Z", "do": "bid", "amount": "1.00"}]}, "events[0].bidder:"),
        ({"events": [{"at_s": 1, "bidder": "A", "do": "shout"}]}, "events[0].do:"),
        ({"events": [{"at_s": 1, "bidder": "A", "do": "bid"}]}, "events[0].amount:"),
        ({"events": [{"at_s": None, "bidder": "A", "do": "withdraw"}]}, "events[0].at_s:"),
        ({"soft_closing": None}, "soft_closing:"),
    ],
)
def test_a_malformed_scenario_exits_2_and_names_the_field(tmp_path, capsys, changes, field):
    assert refusal(tmp_path, capsys, json.dumps({**SCENARIO, **changes})).startswith(field)


@pytest.mark.parametrize("text", ["", "[]", '{"kind": NaN}', "[" * 100_000, '"english"'])
def test_what_is_not_a_scenario_at_all_exits_2(tmp_path, capsys, text):
    assert refusal(tmp_path, capsys, text)


def test_a_missing_file_exits_2(capsys):
    with pytest.raises(SystemExit) as stopped:
        call_command("simulate_auction", "/nowhere.json", stderr=io.StringIO())
    assert stopped.value.code == 2
