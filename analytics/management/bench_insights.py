"""Time and memory of `score_accounts` as a file grows to 20 million lines, 31,000 accounts for each 5 million.

Each size is scored by a process of its own, so its peak memory is that of the whole errand: reading, learning, scoring
and writing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from django.core.management.base import CommandError

from analytics.features.simulation import FIRST_DAY, Shop, simulate
from marketplace.management.benching import Run

MILLIONS = (1, 5, 20)
LIMIT_MILLIONS, LIMIT_MB = 5, 4096
ACCOUNTS_OF_A_MILLION = 6_200
DAYS = 3 * 365
CUTOFF = FIRST_DAY + timedelta(days=DAYS - 90)
_PART = 6_200  # accounts that are simulated at once


def measure(run: Run) -> dict[str, Any]:
    """The peak memory at 5 million lines against 4 GB; `growth` is what a line costs at 20 million over what at 1."""
    with TemporaryDirectory(prefix="openlot-insights-") as folder:
        sizes = [_measured(Path(folder), millions, run) for millions in MILLIONS]
    product = next(size["peak_memory_mb"] for size in sizes if size["millions"] == LIMIT_MILLIONS)
    return {
        "bench": "insights",
        "unit": f"MB at most while {LIMIT_MILLIONS} million lines are read and scored",
        "limit": LIMIT_MB,
        "product": product,
        "ratio": round(product / LIMIT_MB, 2),
        "sizes": sizes,
        "growth": {name: _growth(sizes, name) for name in ("seconds", "processor_seconds", "peak_memory_mb")},
    }


def write_lines(path: Path, accounts: int) -> int:
    """Simulated purchases, some 160 lines an account; how many lines were written."""
    written = 0
    with path.open("wb") as file:
        for number, begin in enumerate(range(0, accounts, _PART)):
            shop = Shop(min(_PART, accounts - begin), DAYS, categories=200, items=5_000, orders=14.0, lines=5.05)
            frame = simulate(shop, seed=number).frame(first_account=begin)
            frame.write_csv(file, include_header=begin == 0)
            written += len(frame)
    return written


def _measured(folder: Path, millions: int, run: Run) -> dict[str, Any]:
    lines, out = folder / "lines.csv", folder / "out"
    accounts = millions * ACCOUNTS_OF_A_MILLION
    written = write_lines(lines, accounts)
    command = [sys.executable, "-m", "django", "score_accounts", "--transactions", str(lines), "--out", str(out)]
    done = subprocess.run(
        [*command, "--cutoff", str(CUTOFF)], capture_output=True, text=True, check=False, env=_environment()
    )
    if done.returncode:
        raise CommandError(done.stderr)
    told = json.loads((out / "run.json").read_text())
    size = {
        "millions": millions,
        "lines": written,
        "accounts": accounts,
        "seconds": told["seconds"]["all"],
        "processor_seconds": told["seconds"]["of_processor"],
        "seconds_reading": told["seconds"]["reading"],
        "seconds_learning_and_scoring": told["seconds"]["learning_and_scoring"],
        "peak_memory_mb": told["peak_memory_mb"],
        "rows": told["files"],
    }
    run.say(
        f"{written:,} lines, {accounts:,} accounts: {size['seconds']:.0f} s, {size['processor_seconds']:.0f} s of "
        f"processor; {size['peak_memory_mb']:,} MB at most; load {os.getloadavg()[0]:.1f}"
    )
    return size


def _growth(sizes: list[dict[str, Any]], name: str) -> float:
    first, last = sizes[0], sizes[-1]
    return round((last[name] / last["lines"]) / (first[name] / first["lines"]), 2)


def _environment() -> dict[str, str]:
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": os.environ.get("DJANGO_SETTINGS_MODULE", "marketplace.config.settings"),
    }
