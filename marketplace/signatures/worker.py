"""The child's side of `bounded`: reads requests from standard input, writes reports to standard output."""

from __future__ import annotations

import os
import pickle
import resource
import sys
from typing import BinaryIO

from .bounded import _LENGTH, READY
from .report import Sub
from .verification import forget, verify


def serve(memory_bytes: int) -> None:
    """Answer until the parent closes our input.

    Requests are pickled, since the parent is trusted; answers are JSON, since a worker that met hostile input is not.
    """
    # Whatever a library prints must not end up between our answers.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    _limit_memory(memory_bytes)
    _send(out, READY)
    while head := sys.stdin.buffer.read(_LENGTH.size):
        request = sys.stdin.buffer.read(_LENGTH.unpack(head)[0])
        report = verify(*pickle.loads(request))
        if report.sub_indication is Sub.GENERIC:  # perhaps for want of memory
            forget()
        _send(out, report.to_json())


def _limit_memory(more: int) -> None:
    if not os.path.exists("/proc/self/statm"):  # no Linux: the wall time alone has to do
        return
    with open("/proc/self/statm") as statm:
        mapped = int(statm.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + more, mapped + more))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _send(out: BinaryIO, answer: bytes) -> None:
    out.write(_LENGTH.pack(len(answer)) + answer)
    out.flush()
