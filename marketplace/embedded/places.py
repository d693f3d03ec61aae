"""Where the embedded services keep their files, and the errors they speak in."""

import contextlib
import errno
import fcntl
import hashlib
import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict, Unpack

PROJECT = Path(__file__).resolve().parents[2]
# A unix socket's path holds 107 bytes on Linux and 103 on macOS; PostgreSQL's ".s.PGSQL.5432.lock" is the longest name.
_SOCKET_FOLDER_LIMIT = 103 - len("/.s.PGSQL.5432.lock")
_LEAST_FREE_BYTES = 200 * 1024 * 1024


class EmbeddedError(Exception):
    """A service cannot run: one sentence saying what is wrong, one saying the way out."""


def local_folder() -> Path:
    """The folder of everything this checkout makes while running: `.local/`, or OPENLOT_LOCAL."""
    return Path(os.environ.get("OPENLOT_LOCAL") or PROJECT / ".local").absolute()


class Identity(TypedDict, total=False):
    """The part of subprocess.run's arguments that says as whom to run; empty: as ourselves."""

    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True)
class Places:
    """The folders of one set of embedded services."""

    local: Path

    @property
    def logs(self) -> Path:
        return self.local / "log"

    @property
    def sockets(self) -> Path:
        """`.local/run`, or a folder in /tmp named after the checkout where that path is too long for a socket."""
        if self.in_refuge:
            return self.refuge / "run"
        inside = self.local / "run"
        if len(os.fsencode(inside)) <= _SOCKET_FOLDER_LIMIT:
            return inside
        return Path("/tmp") / f"openlot-{self.key}"

    @property
    def refuge(self) -> Path:
        """Where root's PostgreSQL lives when it must run as "nobody": a folder everybody may enter."""
        return Path("/var/tmp") / f"openlot-{self.key}"

    @property
    def in_refuge(self) -> bool:
        return os.geteuid() == 0 and self.refuge.exists()

    @property
    def key(self) -> str:
        return hashlib.sha256(os.fsencode(self.local)).hexdigest()[:12]

    @property
    def owner(self) -> int:
        """The user whose checkout this is: root working in another's checkout leaves nothing behind they cannot use."""
        place = self.local if self.local.exists() else self.local.parent
        return place.stat().st_uid if os.geteuid() == 0 and place.exists() else os.geteuid()

    def make(self) -> None:
        """Create the folders. Raises EmbeddedError where one belongs to somebody else."""
        for folder in (self.local, self.logs, self.sockets):
            self.make_folder(folder)

    def need_space(self) -> None:
        """Raise EmbeddedError where the disk is too full to start on: a database that fills it stops in mid-work."""
        if shutil.disk_usage(self.local).free < _LEAST_FREE_BYTES:
            raise disk_full(self.local)

    def make_folder(self, folder: Path) -> None:
        owner = self.owner
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise disk_full(folder) if error.errno == errno.ENOSPC else _not_ours(folder) from error
        if folder.is_symlink() and folder.parent == Path("/tmp"):
            raise _not_ours(folder)
        if os.geteuid() == 0 and folder.stat().st_uid == 0 != owner:
            os.chown(folder, owner, -1)
        if not os.access(folder, os.W_OK) or (os.geteuid() != 0 and folder.stat().st_uid != owner):
            raise _not_ours(folder)

    def as_owner(self) -> Identity:
        """What makes a subprocess run as the checkout's owner; nothing, when that is who we are."""
        if self.owner == os.geteuid():
            return {}
        return Identity(user=self.owner, group=pwd.getpwuid(self.owner).pw_gid, extra_groups=[])

    @contextlib.contextmanager
    def one_starter(self) -> Iterator[None]:
        """Hold the lock that keeps two processes from starting (or stopping) the services at once."""
        self.make()
        path = self.local / "services.lock"
        with open(path, "w") as lock:
            if os.geteuid() == 0 != self.owner:
                os.chown(path, self.owner, -1)
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def disk_full(place: Path) -> EmbeddedError:
    return EmbeddedError(f"The disk that holds {place} is full. Free at least 200 MB there and start again.")


def _not_ours(folder: Path) -> EmbeddedError:
    return EmbeddedError(
        f"The folder {folder} belongs to another user or cannot be written. "
        "Run as its owner, or remove it and start again."
    )


def wheel_folder(package: str) -> Path:
    """Where an installed wheel lies; found without importing it, so nothing of it runs."""
    for entry in sys.path:
        if (Path(entry or ".") / package).is_dir():
            return (Path(entry or ".") / package).absolute()
    raise EmbeddedError(
        f"The package {package.replace('_', '-')} is not installed in {sys.prefix}. "
        "Run `make setup`, or set DATABASE_URL and BROKER_URL to services of your own."
    )


def plain_environment() -> dict[str, str]:
    """The environment without PG* variables, which would point the tools at another server."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}


def run(
    command: Sequence[str | Path], timeout: float = 120, **identity: Unpack[Identity]
) -> subprocess.CompletedProcess[str]:
    """Run a tool to its end with its output captured; the caller judges the exit code."""
    return subprocess.run(
        [str(part) for part in command],
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=timeout,
        env=plain_environment(),
        cwd="/",
        start_new_session=True,  # Ctrl-C is for whoever called, not for a half-made database
        **identity,
    )


def explain(service: str, output: str, places: Places, log: Path) -> EmbeddedError:
    """Turn what a failed tool printed into one sentence with the way out."""
    if "No space left on device" in output or "Disk quota exceeded" in output:
        return disk_full(places.local)
    for line in output.splitlines():
        if "error while loading shared libraries:" in line:
            library = line.split("shared libraries:")[1].split(":")[0].strip()
            return EmbeddedError(
                f"{service} needs the shared library {library}, which this machine lacks. Install it with the system's "
                "package manager (on Debian libz.so.1 is in zlib1g), or set DATABASE_URL and BROKER_URL to services "
                "of your own."
            )
    if "cannot execute" in output.lower() or "Exec format error" in output or "GLIBC_" in output:
        return EmbeddedError(
            f"{service}'s program does not run on this machine (another processor, or too old a C library). "
            "Set DATABASE_URL and BROKER_URL to services of your own."
        )
    if "Cannot allocate memory" in output:
        return EmbeddedError(f"There is not enough memory for {service}. Close something and start again.")
    last = next((line.strip() for line in reversed(output.splitlines()) if line.strip()), "it said nothing")
    return EmbeddedError(f"{service} did not start: {last} The whole story is in {log}.")
