"""`verify` in a process of its own, with a limit on wall time and memory: hostile input cannot take a web thread down.

A worker is started on first use, serves one signature at a time and is replaced when it hangs, dies or grows too large.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import pickle
import queue
import resource
import select
import struct
import subprocess
import sys
import threading
import time
from datetime import datetime

from .report import Evidence, Indication, Policy, Report, Sub

WALL_SECONDS = 2.0
#: Above what the interpreter and the libraries take once loaded.
MEMORY_BYTES = 512 * 1024 * 1024
WORKERS = 2
_START_SECONDS = 30.0
_QUEUE_SECONDS = 15.0
_INHERITED = ("PATH", "LD_LIBRARY_PATH", "HOME", "LANG", "TZ")
_LENGTH = struct.Struct(">I")
READY = b"ready"


class _Stopped(Exception):
    """The worker is gone or did not answer in time."""


class _Worker:
    """One child process. Not to be shared by threads at the same time."""

    def __init__(self) -> None:
        # The child finds this package the way we did, and learns nothing else: no password, no key.
        environment = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        environment["PYTHONPATH"] = os.pathsep.join(path or os.getcwd() for path in sys.path)
        command = f"from {__package__}.worker import serve; serve({MEMORY_BYTES})"
        self.process = subprocess.Popen(
            [sys.executable, "-c", command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            start_new_session=True,  # Ctrl-C is for the parent, which then closes our input
        )
        if self._receive(_START_SECONDS) != READY:
            raise _Stopped

    def ask(self, request: bytes, seconds: float) -> bytes:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(_LENGTH.pack(len(request)) + request)
            self.process.stdin.flush()
        except OSError as error:
            raise _Stopped from error
        return self._receive(seconds)

    def _receive(self, seconds: float) -> bytes:
        deadline = time.monotonic() + seconds
        (length,) = _LENGTH.unpack(self._read(_LENGTH.size, deadline))
        return self._read(length, deadline)

    def _read(self, size: int, deadline: float) -> bytes:
        assert self.process.stdout is not None
        descriptor, found = self.process.stdout.fileno(), b""
        while len(found) < size:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([descriptor], [], [], left)[0]:
                raise _Stopped
            chunk = os.read(descriptor, size - len(found))
            if not chunk:
                raise _Stopped
            found += chunk
        return found

    @property
    def is_fit(self) -> bool:
        """Whether it lives and has room left: what one signature took must not be missing for the next."""
        if self.process.poll() is not None:
            return False
        try:
            with open(f"/proc/{self.process.pid}/statm") as statm:
                return int(statm.read().split()[1]) * resource.getpagesize() < MEMORY_BYTES // 2
        except OSError:  # no Linux: then there is no limit on memory either
            return True

    def stop(self) -> None:
        self.process.kill()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):  # unsent bytes of a worker that died
                    stream.close()
        self.process.wait()


class _Pool:
    """At most `WORKERS` children; a caller waits for a free one, and its two seconds begin when it has got it."""

    def __init__(self) -> None:
        self._slots: queue.LifoQueue[_Worker | None] = queue.LifoQueue()
        for _ in range(WORKERS):
            self._slots.put(None)

    def ask(self, request: bytes, seconds: float) -> bytes:
        worker = self._slots.get(timeout=_QUEUE_SECONDS)
        try:
            if worker is None or not worker.is_fit:
                if worker is not None:
                    worker.stop()
                    worker = None
                worker = _Worker()
            return worker.ask(request, seconds)
        except BaseException:
            if worker is not None:
                worker.stop()
                worker = None
            raise
        finally:
            self._slots.put(worker)

    def close(self) -> None:
        while not self._slots.empty():
            worker = self._slots.get_nowait()
            if worker is not None:
                worker.stop()


_pool: _Pool | None = None
_pool_lock = threading.Lock()


def verify_bounded(
    signature: bytes,
    payload: bytes | None,
    policy: Policy,
    at: datetime,
    evidence: Evidence | None = None,
    received_at: datetime | None = None,
    *,
    seconds: float | None = None,
) -> Report:
    """As `verify`, within `seconds` of wall time (or WALL_SECONDS) and limited memory. Never raises. May be called from
    many threads."""
    request = pickle.dumps((signature, payload, policy, at, evidence, received_at))
    try:
        return Report.from_json(_current_pool().ask(request, WALL_SECONDS if seconds is None else seconds))
    except _Stopped:
        reason = "The signature took too long to check, or needs too much memory."
    except queue.Empty:
        reason = "Too many signatures are being checked at this moment. Send it again."
    except Exception as error:  # noqa: BLE001 – no process to be had, or an answer that is none
        reason = f"The signature could not be checked ({type(error).__name__})."
    return Report(Indication.INDETERMINATE, Sub.GENERIC, (reason,))


def _current_pool() -> _Pool:
    global _pool
    with _pool_lock:
        if _pool is None:
            _pool = _Pool()
        return _pool


def _close() -> None:
    if _pool is not None:
        _pool.close()


def _forget() -> None:
    """In a forked child: the parent's workers are the parent's."""
    global _pool, _pool_lock
    _pool, _pool_lock = None, threading.Lock()


atexit.register(_close)
os.register_at_fork(after_in_child=_forget)
