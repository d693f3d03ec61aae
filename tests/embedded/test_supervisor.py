"""The supervisor: what falls is started again, what was started is stopped, with all it started itself."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from marketplace.embedded import supervisor as supervisor_module
from marketplace.embedded.places import PROJECT
from marketplace.embedded.supervisor import Supervisor
from tests.patience import PATIENCE_S, wait_until


@pytest.fixture
def supervisor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Supervisor]:
    monkeypatch.setattr(supervisor_module, "_FIRST_PAUSE", 0.0)
    supervisor = Supervisor(tmp_path, os.environ)
    yield supervisor
    supervisor.stop()


def _python(code: str) -> tuple[str, str, str]:
    return sys.executable, "-c", code


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def _wait_for(path: Path, lines: int = 1) -> list[str]:
    wait_until(lambda: len(_lines(path)) >= lines)
    return _lines(path)


def _lives(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    return False


def test_a_fallen_process_is_told_of_and_started_again(
    supervisor: Supervisor, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    supervisor.add("web", *_python("import time; print('port in use', flush=True); time.sleep(3600)"))
    _wait_for(tmp_path / "web.log")
    process = supervisor.children[0].process
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    process.wait()

    supervisor.mend()

    _wait_for(tmp_path / "web.log", lines=2)
    assert supervisor.fallen() == []
    assert "web ended (killed by SIGKILL): port in use" in capsys.readouterr().out


def test_a_process_that_keeps_falling_is_started_ever_more_slowly(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(supervisor_module, "_FIRST_PAUSE", 2.0)
    child = supervisor.add("clock", *_python("raise SystemExit(3)"))
    pauses = []
    for _ in range(6):
        assert child.process is not None
        child.process.wait()
        before = time.monotonic()
        supervisor.mend()
        pauses.append((child.again_at - time.monotonic(), child.again_at - before))
        child.start()

    for (least, most), expected in zip(pauses, [2, 4, 8, 16, 30, 30], strict=True):
        assert least <= expected <= most
    assert "clock ended (exit code 3): it said nothing" in capsys.readouterr().out


def test_stop_ends_the_children_and_their_children(supervisor: Supervisor, tmp_path: Path) -> None:
    code = "import subprocess, time; p = subprocess.Popen(['sleep', '999']); print(p.pid, flush=True); time.sleep(999)"
    child = supervisor.add("worker", *_python(code))
    grandchild = int(_wait_for(tmp_path / "worker.log")[0])
    assert child.process is not None
    pid = child.process.pid

    supervisor.stop()

    assert not _lives(pid)
    wait_until(lambda: not _lives(grandchild))


def test_a_step_ends_early_when_told_to_stop(supervisor: Supervisor) -> None:
    threading.Timer(0.3, supervisor.stopping.set).start()

    assert supervisor.run_step("migrate", "sleep", "3600") == 130


def test_run_returns_when_told_to_stop(supervisor: Supervisor) -> None:
    threading.Timer(0.2, supervisor.stopping.set).start()

    supervisor.run()

    assert supervisor.stopping.is_set()


def test_a_storm_of_signals_stops_it_once() -> None:
    code = (
        "import os; from pathlib import Path; from marketplace.embedded.supervisor import Supervisor\n"
        "supervisor = Supervisor(Path('/'), {}); supervisor.heed_signals(); print('up', flush=True); supervisor.run()\n"
        "print('stopped', flush=True)"
    )
    process = subprocess.Popen(_python(code), cwd=PROJECT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"

    for _ in range(50):
        for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
            process.send_signal(number)

    assert process.communicate(timeout=PATIENCE_S)[0] == "stopped\n"
