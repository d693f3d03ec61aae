from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache

from marketplace import signed_actions
from marketplace.services import signing, timestamps
from marketplace.signatures.timestamp_authority import DemoTimeStamps
from marketplace.signed_actions import Sent, SignedAction
from tests.conftest import FrozenClock
from tests.factories.marketplace import NOON


@pytest.fixture(scope="session")
def tsa_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the time-stamp authority of these tests lives."""
    folder = tmp_path_factory.mktemp("tsa")
    DemoTimeStamps.create(NOON - timedelta(days=1)).save(folder)
    return folder


@pytest.fixture
def tsa(tsa_folder: Path, settings: Any, freeze: Callable[[datetime], FrozenClock], db: None) -> DemoTimeStamps:
    """A trusted time-stamp authority that answers in this process, at noon."""
    cache.clear()
    freeze(NOON)
    settings.TIMESTAMP_LOCAL_DIR = tsa_folder
    settings.TIMESTAMP_AUTHORITY_URLS = ["local:"]
    return timestamps.trust_demo(tsa_folder, at=NOON)


@pytest.fixture
def try_action(monkeypatch: pytest.MonkeyPatch) -> None:
    """An action “try”, which does nothing but complete the signature."""

    def carry_out(sent: Sent, at: datetime) -> object:
        return signing.complete(sent.request, sent.cms, by=sent.by, at=at, verdict=sent.verdict)

    action = SignedAction("try", carry_out, lambda _request: "Try", lambda _request: "/")
    monkeypatch.setitem(signed_actions._actions, "try", action)
