"""The wall clock of a machine, set while processes run on it: only those started with its environment see it, through
libfaketime. What a machine counts by itself (monotonic, boot time) goes on, as it does on a machine whose clock is set.

Waiting for locks and events with a time limit works in such processes, `time.sleep` fails (libfaketime 0.9.10 takes the
monotonic instant that Python names for one of its own).
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Final

import pytest

# The one for programs with threads, under the folders where systems keep their libraries.
_NAME: Final = "faketime/libfaketimeMT.so.1"
_FOLDERS: Final = ("/usr/lib", "/usr/lib64", "/usr/local/lib", "/opt/homebrew/lib")


@cache
def library() -> Path | None:
    """Where libfaketime is; None where the machine has none. OPENLOT_LIBFAKETIME overrules the search."""
    if named := os.environ.get("OPENLOT_LIBFAKETIME"):
        return Path(named)
    found = (path for folder in _FOLDERS for depth in ("", "*/") for path in Path(folder).glob(depth + _NAME))
    return next(found, None)


class MachineClock:
    """The clock of the processes that were started with `environment`."""

    def __init__(self, folder: Path, preloaded: Path) -> None:
        self._file = folder / "clock"
        self.set_by(timedelta())
        self.environment = {
            "LD_PRELOAD": str(preloaded),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def set_by(self, length: timedelta) -> None:
        """So far ahead of the true time, or behind it, from now on and for all at once."""
        written = self._file.with_suffix(".new")
        written.write_text(f"{length.total_seconds():+.0f}\n")
        written.replace(self._file)


@contextmanager
def machine_clock() -> Iterator[MachineClock]:
    """Skips the test where there is no libfaketime."""
    if (preloaded := library()) is None:
        pytest.skip("no libfaketime on this machine: install the system's package, or set OPENLOT_LIBFAKETIME")
    with tempfile.TemporaryDirectory() as folder:
        # PostgreSQL may run as somebody else.
        os.chmod(folder, 0o755)
        try:
            yield MachineClock(Path(folder), preloaded)
        finally:
            _tidy_up()


def _tidy_up() -> None:
    """What libfaketime shares between processes outlives those that are killed."""
    for left in Path("/dev/shm").glob("*faketime_s*_*"):
        if not Path("/proc", left.name.rpartition("_")[2]).exists():
            with suppress(OSError):
                left.unlink()
