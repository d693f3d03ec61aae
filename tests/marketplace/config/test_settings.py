"""What settings make of the environment."""

import runpy
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

SETTINGS = Path(settings.BASE_DIR, "marketplace", "config", "settings.py")


def read(monkeypatch: pytest.MonkeyPatch, **environment: str) -> dict[str, Any]:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return runpy.run_path(str(SETTINGS))


def test_a_database_that_says_nothing_is_given_up_and_its_address_may_say_when(monkeypatch):
    url = "postgresql://openlot:secret@database.example/openlot?keepalives_idle=60"
    options = read(monkeypatch, DATABASE_URL=url)["DATABASES"]["default"]["OPTIONS"]
    kept = {name: int(options[name]) for name in ("keepalives", "keepalives_idle", "tcp_user_timeout")}
    assert kept == {"keepalives": 1, "keepalives_idle": 60, "tcp_user_timeout": 15_000}
