"""What settings make of the environment."""

import runpy
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from procurement.services import pulse

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


def test_the_tolerance_for_outages_lies_within_what_the_closing_of_auctions_rests_on(monkeypatch):
    platform = {
        "OPENLOT_ENVIRONMENT": "production",
        "SECRET_KEY": "of this test",
        "OPENLOT_KEYS_FILE": "keys.txt",
        "DATABASE_URL": "postgresql://database.example/openlot",
        "BROKER_URL": "redis://broker.example",
    }
    shortest, longest = pulse.STANDS_STILL_S + 1, int(pulse.LONGEST_DRAIN.total_seconds())
    for seconds in (shortest, longest):
        kept = read(monkeypatch, **platform, OUTAGE_TOLERANCE_SECONDS=str(seconds))
        assert kept["OUTAGE_TOLERANCE_SECONDS"] == seconds
    for seconds in (shortest - 1, longest + 1):
        said = f"OUTAGE_TOLERANCE_SECONDS is {seconds}: it has to be at least {shortest} and at most {longest} seconds."
        with pytest.raises(ImproperlyConfigured, match=said):
            read(monkeypatch, **platform, OUTAGE_TOLERANCE_SECONDS=str(seconds))
    development = {"OPENLOT_ENVIRONMENT": "development"}
    with pytest.raises(ImproperlyConfigured, match="at least"):
        read(monkeypatch, **development, OUTAGE_TOLERANCE_SECONDS=str(shortest - 1))
    assert read(monkeypatch, **development, OUTAGE_TOLERANCE_SECONDS="600")["OUTAGE_TOLERANCE_SECONDS"] == 600
