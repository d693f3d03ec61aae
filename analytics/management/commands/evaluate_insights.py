"""Run the protocol on a purchase file: how good the scores would have been at past cut-offs, beside the baselines."""

from __future__ import annotations

from argparse import ArgumentTypeError
from datetime import date
from time import perf_counter
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from analytics.features import evaluation_report
from analytics.features.evaluation import LEVELS, PRODUCT, default_cutoffs, evaluate, followed_by_holes
from analytics.features.gathering import gather
from analytics.management import purchase_files
from analytics.rules.history import History

REPORT, FIGURES, TABLES, REJECTS = "evaluation.html", "evaluation.json", "evaluation.md", "rejects.csv"


class Command(BaseCommand):
    help = (
        "Measures the scores at past cut-offs of a purchase file, each learnt from what came before it alone, beside "
        "simple baselines. Writes evaluation.html, its tables as evaluation.md, evaluation.json and rejects.csv."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        purchase_files.add_options(parser)
        parser.add_argument(
            "--cutoffs",
            type=_cutoffs,
            metavar="192,222,… or 2011-06-12,…",
            help="last known days counted from the first one, or dates of the first days foretold; "
            "by default four a month apart, the last one a horizon before the data's end",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        begin = perf_counter()
        hints, renamed = purchase_files.told(options), purchase_files.merged(options["merged"])
        with purchase_files.refused_plainly():
            out = purchase_files.emptied(options, (REPORT, FIGURES, TABLES, REJECTS))
            with (out / REJECTS).open("w", encoding="utf-8", newline="") as rejects:
                history, report = gather(
                    options["transactions"],
                    told=hints,
                    categories=options["categories"],
                    merged=renamed,
                    rejects=rejects,
                    horizon=options["horizon"],
                )
            purchase_files.tell(report, self.stdout.write)
            horizon = options["horizon"]
            cutoffs = default_cutoffs(history, horizon=horizon)
            if options["cutoffs"]:
                cutoffs = _in_days(options["cutoffs"], history)
                for day in (day for day in cutoffs if day + horizon > history.last_day):
                    self.stdout.write(
                        f"  note: the file ends {history.date_of(history.last_day)}, before the {horizon} days from "
                        f"{history.date_of(day + 1)} on have passed: who would have come later counts as lost"
                    )
                for day in followed_by_holes(history, cutoffs, horizon):
                    self.stdout.write(
                        f"  note: nobody bought anything in some of the weeks after {history.date_of(day + 1)}: who "
                        "would have counts as lost"
                    )
            found = evaluate(history, cutoffs, horizon=horizon, seed=options["seed"], say=self.stdout.write)
            run = {
                "file": options["transactions"].name,
                "first_day": str(history.first_day) if len(history) else None,
                "last_day": str(history.date_of(history.last_day)) if len(history) else None,
                **report.as_json(),
                "seconds": round(perf_counter() - begin, 1),
                "peak_memory_mb": purchase_files.peak_megabytes(),
            }
            (out / FIGURES).write_text(evaluation_report.as_json(found, history, run), encoding="utf-8")
            (out / TABLES).write_text(evaluation_report.as_markdown(found, history), encoding="utf-8")
            (out / REPORT).write_text(evaluation_report.as_html(found, history, run), encoding="utf-8")
        for level in (*LEVELS, "capture"):
            for name in found.names(level):
                figures = "  ".join(f"{metric} {_shown(value)}" for metric, value in found.mean(level, name).items())
                self.stdout.write(f"{level}, {name}: {figures}" if name == PRODUCT else f"  {level}, {name}: {figures}")
        if not cutoffs:
            self.stdout.write(evaluation_report.TOO_LITTLE)
        self.stdout.write(f"{out / REPORT}, {run['seconds']} s, {run['peak_memory_mb']} MB")


def _cutoffs(text: str) -> list[int | date]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts:
        raise ArgumentTypeError("name at least one cut-off")
    return [int(part) if part.isdigit() else purchase_files.a_date(part) for part in parts]


def _in_days(cutoffs: list[int | date], history: History) -> tuple[int, ...]:
    """Each once, in order. Raises CommandError for one that has nothing before it, or nothing after it."""
    days = {cutoff: cutoff if isinstance(cutoff, int) else history.day_before(cutoff) for cutoff in cutoffs}
    for cutoff, day in days.items():
        if not len(history) or not 0 <= day < history.last_day:
            raise CommandError(f"The cut-off {cutoff} does not lie among the purchases of the file.", returncode=2)
    return tuple(sorted(set(days.values())))


def _shown(value: float) -> str:
    return "–" if value != value else f"{value:.3f}"
