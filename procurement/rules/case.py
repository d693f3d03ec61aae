"""The evaluation of sealed bids on paper: a case in JSON's own types in, scores, ranking and flags out.

The format is described in docs/procedures/simulator.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from procurement.rules.auction.scenario_fields import Node, ScenarioRefused
from procurement.rules.evaluation import AbnormallyLow, PricedBid, abnormally_low
from procurement.rules.ranking import Direction
from procurement.rules.scoring import Criterion, CriterionKind, Points, Scored, ScoredBid, score, shown, ties

__all__ = ["Case", "ScenarioRefused", "evaluate", "parse"]


@dataclass(frozen=True, slots=True)
class Case:
    """A parsed case. `limit` is the worst amount admitted; `initial` the amounts before any rebidding, by bidder."""

    direction: Direction
    criteria: tuple[Criterion, ...]
    bids: tuple[ScoredBid, ...]
    initial: Mapping[str, Decimal]
    limit: Decimal | None
    thresholds: AbnormallyLow


def parse(case: object, minor_unit: Mapping[str, Decimal]) -> Case:
    """The case, checked. Raises ScenarioRefused, which names the field."""
    root = Node(case)
    root.members(
        *("direction", "currency", "limit_price", "criteria", "committee", "bids", "scores", "abnormally_low"),
    )
    unit = minor_unit.get(root.at("currency").text())
    if unit is None:
        raise root.at("currency").refuse("is not an ISO 4217 currency")
    criteria = _criteria(root.at("criteria"))
    committee = [] if root.at("committee").missing else [node.text() for node in root.at("committee").items()]
    if len(set(committee)) < len(committee):
        raise root.at("committee").refuse("has a member twice")
    limit, direction = root.at("limit_price"), root.at("direction")
    nodes = _named(root.at("bids"), "id")
    given = _scores(root.at("scores"), criteria, committee, list(nodes))
    return Case(
        direction=Direction.DOWN if direction.missing else direction.choice(Direction),
        criteria=criteria,
        bids=tuple(_bid(bidder, node, criteria, given, unit) for bidder, node in nodes.items()),
        initial={bidder: _initial(node, unit) for bidder, node in nodes.items()},
        limit=None if limit.missing else limit.price(unit),
        thresholds=_thresholds(root.at("abnormally_low")),
    )


def evaluate(case: Case) -> dict[str, object]:
    """Who stands where and why, in the types of JSON: points and totals to two decimals, half up."""
    admitted = [bid for bid in case.bids if _meets(case, bid)]
    scored = score(case.criteria, admitted, case.direction)
    ranked = [one for one in scored if not one.rejected]
    return {
        "scores": [_told(one) for one in scored],
        "ranking": [
            {"rank": rank, "bidder": one.bid.bidder, "total": shown(one.total), "amount": f"{one.bid.amount:f}"}
            for rank, one in enumerate(ranked, start=1)
        ],
        "ties": [
            {"bidders": list(group), "arithmetic": "equal totals: the bid received first stands before the others"}
            for group in ties(scored)
        ],
        "rejected": [*_beyond_limit(case), *_below_threshold(case, scored)],
        "abnormally_low": _flags(case, ranked),
        "winner": ranked[0].bid.bidder if ranked else None,
    }


def _criteria(node: Node) -> tuple[Criterion, ...]:
    found = tuple(_criterion(name, one) for name, one in _named(node, "id").items())
    if not found:
        raise node.refuse("has one criterion at least")
    if sum(Fraction(criterion.weight) for criterion in found) != 100:
        raise node.refuse("have weights that sum to 100")
    return found


def _criterion(name: str, node: Node) -> Criterion:
    node.members("id", "kind", "weight", "better", "scale", "threshold")
    kind, weight = node.at("kind").choice(CriterionKind), node.at("weight")
    if weight.decimal() <= 0:
        raise weight.refuse("is above zero")
    low, high = _scale(node.at("scale"), kind)
    threshold, better = node.at("threshold"), node.at("better")
    for part, needed in ((threshold, CriterionKind.SCORED), (better, CriterionKind.VALUE)):
        if not part.missing and kind is not needed:
            raise part.refuse(f"is of a {needed} criterion")
    if not threshold.missing and not low <= threshold.decimal() <= high:
        raise threshold.refuse("lies on the scale")
    return Criterion(
        name=name,
        kind=kind,
        weight=weight.decimal(),
        direction=Direction.UP if better.missing else better.choice(Direction),
        minimum=low,
        maximum=high,
        threshold=None if threshold.missing else threshold.decimal(),
    )


def _scale(node: Node, kind: CriterionKind) -> tuple[Decimal, Decimal]:
    if node.missing:
        return Decimal(0), Decimal(100)
    if kind is not CriterionKind.SCORED:
        raise node.refuse("is of a scored criterion")
    node.members("minimum", "maximum")
    low, high = node.at("minimum").decimal(), node.at("maximum").decimal()
    if low >= high:
        raise node.at("maximum").refuse("is above the minimum")
    return low, high


def _named(node: Node, name: str) -> dict[str, Node]:
    found: dict[str, Node] = {}
    for one in node.items():
        if not isinstance(one.value, dict):
            raise one.refuse("is an object")
        key = one.at(name).text()
        if key in found:
            raise one.at(name).refuse(f"“{key}” is there twice")
        found[key] = one
    return found


def _scores(
    node: Node, criteria: Sequence[Criterion], committee: Sequence[str], bidders: Sequence[str]
) -> dict[tuple[str, str], dict[str, Decimal]]:
    """What each member gave, by bidder and criterion: every member, for every scored criterion of every bid."""
    scored = {criterion.name: criterion for criterion in criteria if criterion.kind is CriterionKind.SCORED}
    given: dict[tuple[str, str], dict[str, Decimal]] = {}
    for one in () if node.missing else node.items():
        one.members("member", "bid", "criterion", "score")
        member = _one_of(one.at("member"), committee)
        key = _one_of(one.at("bid"), bidders), _one_of(one.at("criterion"), list(scored))
        number, criterion = one.at("score").decimal(), scored[key[1]]
        if not criterion.minimum <= number <= criterion.maximum:
            raise one.at("score").refuse(f"lies between {criterion.minimum:f} and {criterion.maximum:f}")
        if member in given.setdefault(key, {}):
            raise one.refuse(f"“{member}” has scored this before")
        given[key][member] = number
    for bidder in bidders:
        for name in scored:
            missing = [member for member in committee if member not in given.get((bidder, name), {})]
            if missing or not committee:
                raise node.refuse(f"of “{bidder}” for “{name}” are missing: {', '.join(missing) or 'a committee'}")
    return given


def _one_of(node: Node, known: Sequence[str]) -> str:
    if node.text() not in known:
        raise node.refuse(f"is one of: {', '.join(known)}")
    return node.text()


def _bid(
    bidder: str,
    node: Node,
    criteria: Sequence[Criterion],
    given: Mapping[tuple[str, str], Mapping[str, Decimal]],
    unit: Decimal,
) -> ScoredBid:
    node.members("id", "amount", "initial_amount", "received_at_s", "values")
    values = node.at("values")
    wanted = [criterion.name for criterion in criteria if criterion.kind is CriterionKind.VALUE]
    if wanted or not values.missing:
        values.needed("what the bid offers by criterion").members(*wanted)
    return ScoredBid(
        bidder=bidder,
        amount=node.at("amount").price(unit),
        received_at=node.at("received_at_s").instant(),
        values={name: values.at(name).not_negative() for name in wanted},
        given={name: scores for (of, name), scores in given.items() if of == bidder},
    )


def _initial(node: Node, unit: Decimal) -> Decimal:
    initial = node.at("initial_amount")
    return (node.at("amount") if initial.missing else initial).price(unit)


def _thresholds(node: Node) -> AbnormallyLow:
    usual = AbnormallyLow()
    if node.missing:
        return usual
    node.members("below_mean", "below_next")
    shares = []
    for part, default in ((node.at("below_mean"), usual.below_mean), (node.at("below_next"), usual.below_next)):
        share = default if part.missing else part.decimal()
        if not 0 < share < 100:
            raise part.refuse("is a percentage above 0 and below 100")
        shares.append(share)
    return AbnormallyLow(*shares)


def _meets(case: Case, bid: ScoredBid) -> bool:
    return case.limit is None or not case.direction.better(Fraction(case.limit), Fraction(bid.amount))


def _told(one: Scored) -> dict[str, object]:
    return {
        "bidder": one.bid.bidder,
        "points": [_told_points(points) for points in one.points],
        "total": shown(one.total),
        "arithmetic": one.arithmetic,
    }


def _told_points(points: Points) -> dict[str, object]:
    return {
        "criterion": points.criterion,
        "mean": None if points.mean is None else shown(points.mean),
        "points": shown(points.points),
        "weighted": shown(points.weighted),
        "arithmetic": points.arithmetic,
    }


def _beyond_limit(case: Case) -> list[dict[str, str]]:
    sign = ">" if case.direction is Direction.DOWN else "<"
    return [
        {"bidder": bid.bidder, "reason": "limit_not_met", "arithmetic": f"{bid.amount:f} {sign} {case.limit:f}"}
        for bid in case.bids
        if not _meets(case, bid)
    ]


def _below_threshold(case: Case, scored: Sequence[Scored]) -> list[dict[str, str]]:
    thresholds = {criterion.name: criterion.threshold for criterion in case.criteria}
    return [
        {
            "bidder": one.bid.bidder,
            "reason": "threshold_not_met",
            "arithmetic": f"{points.criterion}: {shown(points.mean or Fraction(0))} < {thresholds[points.criterion]:f}",
        }
        for one in scored
        for points in one.points
        if points.criterion in one.rejected
    ]


def _flags(case: Case, ranked: Sequence[Scored]) -> list[dict[str, str]]:
    """Only a purchase has abnormally low bids."""
    if case.direction is Direction.UP:
        return []
    bids = [
        PricedBid(one.bid.bidder, {}, one.bid.amount, one.bid.received_at, case.initial[one.bid.bidder])
        for one in ranked
    ]
    found = abnormally_low(bids, case.thresholds)
    return [
        {"bidder": bid.bidder, "reason": reason, "arithmetic": _why(case, bids, place, reason)}
        for place, bid in enumerate(bids)
        for reason in found.get(bid.bidder, ())
    ]


def _why(case: Case, bids: Sequence[PricedBid], place: int, reason: str) -> str:
    total = bids[place].total
    if reason == "below_next":
        following, share = Fraction(bids[place + 1].total), case.thresholds.below_next
        return f"{total:f} ≤ {shown(following)} × (100 − {share:f})% = {shown(_less(following, share))}"
    others, share = [bid.initial_total for bid in bids if bid is not bids[place]], case.thresholds.below_mean
    mean = sum(map(Fraction, others), Fraction(0)) / len(others)
    told = f"({' + '.join(f'{other:f}' for other in others)}) ÷ {len(others)} = {shown(mean)}"
    return f"{total:f} ≤ {told}; {shown(mean)} × (100 − {share:f})% = {shown(_less(mean, share))}"


def _less(whole: Fraction, percentage: Decimal) -> Fraction:
    return whole * (100 - Fraction(percentage)) / 100
