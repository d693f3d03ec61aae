"""The parts of `manage.py bench` that need no procurement."""

from typing import Final

from marketplace.management import bench_sealing, bench_signatures
from marketplace.management.benching import Measure

PARTS: Final[dict[str, Measure]] = {"sealing": bench_sealing.measure, "signatures": bench_signatures.measure}
