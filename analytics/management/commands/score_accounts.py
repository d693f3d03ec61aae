"""Score the accounts of a purchase file: who is leaving, and what each should buy. Needs no database."""

from __future__ import annotations

import json
from time import perf_counter, process_time
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from analytics.features import insights
from analytics.features.gathering import Report, gather
from analytics.management.purchase_files import (
    a_date,
    a_seed,
    add_options,
    days_ahead,
    emptied,
    merged,
    peak_megabytes,
    refused_plainly,
    told,
)
from analytics.rules.history import History
from analytics.rules.protocol import HORIZON

REJECTS, RUN = "rejects.csv", "run.json"


class Command(BaseCommand):
    help = (
        "Scores the accounts of a purchase file at a date, of which only what happened before it is used. Writes "
        "account_churn.csv, category_defection.csv, growth_items.csv, growth_categories.csv, rejects.csv and run.json. "
        "Exit status: 0, or 2 for a file that cannot be read at all."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        add_options(parser)
        parser.add_argument("--cutoff", type=a_date, required=True, metavar="YYYY-MM-DD", help="the first day foretold")
        parser.add_argument("--horizon", type=days_ahead, default=HORIZON, metavar="DAYS", help="foretold (default 90)")
        parser.add_argument("--seed", type=a_seed, default=0, help="for what is drawn at random (default 0)")

    def handle(self, *args: Any, **options: Any) -> None:
        begin = perf_counter()
        hints, renamed = told(options), merged(options["merged"])
        with refused_plainly():
            out = emptied(options, (*insights.OUTPUTS, REJECTS, RUN))
            with (out / REJECTS).open("w", encoding="utf-8", newline="") as rejects:
                history, report = gather(
                    options["transactions"],
                    told=hints,
                    before=options["cutoff"],
                    categories=options["categories"],
                    merged=renamed,
                    rejects=rejects,
                )
            read = perf_counter()
            cutoff = history.day_before(options["cutoff"])
            found = insights.insights(history, cutoff, horizon=options["horizon"], seed=options["seed"])
            scored = perf_counter()
            rows = insights.write(found, history, out)
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
                "files_left_out": insights.left_out(history, rows),
                "accounts_without_a_score": insights.unscored(history, found.recovery.accounts, cutoff),
                "trained_on": insights.learnt_from(found, history),
                "seconds": {
                    "reading": round(read - begin, 2),
                    "learning_and_scoring": round(scored - read, 2),
                    "writing": round(perf_counter() - scored, 2),
                    "all": round(perf_counter() - begin, 2),
                    "of_processor": round(process_time(), 2),
                },
                "peak_memory_mb": peak_megabytes(),
            }
            (out / RUN).write_text(json.dumps(run, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        self._tell(run, history, report)

    def _tell(self, run: dict[str, Any], history: History, report: Report) -> None:
        say = self.stdout.write
        later = report.after_cutoff
        say(f"{report.rows_read} rows read, {run['rows_rejected']} not used, {later} on or after the cut-off")
        for reason, count in run["rejected"].items():
            say(f"  not used: {count} {reason.replace('_', ' ')}")
        for warning, count in run["warnings"].items():
            say(f"  note: {warning.replace('_', ' ')}" + (f" ({count})" if count > 1 else ""))
        for name, rows in run["files"].items():
            say(f"{name}: {rows} rows")
        for name, why in run["files_left_out"].items():
            say(f"{name}: left out, the file has {why.replace('_', ' ')}")
        for why, count in run["accounts_without_a_score"].items():
            say(f"  no score of leaving for {count} accounts: {why.replace('_', ' ')}")
        for name, learnt in run["trained_on"].items():
            if learnt["fallback"]:
                say(f"  {name.replace('_', ' ')}: too little to learn from, {learnt['fallback'].replace('_', ' ')}")
        say(f"{run['seconds']['all']} s, {run['peak_memory_mb']} MB")
