"""Hostile signatures guided by what they reach in the code, with atheris where it is installed (no test needs it).

    pip install atheris        # into an environment of its own; wheels for Linux only
    python -m tests.marketplace.signatures.fuzz_coverage -max_total_time=300 [more options of libFuzzer]

Starts from the good signatures of `fuzz` and looks for the same faults.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["marketplace.signatures", "asn1crypto"]):
    from tests.marketplace.signatures.fuzz import World, fault

SECONDS_PER_INPUT = 10


def main() -> None:
    world = World.create()
    with tempfile.TemporaryDirectory() as folder:
        for number, signature in enumerate(world.signatures):
            (Path(folder) / str(number)).write_bytes(signature)

        def judge(signature: bytes) -> None:
            wrong = fault(world, signature)
            if wrong:
                raise AssertionError(f"{wrong}: {signature.hex()}")

        limits = [f"-timeout={SECONDS_PER_INPUT}", "-max_len=262145", "-rss_limit_mb=2048"]
        atheris.Setup([sys.argv[0], *limits, *sys.argv[1:], folder], judge)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
