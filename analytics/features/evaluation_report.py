"""An evaluation as one HTML page that needs nothing beside it, and as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from analytics.features import plots
from analytics.features.evaluation import (
    CARDS,
    CONTROL,
    LEVELS,
    ORACLE,
    PRODUCT,
    Evaluation,
    capture_steps,
    gain_shares,
)
from analytics.features.plots import Line
from analytics.features.remark_words import sentences
from analytics.rules.history import History

_CHURN, _DEFECTION, _ITEMS, _CATEGORIES = LEVELS
_COUNTS_OF_MONEY = "capture"
_CHANCES = (
    "Chances are judged on the first ten of each list, and on what would be cards: of an account's first five the one "
    "with the most money, and of those the first 500 by money and by certainty. A card's error holds chance of its "
    "own: with 500 cards .04 of it is to be expected. Money is what the lists expect over what came of them."
)
TOO_LITTLE = (
    "There is too little to measure: no day has enough of the history before it, and a horizon without holes after it."
)
_EXPLAINED = {
    _CHURN: (
        "Accounts with three order days or more, known for 60 days, silent for 90 at most. Lost: no order within the "
        "horizon."
    ),
    _DEFECTION: (
        "The same of account and category, where the usual gap is 45 days at most. Lost: no order in the category "
        "within the horizon."
    ),
    _ITEMS: "Items never bought before. Right: first bought within the horizon. " + _CHANCES,
    _CATEGORIES: "Categories never bought from before. Right: first bought from within the horizon. " + _CHANCES,
    _COUNTS_OF_MONEY: (
        "Of the money expected of categories that were then lost, the part that the first 500 of a list hold. The "
        "control ranks by expected spend and knows nothing of leaving."
    ),
}
_STYLE = """
:root { color-scheme: light dark; --text: #1b1f24; --soft: #5b6470; --rule: #d5dae0; --back: #fff; --mark: #eef4fb;
  --product: #0b62c4; --control: #b45309; --oracle: #4d7c0f; --other0: #7c3aed; --other1: #0f766e; --other2: #be185d; }
@media (prefers-color-scheme: dark) { :root { --text: #e6e9ed; --soft: #9aa4b0; --rule: #3a424c; --back: #15181c;
  --mark: #1d2836; --product: #6cb2ff; --control: #f4a259; --oracle: #a3d65c; --other0: #b79bff; --other1: #5cd0c3;
  --other2: #ff8cc0; } }
@media print { :root { --text: #000; --soft: #333; --rule: #999; --back: #fff; --mark: #f2f2f2; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--text); background: var(--back); margin: 0 auto;
  max-width: 70rem; padding: 1.5rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.25rem; margin-block-start: 2.5rem; } p, li, caption { max-width: 46rem; }
table { border-collapse: collapse; margin-block: 1rem; font-variant-numeric: tabular-nums; }
caption { text-align: start; color: var(--soft); padding-block-end: .4rem; }
th, td { padding: .3rem .8rem; border-block-end: 1px solid var(--rule); text-align: end; }
th:first-child { text-align: start; } tr.product { background: var(--mark); font-weight: 600; }
.wide { overflow-x: auto; } .figures { display: flex; flex-wrap: wrap; gap: 1.5rem; }
figure { margin: 0; flex: 1 1 26rem; max-width: 36rem; break-inside: avoid; } figcaption { font-weight: 600; }
figure svg:not(.swatch) { width: 100%; height: auto; } figure text { fill: var(--soft); font-size: 12px; }
figure ul { list-style: none; padding: 0; margin: .3rem 0; display: flex; flex-wrap: wrap; gap: .2rem 1rem;
  font-size: .85rem; }
.swatch { width: 24px; height: 8px; margin-inline-end: .4rem; vertical-align: middle; }
.grid { stroke: var(--rule); stroke-width: 1; } .line { fill: none; stroke-width: 2; stroke: var(--soft); }
.product.line { stroke: var(--product); stroke-width: 3; }
.control.line { stroke: var(--control); stroke-dasharray: 7 4; }
.oracle.line { stroke: var(--oracle); stroke-dasharray: 2 3; } .ideal.line { stroke-dasharray: 4 4; stroke-width: 1; }
.other0.line { stroke: var(--other0); } .other1.line { stroke: var(--other1); } .other2.line { stroke: var(--other2); }
.dot { fill: var(--product); } footer { color: var(--soft); margin-block-start: 2rem; font-size: .9rem; }
"""


def as_json(evaluation: Evaluation, history: History, run: Mapping[str, Any]) -> str:
    """Means and single cut-offs; what cannot be had is null."""
    levels = (*LEVELS, _COUNTS_OF_MONEY)
    told = {
        "run": dict(run),
        "horizon": evaluation.horizon,
        "mean": {
            level: {name: _plain(evaluation.mean(level, name)) for name in evaluation.names(level)} for level in levels
        },
        "calibration": {
            level: [
                {"count": b.count, "foretold": round(b.foretold, 4), "happened": round(b.happened, 4)} for b in bins
            ]
            for level, bins in evaluation.calibration.items()
        },
        "cutoffs": [
            {
                "day": cutoff.day,
                "date": str(history.date_of(cutoff.day + 1)),
                "cases": {level: len(lost) for level, (_p, lost) in cutoff.foretold.items()},
                "lost": {level: int(lost.sum()) for level, (_p, lost) in cutoff.foretold.items()},
                "fallbacks": dict(cutoff.fallbacks),
                "figures": {
                    level: {name: _plain(figures) for name, figures in rows.items()}
                    for level, rows in cutoff.figures.items()
                },
            }
            for cutoff in evaluation.cutoffs
        ],
    }
    return json.dumps(told, indent=2, ensure_ascii=False) + "\n"


def as_html(evaluation: Evaluation, history: History, run: Mapping[str, Any]) -> str:
    parts = [_opening(evaluation, history, run)]
    for level in (*LEVELS, _COUNTS_OF_MONEY):
        if names := evaluation.names(level):
            title = "money caught" if level == _COUNTS_OF_MONEY else level
            parts.append(f"<h2>{escape(title.capitalize())}</h2><p>{escape(_EXPLAINED[level])}</p>")
            parts.append(_means(evaluation, level, names))
            parts.append(f'<div class="figures">{_curves(evaluation, level)}</div>')
            parts.append(_by_cutoff(evaluation, history, level))
    if not evaluation.cutoffs:
        parts.append(f"<p>{TOO_LITTLE}</p>")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>Account insights, evaluated</title><style>{_STYLE}</style></head><body>{''.join(parts)}"
        "<footer>Nothing after a cut-off was seen when it was scored, and all that is tuned was tuned on windows that "
        "had closed by then.</footer></body></html>\n"
    )


def as_markdown(evaluation: Evaluation, history: History) -> str:
    """The tables of the page, to be put into a document."""
    parts = []
    for level in (*LEVELS, _COUNTS_OF_MONEY):
        if names := evaluation.names(level):
            means = {name: evaluation.mean(level, name) for name in names}
            metrics = list(dict.fromkeys(metric for row in means.values() for metric in row))
            rows = [(name, [means[name].get(metric) for metric in metrics]) for name in names]
            parts.append(_markdown([level if level != _COUNTS_OF_MONEY else "money caught", *metrics], rows))
            parts.append(_markdown(*_of_product(evaluation, history, level)))
    for name, bins in evaluation.calibration.items():
        rows = [(str(n), [b.count, b.foretold, b.happened]) for n, b in enumerate(bins, 1)]
        parts.append(_markdown([f"{name}, bin", "cases", "chance given", f"share {_came(name)}"], rows))
    return "\n".join(parts)


def _markdown(head: Sequence[str], rows: Sequence[tuple[str, Sequence[float | int | None]]]) -> str:
    lines = [list(head), ["---", *("---:" for _ in head[1:])]]
    lines += [[name, *(_shown(value) for value in values)] for name, values in rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _opening(evaluation: Evaluation, history: History, run: Mapping[str, Any]) -> str:
    dates = ", ".join(f"{history.date_of(c.day + 1)} (day {c.day})" for c in evaluation.cutoffs) or "none"
    span = f"{run['first_day']} to {run['last_day']}"
    size = (
        f"{run['rows_used']:,} of {run['rows_read']:,} rows used, {len(history.accounts):,} accounts, "
        f"{len(history.categories):,} categories, {len(history.items):,} items; {span}."
    )
    weak = {f"{name}: {code}" for cutoff in evaluation.cutoffs for name, code in cutoff.fallbacks.items()}
    notes = [*(f"{name.replace('_', ' ')} ({count})" for name, count in run["warnings"].items())]
    notes += sentences(run["remarks"])
    notes += [f"{count} rows not used: {reason.replace('_', ' ')}" for reason, count in run["rejected"].items()]
    notes += [f"fallback in force, {text.replace('_', ' ')}" for text in sorted(weak)]
    listed = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return (
        f"<h1>Account insights, evaluated</h1><p>{escape(str(run['file']))}: {escape(size)}</p>"
        f"<p>First days foretold: {escape(dates)}. Horizon: {evaluation.horizon} days. Figures are means over these "
        f"cut-offs.</p>{f'<ul>{listed}</ul>' if listed else ''}"
    )


def _means(evaluation: Evaluation, level: str, names: Sequence[str]) -> str:
    means = {name: evaluation.mean(level, name) for name in names}
    metrics = list(dict.fromkeys(metric for row in means.values() for metric in row))
    rows = [(name, [means[name].get(metric) for metric in metrics]) for name in names]
    return _table("Mean over the cut-offs", ["", *metrics], rows)


def _by_cutoff(evaluation: Evaluation, history: History, level: str) -> str:
    return _table("The product at each cut-off", *_of_product(evaluation, history, level))


def _of_product(
    evaluation: Evaluation, history: History, level: str
) -> tuple[list[str], list[tuple[str, list[float | int | None]]]]:
    """The product alone, at each cut-off: means hide a bad month."""
    ours = PRODUCT if level != _COUNTS_OF_MONEY else "p × the money that the product expects"
    found = [(c, c.figures[level][ours]) for c in evaluation.cutoffs if level in c.figures]
    metrics = list(found[0][1]) if found else []
    rows: list[tuple[str, list[float | int | None]]] = []
    for cutoff, figures in found:
        lost = cutoff.foretold[level][1] if level in cutoff.foretold else None
        counts = [len(lost), int(lost.sum())] if lost is not None else []
        rows.append((str(history.date_of(cutoff.day + 1)), [*counts, *(figures[metric] for metric in metrics)]))
    counted = ["cases", "lost"] if level in (_CHURN, _DEFECTION) else []
    return ["first day foretold", *counted, *metrics], rows


def _curves(evaluation: Evaluation, level: str) -> str:
    if level in (_CHURN, _DEFECTION):
        return _gains(evaluation, level) + _calibration(evaluation, level)
    if level in CARDS:
        judged = [name for name in (level, CARDS[level]) if name in evaluation.calibration]
        return "".join(_calibration(evaluation, name) for name in judged)
    if level == _COUNTS_OF_MONEY:
        return _captures(evaluation)
    return ""


def _gains(evaluation: Evaluation, level: str) -> str:
    rows = [cutoff.gains[level] for cutoff in evaluation.cutoffs if level in cutoff.gains]
    names = [name for name in evaluation.names(level) if all(name in row for row in rows)]
    shares = gain_shares()
    drawn = [Line("by chance", [0, 1], [0, 1], "ideal")]
    others = [name for name in names if name != PRODUCT]
    for name in names:
        style = "product" if name == PRODUCT else f"other{others.index(name) % 3}"
        drawn.append(Line(name, shares, np.mean([row[name] for row in rows], axis=0), style))
    title = f"Lift: lost ones found in the first part of the list: {level}"
    return plots.lines(title, "part of the list", "lost ones found", drawn, percent_x=True)


def _came(name: str) -> str:
    return "lost" if name in (_CHURN, _DEFECTION) else "bought"


def _calibration(evaluation: Evaluation, level: str) -> str:
    bins = evaluation.calibration.get(level, ())
    drawn = [
        Line("as foretold", [0, 1], [0, 1], "ideal"),
        Line(PRODUCT, [b.foretold for b in bins], [b.happened for b in bins], "product", dots=True),
    ]
    title = f"Of those given a chance, so many were {_came(level)}: {level}"
    figure = plots.lines(title, "chance given", f"share {_came(level)}", drawn, percent_x=True)
    table = _table(
        "Ten bins of equal counts, all cut-offs together",
        ["bin", "cases", "chance given", f"share {_came(level)}"],
        [(str(n), [b.count, b.foretold, b.happened]) for n, b in enumerate(bins, 1)],
    )
    return figure + table


def _captures(evaluation: Evaluation) -> str:
    rows = [cutoff.captures for cutoff in evaluation.cutoffs if cutoff.captures]
    styles = {CONTROL: "control", ORACLE: "oracle", "revenue drop": "other0", "p × expected spend": "other1"}
    told = [row for row in rows if not any(np.isnan(caught).any() for caught in row.values())]  # somebody was lost
    drawn = [
        Line(name, capture_steps(), np.mean([row[name] for row in told], axis=0), styles.get(name, "product"))
        for name in (told[0] if told else {})
    ]
    title = "Money of categories then lost that the first k of a list hold"
    return plots.lines(title, "k", "of the money expected of those lost", drawn, percent_x=False)


def _table(caption: str, head: Sequence[str], rows: Sequence[tuple[str, Sequence[float | int | None]]]) -> str:
    cells = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    body = "".join(
        f'<tr class="{"product" if PRODUCT in name else ""}"><th scope="row">{escape(name)}</th>'
        f"{''.join(f'<td>{_shown(value)}</td>' for value in values)}</tr>"
        for name, values in rows
    )
    return (
        f'<div class="wide"><table><caption>{escape(caption)}</caption><thead><tr>{cells}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _shown(value: float | int | None) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}"


def _plain(figures: Mapping[str, float]) -> dict[str, float | None]:
    return {name: None if math.isnan(value) else round(value, 5) for name, value in figures.items()}
