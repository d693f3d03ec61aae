"""What browser tests stand on besides the browser: keys of their own, an authority that is trusted, people."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from marketplace.shared import keys
from tests.browser.people import Visitor

# Two loaded processors: what takes a moment by itself may take several here.
expect.set_options(timeout=10_000)
_KEYS = keys.new_key_file_text("test").replace("\n", ";")


@pytest.fixture(autouse=True)
def _own_keys(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keys of the test's own, for this process and for the gateway it starts."""
    monkeypatch.setenv("OPENLOT_KEYS", _KEYS)
    keys.keyring.cache_clear()
    yield
    keys.keyring.cache_clear()


@pytest.fixture
def visit(open_page: Callable[..., Page], live_server: Any, tmp_path: Path) -> Iterator[Callable[..., Visitor]]:
    """A person at a browser of their own: `visit("anna")`.

    OPENLOT_PICTURES names a folder for pictures of the steps.
    """
    pictures = os.environ.get("OPENLOT_PICTURES")
    visitors: list[Visitor] = []

    def come(name: str, **options: Any) -> Visitor:
        page = open_page(base_url=live_server.url, **options)
        page.set_default_timeout(10_000)
        page.set_default_navigation_timeout(20_000)
        visitors.append(Visitor(name, page, tmp_path, Path(pictures) if pictures else None))
        return visitors[-1]

    yield come
    for visitor in visitors:
        visitor.picture("last")
