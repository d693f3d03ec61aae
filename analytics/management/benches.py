"""The parts of `manage.py bench` about account insights."""

from typing import Final

from analytics.management import bench_insights
from marketplace.management.benching import Measure

PARTS: Final[dict[str, Measure]] = {"insights": bench_insights.measure}
