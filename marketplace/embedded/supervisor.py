"""A few processes kept running together: started, restarted when they fall, and all stopped at the end."""

import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 30.0
# A process that ran this long before it fell is tried again at once: the fault is not in its start.
_HEALTHY_SECONDS = 60.0
_SECONDS_TO_STOP = 8.0


def say(text: str) -> None:
    """A line to the terminal, which may be gone by now."""
    try:
        print(text, flush=True)
    except OSError:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - stays open for the rest of the process


class StopSign:
    """Whether we were told to stop. Set by signal handlers, so it has no lock that a second signal could wait for."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()

    def set(self) -> None:
        os.write(self._write, b".")

    def wait(self, seconds: float) -> bool:
        """Wait for the sign, for so long at most; whether it is set."""
        return bool(select.select([self._read], [], [], seconds)[0])

    def is_set(self) -> bool:
        return self.wait(0)


@dataclass
class Child:
    """One process, its log and its history of falls."""

    name: str
    command: Sequence[str]
    log: Path
    environment: Mapping[str, str]
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    again_at: float = 0.0
    falls: int = 0

    def start(self) -> None:
        # In a session of its own, so that Ctrl-C in the terminal reaches the supervisor alone and the stop is orderly.
        # Where the system can, a supervisor killed outright takes its children with it.
        tied = ["setpriv", "--pdeathsig", "TERM", "--"] if sys.platform == "linux" and shutil.which("setpriv") else []
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [*tied, *self.command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(self.environment),
                start_new_session=True,
            )
        self.started = time.monotonic()

    def signal(self, number: int) -> None:
        """Send a signal to the process and to whatever it started."""
        if self.process is not None:
            try:
                os.killpg(self.process.pid, number)
            except (ProcessLookupError, PermissionError):
                return

    def last_words(self) -> str:
        """The last line of the log that says something."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")


@dataclass
class Supervisor:
    """Runs children until it is told to stop."""

    logs: Path
    environment: Mapping[str, str]
    children: list[Child] = field(default_factory=list)
    stopping: StopSign = field(default_factory=StopSign)

    def heed_signals(self) -> None:
        """Stop in order on Ctrl-C, on a plain kill and when the terminal closes."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._stop_on_signal)

    def _stop_on_signal(self, number: int, frame: FrameType | None) -> None:
        self.stopping.set()

    def add(self, name: str, *command: str) -> Child:
        """Start one more child; its output goes to its own, new log."""
        log = self.logs / f"{name}.log"
        if log.exists():
            log.replace(log.with_suffix(".log.1"))  # a log tells of one run, and of the one before
        child = Child(name, command, log, {**self.environment, "OPENLOT_PROCESS": name})
        child.start()
        self.children.append(child)
        return child

    def run_step(self, name: str, *command: str) -> int:
        """Run one command to its end in the terminal; its exit code. Ends early, with 130, when told to stop."""
        environment = {**self.environment, "OPENLOT_PROCESS": name}
        step = subprocess.Popen(command, stdin=subprocess.DEVNULL, env=environment, start_new_session=True)
        while step.poll() is None:
            if self.stopping.wait(0.05):
                os.killpg(step.pid, signal.SIGTERM)
                try:
                    step.wait(_SECONDS_TO_STOP)
                except subprocess.TimeoutExpired:
                    os.killpg(step.pid, signal.SIGKILL)
                    step.wait()
                return 130
        return step.returncode

    def fallen(self) -> list[Child]:
        """The children that have ended though nobody asked them to, each told of once."""
        news = []
        for child in self.children:
            if child.process is not None and child.process.poll() is not None:
                child.signal(signal.SIGKILL)  # what it may have left behind
                news.append(child)
        return news

    def mend(self) -> None:
        """Start again what fell, after a pause that doubles while it keeps falling."""
        now = time.monotonic()
        for child in self.fallen():
            code = child.process.returncode if child.process else 0
            child.process = None
            child.falls = 1 if now - child.started > _HEALTHY_SECONDS else child.falls + 1
            pause = min(_FIRST_PAUSE * 2 ** (child.falls - 1), _LONGEST_PAUSE)
            child.again_at = now + pause
            say(f"{child.name} ended ({_ending(code)}): {child.last_words()}")
            say(f"  It starts again in {pause:.0f} s. Its log is {child.log}.")
        for child in self.children:
            if child.process is None and now >= child.again_at:
                child.start()

    def run(self, watch: Callable[[], None] | None = None) -> None:
        """Mend what falls until told to stop; `watch` is called about once a second."""
        in_terminal = os.isatty(0)
        while not self.stopping.wait(1.0):
            if in_terminal and not os.isatty(0):
                # The terminal was closed, which it tells only its first program: make, where it was opened for that.
                return
            if watch is not None:
                watch()
            self.mend()

    def stop(self) -> None:
        """Stop every child: politely first, then firmly."""
        for child in reversed(self.children):
            child.signal(signal.SIGTERM)
        deadline = time.monotonic() + _SECONDS_TO_STOP
        for child in reversed(self.children):
            if child.process is not None:
                try:
                    child.process.wait(max(0.0, deadline - time.monotonic()))
                except subprocess.TimeoutExpired:
                    say(f"{child.name} does not stop by itself and is ended.")
                child.signal(signal.SIGKILL)
                child.process.wait()
                child.process = None


def _ending(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"
