"""Sealed bids evaluated on paper."""

import json

import pytest
from django.core.management import call_command

CASE = {
    "direction": "down",
    "currency": "EUR",
    "limit_price": "200.00",
    "criteria": [
        {"id": "price", "kind": "price", "weight": "60"},
        {
            "id": "quality",
            "kind": "scored",
            "weight": "30",
            "scale": {"minimum": "0", "maximum": "10"},
            "threshold": "4",
        },
        {"id": "warranty", "kind": "value", "weight": "10", "better": "up"},
    ],
    "committee": ["Ann", "Bo"],
    "bids": [
        {"id": "A", "amount": "100.00", "received_at_s": -20, "values": {"warranty": "24"}},
        {"id": "B", "amount": "80.00", "received_at_s": -10, "values": {"warranty": "12"}},
        {"id": "C", "amount": "201.00", "received_at_s": -30, "values": {"warranty": "99"}},
        {"id": "D", "amount": "50.00", "received_at_s": -5, "values": {"warranty": "60"}},
    ],
    "scores": [
        {"member": member, "bid": bid, "criterion": "quality", "score": score}
        for member, bid, score in [
            *(("Ann", "A", "8"), ("Bo", "A", "9"), ("Ann", "B", "7"), ("Bo", "B", "6.5")),
            *(("Ann", "C", "8"), ("Bo", "C", "8"), ("Ann", "D", "4"), ("Bo", "D", "3.9")),
        ]
    ],
}


def evaluated(tmp_path, capsys, **changes):
    path = tmp_path / "case.json"
    path.write_text(json.dumps({**CASE, **changes}))
    call_command("simulate_evaluation", str(path), "--json")
    return json.loads(capsys.readouterr().out)


def refusal(tmp_path, capsys, **changes):
    with pytest.raises(SystemExit) as stopped:
        evaluated(tmp_path, capsys, **changes)
    assert stopped.value.code == 2
    return capsys.readouterr().err


def test_points_totals_and_ranks_come_with_their_arithmetic(tmp_path, capsys):
    outcome = evaluated(tmp_path, capsys)
    a, b = outcome["scores"][1], outcome["scores"][0]
    assert (a["bidder"], a["total"]) == ("A", "83.50")
    assert [
        (points["criterion"], points["mean"], points["weighted"], points["arithmetic"]) for points in a["points"]
    ] == [
        ("price", None, "48.00", "80.00 ÷ 100.00 × 100 = 80.00; × 60% = 48.00"),
        (
            "quality",
            "8.50",
            "25.50",
            "(8 + 9) ÷ 2 = 8.50; (8.50 − 0) ÷ (10 − 0) × 100 = 85.00; × 30% = 25.50",
        ),
        ("warranty", None, "10.00", "24 ÷ 24 × 100 = 100.00; × 10% = 10.00"),
    ]
    assert (b["bidder"], b["arithmetic"]) == ("B", "60.00 + 20.25 + 5.00 = 85.25")
    assert [(line["rank"], line["bidder"], line["total"]) for line in outcome["ranking"]] == [
        (1, "B", "85.25"),
        (2, "A", "83.50"),
    ]
    assert outcome["winner"] == "B"


def test_who_does_not_meet_the_limit_or_a_threshold_is_not_ranked_and_sets_no_best(tmp_path, capsys):
    assert evaluated(tmp_path, capsys)["rejected"] == [
        {"bidder": "C", "reason": "limit_not_met", "arithmetic": "201.00 > 200.00"},
        {"bidder": "D", "reason": "threshold_not_met", "arithmetic": "quality: 3.95 < 4"},
    ]


def test_of_equal_totals_the_bid_received_first_stands_better(tmp_path, capsys):
    bids = [{"id": name, "amount": "90.00", "received_at_s": at} for name, at in (("A", -1), ("B", -2), ("C", -3))]
    bids[2]["amount"] = "91.00"
    price = [{"id": "price", "kind": "price", "weight": "100"}]
    outcome = evaluated(tmp_path, capsys, criteria=price, bids=bids, scores=None, committee=None)
    assert [line["bidder"] for line in outcome["ranking"]] == ["B", "A", "C"]
    assert [tie["bidders"] for tie in outcome["ties"]] == [["B", "A"]]


def test_a_bid_that_is_abnormally_low_is_flagged_with_the_reason(tmp_path, capsys):
    amounts = (("A", "60.00", "95.00"), ("B", "100.00", "110.00"), ("C", "110.00", "110.00"))
    bids = [
        {"id": name, "amount": amount, "initial_amount": initial, "received_at_s": -1}
        for name, amount, initial in amounts
    ]
    price = [{"id": "price", "kind": "price", "weight": "100"}]
    outcome = evaluated(tmp_path, capsys, criteria=price, bids=bids, scores=None, committee=None)
    assert outcome["abnormally_low"] == [
        {
            "bidder": "A",
            "reason": "below_mean",
            "arithmetic": "60.00 ≤ (110.00 + 110.00) ÷ 2 = 110.00; 110.00 × (100 − 40)% = 66.00",
        },
        {"bidder": "A", "reason": "below_next", "arithmetic": "60.00 ≤ 100.00 × (100 − 30)% = 70.00"},
    ]


def test_a_sale_takes_the_highest_and_flags_nothing(tmp_path, capsys):
    price = [{"id": "price", "kind": "price", "weight": "100"}]
    bids = [{"id": name, "amount": amount, "received_at_s": -1} for name, amount in (("A", "300.00"), ("B", "900.00"))]
    outcome = evaluated(tmp_path, capsys, direction="up", criteria=price, bids=bids, scores=None, committee=None)
    assert [(line["bidder"], line["total"]) for line in outcome["ranking"]] == [("B", "100.00"), ("A", "33.33")]
    assert outcome["abnormally_low"] == []


def test_nobody_bids_and_nobody_wins(tmp_path, capsys):
    outcome = evaluated(tmp_path, capsys, bids=[], scores=[])
    assert (outcome["winner"], outcome["ranking"], outcome["scores"]) == (None, [], [])


def test_the_outcome_is_told_in_words_too(tmp_path, capsys):
    path = tmp_path / "case.json"
    path.write_text(json.dumps(CASE))
    call_command("simulate_evaluation", str(path))
    told = capsys.readouterr().out
    assert "  1. B  85.25  (80.00)" in told
    assert "limit_not_met: C: 201.00 > 200.00" in told


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"currency": "EURO"}, "currency:"),
        ({"direction": "left"}, "direction:"),
        ({"criteria": []}, "criteria:"),
        ({"criteria": [{"id": "price", "kind": "price", "weight": "99.9"}]}, "criteria: have weights"),
        ({"criteria": [{"id": "price", "kind": "taste", "weight": "100"}]}, "criteria[0].kind:"),
        ({"criteria": [{"id": "price", "kind": "price", "weight": 100}]}, "criteria[0].weight:"),
        ({"criteria": ["price"]}, "criteria[0]:"),
        ({"committee": ["Ann", "Ann"]}, "committee:"),
        ({"committee": ["Ann", "Bo", "Cy"]}, "scores: of “A” for “quality” are missing: Cy"),
        ({"scores": CASE["scores"][1:]}, "scores:"),
        ({"scores": [*CASE["scores"], CASE["scores"][0]]}, "scores[8]:"),
        ({"scores": [{**CASE["scores"][0], "score": "10.1"}]}, "scores[0].score:"),
        ({"scores": [{**CASE["scores"][0], "bid": "Z"}]}, "scores[0].bid:"),
        ({"bids": [{**CASE["bids"][0], "values": {}}, *CASE["bids"][1:]]}, "bids[0].values.warranty:"),
        ({"bids": [{**CASE["bids"][0], "amount": "0"}, *CASE["bids"][1:]]}, "bids[0].amount:"),
        ({"abnormally_low": {"below_mean": "100"}}, "abnormally_low.below_mean:"),
        ({"weights": None}, "weights:"),
    ],
)
def test_a_malformed_case_exits_2_and_names_the_field(tmp_path, capsys, changes, field):
    assert refusal(tmp_path, capsys, **changes).startswith(field)
