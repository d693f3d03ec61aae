"""The parts of `manage.py bench` about live auctions."""

from typing import Final

from marketplace.management.benching import Measure
from procurement.management import bench_bids, bench_stream

PARTS: Final[dict[str, Measure]] = {"bids": bench_bids.measure, "stream": bench_stream.measure}
