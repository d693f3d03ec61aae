"""The front end's built files (assets/build.mjs): icons, and the hashes that pages name beside scripts."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Final

from django.contrib.staticfiles import finders
from django.contrib.staticfiles.storage import staticfiles_storage
from django.core.exceptions import SuspiciousFileOperation

FOLDER: Final = "build"


def url(name: str) -> str:
    return staticfiles_storage.url(f"{FOLDER}/{name}")


def integrity(name: str) -> str:
    """The file's subresource hash; empty where files are served from the build itself and change under the reader."""
    return hashes().get(name, "") if is_collected() else ""


def is_collected() -> bool:
    """Whether files are served as `collectstatic` left them, under names that change with their content."""
    return not url("app.js").endswith(f"{FOLDER}/app.js")


def hashes() -> dict[str, str]:
    """File name → "sha384-…" of every built script and style sheet, as the build wrote them."""
    return _collected("integrity.json")


def icon(name: str) -> str:
    """The drawing of an outline icon of Tabler's set, without its <svg>; empty for a name that the set lacks."""
    return _collected("icons.json").get(name, "")


@lru_cache(maxsize=2)
def _collected(name: str) -> dict[str, str]:
    path = _path(name)
    return json.loads(path.read_text("utf-8")) if path else {}


def _path(name: str) -> Path | None:
    """Among the collected files, else where the build left it."""
    try:
        collected = Path(staticfiles_storage.path(f"{FOLDER}/{name}"))
    except (NotImplementedError, SuspiciousFileOperation):
        collected = Path()
    if collected.is_file():
        return collected
    found = finders.find(f"{FOLDER}/{name}")
    return Path(found) if isinstance(found, str) else None
