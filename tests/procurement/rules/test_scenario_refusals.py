"""A malformed scenario exits with status 2, names the field, prints nothing else and never a traceback."""

import json
from typing import Any

import pytest
from django.core.management import call_command

from procurement.rules.auction import duel

GOOD: dict[str, Any] = {
    "kind": "english",
    "direction": "down",
    "currency": "EUR",
    "start_price": "100.00",
    "step": {"amount": "1.00"},
    "reference": "leader",
    "duration_s": 600,
    "soft_close": {"window_s": 180, "extend_s": 180, "from": "receipt", "max_extensions": None, "hard_stop_s": None},
    "clock": {"tick": "5.00", "interval_s": 30, "last_price": "80.00"},
    "single_bid_price": "own",
    "evaluation": None,
    "bidders": [
        {"id": "A", "initial": "100.00", "received_at_s": -3600, "features": ["0.1", "0.1"], "non_price_cost": "0"},
        {"id": "B", "initial": "99.00", "received_at_s": -3500, "features": ["0", "0"], "non_price_cost": "5.00"},
    ],
    "events": [{"at_s": 10.0, "bidder": "A", "do": "bid", "amount": "95.00"}],
}
FEATURES = {"evaluation": {"feature_maxima": ["0.15", "0.15"]}}
MISSING = object()
DEEP = json.loads("[" * 500 + "]" * 500)
LONG = "1" + "0" * 5_000

NOT_PRICES = ["", " ", " 1 ", "+1.00", "1_000", "1,000.00", "1e5", "1E2", ".", "0x10", "NaN", "Infinity", "ten"]
NOT_PRICES += ["１００", "١٠٠", "²", "½", "1\n", "1\x00", "1.00 EUR", "€1", "\ud800", LONG, 100, 100.5, True, [], {}]
NOT_LIMITS = [*NOT_PRICES, "0", "0.00", "-0.00", "-1.00", "100.001"]
NOT_SECONDS = [None, "600", "", True, False, [], {}, "1e3", "\ud800"]


def changed(path: str, value: object, **changes: object) -> dict[str, Any]:
    """The good scenario with one place changed: `bidders.0.initial`."""
    scenario = json.loads(json.dumps({**GOOD, **changes}))
    place = scenario
    *way, last = path.split(".")
    for step in way:
        place = place[int(step)] if isinstance(place, list) else place[step]
    key = int(last) if isinstance(place, list) else last
    if value is MISSING:
        del place[key]
    else:
        place[key] = value
    return scenario


def field(path: str) -> str:
    """`bidders.0.initial` as it is named: `bidders[0].initial`."""
    return "".join(f"[{part}]" if part.isdigit() else f".{part}" for part in path.split(".")).lstrip(".")


def refusal(tmp_path, capsys, content: bytes) -> str:
    path = tmp_path / "scenario.json"
    path.write_bytes(content)
    with pytest.raises(SystemExit) as stopped:
        call_command("simulate_auction", str(path), "--json")
    printed = capsys.readouterr()
    assert (stopped.value.code, printed.out) == (2, "")
    assert "Traceback" not in printed.err
    printed.err.encode()
    return printed.err


ANYWHERE = [
    ("kind", [MISSING, None, "", "English", "raffle", 1, True, [], {}, ["english"], "\ud800"], {}),
    ("direction", [MISSING, None, "", "Down", "sideways", 1, [], {}], {}),
    ("currency", [MISSING, None, "", "eur", "EURO", "E", "€", "ＥＵＲ", "ZZZ", 978, True, [], {}], {}),
    ("start_price", NOT_LIMITS, {}),
    ("step", [MISSING, None, "1.00", 1, [], {}, {"amount": "1.00", "percent": "1"}, {"share": "1"}, DEEP], {}),
    ("step.amount", [*NOT_LIMITS, None], {}),
    ("reference", ["", "best", "Leader", 1, [], {}], {}),
    ("duration_s", [MISSING, *NOT_SECONDS, 0, -1, -0.5, 10**400], {}),
    ("soft_close", [[], "yes", 180, True, {}, DEEP], {}),
    ("soft_close.window_s", [MISSING, *NOT_SECONDS, -1], {}),
    ("soft_close.extend_s", [MISSING, *NOT_SECONDS, -1], {}),
    ("soft_close.from", ["", "start", 1, [], {}], {}),
    ("soft_close.max_extensions", [-1, 1.5, "1", True, [], {}], {}),
    ("soft_close.hard_stop_s", ["700", 599.999, 0, -1, True, [], {}], {}),
    ("evaluation", [[], "features", 1, True, {}, {"feature_maxima": [], "life_cycle_cost": True}, {"weights": []}], {}),
    ("evaluation.feature_maxima", [None, "0.15", {}, ["0.5", "0.5"], ["1"], ["0.9", "0.2"]], FEATURES),
    ("evaluation.feature_maxima.1", ["", "1e-1", "-0.1", " 0.1", "NaN", 0.15, True, None, [], "０.1"], FEATURES),
    ("evaluation.life_cycle_cost", [False, "yes", 1, None, []], {"evaluation": {"life_cycle_cost": True}}),
    ("bidders", [MISSING, None, {}, "A", 2], {}),
    ("bidders.1", [None, "B", 2, [], True], {}),
    ("bidders.1.id", [MISSING, None, "", 2, True, [], {}, "A", "\ud800"], {}),
    ("bidders.1.initial", [*NOT_LIMITS], {}),
    ("bidders.1.received_at_s", [MISSING, *NOT_SECONDS], {}),
    ("bidders.1.features", [MISSING, "0.1", {}, [], ["0.1"], ["0.1"] * 3], FEATURES),
    ("bidders.1.features.0", ["", "1e-1", "-0.1", "0.16", " 0.1", "NaN", 0.1, True, None, []], FEATURES),
    ("bidders.1.non_price_cost", NOT_PRICES, {"evaluation": {"life_cycle_cost": True}}),
    ("bidders.1.proxy_limit", NOT_LIMITS, {}),
    ("events", [{}, "bid", 1], {}),
    ("events.0", [None, "bid", 1, [], True], {}),
    ("events.0.at_s", [MISSING, *NOT_SECONDS], {}),
    ("events.0.bidder", [MISSING, None, "", "Z", 1, True, [], {}, "Ａ"], {}),
    ("events.0.do", [MISSING, None, "", "Bid", "shout", 1, [], {}], {}),
    ("events.0.amount", [MISSING, None, *NOT_PRICES], {}),
]
SECOND_PRICE = {"kind": "sealed_second_price"}
BY_KIND = [
    ("clock", [MISSING, None, [], "5.00", {}], {"kind": "dutch"}),
    ("clock.tick", [MISSING, None, *NOT_LIMITS], {"kind": "dutch"}),
    ("clock.interval_s", [MISSING, *NOT_SECONDS, 0, -30], {"kind": "dutch"}),
    ("clock.last_price", [MISSING, None, *NOT_LIMITS, "100.00"], {"kind": "dutch"}),
    ("clock.tick", ["0", "-1.00"], {"kind": "japanese"}),
    ("start_price", [None], {"kind": "dutch"}),
    ("start_price", [None], {"kind": "japanese"}),
    ("single_bid_price", ["", "Own", "second", 1, [], {}], SECOND_PRICE),
    ("step", [MISSING, None, {}], {"kind": "turn_based"}),
]
UNKNOWN = ["soft_closing", "step.share", "soft_close.to", "bidders.1.name", "events.0.price", "clock.ticks"]
CASES = [
    (path, value, changes)
    for path, values, changes in (*ANYWHERE, *BY_KIND)
    for value in values
    if not (path == "events.0.amount" and value == LONG)
] + [(path, 1, {}) for path in UNKNOWN]


@pytest.mark.parametrize(
    ("path", "value", "changes"), CASES, ids=[f"{path}-{number}" for number, (path, _, _) in enumerate(CASES)]
)
def test_a_malformed_field_is_named(tmp_path, capsys, path, value, changes):
    content = json.dumps(changed(path, value, **changes)).encode()
    told = refusal(tmp_path, capsys, content)
    above = path.rpartition(".")[0]
    assert told.startswith((f"{field(path)}:", f"{field(path)}.", f"{field(above)}:"))


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('"duration_s": 1e999999999', "duration_s"),
        ('"duration_s": 1e-999999999', "duration_s"),
        ('"duration_s": 1e400', "duration_s"),
        ('"duration_s": -0.0', "duration_s"),
        ('"duration_s": 600, "duration_s": 601', "duration_s"),
        ('"duration_s": NaN', "NaN"),
        ('"duration_s": -Infinity', "-Infinity"),
        (f'"duration_s": {LONG}', "JSON"),
        ('"events": [{"at_s": 1e999999999, "bidder": "A", "do": "bid", "amount": "95.00"}]', "events[0].at_s"),
        ('"events": [{"at_s": 1e-999999999, "bidder": "A", "do": "bid", "amount": "95.00"}]', "events[0].at_s"),
        ('"events": [{"at_s": 1, "bidder": "A", "bidder": "B", "do": "bid", "amount": "95.00"}]', "bidder"),
        ('"bidders": [{"id": "A", "id": "B"}]', "id"),
        ('"bidders": ' + "[" * 100_000, "JSON"),
        ('"bidders": ' + '{"id":' * 100_000, "JSON"),
    ],
)
def test_what_only_text_can_say_is_refused_by_name(tmp_path, capsys, text, named):
    name = text.split('"')[1]
    rest = json.dumps({key: value for key, value in GOOD.items() if key != name})
    assert named in refusal(tmp_path, capsys, f"{rest[:-1]}, {text}}}".encode())


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b" \n",
        b"null",
        b"[]",
        b"1",
        b"true",
        b'"english"',
        b"{",
        b'{"kind": "english",}',
        b"{} {}",
        b"{'kind': 'english'}",
        b"{kind: english}",
        b'{"kind": "english\xff"}',
        b"\xff\xfe{\x00}\x00",
        b'{"kind": "eng\x00lish"}',
        b'{"kind": "\\u12"}',
        b"[" * 100_000,
        b"\x00",
        b"\xef\xbb\xbf{}",
        b"// a comment\n{}",
        b"\x1f\x8b\x08\x00",
    ],
)
def test_what_is_not_a_scenario_at_all_is_refused(tmp_path, capsys, content):
    assert refusal(tmp_path, capsys, content)


def test_proxies_that_would_never_come_to_an_end_are_refused(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(duel, "MOST_ROUNDS", 1_000)
    proxies = [
        {"id": "A", "initial": "100.00", "received_at_s": -2, "features": ["0"]},
        {"id": "B", "features": ["0.1234567"], "proxy_limit": "1.00"},
        {"id": "C", "features": ["0.0777123"], "proxy_limit": "1.00"},
    ]
    scenario = {**GOOD, "step": {"amount": "0.01"}, "evaluation": {"feature_maxima": ["0.2531777"]}, "events": []}
    told = refusal(tmp_path, capsys, json.dumps({**scenario, "bidders": proxies}).encode())
    assert told.startswith("step: two proxies would answer each other more than 1000 times")
