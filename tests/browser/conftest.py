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
from tests.database_time import DatabaseTime, movable
from tests.patience import PATIENCE_S

expect.set_options(timeout=PATIENCE_S * 1000)
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
        page.set_default_timeout(PATIENCE_S * 1000)
        visitors.append(Visitor(name, page, tmp_path, Path(pictures) if pictures else None))
        return visitors[-1]

    yield come
    for visitor in visitors:
        visitor.picture("last")


@pytest.fixture
def database_time(transactional_db: None) -> Iterator[DatabaseTime]:
    """The database's time, to be moved on. To be asked for before the gateway, whose connections are to follow it."""
    with movable() as time:
        yield time
