"""Small scenarios, crowded around the instants and amounts at which the rules turn."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

from hypothesis import strategies as st

from tests.procurement.rules import models
from tests.procurement.rules.models.paper import MINOR_DIGITS

Scenario = dict[str, Any]
HIGHEST = {"EUR": 12_000, "JPY": 120, "KWD": 120_000}
"""In minor units: 120.00 at the most."""
MOMENT = Fraction(1, 1000)


def written(units: int, currency: str) -> str:
    return f"{Decimal(units).scaleb(-MINOR_DIGITS[currency]):f}"


def number(instant: Fraction) -> int | float:
    return int(instant) if instant.denominator == 1 else float(instant)


def around(instants: list[Fraction]) -> st.SearchStrategy[Fraction]:
    """One of the instants, or a moment before or after it."""
    return st.builds(
        lambda at, beside: at + beside * MOMENT, st.sampled_from(instants), st.sampled_from([0, 0, 0, -1, 1])
    )


@st.composite
def evaluations(draw: st.DrawFn) -> Scenario | None:
    return draw(
        st.sampled_from(
            [
                None,
                None,
                {"feature_maxima": ["0.15", "0.15"]},
                {"feature_maxima": ["0.25"]},
                {"feature_maxima": ["0.1", "0.2", "0.1"]},
                {"feature_maxima": []},
                {"life_cycle_cost": True},
            ]
        )
    )


@st.composite
def bidders(draw: st.DrawFn, frame: Scenario, limit: int, *, least: int = 0) -> list[Scenario]:
    """Up to four; initial bids near the limit price, often equal, often received at the same instant."""
    currency = frame["currency"]
    maxima = (frame["evaluation"] or {}).get("feature_maxima", [])
    found = []
    near = st.integers(max(1, limit - 3), limit + 1) | st.integers(1, HIGHEST[currency]) | st.just(limit)
    for name in "ABCD"[: draw(st.integers(least, 4))]:
        shares = [draw(st.sampled_from(sorted({"0", "0.05", "0.1", maximum}, key=Decimal))) for maximum in maxima]
        shares = [min(share, maximum, key=Decimal) for share, maximum in zip(shares, maxima, strict=True)]
        cost = draw(st.sampled_from([0, 0, 1, 5, limit // 7]))
        initial = draw(st.none() | near | near | near)
        found.append(
            {
                "id": name,
                "initial": None if initial is None else written(initial, currency),
                "received_at_s": draw(st.sampled_from([-3600, -3600, -60, -60.5, -1, 0])),
                "features": shares,
                "non_price_cost": written(cost, currency),
                "proxy_limit": None,
            }
        )
    return found


@st.composite
def frames(draw: st.DrawFn, kind: str) -> tuple[Scenario, int]:
    """What all kinds have, and the limit price in minor units (also where the scenario tells none)."""
    currency = draw(st.sampled_from(["EUR", "EUR", "JPY", "KWD"]))
    limit = draw(st.integers(1, 60) | st.integers(1, HIGHEST[currency]))
    frame: Scenario = {
        "kind": kind,
        "direction": draw(st.sampled_from(["down", "up"])),
        "currency": currency,
        "start_price": written(limit, currency),
        "step": {"amount": written(1, currency)},
        "reference": "leader",
        "duration_s": draw(st.sampled_from([60, 600, 90.5])),
        "soft_close": None,
        "clock": None,
        "single_bid_price": "own",
        "evaluation": draw(evaluations()),
    }
    return frame, limit


@st.composite
def steps(draw: st.DrawFn, currency: str, limit: int, *, percent: bool) -> tuple[Scenario, int]:
    """A step, and about how many minor units it has."""
    if percent and draw(st.booleans()):
        share = draw(st.sampled_from(["0.5", "1", "2.5", "0.001", "3.3", "10", "33.3333333"]))
        return {"percent": share}, max(1, int(Decimal(limit) * Decimal(share) / 100))
    units = draw(st.integers(1, max(1, limit // 10)) | st.just(1))
    return {"amount": written(units, currency)}, units


@st.composite
def amounts(draw: st.DrawFn, scenario: Scenario, allowed: str | None, limit: int, step: int) -> str:
    """About the best amount that may be typed now, or about the limit price; sometimes anything."""
    currency = scenario["currency"]
    if draw(st.integers(0, 19)) == 0:
        return draw(st.sampled_from(["0", written(HIGHEST[currency] + 1, currency), "1.0001", "0.5", "-1"]))
    units = limit if allowed is None else int(Decimal(allowed).scaleb(MINOR_DIGITS[currency]))
    better = -1 if scenario["direction"] == "down" else 1
    aside = [0, 0, 0, -better, better, better * step, better * step * 3, -better * step]
    return written(max(units + draw(st.sampled_from(aside)), 1), currency)


def allowed_now(scenario: Scenario, past: list[Scenario], at: int | float, bidder: str) -> str | None:
    """What the model lets this bidder type after these events."""
    asking = {"at_s": at, "bidder": bidder, "do": "bid", "amount": "0"}
    decided = models.run({**scenario, "events": [*past, asking]})["decisions"]
    return decided[-1]["allowed_amount"]


@st.composite
def events(
    draw: st.DrawFn, scenario: Scenario, limit: int, step: int, instants: list[Fraction], doings: list[str], most: int
) -> list[Scenario]:
    names = [bidder["id"] for bidder in scenario["bidders"]]
    if not names:
        return []
    found: list[Scenario] = []
    for at in sorted(draw(st.lists(around(instants), max_size=most))):
        bidder = draw(st.sampled_from(names))
        event = {"at_s": number(at), "bidder": bidder, "do": draw(st.sampled_from(doings))}
        if event["do"] == "bid":
            allowed = allowed_now(scenario, found, event["at_s"], bidder)
            if allowed is None and draw(st.integers(0, 3)) > 0:  # rather somebody who may bid
                able = [(name, allowed_now(scenario, found, event["at_s"], name)) for name in names]
                event["bidder"], allowed = next(((n, a) for n, a in able if a is not None), (bidder, None))
            event["amount"] = draw(amounts(scenario, allowed, limit, step))
        elif event["do"] in ("accept", "confirm") and draw(st.integers(0, 3)) == 0:
            # The price that the bidder saw, or another one.
            event["amount"] = draw(amounts(scenario, allowed_now(scenario, found, event["at_s"], bidder), limit, step))
        found.append(event)
    return draw(st.permutations(found)) if draw(st.integers(0, 5)) == 0 else found


@st.composite
def english(draw: st.DrawFn, *, proxies: bool = True) -> Scenario:
    scenario, limit = draw(frames("english"))
    scenario["reference"] = draw(st.sampled_from(["leader", "own"]))
    limited = draw(st.integers(0, 4)) > 0
    scenario["step"], step = draw(steps(scenario["currency"], limit, percent=limited))
    if not limited:
        scenario["start_price"] = None
    duration = Fraction(str(scenario["duration_s"]))
    window, extend = draw(
        st.sampled_from([(180, 180), (180, 60), (30, 60), (60, 20), (30, 30.5), (0, 30), (30, 0), (600, 600)])
    )
    instants = [Fraction(-1), Fraction(0), Fraction(1), Fraction(1), duration / 2, duration - 5, duration - 5, duration]
    if draw(st.booleans()):
        hard_stop = draw(st.none() | st.sampled_from([number(duration + more) for more in (0, 20, 40, 100)]))
        scenario["soft_close"] = {
            "window_s": window,
            "extend_s": extend,
            "from": draw(st.sampled_from(["receipt", "end"])),
            "max_extensions": draw(st.none() | st.integers(0, 3)),
            "hard_stop_s": hard_stop,
        }
        ends = [duration + Fraction(str(extend)) * count for count in range(4)]
        ends += [] if hard_stop is None else [Fraction(str(hard_stop))]
        instants += 2 * [end - 7 for end in ends] + [end - window for end in ends] + ends[:2]
    scenario["bidders"] = draw(bidders(scenario, limit))
    if proxies and draw(st.booleans()):
        better = -1 if scenario["direction"] == "down" else 1
        for bidder in scenario["bidders"]:
            # The models' proxies go one step at a time: the way must not be long.
            if bidder["initial"] is not None or not limited:
                units = max(1, limit - better * 2 * step + better * draw(st.integers(0, 12)) * step)
                bidder["initial"] = written(units, scenario["currency"])
            if draw(st.booleans()):
                units = max(1, limit + better * draw(st.integers(0, 25)) * step + draw(st.sampled_from([0, 0, 1, -1])))
                bidder["proxy_limit"] = written(units, scenario["currency"])
    doings = ["bid"] * 12 + ["accept", "confirm", "withdraw"]
    scenario["events"] = draw(events(scenario, limit, step, instants, doings, 9))
    return scenario


@st.composite
def sealed(draw: st.DrawFn) -> Scenario:
    scenario, limit = draw(frames(draw(st.sampled_from(["sealed_first_price", "sealed_second_price"]))))
    scenario["single_bid_price"] = draw(st.sampled_from(["own", "limit"]))
    if draw(st.integers(0, 4)) == 0:
        scenario["start_price"], scenario["single_bid_price"] = None, "own"
    scenario["bidders"] = draw(bidders(scenario, limit))
    scenario["events"] = draw(events(scenario, limit, 1, [Fraction(-1), Fraction(0), Fraction(60)], ["bid"], 1))
    return scenario


@st.composite
def clocked(draw: st.DrawFn, kind: str) -> Scenario:
    scenario, limit = draw(frames(kind))
    ticks = draw(st.integers(1, 5))
    tick = draw(st.integers(1, max(1, limit // 6)))
    rest = draw(st.sampled_from([0, 0, 0, 1, tick // 2]))
    if kind == "japanese":
        rises = scenario["direction"] == "up"
    else:
        rises = draw(st.booleans())
    if not rises and limit - tick * ticks - rest < 1:
        limit = tick * ticks + rest + 1
        scenario["start_price"] = written(limit, scenario["currency"])
    last = limit + tick * ticks + rest if rises else limit - tick * ticks - rest
    interval = draw(st.sampled_from([10, 30, 2.5]))
    scenario["clock"] = {
        "tick": written(tick, scenario["currency"]),
        "interval_s": interval,
        "last_price": written(last, scenario["currency"]),
    }
    scenario["bidders"] = draw(bidders(scenario, limit))
    borders = [Fraction(str(interval)) * count for count in range(ticks + 3)]
    instants = [Fraction(-1), *borders, *(border + Fraction(1) for border in borders)]
    if kind == "dutch":
        doings = ["accept"] * 6 + ["bid", "confirm", "withdraw"]
        scenario["events"] = draw(events(scenario, limit, tick, instants, doings, 4))
    else:
        scenario["events"] = draw(confirmations(scenario, limit, tick, instants, borders))
    return scenario


@st.composite
def confirmations(
    draw: st.DrawFn, scenario: Scenario, limit: int, tick: int, instants: list[Fraction], borders: list[Fraction]
) -> list[Scenario]:
    """Most bidders confirm most ticks; beside that, anything at any time."""
    found = draw(events(scenario, limit, tick, instants, ["confirm", "withdraw", "bid", "accept"], 3))
    for bidder in scenario["bidders"]:
        stays = draw(st.integers(0, len(borders)))
        for border in borders[:stays]:
            if draw(st.integers(0, 9)) > 0:
                at = border + draw(st.sampled_from([Fraction(0), Fraction(0), Fraction(1), MOMENT, -MOMENT]))
                found.append({"at_s": number(at), "bidder": bidder["id"], "do": "confirm"})
    return found


@st.composite
def turn_based(draw: st.DrawFn) -> Scenario:
    scenario, limit = draw(frames("turn_based"))
    limited = draw(st.integers(0, 4)) > 0
    scenario["step"], step = draw(steps(scenario["currency"], limit, percent=limited))
    if not limited:
        scenario["start_price"] = None
    scenario["reference"] = "own"
    scenario["bidders"] = draw(bidders(scenario, limit))
    speakers = len(scenario["bidders"])
    instants, now = [Fraction(-1), Fraction(0)], 0
    for pause in (300, 120, 120):
        now += pause
        for _ in range(speakers):
            instants += [Fraction(now), Fraction(now + 50), Fraction(now + 50), Fraction(now + 60)]
            now += 120
        instants.append(Fraction(now))
    instants.append(Fraction(now + 120))
    doings = ["bid"] * 8 + ["withdraw"] * 2 + ["accept"]
    scenario["events"] = draw(events(scenario, limit, step, instants, doings, 10))
    return scenario
