"""What every part of `manage.py bench` is given, and where the parts are found."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from django.apps import apps


@dataclass(frozen=True)
class Run:
    """One run: `seconds` for each figure; `clients` at once and `soak` (seconds) where the part knows them.

    What `say` is given goes to the terminal, above the figures.
    """

    at: datetime
    seconds: float
    say: Callable[[str], object]
    clients: int | None = None
    soak: float = 0.0


Measure = Callable[[Run], dict[str, Any]]


def parts() -> Mapping[str, Measure]:
    """The parts by name: what each app's `management/benches.py` lists, so that an upper app adds its own."""
    found: dict[str, Measure] = {}
    for app in apps.get_app_configs():
        name = f"{app.name}.management"
        if find_spec(name) and find_spec(f"{name}.benches"):
            found |= import_module(f"{name}.benches").PARTS
    return found
