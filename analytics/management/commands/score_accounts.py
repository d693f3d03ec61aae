"""Score the accounts of a purchase file: who is leaving, and what each should buy. Needs no database."""

from __future__ import annotations

import json
from datetime import date
from time import perf_counter, process_time
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from analytics.features import insights
from analytics.features.gathering import Report, gather
from analytics.features.remark_words import unscored
from analytics.management import purchase_files
from analytics.rules import protocol
from analytics.rules.history import History
from analytics.rules.remarks import Odd

REJECTS, RUN = "rejects.csv", "run.json"


class Command(BaseCommand):
    help = (
        "Scores the accounts of a purchase file at a date, of which only what happened before it is used. Writes "
        "account_churn.csv, category_defection.csv, growth_items.csv, growth_categories.csv, rejects.csv and run.json. "
        "Exit status: 0, or 2 for a file that cannot be read at all."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        purchase_files.add_options(parser)
        parser.add_argument(
            "--cutoff", type=purchase_files.a_date, required=True, metavar="YYYY-MM-DD", help="the first day foretold"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        begin = perf_counter()
        hints, renamed = purchase_files.told(options), purchase_files.merged(options["merged"])
        with purchase_files.refused_plainly():
            out = purchase_files.emptied(options, (*insights.OUTPUTS, REJECTS, RUN))
            with (out / REJECTS).open("w", encoding="utf-8", newline="") as rejects:
                history, report = gather(
                    options["transactions"],
                    told=hints,
                    before=options["cutoff"],
                    categories=options["categories"],
                    merged=renamed,
                    rejects=rejects,
                    horizon=options["horizon"],
                )
            read = perf_counter()
            over = any(remark.code is Odd.OVER for remark in report.remarks)
            known, cutoff = _known(history, report, options["cutoff"], over=over)
            found = insights.insights(known, cutoff, horizon=options["horizon"], seed=options["seed"])
            scored = perf_counter()
            rows = insights.write(found, known, out)
            run = {
                "cutoff": str(options["cutoff"]),
                "horizon": options["horizon"],
                "seed": options["seed"],
                "first_day": str(history.first_day) if len(history) else None,
                "last_day": str(history.date_of(history.last_day)) if len(history) else None,
                **report.as_json(),
                "accounts": len(history.accounts),
                "categories": len(history.categories),
                "items": len(history.items),
                "files": rows,
                "files_left_out": {
                    name: "history_ends_too_early" if over else why
                    for name, why in insights.left_out(known, rows).items()
                },
                "accounts_without_a_score": {"history_ends_too_early": len(history.accounts)}
                if over
                else protocol.unscored(history, found.recovery.accounts.account, cutoff)
                | ({"buys_in_another_currency": report.moved} if report.moved else {}),
                "trained_on": {} if over else insights.learnt_from(found, history),
                "seconds": {
                    "reading": round(read - begin, 2),
                    "learning_and_scoring": round(scored - read, 2),
                    "writing": round(perf_counter() - scored, 2),
                    "all": round(perf_counter() - begin, 2),
                    "of_processor": round(process_time(), 2),
                },
                "peak_memory_mb": purchase_files.peak_megabytes(),
            }
            (out / RUN).write_text(json.dumps(run, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        self._tell(run, report)

    def _tell(self, run: dict[str, Any], report: Report) -> None:
        say = self.stdout.write
        purchase_files.tell(report, say)
        for name, rows in run["files"].items():
            say(f"{name}: {rows:,} {'row' if rows == 1 else 'rows'}")
        for name, why in run["files_left_out"].items():
            say(f"{name}: left out: {why.replace('_', ' ')}")
        for sentence in unscored(run["accounts_without_a_score"]):
            say(f"  no score of leaving: {sentence}")
        for name, learnt in run["trained_on"].items():
            if learnt["fallback"]:
                say(f"  {name.replace('_', ' ')}: too little to learn from, {learnt['fallback'].replace('_', ' ')}")
        say(f"{run['seconds']['all']} s, {run['peak_memory_mb']} MB")


def _known(history: History, report: Report, before: date, *, over: bool) -> tuple[History, int]:
    """What is scored, and the last day known. A file that ends early is scored as of its end; nothing of one that ended
    so long ago that what could be foretold is `over`."""
    if over:
        return history.until(-1), history.day_before(before)
    return history, history.day_of(report.as_of) if report.as_of else history.day_before(before)
