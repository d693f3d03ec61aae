"""What the commands that read a purchase file have in common: their options, and refusals in one sentence."""

from __future__ import annotations

import csv
import resource
import sys
from argparse import ArgumentTypeError
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from analytics.features.files import FileUnreadable
from analytics.features.gathering import Report
from analytics.features.layout import Told
from analytics.features.remark_words import sentences
from analytics.features.values import DayMonth, Decimals
from analytics.rules.protocol import HORIZON

MOST_DAYS_AHEAD = 730


def add_options(parser: CommandParser) -> None:
    add = parser.add_argument
    add("--transactions", type=Path, required=True, metavar="FILE", help="CSV, packed by gzip or not, or XLSX")
    add("--categories", type=Path, metavar="FILE", help="sku and category, to go before the purchases' own category")
    add("--map", action="append", default=[], metavar="account=CustomerID,ts=date,…", help="other heads of columns")
    add("--delimiter", metavar="MARK", help="what parts the columns, if not found out")
    add("--encoding", metavar="NAME", help="if the file is neither UTF-8 nor UTF-16 nor in western letters, as cp1251")
    add("--dates", choices=[o.value for o in DayMonth], help="what 03/04/2024 means, if the column does not show it")
    add("--decimals", choices=[d.value for d in Decimals], help="what stands before fractions, if it is not seen")
    add("--merged", type=Path, metavar="FILE", help="CSV of accounts renamed or merged: old name, name now")
    add("--horizon", type=days_ahead, default=HORIZON, metavar="DAYS", help=f"foretold (default {HORIZON})")
    add("--seed", type=a_seed, default=0, help="for what is drawn at random (default 0)")
    add("--out", type=Path, required=True, metavar="DIR", help="made if it is not there")


def told(options: Mapping[str, Any]) -> Told:
    return Told(
        columns=_columns(options["map"]),
        delimiter={"tab": "\t", "\\t": "\t"}.get(options["delimiter"], options["delimiter"]),
        encoding=options["encoding"],
        day_month=DayMonth(options["dates"]) if options["dates"] else None,
        decimals=Decimals(options["decimals"]) if options["decimals"] else None,
    )


def merged(path: Path | None) -> dict[str, str]:
    """Old name → the name now, chains followed; a ring of names is left as it is."""
    if path is None:
        return {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [[cell.strip() for cell in row[:2]] for row in csv.reader(file)]
        direct = {row[0]: row[1] for row in rows if len(row) == 2 and all(row)}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CommandError(f"The file {path.name} cannot be read: {error}", returncode=2) from None
    final = {}
    for old, name in direct.items():
        seen = {old}
        while name in direct and name not in seen:
            seen.add(name)
            name = direct[name]
        final[old] = name
    return final


@contextmanager
def refused_plainly() -> Iterator[None]:
    """A file that cannot be read, or a directory that cannot be written, is one sentence and exit status 2."""
    try:
        yield
    except FileUnreadable as refusal:
        raise CommandError(str(refusal), returncode=2) from None
    except OSError as error:
        where = f" {error.filename}" if error.filename else ""
        raise CommandError(f"Cannot read or write{where}: {error.strerror}.", returncode=2) from None


def tell(report: Report, say: Callable[[str], object]) -> None:
    """How the file was read, and what is thin or odd about the history in it."""
    rejected = sum(report.rejected.values())
    later = f", {report.after_cutoff:,} on or after the cut-off" if report.after_cutoff else ""
    say(f"{report.rows_read:,} rows read, {report.rows_used:,} used, {rejected:,} not used{later}")
    for reason, count in sorted(report.rejected.items()):
        say(f"  not used: {count:,} {reason.replace('_', ' ')}")
    for warning, count in sorted(report.warnings.items()):
        say(f"  note: {warning.replace('_', ' ')}" + (f" ({count:,})" if count > 1 else ""))
    for sentence in sentences([remark.as_json() for remark in report.remarks]):
        say(f"  note: {sentence}")


def emptied(options: Mapping[str, Any], names: Collection[str]) -> Path:
    """The directory of the results, made if need be, without these files of an earlier run.

    Raises CommandError where one of them is a file to be read.
    """
    out: Path = options["out"]
    out.mkdir(parents=True, exist_ok=True)
    written = {(out / name).resolve() for name in names}
    for path in (options["transactions"], options["categories"], options["merged"]):
        if path and path.resolve() in written:
            raise CommandError(f"{path} is where results are written; name another --out.", returncode=2)
    for path in written:
        path.unlink(missing_ok=True)
    return out


def a_date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"“{text}” is not a date such as 2011-06-11") from None


def days_ahead(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MOST_DAYS_AHEAD:
        raise ArgumentTypeError(f"a horizon is a number of days from 1 to {MOST_DAYS_AHEAD}")
    return int(text)


def a_seed(text: str) -> int:
    if not text.isdecimal():
        raise ArgumentTypeError("a seed is a whole number from 0 on")
    return int(text)


def peak_megabytes() -> int:
    """The most memory that this process has held so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak // (2**20 if sys.platform == "darwin" else 2**10))


def _columns(maps: list[str]) -> dict[str, str]:
    columns = {}
    for pair in (pair for text in maps for pair in text.split(",") if pair.strip()):
        name, equals, head = pair.partition("=")
        if not equals or not head.strip():
            raise CommandError(f"--map wants pairs such as account=CustomerID, not “{pair.strip()}”.", returncode=2)
        columns[name.strip()] = head.strip()
    return columns
